/**
 * Going on after a loss: a stopped log gets a new origin from its present size on.
 *
 * The next entry is `audit.log_resumed`, which says what was signed before, what is missing of it, and why the log goes
 * on. The tree goes on over the same leaves, so that checkpoints of before still verify up to that size; the signer
 * never signs the old origin again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import {
  AuditError,
  type AuditReason,
  type IntegrityError,
  InvalidInput,
  SignerRefused,
  SinkRejected
} from "../AuditError.ts"
import { ReadDraft } from "../internal/draft.ts"
import { Entropy } from "../internal/entropy.ts"
import { LoggingEngine, type Receipt } from "../LoggingEngine.ts"
import { type LogName, RequestContext } from "../RequestContext.ts"
import { WritePolicy } from "../WritePolicy.ts"
import { breach, type Head } from "./extends.ts"
import { type Log, LogStore } from "./LogStore.ts"
import * as Origin from "./Origin.ts"
import { Signer } from "./Signer.ts"
import { openCheckpoint } from "./SigningKey.ts"
import { TreeReader } from "./treeReader.ts"

/** How to go on. */
export interface ResumeOptions {
  /** Why; recorded. */
  readonly reason: string
  /** The last checkpoint that is known of the old log; what the signer's state knows unless given. */
  readonly old?: string | undefined
}

/** How a log went on. */
export interface Resumed {
  /** Of `audit.log_resumed`. */
  readonly receipt: Receipt
  /** The origin that the log goes on under. */
  readonly origin: string
  readonly oldOrigin: string
  /**
   * Entries that were signed and are not in the store, at least: where a log took others after the loss, nobody can say
   * how many they replaced.
   */
  readonly missing: number
}

const method = "Ledger.resume"
const refuse = (reason: AuditReason) => new AuditError({ method, reason })
const invalid = (path: string, detail: string) => refuse(new InvalidInput({ path, detail }))

/** What was signed last of the log that goes on. */
interface Old {
  readonly origin: string
  readonly head: Head
}

/** What is to be gone on from: the checkpoint that was given, or what the signer knows. */
const oldOf = Effect.fnUntraced(function*(
  name: LogName,
  found: Log | undefined,
  old: string | undefined
): Effect.fn.Return<Old, AuditError, LogStore | Signer> {
  const signer = yield* Signer
  const there = new Set((yield* (yield* LogStore).logs).flatMap(({ origins }) => origins.map(({ origin }) => origin)))
  if (old !== undefined) {
    const opened = openCheckpoint(old, signer.vkey)
    if (opened._tag === "Failure") return yield* invalid("/old", `it cannot be trusted: ${opened.failure}`)
    const { origin, root, size } = opened.success
    const known = (yield* signer.origins).find((signed) => signed.origin === origin)
    const of = known?.name
    if (known?.isEnded === true && origin !== found?.origin) {
      return yield* invalid("/old", "another log went on from it already")
    }
    if (of !== undefined && (of.tenantId !== name.tenantId || of.env !== name.env)) {
      return yield* invalid("/old", "it is of another tenant's log, or of another env")
    }
    if (origin !== found?.origin && there.has(origin)) {
      return yield* invalid("/old", "it is of another log of this store, or of what this one was before")
    }
    return { origin, head: { size, root } }
  }
  const known = (yield* signer.origins).filter(({ isEnded, name: of, origin }) =>
    // Ended and still the log's: a transaction in which it was resumed was rolled back.
    origin === found?.origin ||
    (!isEnded && !there.has(origin) && of?.tenantId === name.tenantId && of.env === name.env)
  )
  const lost = known.find(({ origin }) => origin !== found?.origin) ?? known[0]
  return lost ?? (yield* invalid("/old", "the signer's state knows nothing of this log: give its last checkpoint"))
})

/** How many entries were lost at least; fails where none were, and the log takes events. */
const lossOf = Effect.fnUntraced(function*(
  found: Log,
  { head, origin }: Old
): Effect.fn.Return<number, AuditError | IntegrityError, LogStore> {
  if (origin !== found.origin) return head.size
  const tree = new TreeReader(yield* LogStore)
  const broken = yield* Effect.result(tree.compute(found, found.size, (read) => breach(found.size, [head], read)))
  if (Result.isFailure(broken) || broken.success !== undefined) return Math.max(1, head.size - found.size)
  if (found.stopped !== undefined) return 0
  return yield* invalid("", "the log is what was signed, and takes events: there is nothing to resume")
})

const recordOf = (
  { reason }: ResumeOptions,
  { head, origin: oldOrigin }: Old,
  { missing, size }: { readonly missing: number; readonly size: number },
  more: { readonly origin?: string; readonly policy?: string } = {}
) =>
  ReadDraft.own({ action: "audit.log_resumed", input: { reason } }, {
    ...more,
    old_origin: oldOrigin,
    old_size: head.size,
    old_root: Buffer.from(head.root).toString("base64"),
    size,
    missing
  })

/** Lets the log that is there go on under a new origin. */
const goOn = Effect.fnUntraced(function*(options: ResumeOptions, found: Log, old: Old, missing: number) {
  const [store, signer, engine] = [yield* LogStore, yield* Signer, yield* LoggingEngine]
  const now = yield* Clock.currentTimeMillis
  const deployment = found.origin.slice(0, found.origin.indexOf("/log/"))
  const origin = Origin.make(deployment, (yield* Entropy).bytes(16))
  // It may have changed while the log was stopped, and could not be told.
  const written = yield* Effect.flatMap(
    Effect.serviceOption(WritePolicy),
    (found) => Option.isNone(found) ? Effect.succeed(undefined) : found.value.current
  )
  const policy = written === undefined || written.changes === 0 ? {} : { policy: written.fingerprint }
  const receipt = yield* store.change(
    found.name,
    Effect.fnUntraced(function*(writer, log) {
      yield* writer.resume(log, origin, now)
      const loss = { missing, size: log.size }
      const receipt = yield* engine.log(ReadDraft.for(engine, recordOf(options, old, loss, { origin, ...policy })))
      if (receipt.position !== log.size) {
        const detail = "the engine records to another store than the one that is changed"
        return yield* refuse(new SinkRejected({ detail }))
      }
      // Before the change is committed: it may be repeated, and what is ended is never signed.
      if (old.origin === found.origin) yield* signer.end(old.origin, old.head, found.name)
      return receipt
    })
  )
  // A log that is gone is missed until the record of it is committed.
  if (old.origin !== found.origin && (yield* store.log(found.name))?.origin === origin) {
    yield* signer.end(old.origin, old.head, found.name)
  }
  return { receipt, origin, missing }
})

/**
 * Lets the log of the context go on after a loss: a backup was restored, or rows are gone. Of a log that is gone as a
 * whole, its tenant's new log goes on. Fails with `InvalidInput` where nothing was lost.
 */
export const resumeLog = Effect.fn(method)(function*(
  options: ResumeOptions
): Effect.fn.Return<Resumed, AuditError | IntegrityError, LogStore | Signer | LoggingEngine | RequestContext> {
  if (typeof options.reason !== "string" || options.reason.trim() === "") {
    return yield* invalid("/reason", "must say why")
  }
  const [store, signer, engine] = [yield* LogStore, yield* Signer, yield* LoggingEngine]
  const { env, tenantId } = yield* RequestContext
  const found = yield* store.log({ tenantId, env })
  const old = yield* oldOf({ tenantId, env }, found, options.old)
  if (found !== undefined) {
    return { ...(yield* goOn(options, found, old, yield* lossOf(found, old))), oldOrigin: old.origin }
  }
  // Nothing is left of the log: a new one begins, whose own origin it goes on under.
  const receipt = yield* engine.log(ReadDraft.for(engine, recordOf(options, old, { missing: old.head.size, size: 0 })))
  const begun = yield* store.log({ tenantId, env })
  if (begun === undefined) {
    return yield* refuse(
      new SignerRefused({ detail: "the engine records to another store than the one that is resumed" })
    )
  }
  // After the record: what is ended is not missed any more.
  yield* signer.end(old.origin, old.head, begun.name)
  return { receipt, origin: begun.origin, oldOrigin: old.origin, missing: old.head.size }
})
