/**
 * What is recorded inside a transaction and must be recorded again if the transaction is rolled back.
 *
 * A transaction waits at its end for the records that have begun in it; what begins after that waits for its end, and
 * is recorded outside of it. So each record is either one of the transaction's or not, whoever outlives whom.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"

/** One transaction, from its beginning to after its end. */
export class OpenTransaction<A, E, R> {
  private readonly outer: OpenTransaction<A, E, R> | undefined
  private readonly idle = Latch.makeUnsafe(true)
  private readonly over = Latch.makeUnsafe(false)
  private running = 0
  private isClosing = false
  private isOver = false
  private records: Array<Effect.Effect<A, E, R>> = []

  constructor(outer: OpenTransaction<A, E, R> | undefined) {
    this.outer = outer
  }

  /** Makes a record in this transaction; if it is over in the one around it, or outside of all. */
  readonly record = (record: Effect.Effect<A, E, R>): Effect.Effect<Exit.Exit<A, E>, never, R> =>
    Effect.suspend(() => {
      if (this.isOver) return recordIn(this.outer, record)
      if (this.isClosing) return Effect.andThen(this.over.await, this.record(record))
      this.running++
      this.idle.closeUnsafe()
      this.records.push(record)
      return Effect.tap(Effect.exit(record), () =>
        Effect.sync(() => {
          if (--this.running === 0) this.idle.openUnsafe()
        }))
    })

  /** Keeps records of an inner transaction that was committed into this one. */
  keep(records: ReadonlyArray<Effect.Effect<A, E, R>>): void {
    if (this.isOver) this.outer?.keep(records)
    else this.records.push(...records)
  }

  /** The last step inside the transaction. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosing = true
    return this.idle.await
  })

  /** The transaction was committed or rolled back: what was recorded in it. */
  end(): ReadonlyArray<Effect.Effect<A, E, R>> {
    this.isOver = true
    this.over.openUnsafe()
    return this.records
  }
}

/** Makes a record in a transaction, if there is one. */
export const recordIn = <A, E, R>(
  open: OpenTransaction<A, E, R> | undefined,
  record: Effect.Effect<A, E, R>
): Effect.Effect<Exit.Exit<A, E>, never, R> => open === undefined ? Effect.exit(record) : open.record(record)
