/** One commit of many events, on whichever connection and in whichever thread. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import type { Appended, Committed } from "../internal/committed.ts"
import type { SealedRow } from "../internal/sealedRow.ts"
import type { EventTable, Writing } from "./eventTable.ts"

/** The file is looked at before each commit, and once more after one that took longer than this. */
const goneMillis = 5

/** What is written with, in one thread. */
export interface Connected {
  readonly writer: DatabaseSync
  readonly table: EventTable
  readonly gone: (withinMillis?: number | undefined) => unknown
}

/** Commits events in transactions of their own. */
export class Commits {
  private readonly connected: Connected
  private readonly begin: StatementSync
  private readonly end: StatementSync

  constructor(connected: Connected) {
    this.connected = connected
    this.begin = connected.writer.prepare("BEGIN IMMEDIATE")
    this.end = connected.writer.prepare("COMMIT")
  }

  private rollback(): void {
    const { table, writer } = this.connected
    table.forget()
    if (writer.isTransaction) writer.exec("ROLLBACK")
  }

  /** Writes events in one transaction. `heads` are those that are known, where they must be asked for. */
  commit(rows: ReadonlyArray<SealedRow>, writing: Writing, heads?: ReadonlyMap<string, unknown>): Committed {
    const { gone, table, writer } = this.connected
    try {
      // The connection may be the application's as well, which may have set it otherwise.
      writer.exec("PRAGMA synchronous = FULL")
      this.begin.run()
    } catch (cause) {
      return { _tag: "NotBegun", cause }
    }
    let committing = false
    const outcomes: Array<Appended> = []
    try {
      table.begin()
      if (heads !== undefined) {
        const origins = table.unread(rows).filter((origin) => !heads.has(origin))
        if (origins.length > 0) {
          writer.exec("ROLLBACK")
          return { _tag: "Asks", origins }
        }
      }
      for (let i = 0; i < rows.length; i++) outcomes.push(table.append(rows[i]!, writing))
      if (gone() !== undefined) {
        this.rollback()
        return { _tag: "Gone", committed: false }
      }
      committing = true
      this.end.run()
    } catch (cause) {
      this.rollback()
      return { _tag: "Failed", cause, committing }
    }
    return gone(goneMillis) === undefined ? { _tag: "Committed", outcomes } : { _tag: "Gone", committed: true }
  }
}
