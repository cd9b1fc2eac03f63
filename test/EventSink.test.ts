import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EventSink } from "effect-audit"
import { suite } from "./EventSinkTest.ts"
import { memory, sealedBy } from "./support.ts"

suite("EventSink.layerMemory", memory)

describe("EventSink.layerMemory", () => {
  it.effect("shows what is stored by then, with each log's own positions", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      const { all } = yield* EventSink.MemoryEvents
      const mine = yield* sealedBy({ action: "a.b" })
      const theirs = yield* sealedBy({ action: "a.b" }, undefined, { tenantId: "t_other" })
      assert.deepStrictEqual(yield* all, [])
      yield* sink.append(mine)
      const before = yield* all
      yield* sink.append(theirs)
      assert.strictEqual(before.length, 2)
      assert.deepStrictEqual(
        (yield* all).map(({ event, position }) => [String(event.tenantId), position, event.keys.action]),
        [["t_acme", 0, "audit.log_created"], ["t_acme", 1, "a.b"], ["t_other", 0, "audit.log_created"], [
          "t_other",
          1,
          "a.b"
        ]]
      )
    }).pipe(Effect.provide(memory)))

  it.effect("says that its events are gone with the process, and runs transactions as they are", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      const { durability } = yield* sink.append(yield* sealedBy({ action: "a.b" }))
      assert.strictEqual(durability, "memory")
      assert.strictEqual(yield* sink.transact?.(Effect.succeed(7)) ?? Effect.void, 7)
      assert.strictEqual(yield* Effect.flip(sink.transact?.(Effect.fail("no")) ?? Effect.void), "no")
    }).pipe(Effect.provide(memory)))

  it.effect("names itself in the error of a refusal", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      yield* sink.append(yield* sealedBy({ action: "a.b" }, { idempotencyKey: "k" }))
      const error = yield* Effect.flip(sink.append(yield* sealedBy({ action: "a.c" }, { idempotencyKey: "k" })))
      assert.strictEqual(error.method, "EventSink.append")
    }).pipe(Effect.provide(memory)))
})
