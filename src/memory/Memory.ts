/**
 * The medium of tests: everything that a database gives, and gone with the process, which its receipts say.
 *
 *     AuditLogger.layer().pipe(Layer.provideMerge(Memory.layer()))
 *
 * Transactions roll back, readers see what is committed, checkpoints, proofs, verification and erasure work. What an
 * application keeps elsewhere (a `Ref`, a map) is not rolled back.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditError } from "../AuditError.ts"
import type { AuditStore, Store } from "../config/AuditConfig.ts"
import { EventSink, refusal, refusalInside } from "../EventSink.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { Refused } from "../internal/duplicate.ts"
import { Entropy } from "../internal/entropy.ts"
import { LogStore, type StoredEvent } from "../ledger/LogStore.ts"
import { ended, SignerState } from "../ledger/Signer.ts"
import { AuditTrail, type Item } from "../trail/AuditTrail.ts"
import { found, itemOf, noSuchEvent, noSuchPlace, pageOf, type Reading } from "../trail/paging.ts"
import { trailOver } from "../trail/trailOver.ts"
import { type Preference, type Subject, TrainingPreferences } from "../TrainingPreferences.ts"
import { Transactions } from "../Transactions.ts"
import { WritePolicy } from "../WritePolicy.ts"
import { logStoreOf } from "./logs.ts"
import { logKey, type State } from "./state.ts"
import { deadlineMillis, MemoryStore } from "./store.ts"

const writePolicyOf = (store: MemoryStore): WritePolicy["Service"] =>
  WritePolicy.of({
    current: Effect.sync(() => store.policy),
    replace: (from, to) =>
      Effect.sync(() => {
        if (store.policy?.fingerprint !== from.fingerprint || store.policy.changes !== from.changes) return false
        store.policy = to
        return true
      }),
    logs: Effect.sync(() =>
      [...store.committed.logs.values()].filter(({ stopped }) => stopped === undefined).map(({ name }) => name)
    )
  })

const sinkOf = (store: MemoryStore, clock: Clock.Clock): EventSink["Service"] => {
  const method = "EventSink.append"
  const sink = EventSink.of({
    append: (event) => {
      const refused = refusal(method, event)
      if (refused !== undefined) return Effect.fail(refused)
      const inside = refusalInside(method, event)
      const appended = Effect.flatMap(
        store.write(method, () => store.append(event, clock.currentTimeMillisUnsafe())),
        (outcome) =>
          outcome instanceof Refused
            ? Effect.fail(new AuditError({ method, eventId: event.eventId, reason: outcome.reason }))
            : Effect.succeed(outcome)
      )
      return inside === undefined
        ? appended
        : Effect.withFiber((fiber) => store.isInTransaction(fiber.context) ? Effect.fail(inside) : appended)
    },
    policy: writePolicyOf(store)
  })
  keepsDeadline(sink, deadlineMillis)
  return sink
}

const subjectKey = ({ userId, ...log }: Subject): string => `${logKey(log)}/${userId ?? ""}`

/** An opt-out counts as soon as it is set, an opt-in once it is committed. */
const isOptedOut = ({ committed, current }: MemoryStore, subject: Subject): boolean =>
  [committed, current].some((state) => state.preferences.get(subjectKey(subject))?.trainingAllowed === false)

const preferencesOf = (store: MemoryStore): TrainingPreferences["Service"] => {
  const service = TrainingPreferences.of({
    lookup: ({ userIds, ...log }) =>
      Effect.sync(() =>
        isOptedOut(store, log)
          ? "tenant_opt_out"
          : userIds.some((userId) => isOptedOut(store, { ...log, userId }))
          ? "user_opt_out"
          : "allowed"
      ),
    change: (preference, record) =>
      store.transact(Effect.suspend(() => {
        store.current.preferences.set(subjectKey(preference), preference)
        return record
      })),
    list: (log) =>
      Effect.sync(() =>
        [...store.committed.preferences.values()].filter((preference) => logKey(preference) === logKey(log))
          .sort((a, b) => (a.userId ?? "") < (b.userId ?? "") ? -1 : 1)
          .map(({ env, tenantId, trainingAllowed, userId }): Preference =>
            userId === undefined ? { tenantId, env, trainingAllowed } : { tenantId, env, userId, trainingAllowed }
          )
      )
  })
  keepsDeadline(service, 0)
  return service
}

/** The rows of a query, in its order, from its place on. */
const rowsOf = (state: State, reading: Reading): ReadonlyArray<StoredEvent> | undefined => {
  const log = state.logs.get(logKey(reading.log))
  const rows = log === undefined ? [] : state.positions.get(log.id) ?? []
  const { after, descending } = reading
  if (log !== undefined && after !== undefined && after >= log.size) return undefined
  const part = after === undefined ? rows : descending ? rows.slice(0, after) : rows.slice(after + 1)
  return (descending ? part.toReversed() : part).flatMap((row) => state.events[row] ?? [])
}

const trailOf = (store: MemoryStore) =>
  trailOver({
    watch: () => Effect.sync(() => store.watch()),
    page: Effect.fnUntraced(function*(reading) {
      const rows = rowsOf(store.committed, reading)
      if (rows === undefined) return yield* noSuchPlace
      const items: Array<Item> = []
      for (const row of rows) {
        const item = yield* Effect.fromResult(found(row, reading.search))
        if (item !== undefined) items.push(item)
        if (items.length > reading.limit) break
      }
      return pageOf(reading, items)
    }),
    get: Effect.fnUntraced(function*({ eventId, ...name }) {
      const { byId, events, logs } = store.committed
      const row = byId.get(eventId)
      const event = row === undefined ? undefined : events[row]
      if (event === undefined || event.log !== logs.get(logKey(name))?.id) {
        return yield* noSuchEvent("AuditTrail.get", eventId)
      }
      return yield* Effect.fromResult(itemOf(event))
    }),
    logs: Effect.sync(() =>
      [...store.committed.logs.values()].map(({ name, origin, size, stopped }) => ({ ...name, origin, size, stopped }))
        .sort((a, b) => logKey(a) < logKey(b) ? -1 : 1)
    )
  })

const signerStateOf = (store: MemoryStore): SignerState["Service"] =>
  SignerState.of({
    origins: Effect.sync(() => [...store.signed.values()]),
    last: (origin) => Effect.sync(() => store.signed.get(origin)?.head),
    end: (origin, head, name) =>
      Effect.sync(() => {
        store.signed.set(origin, { ...(store.signed.get(origin) ?? { origin, head, name }), isEnded: true })
      }),
    advance: (origin, from, to, name) =>
      Effect.suspend(() => {
        if (store.signed.get(origin)?.isEnded === true) return Effect.fail(ended(origin))
        const last = store.signed.get(origin)?.head
        const isFrom = last === undefined || from === undefined
          ? last === from
          : last.size === from.size && Buffer.compare(last.root, from.root) === 0
        if (isFrom) {
          store.signed.set(origin, { origin, name: name ?? store.signed.get(origin)?.name, head: to, isEnded: false })
        }
        return Effect.succeed(isFrom)
      })
  })

export type { AuditStore } from "../config/AuditConfig.ts"

/** What a store in memory is made with. */
export interface Options {
  /** Names the deployment in the origin of its logs: a host name without scheme; `effect-audit.local` unless given. */
  readonly deployment?: string | undefined
}

/** Sink, transactions, preferences, trail, logs, policy and signer's state in memory, as long as the layer lives. */
export const layer = (options: Options = {}): Layer.Layer<AuditStore> =>
  Layer.effectContext(Effect.gen(function*() {
    const store = new MemoryStore(yield* Entropy, options.deployment ?? "effect-audit.local")
    return Context.make(EventSink, sinkOf(store, yield* Clock.Clock)).pipe(
      Context.add(Transactions, Transactions.of({ transact: (effect) => store.transact(effect) })),
      Context.add(TrainingPreferences, preferencesOf(store)),
      Context.add(AuditTrail, yield* trailOf(store)),
      Context.add(LogStore, logStoreOf(store)),
      Context.add(SignerState, signerStateOf(store)),
      Context.add(WritePolicy, writePolicyOf(store))
    )
  }))

/** A store in memory for an `AuditConfig`: in the tests of an application. */
export const store: Store = { open: ({ deployment }) => layer({ deployment }) }
