import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EventSink, Transactions } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { suite } from "./EventSinkTest.ts"
import { memory, sealedBy } from "./support.ts"

suite("Memory", memory)

describe("Memory", () => {
  it.effect("shows what is stored by then, with each log's own positions", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      const { logs } = yield* AuditTrail.AuditTrail
      const stored = Effect.gen(function*() {
        const found: Array<readonly [string, number, string | undefined]> = []
        for (const { env, tenantId } of yield* logs) {
          const { items } = yield* AuditTrail.query({ tenantId, env, order: "asc" })
          for (const item of items) found.push([tenantId, item.position, item.erased ? undefined : item.event.action])
        }
        return found
      })
      const mine = yield* sealedBy({ action: "a.b" })
      const theirs = yield* sealedBy({ action: "a.b" }, undefined, { tenantId: "t_other" })
      assert.deepStrictEqual(yield* stored, [])
      yield* sink.append(mine)
      const before = yield* stored
      yield* sink.append(theirs)
      assert.strictEqual(before.length, 2)
      assert.deepStrictEqual(
        yield* stored,
        [["t_acme", 0, "audit.log_created"], ["t_acme", 1, "a.b"], ["t_other", 0, "audit.log_created"], [
          "t_other",
          1,
          "a.b"
        ]]
      )
    }).pipe(Effect.provide(memory)))

  it.effect("says that its events are gone with the process, also of those in a transaction, whose outcome it leaves", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      const { durability } = yield* sink.append(yield* sealedBy({ action: "a.b" }))
      assert.strictEqual(durability, "memory")
      const sealed = yield* sealedBy({ action: "a.c" })
      const inside = yield* Transactions.transact(sink.append(sealed))
      assert.strictEqual(inside.durability, "memory")
      assert.strictEqual(yield* Transactions.transact(Effect.succeed(7)), 7)
      assert.strictEqual(yield* Effect.flip(Transactions.transact(Effect.fail("no"))), "no")
    }).pipe(Effect.provide(memory)))

  it.effect("names itself in the error of a refusal", () =>
    Effect.gen(function*() {
      const sink = yield* EventSink.EventSink
      yield* sink.append(yield* sealedBy({ action: "a.b" }, { idempotencyKey: "k" }))
      const error = yield* Effect.flip(sink.append(yield* sealedBy({ action: "a.c" }, { idempotencyKey: "k" })))
      assert.strictEqual(error.method, "EventSink.append")
    }).pipe(Effect.provide(memory)))
})
