/**
 * Unknown values become JSON, in this one place.
 *
 * The rules, from the value a caller passed to what is stored:
 *
 * | value | becomes |
 * | --- | --- |
 * | string | itself; a lone surrogate becomes U+FFFD |
 * | finite number | itself; `-0` becomes `0` |
 * | `NaN`, `Infinity` | `null` |
 * | `bigint` | its decimal digits as a string |
 * | `undefined`, function, symbol | left out of an object, `null` in an array |
 * | `Date` | RFC 3339 text; an invalid date `null` |
 * | `Map` | an object if all keys are strings, else an array of pairs |
 * | `Set` | an array |
 * | typed array, `ArrayBuffer`, `DataView` | `"[Uint8Array: 12 bytes]"`: bytes cannot be searched for personal data |
 * | `Error` | `name`, `message`, own enumerable properties and `cause`; no stack |
 * | `RegExp` | its source text |
 * | boxed primitive | the primitive |
 * | has `toJSON` | what it returns |
 * | other object, class instance | its own enumerable string keys |
 * | hole in a sparse array | `null` |
 * | getter, proxy or `toJSON` that throws | `"[unreadable]"` |
 *
 * Each property is read once. A key `__proto__` is kept as an ordinary key. The same object may occur twice; a cycle is
 * refused, and so is what exceeds a limit.
 */

/** A JSON value. */
export type Json = string | number | boolean | null | ReadonlyArray<Json> | JsonObject
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json
}

/** Bounds on what one call may carry. */
export interface Limits {
  /** Bytes of the draft as JSON in UTF-8. */
  readonly maxBytes: number
  /** Nesting of objects and arrays. */
  readonly maxDepth: number
  /** Keys of all objects together. */
  readonly maxKeys: number
}

/** A value that cannot be recorded: where (JSON Pointer) and why, never what. */
export class Refusal {
  readonly path: string
  readonly problem: string
  constructor(path: string, problem: string) {
    this.path = path
    this.problem = problem
  }
}

/** Escapes one reference token (RFC 6901). */
export const pointerToken = (key: string | number): string =>
  typeof key === "number" ? String(key) : key.replaceAll("~", "~0").replaceAll("/", "~1")

/** Builds a JSON Pointer (RFC 6901). */
export const pointer = (keys: ReadonlyArray<string | number>): string =>
  keys.map((key) => `/${pointerToken(key)}`).join("")

const unreadable = "[unreadable]"

/** Sets a key that may be called `__proto__` without touching a prototype. */
export const setKey = (target: Record<string, Json>, key: string, value: Json): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else target[key] = value
}

/** Copies values into JSON and counts what it copies. One instance serves one draft. */
export class JsonReader {
  readonly limits: Limits
  /** Size of the JSON read so far: about its UTF-8 bytes, never less than a sixth of them. */
  bytes = 0
  keys = 0
  depth = 0
  private readonly path: Array<string | number> = []
  private readonly ancestors: Array<object> = []

  constructor(limits: Limits) {
    this.limits = limits
  }

  /** Reads the value of the field `name`; `undefined` when it has no JSON form. Throws a `Refusal`. */
  read(name: string, value: unknown): Json | undefined {
    this.path.length = 0
    this.path.push(name)
    return this.convert(value)
  }

  private refuse(problem: string): never {
    throw new Refusal(pointer(this.path), problem)
  }

  private count(bytes: number): void {
    this.bytes += bytes
    if (this.bytes > this.limits.maxBytes) this.refuse(`exceeds ${this.limits.maxBytes} bytes as JSON`)
  }

  private text(value: string): string {
    this.count(value.length + 2)
    return value.isWellFormed() ? value : value.toWellFormed()
  }

  private convert(value: unknown): Json | undefined {
    switch (typeof value) {
      case "string":
        return this.text(value)
      case "number":
        // As text up to 25 characters; what counts one here has at most six.
        this.count(Number.isInteger(value) && Math.abs(value) < 100_000 ? 1 : 5)
        return Number.isFinite(value) ? (value === 0 ? 0 : value) : null
      case "boolean":
        this.count(4)
        return value
      case "bigint":
        return this.text(value.toString())
      case "object":
        if (value === null) {
          this.count(4)
          return null
        }
        return this.enter(value)
      default:
        return undefined
    }
  }

  private enter(value: object): Json | undefined {
    for (let i = 0; i < this.ancestors.length; i++) if (this.ancestors[i] === value) this.refuse("is cyclic")
    if (this.ancestors.length >= this.limits.maxDepth) this.refuse(`is nested deeper than ${this.limits.maxDepth}`)
    this.ancestors.push(value)
    if (this.ancestors.length > this.depth) this.depth = this.ancestors.length
    const json = this.object(value)
    this.ancestors.pop()
    return json
  }

  private object(value: object): Json | undefined {
    const read = attempt(() => classify(value))
    if (read === failed) return this.text(unreadable)
    switch (read.kind) {
      case "array":
        return this.array(read.items, read.length)
      case "text":
        return this.text(read.text)
      case "value":
        return this.convert(read.value)
      case "object":
        return this.properties(value, read.keys, read.head)
      case "entries":
        return this.entries(read.entries)
    }
  }

  private array(items: ArrayLike<unknown>, length: number): ReadonlyArray<Json> {
    if (length * 2 > this.limits.maxBytes) this.refuse(`exceeds ${this.limits.maxBytes} bytes as JSON`)
    this.count(2 + length)
    const result: Array<Json> = []
    for (let i = 0; i < length; i++) {
      this.path.push(i)
      const item = attempt(() => items[i])
      result.push((item === failed ? this.text(unreadable) : this.convert(item)) ?? null)
      this.path.pop()
    }
    return result
  }

  private properties(value: object, keys: ReadonlyArray<string>, head: ReadonlyArray<readonly [string, unknown]>) {
    const result: Record<string, Json> = {}
    this.count(2)
    for (const [key, property] of head) this.property(result, key, property)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      let property: unknown
      try {
        property = Reflect.get(value, key)
      } catch {
        property = unreadable
      }
      this.property(result, key, property)
    }
    return result
  }

  private entries(entries: ReadonlyArray<readonly [string, unknown]>) {
    const result: Record<string, Json> = {}
    this.count(2)
    for (const [key, property] of entries) this.property(result, key, property)
    return result
  }

  private property(result: Record<string, Json>, key: string, value: unknown): void {
    this.path.push(key)
    const json = this.convert(value)
    if (json !== undefined) {
      this.keys++
      if (this.keys > this.limits.maxKeys) this.refuse(`has more than ${this.limits.maxKeys} keys`)
      this.count(key.length + 4)
      setKey(result, key.isWellFormed() ? key : key.toWellFormed(), json)
    }
    this.path.pop()
  }
}

const failed = Symbol("failed")
/** Code of the caller may throw anything: a trap of a proxy, a getter, `toJSON`. */
const attempt = <A>(evaluate: () => A): A | typeof failed => {
  try {
    return evaluate()
  } catch {
    return failed
  }
}

type Entries = ReadonlyArray<readonly [string, unknown]>
type Classified =
  | { readonly kind: "array"; readonly items: ArrayLike<unknown>; readonly length: number }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "object"; readonly keys: ReadonlyArray<string>; readonly head: Entries }
  | { readonly kind: "entries"; readonly entries: Entries }

const none: Entries = []
const objectPrototype = Object.prototype

const classify = (value: object): Classified => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === objectPrototype || prototype === null) return plain(value)
  if (Array.isArray(value)) return { kind: "array", items: value, length: value.length }
  if (value instanceof Date) {
    const time = Date.prototype.getTime.call(value)
    if (Number.isNaN(time)) return { kind: "value", value: null }
    return { kind: "text", text: Date.prototype.toISOString.call(value) }
  }
  if (value instanceof Map) {
    const entries = [...Map.prototype.entries.call(value)]
    if (!entries.every((entry): entry is [string, unknown] => typeof entry[0] === "string")) {
      return { kind: "array", items: entries, length: entries.length }
    }
    return { kind: "entries", entries }
  }
  if (value instanceof Set) {
    const items = [...Set.prototype.values.call(value)]
    return { kind: "array", items, length: items.length }
  }
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    return { kind: "text", text: `[${Object.prototype.toString.call(value).slice(8, -1)}: ${value.byteLength} bytes]` }
  }
  if (value instanceof Error) return error(value)
  if (value instanceof RegExp) return { kind: "text", text: RegExp.prototype.toString.call(value) }
  if (value instanceof String) return { kind: "value", value: String.prototype.valueOf.call(value) }
  if (value instanceof Number) return { kind: "value", value: Number.prototype.valueOf.call(value) }
  if (value instanceof Boolean) return { kind: "value", value: Boolean.prototype.valueOf.call(value) }
  if (value instanceof BigInt) return { kind: "value", value: BigInt.prototype.valueOf.call(value) }
  return plain(value)
}

const plain = (value: object): Classified => {
  const toJSON: unknown = Reflect.get(value, "toJSON")
  if (typeof toJSON !== "function") return { kind: "object", keys: Object.keys(value), head: none }
  const json: unknown = Reflect.apply(toJSON, value, [])
  // An object whose `toJSON` returns itself is read by its keys, as `JSON.stringify` does.
  return json === value ? { kind: "object", keys: Object.keys(value), head: none } : { kind: "value", value: json }
}

const error = (value: Error): Classified => {
  const keys = Object.keys(value).filter((key) =>
    key !== "stack" && key !== "name" && key !== "message" && key !== "cause"
  )
  const head: Array<readonly [string, unknown]> = [["name", value.name], ["message", value.message]]
  if (value.cause !== undefined) head.push(["cause", value.cause])
  return { kind: "object", keys, head }
}

/** UTF-8 length of a JSON value; counts exactly, for the rare value that is close to the limit. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? "", "utf8")

/** Where a value is nested deeper than allowed; a scalar is not nested. */
export const findDeeper = (value: Json, maxDepth: number, path: ReadonlyArray<string | number>): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (maxDepth <= 0) return pointer(path)
  for (const [key, child] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    const found = findDeeper(child, maxDepth - 1, [...path, key])
    if (found !== undefined) return found
  }
  return undefined
}
