/**
 * The search index: an inverted index in segments.
 *
 * A secondary index in every commit costs more than everything else in it, so the index follows the commits: once 2,048
 * rows (`segmentRows`) have been stored, the commit that fills them also writes, for every value that can be asked for,
 * in which of these rows it occurs. Segments are written once, in order, so that no page is written twice; rows after
 * the last segment are searched by reading them.
 *
 * A value is found by a 32-bit hash of its field and text. Different values may share one: every row that is found is
 * compared with what was asked for.
 */
import type { SearchKeys } from "../DatasetEvent.ts"
import { searchFields } from "./searchFields.ts"

/** Rows that share one segment of the search index. */
export const segmentRows = 2048

/** FNV-1a over UTF-16 code units. */
const fnv = (start: number, text: string): number => {
  let hash = start
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

const seeds = new Map<string, number>()
/** The hash of a field's name, once per name: there are few. */
const seed = (field: string): number => {
  const known = seeds.get(field)
  if (known !== undefined) return known
  const hash = Math.imul(fnv(0x811c9dc5, field) ^ 0xffff, 0x01000193)
  seeds.set(field, hash)
  return hash
}

/** The hash of a field and its value, mixed at the end (murmur3), as a signed 32-bit number. */
export const term = (field: string, value: string): number => termFrom(seed(field), value)

const termFrom = (start: number, value: string): number => {
  let hash = fnv(start, value)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) | 0
}

/** The term of all rows of a log. */
export const logTerm = (log: number): number => term("log", String(log))

/** The term of an event id. */
export const idTerm = (eventId: string): number => term("event_id", eventId)

/** The version of an index that is written now. */
export const indexVersion = 3

/** The term that segments have whose index is of a version, or of a later one: of the second or third. */
export const versionTerm = (version: number): number => term("segment", String(version))

/** The terms of all versions that such an index is of. */
export const versionTerms: ReadonlyArray<number> = [versionTerm(2), versionTerm(indexVersion)]

/** Terms of one event that the writer keeps in memory; an event with more is read again when its segment is written. */
export const keptTerms = 28

/** Fields of one text each, with the hash of their name: there is no look-up for each event. */
const plainFields = searchFields.filter(({ key }) => key !== "action" && key !== "subjectIds")
  .map(({ key, wire }) => ({ key, start: seed(wire) }))
const actionStart = seed("action")

/** Calls `add` with every term of an event, apart from its log. */
export const eachTerm = (keys: SearchKeys, add: (term: number) => void): void => {
  const { action } = keys
  for (let dot = action.indexOf("."); dot !== -1; dot = action.indexOf(".", dot + 1)) {
    add(termFrom(actionStart, `${action.slice(0, dot)}.*`))
  }
  add(termFrom(actionStart, action))
  for (let i = 0; i < plainFields.length; i++) {
    const { key, start } = plainFields[i]!
    const value = keys[key]
    if (typeof value === "string") add(termFrom(start, value))
  }
  const { subjectIds } = keys
  if (subjectIds !== undefined) { for (const id of subjectIds) add(term("subject_ids", id)) }
}

/** The terms of an event, apart from its log. */
export const termsOf = (eventId: string, keys: SearchKeys): Int32Array => {
  const terms = [idTerm(eventId)]
  eachTerm(keys, (term) => void terms.push(term))
  return new Int32Array(terms)
}

/** The postings of a segment lie in 64 buckets, so that a look-up reads little and a segment has few rows. */
export const buckets = 64

/** The bucket of a term. */
export const bucketOf = (term: number): number => term & (buckets - 1)

/** One posting: the term (4 bytes), how many rows have it (2 bytes), their offsets in the segment (2 bytes each). */
const encodePosting = (view: DataView, at: number, term: number, offsets: ReadonlyArray<number>): number => {
  view.setInt32(at, term, true)
  view.setUint16(at + 4, offsets.length, true)
  for (let i = 0; i < offsets.length; i++) view.setUint16(at + 6 + i * 2, offsets[i]!, true)
  return at + 6 + offsets.length * 2
}

/** The buckets of a segment, from the offsets (ascending) of each term. */
export const encodeBuckets = (postings: ReadonlyMap<number, ReadonlyArray<number>>): ReadonlyArray<Uint8Array> => {
  const terms = Array.from({ length: buckets }, (): Array<number> => [])
  const sizes = Array.from({ length: buckets }, () => 0)
  for (const [term, offsets] of postings) {
    const bucket = bucketOf(term)
    terms[bucket]!.push(term)
    sizes[bucket]! += 6 + offsets.length * 2
  }
  return terms.map((list, bucket) => {
    const bytes = new Uint8Array(sizes[bucket]!)
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const term of list) at = encodePosting(view, at, term, postings.get(term) ?? [])
    return bytes
  })
}

const readOffsets = (view: DataView, at: number, count: number): Array<number> => {
  const offsets: Array<number> = []
  for (let i = 0; i < count; i++) offsets.push(view.getUint16(at + i * 2, true))
  return offsets
}

/** The offsets of one term in a bucket, ascending; none if the term is not in it. */
export const offsetsOf = (bucket: Uint8Array, wanted: number): Array<number> => {
  const view = new DataView(bucket.buffer, bucket.byteOffset, bucket.byteLength)
  for (let at = 0; at + 6 <= bucket.length;) {
    const count = view.getUint16(at + 4, true)
    if (view.getInt32(at, true) === wanted) return readOffsets(view, at + 6, count)
    at += 6 + count * 2
  }
  return []
}

/** All postings of a bucket. */
export const postingsOf = (bucket: Uint8Array): ReadonlyMap<number, ReadonlyArray<number>> => {
  const view = new DataView(bucket.buffer, bucket.byteOffset, bucket.byteLength)
  const postings = new Map<number, ReadonlyArray<number>>()
  for (let at = 0; at + 6 <= bucket.length;) {
    const count = view.getUint16(at + 4, true)
    const first = at + 6
    postings.set(view.getInt32(at, true), readOffsets(view, first, count))
    at = first + count * 2
  }
  return postings
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
