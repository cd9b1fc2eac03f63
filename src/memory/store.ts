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
import { AuditError, type AuditReason, CheckpointInconsistent, SinkTimeout } from "../AuditError.ts"
import { EventId, type Sealed } from "../DatasetEvent.ts"
import type { Evidence } from "../EventSink.ts"
import { Refused, type Stored, usedId, usedKey } from "../internal/duplicate.ts"
import { type Entropy, uuidBytes, uuidText } from "../internal/entropy.ts"
import { type Head, stoppedBy } from "../ledger/extends.ts"
import { Growth, type TreeRows } from "../ledger/growth.ts"
import { makeLogCreated } from "../ledger/logCreated.ts"
import type { Log } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"
import { logKey, State } from "./state.ts"

/** A transaction that a fiber carries: which one, and how many savepoints are open at the fiber's place. */
interface Carried {
  readonly transaction: object
  readonly level: number
}

/** How long a writer waits for a transaction that is open. */
const deadlineMillis = 5000

export class MemoryStore {
  /** What readers see. */
  committed = new State()
  /** What writers see: the same, but for what an open transaction has changed. */
  current: State = this.committed
  /** The last head that was signed of each origin: no part of what a transaction rolls back. */
  readonly signed = new Map<string, Head>()
  private readonly growth: Growth
  private readonly semaphore = Semaphore.makeUnsafe(1)
  private open: object | undefined
  private depth = 0
  private readonly carried = Reference<Carried | undefined>("effect-audit/memory/Carried", {
    defaultValue: () => undefined
  })
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

  /** The level of the open transaction that a context carries. */
  levelOf(context: Context.Context<never>): number | undefined {
    const carried = context.mapUnsafe.get(this.carried.key)
    return isCarried(carried) && carried.transaction === this.open ? carried.level : undefined
  }

  private waiting<A, R>(acquire: Effect.Effect<A, never, R>, method: string): Effect.Effect<A, AuditError, R> {
    return Effect.timeoutOrElse(Effect.interruptible(acquire), {
      duration: deadlineMillis,
      orElse: () => {
        const reason = new SinkTimeout({ detail: `another transaction kept the store for ${deadlineMillis} ms` })
        return Effect.fail(new AuditError({ method, reason }))
      }
    })
  }

  /** Runs synchronous work as one commit, or in the transaction that the fiber carries. */
  write<A>(method: string, work: () => A): Effect.Effect<A, AuditError> {
    return Effect.withFiber((fiber) => {
      const level = this.levelOf(fiber.context)
      if (level === undefined) {
        return this.open === undefined
          ? Effect.sync(work)
          : Effect.acquireUseRelease(
            this.waiting(this.semaphore.take(1), method),
            () => Effect.sync(work),
            () => this.semaphore.release(1)
          )
      }
      // Another fiber's savepoint is open in the same transaction, and could take the work with it: waits for its end.
      return level === this.depth
        ? Effect.sync(work)
        : Effect.andThen(Effect.yieldNow, Effect.suspend(() => this.write(method, work)))
    })
  }

  /** Runs an effect in a transaction, or as a part of the one that the fiber carries. */
  transact<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditError, R> {
    return Effect.withFiber<A, E | AuditError, R>((fiber) => {
      const level = this.levelOf(fiber.context)
      if (level !== undefined && this.open !== undefined) return this.savepoint(effect, this.open, level)
      return Effect.acquireUseRelease(
        this.waiting(this.semaphore.take(1), "Transactions.transact"),
        () => this.outermost(effect),
        () => this.semaphore.release(1)
      )
    })
  }

  private outermost<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const transaction = {}
        this.open = transaction
        this.depth = 0
        this.current = new State(this.committed)
        return Effect.map(
          Effect.exit(restore(Effect.provideService(effect, this.carried, { transaction, level: 0 }))),
          (exit) => {
            this.open = undefined
            if (Exit.isSuccess(exit)) this.committed = this.current
            else this.restore(this.committed)
            return exit
          }
        )
      }).pipe(Effect.flatten)
    )
  }

  private savepoint<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    transaction: object,
    level: number
  ): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const before = new State(this.current)
        this.depth = level + 1
        return Effect.map(
          Effect.exit(restore(Effect.provideService(effect, this.carried, { transaction, level: level + 1 }))),
          (exit) => {
            // A transaction that ended meanwhile took its savepoints with it.
            if (this.open === transaction) {
              this.depth = level
              if (Exit.isFailure(exit)) this.restore(before)
            }
            return exit
          }
        )
      }).pipe(Effect.flatten)
    )
  }

  private restore(state: State): void {
    this.current = state
    this.growth.forget()
  }

  /** The log of a name, made with its first event if it is new. */
  private logOf(name: LogName, millis: number): Log {
    const known = this.current.logs.get(logKey(name))
    if (known !== undefined) return known
    const { event, origin } = makeLogCreated(name, this.deployment, this.entropy, millis)
    const { env, tenantId } = name
    const log = { id: this.current.logs.size, name: { tenantId, env }, origin, size: 0, stopped: undefined }
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

  /** Appends an event; synchronous, and so one step for every other fiber. */
  append(event: Sealed, millis: number): Evidence | Refused {
    const log = this.logOf(event, millis)
    if (log.stopped !== undefined) {
      return new Refused(stoppedBy(log.origin, new CheckpointInconsistent({ detail: log.stopped })))
    }
    const key = event.idempotency === undefined ? undefined : `${log.id}/${event.idempotency.key}`
    const used = key === undefined ? undefined : this.current.keys.get(key)
    const first = this.storedAt(used?.row)
    if (used !== undefined && first !== undefined) return usedKey(event, used.digest, first, "memory")
    const same = this.storedAt(this.current.byId.get(event.eventId))
    if (same !== undefined) return usedId(event, same.log === log.id, same, "memory")
    const row = this.current.events.length
    const refused = this.insert(log, event)
    if (refused !== undefined) return new Refused(refused)
    if (key !== undefined) this.current.keys.set(key, { row, digest: event.idempotency?.digest })
    return { eventId: event.eventId, position: log.size, duplicate: false, durability: "memory" }
  }

  /** Keeps the entries after the last complete bundle in their bundle, up to a size. */
  keepTail(log: number, size: number): void {
    this.growth.keepTail(log, size)
  }
}

const isCarried = (value: unknown): value is Carried =>
  typeof value === "object" && value !== null && "transaction" in value && "level" in value
