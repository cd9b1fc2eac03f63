/** Counting and pairing what came is counting and pairing all. */
import { assert, describe, it } from "@effect/vitest"
import type { Event, Item } from "../../src/viewer/app/event.ts"
import { halfOf, isWhole, noRuns, runs, whose } from "../../src/viewer/app/runs.ts"
import { lists, Steps } from "./growing.ts"

const itemOf = (position: number, about: Partial<Event> = {}): Extract<Item, { readonly erased: false }> => ({
  erased: false,
  position,
  eventId: `e${position}`,
  event: {
    event_id: `e${position}`,
    recorded_at: new Date(Date.UTC(2026, 0, 1) + position * 1000).toISOString(),
    actor_type: "agent",
    agentId: "support",
    action: "tool.call",
    outcome: "success",
    severity: "info",
    request_id: "r",
    trace_id: "t",
    pii_flags: { flags: [] },
    train_ok: true,
    train_reason: "clean",
    ...about
  }
})
const intent = (position: number, operation: string, about: Partial<Event> = {}) =>
  itemOf(position, { operation_id: operation, phase: "intent", ...about })
const result = (position: number, operation: string, about: Partial<Event> = {}) =>
  itemOf(position, { operation_id: operation, phase: "result", ...about })
const erased: Item = { erased: true, position: 99, eventId: "e99" }

const halves = (of: typeof noRuns, whole = true) =>
  of.items.map((item) => item.erased ? "erased" : halfOf({ operations: of.operations, isWhole: whole }, item.event))

/** Of few operations, so that halves meet: in any order, more than once, of tools and of others. */
const anyItem = (n: number): Item =>
  n % 11 === 0
    ? { ...erased, position: n }
    : itemOf(n, {
      action: ["tool.call", "model.call", "note.create"][n % 3]!,
      outcome: ["success", "failure", "denied"][n % 5] ?? "success",
      ...(n % 4 === 0 ? {} : { operation_id: `op-${(n * 7) % 9}`, phase: n % 2 === 0 ? "intent" : "result" }),
      metadata: { input_tokens: n, output_tokens: n % 6 === 0 ? "many" : 1 }
    })

/** What is counted, said the slow way. */
const slowly = (items: ReadonlyArray<Item>) => {
  const events = items.flatMap((item) => item.erased ? [] : [item.event])
  const of = (phase: string) => (event: Event) => event.operation_id !== undefined && event.phase === phase
  const results = new Set(events.filter(of("result")).map((event) => event.operation_id))
  const open = events.filter((event) => of("intent")(event) && !results.has(event.operation_id))
  const calls = events.filter((event) => event.action === "tool.call")
  const models = events.filter((event) => event.action === "model.call")
  const sum = (name: string) =>
    models.map(({ metadata }) => metadata?.[name]).reduce<number>((sum, n) => sum + (typeof n === "number" ? n : 0), 0)
  const ended = (outcome: string) => events.filter((event) => event.outcome === outcome && event.phase !== "intent")
  return {
    "tool calls": calls.filter(({ operation_id }) => operation_id === undefined).length +
      new Set(calls.flatMap(({ operation_id }) => operation_id ?? [])).size,
    "model calls": models.length,
    "tokens in": sum("input_tokens"),
    "tokens out": sum("output_tokens"),
    failed: ended("failure").length,
    denied: ended("denied").length,
    unfinished: new Set(open.map(({ operation_id }) => operation_id)).size
  }
}

describe("runs", () => {
  it.prop("of a list in steps, at both ends and anew, are those of the list", { steps: Steps }, ({ steps }) => {
    let counted = noRuns
    for (const items of lists(steps, anyItem)) {
      counted = runs(counted, items)
      const anew = runs(noRuns, items)
      assert.deepStrictEqual(counted.counts, slowly(items))
      assert.deepStrictEqual(anew.counts, counted.counts)
      assert.deepStrictEqual(halves(counted), halves(anew))
    }
    assert.strictEqual(noRuns.operations.size, 0)
  })

  it("take the mark of an unfinished intent away with its result, wherever that comes", () => {
    const first = runs(noRuns, [intent(2, "b"), intent(1, "a")])
    assert.deepStrictEqual(halves(first), ["unfinished", "unfinished"])
    assert.strictEqual(first.counts.unfinished, 2)
    const live = runs(first, [result(3, "a"), ...first.items])
    assert.deepStrictEqual(halves(live), ["result", "unfinished", "intent"])
    // A page that is loaded later: its intent has its result, which is newer and was loaded before.
    const paged = runs(live, [...live.items, result(-1, "b"), erased])
    assert.deepStrictEqual(halves(paged), ["result", "intent", "intent", "result", "erased"])
    assert.deepStrictEqual(paged.counts, { ...slowly(paged.items), unfinished: 0 })
  })

  it("claim nothing where the search may hide a result, and nothing of a lone result", () => {
    const found = runs(noRuns, [result(2, "b"), intent(1, "a"), itemOf(0)])
    assert.deepStrictEqual(halves(found, false), ["result", "intent", undefined])
    assert.deepStrictEqual(halves(found), ["result", "unfinished", undefined])
    for (const asked of [{}, { runId: "r" }, { runId: "r", since: "t" }, { operationId: "o" }]) {
      assert.isTrue(isWhole(asked))
    }
    for (const asked of [{ until: "t" }, { phase: "intent" }, { runId: "r", outcome: "denied" }, { action: "a" }]) {
      assert.isFalse(isWhole(asked))
    }
  })

  it("count a call once, and the outcome of its result alone", () => {
    const { counts } = runs(noRuns, [
      itemOf(6, { outcome: "denied" }),
      itemOf(5, { action: "model.call", metadata: { input_tokens: 1200, output_tokens: 30 } }),
      itemOf(4, { action: "model.call", outcome: "failure" }),
      result(3, "a", { outcome: "failure" }),
      intent(2, "a", { outcome: "failure" }),
      // Its intent may be on a page that is not loaded.
      result(1, "b")
    ])
    assert.deepStrictEqual(counts, {
      "tool calls": 3,
      "model calls": 2,
      "tokens in": 1200,
      "tokens out": 30,
      failed: 2,
      denied: 1,
      unfinished: 0
    })
  })

  it("are of the newest agent, of whoever acts where no agent does", () => {
    const [tool, agent] = [itemOf(3, { actor_type: "tool", agentId: "search" }), itemOf(2, { agentId: "support" })]
    assert.strictEqual(whose([erased, tool, agent, itemOf(1, { agentId: "old" })]), agent.event)
    assert.strictEqual(whose([tool]), tool.event)
    assert.isUndefined(whose([]))
    assert.isUndefined(whose([erased]))
  })

  it("take no longer for the hundred-thousandth event than for the first", () => {
    const all = Array.from({ length: 100_000 }, (_, n) => (n % 2 === 0 ? result : intent)(100_000 - n, `op-${n >> 1}`))
    let counted = runs(noRuns, all)
    assert.strictEqual(counted.counts["tool calls"], 50_000)
    const { operations } = counted
    for (let n = 0; n < 100; n++) {
      counted = runs(counted, [intent(200_000 + n, `live-${n}`), ...counted.items])
    }
    // The pairs are carried on, not copied.
    assert.strictEqual(counted.operations, operations)
    assert.strictEqual(counted.counts.unfinished, 100)
  })
})
