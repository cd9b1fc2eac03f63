import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { AuditLogger, LoggingEngine, type Transactions } from "effect-audit"
import { AuditTest } from "effect-audit/test"
import { TestClock } from "effect/testing"
import { within } from "../support.ts"

const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const reason = <A, R>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }, R>) =>
  Effect.map(Effect.result(effect), (result) => result._tag === "Success" ? "stored" : result.failure.reason._tag)

describe("AuditTest.expect", () => {
  it.effect("compares the fields that are given, in order, without the creation of logs", () =>
    Effect.gen(function*() {
      yield* AuditTest.expect([])
      yield* emit(1)
      yield* AuditLogger.emit({ action: "note.delete", subjectIds: ["u2"] }).pipe(within({ tenantId: "globex" }))
      yield* AuditTest.expect([
        { action: "note.create", input: { n: 1 }, metadata: { action: "note.create" }, error_tag: undefined },
        { action: "note.delete", subject_ids: ["u2"] }
      ])
      assert.deepStrictEqual((yield* AuditTest.events()).map(({ action }) => action), ["note.create", "note.delete"])
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("compares what is no JSON as it is recorded", () =>
    Effect.gen(function*() {
      const input = { map: new Map([["a", 1]]), time: new Date(0), big: 10n, zero: -0, none: undefined }
      yield* AuditLogger.emit({ action: "note.create", input }).pipe(within())
      yield* AuditTest.expect([{ input }])
      const wrong = { map: new Map([["a", 2]]), time: new Date(1), big: 11n, zero: [1n], none: 1 }
      const error = yield* Effect.flip(AuditTest.expect([{ input: wrong }]))
      for (
        const line of [
          "/input/map/a: expected 2, recorded 1",
          "/input/time: expected \"1970-01-01T00:00:00.001Z\", recorded \"1970-01-01T00:00:00.000Z\"",
          "/input/big: expected \"11\", recorded \"10\"",
          "/input/zero: expected [\"1\"], recorded 0",
          "/input/none: expected 1, recorded nothing"
        ]
      ) assert.include(error.message, line)
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("says which event differs, and where", () =>
    Effect.gen(function*() {
      yield* emit(1)
      yield* emit(2)
      const error = yield* Effect.flip(
        AuditTest.expect([{ action: "note.create" }, { input: { n: 3 } }, { action: "x.y" }])
      )
      assert.strictEqual(
        error.message,
        `expected 3 events, recorded 2:
  0 note.create
! 1 note.create
    /input/n: expected 3, recorded 2
- 2 {"action":"x.y"}: expected, and not recorded`
      )
      const more = yield* Effect.flip(AuditTest.expect([{ action: "note.create" }]))
      assert.include(more.message, "+ 1 note.create: recorded, and not expected")
    }).pipe(Effect.provide(AuditTest.layer())))
})

describe("AuditTest.failing", () => {
  const reasons = [
    "SinkOverloaded",
    "SinkTimeout",
    "SinkUnavailable",
    "SinkFull",
    "SinkRejected",
    "SinkClosed",
    "LogStopped"
  ] as const
  for (const tag of reasons) {
    it.effect(`fails with ${tag} after some events, some times, and stores nothing then`, () =>
      Effect.gen(function*() {
        const said = yield* Effect.forEach([1, 2, 3, 4], (n) => reason(emit(n)))
        assert.deepStrictEqual(said, ["stored", tag, tag, "stored"])
        yield* AuditTest.expect([{ input: { n: 1 } }, { input: { n: 4 } }])
      }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing(tag, { after: 1, times: 2 }) }))))
  }

  for (const stored of [true, false]) {
    it.effect(`an unknown outcome, ${stored ? "" : "not "}stored, is found out by the engine, which repeats it`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(emit(1), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        assert.isFalse((yield* Fiber.join(fiber)).duplicate)
        yield* AuditTest.expect([{ input: { n: 1 } }])
      }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("CommitUnknown", { times: 1, stored }) }))))
  }

  it.effect("an outcome that stays unknown reaches the caller, stored or not", () =>
    Effect.gen(function*() {
      for (const stored of [true, false]) {
        yield* Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(reason(emit(1)), { startImmediately: true })
          yield* TestClock.adjust("20 seconds")
          assert.strictEqual(yield* Fiber.join(fiber), "CommitUnknown")
          yield* AuditTest.expect(stored ? [{ input: { n: 1 } }] : [])
        }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("CommitUnknown", { stored }) })))
      }
    }))

  const change = AuditLogger.audited(Effect.succeed(1), { action: "note.create", transaction: true }).pipe(within())
  const tagsOf = (exit: Exit.Exit<unknown, { readonly reason: { readonly _tag: string } }>) =>
    Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter(Cause.isFailReason).map(({ error }) => error.reason._tag)

  it.effect("a change whose event fails is rolled back, and the failure is recorded when there is room again", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(tagsOf(yield* Effect.exit(change)), ["SinkFull"])
      yield* AuditTest.expect([{ action: "note.create", outcome: "failure", error_tag: "AuditError" }])
    }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("SinkFull", { times: 1 }) }))))

  it.effect("the commit of a transaction is what is unknown; nothing else is recorded of it", () =>
    Effect.gen(function*() {
      for (const stored of [true, false]) {
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(tagsOf(yield* Effect.exit(change)), ["CommitUnknown"])
          yield* AuditTest.expect(stored ? [{ action: "note.create", outcome: "success" }] : [])
        }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("CommitUnknown", { times: 1, stored }) })))
      }
    }))

  it.effect("a preference that cannot be recorded is not changed", () =>
    Effect.gen(function*() {
      const set = LoggingEngine.setPreference({ trainingAllowed: false }).pipe(within())
      assert.strictEqual(yield* reason(set), "SinkUnavailable")
      assert.isTrue((yield* emit(1)).trainOk)
    }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("SinkUnavailable", { times: 1 }) }))))
})

describe("AuditTest.slow and hanging", () => {
  it.effect("take their time, or meet the engine's deadline", () =>
    Effect.gen(function*() {
      const slow = yield* Effect.forkChild(
        Effect.provide(
          Effect.andThen(emit(1), AuditTest.expect([{ input: { n: 1 } }])),
          AuditTest.layer({ medium: AuditTest.slow("2 seconds") })
        ),
        { startImmediately: true }
      )
      const hanging = yield* Effect.forkChild(
        Effect.provide(reason(emit(1)), AuditTest.layer({ medium: AuditTest.hanging, deadline: "3 seconds" })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(slow)
      assert.strictEqual(yield* Fiber.join(hanging), "CommitUnknown")
    }))

  it.effect("give everything that a program needs", () =>
    Effect.gen(function*() {
      const services = yield* Effect.context<Transactions.Transactions>()
      assert.isDefined(services)
    }).pipe(Effect.provide(AuditTest.layer())))
})
