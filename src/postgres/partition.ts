/**
 * Partitions: the older events of one log, by ranges of positions, each in a table of its own.
 *
 * A partition inherits from the table of all events, so that everything reads, verifies and erases as before; new
 * events go to that table alone. Rows are moved a few at a time, under the lock of their log.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError, type AuditReason, InvalidInput, NotFound, SinkRejected } from "../AuditError.ts"
import { retryWhile } from "../internal/retryWhile.ts"
import { integerOf } from "../internal/row.ts"
import { timeOf } from "../internal/time.ts"
import { runLength } from "../ledger/treeReader.ts"
import type { LogName } from "../RequestContext.ts"
import { make, type Opened, type Options as DatabaseOptions, type Run } from "./database.ts"
import { eventGuards, hasTable, partitionsOf } from "./Migrations.ts"
import { failing, isPassing, sqlState } from "./problem.ts"

/** Which events get a partition. */
export interface PartitionOptions extends LogName, Pick<DatabaseOptions, "schema"> {
  /** All that was recorded before this time, and is in none yet; text without an offset is UTC. */
  readonly before: DateTime.DateTime.Input
  /** Where the partition's files are; a tablespace that is there. That of the database unless given. */
  readonly tablespace?: string | undefined
  /** Hears how many events have moved, of how many. */
  readonly progress?: ((moved: number, all: number) => void) | undefined
}

/** A partition. */
export interface Partition {
  /** The name of its table, in the schema of the store. */
  readonly table: string
  /** Its first position. */
  readonly from: number
  /** The position after its last one. */
  readonly until: number
}

const method = "Postgres.partition"
/** Rows that are moved at once: other writers wait for as long as that takes. */
const stepRows = 512
/** How long a step waits for a lock, while others wait behind it. */
const lockMillis = 50
/** The same of each tenth try: PostgreSQL ends a vacuum of its own for who waits for a second. */
const longLockMillis = 1200
/** How long a step's transaction may be idle: whoever asked for it may have been stopped, and nobody else can write. */
const idleMillis = 1000
/** For how long a step that cannot have its locks is tried again. */
const patienceMillis = 60_000

const fail = (reason: AuditReason) => new AuditError({ method, reason })

/** A problem of a statement; who does not own the tables is told so. */
const failed = (error: SqlError | AuditError): AuditError =>
  !(error instanceof AuditError) && sqlState(error) === "42501"
    ? fail(new SinkRejected({ detail: "only the owner of the store's tables may make partitions" }))
    : failing(method)(error)

/** What is asked for, checked. */
interface Asked {
  readonly beforeMillis: number
  /** As SQL. */
  readonly tablespace: { readonly ofTable: string; readonly ofIndex: string }
}

const read = ({ before, tablespace }: PartitionOptions): Effect.Effect<Asked, AuditError> => {
  const refuse = (path: string, detail: string) => Effect.fail(fail(new InvalidInput({ path, detail })))
  const time = Option.getOrUndefined(timeOf(before))
  if (time === undefined) return refuse("/before", "must be a time")
  if (tablespace !== undefined && !/^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/.test(tablespace)) {
    return refuse("/tablespace", "is no name of a tablespace: letters, digits, _")
  }
  const at = tablespace === undefined ? "" : ` TABLESPACE "${tablespace}"`
  return Effect.succeed({
    beforeMillis: DateTime.toEpochMillis(time),
    tablespace: { ofTable: at, ofIndex: at === "" ? "" : ` USING INDEX${at}` }
  })
}

/** The partitions of a log, in the order of their positions. */
const ofLog = (run: Run, schema: string, log: number): Effect.Effect<ReadonlyArray<Partition>, SqlError> =>
  Effect.map(partitionsOf(run, schema), (tables) =>
    tables.flatMap((table) => {
      const [, of, from, until] = /^event_(\d+)_(\d+)_(\d+)$/.exec(table) ?? []
      return Number(of) === log ? [{ table, from: Number(from), until: Number(until) }] : []
    }).toSorted((a, b) => a.from - b.from))

/** The end of what was recorded before a time: a multiple of 256, since only complete bundles know their times. */
const endOf = (run: Run, s: string, log: number, from: number, beforeMillis: number) =>
  Effect.map(
    run(
      `SELECT least(h.size / ${runLength}, (SELECT min(b.idx) FROM ${s}.bundle b WHERE b.log = h.log AND ` +
        "b.idx >= $2 AND (b.high IS NULL OR b.high >= to_timestamp($3::float8 / 1000))))::float8 AS idx " +
        `FROM ${s}.head h WHERE h.log = $1`,
      [BigInt(log), BigInt(from / runLength), beforeMillis]
    ),
    ([row]) => (integerOf(row, "idx") ?? 0) * runLength
  )

/** The next partition of a log and those that are there; two that ask at once make one. */
const created = ({ inTransaction, ...database }: Opened, log: number, { beforeMillis, tablespace }: Asked) => {
  const { run, schema: s } = database
  return inTransaction(Effect.gen(function*() {
    yield* run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    yield* run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`effect-audit partition ${s} ${log}`])
    const there = yield* ofLog(run, s, log)
    const from = there.at(-1)?.until ?? 0
    const until = yield* endOf(run, s, log, from, beforeMillis)
    if (until <= from) return there
    const table = `event_${log}_${from}_${until}`
    const { ofIndex, ofTable } = tablespace
    const statements = [
      `CREATE TABLE ${s}.${table} (CHECK (log = ${log} AND position >= ${from} AND position < ${until}), ` +
      `PRIMARY KEY (log, position)${ofIndex}) INHERITS (${s}.event) WITH (parallel_workers = 0)${ofTable}`,
      `CREATE INDEX ON ${s}.${table} (event_id)${ofTable}`,
      `CREATE INDEX ON ${s}.${table} USING gin (terms)${ofTable}`,
      ...eventGuards(s, table)
    ]
    for (const statement of statements) yield* run(statement)
    return [...there, { table, from, until }]
  }))
}

/** Runs an effect in a transaction of its own, again and again while others hold its locks. */
const patiently = <A>({ inTransaction, run }: Opened, effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.suspend(() => {
    let tries = 0
    const once = Effect.suspend(() => {
      const waits = ++tries % 10 === 0 ? longLockMillis : lockMillis
      return inTransaction(Effect.gen(function*() {
        yield* run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield* run(`SET LOCAL lock_timeout = ${waits}`)
        yield* run(`SET LOCAL idle_in_transaction_session_timeout = ${idleMillis}`)
        return yield* effect
      }))
    })
    return retryWhile(once, isPassing, patienceMillis, (tries) => Math.min(500, lockMillis * (tries + 1)))
  })

/**
 * Moves some rows. Only here the guard of the table is off, in a transaction that holds its lock; an erasure holds the
 * lock of its log, and so finds a row either here or there.
 */
const step = ({ run, schema: s }: Opened, log: number, { guard, table }: Target, from: number, until: number) =>
  Effect.gen(function*() {
    // In this order: who appends has a lock on the table, too, before that of the log.
    yield* run(`ALTER TABLE ${s}.event DISABLE TRIGGER event_stays`)
    yield* run(`SELECT 1 FROM ${s}.head WHERE log = $1 FOR UPDATE`, [BigInt(log)])
    const [row] = yield* run(
      `WITH gone AS (DELETE FROM ONLY ${s}.event WHERE log = $1 AND position >= $2 AND position < $3 RETURNING *), ` +
        `came AS (INSERT INTO ${s}.${table} SELECT * FROM gone RETURNING 1) SELECT count(*)::float8 AS count FROM came`,
      [BigInt(log), BigInt(from), BigInt(until)]
    )
    yield* run(`ALTER TABLE ${s}.event ${guard} TRIGGER event_stays`)
    return integerOf(row, "count") ?? 0
  })

/** Where rows move, and what switches the guard on again as it was. */
interface Target extends Partition {
  readonly guard: "ENABLE" | "ENABLE ALWAYS"
}

/** Moves what a partition lacks; returns how many rows that were. */
const fill = Effect.fnUntraced(function*(
  database: Opened,
  log: number,
  target: Target,
  progress: (moved: number) => void
): Effect.fn.Return<number, SqlError> {
  const { run, schema: s } = database
  const { from, table, until } = target
  const [row] = yield* run(
    `SELECT min(position)::float8 AS first FROM ONLY ${s}.event WHERE log = $1 AND position >= $2 AND position < $3`,
    [BigInt(log), BigInt(from), BigInt(until)]
  )
  const first = integerOf(row, "first")
  if (first === undefined) return 0
  // Whoever began to read before the partition was there does not know it, and has ended once its table can be locked.
  yield* patiently(database, run(`LOCK TABLE ONLY ${s}.event IN ACCESS EXCLUSIVE MODE`))
  let moved = 0
  for (let at = first; at < until; at += stepRows) {
    moved += yield* patiently(database, step(database, log, target, at, Math.min(at + stepRows, until)))
    progress(Math.min(at + stepRows, until) - from)
  }
  yield* run(`ANALYZE ${s}.${table}`)
  return moved
})

/**
 * Has the table take no event any more at positions that have moved: its key does not span partitions, and who may
 * insert could give a position a second event.
 */
const closed = Effect.fnUntraced(function*(database: Opened, log: number, until: number): Effect.fn.Return<
  void,
  SqlError
> {
  const { run, schema: s } = database
  const name = `event_${log}_moved`
  const found = yield* run(
    `SELECT 1 AS found FROM pg_constraint WHERE conrelid = '${s}.event'::regclass AND conname = $1 ` +
      "AND pg_get_constraintdef(oid) LIKE $2",
    [name, `%>= ${until})%`]
  )
  if (found.length > 0) return
  yield* patiently(
    database,
    run(
      `ALTER TABLE ONLY ${s}.event DROP CONSTRAINT IF EXISTS ${name}, ADD CONSTRAINT ${name} ` +
        `CHECK (log <> ${log} OR position >= ${until}) NO INHERIT NOT VALID`
    )
  )
})

/** What switches the guard on again as it is; fails where it is off, which verification is to find. */
const guardOf = Effect.fnUntraced(function*(
  { run, schema: s }: Opened
): Effect.fn.Return<Target["guard"], SqlError | AuditError> {
  const [row] = yield* run(
    `SELECT tgenabled::text AS state FROM pg_trigger WHERE tgrelid = '${s}.event'::regclass AND tgname = 'event_stays'`
  )
  if (row?.["state"] === "O") return "ENABLE"
  if (row?.["state"] === "A") return "ENABLE ALWAYS"
  return yield* fail(
    new SinkRejected({ detail: "the guard event_stays is gone or off: verify, and bring it back first" })
  )
})

/**
 * Moves what one log recorded before a time into a table of its own, by whoever owns the tables: a range of positions
 * from the end of the last partition on, in whole bundles of 256. Returns the partitions that rows were moved into, if
 * any. Others go on meanwhile, and wait for a step at most, or for as long as one waits for its locks. Where it was
 * stopped in the middle, the next call finishes what was begun first. Fails with `SinkRejected` for who does not own
 * the tables, inside a transaction, and where the guard of the events is off; with `SinkTimeout` where someone held
 * the locks for a minute, such as a verification.
 */
export const partition = Effect.fnUntraced(function*(
  options: PartitionOptions
): Effect.fn.Return<ReadonlyArray<Partition>, AuditError, SqlClient> {
  const asked = yield* read(options)
  const { env, progress, tenantId } = options
  const database = yield* make(options)
  const { run, schema: s, transactionOf } = database
  if (transactionOf(yield* Effect.context()) !== undefined) {
    return yield* fail(
      new SinkRejected({ detail: "a partition is not made inside a transaction: others would wait for it" })
    )
  }
  if (!(yield* Effect.mapError(hasTable(run, s, "event"), failed))) {
    return yield* fail(new NotFound({ detail: `there is no audit store in the schema ${s}` }))
  }
  const made = Effect.gen(function*() {
    const [found] = yield* run(
      `SELECT id::float8 AS id FROM ${s}.log WHERE tenant_id = $1 AND env = $2`,
      [tenantId, env]
    )
    const log = integerOf(found, "id")
    if (log === undefined) return yield* fail(new NotFound({ detail: `${tenantId} has no log in ${env}` }))
    const guard = yield* guardOf(database)
    const partitions = yield* created(database, log, asked)
    const filled: Array<Partition> = []
    for (const one of partitions) {
      const all = one.until - one.from
      const moved = yield* fill(database, log, { ...one, guard }, (moved) => progress?.(moved, all))
      if (moved > 0) filled.push(one)
    }
    const last = partitions.at(-1)
    if (last !== undefined) yield* closed(database, log, last.until)
    return filled
  })
  return yield* Effect.mapError(made, failed)
})
