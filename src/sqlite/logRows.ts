/**
 * What the port reads, as statements on one connection. Rows are as they are in the file: someone may have changed
 * them.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { EventId } from "../DatasetEvent.ts"
import { personNeedle } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import { blobOf, integerOf, type Row, stringOf } from "../internal/row.ts"
import type { EventRange, Hold, Log, LogRef, NotePage, Run, StoredEvent, StoredNote } from "../ledger/LogStore.ts"
import { hashBytes, runLength } from "../ledger/treeReader.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { Postings } from "./postings.ts"
import { SqliteTreeRows } from "./treeRows.ts"

/** A number that JavaScript cannot hold is read as -1, which is wrong wherever it is found. */
const inRange = (column: string): string =>
  `CASE WHEN ${column} > ${Number.MAX_SAFE_INTEGER} THEN -1 ELSE ${column} END AS ${column}`

const columns =
  `seq, log, ${inRange("position")}, ${inRange("recorded_at")}, erased_at IS NOT NULL AS erased, event_id, ` +
  "commitment, salt, body"

/** Rows that are looked at before others may run, and bytes of their bodies. */
const stepRows = 2048
const stepBytes = 4_194_304

/** A column that the table's definition says is there: if it is not, the file is not what it says it is. */
const there = <A>(value: A | undefined, column: string): A => {
  if (value === undefined) throw new Error(`the column ${column} does not hold what its table says`)
  return value
}

const eventOf = (row: Row): StoredEvent => ({
  row: there(integerOf(row, "seq"), "seq"),
  log: there(integerOf(row, "log"), "log"),
  position: there(integerOf(row, "position"), "position"),
  eventId: there(blobOf(row, "event_id"), "event_id"),
  commitment: there(blobOf(row, "commitment"), "commitment"),
  erased: row["erased"] === 1,
  recordedAtMillis: integerOf(row, "recorded_at"),
  salt: blobOf(row, "salt"),
  body: blobOf(row, "body")
})

/** Names as they are in the store. */
const nameOf = (row: Row): LogName => ({
  tenantId: TenantId.make(there(stringOf(row, "tenant_id"), "tenant_id"), { disableChecks: true }),
  env: Env.make(there(stringOf(row, "env"), "env"), { disableChecks: true })
})

/** All logs, or the one of a name. */
export const readLogs = (db: DatabaseSync, only?: LogName | undefined): ReadonlyArray<LogRef> => {
  const where = only === undefined ? "" : " WHERE tenant_id = ? AND env = ?"
  const resumed = Map.groupBy(
    db.prepare("SELECT log, since, origin FROM audit_origin ORDER BY log, since").all(),
    (row) => row["log"]
  )
  return db.prepare(
    "SELECT id, tenant_id, env, origin, (SELECT detail FROM audit_stop WHERE audit_stop.log = audit_log.id) " +
      `AS stopped FROM audit_log${where} ORDER BY tenant_id, env`
  ).all(...only === undefined ? [] : [only.tenantId, only.env]).map((row) => {
    const id = there(integerOf(row, "id"), "id")
    const first = there(stringOf(row, "origin"), "origin")
    const later = (resumed.get(id) ?? []).map((row) => ({
      origin: there(stringOf(row, "origin"), "origin"),
      since: there(integerOf(row, "since"), "since")
    }))
    return {
      id,
      name: nameOf(row),
      origin: later.at(-1)?.origin ?? first,
      origins: [{ origin: first, since: 0 }, ...later],
      stopped: stringOf(row, "stopped")
    }
  })
}

/** The logs that have grown in some rows, and that take events. */
export const grownIn = (db: DatabaseSync, after: number, until: number): ReadonlyArray<LogName> =>
  db.prepare(
    "SELECT tenant_id, env FROM audit_log WHERE id IN (SELECT DISTINCT log FROM audit_event " +
      "WHERE seq > ? AND seq <= ?) AND NOT EXISTS (SELECT 1 FROM audit_stop WHERE audit_stop.log = audit_log.id)"
  ).all(after, until).map(nameOf)

/** The last row number; 0 of an empty store. */
export const lastRow = (db: DatabaseSync): number =>
  there(integerOf(db.prepare("SELECT coalesce(max(seq), 0) AS seq FROM audit_event").get(), "seq"), "seq")

/** The columns of a hold. */
export const holdColumns = (hold: Hold, idBytes: (eventId: string) => Uint8Array) =>
  [
    hold.name,
    hold.person ?? null,
    hold.eventId === undefined ? null : idBytes(hold.eventId),
    hold.sinceMillis ?? null,
    hold.beforeMillis ?? null
  ] as const

/** Reads logs on one connection. */
export class LogRows {
  /** Before every row: those that someone gave a negative number are looked at as well. */
  readonly beginning: number | undefined = Number.MIN_SAFE_INTEGER
  readonly postings: Postings
  private readonly db: DatabaseSync
  private readonly trees: SqliteTreeRows
  private readonly bySeq: StatementSync

  constructor(db: DatabaseSync) {
    this.db = db
    this.postings = new Postings(db)
    this.trees = new SqliteTreeRows(db, this.postings)
    this.bySeq = db.prepare(`SELECT ${columns} FROM audit_event WHERE seq = ?`)
  }

  log(name: LogName): Log | undefined {
    const [log] = readLogs(this.db, name)
    return log === undefined ? undefined : { ...log, size: this.postings.sizeOf(log.id) }
  }

  tiles(log: LogRef, runs: ReadonlyArray<Run>): ReadonlyArray<Uint8Array> {
    return runs.map(({ count, first, tier }) =>
      tier === 0
        ? this.trees.bundle(log.id, first / runLength).subarray(0, count * hashBytes)
        : this.trees.subtrees(log.id, tier * 8, first, count)
    )
  }

  commitments(log: LogRef, from: number, to: number): Uint8Array {
    return this.trees.commitments(log.id, from, to)
  }

  notes(log: LogRef, page: NotePage): ReadonlyArray<StoredNote> {
    const select = "SELECT size, key_id, note FROM audit_checkpoint WHERE log = ?"
    const rows = "newest" in page
      ? this.db.prepare(`${select} ORDER BY size DESC, signed_at DESC LIMIT ?`).all(log.id, page.newest)
      : "size" in page
      ? this.db.prepare(`${select} AND size = ? ORDER BY signed_at DESC`).all(log.id, page.size)
      : this.db.prepare(`${select} AND (size, key_id) > (?, ?) ORDER BY size, key_id LIMIT ?`)
        .all(log.id, page.after.size, page.after.keyId, page.limit)
    return rows.map((row) => ({
      size: there(integerOf(row, "size"), "size"),
      keyId: there(integerOf(row, "key_id"), "key_id"),
      note: there(stringOf(row, "note"), "note")
    }))
  }

  find(log: LogRef, eventIds: ReadonlyArray<EventId>): ReadonlyArray<StoredEvent> {
    return [...new Set(eventIds)].flatMap((eventId) => {
      const seq = this.postings.findById(eventId)?.seq
      const row = seq === undefined ? undefined : this.bySeq.get(seq)
      return row === undefined || row["log"] !== log.id ? [] : [eventOf(row)]
    })
  }

  /** Every row that has an id, found without the index. */
  findAll(log: LogRef, eventId: Uint8Array): ReadonlyArray<StoredEvent> {
    return this.db.prepare(`SELECT ${columns} FROM audit_event WHERE event_id = ? AND log = ? ORDER BY seq`)
      .all(eventId, log.id).map(eventOf)
  }

  holds(log: LogRef): ReadonlyArray<Hold> {
    return this.db.prepare("SELECT * FROM audit_hold WHERE log = ?").all(log.id).map(
      (row) => {
        const id = blobOf(row, "event_id")
        return {
          name: there(stringOf(row, "name"), "name"),
          person: stringOf(row, "user_id"),
          eventId: id === undefined ? undefined : EventId.make(uuidText(id), { disableChecks: true }),
          sinceMillis: integerOf(row, "since"),
          beforeMillis: integerOf(row, "before")
        }
      }
    )
  }

  /** The first row to look at for a range; the index is not needed where the range begins with the log. */
  firstRow(log: LogRef, { from }: EventRange): number {
    return from === undefined || from === 0 ? 1 : this.postings.seqOf(log.id, from) ?? Number.MAX_SAFE_INTEGER
  }

  /** The rows of a range that a step has, and the first row of the next step. */
  events(
    log: LogRef,
    range: EventRange,
    first: number
  ): { readonly events: ReadonlyArray<StoredEvent>; readonly next: number } {
    const wanted: Array<number | Uint8Array> = [first, first + stepRows - 1, log.id]
    let where = "seq BETWEEN ? AND ? AND log = ?"
    if (range.person !== undefined) {
      where += " AND instr(body, ?) > 0"
      wanted.push(personNeedle(range.person))
    }
    if (range.beforeMillis !== undefined) {
      where += " AND recorded_at < ?"
      wanted.push(range.beforeMillis)
    }
    const { events, isAll } = this.step(where, wanted)
    return { events, next: isAll ? first + stepRows : (events.at(-1)?.row ?? first) + 1 }
  }

  /** The rows after one, of all logs or of one; and the last of them, if there may be more. */
  scan(
    after: number,
    only: LogRef | undefined
  ): { readonly events: ReadonlyArray<StoredEvent>; readonly next: number | undefined } {
    const { events, isAll } = only === undefined
      ? this.step("seq > ?", [after])
      : this.step("seq > ? AND log = ?", [after, only.id])
    return { events, next: isAll && events.length < stepRows ? undefined : events.at(-1)?.row }
  }

  /** Rows in their order, until there are as many or as large ones as a step has. */
  private step(where: string, params: ReadonlyArray<number | Uint8Array>) {
    const events: Array<StoredEvent> = []
    let bytes = 0
    const rows = this.db.prepare(`SELECT ${columns} FROM audit_event WHERE ${where} ORDER BY seq LIMIT ${stepRows}`)
    for (const row of rows.iterate(...params)) {
      const event = eventOf(row)
      events.push(event)
      bytes += event.body?.length ?? 0
      if (bytes >= stepBytes) return { events, isAll: false }
    }
    return { events, isAll: true }
  }
}
