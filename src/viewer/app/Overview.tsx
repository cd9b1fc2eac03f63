/** What the loaded events are, in numbers: how many of each kind, and when. */
import { useRef, useState } from "preact/hooks"
import type { Event, Item } from "./api.ts"

const facets: ReadonlyArray<readonly [label: string, field: string, of: (event: Event) => ReadonlyArray<string>]> = [
  ["Outcome", "outcome", ({ outcome }) => [outcome]],
  ["Actor", "actor", ({ agentId }) => [agentId]],
  ["On behalf of", "user", ({ agentId, user_id }) => user_id === undefined || user_id === agentId ? [] : [user_id]],
  ["Action", "action", ({ action }) => [action]],
  ["Severity", "severity", ({ severity }) => [severity]],
  ["Training", "train", ({ train_ok }) => [String(train_ok)]]
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
  const facet = facets.find(([, name]) => name === field)
  return facet === undefined ? [] : countsOf(items, facet[2]).map(([value]) => value)
}

interface Props {
  readonly items: ReadonlyArray<Item>
  readonly onTerm: (field: string, value: string) => void
}

export const Facets = ({ items, onTerm }: Props) => (
  <nav class="facets" aria-label="Narrow down">
    <p>Counts of the {items.length} loaded events</p>
    {facets.map(([label, field, of]) => (
      <section key={field}>
        <h2>{label}</h2>
        <ul>
          {countsOf(items, of).map(([value, count]) => (
            <li key={value}>
              <button type="button" onClick={() => onTerm(field, value)}>
                <span>{value}</span> <span class="count">{count}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
    ))}
  </nav>
)

const buckets = 60

/** When the loaded events were, to be brushed. */
export const Histogram = (
  { items, onBrush }: { readonly items: ReadonlyArray<Item>; readonly onBrush: (since: string, until: string) => void }
) => {
  const svg = useRef<SVGSVGElement>(null)
  const [brush, setBrush] = useState<readonly [number, number]>()
  const times = items.flatMap((item) => item.erased ? [] : [Date.parse(item.event.recorded_at)])
  if (times.length < 2) return null
  const [from, to] = [Math.min(...times), Math.max(...times) + 1]
  const counts = Array.from({ length: buckets }, () => 0)
  for (const time of times) counts[Math.floor((time - from) / (to - from) * buckets)]! += 1
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
        aria-label={`The ${times.length} loaded events between ${timeAt(0)} and ${timeAt(1)}; drag to narrow down`}
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
