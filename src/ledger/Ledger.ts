/**
 * The ledger: one append-only Merkle log per tenant and env, that outsiders can verify.
 *
 * Every event that is stored is an entry of its log, in the same commit. A checkpoint, the signed head of the log's tree,
 * says what the log holds; a proof file shows to anyone, without the store, that an event is in it. Erasing takes an event's
 * content away and leaves its entry and its proofs.
 *
 * `AuditError` says that something could not be done; `IntegrityError` that the evidence does not hold: never retry, wake
 * someone.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { AuditError, IntegrityError } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import type { Receipt } from "../LoggingEngine.ts"
import type { Hash } from "../Merkle.ts"
import type { Env, RequestContext, TenantId } from "../RequestContext.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import type { ProofFile } from "./Proof.ts"
import type { Vkeys } from "./SigningKey.ts"
import type { Source } from "./Tiles.ts"

/** The log of a tenant and env. */
export interface LogName {
  readonly tenantId: TenantId
  readonly env: Env
}

/** A checkpoint, and the text that was signed, with its signatures. */
export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint
  readonly note: string
}

/** What shows that one checkpoint extends another. */
export interface Consistency {
  readonly oldSize: number
  readonly proof: ReadonlyArray<Hash>
  /** The later checkpoint. */
  readonly signed: SignedCheckpoint
}

/**
 * What can be wrong with a log.
 *
 * - `changed`: an event, an entry or a hash is not what was stored.
 * - `missing`: an entry, event or hash that was stored is not there; or an event is gone and no erasure says so.
 * - `reordered`: an event lies at another's position.
 * - `duplicated`: a position, or an event id, is there twice.
 * - `truncated`: the log is shorter than a checkpoint.
 * - `inconsistent`: the tree is not the one of a checkpoint.
 * - `signature`: a checkpoint is not signed by the key, or is of another log.
 */
export type Fault =
  | "changed"
  | "missing"
  | "reordered"
  | "duplicated"
  | "truncated"
  | "inconsistent"
  | "signature"

/** One thing that verification says. */
export type Finding =
  | {
    readonly _tag: "Fault"
    readonly fault: Fault
    readonly log: LogName
    readonly position: number | undefined
    readonly eventId: EventId | undefined
    readonly detail: string
  }
  | {
    /** The end of one log. */
    readonly _tag: "Verified"
    readonly log: LogName
    readonly origin: string
    /** Entries in the log. */
    readonly size: number
    /** Entries that the newest good checkpoint covers; those above it are not proven yet. */
    readonly covered: number
    readonly erased: number
    readonly checkpoints: number
    readonly signaturesChecked: boolean
    readonly faults: number
  }
  | {
    readonly _tag: "Progress"
    readonly entries: number
    readonly total: number
    readonly entriesPerSecond: number
  }

/** What to verify. */
export interface VerifyOptions {
  /** One log; all of them unless given. */
  readonly log?: LogName | undefined
  /** The signer's verifier keys, or the log's own. Without them no signature is checked. */
  readonly vkey?: Vkeys | undefined
  /** A checkpoint that someone kept: the log must extend it. */
  readonly known?: string | undefined
}

/** What to erase: some events, all of a person (`user_id` and `subject_ids`), or all recorded before a time. */
export type Selection =
  | { readonly eventIds: ReadonlyArray<EventId> }
  | { readonly person: string }
  | { readonly before: Date }

/** What to hold: a person, events, or a range of times of recording (`since` included, `before` not). */
export type HoldSelection = Selection | { readonly since: Date; readonly before: Date }

/** What an erasure did. */
export interface Erasure {
  /** Events that this call erased. */
  readonly count: number
  /** Their positions, as ranges from first to last. */
  readonly positions: ReadonlyArray<readonly [first: number, last: number]>
  /** Of the events `audit.erased` that record it; none where nothing was left to erase. */
  readonly receipts: ReadonlyArray<Receipt>
  /**
   * Whether the bytes are gone from the store's files. `false` while a reader holds the write-ahead log: repeat the call.
   */
  readonly scrubbed: boolean
}

/** Publishes checkpoints, answers proofs, verifies, erases. */
export class Ledger extends Context.Service<Ledger, {
  /** Signs the head of a log now and stores the checkpoint. May be repeated; the same head gives the same note. */
  readonly checkpoint: (log: LogName) => Effect.Effect<SignedCheckpoint, AuditError | IntegrityError>
  /** The newest stored checkpoint, if there is one. Its signature is not checked here. */
  readonly latest: (log: LogName) => Effect.Effect<SignedCheckpoint | undefined, AuditError | IntegrityError>
  /**
   * A proof file for an event. If no checkpoint covers it yet, one is signed; without a key that is `SignerRefused`. Of an
   * erased event it proves that the entry was there.
   */
  readonly prove: (event: LogName & { readonly eventId: EventId }) => Effect.Effect<
    ProofFile,
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
  /**
   * Erases the content of events of the context's log, and records `audit.erased`, in one transaction. Events under legal
   * hold fail the whole call with `Held`. Idempotent. Never reaches another tenant, nor the records of erasures.
   */
  readonly erase: (
    selection: Selection & { readonly reason: string }
  ) => Effect.Effect<Erasure, AuditError | IntegrityError, RequestContext>
  /** Puts events of the context's log under legal hold, those to come as well, and records `audit.held`. */
  readonly hold: (
    selection: HoldSelection & { readonly reason: string }
  ) => Effect.Effect<Receipt, AuditError | IntegrityError, RequestContext>
  /** Ends the holds of exactly this selection, and records `audit.released`; `NotFound` if there are none. */
  readonly release: (
    selection: HoldSelection & { readonly reason: string }
  ) => Effect.Effect<Receipt, AuditError | IntegrityError, RequestContext>
}>()("effect-audit/ledger/Ledger") {}

/** Signs the head of a log now. */
export const checkpoint = (log: LogName): Effect.Effect<SignedCheckpoint, AuditError | IntegrityError, Ledger> =>
  Effect.flatMap(Ledger, (ledger) => ledger.checkpoint(log))

/** A proof file for an event. */
export const prove = (
  event: LogName & { readonly eventId: EventId }
): Effect.Effect<ProofFile, AuditError | IntegrityError, Ledger> =>
  Effect.flatMap(Ledger, (ledger) => ledger.prove(event))

/** Recomputes commitments, leaves, trees and signatures. */
export const verify = (options?: VerifyOptions | undefined): Stream.Stream<Finding, AuditError, Ledger> =>
  Stream.unwrap(Effect.map(Ledger, (ledger) => ledger.verify(options)))

/** Erases the content of events of the context's log. */
export const erase = (
  selection: Selection & { readonly reason: string }
): Effect.Effect<Erasure, AuditError | IntegrityError, Ledger | RequestContext> =>
  Effect.flatMap(Ledger, (ledger) => ledger.erase(selection))

/** Puts events of the context's log under legal hold. */
export const hold = (
  selection: HoldSelection & { readonly reason: string }
): Effect.Effect<Receipt, AuditError | IntegrityError, Ledger | RequestContext> =>
  Effect.flatMap(Ledger, (ledger) => ledger.hold(selection))

/** Ends the holds of exactly this selection. */
export const release = (
  selection: HoldSelection & { readonly reason: string }
): Effect.Effect<Receipt, AuditError | IntegrityError, Ledger | RequestContext> =>
  Effect.flatMap(Ledger, (ledger) => ledger.release(selection))
