/** A small backend over HTTP: requests become contexts and events, the trail an API and a page. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Layer, Schema } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { AuditApi, AuditApiLive, HttpAudit } from "effect-audit/http"
import { Ledger } from "effect-audit/ledger"
import { Sqlite } from "effect-audit/sqlite"
import { Viewer } from "effect-audit/viewer"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"

const Order = Schema.Struct({ id: Schema.String, total: Schema.Int })

/** The application's own: who belongs to a token. */
class Sessions extends Context.Service<Sessions, {
  readonly find: (token: string) => Effect.Effect<HttpAudit.Principal | undefined>
}>()("Sessions") {}

class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.post("create", "/orders", { payload: Schema.Struct({ total: Schema.Int }), success: Order })
  ).middleware(HttpAudit.Middleware)
) {}

const orders = HttpApiBuilder.group(
  Api,
  "orders",
  (handlers) => handlers.handleAll({ create: ({ payload }) => Effect.succeed({ id: "o1", total: payload.total }) })
)

const audited = HttpAudit.layer({
  identify: Effect.fnUntraced(function*({ headers }) {
    const { find } = yield* Sessions
    const principal = yield* find(headers["authorization"]?.replace("Bearer ", "") ?? "")
    return principal ?? (yield* new HttpAudit.Unauthenticated({ detail: "A bearer token is required" }))
  }),
  // Where the refusals of requests go that are nobody's.
  anonymous: { tenantId: "public", env: "prod" },
  actions: HttpAudit.actions(Api)({
    "orders.create": {
      action: "order.create",
      resource: ({ result }) => result === undefined ? undefined : { type: "order", id: result.id },
      input: ({ payload }) => payload
    }
  })
})

const policy = Layer.succeed(AuditApi.AuditPolicy, {
  allows: (operation) =>
    Effect.map(RequestContext.RequestContext, ({ actor }) => operation === "read" && actor.type === "human")
})

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(Api).pipe(Layer.provide(orders), Layer.provide(HttpAudit.layerMiddleware)),
  AuditApiLive.layer,
  Viewer.layer(),
  HttpAudit.unknownRoutes,
  PrometheusMetrics.layerHttp()
).pipe(Layer.provide([audited, policy]))

const sessions = Layer.succeed(Sessions, {
  find: (token) =>
    Effect.succeed(
      token === "ada" ? { tenantId: "acme", env: "prod", actor: RequestContext.human("ada") } : undefined
    )
})

const audit = Layer.mergeAll(Ledger.layer, Erasure.layer).pipe(
  Layer.provideMerge(AuditLogger.layer()),
  Layer.provideMerge(Sqlite.layer({ filename: "audit.db" }))
)

const server = HttpRouter.serve(routes).pipe(
  Layer.provide([audit, sessions, NodeHttpServer.layer(createServer, { port: 3000 })])
)

NodeRuntime.runMain(Layer.launch(server))
