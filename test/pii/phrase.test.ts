/** Ids by their form are left alone, and words that end no name need not be looked at with those before them. */
import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"
import { keyKind } from "../../src/pii/keyNames.ts"
import { mayEndName } from "../../src/pii/phrase.ts"

const kept = (text: string) => assert.strictEqual(Pii.strip(text).value, text)

describe("ids", () => {
  it("of UUIDs no part is an account, though its digits check", () => {
    for (
      const id of [
        "98a9fcaf-ad28-432f-8a26-0b071c97fb61",
        "0cd61dda-aea4-4f5b-be20-f12a661ecb64",
        "ee51f81b-a426-425f-b779-dc78ab2b45d1",
        "EE149879-2C39-4611-B8CE-F61664679F61"
      ]
    ) {
      for (const text of [id, `job ${id} ended`, `${id},${id}`, `/runs/${id}/logs`, `run:${id}`]) kept(text)
    }
  })

  it("a UUID that goes on is none", () => {
    assert.deepStrictEqual(Pii.scan("4111-1111-1111-1111").map(({ kind }) => kind), ["CREDIT_CARD"])
    // An account whose groups are of hexadecimal digits, behind another number.
    assert.deepStrictEqual(
      Pii.scan("12345678 BE71 0961 2345 6769").map(({ kind, start }) => [kind, start]),
      [["IBAN", 9]]
    )
  })

  it("a UUID is a secret behind a word that says so", () => {
    const id = "98a9fcaf-ad28-432f-8a26-0b071c97fb61"
    for (const text of [`api_token=${id}`, `using secret key ${id} for it`]) {
      assert.deepStrictEqual(Pii.scan(text).map(({ end, start }) => text.slice(start, end)), [id])
    }
  })

  it("digests and ids of traces are left, but for an address that they spell", () => {
    kept("e56df5b4fd823adc9fb9c1f54a9266f9")
    kept("commit 2cdf2dea320de26536f4af2b8879d4584a0e88eb is in")
    const spelled = Buffer.from("kim.lis@acme.com").toString("hex")
    assert.strictEqual(spelled.length, 32)
    assert.deepStrictEqual(Pii.scan(`x ${spelled}`).map(({ kind }) => kind), ["EMAIL"])
  })
})

describe("names of several words", () => {
  const words =
    ("api access private secret security social credit card phone number key token code name address user customer " +
      "pass word password passwd csrf date birth of my the auth session id ids value data info error line level status time " +
      "confirmation confirm formatted message Answer INFO Keys numbers nom prenom kod client license plate file path")
      .split(" ")

  it("end only with words that may end one", () => {
    let ended = 0
    for (const last of words) {
      for (const before of words) {
        for (const first of ["", ...words]) {
          const name = first === "" ? `${before} ${last}` : `${first} ${before} ${last}`
          if (mayEndName(last, `${first} ${before} `)) ended++
          else assert.isUndefined(keyKind(name), name)
        }
      }
    }
    // Most words end none.
    assert.isBelow(ended, words.length ** 2 * (words.length + 1) / 1.5)
  })
})
