/** What someone with the owner's rights does to the rows is found; what roles may not do, they cannot. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { AuditLogger, type RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger } from "effect-audit/ledger"
import { Postgres } from "effect-audit/postgres"
import { SqlRelayState } from "effect-audit/relay"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql/SqlClient"
import { log, within } from "../support.ts"
import { everythingAt, faults, freshSchema, serverOfFile } from "./server.ts"

const file = serverOfFile()
const emit = (n: number, more: Partial<RequestContext.Json> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more))

const everything = (schema: string, username?: string) => everythingAt(file, schema, username)

describe("a DBA who rewrites rows", () => {
  const cases: ReadonlyArray<readonly [string, (s: string) => ReadonlyArray<string>, RegExp]> = [
    ["a body", (s) => [`UPDATE ${s}.event SET body = convert_to('{}', 'UTF8') WHERE position = 5`], /changed/],
    [
      "a time",
      (s) => [`UPDATE ${s}.event SET recorded_at = recorded_at + interval '1 day' WHERE position = 5`],
      /changed/
    ],
    ["a commitment", (s) => [`UPDATE ${s}.event SET commitment = sha256(commitment) WHERE position = 5`], /changed/],
    ["a row in the middle", (s) => [`DELETE FROM ${s}.event WHERE position = 5`], /missing/],
    ["the last rows", (s) => [`DELETE FROM ${s}.event WHERE position > 290`], /missing|truncated/],
    [
      "the last rows, and the head",
      (s) => [`DELETE FROM ${s}.event WHERE position > 290`, `UPDATE ${s}.head SET size = 291`],
      /truncated|inconsistent/
    ],
    [
      "the order of two",
      (s) => [
        `UPDATE ${s}.event SET position = -1 WHERE position = 5`,
        `UPDATE ${s}.event SET position = 5 WHERE position = 6`,
        `UPDATE ${s}.event SET position = 6 WHERE position = -1`
      ],
      /changed|reordered/
    ],
    ["a hash of the tree", (s) => [`UPDATE ${s}.subtree SET hash = sha256(hash)`], /changed|inconsistent/],
    ["a bundle", (s) => [`UPDATE ${s}.bundle SET commitments = sha256(commitments)`], /changed|missing/],
    ["a checkpoint", (s) => [`UPDATE ${s}.checkpoint SET note = 'x'`], /signature|inconsistent|changed/],
    ["an erasure that was none", (s) => [
      `UPDATE ${s}.event SET body = NULL, salt = NULL, recorded_at = NULL, terms = NULL, erased_at = now() ` +
      "WHERE position = 5"
    ], /./],
    ["a guard", (s) => [`ALTER TABLE ${s}.event DISABLE TRIGGER event_is_final`], /guard/],
    ["another guard", (s) => [`DROP TRIGGER bundle_grows ON ${s}.bundle`], /guard/],
    ["what guards do", (s) => [
      `CREATE OR REPLACE FUNCTION ${s}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`
    ], /guard/]
  ]
  for (const [what, statements, fault] of cases) {
    it.live(`is found: ${what}`, () => {
      const schema = freshSchema()
      return Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* Effect.forEach(Array.from({ length: 300 }, (_, n) => n), (n) => emit(n), { concurrency: 64 })
        yield* Ledger.checkpoint(log)
        assert.deepStrictEqual(yield* faults, [])
        for (const statement of statements(schema)) {
          // Through SQL it is refused, as long as the guards are there.
          if (!/TRIGGER|FUNCTION|erased_at|= -1$/.test(statement)) {
            assert.isTrue((yield* Effect.exit(sql.unsafe(statement)))._tag === "Failure", statement)
          }
        }
        yield* sql.withTransaction(Effect.andThen(
          sql.unsafe("SET LOCAL session_replication_role = replica"),
          Effect.forEach(statements(schema), (statement) => sql.unsafe(statement))
        ))
        const found = yield* faults
        assert.isTrue(found.some((one) => fault.test(one.fault)), JSON.stringify(found.slice(0, 5)))
      }).pipe(Effect.provide(everything(schema)))
    })
  }

  it.live("and takes the end of a log away stops it", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* Effect.forEach(Array.from({ length: 30 }, (_, n) => n), (n) => emit(n), { concurrency: 64 })
        yield* sql.withTransaction(Effect.andThen(
          sql.unsafe("SET LOCAL session_replication_role = replica"),
          sql.unsafe(`DELETE FROM ${schema}.event WHERE position > 20`)
        ))
      }).pipe(Effect.provide(everything(schema)))
      const stopped = yield* Effect.flip(Effect.provide(emit(1), Layer.fresh(everything(schema))))
      assert.include(String(stopped), "the log had 31 entries, and 21 are in the store")
    })
  })
})

describe("roles", () => {
  it.live("the application records and reads, and cannot change or remove an event; another role erases", () => {
    const schema = freshSchema()
    const names = { application: `${schema}_app`, erasure: `${schema}_erasure`, reader: `${schema}_reader` }
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* emit(0)
        yield* emit(0, { tenantId: "t_globex" })
        for (const name of Object.values(names)) yield* sql.unsafe(`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`)
        yield* Postgres.grant({ schema, ...names })
        yield* Postgres.grant({ schema, ...names })
      }).pipe(Effect.provide(everything(schema)))
      const over = (username: string) =>
        Layer.fresh(
          Erasure.layer.pipe(
            Layer.provideMerge(AuditLogger.layer()),
            Layer.provideMerge(Postgres.layer({ schema })),
            Layer.provideMerge(file.server.client({ username, password: Redacted.make("secret") }))
          )
        )
      const refused = (statement: string) =>
        Effect.flatMap(
          SqlClient,
          (sql) =>
            Effect.map(Effect.flip(sql.unsafe(statement)), ({ reason }) =>
              assert.strictEqual(reason._tag, "AuthorizationError", statement))
        )
      const erasing = Erasure.erase({ person: "u1", reason: "r" }).pipe(within({ actor: { type: "human", id: "dpo" } }))
      yield* Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 300 }, (_, n) => n), (n) => emit(n), { concurrency: 64 })
        yield* emit(1, { tenantId: "t_new" })
        assert.strictEqual((yield* AuditTrail.query({ ...log, limit: 1000 })).items.length, 302)
        for (
          const change of [
            "UPDATE @.event SET body = NULL",
            "DELETE FROM @.event",
            "TRUNCATE @.event",
            "UPDATE @.checkpoint SET note = ''",
            "DELETE FROM @.bundle",
            "UPDATE @.log SET origin = ''",
            "UPDATE @.head SET log = 1",
            "DROP TABLE @.event",
            "ALTER TABLE @.event DISABLE TRIGGER ALL",
            "INSERT INTO @.erasure (log, erased_at) VALUES (1, now())"
          ]
        ) {
          if (change.startsWith("DROP") || change.startsWith("ALTER")) {
            const sql = yield* SqlClient
            assert.strictEqual((yield* Effect.exit(sql.unsafe(change.replace("@", schema))))._tag, "Failure")
          } else yield* refused(change.replace("@", schema))
        }
        assert.include(String(yield* Effect.flip(erasing)), "42501")
        // It may relay.
        const state = yield* SqlRelayState.make({ schema })
        assert.strictEqual(yield* state.lease("siem", "h", 1000), "held")
        yield* state.begin("siem", [])
        assert.isTrue(yield* state.advance({ relay: "siem", holder: "h", log, from: 0, to: 1, parked: [] }))
      }).pipe(Effect.provide(over(names.application)))
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* erasing).count, 301)
        // It is not the owner: the bytes wait for a vacuum.
        yield* refused(`DELETE FROM ${schema}.event`)
      }).pipe(Effect.provide(over(names.erasure)))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        const count = (table: string) =>
          Effect.map(
            sql.unsafe<{ readonly n: number }>(`SELECT count(*)::int AS n FROM ${schema}.${table}`),
            ([row]) => row?.n
          )
        assert.deepStrictEqual([yield* count("event"), yield* count("log")], [0, 0])
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe("SET LOCAL audit.tenant = 't_globex'")
          assert.deepStrictEqual([yield* count("event"), yield* count("log"), yield* count("head")], [2, 1, 1])
        }))
        yield* refused(`INSERT INTO ${schema}.log (tenant_id, env, origin) VALUES ('x', 'y', 'z')`)
        yield* refused(`SELECT * FROM ${schema}.preference`)
      }).pipe(
        Effect.provide(Layer.fresh(file.server.client({ username: names.reader, password: Redacted.make("secret") })))
      )
    })
  })
})
