/**
 * Training preferences in a SQLite file.
 *
 * Look-ups are cached. Every half second a look-up reads the number of changes first, and forgets the cache if there was
 * one: so a change is seen within one second in other processes, and at once where it was made. If the number cannot be
 * read the cache has expired, and the answer is unavailable, never the cached consent.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { Env, TenantId } from "../RequestContext.ts"
import {
  type Answer,
  type Preference,
  type Question,
  TrainingPreferences,
  type Unavailable
} from "../TrainingPreferences.ts"
import { attempt, Problem, reasonOf } from "./problem.ts"
import { connection, type SqliteClient } from "./SqliteClient.ts"

const ttlMillis = 500
const maxCached = 10_000

const Rows = Schema.Array(Schema.Struct({
  tenant_id: TenantId,
  env: Env,
  user_id: Schema.String,
  training_allowed: Schema.BooleanFromBit
}))
const decodeRows = Schema.decodeUnknownSync(Rows)

/** Builds the preferences over the client's file. */
export const make: Effect.Effect<TrainingPreferences["Service"], never, SqliteClient> = Effect.gen(function*() {
  const client = yield* connection
  const { filename, reader, writer } = client
  const one = reader.prepare("SELECT training_allowed FROM preference WHERE tenant_id = ? AND env = ? AND user_id = ?")
  const all = reader.prepare(
    "SELECT tenant_id, env, user_id, training_allowed FROM preference WHERE tenant_id = ? AND env = ? ORDER BY user_id"
  )
  const upsert = writer.prepare(
    "INSERT INTO preference (tenant_id, env, user_id, training_allowed) VALUES (?, ?, ?, ?) " +
      "ON CONFLICT (tenant_id, env, user_id) DO UPDATE SET training_allowed = excluded.training_allowed"
  )
  const version = reader.prepare("SELECT version FROM preference_version")
  const cache = new Map<string, boolean>()
  let cachedVersion: unknown
  let checkedAt = -Infinity
  const refresh = (now: number) => {
    if (Math.abs(now - checkedAt) < ttlMillis) return
    const current = version.get()?.["version"]
    if (current !== cachedVersion) cache.clear()
    cachedVersion = current
    checkedAt = now
  }
  const key = (tenantId: string, env: string, userId: string) => `${tenantId}/${env}/${userId}`

  /**
   * Opt-outs in transactions that have not ended, which the reader does not see: they hold for every event until then. An
   * event that records a change is decided by the stricter of before and after.
   */
  const leaving = new Map<string, object | undefined>()
  const isLeaving = (name: string): boolean => {
    const transaction = leaving.get(name)
    if (transaction === undefined) return false
    if (transaction === client.openTransaction()) return true
    leaving.delete(name)
    checkedAt = -Infinity
    return false
  }
  const isOptedOut = (tenantId: TenantId, env: Env, userId: string, now: number): boolean => {
    const name = key(tenantId, env, userId)
    if (leaving.size > 0 && isLeaving(name)) return true
    refresh(now)
    const cached = cache.get(name)
    if (cached !== undefined) return cached
    const optedOut = one.get(tenantId, env, userId)?.["training_allowed"] === 0
    if (cache.size >= maxCached) cache.clear()
    cache.set(name, optedOut)
    return optedOut
  }
  const answer = ({ env, tenantId, userIds }: Question, now: number): Answer => {
    if (isOptedOut(tenantId, env, "", now)) return "tenant_opt_out"
    for (let i = 0; i < userIds.length; i++) if (isOptedOut(tenantId, env, userIds[i]!, now)) return "user_opt_out"
    return "allowed"
  }
  const failed = (method: string, problem: Problem) =>
    new AuditError({ method, reason: reasonOf(problem, filename, false) })

  const set = (preference: Preference) =>
    attempt(() =>
      upsert.run(preference.tenantId, preference.env, preference.userId ?? "", preference.trainingAllowed ? 1 : 0)
    ).pipe(Effect.mapError((problem) => failed("TrainingPreferences.change", problem)))

  const service = TrainingPreferences.of({
    lookup: (question) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Answer, Unavailable> => {
        try {
          return Effect.succeed(answer(question, now))
        } catch (cause) {
          return Effect.fail({ detail: reasonOf(new Problem({ cause }), filename, false).message })
        }
      }),
    change: (preference, record) => {
      const name = key(preference.tenantId, preference.env, preference.userId ?? "")
      const forget = Effect.sync(() => {
        checkedAt = -Infinity
      })
      return client.transact(
        Effect.suspend(() => {
          if (!preference.trainingAllowed) leaving.set(name, client.openTransaction())
          return set(preference)
        }).pipe(
          Effect.andThen(record),
          Effect.tap(client.afterCommit(forget))
        )
      )
    },
    list: ({ env, tenantId }) =>
      attempt(() => all.all(tenantId, env)).pipe(
        Effect.mapError((problem) => failed("TrainingPreferences.list", problem)),
        Effect.flatMap((rows) =>
          Effect.try({
            try: () => decodeRows(rows),
            catch: () => {
              const reason = new SinkRejected({ detail: `a preference in ${filename} cannot be read` })
              return new AuditError({ method: "TrainingPreferences.list", reason })
            }
          })
        ),
        Effect.map((rows) =>
          rows.map((row): Preference => ({
            tenantId: row.tenant_id,
            env: row.env,
            ...(row.user_id === "" ? {} : { userId: row.user_id }),
            trainingAllowed: row.training_allowed
          }))
        )
      )
  })
  keepsDeadline.add(service)
  return service
})

/** Training preferences in the client's file. */
export const layer: Layer.Layer<TrainingPreferences, never, SqliteClient> = Layer.effect(TrainingPreferences, make)
