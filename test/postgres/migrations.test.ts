/** Stores of earlier versions: opened by this release, they go on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { Ledger } from "effect-audit/ledger"
import { Postgres } from "effect-audit/postgres"
import { SqlClient } from "effect/sql/SqlClient"
import { storedEvents, within } from "../support.ts"
import { freshSchema, serverOfFile } from "./server.ts"

const file = serverOfFile()
const emitAll = (count: number) =>
  Effect.all(
    Array.from({ length: count }, (_, n) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())),
    { concurrency: "unbounded" }
  )

const storeOf = (schema: string, username = "postgres") =>
  Layer.fresh(
    Ledger.layer.pipe(
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(Postgres.layer({ schema })),
      Layer.provideMerge(file.server.client({ username, password: Redacted.make("secret") }))
    )
  )

const holds = Effect.map(
  Stream.runCollect(Ledger.verify()),
  (findings) => assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
)

const older: ReadonlyArray<readonly [version: string, what: string, back: (schema: string) => ReadonlyArray<string>]> =
  [
    ["3", "which does not find keys by their events", (s) => [`DROP INDEX ${s}.idempotency_key_of_event`]],
    ["1", "whose heads do not say which entry is the last", (s) => [
      `DROP INDEX ${s}.idempotency_key_of_event`,
      `DROP FUNCTION ${s}.grow(bigint, bigint, bytea, bigint[])`,
      `ALTER TABLE ${s}.head DROP COLUMN last`
    ]],
    ["2", "which cannot complete a tree by itself", (s) => [
      `DROP INDEX ${s}.idempotency_key_of_event`,
      `DROP FUNCTION ${s}.grow(bigint, bigint, bytea, bigint[])`
    ]]
  ]

describe.each(older)("a store of version %s, %s", (version, _what, back) => {
  it.live("is migrated by its owner, by many at once as by one, and its roles go on", () => {
    const schema = freshSchema()
    const role = `app_${process.pid}_${version}`
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* emitAll(300)
        yield* sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
        // Nobody may call a function unless told so.
        yield* sql.unsafe("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        yield* Postgres.grant({ schema, application: role })
        for (const statement of back(schema)) yield* sql.unsafe(statement)
        yield* sql.unsafe(`UPDATE ${schema}.store SET value = $1 WHERE name = 'version'`, [version])
      }).pipe(Effect.provide(storeOf(schema)))
      const refused = yield* Effect.flip(Effect.scoped(Layer.build(storeOf(schema, role))))
      assert.include(String(refused), "have their owner open the store once")
      yield* Effect.all(Array.from({ length: 4 }, () => Effect.provide(emitAll(5), storeOf(schema))), {
        concurrency: "unbounded"
      })
      yield* Effect.gen(function*() {
        yield* emitAll(300)
        assert.strictEqual((yield* storedEvents).length, 301 + 4 * 5 + 300)
        yield* holds
      }).pipe(Effect.provide(storeOf(schema, role)))
    })
  })
})
