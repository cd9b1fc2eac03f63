/**
 * How much of large events is on its way at once: their bytes are bounded, and not only their number. Whoever comes
 * beyond waits before its event is stripped and sealed, so that no copies of it wait in memory.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { AuditError, SinkOverloaded } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"

/** Events below this are bounded by the sink's queue: 8,192 of them are 128 MiB. */
const smallBytes = 16_384
const permitBytes = 1024

/** Runs what records an event of some bytes, when there is room for it. */
export type Admit = <A>(
  bytes: number,
  eventId: EventId,
  record: Effect.Effect<A, AuditError>
) => Effect.Effect<A, AuditError>

/** Bounds the bytes of large events; whoever finds no room until the deadline gets `SinkOverloaded`. */
export const admitting = (maxBytes: number, deadline: number): Admit => {
  const permits = Math.max(1, Math.floor(maxBytes / permitBytes))
  const room = Semaphore.makeUnsafe(permits)
  const detail = `no room for a large event within ${deadline} ms: ${maxBytes} bytes are on their way`
  return (bytes, eventId, record) => {
    if (bytes < smallBytes) return record
    const wanted = Math.min(permits, Math.ceil(bytes / permitBytes))
    const taken = Effect.timeoutOrElse(Effect.interruptible(room.take(wanted)), {
      duration: deadline,
      orElse: () =>
        Effect.fail(new AuditError({ method: "LoggingEngine.log", eventId, reason: new SinkOverloaded({ detail }) }))
    })
    return Effect.andThen(taken, Effect.ensuring(record, room.release(wanted)))
  }
}
