/** Notes in SQLite, in the same file as the audit log. A note belongs to tenant, env, project, surface and user. */
import { Context, Effect, Layer, Schema } from "effect"
import { RequestContext } from "effect-audit"
import { SqlClient, type SqlError } from "effect/sql"
import { randomUUID } from "node:crypto"
import { Note, NoteNotFound } from "./Api.ts"
import { currentUser } from "./Identity.ts"

/** The note is someone else's. The log says so; the answer says what it says of a note that does not exist. */
export class NoteDenied extends Schema.TaggedError<NoteDenied>()("NoteDenied", {}) {}

const Row = Schema.Struct({
  id: Schema.String,
  tenant_id: Schema.String,
  env: Schema.String,
  project_id: Schema.String,
  surface: Schema.String,
  user_id: Schema.String,
  text: Schema.String,
  request_id: Schema.String,
  trace_id: Schema.String
})
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))
const toNote = (row: typeof Row.Type) =>
  new Note({
    id: row.id,
    tenantId: row.tenant_id,
    env: row.env,
    projectId: row.project_id,
    surface: row.surface,
    userId: row.user_id,
    text: row.text,
    requestId: row.request_id,
    traceId: row.trace_id
  })

type Scoped = RequestContext.RequestContext
type Failures = SqlError.SqlError | Schema.SchemaError

export class Notes extends Context.Service<Notes, {
  readonly create: (text: string) => Effect.Effect<Note, Failures, Scoped>
  readonly list: Effect.Effect<ReadonlyArray<Note>, Failures, Scoped>
  readonly get: (id: string) => Effect.Effect<Note, Failures | NoteNotFound | NoteDenied, Scoped>
  readonly update: (id: string, text: string) => Effect.Effect<Note, Failures | NoteNotFound | NoteDenied, Scoped>
  readonly remove: (id: string) => Effect.Effect<void, Failures | NoteNotFound | NoteDenied, Scoped>
}>()("maybes/Notes") {}

export const NotesLayer = Layer.effect(
  Notes,
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS note (
      id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, env TEXT NOT NULL, project_id TEXT NOT NULL, surface TEXT NOT NULL,
      user_id TEXT NOT NULL, text TEXT NOT NULL, request_id TEXT NOT NULL, trace_id TEXT NOT NULL
    ) STRICT`
    const scope = Effect.gen(function*() {
      const userId = yield* currentUser
      const { env, projectId, surface, tenantId } = yield* RequestContext.RequestContext
      return { tenantId, env, projectId: projectId ?? "", surface: surface ?? "", userId }
    })
    const get = Effect.fn("Notes.get")(function*(id: string) {
      const [row] = yield* decodeRows(yield* sql`SELECT * FROM note WHERE id = ${id}`)
      if (row === undefined) return yield* new NoteNotFound({ message: "There is no such note" })
      const note = toNote(row)
      const { env, projectId, surface, tenantId, userId } = yield* scope
      const mine = note.tenantId === tenantId && note.env === env && note.projectId === projectId &&
        note.surface === surface && note.userId === userId
      return mine ? note : yield* new NoteDenied()
    })
    return Notes.of({
      get,
      create: Effect.fn("Notes.create")(function*(text) {
        const { requestId, traceId } = yield* RequestContext.RequestContext
        const note = new Note({ id: randomUUID(), ...yield* scope, text, requestId, traceId })
        yield* sql`INSERT INTO note ${
          sql.insert({
            id: note.id,
            tenant_id: note.tenantId,
            env: note.env,
            project_id: note.projectId,
            surface: note.surface,
            user_id: note.userId,
            text: note.text,
            request_id: note.requestId,
            trace_id: note.traceId
          })
        }`
        return note
      }),
      list: Effect.gen(function*() {
        const { env, projectId, surface, tenantId, userId } = yield* scope
        const rows = yield* sql`SELECT * FROM note WHERE tenant_id = ${tenantId} AND env = ${env}
          AND project_id = ${projectId} AND surface = ${surface} AND user_id = ${userId} ORDER BY rowid`
        return (yield* decodeRows(rows)).map(toNote)
      }),
      update: Effect.fn("Notes.update")(function*(id, text) {
        const { requestId, traceId } = yield* RequestContext.RequestContext
        const note = yield* get(id)
        yield* sql`UPDATE note SET text = ${text}, request_id = ${requestId}, trace_id = ${traceId} WHERE id = ${id}`
        return new Note({ ...note, text, requestId, traceId })
      }),
      remove: Effect.fn("Notes.remove")(function*(id) {
        yield* get(id)
        yield* sql`DELETE FROM note WHERE id = ${id}`
      })
    })
  })
)
