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
import { elapsed } from "../internal/elapsed.ts"
import { integerOf } from "../internal/row.ts"
import { timeOf } from "../internal/time.ts"
import { runLength } from "../ledger/treeReader.ts"
import type { LogName } from "../RequestContext.ts"
import { make, type Opened, type Options as DatabaseOptions } from "./database.ts"
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
/** How long one step waits for a lock, while others wait behind it. */
const lockMillis = 50
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
const ofLog = ({ run, schema }: Opened, log: number): Effect.Effect<ReadonlyArray<Partition>, SqlError> =>
  Effect.map(partitionsOf(run, schema), (tables) =>
    tables.flatMap((table) => {
      const [, of, from, until] = /^event_(\d+)_(\d+)_(\d+)$/.exec(table) ?? []
      return Number(of) === log ? [{ table, from: Number(from), until: Number(until) }] : []
    }).toSorted((a, b) => a.from - b.from))

/** The end of what was recorded before a time: a multiple of 256, since only complete bundles know their times. */
const endOf = ({ run, schema: s }: Opened, log: number, from: number, beforeMillis: number) =>
  Effect.map(
    run(
      `SELECT least(h.size / ${runLength}, (SELECT min(b.idx) FROM ${s}.bundle b WHERE b.log = h.log AND ` +
        "b.idx >= $2 AND (b.high IS NULL OR b.high >= to_timestamp($3::float8 / 1000))))::float8 AS idx " +
        `FROM ${s}.head h WHERE h.log = $1`,
      [BigInt(log), BigInt(from / runLength), beforeMillis]
    ),
    ([row]) => (integerOf(row, "idx") ?? 0) * runLength
  )

const created = (
  { run, schema: s, transact }: Opened,
  log: number,
  { from, table, until }: Partition,
  asked: Asked
) => {
  const { ofIndex, ofTable } = asked.tablespace
  const statements = [
    `CREATE TABLE ${s}.${table} (CHECK (log = ${log} AND position >= ${from} AND position < ${until}), ` +
    `PRIMARY KEY (log, position)${ofIndex}) INHERITS (${s}.event) WITH (parallel_workers = 0)${ofTable}`,
    `CREATE INDEX ON ${s}.${table} (event_id)${ofTable}`,
    `CREATE INDEX ON ${s}.${table} USING gin (terms)${ofTable}`,
    ...eventGuards(s, table)
  ]
  return transact(Effect.forEach(statements, (statement) => Effect.mapError(run(statement), failed), { discard: true }))
}

/**
 * Moves some rows. Only here the guard of the table is off, in a transaction that holds its lock; an erasure holds the
 * lock of its log, and so finds a row either here or there.
 */
const step = ({ inTransaction, run, schema: s }: Opened, log: number, table: string, from: number, until: number) =>
  inTransaction(Effect.gen(function*() {
    yield* run(`SET LOCAL lock_timeout = ${lockMillis}`)
    // In this order: who appends has a lock on the table, too, before that of the log.
    yield* run(`ALTER TABLE ${s}.event DISABLE TRIGGER event_stays`)
    yield* run(`SELECT 1 FROM ${s}.head WHERE log = $1 FOR UPDATE`, [BigInt(log)])
    const [row] = yield* run(
      `WITH gone AS (DELETE FROM ONLY ${s}.event WHERE log = $1 AND position >= $2 AND position < $3 RETURNING *), ` +
        `came AS (INSERT INTO ${s}.${table} SELECT * FROM gone RETURNING 1) SELECT count(*)::float8 AS count FROM came`,
      [BigInt(log), BigInt(from), BigInt(until)]
    )
    yield* run(`ALTER TABLE ${s}.event ENABLE TRIGGER event_stays`)
    return integerOf(row, "count") ?? 0
  }))

/** The same, again and again while others hold its locks. */
const patiently = <A>(step: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.flatMap(elapsed, (started) => {
    const next = (tries: number): Effect.Effect<A, SqlError> =>
      Effect.catch(step, (error) =>
        Effect.flatMap(elapsed, (now) =>
          isPassing(error) && now - started < patienceMillis
            ? Effect.andThen(Effect.sleep(Math.min(1000, lockMillis * (tries + 1))), next(tries + 1))
            : Effect.fail(error)))
    return next(0)
  })

/** Moves what a partition lacks; returns how many rows that were. */
const fill = Effect.fnUntraced(function*(
  database: Opened,
  log: number,
  { from, table, until }: Partition,
  progress: (moved: number) => void
): Effect.fn.Return<number, SqlError> {
  const { run, schema: s } = database
  const [row] = yield* run(
    `SELECT min(position)::float8 AS first FROM ONLY ${s}.event WHERE log = $1 AND position >= $2 AND position < $3`,
    [BigInt(log), BigInt(from), BigInt(until)]
  )
  let moved = 0
  for (let at = integerOf(row, "first") ?? until; at < until; at += stepRows) {
    moved += yield* patiently(step(database, log, table, at, Math.min(at + stepRows, until)))
    progress(Math.min(at + stepRows, until) - from)
  }
  if (moved > 0) yield* run(`ANALYZE ${s}.${table}`)
  return moved
})

/**
 * Moves what one log recorded before a time into a table of its own, by whoever owns the tables: a range of positions
 * from the end of the last partition on, in whole bundles of 256. Returns the partitions that rows were moved into, if
 * any. Others go on meanwhile, and wait for at most a step. Where it was stopped in the middle, the next call finishes
 * what was begun first. Fails with `SinkRejected` for who does not own the tables, and with `SinkTimeout` where their
 * locks could not be had for a minute.
 */
export const partition = Effect.fnUntraced(function*(
  options: PartitionOptions
): Effect.fn.Return<ReadonlyArray<Partition>, AuditError, SqlClient> {
  const asked = yield* read(options)
  const { env, progress, tenantId } = options
  const database = yield* make(options)
  const { run, schema: s } = database
  if (!(yield* Effect.mapError(hasTable(run, s, "event"), failed))) {
    return yield* fail(new NotFound({ detail: `there is no audit store in the schema ${s}` }))
  }
  const [found] = yield* Effect.mapError(
    run(`SELECT id::float8 AS id FROM ${s}.log WHERE tenant_id = $1 AND env = $2`, [tenantId, env]),
    failed
  )
  const log = integerOf(found, "id")
  if (log === undefined) return yield* fail(new NotFound({ detail: `${tenantId} has no log in ${env}` }))
  const there = yield* Effect.mapError(ofLog(database, log), failed)
  const from = there.at(-1)?.until ?? 0
  const until = yield* Effect.mapError(endOf(database, log, from, asked.beforeMillis), failed)
  const fresh = { table: `event_${log}_${from}_${until}`, from, until }
  if (until > from) yield* created(database, log, fresh, asked)
  const filled: Array<Partition> = []
  for (const one of until > from ? [...there, fresh] : there) {
    const all = one.until - one.from
    const moved = yield* Effect.mapError(fill(database, log, one, (moved) => progress?.(moved, all)), failed)
    if (moved > 0) filled.push(one)
  }
  return filled
})
