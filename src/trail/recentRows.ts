/** The terms of rows that were written lately, until their segment of the index is. */
import { keptTerms, logTerm, segmentRows } from "./terms.ts"

/**
 * What the search index needs of the rows that were written here, by their offset in a segment. Plain numbers in one
 * piece of memory: an object per event would outlive it, and cost the collector more than the index costs.
 */
export class RecentRows {
  private readonly seqs = new Float64Array(segmentRows)
  private readonly counts = new Uint8Array(segmentRows)
  private readonly terms = new Int32Array(segmentRows * keptTerms)
  readonly times = new Float64Array(segmentRows)

  /** `terms` are those of the event, apart from its log. */
  keep(seq: number, recordedAtMillis: number, log: number, terms: Int32Array): void {
    const offset = (seq - 1) % segmentRows
    const first = offset * keptTerms
    const count = terms.length + 1
    if (count <= keptTerms) {
      this.terms[first] = logTerm(log)
      this.terms.set(terms, first + 1)
    }
    this.seqs[offset] = count <= keptTerms ? seq : 0
    this.counts[offset] = count
    this.times[offset] = recordedAtMillis
  }

  /** Calls `add` with the terms of a row, if it was written here. */
  each(seq: number, add: (term: number) => void): boolean {
    const offset = (seq - 1) % segmentRows
    if (this.seqs[offset] !== seq) return false
    const first = offset * keptTerms
    for (let i = 0; i < this.counts[offset]!; i++) add(this.terms[first + i]!)
    return true
  }

  clear(): void {
    this.seqs.fill(0)
  }
}
