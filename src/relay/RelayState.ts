/**
 * What a relay remembers: how far each log has been delivered, which events are parked, whether it is paused, and which
 * process runs it.
 *
 * A port: `SqlRelayState` keeps it in the store's database, `layerMemory` for tests in memory. Only who holds the lease
 * of a relay moves its cursors.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditError } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"

/** How far a log has been delivered. */
export interface Cursor {
  readonly log: LogName
  /** The position that is delivered next: everything before it was acknowledged by the target, or is parked. */
  readonly next: number
}

/** An event that the target refused too often; the relay went on without it. */
export interface Parked {
  readonly log: LogName
  readonly position: number
  readonly eventId: EventId
  readonly tries: number
  /** What the target said, without values of the event. */
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly atMillis: number
  /** Whether it was asked to be delivered again. */
  readonly isDue: boolean
}

/** A step of a relay: from a cursor on, to another, with what is parked in between. */
export interface Step {
  readonly relay: string
  readonly holder: string
  readonly log: LogName
  readonly from: number
  readonly to: number
  readonly parked: ReadonlyArray<Omit<Parked, "log" | "atMillis" | "isDue">>
}

/** A relay as it is now. */
export interface Status {
  readonly relay: string
  readonly isPaused: boolean
  /** The process that runs it, as long as its lease lasts. */
  readonly holder: string | undefined
  readonly cursors: ReadonlyArray<Cursor>
  readonly parked: number
  /** What failed last, and when it did, in milliseconds since 1970; nothing once a delivery has succeeded. */
  readonly failure: { readonly detail: string; readonly atMillis: number } | undefined
}

/** What lease a relay was given. */
export type Lease = "held" | "paused" | "elsewhere"

/** The state of relays. Durable on return; safe to call concurrently, in any number of processes. */
export class RelayState extends Context.Service<RelayState, {
  /**
   * Takes the lease of a relay, or renews it, for so many milliseconds; it may be held elsewhere, or the relay paused.
   * Who held it and has not renewed it in time, or since the clock was set back, does not hold it any more.
   */
  readonly lease: (relay: string, holder: string, millis: number) => Effect.Effect<Lease, AuditError>
  /** Gives the lease back. */
  readonly release: (relay: string, holder: string) => Effect.Effect<void, AuditError>
  /** Sets where a relay begins, when it runs for the first time: nothing later, nor of a log that has a cursor. */
  readonly begin: (relay: string, cursors: ReadonlyArray<Cursor>) => Effect.Effect<void, AuditError>
  readonly cursors: (relay: string) => Effect.Effect<ReadonlyArray<Cursor>, AuditError>
  /** Moves a cursor and parks events, together; `false` where the lease is lost or the cursor is elsewhere. */
  readonly advance: (step: Step) => Effect.Effect<boolean, AuditError>
  /** Tells what failed last; `undefined` once it does not any more. Only who holds the relay tells. */
  readonly fail: (relay: string, holder: string, detail: string | undefined) => Effect.Effect<void, AuditError>
  /** Stops a relay within a fifth of its lease, keeping everything, or lets it go on. */
  readonly pause: (relay: string, isPaused: boolean) => Effect.Effect<void, AuditError>
  /**
   * Has a log delivered from a position on, again or without what is before; a relay that runs sees it within a second,
   * with thousands of logs within half a minute. What is parked from there on is delivered again with it, and is not
   * parked any more.
   */
  readonly moveTo: (relay: string, log: LogName, next: number) => Effect.Effect<void, AuditError>
  /** The events that are parked, by log and position. */
  readonly parked: (relay: string) => Effect.Effect<ReadonlyArray<Parked>, AuditError>
  /**
   * Asks for parked events to be delivered again, by whoever runs the relay: one of an id, or all; how many they are.
   */
  readonly retry: (relay: string, eventId?: EventId | undefined) => Effect.Effect<number, AuditError>
  /** The first of the events that were asked for. */
  readonly due: (relay: string) => Effect.Effect<ReadonlyArray<Parked>, AuditError>
  /** A parked event was refused once more. */
  readonly repark: (relay: string, event: Parked, reason: string) => Effect.Effect<void, AuditError>
  /** Forgets a parked event: it was delivered, or is given up. */
  readonly unpark: (relay: string, event: Pick<Parked, "log" | "position">) => Effect.Effect<void, AuditError>
  /** All relays that ever ran here. */
  readonly all: Effect.Effect<ReadonlyArray<Status>, AuditError>
}>()("effect-audit/relay/RelayState") {}

/**
 * How far ahead a lease may end that is held, in milliseconds, for one that asks for so many: twenty of its own, and an
 * hour at least. One that ends later was given before the clock was set back; whoever holds it would have renewed it.
 */
export const furthest = (millis: number): number => Math.max(3_600_000, 20 * millis)

interface Kept {
  holder: string | undefined
  until: number
  isPaused: boolean
  hasBegun: boolean
  failure: Status["failure"]
  readonly cursors: Map<string, Cursor>
  readonly parked: Map<string, Parked>
}

const keyOf = ({ env, tenantId }: LogName): string => `${tenantId}/${env}`
const parkedKey = ({ log, position }: Pick<Parked, "log" | "position">): string => `${keyOf(log)}/${position}`
const byPlace = (a: Parked, b: Parked): number =>
  keyOf(a.log) < keyOf(b.log) ? -1 : keyOf(a.log) > keyOf(b.log) ? 1 : a.position - b.position

const keptOf = (relays: Map<string, Kept>, relay: string): Kept => {
  const known = relays.get(relay)
  if (known !== undefined) return known
  const made: Kept = {
    holder: undefined,
    until: 0,
    isPaused: false,
    hasBegun: false,
    failure: undefined,
    cursors: new Map(),
    parked: new Map()
  }
  relays.set(relay, made)
  return made
}

const begin = (kept: Kept, cursors: ReadonlyArray<Cursor>): void => {
  if (kept.hasBegun) return
  kept.hasBegun = true
  for (const cursor of cursors) {
    if (!kept.cursors.has(keyOf(cursor.log))) kept.cursors.set(keyOf(cursor.log), cursor)
  }
}

const move = ({ cursors, parked }: Kept, log: LogName, next: number): void => {
  cursors.set(keyOf(log), { log, next })
  for (const [key, event] of parked) {
    if (keyOf(event.log) === keyOf(log) && event.position >= next) parked.delete(key)
  }
}

/** State in memory: it dies with the process, and deliveries begin anew. */
export const layerMemory: Layer.Layer<RelayState> = Layer.sync(RelayState, () => {
  const relays = new Map<string, Kept>()
  const of = (relay: string): Kept => keptOf(relays, relay)
  const now = <A>(use: (millis: number) => A) => Effect.map(Clock.currentTimeMillis, use)
  return RelayState.of({
    lease: (relay, holder, millis) =>
      now((at): Lease => {
        const kept = of(relay)
        const isHeld = kept.until > at && kept.until <= at + furthest(millis)
        if (kept.holder !== undefined && kept.holder !== holder && isHeld) return "elsewhere"
        kept.holder = holder
        kept.until = at + millis
        return kept.isPaused ? "paused" : "held"
      }),
    release: (relay, holder) =>
      Effect.sync(() => {
        if (of(relay).holder === holder) of(relay).holder = undefined
      }),
    begin: (relay, cursors) => Effect.sync(() => begin(of(relay), cursors)),
    cursors: (relay) => Effect.sync(() => [...of(relay).cursors.values()]),
    advance: ({ from, holder, log, parked, relay, to }) =>
      now((at) => {
        const kept = of(relay)
        const known = kept.cursors.get(keyOf(log))
        if (kept.holder !== holder || kept.until <= at || (known !== undefined && known.next !== from)) return false
        for (const event of parked) {
          kept.parked.set(parkedKey({ ...event, log }), { ...event, log, atMillis: at, isDue: false })
        }
        kept.cursors.set(keyOf(log), { log, next: to })
        return true
      }),
    fail: (relay, holder, detail) =>
      now((at) => {
        if (of(relay).holder === holder) of(relay).failure = detail === undefined ? undefined : { detail, atMillis: at }
      }),
    pause: (relay, isPaused) =>
      Effect.sync(() => {
        of(relay).isPaused = isPaused
      }),
    moveTo: (relay, log, next) => Effect.sync(() => move(of(relay), log, next)),
    parked: (relay) => Effect.sync(() => [...of(relay).parked.values()].sort(byPlace)),
    unpark: (relay, event) => Effect.sync(() => void of(relay).parked.delete(parkedKey(event))),
    retry: (relay, eventId) =>
      Effect.sync(() => {
        const wanted = [...of(relay).parked.values()].filter((event) =>
          eventId === undefined || event.eventId === eventId
        )
        for (const event of wanted) of(relay).parked.set(parkedKey(event), { ...event, isDue: true })
        return wanted.length
      }),
    due: (relay) => Effect.sync(() => [...of(relay).parked.values()].filter(({ isDue }) => isDue).sort(byPlace)),
    repark: (relay, event, reason) =>
      Effect.sync(() =>
        void of(relay).parked.set(parkedKey(event), { ...event, reason, tries: event.tries + 1, isDue: false })
      ),
    all: now((at) =>
      [...relays].map(([relay, kept]): Status => ({
        relay,
        isPaused: kept.isPaused,
        holder: kept.until > at ? kept.holder : undefined,
        cursors: [...kept.cursors.values()],
        parked: kept.parked.size,
        failure: kept.failure
      }))
    )
  })
})
