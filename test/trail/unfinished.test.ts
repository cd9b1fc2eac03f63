/** Intents without a result: which they are, and how many queries it takes to find them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { AuditTrail } from "effect-audit/trail"
import { log, memory, within } from "../support.ts"

const stack = Layer.fresh(Erasure.layer.pipe(Layer.provideMerge(memory)))
const half = (operationId: string, phase: "intent" | "result", more: Partial<AuditLogger.AuditDraft> = {}) =>
  AuditLogger.emit({ action: "tool.call", operationId, phase, ...more }).pipe(within())
const whole = (operationId: string) => Effect.andThen(half(operationId, "intent"), half(operationId, "result"))
const range = (length: number) => Array.from({ length }, (_, n) => `op${n}`)

/** The operations that are found, and the queries that were asked: of a phase, or of one operation. */
const found = (query: Omit<Parameters<typeof AuditTrail.unfinished>[0], "tenantId" | "env"> = {}) =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail.AuditTrail
    const asked: Array<string> = []
    const counting = AuditTrail.AuditTrail.of({
      ...trail,
      query: (query) => {
        const { operationId, phase } = query.filter ?? {}
        asked.push(
          operationId === undefined ? `${phase} ${query.limit} ${query.order}` : `${operationId} ${query.limit}`
        )
        return trail.query(query)
      }
    })
    const items = yield* Stream.runCollect(AuditTrail.unfinished({ ...log, ...query })).pipe(
      Effect.provideService(AuditTrail.AuditTrail, counting)
    )
    return { asked, operations: items.map((item) => item.erased ? "erased" : item.event.operation_id ?? "") }
  })

describe("AuditTrail.unfinished", () => {
  it.effect("reads results in step with intents: of many that have ended none is asked for by itself", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(range(600), whole)
      const { asked, operations } = yield* found()
      assert.deepStrictEqual(operations, [])
      assert.deepStrictEqual(asked, [
        "intent 250 desc",
        // A result lies behind its intent: the last of a page is on the next one.
        "result 250 desc",
        "result 250 desc",
        "intent 250 desc",
        "result 250 desc",
        "intent 250 desc"
      ])
    }).pipe(Effect.provide(stack)))

  it.effect("asks for what it has not met by its operation, and no further results than it needs", () =>
    Effect.gen(function*() {
      yield* half("early", "result")
      yield* Effect.forEach(range(300), (operation) => half(operation, "result"))
      yield* half("early", "intent")
      yield* half("left", "intent")
      yield* whole("done")
      const { asked, operations } = yield* found()
      assert.deepStrictEqual(operations, ["left"])
      assert.deepStrictEqual(asked, ["intent 250 desc", "result 250 desc", "left 1", "early 1"])
    }).pipe(Effect.provide(stack)))

  it.effect("asks for no results where there is no intent, and keeps to its filter", () =>
    Effect.gen(function*() {
      yield* half("a", "result")
      assert.deepStrictEqual(yield* found(), { asked: ["intent 250 desc"], operations: [] })
      yield* half("b", "intent", { action: "mail.send" })
      yield* half("c", "intent")
      assert.deepStrictEqual((yield* found({ filter: { action: "mail.*" } })).operations, ["b"])
      assert.deepStrictEqual((yield* found()).operations, ["c", "b"])
    }).pipe(Effect.provide(stack)))

  it.effect("does not know of erased intents; of an erased result it does not know that it was one", () =>
    Effect.gen(function*() {
      const gone = yield* half("gone", "intent")
      yield* half("kept", "intent")
      const result = yield* half("kept", "result")
      yield* Erasure.erase({ eventIds: [gone.eventId, result.eventId], reason: "r" }).pipe(within())
      assert.deepStrictEqual((yield* found()).operations, ["kept"])
    }).pipe(Effect.provide(stack)))
})
