/** Tool calls of a scripted model: none runs unrecorded, and no result is told that is not recorded. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { AuditTest } from "effect-audit/test"
import { LanguageModel } from "effect/ai"
import { within } from "../support.ts"
import { agent, call, Done, finish, told, Tools } from "./scripted.ts"

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
})
