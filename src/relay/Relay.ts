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
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { AuditError, InvalidInput, SinkUnavailable } from "../AuditError.ts"
import { elapsed } from "../internal/elapsed.ts"
import { Entropy } from "../internal/entropy.ts"
import { telling } from "../internal/telling.ts"
import { LogStore } from "../ledger/LogStore.ts"
import { AuditTrail } from "../trail/AuditTrail.ts"
import { type Delivering, encoding } from "./delivering.ts"
import { Due } from "./due.ts"
import { measure, measurePaused, unmeasured } from "./measuring.ts"
import {
  askedOf,
  failures as failureCount,
  keyOf,
  look,
  type Options,
  pass,
  retryDue,
  type Running,
  unread
} from "./passes.ts"
import { policyOf } from "./policy.ts"
import { RelayState } from "./RelayState.ts"
import type { Unavailable } from "./Target.ts"

export type { RelayFormat } from "./delivering.ts"
export type { Options } from "./passes.ts"
export type { FieldPolicy } from "./policy.ts"

export { lag } from "./measuring.ts"
export { delivered, failures, parkedEvents } from "./passes.ts"

const refuse = (path: string, detail: string) =>
  new AuditError({ method: "Relay.run", reason: new InvalidInput({ path, detail }) })

const millisOf = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))

/** What a relay waits for, and tells, when something fails. */
interface Failing {
  /** Milliseconds until the next try, after so many failures one after another. */
  readonly wait: (failed: number) => number
  readonly failed: (error: AuditError | Unavailable) => Effect.Effect<void>
  readonly succeeded: Effect.Effect<void, AuditError>
}

/**
 * How long a target that takes nothing is left alone at most, in milliseconds, by what is due: logs of which it has
 * taken something last, others that were not tried since, or those alone of which it takes nothing. Each of these waits
 * for its own longer.
 */
const longestPause = { good: 0, some: 1000, none: 5000 }

/** Delivers until the lease is lost, or the store fails. */
const holding = Effect.fnUntraced(function*(
  running: Running,
  store: LogStore["Service"],
  leaseMillis: number,
  { failed, succeeded, wait }: Failing
): Effect.fn.Return<void, AuditError> {
  const { holder, options: { interval = 250, name }, state } = running
  const pause = millisOf(interval)
  const due = new Due()
  const renew = Effect.timeoutOrElse(state.lease(name, holder, leaseMillis), {
    duration: leaseMillis / 2,
    orElse: () => Effect.succeed("elsewhere" as const)
  })
  const renewing: Effect.Effect<void, AuditError> = Effect.flatMap(
    Effect.andThen(Effect.sleep(leaseMillis / 5), renew),
    (lease) => lease === "held" ? renewing : Effect.void
  )
  let away = 0
  const retries = { failed: 0, untilMillis: 0 }
  const retry = Effect.fnUntraced(function*(now: number) {
    if (now < retries.untilMillis) return
    const refused = yield* retryDue(running)
    retries.failed = refused === undefined ? 0 : retries.failed + 1
    if (refused === undefined) return
    retries.untilMillis = now + Math.max(askedOf(refused), wait(retries.failed))
    yield* failed(refused)
  })
  /** Leaves the target alone for as long as it has asked, and else until a log is due that it may take. */
  const leaveAlone = Effect.fnUntraced(function*(askedMillis: number, millis: number) {
    const began = yield* elapsed
    for (let left = millis; left > 0;) {
      yield* Effect.sleep(Math.min(pause, left))
      // What cannot be looked for now ends no pause that the target has asked for.
      yield* Effect.catch(look(running, store, due), failed)
      left = Math.max(askedMillis, Math.min(longestPause[due.untried()], millis)) - (yield* elapsed) + began
    }
  })
  const delivering = Effect.gen(function*() {
    for (;;) {
      yield* look(running, store, due)
      const { askedMillis, isAway, isLost } = yield* pass(running, { store, due, wait, failed, succeeded })
      if (isLost) return
      if (!isAway && due.waits.size === 0) yield* succeeded
      away = isAway ? away + 1 : 0
      if (away > 0) yield* leaveAlone(askedMillis, wait(away))
      else if (due.ready(yield* elapsed).length === 0) yield* Effect.sleep(interval)
    }
  })
  // What fails here is told, and done again: it ends no delivery.
  const again = (effect: Effect.Effect<void, AuditError>, pause: (tookMillis: number) => number) =>
    Effect.forever(Effect.gen(function*() {
      const began = yield* elapsed
      if (due.mark !== undefined) yield* Effect.catch(effect, failed)
      const took = (yield* elapsed) - began
      yield* Effect.sleep(due.mark === undefined ? interval : pause(took))
    }))
  const retrying = again(Effect.flatMap(elapsed, retry), () => 1000)
  // Many logs take their time: a fiftieth of it at most.
  const measuring = again(measure(running, due), (took) => Math.min(30_000, Math.max(1000, took * 50)))
  // Whoever has lost the lease stops at once: another may deliver already.
  yield* Effect.raceAllFirst([delivering, renewing, retrying, measuring])
})

/** Checks the options, and reads what they say. */
const checked = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Delivering, AuditError> {
  const { format = "ndjson", name, policy = {}, target, tries = 5 } = options
  if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name)) {
    return yield* refuse("/name", "must be a letter, then lower-case letters, digits, - and _")
  }
  if (!Number.isInteger(tries) || tries < 1) return yield* refuse("/tries", "must be an integer from 1 on")
  for (const field of ["maxEvents", "maxBytes"] as const) {
    if (!Number.isSafeInteger(target[field]) || target[field] < 1) {
      return yield* refuse(`/target/${field}`, "must be an integer from 1 on")
    }
  }
  const { backoff = {}, concurrency = 4, interval = 250, lease = "15 seconds" } = options
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    return yield* refuse("/concurrency", "must be an integer from 1 on")
  }
  const times: ReadonlyArray<readonly [string, Duration.Input, number]> = [
    ["/interval", interval, 1],
    ["/lease", lease, 100],
    ["/backoff", backoff.from ?? "1 second", 1],
    ["/backoff", backoff.to ?? "5 minutes", 1]
  ]
  for (const [path, input, least] of times) {
    const millis = Option.map(Duration.fromInput(input), Duration.toMillis)
    if (Option.isNone(millis) || !(millis.value >= least)) {
      return yield* refuse(path, `must be a time of at least ${least} ms`)
    }
  }
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
  const running: Running = { options, state, trail: yield* AuditTrail, holder, delivering, read: unread() }
  const { backoff, interval = 250, lease = "15 seconds", name } = options
  const [shortest, longest] = [millisOf(backoff?.from ?? "1 second"), millisOf(backoff?.to ?? "5 minutes")]
  const leaseMillis = millisOf(lease)
  const random = yield* Random.Random
  let failures = 0
  let toldAt = -Infinity
  // What another process, or one before, has left is not known.
  let mayHaveFailed = true
  const wait = (failed: number) =>
    Math.min(longest, shortest * 2 ** Math.min(failed - 1, 20)) * (0.5 + random.nextDoubleUnsafe() / 2)
  const failed = Effect.fnUntraced(function*(error: AuditError | Unavailable) {
    failures++
    mayHaveFailed = true
    const detail = error._tag === "Unavailable" ? error.detail : error.message
    yield* telling(Metric.update(Metric.withAttributes(failureCount, { relay: name }), 1))
    const now = yield* elapsed
    // Many logs may fail at once: one of a second is told.
    if (now - toldAt < 1000) return
    toldAt = now
    yield* telling(Effect.logWarning(`Relay ${name} waits after failure ${failures}: ${detail}`))
    // Only the status shows less: the failure is logged and counted, and it is tried again. No cursor has moved.
    yield* Effect.catch(state.fail(name, holder, detail), () => Effect.void)
  })
  const succeeded = Effect.suspend(() => {
    failures = 0
    toldAt = -Infinity
    if (!mayHaveFailed) return Effect.void
    mayHaveFailed = false
    return state.fail(name, holder, undefined)
  })
  const once = Effect.gen(function*() {
    const held = yield* state.lease(name, holder, leaseMillis)
    if (held === "held") {
      mayHaveFailed = true
      yield* Effect.ensuring(
        holding(running, store, leaseMillis, { wait, failed, succeeded }),
        unmeasured(running)
      )
    } else if (held === "paused") yield* Effect.andThen(measurePaused(running), Effect.sleep(1000))
    else yield* Effect.sleep(Math.max(millisOf(interval), leaseMillis / 5))
  })
  const tell = (error: AuditError) => Effect.andThen(failed(error), Effect.suspend(() => Effect.sleep(wait(failures))))
  // What a function of the application throws ends no relay.
  const guarded = Effect.catchDefect(once, (defect) =>
    Effect.fail(
      new AuditError({
        method: "Relay.run",
        reason: new SinkUnavailable({
          detail: `what was given to the relay has thrown (${defect instanceof Error ? defect.name : typeof defect})`
        })
      })
    ))
  return yield* Effect.forever(Effect.catch(guarded, tell)).pipe(
    // A lease that cannot be given back runs out by itself.
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
