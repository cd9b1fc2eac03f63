/** The logs that the writer has looked at: where the next event of each goes, and whether it takes one. */
import type { AuditReason } from "../AuditError.ts"
import type { LogName } from "../RequestContext.ts"

/** A log while it is written to. */
export interface Log {
  readonly id: number
  readonly origin: string
  /** The first origin of the log, which its idempotency keys are bound to. */
  readonly firstOrigin: string
  size: number
  /** Why the log takes no more events, if so. */
  readonly stopped: AuditReason | undefined
}

/** What ends what is remembered. */
export type End = "rolled back" | "stopped" | "erased or stopped elsewhere"

const keyOf = ({ env, tenantId }: LogName): string => `${tenantId}/${env}`

/** Remembers logs until something ends it; then each is looked at again before it takes an event. */
export class LogCache {
  private readonly byName = new Map<string, Log>()
  private readonly ids = new Map<number | undefined, Log>()

  get(name: LogName): Log | undefined {
    return this.byName.get(keyOf(name))
  }
  set(name: LogName, log: Log): void {
    this.byName.set(keyOf(name), log)
    this.ids.set(log.id, log)
  }
  /** A log by the number of its row. */
  byId(id: number | undefined): Log | undefined {
    return this.ids.get(id)
  }
  /** Forgets all logs: sizes and stops may be others now. */
  end(_why: End): void {
    this.byName.clear()
    this.ids.clear()
  }
}
