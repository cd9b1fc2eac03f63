import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, Schema } from "effect"
import { AuditLogger, PiiStripper, RequestContext } from "effect-audit"
import { Memory } from "effect-audit/memory"
import { Kind, Pii, PiiLogger } from "effect-audit/pii"
import { AuditTrail } from "effect-audit/trail"
import { log, memoryWith, storedEvents, within } from "./support.ts"

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

describe("Pii.scan at the edges of words", () => {
  it("takes an escape before a word for a space, and never as part of a value", () => {
    for (const before of ["\\n", "\\t", "\\u0022", "%3D", "\u001b[31m", "\\\""]) {
      assert.deepStrictEqual(kinds(`x${before}kim@example.com`), [["EMAIL", "kim@example.com"]], before)
      assert.deepStrictEqual(
        kinds(`x${before}ghp_${"a1B2".repeat(9)}`),
        [["SECRET", `ghp_${"a1B2".repeat(9)}`]],
        before
      )
      assert.deepStrictEqual(kinds(`x${before}00:1A:2B:3C:4D:5E`), [["MAC", "00:1A:2B:3C:4D:5E"]], before)
    }
    assert.deepStrictEqual(kinds("mac:AA:BB:CC:DD:EE:FF"), [["MAC", "AA:BB:CC:DD:EE:FF"]])
    assert.deepStrictEqual(kinds("aa:AA:BB:CC:DD:EE:FF"), [])
  })

  it("leaves names of files and units, dates, and long numbers of no card's range", () => {
    for (
      const text of ["icon@2x.png", "user@1000.service", "on 2024-01-15 and 15.01.2024", "order 6304000000000000 sent"]
    ) assert.deepStrictEqual(kinds(text), [], text)
    assert.deepStrictEqual(kinds("maestro card 6304000000000000"), [["CREDIT_CARD", "6304000000000000"]])
  })

  it("a token that begins a longer finding is the token", () => {
    const token = `ghp_${"a1B2".repeat(9)}`
    assert.deepStrictEqual(kinds(`https://${token}@github.com/x`).map(([kind]) => kind), ["SECRET"])
  })
})

describe("Pii.strip", () => {
  it("only a placeholder of a known kind is taken for one", () => {
    assert.deepStrictEqual(Pii.strip({ password: "[PASSWORD]" }).value, { password: "[PASSWORD]" })
    assert.deepStrictEqual(Pii.strip({ password: "[HUNTER_TWO]" }).value, { password: null })
    assert.deepStrictEqual(Pii.strip({ password: "[PASSWORD:hunter2]" }).value, { password: null })
    assert.deepStrictEqual(Pii.strip({ email: "[EMAIL:example.com]" }).value, { email: "[EMAIL:example.com]" })
    // Any word in capitals between brackets, as loggers write them, hides nothing.
    const address = "ab@example-mail-22.com"
    assert.deepStrictEqual(kinds(`[INFO:${address}]`), [["EMAIL", address]])
    // An IBAN has the 22 characters of a keyed hash.
    assert.deepStrictEqual(kinds("[INFO:app:DE89370400440532013000]"), [["IBAN", "DE89370400440532013000"]])
  })

  it("a key in the plural or in other words names the kind as well", () => {
    const { value } = Pii.strip({
      passwords: ["a", "b"],
      telephone_number: "555 0132",
      nameOnCard: "Kim",
      page_tokens: 3
    })
    assert.deepStrictEqual(value, {
      passwords: [null, null],
      telephone_number: "[PHONE]",
      nameOnCard: "[PERSON]",
      page_tokens: 3
    })
  })

  it("a number that JSON inside a string cannot hold keeps its digits", () => {
    const text = `{"id":12345678901234567890,"ok":true}`
    assert.strictEqual(Pii.strip(text).value, text)
  })

  it("deep brackets in a string and many equal keys cost time in proportion", () => {
    const deep = "[".repeat(50_000)
    assert.strictEqual(Pii.strip(deep).value, deep)
    const people = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`p${i}@example.com`, i]))
    assert.strictEqual(Object.keys(Pii.strip(people).value as object).length, 2_000)
  })

  it("treats what a key names as that kind, each of a list as well, but not what is below it under other names", () => {
    const { counts, value } = Pii.strip({
      password: "hunter2",
      userEmail: "not an address",
      user_id: "u1",
      token_count: 3,
      session_name: "morning",
      address: { line1: "1 Main St", tags: ["a", "b"] },
      addresses: ["2 Main St", "3 Main St"],
      "card-number": 4111111111111111,
      items: [{ phone: "555 0132" }, { phone: "iOS" }],
      pan: 0.5,
      auth: { method: "sso", token: { type: "bearer", value: "abc123" } },
      enabled: true
    })
    assert.deepStrictEqual(value, {
      password: null,
      userEmail: "[EMAIL]",
      user_id: "u1",
      token_count: 3,
      session_name: "morning",
      address: { line1: "[STREET_ADDRESS]", tags: ["a", "b"] },
      addresses: ["[STREET_ADDRESS]", "[STREET_ADDRESS]"],
      "card-number": "[CREDIT_CARD]",
      items: [{ phone: "[PHONE]" }, { phone: "iOS" }],
      pan: 0.5,
      auth: { method: "sso", token: { type: "bearer", value: null } },
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

describe("Pii.scan: disguises", () => {
  it("sees through full-width digits, invisible characters and other spellings of @; offsets are the original's", () => {
    const cases: ReadonlyArray<readonly [string, string, string]> = [
      ["card ４１１１ １１１１ １１１１ １１１１ ok", "CREDIT_CARD", "４１１１ １１１１ １１１１ １１１１"],
      ["mail kim\u200b@exam\u200dple.com!", "EMAIL", "kim\u200b@exam\u200dple.com"],
      ["?user=kim%40example.com&x=1", "EMAIL", "kim%40example.com"],
      ["{\"m\":\"kim\\u0040example.com\"}", "EMAIL", "kim\\u0040example.com"],
      ["ssn 123\u201345\u20136789", "US_SSN", "123\u201345\u20136789"],
      ["call +49\u00a030\u00a0901820", "PHONE", "+49\u00a030\u00a0901820"]
    ]
    for (const [text, kind, value] of cases) assert.deepStrictEqual(kinds(text), [[kind, value]], text)
  })
})

describe("Pii.strip: JSON in strings, limits, policies", () => {
  it("strips JSON inside strings by its keys as well, and says when it is nested too deep to look into", () => {
    const text = JSON.stringify({ password: "hunter2", note: "kim@example.com", n: 1 })
    assert.strictEqual(Pii.strip(text).value, `{"password":null,"note":"[EMAIL]","n":1}`)
    let nested = JSON.stringify({ mail: "kim@example.com" })
    for (let n = 0; n < 6; n++) nested = JSON.stringify({ nested })
    const deep = Pii.strip(nested)
    assert.notInclude(JSON.stringify(deep.value), "kim@example.com")
    assert.isFalse(deep.trainable)
  })

  const key = { id: "k1", secret: Buffer.alloc(32, 7) }
  it("pseudonyms are the same for a value of a tenant, and differ by tenant, kind and key", () => {
    const policy = { default: "pseudonym" } as const
    const of = (tenantId: string, value: string, by = key) => Pii.strip(value, { policy, tenantId, key: by }).value
    const first = of("t_a", "kim@example.com")
    assert.match(String(first), /^\[EMAIL:k1:[A-Za-z0-9_-]{22}\]$/)
    assert.strictEqual(of("t_a", "kim@example.com"), first)
    assert.strictEqual(first, Pii.pseudonym(key, "t_a", "EMAIL", "kim@example.com"))
    assert.notStrictEqual(of("t_b", "kim@example.com"), first)
    assert.notStrictEqual(of("t_a", "lee@example.com"), first)
    assert.match(String(of("t_a", "kim@example.com", { id: "k2", secret: Buffer.alloc(32, 8) })), /:k2:/)
  })

  it("partial masks keep the last four of a card and the domain of an address", () => {
    const { trainable, value } = Pii.strip({ a: "kim@example.com", b: "4111 1111 1111 1111", c: "123-45-6789" }, {
      policy: { default: "partial", trainable: ["EMAIL"] }
    })
    assert.deepStrictEqual(value, { a: "[EMAIL:example.com]", b: "[CREDIT_CARD:1111]", c: "[US_SSN]" })
    assert.isFalse(trainable)
  })

  it("the more particular rule wins: path, tenant, kind", () => {
    const policy = {
      kinds: { EMAIL: "drop" },
      tenants: { t_a: { kinds: { EMAIL: "mask" } } },
      paths: [{ path: "/input/*/raw", treatment: "keep" }],
      allow: { paths: ["/output"], keys: ["contact"], values: ["noreply@example.com"] }
    } as const
    const strip = (tenantId: string) => {
      const stripper = new Pii.Stripper({ policy, tenantId })
      return stripper.part("input", {
        a: { raw: "kim@example.com", other: "kim@example.com" },
        contact: "kim@example.com",
        from: "noreply@example.com"
      })
    }
    const kept = { contact: "kim@example.com", from: "noreply@example.com" }
    assert.deepStrictEqual(strip("t_a"), { a: { raw: "kim@example.com", other: "[EMAIL]" }, ...kept })
    assert.deepStrictEqual(strip("t_b"), { a: { raw: "kim@example.com", other: "" }, ...kept })
    assert.strictEqual(new Pii.Stripper({ policy }).part("output", "kim@example.com"), "kim@example.com")
  })

  it("named kinds may pass into training, but not what only a key told", () => {
    const policy = { trainable: ["EMAIL"] } as const
    assert.isTrue(Pii.strip("mail kim@example.com", { policy }).trainable)
    assert.isFalse(Pii.strip({ email: "kim at example" }, { policy }).trainable)
    assert.isFalse(Pii.strip("mail kim@example.com or +1 415 555 0132", { policy }).trainable)
  })

  const secrets = ["kim.lee@example.com", "4111111111111111", "AKIAIOSFODNN7EXAMPLE", "203.0.113.77", "+1 415 555 0132"]
  for (const treatment of ["mask", "pseudonym", "drop"] as const) {
    it.prop(
      `${treatment}: twice equals once, no value survives, and what is not personal stays`,
      { value: Schema.Json, at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })) },
      ({ at, value }) => {
        const secret = secrets[at]!
        const options = { policy: { default: treatment }, tenantId: "t_a", key } as const
        const planted = {
          clean: { count: 3, state: "open" },
          deep: [{ text: `see ${secret} now`, [secret]: value }],
          value
        }
        const once = Pii.strip(planted, options).value
        assert.deepStrictEqual(Pii.strip(once, options).value, once)
        assert.notInclude(JSON.stringify(once), secret)
        assert.deepStrictEqual((once as unknown as typeof planted).clean, planted.clean)
      }
    )
  }
})

describe("PiiLogger.strip", () => {
  it.effect("strips messages, annotations and causes of a logger's lines", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.map(PiiLogger.strip(Logger.formatJson), (line) => void lines.push(line))
      yield* Effect.logError("mail kim@example.com", Cause.fail(new Error("card 4111 1111 1111 1111"))).pipe(
        Effect.annotateLogs({ password: "hunter2", user_id: "u1" }),
        Effect.provide(Logger.layer([logger]))
      )
      assert.strictEqual(lines.length, 1)
      for (const secret of ["kim@example.com", "4111", "hunter2"]) assert.notInclude(lines[0], secret)
      assert.include(lines[0], "u1")
    }))
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
        AuditLogger.layer({ pii: { policy: { kinds: { EMAIL: "drop", IP: "keep" } } } }).pipe(
          Layer.provideMerge(Memory.layer()),
          Layer.fresh
        )
      )
    ))

  const over = (pii: PiiStripper.Options) =>
    AuditLogger.layer({ pii }).pipe(Layer.provideMerge(Memory.layer()), Layer.fresh)
  const emit = (input: unknown) => AuditLogger.emit({ action: "note.create", input }).pipe(within())

  it.effect("takes detectors of one's own; one that throws is StripFailed, and nothing is stored", () =>
    Effect.gen(function*() {
      const ticket: Pii.Detector = (text) =>
        [...text.matchAll(/TICKET-\d+/g)].map((match) => ({
          start: match.index,
          end: match.index + match[0].length,
          kind: "PERSON"
        }))
      const receipt = yield* emit("see TICKET-123 of kim@example.com").pipe(
        Effect.provide(over({ detectors: [ticket] }))
      )
      assert.deepStrictEqual([...receipt.piiFlags.flags], ["EMAIL", "PERSON"])
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(emit("x"))
        assert.strictEqual(error.reason._tag, "StripFailed")
        assert.deepStrictEqual(yield* storedEvents, [])
      }).pipe(Effect.provide(over({
        detectors: [() => {
          throw new Error("kim@example.com")
        }]
      })))
    }))

  it.effect("a wrong policy, or pseudonyms without a key, fail at the start with the path", () =>
    Effect.gen(function*() {
      const wrongKey = "needs an id of 1 to 32 letters, digits, _ or -, and a secret of at least 32 bytes"
      const treatments = "must be one of mask, pseudonym, partial, drop, keep"
      const passing =
        "must be a kind that may pass: one of EMAIL, PHONE, IBAN, IP, MAC, CRYPTO_ADDRESS, POSTAL_CODE, " +
        "STREET_ADDRESS, DATE_OF_BIRTH, PERSON, or of your own"
      const place = "must be a JSON Pointer into an event, such as /input/email"
      const cases: ReadonlyArray<readonly [options: PiiStripper.Options, path: string, detail?: string]> = [
        [{ policy: { kinds: { EMAIL: "hide" } } }, "/policy/kinds/EMAIL", treatments],
        [{ policy: { default: 1 } }, "/policy/default", treatments],
        [{ policy: { tenants: { t_acme: { default: "hide" } } } }, "/policy/tenants/t_acme/default", treatments],
        [{ policy: { paths: [{ path: "/input", treatment: "no" }] } }, "/policy/paths/0/treatment", treatments],
        [{ policy: { allow: { paths: ["input"] } } }, "/policy/allow/paths/0", place],
        [{ policy: { trainable: ["SECRET"] } }, "/policy/trainable/0", passing],
        [{ policy: { paths: [{ path: "input", treatment: "mask" }] } }, "/policy/paths/0/path", place],
        [{ policy: { other: 1 } }, "/policy/other"],
        [{ policy: [] }, "/policy"],
        [{ policy: { default: "pseudonym" } }, "/key", "pseudonyms need a key"],
        [{ key: { id: "k1", secret: Buffer.alloc(8) } }, "/key", wrongKey],
        [{ key: { id: "k 1", secret: Buffer.alloc(32) } }, "/key", wrongKey]
      ]
      for (const [options, path, detail = "is not what a policy has there"] of cases) {
        const error = yield* Effect.flip(PiiStripper.make(options))
        assert(error.reason._tag === "InvalidInput")
        assert.deepStrictEqual([error.reason.path, error.reason.detail], [path, detail])
      }
    }))

  it.effect("a kind of one's own is found, named in the flags and in its place, and can be named in a policy", () =>
    Effect.gen(function*() {
      const customer = Kind.make("CUSTOMER_NO")
      assert.strictEqual(Kind.make("CUSTOMER_NO"), customer)
      assert.strictEqual(Kind.make("EMAIL"), "EMAIL")
      const detector = (text: string) =>
        [...text.matchAll(/C-\d{6}/g)].map(({ 0: { length }, index }) => ({
          start: index,
          end: index + length,
          kind: customer
        }))
      const through = (policy: unknown) =>
        Effect.gen(function*() {
          const receipt = yield* emit("C-123456 of kim@example.com, [CUSTOMER_NO]")
          const [item] = (yield* AuditTrail.query({ ...log, limit: 1 })).items
          return [item?.erased === false ? item.event.input : undefined, receipt.piiFlags.counts, receipt.trainOk]
        }).pipe(Effect.provide(over({ detectors: [detector], policy, key: { id: "k1", secret: Buffer.alloc(32) } })))
      const counts = { CUSTOMER_NO: 1, EMAIL: 1 }
      assert.deepStrictEqual(yield* through({}), ["[CUSTOMER_NO] of [EMAIL], [CUSTOMER_NO]", counts, false])
      assert.deepStrictEqual(yield* through({ kinds: { CUSTOMER_NO: "keep", EMAIL: "drop" } }), [
        "C-123456 of , [CUSTOMER_NO]",
        counts,
        false
      ])
      const [text, , trainOk] = yield* through({
        tenants: { t_acme: { kinds: { [customer]: "pseudonym" } } },
        trainable: ["EMAIL", customer]
      })
      assert.match(String(text), /^\[CUSTOMER_NO:k1:[\w-]{22}\] of \[EMAIL\], \[CUSTOMER_NO\]$/)
      assert.isTrue(trainOk)
    }))

  it.effect("a policy that names a kind that there is not is refused with those that there are", () =>
    Effect.gen(function*() {
      for (
        const [policy, path] of [
          [{ kinds: { EMIAL: "mask" } }, "/policy/kinds/EMIAL"],
          [{ tenants: { t: { kinds: { OTHER_NO: "mask" } } } }, "/policy/tenants/t/kinds/OTHER_NO"]
        ] as const
      ) {
        const error = yield* Effect.flip(PiiStripper.make({ policy }))
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, path)
        assert.match(error.reason.detail, /^is no kind: the kinds are EMAIL, PHONE, .*PERSON.*made with Kind\.make$/)
      }
      for (const name of ["", "customer", "A-B", "1A", "A".repeat(33)]) {
        assert.throws(() => Kind.make(name), TypeError, "the name of a kind is")
      }
      yield* PiiStripper.make({ policy: { kinds: { [Kind.make("A".repeat(32))]: "drop" } } })
    }))

  it.effect("allowed kinds leave the decision to the preferences, and say so", () =>
    Effect.gen(function*() {
      const receipt = yield* emit("kim@example.com").pipe(Effect.provide(over({ policy: { trainable: ["EMAIL"] } })))
      assert.isTrue(receipt.trainOk)
      assert.strictEqual(receipt.piiFlags.policy_reason, "allowed_kinds")
    }))

  it.effect("an id and a secret of 32 bytes make a key", () =>
    Effect.gen(function*() {
      const made = (id: string, bytes: number) =>
        Effect.map(
          Effect.result(
            PiiStripper.make({ policy: { default: "pseudonym" }, key: { id, secret: Buffer.alloc(bytes) } })
          ),
          (result) =>
            result._tag === "Success"
              ? "made"
              : result.failure.reason._tag === "InvalidInput"
              ? `${result.failure.method} ${result.failure.reason.path}`
              : result.failure.reason._tag
        )
      for (const id of ["k", "A-z_09", "a".repeat(32)]) assert.strictEqual(yield* made(id, 32), "made", id)
      assert.strictEqual(yield* made("k1", 64), "made")
      for (const id of ["", "a".repeat(33), "a b", " a", "a!", "!a", "ä", "a\n"]) {
        assert.strictEqual(yield* made(id, 32), "PiiStripper.layer /key", id)
      }
      assert.strictEqual(yield* made("k1", 31), "PiiStripper.layer /key")
    }))

  it.effect("treats a tenant as its policy says, with pseudonyms of its own", () =>
    Effect.gen(function*() {
      const policy = {
        tenants: { t_acme: { default: "drop" }, t_b: { default: "pseudonym" }, t_c: { default: "pseudonym" } }
      }
      yield* Effect.gen(function*() {
        const inputs: Array<unknown> = []
        for (const tenantId of ["t_acme", "t_a", "t_b", "t_c"]) {
          yield* AuditLogger.emit({ action: "note.create", input: "mail kim@example.com" }).pipe(within({ tenantId }))
          const { items: [item] } = yield* AuditTrail.query({
            ...log,
            tenantId: RequestContext.TenantId.make(tenantId),
            limit: 1
          })
          assert(item !== undefined && !item.erased)
          inputs.push(item.event.input)
        }
        assert.deepStrictEqual(inputs.slice(0, 2), ["mail ", "mail [EMAIL]"])
        assert.match(String(inputs[2]), /^mail \[EMAIL:k1:.+\]$/)
        assert.match(String(inputs[3]), /^mail \[EMAIL:k1:.+\]$/)
        assert.notStrictEqual(inputs[2], inputs[3])
      }).pipe(Effect.provide(over({ policy, key: { id: "k1", secret: Buffer.alloc(32, 1) } })))
    }))
})

describe("PiiStripper: the parts of an event", () => {
  const stack = (stripper: Layer.Layer<PiiStripper.PiiStripper, unknown>) => memoryWith({ stripper })
  const mail = "kim@example.com"
  const parts: ReadonlyArray<readonly [AuditLogger.AuditDraft, string, unknown]> = [
    [{ action: "a.b", resource: { type: "mailbox", id: mail } }, "resource", { type: "mailbox", id: "[EMAIL]" }],
    [{ action: "a.b", errorTag: `Bounce ${mail}` }, "error_tag", "Bounce [EMAIL]"],
    [{ action: "a.b", input: [mail, 1, null] }, "input", ["[EMAIL]", 1, null]],
    [{ action: "a.b", output: { [mail]: true } }, "output", { "[EMAIL]": true }],
    [{ action: "a.b", analytics: { utm_source: mail } }, "utm_source", "[EMAIL]"]
  ]
  const stored = (draft: AuditLogger.AuditDraft) =>
    Effect.gen(function*() {
      yield* AuditLogger.emit(draft).pipe(within())
      const { items: [item] } = yield* AuditTrail.query({ ...log, limit: 1 })
      assert(item !== undefined && !item.erased)
      return item.event
    })

  for (const [name, stripper] of [["as is", PiiStripper.layer()], ["with options", PiiStripper.layer({})]] as const) {
    it.effect(`are each stripped and counted, and the rest is left: ${name}`, () =>
      Effect.gen(function*() {
        for (const [draft, field, expected] of parts) {
          const event: Record<string, unknown> = { ...yield* stored(draft) }
          assert.deepStrictEqual(event[field], expected, field)
          assert.deepStrictEqual(event["pii_flags"], {
            flags: ["EMAIL"],
            policy_reason: "pii_found",
            counts: { EMAIL: 1 },
            truncated: false
          })
          assert.strictEqual(event["train_reason"], "pii")
        }
        const { metadata } = yield* stored({ action: "a.b", metadata: { to: mail, n: 1 } })
        assert.deepInclude(metadata, { to: "[EMAIL]", n: 1 })
        const clean = yield* stored({
          action: "a.b",
          resource: { type: "note", id: "n1" },
          errorTag: "NotFound",
          input: { n: 1 },
          output: [true],
          metadata: { mine: "x" },
          analytics: { utm_source: "s", event_type: "t" }
        })
        assert.deepStrictEqual<unknown>(
          [
            clean.resource,
            clean.error_tag,
            clean.input,
            clean.output,
            clean.metadata["mine"],
            clean.analytics_event_type
          ],
          [{ type: "note", id: "n1" }, "NotFound", { n: 1 }, [true], "x", "t"]
        )
        assert.deepStrictEqual<unknown>(clean.pii_flags, {
          flags: [],
          policy_reason: "no_pii",
          counts: {},
          truncated: false
        })
        assert.isTrue(clean.train_ok)
      }).pipe(Effect.provide(stack(stripper))))
  }

  it.effect("have the paths by which a policy names them", () =>
    Effect.gen(function*() {
      for (
        const [path, index] of [["resource", 0], ["errorTag", 1], ["input", 2], ["output", 3], [
          "analytics",
          4
        ]] as const
      ) {
        const [draft] = parts[index]!
        const policy = { allow: { paths: [`/${path}`] } }
        const event = yield* Effect.provide(stored(draft), stack(PiiStripper.layer({ policy })))
        assert.include(JSON.stringify(event), mail, path)
        for (const [other, field, expected] of parts) {
          if (other === draft) continue
          const event: Record<string, unknown> = {
            ...yield* Effect.provide(stored(other), stack(PiiStripper.layer({ policy })))
          }
          assert.deepStrictEqual(event[field], expected, `${path}: ${field}`)
        }
      }
      const policy = { allow: { paths: ["/metadata/to"] } }
      const { metadata } = yield* stored({ action: "a.b", metadata: { to: mail, cc: mail } }).pipe(
        Effect.provide(stack(PiiStripper.layer({ policy })))
      )
      assert.deepInclude(metadata, { to: mail, cc: "[EMAIL]" })
    }))

  it.effect("keep ids of resources that look like something else by chance, and no other", () =>
    Effect.gen(function*() {
      const idOf = (id: string, type = "order") =>
        Effect.map(stored({ action: "a.b", resource: { type, id } }), ({ pii_flags, resource, train_ok }) => {
          assert.strictEqual(train_ok, resource?.id === id, id)
          assert.deepStrictEqual(pii_flags.flags.length > 0, resource?.id !== id, id)
          return resource?.id
        })
      const kept = [
        ...Array.from({ length: 40 }, (_, n) => String(4_111_111_111_111_100 + n)),
        "inv_4111111111111111",
        "203.0.113.7",
        "2001:db8::1",
        "00:1a:2b:3c:4d:5e",
        "415-555-0123"
      ]
      const stripped: ReadonlyArray<readonly [string, string]> = [
        ["kim@example.com", "[EMAIL]"],
        ["4111 1111 1111 1111", "[CREDIT_CARD]"],
        ["DE89370400440532013000", "[IBAN]"],
        ["AKIAIOSFODNN7EXAMPLE", "[SECRET]"],
        ["AKIAIOSFODNN7EXAMPLE/4111111111111111", "[SECRET]/[CREDIT_CARD]"],
        ["+14155550123", "[PHONE]"],
        ["123-45-6789", "[US_SSN]"],
        ["the host 203.0.113.7", "the host [IP]"],
        ["CU-4711", "[PERSON]"]
      ]
      yield* Effect.gen(function*() {
        for (const id of kept) assert.strictEqual(yield* idOf(id), id)
        for (const [id, expected] of stripped) assert.strictEqual(yield* idOf(id), expected)
      }).pipe(Effect.provide(stack(PiiStripper.layer({
        policy: { default: "mask" },
        detectors: [(text) => text.startsWith("CU-") ? [{ start: 0, end: text.length, kind: "PERSON" }] : []]
      }))))
      const policy = { allow: { paths: ["/resource/id", "/analytics/utm_source"] } }
      const event = yield* stored({
        action: "a.b",
        resource: { type: "mailbox", id: mail },
        analytics: { utm_source: mail, utm_medium: mail }
      }).pipe(Effect.provide(stack(PiiStripper.layer({ policy }))))
      assert.deepStrictEqual(event.resource, { type: "mailbox", id: mail })
      assert.deepInclude({ ...event }, { utm_source: mail, utm_medium: "[EMAIL]" } as never)
    }))

  it.effect("that are dropped whole leave an empty text where one must be, and kinds are counted one by one", () =>
    Effect.gen(function*() {
      const policy = { default: "drop" }
      yield* Effect.gen(function*() {
        const event = yield* stored({
          action: "a.b",
          errorTag: mail,
          resource: { type: "mailbox", id: mail },
          input: [mail, "4111 1111 1111 1111", mail, "203.0.113.7"],
          analytics: { utm_source: mail }
        })
        assert.deepInclude({ ...event }, { error_tag: "", utm_source: "" } as never)
        assert.deepStrictEqual(event.resource, { type: "mailbox", id: "" })
        assert.deepStrictEqual<unknown>(event.pii_flags, {
          flags: ["CREDIT_CARD", "EMAIL", "IP"],
          policy_reason: "pii_found",
          counts: { CREDIT_CARD: 1, EMAIL: 5, IP: 1 },
          truncated: false
        })
      }).pipe(Effect.provide(stack(PiiStripper.layer({ policy }))))
    }))

  it.effect("that could not be looked into to the end forbid training, whatever was found", () =>
    Effect.gen(function*() {
      let nested = JSON.stringify({ a: 1 })
      for (let n = 0; n < 12; n++) nested = JSON.stringify({ nested })
      const policy = { trainable: ["EMAIL"] }
      yield* Effect.gen(function*() {
        for (const [input, flags] of [[{ nested }, []], [{ nested, mail }, ["EMAIL"]]] as const) {
          const event = yield* stored({ action: "a.b", input })
          assert.deepStrictEqual<unknown>(
            [event.pii_flags.flags, event.pii_flags.policy_reason, event.pii_flags.truncated, event.train_reason],
            [flags, "truncated", true, "pii"]
          )
        }
      }).pipe(Effect.provide(stack(PiiStripper.layer({ policy }))))
    }))
})
