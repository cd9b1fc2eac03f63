/**
 * Reads a log's tree from its tiles.
 *
 * A computation over a tree reads the same nodes whatever their hashes are: so it is run once to see which tiles it
 * needs, these are fetched in one trip, and it is run again with them.
 */
import * as Effect from "effect/Effect"
import { type AuditError, IntegrityError, LeafMissing } from "../AuditError.ts"
import { leafHashes, levels, type ReadHash } from "../Merkle.ts"
import { entryType } from "../Seal.ts"
import type { Log, LogReader, Run } from "./LogStore.ts"

/** Entries of a bundle, and hashes of a tile. */
export const runLength = 256
/** Bytes of a hash. */
export const hashBytes = 32

/** The hashes of a tile, level by level. */
type Levels = ReadonlyArray<Uint8Array>

const noHash = new Uint8Array(hashBytes)

/** Reads nodes of the tree of `size` entries from tiles. */
const nodes = (size: number, tile: (run: Run) => Levels): ReadHash => (level, index) => {
  const tier = Math.floor(level / 8)
  const inTile = level % 8
  const perTile = 2 ** (8 - inTile)
  const first = Math.floor(index / perTile) * runLength
  const count = Math.min(runLength, Math.floor(size / runLength ** tier) - first)
  const offset = (index % perTile) * hashBytes
  return tile({ tier, first, count })[inTile]?.subarray(offset, offset + hashBytes) ?? noHash
}

const levelsOf = (run: Run, bytes: Uint8Array): Levels => levels(run.tier === 0 ? leafHashes(entryType, bytes) : bytes)

/** The evidence that rows are missing. */
export const missing = (detail: string): IntegrityError =>
  new IntegrityError({ method: "Ledger", reason: new LeafMissing({ detail }) })

/** What is missing of a tile, as a reason. */
export const missingIn = ({ first, tier }: Run, found: Uint8Array): LeafMissing => {
  const at = first + Math.floor(found.length / hashBytes)
  return new LeafMissing({
    detail: tier === 0
      ? `the entry at position ${at} is not in the store`
      : `the subtree of level ${tier * 8} at index ${at} is not in the store`
  })
}

/**
 * Reads a tree whose tiles are read synchronously, where that is possible; throws `IntegrityError` where hashes are
 * missing.
 */
export const treeOf = (size: number, fetch: (run: Run) => Uint8Array): ReadHash => {
  const known = new Map<string, Levels>()
  return nodes(size, (run) => {
    const key = `${run.tier}/${run.first}`
    const found = known.get(key)
    if (found !== undefined) return found
    const bytes = fetch(run)
    if (bytes.length < run.count * hashBytes) {
      throw new IntegrityError({ method: "Ledger", reason: missingIn(run, bytes) })
    }
    const made = levelsOf(run, bytes.subarray(0, run.count * hashBytes))
    known.set(key, made)
    return made
  })
}

/**
 * A node that was not read when it was asked which are: then the computation depends on hashes, which is a bug of it.
 */
const recorded = (levels: Levels | undefined): Levels => {
  if (levels === undefined) {
    throw new Error("a computation over a tree must read the same nodes whatever their hashes are")
  }
  return levels
}

/** Tiles that a reader keeps, of 16 KiB each. */
const maxTiles = 128

/** The part of a store that trees are read from. */
type Tiles = Pick<LogReader, "tiles" | "commitments">

/** Reads the trees of a store; keeps the tiles that it read lately, since what is committed never changes. */
export class TreeReader {
  private readonly reader: Tiles
  private readonly kept = new Map<string, Levels>()

  constructor(reader: Tiles) {
    this.reader = reader
  }

  /** Hashes that follow each other: as they are kept, and what is not kept yet from the rows of the events. */
  run(log: Log, run: Run): Effect.Effect<Uint8Array, AuditError | IntegrityError> {
    return Effect.flatMap(
      this.reader.tiles(log, [run]),
      ([bytes]) => this.completed(log, run, bytes ?? new Uint8Array(0))
    )
  }

  private completed(log: Log, run: Run, bytes: Uint8Array): Effect.Effect<Uint8Array, AuditError | IntegrityError> {
    const whole = run.count * hashBytes
    const have = bytes.subarray(0, Math.min(whole, bytes.length - bytes.length % hashBytes))
    if (have.length === whole) return Effect.succeed(have)
    const fail = (found: Uint8Array) =>
      Effect.fail(new IntegrityError({ method: "Ledger", reason: missingIn(run, found) }))
    if (run.tier > 0) return fail(have)
    const from = run.first + have.length / hashBytes
    return Effect.flatMap(this.reader.commitments(log, from, run.first + run.count), (rest) => {
      const all = Buffer.concat([have, rest])
      return all.length === whole ? Effect.succeed(all) : fail(all)
    })
  }

  /** Computes over the tree of the first `size` entries of a log; which nodes are read must not depend on hashes. */
  compute<A>(
    log: Log,
    size: number,
    compute: (read: ReadHash) => A
  ): Effect.Effect<A, AuditError | IntegrityError> {
    return Effect.suspend(() => {
      const keyOf = ({ count, first, tier }: Run) => `${log.id}/${tier}/${first}/${count}`
      const wanted = new Map<string, Run>()
      const known = new Map<string, Levels>()
      compute(nodes(size, (run) => {
        const key = keyOf(run)
        const kept = this.kept.get(key)
        if (kept === undefined) wanted.set(key, run)
        else known.set(key, kept)
        return kept ?? []
      }))
      const computed = () => compute(nodes(size, (run) => recorded(known.get(keyOf(run)))))
      if (wanted.size === 0) return Effect.succeed(computed())
      const runs = [...wanted.values()]
      return Effect.flatMap(this.reader.tiles(log, runs), (found) =>
        Effect.map(
          Effect.forEach(runs, (run, at) =>
            Effect.map(this.completed(log, run, found[at] ?? new Uint8Array(0)), (bytes) => {
              const made = levelsOf(run, bytes)
              known.set(keyOf(run), made)
              if (this.kept.size >= maxTiles) {
                this.kept.clear()
              }
              this.kept.set(keyOf(run), made)
            }), { discard: true }),
          computed
        ))
    })
  }
}
