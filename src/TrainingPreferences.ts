/**
 * `Stripped -> Decided`: who has opted out of training.
 *
 * An event may train a model if the stripper's policy allows it and neither the tenant nor any person it concerns (the
 * `user_id` and all `subject_ids`) has opted out. Any opt-out wins. What cannot be known is not consent: a store that
 * cannot be read yields `train_ok: false` with the reason `preferences_unavailable`, and the event is kept.
 *
 * **Gotchas**
 *
 * Change a preference with `LoggingEngine.setPreference`: it records the change as an event, under a `RequestContext`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditError } from "./AuditError.ts"
import { type Decided, makeDecided, type Stripped, type TrainReason } from "./DatasetEvent.ts"
import { keepsDeadline } from "./internal/deadline.ts"
import type { Env, TenantId } from "./RequestContext.ts"

/** A tenant's preference in one env, or, with `userId`, a person's. */
export interface Subject {
  readonly tenantId: TenantId
  readonly env: Env
  readonly userId?: string | undefined
}

/** A preference that was set. */
export interface Preference extends Subject {
  readonly trainingAllowed: boolean
}

/** Who is asked about: the tenant, and all persons whom the event concerns. */
export interface Question {
  readonly tenantId: TenantId
  readonly env: Env
  readonly userIds: ReadonlyArray<string>
}

/** `tenant_opt_out` and `user_opt_out` where there is one; `allowed` where there is none. */
export type Answer = "allowed" | "tenant_opt_out" | "user_opt_out"

/** Why the answer is not known; names the place, never a person. */
export interface Unavailable {
  readonly detail: string
}

/** Opt-outs of tenants and persons, per env. */
export class TrainingPreferences extends Context.Service<TrainingPreferences, {
  /**
   * Whether anyone of these has opted out. May be answered from a cache: a change is seen at once in the process that
   * made it and within one second in others. Safe to call concurrently.
   */
  readonly lookup: (question: Question) => Effect.Effect<Answer, Unavailable>
  /**
   * Sets a preference and runs `record`: both or neither. Durable once it succeeds, and may be repeated.
   */
  readonly change: <A, R>(
    preference: Preference,
    record: Effect.Effect<A, AuditError, R>
  ) => Effect.Effect<A, AuditError, R>
  /** All preferences of a tenant in an env that were ever set, the tenant's own first, persons by id. */
  readonly list: (tenantId: TenantId, env: Env) => Effect.Effect<ReadonlyArray<Preference>, AuditError>
}>()("effect-audit/TrainingPreferences") {}

/** Whom an event concerns. */
export const question = (event: Stripped): Question => {
  const { env, subjectIds, tenantId, userId } = event.stamp
  const userIds = subjectIds === undefined ? (userId === undefined ? [] : [userId]) : userId === undefined
    ? subjectIds
    : [userId, ...subjectIds]
  return { tenantId, env, userIds }
}

/**
 * Settles whether an event may train a model. An answer that is not known comes first, then what was found in the event,
 * then the opt-outs.
 */
export const decide = (event: Stripped, answer: Answer | "preferences_unavailable"): Decided => {
  const trainReason: TrainReason = answer === "preferences_unavailable" ? answer : event.trainable ? answer : "pii"
  return makeDecided({ stripped: event, trainOk: trainReason === "allowed", trainReason })
}

const text = (subject: Subject): string => JSON.stringify([subject.tenantId, subject.env, subject.userId ?? null])

/** Preferences in memory; they last as long as the layer. */
export const layerMemory: Layer.Layer<TrainingPreferences> = Layer.sync(TrainingPreferences, () => {
  const preferences = new Map<string, Preference>()
  const optedOut = (subject: Subject) => preferences.get(text(subject))?.trainingAllowed === false
  const service = TrainingPreferences.of({
    lookup: ({ env, tenantId, userIds }) =>
      Effect.sync(() =>
        optedOut({ tenantId, env })
          ? "tenant_opt_out"
          : userIds.some((userId) => optedOut({ tenantId, env, userId }))
          ? "user_opt_out"
          : "allowed"
      ),
    // An event that records a change is decided by the stricter of before and after.
    change: (preference, record) =>
      Effect.suspend(() => {
        const name = text(preference)
        const before = preferences.get(name)
        const apply = Effect.sync(() => preferences.set(name, preference))
        if (preference.trainingAllowed) return Effect.tap(record, () => apply)
        return Effect.onError(Effect.andThen(apply, record), () =>
          Effect.sync(() => {
            if (before === undefined) preferences.delete(name)
            else preferences.set(name, before)
          }))
      }),
    list: (tenantId, env) =>
      Effect.sync(() =>
        [...preferences.values()].filter((preference) => preference.tenantId === tenantId && preference.env === env)
          .sort((a, b) => (a.userId ?? "") < (b.userId ?? "") ? -1 : 1)
      )
  })
  keepsDeadline.add(service)
  return service
})
