/** The API of Maybes, as data: notes that may become something. */
import { Schema } from "effect"
import { HttpAudit } from "effect-audit/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

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

export const NotePayload = Schema.Struct({
  text: Schema.NonEmptyString.check(Schema.isMaxLength(10_000))
})

/** Where in the product: Maybes asks for both, and the context has them as well. */
const headers = { "x-project-id": Schema.NonEmptyString, "x-surface": Schema.NonEmptyString }
const params = { id: Schema.String }

export class Api extends HttpApi.make("maybes").add(
  HttpApiGroup.make("notes").add(
    HttpApiEndpoint.post("create", "/", {
      headers,
      payload: NotePayload,
      success: Note,
      error: StoreUnavailable
    }),
    HttpApiEndpoint.get("list", "/", { headers, success: Schema.Array(Note), error: StoreUnavailable }),
    HttpApiEndpoint.get("get", "/:id", { params, headers, success: Note, error: [NoteNotFound, StoreUnavailable] }),
    HttpApiEndpoint.put("update", "/:id", {
      params,
      headers,
      payload: NotePayload,
      success: Note,
      error: [NoteNotFound, StoreUnavailable]
    }),
    HttpApiEndpoint.delete("remove", "/:id", { params, headers, error: [NoteNotFound, StoreUnavailable] })
  ).middleware(HttpAudit.Middleware).prefix("/notes")
) {}
