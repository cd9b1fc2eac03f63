/** Relays over memory and SQLite, and what a relay and a webhook refuse. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Memory } from "effect-audit/memory"
import { Relay, RelayState, SqlRelayState, type Target, Webhook } from "effect-audit/relay"
import { Sqlite } from "effect-audit/sqlite"
import { post } from "../../src/relay/outbound.ts"
import { log, temporaryFile } from "../support.ts"
import { receiver } from "./receiver.ts"
import { recording, type Stack, suite } from "./RelayTest.ts"

const media: ReadonlyArray<readonly [string, Layer.Layer<Stack, unknown>]> = [
  [
    "memory",
    Erasure.layer.pipe(
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(Memory.layer()),
      Layer.provideMerge(RelayState.layerMemory)
    )
  ],
  [
    "SQLite",
    Layer.unwrap(Effect.map(temporaryFile, (filename) =>
      Erasure.layer.pipe(
        Layer.provideMerge(AuditLogger.layer()),
        Layer.provideMerge(SqlRelayState.layer()),
        Layer.provideMerge(Sqlite.layer({ filename }))
      )))
  ]
]

for (const [name, layer] of media) suite(name, layer)

describe("a relay's options", () => {
  it.live("that cannot be meant are refused, with their place", () =>
    Effect.gen(function*() {
      const { target } = recording(() => Effect.void)
      const key = { id: "k", secret: Buffer.alloc(32) }
      const wrong: ReadonlyArray<readonly [Partial<Relay.Options>, string]> = [
        [{ name: "R" }, "/name"],
        [{ tries: 0 }, "/tries"],
        [{ target: { ...target, maxEvents: 1.5 } }, "/target/maxEvents"],
        [{ target: { ...target, maxBytes: -1 } }, "/target/maxBytes"],
        [{ concurrency: 0 }, "/concurrency"],
        [{ lease: 0 }, "/lease"],
        [{ interval: "0 millis" }, "/interval"],
        [{ backoff: { from: 0 } }, "/backoff"],
        [{ policy: { drop: ["input"] } }, "/policy/drop/0"],
        [{ policy: { drop: ["/input", "/action"] } }, "/policy/drop/1"],
        [{ policy: { pseudonymise: ["/user_id"] } }, "/policy/key"],
        [{ policy: { pseudonymise: ["/outcome"], key } }, "/policy/pseudonymise/0"],
        [{ policy: { pseudonymise: ["/user_id"], key: { id: "k", secret: Buffer.alloc(8) } } }, "/policy/key/secret"]
      ]
      for (const [options, path] of wrong) {
        const error = yield* Effect.flip(Relay.run({ name: "r", target, ...options }))
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, path)
      }
      const secret = Redacted.make(`whsec_${Buffer.alloc(24).toString("base64")}`)
      const hooks: ReadonlyArray<readonly [Webhook.Options, string]> = [
        [{ url: "ftp://x", secret }, "/url"],
        [{ url: "http://example.com", secret }, "/url"],
        [{ url: "https://a:b@example.com", secret }, "/url"],
        [{ url: "https://example.com", secret: Redacted.make("abc") }, "/secret"],
        [{ url: "https://example.com", secret: [] }, "/secret"]
      ]
      for (const [options, path] of hooks) {
        const error = yield* Effect.flip(Webhook.make(options))
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, path)
      }
    }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(Memory.layer(), RelayState.layerMemory)))))
})

describe("a webhook", () => {
  it.live("goes to no private network, follows no redirect, and says nothing of its address", () =>
    Effect.scoped(Effect.gen(function*() {
      const secret = Redacted.make(`whsec_${Buffer.alloc(24).toString("base64")}`)
      const batch: Target.Batch = { relay: "r", log, events: [] }
      const urls = [
        "https://127.0.0.1",
        "https://localhost",
        "https://[::1]",
        "https://10.1.2.3",
        "https://169.254.169.254",
        "https://[::ffff:127.0.0.1]",
        "https://0x7f000001",
        "https://[fd00::1]",
        "https://192.168.1.1",
        "https://100.64.0.1",
        "https://168.63.129.16",
        "https://[::7f00:1]",
        "https://[::ffff:0:7f00:1]",
        "https://[5f00::1]"
      ]
      for (const url of urls) {
        const target = yield* Webhook.make({ url: `${url}/secret-path`, secret })
        const error = yield* Effect.flip(target.send(batch))
        assert.strictEqual(error._tag, "Unavailable", url)
        assert.include(error.detail, "private network", url)
        assert.notInclude(error.detail, "secret-path")
      }
      const { messages, url } = yield* receiver(() => ({ status: 302, headers: { location: "/elsewhere" } }))
      const target = yield* Webhook.make({ url, secret, allowPrivateNetworks: true })
      const error = yield* Effect.flip(target.send(batch))
      assert.strictEqual(error._tag, "Unavailable")
      assert.strictEqual(messages.length, 1)
      // A connection that was allowed to go there carries nothing that may not.
      const request = {
        url: new URL(url.replace("127.0.0.1", "localhost")),
        headers: {},
        body: Buffer.of(1),
        timeoutMillis: 1000
      }
      assert.strictEqual((yield* post({ ...request, allowPrivate: true })).status, 302)
      const other = yield* Effect.flip(post({ ...request, allowPrivate: false }))
      assert.include(other.detail, "private network")
      for (const headers of [{ a: "b\nc" }, { "transfer-encoding": "chunked" }, { "webhook-id": "x" }, { "ä": "b" }]) {
        const wrong = yield* Effect.flip(Webhook.make({ url, secret, allowPrivateNetworks: true, headers }))
        assert.include(wrong.message, "/headers/")
      }
      const { url: slow } = yield* receiver(() => "hang")
      const waiting = yield* Webhook.make({ url: slow, secret, allowPrivateNetworks: true, timeout: 50 })
      assert.include((yield* Effect.flip(waiting.send(batch))).detail, "no answer within 50 ms")
    })))
})
