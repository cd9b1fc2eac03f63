/**
 * The values by which an event can be found, each once: its key in `SearchKeys`, its field in a `Filter`, and its name
 * on the wire, by which a medium may index it.
 */
import type { SearchKeys } from "../DatasetEvent.ts"
import { personNeedle, valueNeedle } from "../internal/body.ts"

/** A value that an event can be found by. */
export interface SearchField {
  readonly key: keyof SearchKeys
  readonly filter: Exclude<keyof SearchKeys, "subjectIds"> | "subjectId"
  /** The name on the wire; of a resource with the path. An index may be keyed by it, so it never changes. */
  readonly wire: string
  /** The version of the index that has it first, if it is not the first one. */
  readonly since?: 2 | 3
}

/** The most telling first. */
export const searchFields: ReadonlyArray<SearchField> = [
  { key: "traceId", filter: "traceId", wire: "trace_id" },
  { key: "requestId", filter: "requestId", wire: "request_id" },
  { key: "resourceId", filter: "resourceId", wire: "resource_id" },
  { key: "correlationId", filter: "correlationId", wire: "correlation_id" },
  { key: "runId", filter: "runId", wire: "run_id" },
  { key: "stepId", filter: "stepId", wire: "step_id", since: 2 },
  { key: "operationId", filter: "operationId", wire: "operation_id", since: 3 },
  { key: "userId", filter: "userId", wire: "user_id" },
  { key: "subjectIds", filter: "subjectId", wire: "subject_ids", since: 2 },
  { key: "actorId", filter: "actorId", wire: "agentId" },
  { key: "action", filter: "action", wire: "action" },
  { key: "resourceType", filter: "resourceType", wire: "resource_type" },
  { key: "projectId", filter: "projectId", wire: "project_id", since: 2 },
  { key: "surface", filter: "surface", wire: "surface", since: 2 },
  { key: "phase", filter: "phase", wire: "phase", since: 3 },
  { key: "severity", filter: "severity", wire: "severity" },
  { key: "outcome", filter: "outcome", wire: "outcome" },
  { key: "storageClass", filter: "storageClass", wire: "storage_class" },
  { key: "trainOk", filter: "trainOk", wire: "train_ok" }
]

/** A value that is asked for, and where the event must have it. */
export interface Condition {
  readonly field: SearchField
  readonly value: string
}

/** Whether an event has the value that is asked for. `note.*` asks for all actions below `note`. */
export const meets = (keys: SearchKeys, { field, value }: Condition): boolean => {
  const found = keys[field.key]
  if (typeof found === "object") return found.includes(value)
  return field.key === "action" && value.endsWith(".*")
    ? keys.action.startsWith(value.slice(0, -1))
    : found === value
}

/** The bytes that the body of an event has if it meets a condition; they may also occur elsewhere in it. */
export const needleOf = ({ field, value }: Condition): Uint8Array => {
  switch (field.key) {
    case "action":
      // The closing quote is left out: what follows a prefix is not known.
      return value.endsWith(".*")
        ? valueNeedle("action", value.slice(0, -1)).subarray(0, -1)
        : valueNeedle("action", value)
    case "subjectIds":
      return personNeedle(value)
    case "trainOk":
      return valueNeedle(field.wire, value === "true")
    case "resourceType":
      return valueNeedle("type", value)
    case "resourceId":
      return valueNeedle("id", value)
    default:
      return valueNeedle(field.wire, value)
  }
}
