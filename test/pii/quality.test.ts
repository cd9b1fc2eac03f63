import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"
import { readFileSync } from "node:fs"
import { figures, recorded } from "../../bench/piiScore.ts"

describe("the detectors on the labelled development data", () => {
  const now = figures()
  const before = recorded()

  it("find no kind worse than recorded (npm run pii:score -- --record)", () => {
    for (const [kind, f1] of Object.entries(before.f1)) {
      assert.isAtLeast(now.f1[kind] ?? 0, f1, kind)
    }
    assert.isAtLeast(now.microF2, before.microF2)
    assert.isAtLeast(now.macroF1, before.macroF1)
  })

  it("leak no more and harm no more than recorded", () => {
    for (
      const name of [
        "leakedCharacters",
        "negativesTouched",
        "eventCoreLeaked",
        "eventKeyOnlyLeaked",
        "eventKeepsLost",
        "eventFlagsWrong"
      ] as const
    ) assert.isAtMost(now[name], before[name], name)
  })

  it.each(["mask", "drop"] as const)("strip every text once as well as twice, with %s for all kinds", (treatment) => {
    const kinds = Object.fromEntries(Object.keys(before.f1).map((kind) => [kind, treatment]))
    const read = (name: string) => readFileSync(new URL(`../fixtures/pii/${name}.jsonl`, import.meta.url), "utf8")
    const lines = ["spans", "negatives", "soft-negatives"].flatMap((name) => read(name).split("\n"))
    for (const line of lines) {
      if (line === "") continue
      const once = Pii.strip(line, { policy: { kinds } }).value
      assert.deepStrictEqual(Pii.strip(once, { policy: { kinds } }).value, once, line)
      const text = (JSON.parse(line) as { readonly text: string }).text
      const stripped = Pii.strip(text, { policy: { kinds } }).value
      assert.deepStrictEqual(Pii.strip(stripped, { policy: { kinds } }).value, stripped, text)
    }
  })
})
