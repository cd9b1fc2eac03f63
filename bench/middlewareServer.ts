/**
 * One server of the middleware bench as a process: an `HttpApi` with one endpoint, without any event, with an event that
 * its handler emits in a context that it builds, or under the middleware, which records the same event. Says its port, and when it is told to stop, what it
 * took.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Scope } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { HttpAudit } from "effect-audit/http"
import { Sqlite } from "effect-audit/sqlite"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"

const [contestant = "", folder = ""] = process.argv.slice(2)
let served = 0

const endpoint = HttpApiEndpoint.get("get", "/", { success: HttpApiSchema.NoContent })
class Plain extends HttpApi.make("plain").add(HttpApiGroup.make("orders").add(endpoint)) {}
class Audited extends HttpApi.make("audited").add(
  HttpApiGroup.make("orders").add(endpoint).middleware(HttpAudit.Middleware)
) {}

const client = { address: "127.0.0.1" }
const principal = { tenantId: "acme", env: "prod", actor: RequestContext.human("ada") }
const counted = Effect.sync(() => {
  served++
})
const emitted = Effect.gen(function*() {
  const { emit } = yield* AuditLogger.AuditLogger
  const context = yield* RequestContext.forRequest({ ...principal, client, requestId: randomUUID() })
  yield* emit({ action: "order.read", durationMillis: 0, metadata: { http: { method: "GET", route: "/" } } }).pipe(
    RequestContext.provide(context),
    Effect.orDie
  )
  yield* counted
})

const audit = AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename: join(folder, "audit.db") })))
const routes = {
  none: HttpApiBuilder.layer(Plain).pipe(
    Layer.provide(HttpApiBuilder.group(Plain, "orders", (handlers) => handlers.handleAll({ get: () => counted })))
  ),
  emit: HttpApiBuilder.layer(Plain).pipe(
    Layer.provide(HttpApiBuilder.group(
      Plain,
      "orders",
      Effect.fnUntraced(function*(handlers) {
        const logger = yield* AuditLogger.AuditLogger
        return handlers.handleAll({
          get: () => Effect.provideService(Effect.orDie(emitted), AuditLogger.AuditLogger, logger)
        })
      })
    )),
    Layer.provide(audit)
  ),
  middleware: HttpApiBuilder.layer(Audited).pipe(
    Layer.provide(HttpApiBuilder.group(Audited, "orders", (handlers) => handlers.handleAll({ get: () => counted }))),
    Layer.provide(HttpAudit.layerMiddleware),
    Layer.provide(HttpAudit.layer({
      identify: () => Effect.succeed(principal),
      anonymous: { tenantId: "public", env: "prod" },
      actions: HttpAudit.actions(Audited)({ "orders.get": { action: "order.read" } })
    })),
    Layer.provide(audit)
  )
}

const scope = Scope.makeUnsafe()
const services = await Effect.runPromise(
  Layer.buildWithScope(
    HttpRouter.serve(routes[contestant === "emit" || contestant === "middleware" ? contestant : "none"], {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
    ),
    scope
  )
)
const { address } = Context.get(services, HttpServer.HttpServer)
if (address._tag !== "UnixPathAddress") process.send?.({ port: address.port })

const delay = monitorEventLoopDelay({ resolution: 1 })
let cpu = process.cpuUsage()
process.on("message", (message) => {
  if (message === "begin") {
    cpu = process.cpuUsage()
    served = 0
    delay.enable()
    return
  }
  delay.disable()
  const { system, user } = process.cpuUsage(cpu)
  process.send?.({
    delayMillis: delay.percentile(99) / 1e6,
    cpuMicros: (user + system) / Math.max(served, 1),
    residentMegabytes: process.memoryUsage.rss() / 1_048_576
  }, () => process.exit(0))
})
