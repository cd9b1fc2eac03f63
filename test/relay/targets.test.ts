/** Targets over HTTP, against servers that answer and fail as their makers' documents say. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { type AuditError, AuditLogger } from "effect-audit"
import { Memory } from "effect-audit/memory"
import { Datadog, Elastic, Otlp, Relay, RelayState, S3, Splunk, type Target, Webhook } from "effect-audit/relay"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import S3rver from "s3rver"
import { within } from "../support.ts"
import { receiver } from "./receiver.ts"

const secret = Redacted.make("the-secret")

/** A batch of real events, as a relay makes it. */
const batchOf = (count: number, input: (n: number) => unknown = (n) => ({ n })) =>
  Effect.gen(function*() {
    const batches: Array<Target.Batch> = []
    yield* Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) =>
      AuditLogger.emit({ action: "note.create", resource: { type: "note", id: `n${n}` }, input: input(n) }).pipe(
        within()
      ))
    const target: Target.Target = {
      name: "catching",
      maxEvents: 1000,
      maxBytes: 1e9,
      send: (batch) =>
        Effect.sync(() => {
          batches.push(batch)
        })
    }
    yield* Effect.raceFirst(
      Relay.run({ name: "catching", target, interval: 1 }),
      Effect.gen(function*() {
        while (batches.length === 0) {
          yield* Effect.sleep(1)
        }
      })
    )
    const [batch] = batches
    assert(batch !== undefined)
    return batch
  }).pipe(Effect.provide(Layer.fresh(
    AuditLogger.layer().pipe(Layer.provideMerge(Memory.layer()), Layer.provideMerge(RelayState.layerMemory))
  )))

/** A server that is written to by hand: its address. */
const raw = (answer: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.once("data", () => answer(socket))
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({
          url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
          close: () => {
            for (const socket of sockets) socket.destroy()
            server.close()
          }
        }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ url }) => url))

const made = <A extends Target.Target>(target: Effect.Effect<A, AuditError.AuditError, HttpClient.HttpClient>) =>
  Effect.provide(target, FetchHttpClient.layer)
const lines = (body: string) => body.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as never)

const hook = Redacted.make(`whsec_${Buffer.alloc(24).toString("base64")}`)

describe("what a status means", () => {
  it.live("is the same for every target: wait, divide, or refuse", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      let reply: { readonly status: number; readonly headers?: Record<string, string> } = { status: 200 }
      const { url } = yield* receiver(() => ({
        ...reply,
        body: "{\"code\":0,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":201}}]}"
      }))
      const targets = [
        yield* made(Splunk.make({ url, token: secret })),
        yield* made(Datadog.make({ site: url, apiKey: secret })),
        yield* made(Elastic.make({ url, apiKey: secret })),
        yield* made(Otlp.make({ url })),
        yield* made(
          S3.make({ endpoint: url, region: "eu", bucket: "audit", accessKeyId: "a", secretAccessKey: secret })
        )
      ]
      for (const target of targets) {
        reply = { status: 200 }
        yield* target.send(batch)
        for (
          const [status, tag] of [
            // A bucket takes any object: what it refuses is of the request.
            [400, target.name.startsWith("S3") ? "Unavailable" : "Refused"],
            [401, "Unavailable"],
            [402, "Unavailable"],
            [421, "Unavailable"],
            [431, "Unavailable"],
            [403, "Unavailable"],
            [404, "Unavailable"],
            [408, "Unavailable"],
            [413, "TooLarge"],
            [422, target.name.startsWith("S3") ? "Unavailable" : "Refused"],
            [500, "Unavailable"],
            [503, "Unavailable"]
          ] as const
        ) {
          reply = { status }
          const error = yield* Effect.flip(target.send(batch))
          assert.strictEqual(error._tag, tag, `${target.name} ${status}`)
          assert.notInclude(error.detail, "the-secret")
        }
        reply = { status: 429, headers: { "retry-after": "7" } }
        const asked = yield* Effect.flip(target.send(batch))
        assert(asked._tag === "Unavailable")
        assert.strictEqual(asked.retryAfterMillis, 7000)
      }
      const gone = yield* made(Otlp.make({ url: "http://127.0.0.1:1" }))
      assert.strictEqual((yield* Effect.flip(gone.send(batch)))._tag, "Unavailable")
    })))
})

describe("what is no acknowledgement", () => {
  const all = (url: string) =>
    Effect.all([
      made(Splunk.make({ url, token: secret })),
      made(Datadog.make({ site: url, apiKey: secret })),
      made(Elastic.make({ url, apiKey: secret })),
      made(Otlp.make({ url, headers: { "x-api-key": secret } })),
      made(S3.make({ endpoint: url, region: "eu", bucket: "audit", accessKeyId: "a", secretAccessKey: secret })),
      Webhook.make({ url, secret: hook, allowPrivateNetworks: true })
    ])

  it.live("a redirect is not followed: the events and the keys go nowhere else", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      const elsewhere = yield* receiver(() => ({ status: 200, body: "{\"code\":0}" }))
      for (const status of [301, 302, 303, 307, 308]) {
        const { messages, url } = yield* receiver(() => ({ status, headers: { location: elsewhere.url } }))
        for (const target of yield* all(url)) {
          const error = yield* Effect.flip(target.send(batch))
          assert.strictEqual(error._tag, "Unavailable", `${target.name} ${status}`)
        }
        assert.strictEqual(messages.length, 6)
      }
      assert.strictEqual(elsewhere.messages.length, 0)
    })))

  it.live("a page for people, and JSON that says something else", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      for (
        const body of [
          "<!DOCTYPE html><html>Log in</html>",
          "\uFEFF\n  <html>Log in</html>",
          `${" ".repeat(100)}<!-- proxy --><HTML lang="en">`,
          "<head><title>Log in</title></head>"
        ]
      ) {
        const page = yield* receiver(() => ({ status: 200, body }))
        for (const target of yield* all(page.url)) {
          assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable", `${target.name} ${body}`)
        }
      }
      const broken = yield* receiver(() => ({ status: 200, body: "[{\"code\": 0" }))
      for (const target of yield* all(broken.url)) {
        if (/Datadog|S3|webhook/.test(target.name)) continue
        assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable", target.name)
      }
    })))

  it.live("but an answer without a body is one, where its status says so", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      for (const status of [200, 202, 204, 205]) {
        const { messages, url } = yield* receiver(() => status)
        for (const target of yield* all(url)) {
          if (/Splunk|Elastic/.test(target.name)) continue
          yield* target.send(batch)
        }
        assert.strictEqual(messages.length, 4)
      }
    })))

  it.live("an answer that does not end is not read to its end", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      const server = yield* raw((socket) => {
        socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`
        const write = () => {
          while (socket.writable && socket.write(chunk)) { /* until it is full */ }
        }
        socket.on("drain", write).on("error", () => {})
        write()
      })
      const target = yield* made(Datadog.make({ site: server, apiKey: secret }))
      assert.include((yield* Effect.flip(target.send(batch))).detail, "answered with more than 8000000 bytes")
    })))

  it.live("101 and a connection that ends, of a webhook", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      for (
        const [answer, detail] of [
          ["HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "101"],
          ["", "connection"]
        ] as const
      ) {
        const url = yield* raw((socket) => {
          socket.on("error", () => {})
          if (answer === "") socket.destroy()
          else socket.write(answer)
        })
        const target = yield* Webhook.make({ url, secret: hook, allowPrivateNetworks: true })
        const error = yield* Effect.flip(target.send(batch))
        assert.strictEqual(error._tag, "Unavailable")
        assert.include(error.detail, detail)
      }
    })))
})

describe("Splunk", () => {
  it.live("waits where the token, the index or the channel is wrong, and refuses events that are", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      let [status, code] = [400, 0]
      const { url } = yield* receiver(() => ({ status, body: JSON.stringify({ text: "no", code }) }))
      const target = yield* made(Splunk.make({ url, token: secret }))
      for (const [of, tag] of [[7, "Unavailable"], [10, "Unavailable"], [14, "Unavailable"], [6, "Refused"]] as const) {
        code = of
        assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, tag, String(of))
      }
      status = 200
      assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable")
    })))

  it.live("gets events with their id as a field, and is waited for until it has indexed them", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(3)
      let asked = 0
      const { messages, url } = yield* receiver(({ path }) =>
        path.includes("/ack")
          ? { status: 200, body: JSON.stringify({ acks: { "4": ++asked > 1 } }) }
          : { status: 200, body: JSON.stringify({ text: "Success", code: 0, ackId: 4 }) }
      )
      const channel = "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"
      const target = yield* made(Splunk.make({ url, token: secret, index: "audit", acknowledge: { channel } }))
      yield* target.send(batch)
      const [first, , second] = messages
      assert.strictEqual(first?.headers["authorization"], "Splunk the-secret")
      assert.strictEqual(first?.headers["x-splunk-request-channel"], channel)
      const events = lines(first?.body ?? "") as ReadonlyArray<
        {
          readonly fields: { readonly event_id: string; readonly position: number }
          readonly event: { readonly event_id: string }
          readonly index: string
          readonly time: number
        }
      >
      assert.deepStrictEqual(events.map(({ fields }) => fields.position), [0, 1, 2, 3])
      for (const { event, fields, index, time } of events) {
        assert.strictEqual(fields.event_id, event.event_id)
        assert.strictEqual(index, "audit")
        assert.isAbove(time, 1e9)
      }
      assert.strictEqual(second?.body, "{\"acks\":[4]}")
      const { url: silent } = yield* receiver(() => ({ status: 200, body: "{\"code\":0}" }))
      const without = yield* made(Splunk.make({ url: silent, token: secret, acknowledge: { channel } }))
      assert.include((yield* Effect.flip(without.send(batch))).detail, "no acknowledgements")
    })))
})

describe("Datadog", () => {
  it.live("gets each event whole, and never one that it would cut", () =>
    Effect.scoped(Effect.gen(function*() {
      const { messages, url } = yield* receiver(() => 202)
      const target = yield* made(Datadog.make({ site: url, apiKey: secret, tags: ["team:sec"] }))
      const batch = yield* batchOf(2)
      yield* target.send(batch)
      const logs = JSON.parse(messages[0]?.body ?? "") as ReadonlyArray<
        { readonly ddtags: string; readonly message: string }
      >
      assert.deepStrictEqual(
        logs.map(({ message }) => (JSON.parse(message) as { readonly position: number }).position),
        [0, 1, 2]
      )
      assert.strictEqual(logs[0]?.ddtags, "env:prod,tenant:t_acme,team:sec")
      assert.strictEqual(messages[0]?.headers["dd-api-key"], "the-secret")
      assert.isBelow(target.maxEventBytes ?? Infinity, 1_000_000)
    })))
})

describe("Elastic", () => {
  it.live("is told apart event by event: what is there counts, what is refused is named, what waits is tried again", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(3)
      let items: ReadonlyArray<number> = []
      const { messages, url } = yield* receiver(() => ({
        status: 200,
        body: JSON.stringify({
          errors: true,
          items: items.map((status) => ({
            create: {
              status,
              ...(status < 300 ? {} : { error: { type: "mapper_parsing_exception", reason: "the value" } })
            }
          }))
        })
      }))
      const target = yield* made(Elastic.make({ url, apiKey: secret, index: "audit-logs" }))
      items = [201, 409, 201, 201]
      yield* target.send(batch)
      const sent = lines(messages[0]?.body ?? "") as ReadonlyArray<
        { readonly create?: { readonly _id: string }; readonly event_id?: string }
      >
      assert.deepStrictEqual(
        sent.filter((_, at) => at % 2 === 0).map(({ create }) => create?._id),
        batch.events.map(({ eventId }) => eventId)
      )
      assert.strictEqual(messages[0]?.path, "/hook/audit-logs/_bulk")
      items = [201, 400, 201, 400]
      const refused = yield* Effect.flip(target.send(batch))
      assert(refused._tag === "Refused")
      assert.deepStrictEqual(refused.positions, [1, 3])
      assert.notInclude(refused.detail, "the value")
      // A right that the key has not, an index that is not there: of the target, and not of the event.
      for (const status of [401, 403, 404, 503]) {
        items = [201, 400, status, 201]
        assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable", String(status))
      }
      // A data stream asks for a time.
      for (const document of sent.filter((_, at) => at % 2 === 1) as ReadonlyArray<Record<string, unknown>>) {
        assert.strictEqual(document["@timestamp"], document["occurred_at"] ?? document["recorded_at"])
      }
      items = [201, 400, 429, 201]
      assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable")
      items = [201]
      assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable")
    })))
})

describe("OTLP", () => {
  it.live("gets log records that are linked with their trace, and says so when some were rejected", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(2)
      let body = "{}"
      const { messages, url } = yield* receiver(() => ({ status: 200, body }))
      const target = yield* made(Otlp.make({ url, headers: { authorization: secret } }))
      yield* target.send(batch)
      assert.strictEqual(messages[0]?.path, "/hook/v1/logs")
      const request = JSON.parse(messages[0]?.body ?? "") as ReturnType<typeof Otlp.requestOf>
      const records = request.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? []
      assert.strictEqual(records.length, 3)
      assert.strictEqual(records[1]?.eventName, "note.create")
      assert.strictEqual((records[1] as { readonly traceId?: string }).traceId, "0af7651916cd43dd8448eb211c80319c")
      const early = batch.events.map((one): Target.Outgoing =>
        one.item.erased
          ? one
          : { ...one, item: { ...one.item, event: { ...one.item.event, occurred_at: "1969-12-31T23:59:59Z" } } }
      )
      const old = Otlp.requestOf({ ...batch, events: early }, "s").resourceLogs[0]?.scopeLogs[0]?.logRecords ?? []
      for (const record of old) assert.isFalse("timeUnixNano" in JSON.parse(JSON.stringify(record)))
      assert.isFalse(records.some(({ attributes }) => attributes.some(({ key }) => key.startsWith("gen_ai."))))
      body = JSON.stringify({ partialSuccess: { rejectedLogRecords: "1", errorMessage: "no" } })
      assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Refused")
    })))
})

describe("OTLP of what agents do", () => {
  it.live("has OpenTelemetry's attributes beside the log's own", () =>
    Effect.gen(function*() {
      const batch = yield* batchOf(1)
      const events = batch.events.map((outgoing): Target.Outgoing => {
        const { item } = outgoing
        if (item.erased) return outgoing
        const metadata = { ...item.event.metadata, response_id: "resp1", finish_reason: "stop", input_tokens: 10 }
        return { ...outgoing, item: { ...item, event: { ...item.event, action: "model.call", metadata } } }
      })
      const [record] = Otlp.requestOf({ ...batch, events }, "shop").resourceLogs[0]?.scopeLogs[0]?.logRecords ?? []
      assert.deepStrictEqual(
        record?.attributes.filter(({ key }) => !key.startsWith("audit.") && key !== "enduser.id"),
        [
          { key: "gen_ai.operation.name", value: { stringValue: "chat" } },
          { key: "gen_ai.response.id", value: { stringValue: "resp1" } },
          { key: "gen_ai.response.finish_reasons", value: { arrayValue: { values: [{ stringValue: "stop" }] } } },
          { key: "gen_ai.usage.input_tokens", value: { intValue: "10" } }
        ]
      )
      assert.isTrue(record?.attributes.some(({ key }) => key === "audit.action"))
    }))
})

describe("S3", () => {
  it.live("signs as AWS does, by its example of a PUT", () =>
    Effect.sync(() => {
      const headers = S3.signed(
        {
          region: "us-east-1",
          accessKeyId: "AKIAIOSFODNN7EXAMPLE",
          secretAccessKey: Redacted.make("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        },
        {
          host: "examplebucket.s3.amazonaws.com",
          path: "/test%24file.text",
          body: Buffer.from("Welcome to Amazon S3."),
          headers: { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
          nowMillis: Date.UTC(2013, 4, 24)
        }
      )
      assert.strictEqual(
        headers["authorization"],
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
          "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, " +
          "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
      )
    }))

  it.live("waits where its credentials have run out, or it is busy with the object", () =>
    Effect.scoped(Effect.gen(function*() {
      const batch = yield* batchOf(1)
      let reply = { status: 400, body: "<Error><Code>ExpiredToken</Code></Error>" }
      const { messages, url } = yield* receiver(() => reply)
      const target = yield* made(
        S3.make({ endpoint: url, region: "eu", bucket: "audit", accessKeyId: "a", secretAccessKey: secret })
      )
      assert.include((yield* Effect.flip(target.send(batch))).detail, "400 (ExpiredToken)")
      reply = { status: 409, body: "<Error><Code>OperationAborted</Code></Error>" }
      assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "Unavailable")
      let turn = 0
      const renewing = yield* made(S3.make({
        endpoint: url,
        region: "eu",
        bucket: "audit",
        credentials: Effect.suspend(() =>
          ++turn === 1
            ? Effect.fail(new Error("the-secret"))
            : Effect.succeed({
              accessKeyId: `key${turn}`,
              secretAccessKey: secret,
              sessionToken: Redacted.make(`t${turn}`)
            })
        )
      }))
      const without = yield* Effect.flip(renewing.send(batch))
      assert.strictEqual(without.detail, "S3 audit: there are no credentials now")
      reply = { status: 200, body: "" }
      yield* Effect.andThen(renewing.send(batch), renewing.send(batch))
      assert.deepStrictEqual(messages.slice(-2).map(({ headers }) => headers["x-amz-security-token"]), ["t2", "t3"])
      assert.include(messages.at(-1)?.headers["authorization"], "Credential=key3/")
      reply = { status: 400, body: "<Error><Code>EntityTooLarge</Code></Error>" }
      assert.strictEqual((yield* Effect.flip(target.send(batch)))._tag, "TooLarge")
    })))

  it.live("keeps objects that a repeat replaces, and nothing else does", () =>
    Effect.scoped(Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-audit-s3-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = new S3rver({
            port: 0,
            address: "127.0.0.1",
            silent: true,
            directory: folder,
            configureBuckets: [{ name: "audit-logs", configs: [] }]
          })
          const { port } = await server.run()
          return { server, port }
        }),
        ({ server }) => Effect.promise(() => server.close())
      )
      const options = {
        endpoint: `http://127.0.0.1:${server.port}`,
        region: "us-east-1",
        bucket: "audit-logs",
        prefix: "a b/ü/",
        accessKeyId: "S3RVER",
        secretAccessKey: Redacted.make("S3RVER")
      }
      const target = yield* made(S3.make(options))
      const batch = yield* batchOf(5)
      // An answer that was late: what has fewer events replaces nothing that has more, nor does another relay.
      yield* target.send(batch)
      yield* target.send({ ...batch, relay: "reduced", events: batch.events.slice(0, 1) })
      yield* target.send({ ...batch, events: batch.events.slice(0, 3) })
      yield* target.send(batch)
      const found = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
        name.includes(".ndjson.gz")
      )
      const objects = found.filter((name) => name.endsWith("._S3rver_object"))
      const names = ["catching/t_acme/prod/000000000000-000000000002", "catching/t_acme/prod/000000000000-000000000005"]
      assert.deepStrictEqual(
        objects.sort(),
        [...names, "reduced/t_acme/prod/000000000000-000000000000"].map((name) =>
          `audit-logs/a b/ü/${name}.ndjson.gz._S3rver_object`
        )
      )
      const stored = gunzipSync(readFileSync(join(folder, objects[1] ?? ""))).toString()
      assert.strictEqual(stored, batch.events.map(({ text }) => `${text}\n`).join(""))
    })))

  it.live("refuses what is no bucket or address", () =>
    Effect.gen(function*() {
      const options = {
        endpoint: "https://s3",
        region: "eu",
        bucket: "audit",
        accessKeyId: "a",
        secretAccessKey: secret
      }
      for (const wrong of [{ bucket: "A" }, { endpoint: "s3://x" }, { endpoint: "https://a:b@x" }]) {
        const error = yield* Effect.flip(made(S3.make({ ...options, ...wrong })))
        assert.strictEqual(error.reason._tag, "InvalidInput")
      }
    }))
})
