/**
 * Pages and streams of events, always inside one tenant and env.
 *
 * A query sees every event that was acknowledged before it began. Order is the position in the log, never a clock, so a
 * cursor stays valid while events are added. Erased events appear, as erased, only where no filter is given: nothing
 * that could be asked for is left of them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"
import type { FollowQuery, Item, Page, Query } from "./page.ts"
import { unfinishedIn, type UnfinishedQuery } from "./unfinished.ts"

export { type FollowQuery, Item, Page, type Query } from "./page.ts"

/** A log, as its operator sees it. */
export interface LogInfo extends LogName {
  /** How its checkpoints name it. */
  readonly origin: string
  /** Entries: one more than the last position. */
  readonly size: number
  /** Why it takes no more events, if it was stopped. */
  readonly stopped: string | undefined
}

/** Reads what was recorded. Every method reads only, may be repeated, and is safe to call concurrently. */
export class AuditTrail extends Context.Service<AuditTrail, {
  /** One page. */
  readonly query: (query: Query) => Effect.Effect<Page, AuditError>
  /** One event of a log; `NotFound` if the log has no event of this id. */
  readonly get: (event: LogName & { readonly eventId: EventId }) => Effect.Effect<Item, AuditError>
  /**
   * Events as they are committed, by any process, in order: none is left out, none comes twice. Endless; holds one
   * page. Many may follow one log at the cost of reading it once.
   */
  readonly follow: (query: FollowQuery) => Stream.Stream<Item, AuditError>
  /** All logs of the store, by tenant and env: for its operator, not for a tenant. */
  readonly logs: Effect.Effect<ReadonlyArray<LogInfo>, AuditError>
}>()("effect-audit/trail/AuditTrail") {}

/** One page of events. */
export const query = (query: Query): Effect.Effect<Page, AuditError, AuditTrail> =>
  Effect.flatMap(AuditTrail, (trail) => trail.query(query))

/** One event of a log; `NotFound` if the log has no event of this id. */
export const get = (event: LogName & { readonly eventId: EventId }): Effect.Effect<Item, AuditError, AuditTrail> =>
  Effect.flatMap(AuditTrail, (trail) => trail.get(event))

/** Events as they are committed, in order, from a position on: none is left out, none comes twice. */
export const follow = (query: FollowQuery): Stream.Stream<Item, AuditError, AuditTrail> =>
  Stream.unwrap(Effect.map(AuditTrail, (trail) => trail.follow(query)))

/** All logs of the store: for its operator, not for a tenant. */
export const logs: Effect.Effect<ReadonlyArray<LogInfo>, AuditError, AuditTrail> = Effect.flatMap(
  AuditTrail,
  (trail) => trail.logs
)

/**
 * Intents without a result, newest first: what a crash, or an operation that is still going on, looks like. Reads the
 * intents that the filter finds, and the results after them, once.
 */
export const unfinished = (query: UnfinishedQuery): Stream.Stream<Item, AuditError, AuditTrail> =>
  Stream.unwrap(Effect.map(AuditTrail, (trail) => unfinishedIn(trail.query, query)))

/** All events of a query, page by page: memory holds one page, `limit` events, at a time. */
export const stream = (query: Query): Stream.Stream<Item, AuditError, AuditTrail> =>
  Stream.unwrap(Effect.map(AuditTrail, (trail) =>
    Stream.paginate(query.cursor, (cursor) =>
      Effect.map(
        trail.query({ limit: 250, ...query, cursor }),
        ({ items, next }) => [items, next === undefined ? Option.none() : Option.some(next)] as const
      ))))
