/**
 * The rows of a growing tree that the next entries of one log need, read ahead: growing is synchronous, and a medium
 * may not be. What is put is kept, for the medium to write.
 */
import * as Effect from "effect/Effect"
import type { AuditError, IntegrityReason } from "../AuditError.ts"
import type { Hash } from "../Merkle.ts"
import { Growth, type TreeRows } from "./growth.ts"
import type { LogRef, Run } from "./LogStore.ts"
import { hashBytes, runLength } from "./treeReader.ts"

/** What is read ahead. */
interface Tiles {
  readonly tiles: (
    log: Pick<LogRef, "id">,
    runs: ReadonlyArray<Run>
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, AuditError>
  readonly commitments: (log: Pick<LogRef, "id">, from: number, to: number) => Effect.Effect<Uint8Array, AuditError>
}

/** Where a log ends: how many entries it has, and which one a medium has as the last. */
export interface Ending {
  readonly size: number
  /** A commitment; nothing where the medium does not keep it. */
  readonly last: Uint8Array
}

/** Rows that are to be written. */
export interface Puts {
  readonly bundles: Array<{ readonly index: number; readonly commitments: Uint8Array }>
  readonly subtrees: Array<{ readonly level: number; readonly index: number; readonly hash: Hash }>
}

const none = new Uint8Array(0)

/** The hashes over runs that `count` entries complete after the first `size`, and the hashes that these are over. */
const completing = (size: number, count: number): ReadonlyArray<Run> => {
  const runs: Array<Run> = []
  for (let tier = 1, unit = runLength; size + count >= unit; tier++, unit *= runLength) {
    const from = Math.floor(size / unit)
    const until = Math.floor((size + count) / unit)
    // Those before in the same run of 256 are needed where it is completed.
    const isCompleted = Math.floor(until / runLength) > Math.floor(from / runLength)
    for (let first = isCompleted ? from - from % runLength : from; first < until; first += runLength) {
      runs.push({ tier, first, count: Math.min(runLength, until - first) })
    }
  }
  return runs
}

/** What is known of one log's tree at its end. */
export class Frontier implements TreeRows {
  /** Entries that it has: with `version` of the log, what it is good for. */
  size: number
  /** The commitment that the medium has as that of the last of them; nothing where it has none. */
  last: Uint8Array
  puts: Puts = { bundles: [], subtrees: [] }
  private readonly growth = new Growth(this)
  private readonly log: number
  private readonly bundles = new Map<number, Uint8Array>()
  private readonly hashes = new Map<string, Hash>()
  private readonly first: number
  private readonly tail: Uint8Array

  /** `tail` are the commitments from `first` to before `size`. */
  private constructor(log: number, { last, size }: Ending, first: number, tail: Uint8Array) {
    this.log = log
    this.size = size
    this.last = last
    this.first = first
    this.tail = tail
  }

  /** Reads what `count` entries need after the end of a log. */
  static readonly read = (
    reader: Tiles,
    log: Pick<LogRef, "id">,
    ending: Ending,
    count: number
  ): Effect.Effect<Frontier, AuditError> => {
    const { size } = ending
    const index = Math.floor(size / runLength)
    const first = index * runLength
    const bundles = Array.from(
      { length: Math.floor((size + count) / runLength) - index + 1 },
      (_, n): Run => ({ tier: 0, first: first + n * runLength, count: runLength })
    )
    const runs = [...bundles, ...completing(size, count)]
    const rows = size === first ? Effect.succeed(none) : reader.commitments(log, first, size)
    return Effect.map(Effect.all([reader.tiles(log, runs), rows]), ([tiles, tail]) => {
      const frontier = new Frontier(log.id, ending, first, tail)
      for (const [at, run] of runs.entries()) {
        const found = tiles[at] ?? none
        if (run.tier === 0) frontier.bundles.set(run.first / runLength, found)
        for (let n = 0; run.tier > 0 && n < found.length / hashBytes; n++) {
          frontier.hashes.set(`${run.tier * 8}/${run.first + n}`, found.subarray(n * hashBytes, (n + 1) * hashBytes))
        }
      }
      for (let n = 0; n < tail.length / hashBytes; n++) {
        frontier.growth.add(log.id, first + n, tail.subarray(n * hashBytes, (n + 1) * hashBytes))
      }
      return frontier
    })
  }

  /**
   * Whether `count` more entries need no rows but those that are known. A hash that is there although it should not be
   * is found where it is written.
   */
  reaches(count: number): boolean {
    const [from, until] = [Math.floor(this.size / runLength), Math.floor((this.size + count) / runLength)]
    return Math.floor(from / runLength) === Math.floor(until / runLength)
  }

  /** Adds the next entry; returns why not. */
  add(commitment: Uint8Array): IntegrityReason | undefined {
    const refused = this.growth.add(this.log, this.size, commitment)
    if (refused === undefined) {
      this.size++
      this.last = commitment
    }
    return refused
  }

  /** Keeps the entries after the last complete bundle in their bundle, up to a size; returns why not. */
  keepTail(size: number): IntegrityReason | undefined {
    return this.growth.keepTail(this.log, size)
  }

  /** What was put since the last time. */
  taken(): Puts {
    const { puts } = this
    this.puts = { bundles: [], subtrees: [] }
    for (const { index } of puts.bundles) this.bundles.delete(index)
    return puts
  }

  bundle(_log: number, index: number): Uint8Array {
    return this.bundles.get(index) ?? none
  }

  subtrees(_log: number, level: number, first: number, count: number): Uint8Array {
    const found: Array<Hash> = []
    for (let index = first; index < first + count; index++) {
      const hash = this.hashes.get(`${level}/${index}`)
      if (hash === undefined) break
      found.push(hash)
    }
    return Buffer.concat(found)
  }

  commitments(_log: number, from: number, to: number): Uint8Array {
    return this.tail.subarray((from - this.first) * hashBytes, (to - this.first) * hashBytes)
  }

  putBundle(_log: number, index: number, commitments: Uint8Array): void {
    // What is passed is used again for the entries that follow.
    this.puts.bundles.push({ index, commitments: Uint8Array.from(commitments) })
  }

  putSubtree(_log: number, level: number, index: number, hash: Hash): void {
    this.puts.subtrees.push({ level, index, hash })
    this.hashes.set(`${level}/${index}`, hash)
  }
}
