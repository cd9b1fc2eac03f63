/** Tool calls of a scripted model: none runs unrecorded, and no result is told that is not recorded. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Schedule, Schema, Stream } from "effect"
import { type AuditLogger, RequestContext } from "effect-audit"
import { AuditAi } from "effect-audit/ai"
import { AuditTest } from "effect-audit/test"
import { AuditTrail } from "effect-audit/trail"
import { Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { log, within } from "../support.ts"
import { agent, Began, call, Done, finish, told, Tools } from "./scripted.ts"

const generate = Effect.asVoid(LanguageModel.generateText({ prompt: "go", toolkit: Tools }))
const stream = Stream.runDrain(LanguageModel.streamText({ prompt: "go", toolkit: Tools }))

describe("a recorded model", () => {
  const turn = [
    { type: "response-metadata", id: "resp1", modelId: "m-1", timestamp: undefined, request: undefined } as const,
    call("search", { query: "kim@example.com" }, "c1"),
    call("search", { query: "nothing" }, "c2"),
    call("search", { query: 7 }, "c3"),
    finish("tool-calls")
  ]
  for (const [name, run] of [["generateText", generate], ["streamText", stream]] as const) {
    it.effect(`${name} records the intent of each tool call, then its result, and what the call cost`, () =>
      Effect.gen(function*() {
        yield* run.pipe(within({ actor: { type: "agent", id: "bot", onBehalfOf: "u1" }, runId: "run1" }))
        assert.sameMembers([...(yield* told)], [
          "tool.call intent search",
          "tool.call intent search",
          "tool.call intent search",
          "tool.call result search success",
          "tool.call result search failure NotFound",
          "tool.call result search failure InvalidParameters",
          "model.call m-1 success"
        ])
        assert.deepStrictEqual(yield* Done, ["search kim@example.com", "search nothing"])
        const events = yield* AuditTest.events()
        const cost = events.at(-1)
        assert.strictEqual(cost?.storage_class, "cost")
        assert.deepInclude(cost?.metadata, {
          operation: name,
          response_id: "resp1",
          finish_reason: "tool-calls",
          input_tokens: 10,
          cache_read_input_tokens: 3,
          output_tokens: 5
        })
        assert.isUndefined(cost?.input)
        const ofFirst = events.filter(({ metadata }) => metadata["tool_call_id"] === "c1")
        assert.strictEqual(new Set(ofFirst.map(({ operation_id }) => operation_id)).size, 1)
        assert.deepStrictEqual(ofFirst.map(({ run_id, step_id, user_id }) => [run_id, step_id, user_id].map(String)), [
          ["run1", "c1", "u1"],
          ["run1", "c1", "u1"]
        ])
        assert.deepStrictEqual(ofFirst[0]?.input, { query: "[EMAIL]" })
        assert.deepStrictEqual(ofFirst[1]?.output, { hits: 15 })
      }).pipe(Effect.provide(agent([turn]).layer)))
  }

  it.effect("records a failure that ends the call, a defect, and a tool of which a result cannot be encoded", () =>
    Effect.gen(function*() {
      const first = yield* Effect.exit(generate.pipe(within()))
      assert.isTrue(Exit.isFailure(first))
      assert.deepStrictEqual(yield* told, [
        "tool.call intent strict",
        "tool.call result strict failure NotFound",
        "model.call unknown failure NotFound"
      ])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(generate.pipe(within()))))
      assert.deepStrictEqual((yield* told).slice(3), [
        "tool.call intent strict",
        "tool.call result strict failure ToolParameterValidationError",
        "model.call unknown failure ToolParameterValidationError"
      ])
      assert.isTrue(Exit.hasDies(yield* Effect.exit(generate.pipe(within()))))
      assert.deepStrictEqual((yield* told).slice(6), [
        "tool.call intent search",
        "tool.call result search failure Defect",
        "model.call unknown failure Defect"
      ])
      for (const run of [generate, stream]) {
        const before = (yield* told).length
        assert.isTrue(Exit.isFailure(yield* Effect.exit(run.pipe(within()))))
        assert.deepStrictEqual((yield* told).slice(before), [
          "tool.call intent count",
          "tool.call result count failure ToolResultEncodingError",
          "model.call unknown failure ToolResultEncodingError"
        ])
      }
    }).pipe(
      Effect.provide(
        agent([
          [call("strict", { n: -1 })],
          [call("strict", { n: "x" })],
          [call("search", { query: "die" })],
          [call("count", { n: 12 })],
          [call("count", { n: 12 })]
        ]).layer
      )
    ))

  it.effect("records a call of a tool that there is not as a failure, and the model's answer with it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(generate.pipe(within()))
      assert.strictEqual(error._tag, "AiError")
      assert.deepStrictEqual(yield* told, ["model.call unknown failure InvalidOutputError"])
      const deferred = LanguageModel.generateText({
        prompt: "go",
        toolkit: Tools,
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      })
      yield* deferred.pipe(within())
      assert.deepStrictEqual((yield* told).slice(1), [
        "tool.requested nope failure ToolNotFoundError",
        "tool.requested search success",
        "model.call unknown success"
      ])
      // An application that runs the tools itself is recorded where it does so.
      const tools = yield* AuditAi.toolkit(Tools)
      const unknown: Effect.Effect<unknown, unknown, AuditLogger.AuditLogger | RequestContext.RequestContext> = Reflect
        .apply(tools.handle, tools, ["nope", {}, "c9"])
      yield* Effect.exit(unknown.pipe(within()))
      assert.deepStrictEqual((yield* told).slice(4), [
        "tool.call intent nope",
        "tool.call result nope failure ToolNotFoundError"
      ])
    }).pipe(
      Effect.provide(agent([[call("nope", {})], [call("nope", {}), call("search", { query: "a" }, "c2")]]).layer)
    ))

  it.effect("records what the provider ran itself, from the response", () =>
    Effect.gen(function*() {
      yield* generate.pipe(within())
      const expected = ["tool.call search success", "tool.call strict success", "model.call unknown success"]
      assert.deepStrictEqual(yield* told, expected)
      yield* stream.pipe(within())
      assert.deepStrictEqual((yield* told).slice(3), expected)
      const [first] = yield* AuditTest.events()
      assert.deepStrictEqual([first?.input, first?.output], [{ query: "abc" }, { hits: 3 }])
      assert.isTrue(first?.metadata["provider_executed"])
      assert.deepStrictEqual(yield* Done, [])
    }).pipe(Effect.provide(
      agent(Array.from({ length: 2 }, () => [
        { ...call("search", { query: "abc" }), providerExecuted: true },
        { ...call("strict", { n: 1 }, "c2"), providerExecuted: true },
        {
          type: "tool-result",
          id: "c1",
          name: "search",
          result: { hits: 3 },
          isFailure: false,
          providerExecuted: true
        },
        finish()
      ])).layer
    )))

  it.effect("records calls that an incomplete response has cut off", () =>
    Effect.gen(function*() {
      yield* generate.pipe(within())
      assert.deepStrictEqual(yield* told, ["tool.call search failure Interrupted", "model.call unknown success"])
      assert.deepStrictEqual(yield* Done, [])
      yield* stream.pipe(within())
      assert.deepStrictEqual((yield* told).slice(2), [
        "tool.call intent search",
        "tool.call result search failure Interrupted",
        "model.call unknown success"
      ])
    }).pipe(Effect.provide(
      agent([
        [call("search", { query: "a" }), finish("length")],
        [
          call("search", { query: "wait" }),
          { type: "text", text: "and" },
          { type: "text", text: "so" },
          finish("length")
        ]
      ]).layer
    )))

  it.live("leaves the intent of a run that is interrupted, and nothing else", () =>
    Effect.gen(function*() {
      for (const run of [generate, stream]) {
        const before = (yield* told).length
        const fiber = yield* Effect.forkChild(run.pipe(within()))
        yield* Queue.take(yield* Began)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual((yield* told).slice(before), ["tool.call intent search"])
      }
      const unfinished = yield* Stream.runCollect(AuditTrail.unfinished(log))
      assert.strictEqual(unfinished.length, 2)
    }).pipe(
      Effect.provide(
        agent(Array.from({ length: 2 }, () => [call("search", { query: "wait" }), { type: "text", text: "x" }])).layer
      )
    ))

  it.effect("refuses without a context, and runs nothing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(generate)
      assert.include(String(error), "There is no RequestContext")
      assert.deepInclude(error, { module: "AuditAi", method: "model.call" })
      assert.deepStrictEqual(yield* Done, [])
    }).pipe(Effect.provide(agent([[call("search", { query: "a" })]]).layer)))

  it.effect("keeps the result of a tool whose answer is too large for the log, without the answer", () =>
    Effect.gen(function*() {
      yield* generate.pipe(within())
      assert.deepStrictEqual(yield* told, [
        "tool.call intent search",
        "tool.call result search success",
        "model.call unknown success"
      ])
      const result = (yield* AuditTest.events())[1]
      assert.isUndefined(result?.output)
      assert.include(String(result?.metadata["output_omitted"]), "exceeds")
    }).pipe(Effect.provide(agent([[call("search", { query: "big" })]], { limits: { maxBytes: 500 } }).layer)))

  it.effect("records prompts and answers where that is asked for, stripped", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      yield* LanguageModel.generateText({ prompt: "write to kim@example.com" }).pipe(within())
      const [event] = yield* AuditTest.events()
      assert.strictEqual(event?.duration_ms, 0)
      assert.deepStrictEqual(event?.input, [{ role: "user", content: [{ type: "text", text: "write to [EMAIL]" }] }])
      assert.strictEqual(event?.output, "Sure, [EMAIL]")
    }).pipe(
      Effect.provide(
        agent([[{ type: "text", text: "Sure, kim@" }, { type: "text", text: "example.com" }]], { captureContent: true })
          .layer
      )
    ))

  it.effect("fails with what it is of, where it cannot be recorded", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "go" }).pipe(within()))
      assert.deepInclude(error, { module: "AuditAi", method: "model.call" })
      assert.strictEqual(AuditAi.auditErrorOf(error)?.reason._tag, "SinkFull")
    }).pipe(Effect.provide(agent([[finish()]], { medium: AuditTest.failing("SinkFull") }).layer)))

  it.effect("records each call once where the toolkit is recorded too, and generateObject and Chat", () =>
    Effect.gen(function*() {
      const toolkit = AuditAi.toolkit(Tools)
      yield* LanguageModel.generateText({ prompt: "go", toolkit }).pipe(within())
      const once = ["tool.call intent search", "tool.call result search success", "model.call unknown success"]
      assert.deepStrictEqual(yield* told, once)
      const schema = Schema.Struct({ a: Schema.Number })
      yield* LanguageModel.generateObject({ prompt: "go", toolkit, schema }).pipe(within())
      assert.deepStrictEqual((yield* told).slice(3), once)
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "go", toolkit }).pipe(within())
      assert.deepStrictEqual((yield* told).slice(6), once)
    }).pipe(
      Effect.provide(
        agent(Array.from({ length: 3 }, () => [call("search", { query: "a" }), { type: "text", text: "{\"a\":1}" }]))
          .layer
      )
    ))

  for (const reason of ["SinkUnavailable", "CommitUnknown"] as const) {
    for (const [name, run] of [["generateText", generate], ["streamText", stream]] as const) {
      it.live(`${name} runs no tool unrecorded, and tells no result that is not: ${reason} at any time`, () =>
        Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], (after) =>
          Effect.gen(function*() {
            const exit = yield* Effect.exit(run.pipe(within()))
            // A call beside the one that failed may still be at its event, which is stored or not, and told to no one.
            const events = yield* Effect.repeat(told, {
              until: (all) => all.length >= Math.min(after, 9),
              schedule: Schedule.spaced(5),
              times: 400
            })
            // Two events of each of three calls, a request, a call of the provider's, and what it cost.
            assert.strictEqual(Exit.isFailure(exit), after < 9)
            if (Exit.isSuccess(exit)) return
            const intents = events.filter((event) => event.startsWith("tool.call intent"))
            const results = events.filter((event) => event.startsWith("tool.call result"))
            const done = yield* Done
            assert.strictEqual(events.length, after)
            // What is recorded of a call comes before the tool runs, and before anyone is told of its result.
            assert.isAtMost(done.length, intents.length)
            assert.isAtMost(results.length, done.length)
            const audits = exit.cause.reasons.flatMap((reason) =>
              reason._tag === "Fail" ? [AuditAi.auditErrorOf(reason.error)] : []
            )
            assert.include(audits.map((error) => error?.reason._tag), reason)
          }).pipe(
            Effect.provide(
              agent([[
                call("search", { query: "a" }),
                call("strict", { n: 1 }, "c2"),
                call("search", { query: "nothing" }, "c3"),
                call("send", { to: "x" }, "c4"),
                { ...call("search", { query: "b" }, "c5"), providerExecuted: true },
                finish("tool-calls")
              ]], { medium: AuditTest.failing(reason, { after }), deadline: 20 }).layer
            )
          ), { discard: true }))
    }
  }

  const ranBefore = { ...call("search", { query: "abc" }, "p1"), providerExecuted: true }

  it.effect("records what the provider ran though the response has no end, and what a reader has left", () =>
    Effect.gen(function*() {
      const ran = ["tool.call search success", "model.call unknown success"]
      yield* generate.pipe(within())
      assert.deepStrictEqual(yield* told, ran)
      yield* stream.pipe(within())
      assert.deepStrictEqual((yield* told).slice(2), ran)
      yield* LanguageModel.streamText({ prompt: "go", toolkit: Tools }).pipe(Stream.take(1), Stream.runDrain, within())
      assert.deepStrictEqual((yield* told).slice(4), ran)
    }).pipe(Effect.provide(agent([[ranBefore], [ranBefore], [ranBefore, finish()]]).layer)))

  it.effect("keeps a call of a model whose prompt is too large for the log, without it", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText({ prompt: "x".repeat(300_000) }).pipe(within())
      const [event] = yield* AuditTest.events()
      assert.include(String(event?.metadata["content_omitted"]), "exceeds")
      assert.isUndefined(event?.input)
      // A provider that names no model.
      assert.strictEqual(event?.resource?.id, "unknown")
    }).pipe(
      Effect.provide(
        agent([[
          { type: "response-metadata", id: "", modelId: "", timestamp: undefined },
          finish()
        ]], { captureContent: true }).layer
      )
    ))

  const Spoof = Tool.make("spoof", {
    failure: Schema.Struct({ type: Schema.String, reason: Schema.String }),
    failureMode: "return"
  })
  const Spoofs = Toolkit.make(Spoof)

  it.effect("takes a failure that looks like a refusal for a failure", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText({ prompt: "go", toolkit: Spoofs }).pipe(within())
      assert.deepStrictEqual(yield* told, [
        "tool.call intent spoof",
        "tool.call result spoof failure Error",
        "model.call unknown success"
      ])
    }).pipe(
      Effect.provide(Spoofs.toLayer({ spoof: () => Effect.fail({ type: "execution-denied", reason: "r" }) })),
      Effect.provide(agent([[call("spoof", {}), finish()]]).layer)
    ))

  it.effect("records once: a copy of a recorded toolkit, and a model that is recorded twice", () => {
    const { layer, prompts } = agent([[call("search", { query: "a" }), finish()]])
    return Effect.gen(function*() {
      const toolkit = { ...yield* AuditAi.toolkit(Tools) }
      yield* LanguageModel.generateText({ prompt: "go", toolkit }).pipe(within())
      assert.lengthOf(prompts, 1)
      assert.lengthOf(yield* told, 3)
    }).pipe(Effect.provide(AuditAi.layerLanguageModel()), Effect.provide(layer))
  })

  it.effect("records calls of an agent in a tool of an agent, each in its own run", () => {
    const Ask = Tool.make("ask", { parameters: Schema.Struct({ q: Schema.String }), success: Schema.String })
    const Asks = AuditAi.toolkit(Toolkit.make(Ask))
    const inner = LanguageModel.generateText({ prompt: "go", toolkit: AuditAi.toolkit(Tools) }).pipe(
      RequestContext.agentRun({ id: "sub", runId: "run2" }),
      Effect.as("done"),
      Effect.orDie
    )
    return Effect.gen(function*() {
      const context = yield* Effect.context<LanguageModel.LanguageModel | Tool.HandlersFor<typeof Tools.tools>>()
      yield* LanguageModel.generateText({ prompt: "go", toolkit: Asks }).pipe(
        Effect.provide(Asks.toLayer({ ask: () => Effect.provide(inner, context) })),
        within({ actor: { type: "agent", id: "bot", onBehalfOf: "u1" }, runId: "run1" })
      )
      assert.deepStrictEqual(yield* told, [
        "tool.call intent ask",
        "tool.call intent search",
        "tool.call result search success",
        "model.call unknown success",
        "tool.call result ask success",
        "model.call unknown success"
      ])
      const nested = (yield* AuditTest.events())[1]
      assert.deepStrictEqual([nested?.run_id, nested?.agentId, nested?.user_id].map(String), ["run2", "sub", "u1"])
      assert.deepStrictEqual(nested?.delegation?.map(({ id }) => String(id)), ["sub", "bot"])
    }).pipe(Effect.provide(
      agent([[call("ask", { q: "x" }), finish()], [call("search", { query: "a" }, "c2"), finish()]]).layer
    ))
  })

  const Slow = Tool.make("", { parameters: Schema.Struct({}), success: Schema.Number })
  const Slows = AuditAi.toolkit(Toolkit.make(Slow))

  it.effect("records the final result of a tool that has preliminary ones, in the step that it is called in", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const tools = yield* Slows
      const run = (id: string | undefined) =>
        Stream.unwrap(tools.handle("", {}, id)).pipe(
          Stream.runForEach(({ encodedResult }) => Effect.sync(() => seen.push(Number(encodedResult)))),
          within()
        )
      yield* run("c1")
      yield* run(undefined)
      yield* run("no step's id")
      yield* Stream.unwrap(tools.handle("", {}, "c2")).pipe(Stream.runDrain, RequestContext.step("7"), within())
      assert.deepStrictEqual(seen, [1, 2, 3, 1, 2, 3, 1, 2, 3])
      const events = yield* AuditTest.events()
      assert.deepStrictEqual(events.filter(({ phase }) => phase === "result").map(({ output }) => output), [3, 3, 3, 3])
      assert.deepStrictEqual(
        events.filter(({ phase }) => phase === "result").map(({ step_id }) => step_id && String(step_id)),
        [
          "c1",
          undefined,
          undefined,
          "7"
        ]
      )
      assert.isTrue(events.every(({ duration_ms = 0 }) => duration_ms < 60_000))
      assert.deepStrictEqual(events[0]?.resource, { type: "tool", id: "unnamed" })
      assert.isFalse("tool_call_id" in (events[2]?.metadata ?? {}))
      assert.strictEqual(events[4]?.metadata["tool_call_id"], "no step's id")
    }).pipe(
      Effect.provide(Slows.toLayer({
        "": (_, { preliminary }) => Effect.as(Effect.andThen(preliminary(1), preliminary(2)), 3)
      })),
      Effect.provide(AuditTest.layer())
    ))
})
