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
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { AuditError, InvalidInput } from "./AuditError.ts"
import type { Change, Draft, Phase, Resource, Severity } from "./DatasetEvent.ts"
import type { EventSink } from "./EventSink.ts"
import { ourOwn, ReadDraft } from "./internal/draft.ts"
import { elapsedMillis } from "./internal/elapsed.ts"
import { Entropy, makeUuid7 } from "./internal/entropy.ts"
import { Refusal } from "./internal/json.ts"
import { OpenTransaction, recordIn } from "./internal/openTransaction.ts"
import * as LoggingEngine from "./LoggingEngine.ts"
import * as PiiStripper from "./PiiStripper.ts"
import type { RequestContext } from "./RequestContext.ts"
import type { TrainingPreferences } from "./TrainingPreferences.ts"
import { Transactions } from "./Transactions.ts"

/** What happened, without a storage class: what `AuditLogger` writes is `audit`. */
export interface AuditDraft extends Omit<Draft, "storageClass"> {}

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

/** What `audited` says of the effect that it watches. */
export interface AuditedOptions<A, E, T extends boolean | undefined = boolean | undefined> {
  readonly action: string
  readonly resource?: Resource | ((result: A) => Resource | undefined) | undefined
  /** Further things that it is about, at most 16. */
  readonly related?: ReadonlyArray<Resource> | ((result: A) => ReadonlyArray<Resource> | undefined) | undefined
  readonly subjectIds?: ReadonlyArray<string> | ((result: A) => ReadonlyArray<string> | undefined) | undefined
  /** A function knows how the effect ended. */
  readonly severity?: Severity | ((exit: Exit.Exit<A, E | AuditError>) => Severity | undefined) | undefined
  readonly metadata?:
    | { readonly [key: string]: unknown }
    | ((result: A) => { readonly [key: string]: unknown } | undefined)
    | undefined
  /** What was changed. */
  readonly change?: Change | ((result: A) => Change | undefined) | undefined
  /** When it happened, if the caller knows better. The time when it is recorded unless given. */
  readonly occurredAt?: Draft["occurredAt"]
  /** What went in; recorded whatever happens. */
  readonly input?: unknown
  /** Picks what is recorded of the result. Nothing unless given. */
  readonly output?: ((result: A) => unknown) | undefined
  /**
   * Of the success: the same key and event are recorded once, in this tenant and env. Such an event says nothing of how
   * long it took, which is another each time.
   */
  readonly idempotencyKey?: string | undefined
  /** Which errors are a denial, not a failure. None unless given. */
  readonly denied?: ((error: E) => boolean) | undefined
  /**
   * Runs the effect in a transaction of the audit store and records success inside it, so that the change and its event
   * commit together or not at all. What did not succeed is recorded after the rollback.
   */
  readonly transaction?: T
  /**
   * Records the intent before the effect runs, and does not run it if that fails; the outcome follows as the result of
   * the same `operationId`. Inside a transaction an intent would not outlive a crash: it is `InvalidInput` at `/phase`.
   */
  readonly intent?: boolean | undefined
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

/** An error's tag or name; an error may be anything, and its properties may throw. */
const errorTag = (error: unknown): string => {
  try {
    if (Predicate.hasProperty(error, "_tag") && typeof error._tag === "string") return error._tag
    return error instanceof Error && typeof error.name === "string" ? error.name : "Error"
  } catch {
    return "Error"
  }
}

const refuse = (path: string, detail: string) =>
  new AuditError({ method: "AuditLogger.audited", reason: new InvalidInput({ path, detail }) })

/** Fields that a function of the caller may pick from the result. */
const pickable = ["resource", "related", "subjectIds", "metadata", "change"] as const

/** What the caller's functions pick from the result. */
const pick = <A, E>(options: AuditedOptions<A, E>, result: A): Result.Result<Partial<AuditDraft>, AuditError> => {
  const picked: { [field: string]: unknown } = {}
  let field = "output"
  return Result.try({
    try: () => {
      if (options.output !== undefined) picked["output"] = options.output(result)
      for (const name of pickable) {
        field = name
        const from = options[name]
        const value = typeof from === "function" ? from(result) : undefined
        if (value !== undefined) picked[name] = value
      }
      field = "severity"
      return { ...picked, ...severityOf(options, Exit.succeed(result)) }
    },
    catch: () => refuse(`/${field}`, `picking the ${field} from the result failed`)
  })
}

/** The severity that a function of the caller makes of how an effect ended. */
const severityOf = <A, E>(
  { severity }: AuditedOptions<A, E>,
  exit: Exit.Exit<A, E | AuditError>
): { readonly severity?: Severity } => {
  const picked = typeof severity === "function" ? severity(exit) : undefined
  return picked === undefined ? {} : { severity: picked }
}

/** What a function of the caller makes of a failure: nothing where it throws, and the failure is recorded. */
const orNothing = <A extends object>(evaluate: () => A): A | {} => {
  try {
    return evaluate()
  } catch {
    return {}
  }
}

/** How an effect that did not succeed ended. A function of the caller that throws makes no denial of a failure. */
const describe = <E>(cause: Cause.Cause<E>, denied: ((error: E) => boolean) | undefined): Partial<AuditDraft> => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) {
    let isDenied = false
    try {
      isDenied = denied?.(failure.error) === true
    } catch {
      isDenied = false
    }
    return { outcome: isDenied ? "denied" : "failure", errorTag: errorTag(failure.error) }
  }
  return cause.reasons.some((reason) => reason._tag === "Die")
    ? { outcome: "failure", errorTag: "Defect" }
    : { outcome: "failure", errorTag: "Interrupted" }
}

const isFunction = (value: unknown): boolean => typeof value === "function"

/** The options as they were at the call; a draft that is refused stays refused. */
const readOptions = <A, E>(
  { denied: _1, idempotencyKey: _5, intent: _2, output: _3, transaction: _4, ...rest }: AuditedOptions<A, E>
): AuditDraft => {
  // What is a function is asked once the effect has ended.
  const given = Object.entries(rest).filter(([, value]) => !isFunction(value))
  const read = ReadDraft.of({ action: rest.action, ...Object.fromEntries(given) })
  const fields = ReadDraft.fieldsOf(read)
  if (fields instanceof Refusal) return read
  const { change, input, metadata, related, resource } = fields.content
  const { action, occurredAt, severity, subjectIds } = fields
  return { action, resource, related, input, metadata, change, subjectIds, severity, occurredAt }
}

type Recording = Effect.Effect<LoggingEngine.Receipt, AuditError, RequestContext>

type Transaction = OpenTransaction<LoggingEngine.Receipt, AuditError, RequestContext>

/** The innermost `audited` transaction that a fiber is in. */
const Open = Context.Reference<Transaction | undefined>(
  "effect-audit/AuditLogger/Open",
  { defaultValue: () => undefined }
)

/** One effect that is watched: what is recorded of it, and with what. */
interface Watched<A, E> {
  readonly options: AuditedOptions<A, E>
  /** Records that the effect is about to run. */
  readonly intend: Recording
  readonly emit: (more: Partial<AuditDraft>, options?: LoggingEngine.EmitOptions) => Recording
}

const watching = <A, E>(
  fiber: Fiber.Fiber<unknown, unknown>,
  options: AuditedOptions<A, E>,
  draft: AuditDraft
): Watched<A, E> => {
  const logger = Context.getUnsafe(fiber.context, AuditLogger)
  const clock = fiber.getRef(Clock.Clock)
  const uuid7 = options.intent === true ? makeUuid7(fiber.getRef(Entropy)) : undefined
  const operation = uuid7 === undefined ? {} : { operationId: uuid7(clock.currentTimeMillisUnsafe()) }
  const phase = (phase: Phase) => uuid7 === undefined ? {} : { ...operation, phase }
  const intent = draft instanceof ReadDraft ? draft : { ...draft, ...phase("intent") }
  const started = elapsedMillis(clock)
  const took = () => ({ durationMillis: Math.floor(elapsedMillis(clock) - started) })
  return {
    options,
    intend: logger.emit(intent),
    // What was refused when it was read is passed on as it is, so that it stays refused.
    emit: (more, how) =>
      logger.emit(
        draft instanceof ReadDraft
          ? draft
          : { ...draft, ...phase("result"), ...(how === undefined ? took() : {}), ...more },
        how
      )
  }
}

/**
 * Records a success. Outside a transaction the effect has happened: that is recorded before a picker's failure is
 * reported.
 */
const recordSuccess = <A, E>({ emit, options }: Watched<A, E>, result: A): Recording => {
  const picked = pick(options, result)
  const { idempotencyKey } = options
  const how = idempotencyKey === undefined ? undefined : { idempotencyKey }
  if (picked._tag === "Success") return emit(picked.success, how)
  return options.transaction === true
    ? Effect.fail(picked.failure)
    : Effect.andThen(emit({}, how), Effect.fail(picked.failure))
}

const inTransaction = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Transactions, (transactions) => transactions.transact(effect))

/** How one effect that is watched ended otherwise than in success. */
const failing = Effect.fnUntraced(function*<A, E>(
  { emit, options }: Watched<A, E>,
  cause: Cause.Cause<E | AuditError>,
  { isRecorded, outer, transaction }: {
    readonly isRecorded: boolean
    readonly outer: Transaction | undefined
    readonly transaction: Transaction
  }
) {
  const failures = [cause]
  // What failed inside was recorded in the transaction that has been rolled back.
  for (const record of transaction.end()) {
    const recorded = yield* recordIn(outer, record)
    if (Exit.isFailure(recorded)) failures.push(recorded.cause)
  }
  if (!isRecorded) {
    const { denied } = options
    const outcome = describe<E | AuditError>(
      cause,
      (error) => !(error instanceof AuditError) && denied?.(error) === true
    )
    const recorded = yield* recordIn(
      outer,
      emit({ ...outcome, ...orNothing(() => severityOf(options, Exit.failCause(cause))) })
    )
    if (Exit.isFailure(recorded)) failures.push(recorded.cause)
  }
  return yield* Effect.failCause(failures.reduce((all, cause) => Cause.combine(all, cause)))
})

const watch = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: AuditedOptions<A, E>,
  draft: AuditDraft
): Effect.Effect<A, E | AuditError, R | AuditLogger | RequestContext | Transactions> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const watched = watching(fiber, options, draft)
      const outer = fiber.getRef(Open)
      const transaction: Transaction = new OpenTransaction(outer)
      let recording = false
      const work = Effect.flatMap(restore(effect), (result) => {
        recording = true
        return Effect.as(recordSuccess(watched, result), result)
      })
      const attempt: Effect.Effect<A, E | AuditError, R | RequestContext | Transactions> = options.transaction === true
        ? inTransaction(Effect.onExit(Effect.provideService(work, Open, transaction), () => transaction.close))
        : work
      const ended = Effect.matchCauseEffect(attempt, {
        onSuccess: (result) => {
          // What failed below is recorded, as long as no transaction around this one is rolled back.
          const nested = transaction.end()
          outer?.keep(nested)
          return Effect.succeed(result)
        },
        onFailure: (cause) => {
          // Outside a transaction the effect has happened, and a commit of unknown outcome may have: neither is a
          // failure of it.
          const isRecorded = recording && (options.transaction !== true || isUnknown(cause))
          return failing(watched, cause, { isRecorded, outer, transaction })
        }
      })
      return options.intent === true ? Effect.andThen(watched.intend, ended) : ended
    })
  )

/**
 * Records the outcome of an effect: success, failure with the error's tag, denial, defect, interruption; and how long
 * it took. It fails closed: if the record cannot be stored the caller sees `AuditError`, and if the effect failed too
 * the cause holds both. What the options hold is read when `audited` is called.
 */
export function audited<A, E, R, T extends boolean | undefined = undefined>(
  options: AuditedOptions<NoInfer<A>, NoInfer<E>, T>
): Audited<A, E, R, T>
export function audited<A, E, R, T extends boolean | undefined = undefined>(
  effect: Effect.Effect<A, E, R>,
  options: AuditedOptions<A, E, T>
): Effect.Effect<A, E | AuditError, R | Needs<T>>
export function audited<A, E, R>(first: Effect.Effect<A, E, R> | AuditedOptions<A, E>, second?: AuditedOptions<A, E>) {
  if (Effect.isEffect(first)) {
    // The overloads give an effect its options.
    const options = second ?? { action: "" }
    return watch(first, options, readOptions(options))
  }
  const draft = readOptions(first)
  return (effect: Effect.Effect<A, E, R>) => watch(effect, first, draft)
}

const isUnknown = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) =>
    reason._tag === "Fail" && reason.error instanceof AuditError && reason.error.reason._tag === "CommitUnknown"
  )

/** Writes through a `LoggingEngine` of one's own. */
export const layerEngine: Layer.Layer<AuditLogger, never, LoggingEngine.LoggingEngine> = Layer.effect(
  AuditLogger,
  Effect.map(
    LoggingEngine.LoggingEngine,
    (engine) =>
      ourOwn(AuditLogger.of({
        emit: (draft, options) => engine.log(ReadDraft.for(engine, ReadDraft.of(draft, "audit")), options)
      }))
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
