/** Counting what came is counting all. */
import { assert, describe, it } from "@effect/vitest"
import type { Event, Item } from "../../src/viewer/app/event.ts"
import { facets, histogram, most, nothing, tally } from "../../src/viewer/app/tally.ts"
import { lists, Steps } from "./growing.ts"

const itemOf = (n: number): Item =>
  n % 7 === 0
    ? { erased: true, position: n, eventId: `e${n}` }
    : { erased: false, position: n, eventId: `e${n}`, event: eventOf(n) }
const eventOf = (n: number): Event => ({
  event_id: `e${n}`,
  recorded_at: new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString(),
  occurred_at: new Date(0).toISOString(),
  actor_type: "human",
  agentId: `u${n % 3}`,
  action: n % 2 === 0 ? "note.create" : "note.read",
  outcome: "success",
  severity: "info",
  request_id: `r${n}`,
  trace_id: `t${n}`,
  pii_flags: { flags: n % 5 === 0 ? ["EMAIL"] : [] },
  train_ok: n % 5 !== 0,
  train_reason: "pii"
})

const shown = (of: typeof nothing) => ({
  counts: of.counts.map((counts) => [...counts].sort()),
  histogram: histogram(of)
})

describe("tally", () => {
  it.prop("of a list in steps, at both ends and anew, is that of the list", { steps: Steps }, ({ steps }) => {
    let counted = nothing
    for (const items of lists(steps, itemOf)) {
      counted = tally(counted, items)
      assert.deepStrictEqual(shown(counted), shown(tally(nothing, items)))
    }
  })

  it("counts a hundred thousand", () => {
    const items = Array.from({ length: 130_000 }, (_, n) => itemOf(n))
    const counted = tally(nothing, items)
    assert.strictEqual(histogram(counted).counts.reduce((sum, count) => sum + count), counted.times.length)
    assert.strictEqual(most(counted, facets[0]!)[0]?.[1], counted.times.length)
  })
})
