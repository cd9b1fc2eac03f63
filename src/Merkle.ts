/**
 * The Merkle tree of a log: hashes, roots, and proofs of inclusion and consistency (RFC 9162, section 2.1; RFC 6962).
 *
 * Pure and synchronous. Hashes are 32 bytes; sizes and indexes are integers below 2^53, and no arithmetic on them is
 * done with 32-bit operators. A tree is known by the hashes of its complete subtrees: `hash(level, index)` covers the
 * leaves from `index * 2^level` to `(index + 1) * 2^level`.
 *
 * @since 0.1.0
 */
import { hash } from "node:crypto"

/** 32 bytes of SHA-256. */
export type Hash = Uint8Array

/** Reads the hash of a complete subtree. */
export type ReadHash = (level: number, index: number) => Hash

const sha256 = (bytes: Uint8Array): Hash => hash("sha256", bytes, "buffer")

/** The root of the tree without leaves: the hash of nothing. */
export const emptyRoot: Hash = sha256(new Uint8Array(0))

/** `SHA-256(0x00 || entry)` */
export const leafHash = (entry: Uint8Array): Hash => {
  const bytes = Buffer.allocUnsafe(1 + entry.length)
  bytes[0] = 0
  bytes.set(entry, 1)
  return sha256(bytes)
}

/** `SHA-256(0x01 || left || right)` */
export const nodeHash = (left: Hash, right: Hash): Hash => {
  const bytes = Buffer.allocUnsafe(65)
  bytes[0] = 1
  bytes.set(left, 1)
  bytes.set(right, 33)
  return sha256(bytes)
}

const equal = (a: Hash, b: Hash): boolean => a.length === 32 && Buffer.compare(a, b) === 0
const isOdd = (n: number): boolean => n % 2 === 1
const half = (n: number): number => Math.floor(n / 2)
const isIndex = (n: number): boolean => Number.isSafeInteger(n) && n >= 0

/**
 * The right edge of a growing tree: the complete subtrees that its size is made of, the largest first. Appending costs,
 * on average, one node hash besides the leaf's.
 */
export class CompactRange {
  private length: number
  private readonly edge: Array<Hash>

  /** The tree of a size, by the hashes of the complete subtrees that `size` is the sum of; empty unless given. */
  constructor(size = 0, hashes: ReadonlyArray<Hash> = []) {
    this.length = size
    this.edge = [...hashes]
  }

  /** Leaves in the tree. */
  get size(): number {
    return this.length
  }

  /** The hashes of the complete subtrees, the largest first: with `size`, all that is needed to go on. */
  get hashes(): ReadonlyArray<Hash> {
    return this.edge
  }

  /** Adds a leaf's hash; calls `completed` with each subtree that it completes, its own leaf (level 0) first. */
  append(leaf: Hash, completed?: ((level: number, index: number, hash: Hash) => void) | undefined): void {
    let level = 0
    let index = this.length
    let current = leaf
    completed?.(level, index, current)
    while (isOdd(index)) {
      const left = this.edge.pop()
      if (left === undefined) throw new Error("a compact range has a hash for every bit of its size")
      current = nodeHash(left, current)
      level++
      index = half(index)
      completed?.(level, index, current)
    }
    this.edge.push(current)
    this.length++
  }

  /** The root of the tree. */
  root(): Hash {
    let root: Hash | undefined
    for (let i = this.edge.length - 1; i >= 0; i--) {
      root = root === undefined
        ? this.edge[i]!
        : nodeHash(this.edge[i]!, root)
    }
    return root ?? emptyRoot
  }
}

const joined = Buffer.alloc(65, 1)
const led = Buffer.alloc(34)

/**
 * The hashes of the complete subtrees over a run of hashes, level by level, beginning with the run itself. Each level
 * is its hashes, 32 bytes each, one after another.
 */
export const levels = (run: Uint8Array): ReadonlyArray<Uint8Array> => {
  let below = Buffer.from(run.buffer, run.byteOffset, run.length)
  const all = [below]
  while (below.length >= 64) {
    const above = Buffer.allocUnsafe(Math.floor(below.length / 64) * 32)
    for (let at = 0; at < above.length; at += 32) {
      below.copy(joined, 1, at * 2, at * 2 + 64)
      // As a latin1 text: a Buffer per hash costs four times as much as the hash.
      above.write(hash("sha256", joined, "binary"), at, 32, "latin1")
    }
    all.push(above)
    below = above
  }
  return all
}

/**
 * The leaf hashes of entries that consist of one type byte and 32 bytes more; these and the result one after another.
 */
export const leafHashes = (type: number, contents: Uint8Array): Uint8Array => {
  const hashes = Buffer.allocUnsafe(contents.length)
  led[1] = type
  for (let at = 0; at < hashes.length; at += 32) {
    for (let i = 0; i < 32; i++) led[2 + i] = contents[at + i]!
    hashes.write(hash("sha256", led, "binary"), at, 32, "latin1")
  }
  return hashes
}

/** The largest power of two below `size`, and its level. */
const split = (size: number): readonly [number, number] => {
  let width = 1
  let level = 0
  while (width * 2 < size) {
    width *= 2
    level++
  }
  return [width, level]
}

/**
 * The root of the leaves from `start` to `start + size`; `start` is a multiple of a power of two that is not below
 * `size`.
 */
const rangeRoot = (start: number, size: number, read: ReadHash): Hash => {
  const [width, level] = split(size)
  if (size === 1) return read(0, start)
  if (width * 2 === size) return read(level + 1, start / size)
  return nodeHash(read(level, start / width), rangeRoot(start + width, size - width, read))
}

/** The root of the first `size` leaves. */
export const root = (size: number, read: ReadHash): Hash => size === 0 ? emptyRoot : rangeRoot(0, size, read)

/** The hashes next to the path from a leaf to the root, the one next to the leaf first (RFC 9162, 2.1.3.1). */
export const inclusionProof = (index: number, size: number, read: ReadHash): ReadonlyArray<Hash> => {
  if (!isIndex(index) || !isIndex(size) || index >= size) throw new RangeError("index must be below size")
  const path = (index: number, start: number, size: number): Array<Hash> => {
    if (size === 1) return []
    const [width] = split(size)
    return index < width
      ? [...path(index, start, width), rangeRoot(start + width, size - width, read)]
      : [...path(index - width, start + width, size - width), rangeRoot(start, width, read)]
  }
  return path(index, 0, size)
}

/** What proves that the tree of `oldSize` leaves is a beginning of the one of `size` (RFC 9162, 2.1.4.1). */
export const consistencyProof = (oldSize: number, size: number, read: ReadHash): ReadonlyArray<Hash> => {
  if (!isIndex(oldSize) || !isIndex(size) || oldSize > size) throw new RangeError("oldSize must not exceed size")
  const path = (old: number, start: number, size: number, known: boolean): Array<Hash> => {
    if (old === size) return known ? [] : [rangeRoot(start, size, read)]
    const [width] = split(size)
    return old <= width
      ? [...path(old, start, width, known), rangeRoot(start + width, size - width, read)]
      : [...path(old - width, start + width, size - width, false), rangeRoot(start, width, read)]
  }
  return oldSize === 0 || oldSize === size ? [] : path(oldSize, 0, size, true)
}

/** Whether a proof leads from a leaf's hash to the root (RFC 9162, 2.1.3.2). */
export const verifyInclusion = (options: {
  readonly index: number
  readonly size: number
  readonly leafHash: Hash
  readonly proof: ReadonlyArray<Hash>
  readonly root: Hash
}): boolean => {
  const { index, proof, size } = options
  if (!isIndex(index) || !isIndex(size) || index >= size || proof.some((part) => part.length !== 32)) return false
  let node = index
  let last = size - 1
  let current = options.leafHash
  for (const part of proof) {
    if (last === 0) return false
    if (isOdd(node) || node === last) {
      current = nodeHash(part, current)
      while (!isOdd(node) && node !== 0) {
        node = half(node)
        last = half(last)
      }
    } else current = nodeHash(current, part)
    node = half(node)
    last = half(last)
  }
  return last === 0 && equal(current, options.root)
}

/** Whether a proof shows that an old tree is a beginning of a new one (RFC 9162, 2.1.4.2). */
export const verifyConsistency = (options: {
  readonly oldSize: number
  readonly size: number
  readonly oldRoot: Hash
  readonly root: Hash
  readonly proof: ReadonlyArray<Hash>
}): boolean => {
  const { oldRoot, oldSize, proof, size } = options
  if (!isIndex(oldSize) || !isIndex(size) || oldSize > size || proof.some((part) => part.length !== 32)) return false
  if (oldSize === size) return proof.length === 0 && equal(oldRoot, options.root)
  // Every tree begins with the empty one; there is nothing to prove.
  if (oldSize === 0) return proof.length === 0 && equal(oldRoot, emptyRoot)
  let node = oldSize - 1
  let last = size - 1
  while (isOdd(node)) {
    node = half(node)
    last = half(last)
  }
  // An old tree of a power of two is itself the first hash of the proof, which is then left out.
  const parts = node === 0 ? [oldRoot, ...proof] : proof
  const [first, ...rest] = parts
  if (first === undefined) return false
  let old = first
  let current = first
  for (const part of rest) {
    if (last === 0) return false
    if (isOdd(node) || node === last) {
      old = nodeHash(part, old)
      current = nodeHash(part, current)
      while (!isOdd(node) && node !== 0) {
        node = half(node)
        last = half(last)
      }
    } else current = nodeHash(current, part)
    node = half(node)
    last = half(last)
  }
  return last === 0 && equal(old, oldRoot) && equal(current, options.root)
}
