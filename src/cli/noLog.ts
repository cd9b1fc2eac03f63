/** What is said where nothing was found because there is no such log. */
import * as Effect from "effect/Effect"
import type { AuditError } from "../AuditError.ts"
import type { LogName } from "../RequestContext.ts"
import { AuditTrail } from "../trail/AuditTrail.ts"
import { printable } from "./table.ts"

/** Logs that are named to whoever has asked for another. */
const most = 5

/** Why there is nothing in a log, if that is because there is no such log: which others there are. */
export const noLog = ({ env, tenantId }: LogName): Effect.Effect<string | undefined, AuditError, AuditTrail> =>
  Effect.gen(function*() {
    const logs = yield* (yield* AuditTrail).logs
    if (logs.some((log) => log.tenantId === tenantId && log.env === env)) return undefined
    const others = logs.slice(0, most).map((log) => `${printable(log.tenantId)} ${log.env}`).join(", ")
    const known = logs.length === 0
      ? "the store is empty"
      : `there ${logs.length === 1 ? "is" : "are"} ${others}${
        logs.length > most ? ` and ${logs.length - most} more` : ""
      }`
    return `there is no log of ${printable(tenantId)} in ${env}: ${known}`
  })
