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
import type { Resource, Severity } from "../DatasetEvent.ts"

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

/** The JSON that a request carries; `undefined` for none, or other content, which the handler reads or refuses. */
export const payloadOf = (request: HttpServerRequest): Effect.Effect<unknown> =>
  /^(?:GET|HEAD)$/.test(request.method) || !/json/i.test(request.headers["content-type"] ?? "")
    ? Effect.succeed(undefined)
    : Effect.match(request.text, { onFailure: () => undefined, onSuccess: jsonOf })

const decoder = new TextDecoder()

/** The JSON that is answered. */
export const resultOf = ({ body }: HttpServerResponse): unknown =>
  body._tag === "Uint8Array" && /json/i.test(body.contentType) ? jsonOf(decoder.decode(body.body)) : undefined

const statusAnnotation = SchemaAST.resolveAt<number>("httpApiStatus")

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

/** The status that an error of a handler is answered with. */
export const statusOf = (error: unknown, endpoint: HttpApiEndpoint.Top | undefined): number => {
  // A request that does not decode is the caller's, an answer that does not encode the server's.
  if (HttpApiError.HttpApiSchemaError.is(error)) return /^(?:Body|ResponseHeaders)$/.test(error.kind) ? 500 : 400
  if (HttpServerError.isHttpServerError(error)) return error.reason._tag === "RequestParseError" ? 400 : 500
  if (endpoint === undefined) return 500
  const errors = known.get(endpoint) ?? errorsOf(endpoint)
  known.set(endpoint, errors)
  return errors.find(({ is }) => is(error))?.status ?? 500
}
