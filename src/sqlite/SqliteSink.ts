/**
 * Stores sealed events in a SQLite file.
 *
 * Success means committed and synced (WAL, `synchronous=FULL`). Many callers share one commit. Several processes may write
 * to one file; positions stay dense per log.
 *
 * An event that is emitted inside a transaction of the store's own `SqlClient` is written in that transaction: the change
 * and its event commit together or not at all, and the receipt says `with-transaction`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { AuditError, type AuditReason, SinkClosed, SinkRejected, SinkTimeout } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import { EventSink, type Evidence } from "../EventSink.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { Entropy } from "../internal/entropy.ts"
import * as GroupCommit from "../internal/groupCommit.ts"
import { eventTableOf, Refused } from "./eventTable.ts"
import { isBusy, Problem } from "./problem.ts"
import { backoff, goneAfterCommit, reasonOf, SqliteClient, type Transaction } from "./SqliteClient.ts"

/** Bounds of the sink. */
export interface Options {
  /** Names the deployment in the origin of its logs: a host name without scheme; `effect-audit.local` unless given. */
  readonly deployment?: string | undefined
  /** Events that may wait to be written; 8,192 unless given. Callers beyond it wait for room. */
  readonly capacity?: number | undefined
  /** Events that share one commit at most; 1,024 unless given. */
  readonly maxBatch?: number | undefined
}

/** The file is looked at before each commit, and once more after one that took longer than this. */
const goneMillis = 5

const method = "SqliteSink.append"
const deploymentPattern = /^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$/

/** Builds the sink; it closes with its scope, after draining for at most the client's deadline. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<EventSink["Service"], AuditError, SqliteClient | Scope.Scope> {
  const client = yield* SqliteClient
  const clock = yield* Clock.Clock
  const { filename, writer } = client
  const deployment = options.deployment ?? "effect-audit.local"
  if (!deploymentPattern.test(deployment)) {
    const reason = new SinkRejected({ detail: "deployment must be a host name of lower-case letters, digits, . and -" })
    return yield* new AuditError({ method: "SqliteSink.make", reason })
  }
  const table = eventTableOf(writer, yield* Entropy)
  table.deployment = deployment
  const begin = writer.prepare("BEGIN IMMEDIATE")
  const commit = writer.prepare("COMMIT")
  const failed = (event: Sealed, reason: AuditReason) => new AuditError({ method, eventId: event.eventId, reason })
  const rollback = () => {
    table.forget()
    if (writer.isTransaction) writer.exec("ROLLBACK")
  }

  type Batch = ReadonlyArray<GroupCommit.Entry<Sealed, Evidence>>
  const settleAll = (batch: Batch, reason: AuditReason) => {
    for (const entry of batch) entry.settle(Exit.fail(failed(entry.value, reason)))
  }

  /** Writes a batch in the transaction that is open, and commits it. Nobody is answered before that. */
  const write = (batch: Batch): void => {
    let committing = false
    const outcomes: Array<Evidence | Refused> = []
    try {
      table.begin()
      const now = clock.currentTimeMillisUnsafe()
      for (let i = 0; i < batch.length; i++) outcomes.push(table.append(batch[i]!.value, now, "committed"))
      const gone = client.gone()
      if (gone !== undefined) {
        rollback()
        return settleAll(batch, gone)
      }
      committing = true
      commit.run()
    } catch (cause) {
      const reason = reasonOf(new Problem({ cause }), filename, committing)
      rollback()
      return settleAll(batch, reason)
    }
    const gone = client.gone(goneMillis)
    if (gone !== undefined) return settleAll(batch, goneAfterCommit(gone))
    for (let i = 0; i < batch.length; i++) {
      const outcome = outcomes[i]!
      const { settle, value } = batch[i]!
      settle(outcome instanceof Refused ? Exit.fail(failed(value, outcome.reason)) : Exit.succeed(outcome))
    }
  }

  /** One commit; entries stay in the queue, with their deadline, until the lock is held. Answers whether to wait for it. */
  const commitOnce = (waiting: GroupCommit.Waiting<Sealed, Evidence>): boolean => {
    if (waiting.isEmpty()) return false
    try {
      begin.run()
    } catch (cause) {
      if (isBusy(cause)) return true
      settleAll(waiting.take(), reasonOf(new Problem({ cause }), filename, false))
      return false
    }
    write(waiting.take())
    return false
  }

  const append = yield* GroupCommit.make<Sealed, Evidence>({
    capacity: options.capacity ?? 8192,
    maxBatch: options.maxBatch ?? 1024,
    deadline: client.deadlineMillis,
    method,
    write: (waiting) => {
      const go = (tries: number): Effect.Effect<void> =>
        Effect.flatMap(
          client.exclusively(Effect.sync(() => commitOnce(waiting))),
          (busy) => busy ? Effect.andThen(Effect.sleep(backoff(tries)), go(tries + 1)) : Effect.void
        )
      return go(0)
    }
  })

  let closed = false
  yield* Effect.addFinalizer(() => Effect.sync(() => closed = true))

  /** Writes on the caller's transaction, past the queue. */
  const join = (event: Sealed, transaction: Transaction): Effect.Effect<Evidence, AuditError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(failed(event, new SinkClosed({ detail: "the sink is closed" })))
      const write = {}
      let outcome: Evidence | Refused
      try {
        outcome = table.join(event, clock.currentTimeMillisUnsafe(), transaction.connection, write)
      } catch (cause) {
        return Effect.fail(failed(event, reasonOf(new Problem({ cause }), filename, false)))
      }
      const evidence = outcome instanceof Refused ? Effect.fail(failed(event, outcome.reason)) : Effect.succeed(outcome)
      return Effect.andThen(client.sql.afterCommit(Effect.sync(() => table.committed(write))), evidence)
    })

  /** Another fiber's savepoint is open in the same transaction, and could take the event with it: waits for its end. */
  const joinWhenInnermost = (
    event: Sealed,
    context: Context.Context<never>,
    until: number
  ): Effect.Effect<Evidence, AuditError> =>
    Effect.suspend(() => {
      const transaction = client.transactionOf(context)
      if (transaction === undefined) return append(event)
      if (transaction.innermost) return join(event, transaction)
      return clock.currentTimeMillisUnsafe() > until
        ? Effect.fail(failed(event, new SinkTimeout({ detail: "a nested transaction of another fiber did not end" })))
        : Effect.andThen(Effect.sleep(1), joinWhenInnermost(event, context, until))
    })

  const sink = EventSink.of({
    append: (event) =>
      Effect.withFiber((fiber) =>
        client.transactionOf(fiber.context) === undefined
          ? append(event)
          : joinWhenInnermost(event, fiber.context, clock.currentTimeMillisUnsafe() + client.deadlineMillis)
      ),
    transact: client.transact
  })
  keepsDeadline.add(sink)
  return sink
})

/** The sink, with its default bounds. */
export const layer: Layer.Layer<EventSink, AuditError, SqliteClient> = Layer.effect(EventSink, make())

/** The sink, with other bounds. */
export const layerWith = (options: Options): Layer.Layer<EventSink, AuditError, SqliteClient> =>
  Layer.effect(EventSink, make(options))
