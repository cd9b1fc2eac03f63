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

/** Events that one step erases at most, segments of a medium's index in which they lie, and bytes of their content. */
const stepEvents = 2048
const stepSegments = 16
const stepBytes = 8_000_000
/** Entries that may have come since a log was looked through, for the last step to look through them itself. */
const lateEntries = 1024
/** How often a log is looked through that goes on growing. */
const mostRounds = 20
/** Ranges of positions that one record names at most: about 150 kB of JSON. */
const rangesPerRecord = 8000
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
  private bytes = 0

  /** Takes an event; `false` where the step has no room for it. Each has room for one. */
  take({ body, eventId, row }: StoredEvent): boolean {
    const segment = Math.floor((row - 1) / segmentRows)
    const bytes = this.bytes + (body?.length ?? 0)
    const isFull = this.eventIds.length === stepEvents || (bytes > stepBytes && this.bytes > 0) ||
      (this.segments.size === stepSegments && !this.segments.has(segment))
    if (isFull) return false
    this.bytes = bytes
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

/** The events that are erased together. */
class Taken {
  readonly rows: Array<RowRef> = []
  readonly tally: Tally
  constructor(tally: Tally) {
    this.tally = tally
  }
  take(event: StoredEvent): void {
    this.tally.take(event)
    this.rows.push({ row: event.row, position: event.position })
  }
}

/** What a step has erased, and its records. */
interface Done {
  readonly tally: Tally
  readonly receipts: ReadonlyArray<Receipt>
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

  /** Erases rows, and records it. */
  private readonly erase = Effect.fnUntraced(function*(
    this: Erasing,
    writer: LogWriter,
    log: Log,
    { rows, tally }: Taken
  ): Effect.fn.Return<Done, AuditError> {
    const { context, nowMillis, reason, record, selected } = this.asked
    yield* this.checkHeld(tally)
    if (rows.length === 0) return { tally, receipts: [] }
    yield* writer.erase(log, rows, nowMillis)
    // The record stays: where someone erased what is about themselves it must not name them.
    const by = this.namesActor || tally.namesActor ? nameless(context) : context
    const draft = { action: "audit.erased", input: { ...describe(selected), reason } }
    const all = tally.positions.all()
    const receipts: Array<Receipt> = []
    for (let at = 0; at < all.length; at += rangesPerRecord) {
      const positions = all.slice(at, at + rangesPerRecord).map(([first, last]) => [first, last])
      const count = positions.reduce((sum, [first = 0, last = 0]) => sum + last - first + 1, 0)
      const own = ReadDraft.own(draft, { count, positions })
      receipts.push(
        yield* Effect.provideService(record("Erasure.erase", writer, log, own), RequestContext, by)
      )
    }
    return { tally, receipts }
  })

  /** Erases the events of a step, and of the last one what has come to the log since, from a position on. */
  private readonly change = Effect.fnUntraced(function*(
    this: Erasing,
    writer: LogWriter,
    log: Log,
    step: Step,
    from: number | undefined
  ): Effect.fn.Return<Done | undefined, AuditError> {
    if (from !== undefined && log.size - from > lateEntries) return undefined
    const taken = new Taken(new Tally(yield* writer.holds(log), this.actors))
    const { eventIds } = step
    for (let at = 0, end = eventIds.length; at < end; at += readAtOnce) {
      const events = yield* writer.find(log, eventIds.slice(at, Math.min(end, at + readAtOnce)))
      // Someone else may have erased it meanwhile.
      for (const event of events) if (event.body !== undefined) taken.take(event)
    }
    let isAll = true
    const late = from === undefined ? Stream.empty : meant(writer, log, this.asked.selected, from)
    yield* Stream.runForEach(late, (events) =>
      Effect.sync(() => {
        for (const event of events) {
          isAll &&= step.take(event)
          if (isAll) taken.take(event)
        }
      }))
    return isAll ? yield* this.erase(writer, log, taken) : undefined
  })

  /** All in one change: of a transaction that the caller has open the lock stays, and others know nothing. */
  private readonly whole = Effect.fnUntraced(function*(
    this: Erasing,
    writer: LogWriter,
    log: Log
  ): Effect.fn.Return<Done, AuditError> {
    const taken = new Taken(new Tally(yield* writer.holds(log), this.actors))
    yield* Stream.runForEach(meant(writer, log, this.asked.selected), (events) =>
      Effect.sync(() => {
        for (const event of events) taken.take(event)
      }))
    return yield* this.erase(writer, log, taken)
  })

  /** Changes the log; `false` where nothing was done, since it is too much for one step. */
  private readonly step = Effect.fnUntraced(function*(
    this: Erasing,
    change: (writer: LogWriter, log: Log) => Effect.Effect<Done | undefined, AuditError>
  ): Effect.fn.Return<boolean, AuditError> {
    const { context, progress, store } = this.asked
    const done = yield* store.change(context, change)
    if (done === undefined) return false
    for (const [first, last] of done.tally.positions.all()) this.positions.addRange(first, last)
    this.receipts.push(...done.receipts)
    this.namesActor ||= done.tally.namesActor
    progress?.(this.positions.count)
    return true
  })

  /** One step of events that were found, and of what came since a position, if that is given. */
  private take(step: Step, from?: number): Effect.Effect<boolean, AuditError> {
    return this.step((writer, log) => this.change(writer, log, step, from))
  }

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
          yield* this.take(next)
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
    // A few events that are named take one step. That there is no such log the medium says.
    const isOne = selected._tag === "Events" && new Set(selected.eventIds).size <= stepSegments
    const first = isOne || (yield* store.isJoined) ? undefined : yield* store.log(context)
    if (first === undefined) {
      yield* this.step((writer, log) => this.whole(writer, log))
      return
    }
    yield* this.looked(first)
    for (let log = first, from = 0, round = 1;; round++) {
      const last = yield* this.pass(log, from)
      // What is recorded without end may be what is erased.
      if (round === mostRounds) return void (yield* this.take(last))
      if (yield* this.take(last, log.size)) return
      yield* this.take(last)
      from = log.size
      log = (yield* store.log(context)) ?? log
    }
  })
}
