/** Refusing a request: the answer, its event, and the count of a flood. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import { AuditError, InvalidInput } from "../AuditError.ts"
import type { AuditDraft, AuditLogger } from "../AuditLogger.ts"
import type { EventId } from "../DatasetEvent.ts"
import { systemEntropy } from "../internal/entropy.ts"
import { tellNow } from "../internal/telling.ts"
import { parseTraceparent, type Trace } from "../internal/traceparent.ts"
import * as RequestContext from "../RequestContext.ts"
import { contextOf, type HeaderProblem, meant, type Principal } from "./context.ts"
import type { Target } from "./exchange.ts"
import { type Problem, response } from "./problem.ts"
import { answering, httpOf } from "./recording.ts"
import type { Counted, Refusals } from "./refusals.ts"

export interface Refusal extends Problem {
  readonly tag: string
}

const { bytes } = systemEntropy()
const random = (size: number): string => Buffer.from(bytes(size)).toString("hex")
const newTrace = (): Trace => {
  const ids = random(24)
  return { traceId: ids.slice(0, 32), spanId: ids.slice(32) }
}
const newId = (): string => random(16)

/** The span of a request, where it has one. */
const markSpan = (span: Tracer.AnySpan | undefined, ids: { readonly [name: string]: string }): void => {
  if (span?._tag !== "Span") return
  tellNow(() => {
    for (const [name, id] of Object.entries(ids)) span.attribute(name, id)
  })
}

/** Ids of a request on its response and on its span. */
export const mark = (context: Context.Context<never>, { requestId, traceId }: RequestContext.Fields): void => {
  const headers = { "x-request-id": requestId, "x-trace-id": traceId }
  markSpan(Context.getOrUndefined(context, Tracer.ParentSpan), { request_id: requestId, trace_id: traceId })
  HttpEffect.appendPreResponseHandlerUnsafe(
    context,
    (_, answer) => Effect.succeed(HttpServerResponse.setHeaders(answer, headers))
  )
}

/** Runs a handler in the context of its request, with its ids on log lines and spans. */
export const within = <E, R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  fields: RequestContext.Fields
) => {
  const { CurrentLogAnnotations, TracerSpanAnnotations } = References
  const ids = { request_id: fields.requestId, trace_id: fields.traceId }
  // Added one by one: a merge would copy all services of the server for each request.
  return Effect.updateContext(effect, (context: Context.Context<R>) =>
    context.pipe(
      Context.add(CurrentLogAnnotations, { ...Context.get(context, CurrentLogAnnotations), ...ids }),
      Context.add(TracerSpanAnnotations, { ...Context.get(context, TracerSpanAnnotations), ...ids })
    )).pipe(RequestContext.provide(fields))
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

/**
 * The context of a request in which a span may be active; fails with the header that cannot be meant, or where the
 * principal cannot be one.
 */
export const contextFor = (
  principal: Principal,
  request: HttpServerRequest,
  headers: HttpServerRequest["headers"] | ReturnType<typeof meant>,
  span: Tracer.AnySpan | undefined
): Result.Result<RequestContext.Fields, HeaderProblem | AuditError> => {
  // What is no object, or throws when it is read, is no principal either.
  const read = Result.try(() => contextOf(principal, headers, { address: addressOf(request), newId }))
  if (read._tag === "Failure") return Result.fail(notPrincipal())
  const fields = read.success
  if (fields._tag === "Failure") return Result.fail(fields.failure)
  const { spanId, traceId } = parseTraceparent(headers["traceparent"]) ?? span ?? newTrace()
  return Result.mapError(RequestContext.decodeResult({ ...fields.success, traceId, spanId }), notPrincipal)
}

/** As above, of the headers that can be meant. */
const contextAnyway = (principal: Principal, request: HttpServerRequest, span: Tracer.AnySpan | undefined) =>
  Result.mapError(contextFor(principal, request, meant(request.headers, principal), span), notPrincipal)

/** Refuses a request as its principal's: recorded, or counted where there are too many. */
export const refusing = (
  logger: AuditLogger["Service"],
  principal: Principal,
  request: HttpServerRequest,
  draft: AuditDraft | undefined,
  refusal: Refusal
) =>
  Effect.withFiber<HttpServerResponse.HttpServerResponse, AuditError>((fiber) => {
    const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    const context = contextAnyway(principal, request, span)
    if (context._tag === "Failure") return Effect.fail(context.failure)
    mark(fiber.context, context.success)
    const answer = Effect.succeed(response(refusal))
    const recorded = draft === undefined ? answer : Effect.andThen(logger.emit(draft), answer)
    return within(answering<never, RequestContext.RequestContext>(recorded), context.success)
  })

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
    const context = RequestContext.decodeResult({ ...anonymous, client, requestId: newId(), ...newTrace() })
    return Effect.fromResult(Result.mapError(context, notPrincipal)).pipe(
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
