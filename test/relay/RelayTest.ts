/** The contract of relays over any medium: nothing lost, in order, whatever the target does. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer, Redacted } from "effect"
import { AuditLogger, type RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import type { LogStore } from "effect-audit/ledger"
import { Relay, RelayState, Target, Webhook } from "effect-audit/relay"
import { AuditTrail } from "effect-audit/trail"
import { createHmac } from "node:crypto"
import { log, within } from "../support.ts"
import { eventsOf, receiver } from "./receiver.ts"

export type Stack =
  | AuditLogger.AuditLogger
  | AuditTrail.AuditTrail
  | LogStore.LogStore
  | RelayState.RelayState
  | Erasure.Erasure

const emit = (n: number, more: Partial<RequestContext.Json> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more))
const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, more), { concurrency: 64 })

/** A target that keeps what it takes, and answers as it is told. */
export const recording = (
  answer: (batch: Target.Batch, call: number) => Effect.Effect<void, Target.DeliveryError>,
  bounds = {}
) => {
  const taken: Array<Target.Outgoing & { readonly tenant: string }> = []
  let calls = 0
  let inFlight = 0
  let most = 0
  let more = Latch.makeUnsafe(false)
  const target: Target.Target = {
    name: "test",
    maxEvents: 50,
    maxBytes: 100_000,
    ...bounds,
    send: (batch) =>
      Effect.suspend(() => {
        calls++
        most = Math.max(most, ++inFlight)
        return Effect.tap(answer(batch, calls), () =>
          Effect.sync(() => {
            for (const event of batch.events) taken.push({ ...event, tenant: batch.log.tenantId })
            more.openUnsafe()
            more = Latch.makeUnsafe(false)
          }))
      }).pipe(Effect.ensuring(Effect.sync(() => inFlight--)))
  }
  /** Until it has taken so many events of a tenant. */
  const has = (tenant: string, count: number): Effect.Effect<void> =>
    Effect.suspend(() =>
      positionsOf(taken, tenant).length >= count ? Effect.void : Effect.andThen(more.await, has(tenant, count))
    )
  return { target, taken, has, calls: () => calls, most: () => most }
}

/** The state of relays, and when it is told of a failure, or that there is none any more. */
const toldState = Effect.gen(function*() {
  const state = yield* RelayState.RelayState
  const [failed, mended] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  const telling = RelayState.RelayState.of({
    ...state,
    fail: (relay, holder, detail) =>
      Effect.tap(state.fail(relay, holder, detail), () =>
        detail !== undefined
          ? Deferred.succeed(failed, undefined)
          : Effect.flatMap(
            Deferred.isDone(failed),
            (hasFailed) => hasFailed ? Deferred.succeed(mended, undefined) : Effect.void
          ))
  })
  return { state: telling, failed: Deferred.await(failed), mended: Deferred.await(mended) }
})

const quick = { interval: 5, backoff: { from: 1, to: 20 }, lease: 5000 } as const

/** Runs a relay until the target has taken what is asked for, and the relay's state says so, too. */
const until = (
  options: Relay.Options,
  isDone: () => boolean,
  taken: ReadonlyArray<{ readonly tenant: string; readonly position: number }> = [],
  isFailing = false
) =>
  Effect.gen(function*() {
    const state = yield* RelayState.RelayState
    const fiber = yield* Effect.forkChild(Relay.run({ ...quick, ...options }))
    const isKept = Effect.gen(function*() {
      if (!isDone()) return false
      const relay = (yield* state.all).find(({ relay }) => relay === options.name)
      const next = new Map<string, number>(relay?.cursors.map(({ log, next }) => [log.tenantId, next]))
      return taken.every(({ position, tenant }) => position < (next.get(tenant) ?? 0)) &&
        (relay?.failure !== undefined) === isFailing
    })
    while (!(yield* isKept)) {
      yield* Effect.sleep(2)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return yield* Effect.die(exit)
    }
    yield* Fiber.interrupt(fiber)
  })

const positionsOf = (taken: ReadonlyArray<{ readonly tenant: string; readonly position: number }>, tenant: string) =>
  taken.filter((event) => event.tenant === tenant).map(({ position }) => position)
const range = (length: number) => Array.from({ length }, (_, n) => n)

/** Runs the contract over a medium that is fresh for each test. */
export const suite = (name: string, layer: Layer.Layer<Stack, unknown>) => {
  const test = (title: string, effect: Effect.Effect<void, unknown, Stack>) =>
    it.live(title, () => Effect.provide(effect, Layer.fresh(layer)))
  describe(`a relay in ${name}`, () => {
    test(
      "delivers each log in order, once, and goes on where it was; nothing across tenants",
      Effect.gen(function*() {
        yield* emitMany(120)
        yield* emitMany(30, { tenantId: "t_globex" })
        const first = recording(() => Effect.void)
        yield* until({ name: "r", target: first.target }, () => first.taken.length >= 152, first.taken)
        assert.deepStrictEqual(positionsOf(first.taken, "t_acme"), range(121))
        assert.deepStrictEqual(positionsOf(first.taken, "t_globex"), range(31))
        for (const { tenant, text } of first.taken) {
          assert.strictEqual((JSON.parse(text) as { readonly tenantId: string }).tenantId, tenant)
        }
        yield* emitMany(5)
        const second = recording(() => Effect.void)
        yield* until({ name: "r", target: second.target }, () => second.taken.length >= 5, second.taken)
        assert.deepStrictEqual(positionsOf(second.taken, "t_acme"), range(126).slice(121))
        // Another relay has cursors of its own.
        const other = recording(() => Effect.void)
        yield* until(
          { name: "other", target: other.target, logs: ({ tenantId }) => tenantId === "t_globex" },
          () => other.taken.length >= 31,
          other.taken
        )
        assert.deepStrictEqual(positionsOf(other.taken, "t_acme"), [])
      })
    )

    test(
      "waits for a target that is away, and loses nothing: also where it took a batch and the answer was lost",
      Effect.gen(function*() {
        yield* emitMany(99)
        const { calls, taken, target } = recording((_, call) =>
          call % 3 === 0
            ? Effect.void
            : Effect.fail(new Target.Unavailable({ detail: "away" }))
        )
        const lossy: Target.Target = {
          ...target,
          send: (batch) =>
            Effect.tap(
              target.send(batch),
              () => calls() === 3 ? Effect.fail(new Target.Unavailable({ detail: "the answer was lost" })) : Effect.void
            )
        }
        yield* until(
          { name: "r", target: lossy },
          () => new Set(taken.map(({ position }) => position)).size >= 100,
          taken
        )
        const positions = positionsOf(taken, "t_acme")
        assert.deepStrictEqual([...new Set(positions)], range(100))
        // What was taken and not heard of came again, from its beginning.
        assert.deepStrictEqual(positions.slice(0, 51), [...range(50), 0])
        const [status] = yield* Relay.status
        assert.deepStrictEqual(status?.logs.map(({ lag }) => lag), [0])
        assert.isUndefined(status?.failure)
      })
    )

    test(
      "parks what the target refuses again and again, alone, and goes on; a retry delivers it",
      Effect.gen(function*() {
        yield* emitMany(60)
        let isFixed = false
        const poison = new Set([7, 31])
        const { taken, target } = recording(({ events }) =>
          !isFixed && events.some(({ position }) => poison.has(position))
            ? Effect.fail(new Target.Refused({ detail: "400" }))
            : Effect.void
        )
        const options = { name: "r", target, tries: 2 }
        yield* until(options, () => taken.length >= 59, taken)
        assert.deepStrictEqual(positionsOf(taken, "t_acme"), range(61).filter((n) => !poison.has(n)))
        const state = yield* RelayState.RelayState
        const parked = yield* state.parked("r")
        assert.deepStrictEqual(
          parked.map(({ log, position, reason, tries }) => [log.tenantId, position, tries, reason]),
          [["t_acme", 7, 2, "400"], ["t_acme", 31, 2, "400"]]
        )
        assert.strictEqual(yield* state.retry("r", parked[0]!.eventId), 1)
        const running = yield* Effect.forkChild(Relay.run({ ...quick, ...options }))
        const triesAre = (expected: ReadonlyArray<number>) =>
          Effect.gen(function*() {
            while (JSON.stringify((yield* state.parked("r")).map(({ tries }) => tries)) !== JSON.stringify(expected)) {
              yield* Effect.sleep(10)
            }
          })
        yield* triesAre([3, 2])
        isFixed = true
        assert.strictEqual(yield* state.retry("r"), 2)
        yield* triesAre([])
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(taken.slice(-2).map(({ position }) => position), [7, 31])
      })
    )

    test(
      "tells half a refused batch apart, divides what is too large, and parks one event that is",
      Effect.gen(function*() {
        yield* emitMany(20)
        yield* AuditLogger.emit({ action: "note.create", input: "x".repeat(5000) }).pipe(within())
        yield* emitMany(20)
        const tried = new Map<number, number>()
        const { taken, target } = recording(({ events }) => {
          if (events.reduce((sum, { text }) => sum + text.length, 0) > 6000) {
            return Effect.fail(new Target.TooLarge({ detail: "413" }))
          }
          const odd = events.filter(({ position }) => position % 5 === 0 && (tried.get(position) ?? 0) < 1)
          for (const { position } of odd) tried.set(position, 1)
          return odd.length > 0 && events.length > 1
            ? Effect.fail(new Target.Refused({ detail: "partly", positions: odd.map(({ position }) => position) }))
            : Effect.void
        }, { maxBytes: 5500 })
        yield* until({ name: "r", target }, () => taken.some(({ position }) => position === 40), taken)
        const [status] = yield* Relay.status
        assert.strictEqual(status?.cursors[0]?.next, 42)
        // Those of a batch of which some were refused are not seen by the target's record; the refused ones are.
        assert.includeMembers(taken.map(({ position }) => position), [5, 10, 15])
        const parked = yield* (yield* RelayState.RelayState).parked("r")
        assert.deepStrictEqual(parked.map(({ position }) => position), [21])
      })
    )

    test(
      "delivers from one process at a time; another takes over when that one is gone",
      Effect.gen(function*() {
        yield* emitMany(10)
        const stuck = yield* Deferred.make<void>()
        const first = recording(() => Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never))
        const second = recording(() => Effect.void)
        const one = yield* Effect.forkChild(Relay.run({ ...quick, lease: 500, name: "r", target: first.target }))
        yield* Deferred.await(stuck)
        const two = yield* Effect.forkChild(Relay.run({ ...quick, lease: 500, name: "r", target: second.target }))
        yield* Effect.sleep(700)
        assert.strictEqual(second.calls(), 0)
        yield* Fiber.interrupt(one)
        while (second.taken.length < 11) yield* Effect.sleep(5)
        yield* Fiber.interrupt(two)
        assert.deepStrictEqual(positionsOf(second.taken, "t_acme"), range(11))
      })
    )

    test(
      "who has lost the lease moves no cursor",
      Effect.gen(function*() {
        const state = yield* RelayState.RelayState
        assert.strictEqual(yield* state.lease("r", "a", 60_000), "held")
        assert.strictEqual(yield* state.lease("r", "b", 60_000), "elsewhere")
        const step = { relay: "r", log, from: 0, to: 5, parked: [] }
        assert.isFalse(yield* state.advance({ ...step, holder: "b" }))
        assert.isTrue(yield* state.advance({ ...step, holder: "a" }))
        assert.isFalse(yield* state.advance({ ...step, holder: "a" }))
        yield* state.release("r", "a")
        assert.strictEqual(yield* state.lease("r", "b", 1), "held")
        assert.isFalse(yield* state.advance({ ...step, holder: "a", from: 5, to: 9 }))
        yield* Effect.sleep(10)
        assert.isFalse(yield* state.advance({ ...step, holder: "b", from: 5, to: 9 }))
        assert.deepStrictEqual((yield* state.cursors("r")).map(({ next }) => next), [5])
      })
    )

    test(
      "a lease that ends far later than any would is of a clock that was set back: it holds up no one",
      Effect.gen(function*() {
        const state = yield* RelayState.RelayState
        assert.strictEqual(yield* state.lease("r", "a", 3_500_000), "held")
        assert.strictEqual(yield* state.lease("r", "b", 15_000), "elsewhere")
        assert.strictEqual(yield* state.lease("r", "a", 3_700_000), "held")
        assert.strictEqual(yield* state.lease("r", "b", 190_000), "elsewhere")
        assert.strictEqual(yield* state.lease("r", "c", 15_000), "held")
        assert.strictEqual(yield* state.lease("r", "a", 15_000), "elsewhere")
      })
    )

    test(
      "sees that a log was moved while it runs, also where nothing comes to it any more",
      Effect.gen(function*() {
        yield* emitMany(10)
        yield* emitMany(3, { tenantId: "t_globex" })
        const { has, taken, target } = recording(() => Effect.void)
        const state = yield* RelayState.RelayState
        const running = yield* Effect.forkChild(Relay.run({ ...quick, name: "r", target }))
        yield* Effect.all([has("t_acme", 11), has("t_globex", 4)])
        yield* state.moveTo("r", log, 8)
        yield* has("t_acme", 14)
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(positionsOf(taken, "t_acme").slice(11), [8, 9, 10])
        assert.deepStrictEqual(positionsOf(taken, "t_globex"), range(4))
      })
    )

    test(
      "pauses, and keeps everything; delivers again from a position; begins with what comes",
      Effect.gen(function*() {
        yield* emitMany(10)
        const state = yield* RelayState.RelayState
        yield* state.pause("r", true)
        const { calls, taken, target } = recording(() => Effect.void)
        const paused = yield* Effect.forkChild(Relay.run({ ...quick, name: "r", target }))
        yield* Effect.sleep(50)
        assert.strictEqual(calls(), 0)
        assert.isTrue((yield* Relay.status)[0]?.isPaused)
        yield* Fiber.interrupt(paused)
        yield* state.pause("r", false)
        yield* until({ name: "r", target }, () => taken.length >= 11, taken)
        yield* state.moveTo("r", log, 8)
        yield* until({ name: "r", target }, () => taken.length >= 14, taken)
        assert.deepStrictEqual(positionsOf(taken, "t_acme").slice(11), [8, 9, 10])
        const late = recording(() => Effect.void)
        const running = yield* Effect.forkChild(
          Relay.run({ ...quick, name: "late", target: late.target, start: "now" })
        )
        while ((yield* state.cursors("late")).length === 0) yield* Effect.sleep(2)
        yield* emitMany(2)
        while (late.taken.length < 2) yield* Effect.sleep(5)
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(positionsOf(late.taken, "t_acme"), [11, 12])
      })
    )

    test(
      "that begins with what comes remembers where that was, also when nothing was taken before it stopped",
      Effect.gen(function*() {
        yield* emitMany(5)
        const away = recording(() => Effect.fail(new Target.Unavailable({ detail: "away" })))
        const options = { ...quick, name: "now", start: "now" } as const
        const first = yield* Effect.forkChild(Relay.run({ ...options, target: away.target }))
        const state = yield* RelayState.RelayState
        while ((yield* state.cursors("now")).length === 0) yield* Effect.sleep(2)
        yield* emitMany(3)
        while (away.calls() < 3) yield* Effect.sleep(2)
        yield* Fiber.interrupt(first)
        yield* emitMany(2)
        yield* emitMany(2, { tenantId: "t_new" })
        assert.isString((yield* Relay.status)[0]?.failure?.detail)
        const { taken, target } = recording(() => Effect.void)
        // The first event of a log is the one that says so.
        yield* until({ ...options, target }, () => taken.length >= 8, taken)
        assert.deepStrictEqual(positionsOf(taken, "t_acme"), [6, 7, 8, 9, 10])
        assert.deepStrictEqual(positionsOf(taken, "t_new"), [0, 1, 2])
        // What failed before is over, whoever saw it.
        assert.isUndefined((yield* Relay.status)[0]?.failure)
      })
    )

    test(
      "goes on with all other logs where the target takes nothing of some, and repeats none of theirs",
      Effect.gen(function*() {
        const bad = range(6).map((n) => `t_bad${n}`)
        for (const tenantId of bad) yield* emitMany(3, { tenantId })
        for (const tenantId of ["t_acme", "t_z"]) yield* emitMany(120, { tenantId })
        const { taken, target } = recording(({ log: { tenantId } }) =>
          tenantId.startsWith("t_bad")
            ? Effect.fail(new Target.Unavailable({ detail: "500" }))
            : Effect.sleep(5)
        )
        yield* until({ name: "r", target }, () => taken.length >= 242, taken, true)
        assert.deepStrictEqual(positionsOf(taken, "t_acme"), range(121))
        assert.deepStrictEqual(positionsOf(taken, "t_z"), range(121))
        const [status] = yield* Relay.status
        assert.include(status?.failure?.detail, "500")
        assert.deepStrictEqual(
          status?.logs.filter(({ lag }) => lag > 0).map(({ tenantId }) => String(tenantId)).sort(),
          bad
        )
      })
    )

    test(
      "waits for no log that is slow: what comes to others meanwhile is delivered, and what fails is told",
      Effect.gen(function*() {
        yield* emitMany(1, { tenantId: "t_slow" })
        yield* emitMany(1)
        const release = yield* Deferred.make<void>()
        const began = yield* Deferred.make<void>()
        const often = yield* Deferred.make<void>()
        const told = yield* toldState
        let failed = 0
        const { has, taken, target } = recording(({ log: { tenantId } }) =>
          tenantId === "t_slow"
            ? Effect.andThen(Deferred.succeed(began, undefined), Deferred.await(release))
            : tenantId === "t_bad"
            ? Effect.andThen(
              ++failed === 8 ? Deferred.succeed(often, undefined) : Effect.void,
              Effect.fail(new Target.Unavailable({ detail: "503" }))
            )
            : Effect.void
        )
        const relay = yield* Effect.forkChild(
          Effect.provideService(Relay.run({ ...quick, name: "r", target }), RelayState.RelayState, told.state)
        )
        yield* Deferred.await(began)
        yield* has("t_acme", 2)
        yield* emitMany(3)
        yield* has("t_acme", 5)
        yield* emitMany(1, { tenantId: "t_bad" })
        yield* told.failed
        // One log that fails time and again says nothing of the target.
        yield* Deferred.await(often)
        yield* emitMany(3)
        yield* has("t_acme", 8)
        assert.deepStrictEqual(positionsOf(taken, "t_slow"), [])
        yield* Deferred.succeed(release, undefined)
        yield* has("t_slow", 2)
        assert.deepStrictEqual(positionsOf(taken, "t_acme"), range(8))
        yield* Fiber.interrupt(relay)
      })
    )

    test(
      "tells of a failure no longer than it lasts",
      Effect.gen(function*() {
        yield* emitMany(1)
        const told = yield* toldState
        let fails = 3
        const { has, target } = recording(() =>
          fails-- > 0 ? Effect.fail(new Target.Unavailable({ detail: "503" })) : Effect.void
        )
        const relay = yield* Effect.forkChild(
          Effect.provideService(Relay.run({ ...quick, name: "r", target }), RelayState.RelayState, told.state)
        )
        yield* told.failed
        yield* has("t_acme", 2)
        yield* told.mended
        assert.isUndefined((yield* Relay.status)[0]?.failure)
        yield* Fiber.interrupt(relay)
      })
    )

    test(
      "keeps nothing parked that is delivered again from before it",
      Effect.gen(function*() {
        yield* emitMany(4)
        const state = yield* RelayState.RelayState
        const first = recording(({ events }) =>
          events.some(({ position }) => position > 1 && position < 4)
            ? Effect.fail(new Target.Refused({ detail: "no" }))
            : Effect.void
        )
        yield* until({ name: "r", target: first.target, tries: 1 }, () => first.taken.length >= 3, first.taken)
        const places = Effect.map(state.parked("r"), (parked) => parked.map(({ position }) => position))
        assert.deepStrictEqual(yield* places, [2, 3])
        yield* state.moveTo("r", log, 3)
        assert.deepStrictEqual(yield* places, [2])
        const second = recording(() => Effect.void)
        yield* until({ name: "r", target: second.target }, () => second.taken.length >= 2, second.taken)
        assert.deepStrictEqual(positionsOf(second.taken, "t_acme"), [3, 4])
        assert.deepStrictEqual(yield* places, [2])
      })
    )

    test(
      "reads as much at once as it may have in memory, however many events the target takes",
      Effect.gen(function*() {
        const events = 260
        yield* Effect.forEach(
          range(events),
          (n) =>
            AuditLogger.emit({ action: "note.create", input: { n, text: "words and more ".repeat(6000) } }).pipe(
              within()
            )
        )
        const trail = yield* AuditTrail.AuditTrail
        let read = 0
        const counting = AuditTrail.AuditTrail.of({
          ...trail,
          query: (query) =>
            Effect.tap(trail.query(query), ({ items }) => Effect.sync(() => void (read += items.length)))
        })
        const ahead: Array<number> = []
        let done = 0
        const { taken, target } = recording(({ events }) =>
          Effect.sync(() => {
            ahead.push(read - done)
            done += events.length
          }), { maxEvents: 1000, maxBytes: 1e9 })
        yield* until({ name: "r", target }, () => taken.length >= events + 1, taken).pipe(
          Effect.provideService(AuditTrail.AuditTrail, counting)
        )
        assert.deepStrictEqual(positionsOf(taken, "t_acme"), range(events + 1))
        // Some 90 kB each: a page and the next one, of 8 MB and what was read last.
        assert.isAtMost(Math.max(...ahead), 260)
        assert.isAtLeast(ahead.length, 2)
      })
    )

    test(
      "waits as long as the target asks for",
      Effect.gen(function*() {
        yield* emitMany(3)
        const times: Array<number> = []
        const { taken, target } = recording((_, call) => {
          times.push(performance.now())
          return call === 1
            ? Effect.fail(new Target.Unavailable({ detail: "429", retryAfterMillis: 300 }))
            : Effect.void
        })
        yield* until({ name: "r", target }, () => taken.length >= 4, taken)
        assert.isAtLeast((times[1] ?? 0) - (times[0] ?? 0), 299)
      })
    )

    test(
      "leaves out and replaces fields on the way, the same for the same text, and delivers what is left of an erased event",
      Effect.gen(function*() {
        const { eventId } = yield* AuditLogger.emit({
          action: "note.create",
          input: { secret: 1 },
          metadata: { ip: "x", kept: "y" }
        }).pipe(within({ actor: { type: "human", id: "kim" } }))
        const gone = yield* emit(2)
        yield* Erasure.erase({ eventIds: [gone.eventId], reason: "r" }).pipe(
          within({ actor: { type: "human", id: "dpo" } })
        )
        const { taken, target } = recording(() => Effect.void)
        yield* until(
          {
            name: "r",
            target,
            policy: {
              drop: ["/input", "/metadata/ip"],
              pseudonymise: ["/agentId", "/user_id"],
              key: { id: "k1", secret: Buffer.alloc(32, 7) }
            }
          },
          () => taken.length >= 4,
          taken
        )
        const [, event, erased] = taken.map(({ text }) => JSON.parse(text) as Record<string, unknown>)
        assert.strictEqual(event?.["event_id"], eventId)
        assert.isUndefined(event?.["input"])
        const metadata = event?.["metadata"] as Record<string, unknown>
        assert.isUndefined(metadata["ip"])
        assert.strictEqual(metadata["kept"], "y")
        assert.match(String(event?.["user_id"]), /^k1:[\w-]{22}$/)
        assert.strictEqual(event?.["agentId"], event?.["user_id"])
        assert.strictEqual(metadata["agentId"], event?.["user_id"])
        assert.notInclude(JSON.stringify(event), "kim")
        assert.deepStrictEqual(erased, { position: 2, event_id: gone.eventId, ...log, erased: true })
      })
    )

    test(
      "sends webhooks that are signed, the same id when they come again",
      Effect.scoped(Effect.gen(function*() {
        yield* emitMany(20)
        const secret = Buffer.alloc(32, 1)
        const { messages, url } = yield* receiver((_, count) =>
          count === 1 ? "cut" : count === 2 ? { status: 429, headers: { "retry-after": "0" } } : count === 3 ? 503 : 204
        )
        const target = yield* Webhook.make({
          url,
          secret: Redacted.make(`whsec_${secret.toString("base64")}`),
          allowPrivateNetworks: true,
          maxEvents: 8
        })
        yield* until({ name: "hook", target }, () => messages.length >= 6)
        const taken = messages.slice(3).flatMap(eventsOf)
        assert.deepStrictEqual(taken.map(({ position }) => position), range(21))
        assert.deepStrictEqual(new Set(messages.slice(0, 4).map(({ headers }) => headers["webhook-id"])).size, 1)
        for (const { body, headers } of messages) {
          const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`
          const expected = createHmac("sha256", secret).update(signed).digest("base64")
          assert.strictEqual(headers["webhook-signature"], `v1,${expected}`)
        }
      }))
    )
  })
}
