/**
 * Grows the trees of a store, entry by entry, inside the transaction that appends them.
 *
 * Entries are kept in bundles of 256, and with each complete run of 256 the hash over it: of level 8 over the leaves of
 * a bundle, of level 16 over 256 hashes of level 8, and so on. What has not filled a bundle yet is in the rows of its
 * events; a checkpoint, or an erasure, also keeps the bundle that the log ends in, so that everything that it covers
 * lies in two places.
 */
import { IntegrityError, type IntegrityReason, LeafMissing } from "../AuditError.ts"
import { type Hash, leafHashes, levels } from "../Merkle.ts"
import { entryType } from "../Seal.ts"
import { breach, type Signed } from "./extends.ts"
import { hashBytes, runLength, treeOf } from "./treeReader.ts"

/** The rows of growing trees, inside one transaction. What follows each other is short at the first one missing. */
export interface TreeRows {
  /** The commitments of a bundle as they are kept: none, some, or 256. */
  readonly bundle: (log: number, index: number) => Uint8Array
  /** Hashes of a level that follow each other. */
  readonly subtrees: (log: number, level: number, first: number, count: number) => Uint8Array
  /** The commitments that the rows of events have, from a position to before another. */
  readonly commitments: (log: number, from: number, to: number) => Uint8Array
  readonly putBundle: (log: number, index: number, commitments: Uint8Array) => void
  readonly putSubtree: (log: number, level: number, index: number, hash: Hash) => void
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

const lost = (detail: string) => new LeafMissing({ detail })

/** The commitments from a position to before another: as they are kept in bundles, and further from the rows. */
export const commitmentsOf = (rows: TreeRows, log: number, from: number, to: number): Uint8Array => {
  const parts: Array<Uint8Array> = []
  let position = from
  while (position < to) {
    const index = Math.floor(position / runLength)
    const first = index * runLength
    const bundle = rows.bundle(log, index)
    const end = Math.min(to, first + Math.floor(bundle.length / hashBytes))
    if (end <= position) break
    parts.push(bundle.subarray((position - first) * hashBytes, (end - first) * hashBytes))
    position = end
  }
  if (position < to) parts.push(rows.commitments(log, position, to))
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

/** The trees of one store, while it is open for writing. Owns what it remembers of the logs' last entries. */
export class Growth {
  private readonly rows: TreeRows
  private readonly tails = new Map<number, Tail>()

  constructor(rows: TreeRows) {
    this.rows = rows
  }

  /** Forgets what is kept in memory, of one log or of all: it was rolled back, or someone else has written. */
  forget(log?: number | undefined): void {
    if (log === undefined) this.tails.clear()
    else this.tails.delete(log)
  }

  /** Adds the entry at a position, which is the size of the log; returns why not, and then has written nothing. */
  add(log: number, position: number, commitment: Uint8Array): IntegrityReason | undefined {
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
    if (position % runLength !== runLength - 1) return undefined
    const refused = this.complete(log, Math.floor(position / runLength), tail)
    if (refused !== undefined) {
      this.forget(log)
      return refused
    }
    tail.from = position + 1
    tail.count = 0
    return undefined
  }

  private complete(log: number, index: number, tail: Tail): IntegrityReason | undefined {
    const first = index * runLength
    const stored = this.rows.bundle(log, index)
    const added = tail.bytes.subarray(0, tail.count * hashBytes)
    const before = tail.from === first ? undefined : commitmentsOf(this.rows, log, first, tail.from)
    if (before !== undefined && before.length < (tail.from - first) * hashBytes) {
      return lost(`the entry at position ${first + before.length / hashBytes} is not in the store`)
    }
    const commitments = before === undefined ? added : Buffer.concat([before, added])
    if (Buffer.compare(stored, commitments.subarray(0, stored.length)) !== 0) {
      return lost(`the stored entries from position ${first} are not those that were written`)
    }
    const subtrees = this.completed(log, index, levels(leafHashes(entryType, commitments))[8])
    if (!Array.isArray(subtrees)) return subtrees
    this.rows.putBundle(log, index, commitments)
    for (const { hash, index, level } of subtrees) this.rows.putSubtree(log, level, index, hash)
    return undefined
  }

  /** The hashes of the runs that a bundle's completes, its own first; why not, if one of them is there already. */
  private completed(log: number, bundle: number, hash: Hash | undefined): Array<Subtree> | LeafMissing {
    const subtrees: Array<Subtree> = []
    for (let level = 8, index = bundle, top = hash; top !== undefined; level += 8) {
      if (this.rows.subtrees(log, level, index, 1).length > 0) {
        return lost(`the entries that the subtree of level ${level} at index ${index} is over are not in the store`)
      }
      subtrees.push({ level, index, hash: top })
      if (index % runLength !== runLength - 1) break
      const first = index - runLength + 1
      const before = this.rows.subtrees(log, level, first, runLength - 1)
      if (before.length < (runLength - 1) * hashBytes) {
        return lost(`the subtree of level ${level} at index ${first + before.length / hashBytes} is not in the store`)
      }
      top = levels(Buffer.concat([before, top]))[8]
      index = Math.floor(index / runLength)
    }
    return subtrees
  }

  /** Keeps the entries after the last complete bundle in their bundle, up to `size`; returns why not. */
  keepTail(log: number, size: number): IntegrityReason | undefined {
    const first = size - size % runLength
    const index = first / runLength
    const wanted = (size - first) * hashBytes
    // Another process may have stored a later tail, or the whole bundle, meanwhile.
    if (wanted === 0 || this.rows.bundle(log, index).length >= wanted) return undefined
    const commitments = commitmentsOf(this.rows, log, first, size)
    if (commitments.length < wanted) {
      return lost(`the entry at position ${first + commitments.length / hashBytes} is not in the store`)
    }
    this.rows.putBundle(log, index, commitments)
    return undefined
  }
}

/** Why a log does not extend all heads that were signed of it, if so; inside the transaction that appends to it. */
export const breachOf = (
  rows: TreeRows,
  log: number,
  size: number,
  heads: ReadonlyArray<Signed>
): IntegrityReason | undefined => {
  const read = treeOf(
    size,
    ({ count, first, tier }) =>
      tier === 0 ? commitmentsOf(rows, log, first, first + count) : rows.subtrees(log, tier * 8, first, count)
  )
  try {
    return breach(size, heads, read)
  } catch (cause) {
    if (cause instanceof IntegrityError) return cause.reason
    throw cause
  }
}
