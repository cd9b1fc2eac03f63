/**
 * The two ways to fail.
 *
 * `AuditError`: not recorded, or not readable now. Retry, or refuse the request. `IntegrityError`: recorded, but the
 * evidence does not hold. Never retry; wake someone. Each has a tagged `reason` that knows whether a retry can help:
 *
 *     Effect.catchReason("AuditError", "SinkUnavailable", (reason) => ...)
 *
 * Messages carry ids and places, never values: an error does not leak what the stripper removes.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { EventId } from "./DatasetEvent.ts"

const id = (name: string) => `effect-audit/AuditError/${name}`
const detail = { detail: Schema.String }
const caused = { detail: Schema.String, cause: Schema.optionalKey(Schema.Defect()) }

/** What was passed cannot be meant: change the call. `path` is a JSON Pointer (RFC 6901) into it. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>(id("InvalidInput"))("InvalidInput", {
  path: Schema.String,
  ...detail
}) {
  override get message(): string {
    return `Input refused${this.path === "" ? "" : ` at ${this.path}`}: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The stripper failed; nothing was stored. */
export class StripFailed extends Schema.TaggedError<StripFailed>(id("StripFailed"))("StripFailed", detail) {
  override get message(): string {
    return `Personal data could not be stripped, so nothing was stored: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The queue had no room before the deadline; not stored. Slow down, or give the sink more room. */
export class SinkOverloaded extends Schema.TaggedError<SinkOverloaded>(id("SinkOverloaded"))("SinkOverloaded", detail) {
  override get message(): string {
    return `Sink overloaded, not stored: ${this.detail}`
  }
  get isRetryable(): boolean {
    return true
  }
}

/** Waited in the queue until the deadline; withdrawn, will not be stored. */
export class SinkTimeout extends Schema.TaggedError<SinkTimeout>(id("SinkTimeout"))("SinkTimeout", detail) {
  override get message(): string {
    return `Sink timed out, withdrawn and not stored: ${this.detail}`
  }
  get isRetryable(): boolean {
    return true
  }
}

/** The store cannot be reached, or its file is gone or was replaced; not stored. */
export class SinkUnavailable
  extends Schema.TaggedError<SinkUnavailable>(id("SinkUnavailable"))("SinkUnavailable", caused)
{
  override get message(): string {
    return `Store unavailable: ${this.detail}`
  }
  get isRetryable(): boolean {
    return true
  }
}

/** Out of space; not stored. Work goes on by itself when there is room again. */
export class SinkFull extends Schema.TaggedError<SinkFull>(id("SinkFull"))("SinkFull", caused) {
  override get message(): string {
    return `Store is full: ${this.detail}`
  }
  get isRetryable(): boolean {
    return true
  }
}

/** The store refuses: the file is not an audit store, newer than this version, or the event breaks a rule of it. */
export class SinkRejected extends Schema.TaggedError<SinkRejected>(id("SinkRejected"))("SinkRejected", caused) {
  override get message(): string {
    return `Store refused: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The log is not what was signed of it, and takes no more events; not stored. Other logs go on. */
export class LogStopped extends Schema.TaggedError<LogStopped>(id("LogStopped"))("LogStopped", caused) {
  override get message(): string {
    return `Log stopped, not stored: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The sink was closed before the event was written; not stored. */
export class SinkClosed extends Schema.TaggedError<SinkClosed>(id("SinkClosed"))("SinkClosed", detail) {
  override get message(): string {
    return `Sink closed, not stored: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The write had begun and its outcome is not known. Repeating with the same `eventId` is harmless. */
export class CommitUnknown extends Schema.TaggedError<CommitUnknown>(id("CommitUnknown"))("CommitUnknown", caused) {
  override get message(): string {
    return `Outcome unknown, repeat with the same eventId: ${this.detail}`
  }
  get isRetryable(): boolean {
    return true
  }
}

/** The signing key, or the signer's state, is missing or refused; nothing was signed. */
export class SignerRefused extends Schema.TaggedError<SignerRefused>(id("SignerRefused"))("SignerRefused", caused) {
  override get message(): string {
    return `Cannot sign: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** There is no such event, log or store. */
export class NotFound extends Schema.TaggedError<NotFound>(id("NotFound"))("NotFound", detail) {
  override get message(): string {
    return `Not found: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The cursor is not one of this query's. Start again without one. */
export class InvalidCursor extends Schema.TaggedError<InvalidCursor>(id("InvalidCursor"))("InvalidCursor", detail) {
  override get message(): string {
    return `Cursor refused: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** Under legal hold: cannot be erased before it is released. */
export class Held extends Schema.TaggedError<Held>(id("Held"))("Held", detail) {
  override get message(): string {
    return `Under legal hold: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A record of the log itself, such as that of an erasure: it stays. */
export class Protected extends Schema.TaggedError<Protected>(id("Protected"))("Protected", detail) {
  override get message(): string {
    return `Protected: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** Why an event was not recorded, or could not be read. */
export const AuditReason = Schema.Union([
  InvalidInput,
  StripFailed,
  SinkOverloaded,
  SinkTimeout,
  SinkUnavailable,
  SinkFull,
  SinkRejected,
  SinkClosed,
  LogStopped,
  CommitUnknown,
  SignerRefused,
  NotFound,
  InvalidCursor,
  Held,
  Protected
])
export type AuditReason = typeof AuditReason.Type

/** Not recorded, or not readable now. `method` names the call, `eventId` the event where there is one. */
export class AuditError extends Schema.TaggedError<AuditError>("effect-audit/AuditError")("AuditError", {
  method: Schema.String,
  eventId: Schema.optionalKey(EventId),
  reason: AuditReason
}) {
  override readonly cause = this.reason
  override get message(): string {
    const event = this.eventId === undefined ? "" : ` (event ${this.eventId})`
    return `${this.method}: ${this.reason.message}${event}`
  }
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

/** The stored bytes are not those that were committed to. */
export class HashMismatch extends Schema.TaggedError<HashMismatch>(id("HashMismatch"))("HashMismatch", detail) {
  override get message(): string {
    return `Hash mismatch: ${this.detail}`
  }
}

/** An entry that the tree covers is not there. */
export class LeafMissing extends Schema.TaggedError<LeafMissing>(id("LeafMissing"))("LeafMissing", detail) {
  override get message(): string {
    return `Leaf missing: ${this.detail}`
  }
}

/** Two signed tree heads cannot both be true. */
export class CheckpointInconsistent
  extends Schema.TaggedError<CheckpointInconsistent>(id("CheckpointInconsistent"))("CheckpointInconsistent", detail)
{
  override get message(): string {
    return `Checkpoint inconsistent: ${this.detail}`
  }
}

/** A signature does not verify. */
export class SignatureInvalid
  extends Schema.TaggedError<SignatureInvalid>(id("SignatureInvalid"))("SignatureInvalid", detail)
{
  override get message(): string {
    return `Signature invalid: ${this.detail}`
  }
}

/** A proof does not lead to the root. */
export class ProofInvalid extends Schema.TaggedError<ProofInvalid>(id("ProofInvalid"))("ProofInvalid", detail) {
  override get message(): string {
    return `Proof invalid: ${this.detail}`
  }
}

/** Why evidence does not hold. */
export const IntegrityReason = Schema.Union([
  HashMismatch,
  LeafMissing,
  CheckpointInconsistent,
  SignatureInvalid,
  ProofInvalid
])
export type IntegrityReason = typeof IntegrityReason.Type

/** Recorded, but the evidence does not hold. A retry does not help. */
export class IntegrityError
  extends Schema.TaggedError<IntegrityError>("effect-audit/IntegrityError")("IntegrityError", {
    method: Schema.String,
    eventId: Schema.optionalKey(EventId),
    reason: IntegrityReason
  })
{
  override readonly cause = this.reason
  override get message(): string {
    const event = this.eventId === undefined ? "" : ` (event ${this.eventId})`
    return `${this.method}: ${this.reason.message}${event}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * Builds an `AuditError`; for implementers of sinks, strippers and stores.
 */
export const fail = (method: string, reason: AuditReason, eventId?: EventId | undefined): AuditError =>
  new AuditError(eventId === undefined ? { method, reason } : { method, reason, eventId })
