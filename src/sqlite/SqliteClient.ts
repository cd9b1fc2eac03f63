/**
 * One SQLite file, open for the audit store and for the application's own tables.
 *
 * Provides the `SqlClient` that an application uses for its own tables and transactions, and `Transactions`: what is
 * emitted inside one of them is written in it. The file is opened in WAL mode with `synchronous=FULL` and created with
 * mode 0600.
 *
 * **Gotchas**
 *
 * While a transaction of the `SqlClient` is open, other writes to the file wait: keep it short. Other processes may
 * write to the file; a network file system, a link, or a file that is removed or replaced while open are refused or
 * noticed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { layer as layerReactivity, type Reactivity } from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { AuditError } from "../AuditError.ts"
import { Transactions } from "../Transactions.ts"
import { connect, connectionOf, open } from "./connection.ts"
import type { Options } from "./file.ts"
import { makeClient, transacting } from "./sqlClient.ts"

export type { Options } from "./file.ts"

/** One open SQLite file; what the parts of the store share is out of sight. */
export class SqliteClient extends Context.Service<SqliteClient, {
  readonly filename: string
  /** The application's client for the same file. */
  readonly sql: SqlClient.SqlClient
}>()("effect-audit/sqlite/SqliteClient") {}

/** Opens a store; fails with the errors of a sink. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SqliteClient["Service"], AuditError, Scope.Scope | Reactivity> {
  const connection = yield* open(options)
  const { isLost, openTransaction, sql, transactionOf } = yield* makeClient(connection)
  return connect({ filename: connection.filename, sql }, {
    ...connection,
    isLost,
    openTransaction,
    transactionOf,
    exclusively: Semaphore.withPermit(connection.semaphore),
    transact: transacting(connection, sql),
    // It dies in a level that has ended, below one that has not: then what was written is not known to be settled.
    afterCommit: (effect) => Effect.catchDefect(sql.afterCommit(effect), () => Effect.void)
  })
})

/** One SQLite file, for the audit store and for the application's own tables. */
export const layer = (
  options: Options
): Layer.Layer<SqliteClient | SqlClient.SqlClient | Transactions, AuditError> =>
  Layer.effectContext(
    Effect.map(make(options), (file) => {
      const { transact } = connectionOf(file)
      return Context.make(SqliteClient, file).pipe(
        Context.add(SqlClient.SqlClient, file.sql),
        Context.add(Transactions, Transactions.of({ transact }))
      )
    })
  ).pipe(Layer.provide(layerReactivity))
