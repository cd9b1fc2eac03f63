/** The application's own use of the file: its transactions, streams and settings on the shared connection. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { ledgerAt, log, sqlite, sqliteAt, temporaryFile, within } from "../support.ts"

const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const outcomes = Effect.map(
  AuditTrail.query({ ...log, order: "asc" }),
  ({ items }) => items.slice(1).map((item) => item.erased ? "" : `${item.event.action} ${item.event.outcome}`)
)

describe("a transaction that SQLite ended by itself", () => {
  it.live("lets no later statement of it commit, and is recorded as the failure that it is", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)`
      yield* sql`INSERT INTO account VALUES (1, 100), (2, 0)`
      const transfer = Effect.gen(function*() {
        yield* sql`UPDATE account SET cents = cents - 70 WHERE id = 1`
        yield* Effect.exit(sql`INSERT OR ROLLBACK INTO account VALUES (1, 0)`)
        yield* sql`UPDATE account SET cents = cents + 70 WHERE id = 2`
      })
      const exit = yield* Effect.exit(
        AuditLogger.audited(transfer, { action: "money.move", transaction: true }).pipe(within())
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(yield* sql`SELECT cents FROM account ORDER BY id`, [{ cents: 100 }, { cents: 0 }])
      assert.deepStrictEqual(yield* outcomes, ["money.move failure"])
      // The next one is a transaction again.
      yield* AuditLogger.audited(sql`UPDATE account SET cents = 1 WHERE id = 2`, {
        action: "money.move",
        transaction: true
      }).pipe(within())
      assert.deepStrictEqual(yield* outcomes, ["money.move failure", "money.move success"])
    }).pipe(Effect.provide(sqlite)))

  it.live("takes no event any more, and lets its caller not wait", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE account (id INTEGER PRIMARY KEY)`
      yield* sql`INSERT INTO account VALUES (1)`
      for (const end of ["INSERT OR ROLLBACK INTO account VALUES (1)", "ROLLBACK", "COMMIT"]) {
        let error: unknown
        const exit = yield* Effect.exit(sql.withTransaction(
          Effect.exit(sql.unsafe(end)).pipe(
            Effect.andThen(Effect.flip(emit(1))),
            Effect.tap((refused) => Effect.sync(() => error = refused.reason._tag))
          )
        ))
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(error, "SinkRejected", end)
      }
      assert.deepStrictEqual(yield* outcomes, [])
      assert.strictEqual((yield* emit(2)).position, 1)
      assert.strictEqual((yield* sql.withTransaction(emit(3))).position, 2)
    }).pipe(Effect.provide(sqlite)))

  it.live("does not commit as if nothing had been, where nothing follows", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE account (id INTEGER PRIMARY KEY)`
      yield* sql`INSERT INTO account VALUES (1)`
      const exit = yield* Effect.exit(
        sql.withTransaction(Effect.andThen(emit(1), Effect.exit(sql`INSERT OR ROLLBACK INTO account VALUES (1)`)))
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(yield* outcomes, [])
      assert.strictEqual((yield* emit(2)).position, 1)
    }).pipe(Effect.provide(sqlite)))
})

describe("a stream of rows", () => {
  it.live("does not keep the connection: an event for each row is stored while it is consumed", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE note (n INTEGER)`
      for (const n of [1, 2, 3]) yield* sql`INSERT INTO note VALUES (${n})`
      const stream = sql<{ readonly n: number }>`SELECT n FROM note ORDER BY n`.stream
      const receipts = yield* Stream.runCollect(Stream.mapEffect(stream, ({ n }) => emit(n)))
      assert.deepStrictEqual([...receipts].map(({ position }) => position), [1, 2, 3])
      // In a transaction as well, where it is the transaction's.
      const inside = yield* sql.withTransaction(Stream.runCollect(Stream.mapEffect(stream, ({ n }) => emit(n))))
      assert.deepStrictEqual([...inside].map(({ durability }) => durability), Array(3).fill("with-transaction"))
    }).pipe(Effect.provide(sqlite)))
})

describe("settings of the application's", () => {
  it.live("do not make a receipt say more than is true: commits stay synced, a transaction that is not is refused", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const synchronous = Effect.map(
        sql<{ readonly synchronous: number }>`PRAGMA synchronous`,
        ([row]) => row?.synchronous
      )
      yield* sql`PRAGMA synchronous = OFF`
      assert.strictEqual(yield* synchronous, 0)
      const inside = yield* Effect.flip(sql.withTransaction(emit(1)))
      assert(inside._tag === "AuditError" && inside.reason._tag === "SinkRejected")
      assert.strictEqual((yield* emit(2)).durability, "committed")
      assert.strictEqual(yield* synchronous, 2)
      assert.strictEqual((yield* sql.withTransaction(emit(3))).durability, "with-transaction")
    }).pipe(Effect.provide(sqlite)))

  it.live("do not leave erased bytes in the file", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const text = Array.from({ length: 400 }, (_, n) => `quokka ${n}`).join(", ")
        const { eventId } = yield* AuditLogger.emit({ action: "note.create", input: { text } }).pipe(within())
        yield* emit(1)
        yield* sql`PRAGMA secure_delete = OFF`
        const { scrubbed } = yield* Erasure.erase({ eventIds: [eventId], reason: "r" }).pipe(within())
        assert.isTrue(scrubbed)
        assert.isFalse(readFileSync(filename).includes("quokka 7"))
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))
})

describe("a database of the application's", () => {
  it.live("keeps its own marks and tables, whatever their names, and is opened again without being told", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const db = new DatabaseSync(filename)
      db.exec("PRAGMA application_id = 77; PRAGMA user_version = 12")
      for (const name of ["event", "log", "hold", "bundle", "preference", "checkpoint"]) {
        db.exec(`CREATE TABLE ${name} (mine INTEGER); INSERT INTO ${name} VALUES (7)`)
      }
      db.close()
      const refused = yield* Effect.flip(Effect.provide(emit(1), sqliteAt({ filename })))
      assert.strictEqual(refused.reason._tag, "SinkRejected")
      assert.include(refused.message, "adopt")
      yield* Effect.provide(emit(1), sqliteAt({ filename, adopt: true }))
      assert.strictEqual((yield* Effect.provide(emit(2), sqliteAt({ filename }))).position, 2)
      const after = new DatabaseSync(filename, { readOnly: true })
      assert.deepStrictEqual({ ...after.prepare("PRAGMA application_id").get() }, { application_id: 77 })
      assert.deepStrictEqual({ ...after.prepare("PRAGMA user_version").get() }, { user_version: 12 })
      for (const name of ["event", "log", "hold", "bundle", "preference", "checkpoint"]) {
        assert.deepStrictEqual({ ...after.prepare(`SELECT mine FROM ${name}`).get() }, { mine: 7 })
      }
      after.close()
    }))

  for (const table of ["audit_event", "audit_origin", "audit_store", "audit_checkpoint"]) {
    it.live(`that has a table ${table} of its own is refused, and left as it was`, () =>
      Effect.gen(function*() {
        const filename = yield* temporaryFile
        const db = new DatabaseSync(filename)
        db.exec(`CREATE TABLE ${table} (mine)`)
        db.close()
        const refused = yield* Effect.flip(Effect.provide(emit(1), sqliteAt({ filename, adopt: true })))
        assert.strictEqual(refused.reason._tag, "SinkRejected")
        assert.include(refused.message, table)
        const after = new DatabaseSync(filename, { readOnly: true })
        assert.deepStrictEqual(after.prepare("SELECT name FROM sqlite_schema").all().map(({ name }) => name), [
          table
        ])
        after.close()
      }))
  }

  it.live("has the same store as a file of its own, and as one that came from an older version", () =>
    Effect.gen(function*() {
      const schema = (filename: string) => {
        const db = new DatabaseSync(filename, { readOnly: true })
        const tables = db.prepare(
          "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'audit_%' ORDER BY name"
        )
          .all().map(({ name }) => String(name))
        const columns = tables.map((table) => [
          table,
          db.prepare("SELECT name, type, pk, \"notnull\" FROM pragma_table_info(?) ORDER BY name").all(table).map((
            row
          ) => Object.values(row).join(" "))
        ])
        const rest = db.prepare(
          "SELECT type, name FROM sqlite_schema WHERE type <> 'table' AND name LIKE 'audit_%' ORDER BY name"
        )
          .all().map((row) => Object.values(row).join(" "))
        db.close()
        return { columns, rest }
      }
      const own = yield* temporaryFile
      yield* Effect.provide(emit(1), sqliteAt({ filename: own }))
      const adopted = yield* temporaryFile
      new DatabaseSync(adopted).exec("CREATE TABLE t (x)")
      yield* Effect.provide(emit(1), sqliteAt({ filename: adopted, adopt: true }))
      const old = yield* temporaryFile
      const { gunzipSync } = yield* Effect.promise(() => import("node:zlib"))
      const { writeFileSync } = yield* Effect.promise(() => import("node:fs"))
      writeFileSync(old, gunzipSync(readFileSync(new URL("../fixtures/store/audit.db.gz", import.meta.url))), {
        mode: 0o600
      })
      yield* Effect.provide(emit(1), sqliteAt({ filename: old }))
      assert.deepStrictEqual(schema(adopted), schema(own))
      assert.deepStrictEqual(schema(old), schema(own))
    }))
})
