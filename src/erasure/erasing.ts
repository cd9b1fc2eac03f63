/**
 * Erasing in steps, each in a transaction of its own with its record: between them others write. What stands against it
 * is looked for before anything is erased.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditError, Held } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import { ReadDraft } from "../internal/draft.ts"
import { uuidText } from "../internal/entropy.ts"
import { Ranges } from "../internal/ranges.ts"
import type { Log, LogStore, LogWriter, RowRef, StoredEvent } from "../ledger/LogStore.ts"
import type { Receipt } from "../LoggingEngine.ts"
import { RequestContext, system } from "../RequestContext.ts"
import { segmentRows } from "../trail/terms.ts"
import type { Recording } from "./recording.ts"
import { describe, type Selected } from "./Selection.ts"
import { meant, Tally, tallyOf } from "./targets.ts"

/** Events that one step erases at most, and segments of a medium's index in which they lie. */
const stepEvents = 2048
const stepSegments = 16
/** Entries that may have come since a log was looked through, for the last step to look through them itself. */
const lateEntries = 4096
/** Events that are read again at once: their content may be large. */
const readAtOnce = 128
/** Between two steps, in milliseconds: another process that waits for a lock looks for it more often. */
const restMillis = 40

/** The persons who ask, if any do; retention by time is nobody's own request. */
const askedBy = ({ actor, delegation }: RequestContext["Service"], selected: Selected): ReadonlyArray<string> => {
  if (selected._tag === "Time") return []
  const person = actor.type === "human"
    ? actor.id
    : actor.type === "agent" || actor.type === "tool"
    ? actor.onBehalfOf
    : undefined
  const delegates = (delegation ?? []).flatMap(({ id, type }) => type === "human" ? [id] : [])
  return person === undefined ? delegates : [person, ...delegates]
}

/** A context that names nobody. */
const nameless = (context: RequestContext["Service"]): RequestContext["Service"] => ({
  ...context,
  actor: system,
  delegation: undefined,
  client: undefined
})

/** The events of the next step. */
class Step {
  readonly eventIds: Array<EventId> = []
  private readonly segments = new Set<number>()

  /** Takes an event; `false` where the step has no room for it. */
  take({ eventId, row }: StoredEvent): boolean {
    const segment = Math.floor((row - 1) / segmentRows)
    const isFull = this.eventIds.length === stepEvents ||
      (this.segments.size === stepSegments && !this.segments.has(segment))
    if (isFull) return false
    this.segments.add(segment)
    this.eventIds.push(EventId.make(uuidText(eventId), { disableChecks: true }))
    return true
  }
}

/** What an erasure is asked for. */
interface Asked {
  readonly store: LogStore["Service"]
  readonly record: Recording
  readonly context: RequestContext["Service"]
  readonly selected: Selected
  readonly reason: string
  readonly nowMillis: number
  readonly progress: ((count: number) => void) | undefined
}

/** What a step has erased, and its record, if there was anything. */
interface Done {
  readonly tally: Tally
  readonly receipt: Receipt | undefined
}

/** One erasure. */
export class Erasing {
  /** What was erased so far. */
  readonly positions = new Ranges()
  readonly receipts: Array<Receipt> = []
  private readonly asked: Asked
  private readonly actors: ReadonlyArray<string>
  /** Whether one of the events names a person who asks. */
  private namesActor = false

  constructor(asked: Asked) {
    this.asked = asked
    this.actors = askedBy(asked.context, asked.selected)
  }

  /** `Held` if one of the events is. */
  private checkHeld({ held, positions: { count } }: Tally): Effect.Effect<void, AuditError> {
    if (held === 0) return Effect.void
    const before = this.positions.count
    const detail = `${held} of the ${count} events are held: release them first; ` +
      (before === 0 ? "nothing was erased" : `${before} others were erased before`)
    return Effect.fail(new AuditError({ method: "Erasure.erase", reason: new Held({ detail }) }))
  }

  /** Looks for all of it first, where something may stand against it, or name whoever asks. */
  private readonly looked = Effect.fnUntraced(function*(this: Erasing, log: Log): Effect.fn.Return<void, AuditError> {
    const { selected, store } = this.asked
    const holds = yield* store.holds(log)
    if (selected._tag !== "Events" && holds.length === 0 && this.actors.length === 0) return
    const tally = yield* tallyOf(store, log, selected, this.actors)
    yield* this.checkHeld(tally)
    this.namesActor = tally.namesActor
  })

  /**
   * Erases some events, and records it. The last step takes as well what has come since the log was looked through,
   * from a position on; nothing is done where that is too much for it.
   */
  private readonly change = Effect.fnUntraced(function*(
    this: Erasing,
    writer: LogWriter,
    log: Log,
    eventIds: ReadonlyArray<EventId>,
    from: number | undefined
  ): Effect.fn.Return<Done | undefined, AuditError> {
    const { context, nowMillis, reason, record, selected } = this.asked
    if (from !== undefined && selected._tag !== "Events" && log.size - from > lateEntries) return undefined
    const tally = new Tally(yield* writer.holds(log), this.actors)
    const rows: Array<RowRef> = []
    const take = (events: ReadonlyArray<StoredEvent>) => {
      for (const event of events) {
        // Someone else may have erased it meanwhile.
        if (event.body === undefined) continue
        tally.take(event)
        rows.push({ row: event.row, position: event.position })
      }
    }
    for (let at = 0; at < eventIds.length; at += readAtOnce) {
      take(yield* writer.find(log, eventIds.slice(at, at + readAtOnce)))
    }
    if (from !== undefined) {
      yield* Stream.runForEach(meant(writer, log, selected, from), (events) => Effect.sync(() => take(events)))
    }
    yield* this.checkHeld(tally)
    if (rows.length === 0) return { tally, receipt: undefined }
    yield* writer.erase(log, rows, nowMillis)
    const said = { count: rows.length, positions: tally.positions.all().map(([first, last]) => [first, last]) }
    const draft = { action: "audit.erased", input: { ...describe(selected), reason } }
    // The record stays: where someone erased what is about themselves it must not name them.
    const by = this.namesActor || tally.namesActor ? nameless(context) : context
    const receipt = yield* Effect.provideService(
      record("Erasure.erase", writer, log, ReadDraft.own(draft, said)),
      RequestContext,
      by
    )
    return { tally, receipt }
  })

  /** One step; `false` where more has come to the log than the last step may look through. */
  private readonly step = Effect.fnUntraced(function*(
    this: Erasing,
    eventIds: ReadonlyArray<EventId>,
    from?: number
  ): Effect.fn.Return<boolean, AuditError> {
    const { context, store } = this.asked
    const done = yield* store.change(context, (writer, log) => this.change(writer, log, eventIds, from))
    if (done === undefined) return false
    for (const [first, last] of done.tally.positions.all()) this.positions.addRange(first, last)
    if (done.receipt !== undefined) this.receipts.push(done.receipt)
    this.asked.progress?.(this.positions.count)
    this.namesActor ||= done.tally.namesActor
    return true
  })

  /** Erases what lies between a position and where the log ends now, but for the last step, which is returned. */
  private readonly pass = Effect.fnUntraced(function*(
    this: Erasing,
    log: Log,
    from: number
  ): Effect.fn.Return<Step, AuditError> {
    const { selected, store } = this.asked
    let next = new Step()
    yield* Stream.runForEach(
      meant(store, log, selected, from),
      Effect.fnUntraced(function*(this: Erasing, events: ReadonlyArray<StoredEvent>) {
        for (const event of events) {
          // What came since is left to the next pass.
          if ((selected._tag !== "Events" && event.position >= log.size) || next.take(event)) continue
          yield* this.step(next.eventIds)
          yield* Effect.sleep(restMillis)
          next = new Step()
          next.take(event)
        }
      }).bind(this)
    )
    return next
  })

  /** All of it. */
  readonly run: Effect.Effect<void, AuditError> = Effect.gen({ self: this }, function*() {
    const { context, selected, store } = this.asked
    for (let from = 0, isLooked = false;; isLooked = true) {
      const log = yield* store.log(context)
      // A few events that are named take one step, which finds them. That there is no such log the medium says.
      const isOne = selected._tag === "Events" && new Set(selected.eventIds).size <= stepEvents
      if (log === undefined || isOne) return void (yield* this.step([], 0))
      if (!isLooked) yield* this.looked(log)
      const { eventIds } = yield* this.pass(log, from)
      if (yield* this.step(eventIds, log.size)) return
      yield* this.step(eventIds)
      from = log.size
    }
  })
}
