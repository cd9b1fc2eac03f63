/**
 * What to erase, and what to hold.
 *
 * A selection is of one kind: events, a person, a person until a time, or a time. Two kinds at once do not compile, and
 * are refused when run.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { InvalidInput } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import { fieldsOf } from "../internal/body.ts"
import { pointer } from "../internal/json.ts"
import { idPattern } from "../internal/patterns.ts"
import { timeOf, timeText } from "../internal/time.ts"
import type { Hold } from "../ledger/LogStore.ts"

/** Some events of the log. */
export interface OfEvents {
  readonly eventIds: ReadonlyArray<EventId>
  readonly person?: never
  readonly personBefore?: never
  readonly since?: never
  readonly before?: never
}

/** All of a person: events that name the id as `user_id` or in `subject_ids`. */
export interface OfPerson {
  readonly person: string
  readonly eventIds?: never
  readonly personBefore?: never
  readonly since?: never
  readonly before?: never
}

/** What was recorded of a person before a time. */
export interface OfPersonBefore {
  readonly personBefore: { readonly person: string; readonly before: DateTime.DateTime.Input }
  readonly eventIds?: never
  readonly person?: never
  readonly since?: never
  readonly before?: never
}

/**
 * All that was recorded before a time: whatever `DateTime.make` takes; text without an offset is UTC. What is to be
 * erased is before a time that has been.
 */
export interface OfTime {
  readonly before: DateTime.DateTime.Input
  readonly eventIds?: never
  readonly person?: never
  readonly personBefore?: never
  readonly since?: never
}

/** All that was recorded in a range of times: `since` included, `before` not. */
export interface OfRange {
  readonly since: DateTime.DateTime.Input
  readonly before: DateTime.DateTime.Input
  readonly eventIds?: never
  readonly person?: never
  readonly personBefore?: never
}

/** What to erase. */
export type Selection = OfEvents | OfPerson | OfPersonBefore | OfTime

/** What to hold. */
export type HoldSelection = Selection | OfRange

/** All holds of a case. */
export interface OfCase {
  readonly eventIds?: never
  readonly person?: never
  readonly personBefore?: never
  readonly since?: never
  readonly before?: never
}

/** The case that a hold is for: `unnamed` unless given; 1 to 128 characters without control characters. */
export interface Case {
  readonly name?: string | undefined
}

/** The name of holds that were given none. */
export const unnamed = "unnamed"

/** A selection that was read and found right. */
export type Selected =
  | { readonly _tag: "Events"; readonly eventIds: ReadonlyArray<EventId> }
  | { readonly _tag: "Person"; readonly person: string }
  | { readonly _tag: "PersonBefore"; readonly person: string; readonly beforeMillis: number }
  | { readonly _tag: "Time"; readonly sinceMillis: number | undefined; readonly beforeMillis: number }

const eventIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const fields = new Set(["eventIds", "person", "personBefore", "since", "before", "reason"])
const namePattern = /^[^\p{Cc}\p{Cs}]{1,128}$/u

const fail = (path: string, detail: string) => Result.fail(new InvalidInput({ path, detail }))

const readEvents = (eventIds: unknown): Result.Result<Selected, InvalidInput> => {
  if (!Array.isArray(eventIds) || eventIds.length === 0) return fail("/eventIds", "must name an event")
  const ids: ReadonlyArray<unknown> = eventIds
  const isId = (id: unknown): id is string => typeof id === "string" && eventIdPattern.test(id)
  return ids.every(isId)
    ? Result.succeed({ _tag: "Events", eventIds: ids.map((id) => EventId.make(id, { disableChecks: true })) })
    : fail(`/eventIds/${ids.findIndex((id) => !isId(id))}`, "must be an event id")
}

const millisOf = (value: unknown) => Option.getOrUndefined(Option.map(timeOf(value), DateTime.toEpochMillis))
const isPerson = (value: unknown): value is string => typeof value === "string" && idPattern.test(value)

const readPersonBefore = (given: unknown): Result.Result<Selected, InvalidInput> => {
  const { before, person, ...more } = fieldsOf(given)
  const [other] = Object.keys(more)
  if (other !== undefined) return fail(pointer(["personBefore", other]), "is not a field of a selection")
  if (!isPerson(person)) return fail("/personBefore/person", "must be an id")
  const beforeMillis = millisOf(before)
  return beforeMillis === undefined
    ? fail("/personBefore/before", "must be a time")
    : Result.succeed({ _tag: "PersonBefore", person, beforeMillis })
}

const readTimes = (since: unknown, before: unknown): Result.Result<Selected, InvalidInput> => {
  const beforeMillis = millisOf(before)
  const sinceMillis = since === undefined ? undefined : millisOf(since)
  if (beforeMillis === undefined) return fail("/before", "must be a time")
  if (since !== undefined && sinceMillis === undefined) return fail("/since", "must be a time")
  if (sinceMillis !== undefined && sinceMillis >= beforeMillis) return fail("/before", "must be later than since")
  return Result.succeed({ _tag: "Time", sinceMillis, beforeMillis })
}

/** Reads the name of a case, which holds alone have. */
export const readName = (name: unknown): Result.Result<string, InvalidInput> =>
  name === undefined || (typeof name === "string" && namePattern.test(name))
    ? Result.succeed(name ?? unnamed)
    : fail("/name", "must be 1 to 128 characters without control characters")

/** Reads a selection, whatever its type says; `ranges` are for holds alone. */
export const read = (
  selection: (HoldSelection | OfCase) & { readonly reason: string },
  options: { readonly ranges: boolean }
): Result.Result<Selected, InvalidInput> => {
  const given: { readonly [key: string]: unknown } = { ...selection }
  const unknown = Object.keys(given).find((key) => !fields.has(key))
  if (unknown !== undefined) return fail(pointer([unknown]), "is not a field of a selection")
  const { before, eventIds, person, personBefore, reason, since } = given
  if (typeof reason !== "string" || reason.trim() === "") return fail("/reason", "must say why")
  const kinds = [
    ["/eventIds", eventIds !== undefined],
    ["/person", person !== undefined],
    ["/personBefore", personBefore !== undefined],
    ["/before", before !== undefined || since !== undefined]
  ] as const
  const [first, second] = kinds.filter(([, isGiven]) => isGiven)
  if (first === undefined) return fail("", "must select events, a person, or a time")
  if (second !== undefined) return fail(second[0], `is another kind of selection than ${first[0]}: give one of them`)
  if (eventIds !== undefined) return readEvents(eventIds)
  if (personBefore !== undefined) return readPersonBefore(personBefore)
  if (person !== undefined) {
    return isPerson(person) ? Result.succeed({ _tag: "Person", person }) : fail("/person", "must be an id")
  }
  if (since !== undefined && !options.ranges) return fail("/since", "is for holds: what is erased has no beginning")
  return readTimes(since, before)
}

/** How far another clock may be ahead. */
const aheadMillis = 60_000

/** A time that is to come selects all there is, which nobody says so. */
export const refusedTime = (selected: Selected, nowMillis: number): InvalidInput | undefined =>
  (selected._tag === "Time" || selected._tag === "PersonBefore") && selected.beforeMillis > nowMillis + aheadMillis
    ? new InvalidInput({
      path: selected._tag === "Time" ? "/before" : "/personBefore/before",
      detail: "must be a time that has been"
    })
    : undefined

/** What a selection is, in a record: it does not name the person. */
export const describe = (selected: Selected): { readonly [key: string]: string } => {
  switch (selected._tag) {
    case "Events":
      return { selection: "events" }
    case "Person":
      return { selection: "person" }
    case "PersonBefore":
      return { selection: "person", before: timeText(selected.beforeMillis) }
    case "Time": {
      const since = selected.sinceMillis === undefined ? {} : { since: timeText(selected.sinceMillis) }
      return { selection: "time", ...since, before: timeText(selected.beforeMillis) }
    }
  }
}

/** The holds of a selection, as a medium keeps them. */
export const holdsOf = (name: string, selected: Selected): ReadonlyArray<Hold> => {
  const none: Hold = { name, person: undefined, eventId: undefined, sinceMillis: undefined, beforeMillis: undefined }
  switch (selected._tag) {
    case "Events":
      return selected.eventIds.map((eventId) => ({ ...none, eventId }))
    case "Person":
      return [{ ...none, person: selected.person }]
    case "PersonBefore":
      return [{ ...none, person: selected.person, beforeMillis: selected.beforeMillis }]
    case "Time":
      return [{ ...none, sinceMillis: selected.sinceMillis, beforeMillis: selected.beforeMillis }]
  }
}
