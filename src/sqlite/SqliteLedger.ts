/**
 * The ledger over a SQLite file.
 *
 * Events come under the tree in the commit that stores them (`SqliteSink`); this module signs heads, answers proofs,
 * verifies and erases. Without a signer it does everything but sign.
 *
 * A log whose tree does not extend its last signed head, in the store or in the signer's state, is stopped: it takes no more
 * events (`SinkRejected`), while other logs go on, and reading and verifying too.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  AuditError,
  CheckpointInconsistent,
  HashMismatch,
  IntegrityError,
  type IntegrityReason,
  NotFound,
  ProofInvalid,
  SignatureInvalid,
  SignerRefused
} from "../AuditError.ts"
import { Entropy } from "../internal/entropy.ts"
import { type Checkpoint, stated } from "../ledger/Checkpoint.ts"
import { Ledger, type LogName, type SignedCheckpoint } from "../ledger/Ledger.ts"
import * as Proof from "../ledger/Proof.ts"
import type { Source, Tile } from "../ledger/Tiles.ts"
import { LoggingEngine } from "../LoggingEngine.ts"
import { consistencyProof, inclusionProof, leafHash, leafHashes, root, verifyInclusion } from "../Merkle.ts"
import { commitment, entry, entryType } from "../Seal.ts"
import { makeErasure } from "./erasure.ts"
import { eventTableOf } from "./eventTable.ts"
import type { LogRow } from "./logCheck.ts"
import { attempt, isBusy, Problem } from "./problem.ts"
import { blobOf, integerOf, stringOf } from "./row.ts"
import { SearchIndex } from "./searchIndex.ts"
import { type ChangedSince, changedSince, signAll } from "./signing.ts"
import { backoff, reasonOf, SqliteClient } from "./SqliteClient.ts"
import { SqliteSigner } from "./SqliteSigner.ts"
import { type Head, runLength, Tree } from "./tree.ts"
import { verifying } from "./verification.ts"

/** How the ledger signs. */
export interface Options {
  /** How often heads that have grown are signed; every minute unless given. */
  readonly interval?: Duration.Input | undefined
}

const checkpointOf = (note: string): Checkpoint => {
  const checkpoint = stated(note)
  if (typeof checkpoint !== "string") return checkpoint
  const reason = new SignatureInvalid({ detail: `a stored checkpoint cannot be read: ${checkpoint}` })
  throw new IntegrityError({ method: "Ledger", reason })
}

const assemble = Effect.fnUntraced(function*(
  signer: SqliteSigner["Service"] | undefined
): Effect.fn.Return<
  { readonly ledger: Ledger["Service"]; readonly changedSince: ChangedSince },
  never,
  SqliteClient | LoggingEngine | Scope.Scope
> {
  const client = yield* SqliteClient
  const engine = yield* LoggingEngine
  const table = eventTableOf(client.writer, yield* Entropy)
  const { deadlineMillis, filename, reader, writer } = client
  const tree = new Tree(reader, new SearchIndex(reader), { keepTiles: true })
  const findLog = reader.prepare("SELECT id, tenant_id, env, origin FROM log WHERE tenant_id = ? AND env = ?")
  const findStop = reader.prepare("SELECT detail FROM stop WHERE log = ?")
  const newestNote = reader.prepare(
    "SELECT note FROM checkpoint WHERE log = ? ORDER BY size DESC, signed_at DESC LIMIT 1"
  )
  const noteAt = reader.prepare(
    "SELECT note FROM checkpoint WHERE log = ? AND size = ? ORDER BY signed_at DESC LIMIT 1"
  )
  const findCheckpoint = writer.prepare("SELECT 1 AS found FROM checkpoint WHERE log = ? AND size = ? AND key_id = ?")
  const insertCheckpoint = writer.prepare(
    "INSERT INTO checkpoint (log, size, key_id, note, signed_at) VALUES (?, ?, ?, ?, ?)"
  )
  const eventBySeq = reader.prepare("SELECT position, commitment, salt, body FROM event WHERE seq = ?")
  if (signer !== undefined) {
    const remove = table.guard(signer.lastHead)
    yield* Effect.addFinalizer(() => Effect.sync(remove))
  }

  const failed = (method: string, cause: unknown): AuditError | IntegrityError =>
    cause instanceof IntegrityError || cause instanceof AuditError
      ? cause
      : new AuditError({ method, reason: reasonOf(new Problem({ cause }), filename, false) })
  /** Reads in one transaction; another process's lock is waited for on a timer. */
  const reading = <A>(method: string, read: () => A): Effect.Effect<A, AuditError | IntegrityError> => {
    const go = (until: number, tries: number): Effect.Effect<A, AuditError | IntegrityError> =>
      Effect.suspend(() => {
        try {
          reader.exec("BEGIN")
          try {
            return Effect.succeed(read())
          } finally {
            reader.exec("COMMIT")
          }
        } catch (cause) {
          if (!isBusy(cause)) return Effect.fail(failed(method, cause))
          return Effect.flatMap(Clock.currentTimeMillis, (now) =>
            now > until
              ? Effect.fail(failed(method, cause))
              : Effect.andThen(Effect.sleep(backoff(tries)), go(until, tries + 1)))
        }
      })
    return Effect.flatMap(Clock.currentTimeMillis, (now) => go(now + deadlineMillis, 0))
  }
  const broken = (method: string, reason: IntegrityReason) => new IntegrityError({ method, reason })

  const logOf = (method: string, name: LogName): LogRow => {
    const row = findLog.get(name.tenantId, name.env)
    const id = integerOf(row, "id")
    if (id !== undefined) return { id, name, origin: stringOf(row, "origin") ?? "" }
    throw new AuditError({ method, reason: new NotFound({ detail: `${name.tenantId} has no log in ${name.env}` }) })
  }
  const newest = (log: number): SignedCheckpoint | undefined => {
    const note = stringOf(newestNote.get(log), "note")
    return note === undefined ? undefined : { checkpoint: checkpointOf(note), note }
  }

  /** Remembers that a log is not what was signed: from now on it takes no events, in any process. */
  const stop = (log: LogRow, reason: IntegrityReason) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      yield* client.transact(
        Effect.mapError(
          attempt(() =>
            writer.prepare("INSERT OR IGNORE INTO stop (log, detail, stopped_at) VALUES (?, ?, ?)")
              .run(log.id, reason.detail, now)
          ),
          ({ cause }) => failed("Ledger.checkpoint", cause)
        )
      )
      table.recheck()
      yield* Effect.annotateLogs(Effect.logError(`The log ${log.origin} is stopped: ${reason.message}`), {
        tenant: log.name.tenantId,
        env: log.name.env
      })
    })

  /** The head of a log now, or why it does not extend what was signed of it, in the store or by the signer. */
  const headOf = (log: LogRow, last: Head | undefined): Head | IntegrityReason => {
    reader.exec("BEGIN")
    try {
      const detail = stringOf(findStop.get(log.id), "detail")
      if (detail !== undefined) return new CheckpointInconsistent({ detail })
      const size = tree.index.sizeOf(log.id)
      const read = tree.read(log.id, size)
      for (const signed of [tree.newestHead(log.id), last]) {
        const breach = signed === undefined ? undefined : tree.breach(size, signed, read)
        if (breach !== undefined) return breach
      }
      return { size, root: root(size, read) }
    } catch (cause) {
      if (cause instanceof IntegrityError) return cause.reason
      throw cause
    } finally {
      reader.exec("COMMIT")
    }
  }

  const store = (log: LogRow, size: number, note: string, keyId: number, now: number) =>
    client.transact(
      Effect.mapError(
        attempt(() => {
          if (findCheckpoint.get(log.id, size, keyId) !== undefined) return
          insertCheckpoint.run(log.id, size, keyId, note, now)
          table.growing.keepTail(log.id, size)
        }),
        ({ cause }) => failed("Ledger.checkpoint", cause)
      )
    )

  const checkpoint = Effect.fn("Ledger.checkpoint")(function*(
    name: LogName
  ): Effect.fn.Return<SignedCheckpoint, AuditError | IntegrityError> {
    const method = "Ledger.checkpoint"
    if (signer === undefined) {
      return yield* new AuditError({ method, reason: new SignerRefused({ detail: "this ledger has no signing key" }) })
    }
    const log = yield* reading(method, () => logOf(method, name))
    const signed = yield* Effect.tapError(
      signer.sign(log.origin, (last) => headOf(log, last)),
      (error) => error._tag === "IntegrityError" ? stop(log, error.reason) : Effect.void
    )
    const keyId = signer.keyIdOf(log.origin)
    yield* store(log, signed.checkpoint.size, signed.note, keyId, yield* Clock.currentTimeMillis)
    return signed
  })

  /** The proof file of an event under the newest stored checkpoint; `undefined` if none covers it. */
  const proofOf = (event: LogName & { readonly eventId: string }): Proof.ProofFile | undefined => {
    const method = "Ledger.prove"
    const log = logOf(method, event)
    const found = tree.index.findById(event.eventId)
    if (integerOf(found, "log") !== log.id) {
      const detail = `there is no event ${event.eventId} in this log`
      throw new AuditError({ method, reason: new NotFound({ detail }) })
    }
    const row = eventBySeq.get(integerOf(found, "seq") ?? 0)
    const index = integerOf(row, "position") ?? 0
    const signed = newest(log.id)
    if (signed === undefined || signed.checkpoint.size <= index) return undefined
    const { note } = signed
    const { root, size } = signed.checkpoint
    const stored = blobOf(row, "commitment") ?? new Uint8Array(0)
    const body = blobOf(row, "body")
    const salt = blobOf(row, "salt")
    if (body !== undefined && salt !== undefined && Buffer.compare(commitment(salt, body), stored) !== 0) {
      const detail = `event ${event.eventId} at position ${index} is not what its entry commits to`
      throw broken(method, new HashMismatch({ detail }))
    }
    const hashes = inclusionProof(index, size, tree.read(log.id, size))
    if (!verifyInclusion({ index, size, leafHash: leafHash(entry(stored)), proof: hashes, root })) {
      const detail = `event ${event.eventId} at position ${index} does not lead to the checkpoint of size ${size}`
      throw broken(method, new ProofInvalid({ detail }))
    }
    const subject: Proof.Subject = body === undefined || salt === undefined
      ? { erased: true, entry: entry(stored) }
      : { erased: false, event: body, salt }
    return Proof.make(subject, { index, hashes, note })
  }

  const source = Effect.fn("Ledger.tiles")(function*(
    name: LogName
  ): Effect.fn.Return<Source, AuditError | IntegrityError> {
    const method = "Ledger.tiles"
    const { checkpoint: signed, note } = yield* checkpoint(name)
    const log = yield* reading(method, () => logOf(method, name))
    const part = <A>(read: () => A) =>
      Effect.try({
        try: read,
        catch: (cause) => {
          // Rows that are not there, or a store that cannot be read: either way the log cannot be shown whole.
          const reason = new HashMismatch({ detail: failed(method, cause).message })
          return cause instanceof IntegrityError ? cause : broken(method, reason)
        }
      })
    const commitmentsOf = ({ index, width }: Tile) =>
      tree.commitments(log.id, index * runLength, index * runLength + width)
    return {
      checkpoint: signed,
      note,
      vkey: signer?.vkey ?? "",
      hashes: (tile) =>
        part(() =>
          typeof tile.level === "string" || tile.level === 0
            ? leafHashes(entryType, commitmentsOf(tile))
            : tree.subtrees(log.id, tile.level * 8, tile.index * runLength, tile.width)
        ),
      entries: (tile) =>
        part(() => {
          const all = commitmentsOf(tile)
          return Array.from({ length: tile.width }, (_, i) => entry(all.subarray(i * 32, i * 32 + 32)))
        }),
      rootAt: (size) => part(() => tree.root(log.id, size))
    }
  })

  const ledger = Ledger.of({
    checkpoint,
    latest: Effect.fn("Ledger.latest")((name: LogName) =>
      reading("Ledger.latest", () => newest(logOf("Ledger.latest", name).id))
    ),
    prove: Effect.fn("Ledger.prove")(function*(event) {
      const proof = yield* reading("Ledger.prove", () => proofOf(event))
      if (proof !== undefined) return proof
      if (signer === undefined) {
        const detail = `no checkpoint covers event ${event.eventId} yet, and this ledger has no signing key`
        return yield* new AuditError({ method: "Ledger.prove", reason: new SignerRefused({ detail }) })
      }
      yield* checkpoint(event)
      const signed = yield* reading("Ledger.prove", () => proofOf(event))
      if (signed !== undefined) return signed
      const detail = `event ${event.eventId} is not below the checkpoint that was signed for it`
      return yield* broken("Ledger.prove", new CheckpointInconsistent({ detail }))
    }),
    consistency: Effect.fn("Ledger.consistency")(({ oldSize, size, ...name }) =>
      reading("Ledger.consistency", () => {
        const method = "Ledger.consistency"
        const log = logOf(method, name)
        const note = stringOf(size === undefined ? newestNote.get(log.id) : noteAt.get(log.id, size), "note")
        const entries = note === undefined ? tree.index.sizeOf(log.id) : oldSize
        if (entries < oldSize) {
          const detail = `the log has ${entries} entries, the old checkpoint ${oldSize}`
          throw broken(method, new CheckpointInconsistent({ detail }))
        }
        if (note === undefined) {
          const detail = size === undefined ? "the log has no checkpoint yet" : `there is no checkpoint of size ${size}`
          throw new AuditError({ method, reason: new NotFound({ detail }) })
        }
        const signed = { checkpoint: checkpointOf(note), note }
        const head = signed.checkpoint
        if (oldSize > head.size) {
          const detail = `the log's checkpoint has size ${head.size}, the old one ${oldSize}`
          throw broken(method, new CheckpointInconsistent({ detail }))
        }
        const read = tree.read(log.id, head.size)
        if (Buffer.compare(root(head.size, read), head.root) !== 0) {
          const detail = `the log's tree is not the one that was signed at size ${head.size}`
          throw broken(method, new CheckpointInconsistent({ detail }))
        }
        return { oldSize, proof: consistencyProof(oldSize, head.size, read), signed }
      })
    ),
    tiles: source,
    verify: verifying(filename, signer?.lastHead ?? (() => undefined)),
    ...makeErasure({ client, engine, table })
  })
  return { ledger, changedSince: changedSince(reader, reading) }
})

/** The ledger without a signing key: proofs below the newest checkpoint, verification, erasure. */
export const layer: Layer.Layer<Ledger, never, SqliteClient | LoggingEngine> = Layer.effect(
  Ledger,
  Effect.map(assemble(undefined), ({ ledger }) => ledger)
)

/** The ledger with a signer: signs on an interval, and on demand. */
export const layerSigning = (
  options: Options = {}
): Layer.Layer<Ledger, never, SqliteClient | SqliteSigner | LoggingEngine> =>
  Layer.effect(
    Ledger,
    Effect.gen(function*() {
      const { changedSince, ledger } = yield* assemble(yield* SqliteSigner)
      yield* Effect.forkScoped(signAll(ledger, changedSince, options.interval ?? "1 minute"))
      return ledger
    })
  )

/** The ledger with a signer that signs on demand only: for programs that run once. */
export const layerOnDemand: Layer.Layer<Ledger, never, SqliteClient | SqliteSigner | LoggingEngine> = Layer.effect(
  Ledger,
  Effect.flatMap(SqliteSigner, (signer) => Effect.map(assemble(signer), ({ ledger }) => ledger))
)
