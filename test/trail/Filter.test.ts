import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
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

  it("asks for no empty text, no unknown word, and no time that is none", () => {
    const texts = [
      "actorId",
      "userId",
      "subjectId",
      "resourceType",
      "resourceId",
      "traceId",
      "requestId",
      "correlationId",
      "runId",
      "stepId",
      "projectId",
      "surface"
    ]
    for (const field of texts) {
      assert.strictEqual(decode({ [field]: "x" })._tag, "Success", field)
      assert.strictEqual(decode({ [field]: "" })._tag, "Failure", field)
    }
    for (const [field, good] of [["outcome", "denied"], ["severity", "notice"], ["storageClass", "cost"]] as const) {
      assert.strictEqual(decode({ [field]: good })._tag, "Success", field)
      assert.strictEqual(decode({ [field]: "other" })._tag, "Failure", field)
    }
    for (const field of ["since", "until"]) {
      assert.strictEqual(decode({ [field]: DateTime.makeUnsafe(0) })._tag, "Success", field)
      for (const wrong of [0, NaN, Infinity, "0", new Date(0)]) {
        assert.strictEqual(decode({ [field]: wrong })._tag, "Failure", field)
      }
    }
    assert.strictEqual(decode({ trainOk: "true" })._tag, "Failure")
  })

  it("is met by events of all its values, within its times", () => {
    const keys = {
      action: "note.create",
      actorId: "a1",
      userId: undefined,
      subjectIds: ["s1", "s2"],
      resourceType: "note",
      resourceId: "n1",
      outcome: "success",
      traceId: "t1",
      requestId: "r1",
      correlationId: undefined,
      runId: undefined,
      stepId: "st1",
      operationId: "op1",
      phase: "result",
      projectId: "p1",
      surface: undefined,
      severity: "info",
      storageClass: "audit",
      trainOk: "true"
    } as const
    const time = DateTime.makeUnsafe
    const met = (filter: typeof Filter.Filter.Type) => Filter.matches(keys, 10, Filter.searchOf(filter))
    const good: ReadonlyArray<typeof Filter.Filter.Type> = [
      {},
      { action: "note.create" },
      { action: "note.*" },
      { actorId: "a1", resourceType: "note", resourceId: "n1", outcome: "success", traceId: "t1", requestId: "r1" },
      { subjectId: "s2", stepId: "st1", projectId: "p1" },
      { operationId: "op1", phase: "result" },
      { severity: "info", storageClass: "audit", trainOk: true },
      { since: time(10) },
      { until: time(11) },
      { since: time(10), until: time(11) }
    ]
    for (const filter of good) assert.isTrue(met(filter), JSON.stringify(filter))
    const bad: ReadonlyArray<typeof Filter.Filter.Type> = [
      { action: "note" },
      { operationId: "op2" },
      { operationId: "op1", phase: "intent" },
      { action: "note.crea" },
      { action: "not.*" },
      { action: "note.create.*" },
      { userId: "u1" },
      { userId: "undefined" },
      { subjectId: "s3" },
      { subjectId: "s1,s2" },
      { surface: "p1" },
      { trainOk: false },
      { actorId: "a1", resourceId: "n2" },
      { since: time(11) },
      { until: time(10) },
      { since: time(10), until: time(10) }
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
          subjectIds: [`s${n}`, `p${n}`],
          input: n === 1 ? "kim@example.com" : "none"
        }).pipe(within({
          actor: RequestContext.agent(`a${n}`, `u${n}`),
          requestId: `r${n}`,
          traceId: `trace${n}`,
          correlationId: `c${n}`,
          runId: `run${n}`,
          stepId: `step${n}`,
          projectId: `project${n}`,
          surface: `surface${n}`
        }))
      const receipts = [yield* emit(1)]
      yield* TestClock.adjust(1000)
      receipts.push(yield* emit(2))
      const filters = (n: number): ReadonlyArray<Filter.Filter> => [
        { action: `note${n}.create` },
        { action: `note${n}.*` },
        { actorId: `a${n}` },
        { userId: `u${n}` },
        { subjectId: `s${n}` },
        { subjectId: `p${n}` },
        { resourceType: `type${n}` },
        { resourceId: `id${n}` },
        { outcome: n === 1 ? "denied" : "failure" },
        { traceId: `trace${n}` },
        { requestId: `r${n}` },
        { correlationId: `c${n}` },
        { runId: `run${n}` },
        { stepId: `step${n}` },
        { projectId: `project${n}` },
        { surface: `surface${n}` },
        { severity: n === 1 ? "notice" : "error" },
        { storageClass: n === 1 ? "cost" : "stream" },
        { trainOk: n !== 1, requestId: `r${n}` },
        n === 1 ? { until: 1000, runId: "run1" } : { since: 1000 }
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
