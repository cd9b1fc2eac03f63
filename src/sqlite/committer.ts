/**
 * Commits what waits in a sink's queue, in transactions of the sink's own: in this thread, or in one of its own, so
 * that the disk does not hold up the process.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { AuditError, type AuditReason, CommitUnknown, SinkUnavailable } from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import type { Evidence } from "../EventSink.ts"
import { type Committed, decodeReply, type Reply } from "../internal/committed.ts"
import { removed } from "../internal/files.ts"
import type * as GroupCommit from "../internal/groupCommit.ts"
import { pack, rowsOf, type SealedRow } from "../internal/sealedRow.ts"
import { settleAll, settleEach } from "../internal/settling.ts"
import { Starter, Thread, type ThreadFailed } from "../internal/thread.ts"
import { Commits } from "./commit.ts"
import { type ClientConnection, noHead } from "./connection.ts"
import type { Writing } from "./eventTable.ts"
import type { Ask, Start } from "./messages.ts"
import { attempt, goneAfterCommit, Problem, reasonOf, untilFree } from "./problem.ts"

/** What a sink's ways of writing share. */
export interface Sink {
  readonly client: ClientConnection
  readonly clock: Clock.Clock
  readonly writing: Pick<Writing, "deployment" | "signedHead">
}

type Waiting = GroupCommit.Waiting<Sealed, Evidence>
type Commit = (rows: ReadonlyArray<SealedRow>) => Effect.Effect<Committed, Problem | ThreadFailed>

/** How a sink commits, and whether now beside this thread. */
interface Committing {
  readonly commit: Commit
  readonly isBeside: () => boolean
}

/** Commits in this thread, on the connection that the application's transactions have too. */
const here = ({ client, clock, writing }: Sink): Commit => {
  const commits = new Commits(client)
  return (rows) =>
    Effect.sync(() =>
      commits.commit(rows, { ...writing, millis: clock.currentTimeMillisUnsafe(), durability: "committed" })
    )
}

/** Commits in a thread with a connection of its own. */
const there = ({ clock, writing }: Sink, thread: Thread<Ask, Reply>): Commit => {
  const { signedHead } = writing
  const commit = (rows: ReadonlyArray<SealedRow>, heads: Ask["heads"]): ReturnType<Commit> =>
    Effect.suspend(() => {
      const packed = pack(rows)
      const asked = thread.ask({ rows: packed, millis: clock.currentTimeMillisUnsafe(), heads }, [packed.bytes])
      return Effect.flatMap(asked, (reply) => {
        const committed = decodeReply(reply)
        if (committed._tag !== "Asks") return Effect.succeed(committed)
        const more = attempt(() => committed.origins.map((origin) => [origin, signedHead(origin)] as const))
        return Effect.flatMap(more, (more) => commit(rows, new Map([...heads ?? [], ...more])))
      })
    })
  const known: Ask["heads"] = signedHead === noHead ? undefined : new Map()
  return (rows) => commit(rows, known)
}

/** Commits here until the thread is there, which is started once it is worth it. */
const hereOrThere = (sink: Sink, thread: Thread<Ask, Reply>): Effect.Effect<Committing> =>
  Effect.map(Effect.context<never>(), (services) => {
    const [inProcess, inThread] = [here(sink), there(sink, thread)]
    const starter = new Starter(thread, (detail) => {
      const warning = `effect-audit: ${detail}; events are written in the process, and the disk holds it up`
      return Effect.provideContext(Effect.logWarning(warning), services)
    })
    const commit: Commit = (rows) => {
      if (thread.isUp) return inThread(rows)
      const began = performance.now()
      starter.startIfWorth(began)
      return Effect.map(inProcess(rows), (committed) => {
        starter.wasHeldUp(performance.now() - began)
        return committed
      })
    }
    return { commit, isBeside: () => thread.isUp }
  })

/** Where a sink commits. */
export interface Place {
  /** The file of the thread; none to commit in this one. */
  readonly url: URL | undefined
  /** Whether the thread must be there from the beginning. */
  readonly required: boolean
}

/** How a sink commits; fails where a thread is required that does not start. */
const placed = Effect.fnUntraced(function*(
  sink: Sink,
  { required, url }: Place
): Effect.fn.Return<Committing, AuditError, Scope.Scope> {
  if (url === undefined) return { commit: here(sink), isBeside: () => false }
  const { deadlineMillis, filename, identity } = sink.client
  const data: Start = { filename, identity, deadlineMillis, deployment: sink.writing.deployment }
  const thread = new Thread<Ask, Reply>({ url, data, deadlineMillis })
  yield* Effect.addFinalizer(() => thread.close)
  if (required) {
    yield* Effect.mapError(
      thread.start,
      ({ detail }) => new AuditError({ method: "SqliteSink.make", reason: new SinkUnavailable({ detail }) })
    )
  }
  return yield* hereOrThere(sink, thread)
})

/** What a failure on the way to the commit, or back, means for the events. */
const reasonOfFailure = (failure: Problem | ThreadFailed, filename: string): AuditReason =>
  failure._tag === "Problem"
    ? reasonOf(failure, filename, false)
    : failure.isSent
    ? new CommitUnknown({ detail: failure.detail })
    : new SinkUnavailable({ detail: failure.detail })

/** Why none of a batch was stored, if so. */
const reasonFor = (committed: Committed, filename: string): AuditReason | undefined => {
  switch (committed._tag) {
    case "Failed":
      return reasonOf(new Problem({ cause: committed.cause }), filename, committed.committing)
    case "Gone":
      return committed.committed ? goneAfterCommit(removed(filename)) : removed(filename)
    default:
      return undefined
  }
}

/** One commit. While another process holds the lock, entries stay in the queue, with their deadline. */
const once =
  ({ exclusively, filename }: ClientConnection, commit: Commit) => (waiting: Waiting): Effect.Effect<void> => {
    const step = Effect.suspend(() => {
      if (waiting.isEmpty()) return Effect.void
      const batch = waiting.take()
      return Effect.flatMap(Effect.result(commit(rowsOf(batch.map(({ value }) => value)))), (result) => {
        if (Result.isSuccess(result) && result.success._tag === "NotBegun") {
          waiting.giveBack()
          return Effect.fail(new Problem({ cause: result.success.cause }))
        }
        // From now on the store may hold them, whatever is said of this try.
        for (const { value } of batch) value.try()
        if (Result.isFailure(result)) settleAll(batch, reasonOfFailure(result.failure, filename))
        else {
          const reason = reasonFor(result.success, filename)
          if (reason !== undefined) settleAll(batch, reason)
          else if (result.success._tag === "Committed") settleEach(batch, result.success.outcomes)
        }
        return Effect.void
      })
    })
    return Effect.catch(
      untilFree(exclusively(step), Infinity),
      (problem) => Effect.sync(() => settleAll(waiting.take(), reasonOf(problem, filename, false)))
    )
  }

/** Fewer events than these begin no commit before the turn of the event loop ends. */
const fewest = 32

/** Commits what waits, for as long as the scope; and when, for a queue. */
export const make = (
  sink: Sink,
  place: Place
): Effect.Effect<Pick<GroupCommit.Writer<Sealed, Evidence>, "write" | "eager">, AuditError, Scope.Scope> =>
  Effect.map(placed(sink, place), ({ commit, isBeside }) => ({
    write: once(sink.client, commit),
    // Callers that all go on in one turn would else come in one commit: this thread and the other would take turns.
    eager: (inFlight) => isBeside() ? Math.max(fewest, inFlight / 2) : Infinity
  }))
