/** Waiting for what someone else holds. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { elapsed } from "./elapsed.ts"

/** Waits between tries: 1 ms, then more, up to 20 ms. */
const backoff = (tries: number): Duration.Duration => Duration.millis(Math.min(20, 1 + tries * 2))

/** Repeats a step while its failure says that it may succeed by and by, until the deadline; then the failure stands. */
export const retryWhile = <A, E, R>(
  step: Effect.Effect<A, E, R>,
  isPassing: (error: E) => boolean,
  deadlineMillis: number
): Effect.Effect<A, E, R> =>
  Effect.flatMap(elapsed, (started) => {
    const go = (tries: number): Effect.Effect<A, E, R> =>
      Effect.catch(step, (error) =>
        isPassing(error)
          ? Effect.flatMap(elapsed, (now) =>
            now - started < deadlineMillis
              ? Effect.andThen(Effect.sleep(backoff(tries)), go(tries + 1))
              : Effect.fail(error))
          : Effect.fail(error))
    return go(0)
  })
