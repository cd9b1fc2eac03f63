/** The rules by which a tree grows, over rows in memory. */
import { assert, describe, it } from "@effect/vitest"
import { Merkle } from "effect-audit"
import { breachOf, commitmentsOf, Growth, type TreeRows } from "../../src/ledger/growth.ts"
import { treeHash } from "../reference.ts"

const commitmentAt = (position: number): Buffer => {
  const bytes = Buffer.alloc(32, 0xc0)
  bytes.writeUInt32BE(position)
  return bytes
}
const commitments = (from: number, to: number): Buffer =>
  Buffer.concat(Array.from({ length: to - from }, (_, i) => commitmentAt(from + i)))
const entries = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => Buffer.concat([Buffer.of(1), commitmentAt(from + i)]))

/** Rows in memory; `events` is what the rows of the events have. */
class Rows implements TreeRows {
  readonly bundles = new Map<string, Uint8Array>()
  readonly hashes = new Map<string, Uint8Array>()
  readonly events = new Map<string, Uint8Array>()
  readonly read: Array<string> = []
  bundle(log: number, index: number) {
    return this.bundles.get(`${log}/${index}`) ?? new Uint8Array(0)
  }
  subtrees(log: number, level: number, first: number, count: number) {
    return this.following(this.hashes, `${log}/${level}/`, first, first + count)
  }
  commitments(log: number, from: number, to: number) {
    this.read.push(`${from}-${to}`)
    return this.following(this.events, `${log}/`, from, to)
  }
  putBundle(log: number, index: number, commitments: Uint8Array) {
    this.bundles.set(`${log}/${index}`, Buffer.from(commitments))
  }
  putSubtree(log: number, level: number, index: number, hash: Uint8Array) {
    this.hashes.set(`${log}/${level}/${index}`, Buffer.from(hash))
  }
  private following(kept: Map<string, Uint8Array>, prefix: string, from: number, to: number): Uint8Array {
    const found: Array<Uint8Array> = []
    for (let at = from; at < to; at++) {
      const bytes = kept.get(`${prefix}${at}`)
      if (bytes === undefined) break
      found.push(bytes)
    }
    return Buffer.concat(found)
  }
  /** Adds entries, as a medium does: the tree first, then the row of the event. */
  grow(growth: Growth, from: number, to: number, log = 1): string | undefined {
    for (let position = from; position < to; position++) {
      const refused = growth.add(log, position, commitmentAt(position))
      if (refused !== undefined) return refused.detail
      this.events.set(`${log}/${position}`, commitmentAt(position))
    }
    return undefined
  }
}
const grown = (size: number) => {
  const rows = new Rows()
  const growth = new Growth(rows)
  assert.isUndefined(rows.grow(growth, 0, size))
  return { rows, growth }
}
/** As if so many complete runs of a level were there, whatever they are over. */
const seed = (rows: Rows, level: number, first: number, count: number) => {
  for (let i = first; i < first + count; i++) rows.putSubtree(1, level, i, Buffer.alloc(32, i))
}
const seeded = (count: number) => Array.from({ length: count }, (_, i) => Buffer.alloc(32, i))
/** The hash over 256 hashes, by the definition of the tree. */
const over = (hashes: ReadonlyArray<Uint8Array>): Buffer => {
  let row = hashes
  while (row.length > 1) {
    row = Array.from({ length: row.length / 2 }, (_, i) => Merkle.nodeHash(row[2 * i]!, row[2 * i + 1]!))
  }
  return Buffer.from(row[0]!)
}

describe("a growing tree", () => {
  it("keeps each complete run of 256 entries, and the hash over it, when its last entry comes", () => {
    const { growth, rows } = grown(255)
    assert.deepStrictEqual([rows.bundles.size, rows.hashes.size], [0, 0])
    assert.isUndefined(rows.grow(growth, 255, 600))
    assert.deepStrictEqual([...rows.bundles], [["1/0", commitments(0, 256)], ["1/1", commitments(256, 512)]])
    assert.deepStrictEqual([...rows.hashes], [
      ["1/8/0", treeHash(entries(0, 256))],
      ["1/8/1", treeHash(entries(256, 512))]
    ])
    assert.deepStrictEqual(rows.read, [])
  })

  it("keeps the logs of a store apart", () => {
    const rows = new Rows()
    const growth = new Growth(rows)
    for (let position = 0; position < 256; position++) {
      for (const log of [1, 2]) assert.isUndefined(rows.grow(growth, position, position + 1, log))
    }
    growth.forget(1)
    assert.isUndefined(rows.grow(growth, 256, 300, 2))
    assert.deepStrictEqual([...rows.hashes.keys()], ["1/8/0", "2/8/0"])
    assert.deepStrictEqual(rows.read, [])
  })

  it("makes one hash of 256, tier by tier", () => {
    const rows = new Rows()
    seed(rows, 8, 0, 255)
    const position = 255 * 256
    assert.isUndefined(rows.grow(new Growth(rows), position, position + 256))
    const hash = treeHash(entries(position, position + 256))
    assert.deepStrictEqual(rows.hashes.get("1/8/255"), hash)
    assert.deepStrictEqual(rows.hashes.get("1/16/0"), over([...seeded(255), hash]))
    assert.strictEqual(rows.hashes.size, 257)
  })

  it("grows a third tier, not at the first index of each", () => {
    const rows = new Rows()
    seed(rows, 8, 511 * 256, 255)
    seed(rows, 16, 256, 255)
    const position = (512 * 256 - 1) * 256
    assert.isUndefined(rows.grow(new Growth(rows), position, position + 256))
    const hash = treeHash(entries(position, position + 256))
    const before = Array.from({ length: 255 }, (_, i) => Buffer.alloc(32, 511 * 256 + i))
    const next = over([...before, hash])
    assert.deepStrictEqual(rows.hashes.get("1/16/511"), next)
    assert.deepStrictEqual(
      rows.hashes.get("1/24/1"),
      over([...Array.from({ length: 255 }, (_, i) => Buffer.alloc(32, 256 + i)), next])
    )
  })

  it("reads what it does not remember: what a bundle keeps, and the rest from the rows of the events", () => {
    for (const kept of [0, 100]) {
      const { growth, rows } = grown(150)
      if (kept > 0) assert.isUndefined(growth.keepTail(1, kept))
      growth.forget()
      assert.isUndefined(rows.grow(growth, 150, 256))
      assert.deepStrictEqual(rows.read.at(-1), `${kept}-150`)
      assert.deepStrictEqual(rows.bundles.get("1/0"), commitments(0, 256))
      assert.deepStrictEqual(rows.hashes.get("1/8/0"), treeHash(entries(0, 256)))
    }
  })

  it("begins anew where another process has added in between", () => {
    const { growth, rows } = grown(10)
    for (let position = 10; position < 20; position++) rows.events.set(`1/${position}`, commitmentAt(position))
    assert.isUndefined(rows.grow(growth, 20, 256))
    assert.deepStrictEqual(rows.read, ["0-20"])
    assert.deepStrictEqual(rows.bundles.get("1/0"), commitments(0, 256))
  })

  it("remembers the last entries of 8,192 logs, and reads those of others", () => {
    const rows = new Rows()
    const growth = new Growth(rows)
    for (let log = 1; log <= 8192; log++) rows.grow(growth, 0, 1, log)
    rows.grow(growth, 1, 256, 1)
    assert.deepStrictEqual(rows.read, [])
    rows.grow(growth, 0, 1, 8193)
    rows.grow(growth, 1, 256, 2)
    assert.deepStrictEqual(rows.read, ["0-1"])
    assert.deepStrictEqual(rows.bundles.get("2/0"), commitments(0, 256))
  })
})

describe("a growing tree whose earlier rows are not what they were", () => {
  const unchanged = (rows: Rows, growth: Growth, from: number, detail: string) => {
    const before = [[...rows.bundles], [...rows.hashes]]
    // Again as well: what was refused is not remembered.
    for (const start of [from, 255]) assert.strictEqual(rows.grow(growth, start, 256), detail)
    assert.deepStrictEqual([[...rows.bundles], [...rows.hashes]], before)
  }

  it("refuses to complete a run with an entry that is gone", () => {
    const { growth, rows } = grown(200)
    growth.forget()
    rows.events.delete("1/150")
    unchanged(rows, growth, 200, "the entry at position 150 is not in the store")
  })

  it("refuses a bundle that keeps other entries", () => {
    const { growth, rows } = grown(100)
    rows.putBundle(1, 0, commitments(1, 3))
    assert.strictEqual(
      rows.grow(growth, 100, 256),
      "the stored entries from position 0 are not those that were written"
    )
    assert.deepStrictEqual([...rows.bundles], [["1/0", commitments(1, 3)]])
    assert.strictEqual(rows.hashes.size, 0)
  })

  it("refuses a subtree that is there already", () => {
    const { growth, rows } = grown(100)
    rows.putSubtree(1, 8, 0, Buffer.alloc(32))
    unchanged(rows, growth, 100, "the entries that the subtree of level 8 at index 0 is over are not in the store")
  })

  it("refuses to make a hash of 256 of which one is gone", () => {
    const rows = new Rows()
    seed(rows, 8, 256, 100)
    seed(rows, 8, 357, 154)
    const position = 511 * 256
    assert.strictEqual(
      rows.grow(new Growth(rows), position, position + 256),
      "the subtree of level 8 at index 356 is not in the store"
    )
    assert.strictEqual(rows.bundles.size, 0)
  })
})

describe("the tail of a tree", () => {
  it("is kept in its bundle up to a size, and a longer one is never replaced by a shorter", () => {
    const { growth, rows } = grown(300)
    const kept = () => (rows.bundles.get("1/1")?.length ?? 0) / 32
    assert.isUndefined(growth.keepTail(1, 0))
    assert.isUndefined(growth.keepTail(1, 256))
    assert.strictEqual(kept(), 0)
    assert.isUndefined(growth.keepTail(1, 300))
    assert.deepStrictEqual(rows.bundles.get("1/1"), commitments(256, 300))
    assert.isUndefined(growth.keepTail(1, 270))
    assert.isUndefined(growth.keepTail(1, 300))
    assert.strictEqual(kept(), 44)
    assert.deepStrictEqual(rows.read, ["256-300"])
  })

  it("is not kept with a gap", () => {
    const { growth, rows } = grown(300)
    rows.events.delete("1/290")
    assert.strictEqual(growth.keepTail(1, 300)?.detail, "the entry at position 290 is not in the store")
    assert.isFalse(rows.bundles.has("1/1"))
    assert.isUndefined(growth.keepTail(1, 290))
  })
})

describe("commitments of a range", () => {
  it("come from bundles where they are kept, and from the rows of events after that", () => {
    const { growth, rows } = grown(600)
    growth.keepTail(1, 550)
    for (
      const [from, to, read] of [
        [0, 600, ["550-600"]],
        [0, 256, []],
        [10, 20, []],
        [250, 260, []],
        [255, 257, []],
        [512, 550, []],
        [549, 551, ["550-551"]],
        [560, 570, ["560-570"]],
        [5, 5, []]
      ] as const
    ) {
      rows.read.length = 0
      assert.deepStrictEqual(Buffer.from(commitmentsOf(rows, 1, from, to)), commitments(from, to), `${from} ${to}`)
      assert.deepStrictEqual(rows.read, [...read])
    }
  })
})

describe("what was signed of a growing tree", () => {
  const headAt = (size: number) => ({ size, root: treeHash(entries(0, size)) })

  it("is extended by the tree that was signed, at every size", () => {
    const { rows } = grown(600)
    for (const size of [0, 1, 255, 256, 257, 512, 599, 600]) {
      assert.isUndefined(breachOf(rows, 1, 600, [headAt(size)]), String(size))
    }
  })

  it("is contradicted by another root, by a later head, and by hashes that are gone", () => {
    const { rows } = grown(600)
    const detail = (size: number, heads: Parameters<typeof breachOf>[3]) => {
      const reason = breachOf(rows, 1, size, heads)
      return reason === undefined ? undefined : `${reason._tag}: ${reason.detail}`
    }
    assert.strictEqual(
      detail(600, [headAt(600), { size: 300, root: headAt(301).root }]),
      "CheckpointInconsistent: its tree is not the one that was signed at size 300"
    )
    assert.strictEqual(
      detail(600, [headAt(601)]),
      "CheckpointInconsistent: the log has 600 entries, and a checkpoint was signed at 601"
    )
    rows.hashes.delete("1/8/1")
    assert.strictEqual(
      detail(600, [headAt(600)]),
      "LeafMissing: the subtree of level 8 at index 1 is not in the store"
    )
    rows.putSubtree(1, 8, 1, treeHash(entries(256, 512)))
    rows.events.delete("1/599")
    assert.strictEqual(detail(600, [headAt(600)]), "LeafMissing: the entry at position 599 is not in the store")
  })

  it("is not decided where reading fails", () => {
    const { rows } = grown(3)
    const failing = Object.assign(Object.create(rows) as Rows, {
      commitments: () => {
        throw new Error("disk")
      }
    })
    assert.throws(() => breachOf(failing, 1, 3, [headAt(3)]), "disk")
  })
})
