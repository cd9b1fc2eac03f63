/** What an operator sees: metrics of every step, and the event on the span that recorded it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Metric } from "effect"
import { AuditError, AuditLogger, EventSink } from "effect-audit"
import { readFileSync } from "node:fs"
import { make, queueDepth } from "../src/internal/groupCommit.ts"
import { checkpointAge, failedCheckpoints, stoppedLogs, uncoveredEntries } from "../src/ledger/signing.ts"
import { emitDuration, failedEvents, recordedEvents } from "../src/LoggingEngine.ts"
import { followerLag } from "../src/trail/follow.ts"
import { memory, over, within } from "./support.ts"

describe("metrics", () => {
  it.effect("measure every call, recorded or not", () =>
    Effect.gen(function*() {
      const full = Layer.succeed(EventSink.EventSink, {
        append: () => Effect.fail(AuditError.fail("Sink.append", new AuditError.SinkFull({ detail: "full" })))
      })
      const emit = AuditLogger.emit({ action: "note.create" }).pipe(within())
      yield* Effect.provide(emit, memory)
      yield* Effect.exit(Effect.provide(emit, Layer.fresh(over(full))))
      assert.strictEqual((yield* Metric.value(emitDuration)).count, 2)
      assert.strictEqual((yield* Metric.value(recordedEvents)).count, 1)
      assert.strictEqual((yield* Metric.value(Metric.withAttributes(failedEvents, { reason: "SinkFull" }))).count, 1)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.live("say how many events wait for a commit, of all queues together, and none once it is done", () =>
    Effect.gen(function*() {
      let seen: ReadonlyArray<number> = []
      const depth = Effect.map(Metric.value(queueDepth), ({ value }) => value)
      const queue = make<{ readonly eventId: never }, number>({
        method: "test",
        capacity: 100,
        maxBatch: 2,
        deadline: "5 seconds",
        write: (waiting) =>
          Effect.gen(function*() {
            const taken = waiting.take()
            seen = [...seen, yield* depth]
            for (const entry of taken) entry.settle(Exit.succeed(1))
          })
      })
      const add = yield* queue
      const event = { eventId: undefined as never }
      yield* Effect.all([1, 2, 3, 4, 5].map(() => add(event)), { concurrency: "unbounded" })
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(() => setImmediate(resolve))))
      assert.deepStrictEqual([seen, yield* depth], [[5, 3, 1], 0])
    }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("the span that recorded an event names it", () =>
    Effect.gen(function*() {
      const receipt = yield* AuditLogger.emit({ action: "note.create" }).pipe(within(), Effect.provide(memory))
      const span = yield* Effect.currentSpan
      assert.deepStrictEqual([span.attributes.get("audit.event_id"), span.attributes.get("audit.position")], [
        receipt.eventId,
        receipt.position
      ])
    }).pipe(Effect.withSpan("request")))

  it("of the dashboard are those that there are", () => {
    const names = [
      emitDuration,
      recordedEvents,
      failedEvents,
      queueDepth,
      checkpointAge,
      uncoveredEntries,
      stoppedLogs,
      failedCheckpoints,
      followerLag
    ].map(({ id }) => id).sort()
    const text = readFileSync(new URL("../docs/dashboard.json", import.meta.url), "utf8")
    const used = text.match(/audit_[a-z_]+/g) ?? []
    const shown = [...new Set(used.map((name) => name.replace(/_bucket$/, "")))].sort()
    assert.deepStrictEqual(shown, names)
    const page = readFileSync(new URL("../docs/observability.md", import.meta.url), "utf8")
    for (const name of names) assert.include(page, `\`${name}\``)
  })
})
