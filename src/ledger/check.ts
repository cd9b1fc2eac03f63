/**
 * Recomputes one log while its rows go by in the order in which they are kept.
 *
 * Three things must agree: the rows of the events, the bundles of entries, and the hashes over them; signed heads say
 * which of them to believe where they do not. Pure: who calls it fetches what is stored. Keeps one bundle in memory,
 * and what is wrong.
 */
import type * as Result from "effect/Result"
import { EventId } from "../DatasetEvent.ts"
import { erasedPositions, resumptionProblem, rowProblem } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import { Ranges } from "../internal/ranges.ts"
import { CompactRange, emptyRoot, type Hash, leafHashes, levels, nodeHash } from "../Merkle.ts"
import { commitment, entryType } from "../Seal.ts"
import { type Claim, readClaim, type Refusal } from "./claims.ts"
import { Erasures } from "./erasures.ts"
import { contradiction } from "./extends.ts"
import type { Anchor, Fault, Finding } from "./Finding.ts"
import type { LogRef, Run, StoredEvent, StoredNote } from "./LogStore.ts"
import { Mismatches } from "./mismatches.ts"
import type { Vkeys } from "./SigningKey.ts"
import { hashBytes, runLength } from "./treeReader.ts"

/**
 * Mismatches, missing positions and other faults of one log that are kept to be named; beyond it they are only counted.
 */
const maxKept = 10_000

/** Positions that may be missing between two events: a position further away was changed. */
const maxGap = 4_194_304

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const idOf = ({ eventId }: StoredEvent): EventId | undefined =>
  eventId.length === 16 ? EventId.make(uuidText(eventId), { disableChecks: true }) : undefined

const span = (first: number, last: number): string =>
  first === last ? `position ${first}` : `positions ${first} to ${last}`

/** One log while its rows go by. */
export class LogCheck {
  readonly log: LogRef
  private readonly report: (finding: Finding) => void
  private readonly vkey: Vkeys | undefined
  private readonly claims: Array<Claim> = []
  private notesRead = { size: -1, keyId: -1 }
  private notesLeft = true
  /** The bundle that rows are collected for. */
  private bundle = 0
  private readonly rows = new Uint8Array(runLength * hashBytes)
  private readonly have = new Uint8Array(runLength)
  private readonly ids: Array<EventId | undefined> = []
  private last = -1
  /** The complete bundles before it, as leaves of a tree of their own; and the last run of each level. */
  private readonly range = new CompactRange()
  private readonly runs: Array<Array<Uint8Array>> = []
  private readonly mismatches = new Mismatches((...what) => this.fault(...what))
  private readonly missing = new Ranges()
  private readonly erasures = new Erasures()
  private readonly anchors = new Set<Anchor>()
  private signatures = 0
  private truncated = false
  private faults = 0
  private covered = 0
  private checkpoints = 0

  constructor(log: LogRef, options: {
    readonly vkey: Vkeys | undefined
    readonly report: (finding: Finding) => void
  }) {
    this.log = log
    this.report = options.report
    this.vkey = options.vkey
  }

  fault(fault: Fault, position: number | undefined, eventId: EventId | undefined, detail: string): void {
    this.faults++
    if (this.faults <= maxKept) {
      this.report({ _tag: "Fault", fault, log: this.log.name, position, eventId, detail })
    }
  }

  /** The checkpoint after which stored ones are wanted, if some up to a size have not been read yet. */
  notesWanted(size: number): { readonly size: number; readonly keyId: number } | undefined {
    return this.notesLeft && this.notesRead.size <= size ? this.notesRead : undefined
  }

  /** Takes the next stored checkpoints, as claims in the order of their size; fewer than `limit` are the last. */
  addNotes(notes: ReadonlyArray<StoredNote>, limit: number): void {
    this.notesLeft = notes.length >= limit
    for (const { keyId, note, size } of notes) {
      this.notesRead = { size, keyId }
      this.checkpoints++
      this.claimNote(note, `the stored checkpoint of size ${size}`, "stored", size)
    }
  }

  /** Takes a checkpoint that the log must extend; what is wrong with it is a fault. */
  claimNote(note: string, from: string, anchor: Anchor, size?: number): void {
    const claim = readClaim(note, { from, anchor, size }, this.log, this.vkey)
    if (this.vkey !== undefined && claim._tag === "Success") this.signatures++
    this.claim(claim)
  }

  /** Takes a head that the log must extend; one that cannot be believed is a fault. */
  claim(claim: Result.Result<Claim, Refusal>): void {
    if (claim._tag === "Failure") {
      const { detail, fault, position } = claim.failure
      return this.fault(fault, position, undefined, detail)
    }
    this.claims.push(claim.success)
    this.claims.sort((a, b) => a.size - b.size)
  }

  private isPlaced(position: number): boolean {
    return position >= 0 && position <= this.last + maxGap
  }

  /** Whether a bundle is to be finished before a row can be taken. */
  isBefore({ position }: StoredEvent): boolean {
    return this.isPlaced(position) && this.bundle < Math.floor(position / runLength)
  }

  /** Takes a row, in the order in which rows are kept, once the bundles before its own are finished. */
  add(row: StoredEvent): void {
    const { commitment: stored, position } = row
    const eventId = idOf(row)
    if (!this.isPlaced(position)) {
      return this.fault("changed", position, eventId, "the event's position is not one of its log's")
    }
    this.checkContent(row, eventId)
    if (Math.floor(position / runLength) < this.bundle) return this.late(position, eventId)
    const slot = position % runLength
    if (this.have[slot] === 1) {
      return this.fault("duplicated", position, eventId, "another event has this position as well")
    }
    if (position < this.last) this.fault("reordered", position, eventId, "it was stored after a later position")
    this.last = Math.max(this.last, position)
    if (stored.length !== hashBytes) {
      return this.fault("changed", position, eventId, "its commitment does not have 32 bytes")
    }
    this.rows.set(stored, slot * hashBytes)
    this.have[slot] = 1
    this.ids[slot] = eventId
  }

  private late(position: number, eventId: EventId | undefined): void {
    if (this.missing.delete(position)) {
      this.fault("reordered", position, eventId, "it was stored after a later position")
    } else this.fault("duplicated", position, eventId, "another event has this position as well")
  }

  /** Salt and body against the commitment, and what the row says against the body. */
  private checkContent(row: StoredEvent, eventId: EventId | undefined): void {
    const { body, commitment: stored, position, recordedAtMillis, salt } = row
    if (salt === undefined && body === undefined && row.erased) return this.erasures.erase(position)
    if (salt === undefined || body === undefined) {
      return this.fault("missing", position, eventId, "its salt or body is gone, and it is not marked as erased")
    }
    const made = commitment(salt, body)
    if (!equal(made, stored)) {
      return this.mismatches.add({
        position,
        eventId,
        actual: hex(made),
        expected: hex(stored),
        detail: "its salt or body is not what its entry commits to"
      })
    }
    const detail = rowProblem({ position, eventId, recordedAtMillis }, body, this.log) ??
      resumptionProblem(position, body, this.log.origins)
    if (detail !== undefined) return this.fault("changed", position, eventId, detail)
    this.erasures.record(position, erasedPositions(body))
  }

  /**
   * What is stored of the bundle whose rows have gone by: its entries, and the hashes of the runs that it completes.
   */
  wanted(count: number): ReadonlyArray<Run> {
    const wanted: Array<Run> = [{ tier: 0, first: this.bundle * runLength, count: runLength }]
    if (count < runLength) return wanted
    for (let tier = 1, first = this.bundle;; tier++, first = Math.floor(first / runLength)) {
      wanted.push({ tier, first, count: 1 })
      if (first % runLength !== runLength - 1) return wanted
    }
  }

  /**
   * Checks the bundle whose rows have gone by, `count` entries of it, by what is stored of it, and goes on to the next.
   * Where there is no row below `until`, one is missing; what lies above may be a tail that was cut off.
   */
  finish(count: number, [bundle, ...stored]: ReadonlyArray<Uint8Array>, until: number): void {
    const first = this.bundle * runLength
    const kept = bundle ?? new Uint8Array(0)
    const keptCount = Math.min(Math.floor(kept.length / hashBytes), count)
    const subtrees = stored.map((hash) => hash.length === hashBytes ? hash : undefined)
    if (count === runLength && keptCount < runLength) {
      const detail = `the entries of ${span(first, first + runLength - 1)} are not in their bundle`
      this.fault("missing", first, undefined, detail)
    }
    const fromRows = this.rows.slice(0, count * 32)
    const fromBundle = this.rows.slice(0, count * 32)
    fromBundle.set(kept.subarray(0, keptCount * 32))
    const differing: Array<number> = []
    for (let slot = 0; slot < count; slot++) {
      const at = slot * 32
      if (this.have[slot] !== 1) {
        if (first + slot < until) this.missing.add(first + slot)
        fromRows.set(fromBundle.subarray(at, at + 32), at)
      } else if (!equal(fromRows.subarray(at, at + 32), fromBundle.subarray(at, at + 32))) differing.push(slot)
    }
    const entries = this.choose(fromBundle, fromRows, differing, subtrees[0])
    this.name(first, differing, entries === fromRows, fromBundle, fromRows)
    const tree = levels(leafHashes(entryType, entries))
    this.checkClaims(first, tree, first + count)
    if (count === runLength) this.completed(8, this.bundle, tree[8] ?? emptyRoot, subtrees)
    this.bundle++
    this.have.fill(0)
    this.ids.length = 0
  }

  /** Which entries to believe where rows and bundle differ: those that lead to the stored hash, or to a signed head. */
  private choose(
    fromBundle: Uint8Array,
    fromRows: Uint8Array,
    differing: ReadonlyArray<number>,
    wanted: Hash | undefined
  ): Uint8Array {
    if (differing.length === 0) return fromBundle
    const first = this.bundle * runLength
    const leads = (entries: Uint8Array): boolean => {
      const tree = levels(leafHashes(entryType, entries))
      const claim = this.claims.findLast(({ size }) => size > first && size <= first + entries.length / 32)
      const signed = claim !== undefined && contradiction(claim, this.rootAt(first, tree, claim.size)) === undefined
      return signed || (wanted !== undefined && tree[8] !== undefined && equal(tree[8], wanted))
    }
    return !leads(fromBundle) && leads(fromRows) ? fromRows : fromBundle
  }

  private name(
    first: number,
    differing: ReadonlyArray<number>,
    bundleIsWrong: boolean,
    fromBundle: Uint8Array,
    fromRows: Uint8Array
  ): void {
    for (const slot of differing) {
      const position = first + slot
      const eventId = this.ids[slot]
      if (bundleIsWrong) {
        this.fault("changed", position, eventId, "its entry in the bundle is not the one that was stored")
      } else {
        this.mismatches.add({
          position,
          eventId,
          actual: hex(fromRows.subarray(slot * 32, slot * 32 + 32)),
          expected: hex(fromBundle.subarray(slot * 32, slot * 32 + 32)),
          detail: "its commitment is not its entry in the log"
        })
      }
    }
  }

  /** A run is complete: compares its hash, and those of the runs that it completes, with what is stored. */
  private completed(
    level: number,
    index: number,
    hash: Hash,
    [stored, ...above]: ReadonlyArray<Hash | undefined>
  ): void {
    if (stored === undefined || !equal(stored, hash)) {
      const width = 2 ** level
      this.fault(
        stored === undefined ? "missing" : "changed",
        index * width,
        undefined,
        `the subtree of level ${level} over ${
          span(index * width, (index + 1) * width - 1)
        } is not the one of its entries`
      )
    }
    if (level === 8) this.range.append(hash)
    const run = this.runs[level / 8] ??= []
    run.push(hash)
    if (run.length < runLength) return
    this.runs[level / 8] = []
    this.completed(level + 8, Math.floor(index / runLength), levels(Buffer.concat(run))[8] ?? emptyRoot, above)
  }

  /** The root at a size inside the bundle that begins at `first` and has this tree. */
  private rootAt(first: number, tree: ReadonlyArray<Uint8Array>, size: number): Hash {
    let rest = size - first
    let at = 0
    const edge: Array<Hash> = [...this.range.hashes]
    for (let level = 8; level >= 0; level--) {
      const width = 2 ** level
      if (rest < width) continue
      const offset = (at / width) * 32
      edge.push(tree[level]?.subarray(offset, offset + 32) ?? emptyRoot)
      at += width
      rest -= width
    }
    return edge.reduceRight(
      (right: Hash | undefined, left) => right === undefined ? left : nodeHash(left, right),
      undefined
    ) ??
      emptyRoot
  }

  /** Compares the signed heads up to a size. */
  private checkClaims(first: number, tree: ReadonlyArray<Uint8Array>, end: number): void {
    for (;;) {
      const claim = this.claims[0]
      if (claim === undefined || claim.size > end) return
      this.claims.shift()
      if (claim.size < first) continue
      if (contradiction(claim, this.rootAt(first, tree, claim.size)) === undefined) {
        this.cover(claim)
      } else {
        const detail = `the tree at size ${claim.size} is not the one of ${claim.from}`
        this.fault("inconsistent", undefined, undefined, detail)
      }
    }
  }

  /** A head holds: what is below it is evidence. */
  private cover({ anchor, size }: Claim): void {
    this.anchors.add(anchor)
    this.covered = Math.max(this.covered, size)
    this.erasures.cover(this.covered)
  }

  /** Entries by the rows that have gone by. */
  get size(): number {
    return this.last + 1
  }

  /**
   * How many entries of the bundle that rows are collected for belong to a log of `end` entries; 0 when all are
   * finished.
   */
  left(end: number): number {
    return Math.max(0, Math.min(runLength, end - this.bundle * runLength))
  }

  /** No more rows, though bundles hold entries up to `end`. */
  ends(end: number): void {
    if (end > this.size) this.truncate(this.size, `entries up to position ${end - 1} were stored`)
  }

  /** All bundles are finished and all checkpoints read: names what was kept, and sums up. */
  summarize(end: number): void {
    const { size } = this
    for (const claim of this.claims) {
      if (claim.size > end) this.truncate(size, `${claim.from} has ${claim.size}`)
    }
    this.mismatches.name()
    for (const [first, last] of this.missing.all()) {
      this.fault("missing", first, undefined, `there is no event at ${span(first, last)}`)
    }
    const say = (fault: Fault, position: number, detail: string) => this.fault(fault, position, undefined, detail)
    this.erasures.name(this.size, this.covered, say)
    this.report({
      _tag: "Verified",
      log: this.log.name,
      origin: this.log.origin,
      size,
      covered: Math.min(this.covered, size),
      erased: this.erasures.count,
      checkpoints: this.checkpoints,
      signaturesChecked: this.signatures > 0,
      anchors: [...this.anchors].sort(),
      stopped: this.log.stopped,
      faults: this.faults
    })
  }

  private truncate(size: number, detail: string): void {
    if (this.truncated) return
    this.truncated = true
    this.fault("truncated", size, undefined, `the log ends after ${size} entries, and ${detail}`)
  }
}
