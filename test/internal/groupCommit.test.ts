import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { DatasetEvent } from "effect-audit"
import { TestClock } from "effect/testing"
import * as GroupCommit from "../../src/internal/groupCommit.ts"

const eventId = DatasetEvent.EventId.make("01a209b2-bb64-721d-a879-ebe903fabb0d")
interface Value {
  readonly eventId: DatasetEvent.EventId
  readonly n: number
}
const value = (n: number): Value => ({ eventId, n })
const options = { capacity: 4, maxBatch: 2, deadline: "5 seconds", method: "test" } as const
type Waiting = GroupCommit.Waiting<Value, number>
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(Effect.exit(effect), { startImmediately: true })
const tag = <A>(exit: Exit.Exit<A, { readonly reason: { readonly _tag: string } }>) =>
  Exit.isSuccess(exit)
    ? "ok"
    : exit.cause.reasons.map((reason) => reason._tag === "Fail" ? reason.error.reason._tag : reason._tag).join()

const settleAll = (waiting: Waiting) =>
  Effect.sync(() => {
    for (const entry of waiting.take()) entry.settle(Exit.succeed(entry.value.n))
  })

describe("groupCommit", () => {
  it.effect("shares commits of at most maxBatch, in order", () =>
    Effect.gen(function*() {
      const batches: Array<Array<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.sync(() => {
            const taken = waiting.take()
            batches.push(taken.map((entry) => entry.value.n))
            for (const entry of taken) entry.settle(Exit.succeed(entry.value.n))
          })
      })
      const results = yield* Effect.all([1, 2, 3, 4, 5].map((n) => append(value(n))), { concurrency: "unbounded" })
      assert.deepStrictEqual(results, [1, 2, 3, 4, 5])
      assert.deepStrictEqual(batches, [[1, 2], [3, 4], [5]])
    }))

  it.effect("tells the three places of a deadline apart: no room, in the queue, in the write", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const late: Array<number> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => {
          const taken = waiting.take()
          return Effect.map(Deferred.await(gate), () => {
            for (const entry of taken) {
              late.push(entry.value.n)
              entry.settle(Exit.succeed(entry.value.n))
            }
          })
        }
      })
      const first = yield* Effect.forEach([1, 2], (n) => start(append(value(n))))
      yield* Effect.yieldNow
      const rest = yield* Effect.forEach([3, 4, 5, 6, 7, 8], (n) => start(append(value(n))))
      yield* Effect.yieldNow
      yield* TestClock.adjust("6 seconds")
      const exits = yield* Effect.forEach([...first, ...rest], Fiber.join)
      assert.deepStrictEqual(exits.map(tag), [
        "CommitUnknown",
        "CommitUnknown",
        "SinkTimeout",
        "SinkTimeout",
        "SinkTimeout",
        "SinkTimeout",
        "SinkOverloaded",
        "SinkOverloaded"
      ])
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.yieldNow
      assert.deepStrictEqual(late, [1, 2])
    }))

  it.effect("a write that dies fails its own batch, with CommitUnknown, and the next goes on", () =>
    Effect.gen(function*() {
      let writes = 0
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => {
          if (writes++ === 0) {
            waiting.take()
            throw new Error("bug")
          }
          return settleAll(waiting)
        }
      })
      const exits = yield* Effect.all([1, 2, 3].map((n) => Effect.exit(append(value(n)))), { concurrency: "unbounded" })
      assert.deepStrictEqual(exits.map(tag), ["CommitUnknown", "CommitUnknown", "ok"])
    }))

  it.effect("an interrupted caller's entry is still written", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const written: Array<number> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.andThen(
            Deferred.await(gate),
            Effect.sync(() => {
              for (const entry of waiting.take()) {
                written.push(entry.value.n)
                entry.settle(Exit.succeed(entry.value.n))
              }
            })
          )
      })
      const fiber = yield* start(append(value(1)))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(gate, undefined)
      yield* append(value(2))
      assert.deepStrictEqual(written, [1, 2])
    }))

  it.effect("closing drains for at most the deadline; what is left is SinkClosed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: () => Effect.never
      }).pipe(Scope.provide(scope))
      const waiting = yield* start(append(value(1)))
      yield* Effect.yieldNow
      yield* TestClock.adjust("1 second")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      const refused = yield* Effect.exit(append(value(2)))
      assert.strictEqual(tag(refused), "SinkClosed")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      assert.include(["SinkTimeout", "SinkClosed"], tag(yield* Fiber.join(waiting)))
    }))
})
