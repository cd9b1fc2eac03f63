/** Signs, again and again, the heads of the logs that have grown. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { AuditError, IntegrityError } from "../AuditError.ts"
import type { LogName } from "../RequestContext.ts"
import type { LogStore, Mark } from "./LogStore.ts"

/** Heads that could not be signed on the interval, with the attribute `reason`. */
export const failedCheckpoints = Metric.counter("audit_checkpoints_failed_total", {
  description: "Checkpoints that could not be signed on the interval, by reason",
  incremental: true
})

const report = (error: AuditError | IntegrityError, name?: LogName) =>
  Effect.andThen(
    Effect.annotateLogs(Effect.logError(`Checkpoint not signed: ${error.reason.message}`), {
      tenant: name?.tenantId ?? "",
      env: name?.env ?? ""
    }),
    Metric.update(Metric.withAttributes(failedCheckpoints, { reason: error.reason._tag }), 1)
  )

/** Signs every log that has grown, again and again. What fails is logged and counted, and tried again the next time. */
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
      Effect.matchEffect(checkpoint(name), {
        onSuccess: () => Effect.sync(() => void waiting.delete(key)),
        onFailure: (error) => {
          // A stopped log is not signed again: whoever was to wake up has been told.
          if (error._tag === "IntegrityError") waiting.delete(key)
          return report(error, name)
        }
      }), { discard: true })
  )
  for (;;) {
    yield* Effect.catch(look, (error) => report(error))
    yield* signEach
    yield* Effect.sleep(interval)
  }
})
