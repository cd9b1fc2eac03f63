import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditError, AuditLogger, LoggingEngine, RequestContext, TrainingPreferences } from "effect-audit"
import { SqliteClient, SqlitePreferences } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import { log, memory, sqlite, sqliteAt, temporaryFile, within } from "./support.ts"

const reason = (more: Partial<RequestContext.Json> = {}, subjectIds?: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { eventId, trainOk } = yield* AuditLogger.emit({ action: "note.create", subjectIds }).pipe(within(more))
    const { items } = yield* AuditTrail.query({
      tenantId: RequestContext.TenantId.make(more.tenantId ?? "t_acme"),
      env: RequestContext.Env.make(more.env ?? "prod"),
      limit: 1
    })
    const [item] = items
    assert(item !== undefined && !item.erased && item.eventId === eventId)
    assert.strictEqual(trainOk, item.event.train_reason === "allowed")
    return item.event.train_reason
  })
const set = (trainingAllowed: boolean, userId?: string) =>
  LoggingEngine.setPreference({ trainingAllowed, userId }).pipe(within())

type Stack =
  | AuditLogger.AuditLogger
  | LoggingEngine.LoggingEngine
  | AuditTrail.AuditTrail
  | TrainingPreferences.TrainingPreferences
const stacks: ReadonlyArray<readonly [string, Layer.Layer<Stack, AuditError.AuditError>]> = [
  ["memory", memory],
  ["SQLite", sqlite]
]

for (const [name, layer] of stacks) {
  describe(`TrainingPreferences in ${name}`, () => {
    it.effect("any opt-out of the tenant, the user or a subject wins, at once, in its tenant and env only", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reason(), "allowed")
        yield* set(false, "u1")
        assert.strictEqual(yield* reason(), "user_opt_out")
        assert.strictEqual(yield* reason({ actor: RequestContext.agent("a1", "u1") }), "user_opt_out")
        assert.strictEqual(yield* reason({ actor: RequestContext.human("u2") }), "allowed")
        assert.strictEqual(yield* reason({ actor: RequestContext.human("u2") }, ["u3", "u1"]), "user_opt_out")
        assert.strictEqual(yield* reason({ actor: RequestContext.agent("u1") }), "allowed")
        assert.strictEqual(yield* reason({ env: "staging" }), "allowed")
        assert.strictEqual(yield* reason({ tenantId: "t_other" }), "allowed")
        yield* set(true, "u1")
        assert.strictEqual(yield* reason(), "allowed")
        yield* set(false)
        yield* set(true, "u2")
        assert.strictEqual(yield* reason({ actor: RequestContext.human("u2") }), "tenant_opt_out")
      }).pipe(Effect.provide(layer)))

    it.effect("records each change as an event in the log of the context", () =>
      Effect.gen(function*() {
        yield* set(false, "u9")
        const { items } = yield* AuditTrail.query({ ...log, limit: 1 })
        const [item] = items
        assert(item !== undefined && !item.erased)
        assert.strictEqual(item.event.action, "training_preference.changed")
        assert.deepStrictEqual(item.event.resource, { type: "person", id: "u9" })
        assert.deepStrictEqual([...item.event.subject_ids ?? []], ["u9"])
        assert.strictEqual(item.event.metadata["training_allowed"], false)
        assert.isFalse(item.event.train_ok)
        const error = yield* Effect.flip(set(false, "kim@example.com"))
        assert.strictEqual(error.reason._tag, "InvalidInput")
      }).pipe(Effect.provide(layer)))

    it.effect("changes nothing when the change cannot be recorded", () =>
      Effect.gen(function*() {
        const preferences = yield* TrainingPreferences.TrainingPreferences
        const failing = Effect.fail(AuditError.fail("test", new AuditError.SinkUnavailable({ detail: "down" })))
        yield* Effect.exit(preferences.change({ ...log, trainingAllowed: false }, failing))
        assert.strictEqual(yield* reason(), "allowed")
        assert.deepStrictEqual(yield* preferences.list(log), [])
      }).pipe(Effect.provide(layer)))
  })
}

describe("SqlitePreferences", () => {
  it.effect("sees a change of another process within a second, and never answers from an expired cache", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const a = yield* Layer.build(Layer.fresh(sqliteAt({ filename })))
      const b = yield* Layer.build(Layer.fresh(sqliteAt({ filename })))
      const inA = Effect.provide(reason(), a)
      assert.strictEqual(yield* inA, "allowed")
      yield* Effect.provide(set(false), b)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* inA, "tenant_opt_out")
      yield* Effect.provide(set(true), b)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* inA, "allowed")
      const db = new DatabaseSync(filename)
      db.exec("DROP TABLE preference_version")
      db.close()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* inA, "preferences_unavailable")
    }))

  it.effect("lists the tenant first, then persons", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const preferences = yield* TrainingPreferences.TrainingPreferences
        for (const userId of ["b", undefined, "a"]) {
          yield* preferences.change({ ...log, userId, trainingAllowed: userId === "a" }, Effect.void)
        }
        assert.deepStrictEqual(yield* preferences.list(log), [
          { ...log, trainingAllowed: false },
          { ...log, userId: "a", trainingAllowed: true },
          { ...log, userId: "b", trainingAllowed: false }
        ])
      }).pipe(Effect.provide(SqlitePreferences.layer.pipe(Layer.provide(SqliteClient.layer({ filename })))))
    }))
})
