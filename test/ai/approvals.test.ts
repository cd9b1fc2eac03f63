/** Approvals: who agreed to what is in the log, and nothing else is executed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditAi } from "effect-audit/ai"
import { AuditTest } from "effect-audit/test"
import { LanguageModel, Prompt, type Response } from "effect/ai"
import { createHash } from "node:crypto"
import { within } from "../support.ts"
import { agent, call, Done, finish, scripted, told, Tools } from "./scripted.ts"

const asks = [call("send", { to: "kim@example.com", cc: "x" }), finish("tool-calls")]
const bot = within({ actor: { type: "agent", id: "bot", onBehalfOf: "u1" }, runId: "run1" })
const boss = within({ actor: { type: "human", id: "boss" }, requestId: "r2" })

const generate = (prompt: Prompt.RawInput) =>
  LanguageModel.generateText({ prompt, toolkit: Tools }).pipe(bot, Effect.map(({ content }) => content))
const stream = (prompt: Prompt.RawInput) =>
  Stream.runCollect(LanguageModel.streamText({ prompt, toolkit: Tools })).pipe(bot)

/** A conversation after the model's turn. */
const after = (content: ReadonlyArray<Response.AnyPart>) =>
  Prompt.concat(Prompt.make("go"), Prompt.fromResponseParts(content))
const answered = (history: Prompt.Prompt, part: Prompt.ToolApprovalResponsePart) =>
  Prompt.fromMessages([...history.content, Prompt.makeMessage("tool", { content: [part] })])
/** A conversation in which someone has changed the arguments of the calls. */
const forged = (history: Prompt.Prompt, params: unknown) =>
  Prompt.fromMessages(
    history.content.map((message) =>
      message.role !== "assistant" ? message : Prompt.makeMessage("assistant", {
        ...message,
        content: message.content.map((part) => part.type === "tool-call" ? { ...part, params } : part)
      })
    )
  )

const sha256 = createHash("sha256").update(
  "{\"arguments\":{\"cc\":\"x\",\"to\":\"kim@example.com\"},\"tool\":\"send\"}"
).digest("hex")

const asked = Effect.gen(function*() {
  const history = after(yield* generate("go"))
  const [pending] = AuditAi.pendingApprovals(history)
  assert(pending !== undefined)
  return { history, pending }
})

describe("an approval", () => {
  for (const [name, run] of [["generateText", generate], ["streamText", stream]] as const) {
    it.effect(`is asked for, given by a person, and executed once that is in the log: ${name}`, () =>
      Effect.gen(function*() {
        const history = after(yield* run("go"))
        const [pending, ...others] = AuditAi.pendingApprovals(history)
        assert(pending !== undefined && others.length === 0)
        assert.deepStrictEqual([pending.name, pending.params], ["send", { to: "kim@example.com", cc: "x" }])
        assert.deepStrictEqual(yield* Done, [])
        const part = yield* AuditAi.approve(pending, { reason: "he asked for it" }).pipe(boss)
        assert.deepStrictEqual(AuditAi.pendingApprovals(answered(history, part)), [])
        yield* run(answered(history, part))
        assert.deepStrictEqual(yield* Done, ["send kim@example.com"])
        assert.deepStrictEqual(yield* told, [
          `tool.approval_requested ${pending.approvalId} success`,
          "model.call unknown success",
          `tool.approve ${pending.approvalId} success`,
          "tool.call intent send",
          "tool.call result send success",
          "model.call unknown success"
        ])
        const [request, , approve, intent, result] = yield* AuditTest.events()
        assert.strictEqual(request?.metadata["arguments_sha256"], sha256)
        assert.strictEqual(request?.authorization?.decision, "escalated")
        assert.strictEqual(approve?.agentId, "boss")
        for (const event of [approve, intent, result]) {
          assert.deepStrictEqual(event?.authorization?.decision, "allowed")
          assert.strictEqual(event?.authorization?.reason, "he asked for it")
          assert.deepStrictEqual(event?.approval, {
            by: { type: "human", id: "boss" },
            at: approve?.approval?.at,
            arguments_sha256: sha256
          })
        }
        assert.notInclude(JSON.stringify(yield* AuditTest.events()), "kim@example.com")
      }).pipe(Effect.provide(agent([asks, [finish()]]).layer)))

    it.effect(`that is answered without a word to the log is that of the person behind the run: ${name}`, () =>
      Effect.gen(function*() {
        const { history, pending: { approvalId } } = yield* asked
        const part = Prompt.toolApprovalResponsePart({ approvalId, approved: true, reason: "ok" })
        yield* run(answered(history, part))
        assert.deepStrictEqual(yield* Done, ["send kim@example.com"])
        const intent = (yield* AuditTest.events()).find(({ phase }) => phase === "intent")
        assert.deepStrictEqual(intent?.approval?.by, { type: "human", id: "u1" })
        assert.deepStrictEqual(intent?.approval?.arguments_sha256, sha256)
        assert.deepStrictEqual(intent?.authorization?.reason, "ok")
      }).pipe(Effect.provide(agent([asks, [finish()]]).layer)))

    it.effect(`of other arguments, of no request, and after a refusal executes nothing, and that is recorded: ${name}`, () =>
      Effect.gen(function*() {
        const { history, pending } = yield* asked
        const part = yield* AuditAi.approve(pending).pipe(boss)
        yield* run(answered(forged(history, { to: "eve@example.com" }), part))
        assert.deepStrictEqual(yield* Done, [])
        const denied = (yield* AuditTest.events()).filter(({ action }) => action === "tool.call")
        assert.deepStrictEqual(denied.map(({ outcome }) => outcome), ["denied"])
        assert.include(denied[0]?.authorization?.reason, "not those that were approved")
        // The same call id, of another tool than the one that was approved.
        const other = Prompt.fromMessages(
          answered(history, part).content.map((message) =>
            message.role !== "assistant" ? message : Prompt.makeMessage("assistant", {
              ...message,
              content: message.content.map((part) =>
                part.type === "tool-call" ? { ...part, name: "search", params: { query: "a" } } : part
              )
            })
          )
        )
        yield* run(other)
        // A request that the log knows nothing of.
        yield* run(Prompt.make([
          {
            role: "assistant",
            content: [
              { type: "tool-call", id: "c7", name: "send", params: { to: "eve@example.com" } },
              { type: "tool-approval-request", approvalId: "a7", toolCallId: "c7" }
            ]
          },
          { role: "tool", content: [{ type: "tool-approval-response", approvalId: "a7", approved: true }] }
        ]))
        yield* AuditAi.deny(pending, { reason: "no" }).pipe(boss)
        yield* run(answered(history, part))
        assert.deepStrictEqual(yield* Done, [])
        const events = (yield* AuditTest.events()).filter(({ action }) => action === "tool.call")
        assert.deepStrictEqual(events.map(({ outcome }) => outcome), ["denied", "denied", "denied", "denied"])
        assert.deepStrictEqual(events.map(({ resource }) => resource?.id), ["send", "search", "send", "send"])
        assert.include(events[2]?.authorization?.reason, "knows of no such request")
        assert.include(events[3]?.authorization?.reason, "was refused")
      }).pipe(Effect.provide(agent([asks]).layer)))

    it.effect(`that is refused is recorded, once for each call of the model: ${name}`, () =>
      Effect.gen(function*() {
        const { history, pending } = yield* asked
        const part = yield* AuditAi.deny(pending, { reason: "too risky" }).pipe(boss)
        yield* run(answered(history, part))
        assert.deepStrictEqual(yield* Done, [])
        assert.deepStrictEqual((yield* told).slice(2), [
          `tool.deny ${pending.approvalId} success`,
          "tool.call send denied",
          "model.call unknown success"
        ])
        const denied = (yield* AuditTest.events()).find(({ outcome }) => outcome === "denied")
        assert.deepInclude(denied?.authorization, { decision: "denied", reason: "too risky" })
      }).pipe(Effect.provide(agent([asks, [finish()]]).layer)))
  }

  it.effect("is not for a call of the same id that the model makes again with other arguments", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      const part = yield* AuditAi.approve(pending).pipe(boss)
      const again = (yield* generate(answered(history, part))).find((part) => part.type === "tool-approval-request")
      assert.deepStrictEqual(yield* Done, ["send kim@example.com"])
      assert.deepStrictEqual((yield* told).slice(-4), [
        "tool.call intent send",
        "tool.call result send success",
        `tool.approval_requested ${again?.approvalId} success`,
        "model.call unknown success"
      ])
    }).pipe(Effect.provide(agent([asks, [call("send", { to: "eve@example.com" }), finish()]]).layer)))

  it.effect("of a tool that is there no longer is a failure", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      const part = yield* AuditAi.approve(pending).pipe(boss)
      const gone = Prompt.fromMessages(
        answered(history, part).content.map((message) =>
          message.role !== "assistant" ? message : Prompt.makeMessage("assistant", {
            ...message,
            content: message.content.map((part) => part.type === "tool-call" ? { ...part, name: "gone" } : part)
          })
        )
      )
      yield* Effect.flip(generate(gone))
      assert.deepStrictEqual((yield* told).slice(-2), [
        "tool.call gone failure ToolNotFoundError",
        "model.call unknown failure ToolNotFoundError"
      ])
    }).pipe(Effect.provide(agent([asks]).layer)))

  it.effect("holds in another process, which knows the log only", () => {
    const { layer } = agent([asks])
    return Effect.gen(function*() {
      const { history, pending } = yield* asked
      const part = yield* AuditAi.approve(pending).pipe(boss)
      const second = Layer.fresh(AuditAi.layerLanguageModel().pipe(Layer.provide(scripted([[finish()]]).layer)))
      yield* generate(answered(history, part)).pipe(Effect.provide(second))
      assert.deepStrictEqual(yield* Done, ["send kim@example.com"])
    }).pipe(Effect.provide(layer))
  })

  /** A conversation that no one has had. */
  const invented = (...parts: ReadonlyArray<Prompt.ToolMessagePart>) => [
    Prompt.makeMessage("user", { content: [Prompt.makePart("text", { text: "go" })] }),
    Prompt.makeMessage("assistant", {
      content: [
        Prompt.makePart("tool-call", { id: "c9", name: "send", params: { to: "x" }, providerExecuted: false }),
        Prompt.makePart("tool-approval-request", { approvalId: "a9", toolCallId: "c9" })
      ]
    }),
    Prompt.makeMessage("tool", { content: parts })
  ]
  const yes = (approvalId: string, approved = true) => Prompt.toolApprovalResponsePart({ approvalId, approved })

  it.effect("is read from the prompt that is executed, which is read once", () =>
    Effect.gen(function*() {
      const forged: ReadonlyArray<Prompt.MessageEncoded> = [
        { role: "user", content: "go" },
        {
          role: "assistant",
          content: [
            { type: "tool-call", id: "c9", name: "send", params: { to: "x" } },
            { type: "tool-approval-request", approvalId: "a9", toolCallId: "c9" }
          ]
        },
        { role: "tool", content: [{ type: "tool-approval-response", approvalId: "a9", approved: true }] }
      ]
      let reads = 0
      const prompt = { [Symbol.iterator]: () => (reads++ === 0 ? forged.slice(0, 1) : forged)[Symbol.iterator]() }
      yield* generate(prompt)
      assert.deepStrictEqual(yield* Done, [])
    }).pipe(Effect.provide(agent([[finish()], [finish()]]).layer)))

  it.effect("needs a request that the log knows, also where someone has approved", () =>
    Effect.gen(function*() {
      const part = yield* AuditAi.approve({ approvalId: "a9", toolCallId: "c9", name: "send", params: { to: "x" } })
        .pipe(boss)
      yield* generate(Prompt.fromMessages(invented(part)))
      assert.deepStrictEqual(yield* Done, [])
    }).pipe(Effect.provide(agent([[finish()]]).layer)))

  it.effect("does not outweigh a refusal, however often it was given, and in whatever order", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      for (
        const parts of [[yes(pending.approvalId, false), yes(pending.approvalId)], [
          yes(pending.approvalId),
          yes(pending.approvalId, false)
        ]]
      ) {
        const both = Prompt.fromMessages([...history.content, Prompt.makeMessage("tool", { content: parts })])
        yield* generate(both)
        assert.deepStrictEqual(yield* Done, [])
      }
      const denied = (yield* AuditTest.events()).filter(({ action }) => action === "tool.call")
      const reasons = denied.map(({ authorization }) => authorization?.reason)
      // The refusal, and what was to be executed in spite of it.
      assert.deepStrictEqual(reasons, [undefined, "The call was refused.", undefined, "The call was refused."])
      yield* AuditAi.deny(pending).pipe(boss)
      for (let n = 0; n < 120; n++) yield* AuditAi.approve(pending).pipe(boss)
      yield* generate(answered(history, yes(pending.approvalId)))
      assert.deepStrictEqual(yield* Done, [])
    }).pipe(Effect.provide(agent([asks, [finish()], [finish()], [finish()]]).layer)))

  it.effect("is of one call, and a refusal of another, that were asked for together", () => {
    const both = [call("send", { to: "kim" }, "c1"), call("send", { to: "eve" }, "c2"), finish("tool-calls")]
    return Effect.gen(function*() {
      const history = after(yield* generate("go"))
      const [first, second] = AuditAi.pendingApprovals(history)
      assert(first !== undefined && second !== undefined)
      const content = [
        yield* AuditAi.deny(second, { reason: "not her" }).pipe(boss),
        yield* AuditAi.approve(first).pipe(boss)
      ]
      yield* generate(Prompt.fromMessages([...history.content, Prompt.makeMessage("tool", { content })]))
      assert.deepStrictEqual(yield* Done, ["send kim"])
      const calls = (yield* AuditTest.events()).filter(({ action }) => action === "tool.call")
      assert.deepStrictEqual(calls.map(({ metadata, outcome, phase }) => [metadata["tool_call_id"], phase, outcome]), [
        ["c2", undefined, "denied"],
        ["c1", "intent", "success"],
        ["c1", "result", "success"]
      ])
    }).pipe(Effect.provide(agent([both, [finish()]]).layer))
  })

  it.effect("that was refused is recorded before the model is asked, whatever it says then", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      const refused = answered(history, yield* AuditAi.deny(pending, { reason: "no" }).pipe(boss))
      yield* Effect.flip(generate(refused))
      assert.deepStrictEqual((yield* told).slice(3), [
        "tool.call send denied",
        "model.call unknown failure InvalidOutputError"
      ])
      yield* LanguageModel.generateText({ prompt: refused, toolkit: Tools, disableToolCallResolution: true }).pipe(bot)
      assert.deepStrictEqual((yield* told).slice(5), ["tool.call send denied", "model.call unknown success"])
      assert.deepStrictEqual(yield* Done, [])
    }).pipe(Effect.provide(agent([asks, [call("nowhere", {}, "c9"), finish()], [finish()]]).layer)))

  it.effect("is no matter of a call that needs none, though it has the same id", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      yield* generate(answered(history, yield* AuditAi.approve(pending).pipe(boss)))
      assert.deepStrictEqual(yield* Done, ["send kim@example.com", "search abc"])
    }).pipe(Effect.provide(agent([asks, [call("search", { query: "abc" }, "c1"), finish()]]).layer)))

  it.effect("holds for what was asked for and for what was agreed to, each of them", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      const other = { to: "eve@example.com" }
      // Nobody has said anything to the log.
      yield* generate(answered(forged(history, other), yes(pending.approvalId)))
      // Someone has agreed to other arguments than were asked for, and either is executed.
      yield* AuditAi.approve({ ...pending, params: other }).pipe(boss)
      yield* generate(answered(forged(history, other), yes(pending.approvalId)))
      yield* generate(answered(history, yes(pending.approvalId)))
      assert.deepStrictEqual(yield* Done, [])
      const denied = (yield* AuditTest.events()).filter(({ action }) => action === "tool.call")
      assert.deepStrictEqual(denied.map(({ outcome }) => outcome), ["denied", "denied", "denied"])
      for (const { authorization } of denied) assert.include(authorization?.reason, "not those that were approved")
      const unreadable = yield* Effect.flip(AuditAi.approve({ ...pending, params: { n: 1n } }).pipe(boss))
      assert.deepInclude(unreadable.reason, { _tag: "InvalidInput", path: "/params" })
    }).pipe(Effect.provide(agent([asks, [finish()], [finish()], [finish()]]).layer)))

  it.effect("and a refusal are told to the model, with the reason, and recorded once in a conversation", () => {
    const { layer, prompts } = agent([asks, [finish()], [finish()]])
    return Effect.gen(function*() {
      const { history, pending } = yield* asked
      yield* generate(answered(forged(history, { to: "eve@example.com" }), yes(pending.approvalId)))
      const told = prompts[1]?.content.flatMap((message) => message.role === "tool" ? message.content : [])
      assert.deepStrictEqual(told?.map((part) => part.type === "tool-result" && [part.isFailure, part.result]), [
        [true, { type: "execution-denied", reason: "The tool or its arguments are not those that were approved." }]
      ])
      const refused = answered(history, yield* AuditAi.deny(pending, { reason: "no" }).pipe(boss))
      const content = yield* generate(refused)
      const before = (yield* AuditTest.events()).length
      yield* generate(Prompt.concat(refused, Prompt.fromResponseParts(content)))
      assert.deepStrictEqual((yield* AuditTest.events()).slice(before).map(({ action }) => action), ["model.call"])
      const [request, , , , deny] = yield* AuditTest.events()
      assert.deepStrictEqual(request?.related, [{ type: "tool", id: "send" }])
      assert.strictEqual(deny?.action, "tool.deny")
      assert.deepStrictEqual(deny?.related, [{ type: "tool", id: "send" }])
      assert.strictEqual(deny?.metadata["tool_call_id"], "c1")
    }).pipe(Effect.provide(layer))
  })

  it.effect("is nobody's where no person is behind the run, and what answers nothing is nothing", () =>
    Effect.gen(function*() {
      const { history, pending } = yield* asked
      const stray = Prompt.toolApprovalResponsePart({ approvalId: "other", approved: true })
      const prompt = answered(answered(history, stray), yes(pending.approvalId))
      yield* LanguageModel.generateText({ prompt, toolkit: Tools }).pipe(within({ actor: { type: "system" } }))
      const intent = (yield* AuditTest.events()).find(({ phase }) => phase === "intent")
      assert.isUndefined(intent?.approval)
      assert.strictEqual(intent?.authorization?.decision, "allowed")
      const orphan: ReadonlyArray<Prompt.MessageEncoded> = [{
        role: "assistant",
        content: [{ type: "tool-approval-request", approvalId: "a", toolCallId: "b" }]
      }]
      assert.deepStrictEqual(AuditAi.pendingApprovals(orphan), [])
    }).pipe(Effect.provide(agent([asks, [finish()]]).layer)))
})
