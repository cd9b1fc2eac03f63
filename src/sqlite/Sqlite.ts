/**
 * The front door: everything that the audit log needs, over one SQLite file.
 *
 *     AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename: "audit.db" })))
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import type { AuditError } from "../AuditError.ts"
import type { AuditStore, Opening, Store } from "../config/AuditConfig.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteLogStore from "./SqliteLogStore.ts"
import * as SqlitePreferences from "./SqlitePreferences.ts"
import * as SqliteSignerState from "./SqliteSignerState.ts"
import * as SqliteSink from "./SqliteSink.ts"
import * as SqliteTrail from "./SqliteTrail.ts"
import * as SqliteWritePolicy from "./SqliteWritePolicy.ts"

export type { AuditStore } from "../config/AuditConfig.ts"
export { backup } from "./backup.ts"

/** How to open a store. */
export interface Options extends SqliteClient.Options, SqliteSink.Options {
  /** The state of the signer, in a file of its own; without it nothing can be signed. */
  readonly signer?: SqliteSignerState.Options | undefined
}

/** Sink, transactions, preferences, trail, logs, policy and signer's state over one file, and its `SqlClient`. */
export const layer = (options: Options): Layer.Layer<AuditStore | SqliteClient.SqliteClient | SqlClient, AuditError> =>
  Layer.mergeAll(
    SqliteSink.layer(options),
    SqlitePreferences.layer,
    SqliteTrail.layer,
    SqliteLogStore.layer,
    SqliteWritePolicy.layer
  ).pipe(
    Layer.provideMerge(SqliteClient.layer(options)),
    Layer.provideMerge(
      options.signer === undefined ? SqliteSignerState.layerNone : SqliteSignerState.layer(options.signer)
    )
  )

/** How to open a store, but for what the configuration says. */
export type StoreOptions = Omit<Options, keyof Opening>

/** A store that is not open yet, for a configuration. */
export class SqliteStore implements Store<SqliteClient.SqliteClient | SqlClient> {
  readonly options: StoreOptions
  constructor(options: StoreOptions) {
    this.options = options
  }
  readonly open = (opening: Opening) => layer({ ...this.options, ...opening })
}

/** One SQLite file as the store of an `AuditConfig`. */
export const store = (options: StoreOptions): SqliteStore => new SqliteStore(options)
