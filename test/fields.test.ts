/** What contexts and drafts may say beyond who, where and what: agents, clients, decisions, changes, operations. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Schema } from "effect"
import { AuditLogger, DatasetEvent, PiiStripper, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger } from "effect-audit/ledger"
import { AuditTrail } from "effect-audit/trail"
import { memory, memoryWith, sealedBy, storedEvents, within } from "./support.ts"

const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
const at = "2026-01-02T03:04:05.678Z"

/** The newest event, decoded. */
const newest = Effect.gen(function*() {
  const body = (yield* storedEvents).at(-1)?.body
  assert(body !== undefined)
  return JSON.parse(Buffer.from(body).toString("utf8")) as DatasetEvent.Wire
})
const emitted = (draft: Partial<AuditLogger.AuditDraft>, more: Partial<RequestContext.Json> = {}) =>
  Effect.andThen(AuditLogger.emit({ action: "note.create", ...draft }).pipe(within(more)), newest)
const refusedAt = (draft: unknown) =>
  Effect.map(
    Effect.flip(AuditLogger.emit({ action: "note.create", ...draft as object }).pipe(within())),
    ({ reason }) => reason._tag === "InvalidInput" ? reason.path : reason._tag
  )

describe("who acts", () => {
  it.effect("may be nobody who is known", () =>
    Effect.gen(function*() {
      const event = yield* emitted({ outcome: "denied" }, { actor: RequestContext.anonymous })
      assert.deepInclude<unknown>(event, { actor_type: "anonymous", agentId: "anonymous" })
      assert.notProperty(event, "user_id")
      assert.deepInclude(event.metadata, { actor_type: "anonymous", agentId: "anonymous" })
    }).pipe(Effect.provide(memory)))

  it.effect("may be a program of a version and model, and is told from others that run side by side", () =>
    Effect.gen(function*() {
      const about = { version: "1.4.0+build.7", model: "vendor/opus@20260115", instanceId: "pod-7" }
      for (const make of [RequestContext.agent, RequestContext.tool]) {
        const event = yield* emitted({}, { actor: make("a1", "u1", about) })
        assert.deepInclude<unknown>(event, {
          agentId: "a1",
          user_id: "u1",
          agent: { version: "1.4.0+build.7", model: "vendor/opus@20260115", instance_id: "pod-7" }
        })
        assert.deepStrictEqual<unknown>((yield* emitted({}, { actor: make("a1", undefined, { model: "m" }) })).agent, {
          model: "m"
        })
        assert.notProperty(yield* emitted({}, { actor: make("a1", "u1") }), "agent")
      }
      const addresses = [
        "kim@example.com",
        "kim@example.com@1",
        "x@kim@example.com",
        "kim@example.com/v1",
        "a|kim@example.com:2"
      ]
      for (const model of [...addresses, "two words", "", "x".repeat(129)]) {
        const error = yield* Effect.flip(RequestContext.decode({
          tenantId: "t",
          env: "e",
          actor: { type: "agent", id: "a", model },
          requestId: "r"
        }))
        assert.notInclude(error.message, "kim")
      }
    }).pipe(Effect.provide(memory)))

  it.effect("may act for others in several hops, from who acts now outwards", () =>
    Effect.gen(function*() {
      const delegation = [{ type: "tool", id: "t1" }, { type: "agent", id: "a1" }, { type: "human", id: "u1" }] as const
      const event = yield* emitted({}, { actor: RequestContext.tool("t1", "u1"), delegation })
      assert.deepStrictEqual<unknown>(event.delegation, delegation)
      const hops = (count: number) =>
        Effect.result(RequestContext.decode({
          tenantId: "t",
          env: "e",
          actor: { type: "system" },
          requestId: "r",
          delegation: Array.from({ length: count }, (_, n) => ({ type: "agent", id: `a${n}` }))
        }))
      assert.strictEqual((yield* hops(16))._tag, "Success")
      assert.strictEqual((yield* hops(17))._tag, "Failure")
    }).pipe(Effect.provide(memory)))

  it.effect("cannot be changed in a context, however deep", () =>
    Effect.gen(function*() {
      const context = yield* RequestContext.decode({
        tenantId: "t",
        env: "e",
        actor: { type: "agent", id: "a", model: "m" },
        requestId: "r",
        client: { address: "203.0.113.7" },
        delegation: [{ type: "human", id: "u1" }]
      })
      for (const part of [context.actor, context.client, context.delegation, context.delegation?.[0]]) {
        assert.isTrue(Object.isFrozen(part))
      }
    }))
})

describe("a context that someone made by hand", () => {
  const made = (delegation: ReadonlyArray<{ type: string; id: string }>) =>
    RequestContext.RequestContext.of({
      tenantId: RequestContext.TenantId.make("t_acme"),
      env: RequestContext.Env.make("prod"),
      mode: "saas",
      actor: RequestContext.system,
      requestId: RequestContext.Id.make("r1"),
      traceId: RequestContext.TraceId.make("t1"),
      delegation: delegation as ReadonlyArray<RequestContext.Party>,
      client: { userAgent: "curl/8.5.0" }
    })

  it.effect("counts as it is at the call, whatever becomes of it", () =>
    Effect.gen(function*() {
      const party = { type: "human", id: "u1" }
      const context = made([party])
      const slow = Layer.effect(
        PiiStripper.PiiStripper,
        Effect.map(PiiStripper.make(), ({ strip }) =>
          PiiStripper.PiiStripper.of({
            strip: (event) =>
              Effect.suspend(() => {
                party.id = "kim@example.com"
                return strip(event)
              })
          }))
      )
      yield* Effect.gen(function*() {
        yield* AuditLogger.emit({ action: "note.create" }).pipe(RequestContext.provide(context))
        assert.deepStrictEqual<unknown>((yield* newest).delegation, [{ type: "human", id: "u1" }])
      }).pipe(Effect.provide(memoryWith({ stripper: slow })))
    }))

  it.effect("is read once where it is frozen, and stays as it was then", () =>
    Effect.gen(function*() {
      let reads = 0
      const party = Object.freeze({
        type: "human",
        get id() {
          return reads++ === 0 ? "u1" : "kim@example.com"
        }
      })
      const context = made(Object.freeze([party]))
      Object.freeze(context.client)
      Object.freeze(context)
      for (let i = 0; i < 2; i++) {
        const exit = yield* Effect.exit(
          AuditLogger.emit({ action: "note.create" }).pipe(RequestContext.provide(context))
        )
        assert.isFalse(Object.isFrozen(party) === false)
        if (exit._tag === "Success") {
          assert.deepStrictEqual<unknown>((yield* newest).delegation, [{ type: "human", id: "u1" }])
        }
      }
      // What was given is not frozen by us.
      const open = [{ type: "human", id: "u1" }]
      yield* AuditLogger.emit({ action: "note.create" }).pipe(RequestContext.provide(made(open)))
      assert.isFalse(Object.isFrozen(open) || Object.isFrozen(open[0]))
    }).pipe(Effect.provide(memory)))

  it.effect("shows no key in its error, however deep", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(RequestContext.decode({
        tenantId: "t",
        env: "e",
        actor: { type: "system" },
        requestId: "r",
        delegation: [{ type: "human", id: "u", "kim@example.com": 1 }]
      }))
      assert.notInclude(error.message, "kim")
      assert.include(error.message, "delegation")
    }))
})

describe("from where a request came", () => {
  const through = (address: string, policy?: unknown, userAgent?: string) => {
    const stripper = PiiStripper.layer({ policy, key: { id: "k1", secret: new Uint8Array(32) } })
    return Effect.gen(function*() {
      const receipt = yield* AuditLogger.emit({ action: "note.create" }).pipe(
        within({ client: { address, userAgent } })
      )
      return { ...(yield* newest).client, found: receipt.piiFlags.flags, trainOk: receipt.trainOk }
    }).pipe(Effect.provide(memoryWith({ stripper })))
  }

  it.effect("is kept as its network, which is no finding", () =>
    Effect.gen(function*() {
      const networks = [
        ["203.0.113.77", "203.0.113.0/24"],
        ["0.0.0.0", "0.0.0.0/24"],
        ["2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::/48"],
        ["2001:DB8::1", "2001:db8::/48"],
        ["2001:0:0:1::1", "2001::/48"],
        ["2001:0:1::1", "2001:0:1::/48"],
        ["::1", "::/48"],
        ["::", "::/48"],
        ["1:2:3:4:5:6:7::", "1:2:3::/48"],
        ["fe80::1%eth0", "fe80::/48"],
        ["::ffff:203.0.113.77", "203.0.113.0/24"],
        ["::FFFF:cb00:714d", "203.0.113.0/24"],
        ["64:ff9b::203.0.113.77", "64:ff9b::/48"],
        // 6to4 holds the whole IPv4 address in its first 48 bits.
        ["2002:cb00:714d::1", "2002:cb00:7100::/40"],
        ["2002:cb00:4d::1", "2002:cb00::/40"]
      ] as const
      for (const [address, network] of networks) {
        assert.deepStrictEqual(yield* through(address), { address: network, found: [], trainOk: true }, address)
      }
    }))

  it.effect("is what the policy says of its path, else of addresses", () =>
    Effect.gen(function*() {
      const whole = "203.0.113.77"
      const network = { address: "203.0.113.0/24", found: [], trainOk: true }
      const kept = { address: whole, found: ["IP"], trainOk: false }
      const path = "/client/address"
      assert.deepStrictEqual(yield* through(whole, { kinds: { EMAIL: "drop" } }), network)
      assert.deepStrictEqual(yield* through(whole, { kinds: { IP: "partial" } }), network)
      assert.deepStrictEqual(yield* through(whole, { kinds: { IP: "keep" } }), kept)
      assert.deepStrictEqual(yield* through(whole, { paths: [{ path, treatment: "keep" }] }), kept)
      assert.deepStrictEqual(yield* through(whole, { tenants: { t_acme: { default: "keep" } } }), kept)
      assert.deepStrictEqual(
        yield* through(whole, { kinds: { IP: "keep" }, paths: [{ path, treatment: "partial" }] }),
        network
      )
      assert.deepStrictEqual(yield* through(whole, { allow: { paths: ["/client"] } }), {
        ...kept,
        found: [],
        trainOk: true
      })
      assert.deepStrictEqual(yield* through(whole, { kinds: { IP: "mask" } }), { ...network, address: "[IP]" })
      assert.deepStrictEqual<unknown>(yield* through(whole, { kinds: { IP: "drop" } }), { found: [], trainOk: true })
      const pseudonym = yield* through(whole, { kinds: { IP: "pseudonym" } })
      assert.match(pseudonym.address ?? "", /^\[IP:k1:[\w-]{22}\]$/)
      assert.deepStrictEqual<unknown>(pseudonym.found, ["IP"])
    }))

  it.effect("says with which program, without what is personal in its name", () =>
    Effect.gen(function*() {
      const browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
        "Chrome/142.0.7444.59 Safari/537.36 Edg/142.0.3595.53"
      assert.deepInclude(yield* through("::1", {}, browser), { user_agent: browser, found: [], trainOk: true })
      assert.deepInclude(yield* through("::1", {}, "a\ud800b"), { user_agent: "a\ufffdb" })
      assert.deepInclude(yield* through("::1", {}, "crawler (kim@example.com)"), {
        user_agent: "crawler ([EMAIL])",
        found: ["EMAIL"],
        trainOk: false
      })
    }))

  it.effect("is an address, and not much text", () =>
    Effect.gen(function*() {
      const decode = (client: unknown) =>
        Effect.result(RequestContext.decode({
          tenantId: "t",
          env: "e",
          actor: { type: "system" },
          requestId: "r",
          client
        }))
      for (
        const address of [
          "",
          "203.0.113",
          "203.0.113.256",
          "203.0.113.7:443",
          "example.com",
          "::g",
          "203.0.113.7%e",
          "%e"
        ]
      ) {
        const result = yield* decode({ address })
        assert(result._tag === "Failure", address)
        assert.include(result.failure.message, "an IPv4 or IPv6 address")
      }
      assert.strictEqual((yield* decode({ userAgent: "x".repeat(1025) }))._tag, "Failure")
      assert.strictEqual((yield* decode({ port: 1 }))._tag, "Failure")
      assert.strictEqual((yield* decode({ address: undefined, userAgent: "x".repeat(1024) }))._tag, "Success")
    }))

  it.effect("does not tell two tries of one call apart", () =>
    Effect.gen(function*() {
      const draft = { action: "note.create", input: { n: 1 } }
      const from = (address: string) => within({ client: { address } })
      const first = yield* AuditLogger.emit(draft, { idempotencyKey: "k" }).pipe(from("203.0.113.1"))
      const again = yield* AuditLogger.emit(draft, { idempotencyKey: "k" }).pipe(from("198.51.100.1"))
      assert.deepInclude(again, { duplicate: true, position: first.position })
      const { eventId } = yield* AuditLogger.emit(draft).pipe(from("203.0.113.1"))
      assert.isTrue((yield* AuditLogger.emit(draft, { eventId }).pipe(from("198.51.100.1"))).duplicate)
    }).pipe(Effect.provide(memory)))
})

describe("what was decided and changed", () => {
  it.effect("is stripped like every other text, and its ids are kept", () =>
    Effect.gen(function*() {
      const event = yield* emitted({
        related: [{ type: "note", id: "4111111111111111" }, { type: "note", id: "kim@example.com" }],
        authorization: { decision: "denied", policyId: "p-1", reason: "asked by kim@example.com", risk: 0.8 },
        change: { before: { email: "kim@example.com" }, after: { email: null } },
        approval: { by: { type: "human", id: "u9" }, at, argumentsSha256: digest }
      })
      assert.deepStrictEqual(event.related, [{ type: "note", id: "4111111111111111" }, { type: "note", id: "[EMAIL]" }])
      assert.deepStrictEqual(event.authorization, {
        decision: "denied",
        policy_id: "p-1",
        reason: "asked by [EMAIL]",
        risk: 0.8
      })
      assert.deepStrictEqual<unknown>(event.change, { before: { email: "[EMAIL]" }, after: { email: null } })
      assert.deepStrictEqual<unknown>(event.approval, { by: { type: "human", id: "u9" }, at, arguments_sha256: digest })
      assert.deepStrictEqual<unknown>(event.pii_flags.counts, { EMAIL: 3 })
    }).pipe(Effect.provide(memory)))

  it.effect("has paths of its own in a policy", () =>
    Effect.gen(function*() {
      const names = [
        "/related/*/id",
        "/authorization/reason",
        "/authorization/risk",
        "/change/after/note",
        "/client/userAgent"
      ]
      const policy = { paths: names.map((path) => ({ path, treatment: "keep" })) }
      const mail = "kim@example.com"
      const event = yield* Effect.provide(
        emitted({
          related: [{ type: "note", id: mail }],
          authorization: { decision: "allowed", reason: mail, risk: mail, policyId: mail },
          change: { before: { note: mail }, after: { note: mail } }
        }, { client: { userAgent: mail } }),
        memoryWith({ stripper: PiiStripper.layer({ policy }) })
      )
      assert.deepStrictEqual(event.related, [{ type: "note", id: mail }])
      assert.deepStrictEqual(event.authorization, {
        decision: "allowed",
        policy_id: "[EMAIL]",
        reason: mail,
        risk: mail
      })
      assert.deepStrictEqual<unknown>(event.change, { before: { note: "[EMAIL]" }, after: { note: mail } })
      assert.deepStrictEqual(event.client, { user_agent: mail })
    }))

  it.effect("is read once", () =>
    Effect.gen(function*() {
      let reads = 0
      const approval = {
        by: { type: "human" as const, id: "u1" },
        argumentsSha256: digest,
        get at() {
          reads++
          return at
        }
      }
      yield* emitted({ approval })
      assert.strictEqual(reads, 1)
    }).pipe(Effect.provide(memory)))

  it.effect("and analytics are stored as the schema writes them", () =>
    Effect.gen(function*() {
      const analytics = { utm_source: "a", platform: "web", seo_title: "t", asset_alt_text: "alt", event_type: "view" }
      yield* AuditLogger.emit({ action: "note.create", analytics, change: { after: 1 } }).pipe(within())
      const body = Buffer.from((yield* storedEvents).at(-1)?.body ?? []).toString("utf8")
      const decoded = yield* Schema.decodeUnknownEffect(DatasetEvent.WireFromText)(body)
      assert.strictEqual(yield* Schema.encodeEffect(DatasetEvent.WireFromText)(decoded), body)
    }).pipe(Effect.provide(memory)))

  it.effect("may be told in part", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* emitted({ change: { after: 1 } })).change, { after: 1 })
      assert.deepStrictEqual((yield* emitted({ change: { before: null } })).change, { before: null })
      assert.deepStrictEqual((yield* emitted({ change: {} })).change, {})
      assert.deepStrictEqual((yield* emitted({ related: [] })).related, [])
      assert.deepStrictEqual((yield* emitted({ authorization: { decision: "allowed" } })).authorization, {
        decision: "allowed"
      })
      const times = [new Date(at), DateTime.makeUnsafe(at), Date.parse(at), "2026-01-02T04:04:05.678+01:00"]
      for (const time of times) {
        const event = yield* emitted({
          approval: { by: { type: "system", id: "s" }, at: time, argumentsSha256: digest }
        })
        assert.strictEqual(event.approval?.at, at)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("is refused where it cannot be meant, with the place", () =>
    Effect.gen(function*() {
      const approval = { by: { type: "human", id: "u1" }, at, argumentsSha256: digest }
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [{ phase: "intent" }, "/operationId"],
        [{ phase: "begin", operationId: "o" }, "/phase"],
        [{ operationId: "kim@example.com" }, "/operationId"],
        [{ operationId: 1 }, "/operationId"],
        [{ related: { type: "note", id: "n" } }, "/related"],
        [{ related: Array.from({ length: 17 }, () => ({ type: "note", id: "n" })) }, "/related"],
        [{ related: [{ type: "note", id: "n" }, { type: "note" }] }, "/related/1/id"],
        [{ related: [{ type: "note", id: "n", extra: 1 }] }, "/related/0/extra"],
        [{ authorization: "allowed" }, "/authorization"],
        [{ authorization: {} }, "/authorization/decision"],
        [{ authorization: { decision: "yes" } }, "/authorization/decision"],
        [{ authorization: { decision: "allowed", policy_id: "p" } }, "/authorization/policy_id"],
        [{ authorization: { decision: "allowed", reason: {} } }, "/authorization/reason"],
        [{ authorization: { decision: "allowed", risk: [] } }, "/authorization/risk"],
        [{ approval: {} }, "/approval/by"],
        [{ approval: "u1" }, "/approval"],
        [{ approval: { ...approval, at: "2026-01-02" } }, "/approval/at"],
        [{ approval: { ...approval, at: undefined } }, "/approval/at"],
        [{ approval: { ...approval, by: { type: "robot", id: "u1" } } }, "/approval/by/type"],
        [{ approval: { ...approval, by: { type: "human", id: "" } } }, "/approval/by/id"],
        [{ approval: { ...approval, argumentsSha256: digest.toUpperCase() } }, "/approval/argumentsSha256"],
        [{ approval: { ...approval, extra: 1 } }, "/approval/extra"],
        [{ change: [] }, "/change"],
        [{ change: { from: 1 } }, "/change/from"]
      ]
      for (const [draft, path] of cases) assert.strictEqual(yield* refusedAt(draft), path, JSON.stringify(draft))
      const sixteen = Array.from({ length: 16 }, (_, n) => ({ type: "note", id: `n${n}` }))
      assert.strictEqual((yield* emitted({ related: sixteen })).related?.length, 16)
    }).pipe(Effect.provide(memory)))

  it.effect("is refused in words", () =>
    Effect.gen(function*() {
      const approval = { by: { type: "human", id: "u1" }, at, argumentsSha256: digest }
      const id = "must be an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -"
      const types = "must be one of human, agent, system, tool, anonymous"
      const sha = "must be a SHA-256: 64 lower-case hexadecimal digits"
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [{ phase: "intent" }, "is missing: a phase is one of an operation"],
        [{ phase: "begin", operationId: "o" }, "must be one of intent, result"],
        [{ operationId: "a b" }, id],
        [{ resource: "n" }, "must be an object: a resource with type and id"],
        [{ resource: { type: "note", id: "n", x: 1 } }, "is not a field of a resource with type and id"],
        [
          { resource: { type: "1", id: "n" } },
          "must be a letter, then letters, digits and _ . : / -, at most 128 characters"
        ],
        [{ resource: { type: "note", id: "" } }, "must not be empty"],
        [{ resource: { type: 1, id: "n" } }, "must be a string"],
        [{ related: {} }, "must be an array of resources"],
        [{ related: Array.from({ length: 17 }, () => ({ type: "note", id: "n" })) }, "must have at most 16 resources"],
        [{ change: 1 }, "must be an object: a change with before and after"],
        [{ change: { x: 1 } }, "is not a field of a change with before and after"],
        [{ authorization: 1 }, "must be an object: an authorization"],
        [{ authorization: {} }, "must be one of allowed, denied, escalated"],
        [{ approval: 1 }, "must be an approval"],
        [{ approval: { ...approval, by: 1 } }, "must be an object: a party with type and id"],
        [{ approval: { ...approval, by: { id: "u1" } } }, types],
        [{ approval: { ...approval, by: { type: "x", id: "u1" } } }, types],
        [{ approval: { ...approval, argumentsSha256: `${digest}0` } }, sha],
        [{ approval: { ...approval, argumentsSha256: `0${digest}` } }, sha],
        [{ approval: { ...approval, argumentsSha256: 1 } }, "must be a string"],
        [{ approval: { ...approval, x: 1 } }, "is not a field of an approval"],
        [{ metadata: 1 }, "must be an object"],
        [{ metadata: { action: 1 } }, "is reserved: it is written from the request context"],
        [{ analytics: 1 }, "must be an object"],
        [{ analytics: { x: "1" } }, "must be event_type, platform, asset_alt_text, utm_... or seo_..."],
        [{ subjectIds: "u1" }, "must be an array of ids"],
        [{ subjectIds: Array.from({ length: 1001 }, () => "u1") }, "must have at most 1,000 ids"],
        [{ subjectIds: ["a b"] }, id],
        [{ occurredAt: "2026-01-02" }, "must be a date, or RFC 3339 text with a time zone"],
        [{ occurredAt: "2026-02-30T00:00:00Z" }, "must be a date, or RFC 3339 text with a time zone"],
        [{ occurredAt: "2026-02-03t24:00:00z" }, "must be a date, or RFC 3339 text with a time zone"]
      ]
      for (const [draft, detail] of cases) {
        const error = yield* Effect.flip(
          AuditLogger.emit({ action: "note.create", ...draft as object }).pipe(within())
        )
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.detail, detail, JSON.stringify(draft).slice(0, 100))
      }
    }).pipe(Effect.provide(memory)))

  it.effect("counts for an idempotency key", () =>
    Effect.gen(function*() {
      const base = { action: "note.create" }
      const approval = { by: { type: "human", id: "u1" }, at, argumentsSha256: digest } as const
      const drafts: ReadonlyArray<AuditLogger.AuditDraft> = [
        base,
        { ...base, operationId: "o1" },
        { ...base, operationId: "o1", phase: "intent" },
        { ...base, operationId: "o1", phase: "result" },
        { ...base, approval },
        { ...base, approval: { ...approval, by: { type: "human", id: "u2" } } },
        { ...base, related: [{ type: "note", id: "n" }] },
        { ...base, change: { after: 1 } },
        { ...base, authorization: { decision: "allowed" } }
      ]
      const digests = yield* Effect.forEach(drafts, (draft) => sealedBy(draft, { idempotencyKey: "k" }))
      const texts = digests.map(({ idempotency }) => Buffer.from(idempotency?.digest ?? []).toString("hex"))
      assert.strictEqual(new Set(texts).size, drafts.length)
    }))
})

describe("an erasure that someone asks for in a chain of delegates", () => {
  it.effect("names none of the erased persons in its record", () =>
    Effect.gen(function*() {
      yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
      const asking = within({
        actor: RequestContext.agent("a1"),
        delegation: [{ type: "agent", id: "a1" }, { type: "human", id: "u1" }],
        client: { address: "203.0.113.7" }
      })
      const { count } = yield* Erasure.erase({ person: "u1", reason: "asked" }).pipe(asking)
      assert.strictEqual(count, 1)
      const record = yield* newest
      assert.deepInclude<unknown>(record, { action: "audit.erased", actor_type: "system" })
      assert.notProperty(record, "delegation")
      assert.notProperty(record, "client")
      yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
      const other = within({ actor: RequestContext.agent("a1"), delegation: [{ type: "human", id: "u2" }] })
      yield* Erasure.erase({ person: "u1", reason: "asked" }).pipe(other)
      assert.deepStrictEqual<unknown>((yield* newest).delegation, [{ type: "human", id: "u2" }])
    }).pipe(Effect.provide(Layer.mergeAll(Erasure.layer, Ledger.layer).pipe(Layer.provideMerge(memory), Layer.fresh))))
})

describe("events of before", () => {
  it.effect("have no new field, and are found as before", () =>
    Effect.gen(function*() {
      const event = yield* emitted({})
      const added = [
        "agent",
        "delegation",
        "client",
        "operation_id",
        "phase",
        "authorization",
        "approval",
        "related",
        "change"
      ]
      for (const field of added) assert.notProperty(event, field)
      assert.strictEqual((yield* AuditTrail.query({ tenantId: event.tenantId, env: event.env })).items.length, 2)
    }).pipe(Effect.provide(memory)))
})
