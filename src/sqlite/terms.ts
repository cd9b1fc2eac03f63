/**
 * The search index: an inverted index in segments.
 *
 * A secondary index in every commit costs more than everything else in it, so the index follows the commits: once 2,048
 * rows (`segmentRows`) have been stored, the commit that fills them also writes, for every value that can be asked for, in
 * which of these rows it occurs. Segments are written once, in order, so that no page is written twice; rows after the
 * last segment are searched by reading them.
 *
 * A value is found by a 32-bit hash of its field and text. Different values may share one: every row that is found is
 * compared with what was asked for.
 *
 * @internal
 */
import type { Wire } from "../DatasetEvent.ts"
import { facts } from "../trail/Filter.ts"

/** FNV-1a over UTF-16 code units, mixed at the end (murmur3), as a signed 32-bit number. */
export const term = (field: string, value: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < field.length; i++) hash = Math.imul(hash ^ field.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ 0xffff, 0x01000193)
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) | 0
}

/** The term of all rows of a log. */
export const logTerm = (log: number): number => term("log", String(log))

/** All terms of an event, apart from its log. */
export const eventTerms = (event: Wire): ReadonlyArray<number> => facts(event).map(([field, value]) => term(field, value))

/** Row offsets within a segment, ascending, as 16-bit little-endian numbers. */
export const encodeOffsets = (offsets: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(offsets.length * 2)
  for (let i = 0; i < offsets.length; i++) {
    bytes[i * 2] = offsets[i]! & 0xff
    bytes[i * 2 + 1] = offsets[i]! >> 8
  }
  return bytes
}

/** The offsets that `encodeOffsets` wrote. */
export const decodeOffsets = (bytes: Uint8Array): Array<number> => {
  const offsets: Array<number> = []
  for (let i = 0; i + 1 < bytes.length; i += 2) offsets.push(bytes[i]! | (bytes[i + 1]! << 8))
  return offsets
}

/** Offsets that are in both; both ascending. */
export const intersect = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): Array<number> => {
  const both: Array<number> = []
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i]! < b[j]!) i++
    else if (a[i]! > b[j]!) j++
    else {
      both.push(a[i]!)
      i++
      j++
    }
  }
  return both
}
