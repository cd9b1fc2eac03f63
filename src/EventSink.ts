/**
 * Stores sealed events.
 *
 * `EventSink` is the last step of the write path: it receives events that are already stripped, decided and sealed,
 * makes them durable and returns evidence. A sink never changes an event, and never says success before the data is
 * durable. Each tenant and env has its own log; position 0 of a log is `audit.log_created`, written by the store.
 *
 * **Gotchas**
 *
 * `append` may fail with `CommitUnknown` although the event was stored. Repeat it with the same event: the event id
 * makes that harmless.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { type AuditError, fail, InvalidInput } from "./AuditError.ts"
import { type EventId, type PiiFlags, Sealed } from "./DatasetEvent.ts"
import type { WritePolicy } from "./WritePolicy.ts"

/**
 * How durable an event is when the sink says success: `committed` and synced, `with-transaction` (when the caller's
 * transaction commits), or `memory` (gone with the process).
 */
export type Durability = "committed" | "with-transaction" | "memory"

/** What a sink says of an event that it has made durable. */
export interface Evidence {
  /** The stored event's id; of a duplicate by idempotency key, the first event's. */
  readonly eventId: EventId
  /**
   * Position in the log of the event's tenant and env, dense from 0; none yet of an event that waits in an outbox until
   * its transaction has committed.
   */
  readonly position: number | undefined
  /** Whether the event had been stored before this call. */
  readonly duplicate: boolean
  readonly durability: Durability
  /** Of a duplicate: what its first receipt said, or that it has been erased since. */
  readonly first?: First | undefined
}

/** The first receipt of a duplicate. */
export type First =
  | { readonly erased: true }
  | { readonly erased: false; readonly piiFlags: PiiFlags; readonly trainOk: boolean }

/** Durable, ordered storage for sealed events. */
export class EventSink extends Context.Service<EventSink, {
  /**
   * Stores one event; calls that wait together share a commit.
   *
   * Durable once it succeeds. Idempotent by event id. Safe to call concurrently: events of one log are ordered one
   * after another, those of one caller in the order of its calls.
   */
  readonly append: (event: Sealed) => Effect.Effect<Evidence, AuditError>
  /** What the store remembers of the policy that it is written under; without it every policy may write. */
  readonly policy?: WritePolicy["Service"] | undefined
}>()("effect-audit/EventSink") {}

/**
 * Why a sink does not take an event into an open transaction, if it does not: an intent is there for a crash, which
 * would take it along.
 */
export const refusalInside = (method: string, event: Sealed): AuditError | undefined =>
  event.keys.phase === "intent"
    ? fail(
      method,
      new InvalidInput({
        path: "/phase",
        detail: "an intent cannot be recorded inside a transaction: a crash would take it along"
      }),
      event.eventId
    )
    : undefined

/** Why a sink does not take a value, if it does not: only what `Seal` made is sure to be stripped. */
export const refusal = (method: string, event: Sealed): AuditError | undefined =>
  Sealed.is(event)
    ? undefined
    : fail(
      method,
      new InvalidInput({ path: "", detail: "is no sealed event: a copy of one may hold what was stripped" })
    )
