/**
 * Recomputes a store: every commitment, leaf, subtree and signed head, in one pass over the events.
 *
 * Memory is bounded: a bundle for each of at most 2,048 logs (more take another pass), and a table of event ids.
 *
 * @internal
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { EventId } from "../DatasetEvent.ts"
import { uuidText } from "../internal/entropy.ts"
import type { Finding } from "../ledger/Ledger.ts"
import { LogCheck, type LogRow } from "./logCheck.ts"
import { blobOf, integerOf, type Row } from "./row.ts"
import { SearchIndex } from "./searchIndex.ts"
import { type Head, Tree } from "./tree.ts"

/** Logs that are checked in one pass. */
const logsPerPass = 2048
/** Rows of one step. */
const stepRows = 2048
/** Ids that are compared with each other: half the places of a table of 64 MiB. */
const maxIds = 4_194_304

/** Finds ids that come twice, among as many as fit into bounded memory: then it begins anew. */
class IdTable {
  private readonly places: Float64Array
  private readonly mask: number
  private used = 0
  constructor(ids: number) {
    let size = 1024
    while (size < Math.min(ids, maxIds) * 2) size *= 2
    this.places = new Float64Array(size)
    this.mask = size - 1
  }
  /** Whether the id was there before; 53 bits of it are compared. */
  seen(id: Uint8Array): boolean {
    if (this.used * 2 > this.places.length) {
      this.places.fill(0)
      this.used = 0
    }
    const bytes = Buffer.from(id.buffer, id.byteOffset, id.length)
    const value = bytes.readUInt32LE(12) * 2_097_152 + (bytes.readUInt32LE(8) >>> 12) * 2 + 1
    let at = bytes.readUInt32LE(12) & this.mask
    for (; this.places[at] !== 0; at = (at + 1) & this.mask) if (this.places[at] === value) return true
    this.places[at] = value
    this.used++
    return false
  }
}

/** One verification of a store, on a connection that is inside a read transaction. */
export class Verification {
  private readonly rows: StatementSync
  private readonly twins: StatementSync
  private readonly oneLog: boolean
  private findings: Array<Finding> = []
  private readonly passes: Array<ReadonlyArray<LogRow>>
  private checks = new Map<number, LogCheck>()
  private readonly makeCheck: (log: LogRow) => LogCheck
  private ids: IdTable
  private next = 1
  private entries = 0
  private readonly maxSeq: number
  private readonly total: number
  private readonly limit: number

  constructor(db: DatabaseSync, logs: ReadonlyArray<LogRow>, options: {
    readonly vkey: string | undefined
    readonly known: string | undefined
    readonly oneLog: boolean
    readonly headOf: (origin: string) => Head | undefined
  }) {
    const tree = new Tree(db, new SearchIndex(db))
    this.oneLog = options.oneLog
    const columns = "seq, log, position, recorded_at, erased_at, event_id, commitment, salt, body"
    this.rows = db.prepare(
      `SELECT ${columns} FROM event WHERE seq BETWEEN ? AND ?${options.oneLog ? " AND log = ?" : ""} ORDER BY seq`
    )
    this.twins = db.prepare("SELECT position FROM event WHERE event_id = ? AND log = ? ORDER BY seq")
    this.maxSeq = integerOf(db.prepare("SELECT max(seq) AS seq FROM event").get(), "seq") ?? 0
    const newest = integerOf(db.prepare("SELECT max(size) AS size FROM checkpoint").get(), "size") ?? 0
    this.limit = Math.max(this.maxSeq, newest, 1)
    this.passes = []
    for (let i = 0; i < logs.length; i += logsPerPass) this.passes.push(logs.slice(i, i + logsPerPass))
    this.total = this.maxSeq * this.passes.length
    this.ids = new IdTable(this.maxSeq)
    this.makeCheck = (log) => {
      const check = new LogCheck(db, tree, log, [], {
        vkey: options.vkey,
        report: (finding) => this.findings.push(finding)
      })
      const head = options.headOf(log.origin)
      if (head !== undefined) check.claim({ ...head, from: "the signer's state" })
      const known = options.known === undefined ? undefined : check.claimOf(options.known, "the given checkpoint")
      if (known !== undefined) check.claim(known)
      return check
    }
    this.begin()
  }

  private begin(): void {
    this.checks = new Map((this.passes.shift() ?? []).map((log) => [log.id, this.makeCheck(log)]))
    this.ids = new IdTable(this.maxSeq)
    this.next = 1
  }

  /** Goes on for some rows; what was found, or nothing when it is at the end. */
  step(): ReadonlyArray<Finding> | undefined {
    if (this.checks.size === 0) return undefined
    const last = Math.min(this.next + stepRows - 1, this.maxSeq)
    const [only] = this.checks.keys()
    const rows = this.oneLog && only !== undefined
      ? this.rows.iterate(this.next, last, only)
      : this.rows.iterate(this.next, last)
    for (const row of rows) {
      const check = this.checks.get(integerOf(row, "log") ?? -1)
      if (check === undefined) continue
      const id = blobOf(row, "event_id")
      if (id?.length === 16 && this.ids.seen(id)) this.reportTwins(check, row, id)
      check.add(row, this.limit)
    }
    this.entries += Math.max(last - this.next + 1, 0)
    this.next = last + 1
    if (this.next > this.maxSeq) {
      for (const check of this.checks.values()) check.end()
      this.begin()
    }
    const found = this.findings
    this.findings = []
    return found
  }

  private reportTwins(check: LogCheck, row: Row, id: Uint8Array): void {
    const position = integerOf(row, "position")
    const [first, second] = this.twins.all(id, check.log.id)
    if (second === undefined) return
    const detail = `the same event is at position ${integerOf(first, "position")} as well`
    check.fault("duplicated", position, EventId.make(uuidText(id), { disableChecks: true }), detail)
  }

  /** Rows that were looked at, and all there are to look at. */
  get progress(): { readonly entries: number; readonly total: number } {
    return { entries: this.entries, total: this.total }
  }
}
