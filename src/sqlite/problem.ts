/** What SQLite threw, what it means, and the one wait for another process's lock. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import { classifySqliteError, type SqlErrorReason } from "effect/sql/SqlError"
import type { DatabaseSync } from "node:sqlite"
import { AuditError, type AuditReason, CommitUnknown, SinkFull, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import { retryWhile } from "../internal/retryWhile.ts"

/** A failed call of SQLite. */
export class Problem extends Data.TaggedError("Problem")<{ readonly cause: unknown }> {
  toSqlReason(): SqlErrorReason {
    const code = errorCode(this.cause)
    const cause = this.cause instanceof Error && code !== undefined
      ? Object.assign(this.cause, { errno: code })
      : this.cause
    return classifySqliteError(cause, { operation: "execute", message: "SQLite statement failed" })
  }
}

/** Runs synchronous calls of SQLite. */
export const attempt = <A>(evaluate: () => A): Effect.Effect<A, Problem> =>
  Effect.try({ try: evaluate, catch: (cause) => new Problem({ cause }) })

/** The extended result code (https://www.sqlite.org/rescode.html) of an error of `node:sqlite`. */
export const errorCode = (cause: unknown): number | undefined =>
  hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode : undefined

/** SQLITE_BUSY and SQLITE_LOCKED: someone else holds the lock. */
export const isBusy = (cause: unknown): boolean => {
  const code = errorCode(cause)
  return code !== undefined && ((code & 0xff) === 5 || (code & 0xff) === 6)
}

/** What SQLite leaves unsaid of a database that it may only read. */
const readOnlyReasons = new Map([
  [776, "a transaction was stopped in its middle, and is rolled back by who opens it for writing"],
  ...[8, 264, 520, 1544].map((code) =>
    [code, "this user may not write to it, to its folder, or to the files -wal and -shm beside it"] as const
  )
])

/** What an error of SQLite means to a caller. */
export const sqliteReason = (cause: unknown, detail: string): AuditReason => {
  const code = errorCode(cause)
  const message = readOnlyReasons.get(code ?? 0) ?? (cause instanceof Error ? cause.message : "unknown error")
  const text = `${detail}: ${message}`
  switch (code === undefined ? -1 : code & 0xff) {
    case 13:
      return new SinkFull({ detail: text, cause })
    // SQLITE_CORRUPT, SQLITE_CONSTRAINT, SQLITE_NOTADB: repeating does not help.
    case 11:
    case 19:
    case 26:
      return new SinkRejected({ detail: text, cause })
    default:
      return new SinkUnavailable({ detail: text, cause })
  }
}

/** What a failed statement or commit means for an event; `committing` when the outcome may be unknown. */
export const reasonOf = (
  problem: Problem,
  filename: string,
  committing: boolean,
  doing = "write to"
): AuditReason => {
  const code = errorCode(problem.cause)
  // An I/O error of a commit may come after the bytes were written: only SQLITE_FULL says that they were not.
  if (committing && code !== undefined && (code & 0xff) === 10) {
    return new CommitUnknown({ detail: `the commit to ${filename} failed with an I/O error`, cause: problem.cause })
  }
  const reason = sqliteReason(problem.cause, `cannot ${doing} ${filename}`)
  return reason instanceof SinkFull
    ? new SinkFull({ detail: `no space left for ${filename}`, cause: problem.cause })
    : reason
}

/** A file found missing after the commit may have been there before it: the outcome is not known. */
export const goneAfterCommit = (reason: AuditReason): AuditReason => new CommitUnknown({ detail: reason.message })

/** A problem of reading or changing, as the error of a method; what already is one stays it. */
export const failing = (method: string, filename: string) => (problem: Problem): AuditError =>
  problem.cause instanceof AuditError
    ? problem.cause
    : new AuditError({ method, reason: reasonOf(problem, filename, false, "read or change") })

/** Reads one state of a database. Where reading fails, SQLite may have ended the transaction. */
export const inOneTransaction = <A>(db: DatabaseSync, read: () => A): A => {
  db.exec("BEGIN")
  try {
    return read()
  } finally {
    if (db.isTransaction) db.exec("COMMIT")
  }
}

/** Makes what must be made on a connection when it is first asked for, where failing is an error of who asks. */
export const once = <A extends object>(make: () => A): () => A => {
  let made: A | undefined
  return () => made ??= make()
}

/** Retries what another process's lock prevents, on a timer, so that the event loop never blocks on it. */
export const untilFree = <A, R>(step: Effect.Effect<A, Problem, R>, deadlineMillis: number) =>
  retryWhile(step, ({ cause }) => isBusy(cause), deadlineMillis)

/** The problem of a lock that is held, where SQLite says so without throwing. */
export const busy = (detail: string): Problem =>
  new Problem({ cause: Object.assign(new Error(detail), { errcode: 5 }) })
