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
})
