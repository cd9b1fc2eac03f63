/** What detectors return. */
import type { Kind } from "./Kind.ts"

/** Where a finding is, in UTF-16 code units; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly kind: Kind
}
