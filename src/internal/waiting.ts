/** What waits for a commit, and what its writer sees of it. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { AuditError } from "../AuditError.ts"

/** One caller's value on its way. `settle` ends the caller's wait; only the first call counts. */
export interface Entry<A, B> {
  readonly value: A
  readonly settle: (exit: Exit.Exit<B, AuditError>) => void
}

/** What a writer sees of the queue. */
export interface Waiting<A, B> {
  /** Takes what waits, oldest first; from now on the outcome of these is the writer's. */
  readonly take: () => ReadonlyArray<Entry<A, B>>
  /** Gives back what was taken, all of it unless given, in its order: nothing has been done with it. */
  readonly giveBack: (entries?: ReadonlyArray<Entry<A, B>> | undefined) => void
  readonly isEmpty: () => boolean
  /** Writes the entries of a key apart: until `write` has ended, it alone takes them. */
  readonly apart: (key: string, write: Write<A, B>) => void
  /** The medium is free, before what was taken is settled: the next commit may begin. */
  readonly free: () => void
}

/** Commits what it takes, and never fails. */
export type Write<A, B> = (waiting: Waiting<A, B>) => Effect.Effect<void>

/** A call that waits, is written, or has its outcome. */
export class Pending<A, B> implements Entry<A, B> {
  readonly value: A
  /** What it has in common with entries that may be held up together. */
  readonly key: string | undefined
  readonly expiresAt: number
  /** The place of its call among all. */
  readonly order: number
  state: "waiting" | "writing" | "settled" = "waiting"
  private readonly resume: (exit: Exit.Exit<B, AuditError>) => void
  constructor(
    value: A,
    key: string | undefined,
    order: number,
    expiresAt: number,
    resume: (exit: Exit.Exit<B, AuditError>) => void
  ) {
    this.value = value
    this.key = key
    this.order = order
    this.expiresAt = expiresAt
    this.resume = resume
  }
  readonly settle = (exit: Exit.Exit<B, AuditError>): void => {
    if (this.state === "settled") return
    this.state = "settled"
    this.resume(exit)
  }
}
