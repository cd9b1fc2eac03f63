/** What callers hear of their events, whichever sink has written them. */
import * as Exit from "effect/Exit"
import { AuditError, type AuditReason } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import type { Durability, Evidence } from "../EventSink.ts"
import type { Appended } from "./committed.ts"
import { Refused } from "./duplicate.ts"
import type * as GroupCommit from "./groupCommit.ts"

/** The entries of one commit. */
export type Batch = ReadonlyArray<GroupCommit.Entry<Sealed, Evidence>>

/** The error of an event that was not stored. */
export const failed = (event: Sealed, reason: AuditReason): AuditError =>
  new AuditError({ method: "EventSink.append", eventId: event.eventId, reason })

/** What the caller hears of an event. */
export const exitOf = (event: Sealed, outcome: Appended, durability: Durability): Exit.Exit<Evidence, AuditError> =>
  outcome instanceof Refused
    ? Exit.fail(failed(event, outcome.reason))
    : Exit.succeed(
      typeof outcome === "number"
        ? { eventId: event.eventId, position: outcome, duplicate: false, durability }
        : outcome
    )

/** Tells all of a batch why it failed. */
export const settleAll = (batch: Batch, reason: AuditReason): void => {
  for (const { settle, value } of batch) settle(Exit.fail(failed(value, reason)))
}

/** Tells each of a batch what became of it. */
export const settleEach = (batch: Batch, outcomes: ReadonlyArray<Appended>): void => {
  for (let i = 0; i < batch.length; i++) {
    const { settle, value } = batch[i]!
    settle(exitOf(value, outcomes[i]!, "committed"))
  }
}
