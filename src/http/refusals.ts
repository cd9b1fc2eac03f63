/**
 * Refusals of callers that were not identified: the first of a window from one network are events of their own, what
 * comes on top of them becomes one event that counts. A flood costs a counter, not a commit each.
 */

/** What was refused on top of what is recorded one by one. */
export interface Counted {
  readonly network: string
  /** One of the addresses; `undefined` of those that count together. */
  readonly address: string | undefined
  readonly count: number
  /** Milliseconds since 1970. */
  readonly since: number
  /** How often each status was given. */
  readonly statuses: { readonly [status: number]: number }
}

interface Window {
  readonly since: number
  readonly address: string | undefined
  seen: number
  count: number
  statuses: { [status: number]: number }
}

/** A flood from many networks must not fill the memory: beyond this many they count together. */
const mostNetworks = 4096
const others = "other networks"

/** Counts by network, in windows of a second. */
export class Refusals {
  private windows = new Map<string, Window>()
  private readonly perSecond: number

  /** `perSecond`: how many of a network are recorded one by one. */
  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /** The window of a network, or the one of all for which there is no room. */
  private windowOf(network: string, address: string | undefined, since: number): Window {
    const isOwn = this.windows.has(network) || this.windows.size < mostNetworks
    const key = isOwn ? network : others
    const window = this.windows.get(key) ??
      { since, address: isOwn ? address : undefined, seen: 0, count: 0, statuses: {} }
    this.windows.set(key, window)
    return window
  }

  /** Whether a refusal is to be recorded by itself; otherwise it is counted. */
  admits(network: string, address: string | undefined, status: number, now: number): boolean {
    const window = this.windowOf(network, address, now)
    window.seen++
    if (window.seen <= this.perSecond) return true
    window.count++
    window.statuses[status] = (window.statuses[status] ?? 0) + 1
    return false
  }

  /** Ends the windows, and says what was counted in them. */
  take(): ReadonlyArray<Counted> {
    const ended = this.windows
    this.windows = new Map()
    return [...ended].flatMap(([network, { address, count, since, statuses }]) =>
      count === 0 ? [] : [{ network, address, count, since, statuses }]
    )
  }

  /** Puts back what could not be recorded: it counts with the next window. */
  putBack({ address, count, network, since, statuses }: Counted): void {
    const window = this.windowOf(network, address, since)
    window.count += count
    for (const [status, times] of Object.entries(statuses)) {
      window.statuses[Number(status)] = (window.statuses[Number(status)] ?? 0) + times
    }
  }
}
