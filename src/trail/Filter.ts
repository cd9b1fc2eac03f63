/**
 * What to look for in a log, and where to go on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Outcome, Severity, StorageClass, type Wire } from "../DatasetEvent.ts"

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
    Schema.isPattern(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?$/, { description: "an action such as note.create or note.*" })
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

/** A field of the event that a filter asks for, with the value it must have. */
export type Condition = readonly [field: ConditionField, value: string]

/** Fields that can be asked for by value. */
export type ConditionField =
  | "action"
  | "agentId"
  | "user_id"
  | "resource_type"
  | "resource_id"
  | "outcome"
  | "trace_id"
  | "request_id"
  | "correlation_id"
  | "run_id"
  | "severity"
  | "storage_class"
  | "train_ok"

/** The values that a filter asks for, without its times; the most telling first. */
export const conditions = (filter: Filter): ReadonlyArray<Condition> => {
  const found: Array<Condition> = []
  const add = (field: ConditionField, value: string | boolean | undefined) => {
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

/** Every value of an event that a condition could ask for. */
export const facts = (event: Wire): ReadonlyArray<Condition> => {
  const found: Array<Condition> = [
    ["action", event.action],
    ["agentId", event.agentId],
    ["outcome", event.outcome],
    ["trace_id", event.trace_id],
    ["request_id", event.request_id],
    ["severity", event.severity],
    ["storage_class", event.storage_class],
    ["train_ok", String(event.train_ok)]
  ]
  for (let dot = event.action.indexOf("."); dot !== -1; dot = event.action.indexOf(".", dot + 1)) {
    found.push(["action", `${event.action.slice(0, dot)}.*`])
  }
  if (event.user_id !== undefined) found.push(["user_id", event.user_id])
  if (event.correlation_id !== undefined) found.push(["correlation_id", event.correlation_id])
  if (event.run_id !== undefined) found.push(["run_id", event.run_id])
  if (event.resource !== undefined) {
    found.push(["resource_type", event.resource.type], ["resource_id", event.resource.id])
  }
  return found
}

const value = (event: Wire, field: ConditionField): string | undefined => {
  switch (field) {
    case "resource_type":
      return event.resource?.type
    case "resource_id":
      return event.resource?.id
    case "train_ok":
      return String(event.train_ok)
    default:
      return event[field]
  }
}

/** Whether an event is what a filter looks for. */
export const matches = (
  event: Wire,
  recordedAtMillis: number,
  wanted: ReadonlyArray<Condition>,
  filter: Pick<Filter, "since" | "until">
): boolean => {
  if (filter.since !== undefined && recordedAtMillis < filter.since) return false
  if (filter.until !== undefined && recordedAtMillis >= filter.until) return false
  for (const [field, expected] of wanted) {
    const actual = value(event, field)
    if (field === "action" && expected.endsWith(".*")) {
      if (actual === undefined || !actual.startsWith(expected.slice(0, -1))) return false
    } else if (actual !== expected) return false
  }
  return true
}
