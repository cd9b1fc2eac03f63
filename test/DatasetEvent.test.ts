import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { AuditLogger, DatasetEvent, RequestContext } from "effect-audit"
import { readFileSync } from "node:fs"
import { decodeEvent, keysIn } from "../src/internal/body.ts"
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

  it("reads stored texts as the schema does, with open names, escaped ones and wrong values of them", () => {
    const { event_id, ...others } = { ...event, event_id: "01a209c5-51d0-7343-9b03-8b4c0f267745" }
    const names = ["utm_source", "seo_title", "utm_", "utmsource", "xutm_a", "seo", "other"]
    const values: ReadonlyArray<unknown> = ["x", 1, "\"utm_a\":\\", null]
    for (const name of names) {
      for (const value of values) {
        const plain = JSON.stringify({ event_id, [name]: value, ...others })
        for (let at = -1; at < name.length; at++) {
          const code = name.charCodeAt(at).toString(16).padStart(4, "0")
          const text = at < 0 ? plain : plain.replace(name, `${name.slice(0, at)}\\u${code}${name.slice(at + 1)}`)
          const expected = Schema.decodeUnknownResult(DatasetEvent.WireFromText)(text)
          const decoded = decodeEvent(text)
          assert.strictEqual(decoded._tag, expected._tag, text)
          if (decoded._tag === "Success" && expected._tag === "Success") {
            assert.deepStrictEqual(decoded.success, expected.success)
          }
        }
      }
    }
  })

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

  it.effect("refuses each field of the golden event that is of another kind, however deep", () =>
    Effect.gen(function*() {
      const decodes = (input: unknown) => Schema.decodeUnknownResult(DatasetEvent.Wire)(input)._tag === "Success"
      assert.isTrue(decodes(event))
      const fields = event as { readonly [key: string]: unknown }
      const open = new Set(["input", "output"])
      for (const name of Object.keys(fields)) {
        if (open.has(name)) continue
        assert.isFalse(decodes({ ...fields, [name]: [[]] }), name)
        const value = fields[name]
        if (typeof value !== "object" || value === null || Array.isArray(value)) continue
        for (const below of Object.keys(value)) {
          if (name === "metadata" || name === "change") continue
          assert.isFalse(decodes({ ...fields, [name]: { ...value, [below]: [[]] } }), `${name}.${below}`)
        }
      }
      const nested: ReadonlyArray<object> = [
        { related: [{ type: "note" }] },
        { related: [{ id: "n1" }] },
        { resource: { type: "note" } },
        { delegation: [{ type: "robot", id: "a1" }] },
        { approval: { by: { type: "human", id: "u1" }, at: "2026-01-02T03:04:00.000Z" } },
        { approval: { by: { type: "human", id: "u1" }, at: "2026-01-02", arguments_sha256: "00" } },
        { authorization: { policy_id: "p" } },
        { occurred_at: "x2026-01-02T03:04:05.678Z" },
        { occurred_at: "2026-01-02T03:04:05.678Zx" },
        { occurred_at: "2026-01-02T03:04:05.678" }
      ]
      for (const more of nested) assert.isFalse(decodes({ ...fields, ...more }), JSON.stringify(more))
      const all = {
        outcome: ["success", "failure", "denied"],
        phase: ["intent", "result"],
        severity: ["debug", "info", "notice", "warning", "error", "critical"],
        storage_class: ["ops", "audit", "stream", "cost"],
        actor_type: ["human", "agent", "system", "tool", "anonymous"],
        train_reason: ["allowed", "pii", "tenant_opt_out", "user_opt_out", "preferences_unavailable", "policy"],
        mode: ["saas", "enterprise", "lab"]
      }
      for (const [name, values] of Object.entries(all)) {
        for (const value of values) assert.isTrue(decodes({ ...fields, [name]: value }), `${name} ${value}`)
        assert.isFalse(decodes({ ...fields, [name]: "" }), name)
      }
      for (const decision of ["allowed", "denied", "escalated"]) {
        assert.isTrue(decodes({ ...fields, authorization: { decision } }))
      }
      const { message } = yield* Effect.flip(
        Schema.decodeUnknownEffect(DatasetEvent.Wire)({ ...fields, recorded_at: "now" })
      )
      assert.include(message, "RFC 3339 in UTC with milliseconds")
    }))

  it("is found by every value that it can be found by", () => {
    const wire = Schema.decodeUnknownSync(DatasetEvent.Wire)(event)
    const expected = {
      action: "note.create",
      actorId: "a1",
      userId: "u1",
      subjectIds: ["u2"],
      resourceType: "note",
      resourceId: "n1",
      outcome: "success",
      traceId: "0af7651916cd43dd8448eb211c80319c",
      requestId: "r1",
      correlationId: "c1",
      runId: "run1",
      stepId: "step1",
      operationId: "op1",
      phase: "result",
      projectId: "p1",
      surface: "notes",
      severity: "info",
      storageClass: "audit",
      trainOk: "true"
    }
    assert.deepStrictEqual<unknown>(DatasetEvent.searchKeys(wire), expected)
    assert.deepStrictEqual<unknown>(DatasetEvent.searchKeys({ ...wire, train_ok: false }).trainOk, "false")
    // As the index reads it, whatever release wrote it.
    assert.deepStrictEqual<unknown>(keysIn(event as { readonly [key: string]: unknown }), expected)
    assert.deepStrictEqual<unknown>(keysIn({ action: 1, subject_ids: ["a", 2], resource: [], train_ok: "true" }), {
      action: "",
      actorId: "",
      userId: undefined,
      subjectIds: ["a"],
      resourceType: undefined,
      resourceId: undefined,
      outcome: "",
      traceId: "",
      requestId: "",
      correlationId: undefined,
      runId: undefined,
      stepId: undefined,
      operationId: undefined,
      phase: undefined,
      projectId: undefined,
      surface: undefined,
      severity: "",
      storageClass: "",
      trainOk: "false"
    })
  })

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
