/** A run of an agent in a real browser: from one of its events to all of them, and what it has not finished. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { line, run } from "../cli/process.ts"
import { browserOf, opened, search, served, violations } from "./browser.ts"

const agents = {
  "run-a": { type: "agent", id: "support", version: "1.4", model: "m-1", onBehalfOf: "ada" },
  "run-b": { type: "agent", id: "billing", onBehalfOf: "bob" }
}
let next = 0
const of = (runId: keyof typeof agents, draft: object, stepId?: string) =>
  line(next++, {
    context: { actor: agents[runId], runId, traceId: runId, ...(stepId === undefined ? {} : { stepId }) },
    draft
  })
const call = (operationId: string, phase: "intent" | "result", tool: string, more: object = {}) => ({
  action: "tool.call",
  operationId,
  phase,
  resource: { type: "tool", id: tool },
  metadata: { tool_call_id: operationId },
  ...more
})
const model = (inputTokens: number, outputTokens: number) => ({
  action: "model.call",
  storageClass: "cost",
  resource: { type: "model", id: "m-1" },
  metadata: { operation: "generateText", input_tokens: inputTokens, output_tokens: outputTokens }
})

/** Two runs at the same time. The first has looked for an order, was refused one call, and is refunding it. */
const lines = [
  of("run-a", model(1200, 80)),
  of("run-b", model(500, 20)),
  of("run-a", call("op-3f9a", "intent", "search"), "call_1"),
  of("run-a", { action: "order.read", resource: { type: "order", id: "o1" } }, "call_1"),
  of("run-b", call("op-77c0", "intent", "invoice"), "call_9"),
  of("run-a", call("op-3f9a", "result", "search", { outcome: "failure", errorTag: "Timeout" }), "call_1"),
  of("run-b", call("op-77c0", "result", "invoice"), "call_9"),
  of("run-a", model(1500, 60)),
  of("run-a", { ...model(0, 0), action: "tool.call", outcome: "denied", storageClass: "audit" }, "call_2"),
  of("run-a", call("op-b21d", "intent", "refund"), "call_3")
]

const texts = (page: Page, selector: string) => Effect.promise(() => page.locator(selector).allTextContents())
const factsOf = (page: Page) => Effect.map(texts(page, ".run > *"), (texts) => texts.map((text) => text.trim()))
const clicked = (page: Page, selector: string) => Effect.promise(() => page.click(selector))
const sees = (page: Page, selector: string, state: "visible" | "detached" = "visible") =>
  Effect.promise(() => page.waitForSelector(selector, { state }))
/** Nothing is wrong in light and dark; what it looks like is kept where `SCREENSHOTS` says. */
const passes = Effect.fnUntraced(function*(page: Page, name: string) {
  for (const colorScheme of ["light", "dark"] as const) {
    yield* Effect.promise(() => page.emulateMedia({ colorScheme }))
    assert.deepStrictEqual(yield* violations(page), [], colorScheme)
    const folder = process.env["SCREENSHOTS"]
    if (folder !== undefined) {
      yield* Effect.promise(() => page.screenshot({ path: `${folder}/${name}-${colorScheme}.png` }))
    }
  }
})

describe("a run in the viewer", () => {
  it.live(
    "is shown from one of its events, with its head, its steps and what is unfinished",
    () =>
      Effect.gen(function*() {
        const { url } = yield* served(lines.join(""))
        const { complaints, page } = yield* opened(yield* browserOf, url)
        // Of all events the intent alone is unfinished; there is no head.
        assert.deepStrictEqual(yield* texts(page, ".half.unfinished"), ["unfinished b21d"])
        assert.deepStrictEqual(yield* factsOf(page), [])
        yield* search(page, "action:order.read outcome:success")
        yield* clicked(page, "[data-index='0']")
        yield* passes(page, "drawer")
        yield* clicked(page, "text=Show the run")
        yield* sees(page, ".run")
        assert.strictEqual(new URL(page.url()).searchParams.get("q"), "run:run-a")
        assert.deepStrictEqual(yield* factsOf(page), [
          "Run run-a",
          "agent support for ada",
          "version 1.4",
          "model m-1",
          "tool calls 3",
          "model calls 2",
          "tokens in 2,700",
          "tokens out 140",
          "failed 1",
          "denied 1",
          "unfinished 1"
        ])
        assert.deepStrictEqual(yield* texts(page, ".half"), ["unfinished b21d", "result 3f9a", "intent 3f9a"])
        yield* sees(page, "[aria-label='result of operation 3f9a']")
        assert.deepStrictEqual(yield* texts(page, ".row:not(.same) .step"), ["call_3", "call_2", "call_1"])
        yield* passes(page, "run")
        // A search that may hide results claims nothing.
        yield* search(page, "run:run-a phase:intent")
        assert.deepStrictEqual(yield* texts(page, ".half"), ["intent b21d", "intent 3f9a"])
        assert.notInclude((yield* factsOf(page)).join(), "unfinished")
        yield* search(page, "run:run-b")
        assert.include((yield* factsOf(page)).join(), "agent billing for bob,tool calls 1,")
        assert.include((yield* factsOf(page)).join(), "unfinished 0")
        assert.deepStrictEqual(complaints, [])
      }),
    120_000
  )

  it.live("is finished as soon as its result is recorded, also while an event is read", () =>
    Effect.gen(function*() {
      const { db, url } = yield* served(lines.join(""))
      const { complaints, page } = yield* opened(yield* browserOf, url)
      yield* search(page, "run:run-a")
      yield* clicked(page, "text=Live")
      yield* sees(page, ".live >> text=/^Live$/")
      yield* run(["ingest", "--db", db], of("run-a", call("op-late", "intent", "mail"), "call_4"))
      yield* sees(page, "[data-index='0'] >> text=unfinished late")
      yield* clicked(page, "[data-index='1']")
      yield* sees(page, ".drawer >> text=Run run-a")
      yield* run(["ingest", "--db", db], of("run-a", call("op-b21d", "result", "refund"), "call_3"))
      // The result itself waits: nothing moves while one reads.
      yield* sees(page, "[data-index='1'] >> text=intent b21d")
      yield* sees(page, "text=1 new")
      assert.include(yield* factsOf(page), "unfinished 1")
      // To follow anew brings nothing twice.
      yield* clicked(page, "text=Live")
      yield* clicked(page, "text=Live")
      yield* sees(page, ".live >> text=paused")
      yield* run(["ingest", "--db", db], of("run-a", call("op-late", "result", "mail"), "call_4"))
      yield* sees(page, ".half.unfinished", "detached")
      yield* clicked(page, "text=2 new")
      yield* sees(page, "[data-index='1'] >> text=result b21d")
      assert.deepStrictEqual((yield* factsOf(page)).slice(4), [
        "tool calls 4",
        "model calls 2",
        "tokens in 2,700",
        "tokens out 140",
        "failed 1",
        "denied 1",
        "unfinished 0"
      ])
      assert.deepStrictEqual(complaints, [])
    }), 120_000)
})
