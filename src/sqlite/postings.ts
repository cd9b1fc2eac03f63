/** Finds rows of events on one connection: by the search index, and what is not indexed yet by reading it. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { uuidBytes, uuidMillis } from "../internal/entropy.ts"
import { blobOf, integerOf, type Row, stringOf } from "../internal/row.ts"
import { groupBucketOf, segmentsOf } from "../trail/groups.ts"
import { findId, findPosition, type Segments } from "../trail/segments.ts"
import { bucketOf, indexVersion, logTerm, offsetsOf, segmentRows } from "../trail/terms.ts"

/** A row without what may be erased of it. */
export interface EntryRow {
  readonly seq: number
  readonly log: number
  readonly position: number
  readonly eventId: Uint8Array
  readonly commitment: Uint8Array
}

const columns = "seq, log, position, event_id, commitment"

const entryOf = (row: Row | undefined): EntryRow | undefined => {
  const seq = integerOf(row, "seq")
  const log = integerOf(row, "log")
  const position = integerOf(row, "position")
  const eventId = blobOf(row, "event_id")
  const commitment = blobOf(row, "commitment")
  return seq === undefined || log === undefined || position === undefined || eventId === undefined ||
      commitment === undefined
    ? undefined
    : { seq, log, position, eventId, commitment }
}

/** Reads the search index. */
export class Postings implements Segments<EntryRow> {
  private readonly lastSegment: StatementSync
  private readonly timesOf: StatementSync
  private readonly bySeq: StatementSync
  private readonly ofLog: StatementSync
  private readonly byId: StatementSync
  private readonly atPosition: StatementSync
  private readonly postings: StatementSync
  readonly firstOfVersion: number

  constructor(db: DatabaseSync) {
    // No more than there are rows for: a row that someone added to the index must not hide rows of events.
    this.lastSegment = db.prepare(
      "SELECT min((SELECT coalesce(max(id), -1) + 1 FROM audit_segment), " +
        `(SELECT coalesce(max(seq), 0) FROM audit_event) / ${segmentRows}) AS count`
    )
    this.timesOf = db.prepare("SELECT min_recorded_at AS low, max_recorded_at AS high FROM audit_segment WHERE id = ?")
    this.bySeq = db.prepare(`SELECT ${columns} FROM audit_event WHERE seq = ?`)
    this.ofLog = db.prepare(`SELECT ${columns} FROM audit_event WHERE seq > ? AND log = ? ORDER BY seq DESC`)
    this.byId = db.prepare(`SELECT ${columns} FROM audit_event WHERE seq > ? AND event_id = ?`)
    this.atPosition = db.prepare("SELECT seq FROM audit_event WHERE seq > ? AND log = ? AND position = ?")
    this.postings = db.prepare("SELECT postings FROM audit_bucket WHERE segment = ? AND bucket = ?")
    const first = db.prepare("SELECT value FROM audit_store WHERE name = ?").get(`segments ${indexVersion}`)
    this.firstOfVersion = Number(stringOf(first, "value") ?? Infinity)
  }

  get count(): number {
    return integerOf(this.lastSegment.get(), "count") ?? 0
  }

  times(segment: number): { readonly low: number; readonly high: number } | undefined {
    const row = this.timesOf.get(segment)
    const low = integerOf(row, "low")
    const high = integerOf(row, "high")
    return low === undefined || high === undefined ? undefined : { low, high }
  }

  /** The postings of a bucket of a segment, as they are stored; of a group, where the number is -1, -2 and so on. */
  protected bucket(segment: number, bucket: number): Uint8Array | undefined {
    return blobOf(this.postings.get(segment, bucket), "postings")
  }

  offsets(segment: number, wanted: number): Array<number> {
    const postings = this.bucket(segment, bucketOf(wanted))
    return postings === undefined ? [] : offsetsOf(postings, wanted)
  }

  ofGroup(group: number, wanted: number): number | undefined {
    const bucket = this.bucket(-1 - group, groupBucketOf(wanted))
    return bucket === undefined ? undefined : segmentsOf(bucket, wanted)
  }

  rowAt(segment: number, offset: number): EntryRow | undefined {
    return this.row(segment * segmentRows + 1 + offset)
  }

  /** A row by its number. */
  protected row(seq: number): EntryRow | undefined {
    return entryOf(this.bySeq.get(seq))
  }

  /** The row of an event id: after the last segment, else by the index. */
  findById(eventId: string): EntryRow | undefined {
    const id = uuidBytes(eventId)
    return entryOf(this.byId.get(this.count * segmentRows, id)) ??
      findId(this, eventId, uuidMillis(id), (row) => Buffer.compare(row.eventId, id) === 0)
  }

  /** Goes through the rows of a log, the newest first, until `each` returns false. */
  eachOfLog(log: number, each: (row: EntryRow) => boolean): void {
    const segments = this.count
    for (const row of this.ofLog.iterate(segments * segmentRows, log)) {
      const entry = entryOf(row)
      if (entry !== undefined && !each(entry)) return
    }
    const wanted = logTerm(log)
    for (let segment = segments - 1; segment >= 0; segment--) {
      for (const offset of this.offsets(segment, wanted).toReversed()) {
        const row = this.rowAt(segment, offset)
        if (row?.log === log && !each(row)) return
      }
    }
  }

  /** Entries of a log: one more than the last position. */
  sizeOf(log: number): number {
    let size = 0
    this.eachOfLog(log, ({ position }) => {
      size = position + 1
      return false
    })
    return size
  }

  /** The row number of a position of a log; `undefined` if the log has no such position. */
  seqOf(log: number, position: number): number | undefined {
    return findPosition(this, log, position)?.seq ??
      integerOf(this.atPosition.get(this.count * segmentRows, log, position), "seq")
  }
}
