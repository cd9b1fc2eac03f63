/** Transactions of the store in memory: who waits for whom, and for how long. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scheduler } from "effect"
import { AuditLogger, Transactions } from "effect-audit"
import { TestClock } from "effect/testing"
import { memory, storedEvents, within } from "../support.ts"

const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const turns = (count: number) => Effect.forEach(Array.from({ length: count }), () => Effect.yieldNow, { discard: true })

describe("transactions in memory", () => {
  it.effect("a fiber of an outer transaction waits for the inner one, and gives up after five seconds", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const failed = yield* Effect.forkChild(transact(Effect.gen(function*() {
        const child = yield* Effect.forkChild(Effect.andThen(turns(10), Effect.flip(emit(1))))
        yield* emit(2)
        // Waits inside for what waits for its end.
        return yield* transact(Effect.andThen(emit(3), Fiber.join(child)))
      })))
      yield* turns(100)
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(failed)
      assert.strictEqual(error.reason._tag, "SinkTimeout")
      assert.strictEqual((yield* storedEvents).length, 3)
    }).pipe(Effect.provide(memory)))

  it.effect("a fiber that outlives its transaction writes outside of it, also when an inner one was open at its end", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const scope = yield* Effect.scope
      const late = yield* Effect.exit(transact(Effect.gen(function*() {
        const fiber = yield* Effect.forkIn(transact(Effect.andThen(turns(50), emit(1))), scope, {
          startImmediately: true
        })
        yield* turns(2)
        return yield* Effect.fail(fiber)
      })))
      assert(Exit.isFailure(late))
      yield* emit(2)
      yield* turns(200)
      assert.strictEqual((yield* storedEvents).length, 3)
      yield* transact(emit(3))
      assert.strictEqual((yield* storedEvents).length, 4)
    }).pipe(Effect.scoped, Effect.provide(memory)))

  it.effect("an event outside of a transaction is never in one, wherever the scheduler yields", () =>
    Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      for (let operations = 10; operations < 210; operations++) {
        yield* Effect.all([
          emit(operations),
          Effect.exit(transact(Effect.andThen(turns(2), Effect.fail("no"))))
        ], { concurrency: 2 }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
      }
      assert.strictEqual((yield* storedEvents).length, 201)
    }).pipe(Effect.provide(memory)))
})
