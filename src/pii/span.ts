/** What detectors return. */
import type { Kind } from "./Kind.ts"

/** Where a finding is, in UTF-16 code units; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly kind: Kind
}

/** Spans of several detectors in order, none over another: what reaches beyond another loses nothing of itself. */
export const disjoint = (spans: ReadonlyArray<Span>): ReadonlyArray<Span> => {
  const found: Array<Span> = []
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = found.at(-1)
    if (last === undefined || span.start >= last.end) found.push(span)
    else if (span.end > last.end) {
      // `Anna Smith` before the address that begins with `Smith`.
      found[found.length - 1] = { ...last, end: span.start }
      found.push(span)
    }
  }
  return found
}
