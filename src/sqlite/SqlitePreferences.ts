/**
 * Training preferences in a SQLite file.
 *
 * Look-ups are cached (`OptOuts`): a change is seen at once where it was made, within a second in other processes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { elapsed } from "../internal/elapsed.ts"
import { OptOuts } from "../internal/optOuts.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { type Answer, type Preference, TrainingPreferences, type Unavailable } from "../TrainingPreferences.ts"
import { type ClientConnection, connectionOf } from "./connection.ts"
import { attempt, failing, once, Problem } from "./problem.ts"
import { SqliteClient } from "./SqliteClient.ts"

const Rows = Schema.Array(Schema.Struct({
  tenant_id: TenantId,
  env: Env,
  user_id: Schema.String,
  training_allowed: Schema.BooleanFromBit
}))
const decodeRows = Schema.decodeUnknownSync(Rows)

const listing = ({ filename, reader }: ClientConnection) => {
  const method = "TrainingPreferences.list"
  const all = once(() =>
    reader.prepare(
      "SELECT tenant_id, env, user_id, training_allowed FROM audit_preference WHERE tenant_id = ? AND env = ? " +
        "ORDER BY user_id"
    )
  )
  const unreadable = () =>
    new AuditError({ method, reason: new SinkRejected({ detail: `a preference in ${filename} cannot be read` }) })
  return ({ env, tenantId }: LogName): Effect.Effect<ReadonlyArray<Preference>, AuditError> =>
    attempt(() => all().all(tenantId, env)).pipe(
      Effect.mapError(failing(method, filename)),
      Effect.flatMap((rows) => Effect.try({ try: () => decodeRows(rows), catch: unreadable })),
      Effect.map((rows) =>
        rows.map((row): Preference => ({
          tenantId: row.tenant_id,
          env: row.env,
          ...(row.user_id === "" ? {} : { userId: row.user_id }),
          trainingAllowed: row.training_allowed
        }))
      )
    )
}

/** Builds the preferences over the client's file. */
export const make: Effect.Effect<TrainingPreferences["Service"], never, SqliteClient> = Effect.gen(function*() {
  const client = connectionOf(yield* SqliteClient)
  const { filename, reader, writer } = client
  const one = once(() =>
    reader.prepare("SELECT training_allowed FROM audit_preference WHERE tenant_id = ? AND env = ? AND user_id = ?")
  )
  const version = once(() => reader.prepare("SELECT version FROM audit_preference_version"))
  const optOuts = new OptOuts({
    version: () => version().get()?.["version"],
    isOptedOut: ({ env, tenantId, userId }) => one().get(tenantId, env, userId ?? "")?.["training_allowed"] === 0,
    openTransaction: client.openTransaction
  })
  const upsert = once(() =>
    writer.prepare(
      "INSERT INTO audit_preference (tenant_id, env, user_id, training_allowed) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT (tenant_id, env, user_id) DO UPDATE SET training_allowed = excluded.training_allowed"
    )
  )
  const set = ({ env, tenantId, trainingAllowed, userId }: Preference) =>
    Effect.mapError(
      attempt(() => upsert().run(tenantId, env, userId ?? "", trainingAllowed ? 1 : 0)),
      failing("TrainingPreferences.change", filename)
    )
  const service = TrainingPreferences.of({
    lookup: (question) =>
      Effect.flatMap(elapsed, (now): Effect.Effect<Answer, Unavailable> => {
        try {
          return Effect.succeed(optOuts.answer(question, now))
        } catch (cause) {
          return Effect.fail({
            detail: failing("TrainingPreferences.lookup", filename)(new Problem({ cause })).reason.message
          })
        }
      }),
    change: (preference, record) =>
      client.transact(
        Effect.suspend(() => {
          if (!preference.trainingAllowed) optOuts.leave(preference)
          return set(preference)
        }).pipe(
          Effect.andThen(record),
          Effect.tap(client.afterCommit(Effect.sync(() => optOuts.forget())))
        )
      ),
    list: listing(client)
  })
  keepsDeadline(service, 0)
  return service
})

/** Training preferences in the client's file. */
export const layer: Layer.Layer<TrainingPreferences, never, SqliteClient> = Layer.effect(TrainingPreferences, make)
