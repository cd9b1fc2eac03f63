/**
 * Reads events from a SQLite file.
 *
 * Finds them in the search index, segment by segment (`terms.ts`), and what is not indexed yet by reading it, in one
 * read transaction per page: so a query sees every event that was acknowledged before it began. What is found is always
 * compared with what was asked for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { AuditError } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import { blobOf, integerOf, type Row } from "../internal/row.ts"
import type { LogRef } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"
import { AuditTrail, type Item, type LogInfo, type Page } from "../trail/AuditTrail.ts"
import type { Search } from "../trail/Filter.ts"
import type { Watch } from "../trail/follow.ts"
import { found, noSuchEvent, noSuchPlace, pageOf, type Reading } from "../trail/paging.ts"
import { needleOf } from "../trail/searchFields.ts"
import { candidates } from "../trail/segments.ts"
import { segmentRows } from "../trail/terms.ts"
import { trailOver } from "../trail/trailOver.ts"
import { connectionOf, type OpenReader, openReader } from "./connection.ts"
import type { ReadOptions } from "./file.ts"
import { readLogs } from "./logRows.ts"
import { Postings } from "./postings.ts"
import { attempt, failing, inOneTransaction, once, untilFree } from "./problem.ts"
import { SqliteClient } from "./SqliteClient.ts"

const everything: Search = { conditions: [], sinceMillis: undefined, untilMillis: undefined }

const columns = "seq, log, position, recorded_at, event_id, body"

/** Rows that are read at once, at most. */
const readAtOnce = 32

/** Reads pages on one connection; each inside one read transaction. */
class PageReader {
  private readonly db: DatabaseSync
  private readonly postings: Postings
  private readonly logId: StatementSync
  private readonly bySeq: StatementSync
  private readonly between: StatementSync

  constructor(db: DatabaseSync) {
    this.db = db
    this.postings = new Postings(db)
    this.logId = db.prepare("SELECT id FROM audit_log WHERE tenant_id = ? AND env = ?")
    this.bySeq = db.prepare(`SELECT ${columns} FROM audit_event WHERE seq = ?`)
    this.between = db.prepare(`SELECT ${columns} FROM audit_event WHERE seq BETWEEN ? AND ? ORDER BY seq`)
  }

  /** Rows of the log that are not indexed, in the order of the query. */
  private unindexed(log: number, { descending, search }: Reading, from: number, until: number): Iterable<Row> {
    const needles = search.conditions.map(needleOf)
    return this.db.prepare(
      `SELECT ${columns} FROM audit_event WHERE seq BETWEEN ? AND ? AND log = ?${
        needles.map(() => " AND instr(body, ?) > 0").join("")
      } ORDER BY seq ${descending ? "DESC" : "ASC"}`
    ).iterate(from, until, log, ...needles)
  }

  /** A row as an item, if it is what the query looks for. Throws the error of a row that is no event. */
  private consider(row: Row | undefined, log: number, search: Search): Item | undefined {
    const position = integerOf(row, "position")
    const eventId = blobOf(row, "event_id")
    if (row?.["log"] !== log || position === undefined || eventId === undefined) return undefined
    const recordedAtMillis = integerOf(row, "recorded_at")
    const item = found({ position, eventId, recordedAtMillis, body: blobOf(row, "body") }, search)
    if (item._tag === "Failure") throw item.failure
    return item.success
  }

  /** Rows whose numbers follow each other, up or down. */
  private run(seqs: ReadonlyArray<number>): ReadonlyArray<Row> {
    const [first = 0] = seqs
    const last = seqs.at(-1) ?? first
    return first < last ? this.between.all(first, last) : this.between.all(last, first).toReversed()
  }

  /** Rows by their numbers; as many as follow each other, and are wanted, at once: that takes half the time. */
  private *at(seqs: Iterable<number>, wanted: number): Generator<Row> {
    const most = Math.min(wanted, readAtOnce)
    let run: Array<number> = []
    for (const seq of seqs) {
      const last = run.at(-1)
      if (last !== undefined && (run.length >= most || Math.abs(seq - last) !== 1)) {
        yield* this.run(run)
        run = []
      }
      run.push(seq)
    }
    if (run.length > 0) yield* this.run(run)
  }

  private *rows(log: number, reading: Reading, first: number, last: number): Generator<Row | undefined> {
    const { descending, limit, search } = reading
    const indexed = this.postings.count * segmentRows
    const seqs = candidates(this.postings, log, search, { descending, first, last })
    const tail = () => last <= indexed ? [] : this.unindexed(log, reading, Math.max(first, indexed + 1), last)
    if (descending) yield* tail()
    yield* this.at(seqs, limit + 1)
    if (!descending) yield* tail()
  }

  /** One page. Throws what SQLite throws, and the errors of a reader. */
  page(reading: Reading): Page {
    const { after, descending, limit } = reading
    const log = integerOf(this.logId.get(reading.log.tenantId, reading.log.env), "id")
    if (log === undefined) return { items: [], next: undefined }
    const place = after === undefined ? undefined : this.postings.seqOf(log, after)
    if (after !== undefined && place === undefined) throw noSuchPlace
    const first = descending || place === undefined ? 1 : place + 1
    const last = descending && place !== undefined ? place - 1 : Number.MAX_SAFE_INTEGER
    const items: Array<Item> = []
    for (const row of this.rows(log, reading, first, last)) {
      const item = this.consider(row, log, reading.search)
      if (item !== undefined) items.push(item)
      if (items.length > limit) break
    }
    return pageOf(reading, items)
  }

  /** The event of an id, if the log has one. */
  get({ env, eventId, tenantId }: LogName & { readonly eventId: EventId }): Item | undefined {
    const log = integerOf(this.logId.get(tenantId, env), "id")
    const seq = this.postings.findById(eventId)?.seq
    return log === undefined || seq === undefined ? undefined : this.consider(this.bySeq.get(seq), log, everything)
  }

  sizeOf({ id, name, origin, stopped }: LogRef): LogInfo {
    return { ...name, origin, size: this.postings.sizeOf(id), stopped }
  }
}

/** How often a follower looks for commits, in milliseconds: a look takes microseconds, and reads no page. */
const lookEvery = 25

/** Watches for commits of any other connection, of this process or another: SQLite counts them. */
const watch = (gone: OpenReader["gone"], reader: DatabaseSync): Watch => {
  const version = reader.prepare("PRAGMA data_version")
  const now = () => version.get()?.["data_version"]
  let last: unknown
  return {
    committed: Effect.suspend(function look(): Effect.Effect<void> {
      const seen = now()
      // Whoever reads next hears that the file is gone.
      if (seen === last && gone(1000) === undefined) return Effect.delay(Effect.suspend(look), lookEvery)
      last = seen
      return Effect.void
    }),
    isBehind: Effect.sync(() => now() !== last)
  }
}

const over = ({ deadlineMillis, filename, gone, reader }: OpenReader) => {
  const pages = once(() => new PageReader(reader))
  const reading = <A>(method: string, read: () => A) =>
    Effect.mapError(
      untilFree(
        attempt(() => {
          const reason = gone(1000)
          if (reason !== undefined) throw new AuditError({ method, reason })
          return inOneTransaction(reader, read)
        }),
        deadlineMillis
      ),
      failing(method, filename)
    )
  return trailOver({
    page: (read) => reading("AuditTrail.query", () => pages().page(read)),
    watch: () => Effect.sync(() => watch(gone, reader)),
    get: Effect.fnUntraced(function*({ env, eventId, tenantId }) {
      const method = "AuditTrail.get"
      const item = yield* reading(method, () => pages().get({ tenantId, env, eventId }))
      return item ?? (yield* noSuchEvent(method, eventId))
    }),
    // The last entry of a quiet log may be far back: one log at a time, between which others run.
    logs: Effect.flatMap(
      reading("AuditTrail.logs", () => readLogs(reader)),
      Effect.forEach((log) => Effect.andThen(Effect.yieldNow, reading("AuditTrail.logs", () => pages().sizeOf(log))))
    )
  })
}

/** Builds the reader. */
export const make: Effect.Effect<AuditTrail["Service"], never, SqliteClient | Scope.Scope> = Effect.flatMap(
  SqliteClient,
  (file) => over(connectionOf(file))
)

/** Reads events from the client's file. */
export const layer: Layer.Layer<AuditTrail, never, SqliteClient> = Layer.effect(AuditTrail, make)

/** Reads events from a file that is opened for reading only, and never migrated. */
export const layerReadOnly = (options: ReadOptions): Layer.Layer<AuditTrail, AuditError> =>
  Layer.effect(AuditTrail, Effect.flatMap(openReader(options), over))
