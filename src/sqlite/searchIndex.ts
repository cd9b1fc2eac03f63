/** The search index of the connection that writes: kept up segment by segment, in the commits that fill them. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { eventFields, keysIn } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import { blobOf, integerOf } from "../internal/row.ts"
import type { SealedRow } from "../internal/sealedRow.ts"
import { groupBuckets, groupSegments, mergeBuckets } from "../trail/groups.ts"
import { RecentRows } from "../trail/recentRows.ts"
import {
  buckets,
  eachTerm,
  encodeBuckets,
  idTerm,
  indexVersion,
  logTerm,
  postingsOf,
  segmentRows,
  versionTerm,
  versionTerms
} from "../trail/terms.ts"
import { type EntryRow, Postings } from "./postings.ts"

/** The terms that stay of an erased row: its log and its event id. */
const lastingTerms = (row: EntryRow | undefined): ReadonlyArray<number> =>
  row === undefined ? [] : [logTerm(row.log), idTerm(uuidText(row.eventId))]

/** Buckets that are merged with each segment: twice what keeps pace, so that a store of before catches up. */
const mergedAtOnce = (buckets / groupSegments) * 2

export class SearchIndex extends Postings {
  private readonly db: DatabaseSync
  private readonly recent = new RecentRows()
  private readonly body: StatementSync
  private insert: StatementSync | undefined

  constructor(db: DatabaseSync) {
    super(db)
    this.db = db
    this.body = db.prepare(
      "SELECT body, CASE WHEN recorded_at <= 9007199254740991 THEN recorded_at END AS recorded_at " +
        "FROM audit_event WHERE seq = ?"
    )
  }

  /** Keeps what the index needs of a row that was written here; and writes the segment that it fills. */
  add(seq: number, log: number, event: SealedRow): void {
    this.recent.keep(seq, event.recordedAtMillis, log, event.terms)
    if (seq % segmentRows === 0) this.write(seq / segmentRows - 1)
  }

  /** Forgets the rows that were written here; they are read again when their segment is written. */
  forget(): void {
    this.recent.clear()
  }

  /** Takes erased rows out of the index: what is left leads to them by log and event id only. */
  erase(seqs: ReadonlyArray<number>): void {
    this.recent.clear()
    const update = this.db.prepare("UPDATE audit_bucket SET postings = ? WHERE segment = ? AND bucket = ?")
    const segments = Map.groupBy(seqs, (seq) => Math.floor((seq - 1) / segmentRows))
    const written = this.count
    const gone = new Map<number, Set<number>>()
    for (const [segment, rows] of segments) {
      if (segment >= written) continue
      const group = Math.floor(segment / groupSegments)
      const erased = new Set(rows.map((seq) => (seq - 1) % segmentRows))
      const kept = new Set(rows.flatMap((seq) => lastingTerms(this.row(seq))))
      for (const term of versionTerms) kept.add(term)
      const left = new Map<number, ReadonlyArray<number>>()
      for (let bucket = 0; bucket < buckets; bucket++) {
        const postings = this.bucket(segment, bucket)
        for (const [term, offsets] of postings === undefined ? [] : postingsOf(postings)) {
          const rest = kept.has(term) ? offsets : offsets.filter((offset) => !erased.has(offset))
          if (rest.length > 0) left.set(term, rest)
          else gone.set(group, (gone.get(group) ?? new Set()).add(bucket))
        }
      }
      encodeBuckets(left).forEach((bucket, index) => update.run(bucket, segment, index))
    }
    for (const [group, of] of gone) {
      for (const bucket of of) if (this.bucket(-1 - group, bucket) !== undefined) this.mergeBucket(group, bucket)
    }
  }

  /** Writes the index of a segment that is full. */
  private write(segment: number): void {
    const postings = new Map<number, Array<number>>(versionTerms.map((term) => [term, [0]]))
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
    // What someone has put in its place is no reason not to store events.
    this.db.prepare(
      "INSERT INTO audit_segment (id, min_recorded_at, max_recorded_at) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE " +
        "SET min_recorded_at = excluded.min_recorded_at, max_recorded_at = excluded.max_recorded_at"
    ).run(segment, from === Infinity ? 0 : from, until)
    encodeBuckets(postings).forEach((bucket, index) => {
      if (bucket.length > 0) this.put(segment, index, bucket)
    })
    this.merge(segment + 1)
  }

  private put(segment: number, bucket: number, postings: Uint8Array): void {
    this.insert ??= this.db.prepare(
      "INSERT INTO audit_bucket (segment, bucket, postings) VALUES (?, ?, ?) " +
        "ON CONFLICT (segment, bucket) DO UPDATE SET postings = excluded.postings"
    )
    this.insert.run(segment, bucket, postings)
  }

  /** The group that was begun last, or passed over, and how many of its buckets there are; -1 before the first. */
  private lastGroup(): { readonly group: number; readonly count: number } {
    const row = this.db.prepare(
      "SELECT segment, count(*) AS count FROM audit_bucket WHERE segment = (SELECT min(segment) FROM audit_bucket)"
    ).get()
    const segment = integerOf(row, "segment") ?? 0
    return segment < 0
      ? { group: -1 - segment, count: integerOf(row, "count") ?? 0 }
      : { group: -1, count: groupBuckets }
  }

  /** Merges a few buckets of the oldest group that is not whole yet, if its segments are written. */
  private merge(segments: number): void {
    const { count, group: last } = this.lastGroup()
    const isWhole = count >= groupBuckets || this.bucket(-1 - last, groupBuckets) !== undefined
    const group = isWhole ? last + 1 : last
    if ((group + 1) * groupSegments > segments) return
    const begun = isWhole ? 0 : count / (groupBuckets / buckets)
    if (begun === 0 && !this.isPresent(group)) {
      // Passed over: says so beyond the buckets of a group.
      this.put(-1 - group, groupBuckets, new Uint8Array(0))
      return
    }
    const until = Math.min(begun + mergedAtOnce, buckets)
    for (let bucket = begun; bucket < until; bucket++) this.mergeBucket(group, bucket)
  }

  /** Whether all segments of a group are of the present version: those of before may lack terms of their rows. */
  private isPresent(group: number): boolean {
    for (let n = 0; n < groupSegments; n++) {
      if (this.offsets(group * groupSegments + n, versionTerm(indexVersion)).length === 0) return false
    }
    return true
  }

  private mergeBucket(group: number, bucket: number): void {
    const ofSegments = Array.from({ length: groupSegments }, (_, n) => this.bucket(group * groupSegments + n, bucket))
    for (const [number, merged] of mergeBuckets(bucket, ofSegments)) this.put(-1 - group, number, merged)
  }

  /**
   * Adds the terms of a row that another connection wrote, or that was stored before this one opened; returns its time,
   * which an erased row has not.
   */
  private read(seq: number, add: (term: number) => void): number | undefined {
    for (const term of lastingTerms(this.row(seq))) add(term)
    const row = this.body.get(seq)
    const body = blobOf(row, "body")
    if (body === undefined) return undefined
    // As far as it can be read: a newer release may have written it, and verification reports what is no event.
    eachTerm(keysIn(eventFields(body)), add)
    return integerOf(row, "recorded_at")
  }
}
