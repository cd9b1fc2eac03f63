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
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { existsSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { AuditError, InvalidInput, SinkClosed, SinkRejected, SinkTimeout } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import { EventSink, type Evidence, refusal, refusalInside } from "../EventSink.ts"
import type { Appended } from "../internal/committed.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import * as GroupCommit from "../internal/groupCommit.ts"
import { rowOf } from "../internal/sealedRow.ts"
import { exitOf, failed } from "../internal/settling.ts"
import * as Origin from "../ledger/Origin.ts"
import * as Committer from "./committer.ts"
import { connectionOf, SignedHeads, type Transaction } from "./connection.ts"
import type { Writing } from "./eventTable.ts"
import { Problem, reasonOf } from "./problem.ts"
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
  /**
   * Whether commits run in a thread of their own, so that the disk does not hold up the process: from the beginning
   * (`true`), never (`false`), or, unless given, as soon as commits have held it up for 50 ms in all. In a bundle: the
   * file of the thread, which is `effect-audit/sqlite/writerThread`.
   */
  readonly thread?: boolean | string | URL | undefined
}

const method = "EventSink.append"
const lost = "SQLite has ended the transaction that the event belongs to before its effect ended: run it again"

/** The file of the thread beside this one, as a source or compiled; nowhere in a bundle. */
const besideThis = (): URL | undefined => {
  try {
    const url = new URL(import.meta.url.endsWith(".ts") ? "./writerThread.ts" : "./writerThread.js", import.meta.url)
    return existsSync(url) ? url : undefined
  } catch {
    // A bundle may have no URL of its own.
    return undefined
  }
}

const refused = (path: string, detail: string) =>
  new AuditError({ method: "SqliteSink.make", reason: new InvalidInput({ path, detail }) })

const placeOf = Effect.fnUntraced(function*(
  thread: Options["thread"]
): Effect.fn.Return<Committer.Place, AuditError> {
  if (thread === false) return { url: undefined, required: false }
  if (typeof thread === "string" || thread instanceof URL) {
    const url = typeof thread !== "string"
      ? thread
      : thread.startsWith("file:")
      ? URL.parse(thread)
      : pathToFileURL(thread)
    if (url === null) return yield* refused("/thread", "is no path and no file: URL")
    return existsSync(url) ? { url, required: true } : yield* refused("/thread", `there is no file ${url.href}`)
  }
  const url = besideThis()
  if (url === undefined) {
    const detail = "effect-audit/sqlite/writerThread is not beside this file, as in a bundle: name its file"
    if (thread === true) return yield* refused("/thread", detail)
    yield* Effect.logWarning(`effect-audit: ${detail} (option \`thread\`); until then the disk holds up the process`)
  }
  return { url, required: thread === true }
})

/** Writes on the caller's transaction, past the queue. */
const joining = ({ client, clock, writing }: Committer.Sink, isClosed: () => boolean) => {
  const { deadlineMillis, filename, table, transactionOf } = client
  const join = (event: Sealed, transaction: Transaction): Effect.Effect<Evidence, AuditError> =>
    Effect.suspend(() => {
      if (isClosed()) return Effect.fail(failed(event, new SinkClosed({ detail: "the sink is closed" })))
      const write = {}
      let outcome: Appended
      try {
        if (client.writer.prepare("PRAGMA synchronous").get()?.["synchronous"] !== 2) {
          return Effect.fail(
            failed(event, new SinkRejected({ detail: "the transaction is not synced: synchronous = FULL" }))
          )
        }
        const each: Writing = { ...writing, millis: clock.currentTimeMillisUnsafe(), durability: "with-transaction" }
        const row = rowOf(event)
        event.try()
        outcome = table.join(row, each, transaction.connection, write)
      } catch (cause) {
        return Effect.fail(failed(event, reasonOf(new Problem({ cause }), filename, false)))
      }
      return Effect.andThen(
        client.afterCommit(Effect.sync(() => table.committed(write))),
        exitOf(event, outcome, "with-transaction")
      )
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
        ? Effect.fail(
          failed(event, new SinkTimeout({ detail: "a nested transaction of another fiber did not end" }))
        )
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
    return yield* refused("/deployment", "must be a host name of lower-case letters, digits, . and -")
  }
  const sink: Committer.Sink = {
    client,
    clock: yield* Clock.Clock,
    writing: { deployment, signedHead: yield* SignedHeads }
  }
  const writer = yield* Committer.make(sink, yield* placeOf(options.thread))
  const append = yield* GroupCommit.make<Sealed, Evidence>({
    capacity: options.capacity ?? 8192,
    maxBatch: options.maxBatch ?? 1024,
    deadline: client.deadlineMillis,
    method,
    ...writer
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
        if (client.isLost(fiber.context)) {
          return Effect.fail(failed(event, new SinkRejected({ detail: lost })))
        }
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
