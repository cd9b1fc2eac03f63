import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { AuditLogger, DatasetEvent, RequestContext } from "effect-audit"
import { readFileSync } from "node:fs"
import { memory, storedEvents, within } from "./support.ts"

const golden: object = JSON.parse(readFileSync(new URL("fixtures/event.json", import.meta.url), "utf8"))
const complete = {
  ...golden,
  event_id: "01a209c5-51d0-7343-9b03-8b4c0f267745",
  recorded_at: "2026-01-02T03:04:05.679Z"
}
const { position: _, ...event } = complete as typeof complete & { readonly position: number }

describe("DatasetEvent.Wire", () => {
  it.effect("reads and writes the golden event without loss, and reads its exact text", () =>
    Effect.gen(function*() {
      const decoded = yield* Schema.decodeUnknownEffect(DatasetEvent.Wire)(event)
      assert.deepStrictEqual<unknown>(yield* Schema.encodeEffect(DatasetEvent.Wire)(decoded), event)
      const text = JSON.stringify(event)
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(DatasetEvent.WireFromText)(text), decoded)
      assert.deepStrictEqual(JSON.parse(yield* Schema.encodeEffect(DatasetEvent.WireFromText)(decoded)), event)
    }))

  it.effect("refuses what is not an event", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<object> = [
        { ...event, schema_version: "2" },
        { ...event, tenantId: "-acme" },
        { ...event, event_id: "1" },
        { ...event, recorded_at: "2026-01-02" },
        { ...event, train_ok: "true" },
        { ...event, agentId: "kim@example.com" },
        { ...event, utm_source: 1 }
      ]
      for (const input of wrong) {
        assert.isTrue(Schema.decodeUnknownResult(DatasetEvent.Wire)(input)._tag === "Failure", JSON.stringify(input))
      }
      const { request_id: _, ...without } = event as typeof event & { readonly request_id: string }
      assert.strictEqual(Schema.decodeUnknownResult(DatasetEvent.Wire)(without)._tag, "Failure")
    }))

  it.effect("is what the engine stores: the fixed order of fields, and bytes that decode and encode to themselves", () =>
    Effect.gen(function*() {
      yield* AuditLogger.emit({ action: "note.create", input: { text: "grün 🌿", n: 1e21, list: [null, true, -0.5] } })
        .pipe(
          within({ actor: RequestContext.tool("t1", "u1"), spanId: "s1" })
        )
      const stored = (yield* storedEvents).at(-1)
      assert(stored?.body !== undefined)
      const text = Buffer.from(stored.body).toString("utf8")
      const decoded = yield* Schema.decodeUnknownEffect(DatasetEvent.WireFromText)(text)
      assert.strictEqual(yield* Schema.encodeEffect(DatasetEvent.WireFromText)(decoded), text)
      assert.deepStrictEqual(Object.keys(decoded), [
        "event_id",
        "schema_version",
        "tenantId",
        "env",
        "mode",
        "actor_type",
        "agentId",
        "user_id",
        "request_id",
        "trace_id",
        "span_id",
        "action",
        "outcome",
        "input",
        "metadata",
        "pii_flags",
        "train_ok",
        "train_reason",
        "severity",
        "storage_class",
        "occurred_at",
        "recorded_at"
      ])
    }).pipe(Effect.provide(memory)))

  it.effect.prop("any JSON input is stored as it is", { input: Schema.Json }, ({ input }) =>
    Effect.gen(function*() {
      const text = JSON.stringify(input)
      // What looks like personal data, or is no well-formed text, is for other tests.
      if (/[\d@:_=+()-]|\\u/.test(text) || /password|secret|token|name|mail|phone|key|pin|zip|ip|id/i.test(text)) return
      yield* AuditLogger.emit({ action: "note.create", input }).pipe(within())
      const stored = (yield* storedEvents).at(-1)
      const body = JSON.parse(Buffer.from(stored?.body ?? []).toString("utf8")) as { readonly input?: unknown }
      assert.deepStrictEqual(body.input, JSON.parse(text))
    }).pipe(Effect.provide(memory)), { arbitrary: { runs: 100 } })
})
