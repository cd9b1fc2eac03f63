/**
 * Whether a value that was parsed from JSON has the very shape of an event on the wire: then decoding it by its schema
 * would return the same. That takes twice as long as parsing it, and most events are as `Seal` wrote them. What has not
 * this shape is left to the schema, which also says why.
 */
import { ActorType, Mode, type Party } from "../RequestContext.ts"
import { envPattern, idPattern, tenantIdPattern, timePattern, traceIdPattern, versionPattern } from "./patterns.ts"
import {
  Decision,
  Outcome,
  Phase,
  type PiiFlags,
  Severity,
  StorageClass,
  TrainReason,
  type Wire,
  type WireFields
} from "./wire.ts"

type Check = (value: unknown) => boolean

/** A field that may be absent. */
class Optional {
  readonly check: Check
  constructor(check: Check) {
    this.check = check
  }
}
const optional = (check: Check): Optional => new Optional(check)

/** A check of each field: one that is left out, or is optional in one place alone, does not compile. */
type Checks<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? Optional : Check
}

/** Whether a value of JSON is an object. */
export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** All required fields, and no others but the optional ones, and those of open names. */
const struct = <T>(
  checks: Checks<T>,
  isOpen: (key: string, value: unknown) => boolean = () => false
): (value: unknown) => value is T => {
  const fields = new Map<string, Check | Optional>(Object.entries<Check | Optional>(checks))
  const required = [...fields.values()].filter((field) => !(field instanceof Optional)).length
  return (value): value is T => {
    if (!isObject(value)) return false
    let found = 0
    for (const key of Object.keys(value)) {
      const field = fields.get(key)
      if (field === undefined) {
        if (!isOpen(key, value[key])) return false
      } else if (field instanceof Optional) {
        if (!field.check(value[key])) return false
      } else {
        if (!field(value[key])) return false
        found++
      }
    }
    return found === required
  }
}

const isText: Check = (value) => typeof value === "string"
const isBoolean: Check = (value) => typeof value === "boolean"
const isFinite: Check = (value) => Number.isFinite(value)
const is = (pattern: RegExp): Check => (value) => typeof value === "string" && pattern.test(value)
const oneOf = (literals: ReadonlyArray<string>): Check => {
  const all = new Set<unknown>(literals)
  return (value) => all.has(value)
}
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check)

/** Levels of JSON that are looked into here; what is nested deeper is left to the schema, which does not recurse. */
const deepest = 64

/** JSON may have numbers that are beyond those of JavaScript. */
const isJson = (value: unknown, depth = 0): boolean => {
  if (typeof value === "number") return Number.isFinite(value)
  if (typeof value !== "object" || value === null) return true
  if (depth === deepest) return false
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isJson(value[i], depth + 1)) return false
    return true
  }
  for (const one of Object.values(value)) if (!isJson(one, depth + 1)) return false
  return true
}
const json: Check = (value) => isJson(value)

const id = is(idPattern)
const time = is(timePattern)
const party = struct<Party>({ type: oneOf(ActorType.literals), id })
const resource = struct<NonNullable<Wire["resource"]>>({ type: isText, id: isText })

const isAnalytics = (key: string, value: unknown): boolean =>
  (key.startsWith("utm_") || key.startsWith("seo_")) && isText(value)

/** Whether decoding a value by `Wire` would return the same. */
export const hasWireShape: (value: unknown) => value is Wire = struct<typeof WireFields.Type>({
  event_id: is(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i),
  schema_version: (value) => value === "1",
  tenantId: is(tenantIdPattern),
  env: is(envPattern),
  mode: oneOf(Mode.literals),
  project_id: optional(id),
  app_id: optional(id),
  surface: optional(id),
  surface_id: optional(id),
  actor_type: oneOf(ActorType.literals),
  agentId: id,
  agent: optional(struct<NonNullable<Wire["agent"]>>({
    version: optional(is(versionPattern)),
    model: optional(is(versionPattern)),
    instance_id: optional(id)
  })),
  user_id: optional(id),
  delegation: optional(listOf(party)),
  client: optional(
    struct<NonNullable<Wire["client"]>>({ address: optional(isText), user_agent: optional(isText) })
  ),
  subject_ids: optional(listOf(id)),
  request_id: id,
  correlation_id: optional(id),
  trace_id: is(traceIdPattern),
  span_id: optional(id),
  run_id: optional(id),
  step_id: optional(id),
  operation_id: optional(id),
  phase: optional(oneOf(Phase.literals)),
  action: isText,
  resource: optional(resource),
  related: optional(listOf(resource)),
  authorization: optional(struct<NonNullable<Wire["authorization"]>>({
    decision: oneOf(Decision.literals),
    policy_id: optional(isText),
    reason: optional(isText),
    risk: optional((value) => isText(value) || isFinite(value))
  })),
  approval: optional(
    struct<NonNullable<Wire["approval"]>>({ by: party, at: time, arguments_sha256: isText })
  ),
  outcome: oneOf(Outcome.literals),
  error_tag: optional(isText),
  duration_ms: optional(isFinite),
  input: optional(json),
  output: optional(json),
  change: optional(struct<NonNullable<Wire["change"]>>({ before: optional(json), after: optional(json) })),
  metadata: (value) => isObject(value) && isJson(value),
  pii_flags: struct<PiiFlags>({
    flags: listOf(isText),
    policy_reason: isText,
    counts: (value) => isObject(value) && Object.values(value).every(Number.isSafeInteger),
    truncated: isBoolean
  }),
  train_ok: isBoolean,
  train_reason: oneOf(TrainReason.literals),
  severity: oneOf(Severity.literals),
  storage_class: oneOf(StorageClass.literals),
  occurred_at: time,
  recorded_at: time,
  analytics_event_type: optional(isText),
  analytics_platform: optional(isText),
  asset_alt_text: optional(isText)
}, isAnalytics)
