/** Names with values in other shapes than the keys of an object. */
import type { Json, JsonObject } from "../internal/json.ts"
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
