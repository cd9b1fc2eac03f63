/** Waiting for what someone else holds. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { elapsed } from "./elapsed.ts"

/** Milliseconds between tries: 1, then more, up to 20. */
const soon = (tries: number): number => Math.min(20, 1 + tries * 2)

/**
 * Repeats a step while its failure says that it may succeed by and by, until the deadline; then the failure stands.
 * `backoff` says how many milliseconds to wait after so many tries.
 */
export const retryWhile = <A, E, R>(
  step: Effect.Effect<A, E, R>,
  isPassing: (error: E) => boolean,
  deadlineMillis: number,
  backoff: (tries: number) => number = soon
): Effect.Effect<A, E, R> =>
  Effect.flatMap(elapsed, (started) => {
    const go = (tries: number): Effect.Effect<A, E, R> =>
      Effect.catch(step, (error) =>
        isPassing(error)
          ? Effect.flatMap(elapsed, (now) =>
            now - started < deadlineMillis
              ? Effect.andThen(Effect.sleep(Duration.millis(backoff(tries))), go(tries + 1))
              : Effect.fail(error))
          : Effect.fail(error))
    return go(0)
  })
