/** How what agents do becomes events: in the context of the fiber that does it, or it fails. */
import type * as AiError from "effect/ai/AiError"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { AuditError } from "../AuditError.ts"
import type { AuditDraft, AuditLogger } from "../AuditLogger.ts"
import type { Receipt } from "../LoggingEngine.ts"
import { type Fields, provide } from "../RequestContext.ts"
import { unrecorded } from "./failing.ts"

/** Who records, and for whom. */
export interface Recorder {
  readonly logger: Context.Service.Shape<typeof AuditLogger>
  readonly context: Fields
}

/** Records an event; a failure fails the call of a model or tool. */
export const record = (
  { context, logger }: Recorder,
  draft: AuditDraft
): Effect.Effect<Receipt, AiError.AiError> =>
  Effect.mapError(provide(context)(logger.emit(draft)), unrecorded(draft.action, draft.phase))

/** The tag of an error, as long as a word is; of an `AiError` that of its reason. */
export const tagOf = (error: unknown): string => nameOf(error).slice(0, 256)

/** An error may be anything, and its properties may throw. */
const nameOf = (error: unknown): string => {
  try {
    if (!Predicate.hasProperty(error, "_tag") || typeof error._tag !== "string") {
      return error instanceof Error && typeof error.name === "string" ? error.name : "Error"
    }
    if (error._tag !== "AiError" || !Predicate.hasProperty(error, "reason")) return error._tag
    const { reason } = error
    return Predicate.hasProperty(reason, "_tag") && typeof reason._tag === "string" ? reason._tag : error._tag
  } catch {
    return "Error"
  }
}

/** How an effect ended that did not succeed. */
export const failureOf = (cause: Cause.Cause<unknown>): { readonly outcome: "failure"; readonly errorTag: string } => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  return { outcome: "failure", errorTag: failure === undefined ? "Defect" : tagOf(failure.error) }
}

/** Records how an effect failed, and fails as it did; where that could not be recorded, with both. */
export const failing = <E>(
  cause: Cause.Cause<E>,
  recording: Effect.Effect<unknown, AiError.AiError>
): Effect.Effect<never, E | AiError.AiError> =>
  Effect.matchCauseEffect(recording, {
    onFailure: (unrecorded) => Effect.failCause(Cause.combine(cause, unrecorded)),
    onSuccess: () => Effect.failCause(cause)
  })

/** Whether what could not be recorded was too large or too deep: then it is recorded without its content. */
export const isTooMuch = (error: AuditError): boolean => error.reason._tag === "InvalidInput"
