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
import type { Json, JsonObject } from "./internal/json.ts"
import { Made } from "./internal/made.ts"
import type {
  Decision,
  EventId,
  Outcome,
  Phase,
  PiiFlags,
  SearchKeys,
  Severity,
  StorageClass,
  TrainReason
} from "./internal/wire.ts"
import type { ActorType, Client, Env, Mode, Party, PartyInput, TenantId } from "./RequestContext.ts"

export {
  Decision,
  EventId,
  Outcome,
  Phase,
  PiiFlags,
  type SearchKeys,
  searchKeys,
  Severity,
  StorageClass,
  TrainReason,
  Wire,
  WireFromText
} from "./internal/wire.ts"

/** What an event is about. */
export interface Resource {
  /** A kind of thing: `note`. A letter, then letters, digits and `_ . : / -`; at most 128 characters. */
  readonly type: string
  readonly id: string
}

/** Whether this was allowed, by which policy, and why. */
export interface Authorization {
  readonly decision: Decision
  readonly policyId?: string | undefined
  readonly reason?: string | undefined
  /** A level, `high`, or a score. */
  readonly risk?: string | number | undefined
}

/** Who agreed, when, and to exactly which arguments. */
export interface Approval {
  readonly by: PartyInput
  /** Text is RFC 3339 with an offset. */
  readonly at: DateTime.DateTime.Input
  /** SHA-256 of the arguments as they were shown to who agreed: 64 lower-case hexadecimal digits. */
  readonly argumentsSha256: string
}

/** What a thing was before and is after. */
export interface Change {
  readonly before?: unknown
  readonly after?: unknown
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
  /** Further things that it is about, at most 16. */
  readonly related?: ReadonlyArray<Resource> | undefined
  /** An operation that is told in two events, with one id. */
  readonly operationId?: string | undefined
  /** `intent` before the operation is done, `result` after; with an `operationId`. */
  readonly phase?: Phase | undefined
  readonly authorization?: Authorization | undefined
  readonly approval?: Approval | undefined
  /** `success` unless given. Of an intent it says nothing. */
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
  /** What was changed: anything before and after; becomes JSON by the rules in `docs/events.md`. */
  readonly change?: Change | undefined
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

/** What acts, beyond its id. */
export interface Agent {
  readonly version: string | undefined
  readonly model: string | undefined
  readonly instance_id: string | undefined
}

/** An approval that was read: RFC 3339, UTC, milliseconds. */
export interface ReadApproval extends Approval {
  readonly by: Party
  readonly at: string
}

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
  readonly actorType: ActorType
  /** The wire's `agentId`: the acting human's, agent's or tool's id, or `system` or `anonymous`. */
  readonly actorId: string
  /** Keys as on the wire. */
  readonly agent: Agent | undefined
  readonly userId: string | undefined
  readonly delegation: ReadonlyArray<Party> | undefined
  readonly subjectIds: ReadonlyArray<string> | undefined
  readonly requestId: string
  readonly correlationId: string | undefined
  readonly traceId: string
  readonly spanId: string | undefined
  readonly runId: string | undefined
  readonly stepId: string | undefined
  readonly operationId: string | undefined
  readonly phase: Phase | undefined
  readonly action: string
  readonly approval: ReadApproval | undefined
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
  readonly related: ReadonlyArray<Resource> | undefined
  readonly errorTag: string | undefined
  readonly input: Json | undefined
  readonly output: Json | undefined
  readonly change: { readonly before?: Json | undefined; readonly after?: Json | undefined } | undefined
  readonly metadata: JsonObject | undefined
  /** Keys as in `Analytics`. */
  readonly analytics: { readonly [key: string]: string } | undefined
  readonly authorization: Authorization | undefined
  /** Of the context, but who asks is personal data. */
  readonly client: Client | undefined
}

const none: ReadonlyArray<string> = []

/** A draft with tenant, actor, trace, request and id; validated; unknown values made JSON. */
export class Stamped {
  readonly #nominal = true
  readonly stamp: Stamp
  readonly content: Content
  /** Places that a schema says hold nothing personal: JSON Pointers as a policy has them. */
  readonly kept: ReadonlyArray<string>

  constructor(made: Made, stamp: Stamp, content: Content, kept: ReadonlyArray<string> = none) {
    Made.check(made)
    this.stamp = stamp
    this.content = content
    this.kept = kept
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
  /** The fingerprint of the PII policy that it was stripped by, if that has one. */
  readonly policy: string | undefined
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
  get policy(): SealedFields["policy"] {
    return this.#fields.policy
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
