/** What a request was and what became of it, as the events of a server say it. */
import * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpServerError from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { AuditError } from "../AuditError.ts"
import type { Resource, Severity } from "../DatasetEvent.ts"
import { ofAuditError } from "./problem.ts"

/** A request, and the answer where there is one: as they went over the wire, decoded from JSON. */
export interface Exchange<Params = unknown, Query = unknown, Payload = unknown, Result = unknown> {
  readonly params: Params
  readonly query: Query
  readonly payload: Payload
  /** What was answered; `undefined` before, and of what did not succeed. */
  readonly result: Result | undefined
}

/** What is picked from a request: an action of an endpoint's own serves where any action does. */
type Pick<E, A> = { bivariant(exchange: E): A }["bivariant"]

/** What an endpoint's event says. Functions are asked before the handler, and again when there is a result. */
export interface Action<E extends Exchange = Exchange> {
  /** `order.create`. */
  readonly action: string
  readonly resource?: Resource | Pick<E, Resource | undefined> | undefined
  readonly subjectIds?: Pick<E, ReadonlyArray<string>> | undefined
  readonly input?: Pick<E, unknown> | undefined
  readonly output?: Pick<E, unknown> | undefined
  /** Of the success: the same key and event are recorded once. */
  readonly idempotencyKey?: Pick<E, string | undefined> | undefined
  readonly severity?: Severity | undefined
  /** The handler's changes and the event commit together, or not at all. */
  readonly transaction?: boolean | undefined
}

/** Where a request went: an endpoint by `group.endpoint`, and the template of its route. */
export interface Target {
  readonly name: string | undefined
  readonly route: string
  readonly method: string
  readonly endpoint: HttpApiEndpoint.Top | undefined
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isJson = (contentType: string): boolean => /^\s*application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType)
const isForm = (contentType: string): boolean => /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i.test(contentType)
const isText = (contentType: string): boolean => /^\s*text\/plain\s*(?:;|$)/i.test(contentType)

/** More than this of a request is not looked at where its endpoint does not say that it takes a payload. */
const mostBytes = 1_048_576

/**
 * Whether the payload of a request is read before its handler runs: the handler decodes the same text. An endpoint says
 * whether it takes one; of a route JSON and forms are read. What is streamed is left to the handler.
 */
export const isRead = ({ headers, method }: HttpServerRequest, { endpoint }: Target): boolean => {
  if (/^(?:GET|HEAD)$/.test(method)) return false
  const contentType = headers["content-type"]
  if (endpoint === undefined) {
    return contentType !== undefined && (isJson(contentType) || isForm(contentType)) &&
      Number(headers["content-length"] ?? 0) <= mostBytes
  }
  // Without a content type it is decoded as JSON.
  return endpoint.payload.size > 0 &&
    (contentType === undefined || isJson(contentType) || isForm(contentType) || isText(contentType))
}

const valueOf = (contentType: string | undefined) => (text: string): unknown =>
  contentType === undefined || isJson(contentType)
    ? jsonOf(text)
    : isForm(contentType)
    ? Object.fromEntries(new URLSearchParams(text))
    : text

/** What a request carries, where it is read; `undefined` for content that cannot be. */
export const payloadOf = (request: HttpServerRequest): Effect.Effect<unknown> =>
  Effect.match(request.text, { onFailure: () => undefined, onSuccess: valueOf(request.headers["content-type"]) })

const decoder = new TextDecoder()

/** The JSON that is answered. */
export const resultOf = ({ body }: HttpServerResponse): unknown =>
  body._tag === "Uint8Array" && /json/i.test(body.contentType) ? jsonOf(decoder.decode(body.body)) : undefined

const ofSchema = SchemaAST.resolveAt<number>("httpApiStatus")
/** The status that a schema declares, by itself or, as `HttpApiSchema.status` and `Empty` do, by its key. */
const statusAnnotation = (ast: SchemaAST.AST): number | undefined => {
  const ofKey = ast.context?.annotations?.["httpApiStatus"]
  return ofSchema(ast) ?? (typeof ofKey === "number" ? ofKey : undefined)
}

/** Of each error that an endpoint may fail with, whether a value is it, and its status. */
const errorsOf = (endpoint: HttpApiEndpoint.Top) =>
  [...endpoint.error, ...[...endpoint.middlewares].flatMap((key) => errorsOfMiddleware(key))].map((schema) => ({
    is: Schema.is(schema),
    status: statusAnnotation(schema.ast) ?? 500
  }))
const errorsOfMiddleware = (key: unknown): ReadonlyArray<Schema.Top> =>
  Predicate.hasProperty(key, "error") && key.error instanceof Set
    ? [...key.error].filter((schema): schema is Schema.Top => Schema.isSchema(schema))
    : []
const known = new WeakMap<object, ReturnType<typeof errorsOf>>()

/** The status that the class of an error declares. */
const statusOfClass = (error: unknown): number | undefined => {
  const made = typeof error === "object" && error !== null ? error.constructor : undefined
  return Schema.isSchema(made) ? statusAnnotation(made.ast) : undefined
}

/** The status that an error of a handler is answered with. */
export const statusOf = (error: unknown, endpoint: HttpApiEndpoint.Top | undefined): number => {
  // A request that does not decode is the caller's, an answer that does not encode the server's.
  if (HttpApiError.HttpApiSchemaError.is(error)) return /^(?:Body|ResponseHeaders)$/.test(error.kind) ? 500 : 400
  if (HttpServerError.isHttpServerError(error)) return error.reason._tag === "RequestParseError" ? 400 : 500
  if (HttpApiError.HttpApiPayloadTooLarge.is(error)) return 413
  if (error instanceof AuditError) return ofAuditError(error).status
  if (endpoint === undefined) return statusOfClass(error) ?? 500
  const errors = known.get(endpoint) ?? errorsOf(endpoint)
  known.set(endpoint, errors)
  return errors.find(({ is }) => is(error))?.status ?? 500
}
