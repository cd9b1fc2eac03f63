/**
 * What SQLite threw, and what it means.
 *
 * @internal
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import { classifySqliteError, type SqlErrorReason } from "effect/sql/SqlError"
import { type AuditReason, SinkFull, SinkRejected, SinkUnavailable } from "../AuditError.ts"

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

/** What an error of SQLite means to a caller. */
export const sqliteReason = (cause: unknown, detail: string): AuditReason => {
  const code = errorCode(cause)
  const text = `${detail}: ${cause instanceof Error ? cause.message : "unknown error"}`
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
