/**
 * Finds and replaces personal data and secrets in texts and JSON. Pure and synchronous.
 *
 * @since 0.1.0
 */
import { type Json, type JsonObject, setKey } from "../internal/json.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { defaultPolicy, type Policy, treatment } from "./Policy.ts"
import { scan as scanText, type Span } from "./scanner.ts"
import { isCard } from "./validate.ts"

export type { Span } from "./scanner.ts"

/** Findings in a text, in order and without overlap; offsets in UTF-16 code units. */
export const scan = (text: string): ReadonlyArray<Span> => scanText(text)

/** Replaces what it finds in values and keys, and counts it by kind. One instance serves one event. */
export class Stripper {
  readonly policy: Policy
  /** Findings by kind; `undefined` when there are none. */
  counts: Map<Kind, number> | undefined = undefined

  constructor(policy: Policy = defaultPolicy) {
    this.policy = policy
  }

  private found(kind: Kind): void {
    this.counts ??= new Map()
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  /** A text without its findings; the same string when there are none. */
  text(text: string): string {
    const spans = scanText(text)
    if (spans.length === 0) return text
    let result = ""
    let from = 0
    for (const span of spans) {
      this.found(span.kind)
      const treated = treatment(this.policy, span.kind)
      if (treated === "keep") continue
      result += text.slice(from, span.start) + (treated === "mask" ? `[${span.kind}]` : "")
      from = span.end
    }
    return result + text.slice(from)
  }

  /** A value without its findings; the same value when there are none. */
  json(value: Json, key?: string | undefined): Json {
    const kind = key === undefined ? undefined : keyKind(key)
    return kind === undefined ? this.value(value) : this.sensitive(value, kind)
  }

  private value(value: Json): Json {
    switch (typeof value) {
      case "string":
        return this.text(value)
      case "number":
        return this.number(value)
      case "object":
        return value === null ? null : isArray(value) ? this.array(value) : this.object(value)
      default:
        return value
    }
  }

  private number(value: number): Json {
    // Below twelve digits a bare number says nothing; above 2^53 it has lost its digits anyway.
    if (value < 1e11 || !Number.isSafeInteger(value) || !isCard(String(value))) return value
    return this.leaf(value, "CREDIT_CARD")
  }

  private array(values: ReadonlyArray<Json>): Json {
    let result: Array<Json> | undefined
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const stripped = this.value(value)
      if (stripped !== value && result === undefined) result = values.slice(0, i)
      result?.push(stripped)
    }
    return result ?? values
  }

  private object(object: JsonObject): Json {
    let result: Record<string, Json> | undefined
    const keys = Object.keys(object)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      const value = object[key]!
      const name = this.text(key)
      const stripped = this.json(value, key)
      if (result === undefined && (stripped !== value || name !== key)) {
        result = {}
        for (let k = 0; k < i; k++) setKey(result, keys[k]!, object[keys[k]!]!)
      }
      if (result !== undefined) setKey(result, unused(result, name), stripped)
    }
    return result ?? object
  }

  /** Under a key that names a kind every leaf is of that kind, unless the text itself says more. */
  private sensitive(value: Json, kind: Kind): Json {
    if (typeof value === "boolean" || value === null || value === "") return value
    if (typeof value !== "object") return this.leaf(value, kind)
    if (isArray(value)) return value.map((item) => this.sensitive(item, kind))
    const result: Record<string, Json> = {}
    for (const [key, item] of Object.entries(value)) {
      setKey(result, unused(result, this.text(key)), this.sensitive(item, keyKind(key) ?? kind))
    }
    return result
  }

  private leaf(value: string | number, kind: Kind): Json {
    this.found(kind)
    const treated = treatment(this.policy, kind)
    return treated === "mask" ? `[${kind}]` : treated === "drop" ? null : value
  }
}

const isArray = (value: ReadonlyArray<Json> | JsonObject): value is ReadonlyArray<Json> => Array.isArray(value)

/** Two keys that became the same placeholder are told apart by a number: neither value is lost. */
const unused = (target: Record<string, Json>, name: string): string => {
  if (!Object.hasOwn(target, name)) return name
  for (let n = 2;; n++) if (!Object.hasOwn(target, `${name} ${n}`)) return `${name} ${n}`
}

/** A text or JSON value without personal data and secrets, and the kinds that were found. */
export const strip = <A extends Json>(
  value: A,
  policy: Policy = defaultPolicy
): { readonly value: Json; readonly counts: ReadonlyMap<Kind, number> } => {
  const stripper = new Stripper(policy)
  const stripped = stripper.json(value)
  return { value: stripped, counts: stripper.counts ?? new Map() }
}
