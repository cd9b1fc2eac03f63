/**
 * Writes events on an open connection, inside a transaction that the caller opened.
 *
 * Keeps what the next row needs in memory (the next row number, the size of each log) and reads it again when another
 * connection has written, or when a transaction that it wrote in was rolled back.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { type AuditReason, CheckpointInconsistent, SinkRejected } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import type { Durability, Evidence } from "../EventSink.ts"
import type { Appended } from "../internal/committed.ts"
import { keyHashes, Refused, type Stored, usedId, usedKey } from "../internal/duplicate.ts"
import { type Entropy, uuidText } from "../internal/entropy.ts"
import { type Log, LogCache } from "../internal/logCache.ts"
import { Policies } from "../internal/policies.ts"
import { blobOf, integerOf, type Row, stringOf } from "../internal/row.ts"
import { rowOf, type SealedRow } from "../internal/sealedRow.ts"
import { counts, type Head, headOf, stoppedBy } from "../ledger/extends.ts"
import { breachOf, Growth } from "../ledger/growth.ts"
import { makeLogCreated } from "../ledger/logCreated.ts"
import type { LogRef } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"
import { readLogs } from "./logRows.ts"
import { SearchIndex } from "./searchIndex.ts"
import { SqliteTreeRows } from "./treeRows.ts"

/** The policy that the store is written under. */
export const policyOf = "SELECT value FROM audit_store WHERE name = 'policy'"

/** How one event is written. */
export interface Writing {
  readonly millis: number
  readonly durability: Durability
  /** Names the deployment in the origin of a new log. */
  readonly deployment: string
  /** The last head that a signer of this process signed of an origin. */
  readonly signedHead: (origin: string) => Head | undefined
}

export class EventTable {
  readonly index: SearchIndex
  readonly growth: Growth
  readonly treeRows: SqliteTreeRows
  private readonly db: DatabaseSync
  private readonly entropy: Entropy
  private readonly insertEvent: StatementSync
  private readonly dataVersion: StatementSync
  private readonly lastSeq: StatementSync
  private readonly counts: StatementSync
  private readonly bySeq: StatementSync
  private readonly newestNote: StatementSync
  private readonly logs = new LogCache()
  private readonly policies: Policies
  private version = -1
  private nextSeq = -1
  /** Erasing transactions, stopped and resumed logs, of any connection, when they were last looked at. */
  private seen = ""
  /** Writes in a joined transaction whose end has not been heard of, and that transaction. */
  private readonly unsettled = new Set<object>()
  private transaction: object | undefined

  constructor(db: DatabaseSync, entropy: Entropy) {
    this.db = db
    this.entropy = entropy
    const policy = db.prepare(policyOf)
    const put = db.prepare("INSERT INTO audit_store VALUES ('policy', ?)")
    this.policies = new Policies({ read: () => stringOf(policy.get(), "value"), insert: (text) => void put.run(text) })
    this.index = new SearchIndex(db)
    this.treeRows = new SqliteTreeRows(db, this.index)
    this.growth = new Growth(this.treeRows)
    this.insertEvent = db.prepare(
      "INSERT INTO audit_event (seq, log, position, recorded_at, event_id, commitment, salt, body) VALUES " +
        "(?, ?, ?, ?, ?, ?, ?, ?)"
    )
    this.dataVersion = db.prepare("PRAGMA data_version")
    this.lastSeq = db.prepare("SELECT coalesce(max(seq), 0) AS seq FROM audit_event")
    this.counts = db.prepare(
      "SELECT (SELECT max(id) FROM audit_erasure) AS erasures, (SELECT count(*) FROM audit_stop) AS stops, " +
        "(SELECT count(*) FROM audit_origin) AS resumed"
    )
    this.bySeq = db.prepare("SELECT log, position, event_id, body FROM audit_event WHERE seq = ?")
    this.newestNote = db.prepare("SELECT note, size FROM audit_checkpoint WHERE log = ? ORDER BY size DESC LIMIT 16")
  }

  /** A log was stopped here: it is looked at again before it takes an event. */
  stopped(): void {
    this.logs.end("stopped")
  }

  /** Forgets what is kept in memory, after a rollback. */
  forget(): void {
    this.nextSeq = -1
    this.index.forget()
    this.growth.forget()
    this.policies.forget()
    this.unsettled.clear()
    this.logs.end("rolled back")
    // What was counted may have been rolled back, and be another process's by now.
    this.seen = ""
    this.version = -1
  }

  /**
   * Writes one event in a transaction of the caller, all of it or nothing. The transaction may be rolled back without a
   * word: `committed` is called with `write` if it is not.
   */
  join(event: SealedRow, writing: Writing, transaction: object, write: object): Appended {
    // What another transaction left unsettled was rolled back, and its rows may be another process's by now.
    if (this.unsettled.size !== 0 && this.transaction !== transaction) this.forget()
    this.refresh()
    this.transaction = transaction
    this.unsettled.add(write)
    this.db.exec("SAVEPOINT effect_audit")
    try {
      const outcome = this.append(event, writing)
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

  private newestSeq(): number {
    const seq = integerOf(this.lastSeq.get(), "seq")
    if (seq === undefined) throw new Error("the last row number of the store is not a number")
    return seq
  }

  private refresh(): void {
    const version = integerOf(this.dataVersion.get(), "data_version")
    const last = this.nextSeq === -1 || version !== this.version || this.unsettled.size !== 0
      ? this.newestSeq()
      : this.nextSeq - 1
    if (this.nextSeq !== -1 && last + 1 < this.nextSeq) this.forget()
    if (this.nextSeq === -1) this.nextSeq = last + 1
    else if (last >= this.nextSeq) this.catchUp(last)
    if (version !== this.version) this.look()
    this.version = version ?? -1
  }

  /**
   * Notices what other connections did other than to append: erased rows are not in memory any more, stopped logs
   * stop, resumed ones
   * go on.
   */
  private look(): void {
    const row = this.counts.get()
    const seen = `${row?.["erasures"]} ${row?.["stops"]} ${row?.["resumed"]}`
    if (seen !== this.seen) {
      this.index.forget()
      this.logs.end("erased or stopped elsewhere")
    }
    this.seen = seen
  }

  /** Rows are only appended, so what another connection wrote is what comes after the last known row. */
  private catchUp(last: number): void {
    const rows = this.db.prepare("SELECT log, max(position) AS position FROM audit_event WHERE seq >= ? GROUP BY log")
      .all(
        this.nextSeq
      )
    for (const row of rows) {
      const log = this.logs.byId(integerOf(row, "log"))
      const position = integerOf(row, "position")
      if (log === undefined || position === undefined) continue
      log.size = position + 1
      this.growth.forget(log.id)
    }
    this.nextSeq = last + 1
  }

  /** Writes one event. Throws what SQLite throws; then the transaction is to be rolled back. */
  append(event: SealedRow, writing: Writing): Appended {
    const other = this.policies.refusal(event.policy)
    if (other !== undefined) return new Refused(other)
    const log = this.logOf(event, writing)
    if (log.stopped !== undefined) return new Refused(log.stopped)
    const keys = event.idempotency === undefined ? undefined : keyHashes(log.firstOrigin, event.idempotency)
    const known = this.known(event, log, keys, writing.durability)
    if (known !== undefined) return known
    const seq = this.nextSeq
    const refused = this.insert(log, event)
    if (refused !== undefined) return new Refused(refused)
    if (keys !== undefined && event.idempotency !== undefined) {
      this.db.prepare("INSERT INTO audit_idempotency_key (log, key_hash, seq, digest) VALUES (?, ?, ?, ?)")
        .run(log.id, keys[0], seq, event.idempotency.digest)
    }
    return log.size - 1
  }

  /** What is to be said of an event whose key or id was used before. */
  private known(
    event: SealedRow,
    log: Log,
    keys: ReadonlyArray<Uint8Array> | undefined,
    durability: Durability
  ): Evidence | Refused | undefined {
    if (keys !== undefined) {
      const find = this.db.prepare("SELECT seq, digest FROM audit_idempotency_key WHERE log = ? AND key_hash = ?")
      const used = keys.map((key) => find.get(log.id, key)).find((row) => row !== undefined)
      const stored = this.storedAt(integerOf(used, "seq"))
      if (stored !== undefined && stored.log !== log.id) {
        return new Refused(new SinkRejected({ detail: "the stored key leads to another log: someone changed it" }))
      }
      if (stored !== undefined) return usedKey(event, blobOf(used, "digest"), stored, durability)
    }
    if (!event.repeated) return undefined
    const stored = this.storedAt(this.index.findById(uuidText(event.id))?.seq)
    return stored === undefined ? undefined : usedId(event, stored.log === log.id, stored, durability)
  }

  private storedAt(seq: number | undefined): (Stored & { readonly log: number }) | undefined {
    const row: Row | undefined = seq === undefined ? undefined : this.bySeq.get(seq)
    const log = integerOf(row, "log")
    const position = integerOf(row, "position")
    const id = blobOf(row, "event_id")
    if (log === undefined || position === undefined || id === undefined) return undefined
    return { log, position, eventId: EventId.make(uuidText(id), { disableChecks: true }), body: blobOf(row, "body") }
  }

  /** Entry, event and the subtrees that they complete; nothing, if the log's earlier entries are not there. */
  private insert(log: Log, event: SealedRow): AuditReason | undefined {
    const refused = this.growth.add(log.id, log.size, event.commitment)
    if (refused !== undefined) return stoppedBy(log.origin, refused)
    const { changes } = this.insertEvent.run(
      this.nextSeq,
      log.id,
      log.size,
      event.recordedAtMillis,
      event.id,
      event.commitment,
      event.salt,
      event.body
    )
    // A trigger of someone's may take a row without a word; as an error of SQLite's, it takes the transaction along.
    if (changes !== 1) throw Object.assign(new Error("the row was not inserted: look for a trigger"), { errcode: 19 })
    log.size++
    this.index.add(this.nextSeq, log.id, event)
    this.nextSeq++
    return undefined
  }

  /** The origins of logs that are to be written to, and were not looked at yet. */
  unread(events: ReadonlyArray<LogName>): ReadonlyArray<string> {
    const names = new Map<string, LogName>()
    for (const name of events) {
      if (this.logs.get(name) === undefined) names.set(`${name.tenantId}/${name.env}`, name)
    }
    return [...names.values()].flatMap((name) => readLogs(this.db, name).map(({ origin }) => origin))
  }

  private logOf(event: SealedRow, writing: Writing): Log {
    const known = this.logs.get(event)
    if (known !== undefined) return known
    const [ref] = readLogs(this.db, event)
    const log = ref === undefined ? this.createLog(event, writing) : this.readLog(ref, writing)
    this.logs.set(event, log)
    return log
  }

  private createLog(event: SealedRow, { deployment, millis }: Writing): Log {
    const created = makeLogCreated(event, deployment, this.entropy, millis)
    const { lastInsertRowid } = this.db.prepare("INSERT INTO audit_log (tenant_id, env, origin) VALUES (?, ?, ?)")
      .run(event.tenantId, event.env, created.origin)
    const { origin } = created
    const log = { id: Number(lastInsertRowid), origin, firstOrigin: origin, size: 0, stopped: undefined }
    this.insert(log, rowOf(created.event))
    return log
  }

  private readLog(ref: LogRef, { signedHead }: Writing): Log {
    const { id, origin, origins } = ref
    const size = this.index.sizeOf(id)
    const reason = this.stopReason(ref, size, signedHead(origin))
    const stopped = reason === undefined ? undefined : stoppedBy(origin, reason)
    return { id, origin, firstOrigin: origins[0]?.origin ?? origin, size, stopped }
  }

  /** Why a log takes no more events: it was stopped, or does not extend what was signed of it. */
  private stopReason({ id, origins, stopped }: LogRef, size: number, signed: Head | undefined) {
    if (stopped !== undefined) return new CheckpointInconsistent({ detail: stopped })
    const note = this.newestNote.all(id).map((row) => ({
      note: stringOf(row, "note") ?? "",
      size: integerOf(row, "size") ?? 0
    })).find((note) => counts(origins, note))?.note
    const heads = [...(note === undefined ? [] : [headOf(note)]), ...(signed === undefined ? [] : [signed])]
    return breachOf(this.treeRows, id, size, heads)
  }
}
