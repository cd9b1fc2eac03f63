/**
 * The `SqlClient` that an application uses for its own tables in the file, over the connection that writes.
 *
 * Statements are prepared once; waiting for another process's lock is done on a timer.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Reactivity } from "effect/reactivity/Reactivity"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection as SqlConnection } from "effect/sql/SqlConnection"
import { ConnectionError, LockTimeoutError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import { AuditError, SinkTimeout, SinkUnavailable } from "../AuditError.ts"
import type { Connection, Transaction } from "./connection.ts"
import { attempt, goneAfterCommit, isBusy, Problem, reasonOf, untilFree } from "./problem.ts"

type Params = ReadonlyArray<unknown>
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** What a transaction begins and ends with. */
const control = /^\s*(?:BEGIN|ROLLBACK)\b/i

const toSqlError = (problem: Problem): SqlError => new SqlError({ reason: problem.toSqlReason() })

/** Makes connections for `SqlClient` over one database. */
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
  const run = <A>(inTransaction: boolean, sql: string, evaluate: (fiber: Fiber.Fiber<unknown, unknown>) => A) =>
    Effect.withFiber<A, SqlError>((fiber) => {
      const step = attempt(() => {
        // SQLite may end a transaction by itself (`OR ROLLBACK`, a full disk): what follows must not commit one by one.
        if (inTransaction && !db.isTransaction && !control.test(sql)) throw new Error("the transaction was rolled back")
        return evaluate(fiber)
      })
      // Inside a transaction a lock cannot be waited for; outside it nothing has been done yet.
      return Effect.mapError(db.isTransaction ? step : untilFree(step, deadlineMillis), toSqlError)
    })
  const rows = (inside: boolean, cached: boolean) => (sql: string, params: Params, transform: Transform) =>
    Effect.map(
      run(inside, sql, (fiber) => all(statementOf(fiber, sql, cached, false), params)),
      (result) => transform === undefined ? result : transform(result)
    )
  const values = (inside: boolean, cached: boolean) => (sql: string, params: Params) =>
    run(inside, sql, (fiber) => all(statementOf(fiber, sql, cached, true), params).map((row) => Object.values(row)))
  return (inside: boolean): SqlConnection => ({
    execute: rows(inside, true),
    executeUnprepared: rows(inside, false),
    executeRaw: (sql, params) =>
      run(inside, sql, (fiber) => {
        const statement = statementOf(fiber, sql, true, false)
        return statement.columns().length > 0
          ? statement.all(...params as ReadonlyArray<SQLInputValue>)
          : statement.run(...params as ReadonlyArray<SQLInputValue>)
      }),
    executeValues: values(inside, true),
    executeValuesUnprepared: values(inside, false),
    executeStream: (sql, params, transform) => Stream.fromIterableEffect(rows(inside, true)(sql, params, transform))
  })
}

/**
 * Leases the connection; a stream gives it back once its rows are read, however slowly they are taken: whoever emits
 * for each of them would wait for the stream.
 */
const leased = (
  lease: Effect.Effect<SqlConnection, SqlError, Scope.Scope>,
  writer: DatabaseSync
): Effect.Effect<SqlConnection, SqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const connection = yield* Scope.provide(lease, scope)
    const giveBack = Effect.suspend(() => writer.isTransaction ? Effect.void : Scope.close(scope, Exit.void))
    return {
      ...connection,
      executeStream: (sql, params, transform) =>
        Stream.fromIterableEffect(Effect.ensuring(connection.execute(sql, params, transform), giveBack))
    }
  })

/** The client, and which of its transactions is open. */
export interface Client {
  readonly sql: SqlClient.SqlClient
  readonly openTransaction: () => object | undefined
  readonly transactionOf: (context: Context.Context<never>) => Transaction | undefined
  readonly isLost: (context: Context.Context<never>) => boolean
}

/** Fails where the file is not the one that was opened. */
const present = ({ gone }: Connection, operation: string) =>
  Effect.suspend(() => {
    const reason = gone()
    return reason === undefined
      ? Effect.void
      : Effect.fail(
        new SqlError({ reason: new ConnectionError({ message: reason.message, operation, cause: reason }) })
      )
  })

/** A transaction waits for the connection no longer than an event does. */
const withinDeadline = <A, R>({ deadlineMillis, filename }: Connection, acquire: Effect.Effect<A, SqlError, R>) =>
  Effect.timeoutOrElse(Effect.interruptible(acquire), {
    duration: deadlineMillis,
    orElse: () => {
      const cause = new SinkTimeout({ detail: `another transaction kept ${filename} for ${deadlineMillis} ms` })
      return Effect.fail(
        new SqlError({ reason: new LockTimeoutError({ message: cause.message, operation: "begin", cause }) })
      )
    }
  })

/** Builds the client. */
export const makeClient = Effect.fnUntraced(function*(
  connection: Connection
): Effect.fn.Return<Client, never, Reactivity> {
  const { deadlineMillis, semaphore, writer } = connection
  const connect = makeConnection(writer, deadlineMillis)
  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(connect(false)),
    semaphore,
    isTransaction: () => writer.isTransaction
  })
  let current: SqlConnection | undefined
  // Savepoints are named effect_sql_<level>; nested transactions of one level follow one another.
  let depth = 0
  let isCommitted = false
  const level = (name: string) => Number(name.slice(name.lastIndexOf("_") + 1))
  const sql = yield* SqlClient.make({
    ...acquirers,
    acquirer: leased(acquirers.acquirer, writer),
    // Each transaction gets a connection object of its own, so that it can be told from one that has ended.
    transactionAcquirer: Effect.flatMap(
      withinDeadline(connection, acquirers.transactionAcquirer),
      () =>
        Effect.acquireRelease(
          Effect.sync(() => {
            depth = 0
            isCommitted = false
            return current = connect(true)
          }),
          () => Effect.sync(() => current = undefined)
        )
    ),
    savepoint: (name) => {
      depth = level(name)
      return `SAVEPOINT ${name}`
    },
    // A file that is gone is noticed before anything is written to it, or else before the commit is acknowledged.
    commit: (transaction) =>
      present(connection, "before commit").pipe(
        Effect.andThen(transaction.execute("COMMIT", [], undefined)),
        Effect.tap(() => Effect.sync(() => isCommitted = true)),
        Effect.andThen(present(connection, "commit"))
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
  return {
    sql,
    isLost: (context) =>
      current !== undefined && !isCommitted && !writer.isTransaction &&
      Context.getOrUndefined(context, sql.transactionService)?.[0] === current,
    openTransaction: () => current,
    transactionOf: (context) => {
      const transaction = Context.getOrUndefined(context, sql.transactionService)
      if (transaction === undefined) return undefined
      const [connection, level] = transaction
      return connection === current && writer.isTransaction ? { connection, innermost: level >= depth } : undefined
    }
  }
})

/** Keeps an effect's own errors apart from those of `BEGIN` and `COMMIT`. */
class OfEffect<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

const transactionError = ({ reason }: SqlError, { deadlineMillis, filename }: Connection): AuditError => {
  const { cause } = reason
  const why = isBusy(cause)
    ? new SinkUnavailable({ detail: `another process held the lock of ${filename} for ${deadlineMillis} ms` })
    : cause instanceof SinkTimeout
    ? cause
    : cause instanceof SinkUnavailable
    ? reason.operation === "commit" ? goneAfterCommit(cause) : cause
    : reasonOf(new Problem({ cause }), filename, reason.operation === "execute")
  return new AuditError({ method: "Transactions.transact", reason: why })
}

/** Runs effects in transactions of a client, with the errors of the store. */
export const transacting =
  (connection: Connection, sql: SqlClient.SqlClient) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditError, R> =>
    Effect.mapError(
      sql.withTransaction(Effect.mapError(effect, (error) => new OfEffect(error))),
      (error) => error instanceof OfEffect ? error.error : transactionError(error, connection)
    )
