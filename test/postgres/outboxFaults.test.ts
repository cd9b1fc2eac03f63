/** The outbox when things go wrong: connections and servers that are lost, repetitions, other policies, large events, many locks. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { AuditLogger, EventSink, LoggingEngine, type RequestContext, Transactions } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger } from "effect-audit/ledger"
import { Postgres, PostgresSignerState } from "effect-audit/postgres"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql/SqlClient"
import { readFileSync } from "node:fs"
import { log, sealedBy, within } from "../support.ts"
import { freshSchema, isWaiting, serverOfFile, terminateWaiting, until, waiting, whileLocked } from "./server.ts"

const file = serverOfFile()
const emit = (n: unknown, more: Partial<RequestContext.Json> = {}, options: LoggingEngine.EmitOptions = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } as never }, options).pipe(within(more))
const storeOf = (schema: string, logger: AuditLogger.Options = {}, options: Postgres.Options = {}, client = {}) =>
  Layer.fresh(
    Layer.mergeAll(Ledger.layer, Erasure.layer).pipe(
      Layer.provideMerge(AuditLogger.layer(logger)),
      Layer.provideMerge(Postgres.layer({ schema, outbox: true, ...options })),
      Layer.provideMerge(Layer.unwrap(Effect.sync(() => file.server.client(client))))
    )
  )
const numbers = Effect.map(
  Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })),
  (items) => items.slice(1).map((item) => item.erased ? undefined : (item.event.input as { readonly n: unknown }).n)
).pipe(Effect.orElseSucceed(() => []))
/** While the mover of another process is at this log: nothing of it moves. */
const held = (schema: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(SqlClient, (sql) =>
    sql.withTransaction(Effect.andThen(
      sql.unsafe(`SELECT pg_advisory_xact_lock(hashtextextended('effect-audit outbox "${schema}" t_acme/prod', 0))`),
      effect
    ))).pipe(Effect.provide(Layer.fresh(file.server.client())))

describe("an outbox", () => {
  it.live("moves on after its connection was ended", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      yield* emit(1)
      // Someone has the lock of the log, so that the mover waits in its transaction.
      yield* whileLocked(schema, () =>
        Effect.gen(function*() {
          yield* transact(emit(2))
          assert.isTrue(yield* terminateWaiting(schema))
        }))
      assert.isTrue(yield* until(numbers, (all) => all.length === 2), "the mover is dead, and nobody was told")
    }).pipe(Effect.provide(storeOf(schema)))
  }, 30_000)

  it.live("moves on after the server was killed", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      yield* emit(-1)
      yield* transact(Effect.forEach(Array.from({ length: 1500 }, (_, i) => i), (i) => emit(i), { discard: true }))
      assert.isTrue(yield* until(waiting(schema), (n) => n !== 1500))
      yield* Effect.promise(() => file.server.crash("SIGKILL"))
      // The server is away, and then starts.
      const left = Effect.catchCause(waiting(schema), () => Effect.succeed(undefined))
      assert.isTrue(yield* until(left, (n) => n === 0, 8000))
    }).pipe(Effect.provide(storeOf(schema)))
  }, 40_000)

  it.live("stores a sealed event once that is repeated after its transaction", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const sink = yield* EventSink.EventSink
      yield* emit(0)
      const sealed = yield* sealedBy({ action: "note.create", input: { n: 1 } })
      yield* held(schema)(Effect.gen(function*() {
        yield* transact(sink.append(sealed))
        // It was not heard that this has committed: "Repeat it with the same event" (EventSink.ts).
        yield* sink.append(sealed)
      }))
      assert.isTrue(yield* until(waiting(schema), (n) => n === 0))
      assert.deepStrictEqual(yield* numbers, [0, 1])
    }).pipe(Effect.provide(storeOf(schema)))
  }, 30_000)

  it.live("stores one once that is repeated in its transaction", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const sink = yield* EventSink.EventSink
      yield* emit(0)
      const sealed = yield* sealedBy({ action: "note.create", input: { n: 1 } })
      yield* transact(Effect.andThen(sink.append(sealed), sink.append(sealed)))
      assert.isTrue(yield* until(waiting(schema), (n) => n === 0))
      assert.deepStrictEqual(yield* numbers, [0, 1])
    }).pipe(Effect.provide(storeOf(schema)))
  }, 30_000)

  it.live("refuses one of two policies that write first, or moves both", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const both = yield* Deferred.make<void>()
      let kept = 0
      const service = (n: number, pii: AuditLogger.Options["pii"]) =>
        Effect.gen(function*() {
          const { transact } = yield* Transactions.Transactions
          yield* Effect.exit(transact(Effect.gen(function*() {
            yield* Effect.exit(emit(n))
            if (++kept === 2) yield* Deferred.succeed(both, undefined)
            yield* Deferred.await(both)
          })))
          return yield* until(waiting(schema), (count) => count === 0)
        }).pipe(Effect.provide(storeOf(schema, { pii })))
      const done = yield* Effect.all([service(1, {}), service(2, { policy: { kinds: { EMAIL: "drop" } } })], {
        concurrency: 2
      })
      assert.deepStrictEqual(done, [true, true], "an acknowledged event never moves, and holds up its log for good")
    })
  }, 30_000)

  it.live("moves large events a few at a time", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      yield* emit(0)
      const filler = "lorem ipsum dolor ".repeat(60_000)
      yield* transact(Effect.forEach(
        Array.from({ length: 10 }, (_, n) => n + 1),
        (n) => AuditLogger.emit({ action: "note.create", input: { n, filler } }).pipe(within())
      ))
      assert.isTrue(yield* until(waiting(schema), (n) => n === 0, 30_000))
      assert.deepStrictEqual(yield* numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      const [row] = yield* sql.unsafe<{ steps: number }>(
        `SELECT count(DISTINCT xmin::text)::int4 AS steps FROM ${schema}.event WHERE position > 1`
      )
      assert.strictEqual(row?.steps, 3)
    }).pipe(Effect.provide(storeOf(schema, { limits: { maxBytes: 16_000_000 } }, { deadlineMillis: 30_000 })))
  }, 60_000)

  it.live("keeps nothing in its file of what was erased and is said to be scrubbed", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      const { eventId } = yield* transact(emit("the-needle-of-the-haystack"))
      yield* until(numbers, (all) => all.length === 1)
      const { scrubbed } = yield* Erasure.erase({ eventIds: [eventId], reason: "r" }).pipe(
        within({ actor: { type: "human", id: "dpo" } })
      )
      assert.isTrue(scrubbed)
      yield* sql.unsafe("CHECKPOINT")
      const [row] = yield* sql.unsafe<{ dir: string; event: string; outbox: string }>(
        `SELECT current_setting('data_directory') AS dir, pg_relation_filepath('${schema}.event') AS event, ` +
          `pg_relation_filepath('${schema}.outbox') AS outbox`
      )
      const has = (path = "") => readFileSync(`${row?.dir}/${path}`).includes("the-needle-of-the-haystack")
      assert.deepStrictEqual({ event: has(row?.event), outbox: has(row?.outbox) }, { event: false, outbox: false })
    }).pipe(Effect.provide(storeOf(schema)))
  }, 30_000)

  it.live("is not held up by a transaction that holds many logs", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      const others = Array.from({ length: 40 }, (_, i) => ({ tenantId: `t_${i}` }))
      yield* emit(0)
      yield* Effect.forEach(others, (other) => emit(0, other))
      const [isWritten, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const long = yield* Effect.forkChild(transact(Effect.gen(function*() {
        yield* Effect.forEach(others, (other) => emit(1, other, { idempotencyKey: "k" }))
        yield* Deferred.succeed(isWritten, undefined)
        yield* Deferred.await(mayEnd)
      })))
      yield* Deferred.await(isWritten)
      yield* transact(Effect.forEach(others, (other) => emit(2, other)))
      assert.isTrue(yield* isWaiting(schema))
      yield* transact(emit(3))
      const moved = yield* until(numbers, (all) => all.length === 2, 3000)
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(long)
      assert.isTrue(moved)
    }).pipe(Effect.provide(storeOf(schema)))
  }, 60_000)

  it.live("does with a pool of two, with the signer's state in it", () => {
    const schema = freshSchema()
    const store = Layer.fresh(
      AuditLogger.layer().pipe(
        Layer.provideMerge(Postgres.layerSigning({ schema, outbox: true })),
        Layer.provideMerge(PostgresSignerState.layer({ schema: `${schema}_signer`, newSigner: true })),
        Layer.provideMerge(Layer.unwrap(Effect.sync(() => file.server.client({ maxConnections: 2 }))))
      )
    )
    return Effect.gen(function*() {
      const { transact } = yield* Transactions.Transactions
      for (const tenantId of ["t_1", "t_2"]) yield* emit(0, { tenantId })
      yield* transact(Effect.forEach(["t_1", "t_2"], (tenantId) => emit(1, { tenantId })))
      const moved = yield* until(waiting(schema), (n) => n === 0).pipe(
        Effect.timeoutOrElse({ duration: 10_000, orElse: () => Effect.succeed(false) })
      )
      assert.isTrue(moved, "the mover and the application wait for connections for good")
    }).pipe(Effect.provide(store))
  }, 30_000)

  it.live("moves what an event is found by with it", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const { transact } = yield* Transactions.Transactions
      yield* emit(0)
      yield* transact(Effect.andThen(emit(1), sql.unsafe(`UPDATE ${schema}.outbox SET body = body`)))
      yield* until(numbers, (all) => all.length === 2, 2000)
      const { items } = yield* AuditTrail.query({ ...log, filter: { action: "note.create" } })
      assert.strictEqual(items.length, (yield* numbers).length)
    }).pipe(Effect.provide(storeOf(schema)))
  }, 30_000)

  it.live("takes no preference that is set alone: its receipt has a position", () =>
    Effect.gen(function*() {
      const { position } = yield* LoggingEngine.setPreference({ trainingAllowed: false }).pipe(within())
      assert.isNumber(position)
    }).pipe(Effect.provide(Layer.unwrap(Effect.sync(() => storeOf(freshSchema()))))), 30_000)

  it.live("is emptied by a process that puts nothing there", () => {
    const schema = freshSchema()
    const plain = storeOf(schema, {}, { outbox: false })
    return Effect.gen(function*() {
      yield* emit(0).pipe(Effect.provide(plain))
      yield* held(schema)(
        Effect.flatMap(Transactions.Transactions, ({ transact }) => transact(emit(1))).pipe(
          Effect.provide(storeOf(schema))
        )
      )
      yield* Effect.gen(function*() {
        assert.isTrue(yield* until(waiting(schema), (n) => n === 0))
        assert.deepStrictEqual(yield* numbers, [0, 1])
      }).pipe(Effect.provide(plain))
    })
  }, 30_000)
})
