/** What the loaded events are, in numbers: only those that came are counted, however many there are. Pure. */
import type { Event, Item } from "./event.ts"

/** What is counted of events. */
export interface Facet {
  readonly label: string
  /** The field of a search that asks for it; what no search asks for is only counted. */
  readonly field?: string
  readonly of: (event: Event) => ReadonlyArray<string>
}

export const facets: ReadonlyArray<Facet> = [
  { label: "Outcome", field: "outcome", of: ({ outcome }) => [outcome] },
  { label: "Kind of actor", of: ({ actor_type }) => [actor_type] },
  { label: "Actor", field: "actor", of: ({ agentId }) => [agentId] },
  {
    label: "On behalf of",
    field: "user",
    of: ({ agentId, user_id }) => user_id === undefined || user_id === agentId ? [] : [user_id]
  },
  { label: "Action", field: "action", of: ({ action }) => [action] },
  { label: "Severity", field: "severity", of: ({ severity }) => [severity] },
  { label: "Found and taken out", of: ({ pii_flags }) => pii_flags.flags },
  { label: "May train", field: "train", of: ({ train_ok }) => [String(train_ok)] },
  { label: "Why not", of: ({ train_ok, train_reason }) => train_ok ? [] : [train_reason] }
]

/** Counts of a list of events: the values of each facet, and the times in milliseconds. */
export interface Tally {
  readonly items: ReadonlyArray<Item>
  readonly counts: ReadonlyArray<ReadonlyMap<string, number>>
  readonly times: ReadonlyArray<number>
}

const none = { items: [], counts: facets.map(() => new Map<string, number>()), times: [] } satisfies Tally

/** Those of a list that were not in another one, where it goes on at its end or its beginning. */
export const came = (before: ReadonlyArray<Item>, items: ReadonlyArray<Item>): ReadonlyArray<Item> | undefined => {
  const [old, all] = [before.length, items.length]
  if (old === 0 || all < old) return undefined
  if (items[0] === before[0] && items[old - 1] === before[old - 1]) return items.slice(old)
  return items[all - old] === before[0] && items[all - 1] === before[old - 1] ? items.slice(0, all - old) : undefined
}

/** Counts a list that often is the one before with more at one end. */
export const tally = (before: Tally, items: ReadonlyArray<Item>): Tally => {
  const more = came(before.items, items)
  const from = more === undefined ? none : before
  const counts = from.counts.map((counted) => new Map(counted))
  const times = [...from.times]
  for (const item of more ?? items) {
    if (item.erased) continue
    times.push(Date.parse(item.event.recorded_at))
    facets.forEach(({ of }, i) => {
      const counted = counts[i]
      for (const value of of(item.event)) counted?.set(value, (counted.get(value) ?? 0) + 1)
    })
  }
  return { items, counts, times }
}

export const nothing: Tally = none

/** The most frequent values of a facet. */
export const most = ({ counts }: Tally, facet: Facet): ReadonlyArray<readonly [value: string, count: number]> =>
  [...counts[facets.indexOf(facet)] ?? []].sort(([, a], [, b]) => b - a).slice(0, 8)

/** The values of a field among the loaded events. */
export const seen = (tally: Tally, field: string): ReadonlyArray<string> => {
  const facet = facets.find((facet) => facet.field === field)
  return facet === undefined ? [] : most(tally, facet).map(([value]) => value)
}

/** In how many parts the time of the loaded events is shown. */
export const buckets = 60

/** How many events were when. */
export const histogram = ({ times }: Tally) => {
  let [from, to] = [Infinity, -Infinity]
  for (const time of times) {
    from = Math.min(from, time)
    to = Math.max(to, time + 1)
  }
  const counts = Array.from({ length: buckets }, () => 0)
  for (const time of times) counts[Math.floor((time - from) / (to - from) * buckets)]! += 1
  return { counts, count: times.length, from, to }
}
