/** What is left of a draft that is refused. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { AuditError, AuditLogger, type DatasetEvent, type LoggingEngine } from "effect-audit"
import { ReadDraft } from "../../src/internal/draft.ts"
import { jsonBytes, Refusal } from "../../src/internal/json.ts"
import { fitting, lacking, recordLess } from "../../src/internal/lessening.ts"
import { missingKey } from "../../src/internal/marks.ts"
import { memory, within } from "../support.ts"

const draft: DatasetEvent.Draft = {
  action: "order.pay",
  outcome: "failure",
  input: { a: { b: 1, c: 2, n: null }, d: [{ e: 3 }, { f: 4 }] },
  output: { text: "x".repeat(200), u: 1, v: 2 },
  metadata: { g: "h" },
  subjectIds: ["p1"]
}

/** Which of the draft's fields are left, and which are said to be missing. */
const left = (read: ReadDraft) => ({
  fields: ["input", "output", "metadata", "subjectIds"].filter((name) => Reflect.get(read, name) !== undefined),
  missing: ReadDraft.missingOf(read)
})
const all = ["input", "output", "metadata", "subjectIds"]

/** Refuses the places in turn, each as long as the draft has its field. */
const at = (...paths: ReadonlyArray<string>) => (read: ReadDraft): Refusal | undefined => {
  const path = paths.find((path) => Reflect.get(read, path.split("/")[1] ?? "") !== undefined)
  return path === undefined ? undefined : new Refusal(path, "is not taken")
}

describe("a draft that is refused", () => {
  it("is left as it is where nothing is refused", () => {
    const { draft: read, refused } = fitting(draft, [], () => undefined)
    assert.isUndefined(refused)
    assert.deepStrictEqual(left(read), { fields: all, missing: [] })
    assert.strictEqual(read.storageClass, "audit")
    assert.deepStrictEqual(ReadDraft.missingOf(fitting(draft, ["/result"], () => undefined).draft), ["/result"])
    assert.isUndefined(lacking(draft, [])[missingKey])
  })

  it("loses the field that each refusal is about, and tells the first reason", () => {
    const { draft: read, refused } = fitting(draft, ["/result"], at("/output/text", "/input/a/b"))
    assert.deepStrictEqual(refused, new Refusal("/output/text", "is not taken"))
    assert.deepStrictEqual(left(read), {
      fields: ["metadata", "subjectIds"],
      missing: ["/result", "/output", "/input"]
    })
    assert.strictEqual(read.action, "order.pay")
    assert.strictEqual(read.outcome, "failure")
    assert.strictEqual(read.storageClass, "audit")
  })

  it("is refused where it cannot do without the field, or has none", () => {
    for (const path of ["/action", "/outcome", "/related/0", "/errorTag", "/nothing"]) {
      const refusal = new Refusal(path, "is not taken")
      const { draft: read, refused } = fitting(draft, [], () => refusal)
      assert.strictEqual(refused, refusal, path)
      assert.deepStrictEqual(left(read), { fields: all, missing: [] }, path)
      assert.strictEqual(read.action, "order.pay", path)
      assert.strictEqual(read.outcome, "failure", path)
    }
  })

  it("is refused where a field that is gone is refused again", () => {
    const { draft: read } = fitting(draft, [], () => new Refusal("/input/a", "is not taken"))
    assert.deepStrictEqual(left(read), { fields: ["output", "metadata", "subjectIds"], missing: ["/input"] })
  })

  it("loses the field with the most keys or bytes where all of it is too much", () => {
    const most = (problem: string) =>
      left(
        fitting(draft, [], (read) =>
          all.every((name) => Reflect.get(read, name) !== undefined)
            ? new Refusal("", problem)
            : undefined).draft
      ).missing
    assert.deepStrictEqual(most("has more than 4 keys"), ["/input"])
    assert.deepStrictEqual(most("exceeds 100 bytes as JSON"), ["/output"])
    // To the last field, and no further.
    const { draft: read, refused } = fitting(
      draft,
      [],
      (read) => new Refusal("", `exceeds ${jsonBytes(read.action)} bytes`)
    )
    assert.strictEqual(refused?.path, "")
    assert.deepStrictEqual(left(read).fields, [])
    assert.includeMembers([...left(read).missing], all.map((name) => `/${name}`))
    assert.strictEqual(read.action, "order.pay")
  })

  it("that was refused when it was read, is read without the field; a draft that cannot be read at all is refused", () => {
    const refusal = (read: ReadDraft) => {
      const fields = ReadDraft.fieldsOf(read)
      return fields instanceof Refusal ? fields : undefined
    }
    const many = fitting({ ...draft, occurredAt: "yesterday", durationMillis: -1 }, [], refusal)
    assert.strictEqual(many.refused?.path, "/durationMillis")
    assert.deepStrictEqual(left(many.draft), { fields: all, missing: ["/durationMillis", "/occurredAt"] })
    const unread = fitting(
      {
        action: "a.b",
        output: 1,
        get input(): never {
          throw new Error("no")
        }
      },
      [],
      refusal
    )
    assert.strictEqual(unread.refused?.path, "")
    assert.isTrue(ReadDraft.isRefused(unread.draft))
  })
})

describe("recording what is left", () => {
  /** Tells of an error, and what is tried for it; each of the refusals is met once. */
  const tried = (
    reason: AuditError.AuditReason,
    given: LoggingEngine.EmitOptions | undefined,
    ...refusals: ReadonlyArray<string>
  ) =>
    Effect.gen(function*() {
      const logger = yield* AuditLogger.AuditLogger
      const calls: Array<ReturnType<typeof left> & { readonly options: LoggingEngine.EmitOptions | undefined }> = []
      const to = [...refusals]
      const emit = (read: ReadDraft, options?: LoggingEngine.EmitOptions) => {
        assert.strictEqual(read.storageClass, "audit")
        calls.push({ ...left(read), options })
        const path = to.shift()
        return path === undefined ? logger.emit(read, options) : Effect.fail(refusedAt(path))
      }
      const error = new AuditError.AuditError({ method: "test", reason })
      const result = yield* Effect.result(recordLess(emit, error, ReadDraft.of(draft, "audit"), given))
      return { calls, result: Result.isSuccess(result) ? "recorded" : result.failure.reason, same: error.reason }
    }).pipe(within(), Effect.provide(memory))

  const refusedAt = (path: string, detail = "is not taken") =>
    new AuditError.AuditError({ method: "test", reason: new AuditError.InvalidInput({ path, detail }) })

  it.effect("goes on without the field that a refusal is about, however many there are", () =>
    Effect.gen(function*() {
      const options = { idempotencyKey: "k" }
      const { calls, result } = yield* tried(refusedAt("/output/text").reason, options, "/input/a", "/subjectIds/0")
      assert.strictEqual(result, "recorded")
      assert.deepStrictEqual(calls, [
        { fields: ["input", "metadata", "subjectIds"], missing: ["/output"], options },
        { fields: ["metadata", "subjectIds"], missing: ["/output", "/input"], options },
        { fields: ["metadata"], missing: ["/output", "/input", "/subjectIds"], options }
      ])
    }))

  it.effect("takes the largest where all of it is too much", () =>
    Effect.gen(function*() {
      const { calls } = yield* tried(refusedAt("", "has 7 keys, more than 4 keys").reason, undefined)
      assert.deepStrictEqual(calls, [
        { fields: ["output", "metadata", "subjectIds"], missing: ["/input"], options: undefined }
      ])
    }))

  it.effect("keeps all of it under no key where the key is of another event, but once only", () =>
    Effect.gen(function*() {
      const taken = refusedAt("/idempotencyKey").reason
      const { calls, result } = yield* tried(taken, { idempotencyKey: "k" }, "/output/text")
      assert.strictEqual(result, "recorded")
      assert.deepStrictEqual(calls, [
        { fields: all, missing: ["/idempotencyKey"], options: undefined },
        { fields: ["input", "metadata", "subjectIds"], missing: ["/idempotencyKey", "/output"], options: undefined }
      ])
      const again = yield* tried(taken, undefined)
      assert.deepStrictEqual([again.calls, again.result], [[], again.same])
    }))

  it.effect("fails with the last error where nothing can be left out, or another reason than the draft", () =>
    Effect.gen(function*() {
      for (const reason of [refusedAt("/action").reason, new AuditError.SinkClosed({ detail: "stopped" })]) {
        const { calls, result, same } = yield* tried(reason, undefined)
        assert.deepStrictEqual([calls, result], [[], same])
      }
      const { calls, result } = yield* tried(refusedAt("/output").reason, undefined, "/outcome")
      assert.lengthOf(calls, 1)
      assert.deepInclude(result, { _tag: "InvalidInput", path: "/outcome" })
    }))
})
