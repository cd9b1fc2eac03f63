/** What the loaded events are, in numbers: how many of each kind, and when. */
import { useMemo, useRef, useState } from "preact/hooks"
import { buckets, facets, histogram, most, type Tally } from "./tally.ts"

interface Props {
  readonly tally: Tally
  readonly onTerm: (field: string, value: string) => void
}

export const Facets = ({ onTerm, tally }: Props) => {
  const counted = useMemo(
    () => facets.map((facet) => ({ ...facet, counts: most(tally, facet) })).filter(({ counts }) => counts.length > 0),
    [tally]
  )
  return (
    <nav class="facets" aria-label="Narrow down">
      <p>Counts of the {tally.items.length} loaded events</p>
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

/** When the loaded events were, to be brushed. */
export const Histogram = (
  { onBrush, tally }: { readonly tally: Tally; readonly onBrush: (since: string, until: string) => void }
) => {
  const svg = useRef<SVGSVGElement>(null)
  const [brush, setBrush] = useState<readonly [number, number]>()
  const { counts, count, from, to } = useMemo(() => histogram(tally), [tally])
  if (count < 2) return null
  const highest = Math.max(...counts)
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
          <rect
            key={i}
            class="bar"
            x={i + 0.1}
            width={0.8}
            y={20 - 20 * count / highest}
            height={20 * count / highest}
          />
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
