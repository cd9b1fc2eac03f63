/** An audit error where only an `AiError` fits: the call fails, and who asks finds the audit error behind it. */
import * as AiError from "effect/ai/AiError"
import type { AuditError } from "../AuditError.ts"
import type { Phase } from "../DatasetEvent.ts"

const behind = new WeakMap<AiError.AiError, AuditError>()

const make = (method: string, description: string, reason: string): AiError.AiError =>
  AiError.make({
    module: "AuditAi",
    method,
    // A reason that is not retryable: what was done before would be done again.
    reason: new AiError.UnknownError({ description, metadata: { "effect-audit": { reason } } })
  })

/** What a caller has to know of an event that was not stored, by what it is of. */
const words = {
  intent: "The tool has not run, since the audit log did not record that it would",
  result: "The tool has run, and the audit log did not record how it ended (effect-audit query --unfinished finds it)",
  other: "The audit log did not record it"
}

/** Fails a call that could not be recorded. */
export const unrecorded = (method: string, phase?: Phase | undefined) => (error: AuditError): AiError.AiError => {
  const failed = make(method, `${words[phase ?? "other"]}: ${error.message}`, error.reason._tag)
  behind.set(failed, error)
  return failed
}

/** Fails a call that no one is known to make. */
export const withoutContext = (method: string): AiError.AiError =>
  make(
    method,
    "There is no RequestContext (and AuditLogger), so it cannot be recorded and is not done: provide them around it. " +
      "With AuditAi.toolkit the compiler asks for them.",
    "NoRequestContext"
  )

/** The audit error for which a model or tool call failed, if it did. */
export const auditErrorOf = (error: unknown): AuditError | undefined =>
  AiError.isAiError(error) ? behind.get(error) : undefined
