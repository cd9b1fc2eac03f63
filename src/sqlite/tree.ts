/**
 * The Merkle trees of a store: grown with the commits, and read back.
 *
 * Entries are kept in bundles of 256, the hashes over complete runs of 256 in `subtree`; what has not filled a bundle yet is
 * in the rows of its events. A signed checkpoint also keeps the bundle that it ends in, so that everything a checkpoint
 * covers lies in two places.
 *
 * @internal
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { CheckpointInconsistent, IntegrityError, type IntegrityReason, LeafMissing } from "../AuditError.ts"
import { stated } from "../ledger/Checkpoint.ts"
import { type Hash, leafHashes, levels, type ReadHash, root } from "../Merkle.ts"
import { entryType } from "../Seal.ts"
import { blobOf, integerOf, stringOf } from "./row.ts"
import { SearchIndex } from "./searchIndex.ts"

/** Entries of a bundle, and hashes of a run. */
export const runLength = 256

const hashBytes = 32

const missing = (detail: string) => new IntegrityError({ method: "Ledger", reason: new LeafMissing({ detail }) })

/** A tree head that was signed: what a log must extend. */
export interface Head {
  readonly size: number
  readonly root: Hash
}

/** Tiles that a reader keeps, of 16 KiB each. */
const maxTiles = 128

/** Reads the trees on one connection. Throws `IntegrityError` where rows are missing. */
export class Tree {
  readonly index: SearchIndex
  /** Tiles that were read lately; only where all that is read is committed, and so never changes. */
  private readonly tiles: Map<string, ReadonlyArray<Uint8Array>> | undefined
  private readonly bundle: StatementSync
  private readonly subtree: StatementSync
  private readonly newest: StatementSync

  constructor(db: DatabaseSync, index: SearchIndex, options?: { readonly keepTiles: boolean }) {
    this.index = index
    this.tiles = options?.keepTiles === true ? new Map() : undefined
    this.bundle = db.prepare("SELECT commitments FROM bundle WHERE log = ? AND idx = ?")
    this.subtree = db.prepare(
      "SELECT idx, hash FROM subtree WHERE log = ? AND level = ? AND idx BETWEEN ? AND ? ORDER BY idx"
    )
    this.newest = db.prepare("SELECT note FROM checkpoint WHERE log = ? ORDER BY size DESC LIMIT 1")
  }

  /** The commitments of a bundle; fewer than 256, or none, if it is the last of its log. */
  bundleOf(log: number, index: number): Uint8Array {
    const found = blobOf(this.bundle.get(log, index), "commitments") ?? new Uint8Array(0)
    return found.subarray(0, found.length - found.length % hashBytes)
  }

  /** The commitments at the positions from `from` to before `to`, one after another. */
  commitments(log: number, from: number, to: number): Uint8Array {
    const all = Buffer.allocUnsafe((to - from) * hashBytes)
    let position = from
    while (position < to) {
      const index = Math.floor(position / runLength)
      const first = index * runLength
      const bundle = this.bundleOf(log, index)
      const end = Math.min(to, first + bundle.length / hashBytes)
      if (end <= position) break
      all.set(
        bundle.subarray((position - first) * hashBytes, (end - first) * hashBytes),
        (position - from) * hashBytes
      )
      position = end
    }
    if (position < to) this.fromRows(log, position, to, all.subarray((position - from) * hashBytes))
    return all
  }

  private fromRows(log: number, from: number, to: number, all: Uint8Array): void {
    const found = new Uint8Array(to - from)
    let left = to - from
    this.index.eachOfLog(log, (row) => {
      const position = integerOf(row, "position") ?? -1
      const commitment = blobOf(row, "commitment")
      if (position < from) return false
      if (position < to && commitment?.length === hashBytes && found[position - from] === 0) {
        all.set(commitment, (position - from) * hashBytes)
        found[position - from] = 1
        left--
      }
      return left > 0
    })
    if (left > 0) throw missing(`the entry at position ${from + found.indexOf(0)} is not in the store`)
  }

  hasSubtree(log: number, level: number, index: number): boolean {
    return this.subtree.get(log, level, index, index) !== undefined
  }

  /** The hashes of a run of subtrees, one after another. */
  subtrees(log: number, level: number, first: number, count: number): Uint8Array {
    const all = Buffer.alloc(count * hashBytes)
    let next = first
    for (const row of this.subtree.iterate(log, level, first, first + count - 1)) {
      const hash = blobOf(row, "hash")
      if (row["idx"] !== next || hash?.length !== hashBytes) break
      all.set(hash, (next - first) * hashBytes)
      next++
    }
    if (next < first + count) throw missing(`the subtree of level ${level} at index ${next} is not in the store`)
    return all
  }

  /** The hashes of the tree of the first `size` entries of a log. Keeps what it reads as long as it is used. */
  read(log: number, size: number): ReadHash {
    const tiles = this.tiles ?? new Map<string, ReadonlyArray<Uint8Array>>()
    const tile = (tier: number, index: number): ReadonlyArray<Uint8Array> => {
      const first = index * runLength
      const width = Math.min(runLength, Math.floor(size / runLength ** tier) - first)
      const key = `${log}/${tier}/${index}/${width}`
      const known = tiles.get(key)
      if (known !== undefined) return known
      if (tiles.size >= maxTiles) tiles.clear()
      const run = tier === 0
        ? leafHashes(entryType, this.commitments(log, first, first + width))
        : this.subtrees(log, tier * 8, first, width)
      const made = levels(run)
      tiles.set(key, made)
      return made
    }
    return (level, index) => {
      const inTile = level % 8
      const width = 2 ** (8 - inTile)
      const hashes = tile(Math.floor(level / 8), Math.floor(index / width))[inTile]
      const at = (index % width) * hashBytes
      if (hashes === undefined || at >= hashes.length) throw missing(`there is no hash of level ${level} at ${index}`)
      return hashes.subarray(at, at + hashBytes)
    }
  }

  /** The root of the first `size` entries of a log. */
  root(log: number, size: number): Hash {
    return root(size, this.read(log, size))
  }

  /** The head of the newest stored checkpoint. A note that cannot be read is a head that nothing extends. */
  newestHead(log: number): Head | undefined {
    const note = stringOf(this.newest.get(log), "note")
    if (note === undefined) return undefined
    const checkpoint = stated(note)
    return typeof checkpoint === "string" ? { size: Number.MAX_SAFE_INTEGER, root: new Uint8Array(0) } : checkpoint
  }

  /** Why a log of `size` entries does not extend a signed head, if so; by hashes of a tree of that size. */
  breach(size: number, head: Head, read: ReadHash): IntegrityReason | undefined {
    if (head.size > size) {
      const detail = head.root.length === 0
        ? "the newest stored checkpoint cannot be read"
        : `the log has ${size} entries, and a checkpoint was signed at ${head.size}`
      return new CheckpointInconsistent({ detail })
    }
    try {
      return Buffer.compare(root(head.size, read), head.root) === 0
        ? undefined
        : new CheckpointInconsistent({ detail: `its tree is not the one that was signed at size ${head.size}` })
    } catch (cause) {
      if (cause instanceof IntegrityError) return cause.reason
      throw cause
    }
  }
}

/** A hash to be written. */
interface Subtree {
  readonly level: number
  readonly index: number
  readonly hash: Hash
}

/** Commitments that were added since the last complete bundle, as far as they came by here. */
interface Tail {
  from: number
  count: number
  bytes: Uint8Array
}

/** Logs whose last entries are kept in memory; others read them again when a bundle is complete. */
const maxTails = 8192

/** Grows the trees on the connection that writes, in the transaction that is open. */
export class GrowingTree {
  private readonly tree: Tree
  private readonly tails = new Map<number, Tail>()
  private readonly putBundle: StatementSync
  private readonly insertSubtree: StatementSync

  constructor(db: DatabaseSync, tree: Tree) {
    this.tree = tree
    this.putBundle = db.prepare(
      "INSERT INTO bundle (log, idx, commitments) VALUES (?, ?, ?) " +
        "ON CONFLICT (log, idx) DO UPDATE SET commitments = excluded.commitments"
    )
    this.insertSubtree = db.prepare("INSERT INTO subtree (log, level, idx, hash) VALUES (?, ?, ?, ?)")
  }

  /** Forgets what is kept in memory, of one log or of all. */
  forget(log?: number | undefined): void {
    if (log === undefined) this.tails.clear()
    else this.tails.delete(log)
  }

  /** Adds the entry at a position, which is the size of the log. Throws `IntegrityError`, and then has written nothing. */
  add(log: number, position: number, commitment: Uint8Array): void {
    let tail = this.tails.get(log)
    if (tail === undefined || tail.from + tail.count !== position) {
      if (this.tails.size >= maxTails) this.tails.clear()
      tail = { from: position, count: 0, bytes: new Uint8Array(8 * hashBytes) }
      this.tails.set(log, tail)
    }
    const at = tail.count * hashBytes
    if (at === tail.bytes.length) {
      const larger = new Uint8Array(tail.bytes.length * 2)
      larger.set(tail.bytes)
      tail.bytes = larger
    }
    tail.bytes.set(commitment, at)
    tail.count++
    if (position % runLength === runLength - 1) {
      this.complete(log, Math.floor(position / runLength), tail)
      tail.from = position + 1
      tail.count = 0
    }
  }

  private complete(log: number, index: number, tail: Tail): void {
    const first = index * runLength
    const stored = this.tree.bundleOf(log, index)
    const commitments = tail.from === first
      ? tail.bytes
      : Buffer.concat([this.tree.commitments(log, first, tail.from), tail.bytes.subarray(0, tail.count * hashBytes)])
    if (Buffer.compare(stored, commitments.subarray(0, stored.length)) !== 0) {
      this.forget(log)
      throw missing(`the stored entries from position ${first} are not those that were written`)
    }
    const subtrees = this.subtreesOf(log, index, levels(leafHashes(entryType, commitments))[8])
    this.putBundle.run(log, index, commitments)
    for (const { hash, index, level } of subtrees) this.insertSubtree.run(log, level, index, hash)
  }

  /** The hashes of the runs that a bundle's completes, its own first. Throws if one of them is there already. */
  private subtreesOf(log: number, bundle: number, hash: Hash | undefined): ReadonlyArray<Subtree> {
    const subtrees: Array<Subtree> = []
    for (let level = 8, index = bundle, top = hash; top !== undefined; level += 8) {
      if (this.tree.hasSubtree(log, level, index)) {
        this.forget(log)
        throw missing(`the entries that the subtree of level ${level} at index ${index} is over are not in the store`)
      }
      subtrees.push({ level, index, hash: top })
      if (index % runLength !== runLength - 1) break
      const before = this.tree.subtrees(log, level, index - runLength + 1, runLength - 1)
      top = levels(Buffer.concat([before, top]))[8]
      index = Math.floor(index / runLength)
    }
    return subtrees
  }

  /** Keeps the entries after the last complete bundle in their bundle, up to `size`. */
  keepTail(log: number, size: number): void {
    const first = size - size % runLength
    // Another process may have stored a later tail, or the whole bundle, meanwhile.
    if (this.tree.bundleOf(log, first / runLength).length >= (size - first) * hashBytes) return
    if (first < size) this.putBundle.run(log, first / runLength, this.tree.commitments(log, first, size))
  }
}

/** Brings the events of a store that has no trees yet under their trees. A log that has gaps is stopped. */
export const growTrees = (db: DatabaseSync): void => {
  const growing = new GrowingTree(db, new Tree(db, new SearchIndex(db)))
  const sizes = new Map<number, number>()
  const stop = db.prepare("INSERT OR IGNORE INTO stop (log, detail, stopped_at) VALUES (?, ?, 0)")
  for (const row of db.prepare("SELECT log, position, commitment FROM event ORDER BY seq").iterate()) {
    const log = integerOf(row, "log") ?? 0
    const position = integerOf(row, "position") ?? 0
    const size = sizes.get(log) ?? 0
    if (size === -1) continue
    const commitment = blobOf(row, "commitment")
    if (position === size && commitment?.length === hashBytes) {
      growing.add(log, position, commitment)
      sizes.set(log, size + 1)
    } else {
      stop.run(log, `the entry at position ${size} is not in the store`)
      sizes.set(log, -1)
    }
  }
}
