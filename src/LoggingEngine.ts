/**
 * Stamp, strip, decide, seal, append: the order of the steps.
 *
 * `LoggingEngine` is the only module that knows them all. It never queues, never swallows, and never stores what was
 * not stripped. From stamping to receipt a call is uninterruptible: an event whose caller hung up is still recorded,
 * and the deadline bounds the wait.
 *
 * A failed call is a typed `AuditError` with the event id, an error log with ids and no payload, a count in the metric
 * `audit_events_failed_total`, and an event on the current span.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { AuditError, InvalidInput } from "./AuditError.ts"
import { type Draft, EventId, type PiiFlags, type Sealed, Stamped, Stripped } from "./DatasetEvent.ts"
import { type Durability, EventSink, type Evidence } from "./EventSink.ts"
import { admitting } from "./internal/admission.ts"
import { bounded, type Steps } from "./internal/boundedSteps.ts"
import { type DraftFields, exceeds, ofRecords, ourOwn, ReadDraft, refusedKey, refusing } from "./internal/draft.ts"
import { elapsedMillis } from "./internal/elapsed.ts"
import { boundsOf } from "./internal/engineBounds.ts"
import { Entropy, makeUuid7 } from "./internal/entropy.ts"
import { type Limits, Refusal } from "./internal/json.ts"
import { made } from "./internal/made.ts"
import { idPattern } from "./internal/patterns.ts"
import { contentOf, digests, stampOf } from "./internal/stamp.ts"
import { telling, tellNow } from "./internal/telling.ts"
import { Stripper } from "./pii/Pii.ts"
import { PiiStripper } from "./PiiStripper.ts"
import { type Fields, Id, type LogName, RequestContext, snapshot, system, TraceId } from "./RequestContext.ts"
import { saltBytes, seal } from "./Seal.ts"
import { decide, type Preference, TrainingPreferences } from "./TrainingPreferences.ts"
import { type Change, enforce, unknown, WritePolicy } from "./WritePolicy.ts"

/** What the caller gets for an event that was recorded. */
export interface Receipt {
  /** Of a duplicate: the first event's id. */
  readonly eventId: EventId
  /**
   * Position in the log of the tenant and env, dense from 0; none yet of an event that waits in an outbox until its
   * transaction has committed (`outbox` of PostgreSQL).
   */
  readonly position: number | undefined
  /** Whether this was recorded before, by the same idempotency key or event id. */
  readonly duplicate: boolean
  readonly durability: Durability
  readonly piiFlags: PiiFlags
  readonly trainOk: boolean
  /** Whether the event, a duplicate, has been erased since; its flags are then empty. */
  readonly erased: boolean
}

/** How one event is recorded. */
export interface EmitOptions {
  /** 1 to 256 characters, unique per tenant and env: the same key and draft are recorded once. */
  readonly idempotencyKey?: string | undefined
  /** The id of an earlier try that ended with `CommitUnknown`: recorded once however often it is repeated. */
  readonly eventId?: EventId | undefined
}

/** A preference to set: a person's with `userId`, else the tenant's own. */
export interface PreferenceChange {
  readonly trainingAllowed: boolean
  readonly userId?: string | undefined
}

/** Records events of any storage class. */
export class LoggingEngine extends Context.Service<LoggingEngine, {
  /**
   * Records one event. Durable once it succeeds; may be repeated with the same `eventId` or `idempotencyKey`; safe to
   * call concurrently; events of one caller keep the order of its calls. The draft is read when `log` is called.
   */
  readonly log: (
    draft: Draft,
    options?: EmitOptions | undefined
  ) => Effect.Effect<Receipt, AuditError, RequestContext>
  /**
   * Sets a training preference and records the change as `training_preference.changed` in the log of the context: both
   * or neither. `userId` names a person; without it the tenant's own preference is set.
   */
  readonly setPreference: (change: PreferenceChange) => Effect.Effect<Receipt, AuditError, RequestContext>
}>()("effect-audit/LoggingEngine") {}

/** The options as they were at the call. */
export const readOptions = (options: EmitOptions | undefined): EmitOptions | undefined =>
  options === undefined ? undefined : { ...options }

/** Records one event of any storage class; draft and options are read at the call. */
export const log = (
  draft: Draft,
  options?: EmitOptions | undefined
): Effect.Effect<Receipt, AuditError, LoggingEngine | RequestContext> => {
  const read = ReadDraft.of(draft)
  const given = readOptions(options)
  return Effect.flatMap(LoggingEngine, (engine) => engine.log(ReadDraft.for(engine, read), given))
}

/** Sets a training preference and records the change. */
export const setPreference = (
  change: PreferenceChange
): Effect.Effect<Receipt, AuditError, LoggingEngine | RequestContext> =>
  Effect.flatMap(LoggingEngine, (engine) => engine.setPreference(change))

/** Bounds of the engine. */
export interface Options {
  /** How long the sink, and each other step of a call, may take at most; 10 seconds unless given. */
  readonly deadline?: Duration.Input | undefined
  /** Bounds of a draft: 262,144 bytes as JSON, depth 32, 4,096 keys unless given. */
  readonly limits?: Partial<Limits> | undefined
  /** Typed actions, such as an `AuditRegistry`: fields are treated as they mark them, whoever records. */
  readonly actions?: { readonly mark: (draft: Draft) => Draft } | undefined
  /** Bytes of large events (16 KiB and more) that are on their way at once; 64 MiB unless given. Others wait. */
  readonly pendingBytes?: number | undefined
}

/** Events that were recorded. */
export const recordedEvents = Metric.counter("audit_events_recorded_total", {
  description: "Events that were recorded",
  incremental: true
})
/** Events that were not recorded, with the attribute `reason`. */
export const failedEvents = Metric.counter("audit_events_failed_total", {
  description: "Events that were not recorded, by reason",
  incremental: true
})
/** How long calls took, recorded or not, from the call to its receipt or error. */
export const emitDuration = Metric.histogram("audit_emit_duration_seconds", {
  description: "How long it took to record an event, or to fail",
  boundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})

/** Counts, measures, and marks the span that recorded the event. */
const tellRecorded = (
  { began, clock, context, span }: Call,
  { eventId, position }: Evidence
): void => {
  tellNow(() => recordedEvents.updateUnsafe(1, context))
  tellNow(() => emitDuration.updateUnsafe((elapsedMillis(clock) - began) / 1000, context))
  if (span?._tag !== "Span") return
  tellNow(() => {
    span.attribute("audit.event_id", eventId)
    if (position !== undefined) span.attribute("audit.position", position)
  })
}

const method = "LoggingEngine.log"
const eventIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const report = (error: AuditError, context: Fields, span: Tracer.AnySpan | undefined, now: bigint) => {
  const attributes = {
    event_id: error.eventId,
    tenant: context.tenantId,
    request_id: context.requestId,
    trace_id: context.traceId,
    reason: error.reason._tag
  }
  const mark = Effect.sync(() => span?._tag === "Span" ? span.event("audit.emit_failed", now, attributes) : undefined)
  const line = Effect.annotateLogs(Effect.logError(`Audit event not recorded: ${error.reason._tag}`), attributes)
  const count = Metric.update(Metric.withAttributes(failedEvents, { reason: error.reason._tag }), 1)
  return Effect.andThen(telling(mark), Effect.andThen(telling(line), telling(count)))
}

/** One call: what was read at it, and when it began. */
interface Call {
  readonly draft: DraftFields
  readonly options: EmitOptions | undefined
  /** By the monotonic clock, in milliseconds. */
  readonly began: number
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  readonly span: Tracer.AnySpan | undefined
}

const unavailable = Effect.succeed("preferences_unavailable" as const)

/** The way of an event: stamped, stripped, decided, sealed, stored. */
const recording = (steps: Steps, entropy: Entropy, policy: string) => (stamped: Stamped, call: Call) =>
  Effect.flatMap(steps.strip(stamped, call.draft.marks), ({ content, piiFlags, trainable }) => {
    const stripped = new Stripped(made, stamped.stamp, content, piiFlags, trainable)
    // Whom the event is about was left out: what cannot be known is not consent.
    const asked = call.draft.missing?.includes("/subjectIds") === true ? unavailable : steps.lookup(stripped)
    return Effect.flatMap(asked, (answer) => {
      const { began, clock, draft, options } = call
      const key = options?.idempotencyKey
      const sealed = seal(decide(stripped, answer), entropy.bytes(saltBytes), clock.currentTimeMillisUnsafe(), {
        idempotency: key === undefined ? undefined : { key, ...digests(draft, stripped) },
        // What the package records of itself is of every policy.
        policy: draft.record === undefined ? policy : undefined,
        repeated: options?.eventId !== undefined
      })
      return Effect.map(steps.store(sealed, began), (evidence) => {
        tellRecorded(call, evidence)
        return receipt(sealed, evidence)
      })
    })
  })

/** The event that records a change of a preference. */
const changeDraft = ({ trainingAllowed, userId }: PreferenceChange, tenantId: string): ReadDraft =>
  ReadDraft.of({
    action: "training_preference.changed",
    resource: userId === undefined ? { type: "tenant", id: tenantId } : { type: "person", id: userId },
    ...(userId === undefined ? {} : { subjectIds: [userId] }),
    metadata: { training_allowed: trainingAllowed },
    storageClass: "audit"
  })

/** The event that records that a log is written under another policy from here on. */
const policyDraft = ({ from, to }: Change): ReadDraft => ReadDraft.own({ action: "audit.policy_changed" }, { from, to })

/** The context of what the store's writer does of itself. */
const ofStore = ({ env, tenantId }: LogName): Fields => ({
  tenantId,
  env,
  mode: "saas",
  actor: system,
  requestId: Id.make("policy"),
  traceId: TraceId.make("policy")
})

/** Changes a preference and records the change. */
const settingPreference = (
  steps: Steps,
  record: (draft: ReadDraft) => Effect.Effect<Receipt, AuditError, RequestContext>
): LoggingEngine["Service"]["setPreference"] =>
  Effect.fnUntraced(function*(change) {
    const { env, tenantId } = yield* RequestContext
    const { trainingAllowed, userId } = change
    const other = Object.keys(change).find((key) => key !== "trainingAllowed" && key !== "userId")
    if (other !== undefined) {
      const reason = new InvalidInput({ path: `/${other}`, detail: "is not a field of a preference" })
      return yield* new AuditError({ method: "LoggingEngine.setPreference", reason })
    }
    if (userId !== undefined && !idPattern.test(userId)) {
      const reason = new InvalidInput({
        path: "/userId",
        detail: "must be an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -"
      })
      return yield* new AuditError({ method: "LoggingEngine.setPreference", reason })
    }
    const preference: Preference = { tenantId, env, userId, trainingAllowed }
    return yield* Effect.uninterruptible(
      steps.change(preference, record(changeDraft(change, tenantId)))
    )
  })

/** Strips the places of errors: with the stripper's policy and detectors if it can, else with the default policy. */
const placing = ({ place }: PiiStripper["Service"]) => (pointer: string): string => {
  try {
    return place === undefined ? new Stripper().place(pointer) : place(pointer)
  } catch {
    return ""
  }
}

/** Treats the fields of typed actions as they are marked. */
const marking = (actions: Options["actions"]) => (draft: ReadDraft): ReadDraft => {
  try {
    return actions === undefined ? draft : ReadDraft.of(actions.mark(draft))
  } catch {
    return ReadDraft.refused("", "could not be marked: code of the actions failed")
  }
}

/** Builds the engine from the services of its steps. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<LoggingEngine["Service"], AuditError, PiiStripper | TrainingPreferences | EventSink> {
  const stripper = yield* PiiStripper
  const preferences = yield* TrainingPreferences
  const sink = yield* EventSink
  const entropy = yield* Entropy
  const { deadline, limits } = yield* boundsOf(options)
  const uuid7 = makeUuid7(entropy)
  const place = placing(stripper)
  const steps = bounded({ stripper, preferences, sink }, deadline)
  const admit = admitting(options.pendingBytes ?? 67_108_864, deadline)
  const policy = stripper.policy ?? unknown
  const record = recording(steps, entropy, policy.fingerprint)
  const remembering = sink.policy ?? Option.getOrUndefined(yield* Effect.serviceOption(WritePolicy))

  const run = (
    fiber: Fiber.Fiber<unknown, unknown>,
    draft: DraftFields | Refusal,
    options: EmitOptions | undefined
  ): Effect.Effect<Receipt, AuditError> => {
    const given = Context.getUnsafe(fiber.context, RequestContext)
    const copied = snapshot(given)
    const context = copied instanceof Schema.SchemaError ? given : copied
    const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    const clock = fiber.getRef(Clock.Clock)
    const now = clock.currentTimeMillisUnsafe()
    const began = elapsedMillis(clock)
    const eventId = options?.eventId ?? EventId.make(uuid7(now), { disableChecks: true })
    const checked = check(copied, draft, options, { limits, place })
    const recorded = checked instanceof InvalidInput
      ? Effect.fail(new AuditError({ method, ...(checked.path === "/eventId" ? {} : { eventId }), reason: checked }))
      : admit(
        checked.bytes,
        eventId,
        record(new Stamped(made, stampOf(context, checked, eventId, span, now), contentOf(context, checked)), {
          draft: checked,
          options,
          began,
          clock,
          context: fiber.context,
          span
        })
      )
    return Effect.tapError(recorded, (error) => {
      tellNow(() => emitDuration.updateUnsafe((elapsedMillis(clock) - began) / 1000, fiber.context))
      return report(error, context, span, clock.currentTimeNanosUnsafe())
    })
  }
  const logRead = (draft: ReadDraft, options: EmitOptions | undefined) =>
    Effect.uninterruptible(
      Effect.withFiber<Receipt, AuditError, RequestContext>((fiber) => run(fiber, ReadDraft.fieldsOf(draft), options))
    )

  if (remembering !== undefined) {
    yield* enforce("LoggingEngine.make", policy, remembering, (log, change) => {
      const idempotencyKey = `audit.policy_changed ${change.count} ${change.from} ${change.to}`
      return Effect.provideService(logRead(policyDraft(change), { idempotencyKey }), RequestContext, ofStore(log))
    })
  }
  const mark = marking(options.actions)
  const engine = LoggingEngine.of({
    log: (draft, options) => logRead(mark(ReadDraft.of(draft)), readOptions(options)),
    setPreference: settingPreference(steps, (draft) => logRead(draft, undefined))
  })
  const wouldRefuse = refusing(limits)
  return ourOwn(engine, (draft) => wouldRefuse(mark(draft)))
})

/** The draft's fields, or why the call is refused. */
const check = (
  context: Fields | Schema.SchemaError,
  draft: DraftFields | Refusal,
  options: EmitOptions | undefined,
  { limits, place }: { readonly limits: Limits; readonly place: (pointer: string) => string }
): DraftFields | InvalidInput => {
  if (options?.eventId !== undefined && !eventIdPattern.test(options.eventId)) {
    return new InvalidInput({ path: "/eventId", detail: "must be a UUIDv7, in small letters" })
  }
  const key = refusedKey(options?.idempotencyKey)
  if (key !== undefined) return new InvalidInput({ path: key.path, detail: key.problem })
  if (context instanceof Schema.SchemaError) {
    return new InvalidInput({
      path: "/context",
      detail: "the request context was not made by RequestContext and is invalid"
    })
  }
  const refusal = draft instanceof Refusal
    ? draft
    : exceeds(draft, draft.record === undefined ? limits : ofRecords(limits))
  if (refusal !== undefined) {
    // A key of the caller's may be personal data as well.
    return new InvalidInput({ path: place(refusal.path), detail: refusal.problem })
  }
  return draft instanceof Refusal ? new InvalidInput({ path: "", detail: draft.problem }) : draft
}

const noFlags: PiiFlags = { flags: [], policy_reason: "erased", counts: {}, truncated: false }

const receipt = (sealed: Sealed, evidence: Evidence): Receipt => {
  const { duplicate, durability, eventId, first, position } = evidence
  return first === undefined
    ? { eventId, position, duplicate, durability, piiFlags: sealed.piiFlags, trainOk: sealed.trainOk, erased: false }
    : first.erased
    ? { eventId, position, duplicate, durability, piiFlags: noFlags, trainOk: false, erased: true }
    : { eventId, position, duplicate, durability, piiFlags: first.piiFlags, trainOk: first.trainOk, erased: false }
}

/** The engine over the services of its steps. */
export const layer = (
  options?: Options | undefined
): Layer.Layer<LoggingEngine, AuditError, PiiStripper | TrainingPreferences | EventSink> =>
  Layer.effect(LoggingEngine, make(options))
