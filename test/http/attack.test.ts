/** What someone may try so that a request leaves no event, or a reader holds what it should not. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Latch, Layer, Schema, Stream } from "effect"
import { AuditError, AuditLogger, DatasetEvent, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { AuditApi, AuditApiLive, HttpAudit } from "effect-audit/http"
import { Ledger } from "effect-audit/ledger"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { SqlClient } from "effect/sql"
import { createServer } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { tailing } from "../../src/http/tail.ts"
import { followOver } from "../../src/trail/follow.ts"
import { log, temporaryFolder, within } from "../support.ts"
import { identify } from "./orders.ts"

class Denied extends Schema.TaggedError<Denied>()("Denied", {}, { httpApiStatus: 403 }) {}
const payload = Schema.Struct({ note: Schema.String })
class Api extends HttpApi.make("bank").add(
  HttpApiGroup.make("bank").add(
    HttpApiEndpoint.post("pay", "/pay", { payload, success: Schema.String }),
    HttpApiEndpoint.post("probe", "/probe", { payload, error: Denied })
  ).middleware(HttpAudit.Middleware)
) {}

const actions = HttpAudit.actions(Api)({
  "bank.pay": { action: "bank.pay", input: ({ payload }) => payload, transaction: true },
  "bank.probe": {
    action: "bank.probe",
    input: ({ payload }) => payload,
    subjectIds: ({ payload }) => "who" in payload ? [String(payload.who)] : [],
    idempotencyKey: ({ payload }) => payload.note
  }
})

const handlers = HttpApiBuilder.group(
  Api,
  "bank",
  Effect.fnUntraced(function*(handlers) {
    const sql = yield* SqlClient.SqlClient
    yield* Effect.orDie(sql`CREATE TABLE IF NOT EXISTS paid (note TEXT)`)
    return handlers.handleAll({
      pay: ({ payload: { note } }) => Effect.orDie(Effect.as(sql`INSERT INTO paid VALUES (${note})`, "paid")),
      probe: () => Effect.fail(new Denied())
    })
  })
)

const everything = Layer.unwrap(
  Effect.map(temporaryFolder, (folder) =>
    Layer.mergeAll(Ledger.layer, Erasure.layer).pipe(
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(Sqlite.layer({ filename: join(folder, "audit.db") }))
    ))
)

/** The bank, its trail, and a route that is refused. */
const serve = Effect.fnUntraced(function*(options: Partial<HttpAudit.Options> = {}) {
  const audit = HttpAudit.layer({
    identify,
    anonymous: { tenantId: "t_public", env: "prod" },
    actions: { ...actions, "POST /stream": { action: "bank.stream", input: ({ payload }) => payload } },
    ...options
  })
  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers), Layer.provide(HttpAudit.layerMiddleware)),
    HttpRouter.add(
      "POST",
      "/stream",
      Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        (request) =>
          Effect.map(
            Effect.orDie(Stream.mkString(Stream.decodeText(request.stream))),
            (text) => HttpServerResponse.text(String(text.length))
          )
      )
    ).pipe(Layer.provide(HttpAudit.router.layer)),
    AuditApiLive.layer,
    HttpAudit.unknownRoutes
  )
  const policy = Layer.succeed(AuditApi.AuditPolicy, AuditApi.AuditPolicy.of({ allows: () => Effect.succeed(true) }))
  const services = yield* Layer.build(
    HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      Layer.provide([audit, policy]),
      Layer.provideMerge(Layer.fresh(everything))
    )
  )
  const { address } = Context.get(services, HttpServer.HttpServer)
  assert(address._tag !== "UnixPathAddress")
  const { port } = address
  const call = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { authorization: "Bearer ada", ...headers },
        ...(body === undefined ? {} : { body: new TextEncoder().encode(body) })
      })
      return { status: response.status, text: await response.text() }
    })
  const events = (tenant = "t_acme") =>
    Effect.map(
      Context.get(services, AuditTrail.AuditTrail).query({
        tenantId: RequestContext.TenantId.make(tenant),
        env: log.env,
        order: "asc",
        limit: 1000
      }),
      ({ items }) => items.flatMap((item) => item.erased || item.position === 0 ? [] : [item.event])
    )
  const paid = Effect.provideContext(
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql<{ readonly note: string }>`SELECT note FROM paid`),
    services
  )
  return { call, events, paid, port, services }
})

const json = { "content-type": "application/json" }
const deep = (note: string) => `{"note":"${note}","x":${"[".repeat(40)}${"]".repeat(40)}}`

describe("a caller who would leave no event", () => {
  it.live("leaves one, with what cannot be recorded left out", () =>
    Effect.gen(function*() {
      const { call, events, paid } = yield* serve()
      const many = JSON.stringify({
        note: "many",
        ...Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`k${n}`, n]))
      })
      const large = JSON.stringify({ note: "large", x: "x".repeat(300_000) })
      for (const body of [deep("deep"), many, large]) {
        assert.strictEqual((yield* call("POST", "/pay", body, json)).status, 200)
        assert.strictEqual((yield* call("POST", "/probe", body, json)).status, 403)
      }
      for (
        const body of [
          "{\"note\":\"\"}",
          JSON.stringify({ note: "n".repeat(600) }),
          "{\"note\":\"b\",\"who\":\"kim@example.org\"}"
        ]
      ) {
        assert.strictEqual((yield* call("POST", "/probe", body, json)).status, 403)
      }
      assert.strictEqual((yield* paid).length, 3)
      const found = yield* events()
      assert.deepStrictEqual(
        found.map(({ action, outcome }) => `${action} ${outcome}`),
        [
          ...Array.from({ length: 3 }, () => ["bank.pay success", "bank.probe denied"]).flat(),
          ...Array.from({ length: 3 }, () => "bank.probe denied")
        ]
      )
      assert.notInclude(JSON.stringify(found), "kim@example.org")
    }))

  it.live("leaves what it sent, whatever its content type says", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve()
      yield* call("POST", "/pay", "{\"note\":\"none\"}")
      yield* call("POST", "/pay", "{\"note\":\"json\"}", { "content-type": "application/json; charset=utf-8" })
      assert.deepStrictEqual((yield* events()).map(({ input }) => input), [{ note: "none" }, { note: "json" }])
      const streamed = yield* call("POST", "/stream", "0123456789", {
        "content-type": "application/octet-stream; x=json"
      })
      assert.strictEqual(streamed.text, "10")
    }))

  it.live("cannot hold a transaction open by sending slowly", () =>
    Effect.gen(function*() {
      const { call, paid, port } = yield* serve()
      const socket = connect(port, "127.0.0.1")
      socket.write(
        "POST /pay HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ada\r\ncontent-length: 100\r\n\r\n{\"no"
      )
      yield* Effect.callback<void>((resume) => {
        socket.once("connect", () => resume(Effect.void))
      })
      assert.strictEqual((yield* call("POST", "/pay", "{\"note\":\"beside\"}", json)).status, 200)
      assert.deepStrictEqual((yield* paid).map(({ note }) => note), ["beside"])
      socket.destroy()
    }))

  it.live("leaves one while it is identified, and where that fails", () =>
    Effect.gen(function*() {
      const broken = Effect.andThen(Effect.yieldNow, Effect.die(new Error("directory")))
      const { call, events } = yield* serve({ identify: () => broken })
      assert.strictEqual((yield* call("POST", "/probe", "{}", json)).status, 500)
      const other = yield* serve({
        identify: () => Effect.succeed({ tenantId: "not a tenant", env: "prod", actor: RequestContext.human("x") })
      })
      assert.strictEqual((yield* other.call("POST", "/probe", "{}", json)).status, 500)
      const throwing = yield* serve({
        identify: () => {
          throw new Error("directory")
        }
      })
      assert.strictEqual((yield* throwing.call("POST", "/probe", "{}", json)).status, 500)
      for (const principal of [undefined, null, "ada"]) {
        const nobody = yield* serve({ identify: () => Effect.succeed(principal as never) })
        assert.strictEqual((yield* nobody.call("POST", "/probe", "{}", json)).status, 500)
        assert.deepStrictEqual(
          (yield* nobody.events("t_public")).map(({ error_tag }) => error_tag),
          ["PrincipalInvalid"],
          String(principal)
        )
      }
      const plain = yield* serve({ identify: () => undefined as never })
      assert.strictEqual((yield* plain.call("POST", "/probe", "{}", json)).status, 500)
      assert.deepStrictEqual((yield* plain.events("t_public")).map(({ error_tag }) => error_tag), ["Defect"])
      assert.deepStrictEqual((yield* throwing.events("t_public")).map(({ error_tag }) => error_tag), ["Defect"])
      assert.deepStrictEqual((yield* events("t_public")).map(({ error_tag }) => error_tag), ["Defect"])
      assert.deepStrictEqual((yield* other.events("t_public")).map(({ error_tag }) => error_tag), ["PrincipalInvalid"])
    }))

  it.live("leaves one where its path cannot be read", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve()
      for (const path of ["/%zz", "/pay/%ff", "/nothing%2?x=1"]) {
        assert.strictEqual((yield* call("GET", path)).status, 404, path)
      }
      assert.strictEqual((yield* call("POST", "/pay?note=%zz", "{\"note\":\"a\"}", json)).status, 200)
      // A path ends at a `;`: what is behind it is no part of it.
      assert.strictEqual((yield* call("POST", "/pay;x=%E4", "{\"note\":\"a\"}", json)).status, 200)
      assert.deepStrictEqual(
        (yield* events("t_public")).map(({ error_tag }) => error_tag),
        ["RouteNotFound", "RouteNotFound", "RouteNotFound"]
      )
    }))

  it.live("leaves one of each attempt to erase what is held, what stays, and what is not there", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve()
      yield* call("POST", "/pay", "{\"note\":\"a\"}", json)
      const [first] = yield* events()
      const post = (path: string, body: unknown) => call("POST", `/audit${path}`, JSON.stringify(body), json)
      const selection = { eventIds: [first?.event_id] }
      yield* post("/holds", { selection, name: "case", reason: "law" })
      assert.strictEqual((yield* post("/erasures", { selection, reason: "r" })).status, 409)
      const gone = { eventIds: ["0190aaaa-0000-7000-8000-000000000001"] }
      assert.strictEqual((yield* post("/erasures", { selection: gone, reason: "r" })).status, 404)
      assert.strictEqual((yield* post("/holds/release", { name: "other", reason: "r" })).status, 404)
      assert.deepStrictEqual(
        (yield* events()).map(({ action, error_tag, outcome }) => `${action} ${outcome} ${error_tag ?? ""}`).slice(2),
        ["audit_trail.erase failure Held", "audit_trail.erase failure NotFound", "audit_trail.release failure NotFound"]
      )
    }))

  it.live("is counted in a flood with its network, also when the server ends", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const medium = AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename: join(folder, "a.db") })))
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const services = yield* Layer.build(
            HttpRouter.serve(HttpAudit.unknownRoutes, { disableLogger: true, disableListenLog: true }).pipe(
              Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
              Layer.provide(
                HttpAudit.layer({ identify, anonymous: { tenantId: "t_public", env: "prod" }, refusalsPerSecond: 1 })
              )
            )
          )
          const { address } = Context.get(services, HttpServer.HttpServer)
          assert(address._tag !== "UnixPathAddress")
          const url = `http://127.0.0.1:${address.port}/x`
          yield* Effect.all(Array.from({ length: 30 }, () => Effect.promise(() => fetch(url))), { concurrency: 10 })
        }))
        const { items } = yield* AuditTrail.query({
          tenantId: RequestContext.TenantId.make("t_public"),
          env: log.env,
          limit: 100
        })
        const found = items.flatMap((item) => item.erased || item.position === 0 ? [] : [item.event])
        const sum = found.reduce((total, { metadata }) => {
          const { http } = metadata as { readonly http: { readonly count?: number } }
          return total + (http.count ?? 1)
        }, 0)
        assert.strictEqual(sum, 30)
        assert.isTrue(found.every(({ client }) => client?.address === "127.0.0.0/24"))
      }).pipe(Effect.provide(Layer.fresh(medium)))
    }))
})

describe("readers of the trail", () => {
  it.live("export everything from a position on, and refuse what cannot be meant", () =>
    Effect.gen(function*() {
      const { call, services } = yield* serve()
      yield* Effect.forEach(Array.from({ length: 600 }, (_, n) => n), (n) =>
        AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within()), { concurrency: 50 }).pipe(
          Effect.provideContext(services)
        )
      const lines = (text: string) =>
        text.trimEnd().split("\n").length
      assert.strictEqual(lines((yield* call("GET", "/audit/events?format=ndjson&after=99&action=note.*")).text), 501)
      assert.strictEqual(lines((yield* call("GET", "/audit/events?format=ndjson&after=-1&limit=400")).text), 400)
      for (const query of ["after=", "after=0x1", "after=1e0", "outcme=denied", "after=99999"]) {
        const refused = yield* call("GET", `/audit/events?${query}`)
        assert.strictEqual(refused.status, 400, query)
        assert.include(refused.text, "\"status\":400", query)
      }
      assert.strictEqual((yield* call("GET", "/audit/events/tail?after=99999")).status, 400)
      assert.strictEqual(
        (yield* call("GET", "/audit/events/tail", undefined, { "last-event-id": "99999" })).status,
        400
      )
    }))

  it.live("are given nothing that was erased, however often it was given before", () =>
    Effect.gen(function*() {
      const { services } = yield* serve()
      const { erase } = Context.get(
        services,
        (yield* Effect.promise(() => import("effect-audit/erasure"))).Erasure.Erasure
      )
      const trail = Context.get(services, AuditTrail.AuditTrail)
      const emit = (text: string) =>
        AuditLogger.emit({ action: "note.create", input: { text }, subjectIds: ["u9"] }).pipe(
          within(),
          Effect.provideContext(services)
        )
      yield* emit("first")
      const open = yield* Effect.forkChild(Stream.runDrain(trail.follow({ ...log })), { startImmediately: true })
      const seen = (count: number) =>
        Effect.map(Stream.runCollect(Stream.take(trail.follow({ ...log, after: 1 }), count)), (items) =>
          JSON.stringify(items))
      yield* emit("SECRETWORD")
      assert.include(yield* seen(1), "SECRETWORD")
      yield* erase({ person: "u9", reason: "r" }).pipe(within())
      assert.notInclude(yield* seen(2), "SECRETWORD")
      yield* Fiber.interrupt(open)
    }))

  it.live("who come after a reader that failed are served, and one that lags is waited for", () =>
    Effect.gen(function*() {
      let fails = false
      let committed = 3
      const opened = Latch.makeUnsafe(false)
      const item = (position: number): AuditTrail.Item => ({
        erased: true,
        position,
        eventId: DatasetEvent.EventId.make("0190aaaa-0000-7000-8000-000000000001")
      })
      const broken = new AuditError.AuditError({
        method: "test",
        reason: new AuditError.SinkUnavailable({ detail: "test" })
      })
      const beyond = new AuditError.AuditError({
        method: "test",
        reason: new AuditError.InvalidCursor({ detail: "test" })
      })
      const follow = yield* followOver({
        watch: () => Effect.succeed({ committed: Effect.sleep(10), isBehind: Effect.succeed(false) }),
        page: ({ after = -1, descending, limit }) =>
          Effect.suspend(() => {
            opened.openUnsafe()
            if (fails) return Effect.fail(broken)
            if (after >= committed) return Effect.fail(beyond)
            const all = Array.from({ length: committed }, (_, position) => item(position))
            const found = descending ? all.toReversed() : all.slice(after + 1)
            return Effect.succeed({ items: found.slice(0, limit), next: undefined })
          })
      })
      const stuck = yield* Effect.forkChild(
        Stream.runForEach(follow({ ...log, after: -1 }), () => Effect.never),
        { startImmediately: true }
      )
      yield* opened.await
      yield* Effect.sleep(20)
      committed = 5
      // Committed, and not read yet.
      assert.strictEqual((yield* Effect.flip(Stream.runHead(follow({ ...log, after: 5 })))).reason._tag, "InvalidInput")
      fails = true
      const failed = yield* Effect.flip(Stream.runHead(follow({ ...log })))
      assert.strictEqual(failed.reason._tag, "SinkUnavailable")
      fails = false
      const found = yield* Stream.runCollect(Stream.take(follow({ ...log, after: 2 }), 2))
      assert.deepStrictEqual(found.map(({ position }) => position), [3, 4])
      yield* Fiber.interrupt(stuck)
    }).pipe(Effect.scoped))

  it.live(
    "who do not read are let go, who read a quiet log are not, and who may no longer read are sent away",
    () =>
      Effect.gen(function*() {
        const large: AuditTrail.Item = {
          erased: true,
          position: 1,
          eventId: DatasetEvent.EventId.make("0190aaaa-0000-7000-8000-000000000001")
        }
        const quiet: Stream.Stream<AuditTrail.Item> = Stream.fromEffect(Effect.never)
        const full = Stream.forever(Stream.fromIterable(Array.from({ length: 2000 }, () => large)))
        let asked = 0
        const at = (path: `/${string}`, stream: Stream.Stream<AuditTrail.Item>, isAllowed: () => boolean) =>
          HttpRouter.add(
            "GET",
            path,
            Effect.flatMap(
              HttpServerRequest.HttpServerRequest,
              (request) => tailing(stream, -1, request, Effect.sync(isAllowed), 400)
            )
          )
        const routes = Layer.mergeAll(
          at("/quiet", quiet, () => true),
          at("/full", full, () => true),
          at("/withdrawn", quiet, () => ++asked < 3),
          at("/broken", quiet, () => {
            throw new Error("the policy's database is away")
          })
        )
        const server = createServer()
        const services = yield* Layer.build(
          HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
            Layer.provideMerge(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" }))
          )
        )
        const { address } = Context.get(services, HttpServer.HttpServer)
        assert(address._tag !== "UnixPathAddress")
        const { port } = address
        // The server's own side of the connection: one that does not read cannot see that it is closed.
        const letGo = Effect.callback<void>((resume) => {
          server.once("connection", (ofServer) => ofServer.once("close", () => resume(Effect.void)))
          const socket = connect(port, "127.0.0.1", () => socket.write("GET /full HTTP/1.1\r\nhost: x\r\n\r\n"))
          socket.pause()
          socket.on("error", () => {})
          return Effect.sync(() => socket.destroy())
        })
        const gone = new AbortController()
        /** Reads until there were so many signs of life, more than one may leave unread. */
        const beats = (path: string, many: number) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: gone.signal })
            let text = ""
            for await (const chunk of response.body ?? []) {
              text += Buffer.from(chunk).toString()
              if (text.split("keep-alive").length > many) return many
            }
            return text.split("keep-alive").length - 1
          })
        yield* letGo
        assert.strictEqual(yield* beats("/quiet", 8), 8)
        assert.isAtMost(yield* beats("/withdrawn", 8), 3)
        assert.strictEqual(asked, 3)
        const ended = yield* Effect.promise(() =>
          fetch(`http://127.0.0.1:${port}/broken`).then((response) => response.text())
        )
        assert.include(ended, "event: broken")
        gone.abort()
      }),
    20_000
  )
})
