/** Runs a handler, and records what became of the request: by its endpoint's action, or as one event per request. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpServerError from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { type HttpServerResponse, setBody } from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import { AuditError } from "../AuditError.ts"
import * as AuditLogger from "../AuditLogger.ts"
import type { Resource } from "../DatasetEvent.ts"
import { telling } from "../internal/telling.ts"
import { leftOf, recorderOf, watch } from "../internal/watching.ts"
import type { RequestContext } from "../RequestContext.ts"
import type { Transactions } from "../Transactions.ts"
import { type Action, type Exchange, isRead, payloadOf, resultOf, statusOf, type Target } from "./exchange.ts"
import { ofAuditError, response } from "./problem.ts"

/** A handler that answered with a status of 400 or more: no success, although it did not fail. */
class Answered {
  readonly _tag: string
  readonly response: HttpServerResponse
  constructor(response: HttpServerResponse) {
    this._tag = `Http${response.status}`
    this.response = response
  }
}

/** What HTTP knows of a request; the template of its route, never the path that was asked for. */
export const httpOf = ({ method, route }: Target, status?: number) => ({
  http: { method, route, ...(status === undefined ? {} : { status }) }
})

const isDenial = (status: number) => status === 401 || status === 403

/** Which requests leave an event where their endpoint has no action. */
export interface Requests {
  /** Endpoints (`orders.get`), routes (`GET /orders/:id`), or what begins like them (`orders.*`, `GET /internal/*`). */
  readonly include?: ReadonlyArray<string> | undefined
  readonly exclude?: ReadonlyArray<string> | undefined
}

/** `broken`: what a handler that records by itself does not see. */
type Wanted = "refused" | "all" | "broken" | Requests

const isNamed = (patterns: ReadonlyArray<string>, { method, name, route }: Target): boolean =>
  patterns.some((pattern) =>
    [name, `${method} ${route}`].some((text) =>
      pattern.endsWith("*") ? text?.startsWith(pattern.slice(0, -1)) : text === pattern
    )
  )

/** Whether a request is recorded: `refused` are those that could not be meant, were not allowed, broke, were left. */
export const isWanted = (requests: Wanted, target: Target, status: number): boolean => {
  const isRefused = /^(?:400|405|406|413|415|422)$/.test(String(status)) ||
    (isDenial(status) && requests !== "broken") || status >= 499
  if (typeof requests === "string") return requests === "all" || isRefused
  const { exclude = [], include = ["*"] } = requests
  return !isNamed(exclude, target) && (isRefused || isNamed(include, target))
}

const auditErrorIn = <E>(cause: Cause.Cause<E>): AuditError | undefined => {
  const found = cause.reasons.find((reason) => reason._tag === "Fail" && reason.error instanceof AuditError)
  return found?._tag === "Fail" && found.error instanceof AuditError ? found.error : undefined
}

/** Whether a reason is the handler's own, and none of this module. */
const isHandlers = <E>(reason: Cause.Reason<E | AuditError | Answered>): reason is Cause.Reason<E> =>
  reason._tag !== "Fail" || !(reason.error instanceof AuditError || reason.error instanceof Answered)

/** A request that could not be recorded is refused; what a handler answered by itself is its answer. */
export const answering = <E, R>(
  effect: Effect.Effect<HttpServerResponse, E | AuditError | Answered, R>
): Effect.Effect<HttpServerResponse, E, R> =>
  Effect.catchCause(effect, (cause) => {
    const failed = auditErrorIn(cause)
    if (failed !== undefined) return Effect.succeed(response(ofAuditError(failed)))
    const answered = cause.reasons.find((reason) => reason._tag === "Fail" && reason.error instanceof Answered)
    if (answered?._tag === "Fail" && answered.error instanceof Answered) return Effect.succeed(answered.error.response)
    return Effect.failCause(Cause.fromReasons(cause.reasons.filter(isHandlers)))
  })

interface Picked {
  resource?: Resource | undefined
  subjectIds?: ReadonlyArray<string> | undefined
  input?: unknown
  idempotencyKey?: string | undefined
}

/** What an action picks from a request, and which of its functions fail, as they may for one that does not decode. */
const before = (
  action: Action,
  exchange: Exchange
): { readonly picked: Picked; readonly failed: ReadonlyArray<string> } => {
  const picked: Picked = {}
  const failed: Array<string> = []
  const pick = <Name extends keyof Picked>(name: Name, value: () => Picked[Name]): void => {
    try {
      picked[name] = value()
    } catch {
      failed.push(`/${name}`)
    }
  }
  const { idempotencyKey, input, resource, subjectIds } = action
  pick("resource", () => typeof resource === "function" ? resource(exchange) : resource)
  pick("subjectIds", () => subjectIds?.(exchange))
  pick("input", () => input?.(exchange))
  pick("idempotencyKey", () => idempotencyKey?.(exchange))
  return { picked, failed }
}

/** Reads what a request carries; a client that goes away meanwhile leaves an event. */
const arrived = (request: HttpServerRequest, target: Target, action: string) =>
  isRead(request, target)
    ? Effect.onInterrupt(
      payloadOf(request),
      () => AuditLogger.emit({ action, outcome: "failure", errorTag: "Interrupted", metadata: httpOf(target, 499) })
    )
    : Effect.undefined

/** A request that is recorded under its endpoint's action. */
interface Acted {
  readonly logger: AuditLogger.AuditLogger["Service"]
  readonly request: HttpServerRequest
  readonly target: Target
  readonly params: unknown
  readonly query: unknown
}

/** Runs a handler under its endpoint's action. */
export const acted = <E, R>(
  handler: Effect.Effect<HttpServerResponse, E, R>,
  action: Action,
  of: Acted
): Effect.Effect<
  HttpServerResponse,
  E | AuditError | Answered,
  R | AuditLogger.AuditLogger | RequestContext | Transactions
> =>
  isRead(of.request, of.target)
    ? Effect.flatMap(
      arrived(of.request, of.target, action.action),
      (payload) => performed(handler, action, payload, of)
    )
    : performed(handler, action, undefined, of)

const performed = <E, R>(
  handler: Effect.Effect<HttpServerResponse, E, R>,
  action: Action,
  payload: unknown,
  { logger, params, query, target }: Acted
) => {
  const exchange: Exchange = { params, query, payload, result: undefined }
  const { failed, picked } = before(action, exchange)
  const withResult = (answer: HttpServerResponse): Exchange => ({ ...exchange, result: resultOf(answer) })
  const { output, resource, severity, transaction } = action
  const late = typeof resource === "function" && picked.resource === undefined ? resource : undefined
  let hasFailed = failed.length > 0
  /** What a function of the action gives; one that fails hides no request. */
  const given = <A>(f: (exchange: Exchange) => A, answer: HttpServerResponse): A => {
    try {
      return f(withResult(answer))
    } catch (cause) {
      hasFailed = true
      throw cause
    }
  }
  const attempt = Effect.flatMap(handler, (answer) =>
    answer.status >= 400
      ? Effect.fail<E | Answered>(new Answered(answer))
      : Effect.succeed(answer))
  const recorder = { ...recorderOf(logger), isLenient: true }
  const options: AuditLogger.AuditedOptions<HttpServerResponse, E | Answered> = {
    action: action.action,
    severity,
    transaction,
    metadata: httpOf(target),
    ...picked,
    resource: late === undefined ? picked.resource : (answer: HttpServerResponse) => given(late, answer),
    output: output === undefined ? undefined : (answer: HttpServerResponse) => given(output, answer),
    denied: (error) => isDenial(error instanceof Answered ? error.response.status : statusOf(error, target.endpoint))
  }
  // A resource may be known of the answer only.
  const missing = failed.filter((place) => place !== "/resource")
  // Whoever sends what cannot be recorded must not thereby leave no event; what the handler records by itself is not
  // bent into something that can be recorded.
  const recorded = watch(() => recorder, attempt, options, leftOf(recorder, options, missing))
  return late === undefined && output === undefined && !hasFailed ? recorded : Effect.tap(recorded, () =>
    hasFailed
      ? telling(Effect.logError(`A function of the action ${action.action} failed: its event lacks what it picks`))
      : Effect.void)
}

/** The status that an exit is answered with; 499 where the client went away. */
const statusOfExit = <E>(
  exit: Exit.Exit<HttpServerResponse, E>,
  { endpoint }: Target
): Effect.Effect<number> => {
  if (Exit.isSuccess(exit)) return Effect.succeed(exit.value.status)
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined && endpoint !== undefined) return Effect.succeed(statusOf(failure.error, endpoint))
  if (failure === undefined && exit.cause.reasons.every((reason) => reason._tag === "Interrupt")) {
    return Effect.succeed(499)
  }
  return Effect.map(HttpServerError.causeResponse(exit.cause), ([answer]) => answer.status)
}

const tagOf = <E>(exit: Exit.Exit<HttpServerResponse, E>): { readonly errorTag?: string } => {
  if (Exit.isSuccess(exit)) return exit.value.status < 400 ? {} : { errorTag: `Http${exit.value.status}` }
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  const error: unknown = failure?.error
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    return { errorTag: error._tag }
  }
  const isDefect = exit.cause.reasons.some((reason) => reason._tag === "Die")
  return { errorTag: failure !== undefined ? "Error" : isDefect ? "Defect" : "Interrupted" }
}

/**
 * What a response streams comes after its event: where that breaks, another event says so. A client that goes away
 * meanwhile leaves none.
 */
export const streamed = (
  answer: HttpServerResponse,
  target: Target,
  action: string
): Effect.Effect<HttpServerResponse, never, AuditLogger.AuditLogger | RequestContext> => {
  const { body } = answer
  if (body._tag !== "Stream") return Effect.succeed(answer)
  return Effect.map(Effect.context<AuditLogger.AuditLogger | RequestContext>(), (context) => {
    const watched = Stream.tapCause(
      body.stream,
      (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.provideContext(
          AuditLogger.emit({
            action,
            outcome: "failure",
            ...tagOf(Exit.failCause(cause)),
            metadata: { ...httpOf(target, answer.status), response: "broken" }
          }),
          context
        )
    )
    return setBody(answer, HttpBody.stream(watched, body.contentType, body.contentLength))
  })
}

/** Runs a handler, and records the request if it is wanted. */
export const plain = <E, R>(
  handler: Effect.Effect<HttpServerResponse, E, R>,
  target: Target,
  requests: Wanted
): Effect.Effect<
  HttpServerResponse,
  E | AuditError,
  R | AuditLogger.AuditLogger | RequestContext | Transactions
> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.exit(restore(handler)),
      (exit): Effect.Effect<HttpServerResponse, E | AuditError, AuditLogger.AuditLogger | RequestContext> =>
        Effect.flatMap(statusOfExit(exit, target), (status) =>
          isWanted(requests, target, status)
            ? Effect.andThen(
              AuditLogger.emit({
                action: "http.request",
                outcome: isDenial(status) ? "denied" : status >= 400 ? "failure" : "success",
                ...tagOf(exit),
                metadata: httpOf(target, status)
              }),
              exit
            )
            : exit)
    )
  )
