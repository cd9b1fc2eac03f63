/**
 * The trail as an API: what applications mount, and whose typed client comes from the same definition.
 *
 *     HttpRouter.serve(Layer.mergeAll(routes, AuditApiLive.layer))     beside the application's own
 *     HttpApiClient.make(AuditApi.Api, { baseUrl })                    a client
 *
 * Everything is of the tenant and env of the request's principal. Each endpoint asks the application's `AuditPolicy`,
 * and each read and each refusal is an event itself: there is no switch for that.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { EventId } from "../DatasetEvent.ts"
import { Id, type RequestContext } from "../RequestContext.ts"
import * as AuditTrail from "../trail/AuditTrail.ts"
import { Format } from "../trail/Encoding.ts"
import { FilterFromStrings, Order } from "../trail/Filter.ts"
import { Middleware, RecordsItself } from "./HttpAudit.ts"

/** What someone may be allowed to do. */
export const Operation = Schema.Literals([
  "read",
  "export",
  "follow",
  "prove",
  "verify",
  "preferences",
  "preferences_of_tenant",
  "erase",
  "hold"
])
export type Operation = typeof Operation.Type

/** Who may do what: the application's. Without one the API does not compile. */
export class AuditPolicy extends Context.Service<AuditPolicy, {
  readonly allows: (operation: Operation) => Effect.Effect<boolean, never, RequestContext>
}>()("effect-audit/http/AuditPolicy") {}

/** The policy does not allow it. */
export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: "about:blank",
  title: "Forbidden",
  status: 403
}) {}
/** There is no such event or log. */
export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: "about:blank",
  title: "Not Found",
  status: 404
}) {}
/** What was asked for cannot be meant. */
export class BadRequest extends HttpApiError.Problem<BadRequest>()("BadRequest", {
  type: "about:blank",
  title: "Bad Request",
  status: 400
}) {}
/** Events are under legal hold, or stay: nothing was erased. */
export class Conflict extends HttpApiError.Problem<Conflict>()("Conflict", {
  type: "about:blank",
  title: "Conflict",
  status: 409
}) {}
/** The evidence does not hold: wake someone. */
export class Broken extends HttpApiError.Problem<Broken>()("Broken", {
  type: "about:blank",
  title: "Internal Server Error",
  status: 500
}) {}

/** Digits alone: `0x1`, `1e3` and nothing are no numbers here. */
const integer = (minimum: number, maximum: number) =>
  Schema.String.check(Schema.isPattern(/^-?(?:0|[1-9]\d{0,15})$/, { expected: "an integer" })).pipe(
    Schema.decodeTo(Schema.Finite.check(Schema.isInt(), Schema.isBetween({ minimum, maximum })), {
      decode: SchemaGetter.transform((text) => Number(text)),
      encode: SchemaGetter.transform((value) => String(value))
    })
  )
const position = integer(-1, Number.MAX_SAFE_INTEGER)

/** `limit` of a page, of all that is exported, or nothing. */
export const Search = {
  ...FilterFromStrings.fields,
  order: Schema.optional(Order),
  limit: Schema.optional(integer(1, 1000)),
  /** `next` of the page before. */
  cursor: Schema.optional(Schema.NonEmptyString),
  /** The position of the last event that is known: what follows it, oldest first. */
  after: Schema.optional(position),
  /** All that is found, up to `limit`, in a format of another system; a page of JSON unless given. */
  format: Schema.optional(Format)
}

const Ranges = Schema.Array(Schema.Tuple([Schema.Int, Schema.Int]))
const Selection = Schema.Union([
  Schema.Struct({ eventIds: Schema.NonEmptyArray(EventId) }),
  Schema.Struct({ person: Id }),
  Schema.Struct({ personBefore: Schema.Struct({ person: Id, before: Schema.String }) }),
  Schema.Struct({ before: Schema.String })
])
const Reason = Schema.NonEmptyString.check(Schema.isMaxLength(1000))
export const Preference = Schema.Struct({ userId: Schema.optional(Id), trainingAllowed: Schema.Boolean })
const KnownPreference = Schema.Struct({ userId: Schema.optional(Schema.String), trainingAllowed: Schema.Boolean })
export const Erasing = Schema.Struct({ selection: Selection, reason: Reason })
export const Holding = Schema.Struct({
  selection: Schema.optional(
    Schema.Union([...Selection.members, Schema.Struct({ since: Schema.String, before: Schema.String })])
  ),
  name: Schema.optional(Schema.NonEmptyString),
  reason: Reason
})
const Recorded = Schema.Struct({ eventId: EventId, position: Schema.optional(Schema.Int) })
const text = Schema.String.pipe(HttpApiSchema.asText())
const refusals = [Forbidden, BadRequest] as const
const event = { eventId: EventId }

/** The endpoints. */
export const group = HttpApiGroup.make("audit").add(
  HttpApiEndpoint.get("events", "/events", { query: Search, success: AuditTrail.Page, error: refusals }),
  HttpApiEndpoint.get("tail", "/events/tail", {
    query: { ...FilterFromStrings.fields, after: Schema.optional(position) },
    success: HttpApiSchema.StreamSse({ data: AuditTrail.Item }),
    error: refusals
  }),
  HttpApiEndpoint.get("event", "/events/:eventId", {
    params: event,
    success: AuditTrail.Item,
    error: [...refusals, NotFound]
  }),
  HttpApiEndpoint.get("proof", "/events/:eventId/proof", {
    params: event,
    success: text,
    error: [...refusals, NotFound, Broken]
  }),
  HttpApiEndpoint.get("checkpoint", "/checkpoint", { success: text, error: [...refusals, NotFound, Broken] }),
  HttpApiEndpoint.get("consistency", "/consistency", {
    query: { from: integer(1, Number.MAX_SAFE_INTEGER), to: Schema.optional(integer(1, Number.MAX_SAFE_INTEGER)) },
    success: Schema.Struct({ from: Schema.Int, checkpoint: Schema.String, proof: Schema.Array(Schema.String) }),
    error: [...refusals, NotFound, Broken]
  }),
  HttpApiEndpoint.post("verify", "/verify", {
    success: HttpApiSchema.StreamNdjson({ schema: Schema.Json }),
    error: refusals
  }),
  HttpApiEndpoint.get("preferences", "/preferences", { success: Schema.Array(KnownPreference), error: refusals }),
  HttpApiEndpoint.put("setPreference", "/preferences", { payload: Preference, success: Recorded, error: refusals }),
  HttpApiEndpoint.post("previewErasure", "/erasures/preview", {
    payload: Selection,
    success: Schema.Struct({ count: Schema.Int, held: Schema.Int, positions: Ranges }),
    error: [...refusals, NotFound, Conflict]
  }),
  HttpApiEndpoint.post("erase", "/erasures", {
    payload: Erasing,
    success: Schema.Struct({
      count: Schema.Int,
      positions: Ranges,
      receipts: Schema.Array(Recorded),
      scrubbed: Schema.Boolean
    }),
    error: [...refusals, NotFound, Conflict]
  }),
  HttpApiEndpoint.post("hold", "/holds", { payload: Holding, success: Recorded, error: [...refusals, NotFound] }),
  HttpApiEndpoint.post("release", "/holds/release", {
    payload: Holding,
    success: Recorded,
    error: [...refusals, NotFound]
  })
).middleware(Middleware).middleware(HttpApiMiddleware.ProblemDetails).annotate(RecordsItself, true).prefix("/audit")

/** The API, to be served with `AuditApiLive.layer`, and to make a client of. */
export class Api extends HttpApi.make("effect-audit").add(group)
  .annotate(OpenApi.Title, "Audit trail").annotate(OpenApi.Version, "1")
  // A filter that is misspelt must not read the whole log, and a person must not become a tenant.
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error" })
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error" })
{}
