/** What became of a commit of many events, and how it crosses from one thread to another: as plain values. */
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { AuditReason, IntegrityError, LogStopped } from "../AuditError.ts"
import type { Evidence } from "../EventSink.ts"
import { Refused } from "./duplicate.ts"

/** What becomes of an event: the position that it got, what is said of a duplicate, or why it was refused. */
export type Appended = number | Evidence | Refused

/** What became of a commit. */
export type Committed =
  | { readonly _tag: "Committed"; readonly outcomes: ReadonlyArray<Appended> }
  /** Nothing was begun, mostly because someone else holds the lock. */
  | { readonly _tag: "NotBegun"; readonly cause: unknown }
  /** Nothing was written, unless it was the commit that failed. */
  | { readonly _tag: "Failed"; readonly cause: unknown; readonly committing: boolean }
  /** The file is not the one at its path any more: found before the commit, or after it. */
  | { readonly _tag: "Gone"; readonly committed: boolean }
  /** Nothing was written: the last signed heads of these origins must be known first. */
  | { readonly _tag: "Asks"; readonly origins: ReadonlyArray<string> }

type Other =
  | { readonly duplicate: Evidence }
  | { readonly refused: typeof AuditReason.Encoded; readonly integrity: typeof IntegrityError.Encoded | undefined }

/** An error of SQLite as it crosses: what it says and its code. */
interface Thrown {
  readonly message: string
  readonly code: number | undefined
}

/** What became of it: the position of each event, and what else is to be said of some. */
export type Reply =
  | { readonly _tag: "Committed"; readonly positions: Float64Array; readonly others: ReadonlyMap<number, Other> }
  | { readonly _tag: "NotBegun"; readonly thrown: Thrown }
  | { readonly _tag: "Failed"; readonly thrown: Thrown; readonly committing: boolean }
  | Extract<Committed, { readonly _tag: "Gone" | "Asks" }>

const encodeReason = Schema.encodeSync(AuditReason)
const decodeReason = Schema.decodeSync(AuditReason)
const encodeIntegrity = Schema.encodeSync(IntegrityError)
const decodeIntegrity = Schema.decodeSync(IntegrityError)

const encodeOther = (outcome: Evidence | Refused): Other => {
  if (!(outcome instanceof Refused)) return { duplicate: outcome }
  const { reason } = outcome
  return reason instanceof LogStopped && reason.cause instanceof IntegrityError
    ? { refused: encodeReason(new LogStopped({ detail: reason.detail })), integrity: encodeIntegrity(reason.cause) }
    : { refused: encodeReason(reason), integrity: undefined }
}

const decodeOther = (other: Other): Evidence | Refused => {
  if ("duplicate" in other) return other.duplicate
  const reason = decodeReason(other.refused)
  return new Refused(
    reason instanceof LogStopped && other.integrity !== undefined
      ? new LogStopped({ detail: reason.detail, cause: decodeIntegrity(other.integrity) })
      : reason
  )
}

const encodeThrown = (cause: unknown): Thrown => ({
  message: cause instanceof Error ? cause.message : "unknown error",
  code: hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode : undefined
})

const decodeThrown = ({ code, message }: Thrown): Error => Object.assign(new Error(message), { errcode: code })

/** The reply of the thread. */
export const encodeReply = (committed: Committed): Reply => {
  switch (committed._tag) {
    case "NotBegun":
      return { _tag: "NotBegun", thrown: encodeThrown(committed.cause) }
    case "Failed":
      return { _tag: "Failed", thrown: encodeThrown(committed.cause), committing: committed.committing }
    case "Committed": {
      const { outcomes } = committed
      const others = new Map<number, Other>()
      const positions = new Float64Array(outcomes.length)
      for (const [index, outcome] of outcomes.entries()) {
        if (typeof outcome === "number") positions[index] = outcome
        else others.set(index, encodeOther(outcome))
      }
      return { _tag: "Committed", positions, others }
    }
    default:
      return committed
  }
}

/** What the reply says. */
export const decodeReply = (reply: Reply): Committed => {
  switch (reply._tag) {
    case "NotBegun":
      return { _tag: "NotBegun", cause: decodeThrown(reply.thrown) }
    case "Failed":
      return { _tag: "Failed", cause: decodeThrown(reply.thrown), committing: reply.committing }
    case "Committed": {
      const { others, positions } = reply
      const outcomes = Array.from(positions, (position, index): Appended => {
        const other = others.get(index)
        return other === undefined ? position : decodeOther(other)
      })
      return { _tag: "Committed", outcomes }
    }
    default:
      return reply
  }
}
