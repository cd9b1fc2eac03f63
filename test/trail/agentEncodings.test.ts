/** What agents do, as others read it: golden texts of events that were recorded by agents, and the rules behind them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger, DatasetEvent, RequestContext } from "effect-audit"
import { AuditAi } from "effect-audit/ai"
import { AuditTest } from "effect-audit/test"
import { type AuditTrail, Encoding } from "effect-audit/trail"
import { LanguageModel, Model, Prompt } from "effect/ai"
import { readFileSync, writeFileSync } from "node:fs"
import { agent, call, finish, Tools } from "../ai/scripted.ts"
import { within } from "../support.ts"

const golden = new URL("../fixtures/agentEncodings.json", import.meta.url)
const formats = ["ocsf", "ocsf-1.9", "agent-audit-trail"] as const

const bot = within({
  actor: RequestContext.agent("bot", "u1", { version: "1.2.0", model: "m-1", instanceId: "i-9" }),
  runId: "run1",
  appId: "shop"
})
const turn = [
  { type: "response-metadata", id: "resp1", modelId: "m-1-0401", timestamp: undefined, request: undefined } as const,
  call("search", { query: "nothing" }, "c1"),
  call("send", { to: "kim@example.com" }, "c2"),
  finish("tool-calls")
]

/** What an agent did, what a person agreed to, and what a person did: as recorded, under ids that stay the same. */
const recorded = Effect.gen(function*() {
  const { content } = yield* LanguageModel.generateText({ prompt: "go", toolkit: Tools }).pipe(bot)
  const [pending] = AuditAi.pendingApprovals(Prompt.concat(Prompt.make("go"), Prompt.fromResponseParts(content)))
  assert(pending !== undefined)
  const person = within({ actor: RequestContext.human("boss"), requestId: "r2" })
  yield* AuditAi.approve(pending, { reason: "he asked for it" }).pipe(person)
  yield* AuditLogger.emit({ action: "note.create", resource: { type: "note", id: "n1" } }).pipe(person)
  const events = yield* AuditTest.events()
  const find = (is: (event: DatasetEvent.Wire) => boolean) => {
    const event = events.find(is)
    assert(event !== undefined)
    return event
  }
  return {
    intent: find(({ phase }) => phase === "intent"),
    failure: find(({ phase }) => phase === "result"),
    model: find(({ action }) => action === "model.call"),
    request: find(({ action }) => action === "tool.approval_requested"),
    approval: find(({ action }) => action === "tool.approve"),
    person: find(({ action }) => action === "note.create")
  }
}).pipe(Effect.provide(
  agent([turn]).layer.pipe(
    Layer.provide([Layer.succeed(Model.ProviderName, "acme"), Layer.succeed(Model.ModelName, "m-1")])
  )
))

const eventId = (n: number) => DatasetEvent.EventId.make(`0190aaaa-0000-7000-8000-00000000000${n}`)

/** The same each time: ids, times, and the id of the approval. */
const fixed = (event: DatasetEvent.Wire, n: number): DatasetEvent.Wire => {
  const at = "2026-01-02T03:04:05.678Z"
  return {
    ...event,
    event_id: eventId(n),
    occurred_at: at,
    recorded_at: at,
    ...(event.operation_id === undefined ? {} : { operation_id: RequestContext.Id.make("op-1") }),
    ...(event.duration_ms === undefined ? {} : { duration_ms: 12 }),
    ...(event.approval === undefined ? {} : { approval: { ...event.approval, at } }),
    ...(event.resource?.type === "tool_approval" ? { resource: { type: "tool_approval", id: "a-1" } } : {})
  }
}
const itemOf = (event: DatasetEvent.Wire, position: number): AuditTrail.Item => ({
  erased: false,
  position,
  eventId: event.event_id,
  event
})
const rowsOf = (item: AuditTrail.Item) =>
  Object.fromEntries(formats.map((format) => [format, Encoding.formats[format].row(item)]))

/** What is read back of an event that is recorded and written in a format. */
const written = (
  format: Encoding.Format,
  draft: DatasetEvent.Draft,
  context: Partial<RequestContext.Json> = {}
) =>
  Effect.gen(function*() {
    yield* AuditLogger.emit(draft).pipe(within(context))
    const event = (yield* AuditTest.events()).at(-1)
    assert(event !== undefined)
    const row: unknown = JSON.parse(Encoding.formats[format].row(itemOf(event, 1)))
    assert(typeof row === "object" && row !== null)
    return { attributes: Encoding.genAiAttributes(event), event, row: new Map<string, unknown>(Object.entries(row)) }
  })

describe("what agents do", () => {
  it.effect("is written as it was", () =>
    Effect.gen(function*() {
      const events = Object.entries(yield* recorded).map(([name, event], at) => [name, fixed(event, at + 1)] as const)
      const all = {
        ...Object.fromEntries(
          events.map(([name, event], at) => [
            name,
            { ...rowsOf(itemOf(event, at + 1)), attributes: Encoding.genAiAttributes(event) }
          ])
        ),
        erased: rowsOf({ erased: true, position: 9, eventId: eventId(9) })
      }
      const text = `${JSON.stringify(all, null, 2)}\n`
      if (process.env["RECORD"] !== undefined) writeFileSync(golden, text)
      assert.strictEqual(text, readFileSync(golden, "utf8"))
      assert.notInclude(text, "kim@example.com")
    }))

  it.effect("is an action, an outcome and a phase of the Agent Audit Trail", () =>
    Effect.gen(function*() {
      const told = (draft: DatasetEvent.Draft) =>
        Effect.map(written("agent-audit-trail", draft), ({ row }) =>
          ["action_type", "outcome", "record_phase"].map((field) => row.get(field)).join(" "))
      const tool = { action: "tool.call", resource: { type: "tool", id: "search" } } as const
      const operationId = "op-1"
      const cases: ReadonlyArray<readonly [DatasetEvent.Draft, string]> = [
        [{ ...tool, operationId, phase: "intent" }, "tool_call success pre_execution"],
        [{ ...tool, operationId, phase: "result" }, "tool_response success post_execution"],
        [
          { ...tool, operationId, phase: "result", outcome: "failure", errorTag: "TimeoutError" },
          "tool_response timeout post_execution"
        ],
        [
          { ...tool, outcome: "denied", authorization: { decision: "denied" } },
          "tool_call denied pre_execution"
        ],
        [tool, "tool_call success post_execution"],
        [{ action: "tool.requested" }, "tool_call success pre_execution"],
        [{ action: "tool.approval_requested" }, "escalation escalated pre_execution"],
        [
          { action: "order.pay", authorization: { decision: "escalated" } },
          "escalation escalated pre_execution"
        ],
        [
          { action: "tool.approve", authorization: { decision: "allowed" } },
          "decision success pre_execution"
        ],
        [{ action: "tool.deny", authorization: { decision: "denied" } }, "decision denied pre_execution"],
        [{ action: "order.pay", outcome: "denied" }, "decision denied pre_execution"],
        [
          { action: "order.pay", authorization: { decision: "allowed" }, durationMillis: 1 },
          "decision success post_execution"
        ],
        [{ action: "task.delegate" }, "delegation success concurrent"],
        [{ action: "model.call" }, "lifecycle success post_execution"],
        [{ action: "model.call", outcome: "failure" }, "error failure post_execution"],
        [{ action: "agent.start" }, "lifecycle success concurrent"]
      ]
      for (const [draft, expected] of cases) {
        assert.strictEqual(yield* told(draft), expected, JSON.stringify(draft))
      }
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("has an agent's URI, and a level of trust only where that is one", () =>
    Effect.gen(function*() {
      const { row } = yield* written("agent-audit-trail", { action: "a.b", metadata: { trust_level: "L3" } }, {
        tenantId: "t:1",
        actor: { type: "agent", id: "spiffe://acme/bot+1" }
      })
      assert.strictEqual(row.get("agent_id"), "urn:effect-audit:t%3A1:agent:spiffe%3A%2F%2Facme%2Fbot%2B1")
      assert.strictEqual(row.get("trust_level"), "L3")
      for (const level of ["L5", "high", 2, null]) {
        const { row } = yield* written("agent-audit-trail", { action: "a.b", metadata: { trust_level: level } })
        assert.strictEqual(row.get("trust_level"), "L0")
      }
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("has the role of who acts in OCSF, and the model that a person has called", () =>
    Effect.gen(function*() {
      const context = (draft: DatasetEvent.Draft, more: Partial<RequestContext.Json>) =>
        Effect.map(written("ocsf", draft, more), ({ row }) => [row.get("ai_model"), row.get("message_context")])
      assert.deepStrictEqual(
        yield* context({ action: "note.create" }, { actor: RequestContext.tool("search", "u1") }),
        [undefined, { ai_role_id: 3, service: { name: "unknown" } }]
      )
      const model: DatasetEvent.Draft = {
        action: "model.call",
        resource: { type: "model", id: "unknown" },
        metadata: { provider: "acme", response_model: "m-2", input_tokens: 3, output_tokens: "many" }
      }
      assert.deepStrictEqual(yield* context(model, {}), [
        { name: "m-2", ai_provider: "acme" },
        { ai_role_id: 2, service: { name: "acme" }, prompt_tokens: 3 }
      ])
      assert.deepStrictEqual(yield* context({ action: "tool.call" }, {}), [undefined, undefined])
      const { row } = yield* written("ocsf-1.9", model)
      assert.deepStrictEqual(row.get("ai_model"), { name: "m-2", ai_provider: "acme" })
      assert.isFalse(row.has("ai_agent"))
    }).pipe(Effect.provide(AuditTest.layer())))
})

describe("GenAI attributes", () => {
  it.effect("say what is known, and no arguments or results", () =>
    Effect.gen(function*() {
      const of = (draft: DatasetEvent.Draft, more: Partial<RequestContext.Json> = {}) =>
        Effect.map(written("ndjson", draft, more), ({ attributes }) => attributes)
      assert.deepStrictEqual(yield* of({ action: "job.run", outcome: "failure" }, { runId: "run1" }), {})
      assert.deepStrictEqual(
        yield* of({
          action: "tool.call",
          resource: { type: "tool", id: "unnamed" },
          outcome: "failure",
          input: { secret: 1 },
          output: "text",
          metadata: { mcp_method: "tools/call", tool_call_id: 7 }
        }, { runId: "run1" }),
        {
          "gen_ai.operation.name": "execute_tool",
          "mcp.method.name": "tools/call",
          "gen_ai.conversation.id": "run1",
          "error.type": "_OTHER"
        }
      )
      assert.deepStrictEqual(
        yield* of({ action: "mcp.resource_read", metadata: { mcp_method: "resources/read" } }),
        { "mcp.method.name": "resources/read" }
      )
      assert.deepStrictEqual(
        yield* of({ action: "note.create" }, { actor: RequestContext.tool("search", "u1") }),
        { "gen_ai.tool.name": "search" }
      )
      assert.deepStrictEqual(
        yield* of({
          action: "model.call",
          metadata: {
            input_tokens: -1,
            output_tokens: 1.5,
            cache_creation_input_tokens: 2,
            reasoning_output_tokens: 0,
            finish_reason: ""
          }
        }),
        {
          "gen_ai.operation.name": "chat",
          "gen_ai.usage.cache_creation.input_tokens": 2,
          "gen_ai.usage.reasoning.output_tokens": 0
        }
      )
    }).pipe(Effect.provide(AuditTest.layer())))
})
