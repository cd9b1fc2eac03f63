/** What becomes of the process around the log when much is recorded: its event loop, and its memory. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { AuditLogger, DatasetEvent, EventSink, type LoggingEngine, RequestContext } from "effect-audit"
import { SqliteClient } from "effect-audit/sqlite"
import { TestClock } from "effect/testing"
import { type AddressInfo, connect, createServer } from "node:net"
import { admitting } from "../src/internal/admission.ts"
import { connectionOf } from "../src/sqlite/connection.ts"
import { context, sqlite, within, wrapped } from "./support.ts"

const draft = (n: number): AuditLogger.AuditDraft => ({ action: "note.create", input: { n } })

/** Counts the commits of the sink's own connection. */
const commits = Effect.gen(function*() {
  const { table } = connectionOf(yield* SqliteClient.SqliteClient)
  const state = { count: 0 }
  const begin = table.begin.bind(table)
  table.begin = () => {
    state.count++
    begin()
  }
  return state
})

describe("the event loop", () => {
  const loops = {
    "in fibers": (emit: (n: number) => Effect.Effect<unknown, unknown>, running: () => boolean) =>
      Effect.whileLoop({ while: running, body: () => emit(1), step: () => {} }),
    "in promises": (emit: (n: number) => Effect.Effect<unknown, unknown>, running: () => boolean) =>
      Effect.promise(async () => {
        while (running()) await Effect.runPromise(emit(1))
      })
  }
  for (const [how, loop] of Object.entries(loops)) {
    for (const callers of [1, 64]) {
      it.live(`serves timers and sockets while ${callers} callers emit for ever, ${how}`, () =>
        Effect.gen(function*() {
          const logger = yield* AuditLogger.AuditLogger
          const who = yield* context()
          const emit = (n: number) => Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, who)
          let running = true
          let served = 0
          let fired = 0
          const server = createServer((socket) => {
            served++
            socket.end("hello")
          })
          const done = yield* Deferred.make<void>()
          const timer = setInterval(() => {
            fired++
            if (fired >= 5 && served >= 3) {
              running = false
              Deferred.doneUnsafe(done, Effect.void)
            }
          }, 1)
          server.listen(0, "127.0.0.1", () => {
            const { port } = server.address() as AddressInfo
            for (let i = 0; i < 3; i++) connect(port, "127.0.0.1").resume()
          })
          yield* Effect.all(Array.from({ length: callers }, () => loop(emit, () => running)), {
            concurrency: "unbounded",
            discard: true
          })
          yield* Deferred.await(done)
          clearInterval(timer)
          server.close()
          assert.isAtLeast(fired, 5)
          assert.strictEqual(served, 3)
        }).pipe(Effect.provide(Layer.fresh(sqlite))))
    }
  }

  it.live("what comes as separate callbacks of one turn shares a commit", () =>
    Effect.gen(function*() {
      const logger = yield* AuditLogger.AuditLogger
      const who = yield* context()
      const state = yield* commits
      const emit = (n: number) => Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, who)
      const inOneTurn = (count: number) =>
        Effect.callback<void>((resume) => {
          let left = count
          // As requests come: each in a callback of its own, between which promises go on.
          const call = (n: number) => {
            Effect.runCallback(emit(n), { onExit: () => --left === 0 ? resume(Effect.void) : undefined })
          }
          setImmediate(() => {
            for (let n = 0; n < count; n++) {
              if (n % 2 === 0) process.nextTick(call, n)
              else void Promise.resolve().then(() => call(n))
            }
          })
        })
      yield* emit(0)
      const before = state.count
      yield* inOneTurn(50)
      assert.strictEqual(state.count - before, 1)
    }).pipe(Effect.provide(Layer.fresh(sqlite))))
})

describe("large events", () => {
  const large = (n: number): AuditLogger.AuditDraft => ({
    action: "note.create",
    input: { n, text: "x ".repeat(10_240) }
  })
  const held = Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    const state = { inside: 0, most: 0, stored: 0 }
    const layer = (options: LoggingEngine.Options) =>
      wrapped(({ sink }) => ({
        sink: EventSink.EventSink.of({
          append: (event) =>
            Effect.gen(function*() {
              state.most = Math.max(state.most, ++state.inside)
              yield* Deferred.await(gate)
              state.inside--
              state.stored++
              return yield* sink.append(event)
            })
        })
      }), options)
    return { gate, state, layer }
  })

  it.effect("are on their way up to a bound of bytes, the others wait outside of memory, and all are stored", () =>
    Effect.gen(function*() {
      const { gate, layer, state } = yield* held
      yield* Effect.gen(function*() {
        const calls = yield* Effect.forEach(
          Array.from({ length: 12 }, (_, n) => n),
          (n) => Effect.forkChild(AuditLogger.emit(large(n)).pipe(within()), { startImmediately: true })
        )
        // Small ones do not wait behind them.
        const small = yield* Effect.forkChild(AuditLogger.emit(draft(1)).pipe(within()), { startImmediately: true })
        for (let i = 0; i < 50; i++) yield* Effect.yieldNow
        assert.strictEqual(state.most, 4)
        // A caller that hangs up while it waits is recorded all the same.
        const hungUp = yield* Effect.forkChild(Fiber.interrupt(calls[11]!))
        yield* Deferred.succeed(gate, undefined)
        yield* Effect.forEach(calls.slice(0, 11), Fiber.join)
        yield* Fiber.join(hungUp)
        yield* Fiber.join(small)
        assert.strictEqual(state.stored, 13)
      }).pipe(Effect.provide(layer({ pendingBytes: 70_000 })))
    }))

  it.effect("that find no room until the deadline are not recorded, and say so", () =>
    Effect.gen(function*() {
      const admit = admitting(1000, 10_000)
      const eventId = DatasetEvent.EventId.make("01a209c5-51d0-7343-9b03-8b4c0f267745")
      let recorded = 0
      const record = Effect.sync(() => recorded++)
      yield* Effect.forkChild(admit(20_000, eventId, Effect.never), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.flip(admit(20_000, eventId, record)), { startImmediately: true })
      yield* admit(16_383, eventId, record)
      assert.strictEqual(recorded, 1)
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(second)
      assert.deepStrictEqual([error.reason._tag, error.eventId], ["SinkOverloaded", eventId])
      assert.include(error.message, "no room for a large event within 10000 ms: 1000 bytes are on their way")
      assert.strictEqual(recorded, 1)
    }))
})
