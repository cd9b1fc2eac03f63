/** The search index of the connection that writes: kept up segment by segment, in the commits that fill them. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { eventFields, keysIn } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import type { SealedRow } from "../internal/sealedRow.ts"
import { encodeGroup, groupSegments, isPresent } from "../trail/groups.ts"
import { RecentRows } from "../trail/recentRows.ts"
import {
  bucketOf,
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
import { blobOf, integerOf } from "./row.ts"

/** The terms that stay of an erased row: its log and its event id. */
const lastingTerms = (row: EntryRow | undefined): ReadonlyArray<number> =>
  row === undefined ? [] : [logTerm(row.log), idTerm(uuidText(row.eventId))]

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
    const groups = new Set<number>()
    for (const [segment, rows] of segments) {
      if (segment >= written) continue
      groups.add(Math.floor(segment / groupSegments))
      const erased = new Set(rows.map((seq) => (seq - 1) % segmentRows))
      const kept = new Set(rows.flatMap((seq) => lastingTerms(this.row(seq))))
      for (const term of versionTerms) kept.add(term)
      const left = new Map<number, ReadonlyArray<number>>()
      for (let bucket = 0; bucket < buckets; bucket++) {
        const postings = this.bucket(segment, bucket)
        for (const [term, offsets] of postings === undefined ? [] : postingsOf(postings)) {
          const rest = kept.has(term) ? offsets : offsets.filter((offset) => !erased.has(offset))
          if (rest.length > 0) left.set(term, rest)
        }
      }
      encodeBuckets(left).forEach((bucket, index) => update.run(bucket, segment, index))
    }
    const grouped = this.groups
    for (const group of groups) if (group < grouped) this.writeGroup(group)
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
    // One at a time, so that a store of before gets its groups by and by.
    const next = this.groups
    if ((next + 1) * groupSegments <= segment + 1) this.writeGroup(next)
  }

  private put(segment: number, bucket: number, postings: Uint8Array): void {
    this.insert ??= this.db.prepare(
      "INSERT INTO audit_bucket (segment, bucket, postings) VALUES (?, ?, ?) " +
        "ON CONFLICT (segment, bucket) DO UPDATE SET postings = excluded.postings"
    )
    this.insert.run(segment, bucket, postings)
  }

  /** Groups that were written, or passed over because a release of before has written one of their segments. */
  private get groups(): number {
    const first = integerOf(this.db.prepare("SELECT min(segment) AS first FROM audit_bucket").get(), "first")
    return Math.max(0, -(first ?? 0))
  }

  private writeGroup(group: number): void {
    const encoded = Array.from(
      { length: buckets },
      (_, bucket) =>
        encodeGroup(Array.from({ length: groupSegments }, (_, n) => this.bucket(group * groupSegments + n, bucket)))
    )
    // Says that the group was looked at, beyond its buckets.
    this.put(-1 - group, buckets, new Uint8Array(0))
    if (isPresent(encoded[bucketOf(versionTerm(indexVersion))]!)) {
      encoded.forEach((postings, bucket) => this.put(-1 - group, bucket, postings))
    }
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
