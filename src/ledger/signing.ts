/** Signs, again and again, the heads of the logs that have grown. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { AuditError, IntegrityError } from "../AuditError.ts"
import { elapsed } from "../internal/elapsed.ts"
import { telling } from "../internal/telling.ts"
import type { LogName } from "../RequestContext.ts"
import type { LogStore, Mark } from "./LogStore.ts"

/** Heads that could not be signed on the interval, with the attribute `reason`. */
export const failedCheckpoints = Metric.counter("audit_checkpoints_failed_total", {
  description: "Checkpoints that could not be signed on the interval, by reason",
  incremental: true
})

/** Everything that was recorded longer ago is under a checkpoint. */
export const checkpointAge = Metric.gauge("audit_checkpoint_age_seconds", {
  description: "How old an entry can be that no checkpoint covers"
})
/** Of all logs together, as they were at the last look. */
export const uncoveredEntries = Metric.gauge("audit_uncovered_entries", {
  description: "Entries that no checkpoint covers"
})
export const stoppedLogs = Metric.gauge("audit_stopped_logs", {
  description: "Logs that take no events, since they are not what was signed"
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

/** What the loop works with. */
export interface Signing {
  readonly checkpoint: (log: LogName) => Effect.Effect<unknown, AuditError | IntegrityError>
  readonly grown: LogStore["Service"]["grown"]
  /** How many entries of a log no checkpoint covers. */
  readonly uncovered: (log: LogName) => Effect.Effect<number, AuditError | IntegrityError>
  readonly interval: Duration.Input
}

/** A log that has grown and is not signed yet. */
interface Waiting {
  readonly name: LogName
  /** Everything older is under a checkpoint; by the monotonic clock, in milliseconds. */
  readonly since: number
  uncovered: number
}

const keyOf = ({ env, tenantId }: LogName) => `${tenantId}/${env}`

/**
 * Signs every log that has grown, again and again. What fails, and what dies, is logged and counted, and tried again
 * the next time.
 */
export const signAll = Effect.fnUntraced(function*(
  { checkpoint, grown, interval, uncovered }: Signing
): Effect.fn.Return<never, never, Scope.Scope> {
  const waiting = new Map<string, Waiting>()
  const stopped = new Set<string>()
  let mark: Mark | undefined
  let looked = yield* elapsed

  /** Told every second, so that a signer or a store that hangs is seen as well. */
  const measure = Effect.gen(function*() {
    let oldest = looked
    let entries = 0
    for (const log of waiting.values()) {
      oldest = Math.min(oldest, log.since)
      entries += log.uncovered
    }
    yield* telling(Metric.update(checkpointAge, Math.max(0, (yield* elapsed) - oldest) / 1000))
    yield* telling(Metric.update(uncoveredEntries, entries))
    yield* telling(Metric.update(stoppedLogs, stopped.size))
  })
  const look = Effect.gen(function*() {
    const began = yield* elapsed
    for (let more = true; more;) {
      const step = yield* grown(mark)
      for (const name of step.logs) {
        const key = keyOf(name)
        if (!waiting.has(key)) waiting.set(key, { name, since: looked, uncovered: 0 })
      }
      mark = step.next
      more = step.more
      yield* Effect.yieldNow
    }
    looked = began
    for (const log of waiting.values()) {
      // What is wrong with the log is told when it is signed.
      const count = yield* Effect.exit(uncovered(log.name))
      if (Exit.isSuccess(count)) log.uncovered = count.value
    }
  })
  const signed = (key: string) =>
    Effect.sync(() => {
      waiting.delete(key)
      stopped.delete(key)
    })
  // A stopped log is not signed again: whoever was to wake up has been told.
  const notSigned = (key: string) => (error: AuditError | IntegrityError) =>
    Effect.sync(() => {
      if (error._tag !== "IntegrityError") return
      waiting.delete(key)
      stopped.add(key)
    })
  const signEach = Effect.suspend(() =>
    Effect.forEach([...waiting], ([key, { name }]) =>
      supervised(
        Effect.suspend(() => checkpoint(name)).pipe(
          Effect.tap(() => signed(key)),
          Effect.tapError(notSigned(key))
        ),
        name
      ), { discard: true })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(measure, Effect.sleep("1 second"))))
  for (;;) {
    yield* supervised(look)
    yield* signEach
    yield* measure
    yield* Effect.sleep(interval)
  }
})
