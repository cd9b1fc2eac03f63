/** How the program ends: 0 done, 1 some of it was refused, 2 could not be done or called wrongly, 130 interrupted. */
import * as Data from "effect/Data"
import * as Exit from "effect/Exit"

/** Called wrongly: the message says what to do; exit 2. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

/** Something could not be done; the message was for the user; exit 2. */
export class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

/** Done, but not all of it; the output says what; exit 1. */
export class SomeRefused extends Data.TaggedError("SomeRefused")<{ readonly count: number }> {}

/** The evidence does not hold; exit 1. */
export class DoesNotHold extends Data.TaggedError("DoesNotHold")<{ readonly message: string }> {}

/** The process's exit code. */
export const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) return failure.error instanceof SomeRefused || failure.error instanceof DoesNotHold ? 1 : 2
  return exit.cause.reasons.every((reason) => reason._tag === "Interrupt") ? 130 : 2
}
