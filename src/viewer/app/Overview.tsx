/** What the loaded events are, in numbers: how many of each kind, and when. */
import { useMemo, useRef, useState } from "preact/hooks"
import type { Event, Item } from "./api.ts"

interface Facet {
  readonly label: string
  /** The field of a search that asks for it; what no search asks for is only counted. */
  readonly field?: string
  readonly of: (event: Event) => ReadonlyArray<string>
}

const facets: ReadonlyArray<Facet> = [
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

const countsOf = (items: ReadonlyArray<Item>, of: (event: Event) => ReadonlyArray<string>) => {
  const counts = new Map<string, number>()
  for (const item of items) {
    if (!item.erased) { for (const value of of(item.event)) counts.set(value, (counts.get(value) ?? 0) + 1) }
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, 8)
}

/** The values of a field among the loaded events. */
export const seen = (items: ReadonlyArray<Item>, field: string): ReadonlyArray<string> => {
  const facet = facets.find((facet) => facet.field === field)
  return facet === undefined ? [] : countsOf(items, facet.of).map(([value]) => value)
}

interface Props {
  readonly items: ReadonlyArray<Item>
  readonly onTerm: (field: string, value: string) => void
}

export const Facets = ({ items, onTerm }: Props) => {
  const counted = useMemo(
    () =>
      facets.map((facet) => ({ ...facet, counts: countsOf(items, facet.of) })).filter(({ counts }) =>
        counts.length > 0
      ),
    [items]
  )
  return (
    <nav class="facets" aria-label="Narrow down">
      <p>Counts of the {items.length} loaded events</p>
      {counted.map(({ counts, field, label }) => (
        <section key={label}>
          <h2>{label}</h2>
          <ul>
            {counts.map(([value, count]) => (
              <li key={value}>
                {field === undefined
                  ? (
                    <p class="only">
                      <span>{value}</span> <span class="count">{count}</span>
                    </p>
                  )
                  : (
                    <button type="button" onClick={() => onTerm(field, value)}>
                      <span>{value}</span> <span class="count">{count}</span>
                    </button>
                  )}
              </li>
            ))}
          </ul>
        </section>
      ))}
    </nav>
  )
}

const buckets = 60

/** How many events were when. */
const timesOf = (items: ReadonlyArray<Item>) => {
  const times = items.flatMap((item) => item.erased ? [] : [Date.parse(item.event.recorded_at)])
  let [from, to] = [Infinity, -Infinity]
  for (const time of times) {
    from = Math.min(from, time)
    to = Math.max(to, time + 1)
  }
  const counts = Array.from({ length: buckets }, () => 0)
  for (const time of times) counts[Math.floor((time - from) / (to - from) * buckets)]! += 1
  return { counts, count: times.length, from, to }
}

/** When the loaded events were, to be brushed. */
export const Histogram = (
  { items, onBrush }: { readonly items: ReadonlyArray<Item>; readonly onBrush: (since: string, until: string) => void }
) => {
  const svg = useRef<SVGSVGElement>(null)
  const [brush, setBrush] = useState<readonly [number, number]>()
  const { counts, count, from, to } = useMemo(() => timesOf(items), [items])
  if (count < 2) return null
  const most = Math.max(...counts)
  const shareAt = (event: PointerEvent): number => {
    const { left, width } = svg.current!.getBoundingClientRect()
    return Math.min(1, Math.max(0, (event.clientX - left) / width))
  }
  const timeAt = (share: number) => new Date(from + share * (to - from)).toISOString()
  return (
    <figure class="histogram">
      <svg
        ref={svg}
        viewBox={`0 0 ${buckets} 20`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`The ${count} loaded events between ${timeAt(0)} and ${timeAt(1)}; drag to narrow down`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          setBrush([shareAt(event), shareAt(event)])
        }}
        onPointerMove={(event) => brush && setBrush([brush[0], shareAt(event)])}
        onPointerUp={(event) => {
          const [a, b] = [brush?.[0] ?? 0, shareAt(event)].sort((x, y) => x - y) as [number, number]
          setBrush(undefined)
          if (b - a > 0.01) onBrush(timeAt(a), timeAt(b))
        }}
      >
        {counts.map((count, i) => (
          <rect key={i} class="bar" x={i + 0.1} width={0.8} y={20 - 20 * count / most} height={20 * count / most} />
        ))}
        {brush !== undefined && (
          <rect
            class="brush"
            x={Math.min(...brush) * buckets}
            width={Math.abs(brush[1] - brush[0]) * buckets}
            y={0}
            height={20}
          />
        )}
      </svg>
      <figcaption>
        <span>{timeAt(0).slice(0, 19)}</span> <span>loaded events over time (UTC)</span>{" "}
        <span>{timeAt(1).slice(0, 19)}</span>
      </figcaption>
    </figure>
  )
}
