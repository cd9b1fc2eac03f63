/** Watches an effect, and records how it ended. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import { AuditError, InvalidInput } from "../AuditError.ts"
import type { Change, Draft, Phase, Resource, Severity } from "../DatasetEvent.ts"
import type { EmitOptions, Receipt } from "../LoggingEngine.ts"
import { Stripper } from "../pii/Pii.ts"
import type { RequestContext } from "../RequestContext.ts"
import { Transactions } from "../Transactions.ts"
import { ReadDraft, refusalBy, refusedKey } from "./draft.ts"
import { elapsedMillis } from "./elapsed.ts"
import { Entropy, makeUuid7 } from "./entropy.ts"
import type { Refusal } from "./json.ts"
import { fitting, recordLess } from "./lessening.ts"
import { type Marks, marksKey } from "./marks.ts"
import { OpenTransaction, recordIn } from "./openTransaction.ts"

/** What happened, without a storage class: what `AuditLogger` writes is `audit`. */
export interface AuditDraft extends Omit<Draft, "storageClass"> {}

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
   * long it took, which is another each time. With `intent` it is `InvalidInput`: each try has an intent of its own.
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

/** What the caller's functions pick from the result, and the places of those that fail. */
const pick = <A, E>(options: AuditedOptions<A, E>, result: A) => {
  const picked: { [field: string]: unknown } = {}
  const failed: Array<string> = []
  const take = (field: string, evaluate: () => unknown): void => {
    try {
      const value = evaluate()
      if (value !== undefined) picked[field] = value
    } catch {
      failed.push(`/${field}`)
    }
  }
  const { output } = options
  if (output !== undefined) take("output", () => output(result))
  for (const field of pickable) {
    const from = options[field]
    if (typeof from === "function") take(field, () => from(result))
  }
  take("severity", () => severityOf(options, Exit.succeed(result)).severity)
  const [first] = failed
  const failure = first === undefined
    ? undefined
    : refuse(first, `picking the ${first.slice(1)} from the result failed`)
  return { picked: picked as Partial<AuditDraft>, failed, failure }
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

/** What `audited` is told beside what the event says. */
const ofWatching: ReadonlySet<string> = new Set(["denied", "idempotencyKey", "intent", "output", "transaction"])
/** What the event says of every outcome. */
const ofEvent: ReadonlySet<string> = new Set([
  "action",
  "resource",
  "related",
  "input",
  "metadata",
  "change",
  "subjectIds",
  "severity",
  "occurredAt"
])

/** What options carry that were made of a draft. */
type Carrying = { readonly [marksKey]?: Marks | undefined }

/** The options as they were at the call; a draft that is refused stays refused. */
export const readOptions = <A, E>(options: AuditedOptions<A, E> & Carrying): ReadDraft => {
  const given: { [field: string]: unknown } = Object.create(null)
  const marks = { [marksKey]: options[marksKey] }
  let isOfEvent = true
  if (options.intent === true && options.idempotencyKey !== undefined) {
    return ReadDraft.refused("/idempotencyKey", "cannot be given with an intent: each try has one of its own")
  }
  const key = refusedKey(options.idempotencyKey)
  if (key !== undefined) return ReadDraft.refused(key.path, key.problem)
  for (const [name, value] of Object.entries(options)) {
    // What is a function is asked once the effect has ended.
    if (ofWatching.has(name) || typeof value === "function") continue
    given[name] = value
    isOfEvent &&= ofEvent.has(name)
  }
  const read = ReadDraft.of({ action: options.action, ...given, ...marks }, "audit")
  if (isOfEvent || ReadDraft.isRefused(read)) return read
  // How it ended is for the effect to say.
  const { action, change, input, metadata, occurredAt, related, resource, severity, subjectIds } = read
  const kept = { action, resource, related, input, metadata, change, subjectIds, severity, occurredAt }
  return ReadDraft.of({ ...kept, ...marks }, "audit")
}

/** What of the options can be recorded, without what is refused of it and what could not be picked. */
export const leftOf = <A, E>(
  { refusal }: Recorder,
  { action, change, input, metadata, occurredAt, related, resource, severity, subjectIds }: AuditedOptions<A, E>,
  missing: ReadonlyArray<string>
): ReadDraft => {
  const all = { resource, related, input, metadata, change, subjectIds, severity, occurredAt }
  const known = Object.entries(all).filter(([, value]) => typeof value !== "function")
  return fitting({ action, ...Object.fromEntries(known) }, missing, refusal).draft
}

/** Records one event of class `audit`. */
export type Emit = (draft: AuditDraft, options?: EmitOptions | undefined) => Recording

/** What records, and says before of what it would refuse. */
export interface Recorder {
  readonly emit: Emit
  readonly refusal: (draft: ReadDraft) => Refusal | undefined
  /** Whether an effect runs, and succeeds, whose event lacks what could not be recorded. */
  readonly isLenient?: boolean | undefined
}

/** Records with a logger; what was read is frozen for one that is not of this package. */
export const recorderOf = (logger: { readonly emit: Emit }): Recorder => ({
  emit: (draft, options) => logger.emit(ReadDraft.for(logger, ReadDraft.of(draft, "audit")), options),
  refusal: (draft) => refusalBy(logger, draft)
})

const placing = new Stripper()
/** The error of a refusal that is known before anything is recorded; a key of the caller's may be personal data. */
const refusedFor = ({ path, problem }: Refusal) => refuse(placing.place(path), problem)

type Recording = Effect.Effect<Receipt, AuditError, RequestContext>

type Transaction = OpenTransaction<Receipt, AuditError, RequestContext>

/** The innermost `audited` transaction that a fiber is in. */
const Open = Context.Reference<Transaction | undefined>(
  "effect-audit/AuditLogger/Open",
  { defaultValue: () => undefined }
)

/** One effect that is watched: what is recorded of it, and with what. */
interface Watched<A, E> {
  readonly options: AuditedOptions<A, E>
  /** Records that the effect is about to run. */
  readonly intend: () => Recording
  readonly emit: (more: Partial<AuditDraft>, options?: EmitOptions) => Recording
  /** As `emit`; what is refused is recorded without what it is refused for. */
  readonly emitLess: (
    more: Partial<AuditDraft>,
    options?: EmitOptions | undefined,
    failed?: ReadonlyArray<string>
  ) => Recording
}

const watching = <A, E>(
  fiber: Fiber.Fiber<unknown, unknown>,
  { emit, isLenient, refusal }: Recorder,
  options: AuditedOptions<A, E>,
  draft: ReadDraft
): Watched<A, E> => {
  const clock = fiber.getRef(Clock.Clock)
  const uuid7 = options.intent === true ? makeUuid7(fiber.getRef(Entropy)) : undefined
  const operation = uuid7 === undefined ? {} : { operationId: uuid7(clock.currentTimeMillisUnsafe()) }
  const phase = (phase: Phase) => uuid7 === undefined ? {} : { ...operation, phase }
  const started = elapsedMillis(clock)
  const took = () => ({ durationMillis: Math.floor(elapsedMillis(clock) - started) })
  const given = (more: Partial<AuditDraft>, how: EmitOptions | undefined): Draft => {
    const facts = { ...phase("result"), ...(how === undefined ? took() : {}) }
    return Object.keys(more).length === 0 ? ReadDraft.with(draft, facts) : { ...draft, ...facts, ...more }
  }
  return {
    options,
    intend: () => emit(ReadDraft.with(draft, phase("intent"))),
    emit: (more, how) => emit(given(more, how), how),
    emitLess: (more, how, failed = []) => {
      const { draft: rest, refused } = fitting(given(more, how), [...ReadDraft.missingOf(draft), ...failed], refusal)
      // What no logger is asked to record, since nothing is left of it.
      if (refused !== undefined && ReadDraft.isRefused(rest)) return Effect.fail(refusedFor(refused))
      const recorded = Effect.catch(emit(rest, how), (error) => {
        const less = recordLess(emit, error, rest, how)
        return isLenient === true || error.reason._tag !== "InvalidInput"
          ? less
          : Effect.andThen(less, Effect.fail(error))
      })
      return refused === undefined || isLenient === true
        ? recorded
        : Effect.andThen(recorded, Effect.fail(refusedFor(refused)))
    }
  }
}

/**
 * Records a success. Outside a transaction the effect has happened: that is recorded before what could not be picked or
 * recorded of it is reported.
 */
const recordSuccess = <A, E>({ emit, emitLess, options }: Watched<A, E>, result: A, isLenient: boolean): Recording => {
  const { failed, failure, picked } = pick(options, result)
  const { idempotencyKey } = options
  const how = idempotencyKey === undefined ? undefined : { idempotencyKey }
  if (options.transaction === true && !isLenient) {
    return failure === undefined ? emit(picked, how) : Effect.fail(failure)
  }
  const recorded = emitLess(picked, how, failed)
  return failure === undefined || isLenient ? recorded : Effect.andThen(recorded, Effect.fail(failure))
}

const inTransaction = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Transactions, (transactions) => transactions.transact(effect))

/** How one effect that is watched ended otherwise than in success. */
const failing = Effect.fnUntraced(function*<A, E>(
  { emitLess, options }: Watched<A, E>,
  cause: Cause.Cause<E | AuditError>,
  { isRecorded, outer, transaction }: {
    readonly isRecorded: boolean
    readonly outer: Transaction | undefined
    readonly transaction: Transaction | undefined
  }
) {
  const failures = [cause]
  // What failed inside was recorded in the transaction that has been rolled back.
  for (const record of transaction?.end() ?? []) {
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
      emitLess({ ...outcome, ...orNothing(() => severityOf(options, Exit.failCause(cause))) })
    )
    if (Exit.isFailure(recorded)) failures.push(recorded.cause)
  }
  return yield* Effect.failCause(failures.reduce((all, cause) => Cause.combine(all, cause)))
})

/**
 * Runs an effect, and records how it ended with what `recorderIn` finds in the fiber. An effect whose event would be
 * refused for what is known before does not run.
 */
export const watch = <A, E, R>(
  recorderIn: (fiber: Fiber.Fiber<unknown, unknown>) => Recorder,
  effect: Effect.Effect<A, E, R>,
  options: AuditedOptions<A, E>,
  draft: ReadDraft
): Effect.Effect<A, E | AuditError, R | RequestContext | Transactions> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const recorder = recorderIn(fiber)
      const isLenient = recorder.isLenient === true
      const refused = recorder.refusal(draft)
      if (refused !== undefined) return Effect.fail(refusedFor(refused))
      const watched = watching(fiber, recorder, options, draft)
      const outer = fiber.getRef(Open)
      const transaction: Transaction | undefined = options.transaction === true ? new OpenTransaction(outer) : undefined
      let recording = false
      const work = Effect.flatMap(restore(effect), (result) => {
        recording = true
        return Effect.as(recordSuccess(watched, result, isLenient), result)
      })
      const attempt: Effect.Effect<A, E | AuditError, R | RequestContext | Transactions> = transaction === undefined
        ? work
        : inTransaction(Effect.onExit(Effect.provideService(work, Open, transaction), () => transaction.close))
      const ended = Effect.matchCauseEffect(attempt, {
        onSuccess: (result) => {
          // What failed below is recorded, as long as no transaction around this one is rolled back.
          const nested = transaction?.end()
          if (nested !== undefined) outer?.keep(nested)
          return Effect.succeed(result)
        },
        onFailure: (cause) => {
          // Outside a transaction the effect has happened, and a commit of unknown outcome may have: neither is a
          // failure of it.
          const isRecorded = recording && (transaction === undefined || isUnknown(cause))
          return failing(watched, cause, { isRecorded, outer, transaction })
        }
      })
      return options.intent === true ? Effect.andThen(watched.intend(), ended) : ended
    })
  )

const isUnknown = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) =>
    reason._tag === "Fail" && reason.error instanceof AuditError && reason.error.reason._tag === "CommitUnknown"
  )
