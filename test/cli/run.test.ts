/** `effect-audit run`: a run of an agent as a tree, from a file. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AuditLogger, LoggingEngine, RequestContext } from "effect-audit"
import type { Run } from "effect-audit/trail"
import { sqliteAt, temporaryFile, within } from "../support.ts"
import { run } from "./process.ts"

const shown = (db: string, ...more: ReadonlyArray<string>) =>
  run(["run", "--db", db, "--tenant", "t_acme", "--env", "prod", ...more])

const runAs = RequestContext.agentRun({ id: "bot", version: "1.4", model: "m-1", runId: "run1" })
const triage = RequestContext.agentRun({ id: "triage", runId: "run0" })
const boss = within({ actor: { type: "human", id: "boss" }, requestId: "r2" })

const tool = (id: string, callId: string, operationId: string): AuditLogger.AuditDraft => ({
  action: "tool.call",
  resource: { type: "tool", id },
  operationId,
  metadata: { tool_call_id: callId }
})
const intent = (draft: AuditLogger.AuditDraft) => AuditLogger.emit({ ...draft, phase: "intent" })
const result = (draft: AuditLogger.AuditDraft, more: Partial<AuditLogger.AuditDraft> = {}) =>
  AuditLogger.emit({ ...draft, phase: "result", durationMillis: 12, ...more })
const about = (approvalId: string): Pick<AuditLogger.AuditDraft, "resource" | "related"> => ({
  resource: { type: "tool_approval", id: approvalId },
  related: [{ type: "tool", id: "send" }]
})
const approval = { by: { type: "human", id: "boss" }, at: 0, argumentsSha256: "0".repeat(64) } as const

/** The events of a run as an agent records them, by hand. */
const recorded = Effect.gen(function*() {
  const search = tool("search", "c1", "op1")
  yield* Effect.gen(function*() {
    yield* intent(search)
    yield* AuditLogger.emit({ action: "note.read", resource: { type: "note", id: "n1\u001b[2J\u202e\n└─ x" } })
    yield* result(search)
  }).pipe(RequestContext.step("c1"))
  const failing = tool("search", "c2", "op2")
  yield* intent(failing).pipe(RequestContext.step("c2"))
  yield* result(failing, { outcome: "failure", errorTag: "NotFound" }).pipe(RequestContext.step("c2"))
  yield* AuditLogger.emit({ action: "tool.approval_requested", ...about("a1") })
  yield* LoggingEngine.log({
    action: "model.call",
    storageClass: "cost",
    resource: { type: "model", id: "m-1" },
    durationMillis: 812,
    metadata: {
      operation: "generateText",
      response_model: "m-1-2026",
      finish_reason: "tool-calls",
      input_tokens: 1200,
      output_tokens: 56
    }
  })
  yield* AuditLogger.emit({
    action: "tool.deny",
    ...about("a1"),
    authorization: { decision: "denied", reason: "too risky" },
    approval
  }).pipe(boss)
  yield* AuditLogger.emit({
    ...tool("send", "c3", "op3"),
    outcome: "denied",
    authorization: { decision: "denied", reason: "The call was refused." }
  }).pipe(RequestContext.step("c3"))
  const approved = { ...tool("send", "c4", "op4"), approval }
  yield* Effect.andThen(intent(approved), result(approved)).pipe(RequestContext.step("c4", { tool: "send" }))
  yield* intent(tool("search", "c5", "op5")).pipe(RequestContext.step("c5"))
}).pipe(runAs, triage)

/** A file with that run, and others around it. */
const filled = Effect.gen(function*() {
  const db = yield* temporaryFile
  yield* Effect.gen(function*() {
    yield* AuditLogger.emit({ action: "note.create" })
    yield* recorded
    yield* AuditLogger.emit({ action: "note.create" }).pipe(
      RequestContext.agentRun({ id: "other", runId: "run2" })
    )
  }).pipe(within(), Effect.provide(sqliteAt({ filename: db })))
  return db
})

describe("effect-audit run", () => {
  it.live("prints a run as a tree that a value cannot break out of", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const { code, stderr, stdout } = yield* shown(db, "--run", "run1")
      assert.deepStrictEqual([code, stderr], [0, ""])
      const lines = stdout.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
      assert.strictEqual(
        lines,
        `\
run run1: agent bot 1.4 (m-1) for u1
│ delegated: agent bot ← agent triage
│ TIME to TIME, 11 events
│ 5 tool calls, 1 failure, 1 denied, 1 unfinished, 1 model call (1,200 tokens in, 56 out)
├─ step c1
│  └─ ✓ tool.call search 12 ms
│     └─ ✓ note.read note n1\\u001b[2J\\u202e\\u000a└─ x
├─ step c2
│  └─ ✗ tool.call search NotFound, 12 ms
├─ ✓ tool.approval_requested send
│  └─ ⊘ tool.deny send by human boss, too risky
├─ ✓ model.call generateText m-1-2026 tool-calls, 1,200 tokens in, 56 out, 812 ms
├─ step c3
│  └─ ⊘ tool.call send denied: The call was refused.
├─ step c4
│  └─ ✓ tool.call send 12 ms, approved by human boss
└─ step c5
   └─ … tool.call search unfinished
`
      )
    }))

  it.live("prints the same tree as one JSON object", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const { code, stdout } = yield* shown(db, "--run", "run1", "--json")
      assert.strictEqual(code, 0)
      const found: Run.Run = JSON.parse(stdout)
      assert.deepStrictEqual(Object.keys(found), ["run", "agent", "steps"])
      assert.deepInclude(found.run, { run_id: "run1", events: 11, tool_calls: 5, unfinished: 1, input_tokens: 1200 })
      assert.deepStrictEqual<object>(found.agent, {
        actor_type: "agent",
        agent_id: "bot",
        version: "1.4",
        model: "m-1",
        user_id: "u1",
        delegation: [{ type: "agent", id: "bot" }, { type: "agent", id: "triage" }]
      })
      const [step] = found.steps
      assert.deepInclude(step, { kind: "step", step_id: "c1", position: 2 })
      assert(step?.kind === "step")
      const [entry] = step.children
      assert.deepInclude(entry, {
        kind: "operation",
        position: 2,
        operation_id: "op1",
        action: "tool.call",
        outcome: "success",
        duration_ms: 12,
        tool_call_id: "c1"
      })
      assert.deepInclude(entry?.events[0], { position: 2, phase: "intent" })
      assert.deepInclude(entry?.events[1], { position: 4, phase: "result" })
    }))

  it.live("exits 2 where there is no such run, no such store, or no run is named, and prints nothing", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const missing = yield* shown(db, "--run", "run9")
      assert.deepStrictEqual([missing.code, missing.stdout], [2, ""])
      assert.match(missing.stderr, /there is no event of run run9 in t_acme prod/)
      const unnamed = yield* shown(db)
      assert.deepStrictEqual([unnamed.code, unnamed.stdout], [2, ""])
      assert.match(unnamed.stderr, /--run/)
      const nowhere = yield* shown(`${db}.gone`, "--run", "run1")
      assert.deepStrictEqual([nowhere.code, nowhere.stdout], [2, ""])
      const { code, stdout } = yield* run(["run", "--help"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /EXAMPLES[\s\S]*effect-audit run/)
    }))

  it.live("reads a run of many pages, to its last event", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      yield* Effect.forEach(
        Array.from({ length: 3_000 }, (_, n) => n),
        (n) => AuditLogger.emit({ action: "note.read", resource: { type: "note", id: `n${n}` } }),
        { concurrency: 256, discard: true }
      ).pipe(runAs, within(), Effect.provide(sqliteAt({ filename: db })))
      const { code, stdout } = yield* shown(db, "--run", "run1")
      assert.strictEqual(code, 0)
      const lines = stdout.trimEnd().split("\n")
      assert.strictEqual(lines.length, 3_003)
      assert.match(lines.at(-1) ?? "", /^└─ ✓ note\.read note n\d+$/)
    }))
})
