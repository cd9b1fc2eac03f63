/** Each line of the table of vendors: a token of that form is found, and only what begins like one is not. */
import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"
import { type TokenForm, tokenForms } from "../../src/pii/vendorTable.ts"
import { sampleOf } from "../fixtures/sampleOf.ts"

const token = ({ prefix, rest }: TokenForm, seed: number) => prefix + sampleOf(rest, seed)
/** What is found, as the words that it covers. */
const found = (text: string) => Pii.scan(text).map(({ end, start }) => text.slice(start, end))

describe("the tokens of each vendor", () => {
  it.each(tokenForms.map((form) => [form.vendor, form.prefix, form] as const))("%s: %s", (_vendor, _prefix, form) => {
    for (const seed of [1, 7]) {
      const value = token(form, seed)
      for (const text of [`they use ${value} for it`, value, `{"v":"${value}"}`, `a\n${value}\nb`]) {
        const [first, ...others] = found(text)
        assert.include(first, value, text)
        assert.deepStrictEqual(others, [])
      }
    }
    const begun = `they use ${form.prefix}abc for it`
    assert.deepStrictEqual(found(begun), [], begun)
  })

  it("have a vendor, a form and a source each, and none stands twice", () => {
    assert.isAbove(tokenForms.length, 250)
    for (const { prefix, rest, source, vendor } of tokenForms) {
      assert.match(vendor, /^\w[\w .&'()+/-]*$/)
      assert.isAbove(prefix.length, 0)
      assert.isAbove(rest.length, 3)
      assert.match(
        source,
        /^(?:github$|(?:gitleaks|betterleaks|trufflehog|kingfisher|titus):[\w./-]+$|[\w-]+\.[\w.-]+\/|[\w.-]+$)/
      )
    }
    assert.strictEqual(new Set(tokenForms.map(({ prefix, rest }) => `${prefix} ${rest}`)).size, tokenForms.length)
  })
})
