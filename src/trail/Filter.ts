/**
 * What to look for in a log.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { Outcome, Phase, type SearchKeys, Severity, StorageClass } from "../DatasetEvent.ts"
import { type Condition, meets, searchFields } from "./searchFields.ts"

/** What an event must have; without a field, anything. */
export interface Filter {
  /** `note.create`, or `note.*` for all actions below `note`. */
  readonly action?: string | undefined
  /** The acting human's, agent's or tool's id: `agentId` on the wire. */
  readonly actorId?: string | undefined
  /** The person behind it: `user_id`. */
  readonly userId?: string | undefined
  /** A person whom the event is about: one of `subject_ids`. */
  readonly subjectId?: string | undefined
  readonly resourceType?: string | undefined
  readonly resourceId?: string | undefined
  readonly outcome?: Outcome | undefined
  readonly traceId?: string | undefined
  readonly requestId?: string | undefined
  readonly correlationId?: string | undefined
  readonly runId?: string | undefined
  readonly stepId?: string | undefined
  /** The id of an operation that is told in two events. */
  readonly operationId?: string | undefined
  /** `intent` or `result`: which half of an operation. */
  readonly phase?: Phase | undefined
  readonly projectId?: string | undefined
  readonly surface?: string | undefined
  readonly severity?: Severity | undefined
  readonly storageClass?: StorageClass | undefined
  readonly trainOk?: boolean | undefined
  /** `recorded_at` not before this time: whatever `DateTime.make` takes; text without an offset is UTC. */
  readonly since?: DateTime.DateTime.Input | undefined
  /** `recorded_at` before this time. */
  readonly until?: DateTime.DateTime.Input | undefined
}

const Text = Schema.optional(Schema.NonEmptyString)
const texts = {
  action: Schema.optional(Schema.String.check(
    Schema.isPattern(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?$/, {
      expected: "an action such as note.create or note.*"
    })
  )),
  actorId: Text,
  userId: Text,
  subjectId: Text,
  resourceType: Text,
  resourceId: Text,
  outcome: Schema.optional(Outcome),
  traceId: Text,
  requestId: Text,
  correlationId: Text,
  runId: Text,
  stepId: Text,
  operationId: Text,
  phase: Schema.optional(Phase),
  projectId: Text,
  surface: Text,
  severity: Schema.optional(Severity),
  storageClass: Schema.optional(StorageClass)
}

/** A filter with its times as values. */
export const Filter = Schema.Struct({
  ...texts,
  trainOk: Schema.optional(Schema.Boolean),
  since: Schema.optional(Schema.DateTimeUtc),
  until: Schema.optional(Schema.DateTimeUtc)
})

const Time = Schema.optional(Schema.DateTimeUtcFromString)

/** A filter as it comes in a query string: everything is text; times are RFC 3339, or a date. */
export const FilterFromStrings = Schema.Struct({
  ...texts,
  trainOk: Schema.optional(
    Schema.Literals(["true", "false"]).pipe(Schema.decodeTo(Schema.Boolean, {
      decode: SchemaGetter.transform((text) => text === "true"),
      encode: SchemaGetter.transform((value) => value ? "true" : "false")
    }))
  ),
  since: Time,
  until: Time
})

/** `desc` is newest first: order is the position, never a clock. */
export const Order = Schema.Literals(["asc", "desc"])
export type Order = typeof Order.Type

/**
 * A filter that was read: the values that are asked for, the most telling first, and the times in milliseconds since
 * 1970.
 */
export interface Search {
  readonly conditions: ReadonlyArray<Condition>
  readonly sinceMillis: number | undefined
  readonly untilMillis: number | undefined
}

/** Whether a search asks for anything. */
export const isEmpty = ({ conditions, sinceMillis, untilMillis }: Search): boolean =>
  conditions.length === 0 && sinceMillis === undefined && untilMillis === undefined

/** Reads a filter whose fields are known to be right. */
export const searchOf = (filter: typeof Filter.Type): Search => ({
  conditions: searchFields.flatMap((field) => {
    const value = filter[field.filter]
    return value === undefined ? [] : [{ field, value: String(value) }]
  }),
  sinceMillis: filter.since === undefined ? undefined : DateTime.toEpochMillis(filter.since),
  untilMillis: filter.until === undefined ? undefined : DateTime.toEpochMillis(filter.until)
})

/** Whether a time is in the range of a search. */
export const isWithin = (recordedAtMillis: number, { sinceMillis, untilMillis }: Search): boolean =>
  (sinceMillis === undefined || recordedAtMillis >= sinceMillis) &&
  (untilMillis === undefined || recordedAtMillis < untilMillis)

/** Whether an event is what a search looks for. */
export const matches = (keys: SearchKeys, recordedAtMillis: number, search: Search): boolean =>
  isWithin(recordedAtMillis, search) && search.conditions.every((condition) => meets(keys, condition))
