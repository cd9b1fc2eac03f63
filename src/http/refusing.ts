/** Refusing a request: the answer, its event, and the count of a flood. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { AuditError, InvalidInput } from "../AuditError.ts"
import type { AuditDraft, AuditLogger } from "../AuditLogger.ts"
import type { EventId } from "../DatasetEvent.ts"
import { systemEntropy } from "../internal/entropy.ts"
import { tellNow } from "../internal/telling.ts"
import * as RequestContext from "../RequestContext.ts"
import { contextOf, type HeaderProblem, meant, type Principal, traceparentOf } from "./context.ts"
import type { Target } from "./exchange.ts"
import { type Problem, response } from "./problem.ts"
import { answering, httpOf } from "./recording.ts"
import type { Counted, Refusals } from "./refusals.ts"

export interface Refusal extends Problem {
  readonly tag: string
}

const { bytes } = systemEntropy()
const random = (size: number): string => Buffer.from(bytes(size)).toString("hex")
const newTrace = (): string => `00-${random(16)}-${random(8)}-01`
const newId = (): string => random(16)

/** The span of a request, where it has one. */
const markSpan = (span: Tracer.AnySpan | undefined, ids: { readonly [name: string]: string }): void => {
  if (span?._tag !== "Span") return
  tellNow(() => {
    for (const [name, id] of Object.entries(ids)) span.attribute(name, id)
  })
}

/** Ids of the request on its response, and on its span, and on the log lines and spans of its handler. */
export const marked = <E, R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  { requestId, traceId }: RequestContext.Fields
) => {
  const headers = { "x-request-id": requestId, "x-trace-id": traceId }
  const ids = { request_id: requestId, trace_id: traceId }
  return Effect.withFiber<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest>((fiber) => {
    markSpan(Context.getOrUndefined(fiber.context, Tracer.ParentSpan), ids)
    HttpEffect.appendPreResponseHandlerUnsafe(
      fiber.context,
      (_, answer) => Effect.succeed(HttpServerResponse.setHeaders(answer, headers))
    )
    const { CurrentLogAnnotations, TracerSpanAnnotations } = References
    // Added one by one: a merge would copy all services of the server for each request.
    return Effect.updateContext(effect, (context: Context.Context<R>) =>
      context.pipe(
        Context.add(CurrentLogAnnotations, { ...fiber.getRef(CurrentLogAnnotations), ...ids }),
        Context.add(TracerSpanAnnotations, { ...fiber.getRef(TracerSpanAnnotations), ...ids })
      ))
  })
}

export const addressOf = (request: HttpServerRequest): string | undefined =>
  Option.getOrUndefined(request.remoteAddress)

export const identifyFailed: Refusal = { tag: "Defect", status: 500, detail: "The request could not be identified." }
export const identifyLeft: Refusal = { tag: "Interrupted", status: 499, detail: "" }
export const noPrincipal: Refusal = {
  tag: "PrincipalInvalid",
  status: 500,
  detail: "The request could not be identified."
}

export const headerProblem = ({ detail, header, status }: HeaderProblem): Refusal => ({
  tag: status === 403 ? "HeaderContradicted" : "HeaderMalformed",
  status,
  detail,
  extensions: { header }
})

export const draftOf = (target: Target, action: string, { extensions, status, tag }: Refusal) => ({
  action,
  outcome: status === 401 || status === 403 ? "denied" as const : "failure" as const,
  errorTag: tag,
  metadata: { ...httpOf(target, status), ...extensions }
})

export const refuse = (path: string, detail: string) =>
  new AuditError({ method: "HttpAudit.layer", reason: new InvalidInput({ path, detail }) })

const notPrincipal = () => refuse("/identify", "gave a principal whose ids cannot be those of a context")

/** The context of a request; fails with the header that cannot be meant, or where the principal cannot be one. */
export const contextFor = (
  principal: Principal,
  request: HttpServerRequest,
  headers: HttpServerRequest["headers"] | ReturnType<typeof meant>
): Effect.Effect<RequestContext.Fields, HeaderProblem | AuditError> =>
  Effect.withFiber<RequestContext.Fields, HeaderProblem | AuditError>((fiber) => {
    const fields = contextOf(principal, headers, { address: addressOf(request), newId })
    if (fields._tag === "Failure") return Effect.fail(fields.failure)
    const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    const traceparent = traceparentOf(headers) ?? (span === undefined ? newTrace() : undefined)
    return Effect.mapError(RequestContext.forRequest({ ...fields.success, traceparent }), notPrincipal)
  })

/** As above, of the headers that can be meant. */
export const contextAnyway = (principal: Principal, request: HttpServerRequest) =>
  Effect.mapError(contextFor(principal, request, meant(request.headers, principal)), notPrincipal)

/** Refuses in a context: recorded, or counted where there are too many. */
export const refusing = (
  logger: AuditLogger["Service"],
  context: RequestContext.Fields,
  draft: AuditDraft | undefined,
  refusal: Refusal
) => {
  const answer = Effect.succeed(response(refusal))
  const recorded = draft === undefined ? answer : Effect.andThen(logger.emit(draft), answer)
  return RequestContext.provide(context)(marked(answering<never, RequestContext.RequestContext>(recorded), context))
}

/** What is recorded of refusals that were counted. */
const countedDraft = ({ count, since, statuses }: Counted) => ({
  action: "http.refused",
  outcome: "denied" as const,
  severity: "warning" as const,
  occurredAt: since,
  metadata: { http: { count, statuses } }
})

/** Counts that may be stored already: under the same id they are recorded once. */
interface Unknown {
  readonly counted: Counted
  readonly eventId: EventId
}

/**
 * Records each second what was counted, and at the end what is left. What cannot be recorded counts with the next; of
 * what may be recorded, the same event is tried again.
 */
export const countRefusals = (refusals: Refusals, logger: AuditLogger["Service"], anonymous: Principal) => {
  let unknown: ReadonlyArray<Unknown> = []
  const record = (counted: Counted, eventId?: EventId) => {
    const client = counted.address === undefined ? undefined : { address: counted.address }
    const context = RequestContext.forRequest({ ...anonymous, client, requestId: newId(), traceparent: newTrace() })
    return Effect.mapError(context, notPrincipal).pipe(
      Effect.flatMap((context) => RequestContext.provide(context)(logger.emit(countedDraft(counted), { eventId }))),
      Effect.catchTag("AuditError", (error) =>
        Effect.sync(() => {
          const id = error.reason._tag === "CommitUnknown" ? error.eventId ?? eventId : eventId
          if (id === undefined) refusals.putBack(counted)
          else unknown = [...unknown, { counted, eventId: id }]
        }))
    )
  }
  // Whoever ends the server does not end the recording of what was taken.
  const flush = Effect.uninterruptible(Effect.suspend(() => {
    const again = unknown
    unknown = []
    return Effect.andThen(
      Effect.forEach(again, ({ counted, eventId }) => record(counted, eventId), { discard: true }),
      Effect.forEach(refusals.take(), (counted) => record(counted), { discard: true })
    )
  }))
  return Effect.andThen(
    Effect.addFinalizer(() => flush),
    Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("1 second"), flush)))
  )
}
