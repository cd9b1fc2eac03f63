/**
 * Reads events from a SQLite file.
 *
 * Finds them in the search index, segment by segment (`terms.ts`), and what is not indexed yet by reading it, in one read
 * transaction per page: so a query sees every event that was acknowledged before it began. What is found is always
 * compared with what was asked for.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AuditError, InvalidCursor, SinkRejected } from "../AuditError.ts"
import { EventId, searchKeys, WireFromText } from "../DatasetEvent.ts"
import { uuidText } from "../internal/entropy.ts"
import { AuditTrail, type Item, type Page, type Query } from "../trail/AuditTrail.ts"
import { checkQuery, decodeCursor, encodeCursor, type Place } from "../trail/cursor.ts"
import { type Condition, conditions, matches } from "../trail/Filter.ts"
import { isBusy, Problem } from "./problem.ts"
import { backoff, reasonOf, SqliteClient } from "./SqliteClient.ts"
import { bucketOf, intersect, logTerm, offsetsOf, segmentRows, term } from "./terms.ts"

const method = "AuditTrail.query"

const Row = Schema.Struct({
  seq: Schema.Int,
  log: Schema.Int,
  position: Schema.Int,
  recorded_at: Schema.NullOr(Schema.Int),
  event_id: Schema.Uint8Array,
  body: Schema.NullOr(Schema.Uint8Array)
})
const decodeRow = Schema.decodeUnknownSync(Row)
const decodeBody = Schema.decodeUnknownSync(WireFromText)
const Number64 = Schema.Struct({ value: Schema.NullOr(Schema.Int) })
const decodeNumber = Schema.decodeUnknownSync(Schema.UndefinedOr(Number64))
const decodePosting = Schema.decodeUnknownSync(Schema.UndefinedOr(Schema.Struct({ postings: Schema.Uint8Array })))
const decodeTimes = Schema.decodeUnknownSync(Schema.UndefinedOr(Schema.Struct({ min: Schema.Int, max: Schema.Int })))

/** The bytes that the body of an event has if it meets the condition; they may also occur elsewhere in it. */
const needle = ([field, value]: Condition): string => {
  if (field === "action" && value.endsWith(".*")) return JSON.stringify({ action: value.slice(0, -1) }).slice(1, -2)
  if (field === "train_ok") return `"train_ok":${value}`
  const name = field === "resource_type" ? "type" : field === "resource_id" ? "id" : field
  return JSON.stringify({ [name]: value }).slice(1, -1)
}

const columns = "seq, log, position, recorded_at, event_id, body"

/** Builds the reader. */
export const make: Effect.Effect<AuditTrail["Service"], never, SqliteClient> = Effect.gen(function*() {
  const { deadlineMillis, filename, reader } = yield* SqliteClient
  const logId = reader.prepare("SELECT id AS value FROM log WHERE tenant_id = ? AND env = ?")
  const lastSegment = reader.prepare("SELECT max(id) AS value FROM segment")
  const times = reader.prepare("SELECT min_recorded_at AS min, max_recorded_at AS max FROM segment WHERE id = ?")
  const posting = reader.prepare("SELECT postings FROM bucket WHERE segment = ? AND bucket = ?")
  const bySeq = reader.prepare(`SELECT ${columns} FROM event WHERE seq = ?`)

  /** Rows of the log that are not indexed, in the order of the query. */
  const unindexed = (log: number, query: Query, wanted: ReadonlyArray<Condition>, from: number, until: number) => {
    const needles = wanted.map((condition) => Buffer.from(needle(condition)))
    const order = (query.order ?? "desc") === "desc" ? "DESC" : "ASC"
    return reader.prepare(
      `SELECT ${columns} FROM event WHERE seq BETWEEN ? AND ? AND log = ?${
        needles.map(() => " AND instr(body, ?) > 0").join("")
      } ORDER BY seq ${order}`
    ).iterate(from, until, log, ...needles)
  }

  /** Rows of a segment that may match, in the order of the query. */
  const candidates = (segment: number, terms: ReadonlyArray<number>): ReadonlyArray<number> => {
    let found: Array<number> | undefined
    for (const wanted of terms) {
      const row = decodePosting(posting.get(segment, bucketOf(wanted)))
      const offsets = row === undefined ? [] : offsetsOf(row.postings, wanted)
      found = found === undefined ? offsets : intersect(found, offsets)
      if (found.length === 0) return []
    }
    return found ?? []
  }

  const readPage = (query: Query, place: Place | undefined): Page | AuditError => {
    const log = decodeNumber(logId.get(query.tenantId, query.env))?.value ?? undefined
    if (log === undefined) return { items: [], next: undefined }
    if (place !== undefined) {
      const row = bySeq.get(place.seq)
      if (row?.["log"] !== log || row["position"] !== place.position) {
        return new AuditError({ method, reason: new InvalidCursor({ detail: "there is no such place in this log" }) })
      }
    }
    const filter = query.filter ?? {}
    const wanted = conditions(filter)
    const filtered = wanted.length > 0 || filter.since !== undefined || filter.until !== undefined
    const limit = query.limit ?? 100
    const found: Array<{ readonly seq: number; readonly item: Item }> = []
    const full = () => found.length > limit
    const consider = (input: unknown): void => {
      const row = decodeRow(input)
      if (row.log !== log) return
      const { position, seq } = row
      const eventId = EventId.make(uuidText(row.event_id))
      if (row.body === null || row.recorded_at === null) {
        if (!filtered) found.push({ seq, item: { erased: true, position, eventId } })
        return
      }
      const event = decodeBody(Buffer.from(row.body.buffer, row.body.byteOffset, row.body.length).toString("utf8"))
      if (matches(searchKeys(event), row.recorded_at, wanted, filter)) {
        found.push({ seq, item: { erased: false, position, eventId, event } })
      }
    }
    const descending = (query.order ?? "desc") === "desc"
    const first = descending ? 1 : place === undefined ? 1 : place.seq + 1
    const last = descending && place !== undefined ? place.seq - 1 : Number.MAX_SAFE_INTEGER
    const segments = (decodeNumber(lastSegment.get())?.value ?? -1) + 1
    const indexed = segments * segmentRows
    const readTail = () => {
      if (last <= indexed) return
      for (const row of unindexed(log, query, wanted, Math.max(first, indexed + 1), last)) {
        consider(row)
        if (full()) return
      }
    }
    const terms = [...wanted.map(([field, value]) => term(field, value)), logTerm(log)]
    const readSegment = (segment: number) => {
      const span = filter.since === undefined && filter.until === undefined
        ? undefined
        : decodeTimes(times.get(segment))
      if (span !== undefined && (span.max < (filter.since ?? 0) || span.min >= (filter.until ?? Infinity))) return
      const offsets = candidates(segment, terms)
      for (let i = 0; i < offsets.length && !full(); i++) {
        const seq = segment * segmentRows + 1 + offsets[descending ? offsets.length - 1 - i : i]!
        if (seq >= first && seq <= last) consider(bySeq.get(seq))
      }
    }
    if (descending) {
      readTail()
      for (let s = Math.min(segments - 1, Math.floor((last - 1) / segmentRows)); s >= 0 && !full(); s--) readSegment(s)
    } else {
      for (let s = Math.floor((first - 1) / segmentRows); s < segments && !full(); s++) readSegment(s)
      if (!full()) readTail()
    }
    const page = found.slice(0, limit)
    const end = page.at(-1)
    const next = full() && end !== undefined
      ? encodeCursor(query, { seq: end.seq, position: end.item.position })
      : undefined
    return { items: page.map(({ item }) => item), next }
  }

  const inOneTransaction = (query: Query, place: Place | undefined): Page | AuditError => {
    reader.exec("BEGIN")
    try {
      return readPage(query, place)
    } finally {
      reader.exec("COMMIT")
    }
  }

  const failed = (cause: unknown): AuditError =>
    new AuditError({
      method,
      reason: Schema.isSchemaError(cause)
        ? new SinkRejected({ detail: `a row of ${filename} is not an event: ${cause.message}` })
        : reasonOf(new Problem({ cause }), filename, false)
    })

  const read = (
    query: Query,
    place: Place | undefined,
    until: number,
    tries: number
  ): Effect.Effect<Page, AuditError> =>
    Effect.suspend(() => {
      try {
        const page = inOneTransaction(query, place)
        return page instanceof AuditError ? Effect.fail(page) : Effect.succeed(page)
      } catch (cause) {
        if (!isBusy(cause)) return Effect.fail(failed(cause))
        return Effect.flatMap(Clock.currentTimeMillis, (now) =>
          now > until
            ? Effect.fail(failed(cause))
            : Effect.andThen(Effect.sleep(backoff(tries)), read(query, place, until, tries + 1)))
      }
    })

  return AuditTrail.of({
    query: Effect.fnUntraced(function*(query) {
      const refused = checkQuery(query)
      if (refused !== undefined) return yield* refused
      const place = decodeCursor(query)
      if (place instanceof AuditError) return yield* place
      const now = yield* Clock.currentTimeMillis
      return yield* read(query, place, now + deadlineMillis, 0)
    })
  })
})

/** Reads events from the client's file. */
export const layer: Layer.Layer<AuditTrail, never, SqliteClient> = Layer.effect(AuditTrail, make)
