/** What becomes of events of one log, from what is known of it: in their order, and without the medium. */
import { type AuditReason, type InvalidInput, SinkRejected } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import type { Durability, Evidence } from "../EventSink.ts"
import { stoppedBy } from "../ledger/extends.ts"
import type { Frontier } from "../ledger/frontier.ts"
import type { Appended } from "./committed.ts"
import { keyHashes, Refused, type Stored, usedId, usedKey } from "./duplicate.ts"
import { uuidText } from "./entropy.ts"
import { blobOf, integerOf, type Row } from "./row.ts"
import type { SealedRow } from "./sealedRow.ts"

/** A log as it was seen last. It still is while its head has the same version, and `frontier` while it has the size. */
export interface Seen {
  readonly id: number
  readonly version: number
  readonly origin: string
  /** The first origin of the log, which its idempotency keys are bound to. */
  readonly firstOrigin: string
  /** Why the log takes no more events, if so. */
  readonly stopped: AuditReason | undefined
  /** Nothing, where others have appended meanwhile. */
  readonly frontier: Frontier | undefined
  /** Whether others write to it at the same time, so that its lock is waited for. */
  readonly isContended: boolean
  /** Where it ended after what was written last, while others write to it: who finds it there is alone again. */
  readonly end?: number | undefined
}

/** A log whose end is known. */
export interface Grown extends Seen {
  readonly frontier: Frontier
}

/** A key that is used for the first time. */
export interface UsedKey {
  readonly hash: Uint8Array
  readonly position: number
  readonly digest: Uint8Array
}

/** What a log holds of the ids and keys that come. */
export class Known {
  readonly keys = new Map<string, { readonly digest: Uint8Array | undefined; readonly position: number }>()
  readonly ids = new Map<string, Stored & { readonly log: number }>()
  readonly positions = new Map<number, Stored>()

  add(log: number, row: Row): void {
    const [position, id] = [integerOf(row, "position"), blobOf(row, "event_id")]
    if (position === undefined || id === undefined) return
    const text = uuidText(id)
    const stored = { eventId: EventId.make(text, { disableChecks: true }), position, body: blobOf(row, "body") }
    this.ids.set(text, { ...stored, log: integerOf(row, "log") ?? -1 })
    if (integerOf(row, "log") === log) this.positions.set(position, stored)
  }
}

/** Bytes as a key of a map. */
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** What is to be said of an event whose key or id was used before. */
const usedBefore = (
  row: SealedRow,
  { id }: Seen,
  known: Known,
  hashes: ReadonlyArray<Uint8Array>,
  durability: Durability
): Evidence | Refused | undefined => {
  const used = hashes.map((hash) => known.keys.get(hex(hash))).find((used) => used !== undefined)
  if (used !== undefined) {
    const stored = known.positions.get(used.position)
    return stored === undefined
      ? new Refused(new SinkRejected({ detail: "the stored key leads to no event of its log: someone changed it" }))
      : usedKey(row, used.digest, stored, durability)
  }
  const stored = row.repeated ? known.ids.get(uuidText(row.id)) : undefined
  return stored === undefined ? undefined : usedId(row, stored.log === id, stored, durability)
}

/** What becomes of each of some events, and the rows and keys of those that are to be written. */
export const decided = (
  rows: ReadonlyArray<SealedRow>,
  seen: Grown,
  known: Known,
  policies: ReadonlyMap<string, InvalidInput | undefined>,
  durability: Durability
) => {
  const { firstOrigin, frontier, id, origin, stopped } = seen
  const added: Array<SealedRow> = []
  const keys: Array<UsedKey> = []
  const decide = (row: SealedRow): Appended => {
    const other = row.policy === undefined ? undefined : policies.get(row.policy)
    if (other !== undefined) return new Refused(other)
    if (stopped !== undefined) return new Refused(stopped)
    const { idempotency } = row
    const hashes = idempotency === undefined ? [] : keyHashes(firstOrigin, idempotency)
    const used = usedBefore(row, seen, known, hashes, durability)
    if (used !== undefined) return used
    const position = frontier.size
    const refused = frontier.add(row.commitment)
    if (refused !== undefined) return new Refused(stoppedBy(origin, refused))
    added.push(row)
    const eventId = uuidText(row.id)
    const stored = { eventId: EventId.make(eventId, { disableChecks: true }), position, body: row.body }
    known.ids.set(eventId, { ...stored, log: id })
    known.positions.set(position, stored)
    if (idempotency !== undefined && hashes[0] !== undefined) {
      keys.push({ hash: hashes[0], position, digest: idempotency.digest })
      known.keys.set(hex(hashes[0]), { digest: idempotency.digest, position })
    }
    return position
  }
  return { outcomes: rows.map(decide), added, keys }
}

/** Logs of which a process remembers how it saw them last. */
const mostSeen = 8192

/** How logs were seen last. */
export class Seens {
  private readonly byKey = new Map<string, Seen>()

  get(key: string): Seen | undefined {
    return this.byKey.get(key)
  }

  set(key: string, seen: Seen): void {
    // The one that was not written to for longest goes.
    this.byKey.delete(key)
    const oldest = this.byKey.size >= mostSeen ? this.byKey.keys().next().value : undefined
    if (oldest !== undefined) this.byKey.delete(oldest)
    this.byKey.set(key, seen)
  }

  delete(key: string): void {
    this.byKey.delete(key)
  }
}
