/**
 * What to look for in a log, and where to go on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Outcome, type SearchKeys, Severity, StorageClass } from "../DatasetEvent.ts"

/** RFC 3339 text or milliseconds since 1970 are both seen as a time; inside the package a time is milliseconds. */
export interface Filter {
  /** `note.create`, or `note.*` for all actions below `note`. */
  readonly action?: string | undefined
  /** The acting human's, agent's or tool's id: `agentId`. */
  readonly actor?: string | undefined
  /** The person behind it: `user_id`. */
  readonly user?: string | undefined
  readonly resourceType?: string | undefined
  readonly resourceId?: string | undefined
  readonly outcome?: Outcome | undefined
  readonly trace?: string | undefined
  readonly request?: string | undefined
  readonly correlation?: string | undefined
  readonly run?: string | undefined
  readonly severity?: Severity | undefined
  readonly storageClass?: StorageClass | undefined
  readonly trainOk?: boolean | undefined
  /** `recorded_at` not before this time, in milliseconds since 1970. */
  readonly since?: number | undefined
  /** `recorded_at` before this time, in milliseconds since 1970. */
  readonly until?: number | undefined
}

/** The schema of a filter, for what comes from outside. */
export const Filter = Schema.Struct({
  action: Schema.optionalKey(Schema.String.check(
    Schema.isPattern(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?$/, {
      description: "an action such as note.create or note.*"
    })
  )),
  actor: Schema.optionalKey(Schema.NonEmptyString),
  user: Schema.optionalKey(Schema.NonEmptyString),
  resourceType: Schema.optionalKey(Schema.NonEmptyString),
  resourceId: Schema.optionalKey(Schema.NonEmptyString),
  outcome: Schema.optionalKey(Outcome),
  trace: Schema.optionalKey(Schema.NonEmptyString),
  request: Schema.optionalKey(Schema.NonEmptyString),
  correlation: Schema.optionalKey(Schema.NonEmptyString),
  run: Schema.optionalKey(Schema.NonEmptyString),
  severity: Schema.optionalKey(Severity),
  storageClass: Schema.optionalKey(StorageClass),
  trainOk: Schema.optionalKey(Schema.Boolean),
  since: Schema.optionalKey(Schema.Finite),
  until: Schema.optionalKey(Schema.Finite)
})

/** `desc` is newest first: order is the position, never a clock. */
export const Order = Schema.Literals(["asc", "desc"])
export type Order = typeof Order.Type

/** A value that a filter asks for, and where the event must have it. */
export type Condition = readonly [field: keyof SearchKeys, value: string]

/** The values that a filter asks for, without its times; the most telling first. */
export const conditions = (filter: Filter): ReadonlyArray<Condition> => {
  const found: Array<Condition> = []
  const add = (field: keyof SearchKeys, value: string | boolean | undefined) => {
    if (value !== undefined) found.push([field, String(value)])
  }
  add("trace_id", filter.trace)
  add("request_id", filter.request)
  add("resource_id", filter.resourceId)
  add("correlation_id", filter.correlation)
  add("run_id", filter.run)
  add("user_id", filter.user)
  add("agentId", filter.actor)
  add("action", filter.action)
  add("resource_type", filter.resourceType)
  add("severity", filter.severity)
  add("outcome", filter.outcome)
  add("storage_class", filter.storageClass)
  add("train_ok", filter.trainOk)
  return found
}

/** Whether an event is what a filter looks for. */
export const matches = (
  keys: SearchKeys,
  recordedAtMillis: number,
  wanted: ReadonlyArray<Condition>,
  filter: Pick<Filter, "since" | "until">
): boolean => {
  if (filter.since !== undefined && recordedAtMillis < filter.since) return false
  if (filter.until !== undefined && recordedAtMillis >= filter.until) return false
  for (const [field, expected] of wanted) {
    if (field === "action" && expected.endsWith(".*")) {
      if (!keys.action.startsWith(expected.slice(0, -1))) return false
    } else if (keys[field] !== expected) return false
  }
  return true
}
