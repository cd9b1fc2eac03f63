/**
 * Delivers the events of the store's logs to another system: in order within a log, at least once, with `event_id` as
 * the key.
 *
 * A relay has a durable cursor per log, which moves after the target's strongest acknowledgement. Of many processes
 * that run a relay of one name one delivers, by a lease in the store; another takes over when it dies. While the target
 * is away nothing is lost and nothing is skipped: the relay waits, longer each time, and its lag grows. An event that
 * the target refuses again and again is parked, and the log goes on without it.
 *
 * **Gotchas**
 *
 * Erasure does not reach what was delivered: the target gets the record of the erasure, with its positions.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { Entropy } from "../internal/entropy.ts"
import { telling } from "../internal/telling.ts"
import { LogStore, type Mark } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"
import { AuditTrail, type Item } from "../trail/AuditTrail.ts"
import { deliver, type Delivered, type Delivering, encoding, type RelayFormat } from "./delivering.ts"
import { type FieldPolicy, policyOf } from "./policy.ts"
import { RelayState } from "./RelayState.ts"
import type { Target, Unavailable } from "./Target.ts"

export type { RelayFormat } from "./delivering.ts"
export type { FieldPolicy } from "./policy.ts"

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
/** Events that wait, with the attribute `relay`. */
export const lag = Metric.gauge("audit_relay_lag_events", {
  description: "Events that a relay has not delivered yet"
})

const refuse = (path: string, detail: string) =>
  new AuditError({ method: "Relay.run", reason: new InvalidInput({ path, detail }) })

/** Batches of one log that are delivered before others have their turn. */
const batchesInTurn = 16

const keyOf = ({ env, tenantId }: LogName): string => `${tenantId}/${env}`

/** What a run of a relay has read and checked. */
interface Running {
  readonly options: Options
  readonly state: RelayState["Service"]
  readonly trail: AuditTrail["Service"]
  readonly holder: string
  readonly delivering: Delivering
}

/** Reads the next events of a log, in pages of the target's size; nothing where its end was delivered. */
const readPage = (
  { delivering: { target }, trail }: Running,
  log: LogName,
  next: number
): Effect.Effect<{ readonly items: ReadonlyArray<Item> }, AuditError> =>
  Effect.catchIf(
    trail.query({ ...log, after: next - 1, limit: Math.min(1000, Math.max(1, target.maxEvents)) }),
    (error) => error.reason._tag === "InvalidCursor",
    () => Effect.succeed({ items: [] })
  )

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
  for (let turn = 0; turn < batchesInTurn && page.items.length > 0; turn++) {
    const { items } = page
    const [result, isHeld, following] = yield* Effect.all([
      deliver(delivering, { relay: name, log, items }),
      settle,
      readPage(running, log, next + items.length)
    ], { concurrency: "unbounded" })
    if (!isHeld) return "lost"
    settle = advance(running, log, next, result, moved)
    if (result.failure !== undefined) {
      yield* settle
      return yield* result.failure
    }
    next += result.count
    page = following
  }
  if (!(yield* settle)) return "lost"
  return page.items.length === 0 ? "all" : "some"
})

/** The logs that are due, with their cursors: what is in the store at first, and what has grown since. */
class Due {
  readonly cursors = new Map<string, number>()
  readonly logs = new Map<string, LogName>()
  mark: Mark | undefined
}

/** Where the store asks from for what grows from now on. */
const markOf = (store: LogStore["Service"], since?: Mark | undefined): Effect.Effect<Mark, AuditError> =>
  Effect.flatMap(store.grown(since), ({ more, next }) => more ? markOf(store, next) : Effect.succeed(next))

/** Finds the logs that have grown, and where their delivery begins. */
const look = Effect.fnUntraced(function*(
  { options: { logs: isWanted = () => true, start }, trail }: Running,
  store: LogStore["Service"],
  due: Due
): Effect.fn.Return<void, AuditError> {
  if (due.mark === undefined) {
    due.mark = yield* markOf(store)
    // Stopped logs are delivered as well, to their end.
    for (const log of yield* trail.logs) {
      if (!isWanted(log)) continue
      const name = { tenantId: log.tenantId, env: log.env }
      if (!due.cursors.has(keyOf(name))) due.cursors.set(keyOf(name), start === "now" ? log.size : 0)
      due.logs.set(keyOf(name), name)
    }
    return
  }
  for (let more = true; more;) {
    const step: { readonly logs: ReadonlyArray<LogName>; readonly next: Mark; readonly more: boolean } = yield* store
      .grown(due.mark)
    for (const name of step.logs) if (isWanted(name)) due.logs.set(keyOf(name), name)
    due.mark = step.next
    more = step.more
  }
})

/**
 * One pass over all logs that are due; whether the lease was lost. A target that is away ends it; a log that cannot be
 * read does not hold up the others.
 */
const pass = Effect.fnUntraced(
  function*(running: Running, due: Due): Effect.fn.Return<boolean, AuditError | Unavailable> {
    let isLost = false
    let unreadable: AuditError | undefined
    const deliverOne = ([key, name]: readonly [string, LogName]) =>
      Effect.matchEffect(
        deliverLog(running, name, due.cursors.get(key) ?? 0, (next) => void due.cursors.set(key, next)),
        {
          onFailure: (error) => {
            if (error._tag === "Unavailable") return Effect.fail(error)
            unreadable ??= error
            return Effect.void
          },
          onSuccess: (found) =>
            Effect.sync(() => {
              if (found === "all") {
                due.logs.delete(key)
              }
              isLost ||= found === "lost"
            })
        }
      )
    yield* Effect.forEach([...due.logs], (log) => isLost ? Effect.void : deliverOne(log), {
      concurrency: running.options.concurrency ?? 4,
      discard: true
    })
    return unreadable === undefined ? isLost : yield* unreadable
  }
)

/** Delivers the parked events again that were asked for, each alone. */
const retryDue = Effect.fnUntraced(function*(
  { delivering, options: { name }, state, trail }: Running
): Effect.fn.Return<void, AuditError | Unavailable> {
  for (const event of yield* state.due(name)) {
    const item = yield* trail.get({ ...event.log, eventId: event.eventId })
    const result = yield* deliver({ ...delivering, tries: 1 }, { relay: name, log: event.log, items: [item] })
    if (result.failure !== undefined) return yield* result.failure
    const [refused] = result.parked
    if (refused !== undefined) yield* state.repark(name, event, refused.reason)
    else yield* state.unpark(name, event)
  }
})

/** How many events wait, of the logs that are due and of others. */
const measure = Effect.fnUntraced(
  function*({ options: { logs: isWanted = () => true, name }, trail }: Running, due: Due) {
    let waiting = 0
    for (const log of yield* trail.logs) {
      if (isWanted(log)) waiting += Math.max(0, log.size - (due.cursors.get(keyOf(log)) ?? 0))
    }
    yield* telling(Metric.update(Metric.withAttributes(lag, { relay: name }), waiting))
  }
)

const millisOf = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))

/** Delivers until the lease is lost, or what the target or the store says fails it. */
const holding = Effect.fnUntraced(function*(
  running: Running,
  store: LogStore["Service"],
  leaseMillis: number,
  succeeded: Effect.Effect<void, AuditError>
): Effect.fn.Return<void, AuditError | Unavailable> {
  const { holder, options: { interval = 250, name }, state } = running
  const due = new Due()
  for (const { log, next } of yield* state.cursors(name)) due.cursors.set(keyOf(log), next)
  const renewing: Effect.Effect<void, AuditError> = Effect.flatMap(
    Effect.andThen(Effect.sleep(leaseMillis / 5), state.lease(name, holder, leaseMillis)),
    (lease) => lease === "held" ? renewing : Effect.void
  )
  let measured = 0
  const delivering = Effect.gen(function*() {
    for (;;) {
      yield* look(running, store, due)
      if (yield* pass(running, due)) return
      yield* succeeded
      const now = yield* Clock.currentTimeMillis
      if (now - measured > 1000) {
        yield* retryDue(running)
        yield* measure(running, due)
        measured = now
      }
      if (due.logs.size === 0) yield* Effect.sleep(interval)
    }
  })
  // Whoever has lost the lease stops at once: another may deliver already.
  yield* Effect.raceFirst(delivering, renewing)
})

/** Checks the options, and reads what they say. */
const checked = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Delivering, AuditError> {
  const { format = "ndjson", name, policy = {}, target, tries = 5 } = options
  if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name)) {
    return yield* refuse("/name", "must be a letter, then lower-case letters, digits, - and _")
  }
  if (!Number.isInteger(tries) || tries < 1) return yield* refuse("/tries", "must be an integer from 1 on")
  const apply = policyOf(policy)
  if (apply._tag === "Failure") return yield* new AuditError({ method: "Relay.run", reason: apply.failure })
  return { target, tries, apply: apply.success, encode: encoding(format) }
})

/**
 * Runs a relay, for as long as the fiber: what fails is told and tried again. Fails only where its options cannot be
 * meant.
 */
export const run = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<never, AuditError, AuditTrail | LogStore | RelayState> {
  const delivering = yield* checked(options)
  const state = yield* RelayState
  const store = yield* LogStore
  const holder = Buffer.from((yield* Entropy).bytes(16)).toString("hex")
  const running: Running = { options, state, trail: yield* AuditTrail, holder, delivering }
  const { backoff, interval = 250, lease = "15 seconds", name } = options
  const [shortest, longest] = [millisOf(backoff?.from ?? "1 second"), millisOf(backoff?.to ?? "5 minutes")]
  const leaseMillis = millisOf(lease)
  let failed = 0
  const tell = Effect.fnUntraced(function*(error: AuditError | Unavailable) {
    failed++
    const detail = error._tag === "Unavailable" ? error.detail : error.message
    yield* telling(Metric.update(Metric.withAttributes(failures, { relay: name }), 1))
    yield* telling(Effect.logWarning(`Relay ${name} waits after failure ${failed}: ${detail}`))
    yield* Effect.catch(state.fail(name, detail), () => Effect.void)
    const jitter = 0.5 + (yield* Random.next) / 2
    const wait = Math.min(longest, shortest * 2 ** Math.min(failed - 1, 20)) * jitter
    const asked = error._tag === "Unavailable" ? error.retryAfterMillis ?? 0 : 0
    yield* Effect.sleep(Math.max(wait, Math.min(asked, longest)))
  })
  const succeeded = Effect.suspend(() => {
    if (failed === 0) return Effect.void
    failed = 0
    return state.fail(name, undefined)
  })
  const once = Effect.gen(function*() {
    const held = yield* state.lease(name, holder, leaseMillis)
    if (held === "held") yield* holding(running, store, leaseMillis, succeeded)
    else yield* Effect.sleep(held === "paused" ? 1000 : Math.max(millisOf(interval), leaseMillis / 5))
  })
  return yield* Effect.forever(Effect.catch(once, tell)).pipe(
    Effect.ensuring(Effect.catch(state.release(name, holder), () => Effect.void))
  )
})

/** Runs a relay beside the application, for as long as the layer. */
export const layer = (
  options: Options
): Layer.Layer<never, AuditError, AuditTrail | LogStore | RelayState> =>
  Layer.effectDiscard(Effect.gen(function*() {
    yield* checked(options)
    yield* Effect.forkScoped(run(options))
  }))

/** How far behind each relay is, log by log. */
export const status = Effect.gen(function*() {
  const state = yield* RelayState
  const logs = yield* (yield* AuditTrail).logs
  return (yield* state.all).map((relay) => {
    const next = new Map(relay.cursors.map((cursor) => [keyOf(cursor.log), cursor.next]))
    return {
      ...relay,
      logs: logs.map(({ env, size, tenantId }) => {
        const at = next.get(`${tenantId}/${env}`) ?? 0
        return { tenantId, env, size, next: at, lag: Math.max(0, size - at) }
      })
    }
  })
})

/** The parked events of a relay. */
export const parked = (relay: string) =>
  Stream.fromIterableEffect(Effect.flatMap(RelayState, (state) => state.parked(relay)))
