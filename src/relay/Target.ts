/**
 * Where a relay delivers to: what a target takes at once, and what its answer means.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { EventId } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"
import type { Item } from "../trail/page.ts"

/** One event on its way, after the relay's policy. */
export interface Outgoing {
  readonly position: number
  readonly eventId: EventId
  readonly item: Item
  /** The event in the relay's format, without a line end. */
  readonly text: string
}

/** Events of one log, in its order. */
export interface Batch {
  readonly relay: string
  readonly log: LogName
  readonly events: ReadonlyArray<Outgoing>
}

/** Nothing is known to be delivered; the same batch is tried again, after a while. */
export class Unavailable extends Data.TaggedError("Unavailable")<{
  /** What happened, without values of events or secrets. */
  readonly detail: string
  /** How long the target asked to wait, in milliseconds. */
  readonly retryAfterMillis?: number | undefined
}> {}

/** The target refuses the batch for its size: it is divided. */
export class TooLarge extends Data.TaggedError("TooLarge")<{ readonly detail: string }> {}

/**
 * The target refuses events: those that are named, or the batch as a whole. The others of a named refusal are
 * delivered.
 */
export class Refused extends Data.TaggedError("Refused")<{
  readonly detail: string
  readonly positions?: ReadonlyArray<number> | undefined
}> {}

/** What a target may answer instead of an acknowledgement. */
export type DeliveryError = Unavailable | TooLarge | Refused

/** A system that events are delivered to. */
export interface Target {
  /** What is told of it in logs: no secrets. */
  readonly name: string
  /** Events of one batch at most. */
  readonly maxEvents: number
  /** Bytes of the texts of one batch at most. */
  readonly maxBytes: number
  /** Bytes of the text of one event at most, where that is less: a larger one is parked at once, and never cut. */
  readonly maxEventBytes?: number | undefined
  /** Succeeds with the target's strongest acknowledgement of all events of the batch. */
  readonly send: (batch: Batch) => Effect.Effect<void, DeliveryError>
}
