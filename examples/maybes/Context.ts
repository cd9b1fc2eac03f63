/** From a request to a `RequestContext`: the token says who, the headers say where, and they must not contradict. */
import { Effect, Layer, Redacted } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomUUID } from "node:crypto"
import { ContextMissing, CurrentIdentity, Identified, IdentityRefused, StoreUnavailable, Unauthorized } from "./Api.ts"
import { type Identity, tokens } from "./Identity.ts"

type Headers = { readonly [name: string]: string | undefined }

/** Context headers: the first two are required, the others optional. */
const contextOf = (headers: Headers, identity: Identity): RequestContext.RequestOptions | undefined => {
  const projectId = headers["x-project-id"]
  const surface = headers["x-surface"]
  if (projectId === undefined || surface === undefined) return undefined
  const optional = {
    appId: headers["x-app-id"],
    surfaceId: headers["x-surface-id"],
    correlationId: headers["x-correlation-id"],
    runId: headers["x-run-id"],
    stepId: headers["x-step-id"]
  }
  return {
    tenantId: identity.tenantId,
    env: identity.env,
    actor: identity.actor,
    projectId,
    surface,
    requestId: headers["x-request-id"] ?? randomUUID(),
    traceparent: headers["traceparent"],
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  }
}

/** Identity claims a caller may repeat, and what the token says of them. */
export const contradiction = (
  claims: {
    readonly tenantId?: string | undefined
    readonly env?: string | undefined
    readonly userId?: string | undefined
  },
  identity: Identity
): string | undefined =>
  (["tenantId", "env", "userId"] as const).find((name) => claims[name] !== undefined && claims[name] !== identity[name])

/** Refuses a request whose claims contradict its token, and records that. */
export const refuseContradiction = (
  claims: {
    readonly tenantId?: string | undefined
    readonly env?: string | undefined
    readonly userId?: string | undefined
  },
  action: string
) =>
  Effect.gen(function*() {
    const field = contradiction(claims, yield* CurrentIdentity)
    if (field === undefined) return
    yield* AuditLogger.emit({
      action,
      outcome: "denied",
      errorTag: "IdentityRefused",
      metadata: { contradicted: field }
    }).pipe(
      Effect.catchTag("AuditError", unavailable)
    )
    return yield* new IdentityRefused({ message: `${field} does not agree with the token` })
  })

/** The audit store comes first: a request that cannot be audited is refused. */
export const unavailable = () =>
  Effect.fail(new StoreUnavailable({ message: "The audit store is not available, nothing was changed. Try again." }))

const requestIdPattern = /^[A-Za-z0-9._:|/+=-]{1,128}$/

export const IdentifiedLayer = Layer.effect(
  Identified,
  Effect.gen(function*() {
    const logger = yield* AuditLogger.AuditLogger
    return Identified.of({
      bearer: Effect.fn("Identified.bearer")(function*(httpEffect, { credential }) {
        const identity = tokens.get(Redacted.value(credential))
        if (identity === undefined) return yield* new Unauthorized({ message: "A known bearer token is required" })
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        const options = contextOf(headers, identity)
        if (options === undefined) {
          return yield* new ContextMissing({ message: "The headers x-project-id and x-surface are required" })
        }
        if (!requestIdPattern.test(options.requestId)) {
          return yield* new ContextMissing({ message: "The header x-request-id is not an id" })
        }
        const context = yield* RequestContext.forRequest(options).pipe(
          Effect.mapError((error) => new ContextMissing({ message: `A context header is not an id: ${error.message}` }))
        )
        yield* HttpEffect.appendPreResponseHandler((_request, response) =>
          Effect.succeed(
            HttpServerResponse.setHeaders(response, {
              "x-request-id": context.requestId,
              "x-trace-id": context.traceId
            })
          )
        )
        const claims = { tenantId: headers["x-tenant-id"], env: headers["x-env"], userId: headers["x-user-id"] }
        return yield* refuseContradiction(claims, "request.identify").pipe(
          Effect.provideService(AuditLogger.AuditLogger, logger),
          Effect.andThen(httpEffect),
          Effect.provideService(CurrentIdentity, identity),
          RequestContext.provide(context),
          Effect.annotateLogs({ request_id: context.requestId, trace_id: context.traceId })
        )
      })
    })
  })
)
