/** What the endpoints do. A write and its event commit in one transaction; a write that cannot be audited is not made. */
import { Effect } from "effect"
import { AuditLogger } from "effect-audit"
import { HttpApiBuilder } from "effect/http-api"
import { Api, NoteNotFound, StoreUnavailable } from "./Api.ts"
import { Notes } from "./Notes.ts"

/** What the notes' own tables could not do. What could not be audited is answered with 503 by the middleware. */
const unavailable = () => Effect.fail(new StoreUnavailable({ message: "The notes are not available. Try again." }))
const ofStore = { SqlError: unavailable, SchemaError: unavailable }
/** Someone else's note is answered like one that does not exist. */
const answers = {
  ...ofStore,
  NoteDenied: () => Effect.fail(new NoteNotFound({ message: "There is no such note" }))
}

const isDenied = (error: { readonly _tag: string }) => error._tag === "NoteDenied"

export const NotesHandlers = HttpApiBuilder.group(
  Api,
  "notes",
  Effect.fnUntraced(function*(handlers) {
    const notes = yield* Notes
    const logger = yield* AuditLogger.AuditLogger
    const audited = Effect.provideService(AuditLogger.AuditLogger, logger)

    return handlers.handleAll({
      create: Effect.fn("notes.create")(function*({ payload }) {
        const note = yield* audited(AuditLogger.audited(notes.create(payload.text), {
          action: "note.create",
          input: { text: payload.text },
          resource: (note) => ({ type: "note", id: note.id }),
          transaction: true
        })).pipe(Effect.catchTags(ofStore))
        yield* Effect.logInfo(`note created: ${note.id}`)
        return note
      }),
      // Reading one's own notes is not recorded; being refused someone else's is.
      list: () => notes.list.pipe(Effect.catchTags(ofStore)),
      get: Effect.fn("notes.get")(function*({ params }) {
        return yield* notes.get(params.id).pipe(
          Effect.catchTag("NoteDenied", (error) =>
            audited(AuditLogger.emit({
              action: "note.read",
              resource: { type: "note", id: params.id },
              outcome: "denied",
              errorTag: error._tag
            })).pipe(Effect.andThen(Effect.fail(error)))),
          Effect.catchTags(answers)
        )
      }),
      update: Effect.fn("notes.update")(function*({ params, payload }) {
        const note = yield* audited(AuditLogger.audited(notes.update(params.id, payload.text), {
          action: "note.update",
          input: { text: payload.text },
          resource: { type: "note", id: params.id },
          denied: isDenied,
          transaction: true
        })).pipe(Effect.catchTags(answers))
        yield* Effect.logInfo(`note updated: ${note.id}`)
        return note
      }),
      remove: Effect.fn("notes.remove")(function*({ params }) {
        yield* audited(AuditLogger.audited(notes.remove(params.id), {
          action: "note.delete",
          resource: { type: "note", id: params.id },
          denied: isDenied,
          transaction: true
        })).pipe(Effect.catchTags(answers))
        yield* Effect.logInfo(`note deleted: ${params.id}`)
      })
    })
  })
)
