/** The media that a verb may work on: a SQLite file, or a schema in PostgreSQL. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { AuditError } from "../AuditError.ts"
import type { AuditStore } from "../config/AuditConfig.ts"
import { isWriteProtected } from "../internal/files.ts"
import type { LogStore } from "../ledger/LogStore.ts"
import { type SignedOrigin, SignerState } from "../ledger/Signer.ts"
import * as Postgres from "../postgres/Postgres.ts"
import * as PostgresSignerState from "../postgres/PostgresSignerState.ts"
import type { RelayState } from "../relay/RelayState.ts"
import * as SqlRelayState from "../relay/SqlRelayState.ts"
import * as Sqlite from "../sqlite/Sqlite.ts"
import * as SqliteClient from "../sqlite/SqliteClient.ts"
import * as SqliteLogStore from "../sqlite/SqliteLogStore.ts"
import * as SqlitePreferences from "../sqlite/SqlitePreferences.ts"
import * as SqliteSignerState from "../sqlite/SqliteSignerState.ts"
import * as SqliteTrail from "../sqlite/SqliteTrail.ts"
import type { AuditTrail } from "../trail/AuditTrail.ts"
import type { TrainingPreferences } from "../TrainingPreferences.ts"
import { Failed, type UsageError } from "./exit.ts"
import { type Address, clientOf, isAddress, parseAddress } from "./postgres.ts"

/** Where the state of a signer is: a file, or the address of a database. */
export interface StateOptions {
  readonly state: string
  readonly newSigner?: boolean | undefined
}

/** How a store is opened. */
export interface StoreOptions {
  readonly deployment?: string | undefined
  readonly mustExist?: boolean | undefined
  readonly signer?: StateOptions | undefined
}

type Layered<A> = Layer.Layer<A, AuditError | Failed | UsageError, FileSystem.FileSystem>

/** A store that is not open yet. */
export interface Medium {
  /** The file, where it is one. */
  readonly filename: string | undefined
  readonly store: (options: StoreOptions) => Layered<AuditStore>
  /** What only reads a store, which must exist. */
  readonly reading: Layered<AuditTrail | TrainingPreferences>
  /** The logs of a store that is never changed. */
  readonly verifying: Layered<LogStore>
  /** What the relays of a store remember, and its logs. */
  readonly relaying: Layered<RelayState | AuditTrail>
  /** Moves old events into partitions, where the medium has them. */
  readonly partition: Partitioning | undefined
}

type Partitioning = (options: Omit<Postgres.PartitionOptions, "schema">) => Effect.Effect<
  ReadonlyArray<Postgres.Partition>,
  AuditError | Failed | UsageError,
  FileSystem.FileSystem
>

const waiting = { deadline: "10 seconds" } as const

/** One SQLite file. */
export const sqlite = (filename: string, own: Partial<Sqlite.StoreOptions> = {}): Medium => ({
  filename,
  store: ({ signer, ...options }) =>
    signer !== undefined && isAddress(signer.state)
      ? Layer.effectContext(
        Effect.fail(new Failed({ message: "the signer's state of a file is a file: --state FILE" }))
      )
      : Sqlite.layer({ ...waiting, ...own, ...options, signer, filename }),
  // Whoever may write to the file does not leave what was written last in a log beside it.
  reading: Layer.unwrap(Effect.sync(() =>
    isWriteProtected(filename)
      ? Layer.mergeAll(
        SqliteTrail.layerReadOnly({ ...waiting, filename }),
        SqlitePreferences.layerReadOnly({ ...waiting, filename })
      )
      : Layer.mergeAll(SqliteTrail.layer, SqlitePreferences.layer).pipe(
        Layer.provide(SqliteClient.layer({ ...waiting, filename, mustExist: true }))
      )
  )),
  verifying: SqliteLogStore.layerReadOnly({ ...waiting, filename }),
  relaying: SqlRelayState.layer().pipe(
    Layer.provideMerge(Sqlite.layer({ ...waiting, ...own, filename, mustExist: true }))
  ),
  partition: undefined
})

/** The state of a signer. */
export const stateLayer = ({ newSigner, state }: StateOptions): Layered<SignerState> =>
  isAddress(state)
    ? Layer.unwrap(
      Effect.map(parseAddress(state), (address) =>
        PostgresSignerState.layer({ schema: address.schema, newSigner }).pipe(Layer.provide(clientOf(address))))
    )
    : SqliteSignerState.layer({ state, newSigner })

/** What a state says that was signed. */
export const readState = (
  state: string
): Effect.Effect<ReadonlyArray<SignedOrigin>, AuditError | Failed | UsageError, FileSystem.FileSystem> =>
  isAddress(state)
    ? Effect.provide(Effect.flatMap(SignerState, ({ origins }) => origins), stateLayer({ state }))
    : SqliteSignerState.read(state)

/** A store in PostgreSQL, by its address. */
const postgres = (address: Address): Medium => {
  const client = clientOf(address)
  const options = { schema: address.schema, deadlineMillis: 10_000 }
  const existing = Postgres.layer({ ...options, mustExist: true }).pipe(Layer.provide(client))
  return {
    filename: undefined,
    store: ({ signer, ...opening }) =>
      Postgres.layerSigning({ ...options, ...opening }).pipe(
        Layer.provideMerge(signer === undefined ? PostgresSignerState.layerNone : stateLayer(signer)),
        Layer.provide(client)
      ),
    reading: existing,
    verifying: existing,
    relaying: Layer.provideMerge(SqlRelayState.layer({ schema: address.schema }), existing).pipe(Layer.provide(client)),
    partition: (options) => Effect.provide(Postgres.partition({ ...options, schema: address.schema }), client)
  }
}

/** A store in PostgreSQL of a configuration, which brings its own client. */
export const configured = (store: Postgres.PostgresStore): Medium => ({
  filename: undefined,
  store: ({ signer, ...opening }) =>
    store.layer({
      ...opening,
      ...signer === undefined ? {} : { signer: store.signer(signer) }
    }),
  reading: store.layer({ mustExist: true }),
  verifying: store.layer({ mustExist: true }),
  relaying: SqlRelayState.layer({ schema: store.options.schema }).pipe(
    Layer.provideMerge(store.layer({ mustExist: true }))
  ),
  partition: (options) => Effect.provide(Postgres.partition({ ...options, schema: store.options.schema }), store.client)
})

/** The medium of a store's name: a file, or the address of a database. */
export const mediumOf = (name: string, own?: Partial<Sqlite.StoreOptions>): Effect.Effect<Medium, UsageError> =>
  isAddress(name) ? Effect.map(parseAddress(name), postgres) : Effect.succeed(sqlite(name, own))
