/**
 * What applications call: emit what happened, in a `RequestContext`.
 *
 *     yield* AuditLogger.emit({ action: "note.create", resource: { type: "note", id } })
 *
 * An event that was not durably stored is a typed `AuditError`: refuse the request, or retry if the reason says that a
 * retry can help. Events are of storage class `audit`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { AuditError } from "./AuditError.ts"
import type { EventSink } from "./EventSink.ts"
import { ourOwn, ReadDraft, refusalBy } from "./internal/draft.ts"
import {
  type AuditDraft,
  type AuditedOptions,
  readOptions,
  type Recorder,
  recorderOf,
  watch
} from "./internal/watching.ts"
import * as LoggingEngine from "./LoggingEngine.ts"
import * as PiiStripper from "./PiiStripper.ts"
import type { RequestContext } from "./RequestContext.ts"
import type { TrainingPreferences } from "./TrainingPreferences.ts"
import type { Transactions } from "./Transactions.ts"

export type { AuditDraft, AuditedOptions } from "./internal/watching.ts"

/** Records what an auditor will ask about. */
export class AuditLogger extends Context.Service<AuditLogger, {
  /**
   * Records one event. Durable once it succeeds; may be repeated with the same `eventId` or `idempotencyKey`; safe to
   * call concurrently; events of one caller keep the order of its calls. The draft is read when `emit` is called, and
   * the call cannot be interrupted: a request that is cancelled while its event waits is still audited.
   */
  readonly emit: (
    draft: AuditDraft,
    options?: LoggingEngine.EmitOptions | undefined
  ) => Effect.Effect<LoggingEngine.Receipt, AuditError, RequestContext>
}>()("effect-audit/AuditLogger") {}

/** Records one event; the draft is read at the call. */
export const emit = (
  draft: AuditDraft,
  options?: LoggingEngine.EmitOptions | undefined
): Effect.Effect<LoggingEngine.Receipt, AuditError, AuditLogger | RequestContext> => {
  const read = ReadDraft.of(draft, "audit")
  const given = LoggingEngine.readOptions(options)
  return Effect.flatMap(AuditLogger, (logger) => logger.emit(ReadDraft.for(logger, read), given))
}

/** A transaction is a requirement: an effect that asks for one does not run over a store that has none. */
type Needs<T> = AuditLogger | RequestContext | (T extends true ? Transactions : never)

/** Records the outcome of the effect that it is given; in a pipe, the options know the effect's result and errors. */
export interface Audited<A, E, R, T> {
  <A1 extends A, E1 extends E, R1>(
    effect: Effect.Effect<A1, E1, R1>
  ): Effect.Effect<A1, E1 | AuditError, R1 | Needs<T>>
  // The compiler infers from the last signature: in a pipe it is this one.
  (effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditError, R | Needs<T>>
}

/**
 * Records the outcome of an effect: success, failure with the error's tag, denial, defect, interruption; and how long
 * it took. It fails closed: if the record cannot be stored the caller sees `AuditError`, and if the effect failed too
 * the cause holds both. What the options hold is read when `audited` is called: where it cannot be recorded the effect
 * does not run. What is picked from the result and cannot be recorded is left out (`unrecorded` in the metadata), and
 * then the call fails with `InvalidInput`, since the effect has happened; in a transaction it is rolled back.
 */
export function audited<A, E, R, T extends boolean | undefined = undefined>(
  options: AuditedOptions<NoInfer<A>, NoInfer<E>, T>
): Audited<A, E, R, T>
export function audited<A, E, R, T extends boolean | undefined = undefined>(
  effect: Effect.Effect<A, E, R>,
  options: AuditedOptions<A, E, T>
): Effect.Effect<A, E | AuditError, R | Needs<T>>
export function audited<A, E, R>(first: Effect.Effect<A, E, R> | AuditedOptions<A, E>, second?: AuditedOptions<A, E>) {
  const recorderIn = (fiber: Fiber.Fiber<unknown, unknown>): Recorder =>
    recorderOf(Context.getUnsafe(fiber.context, AuditLogger))
  if (Effect.isEffect(first)) {
    // The overloads give an effect its options.
    const options = { ...second ?? { action: "" } }
    return watch(recorderIn, first, options, readOptions(options))
  }
  const options = { ...first }
  const draft = readOptions(options)
  return (effect: Effect.Effect<A, E, R>) => watch(recorderIn, effect, options, draft)
}

/** Writes through a `LoggingEngine` of one's own. */
export const layerEngine: Layer.Layer<AuditLogger, never, LoggingEngine.LoggingEngine> = Layer.effect(
  AuditLogger,
  Effect.map(
    LoggingEngine.LoggingEngine,
    (engine) =>
      ourOwn(
        AuditLogger.of({
          emit: (draft, options) => engine.log(ReadDraft.for(engine, ReadDraft.of(draft, "audit")), options)
        }),
        (draft) => refusalBy(engine, draft)
      )
  )
)

/** How events are stripped and recorded. */
export interface Options extends LoggingEngine.Options {
  /** Policy, key and detectors of the stripper; its defaults unless given. */
  readonly pii?: PiiStripper.Options | undefined
}

/**
 * The logger with its engine and the stripper of this package, over a medium such as `Sqlite.layer` or `Memory.layer`.
 */
export const layer = (
  options: Options = {}
): Layer.Layer<AuditLogger | LoggingEngine.LoggingEngine, AuditError, EventSink | TrainingPreferences> =>
  layerEngine.pipe(
    Layer.provideMerge(LoggingEngine.layer(options)),
    Layer.provide(PiiStripper.layer(options.pii))
  )
