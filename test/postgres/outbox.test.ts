/** Events of the application's transactions that wait in the outbox: nothing is held up, lost, or there twice. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Metric, Schedule, Stream } from "effect"
import { AuditError, AuditLogger, RequestContext, Transactions } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger } from "effect-audit/ledger"
import { Postgres, PostgresSignerState } from "effect-audit/postgres"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql/SqlClient"
import { waitingAge, waitingEvents } from "../../src/postgres/outbox.ts"
import { log, within } from "../support.ts"
import { freshSchema, serverOfFile, storeAt, waiting, whileLocked } from "./server.ts"

const file = serverOfFile()
const emit = (n: number, more: Partial<RequestContext.Json> = {}, options: { readonly idempotencyKey?: string } = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }, options).pipe(within(more))
const outboxAt = (schema: string, options: Postgres.Options = {}) =>
  Layer.fresh(
    Layer.mergeAll(Ledger.layer, Erasure.layer).pipe(
      Layer.provideMerge(storeAt(file, schema, { outbox: true, ...options }))
    )
  )
const numbers = Effect.map(
  Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })),
  (items) => items.slice(1).map((item) => item.erased ? undefined : item.event.input)
)
const n = (...all: ReadonlyArray<number>) => all.map((n) => ({ n }))
/** Waits until the events of the log are these, in this order, and looks at the whole log. */
const becomes = (expected: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const found = yield* Effect.repeat(numbers, {
      until: (found) => found.length >= expected.length,
      schedule: Schedule.spaced(10)
    })
    assert.deepStrictEqual(found, n(...expected))
    const findings = yield* Stream.runCollect(Ledger.verify())
    assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
  })
describe("an event in a transaction, with an outbox", () => {
  it.live("is in its log when the store has closed, as a program that ends at once does", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const { transact } = yield* Transactions.Transactions
        yield* emit(0)
        for (const one of [1, 2, 3]) yield* transact(emit(one))
      }).pipe(Effect.provide(outboxAt(schema)))
      assert.strictEqual(yield* Effect.provide(waiting(schema), file.server.client()), 0)
      yield* Effect.provide(becomes([0, 1, 2, 3]), outboxAt(schema))
    })
  })

  it.live("holds no other event of its log up, and goes into the log once the transaction has committed", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      yield* sql`CREATE TABLE shop_order (n INT)`.pipe(Effect.ignore)
      yield* emit(0)
      const [isWritten, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const long = yield* Effect.forkChild(transact(Effect.gen(function*() {
        yield* sql`INSERT INTO shop_order VALUES (1)`
        const receipts = [yield* emit(10), yield* emit(11)]
        yield* Deferred.succeed(isWritten, undefined)
        yield* Deferred.await(mayEnd)
        return [...receipts, yield* emit(12)]
      })))
      yield* Deferred.await(isWritten)
      for (const one of [1, 2]) assert.strictEqual((yield* emit(one)).position, one + 1)
      assert.deepStrictEqual(yield* numbers, n(0, 1, 2))
      yield* Deferred.succeed(mayEnd, undefined)
      for (const receipt of yield* Fiber.join(long)) {
        assert.deepInclude(receipt, {
          position: undefined,
          duplicate: false,
          durability: "with-transaction",
          erased: false
        })
      }
      yield* becomes([0, 1, 2, 10, 11, 12])
      assert.strictEqual(yield* waiting(schema), 0)
      assert.strictEqual((yield* emit(3)).position, 7)
    }).pipe(Effect.provide(outboxAt(schema)))
  })

  it.live("is not there if the transaction is rolled back, or its savepoint", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const failed = yield* Effect.flip(transact(Effect.andThen(emit(1), Effect.fail("no"))))
      assert.strictEqual(failed, "no")
      yield* transact(Effect.gen(function*() {
        yield* emit(2)
        yield* Effect.flip(transact(Effect.andThen(emit(3), Effect.fail("no"))))
        yield* emit(4)
      }))
      yield* becomes([2, 4])
      assert.strictEqual(yield* waiting(schema), 0)
    }).pipe(Effect.provide(outboxAt(schema)))
  })

  it.live("with a key goes to the log at once, and so do records of the log", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const first = yield* transact(emit(1, {}, { idempotencyKey: "k" }))
      assert.strictEqual(first.position, 1)
      const again = yield* transact(emit(1, {}, { idempotencyKey: "k" }))
      assert.deepStrictEqual([again.duplicate, again.eventId, again.position], [true, first.eventId, 1])
      const { receipts } = yield* transact(
        Erasure.erase({ eventIds: [first.eventId], reason: "r" }).pipe(within({ actor: { type: "human", id: "dpo" } }))
      )
      assert.deepStrictEqual(receipts.map(({ position }) => position), [2])
    }).pipe(Effect.provide(outboxAt(schema)))
  })

  it.live("is moved once, in order, by whichever of many processes, and wakes who follows", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const count = 1200
      const followed = yield* AuditTrail.follow({ ...log, after: 0 }).pipe(
        Stream.take(count),
        Stream.runCollect,
        Effect.forkChild
      )
      const { transact } = yield* Transactions.Transactions
      const process = (from: number) =>
        Effect.gen(function*() {
          const { transact } = yield* Transactions.Transactions
          for (let at = from; at < from + 300; at += 100) {
            yield* transact(Effect.forEach(Array.from({ length: 100 }, (_, i) => at + i), (i) => emit(i)))
          }
        }).pipe(Effect.provide(outboxAt(schema)))
      yield* transact(emit(0))
      yield* Effect.all([process(1), process(301), process(601)], { concurrency: 3 })
      yield* transact(Effect.forEach(Array.from({ length: 299 }, (_, i) => 901 + i), (i) => emit(i)))
      const items = yield* Fiber.join(followed)
      const all = items.map((item) => item.erased ? -1 : (item.event.input as { readonly n: number }).n)
      assert.strictEqual(new Set(all).size, count)
      // Of each process in its order.
      for (const from of [1, 301, 601, 901]) {
        const own = all.filter((n) => n >= from && n < from + (from === 901 ? 299 : 300))
        assert.deepStrictEqual(own, own.toSorted((a, b) => a - b))
      }
      yield* becomes(all)
    }).pipe(Effect.provide(outboxAt(schema)))
  }, 30_000)

  it.live("waits for a process that comes later, if its own ends", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* emit(1).pipe(Effect.provide(outboxAt(schema)))
      // Someone has the lock of the log: nothing can be moved.
      yield* whileLocked(schema, () =>
        Effect.gen(function*() {
          yield* Effect.flatMap(Transactions.Transactions, ({ transact }) => transact(Effect.andThen(emit(2), emit(3))))
            .pipe(
              Effect.provide(outboxAt(schema))
            )
          assert.strictEqual(yield* waiting(schema), 2)
        }))
      yield* becomes([1, 2, 3]).pipe(Effect.provide(outboxAt(schema)))
      assert.strictEqual(yield* waiting(schema), 0)
    }).pipe(Effect.provide(file.server.client()))
  })
})

describe("an event that cannot go into its log", () => {
  it.live("is refused where the log is stopped, and stays in the outbox where that comes later, which is said once", () => {
    const schema = freshSchema()
    const lines: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      yield* emit(1)
      yield* transact(Effect.gen(function*() {
        yield* emit(2)
        yield* sql.reserve.pipe(
          Effect.flatMap((other) =>
            Effect.gen(function*() {
              yield* other.executeUnprepared("BEGIN", [], undefined)
              yield* other.executeUnprepared(
                `INSERT INTO ${schema}.stop SELECT id, 'by hand', now() FROM ${schema}.log`,
                [],
                undefined
              )
              yield* other.executeUnprepared(`UPDATE ${schema}.head SET version = version + 1`, [], undefined)
              yield* other.executeUnprepared("COMMIT", [], undefined)
            })
          ),
          Effect.scoped
        )
      }))
      const stays = () =>
        lines.filter((line) => line.startsWith("Events wait in the outbox: Log stopped, not stored: "))
      yield* Effect.repeat(Effect.sync(stays), { until: (found) => found.length > 0, schedule: Schedule.spaced(10) })
      const { reason } = yield* Effect.flip(transact(emit(3)))
      assert(reason._tag === "LogStopped")
      assert.include(reason.message, "by hand")
      // Another log's go on, and wake the one that moves.
      const other = { tenantId: "t_globex" }
      yield* transact(Effect.andThen(emit(1, other), emit(2, other)))
      const globex = { ...log, tenantId: RequestContext.TenantId.make("t_globex") }
      yield* Effect.repeat(AuditTrail.query(globex), {
        until: ({ items }) => items.length === 3,
        schedule: Schedule.spaced(10)
      }).pipe(
        Effect.catchReason("AuditError", "NotFound", () => Effect.fail("the log is not there yet")),
        Effect.retry(Schedule.spaced(10))
      )
      assert.strictEqual(yield* waiting(schema), 1)
      assert.strictEqual(stays().length, 1)
      yield* Effect.repeat(Metric.value(waitingEvents), {
        until: ({ value }) => value === 1,
        schedule: Schedule.spaced(10)
      })
      assert.isAbove((yield* Metric.value(waitingAge)).value, 0)
      // Once the log takes events again, it goes there.
      yield* sql.unsafe(`DELETE FROM ${schema}.stop`)
      yield* sql.unsafe(`UPDATE ${schema}.head SET version = version + 1`)
      yield* becomes([1, 2])
    }).pipe(Effect.provide(outboxAt(schema)), Effect.provide(logger))
  })

  it.live("stays where someone has changed it, with those behind it", () => {
    const schema = freshSchema()
    const changes = [
      "body = convert_to(replace(convert_from(body, 'UTF8'), '\"n\":2', '\"n\":9'), 'UTF8')",
      "salt = decode(repeat('00', 32), 'hex')",
      "event_id = gen_random_uuid()",
      "millis = millis + 1",
      "commitment = decode(repeat('00', 32), 'hex')"
    ]
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      yield* emit(1).pipe(Effect.provide(outboxAt(schema)))
      for (const change of changes) {
        yield* whileLocked(schema, () =>
          Effect.gen(function*() {
            yield* Effect.flatMap(
              Transactions.Transactions,
              ({ transact }) => transact(Effect.forEach([1, 2, 3], (each) => emit(each)))
            ).pipe(Effect.provide(outboxAt(schema)))
            yield* sql.unsafe(
              `UPDATE ${schema}.outbox SET ${change} WHERE id = (SELECT min(id) + 1 FROM ${schema}.outbox)`
            )
          }))
        yield* Effect.gen(function*() {
          yield* Effect.repeat(waiting(schema), { until: (count) => count === 2, schedule: Schedule.spaced(10) })
          const all = yield* numbers
          assert.deepStrictEqual(all.at(-1), { n: 1 }, change)
        }).pipe(Effect.provide(outboxAt(schema)))
        yield* sql.unsafe(`DELETE FROM ${schema}.outbox`)
      }
    }).pipe(Effect.provide(file.server.client()))
  }, 30_000)

  it.live("is refused where the store is written under another policy, or the transaction is not durable", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      const reason = yield* Effect.flip(
        transact(Effect.andThen(sql`SET LOCAL synchronous_commit = off`, emit(1)))
      )
      assert(reason instanceof AuditError.AuditError)
      assert.strictEqual(
        reason.reason.message,
        "Store refused: the transaction would not be durable: synchronous_commit is off"
      )
      assert.strictEqual(yield* waiting(schema), 0)
    }).pipe(Effect.provide(outboxAt(schema)))
  })
})

describe("the role of an application", () => {
  it.live("may use the outbox", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const role = `app_${schema}`
      yield* sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
      yield* Effect.void.pipe(Effect.provide(storeAt(file, schema)))
      yield* Postgres.grant({ schema, application: role })
      const store = AuditLogger.layer().pipe(
        Layer.provideMerge(Postgres.layerSigning({ schema, outbox: true })),
        Layer.provideMerge(PostgresSignerState.layerNone),
        Layer.provideMerge(file.server.client({ username: role }))
      )
      yield* Effect.gen(function*() {
        const { transact } = yield* Transactions.Transactions
        yield* transact(emit(1))
        yield* becomes([1])
      }).pipe(Effect.provide(Ledger.layer.pipe(Layer.provideMerge(store), Layer.fresh)))
    }).pipe(Effect.provide(file.server.client()))
  })
})
