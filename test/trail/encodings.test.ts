/** The formats that other systems read, as golden texts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger, DatasetEvent, RequestContext } from "effect-audit"
import { AuditTrail, Encoding } from "effect-audit/trail"
import { readFileSync, writeFileSync } from "node:fs"
import { log, memory, within } from "../support.ts"

const golden = new URL("../fixtures/encodings.json", import.meta.url)

/** An event with all that a format may show, its ids and times made the same each time. */
const items = Effect.gen(function*() {
  const given = {
    action: "order.update",
    resource: { type: "order", id: "o-1" },
    related: [{ type: "invoice", id: "i-2" }],
    subjectIds: ["u7"],
    outcome: "denied",
    errorTag: "NotAllowed",
    severity: "warning",
    durationMillis: 12,
    occurredAt: "2026-01-02T03:04:05.678Z",
    input: { text: "=SUM(A1)", amount: 1.5 },
    authorization: { decision: "denied", policyId: "p-1" }
  } as const
  yield* AuditLogger.emit(given).pipe(within({
    actor: RequestContext.agent("helper", "u1", { model: "m-1" }),
    client: { address: "203.0.113.9", userAgent: "curl/8" },
    surface: "api",
    correlationId: "c-1"
  }))
  const page = yield* AuditTrail.query({ ...log, limit: 1 })
  return page.items.map((item): AuditTrail.Item => {
    assert(!item.erased)
    const fixed = {
      event_id: DatasetEvent.EventId.make("0190aaaa-0000-7000-8000-000000000001"),
      recorded_at: "2026-01-02T03:04:06.000Z"
    }
    return { ...item, eventId: item.eventId, event: { ...item.event, ...fixed } }
  })
}).pipe(Effect.provide(Layer.fresh(memory)))

describe("the formats of events", () => {
  it.live("are written as they were", () =>
    Effect.gen(function*() {
      const [item] = yield* items
      assert(item !== undefined && !item.erased)
      const id = item.event.event_id
      const written = Object.fromEntries(
        Encoding.Format.literals.map((format) => {
          const { head, row } = Encoding.formats[format]
          return [format, head + row({ ...item, eventId: item.eventId }).replaceAll(item.eventId, id)]
        })
      )
      if (process.env["RECORD"] !== undefined) writeFileSync(golden, `${JSON.stringify(written, null, 2)}\n`)
      assert.deepStrictEqual(written, JSON.parse(readFileSync(golden, "utf8")))
    }))

  it.live("say of an erased event that it is erased", () =>
    Effect.gen(function*() {
      const [item] = yield* items
      assert(item !== undefined && !item.erased)
      const erased: AuditTrail.Item = { erased: true, position: 3, eventId: item.eventId }
      for (const format of Encoding.Format.literals) {
        const text = Encoding.formats[format].row(erased)
        assert.include(text, item.eventId)
        assert.notInclude(text, "order")
        assert.notInclude(text, "t_acme")
        // Who reads many logs is told whose it was.
        if (format === "csv" || format === "agent-audit-trail") continue
        assert.include(
          Encoding.formats[format].row(erased, { tenantId: item.event.tenantId, env: item.event.env }),
          "t_acme"
        )
      }
    }))

  it.live("keep what a value says inside of its field", () =>
    Effect.gen(function*() {
      const [item] = yield* items
      assert(item !== undefined && !item.erased)
      const text = "a|b\\c=d\r\ne cs1=t_other"
      const event = { ...item.event, error_tag: text, client: { ...item.event.client, user_agent: text } }
      const line = Encoding.formats.cef.row({ ...item, event }).trimEnd()
      assert.notMatch(line, /[\r\n]/)
      assert.include(line, "reason=a|b\\\\c\\=d\\ne cs1\\=t_other ")
      assert.strictEqual(line.match(/(?<!\\)cs1=/g)?.length, 1)
      const controls = Encoding.formats.cef.row({ ...item, event: { ...item.event, error_tag: "a\0b\u0007c" } })
      assert.include(controls, "reason=a b c ")
      const ipv6 = { ...item.event, client: { ...item.event.client, address: "2001:db8:85a3::/48" } }
      assert.include(
        Encoding.formats.cef.row({ ...item, event: ipv6 }),
        "c6a2=2001:db8:85a3:: c6a2Label=Source IPv6 Address"
      )
      assert.deepStrictEqual(
        [10, 9].map((position) => Encoding.cloudEvent({ ...item, position }).sequence).sort(),
        ["0000000000000009", "0000000000000010"]
      )
      assert.include(
        Encoding.formats.ocsf.row({ ...item, event: { ...item.event, duration_ms: 12.6 } }),
        "\"duration\":13,"
      )
      for (const format of ["ecs", "ocsf", "cloudevents", "ndjson"] as const) {
        assert.notMatch(Encoding.formats[format].row({ ...item, event }).trimEnd(), /[\r\n]/)
      }
    }))
})
