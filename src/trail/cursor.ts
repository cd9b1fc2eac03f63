/**
 * Keyset cursors: the last row of a page, bound to the query that it belongs to.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { AuditError, InvalidCursor, InvalidDraft } from "../AuditError.ts"
import { pointer } from "../internal/json.ts"
import type { Query } from "./AuditTrail.ts"
import { Filter } from "./Filter.ts"

/** Where a page ended: a row number of the store, and the position in the log that it must have. */
export interface Place {
  readonly seq: number
  readonly position: number
}

const Token = Schema.fromJsonString(Schema.Tuple([Schema.Literal(1), Schema.Int, Schema.Int, Schema.String]))
const decodeToken = Schema.decodeUnknownResult(Token)
const decodeFilter = Schema.decodeUnknownResult(Filter, { onExcessProperty: "error" })

/** A cursor goes on in the same log, with the same filter, in the same direction. */
const queryHash = (query: Query): string => {
  const filter = Object.entries(query.filter ?? {}).filter(([, value]) => value !== undefined).sort(([a], [b]) =>
    a < b ? -1 : 1
  )
  return createHash("sha256").update(JSON.stringify([query.tenantId, query.env, query.order ?? "desc", filter]))
    .digest("base64url").slice(0, 16)
}

export const encodeCursor = (query: Query, place: Place): string =>
  Buffer.from(JSON.stringify([1, place.seq, place.position, queryHash(query)])).toString("base64url")

const invalid = (detail: string) =>
  new AuditError({ method: "AuditTrail.query", reason: new InvalidCursor({ detail }) })

/** Where a query goes on; `undefined` from its beginning. */
export const decodeCursor = (query: Query): Place | undefined | AuditError => {
  if (query.cursor === undefined) return undefined
  const token = decodeToken(Buffer.from(query.cursor, "base64url").toString("utf8"))
  if (token._tag === "Failure") return invalid("it is not a cursor of this package")
  const [, seq, position, hash] = token.success
  if (hash !== queryHash(query)) return invalid("it belongs to another query: keep tenant, env, filter and order")
  return { seq, position }
}

/** Why a query cannot be answered, if it cannot. */
export const checkQuery = (query: Query): AuditError | undefined => {
  const refuse = (path: string, detail: string) =>
    new AuditError({ method: "AuditTrail.query", reason: new InvalidDraft({ path, detail }) })
  const { limit } = query
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1 || limit > 1000)) {
    return refuse("/limit", "must be an integer from 1 to 1,000")
  }
  const given = Object.fromEntries(Object.entries(query.filter ?? {}).filter(([, value]) => value !== undefined))
  const filter = decodeFilter(given)
  if (filter._tag === "Success") return undefined
  const key = Object.keys(given).find((key) => decodeFilter({ [key]: given[key] })._tag === "Failure")
  return refuse(
    pointer(key === undefined ? ["filter"] : ["filter", key]),
    "is not a value that an event can have there"
  )
}
