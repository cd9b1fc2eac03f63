/**
 * The front door: everything that the audit log needs, over PostgreSQL and the application's own `SqlClient`.
 *
 *     AuditLogger.layer().pipe(
 *       Layer.provideMerge(Postgres.layer()),
 *       Layer.provideMerge(PgClient.layer({ url }))
 *     )
 *
 * Any number of processes may write to one database.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import { AuditError, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import type { AuditStore, Opening, Store } from "../config/AuditConfig.ts"
import { stringOf } from "../internal/row.ts"
import type { SignerState } from "../ledger/Signer.ts"
import { Transactions } from "../Transactions.ts"
import { durableCommits } from "./append.ts"
import { Commits, Database, make, type Opened, type Options as DatabaseOptions } from "./database.ts"
import { migrate } from "./Migrations.ts"
import * as PostgresLogStore from "./PostgresLogStore.ts"
import * as PostgresPreferences from "./PostgresPreferences.ts"
import * as PostgresSignerState from "./PostgresSignerState.ts"
import * as PostgresSink from "./PostgresSink.ts"
import * as PostgresTrail from "./PostgresTrail.ts"
import * as PostgresWritePolicy from "./PostgresWritePolicy.ts"
import { failing } from "./problem.ts"
import { Watching } from "./watching.ts"

export type { AuditStore } from "../config/AuditConfig.ts"
export { type Partition, partition, type PartitionOptions } from "./partition.ts"
export { grant } from "./roles.ts"

/** How to open a store. */
export interface Options extends DatabaseOptions, PostgresSink.Options {}

const refuse = (detail: string) => new AuditError({ method: "Postgres.layer", reason: new SinkRejected({ detail }) })

const unreachable = new AuditError({
  method: "Postgres.store",
  reason: new SinkUnavailable({ detail: "the client of PostgreSQL cannot be made" })
})

/** Fails where the server says success before data is on disk, unless that is accepted. */
const checkDurable = Effect.fnUntraced(function*(
  { run }: Opened,
  { acceptsLosingAcknowledgedEvents = false }: Options
): Effect.fn.Return<void, AuditError> {
  const [row] = yield* Effect.mapError(
    run(
      "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, version() AS server"
    ),
    failing("Postgres.layer")
  )
  if (acceptsLosingAcknowledgedEvents) return
  const accept = "a crash of the server would lose acknowledged events (acceptsLosingAcknowledgedEvents)"
  if (stringOf(row, "fsync") !== "on") return yield* refuse(`the server runs with fsync = off: ${accept}`)
  const commit = stringOf(row, "commit") ?? ""
  if (!durableCommits.includes(commit)) {
    return yield* refuse(`the session runs with synchronous_commit = ${commit}: ${accept}`)
  }
})

/** The database, migrated, and who follows it. */
const opened = (options: Options) =>
  Layer.unwrap(
    Effect.gen(function*() {
      const database = yield* make(options)
      yield* checkDurable(database, options)
      yield* migrate(database, options.mustExist)
      const watching = new Watching(database)
      return Layer.mergeAll(
        Layer.succeed(Database, database),
        Layer.succeed(Commits, { tell: watching.tell, watch: watching.watch }),
        Layer.succeed(Transactions, Transactions.of({ transact: database.transact }))
      )
    })
  )

/**
 * Sink, transactions, preferences, trail, logs and policy over the application's client; the state of the signer is
 * given beside it, and nothing can be signed without one.
 */
export const layer = (options: Options = {}): Layer.Layer<AuditStore, AuditError, SqlClient> =>
  layerSigning(options).pipe(Layer.provideMerge(PostgresSignerState.layerNone))

/** A store that is not open yet, for a configuration. */
export interface StoreOptions<E> extends Omit<Options, "deployment" | "mustExist"> {
  /** The application's client. */
  readonly client: Layer.Layer<SqlClient, E>
  /** The state of the signer; in the schema of the store's name and `_signer`, of the same client, unless given. */
  readonly signer?: Layer.Layer<SignerState, AuditError> | undefined
}

/** A store in PostgreSQL that is not open yet. */
export class PostgresStore implements Store<SqlClient> {
  readonly options: Omit<StoreOptions<never>, "client">
  /** The client, with the errors of a store. */
  readonly client: Layer.Layer<SqlClient, AuditError>

  constructor(options: Omit<StoreOptions<never>, "client">, client: Layer.Layer<SqlClient, AuditError>) {
    this.options = options
    this.client = client
  }

  readonly open = ({ deployment, signer }: Opening): Layer.Layer<AuditStore | SqlClient, AuditError> =>
    this.layer({ deployment, ...signer === undefined ? {} : { signer: this.signer(signer) } })

  /** The state of the signer. */
  readonly signer = (
    { newSigner }: { readonly newSigner?: boolean | undefined }
  ): Layer.Layer<SignerState, AuditError, SqlClient> =>
    this.options.signer ??
      PostgresSignerState.layer({ schema: `${this.options.schema ?? "audit"}_signer`, newSigner })

  /** Everything over the client. */
  readonly layer = (
    { deployment, mustExist, signer = PostgresSignerState.layerNone }: Pick<Options, "deployment" | "mustExist"> & {
      readonly signer?: Layer.Layer<SignerState, AuditError, SqlClient> | undefined
    }
  ): Layer.Layer<AuditStore | SqlClient, AuditError> =>
    layerSigning({ ...this.options, deployment, mustExist }).pipe(
      Layer.provideMerge(signer),
      Layer.provideMerge(this.client)
    )
}

/** PostgreSQL as the store of an `AuditConfig`. */
export const store = <E>({ client, ...options }: StoreOptions<E>): PostgresStore =>
  new PostgresStore(
    options,
    Layer.catchCause(client, () => Layer.effectContext(Effect.fail(unreachable)))
  )

/** The same, over a signer's state: `PostgresSignerState.layer`, of another database if possible. */
export const layerSigning = (
  options: Options = {}
): Layer.Layer<Exclude<AuditStore, SignerState>, AuditError, SqlClient | SignerState> =>
  Layer.mergeAll(
    PostgresSink.layer(options),
    PostgresPreferences.layer,
    PostgresTrail.layer,
    PostgresLogStore.layer,
    PostgresWritePolicy.layer
  ).pipe(Layer.provideMerge(opened(options)))
