/** The rows of a store in memory. Each row is immutable, so that a copy of the maps is a copy of the store. */
import { erasedKeyHash } from "../internal/duplicate.ts"
import type { TreeRows } from "../ledger/growth.ts"
import type { Hold, Log, StoredEvent, StoredNote } from "../ledger/LogStore.ts"
import { hashBytes } from "../ledger/treeReader.ts"
import type { Hash } from "../Merkle.ts"
import type { LogName } from "../RequestContext.ts"
import type { Preference } from "../TrainingPreferences.ts"

/** What an idempotency key, of which a hash is kept, was used for. */
export interface UsedKey {
  readonly row: number
  readonly digest: Uint8Array | undefined
}

/** The key of a log in a map. */
export const logKey = ({ env, tenantId }: LogName): string => `${tenantId}/${env}`

/** One state of a store. */
export class State implements TreeRows {
  readonly logs: Map<string, Log>
  /** Row numbers by position, for each log. */
  readonly positions: Map<number, Array<number>>
  readonly events: Array<StoredEvent>
  readonly byId: Map<string, number>
  readonly keys: Map<string, UsedKey>
  readonly preferences: Map<string, Preference>
  readonly notes: Map<number, ReadonlyArray<StoredNote>>
  readonly holds: Map<number, ReadonlyArray<Hold>>
  readonly bundles: Map<string, Uint8Array>
  readonly hashes: Map<string, Hash>

  constructor(from?: State | undefined) {
    this.logs = new Map(from?.logs)
    this.positions = new Map([...from?.positions ?? []].map(([log, rows]) => [log, [...rows]]))
    this.events = [...from?.events ?? []]
    this.byId = new Map(from?.byId)
    this.keys = new Map(from?.keys)
    this.preferences = new Map(from?.preferences)
    this.notes = new Map(from?.notes)
    this.holds = new Map(from?.holds)
    this.bundles = new Map(from?.bundles)
    this.hashes = new Map(from?.hashes)
  }

  key(log: number, hash: Uint8Array): UsedKey | undefined {
    return this.keys.get(`${log}/${Buffer.from(hash).toString("hex")}`)
  }

  useKey(log: number, hash: Uint8Array, used: UsedKey): void {
    this.keys.set(`${log}/${Buffer.from(hash).toString("hex")}`, used)
  }

  /** Takes the digests of erased rows away, and leaves of the keys what only repeating finds. */
  eraseKeys(log: number, rows: ReadonlySet<number>): void {
    for (const [name, { digest, row }] of this.keys) {
      if (digest === undefined || !rows.has(row)) continue
      this.keys.delete(name)
      this.useKey(log, erasedKeyHash(Buffer.from(name.slice(name.indexOf("/") + 1), "hex"), digest), {
        row,
        digest: undefined
      })
    }
  }

  bundle(log: number, index: number): Uint8Array {
    return this.bundles.get(`${log}/${index}`) ?? new Uint8Array(0)
  }

  subtrees(log: number, level: number, first: number, count: number): Uint8Array {
    const found: Array<Hash> = []
    for (let index = first; index < first + count; index++) {
      const hash = this.hashes.get(`${log}/${level}/${index}`)
      if (hash === undefined) break
      found.push(hash)
    }
    return Buffer.concat(found, found.length * hashBytes)
  }

  commitments(log: number, from: number, to: number): Uint8Array {
    const rows = (this.positions.get(log) ?? []).slice(from, to)
    return Buffer.concat(rows.flatMap((row) => this.events[row]?.commitment ?? []))
  }

  putBundle(log: number, index: number, commitments: Uint8Array): void {
    this.bundles.set(`${log}/${index}`, Uint8Array.from(commitments))
  }

  putSubtree(log: number, level: number, index: number, hash: Hash): void {
    this.hashes.set(`${log}/${level}/${index}`, Uint8Array.from(hash))
  }
}
