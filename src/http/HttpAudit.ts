/**
 * From a request to a context and an event: middleware for `HttpApi` and `HttpRouter`.
 *
 * The application says who a request is (`identify`); headers add where, and never contradict. Handlers then have their
 * `RequestContext`, and what becomes of each request is recorded: by the action of its endpoint, or as `http.request`.
 * A request that cannot be recorded is refused with 503 (507 where there is no room).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest, ParsedSearchParams } from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { AuditError, SinkUnavailable } from "../AuditError.ts"
import { AuditLogger } from "../AuditLogger.ts"
import { networkOf } from "../internal/address.ts"
import * as RequestContext from "../RequestContext.ts"
import { Transactions } from "../Transactions.ts"
import type { Principal } from "./context.ts"
import type { Action, Exchange, Target } from "./exchange.ts"
import { ofAuditError } from "./problem.ts"
import { acted, answering, isWanted, plain, type Requests, streamed } from "./recording.ts"
import { Refusals } from "./refusals.ts"
import {
  addressOf,
  contextFor,
  countRefusals,
  draftOf,
  headerProblem,
  identifyFailed,
  identifyLeft,
  mark,
  noPrincipal,
  type Refusal,
  refuse,
  refusing,
  within
} from "./refusing.ts"

export type { Principal } from "./context.ts"
export type { Action, Exchange } from "./exchange.ts"
export type { Requests } from "./recording.ts"

/** The request is nobody's: no token, or one that is not known. Answered with 401. */
export class Unauthenticated
  extends Schema.TaggedError<Unauthenticated>("effect-audit/http/Unauthenticated")("Unauthenticated", {
    /** For the caller; nothing of what it sent. */
    detail: Schema.String,
    /** The scheme of `WWW-Authenticate`; `Bearer` unless given. */
    scheme: Schema.optional(Schema.String)
  }, { httpApiStatus: 401 })
{
  override get message(): string {
    return this.detail
  }
}

/** How a server audits its requests. */
export interface Options<R = never> {
  /** Finds out who a request is: by its token, session, certificate. */
  readonly identify: (
    request: HttpServerRequest
  ) => Effect.Effect<Principal, Unauthenticated, R>
  /** Where the refusals of requests go that are nobody's. */
  readonly anonymous: { readonly tenantId: string; readonly env: string }
  /** What endpoints record, by `group.endpoint` (`actions` checks the names), or by route, `POST /orders`. */
  readonly actions?: { readonly [endpoint: string]: Action | undefined } | undefined
  /**
   * Which other requests leave a `http.request`: `refused` (400, 401, 403, defects, clients that went away) unless
   * given, `all`, or by name.
   */
  readonly requests?: "refused" | "all" | Requests | undefined
  /** Networks of proxies whose `X-Forwarded-For` counts: `10.0.0.0/8`. None unless given. */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
  /** Refusals of one network that are recorded one by one within a second, the rest as one event; 10 unless given. */
  readonly refusalsPerSecond?: number | undefined
}

type Handler<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
type Asked = HttpServerRequest | HttpRouter.RouteContext | ParsedSearchParams | Scope.Scope

type Recorder = AuditLogger | Transactions | RequestContext.RequestContext
type WithoutRecorder<R> = Exclude<Exclude<Exclude<R, RequestContext.RequestContext>, AuditLogger>, Transactions>

/** An endpoint of an `HttpApi`, as its middleware gets it. */
export interface Endpoint {
  readonly endpoint: HttpApiEndpoint.Top
  readonly group: HttpApiGroup.Top
}

const targetOf = ({ method }: HttpServerRequest, route: string, endpoint?: Endpoint): Target => ({
  method,
  route,
  name: endpoint === undefined ? undefined : `${endpoint.group.identifier}.${endpoint.endpoint.identifier}`,
  endpoint: endpoint?.endpoint
})

/** An annotation of endpoints whose handlers record what they do, and what they refuse, by themselves. */
export const RecordsItself = Context.Reference<boolean>("effect-audit/http/RecordsItself", {
  defaultValue: () => false
})

/** Audits the requests of a server. */
export class HttpAudit extends Context.Service<HttpAudit, {
  /** Runs a handler in the context of its request. */
  readonly around: <E, R>(
    handler: Handler<E | AuditError, R>,
    endpoint?: Endpoint | undefined,
    /** The handler records by itself what it does and what it refuses. */
    recordsItself?: boolean | undefined
  ) => Handler<E, WithoutRecorder<R> | Asked>
  /** Refuses a request that no route is for, and records it. */
  readonly unknownRoute: Handler<never, HttpServerRequest>
}>()("effect-audit/http/HttpAudit") {}

const recordsByItself = (endpoint: Endpoint | undefined): boolean =>
  endpoint !== undefined && Context.get(endpoint.group.annotations, RecordsItself)

const refusalOf = (error: Unauthenticated): Refusal => ({
  tag: "Unauthenticated",
  status: 401,
  detail: error.detail,
  headers: { "www-authenticate": error.scheme ?? "Bearer" }
})

const networksOf = (texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<IpNetwork.IpNetwork>, AuditError> =>
  Effect.forEach(texts, (text, index) =>
    Effect.mapError(
      Effect.fromResult(IpNetwork.fromString(text)),
      () => refuse(`/trustedProxies/${index}`, "must be a network such as 10.0.0.0/8")
    ))

const isKnown = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

/** What every request of a server is handled with. */
const prepare = Effect.fnUntraced(function*<R>(options: Options<R>) {
  const services = yield* Effect.context<AuditLogger | Transactions | R>()
  const logger = Context.get(services, AuditLogger)
  const clock = yield* Clock.Clock
  const anonymous = { ...options.anonymous, actor: RequestContext.anonymous }
  yield* Effect.mapError(
    RequestContext.decode({ ...anonymous, requestId: "start" }),
    () => refuse("/anonymous", "must be a tenant id and an env")
  )
  const networks = yield* networksOf(options.trustedProxies ?? [])
  const refusals = new Refusals(options.refusalsPerSecond ?? 10)
  yield* countRefusals(refusals, logger, anonymous)

  const actionOf = (target: Target): Action | undefined =>
    options.actions?.[target.name ?? ""] ?? options.actions?.[`${target.method} ${target.route}`]
  /** Who a request is. One that is known at once needs no services, which would be copied for each request. */
  const identify = (request: HttpServerRequest): Effect.Effect<Principal, Unauthenticated> => {
    const identity = Result.try(() => options.identify(request))
    if (identity._tag === "Failure") return Effect.die(identity.failure)
    if (!Effect.isEffect(identity.success)) return Effect.die(new TypeError("identify gave no effect"))
    return isKnown(identity.success) ? identity.success : Effect.provide(identity.success, services)
  }
  /** Refuses a request that is nobody's; a flood of them is counted. */
  const refuseAnonymous = (request: HttpServerRequest, target: Target, refusal: Refusal) =>
    Effect.suspend(() => {
      const address = addressOf(request)
      const network = address === undefined ? "unknown" : networkOf(address)
      const isRecorded = refusals.admits(network, address, refusal.status, clock.currentTimeMillisUnsafe())
      const draft = isRecorded ? draftOf(target, actionOf(target)?.action ?? "http.request", refusal) : undefined
      return refusing(logger, anonymous, request, draft, refusal)
    })
  return {
    logger,
    transactions: Context.get(services, Transactions),
    forwarded: networks.length === 0
      ? <E, R>(handler: Handler<E, R>) => handler
      : HttpMiddleware.xForwardedHeaders({ trustedProxies: networks }),
    requests: options.requests ?? "refused",
    actionOf,
    refuseAnonymous,
    /** Finds out who a request is; one that fails at that, or leaves meanwhile, leaves an event. */
    identified: (request: HttpServerRequest, target: Target) => {
      const identity = identify(request)
      if (isKnown(identity) && Exit.isSuccess(identity)) return identity
      return Effect.onExit(identity, (exit): Effect.Effect<unknown, AuditError, HttpServerRequest> => {
        if (Exit.isSuccess(exit) || exit.cause.reasons.some((reason) => reason._tag === "Fail")) return Effect.void
        const isDefect = exit.cause.reasons.some((reason) => reason._tag === "Die")
        return refuseAnonymous(request, target, isDefect ? identifyFailed : identifyLeft)
      })
    }
  }
})

/** A request whose principal is known. */
interface Identified {
  readonly principal: Principal
  readonly request: HttpServerRequest
  readonly target: Target
  readonly recordsItself: boolean
}

type Prepared = Effect.Success<ReturnType<typeof prepare>>

/** Handles a request as its principal's, and records it. */
const handled = <E, R1>(
  { actionOf, logger, refuseAnonymous, requests, transactions }: Prepared,
  handler: Handler<E | AuditError, R1>,
  { principal, recordsItself, request, target }: Identified
): Handler<E, WithoutRecorder<R1> | Asked> =>
  Effect.withFiber<HttpServerResponse.HttpServerResponse, E, WithoutRecorder<R1> | Asked>((fiber) => {
    const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    const action = actionOf(target)
    const found = contextFor(principal, request, request.headers, span)
    if (found._tag === "Failure") {
      if (found.failure instanceof AuditError) {
        return answering<never, HttpServerRequest>(refuseAnonymous(request, target, noPrincipal))
      }
      const refusal = headerProblem(found.failure)
      const draft = draftOf(target, action?.action ?? "http.request", refusal)
      return answering<never, HttpServerRequest>(refusing(logger, principal, request, draft, refusal))
    }
    mark(fiber.context, found.success)
    const wanted = recordsItself ? "broken" : requests
    const recorded = action === undefined
      ? plain(handler, target, wanted)
      : acted(handler, action, {
        logger,
        request,
        target,
        params: Context.getUnsafe(fiber.context, HttpRouter.RouteContext).params,
        query: Context.getUnsafe(fiber.context, ParsedSearchParams)
      })
    const isWatched = action !== undefined || isWanted(wanted, target, 500)
    const answered = answering<E, R1 | Recorder | Asked>(recorded)
    return within(
      isWatched
        ? Effect.flatMap(answered, (answer) => streamed(answer, target, action?.action ?? "http.request"))
        : answered,
      found.success
    ).pipe(Effect.provideService(AuditLogger, logger), Effect.provideService(Transactions, transactions))
  })

const noRoute: Refusal = { tag: "RouteNotFound", status: 404, detail: "There is nothing here." }

const make = Effect.fnUntraced(function*<R>(
  options: Options<R>
): Effect.fn.Return<HttpAudit["Service"], AuditError, AuditLogger | Transactions | R | Scope.Scope> {
  const prepared = yield* prepare(options)
  const { forwarded, identified, refuseAnonymous } = prepared

  const around = <E, R1>(
    handler: Handler<E | AuditError, R1>,
    endpoint: Endpoint | undefined,
    recordsItself: boolean
  ): Handler<E, WithoutRecorder<R1> | Asked> =>
    Effect.withFiber<HttpServerResponse.HttpServerResponse, E, WithoutRecorder<R1> | Asked>((fiber) => {
      const request = Context.getUnsafe(fiber.context, HttpServerRequest)
      const target = targetOf(request, Context.getUnsafe(fiber.context, HttpRouter.RouteContext).route.path, endpoint)
      const identity = identified(request, target)
      if (isKnown(identity) && Exit.isSuccess(identity)) {
        return handled(prepared, handler, { principal: identity.value, request, target, recordsItself })
      }
      return answering<E, WithoutRecorder<R1> | Asked>(Effect.matchEffect(identity, {
        onFailure: (error) =>
          error instanceof AuditError ? Effect.fail(error) : refuseAnonymous(request, target, refusalOf(error)),
        onSuccess: (principal) => handled(prepared, handler, { principal, request, target, recordsItself })
      }))
    })

  return HttpAudit.of({
    around: <E, R1>(
      handler: Handler<E | AuditError, R1>,
      endpoint?: Endpoint | undefined,
      recordsItself = recordsByItself(endpoint)
    ) => forwarded(around(handler, endpoint, recordsItself)),
    unknownRoute: forwarded(Effect.flatMap(
      HttpServerRequest,
      (request) => answering<never, HttpServerRequest>(refuseAnonymous(request, targetOf(request, "*"), noRoute))
    ))
  })
})

/** JSON as it is sent: what a schema is encoded to. */
type Sent<S> = S extends Schema.toCodecJson<infer A> ? A["Encoded"] : undefined
type Names<S> = S extends { readonly Type: infer A } ? keyof A : never
type ExchangeOf<E> = Exchange<
  { readonly [Name in Names<HttpApiEndpoint.Params<E>>]: string },
  { readonly [Name in Names<HttpApiEndpoint.Query<E>>]?: string | ReadonlyArray<string> },
  Sent<HttpApiEndpoint.Payload<E>>,
  Sent<HttpApiEndpoint.Success<E>>
>
type Named<Group> = Group extends HttpApiGroup.HttpApiGroup<infer Id, infer Endpoints, infer _TopLevel>
  ? Endpoints extends { readonly identifier: infer Name extends string }
    ? { readonly name: `${Id}.${Name}`; readonly endpoint: Endpoints }
  : never
  : never
/** What the endpoints of an API record, by its groups. */
export type Actions<Groups> = {
  readonly [N in Named<Groups> as N["name"]]?: Action<ExchangeOf<N["endpoint"]>>
}

/** The actions of an API's endpoints: their names, and what they pick from requests and results, are checked. */
export const actions = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  _api: HttpApi.HttpApi<Id, Groups>
) =>
(actions: Actions<Groups>): { readonly [endpoint: string]: Action | undefined } => actions

/** Audits requests; what the application's `identify` needs is needed here. */
export const layer = <R = never>(
  options: Options<R>
): Layer.Layer<HttpAudit, AuditError, AuditLogger | Transactions | R> => Layer.effect(HttpAudit, make(options))

/** An `AuditError` as a caller sees it: a problem document, of which it reads that the log was not available. */
const AuditProblem = Schema.Struct({ status: Schema.Int, detail: Schema.String }).pipe(
  Schema.decodeTo(Schema.toType(AuditError), {
    decode: SchemaGetter.transform(({ detail }) =>
      new AuditError({ method: "http", reason: new SinkUnavailable({ detail }) })
    ),
    encode: SchemaGetter.transform((error) => {
      const { detail, status } = ofAuditError(error)
      return { status, detail }
    })
  })
).annotate({ httpApiStatus: 503 })

/**
 * For an `HttpApi`: `group.middleware(Middleware)`, served with `layer`. A handler that records events does not compile
 * without it.
 */
export class Middleware extends HttpApiMiddleware.Service<Middleware, { provides: RequestContext.RequestContext }>()(
  "effect-audit/http/Middleware",
  { error: AuditProblem }
) {}

export const layerMiddleware: Layer.Layer<Middleware, never, HttpAudit> = Layer.effect(
  Middleware,
  Effect.map(HttpAudit, (audit) => Middleware.of((handler, endpoint) => audit.around(handler, endpoint)))
)

/** For routes of an `HttpRouter`: `routes.pipe(Layer.provide(router.layer))`. */
export const router = HttpRouter.middleware<{ provides: RequestContext.RequestContext; handles: AuditError }>()(
  Effect.map(HttpAudit, (audit) => (handler) => audit.around(handler))
)

/** Whether the escapes of a path, which ends at a `;`, can be read (RFC 3986, section 2.1); else no route is for it. */
const isReadable = (url: string): boolean => {
  if (!url.includes("%")) return true
  try {
    return decodeURI(url.split(/[?#;]/, 1)[0] ?? "") !== undefined
  } catch {
    return false
  }
}

/** Refuses what no route is for with 404, and records it. */
export const unknownRoutes: Layer.Layer<never, never, HttpRouter.HttpRouter | HttpAudit> = HttpRouter.use((routes) =>
  Effect.flatMap(HttpAudit, ({ unknownRoute }) =>
    Effect.andThen(
      routes.add("*", "*", unknownRoute),
      routes.addGlobalMiddleware((handler) =>
        Effect.flatMap(HttpServerRequest, ({ url }) => isReadable(url) ? handler : unknownRoute)
      )
    ))
)
