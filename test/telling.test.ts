/** A logger, a metric or a span that throws changes nothing of what happened. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Metric, Option, Tracer } from "effect"
import { AuditError, AuditLogger, EventSink, TrainingPreferences } from "effect-audit"
import { Ledger, LogStore, Signer } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { TestClock } from "effect/testing"
import { failedCheckpoints } from "../src/ledger/signing.ts"
import { ledgerFiles, log, memory, memoryWith, over, within } from "./support.ts"

const boom = (): never => {
  throw new Error("boom")
}
/** A registry that no metric can be found in. */
const broken = Object.assign(new Map<string, never>(), { get: boom, set: boom, has: boom })
const span = Object.assign(
  new Tracer.NativeSpan({
    name: "request",
    parent: Option.none(),
    annotations: Context.empty(),
    links: [],
    startTime: 0n,
    kind: "internal",
    sampled: true
  }),
  { event: boom }
)
const silenced = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.provideService(Metric.MetricRegistry, broken),
    Effect.provide(Logger.layer([Logger.make(boom)])),
    Effect.provideService(Tracer.ParentSpan, span)
  )

describe("a logger, a metric and a span that throw", () => {
  it.effect("do throw", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.exit(silenced(Effect.logError("x"))))._tag, "Failure")
      const counter = Metric.counter("of_no_registry")
      assert.strictEqual((yield* Effect.exit(silenced(Metric.update(counter, 1))))._tag, "Failure")
    }))

  it.effect("leave a recorded event recorded, and a failure the typed error that it was", () =>
    Effect.gen(function*() {
      const emit = silenced(AuditLogger.emit({ action: "note.create" }).pipe(within()))
      const receipt = yield* Effect.provide(emit, memory)
      assert.strictEqual(receipt.position, 1)
      const full = Layer.succeed(EventSink.EventSink, {
        append: () => Effect.fail(AuditError.fail("Sink.append", new AuditError.SinkFull({ detail: "full" })))
      })
      const error = yield* Effect.flip(Effect.provide(emit, Layer.fresh(over(full))))
      assert.strictEqual(error.reason._tag, "SinkFull")
    }))

  it.effect("do not lose an event whose preferences cannot be read", () =>
    Effect.gen(function*() {
      const preferences = Layer.effect(
        TrainingPreferences.TrainingPreferences,
        Effect.map(TrainingPreferences.TrainingPreferences, (service) => ({
          ...service,
          lookup: () => Effect.fail({ detail: "down" })
        }))
      ).pipe(Layer.provide(Memory.layer()))
      const receipt = yield* silenced(AuditLogger.emit({ action: "note.create" }).pipe(within())).pipe(
        Effect.provide(Layer.fresh(memoryWith({ preferences })))
      )
      assert.deepStrictEqual([receipt.position, receipt.trainOk], [1, false])
    }))
})

describe("the signing loop", () => {
  it.effect("outlives a store that dies and a logger that throws, counts the defect and signs the next time", () =>
    Effect.gen(function*() {
      const { key } = yield* ledgerFiles
      let left = 2
      const dying = Layer.effect(
        LogStore.LogStore,
        Effect.map(LogStore.LogStore, (store) => ({
          ...store,
          grown: (mark) => Effect.suspend(() => left-- > 1 ? Effect.die(new TypeError("bug")) : store.grown(mark)),
          log: (name) => Effect.suspend(() => left === 0 ? Effect.die("bug") : store.log(name))
        }))
      )
      const stack = Ledger.layerSigning({ interval: "1 minute" }).pipe(
        Layer.provide(Signer.layer({ key })),
        Layer.provide(dying),
        Layer.provideMerge(memory),
        Layer.fresh
      )
      yield* Effect.gen(function*() {
        yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
        const { latest } = yield* Ledger.Ledger
        const defects = Effect.map(
          Metric.value(Metric.withAttributes(failedCheckpoints, { reason: "Defect" })),
          ({ count }) => count
        )
        yield* TestClock.adjust(0)
        for (const seen of [1, 2, 2]) {
          assert.strictEqual(yield* defects, seen)
          yield* TestClock.adjust("1 minute")
        }
        assert.strictEqual((yield* latest(log))?.checkpoint.size, 2)
      }).pipe(
        Effect.provide(stack),
        Effect.provide(Logger.layer([Logger.make(boom)])),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    }))
})
