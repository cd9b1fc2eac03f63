/**
 * What the port reads, as statements that are run on any connection. Rows are as they are in the database: someone may
 * have changed them.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import { personNeedle } from "../internal/body.ts"
import { blobOf, integerOf, type Row, stringOf } from "../internal/row.ts"
import type {
  EventRange,
  Hold,
  Log,
  LogReader,
  LogRef,
  NotePage,
  Run as TileRun,
  StoredEvent
} from "../ledger/LogStore.ts"
import { hashBytes, runLength } from "../ledger/treeReader.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import type { Run } from "./database.ts"
import { failing } from "./problem.ts"

/** A time as milliseconds since 1970. */
export const millisOf = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8 AS ${column}`

/** The columns of an event, as JavaScript has them. */
export const eventColumns = "log::float8 AS log, position::float8 AS position, uuid_send(event_id) AS event_id, " +
  `commitment, erased_at IS NOT NULL AS erased, ${millisOf("recorded_at")}, salt, body`

/** Rows of one step, and bytes of their bodies. */
const stepRows = 1024
const stepBytes = 4_194_304

/**
 * Some rows in an order, until there are as many or as large ones as a step has; those at one place are in one step, as
 * the next begins behind it.
 */
const stepOf = (s: string, where: string, order: string): string =>
  `SELECT ${eventColumns} FROM (SELECT *, sum(octet_length(body)) ` +
  `OVER (ORDER BY ${order} RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS before ` +
  `FROM ${s}.event WHERE ${where} ORDER BY ${order} FETCH FIRST ${stepRows} ROWS WITH TIES) AS step ` +
  `WHERE coalesce(before, 0) < ${stepBytes} ORDER BY ${order}`

/** A column that the table's definition says is there: if it is not, the table is not what it says it is. */
const there = <A>(value: A | undefined, column: string): A => {
  if (value === undefined) throw new Error(`the column ${column} does not hold what its table says`)
  return value
}

const unreadable = (method: string, cause: unknown): AuditError =>
  new AuditError({
    method,
    reason: new SinkRejected({ detail: cause instanceof Error ? cause.message : "a row cannot be read" })
  })

/** A row of an event. */
export const eventOf = (row: Row): StoredEvent => {
  const position = there(integerOf(row, "position"), "position")
  return {
    row: position,
    log: there(integerOf(row, "log"), "log"),
    position,
    eventId: there(blobOf(row, "event_id"), "event_id"),
    commitment: there(blobOf(row, "commitment"), "commitment"),
    erased: row["erased"] === true,
    recordedAtMillis: integerOf(row, "recorded_at"),
    salt: blobOf(row, "salt"),
    body: blobOf(row, "body")
  }
}

const refOf = (row: Row): LogRef => {
  const first = { origin: there(stringOf(row, "origin"), "origin"), since: 0 }
  const later: ReadonlyArray<unknown> = Array.isArray(row["origins"]) ? row["origins"] : []
  const since: ReadonlyArray<unknown> = Array.isArray(row["sinces"]) ? row["sinces"] : []
  const origins = [first, ...later.map((origin, at) => ({ origin: String(origin), since: Number(since[at]) }))]
  return {
    id: there(integerOf(row, "id"), "id"),
    name: {
      tenantId: TenantId.make(there(stringOf(row, "tenant_id"), "tenant_id"), { disableChecks: true }),
      env: Env.make(there(stringOf(row, "env"), "env"), { disableChecks: true })
    },
    origin: origins.at(-1)?.origin ?? first.origin,
    origins,
    stopped: stringOf(row, "stopped")
  }
}

const holdOf = (row: Row): Hold => {
  const eventId = stringOf(row, "event_id")
  return {
    name: there(stringOf(row, "name"), "name"),
    person: stringOf(row, "user_id"),
    eventId: eventId === undefined ? undefined : EventId.make(eventId, { disableChecks: true }),
    sinceMillis: integerOf(row, "since"),
    beforeMillis: integerOf(row, "before")
  }
}

/** Reads logs through one way of running statements. */
export class LogRows implements LogReader {
  private readonly query: Run
  private readonly s: string
  private readonly method: string

  constructor(query: Run, schema: string, method: string) {
    this.query = query
    this.s = schema
    this.method = method
  }

  /** Runs a statement, and makes something of its rows. */
  private read<A>(
    text: string,
    params: ReadonlyArray<unknown>,
    make: (rows: ReadonlyArray<Row>) => A
  ): Effect.Effect<A, AuditError> {
    const { method } = this
    return Effect.flatMap(
      Effect.mapError(this.query(text, params), failing(method)),
      (rows) => Effect.try({ try: () => make(rows), catch: (cause) => unreadable(method, cause) })
    )
  }

  private refs(where: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Log>, AuditError> {
    const { s } = this
    return this.read(
      `SELECT l.id::float8 AS id, l.tenant_id, l.env, l.origin, t.detail AS stopped, ` +
        `(SELECT coalesce(max(position), -1) + 1 FROM ${s}.event e WHERE e.log = l.id)::float8 AS size, ` +
        `ARRAY(SELECT o.origin FROM ${s}.origin o WHERE o.log = l.id ORDER BY o.since) AS origins, ` +
        `ARRAY(SELECT o.since::float8 FROM ${s}.origin o WHERE o.log = l.id ORDER BY o.since) AS sinces ` +
        `FROM ${s}.log l LEFT JOIN ${s}.stop t ON t.log = l.id ${where} ORDER BY l.tenant_id COLLATE "C", l.env`,
      params,
      (rows) => rows.map((row) => ({ ...refOf(row), size: there(integerOf(row, "size"), "size") }))
    )
  }

  get logs(): Effect.Effect<ReadonlyArray<Log>, AuditError> {
    return this.refs("", [])
  }

  readonly log = ({ env, tenantId }: LogName): Effect.Effect<Log | undefined, AuditError> =>
    Effect.map(this.refs("WHERE l.tenant_id = $1 AND l.env = $2", [tenantId, env]), ([log]) => log)

  readonly tiles = (
    log: Pick<LogRef, "id">,
    runs: ReadonlyArray<TileRun>
  ): Effect.Effect<ReadonlyArray<Uint8Array>, AuditError> => {
    const tiers = runs.map(({ tier }) => BigInt(tier))
    const firsts = runs.map(({ first, tier }) => BigInt(tier === 0 ? first / runLength : first))
    const counts = runs.map(({ count, tier }) => BigInt(tier === 0 ? 1 : count))
    const { s } = this
    return this.read(
      `SELECT r.n::int4 AS n, b.idx::float8 AS idx, b.commitments AS hashes FROM ` +
        `unnest($2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY AS r(tier, first, count, n) ` +
        `JOIN ${s}.bundle b ON r.tier = 0 AND b.log = $1::int8 AND b.idx = r.first UNION ALL ` +
        `SELECT r.n::int4, t.idx::float8, t.hash FROM ` +
        `unnest($2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY AS r(tier, first, count, n) ` +
        `JOIN ${s}.subtree t ON r.tier > 0 AND t.log = $1::int8 AND t.level = r.tier * 8 AND ` +
        `t.idx >= r.first AND t.idx < r.first + r.count ORDER BY 1, 2`,
      [BigInt(log.id), tiers, firsts, counts],
      (rows) => {
        const found = Map.groupBy(rows, (row) => integerOf(row, "n"))
        return runs.map((run, at) => tileOf(run, found.get(at + 1) ?? []))
      }
    )
  }

  readonly commitments = (log: Pick<LogRef, "id">, from: number, to: number): Effect.Effect<Uint8Array, AuditError> =>
    this.read(
      `SELECT position::float8 AS position, commitment FROM ${this.s}.event e WHERE log = $1 AND position >= $2 ` +
        "AND position < $3 ORDER BY e.position",
      [BigInt(log.id), BigInt(from), BigInt(to)],
      (rows) => {
        const missing = rows.findIndex((row, at) =>
          integerOf(row, "position") !== from + at || blobOf(row, "commitment")?.length !== hashBytes
        )
        const dense = missing === -1 ? rows : rows.slice(0, missing)
        return Buffer.concat(dense.map((row) => there(blobOf(row, "commitment"), "commitment")))
      }
    )

  readonly notes = (log: LogRef, page: NotePage) => {
    const select = `SELECT size::float8 AS size, key_id::float8 AS key_id, note FROM ${this.s}.checkpoint ` +
      "WHERE log = $1"
    const [text, params] = "newest" in page
      ? [`${select} ORDER BY size DESC, signed_at DESC LIMIT $2`, [BigInt(page.newest)]]
      : "size" in page
      ? [`${select} AND size = $2 ORDER BY signed_at DESC`, [BigInt(page.size)]]
      : [
        `${select} AND (size, key_id) > ($2, $3) ORDER BY size, key_id LIMIT $4`,
        [BigInt(page.after.size), BigInt(page.after.keyId), BigInt(page.limit)]
      ]
    return this.read(text, [BigInt(log.id), ...params], (rows) =>
      rows.map((row) => ({
        size: there(integerOf(row, "size"), "size"),
        keyId: there(integerOf(row, "key_id"), "key_id"),
        note: there(stringOf(row, "note"), "note")
      })))
  }

  readonly find = (log: LogRef, eventIds: ReadonlyArray<EventId>) =>
    this.read(
      `SELECT ${eventColumns} FROM ${this.s}.event WHERE event_id = ANY($2::uuid[]) AND log = $1 ORDER BY position`,
      [BigInt(log.id), [...eventIds]],
      (rows) => rows.map(eventOf)
    )

  readonly holds = (log: LogRef) =>
    this.read(
      `SELECT name, user_id, event_id::text AS event_id, ${millisOf("since")}, ${millisOf("before")} ` +
        `FROM ${this.s}.hold WHERE log = $1 ORDER BY id`,
      [BigInt(log.id)],
      (rows) => rows.map(holdOf)
    )

  readonly events = (log: LogRef, range: EventRange = {}): Stream.Stream<ReadonlyArray<StoredEvent>, AuditError> => {
    const params: Array<unknown> = []
    let where = "log = $1 AND position >= $2 AND position <= $3"
    if (range.person !== undefined) {
      where += ` AND position($${params.push(personNeedle(range.person)) + 3}::bytea IN body) > 0`
    }
    if (range.beforeMillis !== undefined) {
      where += ` AND recorded_at < to_timestamp($${params.push(range.beforeMillis) + 3}::float8 / 1000)`
    }
    const text = stepOf(this.s, where, "position")
    const last = this.read(
      `SELECT coalesce(max(position), -1)::float8 AS last FROM ${this.s}.event WHERE log = $1`,
      [BigInt(log.id)],
      ([row]) => integerOf(row, "last") ?? -1
    )
    return Stream.unwrap(
      Effect.map(last, (last) =>
        Stream.unfold(range.from ?? 0, (from) =>
          from > last ? Effect.undefined : this.read(
            text,
            [BigInt(log.id), BigInt(from), BigInt(last), ...params],
            (rows) => rows.map(eventOf)
          ).pipe(Effect.map((events) => {
            const end = events.at(-1)
            return end === undefined ? undefined : [events, end.position + 1] as const
          }))))
    )
  }

  /** Every row of an event, of one log or of all and of none, by log and position. */
  readonly scan = (only?: LogRef | undefined) => {
    const where = only === undefined ? "" : "log = $3 AND "
    const text = stepOf(this.s, `${where}(log, position) > ($1, $2)`, "log, position")
    const start = { log: only?.id ?? Number.MIN_SAFE_INTEGER, position: Number.MIN_SAFE_INTEGER, seen: 0 }
    return Stream.unfold(start, ({ log, position, seen }) =>
      this.read(
        text,
        [BigInt(log), BigInt(position), ...only === undefined ? [] : [BigInt(only.id)]],
        (rows) => rows.map(eventOf)
      ).pipe(Effect.map((events) => {
        const end = events.at(-1)
        const next = seen + events.length
        return end === undefined
          ? undefined
          : [{ seen: next, events }, { log: end.log, position: end.position, seen: next }] as const
      })))
  }
}

/** Hashes of a run, short at the first one missing. */
const tileOf = ({ count, first, tier }: TileRun, rows: ReadonlyArray<Row>): Uint8Array => {
  if (tier === 0) {
    const found = rows[0] === undefined ? undefined : blobOf(rows[0], "hashes")
    return found === undefined
      ? new Uint8Array(0)
      : found.subarray(0, Math.min(count, Math.floor(found.length / hashBytes)) * hashBytes)
  }
  const hashes: Array<Uint8Array> = []
  for (const [at, row] of rows.entries()) {
    const hash = blobOf(row, "hashes")
    if (integerOf(row, "idx") !== first + at || hash?.length !== hashBytes) break
    hashes.push(hash)
  }
  return Buffer.concat(hashes)
}
