/**
 * The search index of an open connection: written segment by segment, and looked up by event id and by log.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { type Sealed, searchKeys, WireFromText } from "../DatasetEvent.ts"
import { uuidBytes, uuidText } from "../internal/entropy.ts"
import { blobOf, integerOf, type Row, textOf } from "./row.ts"
import {
  bucketOf,
  buckets,
  eachTerm,
  encodeBuckets,
  idTerm,
  keptTerms,
  logTerm,
  offsetsOf,
  postingsOf,
  segmentRows
} from "./terms.ts"

/**
 * What the search index needs of the rows that were written here, by their offset in a segment. Plain numbers in one piece
 * of memory: an object per event would outlive it, and cost the collector more than the index costs.
 */
class RecentRows {
  private readonly seqs = new Float64Array(segmentRows)
  private readonly counts = new Uint8Array(segmentRows)
  private readonly terms = new Int32Array(segmentRows * keptTerms)
  readonly times = new Float64Array(segmentRows)

  keep(seq: number, recordedAtMillis: number, log: number, event: Sealed): void {
    const offset = (seq - 1) % segmentRows
    const first = offset * keptTerms
    let count = 0
    const add = (term: number) => {
      if (count < keptTerms) this.terms[first + count] = term
      count++
    }
    add(logTerm(log))
    add(idTerm(event.eventId))
    eachTerm(event.keys, add)
    this.seqs[offset] = count <= keptTerms ? seq : 0
    this.counts[offset] = count
    this.times[offset] = recordedAtMillis
  }

  /** Calls `add` with the terms of a row, if it was written here. */
  each(seq: number, add: (term: number) => void): boolean {
    const offset = (seq - 1) % segmentRows
    if (this.seqs[offset] !== seq) return false
    const first = offset * keptTerms
    for (let i = 0; i < this.counts[offset]!; i++) add(this.terms[first + i]!)
    return true
  }

  clear(): void {
    this.seqs.fill(0)
  }
}

const decodeBody = Schema.decodeUnknownResult(WireFromText)

/** Milliseconds since 1970 of a UUIDv7 (RFC 9562, section 5.7). */
const timeOf = (id: Uint8Array): number => Buffer.from(id.buffer, id.byteOffset, 6).readUIntBE(0, 6)

export class SearchIndex {
  private readonly db: DatabaseSync
  private readonly recent = new RecentRows()
  private readonly lastSegment: StatementSync
  private readonly timesOf: StatementSync
  private readonly bySeq: StatementSync
  private readonly ofLog: StatementSync
  private readonly byId: StatementSync
  private readonly postings: StatementSync
  private readonly body: StatementSync

  constructor(db: DatabaseSync) {
    this.db = db
    this.lastSegment = db.prepare("SELECT max(id) AS id FROM segment")
    this.timesOf = db.prepare("SELECT min_recorded_at AS low, max_recorded_at AS high FROM segment WHERE id = ?")
    this.bySeq = db.prepare("SELECT seq, log, position, event_id, commitment FROM event WHERE seq = ?")
    this.ofLog = db.prepare(
      "SELECT seq, log, position, event_id, commitment FROM event WHERE seq > ? AND log = ? ORDER BY seq DESC"
    )
    this.byId = db.prepare("SELECT seq, log, position, event_id, commitment FROM event WHERE seq > ? AND event_id = ?")
    this.postings = db.prepare("SELECT postings FROM bucket WHERE segment = ? AND bucket = ?")
    this.body = db.prepare(
      "SELECT log, event_id, body, CASE WHEN recorded_at <= 9007199254740991 THEN recorded_at END AS recorded_at " +
        "FROM event WHERE seq = ?"
    )
  }

  /** Keeps what the index needs of a row that was written here; and writes the segment that it fills. */
  add(seq: number, log: number, event: Sealed): void {
    this.recent.keep(seq, event.recordedAtMillis, log, event)
    if (seq % segmentRows === 0) this.write(seq / segmentRows - 1)
  }

  /** Forgets the rows that were written here; they are read again when their segment is written. */
  forget(): void {
    this.recent.clear()
  }

  /** Segments that are written. */
  private segments(): number {
    return (integerOf(this.lastSegment.get(), "id") ?? -1) + 1
  }

  private offsets(segment: number, wanted: number): ReadonlyArray<number> {
    const postings = blobOf(this.postings.get(segment, bucketOf(wanted)), "postings")
    return postings === undefined ? [] : offsetsOf(postings, wanted)
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
        const row = this.bySeq.get(segment * segmentRows + 1 + offset)
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
      if ((integerOf(this.timesOf.get(middle), "high") ?? 0) < millis) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Goes through the rows of a log, the newest first, until `each` answers false. */
  eachOfLog(log: number, each: (row: Row) => boolean): void {
    const segments = this.segments()
    for (const row of this.ofLog.iterate(segments * segmentRows, log)) {
      if (!each(row)) return
    }
    const wanted = logTerm(log)
    for (let segment = segments - 1; segment >= 0; segment--) {
      for (const offset of this.offsets(segment, wanted).toReversed()) {
        const row = this.bySeq.get(segment * segmentRows + 1 + offset)
        if (row !== undefined && row["log"] === log && !each(row)) return
      }
    }
  }

  /** Entries of a log: one more than the last position. */
  sizeOf(log: number): number {
    let size = 0
    this.eachOfLog(log, (row) => {
      size = (integerOf(row, "position") ?? 0) + 1
      return false
    })
    return size
  }

  /** Takes erased rows out of the index: what is left leads to them by log and event id only. */
  erase(seqs: ReadonlyArray<number>): void {
    this.recent.clear()
    const update = this.db.prepare("UPDATE bucket SET postings = ? WHERE segment = ? AND bucket = ?")
    const segments = Map.groupBy(seqs, (seq) => Math.floor((seq - 1) / segmentRows))
    const written = this.segments()
    for (const [segment, rows] of segments) {
      if (segment >= written) continue
      const erased = new Set(rows.map((seq) => (seq - 1) % segmentRows))
      const kept = new Set<number>()
      for (const seq of rows) {
        const row = this.bySeq.get(seq)
        kept.add(logTerm(integerOf(row, "log") ?? 0)).add(
          idTerm(uuidText(blobOf(row, "event_id") ?? new Uint8Array(16)))
        )
      }
      const left = new Map<number, ReadonlyArray<number>>()
      for (let bucket = 0; bucket < buckets; bucket++) {
        const postings = blobOf(this.postings.get(segment, bucket), "postings")
        for (const [term, offsets] of postings === undefined ? [] : postingsOf(postings)) {
          const rest = kept.has(term) ? offsets : offsets.filter((offset) => !erased.has(offset))
          if (rest.length > 0) left.set(term, rest)
        }
      }
      encodeBuckets(left).forEach((bucket, index) => update.run(bucket, segment, index))
    }
  }

  /** Writes the index of a segment that is full. */
  private write(segment: number): void {
    const postings = new Map<number, Array<number>>()
    let offset = 0
    const add = (term: number) => {
      const offsets = postings.get(term)
      if (offsets === undefined) postings.set(term, [offset])
      else if (offsets[offsets.length - 1] !== offset) offsets.push(offset)
    }
    let from = Infinity
    let until = 0
    for (offset = 0; offset < segmentRows; offset++) {
      const seq = segment * segmentRows + 1 + offset
      const recordedAt = this.recent.each(seq, add) ? this.recent.times[offset] : this.read(seq, add)
      if (recordedAt === undefined) continue
      from = Math.min(from, recordedAt)
      until = Math.max(until, recordedAt)
    }
    this.db.prepare("INSERT INTO segment (id, min_recorded_at, max_recorded_at) VALUES (?, ?, ?)")
      .run(segment, from === Infinity ? 0 : from, until)
    const insert = this.db.prepare("INSERT INTO bucket (segment, bucket, postings) VALUES (?, ?, ?)")
    encodeBuckets(postings).forEach((bucket, index) => {
      if (bucket.length > 0) insert.run(segment, index, bucket)
    })
  }

  /**
   * Adds the terms of a row that another connection wrote, or that was stored before this one opened; answers its time,
   * which an erased row has not.
   */
  private read(seq: number, add: (term: number) => void): number | undefined {
    const row = this.body.get(seq)
    const body = blobOf(row, "body")
    add(logTerm(integerOf(row, "log") ?? 0))
    add(idTerm(uuidText(blobOf(row, "event_id") ?? new Uint8Array(16))))
    if (body === undefined) return undefined
    // A row that is no event is for verification to report: it must not keep others from being stored.
    const event = decodeBody(textOf(body))
    if (event._tag === "Success") eachTerm(searchKeys(event.success), add)
    return integerOf(row, "recorded_at")
  }
}
