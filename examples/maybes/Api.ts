/** The API of Maybes, as data: notes that may become something. */
import { Context, Schema } from "effect"
import type { RequestContext } from "effect-audit"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Identity } from "./Identity.ts"

export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", { message: Schema.String }, {
  httpApiStatus: 401
}) {}
export class ContextMissing extends Schema.TaggedError<ContextMissing>()("ContextMissing", { message: Schema.String }, {
  httpApiStatus: 400
}) {}
export class IdentityRefused
  extends Schema.TaggedError<IdentityRefused>()("IdentityRefused", { message: Schema.String }, {
    httpApiStatus: 403
  })
{}
/** There is no such note for this caller: absent and not yours look the same. */
export class NoteNotFound extends Schema.TaggedError<NoteNotFound>()("NoteNotFound", { message: Schema.String }, {
  httpApiStatus: 404
}) {}
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  message: Schema.String
}, { httpApiStatus: 503 }) {}

export class Note extends Schema.Class<Note>("Note")({
  id: Schema.String,
  tenantId: Schema.String,
  env: Schema.String,
  projectId: Schema.String,
  surface: Schema.String,
  userId: Schema.String,
  text: Schema.String,
  /** The request and trace that wrote it last, as in the audit event. */
  requestId: Schema.String,
  traceId: Schema.String
}) {}

/** The identity fields may be sent along, and must then agree with the token. */
export const NotePayload = Schema.Struct({
  text: Schema.NonEmptyString.check(Schema.isMaxLength(10_000)),
  tenantId: Schema.optionalKey(Schema.String),
  env: Schema.optionalKey(Schema.String),
  userId: Schema.optionalKey(Schema.String)
})

/** Whose request this is, by its token. */
export class CurrentIdentity extends Context.Service<CurrentIdentity, Identity>()("maybes/CurrentIdentity") {}

/** Checks token, context headers and their agreement; provides the context that every event is stamped with. */
export class Identified extends HttpApiMiddleware.Service<Identified, {
  provides: CurrentIdentity | RequestContext.RequestContext
}>()("maybes/Identified", {
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, ContextMissing, IdentityRefused, StoreUnavailable]
}) {}

const params = { id: Schema.String }

export class Api extends HttpApi.make("maybes").add(
  HttpApiGroup.make("notes").add(
    HttpApiEndpoint.post("create", "/", {
      payload: NotePayload,
      success: Note,
      error: [IdentityRefused, StoreUnavailable]
    }),
    HttpApiEndpoint.get("list", "/", { success: Schema.Array(Note), error: StoreUnavailable }),
    HttpApiEndpoint.get("get", "/:id", { params, success: Note, error: [NoteNotFound, StoreUnavailable] }),
    HttpApiEndpoint.put("update", "/:id", {
      params,
      payload: NotePayload,
      success: Note,
      error: [IdentityRefused, NoteNotFound, StoreUnavailable]
    }),
    HttpApiEndpoint.delete("remove", "/:id", { params, error: [NoteNotFound, StoreUnavailable] })
  ).middleware(Identified).prefix("/notes")
) {}
