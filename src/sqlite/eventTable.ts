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
import { createHmac } from "node:crypto"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import {
  type AuditReason,
  CheckpointInconsistent,
  IntegrityError,
  type IntegrityReason,
  InvalidDraft,
  SinkRejected
} from "../AuditError.ts"
import { EventId, type Sealed, WireFromText } from "../DatasetEvent.ts"
import type { Durability, Evidence, First } from "../EventSink.ts"
import { type Entropy, uuidBytes, uuidText } from "../internal/entropy.ts"
import { makeLogCreated } from "../internal/logCreated.ts"
import { sameFacts } from "../internal/sameFacts.ts"
import { blobOf, integerOf, type Row, stringOf, textOf } from "./row.ts"
import { SearchIndex } from "./searchIndex.ts"
import { GrowingTree, type Head, Tree } from "./tree.ts"

/** The log of a tenant and env. */
interface Log {
  readonly id: number
  readonly origin: string
  size: number
  /** Set when the log takes no more events. */
  readonly stopped: AuditReason | undefined
}

/** What a signer knows of a log besides the stored checkpoints: the last head that it signed. */
export type SignedHead = (origin: string) => Head | undefined

/** An event that was refused on its own; nothing was written for it. */
export class Refused {
  readonly reason: AuditReason
  constructor(reason: AuditReason) {
    this.reason = reason
  }
}

const decodeBody = Schema.decodeUnknownResult(WireFromText)

export class EventTable {
  /** Names the deployment in the origin of new logs. */
  deployment = "effect-audit.local"
  readonly index: SearchIndex
  readonly tree: Tree
  readonly growing: GrowingTree
  private readonly db: DatabaseSync
  private readonly entropy: Entropy
  private readonly insertEvent: StatementSync
  private readonly dataVersion: StatementSync
  private readonly lastSeq: StatementSync
  private readonly counts: StatementSync
  private readonly bySeq: StatementSync
  private readonly logs = new Map<string, Log>()
  private readonly signedHeads = new Set<SignedHead>()
  private version = -1
  private nextSeq = -1
  /** Erasing transactions and stopped logs, of any connection, when they were last looked at. */
  private seen = ""
  /** Writes in a joined transaction whose end has not been heard of, and that transaction. */
  private readonly unsettled = new Set<object>()
  private transaction: object | undefined

  constructor(db: DatabaseSync, entropy: Entropy) {
    this.db = db
    this.entropy = entropy
    this.index = new SearchIndex(db)
    this.tree = new Tree(db, this.index)
    this.growing = new GrowingTree(db, this.tree)
    this.insertEvent = db.prepare(
      "INSERT INTO event (seq, log, position, recorded_at, event_id, commitment, salt, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    this.dataVersion = db.prepare("PRAGMA data_version")
    this.lastSeq = db.prepare("SELECT max(seq) AS seq FROM event")
    this.counts = db.prepare("SELECT (SELECT max(id) FROM erasure) AS erasures, (SELECT count(*) FROM stop) AS stops")
    this.bySeq = db.prepare("SELECT log, position, event_id, body FROM event WHERE seq = ?")
  }

  /** Has logs checked against what a signer knows of them, before they take an event; until the answer is called. */
  guard(signed: SignedHead): () => void {
    this.signedHeads.add(signed)
    this.logs.clear()
    return () => void this.signedHeads.delete(signed)
  }

  /** Has every log looked at again before it takes an event. */
  recheck(): void {
    this.logs.clear()
  }

  /** Forgets what is kept in memory, after a rollback. */
  forget(): void {
    this.nextSeq = -1
    this.index.forget()
    this.growing.forget()
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
    const version = integerOf(this.dataVersion.get(), "data_version") ?? 0
    const last = this.nextSeq === -1 || version !== this.version || this.unsettled.size !== 0
      ? integerOf(this.lastSeq.get(), "seq") ?? 0
      : this.nextSeq - 1
    if (this.nextSeq !== -1 && last + 1 < this.nextSeq) this.forget()
    if (this.nextSeq === -1) this.nextSeq = last + 1
    else if (last >= this.nextSeq) this.catchUp(last)
    if (version !== this.version) this.look()
    this.version = version
  }

  /** Notices what other connections did other than to append: erased rows are not in memory any more, stopped logs stop. */
  private look(): void {
    const row = this.counts.get()
    const seen = `${row?.["erasures"]} ${row?.["stops"]}`
    if (seen !== this.seen) {
      this.index.forget()
      this.logs.clear()
    }
    this.seen = seen
  }

  /** Rows are only appended, so what another connection wrote is what comes after the last known row. */
  private catchUp(last: number): void {
    const sizes = new Map([...this.logs.values()].map((log) => [log.id, log]))
    const rows = this.db.prepare("SELECT log, max(position) AS position FROM event WHERE seq >= ? GROUP BY log").all(
      this.nextSeq
    )
    for (const row of rows) {
      const log = sizes.get(integerOf(row, "log") ?? -1)
      if (log === undefined) continue
      log.size = (integerOf(row, "position") ?? 0) + 1
      this.growing.forget(log.id)
    }
    this.nextSeq = last + 1
  }

  /** Writes one event. Throws what SQLite throws; then the transaction is to be rolled back. */
  append(event: Sealed, millis: number, durability: Durability): Evidence | Refused {
    const log = this.logOf(event, millis)
    if (log.stopped !== undefined) return new Refused(log.stopped)
    const key = event.idempotency === undefined ? undefined : keyHash(log, event.idempotency.key)
    if (key !== undefined && event.idempotency !== undefined) {
      const known = this.db.prepare("SELECT seq, digest FROM idempotency_key WHERE log = ? AND key_hash = ?").get(
        log.id,
        key
      )
      if (known !== undefined) return this.firstByKey(known, event.idempotency.digest, durability)
    }
    if (event.delivery.mayBeStored) {
      const found = this.index.findById(event.eventId)
      const row = found === undefined ? undefined : this.bySeq.get(integerOf(found, "seq") ?? 0)
      if (row !== undefined) return this.firstById(row, event, log, durability)
    }
    event.delivery.mayBeStored = true
    const seq = this.nextSeq
    const refused = this.insert(log, event)
    if (refused !== undefined) return new Refused(refused)
    if (key !== undefined && event.idempotency !== undefined) {
      this.db.prepare("INSERT INTO idempotency_key (log, key_hash, seq, digest) VALUES (?, ?, ?, ?)")
        .run(log.id, key, seq, event.idempotency.digest)
    }
    return { eventId: event.eventId, position: log.size - 1, duplicate: false, durability }
  }

  /** Entry, event and the subtrees that they complete; nothing, if the log's earlier entries are not there. */
  private insert(log: Log, event: Sealed): AuditReason | undefined {
    try {
      this.growing.add(log.id, log.size, event.commitment)
    } catch (cause) {
      if (cause instanceof IntegrityError) return stopped(log.origin, cause.reason)
      throw cause
    }
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
    this.index.add(this.nextSeq, log.id, event)
    this.nextSeq++
    return undefined
  }

  private logOf(event: Sealed, millis: number): Log {
    const key = `${event.tenantId}/${event.env}`
    const known = this.logs.get(key)
    if (known !== undefined) return known
    const row = this.db.prepare("SELECT id, origin FROM log WHERE tenant_id = ? AND env = ?").get(
      event.tenantId,
      event.env
    )
    const id = integerOf(row, "id")
    const log = id === undefined ? this.createLog(event, millis) : this.readLog(id, stringOf(row, "origin") ?? "")
    this.logs.set(key, log)
    return log
  }

  private createLog(event: Sealed, millis: number): Log {
    const created = makeLogCreated(event, this.deployment, this.entropy, millis)
    const { origin } = created
    const { lastInsertRowid } = this.db.prepare("INSERT INTO log (tenant_id, env, origin) VALUES (?, ?, ?)")
      .run(event.tenantId, event.env, origin)
    const log = { id: Number(lastInsertRowid), origin, size: 0, stopped: undefined }
    this.insert(log, created)
    return log
  }

  private readLog(id: number, origin: string): Log {
    const size = this.index.sizeOf(id)
    const breach = this.breachOf(id, origin, size)
    return { id, origin, size, stopped: breach === undefined ? undefined : stopped(origin, breach) }
  }

  /** Why a log takes no more events: it was stopped, or does not extend what was signed of it. */
  private breachOf(id: number, origin: string, size: number): IntegrityReason | undefined {
    const detail = stringOf(this.db.prepare("SELECT detail FROM stop WHERE log = ?").get(id), "detail")
    if (detail !== undefined) return new CheckpointInconsistent({ detail })
    const heads = [this.tree.newestHead(id), ...[...this.signedHeads].map((signed) => signed(origin))]
    const read = this.tree.read(id, size)
    for (const head of heads) {
      const breach = head === undefined ? undefined : this.tree.breach(size, head, read)
      if (breach !== undefined) return breach
    }
    return undefined
  }

  private firstByKey(known: Row, digest: Uint8Array, durability: Durability): Evidence | Refused {
    const row = this.bySeq.get(integerOf(known, "seq") ?? 0)
    const used = blobOf(known, "digest")
    if (used !== undefined && Buffer.compare(used, digest) !== 0) {
      return new Refused(new InvalidDraft({ path: "/idempotencyKey", detail: "this key was used for something else" }))
    }
    return this.duplicate(row, durability)
  }

  private firstById(row: Row, event: Sealed, log: Log, durability: Durability): Evidence | Refused {
    const body = blobOf(row, "body")
    if (integerOf(row, "log") !== log.id || (body !== undefined && !sameFacts(body, event.body))) {
      return new Refused(new InvalidDraft({ path: "/eventId", detail: "this event id was used for something else" }))
    }
    return this.duplicate(row, durability)
  }

  private duplicate(row: Row | undefined, durability: Durability): Evidence {
    const body = blobOf(row, "body")
    return {
      eventId: EventId.make(uuidText(blobOf(row, "event_id") ?? new Uint8Array(16))),
      position: integerOf(row, "position") ?? 0,
      duplicate: true,
      durability,
      first: body === undefined ? { erased: true } : first(body)
    }
  }
}

const first = (body: Uint8Array): First => {
  const event = Result.getOrThrow(decodeBody(textOf(body)))
  return { erased: false, piiFlags: event.pii_flags, trainOk: event.train_ok }
}

/** Key hashes are bound to the log's random origin: the same key in two logs, or two stores, has nothing in common. */
const keyHash = (log: Log, key: string): Uint8Array =>
  createHmac("sha256", log.origin).update(key, "utf8").digest().subarray(0, 16)

const stopped = (origin: string, reason: IntegrityReason): AuditReason =>
  new SinkRejected({
    detail: `the log ${origin} takes no more events: ${reason.message}`,
    cause: new IntegrityError({ method: "EventSink.append", reason })
  })

const tables = new WeakMap<DatabaseSync, EventTable>()

/** The one table of a connection: two would not hear of each other's rows. */
export const eventTableOf = (db: DatabaseSync, entropy: Entropy): EventTable => {
  const known = tables.get(db)
  if (known !== undefined) return known
  const table = new EventTable(db, entropy)
  tables.set(db, table)
  return table
}
