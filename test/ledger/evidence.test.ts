/** What is gone of a log and what its records say is gone; what lies where something else should. */
import { assert, describe, it } from "@effect/vitest"
import { EventId } from "../../src/DatasetEvent.ts"
import { Erasures } from "../../src/ledger/erasures.ts"
import { Mismatches } from "../../src/ledger/mismatches.ts"

describe("what is gone of a log", () => {
  interface Given {
    readonly erased: ReadonlyArray<number>
    /** Where a record is, and the range that it names. */
    readonly records?: ReadonlyArray<readonly [at: number, first: number, last: number]>
    /** The sizes of signed heads, in order. */
    readonly heads?: ReadonlyArray<number>
    readonly size: number
  }
  const named = ({ erased, heads = [], records = [], size }: Given) => {
    const erasures = new Erasures()
    for (const position of erased) erasures.erase(position)
    for (const [at, first, last] of records) erasures.record(at, [[first, last]])
    for (const head of heads) erasures.cover(head)
    const said: Array<readonly [string, number, string]> = []
    erasures.name(size, Math.max(0, ...heads), (fault, position, detail) => said.push([fault, position, detail]))
    return said
  }

  it("is right where a record that a head covers names it", () => {
    assert.deepStrictEqual(named({ erased: [1, 2], records: [[3, 1, 2]], heads: [4], size: 4 }), [])
    assert.deepStrictEqual(named({ erased: [1, 2], records: [[3, 1, 1], [4, 2, 2]], heads: [4, 5], size: 9 }), [])
    // No head covers the content either.
    assert.deepStrictEqual(named({ erased: [1, 2], records: [[3, 1, 2]], size: 4 }), [])
    assert.deepStrictEqual(named({ erased: [2], records: [[3, 2, 2]], heads: [2], size: 4 }), [])
  })

  it("is missing where no record names it, once for each run of positions", () => {
    assert.deepStrictEqual(named({ erased: [1, 3, 4, 7], records: [[9, 7, 7]], heads: [10], size: 10 }), [
      ["missing", 1, "the content at position 1 is gone, and no audit.erased says so"],
      ["missing", 3, "the content at positions 3 to 4 is gone, and no audit.erased says so"]
    ])
  })

  it("is missing where the record lies above the head that covers the content, as far as the head goes", () => {
    const detail = (where: string) =>
      `the content at ${where} is gone, and the audit.erased that says so is above the newest checkpoint: ` +
      "it is evidence once a checkpoint covers it"
    const records = [[8, 1, 6]] as const
    const erased = [1, 2, 3, 4, 5, 6]
    assert.deepStrictEqual(named({ erased, records, heads: [8], size: 9 }), [
      ["missing", 1, detail("positions 1 to 6")]
    ])
    assert.deepStrictEqual(named({ erased, records, heads: [4], size: 9 }), [
      ["missing", 1, detail("positions 1 to 3")]
    ])
    assert.deepStrictEqual(named({ erased, records, heads: [2], size: 9 }), [["missing", 1, detail("position 1")]])
    assert.deepStrictEqual(named({ erased, records, heads: [1], size: 9 }), [])
    assert.deepStrictEqual(named({ erased, records, heads: [9], size: 9 }), [])
    // What is missing altogether is said once.
    assert.deepStrictEqual(named({ erased, records: [[8, 1, 2]], heads: [8], size: 9 }).map(([, at]) => at), [3, 1])
  })

  it("is there although a record names it: that is said, as far as the log goes", () => {
    const detail = (where: string) => `audit.erased names ${where}, whose content is there`
    assert.deepStrictEqual(named({ erased: [2], records: [[5, 1, 3]], heads: [6], size: 6 }), [
      ["changed", 1, detail("position 1")],
      ["changed", 3, detail("position 3")]
    ])
    assert.deepStrictEqual(named({ erased: [], records: [[5, 6, 7]], heads: [6], size: 6 }), [])
    assert.deepStrictEqual(named({ erased: [], records: [[5, 5, 7]], heads: [6], size: 6 }), [
      ["changed", 5, detail("positions 5 to 7")]
    ])
  })

  it("is counted", () => {
    const erasures = new Erasures()
    assert.strictEqual(erasures.count, 0)
    erasures.erase(1)
    erasures.erase(5)
    assert.strictEqual(erasures.count, 2)
  })
})

describe("what lies where something else should", () => {
  const eventId = EventId.make("01a209c5-51d0-7343-9b03-8b4c0f267745")
  const named = (mismatches: ReadonlyArray<readonly [position: number, actual: string, expected: string]>) => {
    const said: Array<ReadonlyArray<unknown>> = []
    const all = new Mismatches((...each) => said.push(each))
    for (const [position, actual, expected] of mismatches) {
      all.add({ position, eventId, actual, expected, detail: `is ${actual}` })
    }
    const before = said.length
    all.name()
    return { said, before }
  }

  it("was exchanged if it belongs to the other place, and else changed", () => {
    assert.deepStrictEqual(named([[1, "b", "a"], [2, "a", "b"], [3, "x", "c"]]).said, [
      ["reordered", 1, eventId, "what lies here belongs to position 2"],
      ["reordered", 2, eventId, "what lies here belongs to position 1"],
      ["changed", 3, eventId, "is x"]
    ])
    assert.deepStrictEqual(named([[1, "a", "a"]]).said, [["changed", 1, eventId, "is a"]])
  })

  it("is kept 10,000 times to be compared; what comes later is said at once, as changed", () => {
    const kept = Array.from({ length: 10_000 }, (_, n) => [n, `x${n}`, `y${n}`] as const)
    assert.strictEqual(named(kept).before, 0)
    const { before, said } = named([...kept, [10_000, "y1", "z"]])
    assert.strictEqual(before, 1)
    assert.deepStrictEqual(said[0], ["changed", 10_000, eventId, "is y1"])
    assert.strictEqual(said.length, 10_001)
  })
})
