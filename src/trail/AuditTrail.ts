/**
 * Pages and streams of events, always inside one tenant and env.
 *
 * A query sees every event that was acknowledged before it began. Order is the position in the log, never a clock, so a
 * cursor stays valid while events are added. Erased events appear, as erased, only where no filter is given: nothing that
 * could be asked for is left of them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { AuditError, InvalidCursor } from "../AuditError.ts"
import { type EventId, type Wire, WireFromText } from "../DatasetEvent.ts"
import { MemoryEvents } from "../EventSink.ts"
import type { Env, TenantId } from "../RequestContext.ts"
import { checkQuery, decodeCursor, encodeCursor } from "./cursor.ts"
import { conditions, type Filter, matches, type Order } from "./Filter.ts"

/** What to read. */
export interface Query {
  readonly tenantId: TenantId
  readonly env: Env
  readonly filter?: Filter | undefined
  /** `desc`, newest first, unless given. */
  readonly order?: Order | undefined
  /** Events of one page, 1 to 1,000; 100 unless given. */
  readonly limit?: number | undefined
  /** `next` of the page before; of the same query. */
  readonly cursor?: string | undefined
}

/** One event of a log, or what is left of an erased one. */
export type Item =
  | { readonly erased: false; readonly position: number; readonly eventId: EventId; readonly event: Wire }
  | { readonly erased: true; readonly position: number; readonly eventId: EventId }

/** Some events, and where to go on. */
export interface Page {
  readonly items: ReadonlyArray<Item>
  /** The cursor of the next page; absent when there is nothing more now. */
  readonly next: string | undefined
}

/** Reads what was recorded. */
export class AuditTrail extends Context.Service<AuditTrail, {
  /** One page. Reads only, may be repeated, and is safe to call concurrently. */
  readonly query: (query: Query) => Effect.Effect<Page, AuditError>
}>()("effect-audit/trail/AuditTrail") {}

/** One page of events. */
export const query = (query: Query): Effect.Effect<Page, AuditError, AuditTrail> =>
  Effect.flatMap(AuditTrail, (trail) => trail.query(query))

/** All events of a query, page by page: memory holds one page, `limit` events, at a time. */
export const stream = (query: Query): Stream.Stream<Item, AuditError, AuditTrail> =>
  Stream.unwrap(Effect.map(AuditTrail, (trail) =>
    Stream.paginate(query.cursor, (cursor) =>
      Effect.map(
        trail.query({ limit: 250, ...query, cursor }),
        ({ items, next }) => [items, next === undefined ? Option.none() : Option.some(next)] as const
      ))))

const decodeBody = Schema.decodeUnknownSync(WireFromText)

/** Reads what a memory sink has stored. */
export const layerMemory: Layer.Layer<AuditTrail, never, MemoryEvents> = Layer.effect(
  AuditTrail,
  Effect.map(MemoryEvents, (memory) =>
    AuditTrail.of({
      query: Effect.fnUntraced(function*(query) {
        const refused = checkQuery(query)
        if (refused !== undefined) return yield* refused
        const place = decodeCursor(query)
        if (place instanceof AuditError) return yield* place
        const wanted = conditions(query.filter ?? {})
        const all = (yield* memory.all).map((stored, seq) => ({ ...stored, seq }))
        const inLog = all.filter(({ event }) => event.tenantId === query.tenantId && event.env === query.env)
        const last = place === undefined ? undefined : inLog.find(({ seq }) => seq === place.seq)
        if (place !== undefined && last?.position !== place.position) {
          const reason = new InvalidCursor({ detail: "there is no such place in this log" })
          return yield* new AuditError({ method: "AuditTrail.query", reason })
        }
        const descending = (query.order ?? "desc") === "desc"
        const rest = (descending ? inLog.toReversed() : inLog).filter(({ seq }) =>
          place === undefined || (descending ? seq < place.seq : seq > place.seq)
        )
        const found: Array<{ readonly seq: number; readonly item: Item }> = []
        const limit = query.limit ?? 100
        for (const { event, position, seq } of rest) {
          if (!matches(event.keys, event.recordedAtMillis, wanted, query.filter ?? {})) continue
          const decoded = decodeBody(Buffer.from(event.body).toString("utf8"))
          found.push({ seq, item: { erased: false, position, eventId: event.eventId, event: decoded } })
          if (found.length > limit) break
        }
        const page = found.slice(0, limit)
        const end = page.at(-1)
        const next = found.length > limit && end !== undefined
          ? encodeCursor(query, { seq: end.seq, position: end.item.position })
          : undefined
        return { items: page.map(({ item }) => item), next }
      })
    }))
)
