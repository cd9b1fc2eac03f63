/**
 * Stores sealed events in PostgreSQL.
 *
 * Success means committed: the sink refuses a connection whose commits are not durable when they return. Many callers
 * share one statement, of many logs too; positions are dense per log, whatever number of processes writes.
 *
 * An event that is emitted inside a transaction of the application's client is written in that transaction: the change
 * and its event commit together or not at all, and the receipt says `with-transaction`.
 *
 * **Gotchas**
 *
 * Such a transaction holds the lock of the log until it ends, in any process: other events of that log wait for it,
 * those of other logs do not. With `outbox` it does not: the event waits in a table until the transaction has
 * committed.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError, InvalidInput, SinkClosed, SinkTimeout } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import { EventSink, type Evidence, refusal, refusalInside } from "../EventSink.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { Entropy } from "../internal/entropy.ts"
import * as GroupCommit from "../internal/groupCommit.ts"
import { rowOf } from "../internal/sealedRow.ts"
import { exitOf, failed } from "../internal/settling.ts"
import * as Origin from "../ledger/Origin.ts"
import { SignerState } from "../ledger/Signer.ts"
import { durableCommits } from "./append.ts"
import { Appender } from "./appender.ts"
import { atOnce, Committer, keyOf } from "./committer.ts"
import { Commits, Database, InTransaction } from "./database.ts"
import { hasOutbox, mayWait, NotYet, Outbox, prepare as prepareOutbox } from "./outbox.ts"
import { make as writePolicy } from "./PostgresWritePolicy.ts"
import { failing, reasonOf } from "./problem.ts"

/** Bounds of the sink. */
export interface Options {
  /** Names the deployment in the origin of its logs: a host name without scheme; `effect-audit.local` unless given. */
  readonly deployment?: string | undefined
  /** Events that may wait to be written; 8,192 unless given. Callers beyond it wait for room. */
  readonly capacity?: number | undefined
  /** Events that share one commit at most; 1,024 unless given. */
  readonly maxBatch?: number | undefined
  /**
   * Accepts a server or a session that says success before data is on disk (`fsync` or `synchronous_commit` off): a
   * crash of the server then loses events that were acknowledged. Not unless given.
   */
  readonly acceptsLosingAcknowledgedEvents?: boolean | undefined
  /**
   * Whether an event that is emitted in a transaction waits in a table until that has committed, and then goes into its
   * log: a long transaction holds no log up. The receipt has no position. Not unless given.
   */
  readonly outbox?: boolean | undefined
}

const method = "EventSink.append"

/** Writes to the log on the caller's transaction. */
const locking = (appender: Appender, committer: Committer) => (event: Sealed) =>
  Effect.flatMap(Clock.currentTimeMillis, (millis) => {
    const row = rowOf(event)
    // What this transaction adds to the tree is not remembered: it may be rolled back.
    const seen = committer.seen(keyOf(event))
    const before = seen === undefined ? undefined : { ...seen, frontier: undefined }
    const appended = appender.append(row, () => {
      event.try()
      return [row]
    }, { before, durability: "with-transaction", millis })
    return Effect.flatMap(
      appended,
      ({ outcomes: [outcome] }) =>
        outcome === undefined ? Effect.die("the event has no outcome") : exitOf(event, outcome, "with-transaction")
    )
  })

/** Writes on the caller's transaction, past the queue: to the outbox, if there is one, or to the log. */
const joining = (
  { appender, committer, isClosed, outbox, told }: {
    readonly appender: Appender
    readonly committer: Committer
    readonly outbox: Outbox | undefined
    readonly isClosed: () => boolean
    readonly told: Commits["Service"]["tell"]
  }
) => {
  const { database } = appender.options
  const toLog = locking(appender, committer)
  return (event: Sealed): Effect.Effect<Evidence, AuditError> =>
    Effect.suspend(() => {
      if (isClosed()) return Effect.fail(failed(event, new SinkClosed({ detail: "the sink is closed" })))
      const waits = outbox !== undefined && mayWait(event)
      // Where it went to the log after all, looking at the outbox costs nothing.
      const committed = Effect.andThen(
        waits ? outbox.wake : Effect.void,
        Effect.sync(() => told(new Set([keyOf(event)])))
      )
      // In a savepoint of its own: what is refused leaves the transaction as it was, and another fiber's savepoint,
      // which could take the event with it, ends first.
      const toLogNow = database.inTransaction(toLog(event))
      const written: Effect.Effect<Evidence, AuditError | SqlError> = waits
        ? Effect.catch(
          database.inTransaction(outbox.keep(event)),
          (error) => error instanceof NotYet ? toLogNow : Effect.fail(error)
        )
        : toLogNow
      return Effect.timeoutOrElse(Effect.interruptible(written), {
        duration: database.deadlineMillis,
        orElse: () =>
          Effect.fail(
            new AuditError({
              method,
              reason: new SinkTimeout({
                detail: waits
                  ? `the event was not taken within ${database.deadlineMillis} ms`
                  : `the log was locked for ${database.deadlineMillis} ms`
              })
            })
          )
      }).pipe(
        Effect.mapError((error) =>
          failed(
            event,
            error instanceof AuditError ? error.reason : reasonOf(error, "PostgreSQL did not take the event", false)
          )
        ),
        // It dies in a level that has ended, below one that has not: then followers look by themselves.
        Effect.tap(
          Effect.catchDefect(database.sql.afterCommit(committed), () => Effect.void)
        )
      )
    })
}

/** Builds the sink; it closes with its scope, after draining for at most the deadline. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<EventSink["Service"], AuditError, Database | Commits | SignerState | Scope.Scope> {
  const database = yield* Database
  const deployment = options.deployment ?? "effect-audit.local"
  if (!Origin.isDeployment(deployment)) {
    const detail = "must be a host name of lower-case letters, digits, . and -"
    return yield* new AuditError({
      method: "PostgresSink.make",
      reason: new InvalidInput({ path: "/deployment", detail })
    })
  }
  const { tell } = yield* Commits
  const signer = yield* SignerState
  const appender = new Appender({
    database,
    deployment,
    entropy: yield* Entropy,
    commits: options.acceptsLosingAcknowledgedEvents === true ? [...durableCommits, "off"] : durableCommits,
    signedHead: (origin) =>
      Origin.is(origin) ? Effect.provideService(signer.last(origin), InTransaction, true) : Effect.undefined
  })
  const committer = new Committer(appender, tell)
  const append = yield* GroupCommit.make<Sealed, Evidence>({
    capacity: options.capacity ?? 8192,
    maxBatch: options.maxBatch ?? 1024,
    deadline: database.deadlineMillis,
    method,
    eager: () => atOnce,
    keyOf,
    write: committer.write
  })
  let closed = false
  yield* Effect.addFinalizer(() => Effect.sync(() => closed = true))
  const waitsInOutbox = options.outbox === true
  const outbox = new Outbox(appender, tell)
  if (waitsInOutbox) yield* prepareOutbox(database, "PostgresSink.make")
  // What others have put there moves, whoever is there to move it.
  if (waitsInOutbox || (yield* Effect.mapError(hasOutbox(database), failing("PostgresSink.make")))) {
    yield* Effect.addFinalizer(() => database.outside(outbox.closing))
    yield* Effect.forkScoped(database.outside(outbox.draining))
  }
  const join = joining({
    appender,
    committer,
    outbox: waitsInOutbox ? outbox : undefined,
    isClosed: () => closed,
    told: tell
  })
  const service = EventSink.of({
    append: (event) =>
      Effect.withFiber((fiber) => {
        const refused = refusal(method, event)
        if (refused !== undefined) return Effect.fail(refused)
        if (database.transactionOf(fiber.context) === undefined) return append(event)
        const inside = refusalInside(method, event)
        return inside === undefined ? join(event) : Effect.fail(inside)
      }),
    policy: yield* writePolicy
  })
  keepsDeadline(service, database.deadlineMillis)
  return service
})

/** The sink. */
export const layer = (
  options?: Options | undefined
): Layer.Layer<EventSink, AuditError, Database | Commits | SignerState> => Layer.effect(EventSink, make(options))
