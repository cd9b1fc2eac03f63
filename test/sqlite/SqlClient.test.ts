/** The file's `SqlClient` as an application uses it, and what opening a file says where it fails. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema, Stream } from "effect"
import { AuditLogger, Transactions } from "effect-audit"
import { Sqlite, SqliteClient, SqliteLogStore, SqlitePreferences } from "effect-audit/sqlite"
import { SqlClient, type SqlError } from "effect/sql"
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { sqlite, sqliteAt, temporaryFile, temporaryFolder, within } from "../support.ts"

const withTable = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER) STRICT`
  yield* sql`INSERT INTO thing VALUES (1, 'one', 10), (2, 'two', 20)`
  return sql
})

describe("the file's SqlClient", () => {
  it.live("reads rows as objects, as values, raw and unprepared, and streams them", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      const all = sql`SELECT id, name FROM thing ORDER BY id`
      const rows = [{ id: 1, name: "one" }, { id: 2, name: "two" }]
      assert.deepStrictEqual(yield* all, rows)
      assert.deepStrictEqual(yield* all.unprepared, rows)
      assert.deepStrictEqual(yield* all.values, [[1, "one"], [2, "two"]])
      assert.deepStrictEqual(yield* all.valuesUnprepared, [[1, "one"], [2, "two"]])
      assert.deepStrictEqual(yield* all.raw, rows)
      assert.deepStrictEqual(yield* Stream.runCollect(all.stream), rows)
      // The same statement as objects again: how it was read before does not stick to it.
      assert.deepStrictEqual(yield* all, rows)
    }).pipe(Effect.provide(sqlite)))

  it.live("says what a statement changed when it is asked raw, and has no rows of one that gives none", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      const changed = yield* sql`INSERT INTO thing VALUES (3, 'three', 30)`.raw
      assert.deepStrictEqual(changed, { changes: 1, lastInsertRowid: 3 })
      assert.deepStrictEqual(yield* sql`UPDATE thing SET size = 1 WHERE id = 9`, [])
      assert.deepStrictEqual(yield* sql`DELETE FROM thing WHERE id = 3`.values, [])
      assert.deepStrictEqual(yield* sql`DELETE FROM thing WHERE id = 2 RETURNING name`, [{ name: "two" }])
    }).pipe(Effect.provide(sqlite)))

  it.live("does all of it in a transaction as well, where it sees what that has changed", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      const seen = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO thing VALUES (3, 'three', 30)`
        const all = sql`SELECT id FROM thing ORDER BY id`
        return [
          yield* all,
          yield* all.unprepared,
          yield* all.values,
          yield* all.valuesUnprepared,
          yield* all.raw,
          yield* Stream.runCollect(all.stream)
        ]
      }))
      const objects = [{ id: 1 }, { id: 2 }, { id: 3 }]
      assert.deepStrictEqual(seen, [objects, objects, [[1], [2], [3]], [[1], [2], [3]], objects, objects])
      // Of one that SQLite ended, none goes on.
      for (
        const read of [
          sql`SELECT 1`,
          sql`SELECT 1`.unprepared,
          sql`SELECT 1`.values,
          sql`SELECT 1`.valuesUnprepared,
          sql`SELECT 1`.raw,
          Stream.runCollect(sql`SELECT 1`.stream),
          sql`SELECT 'ROLLBACK'`
        ]
      ) {
        let message = ""
        yield* Effect.exit(sql.withTransaction(
          Effect.exit(sql`INSERT OR ROLLBACK INTO thing VALUES (1, 'x', 0)`).pipe(
            Effect.andThen(read),
            Effect.catch((error) =>
              Effect.sync(() => {
                const { cause } = error.reason
                message = cause instanceof Error ? cause.message : ""
              })
            )
          )
        ))
        assert.strictEqual(message, "the transaction was rolled back")
      }
    }).pipe(Effect.provide(sqlite)))

  it.live("gives large integers whole where they are asked for, and else refuses what a number cannot hold", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      yield* sql`INSERT INTO thing VALUES (9007199254740993, 'large', 1)`
      const large = sql`SELECT id FROM thing WHERE name = 'large'`
      const whole = Effect.provideService(large, SqlClient.SafeIntegers, true)
      assert.deepStrictEqual<unknown>(yield* whole, [{ id: 9_007_199_254_740_993n }])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(large)))
      assert.deepStrictEqual(yield* sql`SELECT size FROM thing WHERE id = 1`, [{ size: 10 }])
    }).pipe(Effect.provide(sqlite)))

  it.live("says what kind of error SQLite had", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      const reasonOf = <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) =>
        Effect.map(Effect.flip(effect), ({ reason }) => [reason._tag, reason.operation])
      assert.deepStrictEqual(yield* reasonOf(sql`INSERT INTO thing VALUES (5, 'one', 0)`), [
        "UniqueViolation",
        "execute"
      ])
      assert.deepStrictEqual(yield* reasonOf(sql`INSERT INTO thing VALUES (5, NULL, 0)`), [
        "ConstraintError",
        "execute"
      ])
      assert.deepStrictEqual(yield* reasonOf(sql`SELEC`), ["UnknownError", "execute"])
    }).pipe(Effect.provide(sqlite)))

  it.live("goes through more statements than it keeps, in any order", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 300; n++) {
          assert.deepStrictEqual(yield* sql.unsafe(`SELECT ${n} + size AS sum FROM thing WHERE id = ?`, [1]), [{
            sum: n + 10
          }])
        }
      }
    }).pipe(Effect.provide(sqlite)))

  it.live("has spans that name the database, and transforms of rows", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      const named = sql.withoutTransforms()
      assert.deepStrictEqual(yield* named`SELECT id FROM thing WHERE id = 1`, [{ id: 1 }])
      const found = yield* sql`SELECT id, name FROM thing`.pipe(
        Effect.flatMap(Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ id: Schema.Int, name: Schema.String }))))
      )
      assert.strictEqual(found.length, 2)
    }).pipe(Effect.provide(sqlite)))
})

describe("a transaction of the store", () => {
  it.live("says what kept it from beginning or ending, with the method", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const { transact } = yield* Transactions.Transactions
        const sql = yield* withTable
        // Another connection has the lock.
        const other = new DatabaseSync(filename)
        other.exec("BEGIN IMMEDIATE")
        const locked = yield* Effect.flip(transact(sql`DELETE FROM thing`))
        other.exec("ROLLBACK")
        assert(locked._tag === "AuditError")
        assert.deepStrictEqual([locked.method, locked.reason._tag], ["Transactions.transact", "SinkUnavailable"])
        assert.include(locked.message, `another process held the lock of ${filename} for 200 ms`)
        // Another transaction of this process has the connection.
        const waited = yield* Effect.scoped(Effect.gen(function*() {
          yield* Effect.forkScoped(transact(Effect.never))
          yield* Effect.yieldNow
          return yield* Effect.flip(transact(sql`DELETE FROM thing`))
        }))
        assert(waited._tag === "AuditError")
        assert.deepStrictEqual([waited.method, waited.reason._tag], ["Transactions.transact", "SinkTimeout"])
        assert.include(waited.message, `another transaction kept ${filename} for 200 ms`)
        // The effect's own error is its own.
        const own = yield* Effect.flip(transact(sql`INSERT INTO thing VALUES (1, 'x', 1)`))
        assert.strictEqual(own._tag, "SqlError")
        // A constraint that is looked at when the transaction ends.
        other.exec(
          "PRAGMA foreign_keys = ON; CREATE TABLE part (thing INTEGER REFERENCES thing (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        other.close()
        yield* sql`PRAGMA foreign_keys = ON`
        const refused = yield* Effect.flip(transact(sql`INSERT INTO part VALUES (99)`))
        assert(refused._tag === "AuditError")
        assert.deepStrictEqual([refused.method, refused.reason._tag], ["Transactions.transact", "SinkRejected"])
        assert.deepStrictEqual(yield* sql`SELECT * FROM part`, [])
      }).pipe(Effect.provide(sqliteAt({ filename, deadline: "200 millis" })))
    }))

  it.live("inside another one is a part of it, and is known to be the innermost", () =>
    Effect.gen(function*() {
      const sql = yield* withTable
      const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* emit(1)
        yield* Effect.exit(sql.withTransaction(Effect.andThen(emit(2), Effect.fail("back"))))
        yield* sql.withTransaction(sql.withTransaction(emit(3)))
        yield* emit(4)
      }))
      const { position } = yield* emit(5)
      assert.strictEqual(position, 4)
    }).pipe(Effect.provide(sqlite)))
})

describe("opening a file", () => {
  const opened = (options: Sqlite.Options) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(Sqlite.layer(options)))), (error) => [
      error.method,
      error.reason._tag,
      error.message
    ])

  it.live("says which file could not be opened, and why, and leaves it as it was", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = (name: string) => join(folder, name)
      const text = path("text")
      writeFileSync(text, "this is no database, and long enough to be looked at as if it were one".repeat(20))
      const [method, tag, message] = yield* opened({ filename: text })
      assert.deepStrictEqual([method, tag], ["SqliteClient.open", "SinkRejected"])
      assert.include(message, text)
      mkdirSync(path("folder"))
      assert.deepStrictEqual((yield* opened({ filename: path("folder") })).slice(0, 2), [
        "SqliteClient.open",
        "SinkRejected"
      ])
      assert.strictEqual((yield* opened({ filename: "" }))[0], "SqliteClient.open")
      assert.include((yield* opened({ filename: path("none"), mustExist: true }))[2], path("none"))
      assert.isFalse(existsSync(path("none")))
      const soon: string = "soon"
      assert.include((yield* opened({ filename: path("none"), deadline: soon as "1 second" }))[2], "/deadline")
      // One that someone else is about to make has a lock that does not end.
      const other = new DatabaseSync(path("busy"))
      other.exec("CREATE TABLE t (a); BEGIN EXCLUSIVE")
      const busy = yield* opened({ filename: path("busy"), adopt: true, deadline: "100 millis" })
      assert.deepStrictEqual(busy.slice(0, 2), ["SqliteClient.open", "SinkUnavailable"])
      assert.include(busy[2], `cannot open ${path("busy")}`)
      other.exec("ROLLBACK")
      // A database that is not ours is not begun to be changed.
      assert.strictEqual((yield* opened({ filename: path("busy") }))[1], "SinkRejected")
      other.exec("INSERT INTO t VALUES (1)")
      other.close()
    }))

  it.live("for reading needs a file, writes nothing into it, and gives it free at the end", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const filename = join(folder, "audit.db")
      const reading = (name: string) =>
        Effect.scoped(Layer.build(SqliteLogStore.layerReadOnly({ filename: join(folder, name) })))
      const missing = yield* Effect.flip(reading("none"))
      assert.strictEqual(missing.method, "SqliteClient.open")
      assert.isFalse(existsSync(join(folder, "none")))
      yield* Effect.scoped(Layer.build(Sqlite.layer({ filename })))
      chmodSync(filename, 0o400)
      yield* reading("audit.db")
      chmodSync(filename, 0o600)
      // As often as one likes: it is not known as open any more.
      for (let i = 0; i < 3; i++) yield* Effect.scoped(Layer.build(Sqlite.layer({ filename })))
    }))

  it("that was not opened by this package has no parts of a store", () => {
    const made = { filename: "audit.db" } as SqliteClient.SqliteClient["Service"]
    const layer = SqlitePreferences.layer.pipe(Layer.provide(Layer.succeed(SqliteClient.SqliteClient, made)))
    const exit = Effect.runSyncExit(Effect.scoped(Layer.build(layer)))
    assert(Exit.isFailure(exit))
    assert.include(String(exit.cause), "a SqliteClient is made by SqliteClient.layer alone")
  })
})
