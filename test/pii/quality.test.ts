import { assert, describe, it } from "@effect/vitest"
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
})
