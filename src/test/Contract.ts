/**
 * The contracts of a medium, for authors of their own.
 *
 *     for (const { name, test } of Contract.eventSink) it.live(name, () => Effect.provide(test, yourMedium))
 *
 * Each clause is an effect that fails with what was broken. It needs a fresh store, and writes to the log of tenant
 * `contract` in env `test`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as AuditLogger from "../AuditLogger.ts"
import { EventId } from "../DatasetEvent.ts"
import { EventSink } from "../EventSink.ts"
import * as LoggingEngine from "../LoggingEngine.ts"
import { TenantId } from "../RequestContext.ts"
import { AuditTrail } from "../trail/AuditTrail.ts"
import { TrainingPreferences } from "../TrainingPreferences.ts"
import { Transactions } from "../Transactions.ts"
import {
  checkLog,
  type Clause,
  elsewhere,
  emit,
  items,
  log,
  logging,
  reasonOf,
  same,
  sealedOf,
  within
} from "./clause.ts"

export type { Clause, ContractBroken } from "./clause.ts"

/** What the clauses of a sink need; the trail shows what was stored. */
export type SinkServices = EventSink | TrainingPreferences | AuditTrail

const clause = <R>(name: string, test: Effect.Effect<void, unknown, R>): Clause<R> => ({ name, test })

const range = (length: number) => Array.from({ length }, (_, n) => n)

/** What every sink promises. */
export const eventSink: ReadonlyArray<Clause<SinkServices>> = [
  clause(
    "stores concurrent events exactly once, dense from 0, those of one caller in the order of its calls",
    Effect.gen(function*() {
      const receipts = yield* Effect.forEach(
        range(20),
        (caller) => Effect.forEach(range(10), (n) => emit(caller * 10 + n)),
        { concurrency: "unbounded" }
      )
      const all = yield* items()
      yield* same("events", all.length, 201)
      yield* same("positions", all.map(({ position }) => position), range(201))
      for (const list of receipts) {
        const positions = list.map(({ position }) => position ?? -1)
        yield* same("a caller's order", positions, positions.toSorted((a, b) => a - b))
      }
    }).pipe(within, logging)
  ),
  clause(
    "stores the same event once, and says that it is a duplicate",
    Effect.gen(function*() {
      const sink = yield* EventSink
      const event = yield* sealedOf(1)
      const first = yield* sink.append(event)
      const again = yield* sink.append(event)
      yield* same("duplicate", [first.duplicate, again.duplicate], [false, true])
      yield* same("position", again.position, first.position)
      yield* checkLog([1])
    })
  ),
  clause(
    "refuses a copy of a sealed event, and stores nothing of it",
    Effect.gen(function*() {
      const sink = yield* EventSink
      const event = yield* sealedOf(1)
      // What the compiler refuses is tried by way of a prototype that says it is one.
      const copy: typeof event = Object.assign(Object.create(Object.getPrototypeOf(event)), event)
      yield* same("reason", yield* reasonOf(sink.append(copy)), "InvalidInput")
      yield* same("events", (yield* items()).length, 0)
    })
  ),
  clause(
    "refuses an event id, or a key, that was used for something else, and records each once",
    Effect.gen(function*() {
      const first = yield* emit(1, { idempotencyKey: "k" })
      const again = yield* emit(1, { idempotencyKey: "k" })
      yield* same("same key", [again.eventId, again.duplicate], [first.eventId, true])
      const repeated = yield* emit(1, { eventId: first.eventId })
      yield* same("same id", [repeated.position, repeated.duplicate], [first.position, true])
      yield* same("other event, same key", yield* reasonOf(emit(2, { idempotencyKey: "k" })), "InvalidInput")
      yield* same("other event, same id", yield* reasonOf(emit(2, { eventId: first.eventId })), "InvalidInput")
      const stranger = emit(1, { eventId: first.eventId }).pipe(elsewhere)
      yield* same("another log, same id", yield* reasonOf(stranger), "InvalidInput")
      yield* same("another log, same key", yield* reasonOf(emit(1, { idempotencyKey: "k" }).pipe(elsewhere)), "success")
      yield* checkLog([1])
    }).pipe(within, logging)
  ),
  clause(
    "stores the event of a caller that was interrupted while it waited",
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach(range(20), (n) => Effect.forkChild(emit(n), { startImmediately: true }))
      yield* Effect.forEach(fibers, Fiber.interrupt, { concurrency: "unbounded" })
      yield* same("events", (yield* items()).length, 21)
    }).pipe(within, logging)
  )
]

/** What transactions promise. */
export const transactions: ReadonlyArray<Clause<SinkServices | Transactions>> = [
  clause(
    "commit what succeeds, and take back what fails, dies or is rolled back inside",
    Effect.gen(function*() {
      const { transact } = yield* Transactions
      yield* transact(Effect.andThen(emit(1), emit(2)))
      yield* Effect.exit(transact(Effect.andThen(emit(3), Effect.fail("no"))))
      yield* Effect.exit(transact(Effect.andThen(emit(4), Effect.die("no"))))
      yield* transact(Effect.gen(function*() {
        yield* emit(5)
        yield* Effect.exit(transact(Effect.andThen(emit(6), Effect.fail("no"))))
        yield* transact(emit(7))
      }))
      yield* emit(8)
      yield* checkLog([1, 2, 5, 7, 8])
    }).pipe(within, logging)
  ),
  clause(
    "run nested transactions that are started together one after another, each with its own end",
    Effect.gen(function*() {
      const { transact } = yield* Transactions
      const nested = (n: number, end: Effect.Effect<void, string>) =>
        Effect.exit(transact(Effect.all([Effect.yieldNow, emit(n), Effect.yieldNow, end], { discard: true })))
      yield* transact(
        Effect.all([nested(1, Effect.fail("no")), nested(2, Effect.void), nested(3, Effect.void)], { concurrency: 3 })
      )
      yield* checkLog([2, 3])
    }).pipe(within, logging)
  ),
  clause(
    "show nothing to readers before they commit, and let other events wait",
    Effect.gen(function*() {
      const { transact } = yield* Transactions
      const logger = yield* AuditLogger.AuditLogger
      yield* emit(1)
      const outside = yield* transact(Effect.gen(function*() {
        yield* emit(2)
        // Run apart from this fiber, and so outside of its transaction.
        const outside = Effect.runFork(within(logger.emit({ action: "note.create", input: { n: 3 } })))
        for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
        yield* same("events inside", (yield* items()).length, 2)
        return outside
      }))
      yield* Fiber.join(outside)
      yield* checkLog([1, 2, 3])
    }).pipe(within, logging)
  ),
  clause(
    "roll the change back when its event is refused, and record that as a failure",
    Effect.gen(function*() {
      yield* emit(1, { idempotencyKey: "k" })
      const refused = AuditLogger.audited(Effect.succeed({ n: 2 }), {
        action: "note.create",
        output: () => "x".repeat(300_000),
        transaction: true
      })
      yield* same("exit", Exit.isFailure(yield* Effect.exit(refused)), true)
      const all = yield* items()
      yield* same("outcome", all.map((item) => item.erased ? "" : item.event.outcome), [
        "success",
        "success",
        "failure"
      ])
    }).pipe(within, logging)
  )
]

/** What training preferences promise. */
export const trainingPreferences: ReadonlyArray<Clause<SinkServices>> = [
  clause(
    "let any opt-out win, at once, in its own tenant and env only",
    Effect.gen(function*() {
      const preferences = yield* TrainingPreferences
      const asked = { ...log, userIds: ["u1", "u2"] }
      const set = (trainingAllowed: boolean, userId?: string) =>
        LoggingEngine.setPreference({ trainingAllowed, userId })
      yield* same("nobody", yield* preferences.lookup(asked), "allowed")
      yield* set(false, "u2")
      yield* same("a person", yield* preferences.lookup(asked), "user_opt_out")
      yield* same("another person", yield* preferences.lookup({ ...log, userIds: ["u3"] }), "allowed")
      yield* set(false)
      yield* same("the tenant", yield* preferences.lookup(asked), "tenant_opt_out")
      yield* set(true)
      yield* set(true, "u2")
      yield* same("opted in again", yield* preferences.lookup(asked), "allowed")
      const list = yield* preferences.list(log)
      yield* same("list", list.map(({ trainingAllowed, userId }) => [userId ?? "", trainingAllowed]), [
        ["", true],
        ["u2", true]
      ])
    }).pipe(within, logging)
  ),
  clause(
    "change nothing when the change cannot be recorded",
    Effect.gen(function*() {
      const preferences = yield* TrainingPreferences
      const change = preferences.change({ ...log, trainingAllowed: false }, Effect.die("not recorded"))
      yield* Effect.exit(change)
      yield* same("lookup", yield* preferences.lookup({ ...log, userIds: [] }), "allowed")
      yield* same("list", yield* preferences.list(log), [])
    })
  )
]

/** What a trail promises. */
export const auditTrail: ReadonlyArray<Clause<SinkServices>> = [
  clause(
    "sees each event that was acknowledged before, in pages that repeat and miss none",
    Effect.gen(function*() {
      const trail = yield* AuditTrail
      yield* Effect.forEach(range(25), (n) => emit(n), { concurrency: 5 })
      for (const order of ["asc", "desc"] as const) {
        const seen: Array<number> = []
        let cursor: string | undefined
        do {
          const page = yield* trail.query({ ...log, order, limit: 7, cursor })
          seen.push(...page.items.map(({ position }) => position))
          cursor = page.next
        } while (cursor !== undefined)
        yield* same(order, seen, order === "asc" ? range(26) : range(26).toReversed())
      }
    }).pipe(within, logging)
  ),
  clause(
    "never crosses tenants: not in a page, by a cursor, or by an id",
    Effect.gen(function*() {
      const trail = yield* AuditTrail
      const { eventId } = yield* emit(1)
      yield* emit(2)
      yield* emit(3).pipe(elsewhere)
      const other = {
        ...log,
        tenantId: (yield* trail.logs).find(({ tenantId }) => tenantId !== log.tenantId)!.tenantId
      }
      yield* same("theirs", (yield* trail.query(other)).items.length, 2)
      const { next } = yield* trail.query({ ...log, limit: 1 })
      yield* same("cursor", yield* reasonOf(trail.query({ ...other, limit: 1, cursor: next })), "InvalidCursor")
      yield* same("id", yield* reasonOf(trail.get({ ...other, eventId })), "NotFound")
      yield* same("own id", (yield* trail.get({ ...log, eventId })).position, 1)
      const unknown = EventId.make("01900000-0000-7000-8000-000000000000")
      yield* same("id of no event", yield* reasonOf(trail.get({ ...log, eventId: unknown })), "NotFound")
      const nowhere = { tenantId: TenantId.make("nobody"), env: log.env }
      yield* same("id in no log", yield* reasonOf(trail.get({ ...nowhere, eventId })), "NotFound")
      yield* same("no log", (yield* trail.query(nowhere)).items, [])
      yield* same("logs", (yield* trail.logs).map(({ size, tenantId }) => [tenantId, size]), [["contract", 3], [
        "other",
        2
      ]])
    }).pipe(within, logging)
  ),
  clause(
    "is followed from a position or from now on, in order, while others write: none is left out, none comes twice",
    Effect.gen(function*() {
      const trail = yield* AuditTrail
      const seen = (after: number | undefined, count: number) =>
        Effect.forkChild(
          Effect.map(
            Stream.runCollect(Stream.take(trail.follow({ ...log, after }), count)),
            (items) => items.map(({ position }) => position)
          ),
          { startImmediately: true }
        )
      yield* Effect.forEach(range(10), (n) => emit(n))
      const followers = [yield* seen(-1, 611), yield* seen(5, 605)]
      yield* Effect.forEach(range(600), (n) => emit(n), { concurrency: 50 })
      yield* same("from the beginning", yield* Fiber.join(followers[0]!), range(611))
      yield* same("after a position", yield* Fiber.join(followers[1]!), range(611).slice(6))
      yield* same(
        "a position to come",
        yield* reasonOf(Stream.runHead(trail.follow({ ...log, after: 700 }))),
        "InvalidInput"
      )
    }).pipe(within, logging)
  ),
  clause(
    "shows a follower what its filter asks for, and no other tenant's events",
    Effect.gen(function*() {
      const trail = yield* AuditTrail
      yield* emit(0)
      const mine = trail.follow({ ...log, after: -1, filter: { action: "note.create" } })
      const fiber = yield* Effect.forkChild(Stream.runCollect(Stream.take(mine, 3)), { startImmediately: true })
      yield* emit(1).pipe(elsewhere)
      yield* AuditLogger.emit({ action: "folder.create" })
      yield* Effect.forEach([2, 3], (n) => emit(n))
      const inputs = (yield* Fiber.join(fiber)).map((item) => item.erased ? undefined : item.event.input)
      yield* same("found", inputs, [{ n: 0 }, { n: 2 }, { n: 3 }])
    }).pipe(within, logging)
  )
]
