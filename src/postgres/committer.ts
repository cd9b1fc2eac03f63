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
import { Seens } from "../internal/decided.ts"
import { elapsed } from "../internal/elapsed.ts"
import type * as GroupCommit from "../internal/groupCommit.ts"
import { integerOf } from "../internal/row.ts"
import { rowsOf, type SealedRow } from "../internal/sealedRow.ts"
import { type Batch, settleAll, settleEach } from "../internal/settling.ts"
import { type Addition, appending, paramsOf } from "./append.ts"
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

/** What is told of the logs that something was committed to. */
export type Told = (keys: ReadonlySet<string>) => void

/** Commits in transactions of the sink's own. */
export class Committer {
  private readonly appender: Appender
  private readonly statement: string
  private readonly seens = new Seens()
  private readonly policies = new Set<string>()
  private readonly told: Told

  constructor(appender: Appender, told: Told) {
    this.appender = appender
    this.statement = appending(appender.options.database.schema)
    this.told = told
  }

  /** What is known of a log, for who writes to it in another transaction. */
  seen(key: string) {
    return this.seens.get(key)
  }

  /** One commit of what waits. */
  readonly write = (waiting: Waiting): Effect.Effect<void> =>
    Effect.suspend(() => {
      const parts = partsOf(waiting.take())
      const together: Array<readonly [string, Part, Addition]> = []
      for (const [key, part] of parts) {
        const addition = this.together(key, part)
        if (addition === undefined) this.apart(waiting, key, part)
        else together.push([key, part, addition])
      }
      if (together.length === 0) return Effect.void
      const { commits, database: { run } } = this.appender.options
      return Effect.map(
        Effect.result(run(this.statement, paramsOf(together.map(([, , addition]) => addition), commits))),
        (result) => {
          const moved = Result.isSuccess(result)
            ? new Set(result.success.map((row) => integerOf(row, "log")))
            : undefined
          const grown = new Set<string>()
          for (const [key, part, addition] of together) {
            if (moved?.has(addition.log) === true) {
              this.settle(part, addition)
              grown.add(key)
            } else {
              this.seens.delete(key)
              if (Result.isFailure(result) && isLost(result.failure)) this.fail(part.entries, result.failure, true)
              // What is wrong, if anything, is found under the lock.
              else this.apart(waiting, key, part)
            }
          }
          this.told(grown)
        }
      )
    })

  private settle({ entries, rows }: Part, { size }: Addition): void {
    for (const { value } of entries) value.try()
    settleEach(entries, rows.map((_, at) => size + at))
  }

  private fail(entries: Batch, error: SqlError, committing: boolean): void {
    // From now on the store may hold them, whatever is said of this try.
    for (const { value } of entries) value.try()
    settleAll(entries, reasonOf(error, writing, committing))
  }

  private apart(waiting: Waiting, key: string, { entries }: Part): void {
    waiting.giveBack(entries)
    waiting.apart(key, this.alone(key))
  }

  /** What a log gets in the common statement, if all that it takes is known. */
  private together(key: string, { rows }: Part): Addition | undefined {
    const seen = this.seens.get(key)
    if (seen === undefined || seen.stopped !== undefined || !seen.frontier.reaches(rows.length)) return undefined
    for (const { idempotency, policy, repeated } of rows) {
      if (repeated || idempotency !== undefined) return undefined
      if (policy !== undefined && !this.policies.has(policy)) return undefined
    }
    const { frontier, id, version } = seen
    const { size } = frontier
    for (const { commitment } of rows) {
      if (frontier.add(commitment) === undefined) continue
      this.seens.delete(key)
      return undefined
    }
    return { log: id, version, size, rows, keys: [], puts: frontier.taken() }
  }

  /** Writes the events of one log in a transaction that waits for its lock; they can be withdrawn until it has it. */
  private readonly alone = (key: string) => (waiting: Waiting): Effect.Effect<void> =>
    Effect.flatMap(elapsed, (started) => {
      const { deadlineMillis } = this.appender.options.database
      const again = (tries: number): Effect.Effect<void> =>
        Effect.flatMap(this.once(key, waiting), (error) => {
          if (error === undefined) return Effect.void
          return Effect.flatMap(elapsed, (now) => {
            // What waits longer than this hears why, rather than that time was up.
            if (waiting.isEmpty()) return Effect.void
            if (now - started > deadlineMillis / 2) return Effect.sync(() => this.fail(waiting.take(), error, false))
            return Effect.andThen(Effect.sleep(Math.min(200, 5 * 2 ** tries)), again(tries + 1))
          })
        })
      return again(0)
    })

  /** One try; returns an error after which it may be tried again, and everything was given back. */
  private readonly once = Effect.fnUntraced(function*(
    this: Committer,
    key: string,
    waiting: Waiting
  ): Effect.fn.Return<SqlError | undefined> {
    let taken: Batch = waiting.take()
    const first = rowsOf(taken.slice(0, 1).map(({ value }) => value))[0]
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
      this.appender.options.database.sql.withTransaction(
        Effect.tap(appended, (appended) => Effect.sync(() => done = appended))
      )
    )
    if (Result.isSuccess(result)) {
      this.seens.set(key, result.success.seen)
      for (const policy of result.success.policies) this.policies.add(policy)
      for (const { value } of taken) value.try()
      settleEach(taken, result.success.outcomes)
      this.told(new Set([key]))
      return undefined
    }
    this.seens.delete(key)
    const { failure } = result
    if (failure instanceof AuditError) {
      settleAll(taken.length === 0 ? waiting.take() : taken, failure.reason)
      return undefined
    }
    if (done !== undefined && isLost(failure)) {
      this.fail(taken, failure, true)
      return undefined
    }
    if (isPassing(failure) || isLost(failure)) {
      waiting.giveBack()
      return failure
    }
    this.fail(taken.length === 0 ? waiting.take() : taken, failure, false)
    return undefined
  })
}
