/** What becomes of marked fields. */
import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"
import { flagged, mark, type Marked, pseudonymise } from "../../src/internal/marks.ts"

const empty = {
  resource: undefined,
  related: undefined,
  errorTag: undefined,
  input: undefined,
  output: undefined,
  change: undefined,
  metadata: undefined,
  analytics: undefined,
  authorization: undefined,
  client: undefined
}
const at = (path: string, kind: Marked["mark"]): Marked => ({ path: path.split("/"), mark: kind })

describe("marks", () => {
  it("replace what is there, and nothing else", () => {
    const content = {
      ...empty,
      input: [{ a: 1, b: [{ c: "x" }, null, "y"] }, { a: null }],
      output: "o",
      change: { after: { a: "z" } }
    }
    const marked = mark(content, [
      at("input/0/a", "strip"),
      at("input/1/a", "strip"),
      at("input/0/b/*/c", "drop"),
      at("output/never", "strip"),
      at("change/a", "strip"),
      at("resource/id", "strip")
    ])
    assert.deepStrictEqual(marked.content, {
      ...content,
      input: [{ a: "[PERSONAL]", b: [{ c: null }, null, "y"] }, { a: null }],
      change: { after: { a: "[PERSONAL]" } }
    })
    assert.deepStrictEqual(marked.marks, { found: 3, pseudonyms: [], kept: [] })
    const nothing = mark(empty, [at("input/a", "strip"), at("change/a", "strip")])
    assert.deepStrictEqual(nothing.content, empty)
    assert.strictEqual(nothing.marks.found, 0)
  })

  it("count what is replaced once", () => {
    const twice = mark({ ...empty, input: { a: "x" } }, [at("input/a", "strip"), at("input/a", "strip")])
    assert.strictEqual(twice.marks.found, 1)
  })

  it("leave to others what they cannot do, the same places for the same marks", () => {
    const all = [at("input/a", "pseudonym"), at("input/b~c", "keep"), at("input/d", "strip")]
    const [one, two] = [mark(empty, all).marks, mark(empty, all).marks]
    assert.deepStrictEqual(one.pseudonyms, [["input", "a"]])
    assert.deepStrictEqual(one.kept, ["/input/b~0c"])
    assert.strictEqual(one.kept, two.kept)
  })

  it("have the pseudonym of the value that a text is, and of what has parts as one", () => {
    const key = { id: "k1", secret: Buffer.alloc(32, 3) }
    const pseudonym = (value: string) => Pii.pseudonym(key, "t_acme", "PERSONAL", value)
    const content = { ...empty, input: { a: "x", b: { k: 1 }, c: 7 } }
    const { marks } = mark(content, [
      at("input/a", "pseudonym"),
      at("input/b", "pseudonym"),
      at("input/c", "pseudonym")
    ])
    const done = pseudonymise(content, marks, pseudonym)
    assert.deepStrictEqual(done.content.input, { a: pseudonym("x"), b: pseudonym("{\"k\":1}"), c: pseudonym("7") })
    assert.strictEqual(done.found, 3)
  })

  it("are told with what was found beside them", () => {
    const flags = {
      flags: ["EMAIL", "URL_CREDENTIALS"],
      policy_reason: "pii_found",
      counts: { EMAIL: 2 },
      truncated: false
    }
    assert.deepStrictEqual(flagged(flags, 3), {
      flags: ["EMAIL", "PERSONAL", "URL_CREDENTIALS"],
      policy_reason: "pii_found",
      counts: { EMAIL: 2, PERSONAL: 3 },
      truncated: false
    })
    const cut = flagged(
      { flags: ["PERSONAL"], policy_reason: "truncated", counts: { PERSONAL: 1 }, truncated: true },
      1
    )
    assert.deepStrictEqual(cut, {
      flags: ["PERSONAL"],
      policy_reason: "truncated",
      counts: { PERSONAL: 2 },
      truncated: true
    })
  })
})
