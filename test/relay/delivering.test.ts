/** What becomes of the events of one page, whatever the target answers; and what a relay's policy leaves of an event. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import type { DatasetEvent } from "effect-audit"
import { Target } from "effect-audit/relay"
import { TestClock } from "effect/testing"
import { EventId } from "../../src/DatasetEvent.ts"
import { deliver, type Delivering, encoding, outgoing } from "../../src/relay/delivering.ts"
import { type FieldPolicy, policyOf } from "../../src/relay/policy.ts"
import type { Item } from "../../src/trail/page.ts"
import { log } from "../support.ts"

const idOf = (n: number) =>
  EventId.make(`01a209c5-51d0-7343-9b03-${String(n).padStart(12, "0")}`, { disableChecks: true })
const erased = (position: number): Item => ({ erased: true, position, eventId: idOf(position) })
const items = (count: number): ReadonlyArray<Item> => Array.from({ length: count }, (_, n) => erased(n))

type Answer = Target.DeliveryError | undefined
/** Delivers `count` events whose texts have ten bytes each; what was sent, and what is said of them. */
const delivered = (
  count: number,
  answer: (positions: ReadonlyArray<number>, call: number) => Answer,
  options: {
    readonly target?: Partial<Target.Target>
    readonly tries?: number
    readonly text?: (position: number) => string
  } = {}
) =>
  Effect.gen(function*() {
    const sent: Array<ReadonlyArray<number>> = []
    const target: Target.Target = {
      name: "t",
      maxEvents: 100,
      maxBytes: 10_000,
      send: ({ events, log: of, relay }) =>
        Effect.suspend(() => {
          assert.deepStrictEqual([relay, of], ["r", log])
          const positions = events.map(({ position }) => position)
          sent.push(positions)
          const error = answer(positions, sent.length)
          return error === undefined ? Effect.void : Effect.fail(error)
        }),
      ...options.target
    }
    const { text = (n: number) => `${n}`.padEnd(10, "x"), tries = 3 } = options
    const delivering: Delivering = { target, tries, apply: (item) => item, encode: ({ position }) => text(position) }
    const events = items(count).map((item) => outgoing(delivering, item, log))
    const fiber = yield* Effect.forkChild(deliver(delivering, { relay: "r", log, events }))
    yield* TestClock.adjust("1 hour")
    const { count: done, failure, parked } = yield* Fiber.join(fiber)
    return { sent, done, failure: failure?.detail, parked: parked.map((one) => [one.position, one.tries, one.reason]) }
  })
const away = new Target.Unavailable({ detail: "away" })
const refused = (positions?: ReadonlyArray<number>) =>
  new Target.Refused({ detail: "no", ...positions === undefined ? {} : { positions } })
const tooLarge = new Target.TooLarge({ detail: "large" })
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

describe("a page on its way", () => {
  it.effect("is divided by the target's bounds, in its order", () =>
    Effect.gen(function*() {
      const ok = () => undefined
      const whole = { done: 7, failure: undefined, parked: [] }
      assert.deepStrictEqual(yield* delivered(7, ok), { ...whole, sent: [range(0, 7)] })
      assert.deepStrictEqual(yield* delivered(7, ok, { target: { maxEvents: 3 } }), {
        ...whole,
        sent: [[0, 1, 2], [3, 4, 5], [6]]
      })
      // Ten bytes and a line end each.
      assert.deepStrictEqual(yield* delivered(7, ok, { target: { maxBytes: 33 } }), {
        ...whole,
        sent: [[0, 1, 2], [3, 4, 5], [6]]
      })
      assert.deepStrictEqual(yield* delivered(7, ok, { target: { maxBytes: 32 } }), {
        ...whole,
        sent: [[0, 1], [2, 3], [4, 5], [6]]
      })
      const text = (n: number) => "é".repeat(n === 3 ? 12 : 5)
      assert.deepStrictEqual((yield* delivered(7, ok, { target: { maxEventBytes: 24 }, text })).sent, [
        [0, 1, 2],
        [3],
        [4, 5, 6]
      ])
      assert.deepStrictEqual(yield* delivered(0, ok), { sent: [], done: 0, failure: undefined, parked: [] })
    }))

  it.effect("stops where the target is away: what was taken before counts, and nothing behind it is sent", () =>
    Effect.gen(function*() {
      const target = { maxEvents: 2 }
      assert.deepStrictEqual(yield* delivered(6, (_, call) => call === 2 ? away : undefined, { target }), {
        sent: [[0, 1], [2, 3]],
        done: 2,
        failure: "away",
        parked: []
      })
      assert.deepStrictEqual(yield* delivered(1, () => away), { sent: [[0]], done: 0, failure: "away", parked: [] })
      // While a batch is halved, too.
      const halved = yield* delivered(
        4,
        (positions) => positions.length > 2 ? tooLarge : positions.includes(2) ? away : undefined
      )
      assert.deepStrictEqual(halved, { sent: [range(0, 4), [0, 1], [2, 3]], done: 2, failure: "away", parked: [] })
    }))

  it.effect("is halved where it is too large or refused as a whole, down to the event, which is parked", () =>
    Effect.gen(function*() {
      for (const error of [refused(), refused([]), refused([99])]) {
        const result = yield* delivered(5, (positions) => positions.includes(3) ? error : undefined)
        assert.deepStrictEqual(result, {
          sent: [range(0, 5), [0, 1, 2], [3, 4], [3], [3], [3], [4]],
          done: 5,
          failure: undefined,
          parked: [[3, 3, "no"]]
        })
      }
      // One that is too large alone is so at the first try.
      const large = yield* delivered(3, (positions) => positions.includes(0) ? tooLarge : undefined)
      assert.deepStrictEqual(large, {
        sent: [[0, 1, 2], [0, 1], [0], [1], [2]],
        done: 3,
        failure: undefined,
        parked: [[0, 1, "large"]]
      })
    }))

  it.effect("is taken but for the events that are refused by name: these are tried alone", () =>
    Effect.gen(function*() {
      const result = yield* delivered(
        5,
        (positions, call) =>
          positions.length > 1 ? refused([1, 3]) : positions[0] === 3 || call === 2 ? refused() : undefined
      )
      assert.deepStrictEqual(result, {
        sent: [range(0, 5), [1], [1], [3], [3], [3]],
        done: 5,
        failure: undefined,
        parked: [[3, 3, "no"]]
      })
      // Away meanwhile: what comes before it counts.
      const left = yield* delivered(5, (positions) => positions.length > 1 ? refused([2]) : away)
      assert.deepStrictEqual(left, { sent: [range(0, 5), [2]], done: 2, failure: "away", parked: [] })
    }))

  it.effect("holds no event that is larger than the target takes: it is parked, and not sent", () =>
    Effect.gen(function*() {
      const text = (n: number) => "x".repeat(n === 1 ? 21 : 20)
      for (const target of [{ maxBytes: 20 }, { maxEventBytes: 20 }]) {
        const result = yield* delivered(3, () => undefined, { target, text })
        assert.deepStrictEqual(result.parked, [[1, 1, "it has more than 20 bytes"]])
        assert.deepStrictEqual([result.sent.flat(), result.done], [[0, 2], 3])
      }
    }))

  it.effect("is tried as often as asked, each time after a longer while", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const clock = yield* TestClock.testClockWith(Effect.succeed)
      yield* delivered(1, () => {
        times.push(clock.currentTimeMillisUnsafe())
        return refused()
      }, { tries: 9 })
      const waits = times.slice(1).map((time, n) => time - times[n]!)
      assert.deepStrictEqual(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000])
      assert.strictEqual((yield* delivered(1, () => refused(), { tries: 1 })).sent.length, 1)
    }))

  it("says of an erased event whose it was", () => {
    const row = encoding("ndjson")(erased(7), log)
    assert.deepStrictEqual(JSON.parse(row), {
      position: 7,
      event_id: idOf(7),
      tenantId: "t_acme",
      env: "prod",
      erased: true
    })
    assert.notInclude(encoding("cloudevents")(erased(7), log), "\n")
  })
})

const event = {
  event_id: idOf(1),
  tenantId: "t_acme",
  env: "prod",
  agentId: "a1",
  request_id: "r1",
  user_id: "u1",
  subject_ids: ["s1", "s2"],
  input: { list: [{ a: 1, b: 2 }, { a: 3, b: 4 }], "x/y": { "p~q": 1 }, n: 5 },
  metadata: { agentId: "a1", request_id: "r1", ip: "10.0.0.0" }
} as unknown as DatasetEvent.Wire

describe("the policy of a relay", () => {
  const key = { id: "k1", secret: Buffer.alloc(32, 1) }
  const applied = (policy: FieldPolicy, of: DatasetEvent.Wire = event): Record<string, unknown> => {
    const item = Result.getOrThrow(policyOf(policy))({ erased: false, position: 1, eventId: idOf(1), event: of })
    assert(!item.erased)
    return item.event as unknown as Record<string, unknown>
  }

  it("drops what a pointer leads to, and leaves the rest", () => {
    const dropped = applied({
      drop: [
        "/user_id",
        "/metadata/ip",
        "/input/list/*/a",
        "/input/x~1y/p~0q",
        "/none",
        "/input/n/deeper",
        "/input/list/1/b"
      ]
    })
    const { user_id: _, ...rest } = event
    assert.deepStrictEqual(dropped, {
      ...rest,
      metadata: { agentId: "a1", request_id: "r1" },
      input: { list: [{ b: 2 }, {}], "x/y": {}, n: 5 }
    } as never)
    assert.deepStrictEqual(applied({}), event as never)
    const gone = Result.getOrThrow(policyOf({ drop: ["/input"] }))(erased(1))
    assert.deepStrictEqual(gone, erased(1))
  })

  it("replaces texts by pseudonyms: the same for the same text of a tenant, wherever it stands", () => {
    const pseudonymise = ["/user_id", "/subject_ids", "/agentId", "/input/list", "/input/n"]
    const made = applied({ pseudonymise, key })
    const of = (text: unknown) => String(text)
    assert.match(of(made["user_id"]), /^k1:[A-Za-z0-9_-]{22}$/)
    const [first, second] = made["subject_ids"] as ReadonlyArray<string>
    assert.strictEqual(new Set([made["user_id"], first, second, made["agentId"]]).size, 4)
    assert.strictEqual((made["metadata"] as Record<string, unknown>)["agentId"], made["agentId"])
    assert.strictEqual((made["metadata"] as Record<string, unknown>)["request_id"], "r1")
    // What is no text is dropped.
    assert.deepStrictEqual(made["input"], { list: [undefined, undefined], "x/y": { "p~q": 1 } })
    const again = applied({ pseudonymise: ["/subject_ids"], key }, { ...event, subject_ids: ["u1"] } as never)
    assert.deepStrictEqual(again["subject_ids"], [made["user_id"]])
    // An id of a person has no pseudonym in one place and its text in another.
    const person = applied({ pseudonymise: ["/user_id"], key }, {
      ...event,
      user_id: "kim",
      agentId: "kim",
      metadata: { agentId: "kim", request_id: "kim" },
      subject_ids: ["kim", "lee"],
      delegation: [{ type: "human", id: "kim" }, { type: "agent", id: "bot" }],
      approval: { by: { type: "human", id: "kim" } }
    } as never)
    const its = person["user_id"]
    assert.deepStrictEqual(
      [person["agentId"], person["subject_ids"], person["metadata"], person["delegation"], person["approval"]],
      [its, [its, "lee"], { agentId: its, request_id: "kim" }, [{ type: "human", id: its }, {
        type: "agent",
        id: "bot"
      }], { by: { type: "human", id: its } }]
    )
    const twice = applied({ pseudonymise: ["/agentId", "/metadata/agentId", "/user_id", "/user_id"], key }, {
      ...event,
      user_id: "kim",
      agentId: "kim",
      metadata: { agentId: "kim", request_id: "r1" }
    } as never)
    assert.deepStrictEqual(
      [twice["user_id"], twice["agentId"], twice["metadata"]],
      [its, its, { agentId: its, request_id: "r1" }]
    )
    // What is no id of a person stays where it stands beside it.
    const thing = applied({ pseudonymise: ["/input/n"], key }, {
      ...event,
      input: { n: "42" },
      resource: { type: "ticket", id: "42" }
    } as never)
    assert.deepStrictEqual(thing["resource"], { type: "ticket", id: "42" })
    const other = applied({ pseudonymise, key }, { ...event, tenantId: "t_globex" } as never)
    assert.notStrictEqual(other["user_id"], made["user_id"])
    const otherKey = applied({ pseudonymise, key: { id: "k1", secret: Buffer.alloc(32, 2) } })
    assert.notStrictEqual(otherKey["user_id"], made["user_id"])
  })

  it("is refused where it cannot be meant, with what is wrong", () => {
    const why = (policy: FieldPolicy) => {
      const { detail, path } = Result.getOrThrow(Result.flip(policyOf(policy)))
      return [path, detail]
    }
    assert.deepStrictEqual(why({ drop: ["/a", "input"] }), ["/policy/drop/1", "must be a JSON Pointer, such as /input"])
    assert.deepStrictEqual(why({ drop: ["/metadata"] }), ["/policy/drop/0", "is a field that every event has"])
    assert.deepStrictEqual(why({ pseudonymise: ["user_id"], key }), [
      "/policy/pseudonymise/0",
      "must be a JSON Pointer, such as /user_id"
    ])
    assert.deepStrictEqual(why({ pseudonymise: ["/user_id", "/action"], key }), [
      "/policy/pseudonymise/1",
      "is a field that others read by its values"
    ])
    assert.deepStrictEqual(why({ pseudonymise: ["/user_id"] }), ["/policy/key", "is missing: pseudonyms need one"])
    assert.deepStrictEqual(why({ key: { id: "k", secret: Buffer.alloc(31) } }), [
      "/policy/key/secret",
      "must have at least 32 bytes"
    ])
    const always =
      "event_id schema_version tenantId env mode actor_type agentId request_id trace_id action outcome severity " +
      "storage_class train_ok train_reason pii_flags metadata recorded_at occurred_at"
    for (const field of always.split(" ")) {
      assert.deepStrictEqual(why({ drop: [`/${field}`] })[1], "is a field that every event has")
      const isId = ["agentId", "request_id", "trace_id"].includes(field)
      assert.strictEqual(Result.isSuccess(policyOf({ pseudonymise: [`/${field}`], key })), isId, field)
    }
    for (const field of ["/agentId", "/request_id", "/trace_id", "/metadata/outcome"]) {
      assert.isTrue(Result.isSuccess(policyOf({ pseudonymise: [field], key })))
    }
  })
})
