/**
 * Finds and replaces personal data and secrets in texts and JSON. Pure and synchronous.
 *
 * @since 0.1.0
 */
import { networkOf } from "../internal/address.ts"
import { type Json, type JsonObject, setKey } from "../internal/json.ts"
import { type Embedded, exactNumber, jsonLines, mayHoldJson, readJson, repetition, writeJson } from "./embedded.ts"
import { isMask, isOnlyDigits } from "./harmless.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { isCommonCard } from "./numbers.ts"
import { type Asked, askedBy } from "./optional.ts"
import {
  copyUpTo,
  isArray,
  isCarrier,
  isFlat,
  isListOfPairs,
  isOfModel,
  isOfStatement,
  isRawHeaders,
  isSchema,
  isValueKey,
  nameIn,
  unused
} from "./pairs.ts"
import { stripPointer } from "./place.ts"
import { isPlaceholder } from "./placeholder.ts"
import { type KnownKey, knownKey } from "./plainKeys.ts"
import { couldBe, couldBeSecret, couldBeUnder, ownKind } from "./plausible.ts"
import { defaultPolicy, matches, type Policy, statedTreatment, type Treatment, treatment } from "./Policy.ts"
import { partial, pseudonym, type PseudonymKey } from "./pseudonym.ts"
import { none, scan as scanText } from "./scanner.ts"
import { disjoint, type Span } from "./span.ts"
import { isCard } from "./validate.ts"

export { pseudonym, type PseudonymKey } from "./pseudonym.ts"
export type { Span } from "./span.ts"

/** A detector of one's own: findings in a text, in order. What it throws fails the strip. */
export type Detector = (text: string) => ReadonlyArray<Span>

/** How to strip. */
export interface Options {
  readonly policy?: Policy | undefined
  /** The tenant whose treatments apply, and whose pseudonyms are its own. */
  readonly tenantId?: string | undefined
  readonly key?: PseudonymKey | undefined
  readonly detectors?: ReadonlyArray<Detector> | undefined
}

/** JSON inside strings is looked into this many times over; deeper, it is a text like any other. */
const maxNestedJson = 4
/** Texts settle after two; more are for hostile ones. */
const maxPasses = 8

/** Findings in a text, in order and without overlap; offsets in UTF-16 code units. */
export const scan = (text: string): ReadonlyArray<Span> => scanText(text)

/** Kinds whose place says something of what stands behind it. */
const cues = new Set<Kind>(["PASSWORD", "SECRET", "STREET_ADDRESS", "BANK_ACCOUNT", "DATE_OF_BIRTH"])

/** Replaces what it finds in values and keys, and counts it by kind. One instance serves one event. */
export class Stripper {
  private readonly policy: Policy
  private readonly options: Options
  private readonly path: Array<string | number> | undefined
  /** Findings by kind; `undefined` when there are none. */
  counts: Map<Kind, number> | undefined = undefined
  /** Whether something was found that the policy does not let pass into training. */
  trainable = true
  /** Whether a limit cut the search short. */
  truncated = false
  private again = false
  private readonly asked: Asked | undefined
  private readonly detectsNothingElse: boolean
  /** Whether the policy says nothing of what is allowed, and nothing of paths. */
  private readonly isPlain: boolean

  constructor(options: Options = {}) {
    this.options = options
    this.policy = options.policy ?? defaultPolicy
    this.asked = askedBy(this.policy, options.tenantId)
    this.detectsNothingElse = (options.detectors?.length ?? 0) === 0 && this.asked === undefined
    // Paths cost a push and a pop per value: only where a rule asks for them.
    this.path = this.policy.paths !== undefined || this.policy.allow?.paths !== undefined ? [] : undefined
    this.isPlain = this.detectsNothingElse && this.path === undefined && this.policy.allow === undefined
  }

  /** Strips one part of an event's content, by its name, or what is below it. */
  part(name: string | number, value: Json, ...[next, ...below]: ReadonlyArray<string | number>): Json {
    return this.at(name, () => next === undefined ? this.value(value, 0) : this.part(next, value, ...below))
  }

  /** A text without its findings, which may be known; the same string when there are none. */
  text(text: string, found?: ReadonlyArray<Span>): string {
    let result = text
    // What stood behind a dropped value, or stands behind a finding's kind, may be a value as well.
    for (let pass = 0; pass < maxPasses; pass++) {
      this.again = false
      result = this.once(result, pass > 0, pass === 0 ? found : undefined)
      if (!this.again) break
    }
    return result
  }

  private once(text: string, isRepeated: boolean, found: ReadonlyArray<Span> | undefined): string {
    if (this.isAllowedValue(text) || this.isAllowedPath()) return text
    const spans = found ?? this.find(text)
    if (spans.length === 0) return text
    let result = ""
    let from = 0
    for (const span of spans) {
      const value = text.slice(span.start, span.end)
      if (this.isAllowedValue(value)) continue
      const treated = this.found(span.kind, true, isRepeated)
      if (treated === "keep") continue
      if (treated === "drop" || cues.has(span.kind)) this.again = true
      result += text.slice(from, span.start) + (treated === "drop" ? "" : this.replacement(treated, span.kind, value))
      from = span.end
    }
    return result + text.slice(from)
  }

  /** A JSON Pointer without findings in its keys, and without the keys below one that names a kind. */
  place(pointer: string): string {
    return stripPointer(pointer, (key) => this.text(key))
  }

  /** A value without its findings; the same value when there are none. */
  json(value: Json): Json {
    return this.value(value, 0)
  }

  /**
   * What is kept of the address that a request came from: its network, unless the policy says something of its path or
   * of addresses. A network, or nothing, is no finding.
   */
  address(name: string, below: string, address: string): string | undefined {
    return this.at(name, () =>
      this.at(below, () => {
        if (this.isAllowedPath()) return address
        const treated = this.pathTreatment() ?? statedTreatment(this.policy, "IP", this.options.tenantId) ?? "partial"
        if (treated === "partial") return networkOf(address)
        if (treated === "drop") return undefined
        if (treated === "mask") return this.replacement("mask", "IP", address)
        this.found("IP", true)
        return treated === "keep" ? address : this.replacement(treated, "IP", address)
      }))
  }

  private find(text: string): ReadonlyArray<Span> {
    if (this.detectsNothingElse) return scanText(text)
    const more = [...this.options.detectors ?? [], ...this.asked?.detectors ?? []]
    return disjoint([...more.flatMap((detector) => [...detector(text)]), ...scanText(text)])
  }

  /** Counts a finding and says how it is treated. */
  private found(kind: Kind, byForm: boolean, isRepeated = false): Treatment {
    this.counts ??= new Map()
    const treated = this.pathTreatment() ?? treatment(this.policy, kind, this.options.tenantId)
    // What is kept is found by every pass.
    if (!isRepeated || treated !== "keep") this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const passes = byForm && treated !== "partial" && treated !== "keep" &&
      this.policy.trainable?.some((name) => name === kind) === true
    if (!passes) this.trainable = false
    return treated
  }

  private replacement(treated: Treatment, kind: Kind, value: string): string {
    const { key, tenantId } = this.options
    if (treated === "partial") return partial(kind, value)
    return treated === "pseudonym" && key !== undefined ? pseudonym(key, tenantId ?? "", kind, value) : `[${kind}]`
  }

  private at<A>(segment: string | number, evaluate: () => A): A {
    if (this.path === undefined) return evaluate()
    this.path.push(segment)
    const result = evaluate()
    this.path.pop()
    return result
  }

  private isAllowedValue(value: string): boolean {
    return this.policy.allow?.values?.includes(value) === true
  }
  private isAllowedPath(): boolean {
    return this.path !== undefined && this.policy.allow?.paths?.some(matches(this.path)) === true
  }
  private pathTreatment(): Treatment | undefined {
    return this.policy.paths?.find(({ path }) => matches(this.path ?? [])(path))?.treatment
  }

  private keyed(value: Json, key: string, depth: number, known: KnownKey): Json {
    if (this.policy.allow?.keys?.includes(key) === true) return value
    const { digits, kind, weak } = known
    if (digits !== undefined && this.detectsNothingElse && typeof value === "string" && isOnlyDigits(digits, value)) {
      return value
    }
    if (kind !== undefined && !this.isAllowedPath()) return this.sensitive(value, kind, key, depth)
    if (weak !== undefined && typeof value === "string" && couldBeSecret(weak, value) && !this.isAllowedPath()) {
      return this.sensitive(value, "SECRET", "", depth)
    }
    const asked = this.asked?.ofKey(key, value)
    if (asked !== undefined) return this.sensitive(value, asked, key, depth)
    return isArray(value) && isRawHeaders(key) && isFlat(value)
      ? this.flatPairs(value, depth)
      : this.value(value, depth)
  }

  private value(value: Json, depth: number): Json {
    switch (typeof value) {
      case "string":
        return this.string(value, depth)
      case "number":
        return this.number(value)
      case "object":
        return value === null ? null : isArray(value) ? this.array(value, depth) : this.object(value, depth)
      default:
        return value
    }
  }

  /** A string that is JSON, or that has lines that are, is stripped as what it says. */
  private string(text: string, depth: number): Json {
    const found = this.isPlain && !mayHoldJson(text) ? scanText(text) : undefined
    if (found !== undefined) return found === none ? text : this.text(text, found)
    const literal = exactNumber(text)
    if (literal !== undefined) return this.digits(text, literal)
    if (!mayHoldJson(text)) return this.text(text)
    const whole = readJson(text)
    const parts = whole === undefined ? jsonLines(text) : [whole]
    if (parts === undefined) return this.text(text)
    if (depth >= maxNestedJson) {
      this.truncated = true
      return this.text(text)
    }
    return parts.map((part) => typeof part === "string" ? this.text(part) : this.embedded(part, depth)).join("")
  }

  private embedded(part: Embedded, depth: number): string {
    const json = this.value(part.json, depth + 1)
    return json === part.json ? part.text : writeJson(part, json)
  }

  /** A number of a JSON text that is kept as it was written. */
  private digits(text: string, literal: string): Json {
    return this.isCardNumber(literal.replace(/\.0+$/, "")) ? this.leaf(text, "CREDIT_CARD", true) : text
  }

  private number(value: number): Json {
    // Below fourteen digits a bare number says nothing; above 2^53 it has lost its digits anyway.
    if (value < 1e13 || !Number.isSafeInteger(value)) return value
    return this.isCardNumber(String(value)) ? this.leaf(value, "CREDIT_CARD", true) : value
  }

  private isCardNumber(digits: string): boolean {
    return isCommonCard(digits) && isCard(digits) && !this.isAllowedPath() && !this.isAllowedValue(digits)
  }

  private array(values: ReadonlyArray<Json>, depth: number): Json {
    if (isListOfPairs(values)) return this.listOfPairs(values, depth)
    let result: Array<Json> | undefined
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      this.path?.push(i)
      const stripped = this.value(value, depth)
      this.path?.pop()
      if (stripped !== value && result === undefined) result = values.slice(0, i)
      result?.push(stripped)
    }
    return result ?? values
  }

  /** Names with values, as `Map` and `entries()` give them. */
  private listOfPairs(pairs: ReadonlyArray<readonly [Json, Json]>, depth: number): Json {
    let isSame = true
    const stripped = pairs.map((pair, i) =>
      this.at(i, () => {
        const next = this.pair(pair[0], pair[1], 0, depth)
        if (next[0] === pair[0] && next[1] === pair[1]) return pair
        isSame = false
        return next
      })
    )
    return isSame ? pairs : stripped
  }

  /** Names and values in turn, as Node gives the raw headers of a request. */
  private flatPairs(values: ReadonlyArray<Json>, depth: number): Json {
    const stripped: Array<Json> = []
    for (let i = 0; i < values.length; i += 2) {
      const next = this.pair(values[i]!, values[i + 1] ?? null, i, depth)
      stripped.push(...next.slice(0, values.length - i))
    }
    return stripped.every((value, i) => value === values[i]) ? values : stripped
  }

  private pair(name: Json, value: Json, at: number, depth: number): readonly [Json, Json] {
    return [
      this.at(at, () => this.value(name, depth)),
      this.at(
        at + 1,
        () => typeof name === "string" ? this.keyed(value, name, depth, knownKey(name)) : this.value(value, depth)
      )
    ]
  }

  private object(object: JsonObject, depth: number): Json {
    let result: Record<string, Json> | undefined
    const keys = Object.keys(object)
    for (let i = 0; i < keys.length; i++) {
      const given = keys[i]!
      const value = object[given]!
      // Of most keys nothing is said; what is below them is looked at like anything else.
      if (this.isPlain && knownKey(given).saysNothing) {
        const stripped = this.value(value, depth)
        if (stripped !== value) result ??= copyUpTo(object, keys, i)
        if (result !== undefined) setKey(result, unused(result, given), stripped)
        continue
      }
      const repeated = repetition(given)
      const key = repeated === "" ? given : given.slice(repeated.length)
      this.path?.push(key)
      const known = knownKey(key)
      const name = this.detectsNothingElse && known.isPlain ? key : this.text(key)
      const named = isValueKey(key) ? nameIn(object) : undefined
      const stripped = isOfModel(object, key) || isOfStatement(object, key)
        ? this.value(value, depth)
        : named !== undefined
        ? this.keyed(value, named, depth, knownKey(named))
        : this.keyed(value, key, depth, known)
      this.path?.pop()
      if (stripped !== value || name !== key) result ??= copyUpTo(object, keys, i)
      if (result !== undefined) setKey(result, unused(result, repeated + name), stripped)
    }
    return result ?? object
  }

  /** Under a key that names a kind a leaf, or each of a list, is of that kind, unless the text itself says more. */
  private sensitive(value: Json, kind: Kind, key: string, depth: number): Json {
    if (typeof value === "boolean" || value === null || value === "") return value
    if (isArray(value)) return this.sensitiveList(value, kind, key, depth)
    if (typeof value === "object") return this.sensitiveObject(value, kind, key, depth)
    const literal = typeof value === "string" ? exactNumber(value) : undefined
    if (this.isAllowedPath() || this.isAllowedValue(literal ?? String(value))) return value
    if (typeof value === "string" && this.detectsNothingElse && isMask(value)) return value
    if (!couldBe(kind, key, value)) return this.value(value, 0)
    if (typeof value === "number") return this.leaf(value, kind, false)
    if (literal !== undefined) return Number.isInteger(Number(literal)) ? this.leaf(value, kind, false) : value
    if (isPlaceholder(value)) return value
    if (!couldBeUnder(kind, key, value)) return this.value(value, depth)
    const own = ownKind(value, kind)
    return this.leaf(value, own ?? kind, own !== undefined)
  }

  private sensitiveList(values: ReadonlyArray<Json>, kind: Kind, key: string, depth: number): Json {
    const stripped = values.map((item, index) => this.at(index, () => this.sensitive(item, kind, key, depth)))
    return stripped.every((item, index) => item === values[index]) ? values : stripped
  }

  /**
   * What is below such a key has names of its own; only a `value` is what the key says. A schema says something of it.
   */
  private sensitiveObject(object: JsonObject, kind: Kind, key: string, depth: number): Json {
    const carries = (name: string) => isCarrier(name) && keyKind(name) === undefined
    if (!Object.keys(object).some(carries) || (isSchema(object) && typeof object["value"] !== "string")) {
      return this.object(object, depth)
    }
    const result: Record<string, Json> = {}
    for (const [given, item] of Object.entries(object)) {
      const repeated = repetition(given)
      const name = given.slice(repeated.length)
      const stripped = this.at(
        name,
        () => carries(name) ? this.sensitive(item, kind, key, depth) : this.keyed(item, name, depth, knownKey(name))
      )
      setKey(result, unused(result, repeated + this.text(name)), stripped)
    }
    return result
  }

  private leaf(value: string | number, kind: Kind, byForm: boolean): Json {
    const treated = this.found(kind, byForm)
    if (treated === "drop" || treated === "keep") return treated === "drop" ? null : value
    const text = String(value)
    return this.replacement(treated, kind, exactNumber(text) ?? text)
  }
}

/** A text or JSON value without personal data and secrets, and the kinds that were found. */
export const strip = (
  value: Json,
  options: Options = {}
): { readonly value: Json; readonly counts: ReadonlyMap<Kind, number>; readonly trainable: boolean } => {
  const stripper = new Stripper(options)
  const stripped = stripper.json(value)
  return { value: stripped, counts: stripper.counts ?? new Map(), trainable: stripper.trainable && !stripper.truncated }
}
