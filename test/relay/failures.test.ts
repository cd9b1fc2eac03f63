/** What fails around a relay holds up what it must, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { AuditError, AuditLogger, DatasetEvent, RequestContext } from "effect-audit"
import { LogStore } from "effect-audit/ledger"
import { Relay, RelayState, SqlRelayState, Target } from "effect-audit/relay"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { TestClock } from "effect/testing"
import { encoding } from "../../src/relay/delivering.ts"
import { Due } from "../../src/relay/due.ts"
import { keyOf, pass as passOnce, unread } from "../../src/relay/passes.ts"
import { log, temporaryFile, within } from "../support.ts"
import { recording } from "./RelayTest.ts"

const layer = Layer.fresh(Layer.unwrap(Effect.map(temporaryFile, (filename) =>
  SqlRelayState.layer().pipe(
    Layer.provideMerge(AuditLogger.layer()),
    Layer.provideMerge(Sqlite.layer({ filename }))
  ))))
const emit = (n: number, tenantId = "t_acme") =>
  AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within({ tenantId }))
const emitMany = (count: number, tenantId?: string) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, tenantId), { discard: true })
const quick = { name: "r", interval: 5, backoff: { from: 1, to: 20 }, lease: 5000 } as const
const range = (length: number) => Array.from({ length }, (_, n) => n)
const positionsOf = (taken: ReturnType<typeof recording>["taken"], tenant: string) =>
  taken.filter((event) => event.tenant === tenant).map(({ position }) => position)

/** Lets some time pass, in which nothing of a relay's is held up by the clock alone. */
const pass = (millis: number) =>
  Effect.gen(function*() {
    for (let at = 0; at < millis; at += 50) {
      yield* TestClock.adjust(50)
      yield* Effect.promise(() => new Promise(setImmediate))
    }
  })

describe("a relay", () => {
  it.effect("leaves a target alone for as long as it has asked, though the store fails meanwhile", () =>
    Effect.gen(function*() {
      yield* emit(0)
      const { calls, target } = recording(() =>
        Effect.fail(new Target.Unavailable({ detail: "429", retryAfterMillis: 60_000 }))
      )
      const store = yield* LogStore.LogStore
      const reason = new AuditError.SinkUnavailable({ detail: "away" })
      let asked = 0
      const failing = LogStore.LogStore.of({
        ...store,
        grown: (since) =>
          ++asked % 3 === 0 ? Effect.fail(new AuditError.AuditError({ method: "grown", reason })) : store.grown(since)
      })
      const running = yield* Effect.forkChild(
        Effect.provideService(Relay.run({ name: "r", target, lease: "1 hour" }), LogStore.LogStore, failing),
        { startImmediately: true }
      )
      yield* Effect.repeat(pass(50), { until: () => calls() === 1 })
      yield* pass(30_000)
      assert.strictEqual(calls(), 1)
      assert.isAbove(asked, 30)
      yield* Effect.repeat(pass(50), { until: () => calls() === 2 })
      yield* Fiber.interrupt(running)
    }).pipe(Effect.provide(layer)))

  it.live("delivers what a log got before it was stopped", () =>
    Effect.gen(function*() {
      yield* emit(0)
      const { taken, target } = recording(() => Effect.void)
      const running = yield* Effect.forkChild(Relay.run({ ...quick, target }))
      while (taken.length < 2) yield* Effect.sleep(2)
      const store = yield* LogStore.LogStore
      yield* Effect.all([emitMany(2), store.change(log, (write, held) => write.stop(held, "test", Date.now()))])
      while (taken.length < 4) yield* Effect.sleep(2)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(positionsOf(taken, "t_acme"), range(4))
    }).pipe(Effect.provide(layer)))

  it.live("delivers what can be read before a place that cannot, and other logs whole", () =>
    Effect.gen(function*() {
      yield* emitMany(30)
      yield* emitMany(400, "t_good")
      const trail = yield* AuditTrail.AuditTrail
      const unreadable = new AuditError.AuditError({
        method: "AuditTrail.query",
        reason: new AuditError.SinkRejected({ detail: "the row is not an event" })
      })
      const broken = AuditTrail.AuditTrail.of({
        ...trail,
        query: (query) =>
          query.tenantId === "t_acme" && (query.after ?? 0) >= 19 ? Effect.fail(unreadable) : trail.query(query)
      })
      const { taken, target } = recording(() => Effect.sleep(2), { maxEvents: 10 })
      const running = yield* Effect.forkChild(
        Effect.provideService(
          Relay.run({ ...quick, backoff: { from: "1 minute" }, target }),
          AuditTrail.AuditTrail,
          broken
        )
      )
      while (taken.length < 421) yield* Effect.sleep(2)
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(positionsOf(taken, "t_acme"), range(20))
      assert.deepStrictEqual(positionsOf(taken, "t_good"), range(401))
      assert.include((yield* Relay.status)[0]?.failure?.detail, "not an event")
    }).pipe(Effect.provide(layer)))

  it.effect("leaves a target alone that takes nothing of many logs, but not where one has grown that it took", () =>
    Effect.gen(function*() {
      const bad = range(60).map((n) => `t_bad${n}`)
      yield* Effect.forEach(bad, (tenantId) => emit(0, tenantId))
      yield* emit(0)
      const { calls, taken, target } = recording(({ log }) =>
        log.tenantId === "t_acme" ? Effect.void : Effect.fail(new Target.Unavailable({ detail: "away" }))
      )
      const backoff = { from: "5 seconds", to: "5 seconds" } as const
      const running = yield* Effect.forkChild(
        Relay.run({ name: "r", target, backoff, lease: "1 hour" }),
        { startImmediately: true }
      )
      // Each log is tried once; then those that failed are due again, more of them than are tried at once.
      yield* Effect.repeat(pass(50), { until: () => calls() >= 61 })
      yield* Effect.repeat(pass(50), { until: () => calls() >= 65 })
      yield* pass(100)
      const tried = calls()
      yield* pass(2000)
      assert.strictEqual(calls(), tried)
      yield* emit(1)
      yield* pass(400)
      assert.isAbove(positionsOf(taken, "t_acme").length, 2)
      yield* Fiber.interrupt(running)
    }).pipe(Effect.provide(layer)))

  it.live("keeps a log due that grows while its last page is on its way", () =>
    Effect.gen(function*() {
      yield* emitMany(1)
      const state = yield* RelayState.RelayState
      yield* state.lease("r", "h", 5000)
      const [trail, store] = [yield* AuditTrail.AuditTrail, yield* LogStore.LogStore]
      const due = new Due()
      const key = keyOf(log)
      due.grow(key, log)
      let grows = true
      const { target } = recording(() => Effect.sync(() => grows ? due.grow(key, log) : undefined))
      const delivering = { target, tries: 1, apply: (item: AuditTrail.Item) => item, encode: encoding("ndjson") }
      const running = { options: { name: "r", target }, state, trail, holder: "h", delivering, read: unread() }
      const passing = { store, due, wait: () => 1, failed: () => Effect.void, succeeded: Effect.void }
      yield* passOnce(running, passing)
      assert.deepStrictEqual([...due.logs.keys()], [key])
      grows = false
      yield* emitMany(1)
      yield* passOnce(running, passing)
      assert.deepStrictEqual([...due.logs.keys()], [])
    }).pipe(Effect.provide(layer)))

  it.live("keeps a parked event that cannot be read parked, and goes on", () =>
    Effect.gen(function*() {
      yield* emit(0)
      const state = yield* RelayState.RelayState
      const eventId = DatasetEvent.EventId.make("0190f6f0-0000-7000-8000-000000000000")
      const gone = { ...log, tenantId: RequestContext.TenantId.make("t_gone") }
      yield* state.lease("r", "x", 60_000)
      const parked = [{ position: 0, eventId, tries: 5, reason: "400" }]
      yield* state.advance({ relay: "r", holder: "x", log: gone, from: 0, to: 1, parked })
      yield* state.release("r", "x")
      assert.strictEqual(yield* state.retry("r"), 1)
      const { taken, target } = recording(() => Effect.void)
      const running = yield* Effect.forkChild(Relay.run({ ...quick, target }))
      while ((yield* state.due("r")).length > 0) yield* Effect.sleep(2)
      yield* emit(1)
      while (taken.length < 3) yield* Effect.sleep(2)
      yield* Fiber.interrupt(running)
      const [left] = yield* state.parked("r")
      assert.strictEqual(left?.tries, 6)
      assert.include(left?.reason, "cannot be read")
      assert.isUndefined((yield* Relay.status)[0]?.failure)
    }).pipe(Effect.provide(layer)))

  it.live("goes on after its target has thrown, and takes a refusal of no event of the batch for one of all", () =>
    Effect.gen(function*() {
      yield* emitMany(8)
      const { taken, target } = recording(({ events }, call) => {
        if (call === 1) throw new TypeError("secret")
        return events.some(({ position }) => position === 5)
          ? Effect.fail(new Target.Refused({ detail: "400", positions: [99] }))
          : Effect.void
      })
      const running = yield* Effect.forkChild(Relay.run({ ...quick, tries: 1, target }))
      while (taken.length < 8) yield* Effect.sleep(2)
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(positionsOf(taken, "t_acme"), [0, 1, 2, 3, 4, 6, 7, 8])
      const state = yield* RelayState.RelayState
      assert.deepStrictEqual((yield* state.parked("r")).map(({ position }) => position), [5])
    }).pipe(Effect.provide(layer)))
})
