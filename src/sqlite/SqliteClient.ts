/**
 * One SQLite file: the connection that writes, its lock, and a connection that reads.
 *
 * Provides the `SqlClient` that an application uses for its own tables and transactions, and the prepared statements that
 * the audit store uses, under one lock: so an event can be written inside the application's transaction.
 *
 * The file is opened in WAL mode with `synchronous=FULL` and created with mode 0600. Waiting for another process's lock is
 * done on a timer, outside SQLite, so that the event loop never blocks on it.
 *
 * **Gotchas**
 *
 * While a transaction of the `SqlClient` is open, other writes to the file wait: keep it short. Other processes may write
 * to the file; a network file system, a link, or a file that is removed or replaced while open are refused or noticed.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { layer as layerReactivity, type Reactivity } from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { ConnectionError, LockTimeoutError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { resolve } from "node:path"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import {
  AuditError,
  type AuditReason,
  CommitUnknown,
  SinkFull,
  SinkRejected,
  SinkTimeout,
  SinkUnavailable
} from "../AuditError.ts"
import { checkFile, type FileIdentity, identityOf, isOpenHere, releaseFile } from "./file.ts"
import { applicationId, migrations } from "./Migrations.ts"
import { attempt, errorCode, isBusy, Problem, sqliteReason } from "./problem.ts"

/** How to open a store. */
export interface Options {
  /** Path of the file; created if it is missing. */
  readonly filename: string
  /** How long to wait for another process's lock, and of a closing sink; 5 seconds unless given. */
  readonly deadline?: Duration.Input | undefined
  /** Whether a database of your own, without an audit store yet, may become one as well. Not unless given. */
  readonly adopt?: boolean | undefined
  /** Whether a missing file is an error. Not unless given. */
  readonly mustExist?: boolean | undefined
}

/** A transaction of the `SqlClient` that is open now. */
export interface Transaction {
  /** Tells one transaction from another. */
  readonly connection: object
  /** Whether no savepoint is open below the place of the context that asks. */
  readonly innermost: boolean
}

/** One open SQLite file. */
export class SqliteClient extends Context.Service<SqliteClient, {
  readonly filename: string
  /** How long to wait for another process's lock, in milliseconds. */
  readonly deadlineMillis: number
  /** The application's client for the same file. */
  readonly sql: SqlClient.SqlClient
  /** The connection that writes. Use it inside `exclusively`, or inside the transaction that `transactionOf` reports. */
  readonly writer: DatabaseSync
  /** A connection that only reads, and sees what is committed. */
  readonly reader: DatabaseSync
  /** Runs an effect while no one else uses the connection that writes. */
  readonly exclusively: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The transaction of `sql` that is open now, whoever's it is. */
  readonly openTransaction: () => object | undefined
  /** The transaction of `sql` that the context carries, if it is open now. */
  readonly transactionOf: (context: Context.Context<never>) => Transaction | undefined
  /**
   * Runs an effect in a transaction of `sql`. A failed `BEGIN` is an error of the store; a failed `COMMIT` may be of unknown
   * outcome.
   */
  readonly transact: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AuditError, R>
  /**
   * Why the open file is not the one at its path any more, if it is not. An answer may be as old as `withinMillis`; it is
   * fresh unless given.
   */
  readonly gone: (withinMillis?: number | undefined) => AuditReason | undefined
}>()("effect-audit/sqlite/SqliteClient") {}

/** The file is looked at with every commit; its write-ahead log alone, which no one removes alone, at most this often. */
const walCheckMillis = 20

const method = "SqliteClient.open"
const fail = (reason: AuditReason) => new AuditError({ method, reason })

/** Waits between tries for a lock that another process holds: 1 ms, then more, up to 20 ms. */
export const backoff = (tries: number): Duration.Duration => Duration.millis(Math.min(20, 1 + tries * 2))

/** Retries what another process's lock prevents, on a timer. */
const whileBusy = <A>(evaluate: () => A, deadlineMillis: number): Effect.Effect<A, Problem> =>
  Effect.flatMap(Clock.currentTimeMillis, (started) => {
    const go = (tries: number): Effect.Effect<A, Problem> =>
      Effect.catch(
        attempt(evaluate),
        (problem) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            isBusy(problem.cause) && now - started < deadlineMillis
              ? Effect.andThen(Effect.sleep(backoff(tries)), go(tries + 1))
              : Effect.fail(problem))
      )
    return go(0)
  })

const prepareFile = (db: DatabaseSync, fresh: boolean) => {
  db.exec("PRAGMA busy_timeout = 0; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -65536")
  // The first write marks the file as ours, in one rollback-journal transaction: killed here, it is empty or ours.
  if (fresh) db.exec(`PRAGMA page_size = 8192; PRAGMA application_id = ${applicationId}`)
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000")
}

const pragma = (db: DatabaseSync, name: string): number =>
  Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0])

const migrate = (db: DatabaseSync, adopt: boolean): AuditReason | undefined => {
  db.exec("BEGIN IMMEDIATE")
  try {
    const version = pragma(db, "user_version")
    if (pragma(db, "application_id") !== applicationId) {
      if (!adopt) return new SinkRejected({ detail: "the file is a database, but not an audit store" })
      db.exec(`PRAGMA application_id = ${applicationId}`)
    }
    if (version > migrations.length) {
      return new SinkRejected({
        detail: `the file has version ${version}, newer than the ${migrations.length} of this release`
      })
    }
    for (const { after, sql } of migrations.slice(version)) {
      db.exec(sql)
      after?.(db)
    }
    if (version < migrations.length) db.exec(`PRAGMA user_version = ${migrations.length}`)
    db.exec("COMMIT")
    return undefined
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK")
  }
}

const open = Effect.fnUntraced(function*(options: Options, deadlineMillis: number): Effect.fn.Return<
  { readonly db: DatabaseSync; readonly identity: FileIdentity },
  AuditError,
  Scope.Scope
> {
  const { filename } = options
  const found = yield* Effect.acquireRelease(
    Effect.suspend(() => {
      const checked = checkFile(filename, { adopt: options.adopt === true, mustExist: options.mustExist === true })
      return "reason" in checked ? Effect.fail(fail(checked.reason)) : Effect.succeed(checked)
    }),
    ({ identity }) => Effect.sync(() => releaseFile(identity))
  )
  const refuse = (problem: Problem) => fail(sqliteReason(problem.cause, `cannot open ${filename}`))
  const db = yield* Effect.acquireRelease(
    Effect.mapError(attempt(() => new DatabaseSync(filename, { timeout: 0 })), refuse),
    (db) => Effect.sync(() => db.close())
  )
  yield* Effect.mapError(whileBusy(() => prepareFile(db, found.fresh), deadlineMillis), refuse)
  const refused = yield* Effect.mapError(whileBusy(() => migrate(db, options.adopt === true), deadlineMillis), refuse)
  if (refused !== undefined) return yield* fail(refused)
  return { db, identity: found.identity }
})

/** Keeps an effect's own errors apart from those of `BEGIN` and `COMMIT`. */
class OfEffect<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

/** A file found missing after the commit may have been there before it: the outcome is not known. */
export const goneAfterCommit = (reason: AuditReason): AuditReason => new CommitUnknown({ detail: reason.message })

const transactionError = ({ reason }: SqlError, filename: string, deadlineMillis: number): AuditError => {
  const { cause } = reason
  const why = isBusy(cause)
    ? new SinkUnavailable({ detail: `another process held the lock of ${filename} for ${deadlineMillis} ms` })
    : cause instanceof SinkTimeout
    ? cause
    : cause instanceof SinkUnavailable
    ? reason.operation === "commit" ? goneAfterCommit(cause) : cause
    : reasonOf(new Problem({ cause }), filename, reason.operation === "execute")
  return new AuditError({ method: "SqliteClient.transact", reason: why })
}

type Params = ReadonlyArray<unknown>
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const toSqlError = (problem: Problem): SqlError => new SqlError({ reason: problem.toSqlReason() })

/** A connection for `SqlClient`: statements are prepared once, and wait for other processes' locks on a timer. */
const makeConnection = (db: DatabaseSync, deadlineMillis: number) => {
  const cache = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const statement = cache.get(sql) ?? db.prepare(sql)
    cache.delete(sql) // set again below: the map stays in least-recently-used order
    const oldest = cache.size >= 128 ? cache.keys().next().value : undefined
    if (oldest !== undefined) cache.delete(oldest)
    cache.set(sql, statement)
    return statement
  }
  const statementOf = (fiber: Fiber.Fiber<unknown, unknown>, sql: string, cached: boolean, arrays: boolean) => {
    const statement = cached ? prepare(sql) : db.prepare(sql)
    statement.setReadBigInts(Context.get(fiber.context, SqlClient.SafeIntegers))
    statement.setReturnArrays(arrays)
    return statement
  }
  const all = (statement: StatementSync, params: Params) => {
    const values = params as ReadonlyArray<SQLInputValue>
    if (statement.columns().length > 0) return statement.all(...values)
    statement.run(...values)
    return []
  }
  const run = <A>(evaluate: (fiber: Fiber.Fiber<unknown, unknown>) => A) =>
    Effect.withFiber<A, SqlError>((fiber) =>
      // Inside a transaction a lock cannot be waited for; outside it nothing has been done yet.
      Effect.mapError(
        db.isTransaction ? attempt(() => evaluate(fiber)) : whileBusy(() => evaluate(fiber), deadlineMillis),
        toSqlError
      )
    )
  const rows = (cached: boolean) => (sql: string, params: Params, transform: Transform) =>
    Effect.map(
      run((fiber) => all(statementOf(fiber, sql, cached, false), params)),
      (result) => transform === undefined ? result : transform(result)
    )
  const values = (cached: boolean) => (sql: string, params: Params) =>
    run((fiber) => all(statementOf(fiber, sql, cached, true), params).map((row) => Object.values(row)))
  return (): Connection => ({
    execute: rows(true),
    executeUnprepared: rows(false),
    executeRaw: (sql, params) =>
      run((fiber) => {
        const statement = statementOf(fiber, sql, true, false)
        return statement.columns().length > 0
          ? statement.all(...params as ReadonlyArray<SQLInputValue>)
          : statement.run(...params as ReadonlyArray<SQLInputValue>)
      }),
    executeValues: values(true),
    executeValuesUnprepared: values(false),
    executeStream: (sql, params, transform) => Stream.fromIterableEffect(rows(true)(sql, params, transform))
  })
}

/** Opens a store; fails with the errors of a sink. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SqliteClient["Service"], AuditError, Scope.Scope | Reactivity> {
  const deadlineMillis = Duration.toMillis(Duration.fromInputUnsafe(options.deadline ?? "5 seconds"))
  // Absolute: the process may change its folder later.
  const filename = options.filename === "" ? "" : resolve(options.filename)
  const { db, identity } = yield* open({ ...options, filename }, deadlineMillis)
  const reader = yield* Effect.acquireRelease(
    Effect.mapError(
      whileBusy(() => {
        const reader = new DatabaseSync(filename, { timeout: 0 })
        reader.exec(
          "PRAGMA query_only = ON; PRAGMA busy_timeout = 0; PRAGMA cache_size = -32768; SELECT 1 FROM log LIMIT 1"
        )
        return reader
      }, deadlineMillis),
      (problem) => fail(sqliteReason(problem.cause, `cannot read ${filename}`))
    ),
    (reader) => Effect.sync(() => reader.close())
  )
  // Both connections have read by now, so the write-ahead log exists, and stays as long as one of them is open.
  const wal = identityOf(`${filename}-wal`)
  const clock = yield* Clock.Clock
  let walChecked = -Infinity
  let fileChecked = -Infinity
  const isWalHere = (now: number): boolean => {
    if (wal === undefined || Math.abs(now - walChecked) < walCheckMillis) return true
    walChecked = now
    return isOpenHere(`${filename}-wal`, wal)
  }
  const gone = (withinMillis = 0): AuditReason | undefined => {
    const now = clock.currentTimeMillisUnsafe()
    if (Math.abs(now - fileChecked) < withinMillis) return undefined
    if (isOpenHere(filename, identity) && isWalHere(now)) {
      fileChecked = now
      return undefined
    }
    fileChecked = -Infinity
    walChecked = -Infinity
    return new SinkUnavailable({ detail: `${filename} was removed or replaced while it was open` })
  }

  const semaphore = yield* Semaphore.make(1)
  const connect = makeConnection(db, deadlineMillis)
  const shared = connect()
  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(shared),
    semaphore,
    isTransaction: () => db.isTransaction
  })
  let current: Connection | undefined
  // Savepoints are named effect_sql_<level>; nested transactions of one level follow one another.
  let depth = 0
  const level = (name: string) => Number(name.slice(name.lastIndexOf("_") + 1))
  /** A transaction waits for the connection no longer than an event does. */
  const withinDeadline = <A, R>(acquire: Effect.Effect<A, SqlError, R>) =>
    Effect.timeoutOrElse(Effect.interruptible(acquire), {
      duration: deadlineMillis,
      orElse: () => {
        const cause = new SinkTimeout({ detail: `another transaction kept ${filename} for ${deadlineMillis} ms` })
        return Effect.fail(
          new SqlError({ reason: new LockTimeoutError({ message: cause.message, operation: "begin", cause }) })
        )
      }
    })
  const lost = (operation: string) =>
    Effect.suspend(() => {
      const reason = gone()
      return reason === undefined
        ? Effect.void
        : Effect.fail(
          new SqlError({ reason: new ConnectionError({ message: reason.message, operation, cause: reason }) })
        )
    })
  const sql = yield* SqlClient.make({
    ...acquirers,
    // Each transaction gets a connection object of its own, so that it can be told from one that has ended.
    transactionAcquirer: Effect.flatMap(withinDeadline(acquirers.transactionAcquirer), () =>
      Effect.acquireRelease(
        Effect.sync(() => {
          depth = 0
          return current = connect()
        }),
        () => Effect.sync(() => current = undefined)
      )),
    savepoint: (name) => {
      depth = level(name)
      return `SAVEPOINT ${name}`
    },
    // A file that is gone is noticed before anything is written to it, or else before the commit is acknowledged.
    commit: (connection) =>
      lost("before commit").pipe(
        Effect.andThen(connection.execute("COMMIT", [], undefined)),
        Effect.andThen(lost("commit"))
      ),
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => {
      depth = level(name) - 1
      return `RELEASE SAVEPOINT ${name}`
    },
    prepareTransactionControls: true,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
  return SqliteClient.of({
    filename,
    deadlineMillis,
    sql,
    writer: db,
    reader,
    exclusively: Semaphore.withPermit(semaphore),
    openTransaction: () => current,
    transactionOf: (context) => {
      const transaction = Context.getOrUndefined(context, sql.transactionService)
      if (transaction === undefined) return undefined
      const [connection, level] = transaction
      return connection === current && db.isTransaction ? { connection, innermost: level === depth } : undefined
    },
    transact: (effect) =>
      Effect.mapError(
        sql.withTransaction(Effect.mapError(effect, (error) => new OfEffect(error))),
        (error) => error instanceof OfEffect ? error.error : transactionError(error, filename, deadlineMillis)
      ),
    gone
  })
})

/** One SQLite file, for the audit store and for the application's own tables. */
export const layer = (options: Options): Layer.Layer<SqliteClient | SqlClient.SqlClient, AuditError> =>
  Layer.effectContext(
    Effect.map(
      make(options),
      (client) => Context.make(SqliteClient, client).pipe(Context.add(SqlClient.SqlClient, client.sql))
    )
  ).pipe(Layer.provide(layerReactivity))

/** What a failed statement or commit means for an event; `committing` when the outcome may be unknown. */
export const reasonOf = (problem: Problem, filename: string, committing: boolean): AuditReason => {
  const code = errorCode(problem.cause)
  // An I/O error of a commit may come after the bytes were written: only SQLITE_FULL says that they were not.
  if (committing && code !== undefined && (code & 0xff) === 10) {
    return new CommitUnknown({ detail: `the commit to ${filename} failed with an I/O error`, cause: problem.cause })
  }
  const reason = sqliteReason(problem.cause, `cannot write to ${filename}`)
  return reason instanceof SinkFull
    ? new SinkFull({ detail: `no space left for ${filename}`, cause: problem.cause })
    : reason
}
