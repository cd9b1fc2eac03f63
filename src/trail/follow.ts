/**
 * Following a log: its events as they are committed, in order, to any number of followers.
 *
 * The newest events of a log are read once and shared by all that follow it. Whoever begins further back, or does not
 * keep up, reads its own pages until it has caught up. Each follower holds one page.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { searchKeys } from "../DatasetEvent.ts"
import { telling } from "../internal/telling.ts"
import type { LogName } from "../RequestContext.ts"
import { matches, type Search } from "./Filter.ts"
import type { FollowQuery, Item, Page } from "./page.ts"
import { type Reading, readQuery } from "./paging.ts"

/** What a medium gives for following. */
export interface Source {
  /** A page of committed events. */
  readonly page: (reading: Reading) => Effect.Effect<Page, AuditError>
  /** Begins to watch for commits to a log. */
  readonly watch: (log: LogName) => Effect.Effect<Watch, never, Scope.Scope>
}

/** A watch for commits, of any process. */
export interface Watch {
  /** Ends where something may have been committed since its last end; the first time at once. */
  readonly committed: Effect.Effect<void>
  /** Whether it would end at once. */
  readonly isBehind: Effect.Effect<boolean>
}

/** Events that are kept for all followers of a log. */
const keptEvents = 256
const pageSize = 250

/** Tells how far behind a follower is. */
const lagging = (events: number) => telling(Effect.suspend(() => Metric.update(followerLag, events)))

/** Of the follower that read last. */
export const followerLag = Metric.gauge("audit_follower_lag_events", {
  description: "How many events the follower that read last was behind"
})

const method = "AuditTrail.follow"

/** The newest events of one log, as all its followers see them. */
class Tail {
  private readonly kept: Array<Item> = []
  /** The position after the last event that was read. */
  end: number
  /** Opened, and replaced, whenever there is more, or no more to come. */
  private more = Latch.makeUnsafe(false)
  /** Opened, and replaced, whenever a page was read. */
  private read = Latch.makeUnsafe(false)
  failure: Exit.Exit<never, AuditError> | undefined = undefined
  /** Whether it reads what was committed. */
  isReading = false
  private readonly watch: Watch

  constructor(end: number, watch: Watch) {
    this.end = end
    this.watch = watch
  }

  add(items: ReadonlyArray<Item>): void {
    const last = items.at(-1)
    if (last === undefined) return
    this.kept.push(...items)
    // Whatever was erased is erased by then, and must not be given to anyone again.
    const erasure = this.kept.findLastIndex((item) => !item.erased && item.event.action === "audit.erased")
    if (erasure > 0) this.kept.splice(0, erasure)
    if (this.kept.length > keptEvents) this.kept.splice(0, this.kept.length - keptEvents)
    this.end = last.position + 1
    this.wake()
  }

  fail(failure: Exit.Exit<never, AuditError>): void {
    this.failure = failure
    this.wake()
  }

  private wake(): void {
    const waiting = this.more
    this.more = Latch.makeUnsafe(false)
    waiting.openUnsafe()
    this.readOnce()
  }

  /** A page was read. */
  readOnce(): void {
    const waiting = this.read
    this.read = Latch.makeUnsafe(false)
    waiting.openUnsafe()
  }

  /** Ends where there is an event at a position, or no more to come. */
  readonly reached = (position: number): Effect.Effect<void> =>
    Effect.suspend(() => position < this.end || this.failure !== undefined ? Effect.void : this.more.await)

  /** Ends where all that was committed is read: what is kept may have been erased since. */
  readonly upToDate: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(
      this.watch.isBehind,
      (isBehind) =>
        (isBehind || this.isReading) && this.failure === undefined
          ? Effect.andThen(this.read.await, this.upToDate)
          : Effect.void
    )
  )

  /** The kept events from a position on, at most a page; `undefined` where they are not kept any more. */
  from(position: number): ReadonlyArray<Item> | undefined {
    const first = this.kept[0]?.position ?? this.end
    if (position < first) return undefined
    // Positions are dense, unless someone took rows out of the store.
    const dense = position - first
    const at = this.kept[dense]?.position === position
      ? dense
      : this.kept.findIndex((item) => item.position >= position)
    return at === -1 ? [] : this.kept.slice(at, at + pageSize)
  }
}

const reading = (log: LogName, search: Search, after: number, limit: number): Reading => ({
  log,
  search,
  descending: false,
  limit,
  after: after < 0 ? undefined : after,
  hash: ""
})

const everything: Search = { conditions: [], sinceMillis: undefined, untilMillis: undefined }

/** Reads a log from its present end on, for as long as it is in use. */
const makeTail = Effect.fnUntraced(function*(
  { page, watch }: Source,
  log: LogName,
  onFailed: Effect.Effect<void>
): Effect.fn.Return<Tail, AuditError, Scope.Scope> {
  const watching = yield* watch(log)
  yield* watching.committed
  const newest = yield* page({ ...reading(log, everything, -1, 1), descending: true })
  const tail = new Tail((newest.items[0]?.position ?? -1) + 1, watching)
  const readPage = Effect.suspend(() => {
    tail.isReading = true
    return page(reading(log, everything, tail.end - 1, pageSize))
  })
  const readOn = Effect.flatMap(readPage, ({ items, next }) => {
    tail.add(items)
    tail.isReading = next !== undefined
    tail.readOnce()
    return next === undefined ? watching.committed : Effect.yieldNow
  })
  yield* Effect.forkScoped(
    Effect.onExit(
      Effect.forever(readOn),
      (exit) => Effect.andThen(onFailed, Effect.sync(() => tail.fail(Exit.isFailure(exit) ? exit : Exit.interrupt())))
    )
  )
  return tail
})

/** The events of a page that a follower has not been given, and where it goes on. */
interface Step {
  readonly items: ReadonlyArray<Item>
  readonly position: number
}

const isFound = (search: Search, hasFilter: boolean) => (item: Item): boolean =>
  item.erased ? !hasFilter : matches(searchKeys(item.event), Date.parse(item.event.recorded_at), search)

/** What stands in the log before the kept events, or the kept ones from a position on. */
const stepFrom = Effect.fnUntraced(function*(
  tail: Tail,
  { page }: Source,
  { hasFilter, log, search }: { readonly log: LogName; readonly search: Search; readonly hasFilter: boolean },
  position: number
): Effect.fn.Return<Step, AuditError> {
  yield* tail.reached(position)
  yield* tail.upToDate
  if (tail.failure !== undefined && position >= tail.end) return yield* tail.failure
  const kept = tail.from(position)
  if (kept !== undefined) {
    return { items: kept.filter(isFound(search, hasFilter)), position: (kept.at(-1)?.position ?? position) + 1 }
  }
  const { end } = tail
  const { items, next } = yield* page(reading(log, search, position - 1, pageSize))
  const before = items.filter((item) => item.position < end)
  const last = before.at(-1)
  // Up to `end` all was read: a page that ends there, or is the last one, says that no more is found before.
  return next === undefined || before.length < items.length || last === undefined
    ? { items: before, position: end }
    : { items: before, position: last.position + 1 }
})

/** Follows logs of a medium: one reader for each log that is followed. */
export const followOver = Effect.fnUntraced(function*(
  source: Source
): Effect.fn.Return<(query: FollowQuery) => Stream.Stream<Item, AuditError>, never, Scope.Scope> {
  const tails: RcMap.RcMap<LogName, Tail, AuditError> = yield* RcMap.make({
    // Who follows from now on must not meet a reader that has failed; those who do are told after it is gone.
    lookup: (log: LogName) => makeTail(source, log, Effect.suspend(() => RcMap.invalidate(tails, log)))
  })
  return ({ after, ...query }) =>
    Stream.unwrap(Effect.gen(function*() {
      const read = yield* Effect.fromResult(readQuery({ ...query, order: "asc" }))
      yield* Effect.fromResult(checked(after))
      const tail = yield* RcMap.get(tails, { tenantId: query.tenantId, env: query.env })
      const { log, search } = read
      const hasFilter = search.conditions.length > 0 || search.sinceMillis !== undefined ||
        search.untilMillis !== undefined
      const from = after === undefined ? tail.end : after + 1
      // The position may be there, and the reader not have come to it.
      if (from > tail.end) yield* Effect.mapError(source.page(reading(log, search, from - 1, 1)), toCome)
      return Stream.paginate(from, (position) =>
        Effect.map(
          Effect.tap(
            stepFrom(tail, source, { log, search, hasFilter }, position),
            (step) => lagging(tail.end - step.position)
          ),
          (step) => [step.items, Option.some(step.position)] as const
        )).pipe(Stream.ensuring(lagging(0)))
    }))
})

/** The error of a position that the log does not have. */
const toCome = (error: AuditError): AuditError =>
  error.reason._tag === "InvalidCursor"
    ? new AuditError({
      method,
      reason: new InvalidInput({ path: "/after", detail: "the log has no event at this position yet" })
    })
    : error

const checked = (after: number | undefined): Result.Result<void, AuditError> =>
  after === undefined || (Number.isSafeInteger(after) && after >= -1)
    ? Result.void
    : Result.fail(
      new AuditError({
        method,
        reason: new InvalidInput({ path: "/after", detail: "must be a position, or -1 for the log's beginning" })
      })
    )
