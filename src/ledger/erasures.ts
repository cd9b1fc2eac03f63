/** What is gone of a log, and what its records say is gone: the two must be the same. */
import { type Range, Ranges } from "../internal/ranges.ts"
import type { Fault } from "./Finding.ts"

const span = (first: number, last: number): string =>
  first === last ? `position ${first}` : `positions ${first} to ${last}`

/** Says what is wrong with positions. */
export type Say = (fault: Fault, position: number, detail: string) => void

/** Collects both while rows go by. */
export class Erasures {
  private readonly erased = new Ranges()
  /** What records say was erased: all of it, and what records say that a checkpoint covers. */
  private readonly recorded = new Ranges()
  private readonly evident = new Ranges()
  /** Records that no checkpoint covers yet. */
  private open: Array<{ readonly position: number; readonly range: Range }> = []

  get count(): number {
    return this.erased.count
  }

  /** The content at a position is gone, and its row says that it was erased. */
  erase(position: number): void {
    this.erased.add(position)
  }

  /** The record at a position says what was erased. */
  record(position: number, ranges: ReadonlyArray<Range>): void {
    for (const range of ranges) {
      this.recorded.addRange(...range)
      this.open.push({ position, range })
    }
  }

  /** A signed head covers what is below a size. */
  cover(size: number): void {
    this.open = this.open.filter(({ position, range }) => {
      if (position >= size) return true
      this.evident.addRange(...range)
      return false
    })
  }

  /**
   * Names what differs, of a log of `size` entries of which `covered` are under a signed head. A record above that head
   * is no evidence for what the head covers: whoever can write to the store can write such a record.
   */
  name(size: number, covered: number, say: Say): void {
    const missing = this.erased.without(this.recorded)
    for (const [first, last] of missing) {
      say("missing", first, `the content at ${span(first, last)} is gone, and no audit.erased says so`)
    }
    const named = new Ranges()
    for (const range of missing) named.addRange(...range)
    const unproven = new Ranges()
    for (const range of this.erased.without(this.evident)) unproven.addRange(...range)
    for (const [first, end] of unproven.without(named)) {
      const last = Math.min(end, covered - 1)
      if (first > last) continue
      const detail = `the content at ${span(first, last)} is gone, and the audit.erased that says so is above the ` +
        "newest checkpoint: it is evidence once a checkpoint covers it"
      say("missing", first, detail)
    }
    for (const [first, last] of this.recorded.without(this.erased)) {
      if (first < size) say("changed", first, `audit.erased names ${span(first, last)}, whose content is there`)
    }
  }
}
