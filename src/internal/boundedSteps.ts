/**
 * The steps that services do for the engine, each bounded by the engine's deadline and with its failures in one place:
 * a stripper that fails stores nothing, preferences that fail are no consent, a sink that does not end may have stored.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { AuditError, CommitUnknown, StripFailed } from "../AuditError.ts"
import { type Sealed, type Stamp, Stamped, type Stripped } from "../DatasetEvent.ts"
import type { EventSink, Evidence } from "../EventSink.ts"
import type { PiiStripper, StripResult } from "../PiiStripper.ts"
import { type Answer, type Question, question, type TrainingPreferences } from "../TrainingPreferences.ts"
import { endsWithin } from "./deadline.ts"
import { elapsed } from "./elapsed.ts"
import { made } from "./made.ts"
import { flagged, type Marks, pseudonymise } from "./marks.ts"
import { telling } from "./telling.ts"

/** The services whose steps these are. */
export interface Services {
  readonly stripper: PiiStripper["Service"]
  readonly preferences: TrainingPreferences["Service"]
  readonly sink: EventSink["Service"]
}

/** The steps of one engine. */
export interface Steps {
  readonly strip: (stamped: Stamped, marks: Marks | undefined) => Effect.Effect<StripResult, AuditError>
  readonly lookup: (stripped: Stripped) => Effect.Effect<Answer | "preferences_unavailable">
  /** Changes a preference and runs what records it. */
  readonly change: TrainingPreferences["Service"]["change"]
  /**
   * Appends an event; while the outcome is unknown it is repeated, until the deadline of the call that began at
   * `began` of the monotonic clock.
   */
  readonly store: (event: Sealed, began: number) => Effect.Effect<Evidence, AuditError>
}

const method = "LoggingEngine.log"

/** What names an event in a log line; never what is in it. */
export const idsOf = (stamp: Stamp) => ({
  event_id: stamp.eventId,
  tenant: stamp.tenantId,
  request_id: stamp.requestId,
  trace_id: stamp.traceId
})

const detailOf = <E extends { readonly detail: string }>(cause: Cause.Cause<E>, otherwise: string): string => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  return failure === undefined ? otherwise : failure.error.detail
}

/** A step that keeps no deadline of its own runs in a fiber of its own: it may not even be interruptible. */
const watched = Effect.fnUntraced(function*<A, E, E2, R>(
  step: Effect.Effect<A, E, R>,
  deadline: number,
  late: () => E2
): Effect.fn.Return<A, E | E2, R> {
  const fiber = yield* Effect.forkDetach(Effect.interruptible(step))
  const exit = yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), deadline)
  if (Option.isSome(exit)) return yield* exit.value
  yield* Effect.forkDetach(Fiber.interrupt(fiber))
  return yield* Effect.fail(late())
})

/** Strips an event of which a schema says what is personal: that is replaced before, and counts as found. */
const stripMarked = (
  { pseudonym }: PiiStripper["Service"],
  strip: PiiStripper["Service"]["strip"],
  { content, stamp }: Stamped,
  marks: Marks
): ReturnType<PiiStripper["Service"]["strip"]> =>
  Effect.suspend(() => {
    const replaced = pseudonymise(content, marks, pseudonym && ((value) => pseudonym(stamp.tenantId, value)))
    const { found } = replaced
    return Effect.map(
      strip(new Stamped(made, stamp, replaced.content, marks.kept)),
      (result) => found === 0 ? result : { ...result, piiFlags: flagged(result.piiFlags, found), trainable: false }
    )
  })

const stripping = (stripper: PiiStripper["Service"], deadline: number): Steps["strip"] => {
  const late = () => ({ detail: `it did not end within ${deadline} ms` })
  const strip = endsWithin(stripper, deadline)
    ? stripper.strip
    : (stamped: Stamped) => watched(Effect.suspend(() => stripper.strip(stamped)), deadline, late)
  return (stamped, marks) =>
    Effect.catchCause(marks === undefined ? strip(stamped) : stripMarked(stripper, strip, stamped, marks), (cause) => {
      const reason = new StripFailed({ detail: detailOf(cause, "the stripper threw") })
      return Effect.fail(new AuditError({ method, eventId: stamped.stamp.eventId, reason }))
    })
}

const lookingUp = (preferences: TrainingPreferences["Service"], deadline: number): Steps["lookup"] => {
  const late = () => ({ detail: `they did not end within ${deadline} ms` })
  const lookup = endsWithin(preferences, deadline)
    ? preferences.lookup
    : (asked: Question) => watched(Effect.suspend(() => preferences.lookup(asked)), deadline, late)
  return (stripped) =>
    Effect.catchCause(lookup(question(stripped)), (cause) =>
      Effect.as(
        telling(Effect.annotateLogs(
          Effect.logWarning("Training preferences unavailable: the event is kept and may not train a model"),
          { ...idsOf(stripped.stamp), detail: detailOf(cause, "the preference store threw") }
        )),
        "preferences_unavailable" as const
      ))
}

const unknown = (event: Sealed, detail: string) =>
  new AuditError({ method, eventId: event.eventId, reason: new CommitUnknown({ detail }) })

/** A sink that dies has a bug; whether it had stored the event before is not known. */
const appending = (sink: EventSink["Service"], deadline: number) => {
  const isInTime = endsWithin(sink, deadline)
  const append = (event: Sealed, within: number) =>
    (within === deadline ? isInTime : endsWithin(sink, within))
      ? sink.append(event)
      : watched(
        Effect.suspend(() => sink.append(event)),
        within,
        () => unknown(event, `the sink did not end within ${Math.round(within)} ms`)
      )
  return (event: Sealed, within: number): Effect.Effect<Evidence, AuditError> =>
    Effect.catchCause(append(event, within), (cause) => {
      const failure = cause.reasons.find((reason) => reason._tag === "Fail")
      return Effect.fail(failure === undefined ? unknown(event, "the sink died") : failure.error)
    })
}

const storing = (sink: EventSink["Service"], deadline: number): Steps["store"] => {
  const append = appending(sink, deadline)
  /**
   * Repeats while the outcome is unknown: the event id makes that harmless. A later "not stored" does not undo a doubt.
   */
  const retry = (event: Sealed, error: AuditError, until: number, delay: number): Effect.Effect<Evidence, AuditError> =>
    Effect.flatMap(elapsed, (now) =>
      now + delay > until
        ? Effect.fail(error)
        : Effect.andThen(Effect.sleep(delay), Effect.suspend(() => append(event, until - now - delay))).pipe(
          // Stored by an earlier try of this very call: new to the caller.
          Effect.map((evidence) =>
            evidence.eventId === event.eventId ? { ...evidence, duplicate: false, first: undefined } : evidence
          ),
          // Not lost: `error`, the first doubt, is what the caller gets when the time is over; another try's failure
          // says less.
          Effect.catch(() => retry(event, error, until, Math.min(delay * 2, 1000)))
        ))
  return (event, began) =>
    Effect.catchIf(
      append(event, deadline),
      (error) => error.reason._tag === "CommitUnknown",
      (error) => retry(event, error, began + deadline, 10)
    )
}

/** The change and its record have the deadline together; a late one may have happened. */
const changing =
  (preferences: TrainingPreferences["Service"], deadline: number): Steps["change"] => (preference, record) =>
    watched(Effect.suspend(() => preferences.change(preference, record)), deadline, () => {
      const reason = new CommitUnknown({ detail: `the preferences did not change within ${deadline} ms` })
      return new AuditError({ method: "LoggingEngine.setPreference", reason })
    })

/** Bounds the steps of these services. */
export const bounded = ({ preferences, sink, stripper }: Services, deadline: number): Steps => ({
  strip: stripping(stripper, deadline),
  lookup: lookingUp(preferences, deadline),
  change: changing(preferences, deadline),
  store: storing(sink, deadline)
})
