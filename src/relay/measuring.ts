/** How far behind a relay is, as it is told. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { AuditError } from "../AuditError.ts"
import { telling } from "../internal/telling.ts"
import type { Due } from "./due.ts"
import { keyOf, type Running } from "./passes.ts"

/** Events that wait, with the attribute `relay`. */
export const lag = Metric.gauge("audit_relay_lag_events", {
  description: "Events that a relay has not delivered yet"
})

/** Takes over cursors that were moved meanwhile, by whoever operates the relay. */
const takeMoved = Effect.fnUntraced(function*({ options: { name }, state }: Running, cursors: Due["cursors"]) {
  const before = new Map(cursors)
  for (const { log, next } of yield* state.cursors(name)) {
    const key = keyOf(log)
    // What was delivered while they were read is not known to whom they were read for.
    if (cursors.get(key) === before.get(key)) cursors.set(key, next)
  }
})

/**
 * How many events wait; what does is due, whoever has told of it: the store tells of no log that was stopped since, or
 * whose cursor was moved.
 */
export const measure = Effect.fnUntraced(
  function*(running: Running, due: Pick<Due, "cursors" | "grow">) {
    const { options: { logs: isWanted = () => true, name }, trail } = running
    let waiting = 0
    yield* takeMoved(running, due.cursors)
    for (const log of yield* trail.logs) {
      const { env, tenantId } = log
      const key = keyOf(log)
      const left = log.size - (due.cursors.get(key) ?? 0)
      if (!isWanted(log) || left <= 0) continue
      waiting += left
      due.grow(key, { tenantId, env })
    }
    yield* tellLag(name, waiting)
  }
)

const tellLag = (relay: string, waiting: number) =>
  telling(Metric.update(Metric.withAttributes(lag, { relay }), waiting))

/** What waits of a relay that is paused. */
export const measurePaused = (running: Running): Effect.Effect<void, AuditError> =>
  Effect.suspend(() => measure(running, { cursors: new Map(), grow: () => {} }))

/** Who does not hold a relay any more says nothing of what waits. */
export const unmeasured = ({ options: { name } }: Running): Effect.Effect<void> => tellLag(name, 0)
