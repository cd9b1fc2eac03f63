/**
 * Stores sealed events in a SQLite file.
 *
 * Success means committed and synced (WAL, `synchronous=FULL`). Many callers share one commit. Several processes may
 * write to one file; positions stay dense per log.
 *
 * An event that is emitted inside a transaction of the store's own `SqlClient` is written in that transaction: the
 * change and its event commit together or not at all, and the receipt says `with-transaction`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { StatementSync } from "node:sqlite"
import { AuditError, type AuditReason, InvalidInput, SinkClosed, SinkRejected, SinkTimeout } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import { EventSink, type Evidence, refusal, refusalInside } from "../EventSink.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { Refused } from "../internal/duplicate.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import * as GroupCommit from "../internal/groupCommit.ts"
import * as Origin from "../ledger/Origin.ts"
import { type ClientConnection, connectionOf, SignedHeads, type Transaction } from "./connection.ts"
import type { Writing } from "./eventTable.ts"
import { attempt, goneAfterCommit, Problem, reasonOf, untilFree } from "./problem.ts"
import { SqliteClient } from "./SqliteClient.ts"
import { make as writePolicy } from "./SqliteWritePolicy.ts"

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

const method = "EventSink.append"
const lost = "SQLite has ended the transaction that the event belongs to before its effect ended: run it again"
const failed = (event: Sealed, reason: AuditReason) => new AuditError({ method, eventId: event.eventId, reason })

/** What the sink's two ways of writing share. */
interface Sink {
  readonly client: ClientConnection
  readonly clock: Clock.Clock
  readonly writing: Pick<Writing, "deployment" | "signedHead">
}

type Batch = ReadonlyArray<GroupCommit.Entry<Sealed, Evidence>>

/** Tells all of a batch why it failed. */
const settleAll = (batch: Batch, reason: AuditReason) => {
  for (const { settle, value } of batch) settle(Exit.fail(failed(value, reason)))
}

/** Commits batches in transactions of the sink's own. */
class Committer {
  private readonly sink: Sink
  private readonly begin: StatementSync
  private readonly commit: StatementSync

  constructor(sink: Sink) {
    this.sink = sink
    this.begin = sink.client.writer.prepare("BEGIN IMMEDIATE")
    this.commit = sink.client.writer.prepare("COMMIT")
  }

  private rollback(): void {
    const { table, writer } = this.sink.client
    table.forget()
    if (writer.isTransaction) writer.exec("ROLLBACK")
  }

  /** Writes a batch in the transaction that is open, and commits it. No caller hears of success before that. */
  private write(batch: Batch): void {
    const { client, clock, writing } = this.sink
    const { filename, table } = client
    let committing = false
    const outcomes: Array<Evidence | Refused> = []
    try {
      table.begin()
      const each: Writing = { ...writing, millis: clock.currentTimeMillisUnsafe(), durability: "committed" }
      for (let i = 0; i < batch.length; i++) outcomes.push(table.append(batch[i]!.value, each))
      const gone = client.gone()
      if (gone !== undefined) {
        this.rollback()
        return settleAll(batch, gone)
      }
      committing = true
      this.commit.run()
    } catch (cause) {
      const reason = reasonOf(new Problem({ cause }), filename, committing)
      this.rollback()
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

  /** One commit. While another process holds the lock, entries stay in the queue, with their deadline. */
  once(waiting: GroupCommit.Waiting<Sealed, Evidence>): Effect.Effect<void> {
    const { exclusively, filename, writer } = this.sink.client
    const begin = () => {
      // The connection is the application's as well, which may have set it otherwise.
      writer.exec("PRAGMA synchronous = FULL")
      this.begin.run()
    }
    const step = Effect.flatMap(
      Effect.suspend(() => waiting.isEmpty() ? Effect.succeed(false) : Effect.as(attempt(begin), true)),
      (begun) => Effect.sync(() => begun ? this.write(waiting.take()) : undefined)
    )
    return Effect.catch(
      untilFree(exclusively(step), Infinity),
      (problem) => Effect.sync(() => settleAll(waiting.take(), reasonOf(problem, filename, false)))
    )
  }
}

/** Writes on the caller's transaction, past the queue. */
const joining = ({ client, clock, writing }: Sink, isClosed: () => boolean) => {
  const { deadlineMillis, filename, table, transactionOf } = client
  const join = (event: Sealed, transaction: Transaction): Effect.Effect<Evidence, AuditError> =>
    Effect.suspend(() => {
      if (isClosed()) return Effect.fail(failed(event, new SinkClosed({ detail: "the sink is closed" })))
      const write = {}
      let outcome: Evidence | Refused
      try {
        if (client.writer.prepare("PRAGMA synchronous").get()?.["synchronous"] !== 2) {
          return Effect.fail(
            failed(event, new SinkRejected({ detail: "the transaction is not synced: synchronous = FULL" }))
          )
        }
        const each: Writing = { ...writing, millis: clock.currentTimeMillisUnsafe(), durability: "with-transaction" }
        outcome = table.join(event, each, transaction.connection, write)
      } catch (cause) {
        return Effect.fail(failed(event, reasonOf(new Problem({ cause }), filename, false)))
      }
      const evidence = outcome instanceof Refused ? Effect.fail(failed(event, outcome.reason)) : Effect.succeed(outcome)
      return Effect.andThen(client.afterCommit(Effect.sync(() => table.committed(write))), evidence)
    })
  /** Another fiber's savepoint is open in the same transaction, and could take the event with it: waits for its end. */
  const whenInnermost = (
    event: Sealed,
    context: Context.Context<never>,
    until: number,
    append: EventSink["Service"]["append"]
  ): Effect.Effect<Evidence, AuditError> =>
    Effect.suspend(() => {
      const transaction = transactionOf(context)
      if (transaction === undefined) return append(event)
      if (transaction.innermost) return join(event, transaction)
      return elapsedMillis(clock) > until
        ? Effect.fail(failed(event, new SinkTimeout({ detail: "a nested transaction of another fiber did not end" })))
        : Effect.andThen(Effect.sleep(1), whenInnermost(event, context, until, append))
    })
  return (event: Sealed, context: Context.Context<never>, append: EventSink["Service"]["append"]) =>
    whenInnermost(event, context, elapsedMillis(clock) + deadlineMillis, append)
}

/** Builds the sink; it closes with its scope, after draining for at most the client's deadline. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<EventSink["Service"], AuditError, SqliteClient | Scope.Scope> {
  const client = connectionOf(yield* SqliteClient)
  const deployment = options.deployment ?? "effect-audit.local"
  if (!Origin.isDeployment(deployment)) {
    const detail = "must be a host name of lower-case letters, digits, . and -"
    return yield* new AuditError({
      method: "SqliteSink.make",
      reason: new InvalidInput({ path: "/deployment", detail })
    })
  }
  const sink: Sink = {
    client,
    clock: yield* Clock.Clock,
    writing: { deployment, signedHead: yield* SignedHeads }
  }
  const committer = new Committer(sink)
  const append = yield* GroupCommit.make<Sealed, Evidence>({
    capacity: options.capacity ?? 8192,
    maxBatch: options.maxBatch ?? 1024,
    deadline: client.deadlineMillis,
    method,
    write: (waiting) => committer.once(waiting)
  })
  let closed = false
  yield* Effect.addFinalizer(() => Effect.sync(() => closed = true))
  const join = joining(sink, () => closed)
  const service = EventSink.of({
    append: (event) =>
      Effect.withFiber((fiber) => {
        const refused = refusal(method, event)
        if (refused !== undefined) return Effect.fail(refused)
        // It would wait for the connection, which its own transaction keeps.
        if (client.isLost(fiber.context)) return Effect.fail(failed(event, new SinkRejected({ detail: lost })))
        if (client.transactionOf(fiber.context) === undefined) return append(event)
        const inside = refusalInside(method, event)
        return inside === undefined ? join(event, fiber.context, append) : Effect.fail(inside)
      }),
    policy: yield* writePolicy
  })
  keepsDeadline(service, client.deadlineMillis)
  return service
})

/** The sink. */
export const layer = (options?: Options | undefined): Layer.Layer<EventSink, AuditError, SqliteClient> =>
  Layer.effect(EventSink, make(options))
