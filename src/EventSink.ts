/**
 * Stores sealed events.
 *
 * `EventSink` is the last step of the write path: it receives events that are already stripped, decided and sealed, makes
 * them durable and answers with evidence. A sink never changes an event, and never answers success before the data is
 * durable. Each tenant and env has its own log; position 0 of a log is `audit.log_created`, written by the store.
 *
 * **Gotchas**
 *
 * `append` may fail with `CommitUnknown` although the event was stored. Repeat it with the same event: the event id makes
 * that harmless.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type AuditError, fail, InvalidDraft } from "./AuditError.ts"
import type { EventId, PiiFlags, Sealed } from "./DatasetEvent.ts"
import { keepsDeadline } from "./internal/deadline.ts"
import { Entropy } from "./internal/entropy.ts"
import { makeLogCreated } from "./internal/logCreated.ts"
import { sameFacts } from "./internal/sameFacts.ts"

/**
 * How durable an event is when the sink answers: `committed` and synced, `with-transaction` (when the caller's
 * transaction commits), or `memory` (gone with the process).
 */
export type Durability = "committed" | "with-transaction" | "memory"

/** What a sink says of an event that it has made durable. */
export interface Evidence {
  /** The stored event's id; of a duplicate by idempotency key, the first event's. */
  readonly eventId: EventId
  /** Position in the log of the event's tenant and env, dense from 0. */
  readonly position: number
  /** Whether the event had been stored before this call. */
  readonly duplicate: boolean
  readonly durability: Durability
  /** Of a duplicate: what its first receipt said, or that it has been erased since. */
  readonly first?: First | undefined
}

/** The first receipt of a duplicate. */
export type First =
  | { readonly erased: true }
  | { readonly erased: false; readonly piiFlags: PiiFlags; readonly trainOk: boolean }

/** Durable, ordered storage for sealed events. */
export class EventSink extends Context.Service<EventSink, {
  /**
   * Stores one event; calls that wait together share a commit.
   *
   * Durable once it succeeds. Idempotent by event id. Safe to call concurrently: events of one log are ordered one after
   * another, those of one caller in the order of its calls.
   */
  readonly append: (event: Sealed) => Effect.Effect<Evidence, AuditError>
  /**
   * Runs an effect in a transaction of the store, if it has them: what the effect writes there and the events that it
   * appends commit together or not at all.
   */
  readonly transact?: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AuditError, R>
}>()("effect-audit/EventSink") {}

/** One event of a memory sink: the exact bytes, and where they are. */
export interface MemoryEvent {
  readonly position: number
  readonly event: Sealed
}

/** What a memory sink has stored, for tests to look at; in the order of storing, all logs together. */
export class MemoryEvents extends Context.Service<MemoryEvents, {
  readonly all: Effect.Effect<ReadonlyArray<MemoryEvent>>
}>()("effect-audit/EventSink/MemoryEvents") {}

/** The log that an event belongs to, as a key of a map. */
const logKey = (event: Sealed): string => `${event.tenantId}/${event.env}`

/**
 * Stores in memory; for tests and programs that need no durability, which its receipts say.
 */
export const layerMemory: Layer.Layer<EventSink | MemoryEvents> = Layer.effectContext(Effect.gen(function*() {
  const entropy = yield* Entropy
  const clock = yield* Clock.Clock
  const events: Array<MemoryEvent> = []
  const sizes = new Map<string, number>()
  const byId = new Map<string, MemoryEvent>()
  const byIdempotencyKey = new Map<string, MemoryEvent>()

  const store = (event: Sealed): MemoryEvent => {
    const log = logKey(event)
    const position = sizes.get(log) ?? 0
    const stored = { position, event }
    sizes.set(log, position + 1)
    events.push(stored)
    byId.set(event.eventId, stored)
    return stored
  }
  const evidence = (stored: MemoryEvent, duplicate: boolean): Evidence => ({
    eventId: stored.event.eventId,
    position: stored.position,
    duplicate,
    durability: "memory",
    first: duplicate
      ? { erased: false, piiFlags: stored.event.piiFlags, trainOk: stored.event.trainOk }
      : undefined
  })
  const refuse = (event: Sealed, path: string, detail: string) =>
    Effect.fail(fail("EventSink.append", new InvalidDraft({ path, detail }), event.eventId))

  const append = (event: Sealed): Effect.Effect<Evidence, AuditError> => {
    const known = byId.get(event.eventId)
    if (known !== undefined) {
      return logKey(known.event) === logKey(event) && sameFacts(known.event.body, event.body)
        ? Effect.succeed(evidence(known, true))
        : refuse(event, "/eventId", "this event id was used for something else")
    }
    const key = event.idempotency === undefined ? undefined : JSON.stringify([logKey(event), event.idempotency.key])
    const first = key === undefined ? undefined : byIdempotencyKey.get(key)
    if (first !== undefined) {
      return Buffer.compare(first.event.idempotency!.digest, event.idempotency!.digest) === 0
        ? Effect.succeed(evidence(first, true))
        : refuse(event, "/idempotencyKey", "this key was used for something else")
    }
    if (!sizes.has(logKey(event))) store(makeLogCreated(event, "memory", entropy, clock.currentTimeMillisUnsafe()))
    const stored = store(event)
    if (key !== undefined) byIdempotencyKey.set(key, stored)
    return Effect.succeed(evidence(stored, false))
  }
  const sink = EventSink.of({
    append: (event) => Effect.suspend(() => append(event)),
    // Memory has nothing besides the events to roll back, and an effect's event is appended when it has succeeded.
    transact: (effect) => effect
  })
  keepsDeadline.add(sink)
  return Context.make(EventSink, sink).pipe(
    Context.add(MemoryEvents, MemoryEvents.of({ all: Effect.sync(() => events.slice()) }))
  )
}))
