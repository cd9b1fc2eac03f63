/** What the edge of a server must not let through. */
import { expectTypeOf, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { AuditLogger, type RequestContext } from "effect-audit"
import { HttpAudit } from "effect-audit/http"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const endpoint = HttpApiEndpoint.post("create", "/", {
  payload: Schema.Struct({ note: Schema.String }),
  success: Schema.Struct({ id: Schema.String })
})
class Inside
  extends HttpApi.make("in").add(HttpApiGroup.make("orders").add(endpoint).middleware(HttpAudit.Middleware))
{}
class Outside extends HttpApi.make("out").add(HttpApiGroup.make("orders").add(endpoint)) {}

const emit = Effect.as(AuditLogger.emit({ action: "order.create" }), { id: "1" })
/** Whether a server that is launched lacks the context of its requests. */
type Missing<L extends Layer.Any> = Extract<Layer.Services<L>, RequestContext.RequestContext>

it("a handler that records events has its context inside the middleware, and may fail with AuditError", () => {
  const handlers = HttpApiBuilder.group(
    Inside,
    "orders",
    Effect.fnUntraced(function*(handlers) {
      const logger = yield* AuditLogger.AuditLogger
      return handlers.handle("create", () => Effect.provideService(emit, AuditLogger.AuditLogger, logger))
    })
  )
  const served = HttpRouter.serve(
    HttpApiBuilder.layer(Inside).pipe(Layer.provide(handlers), Layer.provide(HttpAudit.layerMiddleware))
  )
  expectTypeOf<Missing<typeof served>>().toEqualTypeOf<never>()
})

it("outside of it, it does not compile", () => {
  HttpApiBuilder.group(
    Outside,
    "orders",
    (handlers) =>
      handlers.handle(
        "create",
        // @ts-expect-error AuditError is no error of the endpoint
        () => emit
      )
  )
  const route = HttpRouter.add("GET", "/", Effect.as(emit, HttpServerResponse.empty()))
  const served = HttpRouter.serve(route)
  expectTypeOf<Missing<typeof served>>().toEqualTypeOf<RequestContext.RequestContext>()
  const inside = HttpRouter.serve(route.pipe(Layer.provide(HttpAudit.router.layer)))
  expectTypeOf<Missing<typeof inside>>().toEqualTypeOf<never>()
})

it("actions are those of the API's endpoints, and pick what the endpoints have", () => {
  HttpAudit.actions(Inside)({
    "orders.create": {
      action: "order.create",
      input: ({ payload }) => payload.note,
      resource: ({ result }) => result && { type: "order", id: result.id }
    }
  })
  HttpAudit.actions(Inside)({
    // @ts-expect-error there is no such endpoint
    "orders.crate": { action: "order.create" }
  })
  HttpAudit.actions(Inside)({
    "orders.create": {
      action: "order.create",
      // @ts-expect-error the payload has no such field
      input: ({ payload }) => payload.text
    }
  })
})

it("an application says who a request is, and where refusals go", () => {
  // @ts-expect-error no identify
  HttpAudit.layer({ anonymous: { tenantId: "t", env: "prod" } })
  // @ts-expect-error no tenant for what is nobody's
  HttpAudit.layer({ identify: () => Effect.fail(new HttpAudit.Unauthenticated({ detail: "no" })) })
})
