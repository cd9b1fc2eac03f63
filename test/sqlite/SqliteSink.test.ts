import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { AuditLogger, DatasetEvent, EventSink, RequestContext, Transactions } from "effect-audit"
import { Sqlite, SqliteClient, SqliteSink } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { execFileSync, spawnSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { made } from "../../src/internal/made.ts"
import { connectionOf } from "../../src/sqlite/connection.ts"
import { suite } from "../EventSinkTest.ts"
import {
  fieldsOf,
  log,
  over,
  sealedBy,
  smallDisk,
  sqlite,
  sqliteAt,
  temporaryFile,
  temporaryFolder,
  within
} from "../support.ts"

suite("SqliteSink", sqlite)

const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const count = Effect.gen(function*() {
  let total = 0
  let cursor: string | undefined
  do {
    const page = yield* AuditTrail.query({ ...log, limit: 1000, cursor })
    total += page.items.length
    cursor = page.next
  } while (cursor !== undefined)
  return total
})
/** Builds a layer that lives as long as the test, so that several can be open side by side. */
const opened = <A, E>(layer: Layer.Layer<A, E>) => Layer.build(Layer.fresh(layer))

describe("SqliteSink: files", () => {
  it.live("creates the file with mode 0600, and its side files too", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        yield* emit(1)
        for (const path of [filename, `${filename}-wal`, `${filename}-shm`]) {
          assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        }
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))

  it.live("refuses what is not its own, and leaves it untouched", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const text = join(folder, "text.db")
      writeFileSync(
        text,
        "not a database, but a text that is long enough to be looked at as if it were a header".repeat(4)
      )
      const foreign = join(folder, "foreign.db")
      const db = new DatabaseSync(foreign)
      db.exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
      db.close()
      const real = join(folder, "real.db")
      yield* emit(1).pipe(Effect.provide(sqliteAt({ filename: real })))
      const link = join(folder, "link.db")
      symlinkSync(real, link)
      const newer = join(folder, "newer.db")
      execFileSync("cp", [real, newer])
      const raised = new DatabaseSync(newer)
      raised.exec("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99")
      raised.close()
      const directory = join(folder, "directory.db")
      mkdirSync(directory)
      for (const path of [text, foreign, link, newer, directory]) {
        const before = path === directory ? "" : readFileSync(path).toString("hex")
        const error = yield* emit(1).pipe(Effect.provide(sqliteAt({ filename: path })), Effect.flip)
        assert.strictEqual(error.reason._tag, "SinkRejected", path)
        assert.strictEqual(path === directory ? "" : readFileSync(path).toString("hex"), before, path)
        assert.isFalse(existsSync(`${path}-wal`), path)
      }
      const missing = yield* emit(1).pipe(
        Effect.provide(sqliteAt({ filename: join(folder, "no", "where.db") })),
        Effect.flip
      )
      assert.strictEqual(missing.reason._tag, "SinkUnavailable")
      chmodSync(real, 0o600)
    }))

  it.live("adopts a database of the application's own when told to", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const db = new DatabaseSync(filename)
      db.exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
      db.close()
      yield* Effect.gen(function*() {
        yield* emit(1)
        const sql = yield* SqlClient.SqlClient
        assert.deepStrictEqual(yield* sql`SELECT x FROM t`, [{ x: 1 }])
        assert.strictEqual(yield* count, 2)
      }).pipe(Effect.provide(sqliteAt({ filename, adopt: true })))
      yield* emit(2).pipe(Effect.provide(sqliteAt({ filename })))
    }))

  it.live("stores an event once that comes again through another sink of the file", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const sealed = yield* sealedBy({ action: "note.create" })
      const append = Effect.flatMap(EventSink.EventSink, (sink) => sink.append(sealed)).pipe(
        Effect.provide(Layer.fresh(Sqlite.layer({ filename })))
      )
      assert.deepInclude(yield* append, { position: 1, duplicate: false })
      assert.deepInclude(yield* append, { position: 1, duplicate: true })
    }))

  it.live.each([false, true])(
    "notices that its file was removed or replaced before it acknowledges anything, and goes on when it is back (thread: %s)",
    (thread) =>
      Effect.gen(function*() {
        const filename = yield* temporaryFile
        yield* Effect.gen(function*() {
          yield* emit(1)
          renameSync(filename, `${filename}.away`)
          const removed = yield* Effect.flip(emit(2))
          assert.strictEqual(removed.reason._tag, "SinkUnavailable")
          writeFileSync(filename, "")
          const replaced = yield* Effect.flip(emit(3))
          assert.strictEqual(replaced.reason._tag, "SinkUnavailable")
          const sql = yield* SqlClient.SqlClient
          const joined = yield* Effect.exit(sql.withTransaction(emit(4)))
          assert.isTrue(Exit.isFailure(joined))
          assert.strictEqual(readFileSync(filename).length, 0)
          renameSync(`${filename}.away`, filename)
          yield* emit(5)
          assert.strictEqual(yield* count, 3)
        }).pipe(Effect.provide(sqliteAt({ filename, thread })))
      })
  )

  it.live("refuses every change of an event but its erasure", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.provide(emit(1), sqliteAt({ filename }))
      const db = new DatabaseSync(filename)
      const refused = (sql: string) => assert.throws(() => db.exec(sql), undefined, undefined, sql)
      refused("UPDATE audit_event SET body = x'00' WHERE seq = 2")
      refused("UPDATE audit_event SET position = 7 WHERE seq = 2")
      refused("UPDATE audit_event SET commitment = x'00' WHERE seq = 2")
      refused("UPDATE audit_event SET erased_at = 1 WHERE seq = 2")
      refused("DELETE FROM audit_event")
      refused("DELETE FROM audit_log")
      refused("UPDATE audit_log SET tenant_id = 't_other'")
      refused("INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event WHERE seq = 2")
      refused(
        "INSERT INTO audit_event SELECT 9, log, position, recorded_at, erased_at, event_id, commitment, salt, body FROM audit_event WHERE seq = 2"
      )
      refused("REPLACE INTO audit_log VALUES (1, 't_acme', 'prod', 'x')")
      db.exec("UPDATE audit_event SET erased_at = 1, body = NULL, salt = NULL, recorded_at = NULL WHERE seq = 2")
      refused("UPDATE audit_event SET body = x'00', erased_at = NULL WHERE seq = 2")
      db.close()
      yield* Effect.gen(function*() {
        const { items } = yield* AuditTrail.query(log)
        assert.deepStrictEqual(items.map((item) => [item.position, item.erased]), [[1, true], [0, false]])
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))
})

describe("SqliteSink: a file that goes while it is written", () => {
  /** A clock that stands still, and can be moved between two statements. */
  const movable = Effect.map(Clock.Clock, (clock) => {
    const offset = { millis: 0 }
    const moved: Clock.Clock = {
      ...clock,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + BigInt(offset.millis) * 1_000_000n,
      sleep: (duration) => clock.sleep(duration)
    }
    return { offset, moved }
  })
  /** Does something just after the next commit of a connection has succeeded, before anyone hears of it. */
  const afterNextCommit = (writer: DatabaseSync, then: () => void) => {
    const prepare = writer.prepare.bind(writer)
    let done = false
    const hooked = (statement: StatementSync) => {
      const run = statement.run.bind(statement)
      statement.run = ((...params: ReadonlyArray<SQLInputValue>) => {
        const result = run(...params)
        if (!done) then()
        done = true
        return result
      }) as StatementSync["run"]
      return statement
    }
    writer.prepare = ((sql: string) => sql === "COMMIT" ? hooked(prepare(sql)) : prepare(sql)) as DatabaseSync[
      "prepare"
    ]
  }
  type Sql = SqlClient.SqlClient | SqliteClient.SqliteClient | Transactions.Transactions
  /** A sink, over a file of its own, that was moved away by the end of a commit of so many milliseconds. */
  const moving = <A, E>(
    millis: number,
    use: (
      place: { readonly filename: string; readonly sink: EventSink.EventSink["Service"]; readonly gone: () => boolean }
    ) => Effect.Effect<A, E, Sql>
  ) =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const { moved, offset } = yield* movable
      yield* Effect.gen(function*() {
        const { writer } = connectionOf(yield* SqliteClient.SqliteClient)
        afterNextCommit(writer, () => {
          offset.millis += millis
          renameSync(filename, `${filename}.away`)
        })
        const sink = yield* SqliteSink.make()
        yield* use({ filename, sink, gone: () => existsSync(`${filename}.away`) })
      }).pipe(Effect.provide(SqliteClient.layer({ filename })), Effect.provideService(Clock.Clock, moved))
    })
  const rows = Effect.map(
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT count(*) AS n FROM audit_event`),
    ([row]) => row?.["n"]
  )

  it.effect("a commit of more than 5 ms whose file is gone afterwards is CommitUnknown, and may be repeated", () =>
    moving(5, ({ filename, gone, sink }) =>
      Effect.gen(function*() {
        const sealed = yield* sealedBy({ action: "note.create" })
        const error = yield* Effect.flip(sink.append(sealed))
        assert.isTrue(gone())
        assert.strictEqual(error.reason._tag, "CommitUnknown")
        assert.strictEqual(error.eventId, sealed.eventId)
        const still = yield* Effect.flip(sink.append(yield* sealedBy({ action: "note.create" })))
        assert.strictEqual(still.reason._tag, "SinkUnavailable")
        renameSync(`${filename}.away`, filename)
        const again = yield* sink.append(sealed)
        assert.deepInclude(again, { duplicate: true, position: 1, durability: "committed" })
        assert.strictEqual(yield* rows, 2)
      })))

  it.effect("a commit that was faster is acknowledged: the file was there just before it", () =>
    moving(4, ({ gone, sink }) =>
      Effect.gen(function*() {
        const evidence = yield* sink.append(yield* sealedBy({ action: "note.create" }))
        assert.isTrue(gone())
        assert.deepInclude(evidence, { duplicate: false, position: 1 })
        const next = yield* Effect.flip(sink.append(yield* sealedBy({ action: "note.create" })))
        assert.strictEqual(next.reason._tag, "SinkUnavailable")
        assert.strictEqual(yield* rows, 2)
      })))

  it.effect("a transaction whose file is gone after its commit is CommitUnknown, however fast it was", () =>
    moving(0, ({ filename, gone, sink }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const sealed = yield* sealedBy({ action: "note.create" })
        const error = yield* Effect.flip(Transactions.transact(sink.append(sealed)))
        assert.isTrue(gone())
        assert.strictEqual(error.reason._tag, "CommitUnknown")
        renameSync(`${filename}.away`, filename)
        const again = yield* sink.append(sealed)
        assert.deepInclude(again, { duplicate: true, position: 1 })
        const ended = yield* Effect.exit(sql.withTransaction(sql`SELECT 1`))
        assert.isTrue(Exit.isSuccess(ended))
      })))

  it.effect("a transaction whose file is gone before its commit is SinkUnavailable, and rolled back", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE note (n INTEGER)`
        const error = yield* Effect.flip(Transactions.transact(
          Effect.andThen(sql`INSERT INTO note VALUES (1)`, Effect.sync(() => renameSync(filename, `${filename}.away`)))
        ))
        assert(error._tag === "AuditError")
        assert.strictEqual(error.reason._tag, "SinkUnavailable")
        renameSync(`${filename}.away`, filename)
        assert.deepStrictEqual(yield* sql`SELECT n FROM note`, [])
      }).pipe(Effect.provide(SqliteClient.layer({ filename })))
    }))

  it.effect("a write-ahead log that alone is gone is noticed, at most 20 ms later, and so is its return", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const wal = `${filename}-wal`
        yield* emit(1)
        renameSync(wal, `${wal}.away`)
        yield* TestClock.adjust(19)
        yield* emit(2)
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Effect.flip(emit(3))).reason._tag, "SinkUnavailable")
        writeFileSync(wal, "")
        assert.strictEqual((yield* Effect.flip(emit(4))).reason._tag, "SinkUnavailable")
        const sql = yield* SqlClient.SqlClient
        assert.isTrue(Exit.isFailure(yield* Effect.exit(sql.withTransaction(emit(5)))))
        renameSync(`${wal}.away`, wal)
        yield* emit(6)
        assert.strictEqual(yield* count, 4)
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))
})

describe("SqliteSink: failures", () => {
  it.live("says SinkFull on a full disk, stores nothing, and goes on by itself when there is room again", () =>
    Effect.gen(function*() {
      const folder = yield* smallDisk("2m")
      const filename = join(folder, "audit.db")
      yield* Effect.gen(function*() {
        yield* emit(0)
        const ballast = join(folder, "ballast")
        let acknowledged = 1
        let full = false
        for (let n = 0; n < 200 && !full; n++) {
          const result = yield* Effect.result(
            AuditLogger.emit({ action: "note.create", input: { n, text: "x".repeat(20_000) } }).pipe(within())
          )
          if (result._tag === "Success") acknowledged++
          else {
            full = true
            assert.strictEqual(result.failure.reason._tag, "SinkFull")
            assert.isTrue(result.failure.reason.isRetryable)
          }
          if (n === 10) {
            // Leave little room, so that the disk and not the test ends it.
            const free = Number(execFileSync("df", ["--output=avail", "-B1", folder]).toString().split("\n")[1])
            writeFileSync(ballast, Buffer.alloc(Math.max(0, free - 200_000)))
          }
        }
        assert.isTrue(full)
        assert.strictEqual(yield* count, acknowledged + 1)
        rmSync(ballast)
        yield* emit(1)
        assert.strictEqual(yield* count, acknowledged + 2)
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))

  it.live("waits for another process's lock without blocking, and says SinkTimeout at the deadline", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        yield* emit(1)
        const other = new DatabaseSync(filename)
        other.exec("BEGIN IMMEDIATE")
        const timedOut = yield* Effect.flip(emit(2))
        assert.strictEqual(timedOut.reason._tag, "SinkTimeout")
        const waiting = yield* Effect.forkChild(emit(3), { startImmediately: true })
        yield* Effect.yieldNow
        other.exec("COMMIT")
        other.close()
        assert.strictEqual((yield* Fiber.join(waiting)).position, 2)
      }).pipe(Effect.provide(sqliteAt({ filename, deadline: "200 millis" })))
    }))

  it.effect("says SinkOverloaded when the queue has no room before the deadline", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        yield* emit(1)
        const other = new DatabaseSync(filename)
        other.exec("BEGIN IMMEDIATE")
        const emitting = yield* Effect.forkChild(
          Effect.all(Array.from({ length: 5 }, (_, n) => Effect.flip(emit(n))), { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* TestClock.adjust("200 millis")
        const results = yield* Fiber.join(emitting)
        assert.deepStrictEqual(
          results.map((error) => error.reason._tag),
          ["SinkTimeout", "SinkTimeout", "SinkTimeout", "SinkOverloaded", "SinkOverloaded"]
        )
        other.exec("COMMIT")
        other.close()
        assert.strictEqual(yield* count, 2)
      }).pipe(Effect.provide(sqliteAt({ filename, deadline: "200 millis", capacity: 3 })))
    }))

  it.live("says SinkClosed after its layer was closed, and drains what waits before", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(sqliteAt({ filename }), scope)
      const fibers = yield* Effect.forEach([1, 2, 3], (n) =>
        Effect.forkChild(Effect.provide(emit(n), context), { startImmediately: true }))
      yield* Scope.close(scope, Exit.void)
      const receipts = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        receipts.map((receipt) =>
          receipt.position
        ),
        [1, 2, 3]
      )
      const late = yield* Effect.flip(Effect.provide(emit(4), context))
      assert.strictEqual(late.reason._tag, "SinkClosed")
      yield* Effect.provide(Effect.map(count, (n) => assert.strictEqual(n, 4)), sqliteAt({ filename }))
    }))
})

describe("SqliteSink: events that share a commit", () => {
  it.live("get each their own answer: new, repeated, the same key, refused", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      const input = (n: number) => ({ action: "note.create", input: n })
      const stored = yield* sealedBy(input(0))
      yield* sink.append(stored)
      const [a, b, keyed, sameKey, otherKey, used, staging, last] = yield* Effect.all([
        sealedBy(input(1)),
        sealedBy(input(2)),
        sealedBy(input(3), { idempotencyKey: "k" }),
        sealedBy(input(3), { idempotencyKey: "k" }),
        sealedBy(input(4), { idempotencyKey: "k" }),
        sealedBy(input(5), { eventId: stored.eventId }),
        sealedBy(input(6), { idempotencyKey: "k" }, { env: "staging" }),
        sealedBy(input(7))
      ])
      const answers = yield* Effect.all(
        [a, stored, b, a, keyed, otherKey, sameKey, used, staging, last].map((event) =>
          Effect.result(sink.append(event))
        ),
        { concurrency: "unbounded" }
      )
      const summary = answers.map((answer) => {
        if (answer._tag === "Success") return [answer.success.position, answer.success.duplicate]
        const { reason } = answer.failure
        return reason._tag === "InvalidInput" ? reason.path : reason._tag
      })
      assert.deepStrictEqual(summary, [
        [2, false],
        [1, true],
        [3, false],
        [2, true],
        [4, false],
        "/idempotencyKey",
        [4, true],
        "/eventId",
        [1, false],
        [5, false]
      ])
      const sameKeyAnswer = answers[6]
      assert(sameKeyAnswer?._tag === "Success")
      assert.strictEqual(sameKeyAnswer.success.eventId, keyed.eventId)
      const failures = answers.flatMap((answer) => answer._tag === "Failure" ? [answer.failure] : [])
      assert.deepStrictEqual(failures.map((error) => error.eventId), [otherKey.eventId, used.eventId])
      const { items } = yield* AuditTrail.query({ ...log, order: "asc" })
      assert.deepStrictEqual(
        items.slice(1).map((item) => item.eventId),
        [stored, a, b, keyed, last].map((event) => event.eventId)
      )
    }).pipe(Effect.provide(sqlite)))

  it.live("all fail when their commit does, none is stored, and each can be repeated", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const sink = yield* EventSink.EventSink
        const sql = yield* SqlClient.SqlClient
        const events = yield* Effect.forEach(
          [1, 2, 3],
          (n) => sealedBy({ action: "note.create", input: n }, { idempotencyKey: `k${n}` })
        )
        yield* sql.unsafe(
          "CREATE TEMP TRIGGER no BEFORE INSERT ON main.audit_idempotency_key WHEN NEW.seq = 4 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        const append = Effect.forEach(events, (event) => Effect.result(sink.append(event)), { concurrency: 3 })
        for (const answer of yield* append) {
          assert(answer._tag === "Failure")
          assert.strictEqual(answer.failure.reason._tag, "SinkRejected")
        }
        assert.strictEqual(yield* count, 0)
        yield* sql`DROP TRIGGER no`
        assert.deepStrictEqual(
          (yield* append).map((answer) =>
            answer._tag === "Success" && [answer.success.position, answer.success.duplicate]
          ),
          [[1, false], [2, false], [3, false]]
        )
        assert.strictEqual(yield* count, 4)
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))

  it.live("are as many as the sink is told, in the order of their calls", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* emit(0)
        yield* sql.unsafe(
          "CREATE TEMP TRIGGER no BEFORE INSERT ON main.audit_event " +
            "WHEN instr(CAST(NEW.body AS TEXT), '\"n\":2') > 0 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        const results = yield* Effect.all([1, 2, 3, 4, 5].map((n) => Effect.result(emit(n))), { concurrency: 5 })
        assert.deepStrictEqual(
          results.map((result) => result._tag === "Success" ? result.success.position : result.failure.reason._tag),
          ["SinkRejected", "SinkRejected", 2, 3, 4]
        )
        assert.strictEqual(yield* count, 5)
      }).pipe(Effect.provide(sqliteAt({ filename, maxBatch: 2 })))
    }))
})

describe("SqliteSink: the caller's transaction", () => {
  const table = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE note (n INTEGER) STRICT`
    return sql
  })

  it.live("commits a change and its event together, and rolls both back", () =>
    Effect.gen(function*() {
      const sql = yield* table
      const receipt = yield* sql.withTransaction(Effect.andThen(sql`INSERT INTO note VALUES (1)`, emit(1)))
      assert.strictEqual(receipt.durability, "with-transaction")
      const rolledBack = yield* Effect.exit(
        sql.withTransaction(
          Effect.andThen(sql`INSERT INTO note VALUES (2)`, Effect.andThen(emit(2), Effect.fail("no")))
        )
      )
      assert.isTrue(Exit.isFailure(rolledBack))
      assert.deepStrictEqual(yield* sql`SELECT n FROM note`, [{ n: 1 }])
      const next = yield* emit(3)
      assert.strictEqual(next.position, (receipt.position ?? -1) + 1)
      assert.strictEqual(next.durability, "committed")
      assert.strictEqual(yield* count, 3)
    }).pipe(Effect.provide(sqlite)))

  it.live("takes positions back with a savepoint", () =>
    Effect.gen(function*() {
      const sql = yield* table
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* emit(1)
        yield* Effect.exit(sql.withTransaction(Effect.andThen(emit(2), Effect.fail("no"))))
        yield* emit(3)
        yield* sql.withTransaction(emit(4))
      }))
      yield* emit(5)
      const { items } = yield* AuditTrail.query({ ...log, order: "asc" })
      assert.deepStrictEqual(items.map((item) => item.position), [0, 1, 2, 3, 4])
      assert.deepStrictEqual(items.slice(1).map((item) => item.erased ? undefined : item.event.input), [
        { n: 1 },
        { n: 3 },
        { n: 4 },
        { n: 5 }
      ])
    }).pipe(Effect.provide(sqlite)))

  it.live("lets other events wait while the transaction is open", () =>
    Effect.gen(function*() {
      const sql = yield* table
      const order: Array<string> = []
      const outside = yield* sql.withTransaction(Effect.gen(function*() {
        yield* emit(1)
        const outside = Effect.runFork(
          Effect.provideService(emit(2), AuditLogger.AuditLogger, yield* AuditLogger.AuditLogger)
        )
        for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
        order.push("inside")
        return outside
      }))
      const receipt = yield* Fiber.join(outside)
      order.push("outside")
      assert.strictEqual(receipt.position, 2)
      assert.deepStrictEqual(order, ["inside", "outside"])
    }).pipe(Effect.provide(sqlite)))

  it.live("does not write into a transaction that has ended", () =>
    Effect.gen(function*() {
      const sql = yield* table
      let leaked: Effect.Effect<unknown, unknown> = Effect.void
      yield* sql.withTransaction(Effect.gen(function*() {
        leaked = Effect.provideContext(emit(1), yield* Effect.context<AuditLogger.AuditLogger>())
      }))
      const receipt = yield* leaked
      assert.include(receipt, { durability: "committed" })
      assert.strictEqual(yield* count, 2)
    }).pipe(Effect.provide(sqlite)))

  it.live("answers duplicates inside a transaction, refuses another's id there, and takes nothing of them", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const sink = yield* EventSink.EventSink
      const sealed = yield* sealedBy({ action: "note.create" })
      const known = yield* sink.append(sealed)
      const foreign = new DatasetEvent.Sealed(made, {
        ...fieldsOf(sealed),
        tenantId: RequestContext.TenantId.make("t_other"),
        repeated: true
      })
      const other = yield* sealedBy({ action: "note.delete" })
      const forged = new DatasetEvent.Sealed(made, { ...fieldsOf(other), eventId: sealed.eventId, repeated: true })
      yield* sql.withTransaction(Effect.gen(function*() {
        assert.deepInclude(yield* sink.append(sealed), {
          duplicate: true,
          position: known.position,
          durability: "with-transaction"
        })
        for (const event of [foreign, forged]) {
          const error = yield* Effect.flip(sink.append(event))
          assert(error.reason._tag === "InvalidInput")
          assert.strictEqual(error.reason.path, "/eventId")
        }
        assert.strictEqual((yield* emit(1)).position, 2)
      }))
      assert.strictEqual((yield* emit(2)).position, 3)
      assert.strictEqual(yield* count, 4)
    }).pipe(Effect.provide(sqlite)))

  it.live("an idempotency key that was rolled back is free again", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const keyed = (n: number) =>
        AuditLogger.emit({ action: "note.create", input: n }, { idempotencyKey: "k" }).pipe(within())
      yield* Effect.exit(sql.withTransaction(Effect.andThen(keyed(1), Effect.fail("no"))))
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* Effect.exit(sql.withTransaction(Effect.andThen(keyed(2), Effect.fail("no"))))
        const first = yield* keyed(3)
        assert.isFalse(first.duplicate)
        assert.deepStrictEqual(yield* keyed(3), { ...first, duplicate: true })
      }))
      const again = yield* keyed(3)
      assert.deepStrictEqual([again.duplicate, again.position, again.durability], [true, 1, "committed"])
      assert.strictEqual(yield* count, 2)
    }).pipe(Effect.provide(sqlite)))

  it.live("an event id whose first try was rolled back is stored when it is repeated", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const sink = yield* EventSink.EventSink
      const sealed = yield* sealedBy({ action: "note.create" })
      yield* Effect.exit(sql.withTransaction(Effect.andThen(sink.append(sealed), Effect.fail("no"))))
      const first = yield* sink.append(sealed)
      assert.deepInclude(first, { duplicate: false, position: 1, durability: "committed" })
      assert.deepInclude(yield* sink.append(sealed), { duplicate: true, position: 1 })
      assert.strictEqual(yield* count, 2)
    }).pipe(Effect.provide(sqlite)))

  it.live("does not write to a sink that was closed, in a transaction that is open", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const scope = yield* Scope.make()
        const sink = yield* Scope.provide(scope)(SqliteSink.make())
        const sealed = yield* sealedBy({ action: "note.create" })
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* Scope.close(scope, Exit.void)
          const error = yield* Effect.flip(sink.append(sealed))
          assert.strictEqual(error.reason._tag, "SinkClosed")
          assert.deepStrictEqual(yield* sql`SELECT count(*) AS n FROM audit_event`, [{ n: 0 }])
        }))
      }).pipe(Effect.provide(SqliteClient.layer({ filename })))
    }))

  it.live("keeps positions dense when transactions are rolled back between other commits", () =>
    Effect.gen(function*() {
      const sql = yield* table
      yield* Effect.forEach(Array.from({ length: 60 }, (_, n) => n), (n) =>
        n % 3 === 0
          ? Effect.asVoid(Effect.exit(sql.withTransaction(Effect.andThen(emit(n), Effect.fail("no")))))
          : Effect.asVoid(n % 3 === 1 ? sql.withTransaction(emit(n)) : emit(n)), { concurrency: 7 })
      const { items } = yield* AuditTrail.query({ ...log, order: "asc", limit: 1000 })
      assert.deepStrictEqual(items.map((item) => item.position), Array.from({ length: 41 }, (_, n) => n))
    }).pipe(Effect.provide(sqlite)))
})

describe("SqliteSink: several connections", () => {
  it.live("keeps positions dense when two stores write to one file", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const a = yield* opened(sqliteAt({ filename }))
      const b = yield* opened(sqliteAt({ filename }))
      yield* Effect.all(
        Array.from({ length: 3000 }, (_, n) => Effect.provide(emit(n), n % 2 === 0 ? a : b)),
        { concurrency: 200, discard: true }
      )
      const seen: Array<number> = []
      let cursor: string | undefined
      do {
        const page = yield* Effect.provide(AuditTrail.query({ ...log, order: "asc", limit: 1000, cursor }), b)
        seen.push(...page.items.map((item) => item.position))
        cursor = page.next
      } while (cursor !== undefined)
      assert.deepStrictEqual(seen, Array.from({ length: 3001 }, (_, n) => n))
    }))

  it.live("finds a repeated event id and key again after it was closed and opened", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const first = yield* Effect.gen(function*() {
        const receipt = yield* AuditLogger.emit({ action: "note.create" }, { idempotencyKey: "k" }).pipe(within())
        yield* Effect.all(Array.from({ length: 4200 }, (_, n) => emit(n)), { concurrency: 1000, discard: true })
        return receipt
      }).pipe(Effect.provide(sqliteAt({ filename })))
      yield* Effect.gen(function*() {
        const byKey = yield* AuditLogger.emit({ action: "note.create" }, { idempotencyKey: "k" }).pipe(within())
        const byId = yield* AuditLogger.emit({ action: "note.create" }, { eventId: first.eventId }).pipe(within())
        assert.deepStrictEqual(byKey, { ...first, duplicate: true })
        assert.deepStrictEqual(byId, { ...first, duplicate: true })
        assert.strictEqual((yield* emit(1)).position, 4202)
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))
})

describe("SqliteSink: what others do to the same file", () => {
  const as = (tenantId: string, n: number) =>
    AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within({ tenantId }))
  const many = (tenantId: string, total: number) =>
    Effect.all(Array.from({ length: total }, (_, n) => as(tenantId, n)), { concurrency: 500, discard: true })
  const found = (tenantId: string) =>
    Effect.map(
      Stream.runCollect(
        AuditTrail.stream({
          ...log,
          tenantId: RequestContext.TenantId.make(tenantId),
          filter: { action: "note.*" },
          limit: 1000
        })
      ),
      (items) => new Set(items.map((item) => item.position)).size
    )

  it.live("indexes the rows of another process when that one filled the segment", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const a = yield* opened(sqliteAt({ filename }))
      const b = yield* opened(sqliteAt({ filename }))
      yield* Effect.provide(many("t_a", 100), a)
      yield* Effect.provide(many("t_b", 2000), b)
      yield* Effect.provide(many("t_c", 2049), a)
      for (const [tenantId, total] of [["t_a", 100], ["t_b", 2000], ["t_c", 2049]] as const) {
        assert.strictEqual(yield* Effect.provide(found(tenantId), a), total)
      }
      const again = yield* opened(sqliteAt({ filename }))
      assert.strictEqual((yield* Effect.provide(as("t_b", 1), again)).position, 2001)
    }))

  it.live("forgets a rolled-back transaction although another process has written since", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const a = yield* opened(sqliteAt({ filename }))
      const b = yield* opened(sqliteAt({ filename }))
      yield* Effect.provide(Effect.andThen(as("t_a", 1), as("t_b", 1)), a)
      const inA = <A, E>(effect: Effect.Effect<A, E, AuditLogger.AuditLogger>) =>
        Effect.provide(Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.exit(sql.withTransaction(effect))), a)
      yield* inA(Effect.andThen(as("t_a", 2), Effect.fail("no")))
      yield* Effect.provide(as("t_b", 2), b)
      const positions = [yield* inA(as("t_a", 3)), yield* inA(as("t_b", 3))].map((exit) =>
        Exit.isSuccess(exit) ? exit.value.position : exit
      )
      assert.deepStrictEqual(positions, [2, 3])
    }))

  it.live("forgets it before an event without a transaction as well", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const a = yield* opened(sqliteAt({ filename }))
      const b = yield* opened(sqliteAt({ filename }))
      yield* Effect.provide(Effect.andThen(as("t_a", 1), as("t_b", 1)), a)
      yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.exit(sql.withTransaction(Effect.andThen(as("t_a", 2), Effect.fail("no"))))).pipe(Effect.provide(a))
      yield* Effect.provide(as("t_b", 2), b)
      const positions = yield* Effect.forEach(["t_a", "t_b"], (tenantId) =>
        Effect.map(as(tenantId, 3), (receipt) =>
          receipt.position)).pipe(Effect.provide(a))
      assert.deepStrictEqual(positions, [2, 3])
    }))

  it.live("two sinks over one client write one after the other", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const client = yield* Layer.build(Layer.fresh(SqliteClient.layer({ filename })))
      const sinks = yield* Effect.forEach([1, 2], () => Effect.provideContext(SqliteSink.make(), client))
      const stacks = sinks.map((sink) => Layer.fresh(over(Layer.succeed(EventSink.EventSink, sink))))
      for (let n = 0; n < 6; n++) {
        assert.strictEqual((yield* Effect.provide(emit(n), stacks[n % 2]!)).position, n + 1)
      }
    }))

  it.live("an event that cannot be written whole leaves nothing in the caller's transaction", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* emit(0)
      const [pages] = yield* sql<{ readonly page_count: number }>`PRAGMA page_count`
      yield* sql.unsafe(`PRAGMA max_page_count = ${(pages?.page_count ?? 0) + 2}`)
      const rows = Effect.map(
        sql<
          { readonly n: number }
        >`SELECT (SELECT count(*) FROM audit_event) + (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM audit_idempotency_key) AS n`,
        ([row]) => row?.n
      )
      let refused = 0
      for (let n = 0; n < 400 && refused < 20; n++) {
        const before = yield* rows
        const outcome = yield* Effect.exit(sql.withTransaction(
          Effect.result(
            AuditLogger.emit({ action: "a.b", input: "x".repeat(100) }, { idempotencyKey: `k${n}` }).pipe(
              within({ tenantId: `t_${n}` })
            )
          )
        ))
        if (Exit.isSuccess(outcome) && outcome.value._tag === "Success") continue
        refused++
        if (Exit.isSuccess(outcome) && outcome.value._tag === "Failure") {
          assert.strictEqual(outcome.value.failure.reason._tag, "SinkFull")
        }
        assert.strictEqual(yield* rows, before)
      }
      assert.isAbove(refused, 0)
    }).pipe(Effect.provide(sqlite)))

  it.live("an event is not taken along by another fiber's savepoint", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const open = yield* Deferred.make<void>()
      const close = yield* Deferred.make<void>()
      const [receipt] = yield* sql.withTransaction(Effect.all([
        Effect.andThen(
          Deferred.await(open),
          Effect.tap(Effect.forkChild(emit(1), { startImmediately: true }), () => Deferred.succeed(close, undefined))
        ).pipe(
          Effect.flatMap(Fiber.join)
        ),
        Effect.exit(
          sql.withTransaction(
            Effect.andThen(Deferred.succeed(open, undefined), Effect.andThen(Deferred.await(close), Effect.fail("no")))
          )
        )
      ], { concurrency: 2 }))
      assert.strictEqual(receipt.position, 1)
      assert.strictEqual(yield* count, 2)
    }).pipe(Effect.provide(sqlite)))

  it.live("a transaction waits for the connection no longer than the deadline", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const error = yield* sql.withTransaction(
          Effect.gen(function*() {
            const { transact } = yield* Transactions.Transactions
            return yield* Fiber.join(Effect.runFork(Effect.flip(transact(Effect.void))))
          })
        )
        assert.strictEqual(error.reason._tag, "SinkTimeout")
      }).pipe(Effect.provide(sqliteAt({ filename, deadline: "100 millis" })))
    }))

  it.live("a failing sync is CommitUnknown or not stored, and what is acknowledged afterwards is there once", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const library = join(folder, "failing-sync.so")
      execFileSync("cc", [
        "-shared",
        "-fPIC",
        "-o",
        library,
        fileURLToPath(new URL("../fixtures/failing-sync.c", import.meta.url)),
        "-ldl"
      ])
      const db = join(folder, "audit.db")
      const script = fileURLToPath(new URL("../fixtures/failing-sync.ts", import.meta.url))
      const { status, stderr, stdout } = spawnSync(process.execPath, [script, db, join(folder, "fail")], {
        encoding: "utf8",
        env: { ...process.env, LD_PRELOAD: library, FAIL_SYNC: join(folder, "fail") }
      })
      assert.strictEqual(status, 0, stderr)
      const result = JSON.parse(stdout) as {
        readonly reason: string
        readonly repeated: object
        readonly ids: ReadonlyArray<string>
      }
      assert.strictEqual(result.reason, "CommitUnknown")
      assert.strictEqual(new Set(result.ids).size, result.ids.length)
      assert.strictEqual(result.ids.length, 4)
    }))
})

describe("SqliteSink.layer", () => {
  it.live("refuses a deployment that is no host name", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const error = yield* Effect.flip(Effect.provide(
        EventSink.EventSink,
        SqliteSink.layer({ deployment: "Not a host" }).pipe(Layer.provide(SqliteClient.layer({ filename })))
      ))
      assert.strictEqual(error.reason._tag, "InvalidInput")
    }))
})
