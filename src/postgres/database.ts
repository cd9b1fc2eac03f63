/**
 * The database of a store: the application's own `SqlClient`, the schema that the tables are in, and transactions with
 * the errors of a store.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import { AuditError, InvalidInput } from "../AuditError.ts"
import type { Row } from "../internal/row.ts"
import type { LogName } from "../RequestContext.ts"
import type { Watch } from "../trail/follow.ts"
import { reasonOf } from "./problem.ts"

/** Runs one statement with parameters `$1`, `$2`, and returns its rows. */
export type Run = (text: string, params?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>, SqlError>

/** What the parts of a store share. */
export interface Opened {
  readonly sql: SqlClient.SqlClient
  /** The name of the schema, quoted. */
  readonly schema: string
  readonly deadlineMillis: number
  /** In the transaction that the fiber carries, or alone. */
  readonly run: Run
  /** Reads what is committed, whatever transaction the fiber carries. */
  readonly committed: Run
  /**
   * Reads what is committed, planned for just these parameters: how many rows are wanted decides how they are found.
   */
  readonly planned: Run
  /** Runs an effect in a transaction, or in a savepoint of the one that the fiber carries. */
  readonly transact: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AuditError, R>
  /** The same, with the errors of the client. */
  readonly inTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  /** The transaction that a context carries. */
  readonly transactionOf: (context: Context.Context<never>) => object | undefined
  /** Runs an effect without the transaction that the fiber carries. */
  readonly outside: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** A connection of its own, for as long as the scope. */
  readonly reserve: Effect.Effect<Run, SqlError, Scope.Scope>
}

/** The database of a store that is open. */
export class Database extends Context.Service<Database, Opened>()("effect-audit/postgres/Database") {}

/** Tells who follows of what this process commits. */
export class Commits extends Context.Service<Commits, {
  readonly tell: (keys: ReadonlySet<string>) => void
  readonly watch: (name: LogName) => Effect.Effect<Watch, never, Scope.Scope>
}>()("effect-audit/postgres/Commits") {}

/**
 * Whether what is read is read in the transaction that the fiber carries: who holds a log's lock must not wait for
 * another connection, which others may hold that wait for the lock.
 */
export const InTransaction = Context.Reference<boolean>("effect-audit/postgres/InTransaction", {
  defaultValue: () => false
})

/** Where a store is. */
export interface Options {
  /** The schema of the tables: lower-case letters, digits and `_`; `audit` unless given. */
  readonly schema?: string | undefined
  /** Whether the store must be there already; unless given, its tables are made where they are missing. */
  readonly mustExist?: boolean | undefined
  /** How long an event waits for its commit, in milliseconds; 5,000 unless given. */
  readonly deadlineMillis?: number | undefined
}

const refuse = (path: string, detail: string) =>
  new AuditError({ method: "Postgres.layer", reason: new InvalidInput({ path, detail }) })

/** The name of a schema, quoted. */
export const schemaOf = (name: string): Effect.Effect<string, AuditError> =>
  /^[a-z_][a-z0-9_]{0,62}$/.test(name) && !name.startsWith("pg_")
    ? Effect.succeed(`"${name}"`)
    : Effect.fail(refuse("/schema", "must be lower-case letters, digits and _, and not begin with pg_"))

/** Keeps an effect's own errors apart from those of the transaction around it. */
class OfEffect<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

/**
 * Runs an effect in a transaction of a client, or in a savepoint. Where its connection is lost, the client cannot roll
 * back and dies of that: the server has, so here it fails as the effect did.
 */
const transactionally =
  (sql: SqlClient.SqlClient): Opened["inTransaction"] =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
    Effect.suspend(() => {
      let own: OfEffect<E> | undefined
      const inside = Effect.mapError(effect, (error) => own = new OfEffect(error))
      return Effect.catchCause(
        sql.withTransaction(inside),
        ({ reasons }): Effect.Effect<never, E | SqlError> => {
          const valueOf = (reason: Cause.Reason<unknown>) =>
            reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
          if (own !== undefined && reasons.some((reason) => valueOf(reason) === own)) return Effect.fail(own.error)
          const others = reasons.flatMap((reason): ReadonlyArray<Cause.Reason<never>> =>
            reason._tag === "Fail" || valueOf(reason) instanceof SqlError ? [] : [reason]
          )
          if (others.length > 0) return Effect.failCause(Cause.fromReasons(others))
          const lost = reasons.map(valueOf).find((value) => value instanceof SqlError)
          return lost === undefined ? Effect.interrupt : Effect.fail(lost)
        }
      )
    })

const transacting =
  (sql: SqlClient.SqlClient): Opened["transact"] =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditError, R> =>
    Effect.withFiber((fiber) => {
      const isNested = Context.getOrUndefined(fiber.context, sql.transactionService) !== undefined
      let ended = false
      const inside = Effect.mapError(effect, (error) => new OfEffect(error)).pipe(
        Effect.tap(() => Effect.sync(() => ended = true))
      )
      return Effect.mapError(transactionally(sql)(inside), (error) => {
        if (error instanceof OfEffect) return error.error
        // A savepoint that is lost goes with its transaction: only that of the outermost level is not known.
        const reason = reasonOf(error, "the transaction", ended && !isNested)
        return new AuditError({ method: "Transactions.transact", reason })
      })
    })

/** The database behind a client. */
export const make = Effect.fnUntraced(function*(
  { deadlineMillis = 5000, schema = "audit" }: Options
): Effect.fn.Return<Opened, AuditError, SqlClient.SqlClient> {
  const sql = yield* SqlClient.SqlClient
  // Columns keep their names, whatever the client makes of those of the application.
  const plain = sql.withoutTransforms()
  const run: Run = (text, params) => plain.unsafe<Row>(text, params)
  const outside = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.withFiber((fiber) =>
      Context.getOrUndefined(fiber.context, sql.transactionService) === undefined
        ? effect
        : Effect.updateContext(
          effect,
          (context: Context.Context<never>) => Context.omit(sql.transactionService)(context)
        )
    )
  return {
    sql,
    schema: yield* schemaOf(schema),
    deadlineMillis,
    run,
    outside,
    committed: (text, params) => outside(run(text, params)),
    planned: (text, params) => outside(plain.unsafe<Row>(text, params).unprepared),
    transact: transacting(sql),
    inTransaction: transactionally(sql),
    transactionOf: (context) => Context.getOrUndefined(context, sql.transactionService)?.[0],
    reserve: Effect.map(
      sql.reserve,
      (connection): Run => (text, params = []) => connection.execute(text, params, undefined)
    )
  }
})
