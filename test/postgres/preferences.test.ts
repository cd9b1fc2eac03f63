/** Who has opted out, as transactions see it: they ask on their own connection, and others do not learn from them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { AuditError, AuditLogger, TrainingPreferences, Transactions } from "effect-audit"
import { Postgres } from "effect-audit/postgres"
import { SqlClient } from "effect/sql/SqlClient"
import { log, within } from "../support.ts"
import { freshSchema, serverOfFile } from "./server.ts"

const file = serverOfFile()
const store = (schema: string, maxConnections = 10) =>
  AuditLogger.layer().pipe(
    Layer.provideMerge(Postgres.layer({ schema })),
    Layer.provideMerge(file.server.client({ maxConnections }))
  )
const emitOf = (person: string) =>
  AuditLogger.emit({ action: "note.create", subjectIds: [person] }).pipe(
    within(),
    Effect.map(({ trainOk }) => trainOk)
  )
const setting = (userId: string, trainingAllowed: boolean) =>
  Effect.flatMap(
    TrainingPreferences.TrainingPreferences,
    (preferences) => preferences.change({ ...log, userId, trainingAllowed }, Effect.void)
  )

describe("a transaction that asks who has opted out", () => {
  it.live("needs no other connection than its own", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      yield* setting("p3", false)
      const allowed = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, n) => n),
        (n) => transact(emitOf(`p${n}`)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(allowed, [true, true, true, false, true, true, true, true])
    }).pipe(Effect.provide(store(freshSchema(), 2))))

  it.live("is told the stricter of before and after of its own change, which ends with it", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      yield* setting("p1", false)
      const back = yield* Effect.exit(transact(Effect.gen(function*() {
        yield* setting("p1", true)
        assert.isFalse(yield* emitOf("p1"))
        yield* setting("p2", false)
        assert.isFalse(yield* emitOf("p2"))
        assert.isTrue(yield* emitOf("p3"))
        return yield* Effect.fail("back")
      })))
      assert.isTrue(Exit.isFailure(back))
      assert.isFalse(yield* emitOf("p1"))
      assert.isTrue(yield* emitOf("p2"))
      yield* transact(setting("p1", true))
      assert.isTrue(yield* emitOf("p1"))
    }).pipe(Effect.provide(store(freshSchema()))))

  it.live("is heard of at once where its change is stricter, although it is remembered otherwise, until it has ended", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const preferences = yield* TrainingPreferences.TrainingPreferences
      const ask = (person: string) => preferences.lookup({ ...log, userIds: [person] })
      const changing = Effect.fnUntraced(function*(person: string, allowed: boolean, succeeds: boolean) {
        const [isSet, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const fiber = yield* Effect.forkChild(transact(
          Effect.gen(function*() {
            yield* setting(person, allowed)
            yield* Deferred.succeed(isSet, undefined)
            yield* Deferred.await(goOn)
            if (!succeeds) return yield* Effect.fail("back")
          })
        ))
        yield* Deferred.await(isSet)
        const meanwhile = [yield* ask(person), yield* ask(person)]
        yield* Deferred.succeed(goOn, undefined)
        yield* Fiber.await(fiber)
        return [...meanwhile, yield* ask(person)]
      })
      assert.strictEqual(yield* ask("p1"), "allowed")
      assert.deepStrictEqual(yield* changing("p1", false, false), ["user_opt_out", "user_opt_out", "allowed"])
      assert.deepStrictEqual(yield* changing("p1", false, true), ["user_opt_out", "user_opt_out", "user_opt_out"])
      assert.deepStrictEqual(yield* changing("p1", true, false), ["user_opt_out", "user_opt_out", "user_opt_out"])
      assert.deepStrictEqual(yield* changing("p1", true, true), ["user_opt_out", "user_opt_out", "allowed"])
    }).pipe(Effect.provide(store(freshSchema()))))

  it.live("keeps its own opt-out, whatever became of another's of the same person", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const preferences = yield* TrainingPreferences.TrainingPreferences
      const [isSet, goBack, isWritten, emitNow] = yield* Effect.all([
        Deferred.make<void>(),
        Deferred.make<void>(),
        Deferred.make<void>(),
        Deferred.make<void>()
      ])
      const failing = Effect.andThen(
        Deferred.succeed(isSet, undefined),
        Effect.andThen(
          Deferred.await(goBack),
          Effect.fail(AuditError.fail("test", new AuditError.SinkUnavailable({ detail: "back" })))
        )
      )
      const first = yield* Effect.forkChild(
        Effect.exit(preferences.change({ ...log, userId: "p1", trainingAllowed: false }, failing))
      )
      yield* Deferred.await(isSet)
      const second = yield* Effect.forkChild(transact(Effect.gen(function*() {
        yield* setting("p1", false)
        yield* Deferred.succeed(isWritten, undefined)
        yield* Deferred.await(emitNow)
        return yield* emitOf("p1")
      })))
      // The second waits for the lock of the first.
      const sql = yield* SqlClient
      const waiting =
        sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
      while ((yield* waiting).length === 0) yield* Effect.yieldNow
      yield* Deferred.succeed(goBack, undefined)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(first)))
      yield* Deferred.await(isWritten)
      // Someone else asks, and what is remembered then is not what the transaction has set.
      yield* preferences.lookup({ ...log, userIds: ["p1"] })
      yield* Deferred.succeed(emitNow, undefined)
      assert.isFalse(yield* Fiber.join(second))
      assert.isFalse(yield* emitOf("p1"))
    }).pipe(Effect.provide(store(freshSchema()))))

  it.live("leaves nothing in memory that was never committed", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      yield* Effect.exit(transact(Effect.gen(function*() {
        yield* setting("p1", false)
        yield* emitOf("p2")
        return yield* Effect.fail("back")
      })))
      // Elsewhere, so that this process hears of it by the number of changes alone, which is the one that it has read.
      yield* Effect.provide(setting("p2", false), Layer.fresh(store(schema)))
      assert.isFalse(yield* emitOf("p2"))
    }).pipe(Effect.provide(store(schema)))
  })

  it.live("with an older snapshot hears of what was committed since", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      yield* emitOf("p9")
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
        yield* sql`SELECT 1`
        yield* Effect.provide(setting("p1", false), Layer.fresh(store(schema)))
        assert.isFalse(yield* emitOf("p1"))
      }))
    }).pipe(Effect.provide(store(schema)))
  })
})
