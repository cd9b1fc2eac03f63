/**
 * The store that a verb works on, and flags that several verbs share.
 *
 * @internal
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditError } from "../AuditError.ts"
import * as LoggingEngine from "../LoggingEngine.ts"
import * as PiiStripper from "../PiiStripper.ts"
import { Env, TenantId } from "../RequestContext.ts"
import * as SqliteClient from "../sqlite/SqliteClient.ts"
import * as SqlitePreferences from "../sqlite/SqlitePreferences.ts"
import * as SqliteSink from "../sqlite/SqliteSink.ts"
import * as SqliteTrail from "../sqlite/SqliteTrail.ts"
import { Failed } from "./exit.ts"

export const dbFlag = Flag.String("db").pipe(Flag.withDescription("The store: a SQLite file"))
export const tenantFlag = Flag.String("tenant").pipe(
  Flag.withSchema(TenantId),
  Flag.withDescription("The tenant, such as t_acme")
)
export const envFlag = Flag.String("env").pipe(Flag.withSchema(Env), Flag.withDescription("The env, such as prod"))

/** Everything that writes and reads one file. */
export const writable = (filename: string) =>
  Layer.mergeAll(LoggingEngine.layer, SqliteTrail.layer).pipe(
    Layer.provide([PiiStripper.layer, SqliteSink.layer]),
    Layer.provideMerge(SqlitePreferences.layer),
    Layer.provide(SqliteClient.layer({ filename, deadline: "10 seconds" }))
  )

/** What only reads a file, which must exist. */
export const readable = (filename: string) =>
  Layer.mergeAll(SqliteTrail.layer, SqlitePreferences.layer).pipe(
    Layer.provide(SqliteClient.layer({ filename, mustExist: true, deadline: "10 seconds" }))
  )

/** An error of the store as a message to the user. */
export const toFailed = (error: AuditError): Failed => new Failed({ message: error.message })

/** Turns errors of the store into messages. */
export const failing = Effect.mapError(toFailed)
