/**
 * Many callers share one commit.
 *
 * Callers queue in the order of their calls; a single writer takes what waits, once in a turn of the event loop, and
 * settles each entry with its own outcome. What comes in one turn shares a commit, and so does what comes while one
 * runs. Every caller has the same deadline, and what it gets there says what is known of its entry:
 *
 * | place at the deadline | error |
 * | --- | --- |
 * | behind a full queue | `SinkOverloaded`, not stored |
 * | in the queue | `SinkTimeout`, withdrawn, not stored |
 * | taken by the writer | `CommitUnknown` |
 *
 * What is held up, such as the entries of a log whose lock someone else has, is written apart: the others do not wait
 * for it.
 *
 * Closing refuses new entries with `SinkClosed` and drains for at most the deadline.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import {
  AuditError,
  type AuditReason,
  CommitUnknown,
  InvalidInput,
  SinkClosed,
  SinkOverloaded,
  SinkTimeout
} from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import { elapsedMillis } from "./elapsed.ts"
import { tellNow } from "./telling.ts"
import { type Entry, Pending, type Waiting, type Write } from "./waiting.ts"

export type { Entry, Waiting, Write } from "./waiting.ts"

/** How long the watch on deadlines sleeps at once, in milliseconds. */
const watchMillis = 100

/** Of all queues of the process, told at each commit and, while one runs, every 100 ms. */
export const queueDepth = Metric.gauge("audit_queue_depth", {
  description: "Events that wait for a commit, or are in it"
})

/** Bounds of a queue. */
export interface Options {
  /** Entries that may wait to be written; callers beyond it wait for room. */
  readonly capacity: number
  /** Entries that share one commit at most. */
  readonly maxBatch: number
  /** How long a caller waits for its outcome, and closing for the queue to empty. */
  readonly deadline: Duration.Input
}

/** What commits entries, and how it is named in errors. */
export interface Writer<A, B> extends Options {
  readonly method: string
  readonly write: Write<A, B>
  /**
   * How many entries begin a commit at once where none runs, so that a medium elsewhere works while this thread makes
   * the next; asked with how many had no outcome at once, at most, while the last commit ran. Unless given, all of a
   * turn share a commit.
   */
  readonly eager?: ((inFlight: number) => number) | undefined
  /** What entries have in common that may be held up together; none unless given. */
  readonly keyOf?: ((value: A) => string) | undefined
}

/** Entries that wait, in the order of their calls, which is that of their deadlines. */
class Line<A, B> {
  entries: Array<Pending<A, B>> = []

  take(most: number): Array<Pending<A, B>> {
    return this.entries.splice(0, most)
  }

  takeBack(entries: ReadonlyArray<Pending<A, B>>): void {
    this.entries = [...entries, ...this.entries].sort((a, b) => a.order - b.order)
  }

  /** Those whose deadline has come; they wait no longer. */
  expired(now: number): Array<Pending<A, B>> {
    let count = 0
    while (count < this.entries.length && this.entries[count]!.expiresAt <= now) count++
    return this.take(count)
  }
}

/** What one run of a writer has taken. */
class Batch<A extends { readonly eventId: EventId }, B> implements Waiting<A, B> {
  writing: Array<Pending<A, B>> = []
  fiber: Fiber.Fiber<void> | undefined
  private readonly queue: CommitQueue<A, B>
  private readonly line: Line<A, B>

  constructor(queue: CommitQueue<A, B>, line: Line<A, B>) {
    this.queue = queue
    this.line = line
  }

  readonly isEmpty = (): boolean => this.line.entries.length === 0

  readonly take = (): ReadonlyArray<Entry<A, B>> => {
    const taken = this.line.take(this.queue.maxBatch)
    for (const entry of taken) entry.state = "writing"
    // A writer that goes on for long has settled what it took before.
    this.writing = [...this.writing.filter(({ state }) => state === "writing"), ...taken]
    this.queue.measure()
    return taken
  }

  readonly giveBack = (entries: ReadonlyArray<Entry<A, B>> = this.writing): void => {
    const given = new Set(entries)
    const back = this.writing.filter((entry) => given.has(entry))
    this.writing = this.writing.filter((entry) => !given.has(entry))
    this.queue.takeBack(back.filter(({ state }) => state === "writing"))
  }

  readonly apart = (key: string, write: Write<A, B>): void => this.queue.apart(key, write)
  readonly free = (): void => this.queue.free(this)
}

/** The entries that wait, and those that are being written. */
class CommitQueue<A extends { readonly eventId: EventId }, B> {
  readonly maxBatch: number
  private readonly options: Writer<A, B>
  private readonly deadline: number
  private readonly clock: Clock.Clock
  private readonly runFork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly idle = Latch.makeUnsafe(true)
  /** What waits for the writer of all, and what waits for the writers of keys that are held up. */
  private readonly common = new Line<A, B>()
  private readonly heldUp = new Map<string, Line<A, B>>()
  /** The writers that run. */
  private readonly batches = new Set<Batch<A, B>>()
  /** The batch that the medium is busy with, and whether the next one is to begin with the next turn. */
  private current: Batch<A, B> | undefined
  private isDue = false
  /** Entries without an outcome: now, at most since the last commit, and at most before it. */
  private open = 0
  private most = 0
  private inFlight = 0
  private closed = false
  private calls = 0
  private watcher: Fiber.Fiber<void> | undefined
  private watching = false
  private readonly services: Context.Context<never>
  /** What was told of its depth. */
  private told = 0

  constructor(options: Writer<A, B>, clock: Clock.Clock, services: Context.Context<never>) {
    this.options = options
    this.maxBatch = options.maxBatch
    this.deadline = Duration.toMillis(Duration.fromInputUnsafe(options.deadline))
    this.clock = clock
    this.services = services
    this.runFork = Effect.runForkWith(services)
  }

  private lineOf({ key }: Pending<A, B>): Line<A, B> {
    return (key === undefined ? undefined : this.heldUp.get(key)) ?? this.common
  }

  private get lines(): ReadonlyArray<Line<A, B>> {
    return [this.common, ...this.heldUp.values()]
  }

  takeBack(entries: ReadonlyArray<Pending<A, B>>): void {
    for (const entry of entries) entry.state = "waiting"
    for (const line of this.lines) line.takeBack(entries.filter((entry) => this.lineOf(entry) === line))
  }

  measure(): void {
    let more = -this.told
    for (const { entries } of this.lines) more += entries.length
    for (const { writing } of this.batches) more += writing.length
    if (more === 0) return
    this.told += more
    tellNow(() => queueDepth.modifyUnsafe(more, this.services))
  }

  private fail(value: A, reason: AuditReason) {
    return Exit.fail(new AuditError({ method: this.options.method, eventId: value.eventId, reason }))
  }

  private lost(detail: string, entries: ReadonlyArray<Pending<A, B>>): void {
    for (const { settle, state, value } of entries) {
      if (state !== "settled") settle(this.fail(value, new CommitUnknown({ detail })))
    }
  }

  /** Runs a writer, which settles what it has taken. */
  private run(batch: Batch<A, B>, write: Write<A, B>): Effect.Effect<void> {
    this.batches.add(batch)
    return Effect.map(Effect.exit(Effect.suspend(() => write(batch))), (exit) => {
      const left = batch.writing
      batch.writing = []
      this.batches.delete(batch)
      // A writer that dies is a bug; its entries still hear of it.
      this.lost(Exit.isFailure(exit) ? "the writer failed" : "the writer left the entry", left)
    })
  }

  private rest(): void {
    this.measure()
    if (this.common.entries.length === 0 && this.batches.size === 0) this.idle.openUnsafe()
  }

  /** One commit; the next one begins in the next turn: between two, timers and sockets are served. */
  private readonly start = (): void => {
    if (!this.isDue) return
    this.isDue = false
    if (this.common.entries.length === 0) return this.rest()
    const batch = new Batch<A, B>(this, this.common)
    this.current = batch
    batch.fiber = this.runFork(Effect.andThen(
      this.run(batch, this.options.write),
      Effect.sync(() => {
        this.free(batch)
        this.rest()
      })
    ))
  }

  /** The medium has done with a batch. */
  free(batch: Batch<A, B>): void {
    if (this.current !== batch) return
    this.current = undefined
    this.inFlight = this.most
    this.most = this.open
    if (this.common.entries.length > 0) this.wake()
  }

  /** Has the next commit begin with the next turn, or at once where enough waits. */
  private wake(): void {
    if (this.current !== undefined) return
    if (!this.isDue) {
      this.isDue = true
      setImmediate(this.start)
    }
    const { eager } = this.options
    if (eager !== undefined && this.common.entries.length >= eager(this.inFlight)) this.start()
  }

  apart(key: string, write: Write<A, B>): void {
    if (this.heldUp.has(key)) return
    const line = new Line<A, B>()
    const isHeldUp = (entry: Pending<A, B>) => entry.key === key
    line.entries = this.common.entries.filter(isHeldUp)
    this.common.entries = this.common.entries.filter((entry) => !isHeldUp(entry))
    this.heldUp.set(key, line)
    const batch = new Batch(this, line)
    const ended = Effect.sync(() => {
      this.heldUp.delete(key)
      this.common.takeBack(line.entries)
      this.wake()
    })
    batch.fiber = this.runFork(Effect.andThen(this.run(batch, write), ended))
  }

  /** One sleeper serves the deadlines of all. */
  private expire(now: number): void {
    const { capacity } = this.options
    for (const line of this.lines) {
      line.expired(now).forEach((entry, index) => {
        const detail = `no commit within ${this.deadline} ms`
        entry.settle(this.fail(
          entry.value,
          index < capacity
            ? new SinkTimeout({ detail })
            : new SinkOverloaded({ detail: `no room in the queue of ${capacity} within ${this.deadline} ms` })
        ))
      })
    }
    for (const { writing } of this.batches) {
      this.lost(`the write did not end within ${this.deadline} ms`, writing.filter((entry) => entry.expiresAt <= now))
    }
  }

  /** The next deadline: the first of those who wait in each line, and of those who are written in each batch. */
  private next(): number {
    const first = [
      ...this.lines.map(({ entries }) => entries[0]),
      ...[...this.batches].map(({ writing }) => writing.find(({ state }) => state === "writing"))
    ]
    return Math.min(...first.map((entry) => entry?.expiresAt ?? Infinity))
  }

  private readonly watch: Effect.Effect<void> = Effect.suspend(() => {
    const at = this.next()
    if (at === Infinity) {
      this.watching = false
      return Effect.void
    }
    // In short sleeps: a timer keeps the process alive, although nothing waits any more.
    return Effect.flatMap(Effect.sleep(Math.min(Math.max(at - elapsedMillis(this.clock), 1), watchMillis)), () => {
      this.expire(elapsedMillis(this.clock))
      this.measure()
      return this.watch
    })
  })

  private readonly startWatch = (): void => {
    this.watcher = this.runFork(this.watch)
  }

  /** Refuses new entries, and drains for at most the deadline. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    return Effect.timeoutOption(this.idle.await, this.deadline)
  }).pipe(Effect.andThen(Effect.suspend(() => {
    for (const line of this.lines) {
      for (const { settle, value } of line.take(Infinity)) {
        settle(this.fail(value, new SinkClosed({ detail: "closed before it was written" })))
      }
    }
    const fibers = [this.watcher]
    for (const batch of this.batches) {
      this.lost("closed while it was written", batch.writing)
      batch.writing = []
      fibers.push(batch.fiber)
    }
    this.measure()
    return Effect.forEach(fibers, (fiber) => fiber === undefined ? Effect.void : Fiber.interrupt(fiber), {
      discard: true
    })
  })))

  add(value: A, resume: (exit: Exit.Exit<B, AuditError>) => void): void {
    if (this.closed) return resume(this.fail(value, new SinkClosed({ detail: "the sink is closed" })))
    const expiresAt = elapsedMillis(this.clock) + this.deadline
    const entry = new Pending<A, B>(value, this.options.keyOf?.(value), this.calls++, expiresAt, (exit) => {
      this.open--
      resume(exit)
    })
    const line = this.lineOf(entry)
    line.entries.push(entry)
    if (++this.open > this.most) this.most = this.open
    this.idle.closeUnsafe()
    if (line === this.common) this.wake()
    if (!this.watching) {
      this.watching = true
      queueMicrotask(this.startWatch)
    }
  }
}

const checked = (path: string, value: number): Effect.Effect<void, AuditError> => {
  if (value >= 1 && (Number.isInteger(value) || value === Infinity)) return Effect.void
  const reason = new InvalidInput({ path, detail: "must be an integer from 1 on" })
  return Effect.fail(new AuditError({ method: "EventSink.make", reason }))
}

/** Builds the queue and its writer; they close with the scope. Fails where nothing could be written. */
export const make = Effect.fnUntraced(function*<A extends { readonly eventId: EventId }, B>(
  options: Writer<A, B>
): Effect.fn.Return<(value: A) => Effect.Effect<B, AuditError>, AuditError, Scope.Scope> {
  yield* checked("/capacity", options.capacity)
  yield* checked("/maxBatch", options.maxBatch)
  const queue = new CommitQueue<A, B>(options, yield* Clock.Clock, yield* Effect.context<never>())
  yield* Effect.addFinalizer(() => queue.close)
  return (value) => Effect.callback<B, AuditError>((resume) => queue.add(value, resume))
})
