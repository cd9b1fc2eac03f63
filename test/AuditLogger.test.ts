import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { AuditAction, AuditError, AuditLogger, EventSink, LoggingEngine } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { log, memory, over, sqlite, within, wrapped } from "./support.ts"

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

/** Lists, one in another. */
const nested = (depth: number): unknown => depth === 0 ? 1 : [nested(depth - 1)]

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

  it.effect("says how the effect ended, whatever its options hold beside what the event says", () =>
    Effect.gen(function*() {
      const draft = {
        action: "note.create",
        outcome: "failure" as const,
        errorTag: "Zap",
        phase: "intent" as const,
        operationId: "o1",
        durationMillis: 99_999,
        analytics: { event_type: "x" },
        metadata: { n: 1 }
      }
      yield* AuditLogger.audited(Effect.succeed(1), { ...draft }).pipe(within())
      const [event] = yield* events
      assert.deepStrictEqual(
        [event?.outcome, event?.error_tag, event?.phase, event?.operation_id, event?.metadata["n"]],
        ["success", undefined, undefined, undefined, 1]
      )
      assert.isBelow(event?.duration_ms ?? Infinity, 99_999)
      const parsed = JSON.parse("{\"action\":\"note.create\",\"__proto__\":{\"outcome\":\"denied\"}}")
      const refused = yield* Effect.flip(AuditLogger.audited(Effect.succeed(1), parsed).pipe(within()))
      assert(refused instanceof AuditError.AuditError && refused.reason._tag === "InvalidInput")
      assert.strictEqual(refused.reason.path, "/__proto__")
    }).pipe(Effect.provide(memory)))

  it.effect("shows a logger of someone else's drafts that are frozen, of each half and outcome", () =>
    Effect.gen(function*() {
      const own = yield* AuditLogger.AuditLogger
      const seen: Array<readonly [string | undefined, boolean]> = []
      const logger = AuditLogger.AuditLogger.of({
        emit: (draft, options) => {
          seen.push([draft.outcome, Object.isFrozen(draft) && Object.isFrozen(draft.metadata)])
          return own.emit(draft, options)
        }
      })
      const options = { action: "note.create", intent: true, metadata: { n: 1 }, output: () => 1 }
      yield* Effect.provideService(
        Effect.andThen(
          AuditLogger.audited(Effect.succeed(1), options),
          Effect.exit(AuditLogger.audited(Effect.fail(new Forbidden()), options))
        ).pipe(within()),
        AuditLogger.AuditLogger,
        logger
      )
      assert.deepStrictEqual(seen, [["success", true], ["success", true], ["success", true], ["failure", true]])
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

  it.effect("an AuditError is a failure, and is not shown to the caller's predicate", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const denied = (error: unknown) => {
        asked.push(error)
        return true
      }
      const refused = AuditLogger.emit({ action: "not an action" })
      const error = yield* Effect.flip(AuditLogger.audited(refused, { action: "note.create", denied }).pipe(within()))
      assert.strictEqual(error.reason._tag, "InvalidInput")
      yield* Effect.exit(
        AuditLogger.audited(Effect.fail(new Forbidden()), { action: "note.read", denied }).pipe(within())
      )
      assert.deepStrictEqual(asked, [new Forbidden()])
      assert.deepStrictEqual(yield* summary, [
        ["note.create", "failure", "AuditError"],
        ["note.read", "denied", "Forbidden"]
      ])
    }).pipe(Effect.provide(memory)))

  it.effect("a predicate that throws, or answers what is not true, makes no denial", () =>
    Effect.gen(function*() {
      const predicates: ReadonlyArray<(error: unknown) => boolean> = [
        () => {
          throw new Error("no")
        },
        () => false,
        () => 1 as never
      ]
      for (const denied of predicates) {
        const exit = yield* Effect.exit(
          AuditLogger.audited(Effect.fail(new Forbidden()), { action: "a.b", denied }).pipe(within())
        )
        assert.deepStrictEqual(exit, Exit.fail(new Forbidden()))
      }
      assert.deepStrictEqual(yield* summary, predicates.map(() => ["a.b", "failure", "Forbidden"]))
    }).pipe(Effect.provide(memory)))

  it.effect("names a failure by its tag, else its name; a failure beside a defect or an interruption comes first", () =>
    Effect.gen(function*() {
      const causes: ReadonlyArray<readonly [Cause.Cause<unknown>, string]> = [
        [Cause.fail({ _tag: "Custom" }), "Custom"],
        [Cause.fail({ _tag: 7 }), "Error"],
        [Cause.fail(new TypeError("x")), "TypeError"],
        [Cause.fail(null), "Error"],
        [Cause.combine(Cause.die("boom"), Cause.fail(new Forbidden())), "Forbidden"],
        [Cause.combine(Cause.interrupt(1), Cause.die("boom")), "Defect"],
        [Cause.interrupt(1), "Interrupted"]
      ]
      for (const [cause, tag] of causes) {
        const exit = yield* Effect.exit(
          AuditLogger.audited(Effect.failCause(cause), { action: "a.b" }).pipe(within())
        )
        assert(Exit.isFailure(exit))
        assert.strictEqual((yield* summary).at(-1)?.[2], tag)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("says how long it took, and records every option that it was given", () =>
    Effect.gen(function*() {
      const options = {
        action: "note.create",
        resource: { type: "note", id: "n1" },
        subjectIds: ["u7"],
        severity: "notice",
        metadata: { mine: 1 },
        input: { n: 1 }
      } as const
      for (const effect of [Effect.sleep("3 seconds"), Effect.andThen(Effect.sleep("3 seconds"), Effect.fail("no"))]) {
        const fiber = yield* AuditLogger.audited(effect, options).pipe(
          within(),
          Effect.exit,
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(fiber)
      }
      for (const event of yield* events) {
        assert.strictEqual(event.duration_ms, 3000)
        assert.deepStrictEqual(event.resource, options.resource)
        assert.deepStrictEqual([...event.subject_ids ?? []], ["u7"])
        assert.strictEqual(event.severity, "notice")
        assert.strictEqual(event.metadata["mine"], 1)
        assert.deepStrictEqual(event.input, { n: 1 })
        assert.isUndefined(event.output)
        assert.strictEqual(event.storage_class, "audit")
      }
      assert.deepStrictEqual((yield* summary).map(([, outcome]) => outcome), ["success", "failure"])
    }).pipe(Effect.provide(memory)))

  it.effect("picks a resource from the result of a success alone, and refuses the picked that is none", () =>
    Effect.gen(function*() {
      const resource = (id: string) => ({ type: "note", id })
      yield* AuditLogger.audited(Effect.succeed("n1"), { action: "a.b", resource }).pipe(within())
      const failing: Effect.Effect<string, string> = Effect.fail("no")
      yield* Effect.exit(AuditLogger.audited(failing, { action: "a.b", resource }).pipe(within()))
      assert.deepStrictEqual((yield* events).map((event) => event.resource), [{ type: "note", id: "n1" }, undefined])
      const error = yield* Effect.flip(
        AuditLogger.audited(Effect.succeed(""), { action: "a.b", resource }).pipe(within())
      )
      assert(error.reason._tag === "InvalidInput")
      assert.strictEqual(error.reason.path, "/resource/id")
    }).pipe(Effect.provide(memory)))

  it.effect("refuses options that are no draft, or larger than what is recorded, before the effect runs", () =>
    Effect.gen(function*() {
      let ran = 0
      const effect = Effect.sync(() => ran++)
      const cyclic: Record<string, unknown> = {}
      cyclic["self"] = cyclic
      for (
        const [options, path] of [
          [{ action: "not an action" }, "/action"],
          [{ action: "a.b", subjectIds: ["not an id"] }, "/subjectIds/0"],
          [{ action: "a.b", input: cyclic }, "/input/self"],
          [{ action: "a.b", input: "x".repeat(300_000) }, "/input"],
          [
            { action: "a.b", metadata: { deep: nested(40) } },
            /^\/metadata\/deep(?:\/0)+$/
          ],
          [{ action: "a.b", idempotencyKey: "" }, "/idempotencyKey"]
        ] as const
      ) {
        const error = yield* Effect.flip(AuditLogger.audited(effect, options).pipe(within()))
        assert(error.reason._tag === "InvalidInput")
        assert.match(error.reason.path, typeof path === "string" ? new RegExp(`^${path}$`) : path)
      }
      assert.strictEqual(ran, 0)
      assert.deepStrictEqual(yield* summary, [])
    }).pipe(Effect.provide(memory)))

  it.effect("records what has happened without what cannot be recorded of it, and says so", () =>
    Effect.gen(function*() {
      const done = Effect.succeed({ id: "d1" })
      const about = { action: "a.b", resource: { type: "note", id: "n1" }, subjectIds: ["u2"] } as const
      for (
        const [options, path, gone] of [
          [{ ...about, output: () => "x".repeat(300_000) }, "/output", "/output"],
          [{ ...about, output: () => nested(40) }, /^\/output\/0/, "/output"],
          [{ ...about, resource: () => ({ type: "note", id: "" }) }, "/resource/id", "/resource"],
          [{ ...about, metadata: () => ({ a: "x".repeat(300_000) }) }, "/metadata", "/metadata"],
          [{ ...about, input: "x".repeat(200_000), output: () => "y".repeat(190_000) }, "", "/input"]
        ] as const
      ) {
        const before = (yield* events).length
        const error = yield* Effect.flip(AuditLogger.audited(done, options).pipe(within()))
        assert(error.reason._tag === "InvalidInput")
        assert.match(error.reason.path, typeof path === "string" ? new RegExp(`^${path}$`) : path)
        const [event, ...others] = (yield* events).slice(before)
        assert.deepStrictEqual(others, [])
        assert(event?.outcome === "success")
        assert.strictEqual(event.metadata["unrecorded"], gone)
        assert.strictEqual(String(event.subject_ids), "u2")
        assert.strictEqual(event.resource?.id, gone === "/resource" ? undefined : "n1")
      }
    }).pipe(Effect.provide(memory)))

  it.effect("records another result under the same key as another event", () =>
    Effect.gen(function*() {
      let made = 0
      const create = AuditLogger.audited(Effect.sync(() => ({ id: `d${++made}` })), {
        action: "note.create",
        idempotencyKey: "k1",
        resource: ({ id }) => ({ type: "note", id })
      }).pipe(within())
      yield* create
      const error = yield* Effect.flip(create)
      assert(error.reason._tag === "InvalidInput")
      assert.strictEqual(error.reason.path, "/idempotencyKey")
      assert.deepStrictEqual(
        (yield* events).map(({ metadata, resource }) => [resource?.id, metadata["unrecorded"]]),
        [["d1", undefined], ["d2", "/idempotencyKey"]]
      )
    }).pipe(Effect.provide(memory)))

  it.effect("takes nobody's consent from an event whose persons could not be recorded", () =>
    Effect.gen(function*() {
      const typed = AuditAction.make("c.d", {
        input: Schema.Struct({ who: Schema.String }),
        subjects: ({ who }) => [who]
      })
      const fails = (): never => {
        throw new Error("no")
      }
      const looksLike = new Proxy(["u2"], { get: fails })
      for (
        const watched of [
          AuditLogger.audited(Effect.void, { action: "a.b", subjectIds: () => ["no id"] }),
          AuditLogger.audited(Effect.void, { action: "a.b", subjectIds: fails }),
          AuditLogger.audited(Effect.void, { action: "a.b", subjectIds: () => looksLike }),
          typed.audited(Effect.void, { input: { who: "u1" }, subjectIds: () => ["no id"] })
        ]
      ) {
        const error = yield* Effect.flip(watched.pipe(within()))
        assert.strictEqual(error.reason._tag, "InvalidInput")
      }
      for (const event of yield* events) {
        assert.deepStrictEqual(
          [event.train_ok, event.train_reason, event.metadata["unrecorded"]],
          [false, "preferences_unavailable", "/subjectIds"]
        )
      }
      assert.strictEqual((yield* events).length, 4)
    }).pipe(Effect.provide(memory)))

  it.effect("picks each field by itself: one that fails takes no other along", () =>
    Effect.gen(function*() {
      const metadata = {
        get a(): never {
          throw new Error("no")
        }
      }
      const cyclic: Array<unknown> = []
      cyclic.push(cyclic)
      const fails = (): never => {
        throw new Error("no")
      }
      const error = yield* Effect.flip(
        AuditLogger.audited(Effect.void, {
          action: "a.b",
          output: () => cyclic,
          severity: fails,
          metadata,
          subjectIds: () => ["u2"],
          resource: () => ({ type: "note", id: "n1" })
        }).pipe(within())
      )
      assert.strictEqual(error.reason._tag, "InvalidInput")
      const [event, ...others] = yield* events
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(
        [event?.metadata["a"], event?.metadata["unrecorded"], event?.resource?.id, String(event?.subject_ids)],
        ["[unreadable]", "/severity /output", "n1", "u2"]
      )
    }).pipe(Effect.provide(memory)))

  it.effect("asks no logger to record what would be refused, also not one of the application's own", () =>
    Effect.gen(function*() {
      const shown: Array<string> = []
      let ran = 0
      const cyclic: Array<unknown> = []
      cyclic.push(cyclic)
      const inner = yield* AuditLogger.AuditLogger
      const own = AuditLogger.AuditLogger.of({
        emit: (draft, options) => {
          shown.push(draft.action)
          return inner.emit({ ...draft, metadata: { ...draft.metadata, region: "eu" } }, options)
        }
      })
      const through = Effect.provideService(AuditLogger.AuditLogger, own)
      const effect = Effect.sync(() => ran++)
      const never = yield* Effect.flip(
        AuditLogger.audited(effect, { action: "a.b", subjectIds: ["no id"] }).pipe(through, within())
      )
      assert.deepStrictEqual([ran, shown], [0, []])
      const less = yield* Effect.flip(
        AuditLogger.audited(effect, { action: "a.b", output: () => cyclic, subjectIds: () => ["no id"] }).pipe(
          through,
          within()
        )
      )
      for (const { reason } of [never, less]) assert.strictEqual(reason._tag, "InvalidInput")
      const [event] = yield* events
      assert.deepStrictEqual(
        [shown, event?.metadata["region"], event?.metadata["unrecorded"], event?.train_reason],
        [["a.b"], "eu", "/output /subjectIds", "preferences_unavailable"]
      )
    }).pipe(Effect.provide(memory)))

  it.effect("reads its options at the call, with the marks of a draft that they were made of", () =>
    Effect.gen(function*() {
      const share = AuditAction.make("doc.share", {
        input: Schema.Struct({ name: AuditAction.strip(Schema.String) })
      })
      const marked = share.mark({ action: "doc.share", input: { name: "Kim" } })
      const options = { ...marked, output: undefined, idempotencyKey: "k" }
      const watched = AuditLogger.audited(Effect.void, options)
      options.idempotencyKey = ""
      yield* watched.pipe(within())
      const [event] = yield* events
      assert.deepStrictEqual([event?.input, event?.train_ok], [{ name: "[PERSONAL]" }, false])
    }).pipe(Effect.provide(memory)))

  it.effect("is not interrupted while it records, and the success that it recorded is the caller's", () =>
    Effect.gen(function*() {
      const arrived = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const gated = wrapped(({ sink }) => ({
        sink: {
          append: (event) =>
            Effect.andThen(
              Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(gate)),
              sink.append(event)
            )
        }
      }))
      yield* Effect.gen(function*() {
        const fiber = yield* AuditLogger.audited(Effect.succeed(1), { action: "a.b" }).pipe(
          within(),
          Effect.forkChild({ startImmediately: true })
        )
        yield* Deferred.await(arrived)
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(interrupting)
        assert.deepStrictEqual(yield* summary, [["a.b", "success", undefined]])
      }).pipe(Effect.provide(gated))
    }))

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

  it.effect("a commit of unknown outcome is no failure: it is not recorded as one, and the caller sees CommitUnknown", () =>
    Effect.gen(function*() {
      const doubtful = wrapped(({ transactions }) => ({
        transactions: {
          transact: (effect) =>
            Effect.andThen(
              transactions.transact(effect),
              Effect.fail(AuditError.fail("Sink.transact", new AuditError.CommitUnknown({ detail: "lost" })))
            )
        }
      }))
      yield* Effect.gen(function*() {
        const exit = yield* Effect.exit(
          AuditLogger.audited(Effect.succeed(1), { action: "note.create", transaction: true }).pipe(within())
        )
        assert(Exit.isFailure(exit))
        const tags = exit.cause.reasons.map((reason) => reason._tag === "Fail" ? reason.error.reason._tag : reason._tag)
        assert.deepStrictEqual(tags, ["CommitUnknown"])
        assert.deepStrictEqual(yield* summary, [["note.create", "success", undefined]])
      }).pipe(Effect.provide(doubtful))
    }))

  it.effect("a commit that failed is recorded as a failure, and so is a begin, before which nothing ran", () =>
    Effect.gen(function*() {
      for (const begins of [true, false]) {
        let ran = false
        const failing = wrapped(({ transactions }) => ({
          transactions: {
            transact: (effect) =>
              transactions.transact(Effect.andThen(
                begins ? Effect.asVoid(effect) : Effect.void,
                Effect.fail(AuditError.fail("Sink.transact", new AuditError.SinkUnavailable({ detail: "down" })))
              ))
          }
        }))
        yield* Effect.gen(function*() {
          yield* Effect.exit(
            AuditLogger.audited(Effect.sync(() => ran = true), { action: "note.create", transaction: true }).pipe(
              within()
            )
          )
          assert.strictEqual(ran, begins)
          assert.deepStrictEqual(yield* summary, [["note.create", "failure", "AuditError"]])
        }).pipe(Effect.provide(failing))
      }
    }))

  it.live("rolls the change back when its picker throws, and records that as a failure", () =>
    Effect.gen(function*() {
      const note = yield* insert
      const error = yield* Effect.flip(
        AuditLogger.audited(note(1), {
          action: "note.create",
          output: () => {
            throw new Error("no")
          },
          transaction: true
        }).pipe(within())
      )
      assert(error._tag === "AuditError" && error.reason._tag === "InvalidInput")
      assert.strictEqual(error.reason.path, "/output")
      assert.deepStrictEqual(yield* notes, [])
      assert.deepStrictEqual(yield* summary, [["note.create", "failure", "AuditError"]])
    }).pipe(Effect.provide(sqlite)))

  /** What did not succeed below the outermost, nested three deep. */
  const nesting = (middle: { readonly transaction: boolean; readonly fails: boolean }) => {
    const denial = AuditLogger.audited(Effect.fail(new Forbidden()), {
      action: "inner.denied",
      denied: () => true,
      input: { n: 1 },
      transaction: true
    })
    const failure = AuditLogger.audited(Effect.fail(new NotFound({ id: "x" })), { action: "inner.failed" })
    const success = AuditLogger.audited(Effect.succeed(1), { action: "inner.done", transaction: true })
    const below = Effect.all([Effect.exit(denial), Effect.exit(failure), Effect.exit(success)])
    const inBetween = AuditLogger.audited(
      middle.fails ? Effect.andThen(below, Effect.fail(new NotFound({ id: "y" }))) : Effect.asVoid(below),
      { action: "middle.op", transaction: middle.transaction }
    )
    return AuditLogger.audited(Effect.andThen(Effect.exit(inBetween), Effect.fail(new Forbidden())), {
      action: "outer.op",
      transaction: true
    })
  }

  for (const transaction of [true, false]) {
    it.live(`records again each failure and denial below that the outermost rollback took along: ${transaction}`, () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(nesting({ transaction, fails: true }).pipe(within()))
        assert.deepStrictEqual(exit, Exit.fail(new Forbidden()))
        assert.deepStrictEqual(yield* summary, [
          ["inner.denied", "denied", "Forbidden"],
          ["inner.failed", "failure", "NotFound"],
          ["middle.op", "failure", "NotFound"],
          ["outer.op", "failure", "Forbidden"]
        ])
        assert.deepStrictEqual((yield* events)[0]?.input, { n: 1 })
      }).pipe(Effect.provide(sqlite)))
  }

  it.live("records again what failed below a success without a transaction of its own", () =>
    Effect.gen(function*() {
      yield* Effect.exit(nesting({ transaction: false, fails: false }).pipe(within()))
      assert.deepStrictEqual(yield* summary, [
        ["inner.denied", "denied", "Forbidden"],
        ["inner.failed", "failure", "NotFound"],
        ["outer.op", "failure", "Forbidden"]
      ])
    }).pipe(Effect.provide(sqlite)))

  it.live("records again what failed below a success that was rolled back with it", () =>
    Effect.gen(function*() {
      yield* Effect.exit(nesting({ transaction: true, fails: false }).pipe(within()))
      assert.deepStrictEqual(yield* summary, [
        ["inner.denied", "denied", "Forbidden"],
        ["inner.failed", "failure", "NotFound"],
        ["outer.op", "failure", "Forbidden"]
      ])
    }).pipe(Effect.provide(sqlite)))

  it.live("records once what failed below when the outermost commits", () =>
    Effect.gen(function*() {
      const inner = AuditLogger.audited(Effect.fail(new Forbidden()), { action: "inner.op", transaction: true })
      const middle = AuditLogger.audited(Effect.andThen(Effect.exit(inner), Effect.fail(new NotFound({ id: "y" }))), {
        action: "middle.op",
        transaction: true
      })
      yield* AuditLogger.audited(Effect.exit(middle), { action: "outer.op", transaction: true }).pipe(within())
      assert.deepStrictEqual(yield* summary, [
        ["inner.op", "failure", "Forbidden"],
        ["middle.op", "failure", "NotFound"],
        ["outer.op", "success", undefined]
      ])
    }).pipe(Effect.provide(sqlite)))

  it.effect("the caller sees that a record below could not be made again after the rollback", () =>
    Effect.gen(function*() {
      let calls = 0
      const failing = wrapped(({ sink }) => ({
        sink: {
          // The second try of the record of what failed below.
          append: (event) =>
            ++calls === 2
              ? Effect.fail(
                AuditError.fail("Sink.append", new AuditError.SinkFull({ detail: "full" }), event.eventId)
              )
              : sink.append(event)
        }
      }))
      yield* Effect.gen(function*() {
        const inner = AuditLogger.audited(Effect.fail(new Forbidden()), { action: "inner.op", transaction: true })
        const exit = yield* Effect.exit(
          AuditLogger.audited(inner, { action: "outer.op", transaction: true }).pipe(within())
        )
        assert(Exit.isFailure(exit))
        const errors = exit.cause.reasons.map((reason) => reason._tag === "Fail" ? reason.error : reason)
        assert.deepStrictEqual(
          errors.map((error) => error._tag === "AuditError" ? error.reason._tag : error._tag),
          ["Forbidden", "SinkFull"]
        )
        assert.deepStrictEqual(yield* summary, [["outer.op", "failure", "Forbidden"]])
      }).pipe(Effect.provide(failing))
    }))

  it.effect("does not compile where the medium has no transactions", () =>
    Effect.gen(function*() {
      const watched = AuditLogger.audited(Effect.void, { action: "a.b", transaction: true }).pipe(within())
      // @ts-expect-error Transactions is not provided
      const run = () => Effect.runPromise(Effect.provide(watched, over(down)))
      assert.isFunction(run)
    }))
})
