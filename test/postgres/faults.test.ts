/** What goes wrong around PostgreSQL: each failure has its reason, and what was said of an event is true. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { AuditError, AuditLogger, EventSink, type RequestContext, Transactions } from "effect-audit"
import { Ledger } from "effect-audit/ledger"
import { Postgres } from "effect-audit/postgres"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql/SqlClient"
import { log, sealedBy, storedEvents, within } from "../support.ts"
import { Server } from "./instance.ts"
import { Proxy } from "./proxy.ts"
import { freshSchema, serverOfFile, storeAt, terminateWaiting, whileLocked } from "./server.ts"

const file = serverOfFile()
const emit = (n: number, more: Partial<RequestContext.Json> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more))
const globex = { tenantId: "t_globex" }
/** The reason that an effect of the store fails with; the application's own statements do not fail. */
const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert(error instanceof AuditError.AuditError, String(error))
    return error.reason._tag
  })
const messageOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.flip(effect), String)

/** A store whose connections go through a proxy. */
const proxied = (schema: string) =>
  Effect.gen(function*() {
    const proxy = yield* Effect.acquireRelease(
      Effect.promise(() => Proxy.make(file.server.port)),
      (proxy) => Effect.promise(() => proxy.remove())
    )
    const store = AuditLogger.layer().pipe(
      Layer.provideMerge(Postgres.layer({ schema })),
      Layer.provideMerge(file.server.client({ port: proxy.port, prepare: false }))
    )
    return { proxy, store }
  })

describe("a connection that is cut between a commit and its answer", () => {
  it.live("is CommitUnknown, and the repeat stores nothing twice", () =>
    Effect.gen(function*() {
      const schema = freshSchema()
      const { proxy, store } = yield* proxied(schema)
      yield* Effect.gen(function*() {
        const sink = yield* EventSink.EventSink
        // The log is new: in a transaction. Then it is known: in one statement.
        for (const text of ["COMMIT", "marker-1"]) {
          const event = yield* sealedBy({ action: "note.create", input: { text: "marker-1" } })
          proxy.loseAnswerTo(text)
          assert.strictEqual(yield* reasonOf(sink.append(event)), "CommitUnknown", text)
          assert.isTrue((yield* sink.append(event)).duplicate)
          assert.isTrue((yield* sink.append(event)).duplicate)
        }
        assert.strictEqual((yield* storedEvents).length, 3)
        // The engine repeats by itself.
        proxy.loseAnswerTo("marker-2")
        const receipt = yield* AuditLogger.emit({ action: "note.create", input: "marker-2" }).pipe(within())
        assert.strictEqual(receipt.position, 3)
        assert.strictEqual((yield* storedEvents).length, 4)
      }).pipe(Effect.provide(store))
    }))

  it.live("is CommitUnknown of a transaction of the application, whose change and event are both there", () =>
    Effect.gen(function*() {
      const schema = freshSchema()
      const { proxy, store } = yield* proxied(schema)
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* emit(0)
        yield* sql.unsafe(`CREATE TABLE ${schema}.note (n int)`)
        const changed = Transactions.transact(
          Effect.andThen(sql.unsafe(`INSERT INTO ${schema}.note VALUES (1)`), emit(1))
        )
        proxy.loseAnswerTo("COMMIT")
        assert.strictEqual(yield* reasonOf(changed), "CommitUnknown")
        assert.strictEqual((yield* sql.unsafe(`SELECT * FROM ${schema}.note`)).length, 1)
        assert.strictEqual((yield* storedEvents).length, 3)
      }).pipe(Effect.provide(store))
    }))
})

describe("a transaction of the application", () => {
  it.live("holds up its own log, and no other; what waits too long is withdrawn", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const logger = yield* AuditLogger.AuditLogger
      const { transact } = yield* Transactions.Transactions
      yield* emit(0)
      yield* emit(0, globex)
      const open = yield* Deferred.make<void>()
      const isOpen = yield* Deferred.make<void>()
      const transaction = yield* Effect.forkChild(
        transact(Effect.andThen(
          Effect.andThen(emit(1), Deferred.succeed(isOpen, undefined)),
          Deferred.await(open)
        ))
      )
      yield* Deferred.await(isOpen)
      // Both are in one statement at first.
      const outside = (n: number, more: Partial<RequestContext.Json> = {}) =>
        Effect.runPromise(
          logger.emit({ action: "note.create", input: { n } }).pipe(within(more), Effect.exit)
        )
      const [mine, theirs] = [outside(2), outside(2, globex)]
      assert.isTrue((yield* Effect.promise(() => theirs))._tag === "Success")
      for (let n = 3; n < 20; n++) yield* emit(n, globex)
      const late = yield* Effect.promise(() => mine)
      assert(late._tag === "Failure")
      assert.include(JSON.stringify(late.cause), "SinkTimeout")
      const next = outside(3)
      yield* Deferred.succeed(open, undefined)
      yield* Fiber.join(transaction)
      assert.strictEqual((yield* Effect.promise(() => next))._tag, "Success")
      const inputs = (yield* Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })))
        .flatMap((item) => item.erased || item.position === 0 ? [] : [item.event.input])
      assert.deepStrictEqual(inputs, [{ n: 0 }, { n: 1 }, { n: 3 }])
    }).pipe(Effect.provide(storeAt(file, schema, { deadlineMillis: 1000 })))
  })

  it.live("leaves nothing of what it rolled back, and its tree is that of what is there", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      for (let n = 0; n < 300; n++) {
        // At every size around the end of a bundle an event is rolled back.
        if (n > 240) yield* Effect.exit(transact(Effect.andThen(emit(-n), Effect.fail("no"))))
        if (n % 2 === 0) yield* emit(n)
        else yield* transact(emit(n))
      }
      const findings = yield* Stream.runCollect(Ledger.verify())
      assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
      assert.strictEqual((yield* storedEvents).length, 301)
    }).pipe(Effect.provide(Ledger.layer.pipe(Layer.provideMerge(storeAt(file, schema)))))
  })

  it.live("waits for another's no longer than an event does, keeps its own time-outs, and may go on without the event", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      yield* emit(0)
      yield* Effect.orDie(sql.unsafe(`CREATE TABLE ${schema}.note (n int)`))
      const open = yield* Deferred.make<void>()
      const isOpen = yield* Deferred.make<void>()
      const other = yield* Effect.forkChild(
        transact(Effect.andThen(Effect.andThen(emit(1), Deferred.succeed(isOpen, undefined)), Deferred.await(open)))
      )
      yield* Deferred.await(isOpen)
      yield* transact(Effect.gen(function*() {
        yield* Effect.orDie(sql.unsafe("SET LOCAL lock_timeout = '7s'"))
        yield* Effect.orDie(sql.unsafe(`INSERT INTO ${schema}.note VALUES (1)`))
        assert.strictEqual(yield* reasonOf(emit(2)), "SinkTimeout")
        const [row] = yield* Effect.orDie(sql.unsafe("SELECT current_setting('lock_timeout') AS t"))
        assert.deepStrictEqual(row, { t: "7s" })
      }))
      yield* Deferred.succeed(open, undefined)
      yield* Fiber.join(other)
      yield* transact(Effect.gen(function*() {
        yield* Effect.orDie(sql.unsafe("SET LOCAL lock_timeout = '7s'"))
        yield* emit(3)
        const [row] = yield* Effect.orDie(sql.unsafe("SELECT current_setting('lock_timeout') AS t"))
        assert.deepStrictEqual(row, { t: "7s" })
      }))
      assert.strictEqual((yield* Effect.orDie(sql.unsafe(`SELECT * FROM ${schema}.note`))).length, 1)
      assert.strictEqual((yield* storedEvents).length, 4)
    }).pipe(Effect.provide(storeAt(file, schema, { deadlineMillis: 500 })))
  })

  it.live("that would not be durable takes no event", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      yield* emit(0)
      const changed = Transactions.transact(
        Effect.andThen(Effect.orDie(sql.unsafe("SET LOCAL synchronous_commit = off")), emit(1))
      )
      const error = yield* Effect.flip(changed)
      assert.include(String(error), "synchronous_commit is off")
      assert.strictEqual((yield* storedEvents).length, 2)
    }).pipe(Effect.provide(storeAt(file, freshSchema()))))
})

describe("opening a store", () => {
  it.live("by many instances at once makes it once", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const receipts = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, n) => n),
        (n) => Effect.provide(emit(n), Layer.fresh(storeAt(file, schema))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(receipts.map(({ position }) => position ?? -1).toSorted((a, b) => a - b), [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8
      ])
    })
  })

  it.live("refuses a session or a server that says success before data is on disk, unless that is accepted", () =>
    Effect.gen(function*() {
      const off = { startupParameters: { synchronous_commit: "off" } }
      const over = (client: ReturnType<typeof file.server.client>, options: Postgres.Options = {}) =>
        AuditLogger.layer().pipe(
          Layer.provideMerge(Postgres.layer({ schema: freshSchema(), ...options })),
          Layer.provideMerge(client)
        )
      const refused = yield* messageOf(Effect.provide(emit(1), over(file.server.client(off))))
      assert.include(refused, "synchronous_commit = off")
      yield* Effect.provide(emit(1), over(file.server.client(off), { acceptsLosingAcknowledgedEvents: true }))
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => Server.make(["-c", "fsync=off"])),
        (server) => Effect.promise(() => server.remove())
      )
      const unsafe = yield* messageOf(Effect.provide(emit(1), over(server.client())))
      assert.include(unsafe, "fsync = off")
      yield* Effect.provide(emit(1), over(server.client(), { acceptsLosingAcknowledgedEvents: true }))
    }))

  it.live("refuses names of schemas that are none, and a store of a later release", () =>
    Effect.gen(function*() {
      for (const schema of ["Audit", "a b", "pg_audit", "1a", "a\"b", ""]) {
        assert.strictEqual(
          yield* reasonOf(Effect.provide(emit(1), storeAt(file, schema))),
          "InvalidInput"
        )
      }
      const schema = freshSchema()
      yield* Effect.provide(emit(1), storeAt(file, schema))
      yield* Effect.provide(
        Effect.flatMap(
          SqlClient,
          (sql) => sql.unsafe(`UPDATE ${schema}.store SET value = '99' WHERE name = 'version'`)
        ),
        file.server.client()
      )
      const later = yield* messageOf(Effect.provide(emit(1), storeAt(file, schema)))
      assert.include(later, "the store has version 99")
    }))
})

describe("a server that is away", () => {
  it.live("fails with SinkUnavailable, and work goes on by itself when it is back", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => Server.make()),
        (server) => Effect.promise(() => server.remove())
      )
      yield* Effect.gen(function*() {
        yield* emit(1)
        yield* Effect.promise(() => server.stop())
        assert.strictEqual(yield* reasonOf(emit(2)), "SinkUnavailable")
        yield* Effect.promise(() => server.start())
        yield* emit(3)
        assert.strictEqual((yield* storedEvents).length, 3)
      }).pipe(Effect.provide(storeAt({ server }, "audit", { deadlineMillis: 2000 })))
    }))

  it.live("a statement that runs into a time-out is not stored", () =>
    Effect.gen(function*() {
      const schema = freshSchema()
      const client = file.server.client({ startupParameters: { statement_timeout: "300" } })
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* emit(1)
        const slow = `CREATE FUNCTION ${schema}.slow() RETURNS trigger LANGUAGE plpgsql AS ` +
          "$$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$"
        yield* sql.unsafe(slow)
        yield* sql.unsafe(
          `CREATE TRIGGER slow BEFORE INSERT ON ${schema}.event FOR EACH ROW EXECUTE FUNCTION ${schema}.slow()`
        )
        assert.strictEqual(yield* reasonOf(emit(2)), "SinkUnavailable")
        yield* sql.unsafe(`DROP TRIGGER slow ON ${schema}.event`)
        yield* emit(3)
        assert.strictEqual((yield* storedEvents).length, 3)
      }).pipe(
        Effect.provide(
          AuditLogger.layer().pipe(
            Layer.provideMerge(Postgres.layer({ schema, deadlineMillis: 2000 })),
            Layer.provideMerge(client)
          )
        )
      )
    }))
})

describe("a connection that is lost in the middle of a transaction", () => {
  /** Runs an effect while someone holds the head of every log, and the connection that waits for it is ended. */
  const whileHeld = <A, E, R>(schema: string, effect: Effect.Effect<A, E, R>) =>
    whileLocked(schema, (end) =>
      Effect.gen(function*() {
        const running = yield* Effect.forkChild(Effect.exit(effect))
        assert.isTrue(yield* terminateWaiting(schema))
        yield* end
        return yield* Fiber.join(running)
      }))

  it.live("is a failure of the transaction, with the error of what was done in it, and no defect", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      yield* emit(1)
      const exit = yield* whileHeld(schema, transact(emit(2)))
      assert(exit._tag === "Failure")
      const [reason] = exit.cause.reasons
      assert(reason?._tag === "Fail" && reason.error instanceof AuditError.AuditError, String(exit.cause))
      assert.include(["SinkUnavailable", "CommitUnknown"], reason.error.reason._tag)
      assert.strictEqual((yield* emit(3)).position, 2)
    }).pipe(Effect.provide(storeAt(file, schema)))
  })

  it.live("does not end the queue: what can be tried again is, and what comes later is stored", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const create = (n: number) =>
        AuditLogger.emit({ action: "note.create", input: { n } }, { idempotencyKey: `k${n}` }).pipe(within())
      yield* create(1)
      const exit = yield* whileHeld(schema, create(2))
      assert(exit._tag === "Success" || exit.cause.reasons.every(({ _tag }) => _tag === "Fail"), String(exit))
      yield* create(2)
      yield* create(3)
      const ns = (yield* storedEvents).slice(1).map(({ body }) =>
        JSON.parse(Buffer.from(body ?? []).toString()).input.n
      )
      assert.deepStrictEqual(ns, [1, 2, 3])
    }).pipe(Effect.provide(storeAt(file, schema)))
  })
})
