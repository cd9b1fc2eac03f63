import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Json, JsonReader, Refusal } from "../../src/internal/json.ts"

const limits = { maxBytes: 1_000_000, maxDepth: 32, maxKeys: 4096 }
const read = (value: unknown) => new JsonReader(limits).read("input", value)
const refusal = (value: unknown, more: Partial<typeof limits> = {}) => {
  try {
    new JsonReader({ ...limits, ...more }).read("input", value)
  } catch (cause) {
    if (cause instanceof Refusal) return cause.path
    throw cause
  }
  return undefined
}

describe("JsonReader", () => {
  it("follows the documented rules", () => {
    class Point {
      readonly x = 1
      readonly #hidden = 2
      get sum() {
        return this.x + this.#hidden
      }
    }
    const sparse: Array<unknown> = [1]
    sparse[3] = 4
    const cases: ReadonlyArray<readonly [unknown, unknown]> = [
      [new Date(0), "1970-01-01T00:00:00.000Z"],
      [new Date(Number.NaN), null],
      [12345678901234567890n, "12345678901234567890"],
      [new Map([["a", 1]]), { a: 1 }],
      [new Map<unknown, unknown>([[1, 2]]), [[1, 2]]],
      [new Set([1, "a"]), [1, "a"]],
      [new Uint8Array(12), "[Uint8Array: 12 bytes]"],
      [Buffer.from("secret"), "[Uint8Array: 6 bytes]"],
      [new ArrayBuffer(3), "[ArrayBuffer: 3 bytes]"],
      [new Point(), { x: 1 }],
      [{ a: undefined, f: () => 1, s: Symbol("x") }, {}],
      [[undefined, () => 1], [null, null]],
      [sparse, [1, null, null, 4]],
      [Number.NaN, null],
      [Number.POSITIVE_INFINITY, null],
      [-0, 0],
      ["a\ud800b", "a\ufffdb"],
      [{ "k\udc00": 1 }, { "k\ufffd": 1 }],
      [/a+/g, "/a+/g"],
      [Object("boxed"), "boxed"],
      [Object(7), 7],
      [new URL("https://example.com/a"), "https://example.com/a"],
      [{ toJSON: () => ({ a: 1n }) }, { a: "1" }],
      [Object.create(null, { a: { value: 1, enumerable: true } }), { a: 1 }],
      [new Error("m", { cause: "c" }), { name: "Error", message: "m", cause: "c" }],
      [Object.assign(new TypeError("m"), { code: "E" }), { name: "TypeError", message: "m", code: "E" }]
    ]
    for (const [value, expected] of cases) assert.deepStrictEqual(read(value), expected)
  })

  it("keeps a key __proto__ as an ordinary key, and harms nothing", () => {
    const result = read(
      JSON.parse(`{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}`)
    )
    assert.strictEqual(
      JSON.stringify(result),
      `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}`
    )
    assert.isFalse("polluted" in {})
  })

  it("reads what throws as [unreadable]", () => {
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const bad = {
      get getter() {
        throw new Error("no")
      },
      proxy: new Proxy({}, {
        ownKeys() {
          throw new Error("no")
        }
      }),
      revoked: revoked.proxy,
      toJSONs: {
        toJSON() {
          throw new Error("no")
        }
      },
      fine: 1
    }
    assert.deepStrictEqual(read(bad), {
      getter: "[unreadable]",
      proxy: "[unreadable]",
      revoked: "[unreadable]",
      toJSONs: "[unreadable]",
      fine: 1
    })
  })

  it("reads each property once", () => {
    let reads = 0
    const value = {
      get once() {
        return ++reads
      }
    }
    assert.deepStrictEqual(read(value), { once: 1 })
    assert.strictEqual(reads, 1)
  })

  it("refuses cycles and what is beyond a limit, with the path", () => {
    const cyclic: Record<string, unknown> = { a: { "b/c~d": [] } }
    ;(cyclic["a"] as Record<string, Array<unknown>>)["b/c~d"]!.push(cyclic)
    assert.strictEqual(refusal(cyclic), "/input/a/b~1c~0d/0")
    assert.isUndefined(refusal({ a: cyclic["x"], b: cyclic["x"] }))
    const shared = { n: 1 }
    assert.isUndefined(refusal([shared, shared]))
    let deep: unknown = 1
    for (let n = 0; n < 33; n++) deep = { deep }
    assert.strictEqual(refusal(deep), `/input${"/deep".repeat(32)}`)
    assert.strictEqual(refusal({ a: "x".repeat(100) }, { maxBytes: 50 }), "/input/a")
    // oxlint-disable-next-line unicorn/no-new-array -- the length alone must be refused
    assert.strictEqual(refusal(new Array(1e9)), "/input")
    assert.strictEqual(
      refusal(Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`k${n}`, n])), { maxKeys: 10 }),
      "/input/k10"
    )
    const doubling: Array<unknown> = [1]
    let tower: unknown = doubling
    for (let n = 0; n < 30; n++) tower = [tower, tower]
    assert.isDefined(refusal(tower))
  })

  it.prop("leaves JSON as it is, apart from lone surrogates and -0", { value: Schema.Json }, ({ value }) => {
    const expected: unknown = JSON.parse(
      JSON.stringify(value),
      (_, item: unknown) => typeof item === "string" ? item.toWellFormed() : item
    )
    const actual = read(value)
    const keysAreWellFormed = JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value))
    if (keysAreWellFormed) assert.deepStrictEqual(actual, expected as Json)
    assert.isTrue(JSON.stringify(actual).isWellFormed())
  })
})
