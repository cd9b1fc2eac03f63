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
import type * as Effect from "effect/Effect"
import type { AuditError } from "./AuditError.ts"
import { Decided, Stripped } from "./DatasetEvent.ts"
import { made } from "./internal/made.ts"
import type { LogName } from "./RequestContext.ts"

/** A tenant's preference in one env, or, with `userId`, a person's. */
export interface Subject extends LogName {
  readonly userId?: string | undefined
}

/** A preference that was set. */
export interface Preference extends Subject {
  readonly trainingAllowed: boolean
}

/** Who is asked about: the tenant, and all persons whom the event concerns. */
export interface Question extends LogName {
  readonly userIds: ReadonlyArray<string>
}

/** `tenant_opt_out` and `user_opt_out` where someone has; `allowed` where nobody has. */
export type Answer = "allowed" | "tenant_opt_out" | "user_opt_out"

/** Why the answer is not known; names the place, never a person. */
export interface Unavailable {
  readonly detail: string
}

/** Opt-outs of tenants and persons, per env. */
export class TrainingPreferences extends Context.Service<TrainingPreferences, {
  /**
   * Whether anyone of these has opted out. May come from a cache: a change is seen at once in the process that
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
  readonly list: (log: LogName) => Effect.Effect<ReadonlyArray<Preference>, AuditError>
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
 * Settles whether an event may train a model. An answer that is not known comes first, then what was found in the
 * event, then the opt-outs. Throws `TypeError` for a value that is no `Stripped`, such as a copy of one.
 */
export const decide = (event: Stripped, answer: Answer | "preferences_unavailable"): Decided => {
  if (!Stripped.is(event)) throw new TypeError("only an event that was stripped can be decided")
  return new Decided(made, event, answer === "preferences_unavailable" ? answer : event.trainable ? answer : "pii")
}
