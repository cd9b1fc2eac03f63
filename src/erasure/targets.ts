/** The events that a selection means, and how many of them are held. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditError, type AuditReason, NotFound, Protected } from "../AuditError.ts"
import { subjectsOf } from "../internal/body.ts"
import { uuidText } from "../internal/entropy.ts"
import { Ranges } from "../internal/ranges.ts"
import type { Hold, Log, LogReader, StoredEvent } from "../ledger/LogStore.ts"
import type { Selected } from "./Selection.ts"

/** Records that stay: what was erased, and which log it is. */
const stays = new Set<unknown>(["audit.erased", "audit.log_created", "audit.log_resumed"])

const refuse = (reason: AuditReason) => new AuditError({ method: "Erasure.erase", reason })

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

/** Which events are erased, and what stands against it. */
export class Tally {
  readonly positions = new Ranges()
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
    this.positions.add(event.position)
  }
}

type Named = Extract<Selected, { readonly _tag: "Events" }>

/** Events of ids, one at a time: their content may be large. */
const named = (reader: LogReader, log: Log, { eventIds }: Named) =>
  Stream.mapEffect(
    Stream.fromIterable(new Set(eventIds)),
    Effect.fnUntraced(function*(eventId): Effect.fn.Return<ReadonlyArray<StoredEvent>, AuditError> {
      const [event] = yield* reader.find(log, [eventId])
      if (event === undefined) {
        return yield* refuse(new NotFound({ detail: `there is no event ${eventId} in this log` }))
      }
      if (event.body === undefined) return []
      if (!stays.has(subjectsOf(event.body).action)) return [event]
      return yield* refuse(new Protected({ detail: `event ${eventId} is a record of the log itself and stays` }))
    })
  )

const isMeant = (selected: Exclude<Selected, Named>, { body, recordedAtMillis }: StoredEvent): boolean => {
  if (body === undefined) return false
  const { action, persons } = subjectsOf(body)
  if (stays.has(action)) return false
  return (selected._tag === "Time" || persons.has(selected.person)) &&
    (selected._tag === "Person" || (recordedAtMillis ?? Infinity) < selected.beforeMillis)
}

/** The events of a selection that are not erased yet, in steps; of a scan those from a position on. */
export const meant = (
  reader: LogReader,
  log: Log,
  selected: Selected,
  from = 0
): Stream.Stream<ReadonlyArray<StoredEvent>, AuditError> => {
  if (selected._tag === "Events") return from === 0 ? named(reader, log, selected) : Stream.empty
  const range = selected._tag === "Person" ? { person: selected.person } : selected
  return Stream.map(
    reader.events(log, { ...range, from }),
    (events) => events.filter((event) => isMeant(selected, event))
  )
}

/** What erasing a selection would do now. */
export const tallyOf = Effect.fnUntraced(function*(
  reader: LogReader,
  log: Log,
  selected: Selected,
  actors: ReadonlyArray<string>
): Effect.fn.Return<Tally, AuditError> {
  const tally = new Tally(yield* reader.holds(log), actors)
  yield* Stream.runForEach(meant(reader, log, selected), (events) =>
    Effect.sync(() => {
      for (const event of events) tally.take(event)
    }))
  return tally
})
