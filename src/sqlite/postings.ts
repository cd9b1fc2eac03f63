/** Finds rows of events on one connection: by the search index, and what is not indexed yet by reading it. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { uuidBytes } from "../internal/entropy.ts"
import { blobOf, integerOf, type Row } from "./row.ts"
import { bucketOf, idTerm, logTerm, offsetsOf, segmentRows } from "./terms.ts"

const columns = "seq, log, position, event_id, commitment"

/** Milliseconds since 1970 of a UUIDv7 (RFC 9562, section 5.7). */
const timeOf = (id: Uint8Array): number => Buffer.from(id.buffer, id.byteOffset, 6).readUIntBE(0, 6)

/** Reads the search index. */
export class Postings {
  protected readonly bySeq: StatementSync
  private readonly lastSegment: StatementSync
  private readonly timesOf: StatementSync
  private readonly ofLog: StatementSync
  private readonly byId: StatementSync
  private readonly atPosition: StatementSync
  private readonly postings: StatementSync

  constructor(db: DatabaseSync) {
    this.lastSegment = db.prepare("SELECT max(id) AS id FROM segment")
    this.timesOf = db.prepare("SELECT min_recorded_at AS low, max_recorded_at AS high FROM segment WHERE id = ?")
    this.bySeq = db.prepare(`SELECT ${columns} FROM event WHERE seq = ?`)
    this.ofLog = db.prepare(`SELECT ${columns} FROM event WHERE seq > ? AND log = ? ORDER BY seq DESC`)
    this.byId = db.prepare(`SELECT ${columns} FROM event WHERE seq > ? AND event_id = ?`)
    this.atPosition = db.prepare("SELECT seq FROM event WHERE seq > ? AND log = ? AND position = ?")
    this.postings = db.prepare("SELECT postings FROM bucket WHERE segment = ? AND bucket = ?")
  }

  /** Segments that are written. */
  segments(): number {
    const last = integerOf(this.lastSegment.get(), "id")
    return last === undefined ? 0 : last + 1
  }

  /** First and last time of recording in a segment, in milliseconds; `undefined` if there is no such segment. */
  times(segment: number): { readonly low: number; readonly high: number } | undefined {
    const row = this.timesOf.get(segment)
    const low = integerOf(row, "low")
    const high = integerOf(row, "high")
    return low === undefined || high === undefined ? undefined : { low, high }
  }

  /** The postings of a bucket of a segment, as they are stored. */
  protected bucket(segment: number, bucket: number): Uint8Array | undefined {
    return blobOf(this.postings.get(segment, bucket), "postings")
  }

  /** Where in a segment rows may have a term: their offsets, ascending. */
  offsets(segment: number, wanted: number): Array<number> {
    const postings = this.bucket(segment, bucketOf(wanted))
    return postings === undefined ? [] : offsetsOf(postings, wanted)
  }

  private rowAt(segment: number, offset: number): Row | undefined {
    return this.bySeq.get(segment * segmentRows + 1 + offset)
  }

  /**
   * The row of an event id: after the last segment, else by the index. An id is a time, so segments of about that time are
   * looked at first.
   */
  findById(eventId: string): Row | undefined {
    const id = uuidBytes(eventId)
    const segments = this.segments()
    const unindexed = this.byId.get(segments * segmentRows, id)
    if (unindexed !== undefined) return unindexed
    const wanted = idTerm(eventId)
    const find = (segment: number): Row | undefined => {
      for (const offset of this.offsets(segment, wanted)) {
        const row = this.rowAt(segment, offset)
        const found = blobOf(row, "event_id")
        if (found !== undefined && Buffer.compare(found, id) === 0) return row
      }
      return undefined
    }
    const start = this.segmentAt(timeOf(id), segments)
    for (let distance = 0; distance <= segments; distance++) {
      const row = (start + distance < segments ? find(start + distance) : undefined) ??
        (distance > 0 && start - distance >= 0 ? find(start - distance) : undefined)
      if (row !== undefined) return row
    }
    return undefined
  }

  /** The first segment that ends at a time or later, as far as clocks went forward. */
  private segmentAt(millis: number, segments: number): number {
    let low = 0
    let high = Math.max(segments - 1, 0)
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const times = this.times(middle)
      if (times !== undefined && times.high < millis) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Goes through the rows of a log, the newest first, until `each` returns false. */
  eachOfLog(log: number, each: (row: Row) => boolean): void {
    const segments = this.segments()
    for (const row of this.ofLog.iterate(segments * segmentRows, log)) {
      if (!each(row)) return
    }
    const wanted = logTerm(log)
    for (let segment = segments - 1; segment >= 0; segment--) {
      for (const offset of this.offsets(segment, wanted).toReversed()) {
        const row = this.rowAt(segment, offset)
        if (row !== undefined && row["log"] === log && !each(row)) return
      }
    }
  }

  /** Entries of a log: one more than the last position. */
  sizeOf(log: number): number {
    let size = 0
    this.eachOfLog(log, (row) => {
      const position = integerOf(row, "position")
      if (position !== undefined) size = position + 1
      return false
    })
    return size
  }

  /** The row number of a position of a log; `undefined` if the log has no such position. */
  seqOf(log: number, position: number): number | undefined {
    const segments = this.segments()
    const wanted = logTerm(log)
    const isIt = (row: Row | undefined) => row?.["log"] === log && row["position"] === position
    const rowIn = (segment: number, first: number): Row | undefined => {
      const offsets = this.offsets(segment, wanted)
      // Positions are dense: it is at its distance from the first, unless another term has the same hash.
      const expected = offsets[position - first]
      const row = expected === undefined ? undefined : this.rowAt(segment, expected)
      return isIt(row) ? row : offsets.map((offset) => this.rowAt(segment, offset)).find(isIt)
    }
    const firstOf = (segment: number): number | undefined => {
      for (const offset of this.offsets(segment, wanted)) {
        const row = this.rowAt(segment, offset)
        if (row?.["log"] === log) return integerOf(row, "position")
      }
      return undefined
    }
    // The last segment whose first row of the log is not after the position.
    let [low, high] = [0, segments - 1]
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
    const row = best === undefined ? undefined : rowIn(best.segment, best.first)
    return integerOf(row ?? this.atPosition.get(segments * segmentRows, log, position), "seq")
  }
}
