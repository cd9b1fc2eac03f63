/**
 * The ledger: one append-only Merkle log per tenant and env, that outsiders can verify.
 *
 * Every event that is stored is an entry of its log, in the same commit. A checkpoint, the signed head of the log's
 * tree, says what the log holds; a proof file shows to anyone, without the store, that an event is in it. The rules are
 * here, over `LogStore`; whichever medium holds the rows.
 *
 * `AuditError` says that something could not be done; `IntegrityError` that the evidence does not hold: never retry,
 * wake someone. A log whose tree does not extend its last signed head is stopped: it takes no more events
 * (`LogStopped`), while other logs go on, and reading and verifying too.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  AuditError,
  CheckpointInconsistent,
  HashMismatch,
  IntegrityError,
  type IntegrityReason,
  InvalidInput,
  NotFound,
  ProofInvalid,
  SignatureInvalid,
  SignerRefused
} from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import { telling } from "../internal/telling.ts"
import type { LoggingEngine } from "../LoggingEngine.ts"
import { consistencyProof, type Hash, inclusionProof, leafHash, leafHashes, root, verifyInclusion } from "../Merkle.ts"
import { type LogName, RequestContext } from "../RequestContext.ts"
import { commitment, entry, entryType } from "../Seal.ts"
import { stated } from "./Checkpoint.ts"
import { breach, contradiction, type Head, headOf } from "./extends.ts"
import type { Finding } from "./Finding.ts"
import { byAnother, lostOrigin } from "./firstSigning.ts"
import { type Log, LogStore, type OriginSince, type StoredEvent } from "./LogStore.ts"
import { newestNotes, uncovered } from "./notes.ts"
import * as Proof from "./Proof.ts"
import { type Resumed, resumeLog, type ResumeOptions } from "./resume.ts"
import { type SignedCheckpoint, Signer } from "./Signer.ts"
import { signAll } from "./signing.ts"
import type { Source, Tile } from "./Tiles.ts"
import { hashBytes, runLength, TreeReader } from "./treeReader.ts"
import { verifying, type VerifyOptions } from "./verify.ts"

export type { Anchor, Fault, Finding } from "./Finding.ts"
export type { Resumed, ResumeOptions } from "./resume.ts"
export type { SignedCheckpoint } from "./Signer.ts"
export type { VerifyOptions } from "./verify.ts"

/** What shows that one checkpoint extends another. */
export interface Consistency {
  readonly oldSize: number
  readonly proof: ReadonlyArray<Hash>
  /** The later checkpoint. */
  readonly signed: SignedCheckpoint
  /** The origins of the log: the old tree's may be an earlier one. */
  readonly origins: ReadonlyArray<OriginSince>
}

/** Publishes checkpoints, proves and verifies. */
export class Ledger extends Context.Service<Ledger, {
  /** Signs the head of a log now and stores the checkpoint. May be repeated; the same head gives the same note. */
  readonly checkpoint: (log: LogName) => Effect.Effect<SignedCheckpoint, AuditError | IntegrityError>
  /** The newest stored checkpoint, if there is one. Its signature is not checked here. */
  readonly latest: (log: LogName) => Effect.Effect<SignedCheckpoint | undefined, AuditError | IntegrityError>
  /**
   * A proof file for an event. If no checkpoint covers it yet, one is signed; without a key that is `SignerRefused`. Of
   * an erased event it proves that the entry was there.
   */
  readonly prove: (event: LogName & { readonly eventId: EventId }) => Effect.Effect<
    Proof.ProofFile,
    AuditError | IntegrityError
  >
  /** Shows that the newest checkpoint, or the one of `size`, extends the tree of `oldSize`. */
  readonly consistency: (
    sizes: LogName & { readonly oldSize: number; readonly size?: number | undefined }
  ) => Effect.Effect<Consistency, AuditError | IntegrityError>
  /** What `Tiles.write` makes a log's static files from: its head, signed now. */
  readonly tiles: (log: LogName) => Effect.Effect<Source, AuditError | IntegrityError>
  /**
   * Recomputes commitments, leaves, trees and signatures of one log or of all, as they are when it begins; memory is
   * bounded. What is wrong is a finding, not a failure.
   */
  readonly verify: (options?: VerifyOptions | undefined) => Stream.Stream<Finding, AuditError>
}>()("effect-audit/ledger/Ledger") {}

/** Signs the head of a log now. */
export const checkpoint = (log: LogName): Effect.Effect<SignedCheckpoint, AuditError | IntegrityError, Ledger> =>
  Effect.flatMap(Ledger, (ledger) => ledger.checkpoint(log))

/** A proof file for an event. */
export const prove = (
  event: LogName & { readonly eventId: EventId }
): Effect.Effect<Proof.ProofFile, AuditError | IntegrityError, Ledger> =>
  Effect.flatMap(Ledger, (ledger) => ledger.prove(event))

/** Recomputes commitments, leaves, trees and signatures. */
export const verify = (options?: VerifyOptions | undefined): Stream.Stream<Finding, AuditError, Ledger> =>
  Stream.unwrap(Effect.map(Ledger, (ledger) => ledger.verify(options)))

type Failure = AuditError | IntegrityError

const broken = (method: string, reason: IntegrityReason) => new IntegrityError({ method, reason })
const refuse = (method: string, reason: AuditError["reason"]) => new AuditError({ method, reason })

/** What one ledger works with. */
interface Rules {
  readonly store: LogStore["Service"]
  readonly tree: TreeReader
  readonly signer: Signer["Service"] | undefined
}

const logOf = (store: LogStore["Service"], method: string, name: LogName): Effect.Effect<Log, AuditError> =>
  Effect.flatMap(store.log(name), (log) =>
    log === undefined
      ? Effect.fail(refuse(method, new NotFound({ detail: `${name.tenantId} has no log in ${name.env}` })))
      : Effect.succeed(log))

const signedOf = (method: string, note: string): Effect.Effect<SignedCheckpoint, IntegrityError> =>
  Effect.fromResult(stated(note)).pipe(
    Effect.mapBoth({
      onFailure: (why) =>
        broken(method, new SignatureInvalid({ detail: `a stored checkpoint cannot be read: ${why}` })),
      onSuccess: (checkpoint) => ({ checkpoint, note })
    })
  )

const newest = (
  { store }: Rules,
  method: string,
  log: Log
): Effect.Effect<SignedCheckpoint | undefined, Failure> =>
  Effect.flatMap(
    newestNotes(store, log),
    ([stored]) => stored === undefined ? Effect.undefined : signedOf(method, stored.note)
  )

/** The head of a log now; fails if it does not extend what was signed of it, in the store or by the signer. */
const headNow = Effect.fnUntraced(function*(
  rules: Rules,
  found: Log,
  last: Head | undefined
): Effect.fn.Return<Head, Failure> {
  const method = "Ledger.checkpoint"
  const { store, tree } = rules
  // Read before the size: a checkpoint that is stored meanwhile may cover entries that this size does not.
  const newest = yield* newestNotes(store, found)
  if (last === undefined) {
    // The state of another store's key says nothing of what is gone from this one.
    const other = byAnother(rules, found, newest)
    if (other !== undefined) return yield* refuse(method, other)
    const lost = yield* lostOrigin(rules, found)
    if (lost !== undefined) return yield* broken(method, lost)
  }
  const notes = newest.slice(0, 1)
  const log = yield* logOf(store, method, found.name)
  if (log.stopped !== undefined) {
    return yield* broken(method, new CheckpointInconsistent({ detail: log.stopped }))
  }
  const signed = [...notes.map(({ note }) => headOf(note)), ...(last === undefined ? [] : [last])]
  const [reason, top] = yield* tree.compute(
    log,
    log.size,
    (read) => [breach(log.size, signed, read), root(log.size, read)] as const
  )
  return reason === undefined ? { size: log.size, root: top } : yield* broken(method, reason)
})

/** Remembers that a log is not what was signed: from now on it takes no events, in any process. */
const stopLog = Effect.fnUntraced(function*({ store }: Rules, log: Log, reason: IntegrityReason) {
  const now = yield* Clock.currentTimeMillis
  yield* store.change(log.name, (writer, log) => writer.stop(log, reason.detail, now))
  yield* telling(Effect.annotateLogs(Effect.logError(`The log ${log.origin} is stopped: ${reason.message}`), {
    tenant: log.name.tenantId,
    env: log.name.env
  }))
})

const makeCheckpoint = (rules: Rules) =>
  Effect.fn("Ledger.checkpoint")(function*(name: LogName): Effect.fn.Return<SignedCheckpoint, Failure> {
    const method = "Ledger.checkpoint"
    const { signer, store } = rules
    if (signer === undefined) {
      return yield* refuse(method, new SignerRefused({ detail: "this ledger has no signing key" }))
    }
    const log = yield* logOf(store, method, name)
    const signed = yield* Effect.tapError(
      signer.sign(log.origin, (last) => headNow(rules, log, last), log.name),
      (error) => error._tag === "IntegrityError" ? stopLog(rules, log, error.reason) : Effect.void
    )
    const now = yield* Clock.currentTimeMillis
    const note = { size: signed.checkpoint.size, keyId: signer.keyIdOf(log.origin), note: signed.note }
    yield* store.change(name, (writer, log) => writer.putNote(log, note, now))
    return signed
  })

/**
 * Lets the log of the context go on after a loss, with `audit.log_resumed` as its next entry, and signs it. Of a log
 * that is gone as a whole, its tenant's new log goes on. Fails with `InvalidInput` where nothing was lost, and as
 * `checkpoint` does where the log goes on and could not be signed yet. In a transaction of the caller the log is signed
 * by the next checkpoint after it.
 */
export const resume = (
  options: ResumeOptions
): Effect.Effect<Resumed, Failure, LogStore | Signer | LoggingEngine | RequestContext> =>
  Effect.tap(resumeLog(options), ({ origin }) =>
    Effect.gen(function*() {
      const [store, signer] = [yield* LogStore, yield* Signer]
      const { env, tenantId } = yield* RequestContext
      const log = yield* store.log({ tenantId, env })
      // Not yet committed otherwise. Until it is signed, only its own store says that it is there.
      if (log?.origin === origin) yield* makeCheckpoint({ store, signer, tree: new TreeReader(store) })(log.name)
    }))

const subjectOf = (method: string, event: StoredEvent, id: EventId): Effect.Effect<Proof.Subject, IntegrityError> => {
  const { body, commitment: stored, position, salt } = event
  if (body === undefined || salt === undefined) return Effect.succeed({ erased: true, entry: entry(stored) })
  if (Buffer.compare(commitment(salt, body), stored) === 0) {
    return Effect.succeed({ erased: false, event: body, salt })
  }
  const detail = `event ${id} at position ${position} is not what its entry commits to`
  return Effect.fail(broken(method, new HashMismatch({ detail })))
}

/** The proof file of an event under the newest stored checkpoint; `undefined` if none covers it. */
const proofOf = Effect.fnUntraced(function*(
  rules: Rules,
  name: LogName & { readonly eventId: EventId }
): Effect.fn.Return<Proof.ProofFile | undefined, Failure> {
  const method = "Ledger.prove"
  const { eventId } = name
  const log = yield* logOf(rules.store, method, name)
  const [event] = yield* rules.store.find(log, [eventId])
  if (event === undefined) {
    return yield* refuse(method, new NotFound({ detail: `there is no event ${eventId} in this log` }))
  }
  const index = event.position
  const signed = yield* newest(rules, method, log)
  if (signed === undefined || signed.checkpoint.size <= index) return undefined
  const { root, size } = signed.checkpoint
  const subject = yield* subjectOf(method, event, eventId)
  const hashes = yield* rules.tree.compute(log, size, (read) => inclusionProof(index, size, read))
  if (!verifyInclusion({ index, size, leafHash: leafHash(entry(event.commitment)), proof: hashes, root })) {
    const detail = `event ${eventId} at position ${index} does not lead to the checkpoint of size ${size}`
    return yield* broken(method, new ProofInvalid({ detail }))
  }
  return Proof.make(subject, { index, hashes, note: signed.note })
})

const makeProve = (rules: Rules, checkpoint: Ledger["Service"]["checkpoint"]) =>
  Effect.fn("Ledger.prove")(function*(
    event: LogName & { readonly eventId: EventId }
  ): Effect.fn.Return<Proof.ProofFile, Failure> {
    const method = "Ledger.prove"
    const proof = yield* proofOf(rules, event)
    if (proof !== undefined) return proof
    if (rules.signer === undefined) {
      const detail = `no checkpoint covers event ${event.eventId} yet, and this ledger has no signing key`
      return yield* refuse(method, new SignerRefused({ detail }))
    }
    yield* checkpoint(event)
    const signed = yield* proofOf(rules, event)
    if (signed !== undefined) return signed
    const detail = `event ${event.eventId} is not below the checkpoint that was signed for it`
    return yield* broken(method, new CheckpointInconsistent({ detail }))
  })

const makeConsistency = (rules: Rules) =>
  Effect.fn("Ledger.consistency")(function*(
    { oldSize, size, ...name }: LogName & { readonly oldSize: number; readonly size?: number | undefined }
  ): Effect.fn.Return<Consistency, Failure> {
    const method = "Ledger.consistency"
    if (!Number.isSafeInteger(oldSize) || oldSize < 0) {
      return yield* refuse(method, new InvalidInput({ path: "/oldSize", detail: "must be an integer, not negative" }))
    }
    const log = yield* logOf(rules.store, method, name)
    const inconsistent = (detail: string) => broken(method, new CheckpointInconsistent({ detail }))
    const [stored] = size === undefined
      ? yield* newestNotes(rules.store, log)
      : yield* rules.store.notes(log, { size })
    if (stored === undefined) {
      if (log.size < oldSize) {
        return yield* inconsistent(`the log has ${log.size} entries, the old checkpoint ${oldSize}`)
      }
      const detail = size === undefined ? "the log has no checkpoint yet" : `there is no checkpoint of size ${size}`
      return yield* refuse(method, new NotFound({ detail }))
    }
    const signed = yield* signedOf(method, stored.note)
    const head = signed.checkpoint
    if (oldSize > head.size) {
      return yield* inconsistent(`the log's checkpoint has size ${head.size}, the old one ${oldSize}`)
    }
    const [there, proof] = yield* rules.tree.compute(
      log,
      head.size,
      (read) => [root(head.size, read), consistencyProof(oldSize, head.size, read)] as const
    )
    const reason = contradiction(head, there)
    return reason === undefined ? { oldSize, proof, signed, origins: log.origins } : yield* broken(method, reason)
  })

const makeTiles = ({ signer, store, tree }: Rules, checkpoint: Ledger["Service"]["checkpoint"]) =>
  Effect.fn("Ledger.tiles")(function*(name: LogName): Effect.fn.Return<Source, Failure> {
    const signed = yield* checkpoint(name)
    const log = yield* logOf(store, "Ledger.tiles", name)
    const runOf = ({ index, level, width }: Tile) => ({
      tier: level === "entries" ? 0 : level,
      first: index * runLength,
      count: width
    })
    const hashes = (tile: Tile) => tree.run(log, runOf(tile))
    return {
      checkpoint: signed.checkpoint,
      note: signed.note,
      vkey: signer?.vkey ?? "",
      hashes: (tile) =>
        Effect.map(hashes(tile), (bytes) => runOf(tile).tier === 0 ? leafHashes(entryType, bytes) : bytes),
      entries: (tile) =>
        Effect.map(
          hashes(tile),
          (all) => Array.from({ length: tile.width }, (_, i) => entry(all.subarray(i * hashBytes, (i + 1) * hashBytes)))
        ),
      rootAt: (size) => tree.compute(log, size, (read) => root(size, read))
    }
  })

const make = (store: LogStore["Service"], signer: Signer["Service"] | undefined): Ledger["Service"] => {
  const rules: Rules = { store, signer, tree: new TreeReader(store) }
  const checkpoint = makeCheckpoint(rules)
  return Ledger.of({
    checkpoint,
    latest: Effect.fn("Ledger.latest")(function*(name) {
      return yield* newest(rules, "Ledger.latest", yield* logOf(store, "Ledger.latest", name))
    }),
    prove: makeProve(rules, checkpoint),
    consistency: makeConsistency(rules),
    tiles: makeTiles(rules, checkpoint),
    verify: verifying(store, signer?.origins ?? Effect.succeed([]))
  })
}

/** The ledger without a signing key: proofs below the newest checkpoint, consistency, verification. */
export const layer: Layer.Layer<Ledger, never, LogStore> = Layer.effect(
  Ledger,
  Effect.map(LogStore, (store) => make(store, undefined))
)

/** The ledger with a signer that signs on demand only: for programs that run once. */
export const layerOnDemand: Layer.Layer<Ledger, never, LogStore | Signer> = Layer.effect(
  Ledger,
  Effect.gen(function*() {
    return make(yield* LogStore, yield* Signer)
  })
)

/** How the ledger signs. */
export interface SigningOptions {
  /** How often heads that have grown are signed; every minute unless given. */
  readonly interval?: Duration.Input | undefined
}

/** The ledger with a signer: signs on an interval, and on demand. */
export const layerSigning = (options: SigningOptions = {}): Layer.Layer<Ledger, never, LogStore | Signer> =>
  Layer.effect(
    Ledger,
    Effect.gen(function*() {
      const store = yield* LogStore
      const ledger = make(store, yield* Signer)
      yield* Effect.forkScoped(signAll({
        checkpoint: ledger.checkpoint,
        grown: store.grown,
        uncovered: (name) => uncovered(store, name),
        interval: options.interval ?? "1 minute"
      }))
      return ledger
    })
  )
