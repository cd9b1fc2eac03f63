/** Requests over real HTTP become contexts and events. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Tracer } from "effect"
import { AuditLogger } from "effect-audit"
import { HttpAudit } from "effect-audit/http"
import { AuditTest } from "effect-audit/test"
import { request } from "node:http"
import { memory, sqlite } from "../support.ts"
import { Api, serve } from "./orders.ts"

const json = (response: Response) =>
  Effect.promise(() => response.json() as Promise<{ readonly [key: string]: unknown }>)
const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/** A request with headers as they are, several of one name among them. */
const raw = (url: string, path: string, headers: ReadonlyArray<string>) =>
  Effect.callback<number>((resume) => {
    const { hostname, port } = new URL(url)
    request({ hostname, port, path, headers: ["host", hostname, ...headers] }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    }).end()
  })

describe("a request as a context", () => {
  it.live("has who it is from the principal, where from headers, and returns its ids", () =>
    Effect.gen(function*() {
      const { call, events, lines } = yield* serve(memory)
      const headers = {
        "x-request-id": "req-1",
        "x-correlation-id": "c-1",
        "x-app-id": "app",
        "x-surface": "web",
        "x-surface-id": "s-1",
        "x-run-id": "run",
        "x-step-id": "step",
        "x-project-id": "p1",
        "x-tenant-id": "t_acme",
        "x-user-id": "ada",
        "user-agent": "orders/1",
        traceparent: good
      }
      const answer = yield* call("GET", "/orders/o7", { token: "ada", headers })
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers.get("x-request-id"), "req-1")
      assert.strictEqual(answer.headers.get("x-trace-id"), good.slice(3, 35))
      const [event] = yield* events("t_acme")
      assert.deepInclude({ ...event } as object, {
        tenantId: "t_acme",
        env: "prod",
        actor_type: "human",
        agentId: "ada",
        project_id: "p1",
        app_id: "app",
        surface: "web",
        surface_id: "s-1",
        run_id: "run",
        step_id: "step",
        request_id: "req-1",
        correlation_id: "c-1",
        trace_id: good.slice(3, 35),
        action: "order.read",
        outcome: "success",
        resource: { type: "order", id: "o7" }
      })
      assert.deepStrictEqual(event?.client, { address: "127.0.0.0/24", user_agent: "orders/1" })
      assert.deepInclude(event?.metadata, { http: { method: "GET", route: "/orders/:id" } })
      assert.include(lines.join("\n"), "\"request_id\":\"req-1\"")
      assert.include(lines.join("\n"), good.slice(3, 35))
    }))

  it.live("refuses headers that are no ids with a problem that names them, and records that", () =>
    Effect.gen(function*() {
      const { call, events, url } = yield* serve(memory)
      for (
        const [header, value] of [
          ["x-request-id", "kim@example.org"],
          ["x-run-id", "a b"],
          ["x-surface", "x".repeat(129)],
          ["x-correlation-id", "a\u00ff"]
        ] as const
      ) {
        const answer = yield* call("GET", "/orders/o7", { token: "ada", headers: { [header]: value } })
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        const problem = yield* json(answer)
        assert.deepInclude(problem, { status: 400, header })
        assert.notInclude(JSON.stringify(problem), value)
      }
      // The same header twice: which of them is meant?
      const auth = ["authorization", "Bearer ada"]
      assert.strictEqual(yield* raw(url, "/orders/o7", [...auth, "x-run-id", "a", "x-run-id", "b"]), 400)
      const found = yield* events("t_acme")
      assert.deepStrictEqual(
        found.map(({ action, error_tag, outcome }) => [action, outcome, error_tag]),
        Array.from({ length: 5 }, () => ["order.read", "failure", "HeaderMalformed"])
      )
      assert.notInclude(JSON.stringify(found), "kim@example.org")
    }))

  it.live("refuses what contradicts the principal with 403, under the principal", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory)
      for (
        const [token, header, value] of [
          ["ada", "x-tenant-id", "t_globex"],
          ["ada", "x-env", "dev"],
          ["ada", "x-user-id", "ben"],
          ["ada", "x-project-id", "p2"],
          ["bot", "x-actor-id", "ada"],
          ["bot", "x-user-id", "ben"]
        ] as const
      ) {
        const answer = yield* call("GET", "/orders/o7", { token, headers: { [header]: value } })
        assert.strictEqual(answer.status, 403, header)
        assert.deepInclude(yield* json(answer), { header })
      }
      const found = yield* events("t_acme")
      assert.deepStrictEqual(found.map(({ agentId, outcome }) => [agentId, outcome]), [
        ...Array.from({ length: 4 }, () => ["ada", "denied"]),
        ...Array.from({ length: 2 }, () => ["bot", "denied"])
      ])
      assert.deepStrictEqual(yield* events("t_globex"), [])
    }))

  it.live("has its ids on the span of the request", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const { call } = yield* Effect.provideService(serve(memory), Tracer.Tracer, tracer)
      const headers = { "x-request-id": "req-9", traceparent: good }
      yield* call("GET", "/page/a", { token: "ada", headers })
      yield* call("GET", "/orders/o7", { token: "ada", headers })
      const ids = spans.map(({ attributes, kind, name }) => [
        name,
        kind,
        attributes.get("request_id"),
        attributes.get("trace_id"),
        attributes.get("audit.position")
      ])
      const id = good.slice(3, 35)
      assert.deepStrictEqual(ids.filter(([, kind]) => kind === "server"), [
        ["GET", "server", "req-9", id, undefined],
        ["GET", "server", "req-9", id, 1]
      ])
    }))

  it.live("takes a well-formed traceparent, and begins a new trace for any other", () =>
    Effect.gen(function*() {
      const { call, url } = yield* serve(memory)
      const traceOf = (traceparent: string) =>
        Effect.map(
          call("GET", "/orders/o7", { token: "ada", headers: { traceparent } }),
          (answer) => answer.headers.get("x-trace-id") ?? ""
        )
      const id = good.slice(3, 35)
      assert.strictEqual(yield* traceOf(good), id)
      assert.strictEqual(yield* traceOf(good.replace("00-", "cc-") + "-what-comes"), id)
      for (
        const bad of [
          good.replace("00-", "ff-"),
          `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
          `00-${id}-${"0".repeat(16)}-01`,
          good.toUpperCase(),
          `${good}-more`,
          good.slice(1),
          "x".repeat(5000)
        ]
      ) {
        const trace = yield* traceOf(bad)
        assert.match(trace, /^[0-9a-f]{32}$/)
        assert.notStrictEqual(trace, id)
      }
      assert.strictEqual(
        yield* raw(url, "/orders/o7", ["authorization", "Bearer ada", "traceparent", good, "traceparent", good]),
        200
      )
    }))

  it.live("has the address that a trusted proxy gives, and no other", () =>
    Effect.gen(function*() {
      const headers = { "x-forwarded-for": "6.6.6.6, 198.51.100.7" }
      const addressOf = (trustedProxies: ReadonlyArray<string>) =>
        Effect.scoped(Effect.gen(function*() {
          const { call, events } = yield* serve(memory, { trustedProxies })
          yield* call("GET", "/orders/o7", { token: "ada", headers })
          return (yield* events("t_acme"))[0]?.client?.address
        }))
      assert.strictEqual(yield* addressOf([]), "127.0.0.0/24")
      assert.strictEqual(yield* addressOf(["10.0.0.0/8"]), "127.0.0.0/24")
      assert.strictEqual(yield* addressOf(["127.0.0.0/8"]), "198.51.100.0/24")
    }))
})

/** Whether a response comes to its end. */
const readTo = (url: string) =>
  Effect.promise(() =>
    fetch(url, { headers: { authorization: "Bearer ada" } }).then((answer) => answer.text())
      .then(() => "whole", () => "cut")
  )

describe("what becomes of a request", () => {
  it.live("is recorded by its endpoint's action, whatever it is", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory)
      const created = yield* call("POST", "/orders", { token: "ada", body: { note: "mail kim@example.org" } })
      assert.deepStrictEqual([created.status, yield* json(created)], [200, { id: "o1", note: "mail kim@example.org" }])
      const statuses: Array<number> = []
      for (
        const [method, path, body] of [
          ["POST", "/orders", { note: 7 }],
          ["POST", "/orders", "{"],
          ["GET", "/orders/none", undefined],
          ["GET", "/orders/theirs", undefined],
          ["GET", "/orders/broken", undefined],
          ["DELETE", "/orders/o1", undefined],
          ["DELETE", "/orders", undefined]
        ] as const
      ) statuses.push((yield* call(method, path, { token: "ada", ...body === undefined ? {} : { body } })).status)
      assert.deepStrictEqual(statuses, [400, 400, 404, 403, 500, 403, 403])
      const found = yield* events("t_acme")
      assert.deepStrictEqual(
        found.map((event) => [event.action, event.outcome, event.error_tag, event.resource?.id]),
        [
          ["order.create", "success", undefined, "o1"],
          ["order.create", "failure", "HttpApiSchemaError", undefined],
          ["order.create", "failure", "HttpApiSchemaError", undefined],
          ["order.read", "failure", "NoSuchOrder", "none"],
          ["order.read", "denied", "NotYours", "theirs"],
          ["order.read", "failure", "Defect", "broken"],
          ["order.delete", "denied", "NotYours", "o1"],
          ["http.request", "denied", "Error", undefined]
        ]
      )
      assert.deepStrictEqual(found[0]?.input, { note: "mail [EMAIL]" })
    }))

  it.live("is recorded once more where what it streams breaks, and not where it ends or the client goes away", () =>
    Effect.gen(function*() {
      const actions = { "GET /lines/:end": { action: "lines.read" } }
      const { call, events, url } = yield* serve(memory, { actions })
      const read = (end: string) => readTo(`${url}/lines/${end}`)
      assert.deepStrictEqual([yield* read("ends"), yield* read("fails"), yield* read("dies")], ["whole", "cut", "cut"])
      const leaving = new AbortController()
      const left = yield* call("GET", "/lines/never", { token: "ada", signal: leaving.signal })
      const first = yield* Effect.promise(() => left.body!.getReader().read())
      assert.strictEqual(Buffer.from(first.value ?? []).toString(), "one\n")
      leaving.abort()
      yield* call("GET", "/orders/none", { token: "ada" })
      const found = yield* events("t_acme")
      const http = { method: "GET", route: "/lines/:end", status: 200 }
      assert.deepStrictEqual(
        found.map(({ action, error_tag, metadata, outcome }) => [action, outcome, error_tag, metadata.response]),
        [
          ["lines.read", "success", undefined, undefined],
          ["lines.read", "success", undefined, undefined],
          ["lines.read", "failure", "NoSuchOrder", "broken"],
          ["lines.read", "success", undefined, undefined],
          ["lines.read", "failure", "Defect", "broken"],
          ["lines.read", "success", undefined, undefined]
        ]
      )
      assert.deepStrictEqual(found[2]?.metadata.http, http)
      assert.strictEqual(found[2]?.metadata.request_id, found[1]?.metadata.request_id)
    }))

  it.live("leaves an event where what it streams breaks, also where it left none", () =>
    Effect.gen(function*() {
      const { events, url } = yield* serve(memory)
      for (const end of ["ends", "fails"]) yield* readTo(`${url}/lines/${end}`)
      const found = yield* events("t_acme")
      assert.deepStrictEqual(found.map(({ action, error_tag, outcome }) => [action, outcome, error_tag]), [
        ["http.request", "failure", "NoSuchOrder"]
      ])
    }))

  it.live("is recorded where a function of its action fails, which is told", () =>
    Effect.gen(function*() {
      const fails = (): never => {
        throw new TypeError("secret")
      }
      const { call, events, lines } = yield* serve(memory, {
        actions: HttpAudit.actions(Api)({
          "orders.create": { action: "order.create", input: fails },
          "orders.get": { action: "order.read", output: fails }
        })
      })
      const created = yield* call("POST", "/orders", { token: "ada", body: { note: "n" } })
      const read = yield* call("GET", "/orders/o7", { token: "ada" })
      assert.deepStrictEqual([created.status, read.status], [200, 200])
      const told = (yield* events("t_acme")).map(({ action, metadata, outcome }) => [
        action,
        outcome,
        metadata["unrecorded"]
      ])
      assert.deepStrictEqual(told, [["order.create", "success", "/input"], ["order.read", "success", "/output"]])
      assert.strictEqual(lines.filter((line) => line.includes("A function of the action")).length, 2)
      assert.notInclude(lines.join(), "secret")
    }))

  it.live("keeps whom and what it is about where its input is larger than what is recorded", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory, {
        actions: HttpAudit.actions(Api)({
          "orders.create": {
            action: "order.create",
            resource: ({ result }) => result === undefined ? undefined : { type: "order", id: "o1" },
            subjectIds: ({ payload }) => payload?.note === "nobody" ? ["no id"] : ["u2"],
            input: ({ payload }) => payload,
            output: ({ result }) => result
          }
        })
      })
      for (const note of ["n".repeat(300_000), "nobody"]) {
        assert.strictEqual((yield* call("POST", "/orders", { token: "ada", body: { note } })).status, 200)
      }
      const told = (yield* events("t_acme")).map(({ metadata, output, resource, subject_ids, train_reason }) => [
        metadata["unrecorded"],
        resource?.id,
        output !== undefined,
        String(subject_ids),
        train_reason
      ])
      assert.deepStrictEqual(told, [
        ["/input /output", "o1", false, "u2", "allowed"],
        // Whom it is about is not known: nobody has agreed.
        ["/subjectIds", "o1", true, "undefined", "preferences_unavailable"]
      ])
    }))

  it.live("fails where its handler records what cannot be recorded", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory)
      const answer = yield* call("POST", "/orders", { token: "ada", body: { note: "misnamed" } })
      assert.strictEqual(answer.status, 500)
      const told = (yield* events("t_acme")).map(({ action, error_tag }) => [action, error_tag])
      assert.deepStrictEqual(told, [["order.create", "Defect"]])
    }))

  it.live("is recorded when the client goes away", () =>
    Effect.gen(function*() {
      const { call, events, inside } = yield* serve(memory)
      const gone = new AbortController()
      yield* Effect.forkChild(Effect.exit(call("GET", "/orders/slow", { token: "ada", signal: gone.signal })), {
        startImmediately: true
      })
      yield* Deferred.await(inside.waiting)
      gone.abort()
      yield* Deferred.await(inside.left)
      // The event follows the interruption of the handler.
      let found = yield* events("t_acme")
      while (found.length === 0) found = yield* Effect.delay(events("t_acme"), 5)
      assert.deepInclude(found[0], { action: "order.read", outcome: "failure", error_tag: "Interrupted" })
    }))

  it.live("is recorded once where the endpoint gives a key", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory)
      const once = call("POST", "/orders", { token: "ada", body: { note: "once-1" } })
      assert.deepStrictEqual([(yield* once).status, (yield* once).status], [200, 200])
      assert.strictEqual((yield* events("t_acme")).length, 1)
    }))

  it.live("leaves one event a request where that is asked for, and otherwise what was refused", () =>
    Effect.gen(function*() {
      const requests = (
        of: "refused" | "all" | { readonly include?: ReadonlyArray<string>; readonly exclude?: ReadonlyArray<string> }
      ) =>
        Effect.scoped(Effect.gen(function*() {
          const { call, events } = yield* serve(memory, { requests: of, actions: {} })
          yield* call("GET", "/health", { token: "ada" })
          yield* call("GET", "/page/a", { token: "ada" })
          yield* call("GET", "/page/secret", { token: "ada" })
          yield* call("GET", "/orders/none", { token: "ada" })
          return (yield* events("t_acme")).map(({ action, metadata, outcome }) => {
            assert.strictEqual(action, "http.request")
            const { http } = metadata as { readonly http: { readonly route: string; readonly status: number } }
            return `${http.route} ${http.status} ${outcome}`
          })
        }))
      const page = "/page/:name 200 success"
      const secret = "/page/:name 403 denied"
      const none = "/orders/:id 404 failure"
      assert.deepStrictEqual(yield* requests("refused"), [secret])
      assert.deepStrictEqual(yield* requests("all"), ["/health 200 success", page, secret, none])
      assert.deepStrictEqual(yield* requests({ exclude: ["orders.health"] }), [page, secret, none])
      assert.deepStrictEqual(yield* requests({ include: ["GET /page/*"] }), [page, secret])
    }))
})

describe("requests that are nobody's", () => {
  it.live("are refused, and recorded as anonymous in the tenant for them", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory)
      const answer = yield* call("GET", "/orders/o7", { token: "mallory", headers: { "x-tenant-id": "t_acme" } })
      assert.deepStrictEqual([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"])
      assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
      assert.strictEqual((yield* call("GET", "/nothing/here?token=abc")).status, 404)
      const found = yield* events("t_public")
      assert.deepStrictEqual(
        found.map(({ action, actor_type, error_tag, outcome }) => [actor_type, action, outcome, error_tag]),
        [
          ["anonymous", "order.read", "denied", "Unauthenticated"],
          ["anonymous", "http.request", "failure", "RouteNotFound"]
        ]
      )
      assert.notInclude(JSON.stringify(found), "nothing/here")
      assert.deepStrictEqual(yield* events("t_acme"), [])
    }))

  it.live("in a flood are counted in one event, and none is lost from the count", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(memory, { refusalsPerSecond: 3 })
      yield* Effect.all(Array.from({ length: 50 }, () => call("GET", "/orders/o7")), { concurrency: 10 })
      let found = yield* events("t_public")
      const sum = () =>
        found.reduce((total, { action, metadata }) => {
          const { http } = metadata as { readonly http: { readonly count?: number } }
          return total + (action === "http.refused" ? http.count ?? 0 : 1)
        }, 0)
      while (sum() < 50) found = yield* Effect.delay(events("t_public"), 20)
      assert.strictEqual(sum(), 50)
      assert.isBelow(found.length, 12)
      assert.isTrue(found.some(({ action }) => action === "http.refused"))
    }), 20_000)
})

describe("a store that takes nothing", () => {
  const over = (reason: "SinkUnavailable" | "SinkFull") =>
    AuditLogger.layer().pipe(Layer.provideMerge(AuditTest.failing(reason)))

  it.live("refuses the request with 503, or 507 where there is no room, and says when to try again", () =>
    Effect.gen(function*() {
      for (const [reason, status] of [["SinkUnavailable", 503], ["SinkFull", 507]] as const) {
        const { call } = yield* serve(over(reason))
        for (
          const answer of [
            yield* call("GET", "/orders/o7", { token: "ada" }),
            yield* call("GET", "/orders/none", { token: "ada" }),
            yield* call("GET", "/page/secret", { token: "ada" }),
            yield* call("GET", "/orders/o7"),
            yield* call("GET", "/orders/o7", { token: "ada", headers: { "x-env": "dev" } })
          ]
        ) {
          assert.strictEqual(answer.status, status)
          assert.strictEqual(answer.headers.get("retry-after"), "1")
          assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
          assert.notInclude(JSON.stringify(yield* json(answer)), "told the medium")
        }
        // What is not to be recorded goes on.
        assert.strictEqual((yield* call("GET", "/health", { token: "ada" })).status, 200)
      }
    }))

  it.live("works over SQLite", () =>
    Effect.gen(function*() {
      const { call, events } = yield* serve(sqlite)
      assert.strictEqual((yield* call("GET", "/orders/o7", { token: "ada" })).status, 200)
      assert.strictEqual((yield* events("t_acme")).length, 1)
    }))
})
