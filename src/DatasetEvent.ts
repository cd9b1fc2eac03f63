/**
 * One event in its shapes, and the one form it has on the wire.
 *
 *     Draft -> Stamped -> Stripped -> Decided -> Sealed
 *
 * An application writes a `Draft`: what happened. The other shapes are nominal: only this package makes them, each from
 * the one before it, so that no step of the write path can be skipped. `Wire` is what is stored, queried and exported;
 * its field names are a contract with other systems.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import type { Json, JsonObject } from "./internal/json.ts"
import { Made } from "./internal/made.ts"
import { Env, Id, Mode, TenantId, TraceId } from "./RequestContext.ts"

/** UUIDv7 of an event, made when it is stamped. */
export const EventId = Schema.String.check(Schema.isUUID(7)).pipe(Schema.brand("EventId"))
export type EventId = typeof EventId.Type

/** How it ended. */
export const Outcome = Schema.Literals(["success", "failure", "denied"])
export type Outcome = typeof Outcome.Type

/** How much it matters. */
export const Severity = Schema.Literals(["debug", "info", "notice", "warning", "error", "critical"])
export type Severity = typeof Severity.Type

/** What the event is kept for. `AuditLogger.emit` always writes `audit`. */
export const StorageClass = Schema.Literals(["ops", "audit", "stream", "cost"])
export type StorageClass = typeof StorageClass.Type

/** Why an event may, or may not, train a model. */
export const TrainReason = Schema.Literals([
  "allowed",
  "pii",
  "tenant_opt_out",
  "user_opt_out",
  "preferences_unavailable",
  "policy"
])
export type TrainReason = typeof TrainReason.Type

/** What the stripper found, by kind; never the values. */
export const PiiFlags = Schema.Struct({
  flags: Schema.Array(Schema.String),
  policy_reason: Schema.String,
  counts: Schema.Record(Schema.String, Schema.Int),
  truncated: Schema.Boolean
})
export interface PiiFlags extends Schema.Schema.Type<typeof PiiFlags> {}

/** What an event is about. */
export interface Resource {
  /** A kind of thing: `note`. A letter, then letters, digits and `_ . : / -`; at most 128 characters. */
  readonly type: string
  readonly id: string
}

/** Optional analytics fields. `event_type` and `platform` get the prefix `analytics_` on the wire. */
export interface Analytics {
  readonly event_type?: string | undefined
  readonly platform?: string | undefined
  readonly asset_alt_text?: string | undefined
  readonly [key: `utm_${string}` | `seo_${string}`]: string | undefined
}

/** What happened, as the application says it. Who did it, where and in which request comes from the context only. */
export interface Draft {
  /** Dotted lower-case words: `note.create`. */
  readonly action: string
  readonly resource?: Resource | undefined
  /** `success` unless given. */
  readonly outcome?: Outcome | undefined
  readonly errorTag?: string | undefined
  /** Milliseconds, not negative. */
  readonly durationMillis?: number | undefined
  /** Ids of the persons whom the event is about. */
  readonly subjectIds?: ReadonlyArray<string> | undefined
  /** Anything; becomes JSON by the rules in `docs/events.md`. */
  readonly input?: unknown
  /** Anything; becomes JSON by the rules in `docs/events.md`. */
  readonly output?: unknown
  /** The caller's own fields. The seven reserved keys (`reservedKeys`) are refused at its top level. */
  readonly metadata?: { readonly [key: string]: unknown } | undefined
  /** `info` unless given. */
  readonly severity?: Severity | undefined
  /** `ops` unless given; `audit` for what `AuditLogger` writes. */
  readonly storageClass?: StorageClass | undefined
  /**
   * When it happened, if the caller knows better; text is RFC 3339 with an offset. The time of the call unless given.
   */
  readonly occurredAt?: DateTime.DateTime.Input | undefined
  readonly analytics?: Analytics | undefined
}

/** Metadata keys that are written by the package, for readers of the older shape of the event. */
export const reservedKeys = ["tenantId", "env", "agentId", "trace_id", "request_id", "actor_type", "action"] as const

const Text = Schema.optionalKey(Schema.String)
const Time = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, { expected: "RFC 3339 in UTC with milliseconds" })
)
const AnalyticsKey = Schema.TemplateLiteral([Schema.Literals(["utm_", "seo_"]), Schema.String])

/** The event as it is stored and exported, before the open `utm_*` and `seo_*` fields. */
const WireFields = Schema.Struct({
  event_id: EventId,
  schema_version: Schema.Literal("1"),
  tenantId: TenantId,
  env: Env,
  mode: Mode,
  project_id: Schema.optionalKey(Id),
  app_id: Schema.optionalKey(Id),
  surface: Schema.optionalKey(Id),
  surface_id: Schema.optionalKey(Id),
  actor_type: Schema.Literals(["human", "agent", "system", "tool"]),
  agentId: Id,
  user_id: Schema.optionalKey(Id),
  subject_ids: Schema.optionalKey(Schema.Array(Id)),
  request_id: Id,
  correlation_id: Schema.optionalKey(Id),
  trace_id: TraceId,
  span_id: Schema.optionalKey(Id),
  run_id: Schema.optionalKey(Id),
  step_id: Schema.optionalKey(Id),
  action: Schema.String,
  resource: Schema.optionalKey(Schema.Struct({ type: Schema.String, id: Schema.String })),
  outcome: Outcome,
  error_tag: Text,
  duration_ms: Schema.optionalKey(Schema.Finite),
  input: Schema.optionalKey(Schema.Json),
  output: Schema.optionalKey(Schema.Json),
  metadata: Schema.Record(Schema.String, Schema.Json),
  pii_flags: PiiFlags,
  train_ok: Schema.Boolean,
  train_reason: TrainReason,
  severity: Severity,
  storage_class: StorageClass,
  analytics_event_type: Text,
  analytics_platform: Text,
  asset_alt_text: Text,
  occurred_at: Time,
  recorded_at: Time
})

/** The event as it is stored and exported. Field names are a contract: new ones may be added, none is renamed. */
export const Wire = Schema.StructWithRest(WireFields, [Schema.Record(AnalyticsKey, Schema.String)])
export type Wire = typeof Wire.Type

/** The exact stored bytes of an event, decoded. */
export const WireFromText = Schema.fromJsonString(Wire)

/** Identity and facts of an event: from the context and the draft, validated. */
export interface Stamp {
  readonly eventId: EventId
  readonly tenantId: TenantId
  readonly env: Env
  readonly mode: Mode
  readonly projectId: string | undefined
  readonly appId: string | undefined
  readonly surface: string | undefined
  readonly surfaceId: string | undefined
  readonly actorType: "human" | "agent" | "system" | "tool"
  /** The wire's `agentId`: the acting human's, agent's or tool's id, or `system`. */
  readonly actorId: string
  readonly userId: string | undefined
  readonly subjectIds: ReadonlyArray<string> | undefined
  readonly requestId: string
  readonly correlationId: string | undefined
  readonly traceId: string
  readonly spanId: string | undefined
  readonly runId: string | undefined
  readonly stepId: string | undefined
  readonly action: string
  readonly outcome: Outcome
  readonly durationMillis: number | undefined
  readonly severity: Severity
  readonly storageClass: StorageClass
  /** RFC 3339, UTC, milliseconds. */
  readonly occurredAt: string
  /** What the ledger's own records say: positions and counts. It is stored as `output`, and has nothing to strip. */
  readonly record: Json | undefined
}

/** The caller's own words: what a stripper reads and replaces. */
export interface Content {
  readonly resource: Resource | undefined
  readonly errorTag: string | undefined
  readonly input: Json | undefined
  readonly output: Json | undefined
  readonly metadata: JsonObject | undefined
  /** Keys as in `Analytics`. */
  readonly analytics: { readonly [key: string]: string } | undefined
}

/** A draft with tenant, actor, trace, request and id; validated; unknown values made JSON. */
export class Stamped {
  readonly #nominal = true
  readonly stamp: Stamp
  readonly content: Content

  constructor(made: Made, stamp: Stamp, content: Content) {
    Made.check(made)
    this.stamp = stamp
    this.content = content
  }
  /** Whether this package made the value: a copy of one is not. */
  static is(value: unknown): value is Stamped {
    return typeof value === "object" && value !== null && #nominal in value && value.#nominal
  }
}

/** A stamped event without personal data and secrets. */
export class Stripped {
  readonly #nominal = true
  readonly stamp: Stamp
  readonly content: Content
  readonly piiFlags: PiiFlags
  /** Whether what was found still allows training, by the stripper's policy. */
  readonly trainable: boolean

  constructor(made: Made, stamp: Stamp, content: Content, piiFlags: PiiFlags, trainable: boolean) {
    Made.check(made)
    this.stamp = stamp
    this.content = content
    this.piiFlags = piiFlags
    this.trainable = trainable
  }
  /** Whether this package made the value: a copy of one is not. */
  static is(value: unknown): value is Stripped {
    return typeof value === "object" && value !== null && #nominal in value && value.#nominal
  }
}

/** A stripped event with the decision whether it may train a model. */
export class Decided {
  readonly #nominal = true
  readonly stripped: Stripped
  readonly trainOk: boolean
  readonly trainReason: TrainReason

  constructor(made: Made, stripped: Stripped, trainReason: TrainReason) {
    Made.check(made)
    this.stripped = stripped
    this.trainOk = trainReason === "allowed"
    this.trainReason = trainReason
  }
  /** Whether this package made the value: a copy of one is not. */
  static is(value: unknown): value is Decided {
    return typeof value === "object" && value !== null && #nominal in value && value.#nominal
  }
}

/** An idempotency key with what it was used for. */
export interface Idempotency {
  readonly key: string
  /** SHA-256 of the caller's fields, stripped; 32 bytes. */
  readonly digest: Uint8Array
  /** The digest as stores of the second version have it: without the actor. */
  readonly formerDigest: Uint8Array
}

/** Values by which an event can be found, as texts. */
export interface SearchKeys {
  readonly action: string
  readonly actorId: string
  readonly userId: string | undefined
  readonly subjectIds: ReadonlyArray<string> | undefined
  readonly resourceType: string | undefined
  readonly resourceId: string | undefined
  readonly outcome: string
  readonly traceId: string
  readonly requestId: string
  readonly correlationId: string | undefined
  readonly runId: string | undefined
  readonly stepId: string | undefined
  readonly projectId: string | undefined
  readonly surface: string | undefined
  readonly severity: string
  readonly storageClass: string
  readonly trainOk: "true" | "false"
}

/** What an event is sealed with. */
export interface SealedFields {
  readonly eventId: EventId
  readonly tenantId: TenantId
  readonly env: Env
  readonly trainOk: boolean
  readonly piiFlags: PiiFlags
  /** Milliseconds since 1970, the `recorded_at` of the body. */
  readonly recordedAtMillis: number
  /** `SHA-256(salt || body)`, 32 bytes. */
  readonly commitment: Uint8Array
  /** 32 random bytes. */
  readonly salt: Uint8Array
  /** The event as JSON in UTF-8. */
  readonly body: Uint8Array
  readonly keys: SearchKeys
  readonly idempotency: Idempotency | undefined
  /** Whether the caller named the event id, as the one of an earlier try: the store may hold the event already. */
  readonly repeated: boolean
}

/** The exact bytes that will be kept, their salt and commitment. */
export class Sealed implements SealedFields {
  readonly #fields: SealedFields
  #tried = false

  constructor(made: Made, fields: SealedFields) {
    Made.check(made)
    this.#fields = fields
  }
  get eventId(): SealedFields["eventId"] {
    return this.#fields.eventId
  }
  get tenantId(): SealedFields["tenantId"] {
    return this.#fields.tenantId
  }
  get env(): SealedFields["env"] {
    return this.#fields.env
  }
  get trainOk(): SealedFields["trainOk"] {
    return this.#fields.trainOk
  }
  get piiFlags(): SealedFields["piiFlags"] {
    return this.#fields.piiFlags
  }
  get recordedAtMillis(): SealedFields["recordedAtMillis"] {
    return this.#fields.recordedAtMillis
  }
  get commitment(): SealedFields["commitment"] {
    return this.#fields.commitment
  }
  get salt(): SealedFields["salt"] {
    return this.#fields.salt
  }
  get body(): SealedFields["body"] {
    return this.#fields.body
  }
  get keys(): SealedFields["keys"] {
    return this.#fields.keys
  }
  get idempotency(): SealedFields["idempotency"] {
    return this.#fields.idempotency
  }
  /** Whether the store may hold the event already: its id is the one of an earlier try, or it was tried itself. */
  get repeated(): SealedFields["repeated"] {
    return this.#tried || this.#fields.repeated
  }
  /** A sink begins to store the event: from now on it is `repeated`, whatever becomes of this try. */
  try(): void {
    this.#tried = true
  }
  /** Whether this package made the value: a copy of one is not, and no sink takes it. */
  static is(value: unknown): value is Sealed {
    return typeof value === "object" && value !== null && #fields in value
  }
}

/** The values by which a stored event can be found. */
export const searchKeys = (event: Wire): SearchKeys => ({
  action: event.action,
  actorId: event.agentId,
  userId: event.user_id,
  subjectIds: event.subject_ids,
  resourceType: event.resource?.type,
  resourceId: event.resource?.id,
  outcome: event.outcome,
  traceId: event.trace_id,
  requestId: event.request_id,
  correlationId: event.correlation_id,
  runId: event.run_id,
  stepId: event.step_id,
  projectId: event.project_id,
  surface: event.surface,
  severity: event.severity,
  storageClass: event.storage_class,
  trainOk: event.train_ok ? "true" : "false"
})
