/** What the parts of a response say, one by one; and a prompt as the content of an event. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Prompt, Response } from "effect/ai"
import { type AnyPart, contentOf, hear, type Heard, unanswered, usageOf } from "../../src/ai/parts.ts"
import { context } from "../support.ts"

/** One response, and what is recorded of it. */
const listening = (more: Partial<Heard> = {}) =>
  Effect.gen(function*() {
    const drafts: Array<AuditLogger.AuditDraft> = []
    const heard: Heard = {
      recorder: {
        context: yield* context({ runId: "run" }),
        logger: AuditLogger.AuditLogger.of({
          emit: (draft) =>
            Effect.map(RequestContext.RequestContext, () => {
              drafts.push(draft)
              return {} as never
            })
        })
      },
      calls: new Map(),
      provided: new Map(),
      open: new Map(),
      settled: new Set(),
      isUnresolved: false,
      tools: () => ({ search: {} }),
      text: [],
      id: undefined,
      model: undefined,
      finish: undefined,
      ...more
    }
    const said = () =>
      drafts.map(({ action, errorTag, input, metadata, outcome, output, resource }) => ({
        action,
        tool: typeof resource === "object" ? resource.id : undefined,
        outcome,
        errorTag,
        input,
        output,
        provider: metadata?.["provider_executed"]
      }))
    return {
      heard,
      said,
      hear: (...parts: ReadonlyArray<unknown>) => Effect.forEach(parts, (part) => hear(heard, part as AnyPart))
    }
  })

const callPart = (id: string, name: string, params: unknown, providerExecuted = false) =>
  Response.makePart("tool-call", { id, name, params, providerExecuted } as never)
const resultPart = (id: string, name: string, result: unknown, more: object = {}) =>
  Response.makePart("tool-result", {
    id,
    name,
    result,
    encodedResult: result,
    isFailure: false,
    providerExecuted: false,
    preliminary: false,
    ...more
  } as never)
const plain = { outcome: undefined, errorTag: undefined, output: undefined, provider: undefined, input: undefined }

describe("a call of the provider's own", () => {
  const byProvider = { providerExecuted: true }
  it.effect("is recorded with its result, once, and not with what comes before that", () =>
    Effect.gen(function*() {
      const { hear, heard, said } = yield* listening()
      yield* hear(
        callPart("c1", "web", { q: 1 }, true),
        callPart("c2", "web", { q: 2 }, true),
        resultPart("c1", "web", "half", { ...byProvider, preliminary: true })
      )
      assert.deepStrictEqual(said(), [])
      yield* hear(
        resultPart("c1", "web", "whole", byProvider),
        resultPart("c2", "web", { _tag: "Refused" }, { ...byProvider, isFailure: true }),
        // Of a call of an earlier response nothing is known but its name.
        resultPart("c9", "web", "late", byProvider)
      )
      const web = { ...plain, action: "tool.call", tool: "web", provider: true }
      assert.deepStrictEqual(said(), [
        { ...web, input: { q: 1 }, output: "whole" },
        { ...web, input: { q: 2 }, output: { _tag: "Refused" }, outcome: "failure", errorTag: "Refused" },
        { ...web, output: "late" }
      ])
      yield* unanswered(heard)
      assert.strictEqual(said().length, 3)
    }))

  it.effect("is recorded without a result where none came", () =>
    Effect.gen(function*() {
      const { hear, heard, said } = yield* listening()
      yield* hear(callPart("c1", "web", { q: 1 }, true))
      yield* unanswered(heard)
      yield* unanswered(heard)
      assert.deepStrictEqual(said(), [{ ...plain, action: "tool.call", tool: "web", provider: true, input: { q: 1 } }])
    }))
})

describe("a call that the application resolves", () => {
  it.effect("is recorded as requested, and as a failure where there is no such tool", () =>
    Effect.gen(function*() {
      const { hear, said } = yield* listening({ isUnresolved: true })
      yield* hear(callPart("c1", "search", { q: 1 }), callPart("c2", "other", {}))
      assert.deepStrictEqual(said(), [
        { ...plain, action: "tool.requested", tool: "search", input: { q: 1 } },
        {
          ...plain,
          action: "tool.requested",
          tool: "other",
          input: {},
          outcome: "failure",
          errorTag: "ToolNotFoundError"
        }
      ])
      const { hear: hearResolved, said: saidResolved } = yield* listening()
      yield* hearResolved(callPart("c1", "search", { q: 1 }))
      assert.deepStrictEqual(saidResolved(), [])
    }))
})

describe("a result that a call did not end with", () => {
  const failed = { isFailure: true }
  it.effect("is a refusal or an interruption, where it is a failure that says so", () =>
    Effect.gen(function*() {
      const { hear, said } = yield* listening({ settled: new Set(["c5"]) })
      yield* hear(
        callPart("c1", "search", { q: 1 }),
        resultPart("c1", "search", { type: "execution-denied", reason: "no" }, failed),
        resultPart("c2", "search", { type: "execution-interrupted" }, failed),
        // What a tool returns may look like it.
        resultPart("c3", "search", { type: "execution-denied" }),
        resultPart("c4", "search", { type: "execution-interrupted" }),
        resultPart("c6", "search", { type: "other" }, failed),
        resultPart("c7", "search", null, failed),
        resultPart("c8", "search", "execution-denied", failed),
        // Its refusal is recorded.
        resultPart("c5", "search", { type: "execution-denied" }, failed)
      )
      const search = { ...plain, tool: "search", action: "tool.call" }
      assert.deepStrictEqual(said(), [
        { ...search, outcome: "denied", input: { q: 1 } },
        { ...search, outcome: "failure", errorTag: "Interrupted" }
      ])
    }))
})

describe("a request for approval", () => {
  it.effect("is recorded, also of a call that was not heard of", () =>
    Effect.gen(function*() {
      const { hear, said } = yield* listening()
      const asks = (id: string) =>
        Response.makePart("tool-approval-request", { approvalId: `a-${id}`, toolCallId: id } as never)
      yield* hear(callPart("c1", "send", { to: "x" }), asks("c1"), asks("c2"))
      assert.deepStrictEqual(said().map(({ action }) => action), ["tool.approval_requested", "tool.approval_requested"])
    }))
})

describe("a response", () => {
  it.effect("is its text, its ids and what it cost", () =>
    Effect.gen(function*() {
      const { hear, heard } = yield* listening()
      const usage = {
        inputTokens: { uncached: 7, total: 10, cacheRead: 3, cacheWrite: 2 },
        outputTokens: { total: 5, text: 4, reasoning: 1 }
      }
      assert.deepStrictEqual(Object.values(usageOf(heard)).filter((value) => value !== undefined), [])
      yield* hear(
        { type: "response-metadata", id: "m1", modelId: "gpt" },
        { type: "response-metadata", id: "", modelId: "" },
        { type: "text", text: "a" },
        { type: "text-delta", delta: "b" },
        { type: "reasoning-delta", delta: "c" },
        { type: "finish", reason: "stop", usage }
      )
      assert.deepStrictEqual(heard.text, ["a", "b"])
      assert.deepStrictEqual(usageOf(heard), {
        response_id: "m1",
        response_model: "gpt",
        finish_reason: "stop",
        input_tokens: 10,
        cache_read_input_tokens: 3,
        cache_creation_input_tokens: 2,
        output_tokens: 5,
        reasoning_output_tokens: 1
      })
    }))
})

describe("a prompt as content", () => {
  it("has texts, calls and results, and files by their names", () => {
    const prompt = Prompt.make([
      { role: "system", content: "be kind" },
      {
        role: "user",
        content: [
          { type: "text", text: "hello" },
          { type: "file", mediaType: "image/png", fileName: "a.png", data: new Uint8Array([1, 2, 3]) }
        ]
      },
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "hm" },
          { type: "tool-call", id: "c1", name: "search", params: { q: 1 }, providerExecuted: false }
        ]
      },
      {
        role: "tool",
        content: [
          {
            type: "tool-result",
            id: "c1",
            name: "search",
            isFailure: false,
            result: { hits: 1 },
            providerExecuted: false
          },
          { type: "tool-approval-response", approvalId: "a1", approved: true }
        ]
      }
    ] as never)
    assert.deepStrictEqual(contentOf(prompt), [
      { role: "system", content: "be kind" },
      {
        role: "user",
        content: [{ type: "text", text: "hello" }, { type: "file", media_type: "image/png", file_name: "a.png" }]
      },
      {
        role: "assistant",
        content: [{ type: "reasoning", text: "hm" }, { type: "tool-call", name: "search", params: { q: 1 } }]
      },
      {
        role: "tool",
        content: [{ type: "tool-result", name: "search", result: { hits: 1 } }, { type: "tool-approval-response" }]
      }
    ])
  })
})
