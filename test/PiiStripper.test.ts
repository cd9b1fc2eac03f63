import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger, EventSink, LoggingEngine, PiiStripper, TrainingPreferences } from "effect-audit"
import { Pii } from "effect-audit/pii"
import { AuditTrail } from "effect-audit/trail"
import { log, within } from "./support.ts"

const kinds = (text: string): ReadonlyArray<readonly [string, string]> =>
  Pii.scan(text).map((span) => [span.kind, text.slice(span.start, span.end)])

describe("Pii.scan", () => {
  it("finds each kind where it is, and only there", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, string]>]> = [
      ["Mail kim.lee+x@mail.example.co.uk.", [["EMAIL", "kim.lee+x@mail.example.co.uk"]]],
      ["call +49 30 901820 or (415) 555-0132 now", [["PHONE", "+49 30 901820"], ["PHONE", "(415) 555-0132"]]],
      ["phone: 030 901820", [["PHONE", "030 901820"]]],
      ["paid with 4111 1111 1111 1111 today", [["CREDIT_CARD", "4111 1111 1111 1111"]]],
      ["amex 378282246310005", [["CREDIT_CARD", "378282246310005"]]],
      ["to DE89 3704 0044 0532 0130 00 please", [["IBAN", "DE89 3704 0044 0532 0130 00"]]],
      ["GB82WEST12345698765432", [["IBAN", "GB82WEST12345698765432"]]],
      ["from 203.0.113.7:443 and 2001:db8::ff00:42:8329", [["IP", "203.0.113.7"], ["IP", "2001:db8::ff00:42:8329"]]],
      ["ssn 123-45-6789", [["US_SSN", "123-45-6789"]]],
      ["zip code 94107-1234", [["POSTAL_CODE", "94107-1234"]]],
      ["postcode: SW1A 1AA", [["POSTAL_CODE", "SW1A 1AA"]]],
      ["key AKIAIOSFODNN7EXAMPLE!", [["SECRET", "AKIAIOSFODNN7EXAMPLE"]]],
      [`token ghp_${"a1B2".repeat(9)}`, [["SECRET", `ghp_${"a1B2".repeat(9)}`]]],
      ["00:1A:2B:3C:4D:5E", [["MAC", "00:1A:2B:3C:4D:5E"]]],
      ["postgres://ada:s3cret@db.example/x", [["URL_CREDENTIALS", "ada:s3cret"]]],
      ["password=hunter2 and", [["PASSWORD", "hunter2"]]],
      ["Authorization: Bearer abcdef123456", [["PASSWORD", "abcdef123456"]]]
    ]
    for (const [text, expected] of cases) assert.deepStrictEqual(kinds(text), expected, text)
    const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert.deepStrictEqual(kinds(`got ${jwt}.`), [["JWT", jwt]])
    const pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
    assert.deepStrictEqual(kinds(`${pem}\n`), [["PRIVATE_KEY", pem]])
  })

  it("leaves alone what only looks like it", () => {
    for (
      const text of [
        "4111 1111 1111 1112",
        "000-12-3456 and 666-12-3456",
        "version 1.2.3.4",
        "550e8400-e29b-41d4-a716-446655440000",
        "2026-01-02T03:04:05.678Z",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "DE89 3704 0044 0532 0130 01",
        "94107 items",
        "user@localhost",
        "std::vector and a::b",
        "12:34:56",
        "999.1.1.1",
        "0af7651916cd43dd8448eb211c80319c"
      ]
    ) assert.deepStrictEqual(kinds(text), [], text)
  })
})

describe("Pii.strip", () => {
  it("treats what a key names as that kind, down into children, and leaves the rest", () => {
    const { counts, value } = Pii.strip({
      password: "hunter2",
      userEmail: "not an address",
      user_id: "u1",
      token_count: 3,
      session_name: "morning",
      address: { line1: "1 Main St", tags: ["a", "b"] },
      "card-number": 4111111111111111,
      items: [{ phone: "x" }],
      enabled: true
    })
    assert.deepStrictEqual(value, {
      password: null,
      userEmail: "[EMAIL]",
      user_id: "u1",
      token_count: 3,
      session_name: "morning",
      address: { line1: "[STREET_ADDRESS]", tags: ["[STREET_ADDRESS]", "[STREET_ADDRESS]"] },
      "card-number": "[CREDIT_CARD]",
      items: [{ phone: "[PHONE]" }],
      enabled: true
    })
    assert.strictEqual(counts.get("STREET_ADDRESS"), 3)
  })

  it("stripping twice equals stripping once, and two keys that become one placeholder both stay", () => {
    const once = Pii.strip({ "a@example.com": 1, "b@example.com": 2, text: "call +1 415 555 0132" }).value
    assert.deepStrictEqual(once, { "[EMAIL]": 1, "[EMAIL] 2": 2, text: "call [PHONE]" })
    assert.deepStrictEqual(Pii.strip(once).value, once)
  })
})

describe("PiiStripper.layerWith", () => {
  it.effect("takes a policy by kind", () =>
    Effect.gen(function*() {
      yield* AuditLogger.emit({ action: "note.create", input: "kim@example.com, 203.0.113.7, 123-45-6789" }).pipe(
        within()
      )
      const { items } = yield* AuditTrail.query({ ...log, limit: 1 })
      const [item] = items
      assert(item !== undefined && !item.erased)
      assert.strictEqual(item.event.input, ", 203.0.113.7, [US_SSN]")
      assert.deepStrictEqual([...item.event.pii_flags.flags], ["EMAIL", "IP", "US_SSN"])
    }).pipe(
      Effect.provide(
        Layer.mergeAll(AuditLogger.layer, AuditTrail.layerMemory).pipe(
          Layer.provide(LoggingEngine.layer),
          Layer.provide([
            EventSink.layerMemory,
            TrainingPreferences.layerMemory,
            PiiStripper.layerWith({ policy: { kinds: { EMAIL: "drop", IP: "keep" } } })
          ]),
          Layer.fresh
        )
      )
    ))
})
