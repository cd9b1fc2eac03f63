/** Sealed events as rows for a medium, and rows in one piece of memory, which moves to another thread as it is. */
import type { Idempotency, Sealed, SealedFields } from "../DatasetEvent.ts"
import { termsOf } from "../trail/terms.ts"
import { uuidBytes } from "./entropy.ts"

/** What a medium writes of a sealed event. */
export interface SealedRow extends
  Pick<
    SealedFields,
    "tenantId" | "env" | "recordedAtMillis" | "commitment" | "salt" | "body" | "idempotency" | "policy" | "repeated"
  >
{
  /** The 16 bytes of the event id. */
  readonly id: Uint8Array
  /** What the event can be found by. */
  readonly terms: Int32Array
}

/** The row of an event; `again` if it comes again in one commit. */
export const rowOf = (event: Sealed, again = false): SealedRow => ({
  tenantId: event.tenantId,
  env: event.env,
  recordedAtMillis: event.recordedAtMillis,
  commitment: event.commitment,
  salt: event.salt,
  body: event.body,
  idempotency: event.idempotency,
  policy: event.policy,
  repeated: again || event.repeated,
  id: uuidBytes(event.eventId),
  terms: termsOf(event.eventId, event.keys)
})

/** The rows of the events of one commit. */
export const rowsOf = (events: ReadonlyArray<Sealed>): ReadonlyArray<SealedRow> => {
  const seen = new Set<Sealed>()
  return events.map((event) => {
    const row = rowOf(event, seen.has(event))
    seen.add(event)
    return row
  })
}

/** Rows as they are sent: their bytes one after another, and the few texts that they share. */
export interface Packed {
  readonly count: number
  readonly bytes: ArrayBuffer
  readonly logs: ReadonlyArray<Pick<SealedRow, "tenantId" | "env">>
  /** Policies and idempotency keys. */
  readonly texts: ReadonlyArray<string>
}

/** The fixed part of a row: eight numbers of four bytes, one of eight, then id and commitment. */
const fixedBytes = 88
const digestBytes = 32
const none = 0xffffffff

const sizeOf = ({ body, idempotency, salt, terms }: SealedRow): number =>
  fixedBytes + salt.length + body.length + terms.length * 4 + (idempotency === undefined ? 0 : 2 * digestBytes)

/** The number of a value in a list of different ones. */
const numberIn = <A>(list: Array<A>, value: A, isSame: (one: A) => boolean): number => {
  // Neighbours are of one log mostly, and of one policy.
  if (list.length > 0 && isSame(list[list.length - 1]!)) return list.length - 1
  const found = list.findIndex(isSame)
  return found === -1 ? list.push(value) - 1 : found
}

/** Brings rows into one piece of memory. */
export const pack = (rows: ReadonlyArray<SealedRow>): Packed => {
  let size = 0
  for (const row of rows) size += sizeOf(row)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  const logs: Array<Pick<SealedRow, "tenantId" | "env">> = []
  const texts: Array<string> = []
  const policies = new Map<string, number>()
  let at = 0
  const put = (part: Uint8Array) => {
    bytes.set(part, at)
    at += part.length
  }
  for (const row of rows) {
    const { body, commitment, env, id, idempotency, policy, recordedAtMillis, repeated, salt, tenantId, terms } = row
    let policyAt = none
    if (policy !== undefined) {
      policyAt = policies.get(policy) ?? texts.push(policy) - 1
      policies.set(policy, policyAt)
    }
    view.setUint32(at, numberIn(logs, { tenantId, env }, (log) => log.tenantId === tenantId && log.env === env), true)
    view.setUint32(at + 4, policyAt, true)
    view.setUint32(at + 8, idempotency === undefined ? none : texts.push(idempotency.key) - 1, true)
    view.setUint32(at + 12, repeated ? 1 : 0, true)
    view.setUint32(at + 16, salt.length, true)
    view.setUint32(at + 20, body.length, true)
    view.setUint32(at + 24, terms.length, true)
    view.setFloat64(at + 32, recordedAtMillis, true)
    at += 40
    put(id)
    put(commitment)
    put(salt)
    put(body)
    if (idempotency !== undefined) {
      put(idempotency.digest)
      put(idempotency.formerDigest)
    }
    for (let i = 0; i < terms.length; i++, at += 4) view.setInt32(at, terms[i]!, true)
  }
  return { count: rows.length, bytes: bytes.buffer, logs, texts }
}

/** The rows of a piece of memory, as views on it. */
export const unpack = ({ bytes, count, logs, texts }: Packed): ReadonlyArray<SealedRow> => {
  const view = new DataView(bytes)
  let at = 0
  const take = (length: number): Uint8Array => {
    at += length
    return new Uint8Array(bytes, at - length, length)
  }
  const text = (index: number): string | undefined => index === none ? undefined : texts[index]
  return Array.from({ length: count }, (): SealedRow => {
    const number = (index: number): number => view.getUint32(at + index * 4, true)
    const [log, policy, key, repeated] = [number(0), number(1), number(2), number(3)]
    const [saltLength, bodyLength, termCount] = [number(4), number(5), number(6)]
    const recordedAtMillis = view.getFloat64(at + 32, true)
    at += 40
    const [id, commitment] = [take(16), take(32)]
    const [salt, body] = [take(saltLength), take(bodyLength)]
    const used = text(key)
    const idempotency: Idempotency | undefined = used === undefined
      ? undefined
      : { key: used, digest: take(digestBytes), formerDigest: take(digestBytes) }
    const terms = new Int32Array(termCount)
    for (let i = 0; i < termCount; i++, at += 4) terms[i] = view.getInt32(at, true)
    const name = logs[log]
    if (name === undefined) throw new RangeError("a row of no log")
    return {
      ...name,
      recordedAtMillis,
      commitment,
      salt,
      body,
      idempotency,
      policy: text(policy),
      repeated: repeated === 1,
      id,
      terms
    }
  })
}
