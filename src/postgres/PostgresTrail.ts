/**
 * Reads events from PostgreSQL.
 *
 * Finds them by the index of their terms, in the order of their positions; what is found is always compared with what
 * was asked for. A range of times is looked for in the bundles that have such times.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { AuditError } from "../AuditError.ts"
import { blobOf, integerOf, type Row } from "../internal/row.ts"
import { runLength } from "../ledger/treeReader.ts"
import type { LogName } from "../RequestContext.ts"
import { AuditTrail, type Item, type Page } from "../trail/AuditTrail.ts"
import type { Search } from "../trail/Filter.ts"
import { found, itemOf, noSuchEvent, noSuchPlace, pageOf, type PageRow, type Reading } from "../trail/paging.ts"
import { term } from "../trail/terms.ts"
import { trailOver } from "../trail/trailOver.ts"
import { boundTerm } from "./append.ts"
import { Commits, Database, type Opened } from "./database.ts"
import { LogRows, millisOf } from "./logRows.ts"
import { failing } from "./problem.ts"

const columns = `position::float8 AS position, uuid_send(event_id) AS event_id, ${millisOf("recorded_at")}, body`

const rowOf = (row: Row): PageRow => ({
  position: integerOf(row, "position") ?? -1,
  eventId: blobOf(row, "event_id") ?? new Uint8Array(16),
  recordedAtMillis: integerOf(row, "recorded_at"),
  body: blobOf(row, "body")
})

/** What the rows of a page must have, as SQL. */
const conditionsOf = (
  log: number,
  { conditions, sinceMillis, untilMillis }: Search,
  params: Array<unknown>
): string => {
  let where = ""
  if (conditions.length > 0) {
    const terms = conditions.map(({ field, value }) => boundTerm(log, term(field.wire, value)))
    where += ` AND terms @> $${params.push(`{${terms.join(",")}}`)}::int4[]`
  }
  if (sinceMillis !== undefined) {
    where += ` AND recorded_at >= to_timestamp($${params.push(sinceMillis)}::float8 / 1000)`
  }
  if (untilMillis !== undefined) where += ` AND recorded_at < to_timestamp($${params.push(untilMillis)}::float8 / 1000)`
  return where
}

/** Reads pages of one store. */
class Pages {
  private readonly database: Opened
  private readonly ids = new Map<string, number>()

  constructor(database: Opened) {
    this.database = database
  }

  /** The number of a log, if there is one; it never changes. */
  readonly idOf = ({ env, tenantId }: LogName): Effect.Effect<number | undefined, AuditError> =>
    Effect.suspend(() => {
      const key = `${tenantId}/${env}`
      const known = this.ids.get(key)
      if (known !== undefined) return Effect.succeed(known)
      const { committed, schema: s } = this.database
      return Effect.mapError(
        Effect.map(
          committed(`SELECT id::float8 AS id FROM ${s}.log WHERE tenant_id = $1 AND env = $2`, [tenantId, env]),
          ([row]) => {
            const id = integerOf(row, "id")
            if (this.ids.size >= 10_000) this.ids.clear()
            if (id !== undefined) this.ids.set(key, id)
            return id
          }
        ),
        failing("AuditTrail.query")
      )
    })

  /**
   * Where positions may have been recorded in the range of times of a search, ascending: first and last of each run.
   */
  private readonly runs = Effect.fnUntraced(function*(
    this: Pages,
    log: number,
    { sinceMillis, untilMillis }: Search
  ): Effect.fn.Return<ReadonlyArray<readonly [first: number, last: number]>, SqlError> {
    const end = Number.MAX_SAFE_INTEGER
    if (sinceMillis === undefined && untilMillis === undefined) return [[0, end]]
    const { committed, schema: s } = this.database
    const [row] = yield* committed(
      "SELECT min(idx) FILTER (WHERE within)::float8 AS first, max(idx) FILTER (WHERE within)::float8 AS last, " +
        "max(idx)::float8 AS newest FROM (SELECT idx, (high >= to_timestamp($2::float8 / 1000)) IS NOT FALSE AND " +
        `(low < to_timestamp($3::float8 / 1000)) IS NOT FALSE AS within FROM ${s}.bundle ` +
        "WHERE log = $1 AND low IS NOT NULL) AS bundles",
      [BigInt(log), sinceMillis ?? null, untilMillis ?? null]
    )
    const [first, last, newest] = [integerOf(row, "first"), integerOf(row, "last"), integerOf(row, "newest")]
    // What follows the last complete bundle may be of any time; it is little.
    const tail = newest === undefined ? 0 : (newest + 1) * runLength
    return first === undefined || last === undefined
      ? [[tail, end]]
      : [[first * runLength, (last + 1) * runLength - 1], [tail, end]]
  })

  /** Adds to a page what a run of positions has of it. */
  private readonly fill = Effect.fnUntraced(function*(
    this: Pages,
    log: number,
    { descending, limit, search }: Reading,
    [first, last]: readonly [number, number],
    items: Array<Item>
  ): Effect.fn.Return<void, AuditError | SqlError> {
    const { planned, schema: s } = this.database
    for (let [from, to] = [first, last]; items.length <= limit && from <= to;) {
      const wanted = limit + 1 - items.length
      const params: Array<unknown> = [BigInt(log), BigInt(from), BigInt(to), BigInt(wanted)]
      const rows = yield* planned(
        `SELECT ${columns} FROM ${s}.event e WHERE log = $1 AND position >= $2 AND position <= $3` +
          `${conditionsOf(log, search, params)} ORDER BY e.position ${descending ? "DESC" : "ASC"} LIMIT $4`,
        params
      )
      for (const row of rows) {
        const item = yield* Effect.fromResult(found(rowOf(row), search))
        if (item !== undefined) items.push(item)
      }
      const end = rows.at(-1)
      // Rows that only looked like what was asked for leave room.
      if (end === undefined || rows.length < wanted) return
      if (descending) to = rowOf(end).position - 1
      else from = rowOf(end).position + 1
    }
  })

  /** One page. */
  readonly page = (reading: Reading): Effect.Effect<Page, AuditError> =>
    Effect.mapError(this.pageOf(reading), failing("AuditTrail.query"))

  private readonly pageOf = Effect.fnUntraced(function*(
    this: Pages,
    reading: Reading
  ): Effect.fn.Return<Page, AuditError | SqlError> {
    const log = yield* this.idOf(reading.log)
    if (log === undefined) return { items: [], next: undefined }
    const { committed, schema: s } = this.database
    const { after, descending, search } = reading
    if (after !== undefined) {
      const there = yield* committed(
        `SELECT 1 AS found FROM ${s}.event WHERE log = $1 AND position = $2`,
        [BigInt(log), BigInt(after)]
      )
      if (there.length === 0) return yield* noSuchPlace
    }
    const items: Array<Item> = []
    const runs = yield* this.runs(log, search)
    for (const [first, last] of descending ? runs.toReversed() : runs) {
      const place = after === undefined
        ? [first, last] as const
        : descending
        ? [first, Math.min(last, after - 1)] as const
        : [Math.max(first, after + 1), last] as const
      yield* this.fill(log, reading, place, items)
    }
    return pageOf(reading, items)
  })
}

/** Builds the reader. */
export const make: Effect.Effect<AuditTrail["Service"], never, Database | Commits | Scope.Scope> = Effect.gen(
  function*() {
    const database = yield* Database
    const { watch } = yield* Commits
    const { committed, schema: s } = database
    const pages = new Pages(database)
    return yield* trailOver({
      page: (reading) => pages.page(reading),
      watch,
      get: Effect.fnUntraced(function*({ eventId, ...name }) {
        const method = "AuditTrail.get"
        const log = yield* pages.idOf(name)
        const [row] = log === undefined ? [] : yield* Effect.mapError(
          committed(
            `SELECT ${columns} FROM ${s}.event WHERE event_id = $2::uuid AND log = $1 ORDER BY position LIMIT 1`,
            [
              BigInt(log),
              eventId
            ]
          ),
          failing(method)
        )
        return row === undefined ? yield* noSuchEvent(method, eventId) : yield* Effect.fromResult(itemOf(rowOf(row)))
      }),
      logs: Effect.map(
        new LogRows(committed, s, "AuditTrail.logs").logs,
        (logs) => logs.map(({ name, origin, size, stopped }) => ({ ...name, origin, size, stopped }))
      )
    })
  }
)

/** Reads events from the database. */
export const layer: Layer.Layer<AuditTrail, never, Database | Commits> = Layer.effect(AuditTrail, make)
