/** Waiting for a turn of the event loop. */
import * as Effect from "effect/Effect"

/** The next turn of the event loop: timers and sockets come before. */
export const nextTurn: Effect.Effect<void> = Effect.callback((resume) => void setImmediate(() => resume(Effect.void)))
