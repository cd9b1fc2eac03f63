/** Positions of a log, kept as ranges. */

/** First and last position of a range. */
export type Range = readonly [first: number, last: number]

/** Positions; in memory as many numbers as there are ranges. */
export class Ranges {
  /** Disjoint, but for what `addRange` brought out of order; put in order when they are asked for. */
  private ranges: Array<[number, number]> = []
  private ordered = true

  /** Adds a position; cheap when positions come in ascending order. */
  add(position: number): void {
    this.addRange(position, position)
  }

  addRange(first: number, last: number): void {
    const end = this.ranges.at(-1)
    if (end !== undefined && first === end[1] + 1) end[1] = last
    else {
      if (end !== undefined && first <= end[1]) this.ordered = false
      this.ranges.push([first, last])
    }
  }

  /** The ranges, ascending and disjoint. */
  all(): ReadonlyArray<Range> {
    if (!this.ordered) {
      const merged: Array<[number, number]> = []
      for (const [first, last] of this.ranges.toSorted(([a], [b]) => a - b)) {
        const end = merged.at(-1)
        if (end !== undefined && first <= end[1] + 1) end[1] = Math.max(end[1], last)
        else merged.push([first, last])
      }
      this.ranges = merged
      this.ordered = true
    }
    return this.ranges
  }

  get count(): number {
    return this.all().reduce((sum, [first, last]) => sum + last - first + 1, 0)
  }

  /** Takes a position out; returns whether it was in. */
  delete(position: number): boolean {
    this.all()
    let index = 0
    for (let high = this.ranges.length; index < high;) {
      const middle = Math.floor((index + high) / 2)
      if (this.ranges[middle]![1] < position) index = middle + 1
      else high = middle
    }
    const range = this.ranges[index]
    if (range === undefined || range[0] > position) return false
    const [first, last] = range
    const rest: Array<[number, number]> = [[first, position - 1], [position + 1, last]]
    this.ranges.splice(index, 1, ...rest.filter(([from, to]) => from <= to))
    return true
  }

  /** The positions that are here and not there. */
  without(other: Ranges): ReadonlyArray<Range> {
    const left: Array<Range> = []
    const taken = other.all()
    let next = 0
    for (const [first, last] of this.all()) {
      let from = first
      while (next < taken.length && taken[next]![1] < from) next++
      for (let i = next; i < taken.length && taken[i]![0] <= last; i++) {
        const [start, end] = taken[i]!
        if (start > from) left.push([from, start - 1])
        from = Math.max(from, end + 1)
      }
      if (from <= last) left.push([from, last])
    }
    return left
  }
}
