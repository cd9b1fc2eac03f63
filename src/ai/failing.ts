/** An audit error where only an `AiError` fits: the call fails, and who asks finds the audit error behind it. */
import * as AiError from "effect/ai/AiError"
import type { AuditError } from "../AuditError.ts"

const behind = new WeakMap<AiError.AiError, AuditError>()

const make = (method: string, description: string, reason: string): AiError.AiError =>
  AiError.make({
    module: "AuditAi",
    method,
    // Of all reasons this is the one that no retry policy repeats: what was done before would be done again.
    reason: new AiError.UnknownError({ description, metadata: { "effect-audit": { reason } } })
  })

/** Fails a call that could not be recorded. */
export const unrecorded = (method: string) => (error: AuditError): AiError.AiError => {
  const failed = make(method, `The audit log did not record it: ${error.message}`, error.reason._tag)
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
