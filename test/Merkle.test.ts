import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Merkle } from "effect-audit"
import { readFileSync } from "node:fs"
import { auditPath, consistency, hashesOf, treeHash } from "./reference.ts"

interface Inclusion {
  readonly index: number
  readonly size?: number
  readonly leafHash: string
  readonly proof: ReadonlyArray<string>
  readonly root?: string
}
interface Consistency {
  readonly oldSize: number
  readonly oldRoot: string
  readonly proof: ReadonlyArray<string>
  readonly size?: number
  readonly root?: string
}
interface Tree {
  readonly size: number
  readonly root: string
  readonly inclusion: ReadonlyArray<Inclusion>
  readonly consistency: ReadonlyArray<Consistency>
}
const vectors = JSON.parse(readFileSync(new URL("fixtures/tlog/tlog.json", import.meta.url), "utf8")) as {
  readonly hashing: { readonly emptyRoot: string }
  readonly rfc6962: { readonly leaves: ReadonlyArray<string>; readonly rootsOfSizes1To8: ReadonlyArray<string> }
  readonly trees: ReadonlyArray<Tree>
  readonly largeTrees: ReadonlyArray<Tree>
  readonly hugeTrees: { readonly inclusion: ReadonlyArray<Inclusion>; readonly consistency: ReadonlyArray<Consistency> }
  readonly badInclusion: ReadonlyArray<Inclusion>
  readonly badConsistency: ReadonlyArray<Consistency>
}

const bytes = (hex: string) => Buffer.from(hex, "hex")
const hex = (hash: Uint8Array) => Buffer.from(hash).toString("hex")
const entry = (n: number) => Buffer.from(`entry-${n}`)

/** A tree of entries with the hashes of all its complete subtrees, and its root at every size. */
const grow = (size: number, of: (n: number) => Uint8Array = entry) => {
  const range = new Merkle.CompactRange()
  const hashes = new Map<string, Uint8Array>()
  for (let n = 0; n < size; n++) {
    range.append(Merkle.leafHash(of(n)), (level, index, hash) => hashes.set(`${level}/${index}`, hash))
  }
  const read: Merkle.ReadHash = (level, index) =>
    hashes.get(`${level}/${index}`) ?? assert.fail(`no hash ${level}/${index}`)
  return { range, read }
}
const inclusion = (proof: Inclusion, size: number, root: string) =>
  Merkle.verifyInclusion({
    index: proof.index,
    size,
    leafHash: bytes(proof.leafHash),
    proof: proof.proof.map(bytes),
    root: bytes(root)
  })
const consistent = (proof: Consistency, size: number, root: string) =>
  Merkle.verifyConsistency({
    oldSize: proof.oldSize,
    size,
    oldRoot: bytes(proof.oldRoot),
    root: bytes(root),
    proof: proof.proof.map(bytes)
  })

describe("Merkle", () => {
  it("gives the roots and proofs of the reference implementation", () => {
    assert.strictEqual(hex(Merkle.emptyRoot), vectors.hashing.emptyRoot)
    const leaves = vectors.rfc6962.leaves.map(bytes)
    vectors.rfc6962.rootsOfSizes1To8.forEach((root, index) => {
      assert.strictEqual(hex(grow(index + 1, (n) => leaves[n]!).range.root()), root)
    })
    for (const tree of [...vectors.trees, ...vectors.largeTrees]) {
      const { range, read } = grow(tree.size)
      assert.strictEqual(hex(range.root()), tree.root)
      assert.strictEqual(hex(Merkle.root(tree.size, read)), tree.root)
      for (const proof of tree.inclusion) {
        assert.deepStrictEqual(Merkle.inclusionProof(proof.index, tree.size, read).map(hex), [...proof.proof])
        assert.isTrue(inclusion(proof, tree.size, tree.root))
      }
      for (const proof of tree.consistency) {
        assert.deepStrictEqual(Merkle.consistencyProof(proof.oldSize, tree.size, read).map(hex), [...proof.proof])
        assert.isTrue(consistent(proof, tree.size, tree.root))
      }
    }
  })

  it("verifies proofs of trees beyond 32 bits, and refuses every proof of the reject lists", () => {
    const { badConsistency, badInclusion, hugeTrees } = vectors
    for (const proof of hugeTrees.inclusion) assert.isTrue(inclusion(proof, proof.size ?? 0, proof.root ?? ""))
    for (const proof of hugeTrees.consistency) assert.isTrue(consistent(proof, proof.size ?? 0, proof.root ?? ""))
    for (const proof of badInclusion) {
      assert.isFalse(inclusion(proof, proof.size ?? 0, proof.root ?? ""), JSON.stringify(proof))
    }
    for (const proof of badConsistency) {
      assert.isFalse(consistent(proof, proof.size ?? 0, proof.root ?? ""), JSON.stringify(proof))
    }
  })

  it("agrees with a naive reading of the RFC for every size to 256", () => {
    const entries = Array.from({ length: 256 }, (_, n) => entry(n))
    const { read } = grow(256)
    for (let size = 1; size <= 256; size++) {
      const leaves = entries.slice(0, size)
      const root = treeHash(leaves)
      assert.strictEqual(hex(Merkle.root(size, read)), hex(root))
      const index = (size * 7) % size
      for (const at of new Set([0, index, size - 1, Math.floor(size / 2)])) {
        assert.deepStrictEqual(Merkle.inclusionProof(at, size, read).map(hex), auditPath(at, leaves).map(hex))
        assert.deepStrictEqual(
          Merkle.consistencyProof(at + 1, size, read).map(hex),
          consistency(at + 1, leaves).map(hex)
        )
      }
    }
  })

  it("goes on from a size and the hashes of its edge", () => {
    const whole = grow(1000).range
    const half = grow(613).range
    const resumed = new Merkle.CompactRange(half.size, half.hashes)
    for (let n = 613; n < 1000; n++) resumed.append(Merkle.leafHash(entry(n)))
    assert.strictEqual(hex(resumed.root()), hex(whole.root()))
  })

  const sizes = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 700 }))
  const { read } = grow(700)
  it.prop(
    "a proof holds for its index, size and root, and for no other",
    { a: sizes, b: sizes, c: sizes },
    ({ a, b, c }) => {
      const size = Math.max(a, b)
      const index = Math.min(a, b) - 1
      const proof = Merkle.inclusionProof(index, size, read)
      const root = Merkle.root(size, read)
      const holds = (index: number, size: number, root: Uint8Array) =>
        Merkle.verifyInclusion({ index, size, leafHash: read(0, a === b ? index : Math.min(a, b) - 1), proof, root })
      assert.isTrue(holds(index, size, root))
      if (c - 1 !== index) assert.isFalse(holds(c - 1, size, root))
      if (c !== size) assert.isFalse(holds(index, size, Merkle.root(c, read)))
      const old = Math.min(a, b)
      const steps = Merkle.consistencyProof(old, size, read)
      const grew = (oldSize: number, oldRoot: Uint8Array) =>
        Merkle.verifyConsistency({ oldSize, size, oldRoot, root, proof: steps })
      assert.isTrue(grew(old, Merkle.root(old, read)))
      if (c !== old && c <= size) assert.isFalse(grew(old, Merkle.root(c, read)))
    }
  )

  it.prop("any flipped bit of a proof is noticed", {
    index: sizes,
    bit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  }, ({ bit, index }) => {
    const proof = Merkle.inclusionProof(index - 1, 700, read).map((hash) => Buffer.from(hash))
    const part = proof[bit % proof.length]!
    part[bit >> 3]! ^= 1 << (bit & 7)
    assert.isFalse(
      Merkle.verifyInclusion({
        index: index - 1,
        size: 700,
        leafHash: read(0, index - 1),
        proof,
        root: Merkle.root(700, read)
      })
    )
  })

  it("packed level by level is the tree of the reference", () => {
    for (const size of [0, 1, 2, 3, 5, 8, 100, 255, 256]) {
      const contents = Array.from({ length: size }, (_, n) => treeHash([entry(n)]))
      const entries = contents.map((content) => Buffer.concat([Buffer.of(1), content]))
      const levels = Merkle.levels(Merkle.leafHashes(1, Buffer.concat(contents)))
      const read = hashesOf(entries)
      levels.forEach((hashes, level) => {
        assert.strictEqual(hashes.length, Math.floor(size / 2 ** level) * 32)
        for (let i = 0; i * 32 < hashes.length; i++) {
          assert.strictEqual(hex(hashes.subarray(i * 32, i * 32 + 32)), hex(read(level, i)))
        }
      })
    }
  })

  it("names each subtree that a leaf completes, its own first", () => {
    const range = new Merkle.CompactRange()
    const completed: Array<ReadonlyArray<number>> = []
    for (let n = 0; n < 4; n++) {
      range.append(Merkle.leafHash(entry(n)), (level, index) => completed.push([level, index]))
    }
    assert.deepStrictEqual(completed, [[0, 0], [0, 1], [1, 0], [0, 2], [0, 3], [1, 1], [2, 0]])
    assert.deepStrictEqual([range.size, range.hashes.length], [4, 1])
    assert.strictEqual(hex(new Merkle.CompactRange().root()), hex(Merkle.emptyRoot))
    assert.throws(() => new Merkle.CompactRange(1, []).append(Merkle.leafHash(entry(1))))
  })

  it("does not touch the hashes that it went on from", () => {
    const { hashes, size } = grow(3).range
    const before = hashes.map(hex)
    new Merkle.CompactRange(size, hashes).append(Merkle.leafHash(entry(3)))
    assert.deepStrictEqual(hashes.map(hex), before)
  })

  it("makes no proof of an index or size that is none, and verifies none", () => {
    const root = Merkle.root(5, read)
    for (
      const [index, size] of [[-1, 5], [5, 5], [6, 5], [0.5, 5], [NaN, 5], [0, 2 ** 53], [0, 0], [0, 5.5]] as const
    ) {
      assert.throws(() => Merkle.inclusionProof(index, size, read), RangeError)
      assert.isFalse(Merkle.verifyInclusion({ index, size, leafHash: read(0, 0), proof: [], root }))
    }
    for (const [oldSize, size] of [[-1, 5], [6, 5], [0.5, 5], [NaN, 5], [1, 2 ** 53], [1, 5.5]] as const) {
      assert.throws(() => Merkle.consistencyProof(oldSize, size, read), RangeError)
      assert.isFalse(Merkle.verifyConsistency({ oldSize, size, oldRoot: root, root, proof: [] }))
    }
  })

  it("of an empty and of an equal tree there is nothing to prove, and nothing else is a proof of them", () => {
    const root = Merkle.root(5, read)
    const other = Merkle.root(4, read)
    const empty = Merkle.emptyRoot
    const grew = (oldSize: number, oldRoot: Uint8Array, proof: ReadonlyArray<Uint8Array> = []) =>
      Merkle.verifyConsistency({ oldSize, size: 5, oldRoot, root, proof })
    assert.deepStrictEqual(Merkle.consistencyProof(0, 5, read), [])
    assert.deepStrictEqual(Merkle.consistencyProof(5, 5, read), [])
    assert.isTrue(grew(0, empty))
    assert.isFalse(grew(0, root))
    assert.isFalse(grew(0, empty, [root]))
    assert.isTrue(grew(5, root))
    assert.isFalse(grew(5, other))
    assert.isFalse(grew(5, root, [root]))
    assert.isFalse(grew(3, Merkle.root(3, read)))
    assert.isTrue(Merkle.verifyConsistency({ oldSize: 0, size: 0, oldRoot: empty, root: empty, proof: [] }))
  })

  it("refuses a proof that is longer or shorter by a hash, or has a hash of another length", () => {
    for (const [index, size] of [[0, 1], [2, 3], [4, 5], [0, 8], [6, 7], [100, 700], [699, 700]] as const) {
      const root = Merkle.root(size, read)
      const proof = Merkle.inclusionProof(index, size, read)
      const holds = (proof: ReadonlyArray<Uint8Array>, options: { readonly root?: Uint8Array } = {}) =>
        Merkle.verifyInclusion({ index, size, leafHash: read(0, index), proof, root, ...options })
      assert.isTrue(holds(proof))
      assert.isFalse(holds([...proof, Merkle.emptyRoot]))
      if (proof.length > 0) {
        assert.isFalse(holds(proof.slice(1)))
        assert.isFalse(holds(proof.slice(0, -1)))
        assert.isFalse(holds([proof[0]!.subarray(1), ...proof.slice(1)]))
      }
      assert.isFalse(holds(proof, { root: root.subarray(1) }))
      if (index === 0) continue
      const old = Merkle.root(index, read)
      const steps = Merkle.consistencyProof(index, size, read)
      const grew = (proof: ReadonlyArray<Uint8Array>, oldRoot = old) =>
        Merkle.verifyConsistency({ oldSize: index, size, oldRoot, root, proof })
      assert.isTrue(grew(steps))
      assert.isFalse(grew([...steps, Merkle.emptyRoot]))
      assert.isFalse(grew(steps.slice(1)))
      assert.isFalse(grew(steps.slice(0, -1)))
      assert.isFalse(grew([steps[0]!.subarray(1), ...steps.slice(1)]))
      assert.isFalse(grew(steps, old.subarray(1)))
    }
  })

  it("takes no good proof for an index, size or hash that only resembles the right one", () => {
    const longer = (hash: Uint8Array) => Buffer.concat([hash, Buffer.of(0)])
    const size = 5
    const root = Merkle.root(size, read)
    const first = Merkle.inclusionProof(0, size, read)
    const included = (index: number, size: number, proof = first, at = 0) =>
      Merkle.verifyInclusion({ index, size, leafHash: read(0, at), proof, root })
    assert.isTrue(included(0, size))
    for (const index of [-1, -2, 0.5, NaN]) assert.isFalse(included(index, size), String(index))
    for (const other of [4.5, 5.5, NaN, Infinity]) assert.isFalse(included(0, other), String(other))
    const second = Merkle.inclusionProof(1, size, read)
    assert.isTrue(included(1, size, second, 1))
    assert.isFalse(included(1, size, [longer(second[0]!), ...second.slice(1)], 1))
    const old = Merkle.root(3, read)
    const steps = Merkle.consistencyProof(3, size, read)
    const grew = (oldSize: number, size: number, proof = steps) =>
      Merkle.verifyConsistency({ oldSize, size, oldRoot: old, root, proof })
    assert.isTrue(grew(3, size))
    for (const oldSize of [2.5, 3.5, -3, NaN, Infinity]) assert.isFalse(grew(oldSize, size), String(oldSize))
    for (const other of [4.5, 5.5, 2, NaN, Infinity]) assert.isFalse(grew(3, other), String(other))
    for (let at = 0; at < steps.length; at++) {
      const left = steps.map((hash, n) => n === at ? longer(hash) : hash)
      assert.isFalse(grew(3, size, left), String(at))
    }
    assert.isFalse(Merkle.verifyInclusion({ index: 0, size: 1, leafHash: longer(root), proof: [], root: longer(root) }))
  })
})
