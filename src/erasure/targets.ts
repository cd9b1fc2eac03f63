/** The events that a selection means, and how many of them are held. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditError, type AuditReason, NotFound, Protected } from "../AuditError.ts"
import { subjectsOf } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import type { Hold, Log, LogReader, RowRef, StoredEvent } from "../ledger/LogStore.ts"
import type { Selected } from "./Selection.ts"

/** Records that stay: what was erased, and which log it is. */
const stays = new Set<unknown>(["audit.erased", "audit.log_created", "audit.log_resumed"])

const refuse = (method: string, reason: AuditReason) => new AuditError({ method, reason })

const isHeld = (holds: ReadonlyArray<Hold>, event: StoredEvent): boolean => {
  const eventId = uuidText(event.eventId)
  const recordedAt = event.recordedAtMillis ?? 0
  const persons = event.body === undefined ? new Set() : subjectsOf(event.body).persons
  return holds.some((hold) =>
    (hold.eventId === undefined || hold.eventId === eventId) &&
    (hold.person === undefined || persons.has(hold.person)) &&
    recordedAt >= (hold.sinceMillis ?? -Infinity) && recordedAt < (hold.beforeMillis ?? Infinity)
  )
}

/** What a call erases, and how many of it are held. */
export class Targets {
  readonly rows: Array<RowRef> = []
  held = 0
  /** Whether one of the events names a person who asks. */
  namesActor = false
  private readonly holds: ReadonlyArray<Hold>
  private readonly actors: ReadonlyArray<string>
  constructor(holds: ReadonlyArray<Hold>, actors: ReadonlyArray<string>) {
    this.holds = holds
    this.actors = actors
  }
  take(event: StoredEvent): void {
    if (this.actors.length > 0 && event.body !== undefined) {
      const { persons } = subjectsOf(event.body)
      if (this.actors.some((actor) => persons.has(actor))) this.namesActor = true
    }
    if (this.holds.length > 0 && isHeld(this.holds, event)) this.held++
    this.rows.push({ row: event.row, position: event.position })
  }
}

const findEach = Effect.fnUntraced(function*(
  writer: LogReader,
  log: Log,
  eventIds: Extract<Selected, { readonly _tag: "Events" }>["eventIds"],
  targets: Targets
): Effect.fn.Return<void, AuditError> {
  const method = "Erasure.erase"
  for (const eventId of new Set(eventIds)) {
    // One at a time: their content may be large.
    const [event] = yield* writer.find(log, [eventId])
    if (event === undefined) {
      return yield* refuse(method, new NotFound({ detail: `there is no event ${eventId} in this log` }))
    }
    if (event.body === undefined) continue
    if (stays.has(subjectsOf(event.body).action)) {
      return yield* refuse(
        method,
        new Protected({ detail: `event ${eventId} is a record of the log itself and stays` })
      )
    }
    targets.take(event)
  }
})

const scanFor = (writer: LogReader, log: Log, selected: Exclude<Selected, { readonly _tag: "Events" }>, to: Targets) =>
  Stream.runForEach(
    writer.events(
      log,
      selected._tag === "Person" ? { person: selected.person } : { ...selected }
    ),
    (events) =>
      Effect.sync(() => {
        for (const event of events) {
          if (event.body === undefined) continue
          const { action, persons } = subjectsOf(event.body)
          if (stays.has(action)) continue
          const isOfPerson = selected._tag === "Time" || persons.has(selected.person)
          const isBefore = selected._tag === "Person" || (event.recordedAtMillis ?? Infinity) < selected.beforeMillis
          if (isOfPerson && isBefore) to.take(event)
        }
      })
  )

/** The events of a selection that are not erased yet. */
export const targetsOf = Effect.fnUntraced(function*(
  reader: LogReader,
  log: Log,
  selected: Selected,
  actors: ReadonlyArray<string>
): Effect.fn.Return<Targets, AuditError> {
  const targets = new Targets(yield* reader.holds(log), actors)
  yield* selected._tag === "Events"
    ? findEach(reader, log, selected.eventIds, targets)
    : scanFor(reader, log, selected, targets)
  return targets
})
