/** An MCP server whose requests are recorded, over real standard streams and HTTP. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { AuditAi } from "effect-audit/ai"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTest } from "effect-audit/test"
import { AuditTrail } from "effect-audit/trail"
import { LanguageModel, McpProtocol, McpServer, McpTest, Tool, Toolkit } from "effect/ai"
import { HttpRouter, HttpServer } from "effect/http"
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { registrations } from "../fixtures/mcpTools.ts"
import { log, temporaryFolder } from "../support.ts"
import { agent, call, finish, Tools } from "./scripted.ts"

const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "tester", version: "3" }
}
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

interface Reply {
  readonly result?: { readonly isError?: boolean; readonly structuredContent?: unknown }
  readonly error?: { readonly code: number; readonly message: string }
}
type Request = (method: string, params: object) => Promise<Reply>

/** A client over HTTP. */
const overHttp = async (url: string, headers: { readonly [name: string]: string } = {}): Promise<Request> => {
  let session: string | undefined
  let id = 0
  const send = async (message: object): Promise<Reply> => {
    const response = await fetch(`${url}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        ...(session === undefined ? {} : { "mcp-session-id": session }),
        ...headers
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...message })
    })
    session ??= response.headers.get("mcp-session-id") ?? undefined
    const text = await response.text()
    const data = /^data: (.*)$/m.exec(text)?.[1] ?? text
    return data === "" ? {} : JSON.parse(data)
  }
  await send({ id: ++id, method: "initialize", params: initialize })
  await send({ method: "notifications/initialized" })
  return (method, params) => send({ id: ++id, method, params })
}

/** A client of a process that it starts. */
const overStdio = (filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [join(import.meta.dirname, "../fixtures/mcpServer.ts"), filename], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      const waiting = new Map<number, (reply: Reply) => void>()
      createInterface(child.stdout).on("line", (line) => {
        const reply: Reply & { readonly id?: number } = JSON.parse(line)
        if (reply.id !== undefined) waiting.get(reply.id)?.(reply)
      })
      let id = 0
      const write = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
      const request: Request = (method, params) =>
        new Promise((resolve) => {
          waiting.set(++id, resolve)
          write({ id, method, params })
        })
      return { child, request, write }
    }),
    ({ child }) =>
      Effect.promise(() =>
        new Promise((resolve) => {
          child.once("exit", resolve)
          if (!child.kill()) resolve(undefined)
        })
      )
  )

const server = HttpRouter.serve(
  McpServer.layerHttp({
    name: "audited",
    version: "1",
    path: "/mcp",
    protocols: [McpProtocol.v2025_11_25],
    registrations
  }),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))

const urlOf = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => address._tag === "UnixPathAddress" ? "" : `http://127.0.0.1:${address.port}`
)

/** What is asked of the server, and what is recorded of that. */
const ask = async (request: Request) => {
  const sum = await request("tools/call", {
    name: "add",
    arguments: { a: 1, b: 2 },
    _meta: { traceparent }
  })
  assert.deepStrictEqual(sum.result?.structuredContent, { sum: 3 })
  const broken = await request("tools/call", { name: "break", arguments: {} })
  assert.isTrue(broken.result?.isError)
  const invalid = await request("tools/call", { name: "add", arguments: { a: "x" } })
  assert.isDefined(invalid.error ?? invalid.result?.isError)
  await request("tools/call", { name: "plain", arguments: {} })
  await request("resources/read", { uri: "file:///notes" })
}
const expected = [
  "tool.call intent add",
  "sum.make - -",
  "tool.call result add",
  "tool.call intent break",
  "tool.call result break failure Broken",
  "tool.call intent add",
  "tool.call result add failure ToolParameterValidationError",
  "tool.call intent plain",
  "tool.call result plain",
  "mcp.resource_read - file:///notes"
]
const told = Effect.map(
  Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })),
  (items) => {
    const events = items.flatMap((item) => item.erased || item.event.action === "audit.log_created" ? [] : [item.event])
    const short = events.map(({ action, error_tag, outcome, phase, resource }) =>
      `${action} ${phase ?? "-"} ${resource?.id ?? "-"}${outcome === "success" ? "" : ` ${outcome} ${error_tag}`}`
    )
    return { events, short }
  }
)

describe("an MCP server", () => {
  it.live("records each request over HTTP: who, from which client, in which trace, how it ended", () =>
    Effect.gen(function*() {
      const url = yield* urlOf
      yield* Effect.promise(async () => ask(await overHttp(url)))
      const { events, short } = yield* told
      assert.deepStrictEqual(short, expected)
      const [intent, inner, result, , broken, , , , plain] = events
      assert.deepStrictEqual(
        [intent?.trace_id, inner?.trace_id, result?.trace_id].map(String),
        Array.from(
          { length: 3 },
          () => traceparent.slice(3, 35)
        )
      )
      assert.strictEqual(intent?.operation_id, result?.operation_id)
      assert.deepStrictEqual(intent?.metadata["mcp_client"], { name: "tester", version: "3" })
      assert.deepStrictEqual([intent?.input, result?.output], [{ a: 1, b: 2 }, { sum: 3 }])
      assert.strictEqual(broken?.user_id, "u1")
      assert.strictEqual(plain?.metadata["mcp_result"], "unknown")
      assert.isUndefined(result?.metadata["mcp_result"])
    }).pipe(Effect.provide(server.pipe(Layer.provideMerge(AuditTest.layer())))))

  it.live("records each request over standard streams", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const filename = join(yield* temporaryFolder, "audit.db")
        const { request, write } = yield* overStdio(filename)
        yield* Effect.promise(async () => {
          await request("initialize", initialize)
          write({ method: "notifications/initialized" })
          await ask(request)
        })
        const { events, short } = yield* Effect.provide(told, Sqlite.layer({ filename }))
        assert.deepStrictEqual(short, expected)
        assert.strictEqual(events[0]?.client?.user_agent, "tester/3")
      })
    ))

  it.live("records who was refused, and runs nothing for them", () =>
    Effect.gen(function*() {
      const url = yield* urlOf
      const reply = yield* Effect.promise(async () => {
        const request = await overHttp(url, { authorization: "Bearer eve" })
        return request("tools/call", { name: "add", arguments: { a: 1, b: 2 } })
      })
      assert.strictEqual(reply.error?.code, -32001)
      const forged = yield* Effect.promise(async () => {
        const request = await overHttp(url, { "x-actor-id": "someone.else" })
        return request("tools/call", { name: "add", arguments: { a: 1, b: 2 } })
      })
      assert.strictEqual(forged.error?.code, -32600)
      assert.include(forged.error?.message, "x-actor-id")
      const [event, contradiction, ...more] = yield* AuditTest.events()
      assert.lengthOf(more, 0)
      assert.deepStrictEqual(
        [contradiction?.tenantId, contradiction?.agentId, contradiction?.outcome, contradiction?.error_tag].map(String),
        ["t_acme", "u1", "denied", "InvalidRequest"]
      )
      assert.deepStrictEqual(
        [event?.tenantId, event?.actor_type, event?.outcome, event?.error_tag, event?.resource?.id].map(String),
        ["t_public", "anonymous", "denied", "Unauthorized", "add"]
      )
    }).pipe(Effect.provide(server.pipe(Layer.provideMerge(AuditTest.layer())))))

  for (const after of [0, 1, 2]) {
    it.live(`fails what it cannot record, after ${after} events`, () =>
      Effect.gen(function*() {
        const url = yield* urlOf
        const request = yield* Effect.promise(() => overHttp(url))
        const reply = yield* Effect.promise(() => request("tools/call", { name: "add", arguments: { a: 1, b: 2 } }))
        assert.isTrue(reply.error !== undefined || reply.result?.isError === true)
        assert.isUndefined(reply.result?.structuredContent)
        const { short } = yield* told
        assert.deepStrictEqual(short, expected.slice(0, after))
        const read = yield* Effect.promise(() => request("resources/read", { uri: "file:///notes" }))
        assert.strictEqual(read.error?.code, -32603)
      }).pipe(
        Effect.provide(
          server.pipe(
            Layer.provide(AuditLogger.layer()),
            Layer.provideMerge(AuditTest.failing("SinkUnavailable", { after }))
          )
        )
      ))
  }

  const Ask = Tool.make("ask", { parameters: Schema.Struct({ q: Schema.String }), success: Schema.String })
  const Asks = Toolkit.make(Ask)
  const Audit = AuditAi.mcpMiddleware({
    anonymous: { tenantId: "t_public", env: "prod" },
    identify: () => Effect.succeed({ tenantId: "t_acme", env: "prod", actor: { type: "human" as const, id: "u1" } })
  })

  it.live("tells a call of the server from those that a model makes in it", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const context = yield* Effect.context<LanguageModel.LanguageModel | Tool.HandlersFor<typeof Tools.tools>>()
        const asking = Asks.toLayer({
          ask: ({ q }) =>
            LanguageModel.generateText({ prompt: q, toolkit: Tools }).pipe(
              Effect.as("ok"),
              Effect.provide(context),
              Effect.orDie
            )
        })
        const client = yield* McpTest.makeClient(
          McpServer.toolkit(Asks).pipe(Layer.provide(asking), Layer.provide(Audit.layer)),
          { protocols: [McpProtocol.v2025_11_25] }
        )
        yield* client.callTool({ name: "ask", arguments: { q: "hi" } })
        const { short } = yield* told
        assert.deepStrictEqual(short, [
          "tool.call intent ask",
          "tool.call intent search",
          "tool.call result search",
          "model.call - unknown",
          "tool.call result ask"
        ])
      })
    ).pipe(Effect.provide(agent([[call("search", { query: "abc" }), finish()]]).layer)))

  it.live("records prompts and completions, also those that fail, and what client it was that names no other", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const client = yield* McpTest.makeClient(
          McpServer.prompt({
            name: "greet",
            parameters: { who: Schema.String },
            completion: { who: () => Effect.succeed(["kim"]) },
            content: ({ who }) => who === "nobody" ? Effect.die("boom") : Effect.succeed(`Hello ${who}`)
          }).pipe(Layer.provide(Audit.layer)),
          { protocols: [McpProtocol.v2025_11_25], clientInfo: { name: "tester", version: "4" } }
        )
        // What is there may be known to all.
        assert.lengthOf((yield* client.listPrompts()).prompts, 1)
        yield* client.getPrompt({ name: "greet", arguments: { who: "kim" } })
        yield* client.complete({ ref: { type: "ref/prompt", name: "greet" }, argument: { name: "who", value: "k" } })
        yield* Effect.flip(client.getPrompt({ name: "greet", arguments: { who: "nobody" } }))
        const { events, short } = yield* told
        assert.deepStrictEqual(short, [
          "mcp.prompt_get - greet",
          "mcp.complete - greet",
          "mcp.prompt_get - greet failure Defect"
        ])
        assert.deepStrictEqual(events.map(({ resource }) => resource?.type), ["mcp_prompt", "mcp_prompt", "mcp_prompt"])
        assert.deepStrictEqual(events[0]?.input, { who: "kim" })
        assert.deepStrictEqual(events.map(({ client }) => client?.user_agent), ["tester/4", "tester/4", "tester/4"])
      })
    ).pipe(Effect.provide(AuditTest.layer())))

  it.live("fails a refusal that it cannot record as what cannot be recorded", () =>
    Effect.gen(function*() {
      const url = yield* urlOf
      const request = yield* Effect.promise(() => overHttp(url, { authorization: "Bearer eve" }))
      const reply = yield* Effect.promise(() => request("tools/call", { name: "add", arguments: { a: 1, b: 2 } }))
      assert.strictEqual(reply.error?.code, -32603)
      assert.include(reply.error?.message, "was not recorded in the audit log")
    }).pipe(
      Effect.provide(
        server.pipe(Layer.provide(AuditLogger.layer()), Layer.provideMerge(AuditTest.failing("SinkUnavailable")))
      )
    ))

  it.live("takes a principal that is none for a mistake of the server, and records the request as nobody's", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const Mistaken = AuditAi.mcpMiddleware({
          anonymous: { tenantId: "t_public", env: "prod" },
          identify: () => Effect.succeed({ tenantId: "not a tenant", env: "prod", actor: { type: "system" as const } })
        })
        const asking = Asks.toLayer({ ask: () => Effect.succeed("ok") })
        const client = yield* McpTest.makeClient(
          McpServer.toolkit(Asks).pipe(Layer.provide(asking), Layer.provide(Mistaken.layer)),
          { protocols: [McpProtocol.v2025_11_25] }
        )
        const error = yield* Effect.flip(client.callTool({ name: "ask", arguments: { q: "hi" } }))
        assert.include(JSON.stringify(error), "cannot say in whose name")
        const [event] = yield* AuditTest.events()
        assert.deepStrictEqual(
          [event?.tenantId, event?.actor_type, event?.outcome, event?.error_tag, event?.resource?.id].map(String),
          ["t_public", "anonymous", "denied", "InternalError", "ask"]
        )
      })
    ).pipe(Effect.provide(AuditTest.layer())))
})
