/** A run as a tree: what belongs together stands together, once, in the order of the log. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { DatasetEvent, RequestContext } from "effect-audit"
import { AuditAi } from "effect-audit/ai"
import { AuditTrail, Run } from "effect-audit/trail"
import { LanguageModel, Prompt } from "effect/ai"
import { agent, call, finish, Tools } from "../ai/scripted.ts"
import { log, within } from "../support.ts"

/** What is undefined is left out, as it is on the wire. */
const decode = (item: object) => Schema.decodeUnknownSync(AuditTrail.Item)(JSON.parse(JSON.stringify(item)))
const id = (position: number) =>
  DatasetEvent.EventId.make(`01a209c5-51d0-7343-9b03-${position.toString(16).padStart(12, "0")}`)
const at = (position: number) => new Date(Date.UTC(2026, 0, 1) + position).toISOString()

/** An event of the run at a position. */
const event = (position: number, action: string, more: object = {}): AuditTrail.Item =>
  decode({
    erased: false,
    position,
    eventId: id(position),
    event: {
      event_id: id(position),
      schema_version: "1",
      tenantId: "t_acme",
      env: "prod",
      mode: "saas",
      actor_type: "agent",
      agentId: "bot",
      request_id: "r1",
      trace_id: "r1",
      run_id: "run1",
      action,
      outcome: "success",
      metadata: {},
      pii_flags: { flags: [], policy_reason: "none", counts: {}, truncated: false },
      train_ok: false,
      train_reason: "policy",
      severity: "info",
      storage_class: "audit",
      occurred_at: at(position),
      recorded_at: at(position),
      ...more
    }
  })

/** One half of a tool call, in the step of its own id unless told otherwise. */
const half = (phase: "intent" | "result") => (position: number, callId: string, more: object = {}) =>
  event(position, "tool.call", {
    phase,
    operation_id: `op_${callId}`,
    step_id: callId,
    resource: { type: "tool", id: "search" },
    metadata: { tool_call_id: callId },
    ...more
  })
const intent = half("intent")
const result = half("result")

/** A tree in short: what it is, where, how it ended, and what is below. */
const short = (node: Run.Step | Run.Entry): unknown =>
  node.kind === "step"
    ? [`step ${node.step_id}`, ...node.children.map(short)]
    : [
      `${node.action} ${node.events.map(({ position }) => position).join("+")} ${node.outcome}`,
      ...node.children.map(short)
    ]
const tree = (items: Iterable<AuditTrail.Item>) => Run.make("run1", items)?.steps.map(short)

describe("a run", () => {
  it("pairs the events of calls that are made at the same time", () => {
    assert.deepStrictEqual(
      tree([
        intent(1, "c1"),
        intent(2, "c2"),
        event(3, "note.read", { step_id: "c2" }),
        event(4, "note.read", { step_id: "c1" }),
        result(5, "c2", { outcome: "failure", error_tag: "NotFound", duration_ms: 3 }),
        result(6, "c1"),
        event(7, "model.call")
      ]),
      [
        ["step c1", ["tool.call 1+6 success", ["note.read 4 success"]]],
        ["step c2", ["tool.call 2+5 failure", ["note.read 3 success"]]],
        ["model.call 7 success"]
      ]
    )
  })

  it("says of an operation what its result says, and of the intent what that leaves out", () => {
    const [step] = Run.make("run1", [
      intent(1, "c1", { authorization: { decision: "allowed", policy_id: "p1" } }),
      result(2, "c1", { outcome: "failure", error_tag: "NotFound", duration_ms: 12.5, resource: undefined })
    ])?.steps ?? []
    assert(step?.kind === "step")
    const [entry] = step.children
    assert.deepInclude(entry, {
      kind: "operation",
      position: 1,
      operation_id: "op_c1",
      outcome: "failure",
      error_tag: "NotFound",
      duration_ms: 12.5,
      tool_call_id: "c1",
      resource: { type: "tool", id: "search" },
      authorization: { decision: "allowed", policy_id: "p1" },
      actor: { type: "agent", id: "bot" }
    })
    assert.deepStrictEqual(entry?.events, [
      { position: 1, event_id: id(1), recorded_at: at(1), phase: "intent" },
      { position: 2, event_id: id(2), recorded_at: at(2), phase: "result" }
    ])
  })

  it("shows an intent without a result as unfinished, and the same call made again beside it", () => {
    const run = Run.make("run1", [
      intent(1, "c1"),
      event(2, "note.read", { step_id: "c1" }),
      intent(3, "c1", { operation_id: "again" }),
      event(4, "note.write", { step_id: "c1" }),
      result(5, "c1", { operation_id: "again" }),
      event(6, "note.done", { step_id: "c1" })
    ])
    assert.deepStrictEqual(run?.steps.map(short), [[
      "step c1",
      ["tool.call 1 unfinished", ["note.read 2 success"]],
      ["tool.call 3+5 success", ["note.write 4 success"]],
      // The first has not ended, as far as anyone knows; the second has.
      ["note.done 6 success"]
    ]])
    assert.deepInclude(run?.run, { tool_calls: 2, unfinished: 1, failures: 0, denied: 0 })
  })

  it("puts under a call only what is recorded in the step of its id, between its events", () => {
    assert.deepStrictEqual(
      tree([
        event(1, "note.list", { step_id: "c1" }),
        intent(2, "c1"),
        event(3, "note.read", { step_id: "c1" }),
        // A call that the tool makes itself, and what is recorded while it goes on.
        intent(4, "d1", { step_id: "c1" }),
        event(5, "note.read", { step_id: "c1" }),
        result(6, "d1", { step_id: "c1" }),
        event(7, "note.read", { step_id: "other" }),
        event(8, "note.read"),
        result(9, "c1"),
        event(10, "note.write", { step_id: "c1" })
      ]),
      [
        [
          "step c1",
          ["note.list 1 success"],
          ["tool.call 2+9 success", ["note.read 3 success"], ["tool.call 4+6 success"], ["note.read 5 success"]],
          ["note.write 10 success"]
        ],
        ["step other", ["note.read 7 success"]],
        ["note.read 8 success"]
      ]
    )
    // In a step of another name it is the call's that goes on alone; of several nobody knows.
    assert.deepStrictEqual(
      tree([
        intent(1, "c1", { step_id: "plan" }),
        event(2, "note.read", { step_id: "plan" }),
        intent(3, "c2", { step_id: "plan" }),
        event(4, "note.read", { step_id: "plan" }),
        result(5, "c1", { step_id: "plan" }),
        event(6, "note.read", { step_id: "plan" }),
        event(7, "note.read", { step_id: "other" }),
        result(8, "c2", { step_id: "plan" }),
        event(9, "note.read", { step_id: "plan" })
      ]),
      [
        [
          "step plan",
          ["tool.call 1+5 success", ["note.read 2 success"]],
          ["tool.call 3+8 success", ["note.read 6 success"]],
          ["note.read 4 success"],
          ["note.read 9 success"]
        ],
        ["step other", ["note.read 7 success"]]
      ]
    )
  })

  it("has what is in no step directly below it, in the order of the log", () => {
    assert.deepStrictEqual(
      tree([
        intent(1, "c1", { step_id: undefined, operation_id: "op1" }),
        event(2, "plan.made", { step_id: "s1" }),
        event(3, "model.call"),
        result(4, "c1", { step_id: undefined, operation_id: "op1" }),
        event(5, "plan.kept", { step_id: "s1" })
      ]),
      [
        ["tool.call 1+4 success"],
        ["step s1", ["plan.made 2 success"], ["plan.kept 5 success"]],
        ["model.call 3 success"]
      ]
    )
  })

  it("is the same in whatever order its events come, and however often; others and erased ones are left out", () => {
    const items = [
      event(1, "model.call"),
      intent(2, "c1"),
      event(3, "note.read", { step_id: "c1" }),
      result(4, "c1"),
      event(5, "note.read", { step_id: "s2" })
    ]
    const others = [
      event(6, "note.read", { run_id: "run2" }),
      event(7, "note.read", { run_id: undefined }),
      decode({ erased: true, position: 8, eventId: id(8) })
    ]
    const once = Run.make("run1", items)
    assert.strictEqual(once?.run.events, 5)
    assert.deepStrictEqual(Run.make("run1", [...items, ...others, ...items].toReversed()), once)
    assert.isUndefined(Run.make("run1", others))
    assert.isUndefined(Run.make("run1", []))
  })

  it("loses no event of an operation that is told more than twice, or whose intent is gone", () => {
    assert.deepStrictEqual(tree([intent(1, "c1"), intent(2, "c1"), result(3, "c1"), result(5, "c2")]), [
      ["step c1", ["tool.call 1+2+3 success"]],
      ["step c2", ["tool.call 5 success"]]
    ])
    // An id without a phase says nothing of halves.
    assert.deepStrictEqual(tree([event(1, "a.b", { operation_id: "o" }), event(2, "a.b", { operation_id: "o" })]), [
      ["a.b 1 success"],
      ["a.b 2 success"]
    ])
  })

  it("puts responses to a request under it, from whatever context, and counts the run's events only", () => {
    const about = (approvalId: string, more: object = {}) => ({
      resource: { type: "tool_approval", id: approvalId },
      ...more
    })
    const boss = { run_id: undefined, actor_type: "human", agentId: "boss", operation_id: undefined }
    const items = [
      event(1, "tool.approve", about("a1", boss)),
      event(2, "tool.approval_requested", about("a1")),
      event(3, "tool.approval_requested", about("a2", { step_id: "s1" })),
      event(4, "tool.deny", about("a2", { run_id: "run9" })),
      event(5, "tool.approve", about("a1", boss)),
      event(6, "tool.approve", about("a1")),
      event(7, "tool.approve", about("a7", boss)),
      event(8, "tool.approve", { ...boss, resource: { type: "note", id: "a1" } }),
      event(9, "tool.approve", about("a9"))
    ]
    const builder = new Run.Builder("run1")
    items.forEach((item) => builder.add(item))
    assert.deepStrictEqual(builder.approvals, ["a1", "a2"])
    const run = builder.build()
    assert.deepStrictEqual(run?.steps.map(short), [
      ["tool.approval_requested 2 success", ["tool.approve 5 success"], ["tool.approve 6 success"]],
      ["step s1", ["tool.approval_requested 3 success", ["tool.deny 4 success"]]],
      ["tool.approve 9 success"]
    ])
    assert.deepInclude(run?.run, { events: 4, first_recorded_at: at(2), last_recorded_at: at(9) })
  })

  it("says who ran, for whom, and how much", () => {
    const delegation = [{ type: "agent", id: "bot" }, { type: "agent", id: "triage" }]
    const usage = (more: object) => ({ metadata: { operation: "generateText", ...more }, storage_class: "cost" })
    const run = Run.make("run1", [
      event(1, "job.started", { actor_type: "system", agentId: "system" }),
      event(2, "model.call", {
        ...usage({ input_tokens: 10, output_tokens: 5, response_model: "m-1", finish_reason: "stop" }),
        agent: { version: "1.4", model: "m-1" },
        user_id: "u1",
        delegation
      }),
      event(3, "model.call", { ...usage({ input_tokens: 7, output_tokens: "many" }), outcome: "failure" }),
      event(4, "tool.call", { outcome: "denied" }),
      event(5, "note.read", { agentId: "other", metadata: { input_tokens: 100 } })
    ])
    assert(run !== undefined)
    assert.deepStrictEqual(run.run, {
      run_id: "run1",
      first_recorded_at: at(1),
      last_recorded_at: at(5),
      events: 5,
      tool_calls: 1,
      failures: 1,
      denied: 1,
      unfinished: 0,
      model_calls: 2,
      input_tokens: 17,
      output_tokens: 5
    })
    assert.deepInclude(run.agent, { actor_type: "agent", agent_id: "bot", version: "1.4", model: "m-1" })
    assert.strictEqual(run.agent.user_id, "u1")
    assert.deepStrictEqual<object | undefined>(run.agent.delegation, delegation)
    const [, first] = run.steps
    assert(first?.kind === "event" && first.model !== undefined)
    assert.deepInclude(first.model, { operation: "generateText", response_model: "m-1", finish_reason: "stop" })
  })

  it("may have many thousands of events", () => {
    const one = (n: number) => [
      intent(3 * n, `c${n}`),
      event(3 * n + 1, "note.read", { step_id: `c${n}` }),
      result(3 * n + 2, `c${n}`)
    ]
    // The schema is what is slow here: events are made of one that was decoded.
    const [model] = one(0)
    assert(model?.erased === false)
    const { event: wire } = model
    const builder = new Run.Builder("run1")
    for (let position = 0; position < 60_000; position++) {
      const stepId = RequestContext.Id.make(`c${Math.floor(position / 3)}`)
      const phase = (["intent", undefined, "result"] as const)[position % 3]
      const { operation_id: _, phase: __, ...rest } = wire
      builder.add({
        ...model,
        position,
        event: {
          ...rest,
          step_id: stepId,
          ...(phase === undefined ? { action: "note.read", metadata: {} } : { phase, operation_id: stepId }),
          ...(phase === undefined ? {} : { metadata: { tool_call_id: stepId } })
        }
      })
    }
    const run = builder.build()
    assert.deepInclude(run?.run, { events: 60_000, tool_calls: 20_000, unfinished: 0 })
    assert(run?.steps.length === 20_000)
    assert.deepStrictEqual(short(run.steps[19_999]!), [
      "step c19999",
      ["tool.call 59997+59999 success", ["note.read 59998 success"]]
    ])
  })
})

describe("a run that effect-audit/ai has recorded", () => {
  const bot = RequestContext.agentRun({ id: "bot", version: "1.4", model: "m-1", runId: "run1" })
  const generate = (prompt: Prompt.RawInput) =>
    LanguageModel.generateText({ prompt, toolkit: Tools }).pipe(bot, within())

  it.effect("has each call in its step, requests with who has agreed, and what it cost", () =>
    Effect.gen(function*() {
      const { content } = yield* generate("go")
      const history = Prompt.concat(Prompt.make("go"), Prompt.fromResponseParts(content))
      const [pending] = AuditAi.pendingApprovals(history)
      assert(pending !== undefined)
      const part = yield* AuditAi.approve(pending, { reason: "he asked for it" }).pipe(
        within({ actor: { type: "human", id: "boss" } })
      )
      yield* generate(Prompt.fromMessages([...history.content, Prompt.makeMessage("tool", { content: [part] })]))
      const run = Run.make("run1", yield* Stream.runCollect(AuditTrail.stream(log)))
      // Where exactly, calls that are made at the same time do not promise.
      assert.deepStrictEqual(JSON.parse(JSON.stringify(run?.steps.map(short)).replace(/ \d+(?:\+\d+)?/g, "")), [
        ["step c1", ["tool.call success"]],
        ["step c2", ["tool.call failure"]],
        ["step c3", ["tool.approval_requested success", ["tool.approve success"]], ["tool.call success"]],
        ["model.call success"],
        ["model.call success"]
      ])
      assert.deepInclude(run?.run, { tool_calls: 3, failures: 1, model_calls: 2, input_tokens: 20, output_tokens: 10 })
      assert.deepInclude(run?.agent, { agent_id: "bot", version: "1.4", model: "m-1", user_id: "u1" })
    }).pipe(Effect.provide(
      agent([
        [
          call("search", { query: "abc" }, "c1"),
          call("search", { query: "nothing" }, "c2"),
          call("send", { to: "x" }, "c3"),
          finish("tool-calls")
        ],
        [finish()]
      ]).layer
    )))
})
