/**
 * Signs, again and again, the heads of the logs that have grown.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { DatabaseSync } from "node:sqlite"
import type { AuditError, IntegrityError } from "../AuditError.ts"
import type { Ledger, LogName } from "../ledger/Ledger.ts"
import { Env, TenantId } from "../RequestContext.ts"
import { integerOf, stringOf } from "./row.ts"

/** Heads that could not be signed on the interval, with the attribute `reason`. */
export const failedCheckpoints = Metric.counter("audit_checkpoints_failed_total", {
  description: "Checkpoints that could not be signed on the interval, by reason",
  incremental: true
})

/** The logs that have grown since a row, and the row to ask from next. */
export type ChangedSince = (seq: number) => Effect.Effect<
  { readonly logs: ReadonlyArray<LogName>; readonly next: number; readonly more: boolean },
  AuditError | IntegrityError
>

/** Rows that are looked at in one step. */
const scanRows = 8192

export const changedSince = (
  reader: DatabaseSync,
  reading: <A>(method: string, read: () => A) => Effect.Effect<A, AuditError | IntegrityError>
): ChangedSince => {
  const last = reader.prepare("SELECT max(seq) AS seq FROM event")
  const logs = reader.prepare(
    "SELECT tenant_id, env FROM log WHERE id IN (SELECT DISTINCT log FROM event WHERE seq > ? AND seq <= ?) AND " +
      "NOT EXISTS (SELECT 1 FROM stop WHERE stop.log = log.id)"
  )
  return (seq) =>
    reading("Ledger.checkpoint", () => {
      const end = integerOf(last.get(), "seq") ?? 0
      const next = Math.min(end, seq + scanRows)
      const found = next === seq ? [] : logs.all(seq, next)
      return {
        logs: found.map((row) => ({
          tenantId: TenantId.make(stringOf(row, "tenant_id") ?? "", { disableChecks: true }),
          env: Env.make(stringOf(row, "env") ?? "", { disableChecks: true })
        })),
        next,
        more: next < end
      }
    })
}

/** Signs every log that has grown, again and again. What fails is logged and counted, and tried again the next time. */
export const signAll = Effect.fnUntraced(function*(
  ledger: Ledger["Service"],
  changed: ChangedSince,
  interval: Duration.Input
): Effect.fn.Return<never> {
  const waiting = new Map<string, LogName>()
  let seq = 0
  const report = (error: AuditError | IntegrityError, name?: LogName) =>
    Effect.andThen(
      Effect.annotateLogs(Effect.logError(`Checkpoint not signed: ${error.reason.message}`), {
        tenant: name?.tenantId ?? "",
        env: name?.env ?? ""
      }),
      Metric.update(Metric.withAttributes(failedCheckpoints, { reason: error.reason._tag }), 1)
    )
  const look = Effect.gen(function*() {
    for (let more = true; more;) {
      const step = yield* changed(seq)
      for (const name of step.logs) waiting.set(`${name.tenantId}/${name.env}`, name)
      seq = step.next
      more = step.more
      yield* Effect.yieldNow
    }
  })
  const signEach = Effect.suspend(() =>
    Effect.forEach([...waiting], ([key, name]) =>
      Effect.matchEffect(ledger.checkpoint(name), {
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
