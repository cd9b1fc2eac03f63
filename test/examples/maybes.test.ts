import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, References } from "effect"
import { RequestContext } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import { spawnSync } from "node:child_process"
import { renameSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { auditLayer, serverLayer } from "../../examples/maybes/server.ts"
import { temporaryFile } from "../support.ts"

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: { readonly id?: string; readonly text?: string; readonly [key: string]: unknown }
}

/** Maybes on a free port over a fresh file, with its log lines. */
const maybes = Effect.gen(function*() {
  const filename = yield* temporaryFile
  const lines: Array<string> = []
  const logger = Logger.make(({ fiber, message }) =>
    lines.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
  )
  const services = yield* Layer.build(
    Layer.fresh(Layer.provideMerge(serverLayer(0), auditLayer(filename))).pipe(Layer.provide(Logger.layer([logger])))
  )
  const { address } = Context.get(services, HttpServer.HttpServer)
  assert(address._tag !== "UnixPathAddress")
  const call = (method: string, path: string, options: {
    readonly token?: string | undefined
    readonly body?: object | undefined
    readonly headers?: Record<string, string> | undefined
  } = {}): Effect.Effect<Answer> =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${address.port}/notes${path}`, {
        method,
        headers: {
          "content-type": "application/json",
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...(options.headers ?? { "x-project-id": "ideas", "x-surface": "web" })
        },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) })
      })
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        body: text === "" ? {} : JSON.parse(text) as Answer["body"]
      }
    })
  const get = (path: string, token: string) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${address.port}${path}`, {
        headers: token === "" ? {} : { authorization: `Bearer ${token}` }
      })
      return { status: response.status, text: await response.text() }
    })
  const events = (tenant: string) =>
    Effect.provideContext(
      Effect.map(
        AuditTrail.query({
          tenantId: RequestContext.TenantId.make(tenant),
          env: RequestContext.Env.make("prod"),
          order: "asc",
          limit: 1000
        }),
        ({ items }) => items.slice(1).flatMap((item) => item.erased ? [] : [item.event])
      ),
      services
    )
  const notes = Effect.provideContext(
    Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql<{ readonly id: string; readonly text: string }>`SELECT id, text FROM note`
    ),
    services
  )
  return { call, get, events, notes, lines, filename }
})
const ada = "ada-token"

describe("Maybes", () => {
  it.live("creates, reads, lists, updates and deletes notes; each write is an event with the request's context", () =>
    Effect.gen(function*() {
      const { call, events, lines, notes } = yield* maybes
      const headers = {
        "x-project-id": "ideas",
        "x-surface": "web",
        "x-app-id": "browser",
        "x-request-id": "req-1",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      }
      const created = yield* call("POST", "", {
        token: "ada-helper-token",
        body: { text: "call kim@example.com" },
        headers
      })
      assert.strictEqual(created.status, 200)
      assert.include(created.body, {
        tenantId: "t_acme",
        env: "prod",
        projectId: "ideas",
        surface: "web",
        userId: "ada",
        requestId: "req-1",
        traceId: "0af7651916cd43dd8448eb211c80319c"
      })
      assert.strictEqual(created.headers.get("x-request-id"), "req-1")
      assert.strictEqual(created.headers.get("x-trace-id"), "0af7651916cd43dd8448eb211c80319c")
      const line = lines.find((text) => text.includes(`note created: ${created.body.id}`)) ?? ""
      assert.include(line, "req-1")
      assert.include(line, "0af7651916cd43dd8448eb211c80319c")
      const id = created.body.id ?? ""
      assert.strictEqual((yield* call("GET", `/${id}`, { token: ada })).body.text, "call kim@example.com")
      assert.strictEqual((yield* call("PUT", `/${id}`, { token: ada, body: { text: "two" } })).body.text, "two")
      assert.strictEqual((yield* call("GET", "", { token: ada })).body["length"], 1)
      assert.strictEqual((yield* call("DELETE", `/${id}`, { token: ada })).status, 204)
      assert.deepStrictEqual(yield* notes, [])
      assert.strictEqual((yield* call("GET", `/${id}`, { token: ada })).status, 404)
      const list = yield* events("t_acme")
      assert.deepStrictEqual(
        list.map((event) => [event.action, event.outcome, event.actor_type, event.agentId, event.user_id]),
        [
          ["note.create", "success", "agent", "helper", "ada"],
          ["note.update", "success", "human", "ada", "ada"],
          ["note.delete", "success", "human", "ada", "ada"]
        ]
      )
      const [first] = list
      assert.deepStrictEqual<ReadonlyArray<unknown>>(
        [first?.request_id, first?.trace_id, first?.project_id, first?.app_id, first?.surface],
        ["req-1", "0af7651916cd43dd8448eb211c80319c", "ideas", "browser", "web"]
      )
      assert.deepStrictEqual(list[0]?.input, { text: "call [EMAIL]" })
      assert.deepStrictEqual(list[0]?.resource, { type: "note", id })
    }))

  it.live("without a known token 401, without context headers 400: no note, and an event of each", () =>
    Effect.gen(function*() {
      const { call, events, notes } = yield* maybes
      assert.strictEqual((yield* call("POST", "", { body: { text: "x" } })).status, 401)
      assert.strictEqual((yield* call("POST", "", { token: "guess", body: { text: "x" } })).status, 401)
      for (
        const headers of [{}, { "x-project-id": "ideas" }, { "x-surface": "web" }, {
          "x-project-id": "ideas",
          "x-surface": "kim@example.com"
        }]
      ) {
        const answer = yield* call("POST", "", {
          token: ada,
          body: { text: "x" },
          headers: headers as Record<string, string>
        })
        assert.strictEqual(answer.status, 400)
        assert.notInclude(JSON.stringify(answer.body), "kim")
      }
      assert.strictEqual((yield* call("POST", "", { token: ada, body: { nothing: 1 } })).status, 400)
      assert.deepStrictEqual(yield* notes, [])
      const tags = (tenant: string) => Effect.map(events(tenant), (list) => list.map(({ error_tag }) => error_tag))
      assert.deepStrictEqual(yield* tags("t_nobody"), ["Unauthenticated", "Unauthenticated"])
      assert.deepStrictEqual(yield* tags("t_acme"), [
        ...Array.from({ length: 3 }, () => "HttpApiSchemaError"),
        "HeaderMalformed",
        "HttpApiSchemaError"
      ])
    }))

  it.live("refuses with 403, and records, a header that contradicts the token", () =>
    Effect.gen(function*() {
      const { call, events, notes } = yield* maybes
      const base = { "x-project-id": "ideas", "x-surface": "web" }
      const attempts = [
        call("POST", "", { token: ada, body: { text: "x" }, headers: { ...base, "x-tenant-id": "t_globex" } }),
        call("POST", "", { token: ada, body: { text: "x" }, headers: { ...base, "x-env": "staging" } }),
        call("GET", "", { token: ada, headers: { ...base, "x-user-id": "ben" } })
      ]
      for (const attempt of attempts) assert.strictEqual((yield* attempt).status, 403)
      assert.deepStrictEqual(yield* notes, [])
      assert.deepStrictEqual(
        (yield* events("t_acme")).map((event) => [event.error_tag, event.outcome, event.metadata["header"]]),
        [
          ["HeaderContradicted", "denied", "x-tenant-id"],
          ["HeaderContradicted", "denied", "x-env"],
          ["HeaderContradicted", "denied", "x-user-id"]
        ]
      )
      assert.deepStrictEqual(yield* events("t_globex"), [])
    }))

  it.live("has its trail as an API and a page: of one's own tenant, to persons", () =>
    Effect.gen(function*() {
      const { call, get } = yield* maybes
      yield* call("POST", "", { token: ada, body: { text: "mine" } })
      const page = yield* get("/audit/events?action=note.*", ada)
      assert.strictEqual(page.status, 200)
      assert.include(page.text, "note.create")
      assert.notInclude((yield* get("/audit/events", "gus-token")).text, "note.create")
      assert.strictEqual((yield* get("/audit/events", "ada-helper-token")).status, 403)
      assert.include((yield* get("/audit/viewer", "")).text, "Audit trail")
    }))

  it.live("hides other people's, tenants' and projects' notes, and records each attempt as denied", () =>
    Effect.gen(function*() {
      const { call, events, notes } = yield* maybes
      const { body } = yield* call("POST", "", { token: ada, body: { text: "mine" } })
      const path = `/${body.id}`
      const elsewhere = { "x-project-id": "other", "x-surface": "web" }
      for (
        const attempt of [
          call("GET", path, { token: "ben-token" }),
          call("GET", path, { token: "gus-token" }),
          call("GET", path, { token: ada, headers: elsewhere }),
          call("PUT", path, { token: "ben-token", body: { text: "theirs" } }),
          call("DELETE", path, { token: "gus-token" })
        ]
      ) {
        const { body, status } = yield* attempt
        assert.strictEqual(status, 404)
        assert.deepStrictEqual(body, { _tag: "NoteNotFound", message: "There is no such note" })
      }
      assert.deepStrictEqual((yield* notes).map((note) => note.text), ["mine"])
      const denied = (
        list: ReadonlyArray<{ readonly action: string; readonly outcome: string; readonly agentId: string }>
      ) => list.filter((event) => event.outcome === "denied").map((event) => [event.action, event.agentId])
      assert.deepStrictEqual(denied(yield* events("t_acme")), [["note.read", "ben"], ["note.read", "ada"], [
        "note.update",
        "ben"
      ]])
      assert.deepStrictEqual(denied(yield* events("t_globex")), [["note.read", "gus"], ["note.delete", "gus"]])
    }))

  it.live("answers 503 and changes nothing when the audit store fails, and goes on when it is back", () =>
    Effect.gen(function*() {
      const { call, events, filename, notes } = yield* maybes
      const { body } = yield* call("POST", "", { token: ada, body: { text: "one" } })
      renameSync(filename, `${filename}.away`)
      assert.strictEqual((yield* call("POST", "", { token: ada, body: { text: "two" } })).status, 503)
      assert.strictEqual((yield* call("PUT", `/${body.id}`, { token: ada, body: { text: "three" } })).status, 503)
      assert.strictEqual((yield* call("DELETE", `/${body.id}`, { token: ada })).status, 503)
      assert.strictEqual((yield* call("GET", `/${body.id}`, { token: "ben-token" })).status, 503)
      renameSync(`${filename}.away`, filename)
      assert.deepStrictEqual((yield* notes).map((note) => note.text), ["one"])
      assert.strictEqual((yield* call("PUT", `/${body.id}`, { token: ada, body: { text: "four" } })).status, 200)
      assert.deepStrictEqual((yield* events("t_acme")).map((event) => event.action), ["note.create", "note.update"])
    }))

  it.live("plays its session, prints the trail and ends, twice in a row", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const main = fileURLToPath(new URL("../../examples/maybes/main.ts", import.meta.url))
      for (let run = 0; run < 2; run++) {
        const { status, stderr, stdout } = spawnSync(process.execPath, [main, "--once"], {
          env: { ...process.env, MAYBES_DB: db },
          encoding: "utf8"
        })
        assert.strictEqual(status, 0, stderr)
        assert.match(
          stdout,
          /The trail of t_acme[\s\S]*no: pii +CREDIT_CARD EMAIL PHONE[\s\S]*denied: HeaderContradicted/
        )
        assert.match(stdout, /The trail of t_globex[\s\S]*no: tenant_opt_out/)
        assert.include(stdout, "-> 503")
        for (const secret of ["kim.lee@example.com", "4111 1111", "555 0132"]) assert.notInclude(stdout, secret)
      }
    }))
})
