/** What a medium says of an event that it may hold already: rules over the rows that it found. */
import { createHmac } from "node:crypto"
import { type AuditReason, InvalidInput, SinkRejected } from "../AuditError.ts"
import type { EventId, Idempotency, SealedFields } from "../DatasetEvent.ts"
import type { Durability, Evidence } from "../EventSink.ts"
import { receiptOf, sameFacts } from "./body.ts"

/** A stored event, as far as these rules ask; of an erased one the body is gone. */
export interface Stored {
  readonly eventId: EventId
  readonly position: number
  readonly body: Uint8Array | undefined
}

/** An event that was refused on its own; nothing was written for it. */
export class Refused {
  readonly reason: AuditReason
  constructor(reason: AuditReason) {
    this.reason = reason
  }
}

/** An event, as far as these rules ask. */
type Repeated = Pick<SealedFields, "body" | "idempotency">

const evidence = (stored: Stored, durability: Durability): Evidence | Refused => {
  const { body, eventId, position } = stored
  const duplicate = { eventId, position, duplicate: true, durability }
  if (body === undefined) return { ...duplicate, first: { erased: true } }
  const receipt = receiptOf(body)
  return receipt === undefined
    ? new Refused(new SinkRejected({ detail: `the first event, at position ${position}, cannot be read` }))
    : { ...duplicate, first: { erased: false, ...receipt } }
}

/** An idempotency key that was used: for the same fields, or for something else. A digest goes with an erasure. */
export const usedKey = (
  event: Repeated,
  digest: Uint8Array | undefined,
  stored: Stored,
  durability: Durability
): Evidence | Refused =>
  digest !== undefined && event.idempotency !== undefined &&
    Buffer.compare(digest, event.idempotency.digest) !== 0 &&
    Buffer.compare(digest, event.idempotency.formerDigest) !== 0
    ? new Refused(new InvalidInput({ path: "/idempotencyKey", detail: "this key was used for something else" }))
    : evidence(stored, durability)

/**
 * An event id that was used: for the same event in the same log, or for something else. What an erased event said is
 * not known, so nothing is taken for it.
 */
export const usedId = (
  event: Repeated,
  isSameLog: boolean,
  stored: Stored,
  durability: Durability
): Evidence | Refused =>
  !isSameLog || (stored.body !== undefined && !sameFacts(stored.body, event.body))
    ? new Refused(new InvalidInput({ path: "/eventId", detail: "this event id was used for something else" }))
    : stored.body === undefined
    ? new Refused(new InvalidInput({ path: "/eventId", detail: "this event id is of an event that was erased" }))
    : evidence(stored, durability)

/** Key hashes are bound to the log's random origin: the same key in two logs, or two stores, has nothing in common. */
export const keyHash = (origin: string, key: string): Uint8Array =>
  createHmac("sha256", origin).update(key, "utf8").digest().subarray(0, 16)

/**
 * What stays of an erased event's key: it is found again only by who repeats what it was used for. The key cannot be
 * found by trying, since the digest, which goes with the erasure, is the key of this hash.
 */
export const erasedKeyHash = (hash: Uint8Array, digest: Uint8Array): Uint8Array =>
  createHmac("sha256", digest).update(hash).digest().subarray(0, 16)

/** The hashes that an event's key may be stored under, the first one while the event is not erased. */
export const keyHashes = (
  origin: string,
  { digest, formerDigest, key }: Idempotency
): readonly [Uint8Array, ...ReadonlyArray<Uint8Array>] => {
  const hash = keyHash(origin, key)
  return [hash, erasedKeyHash(hash, digest), erasedKeyHash(hash, formerDigest)]
}
