import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { AuditError, AuditLogger, EventSink, LoggingEngine } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { log, memory, over, sqlite, within } from "./support.ts"

class NotFound extends Data.TaggedError("NotFound")<{ readonly id: string }> {}
class Forbidden extends Data.TaggedError("Forbidden") {}

const events = Effect.map(
  AuditTrail.query({ ...log, order: "asc", limit: 1000 }),
  ({ items }) => items.slice(1).flatMap((item) => item.erased ? [] : [item.event])
)
const summary = Effect.map(events, (list) => list.map((event) => [event.action, event.outcome, event.error_tag]))
const down = Layer.succeed(EventSink.EventSink, {
  append: (event) =>
    Effect.fail(AuditError.fail("Sink.append", new AuditError.SinkUnavailable({ detail: "down" }), event.eventId))
})

describe("AuditLogger.emit", () => {
  it.effect("always writes storage class audit; the engine writes what the draft says", () =>
    Effect.gen(function*() {
      yield* AuditLogger.emit({ action: "a.b", storageClass: "cost" } as AuditLogger.AuditDraft).pipe(within())
      yield* LoggingEngine.log({ action: "a.b", storageClass: "cost" }).pipe(within())
      yield* LoggingEngine.log({ action: "a.b" }).pipe(within())
      assert.deepStrictEqual((yield* events).map((event) => event.storage_class), ["audit", "cost", "ops"])
    }).pipe(Effect.provide(memory)))
})

describe("AuditLogger.audited", () => {
  it.effect("records success with the picked output, failure and denial with the tag, defects and the duration", () =>
    Effect.gen(function*() {
      const result = yield* AuditLogger.audited(Effect.succeed({ id: "n1", secret: "x" }), {
        action: "note.create",
        input: { text: "hi" },
        output: (note) => ({ id: note.id }),
        resource: (note) => ({ type: "note", id: note.id })
      }).pipe(within())
      assert.strictEqual(result.id, "n1")
      const failed = yield* Effect.exit(
        AuditLogger.audited({ action: "note.read" })(Effect.fail(new NotFound({ id: "n2" }))).pipe(within())
      )
      assert.deepStrictEqual(failed, Exit.fail(new NotFound({ id: "n2" })))
      yield* Effect.exit(
        Effect.fail(new Forbidden()).pipe(
          AuditLogger.audited({ action: "note.delete", denied: (error: Forbidden) => error._tag === "Forbidden" }),
          within()
        )
      )
      const died = yield* Effect.exit(AuditLogger.audited({ action: "note.sync" })(Effect.die("boom")).pipe(within()))
      assert.isTrue(Exit.hasDies(died))
      const list = yield* events
      assert.deepStrictEqual(yield* summary, [
        ["note.create", "success", undefined],
        ["note.read", "failure", "NotFound"],
        ["note.delete", "denied", "Forbidden"],
        ["note.sync", "failure", "Defect"]
      ])
      assert.deepStrictEqual(list[0]?.output, { id: "n1" })
      assert.deepStrictEqual(list[0]?.input, { text: "hi" })
      assert.deepStrictEqual(list[0]?.resource, { type: "note", id: "n1" })
      for (const event of list) assert.isAtLeast(event.duration_ms ?? -1, 0)
    }).pipe(Effect.provide(memory)))

  it.effect("records an interruption", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        AuditLogger.audited({ action: "note.sync" })(Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
          .pipe(within())
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* summary, [["note.sync", "failure", "Interrupted"]])
    }).pipe(Effect.provide(memory)))

  it.effect("reads its options at the call", () =>
    Effect.gen(function*() {
      const input = { n: 1 }
      const resource = { type: "note", id: "n1" }
      yield* AuditLogger.audited({ action: "note.create", input, resource })(Effect.sync(() => {
        input.n = 2
        resource.id = "n2"
      })).pipe(within())
      assert.deepStrictEqual((yield* events)[0]?.input, { n: 1 })
      assert.deepStrictEqual((yield* events)[0]?.resource, { type: "note", id: "n1" })
    }).pipe(Effect.provide(memory)))

  it.effect("fails closed: without a record the caller sees AuditError, and both causes if both failed", () =>
    Effect.gen(function*() {
      const unrecorded = yield* Effect.flip(AuditLogger.audited({ action: "a.b" })(Effect.succeed(1)).pipe(within()))
      assert.strictEqual(unrecorded._tag, "AuditError")
      const both = yield* Effect.exit(
        AuditLogger.audited({ action: "a.b" })(Effect.fail(new Forbidden())).pipe(within())
      )
      assert(Exit.isFailure(both))
      const tags = both.cause.reasons.filter(Cause.isFailReason).map((reason) => reason.error._tag)
      assert.deepStrictEqual(tags.sort(), ["AuditError", "Forbidden"])
    }).pipe(Effect.provide(Layer.fresh(over(down)))))

  it.effect("records whatever the error is", () =>
    Effect.gen(function*() {
      const hostile = {
        get _tag() {
          throw new Error("no")
        }
      }
      const unnamed = Object.assign(new Error("x"), { name: 7 })
      for (const error of [hostile, unnamed, undefined, "text"]) {
        const exit = yield* Effect.exit(AuditLogger.audited({ action: "a.b" })(Effect.fail(error)).pipe(within()))
        assert(Exit.isFailure(exit))
        assert.strictEqual(exit.cause.reasons.length, 1)
      }
      assert.deepStrictEqual((yield* summary).map(([, , tag]) => tag), ["Error", "Error", "Error", "Error"])
    }).pipe(Effect.provide(memory)))

  it.effect("refuses a result whose picker throws, and records that the effect happened", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        AuditLogger.audited(Effect.succeed(1), {
          action: "a.b",
          output: () => {
            throw new Error("no")
          }
        }).pipe(within())
      )
      assert.strictEqual(error._tag, "AuditError")
      assert.deepStrictEqual(yield* summary, [["a.b", "success", undefined]])
    }).pipe(Effect.provide(memory)))
})

describe("AuditLogger.audited with a transaction", () => {
  const insert = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS note (n INTEGER) STRICT`
    return (n: number) => sql`INSERT INTO note VALUES (${n})`
  })
  const notes = Effect.flatMap(SqlClient.SqlClient, (sql) => sql<{ readonly n: number }>`SELECT n FROM note`)

  it.live("commits the change with its event, and records failure, denial, defect and interruption after the rollback", () =>
    Effect.gen(function*() {
      const note = yield* insert
      const options = { action: "note.create", transaction: true } as const
      yield* AuditLogger.audited(note(1), options).pipe(within())
      yield* Effect.exit(
        AuditLogger.audited(Effect.andThen(note(2), Effect.fail(new NotFound({ id: "x" }))), options).pipe(within())
      )
      yield* Effect.exit(
        AuditLogger.audited(Effect.andThen(note(3), Effect.fail(new Forbidden())), {
          ...options,
          denied: (error) => error._tag === "Forbidden"
        }).pipe(within())
      )
      yield* Effect.exit(AuditLogger.audited(Effect.andThen(note(4), Effect.die("boom")), options).pipe(within()))
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        AuditLogger.audited(
          Effect.andThen(note(5), Effect.andThen(Deferred.succeed(started, undefined), Effect.never)),
          options
        ).pipe(within())
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* notes, [{ n: 1 }])
      assert.deepStrictEqual((yield* summary).map(([, outcome, tag]) => [outcome, tag]), [
        ["success", undefined],
        ["failure", "NotFound"],
        ["denied", "Forbidden"],
        ["failure", "Defect"],
        ["failure", "Interrupted"]
      ])
    }).pipe(Effect.provide(sqlite)))

  it.live("rolls the change back when its event is refused, and records that as a failure", () =>
    Effect.gen(function*() {
      const note = yield* insert
      const error = yield* Effect.flip(
        AuditLogger.audited(note(1), { action: "note.create", output: () => "x".repeat(300_000), transaction: true })
          .pipe(within())
      )
      assert.strictEqual(error._tag, "AuditError")
      assert.deepStrictEqual(yield* notes, [])
      assert.deepStrictEqual(yield* summary, [["note.create", "failure", "AuditError"]])
    }).pipe(Effect.provide(sqlite)))

  it.live("keeps the record of a nested failure when the outer transaction is rolled back", () =>
    Effect.gen(function*() {
      const inner = AuditLogger.audited(Effect.fail(new Forbidden()), {
        action: "inner.op",
        denied: (error) => error._tag === "Forbidden",
        transaction: true
      })
      yield* Effect.exit(AuditLogger.audited(inner, { action: "outer.op", transaction: true }).pipe(within()))
      assert.deepStrictEqual(yield* summary, [["inner.op", "denied", "Forbidden"], [
        "outer.op",
        "failure",
        "Forbidden"
      ]])
      yield* AuditLogger.audited(Effect.exit(inner), { action: "outer.op", transaction: true }).pipe(within())
      assert.deepStrictEqual((yield* summary).slice(2), [["inner.op", "denied", "Forbidden"], [
        "outer.op",
        "success",
        undefined
      ]])
    }).pipe(Effect.provide(sqlite)))

  it.effect("does not compile where the medium has no transactions", () =>
    Effect.gen(function*() {
      const watched = AuditLogger.audited(Effect.void, { action: "a.b", transaction: true }).pipe(within())
      // @ts-expect-error Transactions is not provided
      const run = () => Effect.runPromise(Effect.provide(watched, over(down)))
      assert.isFunction(run)
    }))
})
