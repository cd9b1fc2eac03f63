/** A small backend with orders, served on a free port, as an application would write it. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Logger, Redacted, References, Schema, Stream } from "effect"
import { AuditLogger, RequestContext, type Transactions } from "effect-audit"
import { HttpAudit } from "effect-audit/http"
import { AuditTrail } from "effect-audit/trail"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { createServer } from "node:http"

const id = { id: Schema.String }
export class NoSuchOrder extends Schema.TaggedError<NoSuchOrder>()("NoSuchOrder", {}, { httpApiStatus: 404 }) {}
export class NotYours extends Schema.TaggedError<NotYours>()("NotYours", {}, { httpApiStatus: 403 }) {}
export const Order = Schema.Struct({ id: Schema.String, note: Schema.String })

export class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.post("create", "/orders", { payload: Schema.Struct({ note: Schema.String }), success: Order }),
    HttpApiEndpoint.get("get", "/orders/:id", { params: id, success: Order, error: [NoSuchOrder, NotYours] }),
    HttpApiEndpoint.delete("remove", "/orders/:id", { params: id, error: NotYours }),
    HttpApiEndpoint.delete("wipe", "/orders", { error: HttpApiSchema.Empty(403) }),
    HttpApiEndpoint.get("health", "/health", { success: Schema.String })
  ).middleware(HttpAudit.Middleware)
) {}

export const tokens: { readonly [token: string]: HttpAudit.Principal } = {
  ada: { tenantId: "t_acme", env: "prod", actor: RequestContext.human("ada"), projectId: "p1" },
  bot: { tenantId: "t_acme", env: "prod", actor: RequestContext.agent("bot", "ada") },
  gus: { tenantId: "t_globex", env: "prod", actor: RequestContext.human("gus") }
}

export const identify: HttpAudit.Options["identify"] = ({ headers }) => {
  const token = Redacted.make(headers["authorization"]?.replace("Bearer ", "") ?? "")
  const known = Object.hasOwn(tokens, Redacted.value(token)) ? tokens[Redacted.value(token)] : undefined
  return known === undefined
    ? Effect.fail(new HttpAudit.Unauthenticated({ detail: "A bearer token is required" }))
    : Effect.succeed(known)
}

export const actions = HttpAudit.actions(Api)({
  "orders.create": {
    action: "order.create",
    resource: ({ result }) => result === undefined ? undefined : { type: "order", id: result.id },
    input: ({ payload }) => payload,
    idempotencyKey: ({ payload }) => payload.note.startsWith("once") ? payload.note : undefined
  },
  "orders.get": { action: "order.read", resource: ({ params }) => ({ type: "order", id: params.id }) },
  "orders.remove": { action: "order.delete", resource: ({ params }) => ({ type: "order", id: params.id }) }
})

/** What the tests see of the backend's inside. */
export class Inside extends Context.Service<Inside, {
  readonly waiting: Deferred.Deferred<void>
  readonly left: Deferred.Deferred<void>
}>()("test/Inside") {}

const handlers = HttpApiBuilder.group(
  Api,
  "orders",
  Effect.fnUntraced(function*(handlers) {
    const { left, waiting } = yield* Inside
    return handlers.handleAll({
      create: ({ payload }) => {
        const created = { id: "o1", note: payload.note }
        if (payload.note !== "misnamed") return Effect.succeed(created)
        return Effect.as(Effect.orDie(AuditLogger.emit({ action: "no action" })), created)
      },
      get: ({ params }) => {
        if (params.id === "none") return Effect.fail(new NoSuchOrder())
        if (params.id === "theirs") return Effect.fail(new NotYours())
        if (params.id === "broken") return Effect.die(new Error("broken"))
        if (params.id !== "slow") return Effect.as(Effect.logInfo("read"), { id: params.id, note: "" })
        return Effect.andThen(
          Deferred.succeed(waiting, undefined),
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(left, undefined))
        )
      },
      remove: () => Effect.fail(new NotYours()),
      wipe: () => Effect.fail(undefined),
      health: () => Effect.succeed("ok")
    })
  })
)

/** A stream that ends, fails, dies or does not end. */
const streams = HttpRouter.add(
  "GET",
  "/lines/:end",
  Effect.map(HttpRouter.params, ({ end }) =>
    HttpServerResponse.stream(
      Stream.concat(
        Stream.make(Buffer.from("one\n")),
        end === "fails"
          ? Stream.fail(new NoSuchOrder())
          : end === "dies"
          ? Stream.die(new Error("broken"))
          : end === "never"
          ? Stream.never
          : Stream.empty
      ),
      { contentType: "text/plain" }
    ))
).pipe(Layer.provide(HttpAudit.router.layer))

const page = HttpRouter.add(
  "GET",
  "/page/:name",
  Effect.gen(function*() {
    const { requestId } = yield* RequestContext.RequestContext
    const { name } = yield* HttpRouter.params
    return HttpServerResponse.text(requestId, { status: name === "secret" ? 403 : 200 })
  })
).pipe(Layer.provide(HttpAudit.router.layer))

/** A server over a medium with a logger; its address, what it logged, and what it recorded. */
export const serve = Effect.fnUntraced(function*<E>(
  medium: Layer.Layer<AuditLogger.AuditLogger | AuditTrail.AuditTrail | Transactions.Transactions, E>,
  options: Partial<HttpAudit.Options> = {}
) {
  const lines: Array<string> = []
  const logger = Logger.make(({ fiber, message }) =>
    void lines.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
  )
  const inside = yield* Effect.all({ waiting: Deferred.make<void>(), left: Deferred.make<void>() })
  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers), Layer.provide(HttpAudit.layerMiddleware)),
    page,
    streams,
    HttpAudit.unknownRoutes
  )
  const audit = HttpAudit.layer({ identify, anonymous: { tenantId: "t_public", env: "prod" }, actions, ...options })
  const services = yield* Layer.build(
    HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      Layer.provide([audit, Layer.succeed(Inside, inside)]),
      Layer.provideMerge(Layer.fresh(medium)),
      Layer.provide(Logger.layer([logger]))
    )
  )
  const { address } = Context.get(services, HttpServer.HttpServer)
  assert(address._tag !== "UnixPathAddress")
  const url = `http://127.0.0.1:${address.port}`
  const call = (method: string, path: string, more: {
    readonly token?: string
    readonly body?: unknown
    readonly headers?: Record<string, string>
    readonly signal?: AbortSignal
  } = {}) =>
    Effect.promise(() =>
      fetch(url + path, {
        method,
        headers: {
          ...(more.token === undefined ? {} : { authorization: `Bearer ${more.token}` }),
          ...(more.body === undefined ? {} : { "content-type": "application/json" }),
          ...more.headers
        },
        ...(more.body === undefined
          ? {}
          : { body: typeof more.body === "string" ? more.body : JSON.stringify(more.body) }),
        ...(more.signal === undefined ? {} : { signal: more.signal })
      })
    )
  const trail = Context.get(services, AuditTrail.AuditTrail)
  const events = (tenant: string) =>
    Effect.map(
      trail.query({
        tenantId: RequestContext.TenantId.make(tenant),
        env: RequestContext.Env.make("prod"),
        order: "asc",
        limit: 1000
      }),
      ({ items }) => items.slice(1).flatMap((item) => item.erased ? [] : [item.event])
    )
  return { url, call, events, lines, inside, services }
})
