/**
 * Erasing, and legal holds: the only way content leaves a log, always with an event that says so.
 *
 * An erasure takes the content of events away and leaves their entries, so that every proof stays valid. What it did is
 * an event of the log, in the same transaction. The rules are here, over `LogStore.change`; a service of its own, so
 * that whoever only reads cannot erase.
 *
 * **Gotchas**
 *
 * Copies outside of the store (backups, exports, relays) are out of reach.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { AuditError, type AuditReason, type InvalidInput, NotFound } from "../AuditError.ts"
import { ReadDraft } from "../internal/draft.ts"
import { uuidText } from "../internal/entropy.ts"
import { type Hold, type Log, LogStore, type LogWriter } from "../ledger/LogStore.ts"
import { LoggingEngine, type Receipt } from "../LoggingEngine.ts"
import { RequestContext } from "../RequestContext.ts"
import { Erasing } from "./erasing.ts"
import { type Recording, recording } from "./recording.ts"
import {
  type Case,
  describe,
  type HoldSelection,
  holdsOf,
  type OfCase,
  read,
  readName,
  refusedTime,
  type Selection,
  unnamed
} from "./Selection.ts"
import { type Tally, tallyOf } from "./targets.ts"

export type { Case, HoldSelection, OfCase, Selection } from "./Selection.ts"

/** What an erasure did. */
export interface Erased {
  /** Events that this call erased. */
  readonly count: number
  /** Their positions, as ranges from first to last. */
  readonly positions: ReadonlyArray<readonly [first: number, last: number]>
  /** Of the events `audit.erased` that record it, one for each step; none where nothing was left to erase. */
  readonly receipts: ReadonlyArray<Receipt>
  /** Whether the bytes are gone from the medium. `false` while a reader holds them: repeat the call. */
  readonly scrubbed: boolean
}

/** How to erase. */
export interface EraseOptions {
  /** Told after each step how many events were erased so far. */
  readonly progress?: ((count: number) => void) | undefined
}

/** What an erasure would do. */
export interface Preview {
  /** Events whose content it would erase. */
  readonly count: number
  /** Their positions, as ranges from first to last. */
  readonly positions: ReadonlyArray<readonly [first: number, last: number]>
  /** How many of them are under legal hold: with any, nothing is erased. */
  readonly held: number
}

/** Erases the content of events, and keeps it from being erased. */
export class Erasure extends Context.Service<Erasure, {
  /**
   * Erases the content of events of the context's log, in steps of 2,048 events at most, each in one transaction with
   * the `audit.erased` that records it: others write between them. Events under legal hold fail the call with `Held`
   * before anything is erased. Idempotent: what fails between two steps is repeated. Never reaches another tenant, nor
   * the records of erasures (`Protected`).
   */
  readonly erase: (
    selection: Selection & { readonly reason: string },
    options?: EraseOptions | undefined
  ) => Effect.Effect<Erased, AuditError, RequestContext>
  /** What erasing a selection would do now. Changes nothing, and records nothing. */
  readonly preview: (selection: Selection) => Effect.Effect<Preview, AuditError, RequestContext>
  /**
   * Puts events of the context's log under legal hold for a case, those to come as well, and records `audit.held`. What
   * several cases hold is held until each has released it.
   */
  readonly hold: (
    selection: HoldSelection & Case & { readonly reason: string }
  ) => Effect.Effect<Receipt, AuditError, RequestContext>
  /**
   * Ends the holds of a case: those of exactly this selection, or all of it where only its name is given. Records
   * `audit.released`; `NotFound` if there are none.
   */
  readonly release: (
    selection: (HoldSelection | OfCase) & Case & { readonly reason: string }
  ) => Effect.Effect<Receipt, AuditError, RequestContext>
}>()("effect-audit/erasure/Erasure") {}

/** Erases the content of events of the context's log. */
export const erase = (
  selection: Selection & { readonly reason: string },
  options?: EraseOptions | undefined
): Effect.Effect<Erased, AuditError, Erasure | RequestContext> =>
  Effect.flatMap(Erasure, (erasure) => erasure.erase(selection, options))

/** What erasing a selection of the context's log would do now. */
export const preview = (selection: Selection): Effect.Effect<Preview, AuditError, Erasure | RequestContext> =>
  Effect.flatMap(Erasure, (erasure) => erasure.preview(selection))

/** Puts events of the context's log under legal hold. */
export const hold = (
  selection: HoldSelection & Case & { readonly reason: string }
): Effect.Effect<Receipt, AuditError, Erasure | RequestContext> =>
  Effect.flatMap(Erasure, (erasure) => erasure.hold(selection))

/** Ends the holds of a case: those of exactly this selection, or all of it. */
export const release = (
  selection: (HoldSelection | OfCase) & Case & { readonly reason: string }
): Effect.Effect<Receipt, AuditError, Erasure | RequestContext> =>
  Effect.flatMap(Erasure, (erasure) => erasure.release(selection))

const refuse = (method: string, reason: AuditReason) => new AuditError({ method, reason })

const makeErase = (store: LogStore["Service"], record: Recording) =>
  Effect.fn("Erasure.erase")(function*(
    selection: Selection & { readonly reason: string },
    { progress }: EraseOptions = {}
  ): Effect.fn.Return<Erased, AuditError, RequestContext> {
    const selected = read(selection, { ranges: false })
    if (selected._tag === "Failure") return yield* refuse("Erasure.erase", selected.failure)
    const context = yield* RequestContext
    const nowMillis = yield* Clock.currentTimeMillis
    const toCome = refusedTime(selected.success, nowMillis)
    if (toCome !== undefined) return yield* refuse("Erasure.erase", toCome)
    const { reason } = selection
    const erasing = new Erasing({ store, record, context, selected: selected.success, reason, nowMillis, progress })
    const { positions, receipts } = erasing
    const result = yield* Effect.result(erasing.run)
    if (result._tag === "Failure") {
      // The bytes of what was erased before are gone as well, as far as that can be done: the call is repeated anyway.
      if (positions.count > 0) yield* Effect.result(store.scrub)
      return yield* result.failure
    }
    return { count: positions.count, positions: positions.all(), receipts, scrubbed: yield* store.scrub }
  })

const nothing: Preview = { count: 0, positions: [], held: 0 }

const makePreview = (store: LogStore["Service"]) =>
  Effect.fn("Erasure.preview")(function*(
    selection: Selection
  ): Effect.fn.Return<Preview, AuditError, RequestContext> {
    const method = "Erasure.preview"
    const selected = read({ ...selection, reason: "preview" }, { ranges: false })
    if (selected._tag === "Failure") return yield* refuse(method, selected.failure)
    const toCome = refusedTime(selected.success, yield* Clock.currentTimeMillis)
    if (toCome !== undefined) return yield* refuse(method, toCome)
    const context = yield* RequestContext
    const shown = ({ held, positions }: Tally) => ({ count: positions.count, positions: positions.all(), held })
    // In a transaction that is open others see less, and are asked on another connection.
    if (yield* store.isJoined) {
      return yield* Effect.catchIf(
        store.change(context, (writer, log) => Effect.map(tallyOf(writer, log, selected.success, []), shown)),
        ({ method, reason }) => method === "LogStore.change" && reason._tag === "NotFound",
        () => Effect.succeed(nothing)
      )
    }
    const log = yield* store.log(context)
    return log === undefined ? nothing : shown(yield* tallyOf(store, log, selected.success, []))
  })

/** Changes the holds of a selection and records it, in one transaction. */
const changeHolds = (
  store: LogStore["Service"],
  record: Recording,
  method: string,
  action: string,
  change: (
    writer: LogWriter,
    log: Log,
    holds: ReadonlyArray<Hold> | undefined,
    name: string,
    atMillis: number
  ) => Effect.Effect<void, AuditError>
) =>
  Effect.fn(method)(function*(
    given: (HoldSelection | OfCase) & Case & { readonly reason: string }
  ): Effect.fn.Return<Receipt, AuditError, RequestContext> {
    const { name: case_, ...selection } = given
    const { reason } = selection
    const refused = Result.mapError((problem: InvalidInput) => refuse(method, problem))
    const name = yield* Effect.fromResult(refused(readName(case_)))
    // Of a case as a whole only its name is given.
    const isWhole = action === "audit.released" && case_ !== undefined && Object.keys(selection).length === 1
    const what = isWhole ? undefined : yield* Effect.fromResult(refused(read(selection, { ranges: true })))
    const context = yield* RequestContext
    const now = yield* Clock.currentTimeMillis
    const draft = {
      action,
      ...(what?._tag === "Person" || what?._tag === "PersonBefore" ? { subjectIds: [what.person] } : {}),
      input: {
        ...(what === undefined ? { selection: "case" } : describe(what)),
        ...(name === unnamed ? {} : { name }),
        reason
      }
    }
    const said = what?._tag === "Events" ? { event_ids: what.eventIds } : {}
    return yield* store.change(context, (writer, log) =>
      Effect.andThen(
        change(writer, log, what === undefined ? undefined : holdsOf(name, what), name, now),
        record(method, writer, log, ReadDraft.own(draft, said))
      ))
  })

/** Builds the service over a store, and the engine that records to it. */
export const make: Effect.Effect<Erasure["Service"], never, LogStore | LoggingEngine> = Effect.gen(function*() {
  const store = yield* LogStore
  const record = recording(yield* LoggingEngine)
  return Erasure.of({
    erase: makeErase(store, record),
    preview: makePreview(store),
    hold: changeHolds(
      store,
      record,
      "Erasure.hold",
      "audit.held",
      Effect.fnUntraced(function*(writer, log, holds = [], _name, now) {
        const named = holds.flatMap(({ eventId }) => eventId === undefined ? [] : [eventId])
        const found = new Set((yield* writer.find(log, named)).map((event) => uuidText(event.eventId)))
        const lost = named.find((eventId) => !found.has(eventId))
        if (lost !== undefined) {
          return yield* refuse("Erasure.hold", new NotFound({ detail: `there is no event ${lost} in this log` }))
        }
        yield* writer.hold(log, holds, now)
      })
    ),
    release: changeHolds(
      store,
      record,
      "Erasure.release",
      "audit.released",
      Effect.fnUntraced(function*(writer, log, given, name) {
        const holds = given ?? (yield* writer.holds(log)).filter((hold) => hold.name === name)
        if ((yield* writer.release(log, holds)) > 0) return
        const what = given === undefined ? "of this name" : "of this selection"
        return yield* refuse("Erasure.release", new NotFound({ detail: `there is no hold ${what}` }))
      })
    )
  })
})

/** Erasure over a store. */
export const layer: Layer.Layer<Erasure, never, LogStore | LoggingEngine> = Layer.effect(Erasure, make)
