/**
 * The logs of a store in PostgreSQL, for the rules of the ledger and of erasure.
 *
 * Reads committed facts on any connection, and changes logs in transactions of the application's client, so that what
 * is appended inside a change is part of it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError, IntegrityError, NotFound, SinkRejected } from "../AuditError.ts"
import { erasedKeyHash } from "../internal/duplicate.ts"
import { blobOf, integerOf, stringOf } from "../internal/row.ts"
import { Frontier } from "../ledger/frontier.ts"
import { type Hold, type Log, LogStore, type LogWriter, type Snapshot, type StoredNote } from "../ledger/LogStore.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { Database, type Opened, type Run } from "./database.ts"
import { eventColumns, eventOf, LogRows } from "./logRows.ts"
import { partitionsOf, problemsOf } from "./Migrations.ts"
import { hasOutbox } from "./outbox.ts"
import { failing } from "./problem.ts"

const method = "LogStore.change"

/** The time of a parameter in milliseconds since 1970, which may be NULL. */
const time = (parameter: string): string => `to_timestamp(${parameter}::float8 / 1000)`

const holdParams = (hold: Hold) => [
  hold.name,
  hold.person ?? null,
  hold.eventId ?? null,
  hold.sinceMillis ?? null,
  hold.beforeMillis ?? null
]

/** Keeps the entries after the last complete bundle up to a size in their bundle as well. */
const keepTail = Effect.fnUntraced(function*(
  { run, schema }: Opened,
  rows: LogRows,
  log: Log,
  size: number
): Effect.fn.Return<void, AuditError> {
  const frontier = yield* Frontier.read(rows, log, { size, last: new Uint8Array(0) }, 0)
  const refused = frontier.keepTail(size)
  if (refused !== undefined) {
    const cause = new IntegrityError({ method, reason: refused })
    return yield* new AuditError({ method, reason: new SinkRejected({ detail: cause.message, cause }) })
  }
  for (const { commitments, index } of frontier.taken().bundles) {
    yield* Effect.mapError(
      run(
        `INSERT INTO ${schema}.bundle (log, idx, commitments) VALUES ($1, $2, $3) ` +
          "ON CONFLICT (log, idx) DO UPDATE SET commitments = excluded.commitments",
        [BigInt(log.id), BigInt(index), commitments]
      ),
      failing(method)
    )
  }
})

/** Takes content, terms and digests of events away. */
const eraseRows = Effect.fnUntraced(function*(
  { run, schema }: Opened,
  log: Log,
  positions: ReadonlyArray<bigint>,
  now: number
): Effect.fn.Return<void, SqlError> {
  const id = BigInt(log.id)
  yield* run(
    `UPDATE ${schema}.event SET body = NULL, salt = NULL, recorded_at = NULL, terms = NULL, erased_at = ${
      time("$3")
    } ` +
      "WHERE log = $1 AND position = ANY($2::int8[]) AND erased_at IS NULL",
    [id, positions, now]
  )
  const keys = yield* run(
    `SELECT key_hash, digest FROM ${schema}.idempotency_key WHERE log = $1 AND position = ANY($2::int8[]) ` +
      "AND digest IS NOT NULL",
    [id, positions]
  )
  const pairs = keys.flatMap((row) => {
    const [hash, digest] = [blobOf(row, "key_hash"), blobOf(row, "digest")]
    return hash === undefined || digest === undefined ? [] : [[hash, erasedKeyHash(hash, digest)] as const]
  })
  yield* run(
    `UPDATE ${schema}.idempotency_key k SET key_hash = p.later, digest = NULL ` +
      "FROM unnest($2::bytea[], $3::bytea[]) AS p(hash, later) WHERE k.log = $1 AND k.key_hash = p.hash",
    [id, pairs.map(([hash]) => hash), pairs.map(([, later]) => later)]
  )
  yield* run(`INSERT INTO ${schema}.erasure (log, erased_at) VALUES ($1, ${time("$2")})`, [id, now])
})

/** What a log is read by, outside of a change and in it. */
const readsOf = ({ commitments, events, find, holds, log, logs, notes, tiles }: LogRows) => ({
  commitments,
  events,
  find,
  holds,
  log,
  logs,
  notes,
  tiles
})

/** Stores a checkpoint, and keeps what it covers in a tile; nothing, if it is there. */
const putting = (database: Opened, rows: LogRows, log: Log, { keyId, note, size }: StoredNote, now: number) =>
  Effect.flatMap(
    database.run(
      `INSERT INTO ${database.schema}.checkpoint (log, size, key_id, note, signed_at) ` +
        `VALUES ($1, $2, $3, $4, ${time("$5")}) ON CONFLICT DO NOTHING RETURNING 1 AS made`,
      [BigInt(log.id), BigInt(size), BigInt(keyId), note, now]
    ),
    (made) => made.length === 0 ? Effect.void : keepTail(database, rows, log, size)
  )

const holding = ({ run, schema: s }: Opened, log: Log, holds: ReadonlyArray<Hold>, now: number) =>
  Effect.forEach(holds, (hold) =>
    run(
      `INSERT INTO ${s}.hold (log, name, user_id, event_id, since, before, held_at) ` +
        `VALUES ($1, $2, $3, $4::uuid, ${time("$5")}, ${time("$6")}, ${time("$7")})`,
      [BigInt(log.id), ...holdParams(hold), now]
    ), { discard: true })

const releasing = ({ run, schema: s }: Opened, log: Log, holds: ReadonlyArray<Hold>) =>
  Effect.map(
    Effect.forEach(holds, (hold) =>
      run(
        `DELETE FROM ${s}.hold WHERE log = $1 AND name = $2 AND user_id IS NOT DISTINCT FROM $3::text AND ` +
          `event_id IS NOT DISTINCT FROM $4::uuid AND since IS NOT DISTINCT FROM ${time("$5")} AND ` +
          `before IS NOT DISTINCT FROM ${time("$6")} RETURNING 1 AS ended`,
        [BigInt(log.id), ...holdParams(hold)]
      )),
    (ended) => ended.reduce((sum, rows) => sum + rows.length, 0)
  )

const writerOf = (database: Opened): LogWriter => {
  const { run, schema: s } = database
  const rows = new LogRows(run, s, method)
  /** Runs a change, after which every process looks at the log anew. */
  const changing = <A>(log: Log, change: Effect.Effect<A, SqlError | AuditError>): Effect.Effect<A, AuditError> =>
    Effect.mapError(
      Effect.tap(
        change,
        run(`UPDATE ${s}.head SET version = version + 1, changed = pg_current_xact_id() WHERE log = $1`, [
          BigInt(log.id)
        ])
      ),
      failing(method)
    )
  const present = (log: Log) => Effect.map(rows.log(log.name), (found) => found?.size ?? log.size)
  return {
    ...readsOf(rows),
    erase: (log, events, now) =>
      changing(
        log,
        Effect.andThen(
          eraseRows(database, log, events.map(({ position }) => BigInt(position)), now),
          // An erased event's commitment cannot be recomputed: from now on it lies in its bundle as well.
          Effect.flatMap(present(log), (size) => keepTail(database, rows, log, size))
        )
      ),
    putNote: (log, note, now) => changing(log, putting(database, rows, log, note, now)),
    stop: (log, detail, now) =>
      changing(
        log,
        Effect.asVoid(
          run(
            `INSERT INTO ${s}.stop (log, detail, stopped_at) VALUES ($1, $2, ${time("$3")}) ON CONFLICT DO NOTHING`,
            [BigInt(log.id), detail, now]
          )
        )
      ),
    resume: (log, origin) =>
      changing(
        log,
        Effect.andThen(
          run(`INSERT INTO ${s}.origin (log, since, origin) VALUES ($1, $2, $3)`, [
            BigInt(log.id),
            BigInt(log.size),
            origin
          ]),
          Effect.asVoid(run(`DELETE FROM ${s}.stop WHERE log = $1`, [BigInt(log.id)]))
        )
      ),
    hold: (log, holds, now) => changing(log, holding(database, log, holds, now)),
    release: (log, holds) => changing(log, releasing(database, log, holds))
  }
}

/** One state of the whole store, on a connection of its own that only reads. */
const snapshotOf = Effect.fnUntraced(function*(
  { reserve, schema: s }: Opened
): Effect.fn.Return<Snapshot, AuditError, Scope.Scope> {
  const failed = failing("LogStore.snapshot")
  const run: Run = yield* Effect.mapError(reserve, failed)
  yield* Effect.mapError(run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), failed)
  // If it cannot be ended, its connection is gone, and it with it.
  yield* Effect.addFinalizer(() => Effect.catch(Effect.asVoid(run("COMMIT")), () => Effect.void))
  const rows = new LogRows(run, s, "LogStore.snapshot")
  const [count] = yield* Effect.mapError(run(`SELECT count(*)::float8 AS rows FROM ${s}.event`), failed)
  return {
    logs: rows.logs,
    log: rows.log,
    tiles: rows.tiles,
    commitments: rows.commitments,
    notes: rows.notes,
    events: rows.events,
    holds: rows.holds,
    rows: integerOf(count, "rows") ?? 0,
    problems: Effect.mapError(problemsOf(run, s), failed),
    find: (log, eventIds) =>
      Effect.map(
        Effect.mapError(
          run(
            `SELECT ${eventColumns} FROM ${s}.event WHERE event_id = ANY($2::uuid[]) AND log = $1 ORDER BY position`,
            [BigInt(log.id), [...eventIds]]
          ),
          failed
        ),
        (found) => found.map(eventOf)
      ),
    scan: rows.scan
  }
})

const nameOf = (row: Record<string, unknown>): LogName => ({
  tenantId: TenantId.make(stringOf(row, "tenant_id") ?? "", { disableChecks: true }),
  env: Env.make(stringOf(row, "env") ?? "", { disableChecks: true })
})

/** Whether a role may vacuum the events, and whether anyone still sees what was erased last. */
const scrubbable = (s: string): string =>
  "SELECT pg_has_role(c.relowner, 'USAGE') AS owns, NOT EXISTS (SELECT FROM pg_stat_activity a WHERE " +
  "a.pid <> pg_backend_pid() AND age(a.backend_xmin) >= (SELECT age(max(e.xid::text::bigint)::text::xid8::xid) FROM " +
  `${s}.erasure e)) AS unseen FROM pg_class c WHERE c.oid = to_regclass('${s}.event')`

/** Takes rows that are gone out of the tables that had content: also those that have moved out of the outbox. */
const vacuumed = ({ run, schema }: Pick<Opened, "run" | "schema">) =>
  Effect.flatMap(
    Effect.all([partitionsOf(run, schema), hasOutbox({ run, schema })]),
    ([partitions, found]) => {
      const tables = ["event", ...partitions, ...(found ? ["outbox"] : [])].map((table) => `${schema}."${table}"`)
      return run(`VACUUM (INDEX_CLEANUP ON) ${tables.join(", ")}`)
    }
  )

/**
 * Has the table vacuumed, which takes the erased rows out of it; `false` inside a transaction, for a role that does not
 * own the table, and while an older transaction may still read them.
 */
const scrubbing = ({ run, schema, transactionOf }: Opened): Effect.Effect<boolean, AuditError> =>
  Effect.withFiber((fiber) => {
    if (transactionOf(fiber.context) !== undefined) return Effect.succeed(false)
    return Effect.mapError(
      Effect.flatMap(run(scrubbable(schema)), ([row]) =>
        row?.["owns"] === true && row["unseen"] === true
          ? Effect.as(vacuumed({ run, schema }), true)
          : Effect.succeed(false)),
      failing("LogStore.scrub")
    )
  })

/** Builds the store over the database. */
export const make: Effect.Effect<LogStore["Service"], never, Database> = Effect.gen(function*() {
  const database = yield* Database
  const { committed, run, schema: s, transact, transactionOf } = database
  const rows = new LogRows(committed, s, "LogStore")
  const writer = writerOf(database)
  const locked = ({ env, tenantId }: LogName) =>
    Effect.mapError(
      run(
        `SELECT h.size::float8 FROM ${s}.head h JOIN ${s}.log l ON l.id = h.log ` +
          "WHERE l.tenant_id = $1 AND l.env = $2 FOR UPDATE OF h",
        [tenantId, env]
      ),
      failing(method)
    )
  return LogStore.of({
    ...readsOf(rows),
    snapshot: snapshotOf(database),
    change: <A, E, R>(name: LogName, f: (writer: LogWriter, log: Log) => Effect.Effect<A, E, R>) =>
      transact(Effect.flatMap(
        Effect.andThen(locked(name), writer.log(name)),
        (log): Effect.Effect<A, E | AuditError, R> => {
          if (log !== undefined) return f(writer, log)
          const reason = new NotFound({ detail: `${name.tenantId} has no log in ${name.env}` })
          return Effect.fail(new AuditError({ method, reason }))
        }
      )),
    grown: (since) =>
      Effect.mapError(
        Effect.map(
          committed(
            `SELECT l.tenant_id, l.env, pg_snapshot_xmin(pg_current_snapshot())::text::float8 AS mark, ` +
              `l.id IS NOT NULL AS grown FROM (SELECT 1) AS one LEFT JOIN (SELECT l.* FROM ${s}.log l ` +
              `JOIN ${s}.head h ON h.log = l.id WHERE h.changed::text::float8 >= $1::float8 AND NOT EXISTS ` +
              `(SELECT FROM ${s}.stop t WHERE t.log = l.id)) AS l ON true`,
            [since?.mark ?? 0]
          ),
          (found) => ({
            logs: found.filter((row) => row["grown"] === true).map(nameOf),
            next: { mark: integerOf(found[0], "mark") ?? 0 },
            more: false
          })
        ),
        failing("LogStore.grown")
      ),
    isJoined: Effect.withFiber(({ context }) => Effect.succeed(transactionOf(context) !== undefined)),
    scrub: scrubbing(database)
  })
})

/** The logs of the database. */
export const layer: Layer.Layer<LogStore, never, Database> = Layer.effect(LogStore, make)
