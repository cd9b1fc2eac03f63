/** Reads the fields of a draft, one at a time; what cannot be meant throws a `Refusal` with its place. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import {
  type Authorization,
  type Content,
  Decision,
  type ReadApproval,
  reservedKeys,
  type Resource
} from "../DatasetEvent.ts"
import { ActorType, Id } from "../RequestContext.ts"
import { type Json, type JsonObject, type JsonReader, pointerToken, Refusal } from "./json.ts"
import { idPattern } from "./patterns.ts"
import { timeOf } from "./time.ts"

/** The types of resources. */
export const resourceTypePattern = /^[A-Za-z][A-Za-z0-9_.:/-]{0,127}$/
const analyticsPattern = /^(?:event_type|platform|asset_alt_text|(?:utm|seo)_[a-z0-9_]{1,64})$/
// RFC 3339, section 5.6, with a full date, a time and an offset.
const timePattern = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/
/** Refuses what is at a place. */
export const refuse = (path: string, problem: string): never => {
  throw new Refusal(path, problem)
}

/** One of a few words, if there is one. */
export const oneOf = <A extends string>(path: string, value: unknown, allowed: ReadonlyArray<A>): A | undefined => {
  if (value === undefined) return undefined
  for (let i = 0; i < allowed.length; i++) if (allowed[i] === value) return allowed[i]
  return refuse(path, `must be one of ${allowed.join(", ")}`)
}

/** A text. */
export const string = (path: string, value: unknown): string =>
  typeof value === "string" ? value.toWellFormed() : refuse(path, "must be a string")

/** An id, as those of the context. */
export const readId = (path: string, value: unknown): string =>
  typeof value === "string" && idPattern.test(value)
    ? value
    : refuse(path, "must be an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -")

const isArray = (value: Json | undefined): value is ReadonlyArray<Json> => Array.isArray(value)
const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** An object that has no other fields than these. */
const only = (path: string, json: Json | undefined, what: string, fields: ReadonlyArray<string>): JsonObject => {
  if (!isObject(json)) return refuse(path, `must be an object: ${what}`)
  for (const key of Object.keys(json)) {
    if (!fields.includes(key)) refuse(`${path}/${pointerToken(key)}`, `is not a field of ${what}`)
  }
  return json
}

/** What an event is about. */
export const readResource = (path: string, value: Json | undefined): Resource => {
  const json = only(path, value, "a resource with type and id", ["type", "id"])
  const type = string(`${path}/type`, json["type"])
  if (!resourceTypePattern.test(type)) {
    refuse(`${path}/type`, "must be a letter, then letters, digits and _ . : / -, at most 128 characters")
  }
  const id = string(`${path}/id`, json["id"])
  if (id === "") refuse(`${path}/id`, "must not be empty")
  return { type, id }
}

/** Further things that an event is about. */
export const readRelated = (reader: JsonReader, value: unknown): ReadonlyArray<Resource> => {
  const json = reader.read("related", value)
  if (!isArray(json)) return refuse("/related", "must be an array of resources")
  if (json.length > 16) refuse("/related", "must have at most 16 resources")
  return json.map((item, index) => readResource(`/related/${index}`, item))
}

/** What a thing was before and is after. */
export const readChange = (reader: JsonReader, value: unknown): Content["change"] => {
  const { after, before } = only("/change", reader.read("change", value), "a change with before and after", [
    "before",
    "after"
  ])
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
}

const optionalText = (path: string, value: Json | undefined): string | undefined =>
  value === undefined ? undefined : string(path, value)

/** Whether this was allowed. */
export const readAuthorization = (reader: JsonReader, value: unknown): Authorization => {
  const json = only("/authorization", reader.read("authorization", value), "an authorization", [
    "decision",
    "policyId",
    "reason",
    "risk"
  ])
  const risk = json["risk"]
  return {
    decision: oneOf("/authorization/decision", json["decision"], Decision.literals) ??
      refuse("/authorization/decision", `must be one of ${Decision.literals.join(", ")}`),
    policyId: optionalText("/authorization/policyId", json["policyId"]),
    reason: optionalText("/authorization/reason", json["reason"]),
    risk: typeof risk === "number" ? risk : optionalText("/authorization/risk", risk)
  }
}

/** Who agreed, when, and to what. */
export const readApproval = (reader: JsonReader, value: unknown): ReadApproval => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse("/approval", "must be an approval")
  // A time may be any that `DateTime` makes: it is taken out, once, before the rest becomes JSON.
  const { at, ...rest }: { readonly at?: unknown } = { ...Object(value) }
  const json = only("/approval", reader.read("approval", rest), "an approval", ["by", "argumentsSha256"])
  const by = only("/approval/by", json["by"], "a party with type and id", ["type", "id"])
  const argumentsSha256 = string("/approval/argumentsSha256", json["argumentsSha256"])
  if (!/^[0-9a-f]{64}$/.test(argumentsSha256)) {
    refuse("/approval/argumentsSha256", "must be a SHA-256: 64 lower-case hexadecimal digits")
  }
  return {
    by: {
      type: oneOf("/approval/by/type", by["type"], ActorType.literals) ??
        refuse("/approval/by/type", `must be one of ${ActorType.literals.join(", ")}`),
      id: Id.make(readId("/approval/by/id", by["id"]), { disableChecks: true })
    },
    at: readTime("/approval/at", at),
    argumentsSha256
  }
}

/** The caller's own fields. */
export const readMetadata = (reader: JsonReader, value: unknown): JsonObject => {
  const json = reader.read("metadata", value)
  if (!isObject(json)) return refuse("/metadata", "must be an object")
  for (const key of reservedKeys) {
    if (Object.hasOwn(json, key)) refuse(`/metadata/${key}`, "is reserved: it is written from the request context")
  }
  return json
}

/** Analytics fields. */
export const readAnalytics = (reader: JsonReader, value: unknown): { readonly [key: string]: string } => {
  const json = reader.read("analytics", value)
  if (!isObject(json)) return refuse("/analytics", "must be an object")
  const result: Record<string, string> = {}
  for (const [key, item] of Object.entries(json)) {
    const path = `/analytics/${pointerToken(key)}`
    if (!analyticsPattern.test(key)) refuse(path, "must be event_type, platform, asset_alt_text, utm_... or seo_...")
    result[key] = string(path, item)
  }
  return result
}

/** What code of the caller gives, a getter or a proxy. */
const unfailing = <A>(path: string, evaluate: () => A): A => {
  try {
    return evaluate()
  } catch {
    return refuse(path, "could not be read: a getter or proxy failed")
  }
}

/** Ids of persons. */
export const readSubjects = (value: unknown): ReadonlyArray<string> => {
  const items = unfailing("/subjectIds", () => Array.isArray(value) ? Array.from<unknown>(value) : undefined) ??
    refuse("/subjectIds", "must be an array of ids")
  if (items.length > 1000) refuse("/subjectIds", "must have at most 1,000 ids")
  return Object.freeze(items.map((item, index) => readId(`/subjectIds/${index}`, item)))
}

/** A time of the caller, as RFC 3339 in UTC. */
export const readTime = (path: string, value: unknown): string => {
  // Text must name its offset: what is recorded as a fact is not guessed.
  const given = typeof value === "string" && !timePattern.test(value) ? undefined : value
  const time = Option.match(timeOf(given), { onNone: () => Number.NaN, onSome: DateTime.toEpochMillis })
  // Four-digit years: RFC 3339 has no others.
  return time >= -62_167_219_200_000 && time <= 253_402_300_799_999
    ? new Date(time).toISOString()
    : refuse(path, "must be a date, or RFC 3339 text with a time zone")
}
