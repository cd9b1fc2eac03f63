/** Reading a tree from tiles: which are asked for, in how many trips, and what is said of those that are missing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type AuditError, Merkle, RequestContext } from "effect-audit"
import type { LogStore } from "effect-audit/ledger"
import { TreeReader } from "../../src/ledger/treeReader.ts"
import { auditPath, hashesOf, treeHash } from "../reference.ts"

const commitmentAt = (position: number): Buffer => {
  const bytes = Buffer.alloc(32, 0xd0)
  bytes.writeUInt32BE(position)
  return bytes
}
const size = 600
const entries = Array.from({ length: size }, (_, i) => Buffer.concat([Buffer.of(1), commitmentAt(i)]))
const run = (from: number, to: number) => Buffer.concat(entries.slice(from, to).map((entry) => entry.subarray(1)))
const log: LogStore.Log = {
  id: 7,
  name: { tenantId: RequestContext.TenantId.make("t"), env: RequestContext.Env.make("prod") },
  origin: "test/log/1",
  origins: [{ origin: "test/log/1", since: 0 }],
  stopped: undefined,
  size
}

/** A reader whose bundles end at a position: what is after it is in the rows of events. */
const over = (kept: number, rows = size) => {
  const trips: Array<string> = []
  const text = ({ count, first, tier }: LogStore.Run) => `${tier}:${first}+${count}`
  const tree = new TreeReader({
    tiles: (_log: LogStore.LogRef, runs: ReadonlyArray<LogStore.Run>) =>
      Effect.sync(() => {
        trips.push(runs.map(text).join(" "))
        return runs.map(({ count, first, tier }) =>
          tier === 0
            ? run(first, Math.max(first, Math.min(first + count, kept)))
            : Buffer.concat(Array.from({ length: count }, (_, i) => hashesOf(entries)(8, first + i)))
        )
      }),
    commitments: (_log: LogStore.LogRef, from: number, to: number) =>
      Effect.sync(() => {
        trips.push(`rows ${from}-${to}`)
        return run(from, Math.min(to, rows))
      })
  })
  return { trips, tree }
}
const detailOf = <A>(effect: Effect.Effect<A, AuditError.AuditError | AuditError.IntegrityError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag === "LeafMissing" ? reason.detail : reason._tag)

describe("a tree that is read from tiles", () => {
  it.effect("gives the roots and paths of the definition", () =>
    Effect.gen(function*() {
      for (const kept of [size, 512, 550]) {
        const { tree } = over(kept)
        for (const at of [1, 255, 256, 257, 512, 599, 600]) {
          const computed = yield* tree.compute(log, at, (read) => Merkle.root(at, read))
          assert.deepStrictEqual(Buffer.from(computed), treeHash(entries.slice(0, at)), `root at ${at}`)
        }
        for (const at of [0, 255, 256, 511, 512, 599]) {
          const path = yield* tree.compute(log, size, (read) => Merkle.inclusionProof(at, size, read))
          assert.deepStrictEqual(path.map((hash) => Buffer.from(hash)), [...auditPath(at, entries)], `path of ${at}`)
        }
      }
    }))

  it.effect("asks for all tiles in one trip, for none twice, and for what has no tile yet", () =>
    Effect.gen(function*() {
      const { trips, tree } = over(512)
      const root = tree.compute(log, size, (read) => Merkle.root(size, read))
      yield* root
      yield* root
      assert.deepStrictEqual(trips, ["1:0+2 0:512+88", "rows 512-600"])
      yield* tree.compute(log, size, (read) => Merkle.inclusionProof(300, size, read))
      assert.deepStrictEqual(trips.slice(2), ["0:256+256"])
      // Of another size, the last tile of a tier is another one.
      yield* tree.compute(log, 520, (read) => Merkle.root(520, read))
      assert.deepStrictEqual(trips.slice(3), ["0:512+8", "rows 512-520"])
    }))

  it.effect("keeps 128 tiles, and of another log none", () =>
    Effect.gen(function*() {
      const { trips, tree } = over(size)
      const first = (id: number) => tree.compute({ ...log, id }, 1, (read) => Merkle.root(1, read))
      for (let id = 0; id < 128; id++) yield* first(id)
      yield* first(0)
      assert.strictEqual(trips.length, 128)
      yield* first(128)
      yield* first(0)
      assert.strictEqual(trips.length, 130)
    }))

  it.effect("says which entry or subtree is missing", () =>
    Effect.gen(function*() {
      const root = (tree: TreeReader) => tree.compute(log, size, (read) => Merkle.root(size, read))
      assert.strictEqual(
        yield* detailOf(root(over(512, 590).tree)),
        "the entry at position 590 is not in the store"
      )
      const without = new TreeReader({
        tiles: (_log: LogStore.LogRef, runs: ReadonlyArray<LogStore.Run>) =>
          Effect.succeed(runs.map(({ tier }) => tier === 1 ? Buffer.alloc(33) : run(512, 600))),
        commitments: () => Effect.succeed(Buffer.alloc(0))
      })
      assert.strictEqual(
        yield* detailOf(root(without)),
        "the subtree of level 8 at index 1 is not in the store"
      )
      const nothing = new TreeReader({
        tiles: () => Effect.succeed([]),
        commitments: () => Effect.succeed(Buffer.alloc(0))
      })
      assert.strictEqual(
        yield* detailOf(nothing.run(log, { tier: 0, first: 256, count: 3 })),
        "the entry at position 256 is not in the store"
      )
      assert.strictEqual(
        yield* detailOf(root(nothing)),
        "the subtree of level 8 at index 0 is not in the store"
      )
    }))

  it.effect("gives runs as they are kept, and what is not kept from the rows, not half a hash and no more", () =>
    Effect.gen(function*() {
      const read = (bytes: Uint8Array, rows: (from: number, to: number) => Uint8Array) =>
        new TreeReader({
          tiles: () => Effect.succeed([bytes]),
          commitments: (_log: LogStore.LogRef, from: number, to: number) => Effect.sync(() => rows(from, to))
        }).run(log, { tier: 0, first: 256, count: 4 })
      const none = (): Uint8Array => assert.fail("the rows are not needed")
      assert.deepStrictEqual(Buffer.from(yield* read(run(256, 260), none)), run(256, 260))
      assert.deepStrictEqual(Buffer.from(yield* read(run(256, 264), none)), run(256, 260))
      const half = Buffer.concat([run(256, 258), Buffer.alloc(5)])
      assert.deepStrictEqual(Buffer.from(yield* read(half, run)), run(256, 260))
      assert.strictEqual(
        yield* detailOf(read(half, (from) => run(from, 261))),
        "the entry at position 261 is not in the store"
      )
    }))

  it.effect("is not computed by what depends on hashes", () =>
    Effect.gen(function*() {
      const { tree } = over(size)
      const exit = yield* Effect.exit(
        tree.compute(log, size, (read) => read(0, read(0, 0)[0] === 0 ? 0 : 300))
      )
      assert(exit._tag === "Failure")
      const [reason] = exit.cause.reasons
      assert(reason?._tag === "Die" && reason.defect instanceof Error)
      assert.include(reason.defect.message, "must read the same nodes whatever their hashes are")
    }))
})
