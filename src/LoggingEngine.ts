/**
 * Stamp, strip, decide, seal, append: the order of the steps.
 *
 * `LoggingEngine` is the only module that knows them all. It never queues, never swallows, and never stores what was not
 * stripped. From stamping to receipt a call is uninterruptible: an event whose caller hung up is still recorded, and the
 * deadline bounds the wait.
 *
 * A failed call is a typed `AuditError` with the event id, an error log with ids and no payload, a count in the metric
 * `audit_events_failed_total`, and an event on the current span.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { createHash } from "node:crypto"
import { AuditError, CommitUnknown, InvalidDraft, SinkRejected, StripFailed } from "./AuditError.ts"
import {
  type Draft,
  EventId,
  type Idempotency,
  makeStamped,
  makeStripped,
  type PiiFlags,
  type Sealed,
  type Stamp,
  type Stamped,
  type Stripped
} from "./DatasetEvent.ts"
import { type Durability, EventSink, type Evidence } from "./EventSink.ts"
import { keepsDeadline } from "./internal/deadline.ts"
import { ceiling, defaultLimits, type DraftFields, DraftSnapshot, exceeds, idPattern } from "./internal/draft.ts"
import { Entropy, makeUuid7 } from "./internal/entropy.ts"
import { type Limits, Refusal } from "./internal/json.ts"
import { Stripper } from "./pii/Pii.ts"
import { PiiStripper, type StripResult } from "./PiiStripper.ts"
import { type Fields, problem, RequestContext } from "./RequestContext.ts"
import { saltBytes, seal } from "./Seal.ts"
import { decide, type Preference, type Question, question, TrainingPreferences } from "./TrainingPreferences.ts"

/** What the caller gets for an event that was recorded. */
export interface Receipt {
  /** Of a duplicate: the first event's id. */
  readonly eventId: EventId
  /** Position in the log of the tenant and env, dense from 0. */
  readonly position: number
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

/** Records events of any storage class. */
export class LoggingEngine extends Context.Service<LoggingEngine, {
  /**
   * Records one event. Durable once it succeeds; may be repeated with the same `eventId` or `idempotencyKey`; safe to call
   * concurrently; events of one caller keep the order of its calls. The draft is read when `log` is called.
   */
  readonly log: (
    draft: Draft | DraftSnapshot,
    options?: EmitOptions | undefined
  ) => Effect.Effect<Receipt, AuditError, RequestContext>
  /**
   * Sets a training preference and records the change as `training_preference.changed` in the log of the context: both or
   * neither. `userId` names a person; without it the tenant's own preference is set.
   */
  readonly setPreference: (change: {
    readonly trainingAllowed: boolean
    readonly userId?: string | undefined
  }) => Effect.Effect<Receipt, AuditError, RequestContext>
  /**
   * Runs an effect in a transaction of the sink's store: what it writes there and the events that it records commit
   * together or not at all. Fails with `SinkRejected` where the sink has no transactions.
   */
  readonly transact: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AuditError, R>
}>()("effect-audit/LoggingEngine") {}

/** Records one event of any storage class; the draft is read at the call. */
export const log = (
  draft: Draft | DraftSnapshot,
  options?: EmitOptions | undefined
): Effect.Effect<Receipt, AuditError, LoggingEngine | RequestContext> => {
  const snapshot = DraftSnapshot.of(draft)
  return Effect.flatMap(LoggingEngine, (engine) => engine.log(snapshot, options))
}

/** Sets a training preference and records the change. */
export const setPreference = (change: {
  readonly trainingAllowed: boolean
  readonly userId?: string | undefined
}): Effect.Effect<Receipt, AuditError, LoggingEngine | RequestContext> =>
  Effect.flatMap(LoggingEngine, (engine) => engine.setPreference(change))

/** Bounds of the engine. */
export interface Options {
  /** How long the sink, and each other step of a call, may take at most; 10 seconds unless given. */
  readonly deadline?: Duration.Input | undefined
  /** Bounds of a draft: 262,144 bytes as JSON, depth 32, 4,096 keys unless given. */
  readonly limits?: Partial<Limits> | undefined
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
const keyPattern = /^[^\p{Cc}\p{Cs}]{1,256}$/u
const eventIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const stampOf = (
  context: Fields,
  draft: DraftFields,
  eventId: EventId,
  span: Tracer.AnySpan | undefined,
  now: number
): Stamp => {
  const { actor } = context
  return {
    eventId,
    tenantId: context.tenantId,
    env: context.env,
    mode: context.mode,
    projectId: context.projectId,
    appId: context.appId,
    surface: context.surface,
    surfaceId: context.surfaceId,
    actorType: actor.type,
    agentId: actor.type === "system" ? "system" : actor.id,
    userId: actor.type === "human" ? actor.id : actor.type === "system" ? undefined : actor.onBehalfOf,
    subjectIds: draft.subjectIds,
    requestId: context.requestId,
    correlationId: context.correlationId,
    traceId: context.traceId,
    spanId: span !== undefined && span.traceId === context.traceId && idPattern.test(span.spanId)
      ? span.spanId
      : context.spanId,
    runId: context.runId,
    stepId: context.stepId,
    action: draft.action,
    outcome: draft.outcome,
    durationMillis: draft.durationMillis,
    severity: draft.severity,
    storageClass: draft.storageClass ?? "ops",
    occurredAt: draft.occurredAt ?? new Date(now).toISOString()
  }
}

/** What an idempotency key was used for: the caller's fields after stripping, so that no trace of what was removed stays. */
const digest = (draft: DraftFields, stripped: Stripped): Uint8Array => {
  const { action, durationMillis, occurredAt, outcome, severity, storageClass, subjectIds } = draft
  const fields = [
    action,
    outcome,
    severity,
    storageClass ?? "ops",
    durationMillis,
    occurredAt,
    subjectIds,
    stripped.content
  ]
  return createHash("sha256").update(JSON.stringify(fields)).digest()
}

/** Builds the engine from the services of its steps. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<LoggingEngine["Service"], never, PiiStripper | TrainingPreferences | EventSink> {
  const stripper = yield* PiiStripper
  const preferences = yield* TrainingPreferences
  const sink = yield* EventSink
  const entropy = yield* Entropy
  const deadline = Duration.toMillis(Duration.fromInputUnsafe(options.deadline ?? "10 seconds"))
  const limits: Limits = {
    maxBytes: Math.min(options.limits?.maxBytes ?? defaultLimits.maxBytes, ceiling.maxBytes),
    maxDepth: Math.min(options.limits?.maxDepth ?? defaultLimits.maxDepth, ceiling.maxDepth),
    maxKeys: Math.min(options.limits?.maxKeys ?? defaultLimits.maxKeys, ceiling.maxKeys)
  }
  const uuid7 = makeUuid7(entropy)
  const method = "LoggingEngine.log"

  /** A step that keeps no deadline of its own runs in a fiber of its own: it may not even be interruptible. */
  const watched = Effect.fnUntraced(function*<A, E, E2>(
    step: Effect.Effect<A, E>,
    late: () => E2
  ): Effect.fn.Return<A, E | E2> {
    const fiber = yield* Effect.forkDetach(Effect.interruptible(step))
    const exit = yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), deadline)
    if (Option.isSome(exit)) return yield* exit.value
    yield* Effect.forkDetach(Fiber.interrupt(fiber))
    return yield* Effect.fail(late())
  })
  const detailOf = <E extends { readonly detail: string }>(cause: Cause.Cause<E>, otherwise: string): string => {
    const failure = cause.reasons.find((reason) => reason._tag === "Fail")
    return failure === undefined ? otherwise : failure.error.detail
  }

  const doStrip = keepsDeadline.has(stripper)
    ? stripper.strip
    : (stamped: Stamped) =>
      watched(Effect.suspend(() => stripper.strip(stamped)), () => ({ detail: `no answer within ${deadline} ms` }))
  const strip = (stamped: Stamped, eventId: EventId): Effect.Effect<StripResult, AuditError> =>
    Effect.catchCause(doStrip(stamped), (cause) =>
      Effect.fail(
        new AuditError({ method, eventId, reason: new StripFailed({ detail: detailOf(cause, "the stripper threw") }) })
      ))

  const doLookup = keepsDeadline.has(preferences)
    ? preferences.lookup
    : (asked: Question) =>
      watched(Effect.suspend(() => preferences.lookup(asked)), () => ({ detail: `no answer within ${deadline} ms` }))
  const lookup = (stripped: Stripped) =>
    Effect.catchCause(doLookup(question(stripped)), (cause) =>
      Effect.as(
        Effect.annotateLogs(
          Effect.logWarning("Training preferences unavailable: the event is kept and may not train a model"),
          { ...ids(stripped.stamp), detail: detailOf(cause, "the preference store threw") }
        ),
        "preferences_unavailable" as const
      ))

  const unknown = (event: Sealed, detail: string) =>
    new AuditError({ method, eventId: event.eventId, reason: new CommitUnknown({ detail }) })
  const doAppend = keepsDeadline.has(sink)
    ? sink.append
    : (event: Sealed) =>
      watched(
        Effect.suspend(() => sink.append(event)),
        () => unknown(event, `no answer of the sink within ${deadline} ms`)
      )
  /** A sink that dies has a bug; whether it had stored the event before is not known. */
  const append = (event: Sealed): Effect.Effect<Evidence, AuditError> =>
    Effect.catchCause(doAppend(event), (cause) => {
      const failure = cause.reasons.find((reason) => reason._tag === "Fail")
      return Effect.fail(failure === undefined ? unknown(event, "the sink died") : failure.error)
    })

  /** Repeats while the outcome is unknown: the event id makes that harmless. A later "not stored" does not undo a doubt. */
  const retry = (event: Sealed, error: AuditError, until: number, delay: number): Effect.Effect<Evidence, AuditError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now + delay > until
        ? Effect.fail(error)
        : Effect.andThen(Effect.sleep(delay), Effect.suspend(() => append(event))).pipe(
          // Stored by an earlier try of this very call: new to the caller.
          Effect.map((evidence) =>
            evidence.eventId === event.eventId ? { ...evidence, duplicate: false, first: undefined } : evidence
          ),
          // Not lost: `error`, the first doubt, is what the caller gets when the time is over; another try's failure says less.
          Effect.catch(() => retry(event, error, until, Math.min(delay * 2, 1000)))
        ))
  const store = (event: Sealed, started: number): Effect.Effect<Evidence, AuditError> =>
    Effect.catchIf(
      append(event),
      (error) => error.reason._tag === "CommitUnknown",
      (error) => retry(event, error, started + deadline, 10)
    )

  const report = (error: AuditError, context: Fields, span: Tracer.AnySpan | undefined, now: bigint) => {
    const attributes = {
      event_id: error.eventId,
      tenant: context.tenantId,
      request_id: context.requestId,
      trace_id: context.traceId,
      reason: error.reason._tag
    }
    if (span?._tag === "Span") span.event("audit.emit_failed", now, attributes)
    return Effect.andThen(
      Effect.annotateLogs(Effect.logError(`Audit event not recorded: ${error.reason._tag}`), attributes),
      Metric.update(Metric.withAttributes(failedEvents, { reason: error.reason._tag }), 1)
    )
  }

  const run = (
    fiber: Fiber.Fiber<unknown, unknown>,
    draft: DraftFields | Refusal,
    options: EmitOptions | undefined
  ): Effect.Effect<Receipt, AuditError> => {
    const context = Context.getUnsafe(fiber.context, RequestContext)
    const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    const clock = fiber.getRef(Clock.Clock)
    const now = clock.currentTimeMillisUnsafe()
    const eventId = options?.eventId ?? EventId.make(uuid7(now), { disableChecks: true })
    const checked = check(context, draft, options, limits)
    const recording = checked instanceof InvalidDraft
      ? Effect.fail(new AuditError({ method, ...(checked.path === "/eventId" ? {} : { eventId }), reason: checked }))
      : record(
        makeStamped({
          stamp: stampOf(context, checked, eventId, span, now),
          content: checked.content
        }),
        checked,
        options,
        now,
        clock
      )
    return Effect.tapError(recording, (error) => report(error, context, span, clock.currentTimeNanosUnsafe()))
  }

  const record = (
    stamped: Stamped,
    draft: DraftFields,
    options: EmitOptions | undefined,
    now: number,
    clock: Clock.Clock
  ): Effect.Effect<Receipt, AuditError> =>
    Effect.flatMap(strip(stamped, stamped.stamp.eventId), ({ content: left, piiFlags, trainable }) => {
      const content = draft.ownOutput === undefined ? left : { ...left, output: draft.ownOutput }
      const stripped = makeStripped({ stamp: stamped.stamp, content, piiFlags, trainable })
      return Effect.flatMap(lookup(stripped), (answer) => {
        const decided = decide(stripped, answer)
        const idempotency: Idempotency | undefined = options?.idempotencyKey === undefined
          ? undefined
          : { key: options.idempotencyKey, digest: digest(draft, stripped) }
        const mayBeStored = options?.eventId !== undefined
        const sealed = seal(decided, entropy.bytes(saltBytes), clock.currentTimeMillisUnsafe(), {
          idempotency,
          mayBeStored
        })
        return Effect.flatMap(
          store(sealed, now),
          (evidence) => Effect.as(Metric.update(recordedEvents, 1), receipt(sealed, evidence))
        )
      })
    })

  const logSnapshot = (snapshot: DraftSnapshot, options: EmitOptions | undefined) =>
    Effect.uninterruptible(
      Effect.withFiber<Receipt, AuditError, RequestContext>((fiber) => run(fiber, snapshot.fields, options))
    )

  const noTransactions = Effect.fail(
    new AuditError({
      method: "LoggingEngine.transact",
      reason: new SinkRejected({ detail: "the sink has no transactions" })
    })
  )

  return LoggingEngine.of({
    transact: (effect) => sink.transact?.(effect) ?? noTransactions,
    log: (draft, options) => logSnapshot(DraftSnapshot.of(draft), options),
    setPreference: Effect.fnUntraced(function*(change) {
      const { env, tenantId } = yield* RequestContext
      const { trainingAllowed, userId } = change
      if (userId !== undefined && !idPattern.test(userId)) {
        const reason = new InvalidDraft({
          path: "/userId",
          detail: "must be an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -"
        })
        return yield* new AuditError({ method: "LoggingEngine.setPreference", reason })
      }
      const preference: Preference = { tenantId, env, userId, trainingAllowed }
      const snapshot = DraftSnapshot.of({
        action: "training_preference.changed",
        resource: userId === undefined ? { type: "tenant", id: tenantId } : { type: "person", id: userId },
        ...(userId === undefined ? {} : { subjectIds: [userId] }),
        metadata: { training_allowed: trainingAllowed },
        storageClass: "audit"
      })
      return yield* Effect.uninterruptible(preferences.change(preference, logSnapshot(snapshot, undefined)))
    })
  })
})

const ids = (stamp: Stamp) => ({
  event_id: stamp.eventId,
  tenant: stamp.tenantId,
  request_id: stamp.requestId,
  trace_id: stamp.traceId
})

/** The draft's fields, or why the call is refused. */
const check = (
  context: Fields,
  draft: DraftFields | Refusal,
  options: EmitOptions | undefined,
  limits: Limits
): DraftFields | InvalidDraft => {
  if (options?.eventId !== undefined && !eventIdPattern.test(options.eventId)) {
    return new InvalidDraft({ path: "/eventId", detail: "must be a UUIDv7" })
  }
  const key = options?.idempotencyKey
  if (key !== undefined && (typeof key !== "string" || !keyPattern.test(key))) {
    return new InvalidDraft({
      path: "/idempotencyKey",
      detail: "must be 1 to 256 characters without control characters"
    })
  }
  if (problem(context) !== undefined) {
    return new InvalidDraft({
      path: "/context",
      detail: "the request context was not made by RequestContext and is invalid"
    })
  }
  const refusal = draft instanceof Refusal ? draft : exceeds(draft, limits)
  if (refusal !== undefined) {
    // A key of the caller's may be personal data as well.
    return new InvalidDraft({ path: new Stripper().text(refusal.path), detail: refusal.problem })
  }
  return draft instanceof Refusal ? new InvalidDraft({ path: "", detail: draft.problem }) : draft
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

/** The engine with its default deadline and limits. */
export const layer: Layer.Layer<LoggingEngine, never, PiiStripper | TrainingPreferences | EventSink> = Layer.effect(
  LoggingEngine,
  make()
)

/** The engine with another deadline or other limits. */
export const layerWith = (
  options: Options
): Layer.Layer<LoggingEngine, never, PiiStripper | TrainingPreferences | EventSink> =>
  Layer.effect(LoggingEngine, make(options))
