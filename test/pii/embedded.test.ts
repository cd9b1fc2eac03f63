/** JSON inside strings, and lists of pairs: read as what they say, and given back as they were where nothing is found. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Pii } from "effect-audit/pii"

const mask = { kinds: { PASSWORD: "mask", COOKIE: "mask" } } as const
const strip = (value: unknown, policy: Pii.Options["policy"] = {}) =>
  Pii.strip(value as never, { policy: { ...mask, ...policy } })
const stripped = (value: unknown) => strip(value).value
const person = { first_name: "Kim", password: "hunter two", address: "12 Elm Street" }
const clean = { first_name: "[PERSON]", password: "[PASSWORD]", address: "[STREET_ADDRESS]" }

describe("a string that is JSON", () => {
  const text = JSON.stringify(person)
  const cleanText = JSON.stringify(clean)
  const cases: ReadonlyArray<readonly [name: string, given: string, expected: string]> = [
    ["alone", text, cleanText],
    [
      "with sixteen digits in a row",
      `{"order":12345678901234567890,${text.slice(1)}`,
      `{"order":12345678901234567890,${cleanText.slice(1)}`
    ],
    [
      "with sixteen digits in a text of it",
      `{"order":"0000111122223333444",${text.slice(1)}`,
      `{"order":"0000111122223333444",${cleanText.slice(1)}`
    ],
    [
      "with fractions and exponents as they were written",
      `{"n":[1.50,1e5,-0,0.1,1E+2],${text.slice(1)}`,
      `{"n":[1.50,1e5,-0,0.1,1E+2],${cleanText.slice(1)}`
    ],
    [
      "with keys that it has twice, of which each value is read, and kept",
      `{"password":"one two","a":{"b":1,"b":"kim@example.com"},"password":null,"a":[1],${text.slice(1)}`,
      `{"password":"[PASSWORD]","a":{"b":1,"b":"[EMAIL]"},"password":null,"a":[1],${cleanText.slice(1)}`
    ],
    [
      "with a key twice that is written in two ways, and a text with a key's end in it",
      `{"n":"\\":","\\u006e":"kim@example.com",${text.slice(1)}`,
      `{"n":"\\":","n":"[EMAIL]",${cleanText.slice(1)}`
    ],
    ["after a newline", `\n${text}`, `\n${cleanText}`],
    ["between spaces", `  ${text}\t\r\n`, `  ${cleanText}\t\r\n`],
    ["after a byte order mark", `\ufeff${text}`, `\ufeff${cleanText}`],
    ["in a list", `[${text}]`, `[${cleanText}]`],
    ["quoted", JSON.stringify(text), JSON.stringify(cleanText)],
    ["quoted twice", JSON.stringify(JSON.stringify(text)), JSON.stringify(JSON.stringify(cleanText))],
    ["quoted, after a newline", JSON.stringify(`\n${text}`), JSON.stringify(`\n${cleanText}`)],
    ["line by line", `${text}\n${text}\n`, `${cleanText}\n${cleanText}\n`],
    ["line by line, with other line ends", `${text}\r\n\r\n${text}`, `${cleanText}\r\n\r\n${cleanText}`],
    ["among lines of text", `first kim@example.com\n${text}\nlast`, `first [EMAIL]\n${cleanText}\nlast`],
    ["in a line of a log that begins with text", `at 10:00\n${text}`, `at 10:00\n${cleanText}`]
  ]
  for (const [name, given, expected] of cases) {
    it(`is stripped ${name}, and what is harmless stays as it was`, () => {
      const { counts, trainable, value } = strip({ body: given })
      assert.deepStrictEqual(value as unknown, { body: expected })
      assert.isFalse(trainable)
      assert.isTrue(counts.has("PASSWORD"))
    })
  }

  it("stays as it is, to the character, where nothing is found in it", () => {
    for (
      const harmless of [
        "{ \"id\" : 12345678901234567890 ,\n \"n\": 1.50 }",
        "[1.0, 2.00, 3e2]",
        "\n{\"a\":\"b\",\"c\":1}\n",
        "\"{\\\"a\\\":\\\"quoted\\\"}\"",
        "{\"a\":\"first\"}\n{\"a\":\"second\"}\n",
        "{not json at all}\n[neither]",
        "\"quoted\" words and {braces}",
        "[12:00:01] started\n[12:00:02] done"
      ]
    ) {
      const { trainable, value } = strip({ body: harmless })
      assert.deepStrictEqual(value as unknown, { body: harmless })
      assert.isTrue(trainable, harmless)
    }
  })

  it("has its long numbers looked at like others", () => {
    assert.deepStrictEqual(
      stripped("{\"n\":4111111111111111,\"m\":12345678901234567890}") as unknown,
      "{\"n\":\"[CREDIT_CARD]\",\"m\":12345678901234567890}"
    )
    assert.deepStrictEqual(
      stripped("{\"account_number\":12345678901234567890}") as unknown,
      "{\"account_number\":\"[BANK_ACCOUNT]\"}"
    )
    assert.deepStrictEqual(
      stripped("{\"pin\":0.50,\"password\":\"x y z\"}") as unknown,
      "{\"pin\":0.50,\"password\":\"[PASSWORD]\"}"
    )
  })

  it("is read in linear time, whatever it is", () => {
    for (
      const hostile of [
        "{\"a\":1}\n".repeat(20_000),
        "{\n".repeat(100_000),
        "\"\\\"".repeat(80_000),
        `"${"\\\"".repeat(100_000)}"`,
        `[${"\"".repeat(100_001)}]`,
        " ".repeat(250_000),
        `${"[".repeat(100_000)}${"]".repeat(100_000)}`
      ]
    ) stripped({ body: hostile })
  })

  it("gives back a number as it was written where it is kept or allowed, and finds a card however it is written", () => {
    const kept = { default: "keep", kinds: { US_SSN: "keep" } } as const
    assert.strictEqual(strip("{\"ssn\":123456789.0,\"z\":1}", kept).value as string, "{\"ssn\":123456789.0,\"z\":1}")
    const pin = "{\"pin\":12345678901234567890}"
    assert.strictEqual(strip(pin, { allow: { values: ["12345678901234567890"] } }).value as string, pin)
    assert.strictEqual(stripped("{\"n\":4111111111111111.0}") as string, "{\"n\":\"[CREDIT_CARD]\"}")
  })

  it("loses nothing of keys that it has twice where nothing is found", () => {
    for (const text of ["{\"a\":\"one\",\"a\":\"two\"}", "[{\"a\":{},\"a\":{\"a\":1}},{\"a\":2}]"]) {
      assert.strictEqual(stripped(text) as string, text)
      assert.isTrue(strip(text).trainable)
    }
  })

  it.prop(
    "says the same with white space around it, whatever it says",
    {
      value: Schema.Array(
        Schema.Record(Schema.Literals(["password", "a", "email"]), Schema.Union([Schema.String, Schema.Finite]))
      ),
      space: Schema.Literals(["\n", " ", "\ufeff", "\r\n\t"])
    },
    ({ space, value }) => {
      const json = JSON.stringify(value)
      assert.strictEqual(stripped(`${space}${json}`) as string, `${space}${String(stripped(json))}`)
      assert.deepStrictEqual(JSON.parse(String(stripped(json))), stripped(JSON.parse(json)) as unknown)
    }
  )
})

describe("a list of pairs", () => {
  it("is read as keys with values: of a Map, also with a key that is no text, and of entries()", () => {
    assert.deepStrictEqual(stripped([["password", "hunter two"], ["color", "red"]]) as unknown, [
      ["password", "[PASSWORD]"],
      ["color", "red"]
    ])
    assert.deepStrictEqual(stripped([[7, "seven"], [{ a: 1 }, "x"], ["first_name", "Kim"]]) as unknown, [
      [7, "seven"],
      [{ a: 1 }, "x"],
      ["first_name", "[PERSON]"]
    ])
    assert.deepStrictEqual(stripped([["kim@example.com", 1], ["password", ["b c", 1]]]) as unknown, [
      ["[EMAIL]", 1],
      ["password", ["[PASSWORD]", "[PASSWORD]"]]
    ])
  })

  it("is one where each item is two values; other lists are not", () => {
    for (
      const other of [
        ["password", "email"],
        [["password", "email", "name"], ["a", "b", "c"]],
        [["password", "email"], ["only one"]],
        [["x", 1], ["y", 2]],
        [[1, 2], [3, 4]],
        []
      ]
    ) assert.deepStrictEqual(stripped(other) as unknown, other)
  })

  it("is read from raw headers, in which names and values take turns", () => {
    const headers = ["Host", "example.com", "Cookie", "sid=abc", "X-Api-Key", "k-12345", "Accept", "*/*"]
    const expected = ["Host", "example.com", "Cookie", "[COOKIE]", "X-Api-Key", "[PASSWORD]", "Accept", "*/*"]
    for (const key of ["rawHeaders", "raw_headers", "rawTrailers"]) {
      assert.deepStrictEqual(stripped({ [key]: headers }) as unknown, { [key]: expected })
    }
    assert.deepStrictEqual(stripped({ rawHeaders: ["Host", "a", "odd"] }) as unknown, {
      rawHeaders: ["Host", "a", "odd"]
    })
    assert.deepStrictEqual(stripped({ rawHeaders: [headers.slice(2, 4), headers.slice(4, 6)] }) as unknown, {
      rawHeaders: [expected.slice(2, 4), expected.slice(4, 6)]
    })
    assert.deepStrictEqual(stripped({ columns: headers.slice(2, 4) }) as unknown, { columns: headers.slice(2, 4) })
  })

  it("is read from objects with a name and a value", () => {
    assert.deepStrictEqual(stripped({ name: "the second", key: "password", value: "hunter two" }) as unknown, {
      name: "the second",
      key: "password",
      value: "[PASSWORD]"
    })
    for (const [name, value] of [["name", "value"], ["key", "value"], ["Key", "Value"], ["Name", "Value"]] as const) {
      assert.deepStrictEqual(
        stripped([{ [name]: "DB_PASSWORD", [value]: "hunter two", id: 1 }, {
          [name]: "color",
          [value]: "red"
        }]) as unknown,
        [{ [name]: "DB_PASSWORD", [value]: "[PASSWORD]", id: 1 }, { [name]: "color", [value]: "red" }]
      )
    }
    const other = { name: "password", label: "Your password", type: "text" }
    assert.deepStrictEqual(stripped(other) as unknown, other)
  })

  it("follows the policy: keys that are allowed, and paths", () => {
    const allowed = { allow: { keys: ["password"] } }
    assert.deepStrictEqual(strip([["password", "red"]], allowed).value as unknown, [["password", "red"]])
    const path = { policy: { ...mask, allow: { paths: ["/input/0/1"] } } }
    assert.deepStrictEqual(
      new Pii.Stripper(path).part("input", [["password", "red"], ["password", "red"]]) as unknown,
      [["password", "red"], ["password", "[PASSWORD]"]]
    )
  })
})
