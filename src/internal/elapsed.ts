/** Time that passes: deadlines and durations are measured on the monotonic clock, which no one sets back. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Milliseconds since some time in the past. */
export const elapsedMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

/** Milliseconds since some time in the past, by the clock of the fiber. */
export const elapsed: Effect.Effect<number> = Effect.clockWith((clock) => Effect.succeed(elapsedMillis(clock)))
