/** Deadlines are the monotonic clock's, and the engine's bounds every step, whoever made it. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { AuditLogger, LoggingEngine, PiiStripper, TrainingPreferences } from "effect-audit"
import { Memory } from "effect-audit/memory"
import { Sqlite } from "effect-audit/sqlite"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import * as GroupCommit from "../src/internal/groupCommit.ts"
import { retryWhile } from "../src/internal/retryWhile.ts"
import { sealedBy, temporaryFile, within } from "./support.ts"

/** A clock whose wall time can be set back while its monotonic time goes on. */
const settable = Effect.map(Clock.Clock, (clock) => {
  const wall = { offset: 0 }
  const moved: Clock.Clock = {
    ...clock,
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + wall.offset,
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + wall.offset),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    sleep: (duration) => clock.sleep(duration)
  }
  return { wall, moved }
})
const hour = 3_600_000
const ended = (fiber: Fiber.Fiber<unknown, unknown>) => fiber.pollUnsafe() !== undefined

describe("a wall clock that is set back by an hour", () => {
  it.effect("does not let a caller in the queue, or in the write, wait an hour", () =>
    Effect.gen(function*() {
      const { moved, wall } = yield* settable
      const gate = yield* Deferred.make<void>()
      const event = yield* sealedBy({ action: "note.create" })
      yield* Effect.gen(function*() {
        const append = yield* GroupCommit.make<typeof event, number>({
          capacity: 10,
          maxBatch: 1,
          deadline: "5 seconds",
          method: "test",
          write: (waiting) => {
            waiting.take()
            return Deferred.await(gate)
          }
        })
        const fibers = yield* Effect.forEach(
          [1, 2],
          () => Effect.forkChild(Effect.exit(append(event)), { startImmediately: true })
        )
        yield* TestClock.adjust("1 second")
        wall.offset -= hour
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual(fibers.map(ended), [true, true])
        yield* Deferred.succeed(gate, undefined)
      }).pipe(Effect.scoped, Effect.provideService(Clock.Clock, moved))
    }))

  it.effect("does not make a waiting for another process's lock an hour longer", () =>
    Effect.gen(function*() {
      const { moved, wall } = yield* settable
      const fiber = yield* retryWhile(Effect.fail("locked"), () => true, 5000).pipe(
        Effect.exit,
        Effect.provideService(Clock.Clock, moved),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("1 second")
      wall.offset -= hour
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(ended(fiber))
    }))

  it.effect("does not show in how long an effect took, and a clock that jumps ahead neither", () =>
    Effect.gen(function*() {
      const { moved, wall } = yield* settable
      for (const jump of [-hour, hour]) {
        const durations: Array<number | undefined> = []
        const logger = Layer.succeed(AuditLogger.AuditLogger, {
          emit: (draft) =>
            Effect.sync(() => {
              durations.push(draft.durationMillis)
              return undefined as never
            })
        })
        const fiber = yield* Effect.sleep("2 seconds").pipe(
          AuditLogger.audited({ action: "note.create" }),
          within(),
          Effect.provide(logger),
          Effect.provideService(Clock.Clock, moved),
          Effect.forkChild({ startImmediately: true })
        )
        wall.offset += jump
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(durations, [2000])
      }
    }))
})

describe("the engine's deadline", () => {
  /** The engine over a file whose lock another process holds. */
  const locked = Effect.gen(function*() {
    const filename = yield* temporaryFile
    const stack = yield* Layer.build(
      AuditLogger.layer({ deadline: "300 millis" }).pipe(
        Layer.provideMerge(Sqlite.layer({ filename }))
      )
    )
    const other = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(filename)),
      (other) => Effect.sync(() => other.close())
    )
    other.exec("BEGIN IMMEDIATE")
    return { stack, release: () => other.exec("ROLLBACK") }
  })

  it.effect("bounds a SQLite sink whose own is longer, and what came late is stored once when it is repeated", () =>
    Effect.gen(function*() {
      const { release, stack } = yield* locked
      const emit = (options?: LoggingEngine.EmitOptions) => AuditLogger.emit({ action: "note.create" }, options)
      const fiber = yield* emit().pipe(
        within(),
        Effect.flip,
        Effect.provide(stack),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("299 millis")
      assert.isFalse(ended(fiber))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(ended(fiber))
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "CommitUnknown")
      release()
      const again = yield* emit({ eventId: error.eventId }).pipe(
        within(),
        Effect.provide(stack),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* Fiber.join(again)).position, 1)
    }))

  it.effect("bounds a change of preferences, over a file that is locked and a store that hangs", () =>
    Effect.gen(function*() {
      const { stack } = yield* locked
      const hanging = LoggingEngine.layer({ deadline: "300 millis" }).pipe(
        Layer.provide(Layer.effect(
          TrainingPreferences.TrainingPreferences,
          Effect.map(TrainingPreferences.TrainingPreferences, (service) => ({
            ...service,
            change: () => Effect.uninterruptible(Effect.never)
          }))
        )),
        Layer.provide(PiiStripper.layer()),
        Layer.provide(Memory.layer())
      )
      const set = LoggingEngine.setPreference({ trainingAllowed: false }).pipe(within(), Effect.exit)
      for (const change of [Effect.provide(set, stack), Effect.provide(set, hanging)]) {
        const fiber = yield* Effect.forkChild(change, { startImmediately: true })
        yield* TestClock.adjust("300 millis")
        assert.isTrue(ended(fiber))
        const exit = yield* Fiber.join(fiber)
        assert(Exit.isFailure(exit))
        const [reason] = exit.cause.reasons
        assert(reason?._tag === "Fail")
        assert.strictEqual(reason.error.reason._tag, "CommitUnknown")
        assert.strictEqual(reason.error.method, "LoggingEngine.setPreference")
      }
    }))
})
