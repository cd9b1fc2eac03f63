/** Which logs of a relay are due, and in which order they have their turns. */
import type { Mark } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"

/** The logs that are due, with their cursors: what is in the store at first, and what has grown since. */
export class Due {
  readonly cursors = new Map<string, number>()
  /** In the order of their turns. */
  readonly logs = new Map<string, LogName>()
  /** Logs whose last delivery failed: how often it did, one after another, and when they are tried again. */
  readonly waits = new Map<string, { readonly failed: number; readonly untilMillis: number }>()
  /** Logs that have grown since their delivery began. */
  readonly grown = new Set<string>()
  /** Logs whose last delivery succeeded. */
  readonly good = new Set<string>()
  mark: Mark | undefined

  /** A delivery of a log has failed: it waits, and has its turn after all others. */
  putOff(key: string, name: LogName, wait: (failed: number) => number, now: number): void {
    const failed = (this.waits.get(key)?.failed ?? 0) + 1
    this.waits.set(key, { failed, untilMillis: now + wait(failed) })
    this.good.delete(key)
    this.logs.delete(key)
    this.logs.set(key, name)
  }

  /** A log has grown: it is due, also where it is being delivered. */
  grow(key: string, name: LogName): void {
    this.grown.add(key)
    if (!this.logs.has(key)) this.logs.set(key, name)
  }

  /** The logs that are due and wait for nothing: those that succeeded last, others, and those that failed last. */
  ready(now: number): ReadonlyArray<readonly [key: string, name: LogName]> {
    const all = [...this.logs].filter(([key]) => (this.waits.get(key)?.untilMillis ?? 0) <= now)
    if (this.waits.size === 0) return all
    const rank = (key: string): number => this.waits.has(key) ? 2 : this.good.has(key) ? 0 : 1
    return [0, 1, 2].flatMap((of) => all.filter(([key]) => rank(key) === of))
  }

  /** Whether a log is due that has not failed, and whether one is whose last delivery succeeded. */
  untried(): "good" | "some" | "none" {
    const keys = [...this.logs.keys()]
    return keys.some((key) => this.good.has(key))
      ? "good"
      : keys.some((key) => !this.waits.has(key))
      ? "some"
      : "none"
  }
}
