/**
 * Groups of segments of the search index: in which of eight segments a term occurs.
 *
 * A look-up of a rare value would ask every segment; so it asks every group, and only the segments that have it. A group
 * is written once, after its last segment, and only if all of its segments are of the present version.
 */
import { indexVersion, versionTerm } from "./terms.ts"

/** Segments in one group: one bit of a byte for each. */
export const groupSegments = 8
/** Bits of a group whose segments may all have a term. */
export const allSegments = 0xff

/** Calls `each` with the terms of a bucket of a segment. */
const eachTermOf = (bucket: Uint8Array, each: (term: number) => void): void => {
  const view = new DataView(bucket.buffer, bucket.byteOffset, bucket.byteLength)
  for (let at = 0; at + 6 <= bucket.length; at += 6 + view.getUint16(at + 4, true) * 2) each(view.getInt32(at, true))
}

/** A bucket of a group from those of its segments: its terms (4 bytes each), ascending, then the segments of each. */
export const encodeGroup = (ofSegments: ReadonlyArray<Uint8Array | undefined>): Uint8Array => {
  const bits = new Map<number, number>()
  for (const [segment, bucket] of ofSegments.entries()) {
    if (bucket !== undefined) eachTermOf(bucket, (term) => bits.set(term, (bits.get(term) ?? 0) | (1 << segment)))
  }
  const terms = Int32Array.from(bits.keys()).sort()
  const bytes = new Uint8Array(terms.length * 5)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < terms.length; i++) {
    view.setInt32(i * 4, terms[i]!, true)
    bytes[terms.length * 4 + i] = bits.get(terms[i]!) ?? 0
  }
  return bytes
}

/** The segments of a group that have a term, by such a bucket. */
export const segmentsOf = (bucket: Uint8Array, wanted: number): number => {
  const view = new DataView(bucket.buffer, bucket.byteOffset, bucket.byteLength)
  const count = Math.floor(bucket.length / 5)
  let [low, high] = [0, count - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    const term = view.getInt32(middle * 4, true)
    if (term === wanted) return bucket[count * 4 + middle] ?? 0
    if (term < wanted) low = middle + 1
    else high = middle - 1
  }
  return 0
}

/** Whether all segments of a group are of the present version, by the bucket of that version's term. */
export const isPresent = (bucketOfVersion: Uint8Array): boolean =>
  segmentsOf(bucketOfVersion, versionTerm(indexVersion)) === allSegments
