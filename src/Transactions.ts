/**
 * With the caller's own writes, or not at all.
 *
 * A medium that has transactions provides this service beside its `EventSink`: what an effect writes to the medium's
 * store and the events that it records commit together or not at all. It is a requirement of its own, so that a program
 * that needs transactions does not compile over a sink that has none.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AuditError } from "./AuditError.ts"

/** Transactions of a medium's store. */
export class Transactions extends Context.Service<Transactions, {
  /**
   * Runs an effect in a transaction. Durable once it succeeds; rolled back, with everything inside, if the effect
   * fails, dies or is interrupted. A transaction inside another is a part of it that can be rolled back alone.
   * `CommitUnknown` says that the commit may have happened; the errors of a sink, that it has not.
   */
  readonly transact: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AuditError, R>
}>()("effect-audit/Transactions") {}

/** Runs an effect in a transaction: its writes and its events commit together or not at all. */
export const transact = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | AuditError, R | Transactions> =>
  Effect.flatMap(Transactions, (transactions) => transactions.transact(effect))
