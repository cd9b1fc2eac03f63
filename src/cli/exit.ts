/**
 * How the program ends: 0 done, 1 some of it was refused, 2 could not be done or called wrongly; 130 and 143
 * interrupted by SIGINT and SIGTERM, 141 when no one reads the output any more.
 */
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

/** Whoever read the output has gone; exit 141, as a signal SIGPIPE would. */
export class BrokenPipe extends Data.TaggedError("BrokenPipe")<{}> {}

/** The process's exit code; `interrupted` is that of the signal that ended it. */
export const exitCode = (exit: Exit.Exit<unknown, unknown>, interrupted = 130): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure?.error instanceof BrokenPipe) return 141
  if (failure !== undefined) return failure.error instanceof SomeRefused || failure.error instanceof DoesNotHold ? 1 : 2
  return exit.cause.reasons.every((reason) => reason._tag === "Interrupt") ? interrupted : 2
}
