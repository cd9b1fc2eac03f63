/**
 * Recomputes one log while its rows go by in the order of storing.
 *
 * Three things must agree: the rows of the events, the bundles of entries, and the hashes over them; signed heads say which
 * of them to believe where they do not. Keeps one bundle in memory, and what is wrong.
 *
 * @internal
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { EventId } from "../DatasetEvent.ts"
import { uuidText } from "../internal/entropy.ts"
import { stated } from "../ledger/Checkpoint.ts"
import type { Fault, Finding, LogName } from "../ledger/Ledger.ts"
import { openCheckpoint, type Vkeys } from "../ledger/SigningKey.ts"
import { CompactRange, emptyRoot, type Hash, leafHashes, levels, nodeHash } from "../Merkle.ts"
import { commitment, entryType } from "../Seal.ts"
import { wrongColumn } from "./columns.ts"
import { Ranges } from "./ranges.ts"
import { blobOf, eventFields, fieldsOf, integerOf, type Row, stringOf } from "./row.ts"
import { type Head, runLength, type Tree } from "./tree.ts"

/** A head that the log must have had, and where it is from. */
interface Claim extends Head {
  readonly from: string
}

/** Something at a position that is not what the position should have. */
interface Mismatch {
  readonly position: number
  readonly eventId: EventId | undefined
  readonly actual: string
  readonly expected: string
  readonly detail: string
}

export interface LogRow {
  readonly id: number
  readonly name: LogName
  readonly origin: string
}

/** Mismatches, missing positions and other faults of one log that are kept to be named; beyond it they are only counted. */
const maxKept = 10_000

/** Positions that may be missing between two events: a position further away was changed. */
const maxGap = 4_194_304

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const idOf = (row: Row): EventId | undefined => {
  const id = blobOf(row, "event_id")
  return id?.length === 16 ? EventId.make(uuidText(id), { disableChecks: true }) : undefined
}
const span = (first: number, last: number): string =>
  first === last ? `position ${first}` : `positions ${first} to ${last}`

/** One log while its rows go by. */
export class LogCheck {
  readonly log: LogRow
  private readonly tree: Tree
  private readonly report: (finding: Finding) => void
  private readonly vkey: Vkeys | undefined
  private readonly nextNotes: StatementSync
  private readonly claims: Array<Claim>
  private notesAfter = { size: -1, keyId: -1 }
  private notesLeft = true
  /** The bundle that rows are collected for. */
  private bundle = 0
  private readonly rows = new Uint8Array(runLength * 32)
  private readonly have = new Uint8Array(runLength)
  private readonly ids: Array<EventId | undefined> = []
  private last = -1
  /** The complete bundles before it, as leaves of a tree of their own; and the last run of each level. */
  private readonly range = new CompactRange()
  private readonly runs: Array<Array<Uint8Array>> = []
  private readonly mismatches: Array<Mismatch> = []
  private readonly missing = new Ranges()
  private readonly erased = new Ranges()
  private readonly recorded = new Ranges()
  private truncated = false
  private faults = 0
  private covered = 0
  private checkpoints = 0

  constructor(db: DatabaseSync, tree: Tree, log: LogRow, claims: ReadonlyArray<Claim>, options: {
    readonly vkey: Vkeys | undefined
    readonly report: (finding: Finding) => void
  }) {
    this.tree = tree
    this.log = log
    this.report = options.report
    this.vkey = options.vkey
    this.claims = [...claims]
    this.nextNotes = db.prepare(
      "SELECT size, key_id, note FROM checkpoint WHERE log = ? AND (size, key_id) > (?, ?) ORDER BY size, key_id LIMIT 64"
    )
    this.readNotes()
  }

  fault(fault: Fault, position: number | undefined, eventId: EventId | undefined, detail: string): void {
    this.faults++
    if (this.faults <= maxKept) {
      this.report({ _tag: "Fault", fault, log: this.log.name, position, eventId, detail })
    }
  }

  /** The next stored checkpoints, as claims in the order of their size. */
  private readNotes(): void {
    const rows = this.nextNotes.all(this.log.id, this.notesAfter.size, this.notesAfter.keyId)
    this.notesLeft = rows.length === 64
    for (const row of rows) {
      const size = integerOf(row, "size") ?? -1
      this.notesAfter = { size, keyId: integerOf(row, "key_id") ?? -1 }
      const claim = this.claimOf(stringOf(row, "note") ?? "", `the stored checkpoint of size ${size}`, size)
      this.checkpoints++
      if (claim !== undefined) this.claims.push(claim)
    }
    this.claims.sort((a, b) => a.size - b.size)
  }

  private readNotesTo(size: number): void {
    while (this.notesLeft && this.notesAfter.size <= size) this.readNotes()
  }

  /** Reads a note; what is wrong with it is a fault. */
  claimOf(note: string, from: string, size?: number): Claim | undefined {
    const said = stated(note)
    if (typeof said === "string") {
      this.fault("signature", undefined, undefined, `${from} cannot be read: ${said}`)
      return undefined
    }
    if (said.origin !== this.log.origin) {
      this.fault("signature", undefined, undefined, `${from} is of another log: ${said.origin}`)
      return undefined
    }
    if (size !== undefined && said.size !== size) {
      this.fault("signature", undefined, undefined, `${from} says size ${said.size}`)
      return undefined
    }
    const opened = this.vkey === undefined ? said : openCheckpoint(note, this.vkey)
    if (typeof opened === "string") {
      this.fault("signature", undefined, undefined, `${from} cannot be trusted: ${opened}`)
      return undefined
    }
    return { size: said.size, root: said.root, from }
  }

  /** A head that someone else holds of this log. */
  claim(claim: Claim): void {
    this.claims.push(claim)
    this.claims.sort((a, b) => a.size - b.size)
  }

  /** Takes a row, in the order of storing. */
  add(row: Row): void {
    const position = integerOf(row, "position") ?? -1
    const eventId = idOf(row)
    const stored = blobOf(row, "commitment")
    if (position < 0 || position > this.last + maxGap) {
      return this.fault("changed", position, eventId, "the event's position is not one of its log's")
    }
    this.checkContent(row, position, eventId, stored)
    const index = Math.floor(position / runLength)
    if (index < this.bundle) return this.late(position, eventId)
    while (this.bundle < index) this.finish(runLength)
    const slot = position % runLength
    if (this.have[slot] === 1) {
      return this.fault("duplicated", position, eventId, "another event has this position as well")
    }
    if (position < this.last) this.fault("reordered", position, eventId, "it was stored after a later position")
    this.last = Math.max(this.last, position)
    if (stored?.length !== 32) return this.fault("changed", position, eventId, "its commitment does not have 32 bytes")
    this.rows.set(stored, slot * 32)
    this.have[slot] = 1
    this.ids[slot] = eventId
  }

  private late(position: number, eventId: EventId | undefined): void {
    if (this.missing.delete(position)) {
      this.fault("reordered", position, eventId, "it was stored after a later position")
    } else this.fault("duplicated", position, eventId, "another event has this position as well")
  }

  /** Salt and body against the commitment, and the columns against the body. */
  private checkContent(
    row: Row,
    position: number,
    eventId: EventId | undefined,
    stored: Uint8Array | undefined
  ): void {
    const salt = blobOf(row, "salt")
    const body = blobOf(row, "body")
    if (salt === undefined && body === undefined && row["erased"] === 1) return this.erased.add(position)
    if (salt === undefined || body === undefined) {
      return this.fault("missing", position, eventId, "its salt or body is gone, and it is not marked as erased")
    }
    const made = commitment(salt, body)
    if (stored === undefined || !equal(made, stored)) {
      return this.mismatch({
        position,
        eventId,
        actual: hex(made),
        expected: stored === undefined ? "" : hex(stored),
        detail: "its salt or body is not what its entry commits to"
      })
    }
    const detail = wrongColumn(row, body, this.log, eventId)
    if (detail !== undefined) return this.fault("changed", position, eventId, detail)
    if (Buffer.from(body.buffer, body.byteOffset, body.length).includes("\"action\":\"audit.erased\"")) {
      this.readErasure(body)
    }
  }

  /** Which positions an event `audit.erased` names. */
  private readErasure(body: Uint8Array): void {
    const { action, output } = eventFields(body)
    const { positions } = fieldsOf(output)
    if (action !== "audit.erased" || !Array.isArray(positions)) return
    for (const range of positions) {
      const [first, last] = Array.isArray(range) ? range : []
      if (Number.isSafeInteger(first) && Number.isSafeInteger(last)) this.recorded.addRange(first, last)
    }
  }

  private mismatch(mismatch: Mismatch): void {
    if (this.mismatches.length < maxKept) this.mismatches.push(mismatch)
    else this.fault("changed", mismatch.position, mismatch.eventId, mismatch.detail)
  }

  /** Checks the bundle whose rows have gone by, `count` entries of it, and goes on to the next. */
  private finish(count: number): void {
    const first = this.bundle * runLength
    this.readNotesTo(first + count)
    const kept = this.tree.bundleOf(this.log.id, this.bundle)
    const keptCount = Math.min(kept.length / 32, count)
    if (count === runLength && keptCount < runLength) {
      this.fault(
        "missing",
        first,
        undefined,
        `the entries of ${span(first, first + runLength - 1)} are not in their bundle`
      )
    }
    const fromRows = this.rows.slice(0, count * 32)
    const fromBundle = this.rows.slice(0, count * 32)
    fromBundle.set(kept.subarray(0, keptCount * 32))
    const differing: Array<number> = []
    for (let slot = 0; slot < count; slot++) {
      const at = slot * 32
      if (this.have[slot] !== 1) {
        if (first + slot <= this.last) this.missing.add(first + slot)
        fromRows.set(fromBundle.subarray(at, at + 32), at)
      } else if (!equal(fromRows.subarray(at, at + 32), fromBundle.subarray(at, at + 32))) differing.push(slot)
    }
    const wanted = count === runLength ? this.storedSubtree(8, this.bundle) : undefined
    const entries = this.choose(fromBundle, fromRows, differing, wanted)
    this.name(first, differing, entries === fromRows, fromBundle, fromRows)
    const tree = levels(leafHashes(entryType, entries))
    this.checkClaims(first, tree, first + count)
    if (count === runLength) this.completed(8, this.bundle, tree[8] ?? emptyRoot, wanted)
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
      const claim = this.claims.find(({ size }) => size > first && size <= first + entries.length / 32)
      const signed = claim !== undefined && equal(this.rootAt(first, tree, claim.size), claim.root)
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
        this.mismatch({
          position,
          eventId,
          actual: hex(fromRows.subarray(slot * 32, slot * 32 + 32)),
          expected: hex(fromBundle.subarray(slot * 32, slot * 32 + 32)),
          detail: "its commitment is not its entry in the log"
        })
      }
    }
  }

  private storedSubtree(level: number, index: number): Hash | undefined {
    try {
      return this.tree.subtrees(this.log.id, level, index, 1)
    } catch {
      // Reported as missing where it is compared.
      return undefined
    }
  }

  /** A run is complete: compares its hash, and those of the runs that it completes. */
  private completed(level: number, index: number, hash: Hash, stored: Hash | undefined): void {
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
    const tier = level / 8
    const run = this.runs[tier] ??= []
    run.push(hash)
    if (run.length < runLength) return
    this.runs[tier] = []
    const above = levels(Buffer.concat(run))[8] ?? emptyRoot
    const aboveIndex = Math.floor(index / runLength)
    this.completed(level + 8, aboveIndex, above, this.storedSubtree(level + 8, aboveIndex))
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
      if (equal(claim.size === 0 ? emptyRoot : this.rootAt(first, tree, claim.size), claim.root)) {
        this.covered = Math.max(this.covered, claim.size)
      } else {
        this.fault(
          "inconsistent",
          undefined,
          undefined,
          `the tree at size ${claim.size} is not the one of ${claim.from}`
        )
      }
    }
  }

  /** No more rows: checks the last bundle, names what was kept, and sums up. */
  end(): void {
    const size = this.last + 1
    let end = size
    for (let index = this.bundle;; index++) {
      const kept = this.tree.bundleOf(this.log.id, index).length / 32
      if (kept === 0) break
      end = Math.max(end, index * runLength + kept)
    }
    if (end > size) this.truncate(size, `entries up to position ${end - 1} were stored`)
    while (this.bundle * runLength < end) this.finish(Math.min(runLength, end - this.bundle * runLength))
    this.readNotesTo(Infinity)
    for (const claim of this.claims) {
      if (claim.size > end) this.truncate(size, `${claim.from} has ${claim.size}`)
    }
    this.nameMismatches()
    for (const [first, last] of this.missing.all()) {
      this.fault("missing", first, undefined, `there is no event at ${span(first, last)}`)
    }
    for (const [first, last] of this.erased.without(this.recorded)) {
      this.fault(
        "missing",
        first,
        undefined,
        `the content at ${span(first, last)} is gone, and no audit.erased says so`
      )
    }
    for (const [first, last] of this.recorded.without(this.erased)) {
      if (first <= this.last) {
        this.fault("changed", first, undefined, `audit.erased names ${span(first, last)}, whose content is there`)
      }
    }
    this.report({
      _tag: "Verified",
      log: this.log.name,
      origin: this.log.origin,
      size,
      covered: Math.min(this.covered, size),
      erased: this.erased.count,
      checkpoints: this.checkpoints,
      signaturesChecked: this.vkey !== undefined,
      faults: this.faults
    })
  }

  private truncate(size: number, detail: string): void {
    if (this.truncated) return
    this.truncated = true
    this.fault("truncated", size, undefined, `the log ends after ${size} entries, and ${detail}`)
  }

  /** Where what lies at one position belongs to another, the two were exchanged. */
  private nameMismatches(): void {
    const places = new Map(this.mismatches.map(({ expected, position }) => [expected, position]))
    for (const { actual, detail, eventId, position } of this.mismatches) {
      const place = places.get(actual)
      if (place === undefined || place === position) this.fault("changed", position, eventId, detail)
      else this.fault("reordered", position, eventId, `what lies here belongs to position ${place}`)
    }
  }
}
