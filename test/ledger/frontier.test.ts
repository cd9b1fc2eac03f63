/** What is known of a log's end, read ahead of the entries that follow. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Frontier } from "../../src/ledger/frontier.ts"

const commitmentAt = (position: number): Buffer => {
  const bytes = Buffer.alloc(32, 0xc0)
  bytes.writeUInt32BE(position)
  return bytes
}
const commitments = (from: number, to: number): Buffer =>
  Buffer.concat(Array.from({ length: to - from }, (_, i) => commitmentAt(from + i)))

/** The end of a log with rows alone: no bundle was kept yet. */
const frontierAt = (size: number, count: number) =>
  Frontier.read(
    {
      tiles: (_, runs) => Effect.succeed(runs.map(() => new Uint8Array(0))),
      commitments: (_, from, to) => Effect.succeed(commitments(from, to))
    },
    { id: 1 },
    size,
    count
  )

/** Takes what was put after entries up to a size were added. */
const grownTo = (frontier: Frontier, size: number) => {
  while (frontier.size < size) assert.isUndefined(frontier.add(commitmentAt(frontier.size)))
  return frontier.taken()
}

describe("what a bundle goes on from", () => {
  for (const [size, before] of [[3, 0], [255, 0], [256, 255], [257, 255], [700, 511]] as const) {
    it.effect(`is what was there after ${size} entries, and the entry before it`, () =>
      Effect.gen(function*() {
        const frontier = yield* frontierAt(size, 300)
        const end = (Math.floor(size / 256) + 1) * 256
        const puts = grownTo(frontier, end + 10)
        assert.deepStrictEqual(puts.bundles.map(({ index }) => index), [end / 256 - 1])
        assert.deepStrictEqual(Buffer.from(puts.after), commitments(before, size))
      }))
  }

  it.effect("is told of the size when the one before was taken, over many takings", () =>
    Effect.gen(function*() {
      const frontier = yield* frontierAt(100, 500)
      assert.deepStrictEqual(grownTo(frontier, 200).after, new Uint8Array(0))
      assert.deepStrictEqual(Buffer.from(grownTo(frontier, 256).after), commitments(0, 200))
      assert.deepStrictEqual(grownTo(frontier, 300).after, new Uint8Array(0))
      assert.deepStrictEqual(Buffer.from(grownTo(frontier, 520).after), commitments(255, 300))
    }))

  it.effect("is what was there before the first of several", () =>
    Effect.gen(function*() {
      const frontier = yield* frontierAt(10, 600)
      const puts = grownTo(frontier, 600)
      assert.deepStrictEqual(puts.bundles.map(({ index }) => index), [0, 1])
      assert.deepStrictEqual(Buffer.from(puts.after), commitments(0, 10))
      assert.deepStrictEqual(Buffer.from(grownTo(frontier, 768).after), commitments(511, 600))
    }))
})
