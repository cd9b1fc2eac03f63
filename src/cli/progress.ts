/** One line of progress on standard error, where that is a terminal. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { PlatformError } from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { elapsed } from "../internal/elapsed.ts"

/** Shows `text(seconds)` twice a second until it is stopped. */
export const progress = Effect.fnUntraced(function*(
  text: (seconds: number) => string
): Effect.fn.Return<{ readonly stop: Effect.Effect<void, PlatformError> }, never, Stdio.Stdio> {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stderrIsTerminal)) return { stop: Effect.void }
  const started = yield* elapsed
  const show = (end: string) =>
    Effect.flatMap(
      elapsed,
      (now) =>
        Stream.make(`\r\u001b[K${text((now - started) / 1000)}${end}`).pipe(
          Stream.run(stdio.stderr({ endOnDone: false }))
        )
    )
  const fiber = yield* Effect.forkChild(Effect.repeat(show(""), Schedule.spaced("500 millis")))
  return { stop: Effect.andThen(Fiber.interrupt(fiber), show("\n")) }
})
