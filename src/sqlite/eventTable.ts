/**
 * Writes events on an open connection, inside a transaction that the caller opened.
 *
 * Keeps what the next row needs in memory (the next row number, the size of each log) and reads it again when another
 * connection has written, or when a transaction that it wrote in was rolled back.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createHash, createHmac } from "node:crypto"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { type AuditReason, InvalidDraft } from "../AuditError.ts"
import { EventId, type Sealed, searchKeys, WireFromText } from "../DatasetEvent.ts"
import type { Durability, Evidence, First } from "../EventSink.ts"
import { type Entropy, uuidBytes, uuidText } from "../internal/entropy.ts"
import { makeLogCreated } from "../internal/logCreated.ts"
import { sameFacts } from "../internal/sameFacts.ts"
import { segmentRows } from "./Migrations.ts"
import { bucketOf, eachTerm, encodeBuckets, idTerm, keptTerms, logTerm, offsetsOf } from "./terms.ts"

/** The log of a tenant and env. */
interface Log {
  readonly id: number
  size: number
}

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

/** An event that was refused on its own; nothing was written for it. */
export class Refused {
  readonly reason: AuditReason
  constructor(reason: AuditReason) {
    this.reason = reason
  }
}

const number = (row: Record<string, unknown> | undefined, column: string): number | undefined => {
  const value = row?.[column]
  return typeof value === "number" ? value : undefined
}
const bytes = (row: Record<string, unknown> | undefined, column: string): Uint8Array | undefined => {
  const value = row?.[column]
  return value instanceof Uint8Array ? value : undefined
}
const columns = "seq, log, position, recorded_at, event_id, body"
const decodeBody = Schema.decodeUnknownResult(WireFromText)

export class EventTable {
  private readonly db: DatabaseSync
  private readonly deployment: string
  private readonly entropy: Entropy
  private readonly insertEvent: StatementSync
  private readonly dataVersion: StatementSync
  private readonly lastSeq: StatementSync
  private readonly bySeq: StatementSync
  private readonly insertSegment: StatementSync
  private readonly insertBucket: StatementSync
  private readonly bucket: StatementSync
  private readonly logs = new Map<string, Log>()
  private readonly recent = new RecentRows()
  private version = -1
  private nextSeq = -1
  /** Writes in a joined transaction whose end has not been heard of, and that transaction. */
  private readonly unsettled = new Set<object>()
  private transaction: object | undefined

  constructor(db: DatabaseSync, deployment: string, entropy: Entropy) {
    this.db = db
    this.deployment = deployment
    this.entropy = entropy
    this.insertEvent = db.prepare(
      "INSERT INTO event (seq, log, position, recorded_at, event_id, commitment, salt, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    this.dataVersion = db.prepare("PRAGMA data_version")
    this.lastSeq = db.prepare("SELECT max(seq) AS seq FROM event")
    this.bySeq = db.prepare(`SELECT ${columns} FROM event WHERE seq = ?`)
    this.insertSegment = db.prepare("INSERT INTO segment (id, min_recorded_at, max_recorded_at) VALUES (?, ?, ?)")
    this.insertBucket = db.prepare("INSERT INTO bucket (segment, bucket, postings) VALUES (?, ?, ?)")
    this.bucket = db.prepare("SELECT postings FROM bucket WHERE segment = ? AND bucket = ?")
  }

  /** Forgets what is kept in memory, after a rollback. */
  forget(): void {
    this.nextSeq = -1
    this.recent.clear()
    this.unsettled.clear()
    this.logs.clear()
  }

  /**
   * Writes one event in a transaction of the caller, all of it or nothing. The transaction may be rolled back without a
   * word: `committed` is called with `write` if it is not.
   */
  join(event: Sealed, millis: number, transaction: object, write: object): Evidence | Refused {
    // What another transaction left unsettled was rolled back, and its rows may be another process's by now.
    if (this.unsettled.size !== 0 && this.transaction !== transaction) this.forget()
    this.refresh()
    this.transaction = transaction
    this.unsettled.add(write)
    this.db.exec("SAVEPOINT effect_audit")
    try {
      const outcome = this.append(event, millis, "with-transaction")
      this.db.exec("RELEASE effect_audit")
      return outcome
    } catch (cause) {
      // SQLite may have rolled back everything by itself, on a full disk for one.
      if (this.db.isTransaction) this.db.exec("ROLLBACK TO effect_audit; RELEASE effect_audit")
      this.forget()
      this.transaction = transaction
      this.unsettled.add(write)
      throw cause
    }
  }

  /** Called when the transaction of a joined write has committed. */
  committed(write: object): void {
    this.unsettled.delete(write)
  }

  /** Called first in every transaction: catches up with what other connections wrote. */
  begin(): void {
    // A joined transaction that ended without a commit took its rows and positions with it.
    if (this.unsettled.size !== 0) this.forget()
    this.refresh()
  }

  private refresh(): void {
    const version = number(this.dataVersion.get(), "data_version") ?? 0
    const last = this.nextSeq === -1 || version !== this.version || this.unsettled.size !== 0
      ? number(this.lastSeq.get(), "seq") ?? 0
      : this.nextSeq - 1
    if (this.nextSeq !== -1 && last + 1 < this.nextSeq) this.forget()
    if (this.nextSeq === -1) this.nextSeq = last + 1
    else if (last >= this.nextSeq) this.catchUp(last)
    this.version = version
  }

  /** Rows are only appended, so what another connection wrote is what comes after the last known row. */
  private catchUp(last: number): void {
    const sizes = new Map([...this.logs.values()].map((log) => [log.id, log]))
    const rows = this.db.prepare("SELECT log, max(position) AS position FROM event WHERE seq >= ? GROUP BY log").all(
      this.nextSeq
    )
    for (const row of rows) {
      const log = sizes.get(number(row, "log") ?? -1)
      if (log !== undefined) log.size = (number(row, "position") ?? 0) + 1
    }
    this.nextSeq = last + 1
  }

  /** Writes one event. Throws what SQLite throws; then the transaction is to be rolled back. */
  append(event: Sealed, millis: number, durability: Durability): Evidence | Refused {
    const key = event.idempotency === undefined ? undefined : this.keyHash(event, event.idempotency.key)
    const log = this.logOf(event, millis)
    if (key !== undefined && event.idempotency !== undefined) {
      const known = this.db.prepare("SELECT seq, digest FROM idempotency_key WHERE log = ? AND key_hash = ?").get(
        log.id,
        key
      )
      if (known !== undefined) return this.firstByKey(known, event.idempotency.digest, durability)
    }
    if (event.delivery.mayBeStored) {
      const row = this.findById(event.eventId)
      if (row !== undefined) return this.firstById(row, event, log, durability)
    }
    event.delivery.mayBeStored = true
    const seq = this.nextSeq
    this.insert(log, event)
    if (key !== undefined && event.idempotency !== undefined) {
      this.db.prepare("INSERT INTO idempotency_key (log, key_hash, seq, digest) VALUES (?, ?, ?, ?)")
        .run(log.id, key, seq, event.idempotency.digest)
    }
    return { eventId: event.eventId, position: log.size - 1, duplicate: false, durability }
  }

  private insert(log: Log, event: Sealed): void {
    this.insertEvent.run(
      this.nextSeq,
      log.id,
      log.size,
      event.recordedAtMillis,
      uuidBytes(event.eventId),
      event.commitment,
      event.salt,
      event.body
    )
    log.size++
    this.recent.keep(this.nextSeq, event.recordedAtMillis, log.id, event)
    if (this.nextSeq % segmentRows === 0) this.index(this.nextSeq / segmentRows - 1)
    this.nextSeq++
  }

  /** The row of an event id: after the last segment, else by the search index, newest first. */
  private findById(eventId: string): Record<string, unknown> | undefined {
    const wanted = uuidBytes(eventId)
    const indexed = Math.floor((this.nextSeq - 1) / segmentRows)
    const tail = this.db.prepare(`SELECT ${columns} FROM event WHERE seq > ? AND event_id = ?`)
      .get(indexed * segmentRows, wanted)
    if (tail !== undefined) return tail
    const id = idTerm(eventId)
    for (let segment = indexed - 1; segment >= 0; segment--) {
      const postings = bytes(this.bucket.get(segment, bucketOf(id)), "postings")
      for (const offset of postings === undefined ? [] : offsetsOf(postings, id)) {
        const row = this.bySeq.get(segment * segmentRows + 1 + offset)
        const found = bytes(row, "event_id")
        if (found !== undefined && Buffer.compare(found, wanted) === 0) return row
      }
    }
    return undefined
  }

  private logOf(event: Sealed, millis: number): Log {
    const key = `${event.tenantId}/${event.env}`
    const known = this.logs.get(key)
    if (known !== undefined) return known
    const id = number(
      this.db.prepare("SELECT id FROM log WHERE tenant_id = ? AND env = ?").get(event.tenantId, event.env),
      "id"
    )
    const log = id === undefined ? this.createLog(event, millis) : { id, size: this.sizeOf(id) }
    this.logs.set(key, log)
    return log
  }

  private createLog(event: Sealed, millis: number): Log {
    const created = makeLogCreated(event, this.deployment, this.entropy, millis)
    const { lastInsertRowid } = this.db.prepare("INSERT INTO log (tenant_id, env, origin) VALUES (?, ?, ?)")
      .run(event.tenantId, event.env, created.origin)
    const log = { id: Number(lastInsertRowid), size: 0 }
    this.insert(log, created)
    return log
  }

  /** The size of a log is one more than its last position: in the rows after the last segment, else in a segment. */
  private sizeOf(log: number): number {
    const indexed = Math.floor((this.nextSeq - 1) / segmentRows)
    const tail = number(
      this.db.prepare("SELECT max(position) AS position FROM event WHERE seq > ? AND log = ?").get(
        indexed * segmentRows,
        log
      ),
      "position"
    )
    if (tail !== undefined) return tail + 1
    const logs = logTerm(log)
    for (let segment = indexed - 1; segment >= 0; segment--) {
      const offsets = offsetsOf(bytes(this.bucket.get(segment, bucketOf(logs)), "postings") ?? new Uint8Array(0), logs)
      for (let i = offsets.length - 1; i >= 0; i--) {
        const row = this.bySeq.get(segment * segmentRows + 1 + offsets[i]!)
        if (number(row, "log") === log) return (number(row, "position") ?? 0) + 1
      }
    }
    return 0
  }

  /** Key hashes are bound to the log's random origin: the same key in two logs, or two stores, has nothing in common. */
  private keyHash(event: Sealed, key: string): Uint8Array {
    this.logOf(event, event.recordedAtMillis)
    const origin = this.db.prepare("SELECT origin FROM log WHERE tenant_id = ? AND env = ?").get(
      event.tenantId,
      event.env
    )
    return createHmac("sha256", String(origin?.["origin"])).update(key, "utf8").digest().subarray(0, 16)
  }

  private firstByKey(known: Record<string, unknown>, digest: Uint8Array, durability: Durability): Evidence | Refused {
    const row = this.bySeq.get(number(known, "seq") ?? 0)
    const used = bytes(known, "digest")
    if (used !== undefined && Buffer.compare(used, digest) !== 0) {
      return new Refused(new InvalidDraft({ path: "/idempotencyKey", detail: "this key was used for something else" }))
    }
    return this.duplicate(row, durability)
  }

  private firstById(row: Record<string, unknown>, event: Sealed, log: Log, durability: Durability): Evidence | Refused {
    const body = bytes(row, "body")
    if (number(row, "log") !== log.id || (body !== undefined && !sameFacts(body, event.body))) {
      return new Refused(new InvalidDraft({ path: "/eventId", detail: "this event id was used for something else" }))
    }
    return this.duplicate(row, durability)
  }

  private duplicate(row: Record<string, unknown> | undefined, durability: Durability): Evidence {
    const body = bytes(row, "body")
    return {
      eventId: EventId.make(uuidText(bytes(row, "event_id") ?? new Uint8Array(16))),
      position: number(row, "position") ?? 0,
      duplicate: true,
      durability,
      first: body === undefined ? { erased: true } : first(body)
    }
  }

  /** Writes the index of a segment that is full. */
  private index(segment: number): void {
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
      const recordedAt = this.recent.each(seq, add) ? this.recent.times[offset] : this.readRow(seq, add)
      if (recordedAt === undefined) continue
      from = Math.min(from, recordedAt)
      until = Math.max(until, recordedAt)
    }
    this.insertSegment.run(segment, from === Infinity ? 0 : from, until)
    encodeBuckets(postings).forEach((bucket, index) => {
      if (bucket.length > 0) this.insertBucket.run(segment, index, bucket)
    })
  }

  /**
   * Adds the terms of a row that another connection wrote, or that was stored before this one opened; answers its time,
   * which an erased row has not.
   */
  private readRow(seq: number, add: (term: number) => void): number | undefined {
    const row = this.bySeq.get(seq)
    const body = bytes(row, "body")
    add(logTerm(number(row, "log") ?? 0))
    add(idTerm(uuidText(bytes(row, "event_id") ?? new Uint8Array(16))))
    if (body === undefined) return undefined
    // A row that is no event is for verification to report: it must not keep others from being stored.
    const event = decodeBody(text(body))
    if (event._tag === "Success") eachTerm(searchKeys(event.success), add)
    return number(row, "recorded_at")
  }
}

const text = (body: Uint8Array): string => Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8")

const first = (body: Uint8Array): First => {
  const event = Result.getOrThrow(decodeBody(text(body)))
  return { erased: false, piiFlags: event.pii_flags, trainOk: event.train_ok }
}

const tables = new WeakMap<DatabaseSync, EventTable>()

/** The one table of a connection: two would not hear of each other's rows. */
export const eventTableOf = (db: DatabaseSync, deployment: string, entropy: Entropy): EventTable => {
  const known = tables.get(db)
  if (known !== undefined) return known
  const table = new EventTable(db, deployment, entropy)
  tables.set(db, table)
  return table
}

/** SHA-256, for callers that verify what a row holds. */
export const commitmentOf = (salt: Uint8Array, body: Uint8Array): Uint8Array =>
  createHash("sha256").update(salt).update(body).digest()
