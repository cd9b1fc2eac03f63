/**
 * Groups of segments of the search index: in which of 32 segments a term occurs.
 *
 * A look-up of a rare value would ask every segment; so it asks every group, and only the segments that have it. A
 * group is merged bucket by bucket once its segments are written, a few with each segment that follows, so that no
 * commit waits for it. What is not merged yet is looked for in the segments.
 */
import { buckets } from "./terms.ts"

/** Segments in one group: one bit of 32 for each. */
export const groupSegments = 32
/** Bits of a group whose segments may all have a term. */
export const allSegments = 0xffffffff | 0

/** Buckets of a group; eight of them are merged from one bucket of the segments, so that a look-up reads little. */
export const groupBuckets = buckets * 8
/** The bucket of a term in a group. */
export const groupBucketOf = (term: number): number => term & (groupBuckets - 1)

/** Calls `each` with the terms of a bucket of a segment. */
const eachTermOf = (bucket: Uint8Array, each: (term: number) => void): void => {
  const view = new DataView(bucket.buffer, bucket.byteOffset, bucket.byteLength)
  for (let at = 0; at + 6 <= bucket.length; at += 6 + view.getUint16(at + 4, true) * 2) each(view.getInt32(at, true))
}

/** One bucket of a group: its terms (4 bytes each), ascending, then the segments of each (4 bytes). */
const encode = (bits: ReadonlyMap<number, number>): Uint8Array => {
  const terms = Int32Array.from(bits.keys()).sort()
  const view = new DataView(new ArrayBuffer(terms.length * 8))
  for (let i = 0; i < terms.length; i++) {
    view.setInt32(i * 4, terms[i]!, true)
    view.setInt32((terms.length + i) * 4, bits.get(terms[i]!) ?? 0, true)
  }
  return new Uint8Array(view.buffer)
}

/** Merges one bucket of the segments of a group into the buckets of the group, by their numbers. */
export const mergeBuckets = (
  bucket: number,
  ofSegments: ReadonlyArray<Uint8Array | undefined>
): ReadonlyMap<number, Uint8Array> => {
  const merged = new Map<number, Map<number, number>>()
  for (let number = bucket; number < groupBuckets; number += buckets) merged.set(number, new Map())
  for (const [segment, postings] of ofSegments.entries()) {
    if (postings === undefined) continue
    eachTermOf(postings, (term) => {
      const bits = merged.get(groupBucketOf(term))
      bits?.set(term, (bits.get(term) ?? 0) | (1 << segment))
    })
  }
  return new Map([...merged].map(([number, bits]) => [number, encode(bits)]))
}

/** The segments of a group that have a term, by its bucket of the group. */
export const segmentsOf = (bucket: Uint8Array, wanted: number): number => {
  const view = new DataView(bucket.buffer, bucket.byteOffset, bucket.byteLength)
  const count = Math.floor(bucket.length / 8)
  let [low, high] = [0, count - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    const term = view.getInt32(middle * 4, true)
    if (term === wanted) return view.getInt32((count + middle) * 4, true)
    if (term < wanted) low = middle + 1
    else high = middle - 1
  }
  return 0
}
