/** What a relay leaves out of events, or replaces in them, on the way to its target. */
import * as Result from "effect/Result"
import { createHmac } from "node:crypto"
import { InvalidInput } from "../AuditError.ts"
import type { Wire } from "../DatasetEvent.ts"
import { pointer } from "../internal/json.ts"
import type { PseudonymKey } from "../pii/Pii.ts"
import type { Item } from "../trail/page.ts"

/** Fields are JSON Pointers (RFC 6901) into the event: `/input`, `/metadata/ip`, `/user_id`. */
export interface FieldPolicy {
  /** Fields that the target does not get. */
  readonly drop?: ReadonlyArray<string> | undefined
  /**
   * Fields whose text is replaced by a pseudonym, the same for the same text in one tenant. An id that has one has it
   * wherever ids of persons stand in its event: `/user_id`, `/agentId`, `/subject_ids`, `/approval/by/id`, ...
   */
  readonly pseudonymise?: ReadonlyArray<string> | undefined
  /** The key of the pseudonyms. */
  readonly key?: PseudonymKey | undefined
}

/** Every event has these: they say which it is, of which log, and what happened. */
const kept = new Set([
  "event_id",
  "schema_version",
  "tenantId",
  "env",
  "mode",
  "actor_type",
  "agentId",
  "request_id",
  "trace_id",
  "action",
  "outcome",
  "severity",
  "storage_class",
  "train_ok",
  "train_reason",
  "pii_flags",
  "metadata",
  "recorded_at",
  "occurred_at"
])

/** Fields of which no pseudonym is made: others read them by their values. */
const plain = new Set([...kept].filter((field) => !/^(agentId|request_id|trace_id)$/.test(field)))

const partsOf = (path: string): ReadonlyArray<string> | undefined =>
  path.startsWith("/")
    ? path.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    : undefined

const refuse = (path: ReadonlyArray<string | number>, detail: string) =>
  Result.fail(new InvalidInput({ path: pointer(["policy", ...path.map(String)]), detail }))

/** Replaces what is at a path; what is not there stays so. */
const replaced = (value: unknown, [key, ...rest]: ReadonlyArray<string>, by: (value: unknown) => unknown): unknown => {
  if (key === undefined) return by(value)
  if (Array.isArray(value)) {
    return value.map((one, at) => key === "*" || key === String(at) ? replaced(one, rest, by) : one)
  }
  if (typeof value !== "object" || value === null || !(key in value)) return value
  const entries = Object.entries(value).flatMap(([name, one]) => {
    if (name !== key) return [[name, one] as const]
    const after = replaced(one, rest, by)
    return after === undefined ? [] : [[name, after] as const]
  })
  return Object.fromEntries(entries)
}

/** Where ids of persons stand: one that has a pseudonym in one of these has it in all of them. */
const ofPersons: ReadonlyArray<ReadonlyArray<string>> = [
  ["user_id"],
  ["agentId"],
  ["metadata", "agentId"],
  ["subject_ids"],
  ["approval", "by", "id"],
  ["delegation", "*", "id"],
  ["resource", "id"],
  ["related", "*", "id"]
]

const isOfPersons = (path: ReadonlyArray<string>): boolean => ofPersons.some(([first]) => path[0] === first)

/** Pseudonyms of the texts of one event, and which texts these were. */
class Pseudonyms {
  private readonly key: PseudonymKey
  private readonly tenantKey: Uint8Array
  private readonly known = new Map<string, string>()
  private readonly made = new Set<string>()

  constructor(key: PseudonymKey, tenantId: string) {
    this.key = key
    this.tenantKey = createHmac("sha256", key.secret).update(tenantId).digest()
  }

  private of(text: string, spreads: boolean): string {
    // A place may be named twice.
    if (this.made.has(text)) return text
    const hash = createHmac("sha256", this.tenantKey).update(text).digest().subarray(0, 16)
    const pseudonym = `${this.key.id}:${hash.toString("base64url")}`
    this.made.add(pseudonym)
    if (spreads) this.known.set(text, pseudonym)
    return pseudonym
  }

  /** In place of a text, or of each of a list; that of a person's id stands for it in other places as well. */
  readonly ofAll = (spreads: boolean) => (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map((one) => typeof one === "string" ? this.of(one, spreads) : undefined)
      : typeof value === "string"
      ? this.of(value, spreads)
      : undefined

  /** In place of a text that has a pseudonym already; others stay. */
  readonly ofKnown = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map((one) => this.ofKnown(one))
      : typeof value === "string"
      ? this.known.get(value) ?? value
      : value
}

/** Makes the policy, or says why it cannot be meant. */
export const policyOf = (
  { drop = [], key, pseudonymise = [] }: FieldPolicy
): Result.Result<(item: Item) => Item, InvalidInput> => {
  const dropped: Array<ReadonlyArray<string>> = []
  for (const [at, path] of drop.entries()) {
    const parts = partsOf(path)
    if (parts === undefined) return refuse(["drop", at], "must be a JSON Pointer, such as /input")
    if (parts.length === 1 && kept.has(parts[0] ?? "")) return refuse(["drop", at], "is a field that every event has")
    dropped.push(parts)
  }
  const replacing: Array<ReadonlyArray<string>> = []
  for (const [at, path] of pseudonymise.entries()) {
    const parts = partsOf(path)
    if (parts === undefined) return refuse(["pseudonymise", at], "must be a JSON Pointer, such as /user_id")
    if (parts.length === 1 && plain.has(parts[0] ?? "")) {
      return refuse(["pseudonymise", at], "is a field that others read by its values")
    }
    replacing.push(parts)
    // Readers of the older shape find it there as well.
    if (parts.length === 1 && kept.has(parts[0] ?? "")) replacing.push(["metadata", ...parts])
  }
  if (replacing.length > 0 && key === undefined) return refuse(["key"], "is missing: pseudonyms need one")
  if (key !== undefined && key.secret.length < 32) return refuse(["key", "secret"], "must have at least 32 bytes")
  return Result.succeed((item) => {
    if (item.erased || (dropped.length === 0 && replacing.length === 0)) return item
    let event: unknown = item.event
    for (const path of dropped) event = replaced(event, path, () => undefined)
    if (key !== undefined) {
      const pseudonyms = new Pseudonyms(key, item.event.tenantId)
      for (const path of replacing) event = replaced(event, path, pseudonyms.ofAll(isOfPersons(path)))
      for (const path of ofPersons) event = replaced(event, path, pseudonyms.ofKnown)
    }
    if (!isWire(event)) throw new TypeError("a policy of a relay took the event's own fields away")
    return { ...item, event }
  })
}

/** No field that every event has was taken away. */
const isWire = (event: unknown): event is Wire => typeof event === "object" && event !== null && "event_id" in event
