/** What a query asks for, and what it gets. */
import * as Schema from "effect/Schema"
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
  /**
   * The position of the last event that is known, -1 for none, instead of a cursor: what follows it, in order `asc`,
   * which is then the order unless given.
   */
  readonly after?: number | undefined
}

/** What to follow. */
export interface FollowQuery extends LogName {
  readonly filter?: Filter | undefined
  /**
   * The position of the last event that is known: what follows begins after it; -1 is the log's beginning. From now on
   * unless given.
   */
  readonly after?: number | undefined
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
