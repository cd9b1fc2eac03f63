import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { LoggingEngine, RequestContext } from "effect-audit"
import { AuditTrail, Filter } from "effect-audit/trail"
import { TestClock } from "effect/testing"
import { log, memory, within } from "../support.ts"

const decode = Schema.decodeUnknownResult(Filter.Filter)

describe("Filter", () => {
  it("names an action, or all below one", () => {
    for (const action of ["note", "note.create", "note.*", "note.tag.*", "n_1.0_a"]) {
      assert.strictEqual(decode({ action })._tag, "Success", action)
    }
    const wrong = [
      "",
      "*",
      "note*",
      "note.",
      "note.*.x",
      "note.**",
      ".note",
      "Note.create",
      "1a.b",
      "note.*\n",
      "x note.*"
    ]
    for (const action of wrong) assert.strictEqual(decode({ action })._tag, "Failure", action)
  })

  it("asks for no empty text, no unknown word, and no time that is no number", () => {
    const texts = ["actor", "user", "resourceType", "resourceId", "trace", "request", "correlation", "run"]
    for (const field of texts) {
      assert.strictEqual(decode({ [field]: "x" })._tag, "Success", field)
      assert.strictEqual(decode({ [field]: "" })._tag, "Failure", field)
    }
    for (const [field, good] of [["outcome", "denied"], ["severity", "notice"], ["storageClass", "cost"]] as const) {
      assert.strictEqual(decode({ [field]: good })._tag, "Success", field)
      assert.strictEqual(decode({ [field]: "other" })._tag, "Failure", field)
    }
    for (const field of ["since", "until"]) {
      assert.strictEqual(decode({ [field]: 0 })._tag, "Success", field)
      for (const wrong of [NaN, Infinity, "0"]) assert.strictEqual(decode({ [field]: wrong })._tag, "Failure", field)
    }
    assert.strictEqual(decode({ trainOk: "true" })._tag, "Failure")
  })

  it("is met by events of all its values, within its times", () => {
    const keys = {
      action: "note.create",
      agentId: "a1",
      user_id: undefined,
      resource_type: "note",
      resource_id: "n1",
      outcome: "success",
      trace_id: "t1",
      request_id: "r1",
      correlation_id: undefined,
      run_id: undefined,
      severity: "info",
      storage_class: "audit",
      train_ok: "true"
    } as const
    const met = (filter: Filter.Filter, at = 10) => Filter.matches(keys, at, Filter.conditions(filter), filter)
    const good: ReadonlyArray<Filter.Filter> = [
      {},
      { action: "note.create" },
      { action: "note.*" },
      { actor: "a1", resourceType: "note", resourceId: "n1", outcome: "success", trace: "t1", request: "r1" },
      { severity: "info", storageClass: "audit", trainOk: true },
      { since: 10 },
      { until: 11 },
      { since: 10, until: 11 }
    ]
    for (const filter of good) assert.isTrue(met(filter), JSON.stringify(filter))
    const bad: ReadonlyArray<Filter.Filter> = [
      { action: "note" },
      { action: "note.crea" },
      { action: "not.*" },
      { action: "note.create.*" },
      { user: "u1" },
      { user: "undefined" },
      { trainOk: false },
      { actor: "a1", resourceId: "n2" },
      { since: 11 },
      { until: 10 },
      { since: 10, until: 10 }
    ]
    for (const filter of bad) assert.isFalse(met(filter), JSON.stringify(filter))
  })

  it.effect("finds an event by each of its values, and by no value of another", () =>
    Effect.gen(function*() {
      const emit = (n: number) =>
        LoggingEngine.log({
          action: `note${n}.create`,
          resource: { type: `type${n}`, id: `id${n}` },
          outcome: n === 1 ? "denied" : "failure",
          severity: n === 1 ? "notice" : "error",
          storageClass: n === 1 ? "cost" : "stream",
          input: n === 1 ? "kim@example.com" : "none"
        }).pipe(within({
          actor: RequestContext.agent(`a${n}`, `u${n}`),
          requestId: `r${n}`,
          traceId: `trace${n}`,
          correlationId: `c${n}`,
          runId: `run${n}`
        }))
      const receipts = [yield* emit(1)]
      yield* TestClock.adjust(1000)
      receipts.push(yield* emit(2))
      const filters = (n: number): ReadonlyArray<Filter.Filter> => [
        { action: `note${n}.create` },
        { action: `note${n}.*` },
        { actor: `a${n}` },
        { user: `u${n}` },
        { resourceType: `type${n}` },
        { resourceId: `id${n}` },
        { outcome: n === 1 ? "denied" : "failure" },
        { trace: `trace${n}` },
        { request: `r${n}` },
        { correlation: `c${n}` },
        { run: `run${n}` },
        { severity: n === 1 ? "notice" : "error" },
        { storageClass: n === 1 ? "cost" : "stream" },
        { trainOk: n !== 1, request: `r${n}` },
        n === 1 ? { until: 1000, run: "run1" } : { since: 1000 }
      ]
      for (const n of [1, 2]) {
        for (const filter of filters(n)) {
          const { items } = yield* AuditTrail.query({ ...log, filter })
          assert.deepStrictEqual(
            items.map((item) => item.eventId),
            [receipts[n - 1]?.eventId],
            JSON.stringify(filter)
          )
        }
      }
    }).pipe(Effect.provide(memory)))
})
