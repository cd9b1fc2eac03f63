/**
 * Commits what waits in a sink's queue.
 *
 * Events of many logs share one statement, which waits for no one: a log whose lock someone else has, or of which
 * something must be read first, is written apart, in a transaction of its own.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import type { Evidence } from "../EventSink.ts"
import { type Seen, Seens } from "../internal/decided.ts"
import { elapsed } from "../internal/elapsed.ts"
import type * as GroupCommit from "../internal/groupCommit.ts"
import { nextTurn } from "../internal/nextTurn.ts"
import { integerOf, type Row } from "../internal/row.ts"
import { rowsOf, type SealedRow } from "../internal/sealedRow.ts"
import { type Batch, exitOf, settleAll, settleEach } from "../internal/settling.ts"
import type { Puts } from "../ledger/frontier.ts"
import type { Addition } from "./append.ts"
import type { Appender, Done } from "./appender.ts"
import { isLost, isPassing, reasonOf } from "./problem.ts"

type Waiting = GroupCommit.Waiting<Sealed, Evidence>

/** What is said of a write that failed. */
const writing = "PostgreSQL did not take the events"

/** What events of one log have in common. */
export const keyOf = ({ env, tenantId }: Pick<Sealed, "tenantId" | "env">): string => `${tenantId}/${env}`

/** The events of one log in a batch. */
interface Part {
  readonly entries: Batch
  readonly rows: ReadonlyArray<SealedRow>
}

const partsOf = (batch: Batch): ReadonlyMap<string, Part> => {
  const rows = rowsOf(batch.map(({ value }) => value))
  const parts = new Map<string, { readonly entries: Array<Batch[number]>; readonly rows: Array<SealedRow> }>()
  for (let i = 0; i < batch.length; i++) {
    const row = rows[i]!
    const key = keyOf(row)
    let part = parts.get(key)
    if (part === undefined) parts.set(key, part = { entries: [], rows: [] })
    part.entries.push(batch[i]!)
    part.rows.push(row)
  }
  return parts
}

/** Callers that hear of their events before the event loop turns, and events that begin a statement at once. */
export const atOnce = 16

/** What a statement returns. */
type Answer = Result.Result<ReadonlyArray<Row>, SqlError>

/** The logs that a statement has written to, and the sizes that they had. */
type Written = ReadonlyMap<number | undefined, number>

const writtenTo = (result: Answer): Written =>
  new Map(
    Result.isSuccess(result) ? result.success.map((row) => [integerOf(row, "log"), integerOf(row, "size") ?? -1]) : []
  )

const noPuts: Puts = { bundles: [], subtrees: [] }
/** In place of a last entry that is not known. */
const unknown = new Uint8Array(0)

/** What is told of the logs that something was committed to. */
export type Told = (keys: ReadonlySet<string>) => void

/** A log's part of a statement. */
interface Sent {
  readonly key: string
  readonly part: Part
  readonly addition: Addition
}

/** Commits in transactions of the sink's own. */
export class Committer {
  private readonly appender: Appender
  private readonly seens = new Seens()
  private readonly policies = new Set<string>()
  private readonly told: Told

  constructor(appender: Appender, told: Told) {
    this.appender = appender
    this.told = told
  }

  /** What is known of a log, for who writes to it in another transaction. */
  seen(key: string): Seen | undefined {
    return this.seens.get(key)
  }

  /** One commit of what waits. */
  readonly write = (waiting: Waiting): Effect.Effect<void> =>
    Effect.suspend(() => {
      const sent: Array<Sent> = []
      for (const [key, part] of partsOf(waiting.take())) {
        const addition = this.seens.get(key)?.isContended === true ? undefined : this.additionOf(key, part)
        if (addition === undefined) this.apart(waiting, key, part.entries)
        else sent.push({ key, part, addition })
      }
      if (sent.length === 0) return Effect.void
      const { params, text } = this.appender.appending.skipping(sent.map(({ addition }) => addition))
      return Effect.flatMap(Effect.result(this.appender.options.database.run(text, params)), (result) => {
        // What is remembered is right before the next statement begins, which it may at once.
        const written = writtenTo(result)
        const left = this.left(sent, written)
        for (const { key, part: { entries } } of left) {
          if (Result.isFailure(result) && isLost(result.failure)) this.failAll(entries, result.failure, true)
          // What is wrong, if anything, is found under the lock.
          else this.apart(waiting, key, entries, Result.isFailure(result))
        }
        // The next statement may begin at once: what was given back is before what came later.
        waiting.free()
        return this.settled(sent, written)
      })
    })

  /** Remembers how logs are seen after a statement; returns what it did not write. */
  private left(sent: ReadonlyArray<Sent>, written: Written): ReadonlyArray<Sent> {
    return sent.filter(({ addition, key }) => {
      const size = written.get(addition.log)
      const seen = this.seens.get(key)
      if (seen !== undefined && (size === undefined || size !== addition.size)) {
        // What was added to the tree is not where it was believed to be: others have appended, or it was not written.
        const end = size === undefined ? undefined : size + addition.rows.length
        this.seens.set(key, { ...seen, frontier: undefined, isContended: true, end })
      }
      return size === undefined
    })
  }

  /** Tells the entries of a statement what became of them. */
  private readonly settled = Effect.fnUntraced(function*(
    this: Committer,
    sent: ReadonlyArray<Sent>,
    written: Written
  ): Effect.fn.Return<void> {
    this.told(new Set(sent.flatMap(({ addition, key }) => written.has(addition.log) ? [key] : [])))
    let settled = 0
    for (const { addition, part } of sent) {
      const size = written.get(addition.log)
      if (size === undefined) continue
      for (const [at, { settle, value }] of part.entries.entries()) {
        // Callers go on a few at a time: the next commit begins with the events of the first of them.
        if (++settled % atOnce === 0) yield* nextTurn
        value.try()
        settle(exitOf(value, size + at, "committed"))
      }
    }
  })

  private failAll(entries: Batch, error: SqlError, committing: boolean): void {
    // From now on the store may hold them, whatever is said of this try.
    for (const { value } of entries) value.try()
    settleAll(entries, reasonOf(error, writing, committing))
  }

  private apart(waiting: Waiting, key: string, entries: Batch, isRefused = false): void {
    waiting.giveBack(entries)
    waiting.apart(key, this.alone(key, isRefused))
  }

  /** What a log gets in one statement, if all that it takes is known. */
  private additionOf(key: string, { rows }: Part): Addition | undefined {
    const seen = this.seens.get(key)
    if (seen === undefined || seen.stopped !== undefined) return undefined
    for (const { idempotency, policy, repeated } of rows) {
      if (repeated || idempotency !== undefined) return undefined
      if (policy !== undefined && !this.policies.has(policy)) return undefined
    }
    const { frontier, id, version } = seen
    // The server completes what is not known here.
    if (frontier?.reaches(rows.length) !== true) {
      return { log: id, version, size: undefined, last: unknown, rows, keys: [], puts: noPuts }
    }
    const { last, size } = frontier
    for (const { commitment } of rows) {
      if (frontier.add(commitment) === undefined) continue
      this.seens.delete(key)
      return undefined
    }
    return { log: id, version, size, last, rows, keys: [], puts: frontier.taken() }
  }

  /** Writes the events of one log, and waits for its lock: by one statement each, as long as that goes. */
  private readonly alone = (key: string, isRefused: boolean) => (waiting: Waiting): Effect.Effect<void> =>
    Effect.flatMap(elapsed, (started) => {
      // Whoever is alone again goes back to the common statement.
      const isOver = () => this.seens.get(key)?.isContended === false
      const direct = (isBegun: boolean): Effect.Effect<void> =>
        Effect.suspend(() =>
          waiting.isEmpty() || (isBegun && isOver())
            ? Effect.void
            : Effect.flatMap(this.direct(key, waiting), (isWritten) => isWritten ? direct(true) : withLock(0))
        )
      const withLock = (tries: number): Effect.Effect<void> =>
        waiting.isEmpty() ? Effect.void : Effect.flatMap(
          this.once(key, waiting),
          (error) =>
            error === undefined
              ? direct(true)
              : this.later(waiting, error, started, Effect.suspend(() => withLock(tries + 1)), tries)
        )
      return isRefused ? withLock(0) : direct(false)
    })

  /** Reads where a log ends now, without its lock: who finds it there with the next statement completes its tree. */
  private readonly catchUp = (key: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const seen = this.seens.get(key)
      if (seen === undefined || seen.stopped !== undefined) return Effect.void
      return Effect.match(this.appender.end(seen), {
        // Then the server goes on to complete it.
        onFailure: () => {},
        onSuccess: (frontier) => {
          if (frontier !== undefined) this.seens.set(key, { ...seen, frontier, isContended: false, end: undefined })
        }
      })
    })

  /** Waits a little before the next try; whoever has waited too long hears why, rather than that time was up. */
  private later(waiting: Waiting, error: SqlError, started: number, again: Effect.Effect<void>, tries: number) {
    return Effect.flatMap(elapsed, (now) =>
      now - started > this.appender.options.database.deadlineMillis / 2
        ? Effect.sync(() => this.failAll(waiting.take(), error, false))
        : Effect.andThen(Effect.sleep(Math.min(200, 5 * 2 ** tries)), again))
  }

  /** One statement that waits for the lock; `false` where it was not written, and given back. */
  private readonly direct = Effect.fnUntraced(function*(
    this: Committer,
    key: string,
    waiting: Waiting
  ): Effect.fn.Return<boolean> {
    const entries = waiting.take()
    const part = { entries, rows: rowsOf(entries.map(({ value }) => value)) }
    const addition = this.additionOf(key, part)
    if (addition === undefined) {
      this.seens.delete(key)
      waiting.giveBack()
      return false
    }
    const before = this.seens.get(key)
    const sent = [{ key, part, addition }]
    const { params, text } = this.appender.appending.waiting([addition])
    const result: Answer = yield* Effect.result(this.appender.options.database.run(text, params))
    const written = writtenTo(result)
    if (this.left(sent, written).length > 0) {
      // It was changed otherwise than by appending, or is away.
      this.seens.delete(key)
      if (Result.isFailure(result) && isLost(result.failure)) this.failAll(entries, result.failure, true)
      else waiting.giveBack()
      return false
    }
    const seen = this.seens.get(key)
    // Whoever is alone again need not wait.
    if (seen?.frontier !== undefined) this.seens.set(key, { ...seen, isContended: false })
    else if (written.get(addition.log) === before?.end) yield* this.catchUp(key)
    yield* this.settled(sent, written)
    return true
  })

  /**
   * One transaction that holds the lock; events can be withdrawn until it has it. Returns an error to try again after.
   */
  private readonly once = Effect.fnUntraced(function*(
    this: Committer,
    key: string,
    waiting: Waiting
  ): Effect.fn.Return<SqlError | undefined> {
    let taken: Batch = waiting.take()
    const [first] = rowsOf(taken.slice(0, 1).map(({ value }) => value))
    waiting.giveBack()
    if (first === undefined) return undefined
    taken = []
    const before = this.seens.get(key)
    let done: Done | undefined
    const millis = yield* Clock.currentTimeMillis
    const appended = this.appender.append(first, () => {
      taken = waiting.take()
      return rowsOf(taken.map(({ value }) => value))
    }, { before, durability: "committed", millis })
    const result = yield* Effect.result(
      this.appender.options.database.inTransaction(
        Effect.tap(appended, (appended) => Effect.sync(() => done = appended))
      )
    )
    if (Result.isSuccess(result)) {
      const { outcomes, policies, seen } = result.success
      this.seens.set(key, { ...seen, isContended: before?.isContended === true })
      for (const policy of policies) this.policies.add(policy)
      for (const { value } of taken) value.try()
      settleEach(taken, outcomes)
      this.told(new Set([key]))
      return undefined
    }
    this.seens.delete(key)
    const { failure } = result
    const entries = () => taken.length === 0 ? waiting.take() : taken
    if (failure instanceof AuditError) settleAll(entries(), failure.reason)
    else if (done !== undefined && isLost(failure)) this.failAll(taken, failure, true)
    else if (isPassing(failure) || isLost(failure)) {
      waiting.giveBack()
      return failure
    } else this.failAll(entries(), failure, false)
    return undefined
  })
}
