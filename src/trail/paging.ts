/**
 * Pages over a log: what every medium does with a query before and after it looks for rows.
 *
 * A cursor is the position of the last event of a page, bound to the query that it belongs to. It says nothing of other
 * logs.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { AuditError, InvalidCursor, InvalidInput, NotFound, SinkRejected } from "../AuditError.ts"
import { EventId, searchKeys } from "../DatasetEvent.ts"
import { decodeEvent, textOf } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import { pointer } from "../internal/json.ts"
import { timeOf } from "../internal/time.ts"
import type { LogName } from "../RequestContext.ts"
import type { Item, Page, Query } from "./AuditTrail.ts"
import { Filter, isEmpty, isWithin, matches, type Order, type Search, searchOf } from "./Filter.ts"

/** A query that was read and found right. */
export interface Reading {
  readonly log: LogName
  readonly search: Search
  readonly descending: boolean
  readonly limit: number
  /** The position after which the page begins, in the order of the query. */
  readonly after: number | undefined
  /** Binds cursors to the query. */
  readonly hash: string
}

const method = "AuditTrail.query"
const Position = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Token = Schema.fromJsonString(Schema.Tuple([Schema.Literal(2), Position, Schema.String]))
const decodeToken = Schema.decodeUnknownResult(Token)
const decodeFilter = Schema.decodeUnknownResult(Schema.toType(Filter), { onExcessProperty: "error" })

const refuse = (path: string, detail: string) => new AuditError({ method, reason: new InvalidInput({ path, detail }) })
const refuseCursor = (detail: string) => new AuditError({ method, reason: new InvalidCursor({ detail }) })

/** A cursor goes on in the same log, with the same search, in the same direction. */
const queryHash = (query: Query, { conditions, sinceMillis, untilMillis }: Search): string => {
  const wanted = conditions.map(({ field, value }) => [field.filter, value]).sort(([a], [b]) => a! < b! ? -1 : 1)
  const whole = [query.tenantId, query.env, query.order ?? "desc", wanted, sinceMillis ?? null, untilMillis ?? null]
  return createHash("sha256").update(JSON.stringify(whole)).digest("base64url").slice(0, 16)
}

/** What is no time is left as it is, and refused with its place. */
const readTime = (value: unknown): unknown =>
  value === undefined ? undefined : Option.getOrElse(timeOf(value), () => value)

const readFilter = (filter: Query["filter"]): Result.Result<typeof Filter.Type, AuditError> => {
  const given: Record<string, unknown> = { ...filter }
  for (const name of ["since", "until"]) if (name in given) given[name] = readTime(given[name])
  const decoded = decodeFilter(given)
  if (decoded._tag === "Success") return Result.succeed(decoded.success)
  const key = Object.keys(given).find((key) => decodeFilter({ [key]: given[key] })._tag === "Failure")
  const path = pointer(key === undefined ? ["filter"] : ["filter", key])
  return Result.fail(refuse(
    path,
    key !== undefined && !(key in Filter.fields)
      ? `is not a filter: there are ${Object.keys(Filter.fields).join(", ")}`
      : key === "since" || key === "until"
      ? "must be a time, such as 2026-01-31T10:00:00Z"
      : "is not a value that an event can have there"
  ))
}

/** The position that a query begins after: that of its cursor, or the one that is given. */
const placeOf = (
  { after, cursor }: Query,
  order: Order,
  hash: string
): Result.Result<number | undefined, AuditError> => {
  if (after !== undefined) {
    if (cursor !== undefined) return Result.fail(refuse("/after", "is given instead of a cursor, not beside one"))
    if (order === "desc") return Result.fail(refuse("/after", "is read oldest first: the order is asc"))
    if (!Number.isSafeInteger(after) || after < -1) {
      return Result.fail(refuse("/after", "must be a position, or -1 for the log's beginning"))
    }
    return Result.succeed(after === -1 ? undefined : after)
  }
  if (cursor === undefined) return Result.succeed(undefined)
  const token = decodeToken(Buffer.from(cursor, "base64url").toString("utf8"))
  if (token._tag === "Failure") {
    return Result.fail(refuseCursor("it is not a cursor of this release: begin without one"))
  }
  const [, place, bound] = token.success
  return bound === hash
    ? Result.succeed(place)
    : Result.fail(refuseCursor("it belongs to another query: keep tenant, env, filter and order"))
}

/** Reads a query, or says why it cannot be meant. */
export const readQuery = (query: Query): Result.Result<Reading, AuditError> => {
  const limit = query.limit ?? 100
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    return Result.fail(refuse("/limit", "must be an integer from 1 to 1,000"))
  }
  const filter = readFilter(query.filter)
  if (filter._tag === "Failure") return Result.fail(filter.failure)
  const search = searchOf(filter.success)
  const order = query.order ?? (query.after === undefined ? "desc" : "asc")
  const hash = queryHash({ ...query, order }, search)
  const log = { tenantId: query.tenantId, env: query.env }
  return Result.map(
    placeOf(query, order, hash),
    (after) => ({ log, search, descending: order === "desc", limit, hash, after })
  )
}

/** The error of a cursor whose position the log does not have. */
export const noSuchPlace: AuditError = refuseCursor("there is no such place in this log")

/** The page of a query, from its items in order: one more than the limit, if there are more. */
export const pageOf = (reading: Reading, found: ReadonlyArray<Item>): Page => {
  const items = found.slice(0, reading.limit)
  const end = items.at(-1)
  const next = found.length > reading.limit && end !== undefined
    ? Buffer.from(JSON.stringify([2, end.position, reading.hash])).toString("base64url")
    : undefined
  return { items, next }
}

/** A stored row, as far as a page needs it. */
export interface PageRow {
  readonly position: number
  readonly eventId: Uint8Array
  readonly recordedAtMillis: number | undefined
  readonly body: Uint8Array | undefined
}

/** A stored row as an item, if it is what a search looks for; `SinkRejected` if its body is not an event. */
export const found = (row: PageRow, search: Search): Result.Result<Item | undefined, AuditError> => {
  const { body, recordedAtMillis } = row
  if ((body === undefined || recordedAtMillis === undefined) && !isEmpty(search)) return Result.succeed(undefined)
  // Most rows at the edge of a range of times are outside of it: they are not read any further.
  if (!isWithin(recordedAtMillis ?? 0, search)) return Result.succeed(undefined)
  return Result.map(
    itemOf(row),
    (item) => item.erased || matches(searchKeys(item.event), recordedAtMillis ?? 0, search) ? item : undefined
  )
}

/** A stored row as an item; `SinkRejected` if its body is not an event. */
export const itemOf = (row: Omit<PageRow, "recordedAtMillis">): Result.Result<Item, AuditError> => {
  const { body, position } = row
  const eventId = EventId.make(uuidText(row.eventId), { disableChecks: true })
  if (body === undefined) return Result.succeed({ erased: true, position, eventId })
  const event = decodeEvent(textOf(body))
  if (event._tag === "Success") return Result.succeed({ erased: false, position, eventId, event: event.success })
  const detail = `the row at position ${position} is not an event: ${event.failure.message}`
  return Result.fail(new AuditError({ method, reason: new SinkRejected({ detail }) }))
}

/** The error of an id that a log has no event of. */
export const noSuchEvent = (method: string, eventId: string): AuditError =>
  new AuditError({ method, reason: new NotFound({ detail: `there is no event ${eventId} in this log` }) })
