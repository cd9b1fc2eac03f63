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
import type { EventSink } from "../EventSink.ts"
import type { LogStore } from "../ledger/LogStore.ts"
import type { SignerState } from "../ledger/Signer.ts"
import type { AuditTrail } from "../trail/AuditTrail.ts"
import type { TrainingPreferences } from "../TrainingPreferences.ts"
import type { Transactions } from "../Transactions.ts"
import type { WritePolicy } from "../WritePolicy.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteLogStore from "./SqliteLogStore.ts"
import * as SqlitePreferences from "./SqlitePreferences.ts"
import * as SqliteSignerState from "./SqliteSignerState.ts"
import * as SqliteSink from "./SqliteSink.ts"
import * as SqliteTrail from "./SqliteTrail.ts"
import * as SqliteWritePolicy from "./SqliteWritePolicy.ts"

export { backup } from "./backup.ts"

/** How to open a store. */
export interface Options extends SqliteClient.Options, SqliteSink.Options {
  /** The state of the signer, in a file of its own; without it nothing can be signed. */
  readonly signer?: SqliteSignerState.Options | undefined
}

/** What a medium gives. */
export type AuditStore =
  | EventSink
  | Transactions
  | TrainingPreferences
  | AuditTrail
  | LogStore
  | SignerState
  | WritePolicy

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
