/** Text of others does nothing where it is shown. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { visible } from "../../src/viewer/app/visible.ts"

describe("visible", () => {
  it("writes what is not seen, or turns the direction of text, as its number", () => {
    assert.strictEqual(visible("gnp\u202eexe"), "gnp\\u202eexe")
    assert.strictEqual(visible("\u001b[2J\u0000"), "\\u001b[2J\\u0000")
    assert.strictEqual(visible("a\u{e0041}b\u200b"), "a\\u{e0041}b\\u200b")
  })
  it("keeps text as it is", () => {
    const text = "Ünï שלום 中文 👍🏽 👨‍👩‍👧 می‌خواهم line\n\ttab <b>"
    assert.strictEqual(visible(text), text)
  })
  it.prop("leaves nothing that is not seen", { text: Schema.String }, ({ text }) => {
    assert.notMatch(visible(text), /[^\P{Cc}\t\n]|\p{Bidi_Control}/u)
  })
})
