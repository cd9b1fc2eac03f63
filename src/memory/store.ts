/**
 * A store in memory, and its transactions: one at a time, with savepoints, rolled back like those of a database.
 *
 * While a transaction is open, readers see what was committed before it, and other writers wait.
 */
import type * as Context from "effect/Context"
import { Reference } from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import { AuditError, type AuditReason, CheckpointInconsistent, InvalidInput, SinkTimeout } from "../AuditError.ts"
import { EventId, type Sealed } from "../DatasetEvent.ts"
import type { Evidence } from "../EventSink.ts"
import { keyHashes, Refused, type Stored, usedId, usedKey } from "../internal/duplicate.ts"
import { type Entropy, uuidBytes, uuidText } from "../internal/entropy.ts"
import { stoppedBy } from "../ledger/extends.ts"
import { Growth, type TreeRows } from "../ledger/growth.ts"
import { type FirstOf, makeLogCreated } from "../ledger/logCreated.ts"
import type { Log } from "../ledger/LogStore.ts"
import type { SignedOrigin } from "../ledger/Signer.ts"
import type { Watch } from "../trail/follow.ts"
import { admits, type Written } from "../WritePolicy.ts"
import { logKey, State } from "./state.ts"

/** Where a fiber writes: outside of transactions, in one, or in one of its savepoints. */
class Place {
  /** Held by the transaction or savepoint that is open directly inside: others that write here wait for its end. */
  readonly semaphore = Semaphore.makeUnsafe(1)
  readonly outer: Place | undefined
  isTaken = false
  isEnded = false

  constructor(outer: Place | undefined) {
    this.outer = outer
  }
}

/** How long a writer waits for a transaction that is open. */
export const deadlineMillis = 5000

export class MemoryStore {
  /** What readers see. */
  committed = new State()
  /** What writers see: the same, but for what an open transaction has changed. */
  current: State = this.committed
  /** The last head that was signed of each origin: no part of what a transaction rolls back. */
  readonly signed = new Map<string, SignedOrigin>()
  /** The policy that it is written under. */
  policy: Written | undefined = undefined
  private readonly growth: Growth
  private readonly outside = new Place(undefined)
  private readonly carried = Reference<Place>("effect-audit/memory/Place", { defaultValue: () => this.outside })
  private readonly waiting = new Set<() => void>()
  private commits = 0
  private readonly entropy: Entropy
  private readonly deployment: string

  constructor(entropy: Entropy, deployment: string) {
    this.entropy = entropy
    this.deployment = deployment
    const rows: TreeRows = {
      bundle: (log, index) => this.current.bundle(log, index),
      subtrees: (log, level, first, count) => this.current.subtrees(log, level, first, count),
      commitments: (log, from, to) => this.current.commitments(log, from, to),
      putBundle: (log, index, commitments) => this.current.putBundle(log, index, commitments),
      putSubtree: (log, level, index, hash) => this.current.putSubtree(log, level, index, hash)
    }
    this.growth = new Growth(rows)
  }

  /** Where a fiber writes that carries a context: what has ended is left. */
  private placeOf(context: Context.Context<never>): Place {
    const carried = context.mapUnsafe.get(this.carried.key)
    let place = carried instanceof Place ? carried : this.outside
    for (let at: Place | undefined = place; at !== undefined; at = at.outer) if (at.isEnded) place = at.outer ?? place
    return place
  }

  /** Whether a context carries a transaction that is open. */
  isInTransaction(context: Context.Context<never>): boolean {
    return this.placeOf(context) !== this.outside
  }

  /** Runs what `use` makes, alone in the fiber's place, which may have changed when the wait for it is over. */
  private alone<A, E, R>(
    method: string,
    use: (place: Place) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | AuditError, R> {
    return Effect.withFiber((fiber) => {
      const place = this.placeOf(fiber.context)
      const acquire = Effect.timeoutOrElse(Effect.interruptible(place.semaphore.take(1)), {
        duration: deadlineMillis,
        orElse: () => {
          const reason = new SinkTimeout({ detail: `another transaction kept the store for ${deadlineMillis} ms` })
          return Effect.fail(new AuditError({ method, reason }))
        }
      })
      return Effect.acquireUseRelease(
        acquire,
        () => Effect.suspend(() => this.placeOf(fiber.context) === place ? use(place) : this.alone(method, use)),
        () => place.semaphore.release(1)
      )
    })
  }

  /** Wakes who waits for commits. */
  private tell(): void {
    this.commits++
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Watches for commits: each counts, whatever it changed. */
  watch(): Watch {
    let seen = -1
    const look = (): boolean => {
      const isMore = this.commits !== seen
      seen = this.commits
      return isMore
    }
    const committed = Effect.suspend(() =>
      look() ? Effect.void : Effect.callback<void>((resume) => {
        const wake = () => look() ? resume(Effect.void) : void this.waiting.add(wake)
        this.waiting.add(wake)
        return Effect.sync(() => this.waiting.delete(wake))
      })
    )
    return { committed, isBehind: Effect.sync(() => this.commits !== seen) }
  }

  /** Runs synchronous work as one commit, or in the transaction that the fiber carries. */
  write<A>(method: string, work: () => A): Effect.Effect<A, AuditError> {
    return Effect.withFiber((fiber) => {
      if (this.placeOf(fiber.context).isTaken) return this.alone(method, () => Effect.sync(work))
      // In this very step: between two, a transaction of another fiber may begin, and take the work with it.
      try {
        const result = work()
        this.tell()
        return Effect.succeed(result)
      } catch (defect) {
        return Effect.die(defect)
      }
    })
  }

  /** Runs an effect in a transaction, or as a part of the one that the fiber carries. */
  transact<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditError, R> {
    return this.alone("Transactions.transact", (place) => this.inside(place, effect))
  }

  /** Runs an effect in a transaction or savepoint, whose changes are kept if it succeeds. */
  private inside<A, E, R>(outer: Place, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const place = new Place(outer)
        const before = this.current
        this.current = new State(before)
        outer.isTaken = true
        return Effect.flatMap(
          Effect.exit(
            restore(Effect.provideService(effect, this.carried, place))
          ),
          (exit) => {
            outer.isTaken = false
            // A transaction that ended meanwhile took its savepoints with it.
            const isOpen = this.isOpen(place)
            place.isEnded = true
            if (isOpen && Exit.isFailure(exit)) this.restore(before)
            if (isOpen && outer === this.outside) {
              this.committed = this.current
              this.tell()
            }
            return exit
          }
        )
      })
    )
  }

  private isOpen(place: Place): boolean {
    for (let at: Place | undefined = place; at !== undefined; at = at.outer) if (at.isEnded) return false
    return true
  }

  private restore(state: State): void {
    this.current = state
    this.growth.forget()
  }

  /** The log of a name, made with its first event if it is new. */
  private logOf(name: FirstOf, millis: number): Log {
    const known = this.current.logs.get(logKey(name))
    if (known !== undefined) return known
    const { event, origin } = makeLogCreated(name, this.deployment, this.entropy, millis)
    const { env, tenantId } = name
    const origins = [{ origin, since: 0 }]
    const log = { id: this.current.logs.size, name: { tenantId, env }, origin, origins, size: 0, stopped: undefined }
    this.insert(log, event)
    return this.current.logs.get(logKey(name)) ?? log
  }

  private insert(log: Log, event: Sealed): AuditReason | undefined {
    const state = this.current
    const refused = this.growth.add(log.id, log.size, event.commitment)
    if (refused !== undefined) return stoppedBy(log.origin, refused)
    const row = state.events.length
    state.events.push({
      row,
      log: log.id,
      position: log.size,
      eventId: uuidBytes(event.eventId),
      commitment: event.commitment,
      erased: false,
      recordedAtMillis: event.recordedAtMillis,
      salt: event.salt,
      body: event.body
    })
    state.byId.set(event.eventId, row)
    const rows = state.positions.get(log.id) ?? []
    rows.push(row)
    state.positions.set(log.id, rows)
    state.logs.set(logKey(log.name), { ...log, size: log.size + 1 })
    return undefined
  }

  private storedAt(row: number | undefined): (Stored & { readonly log: number }) | undefined {
    const event = row === undefined ? undefined : this.current.events[row]
    return event === undefined ? undefined : {
      eventId: EventId.make(uuidText(event.eventId), { disableChecks: true }),
      position: event.position,
      body: event.body,
      log: event.log
    }
  }

  /** Why an event of a policy is not taken, if it is not; the first one sets the policy. */
  private otherPolicy(fingerprint: string | undefined): InvalidInput | undefined {
    if (fingerprint === undefined) return undefined
    const answer = admits(this.policy, fingerprint)
    if (answer === "sets") this.policy = { fingerprint, changes: 0 }
    return answer instanceof InvalidInput ? answer : undefined
  }

  /** Appends an event; synchronous, and so one step for every other fiber. */
  append(event: Sealed, millis: number): Evidence | Refused {
    const other = this.otherPolicy(event.policy)
    if (other !== undefined) return new Refused(other)
    const log = this.logOf(event, millis)
    if (log.stopped !== undefined) {
      return new Refused(stoppedBy(log.origin, new CheckpointInconsistent({ detail: log.stopped })))
    }
    const { idempotency } = event
    const keys = idempotency === undefined ? undefined : keyHashes(log.origins[0]?.origin ?? log.origin, idempotency)
    const used = keys?.map((key) => this.current.key(log.id, key)).find((used) => used !== undefined)
    const first = this.storedAt(used?.row)
    if (used !== undefined && first !== undefined) return usedKey(event, used.digest, first, "memory")
    const same = this.storedAt(this.current.byId.get(event.eventId))
    if (same !== undefined) return usedId(event, same.log === log.id, same, "memory")
    const row = this.current.events.length
    const refused = this.insert(log, event)
    if (refused !== undefined) return new Refused(refused)
    if (keys !== undefined) this.current.useKey(log.id, keys[0], { row, digest: idempotency?.digest })
    return { eventId: event.eventId, position: log.size, duplicate: false, durability: "memory" }
  }

  /** Keeps the entries after the last complete bundle in their bundle, up to a size. */
  keepTail(log: number, size: number): void {
    this.growth.keepTail(log, size)
  }
}
