/**
 * The state of relays in the database of the store: over the `SqlClient` of a SQLite file or of PostgreSQL.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { AuditError, InvalidInput, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { type Cursor, furthest, type Lease, type Parked, RelayState, type Status } from "./RelayState.ts"

/** Where the tables are. */
export interface Options {
  /** In PostgreSQL the schema of the store; `audit` unless given. */
  readonly schema?: string | undefined
}

type Row = Readonly<Record<string, unknown>>

/** SQLSTATE, where the database says one. */
const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? `, ${cause.code}`
    : ""

const failed = ({ reason }: SqlError): AuditError => {
  const detail = `the state of relays cannot be used (${reason._tag}${codeOf(reason.cause)})`
  return new AuditError({
    method: "RelayState",
    reason: reason._tag === "AuthorizationError"
      ? new SinkRejected({ detail: `${detail}: the role needs rights on its tables, as Postgres.grant gives them` })
      : new SinkUnavailable({ detail })
  })
}

const text = (row: Row, column: string): string => String(row[column] ?? "")
const number = (row: Row, column: string): number => Number(row[column])
const logOf = (row: Row): LogName => ({
  tenantId: TenantId.make(text(row, "tenant_id"), { disableChecks: true }),
  env: Env.make(text(row, "env"), { disableChecks: true })
})
const cursorOf = (row: Row): Cursor => ({ log: logOf(row), next: number(row, "next") })
const parkedOf = (row: Row): Parked => ({
  log: logOf(row),
  position: number(row, "position"),
  eventId: EventId.make(text(row, "event_id"), { disableChecks: true }),
  tries: number(row, "tries"),
  reason: text(row, "reason"),
  atMillis: number(row, "parked_at"),
  isDue: number(row, "due") === 1
})

/** The names of the tables, and the time of the database, which all processes share. */
const namesOf = (sql: SqlClient, schema: string) => {
  const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
  const table = (name: string): Fragment => sql.literal(isPostgres ? `"${schema}".${name}` : `audit_${name}`)
  return {
    relay: table("relay"),
    cursor: table("relay_cursor"),
    parked: table("relay_parked"),
    now: sql.literal(
      isPostgres
        ? "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        : "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    )
  }
}

const tables = (sql: SqlClient, { cursor, parked, relay }: ReturnType<typeof namesOf>) => [
  sql`CREATE TABLE IF NOT EXISTS ${relay} (name TEXT PRIMARY KEY, holder TEXT, lease_until BIGINT NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0, begun INTEGER NOT NULL DEFAULT 0, failure TEXT, failed_at BIGINT)`,
  sql`CREATE TABLE IF NOT EXISTS ${cursor} (relay TEXT NOT NULL, tenant_id TEXT NOT NULL, env TEXT NOT NULL,
    next BIGINT NOT NULL, PRIMARY KEY (relay, tenant_id, env))`,
  sql`CREATE TABLE IF NOT EXISTS ${parked} (relay TEXT NOT NULL, tenant_id TEXT NOT NULL, env TEXT NOT NULL,
    position BIGINT NOT NULL, event_id TEXT NOT NULL, tries INTEGER NOT NULL, reason TEXT NOT NULL,
    parked_at BIGINT NOT NULL, due INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (relay, tenant_id, env, position))`
]

/** Makes the tables where they are missing, whoever comes first. */
const prepare = Effect.fnUntraced(function*(sql: SqlClient, names: ReturnType<typeof namesOf>, schema: string) {
  const make = Effect.forEach(tables(sql, names), (statement) => statement, { discard: true })
  yield* sql.onDialectOrElse({
    pg: () =>
      Effect.flatMap(
        sql`SELECT to_regclass(${`"${schema}".relay_parked`}) IS NOT NULL AS found`,
        ([row]) =>
          row?.["found"] === true
            ? Effect.void
            : sql.withTransaction(
              Effect.andThen(
                sql`SELECT pg_advisory_xact_lock(hashtextextended(${`effect-audit relay ${schema}`}, 0))`,
                make
              )
            )
      ),
    orElse: () => make
  })
})

const read = Effect.mapError(failed)

/** What who delivers does. */
const delivering = (
  sql: SqlClient,
  { cursor, now, parked, relay: relays }: ReturnType<typeof namesOf>
): Pick<RelayState["Service"], "lease" | "release" | "begin" | "cursors" | "advance"> => ({
  lease: (relay, holder, millis) =>
    read(
      Effect.map(
        sql<Row>`INSERT INTO ${relays} (name, holder, lease_until) VALUES (${relay}, ${holder}, ${now} + ${millis})
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
            WHERE ${relays}.holder IS NULL OR ${relays}.holder = excluded.holder OR ${relays}.lease_until < ${now}
              OR ${relays}.lease_until > ${now} + ${furthest(millis)}
            RETURNING paused`,
        ([row]): Lease => row === undefined ? "elsewhere" : number(row, "paused") === 1 ? "paused" : "held"
      )
    ),
  release: (relay, holder) =>
    read(Effect.asVoid(sql`UPDATE ${relays} SET holder = NULL WHERE name = ${relay} AND holder = ${holder}`)),
  begin: (relay, all) =>
    read(sql.withTransaction(Effect.flatMap(
      sql<Row>`UPDATE ${relays} SET begun = 1 WHERE name = ${relay} AND begun = 0 RETURNING name`,
      (begun) =>
        Effect.forEach(begun.length === 0 ? [] : all, ({ log: { env, tenantId }, next }) =>
          sql`INSERT INTO ${cursor} (relay, tenant_id, env, next) VALUES (${relay}, ${tenantId}, ${env}, ${next})
            ON CONFLICT (relay, tenant_id, env) DO NOTHING`, { discard: true })
    ))),
  cursors: (relay) =>
    read(Effect.map(sql<Row>`SELECT * FROM ${cursor} WHERE relay = ${relay}`, (rows) => rows.map(cursorOf))),
  advance: ({ from, holder, log: { env, tenantId }, parked: events, relay, to }) => {
    const move = Effect.map(
      sql<Row>`INSERT INTO ${cursor} (relay, tenant_id, env, next) SELECT ${relay}, ${tenantId}, ${env}, ${to}
          FROM ${relays} WHERE name = ${relay} AND holder = ${holder} AND lease_until > ${now}
          ON CONFLICT (relay, tenant_id, env) DO UPDATE SET next = excluded.next WHERE ${cursor}.next = ${from}
          RETURNING next`,
      (moved) => moved.length > 0
    )
    const park = Effect.flatMap(
      Clock.currentTimeMillis,
      (at) =>
        Effect.forEach(
          events,
          ({ eventId, position, reason, tries }) =>
            sql`INSERT INTO ${parked} (relay, tenant_id, env, position, event_id, tries, reason, parked_at) VALUES
            (${relay}, ${tenantId}, ${env}, ${position}, ${eventId}, ${tries}, ${reason}, ${at})
            ON CONFLICT (relay, tenant_id, env, position) DO UPDATE SET tries = excluded.tries,
            reason = excluded.reason`,
          { discard: true }
        )
    )
    return read(
      events.length === 0
        ? move
        : sql.withTransaction(Effect.tap(move, (isMoved) => isMoved ? park : Effect.void))
    )
  }
})

/** What who operates a relay does. */
const operating = (
  sql: SqlClient,
  { cursor, now, parked, relay: relays }: ReturnType<typeof namesOf>
): Pick<RelayState["Service"], "fail" | "pause" | "moveTo" | "retry" | "repark" | "unpark"> => {
  const ensure = (relay: string) => sql`INSERT INTO ${relays} (name) VALUES (${relay}) ON CONFLICT (name) DO NOTHING`
  return {
    fail: (relay, holder, detail) =>
      read(Effect.asVoid(
        detail === undefined
          ? sql`UPDATE ${relays} SET failure = NULL WHERE name = ${relay} AND holder = ${holder}
            AND failure IS NOT NULL`
          : sql`UPDATE ${relays} SET failure = ${detail}, failed_at = ${now} WHERE name = ${relay}
            AND holder = ${holder}`
      )),
    pause: (relay, isPaused) =>
      read(
        Effect.andThen(
          ensure(relay),
          Effect.asVoid(sql`UPDATE ${relays} SET paused = ${isPaused ? 1 : 0} WHERE name = ${relay}`)
        )
      ),
    moveTo: (relay, { env, tenantId }, next) =>
      read(sql.withTransaction(
        Effect.forEach([
          ensure(relay),
          sql`INSERT INTO ${cursor} (relay, tenant_id, env, next) VALUES (${relay}, ${tenantId}, ${env}, ${next})
            ON CONFLICT (relay, tenant_id, env) DO UPDATE SET next = excluded.next`,
          sql`DELETE FROM ${parked} WHERE relay = ${relay} AND tenant_id = ${tenantId} AND env = ${env}
            AND position >= ${next}`
        ], (statement) =>
          statement, { discard: true })
      )),
    retry: (relay, eventId) =>
      read(
        Effect.map(
          eventId === undefined
            ? sql<Row>`UPDATE ${parked} SET due = 1 WHERE relay = ${relay} RETURNING 1 AS found`
            : sql<
              Row
            >`UPDATE ${parked} SET due = 1 WHERE relay = ${relay} AND event_id = ${eventId} RETURNING 1 AS found`,
          (found) => found.length
        )
      ),
    repark: (relay, { log: { env, tenantId }, position }, reason) =>
      read(Effect.asVoid(
        sql`UPDATE ${parked} SET due = 0, tries = tries + 1, reason = ${reason} WHERE relay = ${relay} AND
          tenant_id = ${tenantId} AND env = ${env} AND position = ${position}`
      )),
    unpark: (relay, { log: { env, tenantId }, position }) =>
      read(Effect.asVoid(
        sql`DELETE FROM ${parked} WHERE relay = ${relay} AND tenant_id = ${tenantId} AND env = ${env} AND
          position = ${position}`
      ))
  }
}

/** What is looked at. */
const looking = (
  sql: SqlClient,
  { cursor, now, parked, relay: relays }: ReturnType<typeof namesOf>
): Pick<RelayState["Service"], "parked" | "due" | "all"> => ({
  due: (relay) =>
    read(Effect.map(
      sql<Row>`SELECT * FROM ${parked} WHERE relay = ${relay} AND due = 1 ORDER BY tenant_id, env, position LIMIT 100`,
      (rows) => rows.map(parkedOf)
    )),
  parked: (relay) =>
    read(Effect.map(
      sql<Row>`SELECT * FROM ${parked} WHERE relay = ${relay} ORDER BY tenant_id, env, position`,
      (rows) => rows.map(parkedOf)
    )),
  all: read(Effect.gen(function*() {
    const found = yield* sql<
      Row
    >`SELECT name, CASE WHEN lease_until > ${now} THEN holder END AS holder, paused, failure,
        failed_at, (SELECT count(*) FROM ${parked} p WHERE p.relay = name) AS parked FROM ${relays} ORDER BY name`
    const cursors = Map.groupBy(
      yield* sql<Row>`SELECT * FROM ${cursor} ORDER BY tenant_id, env`,
      (row) => text(row, "relay")
    )
    return found.map((row): Status => ({
      relay: text(row, "name"),
      isPaused: number(row, "paused") === 1,
      holder: typeof row["holder"] === "string" ? row["holder"] : undefined,
      cursors: (cursors.get(text(row, "name")) ?? []).map(cursorOf),
      parked: number(row, "parked"),
      failure: typeof row["failure"] === "string"
        ? { detail: row["failure"], atMillis: number(row, "failed_at") }
        : undefined
    }))
  }))
})

/** Over a client. */
export const make = Effect.fnUntraced(function*(
  { schema = "audit" }: Options = {}
): Effect.fn.Return<RelayState["Service"], AuditError, SqlClient> {
  const client = yield* SqlClient
  // Columns keep their names, whatever the client makes of those of the application.
  const sql = client.withoutTransforms()
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    const reason = new InvalidInput({ path: "/schema", detail: "must be lower-case letters, digits and _" })
    return yield* new AuditError({ method: "RelayState", reason })
  }
  const names = namesOf(sql, schema)
  yield* read(prepare(sql, names, schema))
  return RelayState.of({ ...delivering(sql, names), ...operating(sql, names), ...looking(sql, names) })
})

/** The state of relays in the store's database. */
export const layer = (options?: Options | undefined): Layer.Layer<RelayState, AuditError, SqlClient> =>
  Layer.effect(RelayState, make(options))
