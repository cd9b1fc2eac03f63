import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Metric, Scope } from "effect"
import { type AuditError, DatasetEvent } from "effect-audit"
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

  it.effect("is refused where nothing could be written", () =>
    Effect.gen(function*() {
      for (const [given, path] of [[{ maxBatch: 0 }, "/maxBatch"], [{ capacity: 1.5 }, "/capacity"]] as const) {
        const error = yield* Effect.flip(
          GroupCommit.make<Value, number>({ ...options, ...given, write: () => Effect.void })
        )
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, path)
      }
    }))

  it.live("what comes while a commit runs, in whatever turns, shares the next one", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const batches: Array<Array<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        capacity: 100,
        maxBatch: 100,
        write: (waiting) =>
          Effect.gen(function*() {
            const taken = waiting.take()
            batches.push(taken.map((entry) => entry.value.n))
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(gate)
            for (const entry of taken) entry.settle(Exit.succeed(entry.value.n))
          })
      })
      const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      const first = yield* start(append(value(0)))
      yield* Deferred.await(begun)
      const later = yield* Effect.forEach([1, 2, 3], (n) => Effect.andThen(turn, start(append(value(n)))))
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach([first, ...later], Fiber.join)
      assert.deepStrictEqual(batches, [[0], [1, 2, 3]])
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

  it.effect("says in each of them what happened, and which event it was", () =>
    Effect.gen(function*() {
      const detail = (fiber: Fiber.Fiber<Exit.Exit<number, AuditError.AuditError>>) =>
        Effect.map(Fiber.join(fiber), (exit) => {
          if (Exit.isSuccess(exit)) return "ok"
          const [reason] = exit.cause.reasons
          assert(reason?._tag === "Fail" && "detail" in reason.error.reason)
          assert.deepStrictEqual([reason.error.method, reason.error.eventId], ["test", eventId])
          return `${reason.error.reason._tag}: ${String(reason.error.reason.detail)}`
        })
      const scope = yield* Scope.make()
      const writes: Array<(waiting: Waiting) => Effect.Effect<void>> = [
        (waiting) => {
          waiting.take()
          throw new Error("bug")
        },
        (waiting) => {
          assert.isFalse(waiting.isEmpty())
          waiting.take()
          assert.isTrue(waiting.isEmpty())
          return Effect.void
        },
        // One of two is settled, twice: the first time counts.
        (waiting) =>
          Effect.sync(() => {
            const [first] = waiting.take()
            first?.settle(Exit.succeed(1))
            first?.settle(Exit.succeed(2))
          })
      ]
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => {
          const write = writes.shift()
          if (write !== undefined) return write(waiting)
          waiting.take()
          return Effect.never
        }
      }).pipe(Scope.provide(scope))
      const one = start(append(value(1)))
      assert.strictEqual(yield* detail(yield* one), "CommitUnknown: the writer failed")
      assert.strictEqual(yield* detail(yield* one), "CommitUnknown: the writer left the entry")
      const both = yield* Effect.all([one, one])
      assert.deepStrictEqual(yield* Effect.forEach(both, detail), ["ok", "CommitUnknown: the writer left the entry"])
      const late = yield* Effect.forEach([1, 2], () => one)
      yield* Effect.yieldNow
      const queued = yield* Effect.forEach([1, 2, 3, 4, 5], () => one)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        yield* Effect.forEach(late, detail),
        Array(2).fill("CommitUnknown: the write did not end within 5000 ms")
      )
      assert.deepStrictEqual(yield* Effect.forEach(queued, detail), [
        ...Array<string>(4).fill("SinkTimeout: no commit within 5000 ms"),
        "SinkOverloaded: no room in the queue of 4 within 5000 ms"
      ])
      // The deadlines of those who come later are watched as well.
      const later = yield* one
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* detail(later), "SinkTimeout: no commit within 5000 ms")
      const left = yield* one
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.strictEqual(yield* detail(yield* one), "SinkClosed: the sink is closed")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(yield* detail(left), "SinkClosed: closed before it was written")
    }))

  it.effect("says of what is left at the end of closing whether its write had begun", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      // Its entries wait longer than closing does.
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => {
          waiting.take()
          return Effect.never
        }
      }).pipe(Scope.provide(scope))
      const begun = yield* Effect.forEach([1, 2], (n) => start(append(value(n))))
      yield* Effect.yieldNow
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      for (const fiber of begun) {
        const exit = yield* Fiber.join(fiber)
        assert.strictEqual(tag(exit), "CommitUnknown")
      }
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

  it.effect("closing during a write: what was taken is CommitUnknown, what waits is SinkClosed, no entry is forgotten", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => {
          waiting.take()
          return Effect.never
        }
      }).pipe(Scope.provide(scope))
      const fibers = yield* Effect.forEach([1, 2, 3], (n) => start(append(value(n))))
      // In the same step as the calls: closing gives up in the instant in which their deadline ends.
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.deepStrictEqual((yield* Effect.forEach(fibers, Fiber.join)).map(tag), [
        "CommitUnknown",
        "CommitUnknown",
        "SinkClosed"
      ])
    }))

  it.effect("closing waits for what was called before it, and no longer", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const gate = yield* Deferred.make<void>()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => Effect.andThen(Deferred.await(gate), settleAll(waiting))
      }).pipe(Scope.provide(scope))
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => start(append(value(n))))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(closing.pollUnsafe())
      assert.strictEqual(tag(yield* Effect.exit(append(value(6)))), "SinkClosed")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual((yield* Effect.forEach(fibers, Fiber.join)).map(tag), ["ok", "ok", "ok", "ok", "ok"])
    }))

  it.effect("closing an idle queue is immediate, and what comes later is SinkClosed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const append = yield* GroupCommit.make<Value, number>({ ...options, write: settleAll }).pipe(Scope.provide(scope))
      assert.strictEqual(yield* append(value(1)), 1)
      yield* Scope.close(scope, Exit.void)
      const refused = yield* Effect.exit(append(value(2)))
      assert.strictEqual(tag(refused), "SinkClosed")
      assert(Exit.isFailure(refused))
      const [reason] = refused.cause.reasons
      assert(reason?._tag === "Fail")
      assert.deepStrictEqual([reason.error.method, reason.error.eventId], ["test", eventId])
    }))

  it.effect("closes at once where nothing was ever called", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.provide(GroupCommit.make<Value, number>({ ...options, write: settleAll }), scope)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.isDefined(closing.pollUnsafe())
    }))

  it.effect("withdraws an entry at its deadline, not at the next look at the clock", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        deadline: 150,
        write: (waiting) => Effect.andThen(Deferred.await(gate), settleAll(waiting))
      })
      const fiber = yield* start(append(value(1)))
      yield* TestClock.adjust(149)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(tag(yield* Fiber.join(fiber)), "SinkTimeout")
      yield* Deferred.succeed(gate, undefined)
    }))

  it.effect("tells its depth when a commit begins, when it has ended, and when it is closed", () =>
    Effect.gen(function*() {
      const depth = Effect.map(Metric.value(GroupCommit.queueDepth), ({ value }) => value)
      const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const before = yield* depth
      const scope = yield* Scope.make()
      let writes = 0
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.gen(function*() {
            if (++writes > 1) return yield* Effect.asVoid(Effect.andThen(Effect.sync(waiting.take), Effect.never))
            const entries = waiting.take()
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(gate)
            for (const { settle, value } of entries) settle(Exit.succeed(value.n))
          })
      }).pipe(Scope.provide(scope))
      const fibers = yield* Effect.forEach([1, 2], (n) => start(append(value(n))))
      yield* Deferred.await(begun)
      assert.strictEqual((yield* depth) - before, 2)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(fibers, Fiber.join)
      yield* Effect.yieldNow
      assert.strictEqual((yield* depth) - before, 0)
      const left = yield* start(append(value(3)))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* depth) - before, 0)
      assert.strictEqual(tag(yield* Fiber.join(left)), "CommitUnknown")
    }))

  it.effect("interrupts a write that hangs when it gives up closing", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      let interrupted = false
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              interrupted = true
            }))
      }).pipe(Scope.provide(scope))
      const waiting = yield* start(append(value(1)))
      yield* Effect.yieldNow
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isFalse(interrupted)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.isTrue(interrupted)
      assert.include(["SinkTimeout", "SinkClosed"], tag(yield* Fiber.join(waiting)))
    }))

  it.effect("an entry that the writer left unsettled is CommitUnknown at once", () =>
    Effect.gen(function*() {
      let writes = 0
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.sync(() => {
            const taken = waiting.take()
            if (writes++ === 0) taken[0]?.settle(Exit.succeed(7))
            else for (const entry of taken) entry.settle(Exit.succeed(entry.value.n))
          })
      })
      const exits = yield* Effect.all([1, 2, 3].map((n) => Effect.exit(append(value(n)))), { concurrency: "unbounded" })
      assert.deepStrictEqual(exits.map(tag), ["ok", "CommitUnknown", "ok"])
    }))

  it.effect("only the first answer to an entry counts", () =>
    Effect.gen(function*() {
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.sync(() => {
            for (const entry of waiting.take()) {
              entry.settle(Exit.succeed(entry.value.n))
              entry.settle(Exit.succeed(-1))
            }
          })
      })
      assert.deepStrictEqual(yield* Effect.all([append(value(1)), append(value(2))], { concurrency: 2 }), [1, 2])
    }))

  it.effect("each entry has the deadline of its own call, and is withdrawn there, not before", () =>
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
      const first = yield* start(append(value(1)))
      yield* Effect.yieldNow
      yield* TestClock.adjust("3 seconds")
      const second = yield* start(append(value(2)))
      yield* Effect.yieldNow
      yield* TestClock.adjust(1999)
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(tag(yield* Fiber.join(first)), "SinkTimeout")
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tag(yield* Fiber.join(second)), "SinkTimeout")
      yield* Effect.forkChild(Deferred.succeed(gate, undefined))
      assert.strictEqual(yield* append(value(3)), 3)
      assert.deepStrictEqual(written, [3])
    }))

  it.effect("what is called in one tick shares a commit; what is called while one is written shares the next", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const batches: Array<Array<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        maxBatch: 10,
        write: (waiting) => {
          const taken = waiting.take()
          batches.push(taken.map((entry) => entry.value.n))
          return Effect.map(Deferred.await(gate), () => {
            for (const entry of taken) entry.settle(Exit.succeed(entry.value.n))
          })
        }
      })
      const first = yield* Effect.forEach([1, 2], (n) => start(append(value(n))))
      yield* Effect.yieldNow
      const second = yield* Effect.forEach([3, 4, 5, 6, 7], (n) => start(append(value(n))))
      yield* Effect.yieldNow
      assert.deepStrictEqual(batches, [[1, 2]])
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach([...first, ...second], Fiber.join)
      assert.deepStrictEqual(batches, [[1, 2], [3, 4, 5, 6, 7]])
    }))

  it.effect("room that becomes free is there for who waited behind a full queue", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) => Effect.andThen(Deferred.await(gate), settleAll(waiting))
      })
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => start(append(value(n))))
      yield* Effect.yieldNow
      yield* TestClock.adjust("4 seconds")
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Effect.forEach(fibers, Fiber.join)).map(tag), Array.from(fibers, () => "ok"))
    }))

  it.effect("each entry of a write that hangs has the deadline of its own call", () =>
    Effect.gen(function*() {
      const lock = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.flatMap(Deferred.await(lock), () => {
            waiting.take()
            return Deferred.await(end)
          })
      })
      const first = yield* start(append(value(1)))
      yield* TestClock.adjust("3 seconds")
      const second = yield* start(append(value(2)))
      yield* Deferred.succeed(lock, undefined)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(tag(yield* Fiber.join(first)), "CommitUnknown")
      yield* TestClock.adjust(2999)
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(tag(yield* Fiber.join(second)), "CommitUnknown")
      yield* Deferred.succeed(end, undefined)
    }))
})

describe("a writer that does not write at once", () => {
  const ns = (entries: ReadonlyArray<GroupCommit.Entry<Value, number>>) => entries.map(({ value }) => value.n)
  const settle = (entries: ReadonlyArray<GroupCommit.Entry<Value, number>>) => {
    for (const { settle, value } of entries) settle(Exit.succeed(value.n))
  }
  const all = { ...options, capacity: 100, maxBatch: 100 }

  it.effect("gives back what it took, all of it or some: it is written again, before what came later", () =>
    Effect.gen(function*() {
      const taken: Array<ReadonlyArray<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        maxBatch: 3,
        write: (waiting) =>
          Effect.sync(() => {
            const entries = waiting.take()
            taken.push(ns(entries))
            if (taken.length === 1) return waiting.giveBack()
            if (taken.length > 2) return settle(entries)
            waiting.giveBack([entries[2]!, entries[0]!])
            assert.isFalse(waiting.isEmpty())
            settle(entries.slice(1, 2))
          })
      })
      const results = yield* Effect.all([1, 2, 3, 4].map((n) => append(value(n))), { concurrency: "unbounded" })
      assert.deepStrictEqual(results, [1, 2, 3, 4])
      assert.deepStrictEqual(taken, [[1, 2, 3], [1, 2, 3], [1, 3, 4]])
    }))

  it.effect("gives back in any order: it is written again in the order of the calls", () =>
    Effect.gen(function*() {
      const taken: Array<ReadonlyArray<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        write: (waiting) =>
          Effect.sync(() => {
            const entries = waiting.take()
            taken.push(ns(entries))
            if (taken.length > 1) return settle(entries)
            waiting.giveBack(entries.slice(0, 1))
            waiting.giveBack(entries.slice(2))
            settle(entries.slice(1, 2))
          })
      })
      const results = yield* Effect.all([1, 2, 3].map((n) => append(value(n))), { concurrency: "unbounded" })
      assert.deepStrictEqual(results, [1, 2, 3])
      assert.deepStrictEqual(taken, [[1, 2, 3], [1, 3]])
    }))

  it.effect("a writer that takes again has what it took before and did not settle: all of it hears how it ends", () =>
    Effect.gen(function*() {
      const [more, begun] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let writes = 0
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        write: (waiting) =>
          Effect.gen(function*() {
            const first = waiting.take()
            if (++writes > 1) return settle(first)
            settle(first.slice(0, 1))
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(more)
            waiting.take()
            return yield* Effect.die("of the writer")
          })
      })
      const early = yield* Effect.forEach([1, 2], (n) => start(append(value(n))))
      yield* Deferred.await(begun)
      const late = yield* Effect.forEach([3, 4, 5], (n) => start(append(value(n))))
      yield* Deferred.succeed(more, undefined)
      const exits = yield* Effect.forEach([...early, ...late], Fiber.join)
      assert.deepStrictEqual(exits.map(tag), ["ok", "CommitUnknown", "CommitUnknown", "CommitUnknown", "ok"])
    }))

  it.effect("gives back nothing that has an outcome: its deadline may have come meanwhile", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const taken: Array<ReadonlyArray<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        write: (waiting) =>
          Effect.gen(function*() {
            const entries = waiting.take()
            taken.push(ns(entries))
            if (taken.length > 1) return settle(entries)
            yield* Deferred.await(gate)
            waiting.giveBack()
          })
      })
      const first = yield* start(append(value(1)))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(tag(yield* Fiber.join(first)), "CommitUnknown")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* append(value(2)), 2)
      assert.deepStrictEqual(taken, [[1], [2]])
    }))

  it.live("gives back what others hold up to these, and to no one else", () =>
    Effect.gen(function*() {
      const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const taken: Array<ReadonlyArray<number>> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        keyOf: ({ n }) => n >= 20 ? "b" : n >= 10 ? "a" : "free",
        write: (waiting) =>
          Effect.sync(() => {
            const entries = waiting.take()
            if (taken.length > 0) return settle(entries)
            taken.push(ns(entries))
            const own = (waiting: Waiting) =>
              Effect.andThen(
                Deferred.await(gate),
                Effect.sync(() => {
                  const entries = waiting.take()
                  taken.push(ns(entries))
                  settle(entries)
                })
              )
            waiting.apart("a", own)
            waiting.apart("b", own)
            waiting.giveBack()
          }).pipe(Effect.andThen(Deferred.succeed(begun, undefined)))
      })
      const held = yield* Effect.forEach([10, 20, 1, 11], (n) => start(append(value(n))))
      yield* Deferred.await(begun)
      assert.strictEqual(yield* append(value(2)), 2)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Effect.forEach(held, Fiber.join)).map(tag), Array(4).fill("ok"))
      assert.deepStrictEqual(taken, [[10, 20, 1, 11], [10, 11], [20]])
    }))

  it.live("writes what is held up apart: others do not wait for it, and what comes to it goes there", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const [common, apart]: [Array<ReadonlyArray<number>>, Array<ReadonlyArray<number>>] = [[], []]
      const isHeld = (n: number) => n >= 10
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        keyOf: ({ n }) => isHeld(n) ? "held" : "free",
        write: (waiting) =>
          Effect.sync(() => {
            const entries = waiting.take()
            common.push(ns(entries))
            const held = entries.filter(({ value }) => isHeld(value.n))
            if (held.length > 0 && apart.length === 0) {
              waiting.giveBack(held)
              const write = (own: Waiting) =>
                Effect.gen(function*() {
                  yield* Deferred.await(gate)
                  while (!own.isEmpty()) {
                    const entries = own.take()
                    apart.push(ns(entries))
                    settle(entries)
                  }
                })
              waiting.apart("held", write)
              // Once is enough.
              waiting.apart("held", () => Effect.die("it is written apart already"))
              settle(entries.filter(({ value }) => !isHeld(value.n)))
            } else settle(entries)
          })
      })
      const held = yield* start(append(value(10)))
      assert.deepStrictEqual(yield* Effect.all([1, 2].map((n) => append(value(n))), { concurrency: "unbounded" }), [
        1,
        2
      ])
      const later = yield* start(append(value(11)))
      assert.strictEqual(yield* append(value(3)), 3)
      assert.deepStrictEqual(apart, [])
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach([held, later], Fiber.join)
      assert.deepStrictEqual(apart, [[10, 11]])
      // It is over: from now on all are written together.
      const results = yield* Effect.all([12, 4].map((n) => append(value(n))), { concurrency: "unbounded" })
      assert.deepStrictEqual(results, [12, 4])
      assert.deepStrictEqual(common.at(-1), [12, 4])
      assert.isTrue(common.slice(1, -1).every((entries) => entries.every((n) => n < 10)))
    }))

  it.live("frees the medium before it has settled: the next commit begins", () =>
    Effect.gen(function*() {
      const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let writes = 0
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        write: (waiting) =>
          Effect.gen(function*() {
            const entries = waiting.take()
            if (++writes === 1) {
              yield* Deferred.succeed(begun, undefined)
              waiting.free()
              waiting.free()
              yield* Deferred.await(gate)
            }
            settle(entries)
          })
      })
      const first = yield* start(append(value(1)))
      yield* Deferred.await(begun)
      assert.strictEqual(yield* append(value(2)), 2)
      assert.isUndefined(first.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(tag(yield* Fiber.join(first)), "ok")
    }))

  it.live("begins at once where enough wait, and with the next turn otherwise", () =>
    Effect.gen(function*() {
      const taken: Array<ReadonlyArray<number>> = []
      const inFlight: Array<number> = []
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        eager: (count) => {
          inFlight.push(count)
          return 3
        },
        write: (waiting) =>
          Effect.sync(() => {
            const entries = waiting.take()
            taken.push(ns(entries))
            settle(entries)
          })
      })
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) => start(append(value(n))))
      assert.deepStrictEqual(taken, [[1, 2, 3]])
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(taken, [[1, 2, 3], [4]])
      assert.deepStrictEqual(inFlight.slice(0, 3), [0, 0, 0])
      yield* append(value(5))
      assert.strictEqual(inFlight.at(-1), 1)
    }))

  it.live("knows how many had no outcome while the last commit ran: in it, and behind it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const seen = new Set<number>()
      const append = yield* GroupCommit.make<Value, number>({
        ...all,
        eager: (count) => {
          seen.add(count)
          return Infinity
        },
        write: (waiting) =>
          Effect.gen(function*() {
            const entries = waiting.take()
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(gate)
            settle(entries)
          })
      })
      const first = yield* Effect.forEach([1, 2], (n) => start(append(value(n))))
      yield* Deferred.await(begun)
      const second = yield* Effect.forEach([3, 4, 5], (n) => start(append(value(n))))
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach([...first, ...second], Fiber.join)
      yield* append(value(6))
      assert.deepStrictEqual([...seen], [0, 5, 3])
    }))
})

describe("what is written apart", () => {
  const keyOf = ({ n }: Value) => n >= 10 ? "held" : "free"
  /** A queue whose writer holds up 10 and more, once, by a writer of their own. */
  const holding = (own: (waiting: Waiting) => Effect.Effect<void>, more: Partial<GroupCommit.Options> = {}) =>
    Effect.gen(function*() {
      const common: Array<ReadonlyArray<number>> = []
      let isHeld = false
      const scope = yield* Scope.make()
      const append = yield* GroupCommit.make<Value, number>({
        ...options,
        capacity: 100,
        maxBatch: 100,
        keyOf,
        ...more,
        write: (waiting) =>
          Effect.sync(() => {
            const entries = waiting.take()
            common.push(entries.map(({ value }) => value.n))
            const held = isHeld ? [] : entries.filter(({ value }) => value.n >= 10)
            if (held.length > 0) {
              isHeld = true
              waiting.giveBack(held)
              waiting.apart("held", own)
            }
            for (const entry of entries) if (!held.includes(entry)) entry.settle(Exit.succeed(entry.value.n))
          })
      }).pipe(Scope.provide(scope))
      return { append, common, close: Scope.close(scope, Exit.void) }
    })

  it.effect("has its deadline: withdrawn while it waits, unknown once it was taken", () =>
    Effect.gen(function*() {
      const mayTake = yield* Deferred.make<void>()
      const { append } = yield* holding((waiting) =>
        Effect.andThen(
          Deferred.await(mayTake),
          Effect.suspend(() => {
            waiting.take()
            return Effect.never
          })
        )
      )
      const early = yield* start(append(value(10)))
      yield* TestClock.adjust("3 seconds")
      const late = yield* start(append(value(11)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(tag(yield* Fiber.join(early)), "SinkTimeout")
      yield* Deferred.succeed(mayTake, undefined)
      yield* TestClock.adjust(2999)
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(tag(yield* Fiber.join(late)), "CommitUnknown")
    }))

  it.effect("is taken a batch at a time, and others as well meanwhile", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const apart: Array<ReadonlyArray<number>> = []
      const { append, common } = yield* holding((waiting) =>
        Effect.andThen(
          Deferred.await(gate),
          Effect.sync(() => {
            while (!waiting.isEmpty()) {
              const entries = waiting.take()
              apart.push(entries.map(({ value }) => value.n))
              for (const { settle, value } of entries) settle(Exit.succeed(value.n))
            }
          })
        ), { maxBatch: 2 })
      const held = yield* Effect.forEach([10, 11, 12, 13, 14], (n) => start(append(value(n))))
      const free = yield* Effect.all([1, 2, 3].map((n) => append(value(n))), { concurrency: "unbounded" })
      assert.deepStrictEqual(free, [1, 2, 3])
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Effect.forEach(held, Fiber.join)).map(tag), Array(5).fill("ok"))
      assert.deepStrictEqual(apart, [[10, 11], [12, 13], [14]])
      assert.deepStrictEqual(common, [[10, 11], [1, 2], [3]])
    }))

  it.effect("is waited for by closing, for at most the deadline", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { append, close } = yield* holding((waiting) => Effect.andThen(Deferred.await(gate), settleAll(waiting)))
      const held = yield* start(append(value(10)))
      assert.strictEqual(yield* append(value(1)), 1)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isUndefined(closing.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      assert.strictEqual(tag(yield* Fiber.join(held)), "ok")
    }))

  it.effect("is told what is known of it at the end of closing, and its writer ends", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<void>()
      const { append, close } = yield* holding((waiting) => {
        waiting.take()
        return Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))
      }, { maxBatch: 1 })
      const [taken, waiting] = yield* Effect.forEach([10, 11], (n) => start(append(value(n))))
      assert.strictEqual(yield* append(value(1)), 1)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      yield* Deferred.await(ended)
      assert.strictEqual(tag(yield* Fiber.join(taken!)), "CommitUnknown")
      assert.include(["SinkClosed", "SinkTimeout"], tag(yield* Fiber.join(waiting!)))
    }))

  it.effect("dies alone: its entries are unknown, and its key is written with the others again", () =>
    Effect.gen(function*() {
      const { append, common } = yield* holding((waiting) => {
        waiting.take()
        throw new Error("bug")
      })
      assert.strictEqual(tag(yield* Effect.exit(append(value(10)))), "CommitUnknown")
      assert.strictEqual(yield* append(value(11)), 11)
      assert.deepStrictEqual(common, [[10], [11]])
    }))

  it.effect("leaves to the others what its writer did not take: in the order of the calls", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { append, common } = yield* holding((waiting) =>
        Effect.andThen(
          Effect.sync(() => {
            for (const { settle, value } of waiting.take()) settle(Exit.succeed(value.n))
          }),
          Deferred.await(gate)
        ), { maxBatch: 2 })
      assert.strictEqual(yield* append(value(10)), 10)
      const left = yield* Effect.forEach([11, 12], (n) => start(append(value(n))))
      assert.strictEqual(yield* append(value(1)), 1)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Effect.forEach(left, Fiber.join)).map(tag), ["ok", "ok"])
      assert.deepStrictEqual(common, [[10], [1], [11, 12]])
    }))

  it.effect("counts as the others do in the depth of the queue, until it is settled", () =>
    Effect.gen(function*() {
      const depth = Effect.map(Metric.value(GroupCommit.queueDepth), ({ value }) => value)
      const before = yield* depth
      const gate = yield* Deferred.make<void>()
      const { append } = yield* holding((waiting) => Effect.andThen(Deferred.await(gate), settleAll(waiting)))
      const held = yield* Effect.forEach([10, 11], (n) => start(append(value(n))))
      assert.strictEqual(yield* append(value(1)), 1)
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* depth) - before, 2)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(held, Fiber.join)
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* depth) - before, 0)
    }))
})
