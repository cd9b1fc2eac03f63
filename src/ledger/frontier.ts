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

/** Rows that are to be written. */
export interface Puts {
  /** What the first of the bundles goes on from: the commitments of the entry before it, and of those it had before. */
  readonly after: Uint8Array
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
  private puts: Pick<Puts, "bundles" | "subtrees"> = { bundles: [], subtrees: [] }
  /** The size when they were taken last. */
  private known: number
  private readonly growth = new Growth(this)
  private readonly log: number
  private readonly bundles = new Map<number, Uint8Array>()
  private readonly hashes = new Map<string, Hash>()
  private readonly first: number
  private readonly tail: Uint8Array
  /** The commitment of the entry before the bundle that is not complete. */
  private before: Uint8Array

  /** `before` is the commitment of the entry before `first`, and `tail` are those from there to before `size`. */
  private constructor(log: number, size: number, first: number, before: Uint8Array, tail: Uint8Array) {
    this.log = log
    this.size = size
    this.known = size
    this.first = first
    this.before = before
    this.tail = tail
  }

  /** Reads what `count` entries need after the first `size` of a log. */
  static readonly read = (
    reader: Tiles,
    log: Pick<LogRef, "id">,
    size: number,
    count: number
  ): Effect.Effect<Frontier, AuditError> => {
    const index = Math.floor(size / runLength)
    const first = index * runLength
    const bundles = Array.from(
      { length: Math.floor((size + count) / runLength) - index + 1 },
      (_, n): Run => ({ tier: 0, first: first + n * runLength, count: runLength })
    )
    const runs = [...bundles, ...completing(size, count)]
    const from = Math.max(0, first - 1)
    const rows = size === 0 ? Effect.succeed(none) : reader.commitments(log, from, size)
    return Effect.map(Effect.all([reader.tiles(log, runs), rows]), ([tiles, ending]) => {
      const tail = ending.subarray((first - from) * hashBytes)
      const frontier = new Frontier(log.id, size, first, ending.subarray(0, (first - from) * hashBytes), tail)
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
    if (refused === undefined) this.size++
    return refused
  }

  /** Keeps the entries after the last complete bundle in their bundle, up to a size; returns why not. */
  keepTail(size: number): IntegrityReason | undefined {
    return this.growth.keepTail(this.log, size)
  }

  /** What was put since the last time. */
  taken(): Puts {
    const { before, known, puts } = this
    this.puts = { bundles: [], subtrees: [] }
    this.known = this.size
    const [first, last] = [puts.bundles[0], puts.bundles.at(-1)]
    if (first === undefined || last === undefined) return { ...puts, after: none }
    for (const { index } of puts.bundles) this.bundles.delete(index)
    this.before = last.commitments.subarray(-hashBytes)
    return { ...puts, after: Buffer.concat([before, first.commitments.subarray(0, known % runLength * hashBytes)]) }
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
