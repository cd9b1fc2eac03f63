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
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import { EventId, Wire } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"
import type { Filter, Order } from "./Filter.ts"

/** What to read. */
export interface Query extends LogName {
  readonly filter?: Filter | undefined
  /** `desc`, newest first, unless given. */
  readonly order?: Order | undefined
  /** Events of one page, 1 to 1,000; 100 unless given. */
  readonly limit?: number | undefined
  /** `next` of the page before; of the same query. */
  readonly cursor?: string | undefined
}

/** One event of a log, or what is left of an erased one. */
export const Item = Schema.Union([
  Schema.Struct({ erased: Schema.Literal(false), position: Schema.Int, eventId: EventId, event: Wire }),
  Schema.Struct({ erased: Schema.Literal(true), position: Schema.Int, eventId: EventId })
])
export type Item = typeof Item.Type

/** Some events, and where to go on. */
export const Page = Schema.Struct({
  items: Schema.Array(Item),
  /** The cursor of the next page; absent when there is nothing more now. */
  next: Schema.optional(Schema.String)
})
export type Page = typeof Page.Type

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
  /** All logs of the store, by tenant and env: for its operator, not for a tenant. */
  readonly logs: Effect.Effect<ReadonlyArray<LogInfo>, AuditError>
}>()("effect-audit/trail/AuditTrail") {}

/** One page of events. */
export const query = (query: Query): Effect.Effect<Page, AuditError, AuditTrail> =>
  Effect.flatMap(AuditTrail, (trail) => trail.query(query))

/** One event of a log; `NotFound` if the log has no event of this id. */
export const get = (event: LogName & { readonly eventId: EventId }): Effect.Effect<Item, AuditError, AuditTrail> =>
  Effect.flatMap(AuditTrail, (trail) => trail.get(event))

/** All logs of the store: for its operator, not for a tenant. */
export const logs: Effect.Effect<ReadonlyArray<LogInfo>, AuditError, AuditTrail> = Effect.flatMap(
  AuditTrail,
  (trail) => trail.logs
)

/** All events of a query, page by page: memory holds one page, `limit` events, at a time. */
export const stream = (query: Query): Stream.Stream<Item, AuditError, AuditTrail> =>
  Stream.unwrap(Effect.map(AuditTrail, (trail) =>
    Stream.paginate(query.cursor, (cursor) =>
      Effect.map(
        trail.query({ limit: 250, ...query, cursor }),
        ({ items, next }) => [items, next === undefined ? Option.none() : Option.some(next)] as const
      ))))
