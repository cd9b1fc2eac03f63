/** What an error of PostgreSQL means. Messages hold codes and names of the database's objects, never values. */
import { hasProperty } from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"
import {
  AuditError,
  type AuditReason,
  CommitUnknown,
  SinkFull,
  SinkRejected,
  SinkTimeout,
  SinkUnavailable
} from "../AuditError.ts"

/** Codes of classes that there are: `EPIPE` of a socket is as long. */
const ofServer = /^(?:\d[0-9A-Z]|F0|HV|P0|XX)[0-9A-Z]{3}$/

/**
 * The SQLSTATE of an error (https://www.postgresql.org/docs/current/errcodes-appendix.html), if the server sent one.
 */
export const sqlState = ({ reason }: SqlError): string | undefined => {
  const { cause } = reason
  return hasProperty(cause, "code") && typeof cause.code === "string" && ofServer.test(cause.code)
    ? cause.code
    : undefined
}

/** The code of a socket's error, such as `ECONNREFUSED`. */
const socketCode = ({ reason: { cause } }: SqlError): string =>
  hasProperty(cause, "code") && typeof cause.code === "string" && /^E[A-Z_]{3,20}$/.test(cause.code)
    ? ` (${cause.code})`
    : ""

/** Whether an error came before anything was sent: no connection was there. */
const isBefore = ({ reason }: SqlError): boolean => reason.operation === "connect"

/**
 * Whether the connection was lost while the server worked, so that what became of it is not known. An error that the
 * server itself reports has rolled the transaction back, unless it went down while it said so.
 */
export const isLost = (error: SqlError): boolean => {
  if (isBefore(error) || error.reason.operation === "commit") return false
  const code = sqlState(error)
  return code === undefined || code.startsWith("08") || code === "57P02"
}

/** Classes whose messages name objects of the database and no values: connections, privileges, resources, operators. */
const telling = /^(08|28|3D|42|53|57|58)/

/** What is said of an error: where, and its code. */
const detailOf = (error: SqlError, what: string): string => {
  const code = sqlState(error)
  const { cause } = error.reason
  if (error.reason._tag === "AuthenticationError") return `${what}: the user or its password was refused`
  if (code === undefined) {
    return `${what}: ${isBefore(error) ? "it cannot be reached" : "the connection was lost"}${socketCode(error)}`
  }
  const message = telling.test(code) && cause instanceof Error ? ` ${cause.message.split("\n")[0] ?? ""}` : ""
  return `${what}: SQLSTATE ${code}${message}`
}

/** Constraints, values, syntax, privileges, and what a guard refuses: repeating does not help. */
const refused = /^(0A|22|23|3F|42|P0)/

/** Whether repeating may help although the server refused: deadlocks, serialisation failures, locks, a restart. */
export const isPassing = (error: SqlError): boolean => {
  const code = sqlState(error)
  return code === undefined ? isBefore(error) : /^(40|55P03|57P0|08|53300|25006)/.test(code)
}

/**
 * What an error means for what was to be done; `committing` when it may have been done although the error came.
 */
export const reasonOf = (error: SqlError, what: string, committing: boolean): AuditReason => {
  if (committing && isLost(error)) return new CommitUnknown({ detail: detailOf(error, what) })
  if (error.reason.operation === "commit" && sqlState(error) === undefined) {
    return new SinkRejected({ detail: `${what}: a statement of the transaction had failed, so it was rolled back` })
  }
  const code = sqlState(error) ?? ""
  if (code.startsWith("531") || code === "53400") return new SinkFull({ detail: detailOf(error, what) })
  if (code === "55P03") return new SinkTimeout({ detail: detailOf(error, what) })
  return refused.test(code)
    ? new SinkRejected({ detail: detailOf(error, what) })
    : new SinkUnavailable({ detail: detailOf(error, what) })
}

/** A problem of reading or changing, as the error of a method. */
export const failing = (method: string) => (error: SqlError | AuditError): AuditError =>
  error instanceof AuditError
    ? error
    : new AuditError({ method, reason: reasonOf(error, "PostgreSQL", false) })
