/**
 * Training preferences in a SQLite file.
 *
 * Look-ups are cached (`OptOuts`): a change is seen at once where it was made, within a second in other processes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditError } from "../AuditError.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { elapsed } from "../internal/elapsed.ts"
import { OptOuts } from "../internal/optOuts.ts"
import { listMethod, preferencesOf } from "../internal/preferenceRows.ts"
import type { LogName } from "../RequestContext.ts"
import {
  type Answer,
  type Preference,
  type Question,
  TrainingPreferences,
  type Unavailable
} from "../TrainingPreferences.ts"
import { type ClientConnection, connectionOf, type OpenReader, openReader, readOnly } from "./connection.ts"
import type { ReadOptions } from "./file.ts"
import { attempt, failing, once, Problem } from "./problem.ts"
import { SqliteClient } from "./SqliteClient.ts"

const allOf = "SELECT * FROM audit_preference WHERE tenant_id = ? AND env = ? ORDER BY user_id"

/** Look-ups and lists on the connection that reads. */
const over = ({ filename, openTransaction, reader }: OpenReader & Pick<ClientConnection, "openTransaction">) => {
  const one = once(() =>
    reader.prepare("SELECT training_allowed FROM audit_preference WHERE tenant_id = ? AND env = ? AND user_id = ?")
  )
  const version = once(() => reader.prepare("SELECT version FROM audit_preference_version"))
  const optOuts = new OptOuts({
    version: () => version().get()?.["version"],
    isOptedOut: ({ env, tenantId, userId }) => one().get(tenantId, env, userId ?? "")?.["training_allowed"] === 0,
    openTransaction
  })
  const failed = failing("TrainingPreferences.lookup", filename)
  const lookup = (question: Question) =>
    Effect.flatMap(elapsed, (now): Effect.Effect<Answer, Unavailable> => {
      try {
        return Effect.succeed(optOuts.answer(question, now))
      } catch (cause) {
        return Effect.fail({ detail: failed(new Problem({ cause })).reason.message })
      }
    })
  const list = ({ env, tenantId }: LogName) =>
    attempt(() => reader.prepare(allOf).all(tenantId, env)).pipe(
      Effect.mapError(failing(listMethod, filename)),
      Effect.flatMap((rows) => preferencesOf(rows, filename))
    )
  return { lookup, list, optOuts }
}

/** Builds the preferences over the client's file. */
export const make: Effect.Effect<TrainingPreferences["Service"], never, SqliteClient> = Effect.gen(function*() {
  const client = connectionOf(yield* SqliteClient)
  const { filename, writer } = client
  const { list, lookup, optOuts } = over(client)
  const upsert = once(() =>
    writer.prepare(
      "INSERT INTO audit_preference (tenant_id, env, user_id, training_allowed) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT (tenant_id, env, user_id) DO UPDATE SET training_allowed = excluded.training_allowed"
    )
  )
  const set = ({ env, tenantId, trainingAllowed, userId }: Preference) =>
    attempt(() => upsert().run(tenantId, env, userId ?? "", trainingAllowed ? 1 : 0))
  const service = TrainingPreferences.of({
    lookup,
    change: (preference, record) =>
      client.transact(
        Effect.suspend(() => {
          if (!preference.trainingAllowed) optOuts.leave(preference)
          return set(preference)
        }).pipe(
          Effect.mapError(failing("TrainingPreferences.change", filename)),
          Effect.andThen(record),
          Effect.tap(client.afterCommit(Effect.sync(() => optOuts.forget())))
        )
      ),
    list
  })
  keepsDeadline(service, 0)
  return service
})

/** Training preferences in the client's file. */
export const layer: Layer.Layer<TrainingPreferences, never, SqliteClient> = Layer.effect(TrainingPreferences, make)

/** The preferences of a file that is opened for reading only; to change one is refused. */
export const layerReadOnly = (options: ReadOptions): Layer.Layer<TrainingPreferences, AuditError> =>
  Layer.effect(
    TrainingPreferences,
    Effect.map(openReader(options), (reading) => {
      const { list, lookup } = over({ ...reading, openTransaction: () => undefined })
      return TrainingPreferences.of({ lookup, list, change: () => readOnly("TrainingPreferences.change", reading) })
    })
  )
