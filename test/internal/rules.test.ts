/** Small rules that several modules share. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option, Schema } from "effect"
import { type DatasetEvent, RequestContext } from "effect-audit"
import { createHmac } from "node:crypto"
import {
  erasedPositions,
  eventFields,
  personNeedle,
  receiptOf,
  rowProblem,
  sameFacts,
  subjectsOf,
  valueNeedle
} from "../../src/internal/body.ts"
import { erasedKeyHash, keyHash, keyHashes, Refused, usedId, usedKey } from "../../src/internal/duplicate.ts"
import { LogCache } from "../../src/internal/logCache.ts"
import { OptOuts } from "../../src/internal/optOuts.ts"
import { type Range, Ranges } from "../../src/internal/ranges.ts"
import { timeOf } from "../../src/internal/time.ts"
import { fieldsOf, sealedBy } from "../support.ts"

const bodyOf = (event: DatasetEvent.Sealed): Buffer => Buffer.from(fieldsOf(event).body)
const changed = (event: DatasetEvent.Sealed, change: (fields: Record<string, unknown>) => void): Buffer => {
  const fields = JSON.parse(bodyOf(event).toString()) as Record<string, unknown>
  change(fields)
  return Buffer.from(JSON.stringify(fields))
}

describe("ranges of positions", () => {
  const positions = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })))
  const pairs = Schema.Array(Schema.Tuple([
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 }))
  ]))
  const listed = (ranges: ReadonlyArray<Range>) =>
    ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
  const sorted = (set: Iterable<number>) => [...set].sort((a, b) => a - b)

  it.prop("are a set of positions, as few ranges as it needs, in whatever order they come", {
    added: pairs,
    deleted: positions,
    others: pairs
  }, ({ added, deleted, others }) => {
    const [ranges, set] = [new Ranges(), new Set<number>()]
    const add = (to: Ranges, [first, more]: readonly [number, number], all: Set<number>) => {
      if (more === 0) to.add(first)
      else to.addRange(first, first + more)
      for (let at = first; at <= first + more; at++) all.add(at)
    }
    for (const pair of added) add(ranges, pair, set)
    assert.deepStrictEqual(listed(ranges.all()), sorted(set))
    assert.strictEqual(ranges.count, set.size)
    for (const position of deleted) assert.strictEqual(ranges.delete(position), set.delete(position))
    assert.deepStrictEqual(listed(ranges.all()), sorted(set))
    const [other, otherSet] = [new Ranges(), new Set<number>()]
    for (const pair of others) add(other, pair, otherSet)
    assert.deepStrictEqual(listed(ranges.without(other)), sorted([...set].filter((at) => !otherSet.has(at))))
    // Added again, one range each.
    const again = new Ranges()
    for (const at of sorted(set)) again.add(at)
    const starts = sorted(set).filter((at) => !set.has(at - 1))
    assert.deepStrictEqual(again.all().map(([first]) => first), starts)
  })
})

describe("the bytes of an event", () => {
  it.effect("say the same where only clocks, traces and preferences differ", () =>
    Effect.gen(function*() {
      const event = yield* sealedBy({ action: "note.create", metadata: { n: 1 }, input: { a: 1 } })
      const same = [
        (fields: Record<string, unknown>) =>
          Object.assign(fields, { recorded_at: "x", occurred_at: "y", span_id: "z" }),
        (fields: Record<string, unknown>) => Object.assign(fields, { trace_id: "t", request_id: "r" }),
        (fields: Record<string, unknown>) => Object.assign(fields, { train_ok: false, train_reason: "pii" }),
        (fields: Record<string, unknown>) =>
          Object.assign(fields["metadata"] as object, { trace_id: "t", request_id: "r" })
      ]
      for (const change of same) assert.isTrue(sameFacts(bodyOf(event), changed(event, change)))
      const others = [
        (fields: Record<string, unknown>) => Object.assign(fields, { action: "note.delete" }),
        (fields: Record<string, unknown>) => Object.assign(fields, { input: { a: 2 } }),
        (fields: Record<string, unknown>) => Object.assign(fields["metadata"] as object, { n: 2 }),
        (fields: Record<string, unknown>) => Object.assign(fields["metadata"] as object, { agentId: "other" }),
        (fields: Record<string, unknown>) => delete fields["outcome"]
      ]
      for (const change of others) assert.isFalse(sameFacts(bodyOf(event), changed(event, change)))
    }))

  it.effect("say who is concerned, what was found, and nothing where they are no event", () =>
    Effect.gen(function*() {
      const event = yield* sealedBy({ action: "note.create", subjectIds: ["s1"], input: "kim@example.com" })
      const { action, persons } = subjectsOf(bodyOf(event))
      assert.deepStrictEqual([action, [...persons]], ["note.create", ["u1", "s1"]])
      assert.deepStrictEqual([...subjectsOf(bodyOf(yield* sealedBy({ action: "a.b" }))).persons], ["u1"])
      assert.deepStrictEqual(receiptOf(bodyOf(event)), { piiFlags: event.piiFlags, trainOk: false })
      for (const broken of ["", "{", "[]", "null", "7", "\"x\""]) {
        assert.deepStrictEqual(eventFields(Buffer.from(broken)), {}, broken)
        assert.isUndefined(receiptOf(Buffer.from(broken)))
        assert.deepStrictEqual([...subjectsOf(Buffer.from(broken)).persons], [undefined])
      }
      assert.isUndefined(receiptOf(Buffer.from("{}")))
      assert.strictEqual(Buffer.from(personNeedle("a\"b")).toString(), "\"a\\\"b\"")
      assert.strictEqual(Buffer.from(valueNeedle("type", "note")).toString(), "\"type\":\"note\"")
      assert.strictEqual(Buffer.from(valueNeedle("train_ok", true)).toString(), "\"train_ok\":true")
    }))

  it("name what was erased only where they are the record of an erasure", () => {
    const of = (value: unknown) => erasedPositions(Buffer.from(JSON.stringify(value)))
    const record = (positions: unknown, action = "audit.erased") => of({ action, output: { positions } })
    assert.deepStrictEqual(record([[1, 2], [5, 5]]), [[1, 2], [5, 5]])
    assert.deepStrictEqual(record([[1, 2], [1], ["1", 2], [1, "2"], [1.5, 2], [1, 2 ** 60], 7, null, [3, 4]]), [
      [1, 2],
      [3, 4]
    ])
    assert.deepStrictEqual(record("x"), [])
    assert.deepStrictEqual(record([[1, 2]], "note.create"), [])
    assert.deepStrictEqual(
      of({ action: "note.create", input: "\"action\":\"audit.erased\"", output: { positions: [[1, 2]] } }),
      []
    )
    assert.deepStrictEqual(of({ x: { action: "audit.erased" }, action: "a.b", output: { positions: [[1, 2]] } }), [])
    assert.deepStrictEqual(of({ action: "audit.erased", output: 7 }), [])
  })

  it.effect("are compared with what their row says", () =>
    Effect.gen(function*() {
      const event = yield* sealedBy({ action: "note.create" })
      const [body, origin] = [bodyOf(event), "test/log/1"]
      const row = {
        position: 1,
        eventId: event.eventId as string,
        recordedAtMillis: event.recordedAtMillis as number | undefined
      }
      const name = { tenantId: event.tenantId, env: event.env }
      const problem = (change: Partial<typeof row>, log = { name, origin }) =>
        rowProblem({ ...row, ...change }, body, { ...log, origins: [{ origin: log.origin }] })
      assert.isUndefined(problem({}))
      assert.strictEqual(problem({ eventId: "other" }), "the event has another id than its row says")
      const elsewhere = "the event is of another tenant or env than its log"
      assert.strictEqual(problem({}, { name: { ...name, env: RequestContext.Env.make("staging") }, origin }), elsewhere)
      assert.strictEqual(
        problem({}, { name: { ...name, tenantId: RequestContext.TenantId.make("t_other") }, origin }),
        elsewhere
      )
      const late = "the event was recorded at another time than its row says"
      assert.strictEqual(problem({ recordedAtMillis: event.recordedAtMillis + 1 }), late)
      assert.strictEqual(problem({ recordedAtMillis: undefined }), late)
      assert.strictEqual(problem({ position: 0 }), "the log was created with another origin")
    }))
})

describe("an event that may be stored already", () => {
  const used = Effect.gen(function*() {
    const event = yield* sealedBy({ action: "note.create", input: "kim@example.com" }, { idempotencyKey: "k" })
    const { idempotency } = event
    assert(idempotency !== undefined)
    const stored = { eventId: event.eventId, position: 4, body: bodyOf(event) as Uint8Array | undefined }
    return { event, idempotency, stored }
  })
  const reasonOf = (answer: unknown) => {
    assert.instanceOf(answer, Refused)
    const { reason } = answer
    return reason._tag === "InvalidInput" ? [reason.path, reason.detail] : [reason._tag, reason.message]
  }

  it.effect("is answered with what its first receipt said, by its key or its id", () =>
    Effect.gen(function*() {
      const { event, idempotency, stored } = yield* used
      const first = { erased: false, piiFlags: event.piiFlags, trainOk: false }
      const receipt = { eventId: event.eventId, position: 4, duplicate: true, durability: "committed", first }
      for (const digest of [idempotency.digest, idempotency.formerDigest, undefined]) {
        assert.deepStrictEqual(usedKey(event, digest, stored, "committed") as unknown, receipt)
      }
      assert.deepStrictEqual(usedId(event, true, stored, "committed") as unknown, receipt)
      const gone = { ...stored, body: undefined }
      assert.deepStrictEqual(usedKey(event, undefined, gone, "memory") as unknown, {
        ...receipt,
        durability: "memory",
        first: { erased: true }
      })
    }))

  it.effect("is refused for something else, in another log, of an erased event's id, and over a first one that is no event", () =>
    Effect.gen(function*() {
      const { event, stored } = yield* used
      const other = yield* sealedBy({ action: "note.delete" })
      assert.deepStrictEqual(reasonOf(usedKey(event, Buffer.alloc(32), stored, "committed")), [
        "/idempotencyKey",
        "this key was used for something else"
      ])
      const elsewhere = ["/eventId", "this event id was used for something else"]
      assert.deepStrictEqual(reasonOf(usedId(event, false, stored, "committed")), elsewhere)
      assert.deepStrictEqual(reasonOf(usedId(event, false, { ...stored, body: undefined }, "committed")), elsewhere)
      assert.deepStrictEqual(reasonOf(usedId(event, true, { ...stored, body: bodyOf(other) }, "committed")), elsewhere)
      assert.deepStrictEqual(reasonOf(usedId(event, true, { ...stored, body: undefined }, "committed")), [
        "/eventId",
        "this event id is of an event that was erased"
      ])
      const [tag, message] = reasonOf(usedKey(event, undefined, { ...stored, body: Buffer.from("{}") }, "committed"))
      assert.strictEqual(tag, "SinkRejected")
      assert.include(message, "the first event, at position 4, cannot be read")
    }))

  it.effect("has its key kept as a hash of the log's, and of the erased event's digest", () =>
    Effect.gen(function*() {
      const { idempotency } = yield* used
      const hash = createHmac("sha256", "origin").update("k").digest().subarray(0, 16)
      assert.deepStrictEqual(Buffer.from(keyHash("origin", "k")), hash)
      const erased = (digest: Uint8Array) => createHmac("sha256", digest).update(hash).digest().subarray(0, 16)
      assert.deepStrictEqual(Buffer.from(erasedKeyHash(hash, idempotency.digest)), erased(idempotency.digest))
      assert.deepStrictEqual(keyHashes("origin", idempotency).map((bytes) => Buffer.from(bytes)), [
        hash,
        erased(idempotency.digest),
        erased(idempotency.formerDigest)
      ])
    }))
})

describe("what a writer remembers of logs", () => {
  it("is found by name and number, and all of it ends together", () => {
    const name = { tenantId: RequestContext.TenantId.make("t"), env: RequestContext.Env.make("prod") }
    const other = { ...name, env: RequestContext.Env.make("dev") }
    const cache = new LogCache()
    const log = { id: 7, origin: "o", firstOrigin: "o", size: 3, stopped: undefined }
    assert.isUndefined(cache.get(name))
    cache.set(name, log)
    assert.strictEqual(cache.get({ ...name }), log)
    assert.strictEqual(cache.byId(7), log)
    assert.isUndefined(cache.get(other))
    assert.isUndefined(cache.byId(8))
    assert.isUndefined(cache.byId(undefined))
    cache.end("stopped")
    assert.isUndefined(cache.get(name))
    assert.isUndefined(cache.byId(7))
  })
})

describe("opt-outs that are remembered", () => {
  const question = (...userIds: ReadonlyArray<string>) => ({
    tenantId: RequestContext.TenantId.make("t"),
    env: RequestContext.Env.make("prod"),
    userIds
  })
  const made = () => {
    const state = {
      version: 1,
      out: new Set<string>(),
      open: undefined as object | undefined,
      asked: [] as Array<string>
    }
    const optOuts = new OptOuts({
      version: () => state.version,
      isOptedOut: ({ userId = "" }) => {
        state.asked.push(userId)
        return state.out.has(userId)
      },
      openTransaction: () => state.open
    })
    return { state, optOuts }
  }

  it("are read once for each person until something changed, and at most half a second old", () => {
    const { optOuts, state } = made()
    assert.strictEqual(optOuts.answer(question("a", "b"), 1000), "allowed")
    assert.deepStrictEqual(state.asked.splice(0), ["", "a", "b"])
    state.out.add("b")
    assert.strictEqual(optOuts.answer(question("a", "b"), 1499), "allowed")
    assert.deepStrictEqual(state.asked.splice(0), [])
    // The same version after half a second: what is remembered holds on.
    assert.strictEqual(optOuts.answer(question("a"), 1500), "allowed")
    assert.deepStrictEqual(state.asked.splice(0), [])
    state.version = 2
    assert.strictEqual(optOuts.answer(question("a", "b"), 2000), "user_opt_out")
    assert.deepStrictEqual(state.asked.splice(0), ["", "a", "b"])
    state.out.add("")
    state.version = 3
    optOuts.forget()
    assert.strictEqual(optOuts.answer(question("a"), 2001), "tenant_opt_out")
  })

  it("hold for all while the transaction that sets them is open, and are forgotten with it", () => {
    const { optOuts, state } = made()
    state.open = {}
    optOuts.leave({ ...question(), userId: "a" })
    assert.strictEqual(optOuts.answer(question("a"), 1), "user_opt_out")
    assert.strictEqual(optOuts.answer(question("b"), 1), "allowed")
    state.open = {}
    state.version = 2
    assert.strictEqual(optOuts.answer(question("a"), 2), "allowed")
    // It is not remembered for the next transaction, nor for anyone who looks later.
    optOuts.leave({ ...question(), userId: "c" })
    assert.strictEqual(optOuts.answer(question("a"), 3), "allowed")
    assert.strictEqual(optOuts.answer(question("c"), 3), "user_opt_out")
  })

  it("of transactions that have ended are not kept until someone asks for that person", () => {
    const { optOuts, state } = made()
    for (let n = 0; n < 1000; n++) {
      state.open = {}
      optOuts.leave({ ...question(), userId: `u${n}` })
    }
    const kept = Object.values(optOuts).flatMap((each: unknown) => each instanceof Map ? [...each.keys()] : [])
    assert.strictEqual(kept.length, 1)
    optOuts.leave({ ...question(), userId: "of the same one" })
    assert.strictEqual(optOuts.answer(question("u999"), 1), "user_opt_out")
    assert.strictEqual(optOuts.answer(question("of the same one"), 1), "user_opt_out")
  })

  it("are of 10,000 persons at most", () => {
    const { optOuts, state } = made()
    for (let n = 0; n < 9999; n++) optOuts.answer(question(`u${n}`), 1)
    state.asked.length = 0
    optOuts.answer(question("u0"), 1)
    assert.deepStrictEqual(state.asked, [])
    optOuts.answer(question("one more"), 1)
    optOuts.answer(question("u0"), 1)
    assert.deepStrictEqual(state.asked, ["one more", "", "u0"])
  })
})

describe("a time as a caller gives it", () => {
  it("is what DateTime.make takes, and an object says which", () => {
    const millis = (value: unknown) => Option.getOrUndefined(Option.map(timeOf(value), DateTime.toEpochMillis))
    for (
      const [value, expected] of [
        [5, 5],
        ["1970-01-01T00:00:00.005Z", 5],
        ["1970-01-02", 86_400_000],
        [new Date(5), 5],
        [DateTime.makeUnsafe(5), 5],
        [{ year: 1970, month: 1, day: 2 }, 86_400_000],
        [{ epochMilliseconds: 5 }, 5],
        [{}, undefined],
        [{ month: 2 }, undefined],
        [undefined, undefined],
        [null, undefined],
        [true, undefined],
        [NaN, undefined],
        ["soon", undefined],
        [new Date(NaN), undefined]
      ] as const
    ) assert.strictEqual(millis(value), expected, JSON.stringify(value))
  })
})
