/** The bounds of an engine, as its options say: those that nobody can mean are refused. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { ceiling, defaultLimits } from "./draft.ts"
import type { Limits } from "./json.ts"

const refuse = (path: string, detail: string) =>
  new AuditError({ method: "LoggingEngine.make", reason: new InvalidInput({ path, detail }) })

/** Reads how long a step may take, in milliseconds, and what a draft may hold. */
export const boundsOf = Effect.fnUntraced(function*(options: {
  readonly deadline?: Duration.Input | undefined
  readonly limits?: Partial<Limits> | undefined
  readonly pendingBytes?: number | undefined
}): Effect.fn.Return<{ readonly deadline: number; readonly limits: Limits }, AuditError> {
  const duration = Duration.fromInput(options.deadline ?? "10 seconds")
  const deadline = Option.match(duration, { onNone: () => Number.NaN, onSome: Duration.toMillis })
  if (!(deadline > 0)) return yield* refuse("/deadline", "is no duration such as \"5 seconds\"")
  if (!((options.pendingBytes ?? 1) > 0)) return yield* refuse("/pendingBytes", "must be a number of bytes from 1 on")
  const { maxBytes, maxDepth, maxKeys } = options.limits ?? {}
  const limits: Limits = {
    maxBytes: maxBytes ?? defaultLimits.maxBytes,
    maxDepth: maxDepth ?? defaultLimits.maxDepth,
    maxKeys: maxKeys ?? defaultLimits.maxKeys
  }
  for (const name of ["maxBytes", "maxDepth", "maxKeys"] as const) {
    const value = limits[name]
    if (!Number.isSafeInteger(value) || value < 1 || value > ceiling[name]) {
      return yield* refuse(`/limits/${name}`, `must be an integer from 1 to ${ceiling[name]}`)
    }
  }
  return { deadline, limits }
})
