/**
 * Many callers share one commit.
 *
 * Callers queue in the order of their calls; a single writer takes what waits and settles each entry with its own
 * outcome. Every caller has the same deadline, and what it gets there says what is known of its entry:
 *
 * | place at the deadline | error |
 * | --- | --- |
 * | behind a full queue | `SinkOverloaded`, not stored |
 * | in the queue | `SinkTimeout`, withdrawn, not stored |
 * | taken by the writer | `CommitUnknown` |
 *
 * Closing refuses new entries with `SinkClosed` and drains for at most the deadline.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { AuditError, type AuditReason, CommitUnknown, SinkClosed, SinkOverloaded, SinkTimeout } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"

/** One caller's value on its way. `settle` answers the caller; only the first answer counts. */
export interface Entry<A, B> {
  readonly value: A
  readonly settle: (exit: Exit.Exit<B, AuditError>) => void
}

/** What the writer sees of the queue. */
export interface Waiting<A, B> {
  /** Takes what waits, oldest first; from now on the outcome of these is the writer's. */
  readonly take: () => ReadonlyArray<Entry<A, B>>
  readonly isEmpty: () => boolean
}

/** Bounds of a queue. */
export interface Options {
  /** Entries that may wait to be written; callers beyond it wait for room. */
  readonly capacity: number
  /** Entries that share one commit at most. */
  readonly maxBatch: number
  /** How long a caller waits for its outcome, and closing for the queue to empty. */
  readonly deadline: Duration.Input
}

class Pending<A, B> implements Entry<A, B> {
  readonly value: A
  readonly expiresAt: number
  state: "waiting" | "writing" | "settled" = "waiting"
  private readonly resume: (exit: Exit.Exit<B, AuditError>) => void
  constructor(value: A, expiresAt: number, resume: (exit: Exit.Exit<B, AuditError>) => void) {
    this.value = value
    this.expiresAt = expiresAt
    this.resume = resume
  }
  readonly settle = (exit: Exit.Exit<B, AuditError>): void => {
    if (this.state === "settled") return
    this.state = "settled"
    this.resume(exit)
  }
}

/** Builds the queue and its writer; `write` commits what it takes, and never fails. */
export const make = Effect.fnUntraced(function*<A extends { readonly eventId: EventId }, B>(
  options: Options & {
    readonly method: string
    readonly write: (waiting: Waiting<A, B>) => Effect.Effect<void>
  }
): Effect.fn.Return<(value: A) => Effect.Effect<B, AuditError>, never, Scope.Scope> {
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const clock = yield* Clock.Clock
  const deadline = Duration.toMillis(Duration.fromInputUnsafe(options.deadline))
  const { capacity, maxBatch, method } = options
  const idle = Latch.makeUnsafe(true)
  let queue: Array<Pending<A, B>> = []
  let writing: Array<Pending<A, B>> = []
  let closed = false
  let writer: Fiber.Fiber<void> | undefined
  let watching = false

  const fail = (value: A, reason: AuditReason) => Exit.fail(new AuditError({ method, eventId: value.eventId, reason }))

  const waiting: Waiting<A, B> = {
    isEmpty: () => queue.length === 0,
    take: () => {
      const taken = queue.length <= maxBatch ? queue : queue.slice(0, maxBatch)
      queue = taken === queue ? [] : queue.slice(maxBatch)
      for (let i = 0; i < taken.length; i++) taken[i]!.state = "writing"
      writing = taken
      return taken
    }
  }

  const lost = (detail: string, entries: ReadonlyArray<Pending<A, B>>) => {
    for (const entry of entries) entry.settle(fail(entry.value, new CommitUnknown({ detail })))
  }

  const drain = Effect.whileLoop({
    // Opened in the same step in which the queue was found empty: whoever comes next starts the next writer.
    while: () => queue.length > 0 || (idle.openUnsafe(), false),
    body: () =>
      Effect.map(Effect.exit(Effect.suspend(() => options.write(waiting))), (exit) => {
        const left = writing
        writing = []
        // A writer that dies is a bug; its entries still hear of it.
        if (Exit.isFailure(exit)) lost("the writer failed", left)
        else lost("the writer left the entry", left.filter((entry) => entry.state === "writing"))
      }),
    step: () => {}
  })
  const start = () => {
    writer = runFork(drain, { uninterruptible: false })
  }

  /** Entries are in the order of their deadlines, so one sleeper serves them all. */
  const expire = (now: number) => {
    let expired = 0
    while (expired < queue.length && queue[expired]!.expiresAt <= now) expired++
    const entries = queue.splice(0, expired)
    entries.forEach((entry, index) => {
      const detail = `no commit within ${deadline} ms`
      entry.settle(fail(
        entry.value,
        index < capacity
          ? new SinkTimeout({ detail })
          : new SinkOverloaded({ detail: `no room in the queue of ${capacity} within ${deadline} ms` })
      ))
    })
    lost(`the write did not end within ${deadline} ms`, writing.filter((entry) => entry.expiresAt <= now))
  }
  const next = (): number | undefined =>
    writing.find((entry) => entry.state === "writing")?.expiresAt ?? queue[0]?.expiresAt
  const watch: Effect.Effect<void> = Effect.suspend(() => {
    const at = next()
    if (at === undefined) {
      watching = false
      return Effect.void
    }
    return Effect.flatMap(Effect.sleep(Math.max(at - clock.currentTimeMillisUnsafe(), 1)), () => {
      expire(clock.currentTimeMillisUnsafe())
      return watch
    })
  })
  const startWatch = () => {
    watcher = runFork(watch)
  }
  let watcher: Fiber.Fiber<void> | undefined

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      return Effect.timeoutOption(idle.await, deadline)
    }).pipe(Effect.andThen(Effect.suspend(() => {
      const left = queue
      queue = []
      for (const entry of left) {
        entry.settle(fail(entry.value, new SinkClosed({ detail: "closed before it was written" })))
      }
      lost("closed while it was written", writing)
      return Effect.andThen(
        watcher === undefined ? Effect.void : Fiber.interrupt(watcher),
        writer === undefined ? Effect.void : Fiber.interrupt(writer)
      )
    })))
  )

  return (value) =>
    Effect.callback<B, AuditError>((resume) => {
      if (closed) return resume(fail(value, new SinkClosed({ detail: "the sink is closed" })))
      queue.push(new Pending<A, B>(value, clock.currentTimeMillisUnsafe() + deadline, resume))
      if (idle.closeUnsafe()) queueMicrotask(start) // a microtask later: what is emitted in this tick shares a commit
      if (!watching) {
        watching = true
        queueMicrotask(startWatch)
      }
    })
})
