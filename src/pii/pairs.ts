/** Names with values in other shapes than the keys of an object. */
import { type Json, type JsonObject, setKey } from "../internal/json.ts"
import { repetition } from "./embedded.ts"
import { keyKind } from "./keyNames.ts"

/** Whether a value is a list. */
export const isArray = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

/** Whether a key is of a list in which names and values take turns, as Node gives the headers of a request. */
export const isRawHeaders = (key: string): boolean => /^raw[_-]?(?:headers|trailers)$/i.test(key)

/** Whether every second item is a name. */
export const isFlat = (values: ReadonlyArray<Json>): boolean =>
  values.every((item, i) => i % 2 === 1 || typeof item === "string")

/** Whether each item is two values, a name first in at least one of them: one key of a `Map` may be something else. */
export const isListOfPairs = (values: ReadonlyArray<Json>): values is ReadonlyArray<readonly [Json, Json]> => {
  if (values.length === 0 || !Array.isArray(values[0])) return false
  return values.every((item) => isArray(item) && item.length === 2) &&
    values.some((item) => isArray(item) && typeof item[0] === "string" && keyKind(item[0]) !== undefined)
}

/** Whether a key of such an object holds the value. */
export const isValueKey = (key: string): boolean => key === "value" || key === "Value"

/** The name in `{ name, value }`, or `{ Key, Value }`. */
export const nameIn = (object: JsonObject): string | undefined => {
  if (!Object.hasOwn(object, "value") && !Object.hasOwn(object, "Value")) return undefined
  const names = [object["name"], object["Name"], object["key"], object["Key"]]
  return names.find((name): name is string => typeof name === "string" && keyKind(name) !== undefined)
}

/** Whether a key below one that names a kind holds what it names. */
export const isCarrier = (key: string): boolean => /^(?:value|raw|plain|plaintext|text|number)$/i.test(key)

/** Whether an object describes values (JSON Schema, OpenAPI) and holds none. */
export const isSchema = (object: JsonObject): boolean =>
  Object.hasOwn(object, "description") || Object.hasOwn(object, "properties") || Object.hasOwn(object, "$ref") ||
  (typeof object["type"] === "string" && /^(?:string|number|integer|boolean|object|array)$/.test(object["type"]))

/** What stands beside the signature of a thought. */
const ofThoughts = new Set([
  "type",
  "thinking",
  "thought",
  "text",
  "signature",
  "summary",
  "id",
  "redactedContent",
  "index",
  "content",
  "format"
])
/** Signatures of thoughts are long, those of requests and webhooks are not. */
const isLong = (value: Json | undefined): boolean => typeof value === "string" && value.length > 160

/** With a `format` only where its type says that it is reasoning. */
const isOfReasoning = ({ format, type }: JsonObject): boolean =>
  format === undefined || (typeof type === "string" && type.startsWith("reasoning"))

/** What stands beside a token of a model's answer. */
const besideTokens = [
  "logprob",
  "log_probability",
  "logProbability",
  "tokenId",
  "token_id",
  "bytes",
  "top_logprobs",
  "token_str"
]

/**
 * Whether a key of an object is one of a language model's answer: a token, which is a piece of text beside its
 * probability, or the signature of a thought.
 */
export const isOfModel = (object: JsonObject, key: string): boolean =>
  key === "token" || key === "tokens"
    ? besideTokens.some((name) => Object.hasOwn(object, name))
    : key === "signature" && isOfReasoning(object) && Object.keys(object).every((name) => ofThoughts.has(name)) &&
      (Object.keys(object).length > 1 || isLong(object["signature"]))

/** Whether a key is one of those that are looked at with what stands beside them, or above what is below them. */
export const needsContext = (key: string): boolean =>
  /^(?:tokens?|signature|Sid|[Vv]alue)$/.test(key) || isRawHeaders(key) || repetition(key) !== ""

/** Whether a key of an object is the name of a statement in a policy of access (IAM JSON policy grammar, `sid_block`). */
export const isOfStatement = (object: JsonObject, key: string): boolean =>
  key === "Sid" && (object["Effect"] === "Allow" || object["Effect"] === "Deny")

/** What an object has before one of its keys, to be written on. */
export const copyUpTo = (object: JsonObject, keys: ReadonlyArray<string>, end: number): Record<string, Json> => {
  const copy: Record<string, Json> = {}
  for (let i = 0; i < end; i++) setKey(copy, keys[i]!, object[keys[i]!]!)
  return copy
}

/**
 * How often a key was used in each object that is being written: looking for a free name must not start over each time.
 */
const used = new WeakMap<object, Map<string, number>>()

/** Two keys that became the same placeholder are told apart by a number: neither value is lost. */
export const unused = (target: Record<string, Json>, name: string): string => {
  if (!Object.hasOwn(target, name)) return name
  const counts = used.get(target) ?? new Map<string, number>()
  used.set(target, counts)
  for (let n = (counts.get(name) ?? 1) + 1;; n++) {
    if (Object.hasOwn(target, `${name} ${n}`)) continue
    counts.set(name, n)
    return `${name} ${n}`
  }
}
