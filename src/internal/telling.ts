/** Logs, metrics and spans are told what happened; one of them that throws changes nothing of it. */
import * as Effect from "effect/Effect"

/** Tells of something. What it throws ends here: there is no one else to tell it to. */
export const telling = (tell: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.catchDefect(Effect.asVoid(tell), () => Effect.void)

/** As `telling`, on the hot path: without an effect of its own. */
export const tellNow = (tell: () => void): void => {
  try {
    tell()
  } catch {
    // There is no one else to tell it to.
  }
}
