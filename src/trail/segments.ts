/**
 * Finds rows by an index in segments (`terms.ts`), whatever keeps it.
 *
 * Rows that are in no segment yet are for who keeps them.
 */
import type { Search } from "./Filter.ts"
import { allSegments, groupSegments } from "./groups.ts"
import { idTerm, indexVersion, intersect, logTerm, segmentRows, term, versionTerm } from "./terms.ts"

/** A row, as far as it must be compared with what was asked for. */
export interface IndexedRow {
  readonly log: number
  readonly position: number
}

/** An index, as searching in it sees it. */
export interface Segments<Row extends IndexedRow> {
  /** Segments that are written, counted from 0. */
  readonly count: number
  /** First and last time of recording in a segment, in milliseconds since 1970; `undefined` if it says none. */
  readonly times: (segment: number) => { readonly low: number; readonly high: number } | undefined
  /** Where in a segment rows may have a term: their offsets, ascending. */
  readonly offsets: (segment: number, term: number) => Array<number>
  readonly rowAt: (segment: number, offset: number) => Row | undefined
  /** Which segments of a group may have a term, one bit for each; `undefined` if there is no such group. */
  readonly ofGroup?: (group: number, term: number) => number | undefined
  /**
   * The first segment that was not full when a release of the present version of the index first opened the store;
   * those before hold no field that is new with it.
   */
  readonly firstOfVersion: number
}

/** The first segment that ends at a time or later, as far as clocks went forward. */
const segmentAt = <Row extends IndexedRow>(index: Segments<Row>, millis: number): number => {
  let low = 0
  let high = Math.max(index.count - 1, 0)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const times = index.times(middle)
    if (times !== undefined && times.high < millis) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether a segment may have rows with all of some terms, by the groups; each group is asked once. */
const mayHave = <Row extends IndexedRow>(index: Segments<Row>, terms: ReadonlyArray<number>) => {
  const known = new Map<number, number>()
  const bitsOf = (group: number): number => {
    let bits = allSegments
    for (let i = 0; i < terms.length && bits !== 0; i++) {
      const some = index.ofGroup?.(group, terms[i]!)
      if (some === undefined) return allSegments
      bits &= some
    }
    return bits
  }
  return (segment: number): boolean => {
    const group = Math.floor(segment / groupSegments)
    const bits = known.get(group) ?? bitsOf(group)
    known.set(group, bits)
    return (bits >>> (segment % groupSegments) & 1) === 1
  }
}

/** The row of an event id that was made at a time: segments of about that time are looked at first. */
export const findId = <Row extends IndexedRow>(
  index: Segments<Row>,
  eventId: string,
  millis: number,
  isIt: (row: Row) => boolean
): Row | undefined => {
  const wanted = idTerm(eventId)
  const may = mayHave(index, [wanted])
  const find = (segment: number): Row | undefined => {
    if (!may(segment)) return undefined
    for (const offset of index.offsets(segment, wanted)) {
      const row = index.rowAt(segment, offset)
      if (row !== undefined && isIt(row)) return row
    }
    return undefined
  }
  const start = segmentAt(index, millis)
  for (let distance = 0; distance <= index.count; distance++) {
    const row = (start + distance < index.count ? find(start + distance) : undefined) ??
      (distance > 0 && start - distance >= 0 ? find(start - distance) : undefined)
    if (row !== undefined) return row
  }
  return undefined
}

/** The row of a position of a log, if a segment has it. */
export const findPosition = <Row extends IndexedRow>(
  index: Segments<Row>,
  log: number,
  position: number
): Row | undefined => {
  const wanted = logTerm(log)
  const firstOf = (segment: number): number | undefined => {
    for (const offset of index.offsets(segment, wanted)) {
      const row = index.rowAt(segment, offset)
      if (row?.log === log) return row.position
    }
    return undefined
  }
  // The last segment whose first row of the log is not after the position.
  let [low, high] = [0, index.count - 1]
  let best: { readonly segment: number; readonly first: number } | undefined
  while (low <= high) {
    const middle = Math.floor((low + high) / 2)
    let at = middle
    let first = firstOf(at)
    while (first === undefined && at < high) first = firstOf(++at)
    if (first === undefined || first > position) high = middle - 1
    else {
      best = { segment: at, first }
      low = at + 1
    }
  }
  if (best === undefined) return undefined
  const { first, segment } = best
  const isIt = (row: Row | undefined) => row?.log === log && row.position === position
  const offsets = index.offsets(segment, wanted)
  // Positions are dense: it is at its distance from the first, unless another term has the same hash.
  const expected = offsets[position - first]
  if (expected === undefined) return undefined
  const row = index.rowAt(segment, expected)
  return isIt(row) ? row : offsets.map((offset) => index.rowAt(segment, offset)).find(isIt)
}

/** Offsets of the rows of a segment that may be what a search looks for, ascending. */
const offsetsIn = <Row extends IndexedRow>(
  index: Segments<Row>,
  segment: number,
  log: number,
  { conditions }: Search
): ReadonlyArray<number> => {
  // What the index of a segment does not have yet is looked for in its rows.
  const known = new Map<number, boolean>()
  const knows = (version: number): boolean => {
    const answer = known.get(version) ?? index.offsets(segment, versionTerm(version)).length > 0
    known.set(version, answer)
    return answer
  }
  const ofLog = () => index.offsets(segment, logTerm(log))
  const isBefore = segment < index.firstOfVersion
  // An older release, which still wrote to the store, may not have been able to read its rows.
  if (!isBefore && !knows(indexVersion)) return ofLog()
  let found: Array<number> | undefined
  for (const { field, value } of conditions) {
    if (field.since === indexVersion && isBefore && !knows(indexVersion)) return []
    if (field.since !== undefined && !knows(field.since)) continue
    const offsets = index.offsets(segment, term(field.wire, value))
    found = found === undefined ? offsets : intersect(found, offsets)
    if (found.length === 0) return []
  }
  return found === undefined ? ofLog() : intersect(found, ofLog())
}

/** Whether a segment may have a row that was recorded when a search asks for. */
const isInTime = <Row extends IndexedRow>(index: Segments<Row>, segment: number, search: Search): boolean => {
  const { sinceMillis, untilMillis } = search
  if (sinceMillis === undefined && untilMillis === undefined) return true
  const times = index.times(segment)
  return times === undefined || (times.high >= (sinceMillis ?? -Infinity) && times.low < (untilMillis ?? Infinity))
}

/** The numbers of rows, from 1 on, that may be what a search looks for, in order, from one number to another. */
export function* candidates<Row extends IndexedRow>(
  index: Segments<Row>,
  log: number,
  search: Search,
  order: { readonly descending: boolean; readonly first: number; readonly last: number }
): Generator<number> {
  const { descending, first, last } = order
  const from = Math.floor((first - 1) / segmentRows)
  const until = Math.min(index.count - 1, Math.floor((last - 1) / segmentRows))
  const may = mayHave(index, search.conditions.map(({ field, value }) => term(field.wire, value)))
  for (let step = 0; step <= until - from; step++) {
    const segment = descending ? until - step : from + step
    if (!may(segment) || !isInTime(index, segment, search)) continue
    const offsets = offsetsIn(index, segment, log, search)
    for (const offset of descending ? offsets.toReversed() : offsets) {
      const number = segment * segmentRows + 1 + offset
      if (number >= first && number <= last) yield number
    }
  }
}
