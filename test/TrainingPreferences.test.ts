import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { AuditError, AuditLogger, LoggingEngine, RequestContext, TrainingPreferences } from "effect-audit"
import { SqliteClient, SqlitePreferences } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import { log, memory, memoryWith, sqlite, sqliteAt, temporaryFile, within } from "./support.ts"

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

    it.effect("refuses a change with a field that it does not know: a person must not become the tenant", () =>
      Effect.gen(function*() {
        const misspelt = { trainingAllowed: false, userid: "u1" }
        const error = yield* Effect.flip(LoggingEngine.setPreference(misspelt).pipe(within()))
        assert.include(String(error), "/userid: is not a field of a preference")
        assert.isTrue((yield* set(true, "u2")).trainOk)
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

    it.effect("an event that records a change is decided by the stricter of before and after", () =>
      Effect.gen(function*() {
        for (const userId of [undefined, "u1"]) {
          assert.strictEqual(yield* reason(), "allowed")
          const out = yield* set(false, userId)
          const back = yield* set(true, userId)
          assert.deepStrictEqual([out.trainOk, back.trainOk], [false, false])
          assert.strictEqual(yield* reason(), "allowed")
          assert.isTrue((yield* set(true, userId)).trainOk)
        }
      }).pipe(Effect.provide(layer)))

    it.effect("keeps what was set before when a change cannot be recorded", () =>
      Effect.gen(function*() {
        const preferences = yield* TrainingPreferences.TrainingPreferences
        const failing = Effect.fail(AuditError.fail("test", new AuditError.SinkUnavailable({ detail: "down" })))
        const change = (trainingAllowed: boolean, record: Effect.Effect<unknown, AuditError.AuditError>) =>
          Effect.exit(preferences.change({ ...log, userId: "u1", trainingAllowed }, record))
        const stored = Effect.map(
          preferences.list(log),
          (list) => list.map((preference) => preference.trainingAllowed)
        )
        yield* change(true, Effect.void)
        assert.isTrue(Exit.isFailure(yield* change(false, failing)))
        assert.deepStrictEqual(yield* stored, [true])
        assert.strictEqual(yield* reason(), "allowed")
        yield* change(false, Effect.void)
        assert.isTrue(Exit.isFailure(yield* change(true, failing)))
        assert.deepStrictEqual(yield* stored, [false])
        assert.strictEqual(yield* reason(), "user_opt_out")
      }).pipe(Effect.provide(layer)))

    it.effect("opting out holds while its record is on its way, opting in does not", () =>
      Effect.gen(function*() {
        const preferences = yield* TrainingPreferences.TrainingPreferences
        const during = (trainingAllowed: boolean) =>
          preferences.change(
            { ...log, userId: "u1", trainingAllowed },
            preferences.lookup({ ...log, userIds: ["u0", "u1"] }).pipe(Effect.orDie)
          )
        assert.strictEqual(yield* during(false), "user_opt_out")
        assert.strictEqual(yield* during(true), "user_opt_out")
        assert.strictEqual(yield* during(true), "allowed")
        assert.strictEqual(yield* preferences.lookup({ ...log, userIds: [] }), "allowed")
      }).pipe(Effect.provide(layer)))

    it.effect("what was found in an event comes before the opt-outs", () =>
      Effect.gen(function*() {
        yield* set(false)
        const found = AuditLogger.emit({ action: "note.create", input: "kim@example.com" }).pipe(within())
        assert.isFalse((yield* found).trainOk)
        const { items: [item] } = yield* AuditTrail.query({ ...log, limit: 1 })
        assert(item !== undefined && !item.erased)
        assert.strictEqual(item.event.train_reason, "pii")
      }).pipe(Effect.provide(layer)))

    it.effect("lists one tenant's preferences in one env, the tenant's own first, persons by id", () =>
      Effect.gen(function*() {
        const preferences = yield* TrainingPreferences.TrainingPreferences
        const change = (preference: TrainingPreferences.Preference) => preferences.change(preference, Effect.void)
        const staging = RequestContext.Env.make("staging")
        const other = RequestContext.TenantId.make("t_other")
        yield* change({ ...log, userId: "b", trainingAllowed: true })
        yield* change({ ...log, env: staging, userId: "x", trainingAllowed: false })
        yield* change({ ...log, trainingAllowed: false })
        yield* change({ ...log, tenantId: other, trainingAllowed: false })
        yield* change({ ...log, userId: "a", trainingAllowed: true })
        yield* change({ ...log, userId: "b", trainingAllowed: false })
        const list = (tenantId: RequestContext.TenantId, env: RequestContext.Env) =>
          Effect.map(
            preferences.list({ tenantId, env }),
            (all) => all.map(({ trainingAllowed, userId }) => [userId, trainingAllowed])
          )
        assert.deepStrictEqual(yield* list(log.tenantId, log.env), [[undefined, false], ["a", true], ["b", false]])
        assert.deepStrictEqual(yield* list(log.tenantId, staging), [["x", false]])
        assert.deepStrictEqual(yield* list(other, log.env), [[undefined, false]])
        assert.deepStrictEqual(yield* list(other, staging), [])
      }).pipe(Effect.provide(layer)))
  })
}

describe("TrainingPreferences", () => {
  /** The engine over preferences that answer in one way, and whom they were asked about. */
  const answering = (answer: Effect.Effect<TrainingPreferences.Answer, TrainingPreferences.Unavailable>) => {
    const asked: Array<TrainingPreferences.Question> = []
    const preferences = Layer.effect(
      TrainingPreferences.TrainingPreferences,
      Effect.map(TrainingPreferences.TrainingPreferences, (service) => ({
        ...service,
        lookup: (question: TrainingPreferences.Question) => {
          asked.push(question)
          return answer
        }
      }))
    )
    return { asked, layer: memoryWith({ preferences }) }
  }

  it.effect("are asked about the tenant, the user and every subject, whoever there is", () =>
    Effect.gen(function*() {
      const { asked, layer } = answering(Effect.succeed("allowed"))
      yield* Effect.gen(function*() {
        for (const subjectIds of [undefined, [], ["u2", "u3"]]) {
          for (const actor of [RequestContext.human("u1"), RequestContext.system, RequestContext.agent("a1", "u9")]) {
            yield* reason({ actor }, subjectIds)
          }
        }
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(asked.map(({ userIds }) => [...userIds]), [
        ["u1"],
        [],
        ["u9"],
        ["u1"],
        [],
        ["u9"],
        ["u1", "u2", "u3"],
        ["u2", "u3"],
        ["u9", "u2", "u3"]
      ])
      for (const { env, tenantId } of asked) assert.deepStrictEqual({ env, tenantId }, log)
    }))

  it.effect("that cannot be known are said to be so, whatever was found in the event", () =>
    Effect.gen(function*() {
      const { layer } = answering(Effect.fail({ detail: "down" }))
      yield* Effect.gen(function*() {
        yield* AuditLogger.emit({ action: "note.create", input: "kim@example.com" }).pipe(within())
        const { items: [item] } = yield* AuditTrail.query({ ...log, limit: 1 })
        assert(item !== undefined && !item.erased)
        assert.deepStrictEqual([item.event.train_reason, item.event.train_ok], ["preferences_unavailable", false])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("decide every event: each answer but allowed is its reason", () =>
    Effect.gen(function*() {
      for (const answer of ["allowed", "tenant_opt_out", "user_opt_out"] as const) {
        const { layer } = answering(Effect.succeed(answer))
        assert.strictEqual(yield* Effect.provide(reason(), layer), answer)
      }
    }))
})

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
      db.exec("DROP TABLE audit_preference_version")
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

  it.effect("in an open transaction opting out holds at once for every event, and ends with its rollback", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const preferences = yield* TrainingPreferences.TrainingPreferences
      const lookup = preferences.lookup({ ...log, userIds: ["u1"] })
      assert.strictEqual(yield* lookup, "allowed")
      yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
        yield* set(false, "u1")
        assert.strictEqual(yield* lookup, "user_opt_out")
        assert.isFalse((yield* AuditLogger.emit({ action: "note.create" }).pipe(within())).trainOk)
        return yield* Effect.fail("no")
      })))
      assert.strictEqual(yield* lookup, "allowed")
      assert.deepStrictEqual(yield* preferences.list(log), [])
      yield* sql.withTransaction(set(false, "u1"))
      assert.strictEqual(yield* lookup, "user_opt_out")
    }).pipe(Effect.provide(sqlite)))

  it.effect("in an open transaction opting in holds from its commit on, at once", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const preferences = yield* TrainingPreferences.TrainingPreferences
      const lookup = preferences.lookup({ ...log, userIds: ["u1"] })
      yield* set(false, "u1")
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* set(true, "u1")
        assert.strictEqual(yield* lookup, "user_opt_out")
      }))
      assert.strictEqual(yield* lookup, "allowed")
    }).pipe(Effect.provide(sqlite)))

  it.effect("asks the file again after half a second, not before", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const a = yield* Layer.build(Layer.fresh(sqliteAt({ filename })))
      const b = yield* Layer.build(Layer.fresh(sqliteAt({ filename })))
      yield* TestClock.setTime(1_000_000)
      const inA = Effect.provide(reason(), a)
      assert.strictEqual(yield* inA, "allowed")
      yield* Effect.provide(set(false), b)
      yield* TestClock.adjust(499)
      assert.strictEqual(yield* inA, "allowed")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* inA, "tenant_opt_out")
      yield* Effect.provide(set(true), b)
      yield* TestClock.adjust(500)
      assert.strictEqual(yield* inA, "allowed")
    }))

  it.effect("says which call failed, and changes and records nothing", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const preferences = yield* TrainingPreferences.TrainingPreferences
        yield* reason()
        const db = new DatabaseSync(filename)
        db.exec("DROP TABLE audit_preference")
        db.close()
        const change = yield* Effect.flip(set(false))
        assert.strictEqual(change.method, "TrainingPreferences.change")
        const list = yield* Effect.flip(preferences.list(log))
        assert.strictEqual(list.method, "TrainingPreferences.list")
        assert.strictEqual((yield* AuditTrail.query(log)).items.length, 2)
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))
})
