/** The passes of a relay over the logs of a store: what is due is delivered, log by log, and put off where it fails. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import type { AuditError } from "../AuditError.ts"
import { elapsed } from "../internal/elapsed.ts"
import { telling } from "../internal/telling.ts"
import type { LogStore, Mark } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"
import type { AuditTrail, Item } from "../trail/AuditTrail.ts"
import { deliver, type Delivered, type Delivering, outgoing, type RelayFormat } from "./delivering.ts"
import type { Due } from "./due.ts"
import type { FieldPolicy } from "./policy.ts"
import type { RelayState } from "./RelayState.ts"
import type { Outgoing, Target, Unavailable } from "./Target.ts"

/** What a relay delivers, and where to. */
export interface Options {
  /** Names its cursors: a letter, then lower-case letters, digits, `-` and `_`. */
  readonly name: string
  readonly target: Target
  /** How events are written; `ndjson`, the event on the wire, unless given. */
  readonly format?: RelayFormat | undefined
  /** What is left out or replaced on the way. */
  readonly policy?: FieldPolicy | undefined
  /** Which logs are delivered; all unless given. */
  readonly logs?: ((log: LogName) => boolean) | undefined
  /** Where logs without a cursor begin: at their beginning, or with what comes from now on; the first unless given. */
  readonly start?: "beginning" | "now" | undefined
  /** How often an event is delivered alone and refused before it is parked; 5 unless given. */
  readonly tries?: number | undefined
  /** Logs that are delivered at the same time; 4 unless given. */
  readonly concurrency?: number | undefined
  /** How often the store is asked for more; a quarter of a second unless given. */
  readonly interval?: Duration.Input | undefined
  /** How long another process waits before it takes over from one that died; 15 seconds unless given. */
  readonly lease?: Duration.Input | undefined
  /** The shortest and the longest time to wait after a failure; a second and five minutes unless given. */
  readonly backoff?:
    | { readonly from?: Duration.Input | undefined; readonly to?: Duration.Input | undefined }
    | undefined
}

/** Events that were delivered, with the attribute `relay`. */
export const delivered = Metric.counter("audit_relay_delivered_total", {
  description: "Events that a target has acknowledged",
  incremental: true
})
/** Deliveries that failed, with the attribute `relay`. */
export const failures = Metric.counter("audit_relay_failures_total", {
  description: "Deliveries that failed and are tried again",
  incremental: true
})
/** Events that were parked, with the attribute `relay`. */
export const parkedEvents = Metric.counter("audit_relay_parked_total", {
  description: "Events that a target refused and that were parked",
  incremental: true
})
/** Batches of one log that are delivered before others have their turn. */
const batchesInTurn = 16

export const keyOf = ({ env, tenantId }: LogName): string => `${tenantId}/${env}`

/** What a run of a relay has read and checked. */
export interface Running {
  readonly options: Options
  readonly state: RelayState["Service"]
  readonly trail: AuditTrail["Service"]
  readonly holder: string
  readonly delivering: Delivering
  /** How large the events were that were read last, on an average. */
  readonly read: { averageBytes: number }
}

/** What has been read before anything was. */
export const unread = (): Running["read"] => ({ averageBytes: largest })

/** Bytes of the events of a page, about: of each log that is delivered two pages are in memory. */
const pageBytes = 8_000_000
/** Events that are read at once at most: how large they are is not known before. */
const mostAtOnce = 256
/** How large events are taken to be before any was read: as large as they may be. */
const largest = 262_144

/** Reads events of a log behind a position; nothing where its end was delivered. */
const readSome = (trail: AuditTrail["Service"], log: LogName, after: number, limit: number) =>
  Effect.catchIf(
    Effect.map(trail.query({ ...log, after, limit }), ({ items }) => items),
    (error: AuditError) => error.reason._tag === "InvalidCursor",
    () => Effect.succeed<ReadonlyArray<Item>>([])
  )

/** Reads the next events of a log, as many as the target takes at once, or as fit into a page. */
const readPage = Effect.fnUntraced(function*(
  { delivering, read, trail }: Running,
  log: LogName,
  next: number
): Effect.fn.Return<ReadonlyArray<Outgoing>, AuditError> {
  const { maxBytes, maxEvents } = delivering.target
  const most = Math.min(1000, Math.max(1, maxEvents))
  const room = Math.min(maxBytes, pageBytes)
  const events: Array<Outgoing> = []
  let bytes = 0
  for (;;) {
    // As many as fit where they are like those before.
    const limit = Math.min(most - events.length, mostAtOnce, Math.ceil((room - bytes) / read.averageBytes))
    const found = yield* Effect.result(readSome(trail, log, next + events.length - 1, limit))
    // What was read before is delivered first; then this is met again.
    if (found._tag === "Failure") return events.length > 0 ? events : yield* found.failure
    for (const item of found.success) {
      const event = outgoing(delivering, item, log)
      events.push(event)
      bytes += event.text.length
    }
    if (events.length > 0) read.averageBytes = Math.max(1, bytes / events.length)
    if (found.success.length < limit || events.length >= most || bytes >= room) return events
  }
})

/** Tells of events that were parked. */
const tellParked = (name: string, log: LogName, parked: Delivered["parked"]) =>
  Effect.forEach(parked, ({ eventId, position, reason }) =>
    Effect.andThen(
      telling(Metric.update(Metric.withAttributes(parkedEvents, { relay: name }), 1)),
      telling(
        Effect.annotateLogs(Effect.logError(`Relay ${name} parked an event: ${reason}`), {
          event_id: eventId,
          position,
          tenant: log.tenantId,
          env: log.env
        })
      )
    ), { discard: true })

/** Moves the cursor of a log behind what was delivered; `false` where the lease is lost. */
const advance = Effect.fnUntraced(function*(
  { holder, options: { name }, state }: Running,
  log: LogName,
  from: number,
  { count, parked }: Delivered,
  moved: (next: number) => void
): Effect.fn.Return<boolean, AuditError> {
  const to = from + count
  if (count === 0) return true
  if (!(yield* state.advance({ relay: name, holder, log, from, to, parked }))) return false
  moved(to)
  yield* telling(Metric.update(Metric.withAttributes(delivered, { relay: name }), count - parked.length))
  yield* tellParked(name, log, parked)
  return true
})

/**
 * Delivers a log from its cursor on: to its end, for as long as its turn, or until the lease is lost. While a page is
 * on its way, the next one is read, and the cursor moves behind the one before.
 */
const deliverLog = Effect.fnUntraced(function*(
  running: Running,
  log: LogName,
  from: number,
  moved: (next: number) => void
): Effect.fn.Return<"all" | "some" | "lost", AuditError | Unavailable> {
  const { delivering, options: { name } } = running
  let next = from
  let settle: Effect.Effect<boolean, AuditError> = Effect.succeed(true)
  let page = yield* readPage(running, log, next)
  for (let turn = 0; turn < batchesInTurn && page.length > 0; turn++) {
    const events = page
    // None of them ends another: what is on its way is waited for.
    const [result, settled, following] = yield* Effect.all([
      deliver(delivering, { relay: name, log, events }),
      Effect.result(settle),
      Effect.result(readPage(running, log, next + events.length))
    ], { concurrency: "unbounded" })
    if (!(yield* Effect.fromResult(settled))) return "lost"
    settle = advance(running, log, next, result, moved)
    const failure = result.failure ?? (following._tag === "Failure" ? following.failure : undefined)
    if (failure !== undefined) {
      yield* settle
      return yield* failure
    }
    next += result.count
    page = yield* Effect.fromResult(following)
  }
  if (!(yield* settle)) return "lost"
  return page.length === 0 ? "all" : "some"
})

/** Where the store asks from for what grows from now on. */
const markOf = (store: LogStore["Service"], since?: Mark | undefined): Effect.Effect<Mark, AuditError> =>
  Effect.flatMap(store.grown(since), ({ more, next }) => more ? markOf(store, next) : Effect.succeed(next))

/** Finds the logs that have grown, and where their delivery begins. */
export const look = Effect.fnUntraced(function*(
  { options: { logs: isWanted = () => true, name: relay, start }, state, trail }: Running,
  store: LogStore["Service"],
  due: Due
): Effect.fn.Return<void, AuditError> {
  if (due.mark === undefined) {
    due.mark = yield* markOf(store)
    // Stopped logs are delivered as well, to their end.
    const wanted = (yield* trail.logs).filter(isWanted)
    yield* state.begin(
      relay,
      start === "now" ? wanted.map(({ env, size, tenantId }) => ({ log: { tenantId, env }, next: size })) : []
    )
    for (const { log, next } of yield* state.cursors(relay)) due.cursors.set(keyOf(log), next)
    for (const { env, tenantId } of wanted) due.logs.set(keyOf({ tenantId, env }), { tenantId, env })
    return
  }
  for (let more = true; more;) {
    const step: { readonly logs: ReadonlyArray<LogName>; readonly next: Mark; readonly more: boolean } = yield* store
      .grown(due.mark)
    for (const name of step.logs) if (isWanted(name)) due.grow(keyOf(name), name)
    due.mark = step.next
    more = step.more
  }
})

/** What became of a pass. */
export interface Passed {
  readonly isLost: boolean
  /** Whether the target took nothing of as many logs as are delivered at once, or has asked to be left alone. */
  readonly isAway: boolean
  /** How long it has asked to be left alone, in milliseconds. */
  readonly askedMillis: number
}

/** How long a target may ask to be left alone: a day, in milliseconds. */
const longestAsked = 86_400_000
/** How long a target asks to be left alone, in milliseconds. */
export const askedOf = (error: Unavailable): number => Math.min(longestAsked, error.retryAfterMillis ?? 0)

/** Logs that are delivered, several at a time. */
interface Taking {
  readonly due: Due
  readonly options: Options
  readonly deliverOne: (log: readonly [key: string, name: LogName]) => Effect.Effect<void>
  /** Finds what has become due. */
  readonly looking: Effect.Effect<void>
  /** Whether nothing is begun any more: for good, or until something is answered that is on its way. */
  readonly isOver: () => boolean
}

/**
 * Delivers the logs that are due, several at a time. Whoever has nothing to do while another is busy looks for what has
 * become due meanwhile, and waits for no log that is slow.
 */
const taking = Effect.fnUntraced(function*(
  { deliverOne, due, isOver, looking, options: { concurrency = 4, interval = 250 } }: Taking
): Effect.fn.Return<void> {
  const busy = new Set<string>()
  const pause = Duration.toMillis(Duration.fromInputUnsafe(interval))
  let ended = Latch.makeUnsafe(false)
  let lookedAt = yield* elapsed
  let ready = due.ready(lookedAt)
  let next = 0
  const worker = Effect.gen(function*() {
    for (;;) {
      const log = isOver() ? undefined : ready[next++]
      if (log !== undefined) {
        busy.add(log[0])
        yield* deliverOne(log)
        busy.delete(log[0])
        ended.openUnsafe()
        ended = Latch.makeUnsafe(false)
        continue
      }
      if (busy.size === 0) return
      yield* Effect.raceFirst(ended.await, Effect.sleep(pause))
      if (isOver()) continue
      const now = yield* elapsed
      if (now - lookedAt >= pause) {
        // One looks for all.
        lookedAt = now
        yield* looking
      }
      ready = due.ready(yield* elapsed).filter(([key]) => !busy.has(key))
      next = 0
    }
  })
  yield* Effect.all(Array.from({ length: concurrency }, () => worker), { concurrency, discard: true })
})

/** What a pass works with. */
export interface Passing {
  readonly store: LogStore["Service"]
  readonly due: Due
  /** Milliseconds until the next try of a log, after so many failures one after another. */
  readonly wait: (failed: number) => number
  readonly failed: (error: AuditError | Unavailable) => Effect.Effect<void>
  readonly succeeded: Effect.Effect<void, AuditError>
}

/**
 * One pass over all logs that are due. A log that the target does not take, that is slow, or that cannot be read, holds
 * up no other; when the target takes nothing of as many logs as are delivered at once, and nothing is on its way, the
 * pass ends.
 */
export const pass = Effect.fnUntraced(
  function*(
    running: Running,
    { due, failed, store, succeeded, wait }: Passing
  ): Effect.fn.Return<Passed> {
    const { concurrency = 4 } = running.options
    let isLost = false
    let askedMillis = 0
    /** Logs whose delivery failed since the target has taken something; the store, if it did, has no name. */
    const failing = new Set<string>()
    const fail = (error: AuditError | Unavailable, log = ""): Effect.Effect<void> => {
      failing.add(log)
      if (error._tag === "Unavailable") askedMillis = Math.max(askedMillis, askedOf(error))
      return failed(error)
    }
    const deliverOne = ([key, name]: readonly [string, LogName]) => {
      const moved = (next: number) => {
        due.cursors.set(key, next)
        failing.clear()
      }
      // What comes from now on may not be read any more.
      due.grown.delete(key)
      return Effect.matchEffect(deliverLog(running, name, due.cursors.get(key) ?? 0, moved), {
        onFailure: (error) =>
          Effect.flatMap(elapsed, (now) => {
            const asked = error._tag === "Unavailable" ? askedOf(error) : 0
            due.putOff(key, name, (failed) => Math.max(asked, wait(failed)), now)
            return fail(error, key)
          }),
        onSuccess: (found) =>
          Effect.suspend(() => {
            due.waits.delete(key)
            due.good.add(key)
            if (found === "all" && !due.grown.has(key)) due.logs.delete(key)
            isLost ||= found === "lost"
            return due.waits.size === 0 ? Effect.catch(succeeded, (error) => fail(error)) : Effect.void
          })
      })
    }
    // What cannot be looked for now is told, and looked for again.
    const looking = Effect.catch(look(running, store, due), (error) => fail(error))
    const isOver = () => isLost || failing.size >= concurrency
    yield* taking({ due, options: running.options, deliverOne, looking, isOver })
    return {
      isLost,
      askedMillis,
      isAway: failing.size >= concurrency || (failing.size > 0 && askedMillis > 0)
    }
  }
)

/** Delivers the parked events again that were asked for, each alone; what the target said, if it took one not. */
export const retryDue = Effect.fnUntraced(function*(
  { delivering, options: { name }, state, trail }: Running
): Effect.fn.Return<Unavailable | undefined, AuditError> {
  for (const event of yield* state.due(name)) {
    const found = yield* Effect.result(trail.get({ ...event.log, eventId: event.eventId }))
    if (found._tag === "Failure") {
      yield* state.repark(name, event, `it cannot be read: ${found.failure.message}`)
      continue
    }
    const events = [outgoing(delivering, found.success, event.log)]
    const result = yield* deliver({ ...delivering, tries: 1 }, { relay: name, log: event.log, events })
    if (result.failure !== undefined) return result.failure
    const [refused] = result.parked
    if (refused !== undefined) yield* state.repark(name, event, refused.reason)
    else yield* state.unpark(name, event)
  }
  return undefined
})
