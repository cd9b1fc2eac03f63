/** What is recorded of an effect that is watched, by loggers that refuse what they did not announce. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { AuditError, AuditLogger, type LoggingEngine } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { TestClock } from "effect/testing"
import type { AuditedOptions } from "../../src/AuditLogger.ts"
import { ReadDraft } from "../../src/internal/draft.ts"
import { type Emit, readOptions, recorderOf, watch } from "../../src/internal/watching.ts"
import { log, memory, within, wrapped } from "../support.ts"

const events = Effect.map(
  AuditTrail.query({ ...log, order: "asc", limit: 1000 }),
  ({ items }) => items.slice(1).flatMap((item) => item.erased ? [] : [item.event])
)

/** A logger of someone else's, which takes no output; and what it was asked to record. */
const strict = Effect.map(AuditLogger.AuditLogger, (logger) => {
  const asked: Array<string> = []
  const emit: Emit = (draft, options?: LoggingEngine.EmitOptions) => {
    asked.push(`${draft.outcome}${draft.output === undefined ? "" : " with output"}`)
    return draft.output === undefined
      ? logger.emit(draft, options)
      : Effect.fail(AuditError.fail("test", new AuditError.InvalidInput({ path: "/output", detail: "is not taken" })))
  }
  return { asked, emit }
})

const watching = <A, E>(emit: Emit, effect: Effect.Effect<A, E>, options: AuditedOptions<A, E>, isLenient: boolean) =>
  watch(() => ({ ...recorderOf({ emit }), isLenient }), effect, options, readOptions(options)).pipe(within())

describe("an effect that is watched", () => {
  it.effect("is recorded without what its logger refuses unannounced, which the caller sees unless it is lenient", () =>
    Effect.gen(function*() {
      const { asked, emit } = yield* strict
      const options = { action: "a.b", output: (n: number) => n, resource: { type: "note", id: "n1" } }
      assert.strictEqual(yield* watching(emit, Effect.succeed(7), options, true), 7)
      const error = yield* Effect.flip(watching(emit, Effect.succeed(7), options, false))
      assert.strictEqual(error.reason.message, "Input refused at /output: is not taken")
      assert.deepStrictEqual(asked, ["success with output", "success", "success with output", "success"])
      assert.deepStrictEqual(
        (yield* events).map(({ metadata, outcome, resource }) => [outcome, resource?.id, metadata["unrecorded"]]),
        [["success", "n1", "/output"], ["success", "n1", "/output"]]
      )
    }).pipe(Effect.provide(memory)))

  it.effect("succeeds where it is lenient and a picker fails, which is told otherwise by the field", () =>
    Effect.gen(function*() {
      const { emit } = yield* strict
      const options = {
        action: "a.b",
        resource: (): never => {
          throw new Error("no")
        }
      }
      assert.strictEqual(yield* watching(emit, Effect.succeed(7), options, true), 7)
      const error = yield* Effect.flip(watching(emit, Effect.succeed(7), options, false))
      assert.strictEqual(error.method, "AuditLogger.audited")
      assert.strictEqual(
        error.reason.message,
        "Input refused at /resource: picking the resource from the result failed"
      )
      assert.lengthOf(yield* events, 2)
    }).pipe(Effect.provide(memory)))

  it.effect("records no success in a transaction that a failing picker rolls back, not even where it is kept elsewhere", () =>
    Effect.gen(function*() {
      const { asked, emit } = yield* strict
      const options = {
        action: "a.b",
        transaction: true,
        subjectIds: (): never => {
          throw new Error("no")
        }
      }
      yield* Effect.flip(watching(emit, Effect.succeed(7), options, false))
      assert.deepStrictEqual(asked, ["failure"])
    }).pipe(Effect.provide(memory)))

  it.effect("is one event under one key, however long each try took", () =>
    Effect.gen(function*() {
      for (const millis of [0, 10, 500]) {
        const fiber = yield* AuditLogger.audited(Effect.sleep(millis), { action: "a.b", idempotencyKey: "k" }).pipe(
          within(),
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust(millis)
        yield* Fiber.join(fiber)
      }
      assert.lengthOf(yield* events, 1)
    }).pipe(Effect.provide(memory)))

  it.effect("is no failure where its commit is in doubt, whatever failed beside it", () =>
    Effect.gen(function*() {
      const doubt = AuditError.fail("Sink.transact", new AuditError.CommitUnknown({ detail: "lost" }))
      for (const beside of [Cause.die(new Error("no")), Cause.interrupt(), Cause.fail(doubt)]) {
        const doubtful = wrapped(({ transactions }) => ({
          transactions: {
            transact: (effect) =>
              Effect.andThen(transactions.transact(effect), Effect.failCause(Cause.combine(beside, Cause.fail(doubt))))
          }
        }))
        yield* Effect.gen(function*() {
          const exit = yield* Effect.exit(
            AuditLogger.audited(Effect.succeed(1), { action: "a.b", transaction: true }).pipe(within())
          )
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual((yield* events).map(({ outcome }) => outcome), ["success"])
        }).pipe(Effect.provide(doubtful))
      }
    }))

  it("cannot have a key and an intent", () => {
    const refused = ReadDraft.fieldsOf(readOptions({ action: "a.b", intent: true, idempotencyKey: "k" }))
    assert.deepInclude(refused, {
      path: "/idempotencyKey",
      problem: "cannot be given with an intent: each try has one of its own"
    })
    assert.strictEqual(readOptions({ action: "a.b" }).storageClass, "audit")
  })
})
