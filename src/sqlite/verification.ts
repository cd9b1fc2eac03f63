/**
 * Recomputes a store: every commitment, leaf, subtree and signed head, in one pass over the events.
 *
 * Memory is bounded: a bundle for each of at most 2,048 logs (more take another pass), and a table of event ids.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { AuditError, type AuditReason, InvalidDraft, NotFound } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import { uuidText } from "../internal/entropy.ts"
import { stated } from "../ledger/Checkpoint.ts"
import type { Finding, LogName, VerifyOptions } from "../ledger/Ledger.ts"
import type { Vkeys } from "../ledger/SigningKey.ts"
import { Env, TenantId } from "../RequestContext.ts"
import { LogCheck, type LogRow } from "./logCheck.ts"
import { Problem } from "./problem.ts"
import { blobOf, eventFields, integerOf, type Row, stringOf } from "./row.ts"
import { SearchIndex } from "./searchIndex.ts"
import { reasonOf } from "./SqliteClient.ts"
import { type Head, Tree } from "./tree.ts"

/** Logs that are checked in one pass. */
const logsPerPass = 2048
/** Rows of one step. */
const stepRows = 2048
/** A number that JavaScript cannot hold is read as -1, which is wrong wherever it is found. */
const inRange = (column: string): string =>
  `CASE WHEN ${column} > ${Number.MAX_SAFE_INTEGER} THEN -1 ELSE ${column} END AS ${column}`
/** Rows that someone gave a negative number are looked at as well. */
const beforeAll = Number.MIN_SAFE_INTEGER
/** Events that come twice whose other position is looked for. */
const maxLooks = 16
/** Ids that are compared with each other: half the places of a table of 64 MiB. */
const maxIds = 4_194_304

/** Finds ids that come twice, among as many as fit into bounded memory: then it begins anew. */
class IdTable {
  private readonly places: Float64Array
  private readonly mask: number
  private used = 0
  constructor(ids: number) {
    let size = 1024
    while (size < Math.min(ids, maxIds) * 2) size *= 2
    this.places = new Float64Array(size)
    this.mask = size - 1
  }
  /** Whether the id was there before; 53 bits of it are compared. */
  seen(id: Uint8Array): boolean {
    if (this.used * 2 > this.places.length) {
      this.places.fill(0)
      this.used = 0
    }
    const bytes = Buffer.from(id.buffer, id.byteOffset, id.length)
    const value = bytes.readUInt32LE(12) * 2_097_152 + (bytes.readUInt32LE(8) >>> 12) * 2 + 1
    let at = bytes.readUInt32LE(12) & this.mask
    for (; this.places[at] !== 0; at = (at + 1) & this.mask) if (this.places[at] === value) return true
    this.places[at] = value
    this.used++
    return false
  }
}

/** The log that a checkpoint says it is of; `undefined` if it is none. */
const originOf = (note: string): string | undefined => {
  const checkpoint = stated(note)
  return typeof checkpoint === "string" ? undefined : checkpoint.origin
}

/** One verification of a store, on a connection that is inside a read transaction. */
export class Verification {
  private readonly rows: StatementSync
  private readonly twins: StatementSync
  private readonly oneLog: boolean
  /** Logs that are in the store, and others that were reported. */
  private readonly known: Set<number>
  private findings: Array<Finding> = []
  private readonly passes: Array<ReadonlyArray<LogRow>>
  private checks = new Map<number, LogCheck>()
  private readonly makeCheck: (log: LogRow) => LogCheck
  private ids: IdTable
  /** The last row that was looked at, and how far the passes before it came. */
  private after = beforeAll
  private passed = 0
  private looks = 0
  private finished = false
  private readonly maxSeq: number
  private readonly total: number

  constructor(db: DatabaseSync, logs: ReadonlyArray<LogRow>, options: {
    readonly vkey: Vkeys | undefined
    readonly known: string | undefined
    readonly oneLog: boolean
    readonly headOf: (origin: string) => Head | undefined
  }) {
    const tree = new Tree(db, new SearchIndex(db))
    this.oneLog = options.oneLog
    this.known = new Set(logs.map(({ id }) => id))
    const columns = `seq, log, ${inRange("position")}, ${inRange("recorded_at")}, erased_at IS NOT NULL AS erased, ` +
      "event_id, commitment, salt, body"
    this.rows = db.prepare(
      `SELECT ${columns} FROM event WHERE seq > ?${options.oneLog ? " AND log = ?" : ""} ORDER BY seq LIMIT ${stepRows}`
    )
    this.twins = db.prepare("SELECT position FROM event WHERE event_id = ? AND log = ? ORDER BY seq")
    this.maxSeq = integerOf(db.prepare("SELECT max(seq) AS seq FROM event").get(), "seq") ?? 0
    this.passes = []
    for (let i = 0; i < logs.length; i += logsPerPass) this.passes.push(logs.slice(i, i + logsPerPass))
    // Events without any log are looked at as well.
    if (this.passes.length === 0) this.passes.push([])
    this.total = this.maxSeq * this.passes.length
    this.ids = new IdTable(this.maxSeq)
    this.makeCheck = (log) => {
      const check = new LogCheck(db, tree, log, [], {
        vkey: options.vkey,
        report: (finding) => this.findings.push(finding)
      })
      const head = options.headOf(log.origin)
      if (head !== undefined) check.claim({ ...head, from: "the signer's state" })
      const { known } = options
      if (known !== undefined && (options.oneLog || originOf(known) === log.origin)) {
        const claim = check.claimOf(known, "the given checkpoint")
        if (claim !== undefined) check.claim(claim)
      }
      return check
    }
    this.begin()
  }

  private begin(): void {
    const pass = this.passes.shift()
    this.finished = pass === undefined
    this.checks = new Map((pass ?? []).map((log) => [log.id, this.makeCheck(log)]))
    this.ids = new IdTable(this.maxSeq)
    this.after = beforeAll
  }

  /** Goes on for some rows; what was found, or nothing when it is at the end. */
  step(): ReadonlyArray<Finding> | undefined {
    if (this.finished) return undefined
    const [only] = this.checks.keys()
    const rows = this.oneLog && only !== undefined
      ? this.rows.iterate(this.after, only)
      : this.rows.iterate(this.after)
    let count = 0
    for (const row of rows) {
      count++
      this.after = integerOf(row, "seq") ?? this.after
      const log = integerOf(row, "log") ?? -1
      const check = this.checks.get(log)
      if (check === undefined) {
        if (!this.known.has(log)) this.reportStray(log, row)
        continue
      }
      const id = blobOf(row, "event_id")
      if (id?.length === 16 && this.ids.seen(id)) this.reportTwins(check, row, id)
      check.add(row)
    }
    if (count < stepRows) {
      for (const check of this.checks.values()) check.end()
      this.passed += this.maxSeq
      this.begin()
    }
    const found = this.findings
    this.findings = []
    return found
  }

  /** A row whose log is not there: someone removed the log's row, or gave the event to another. Once for each log. */
  private reportStray(log: number, row: Row): void {
    this.known.add(log)
    const body = blobOf(row, "body")
    const { env, tenantId } = body === undefined ? {} : eventFields(body)
    this.findings.push({
      _tag: "Fault",
      fault: "missing",
      log: nameOf(typeof tenantId === "string" ? tenantId : "t_unknown", typeof env === "string" ? env : "unknown"),
      position: integerOf(row, "position"),
      eventId: undefined,
      detail: "the log of this event is not in the store"
    })
  }

  private reportTwins(check: LogCheck, row: Row, id: Uint8Array): void {
    const position = integerOf(row, "position")
    // Each look reads the whole store: after a few, that the id was there before must do.
    const [first, second] = this.looks++ < maxLooks ? this.twins.all(id, check.log.id) : [undefined, row]
    if (second === undefined) return
    const where = first === undefined ? "an earlier position" : `position ${integerOf(first, "position")}`
    const detail = `the same event is at ${where} as well`
    check.fault("duplicated", position, EventId.make(uuidText(id), { disableChecks: true }), detail)
  }

  /** Rows that were looked at, and all there are to look at. */
  get progress(): { readonly entries: number; readonly total: number } {
    return { entries: this.passed + Math.max(this.after, 0), total: this.total }
  }
}

/** Names as they are in the store, which someone may have changed. */
const nameOf = (tenantId: string, env: string): LogName => ({
  tenantId: TenantId.make(tenantId, { disableChecks: true }),
  env: Env.make(env, { disableChecks: true })
})

const logsOf = (db: DatabaseSync, only: LogName | undefined): ReadonlyArray<LogRow> => {
  const where = only === undefined ? "" : " WHERE tenant_id = ? AND env = ?"
  return db.prepare(`SELECT id, tenant_id, env, origin FROM log${where} ORDER BY id`)
    .all(...only === undefined ? [] : [only.tenantId, only.env])
    .map((row) => ({
      id: integerOf(row, "id") ?? 0,
      name: nameOf(stringOf(row, "tenant_id") ?? "", stringOf(row, "env") ?? ""),
      origin: stringOf(row, "origin") ?? ""
    }))
}

const refuse = (reason: AuditReason) => new AuditError({ method: "Ledger.verify", reason })

/** The logs to verify, or why the call is wrong. */
const chosen = (db: DatabaseSync, { known, log }: VerifyOptions): ReadonlyArray<LogRow> => {
  const logs = logsOf(db, log)
  if (log !== undefined && logs.length === 0) {
    throw refuse(new NotFound({ detail: `${log.tenantId} has no log in ${log.env}` }))
  }
  if (known === undefined) return logs
  const origin = originOf(known)
  if (origin === undefined) throw refuse(new InvalidDraft({ path: "/known", detail: "it is not a checkpoint" }))
  if (log === undefined && !logs.some((log) => log.origin === origin)) {
    throw refuse(new NotFound({ detail: `the store has no log ${origin}, which the given checkpoint is of` }))
  }
  return logs
}

/** Verifies a store on a connection of its own, as it is when it begins. */
export const verifying =
  (filename: string, headOf: (origin: string) => Head | undefined) =>
  (options: VerifyOptions = {}): Stream.Stream<Finding, AuditError> =>
    Stream.unwrap(Effect.gen(function*() {
      const failing = (cause: unknown): AuditError =>
        cause instanceof AuditError ? cause : refuse(reasonOf(new Problem({ cause }), filename, false))
      const db = yield* Effect.acquireRelease(
        Effect.try({
          try: () => {
            const db = new DatabaseSync(filename, { timeout: 0, readOnly: true })
            db.exec("PRAGMA busy_timeout = 0; PRAGMA cache_size = -16384")
            return db
          },
          catch: failing
        }),
        (db) => Effect.sync(() => db.close())
      )
      const { log, known, vkey } = options
      // Before the store is read: a head that is signed later may cover entries that this reading does not see.
      const heads = yield* Effect.try({
        try: () => {
          const heads = new Map(logsOf(db, log).map(({ origin }) => [origin, headOf(origin)]))
          db.exec("BEGIN")
          return heads
        },
        catch: failing
      })
      const verification = yield* Effect.try({
        try: () =>
          new Verification(db, chosen(db, options), {
            vkey,
            known,
            oneLog: log !== undefined,
            headOf: (origin) => heads.get(origin)
          }),
        catch: failing
      })
      const clock = yield* Clock.Clock
      const started = clock.currentTimeMillisUnsafe()
      const step = Effect.try({ try: () => verification.step(), catch: failing })
      return Stream.unfold(undefined, () =>
        Effect.map(Effect.andThen(Effect.yieldNow, step), (findings) => {
          if (findings === undefined) return undefined
          const { entries, total } = verification.progress
          const seconds = Math.max(clock.currentTimeMillisUnsafe() - started, 1) / 1000
          const progress: Finding = {
            _tag: "Progress",
            entries,
            total,
            entriesPerSecond: Math.round(entries / seconds)
          }
          return [[...findings, progress], undefined] as const
        })).pipe(Stream.flattenIterable)
    }))
