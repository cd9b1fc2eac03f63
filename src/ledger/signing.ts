/** Signs, again and again, the heads of the logs that have grown. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { AuditError, IntegrityError } from "../AuditError.ts"
import { telling } from "../internal/telling.ts"
import type { LogName } from "../RequestContext.ts"
import type { LogStore, Mark } from "./LogStore.ts"

/** Heads that could not be signed on the interval, with the attribute `reason`. */
export const failedCheckpoints = Metric.counter("audit_checkpoints_failed_total", {
  description: "Checkpoints that could not be signed on the interval, by reason",
  incremental: true
})

const tell = (reason: string, message: string, name: LogName | undefined) => {
  const names = { tenant: name?.tenantId ?? "", env: name?.env ?? "" }
  return Effect.andThen(
    telling(Effect.annotateLogs(Effect.logError(`Checkpoint not signed: ${message}`), names)),
    telling(Metric.update(Metric.withAttributes(failedCheckpoints, { reason }), 1))
  )
}

/** A defect's name; what it says may hold anything. */
const named = (defect: unknown): string => defect instanceof Error ? defect.name : typeof defect

/** Tells of a failure, and of a defect as well: neither ends the loop. */
const supervised = (step: Effect.Effect<unknown, AuditError | IntegrityError>, name?: LogName): Effect.Effect<void> =>
  Effect.matchCauseEffect(step, {
    onSuccess: () => Effect.void,
    onFailure: (cause) => {
      const { reasons } = cause
      const failure = reasons.find((reason) => reason._tag === "Fail")
      if (failure !== undefined) return tell(failure.error.reason._tag, failure.error.reason.message, name)
      const defect = reasons.find((reason) => reason._tag === "Die")
      return defect === undefined
        ? Effect.interrupt
        : tell("Defect", `there is a defect: ${named(defect.defect)}`, name)
    }
  })

/**
 * Signs every log that has grown, again and again. What fails, and what dies, is logged and counted, and tried again
 * the next time.
 */
export const signAll = Effect.fnUntraced(function*(
  checkpoint: (log: LogName) => Effect.Effect<unknown, AuditError | IntegrityError>,
  grown: LogStore["Service"]["grown"],
  interval: Duration.Input
): Effect.fn.Return<never> {
  const waiting = new Map<string, LogName>()
  let mark: Mark | undefined
  const look = Effect.gen(function*() {
    for (let more = true; more;) {
      const step = yield* grown(mark)
      for (const name of step.logs) waiting.set(`${name.tenantId}/${name.env}`, name)
      mark = step.next
      more = step.more
      yield* Effect.yieldNow
    }
  })
  const signEach = Effect.suspend(() =>
    Effect.forEach([...waiting], ([key, name]) =>
      supervised(
        Effect.suspend(() => checkpoint(name)).pipe(
          Effect.tap(() => Effect.sync(() => waiting.delete(key))),
          // A stopped log is not signed again: whoever was to wake up has been told.
          Effect.tapError((error) =>
            Effect.sync(() => error._tag === "IntegrityError" ? waiting.delete(key) : undefined)
          )
        ),
        name
      ), { discard: true })
  )
  for (;;) {
    yield* supervised(look)
    yield* signEach
    yield* Effect.sleep(interval)
  }
})
