import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { findDeeper, type Json, jsonBytes, JsonReader, Refusal } from "../../src/internal/json.ts"

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

  it("reads boxed values, buffers of each kind and what answers with itself", () => {
    const itself = {
      a: 1,
      toJSON() {
        return this
      }
    }
    const cases: ReadonlyArray<readonly [unknown, unknown]> = [
      [Object(true), true],
      [Object(false), false],
      [Object(7n), "7"],
      [new DataView(new ArrayBuffer(4)), "[DataView: 4 bytes]"],
      [new SharedArrayBuffer(5), "[SharedArrayBuffer: 5 bytes]"],
      [new Float64Array(2), "[Float64Array: 16 bytes]"],
      [itself, { a: 1 }],
      [new Map<unknown, unknown>([["a", 1], [2, 3]]), [["a", 1], [2, 3]]],
      [new Map(), {}],
      [Object.assign(new Date(0), { toISOString: () => "mine", toJSON: () => "mine" }), "1970-01-01T00:00:00.000Z"],
      [new Map([["k\ud800", undefined]]), {}],
      [true, true],
      [null, null],
      [undefined, undefined],
      [() => 1, undefined],
      [Symbol("x"), undefined],
      [{ toJSON: 7 }, { toJSON: 7 }],
      [{ toJSON: () => undefined }, undefined],
      [[{ toJSON: () => undefined }], [null]]
    ]
    for (const [value, expected] of cases) assert.deepStrictEqual(read(value), expected)
    assert.strictEqual(
      JSON.stringify(read(new Map(Object.entries({ b: 1, a: 2 })))),
      `{"b":1,"a":2}`
    )
  })

  it("reads an array's getter that throws as [unreadable], and the rest of it", () => {
    const items: Array<unknown> = [1, 2, 3]
    Object.defineProperty(items, 1, {
      enumerable: true,
      get() {
        throw new Error("no")
      }
    })
    assert.deepStrictEqual(read(items), [1, "[unreadable]", 3])
  })

  it("reads an error's name, message and cause once, its own properties, and never its stack", () => {
    const cause = Object.assign(new RangeError("low"), { stack: "secret stack" })
    const error = Object.assign(new Error("high", { cause }), { code: "E", name: "Named" })
    for (const key of ["name", "message", "cause", "stack"]) {
      Object.defineProperty(error, key, { value: Reflect.get(error, key) as unknown, enumerable: true })
    }
    const result = read(error)
    assert.deepStrictEqual(result, {
      name: "Named",
      message: "high",
      cause: { name: "RangeError", message: "low" },
      code: "E"
    })
    assert.deepStrictEqual(Object.keys(result as object), ["name", "message", "cause", "code"])
    assert.deepStrictEqual(read(new Error("m", { cause: undefined })), { name: "Error", message: "m" })
  })

  it("keeps __proto__ as a property that can be changed like any other", () => {
    const result = read(JSON.parse(`{"__proto__": 1, "a": 2}`)) as object
    assert.deepStrictEqual(Object.getOwnPropertyDescriptor(result, "__proto__"), {
      value: 1,
      enumerable: true,
      configurable: true,
      writable: true
    })
  })

  it("counts at least a sixth of the bytes that a value has as JSON, and never more than all of them by much", () => {
    const values: ReadonlyArray<unknown> = [
      "",
      "text",
      "\u0001".repeat(100),
      "€".repeat(100),
      0,
      99_999,
      100_000,
      -99_999,
      -100_000,
      0.5,
      -1 / 3,
      1e21,
      true,
      false,
      null,
      12345678901234567890n,
      [],
      [1, 2, 3],
      Array.from({ length: 50 }, () => true),
      Array.from({ length: 50 }, () => null),
      Array.from({ length: 50 }, () => 123_456.789_012_345),
      {},
      { a: 1 },
      Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`key${n}`, null])),
      [[[[[]]]]],
      new Map([["a", "b"]])
    ]
    for (const value of values) {
      const reader = new JsonReader(limits)
      const bytes = jsonBytes(reader.read("input", value))
      assert.isAtLeast(reader.bytes * 6, bytes, String(value))
      assert.isAtMost(reader.bytes, bytes + 4, String(value))
    }
  })

  it("allows exactly what a limit says", () => {
    assert.isUndefined(refusal("x".repeat(8), { maxBytes: 10 }))
    assert.strictEqual(refusal("x".repeat(9), { maxBytes: 10 }), "/input")
    assert.isUndefined(refusal([1, 1, 1, 1], { maxBytes: 10 }))
    assert.strictEqual(refusal([1, 1, 1, 1, 1], { maxBytes: 10 }), "/input/3")
    assert.strictEqual(refusal([[], [], [11_111_111]], { maxBytes: 12 }), "/input/2/0")
    assert.isUndefined(refusal({ a: 1, b: 2 }, { maxKeys: 2 }))
    assert.strictEqual(refusal({ a: 1, b: { c: 2 } }, { maxKeys: 2 }), "/input/b")
    assert.isUndefined(refusal([[[]]], { maxDepth: 3 }))
    assert.strictEqual(refusal([[[[]]]], { maxDepth: 3 }), "/input/0/0/0")
    assert.strictEqual(refusal(new Map([["a", new Set([[]])]]), { maxDepth: 2 }), "/input/a/0")
    assert.strictEqual(refusal({ a: [1, { b: [[]] }] }, { maxDepth: 4 }), "/input/a/1/b/0")
  })

  it("remembers the deepest nesting and the number of keys of all that it read", () => {
    const reader = new JsonReader(limits)
    reader.read("input", { a: [[]], b: 1 })
    assert.deepStrictEqual([reader.depth, reader.keys], [3, 2])
    reader.read("output", [{ c: 1, d: undefined }])
    assert.deepStrictEqual([reader.depth, reader.keys], [3, 3])
  })

  it("finds a cycle through maps, sets and arrays, and in the innermost place alone", () => {
    const set = new Set<unknown>()
    const map = new Map<string, unknown>([["set", set]])
    set.add([map])
    assert.strictEqual(refusal({ map }), "/input/map/set/0/0")
    const self: Array<unknown> = [1, 2]
    self.push(self)
    assert.strictEqual(refusal(self), "/input/2")
  })
})

describe("findDeeper", () => {
  it("names the first place that is nested deeper, and none if there is none", () => {
    assert.isUndefined(findDeeper(1, 0, ["a"]))
    assert.isUndefined(findDeeper(null, 0, ["a"]))
    assert.isUndefined(findDeeper("text", 0, ["a"]))
    assert.strictEqual(findDeeper([], 0, ["a"]), "/a")
    assert.isUndefined(findDeeper([1, "text", null, {}], 2, ["a"]))
    assert.strictEqual(findDeeper([1, [[]], { "b/c": [[]] }], 2, ["a"]), "/a/1/0")
    assert.strictEqual(findDeeper([1, [1], { "b/c": [[]] }], 3, ["a"]), "/a/2/b~1c/0")
  })
})
