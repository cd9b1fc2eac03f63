/** What a process remembers of a log that it writes to: it is asked again whenever it may not be true any more. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { type AuditError, AuditLogger, EventSink, type PiiStripper, Transactions } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { LogStore, Origin, Signer } from "effect-audit/ledger"
import { Postgres, PostgresSignerState } from "effect-audit/postgres"
import { AuditTrail, type Filter } from "effect-audit/trail"
import { SqlClient } from "effect/sql/SqlClient"
import { log, sealedBy, soon, within } from "../support.ts"
import { freshSchema, serverOfFile, storeAt } from "./server.ts"

const file = serverOfFile()
const emit = (n: number, options = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }, options).pipe(within())
const reasonOf = <A, R>(effect: Effect.Effect<A, AuditError.AuditError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)
const count = Effect.map(AuditTrail.query({ ...log, limit: 1000 }), ({ items }) => items.length)

/** A store whose signer's state is beside it, over a client of so many connections. */
const signing = (schema: string, maxConnections: number) =>
  AuditLogger.layer().pipe(
    Layer.provideMerge(Postgres.layerSigning({ schema })),
    Layer.provideMerge(PostgresSignerState.layer({ schema: `${schema}_signer`, newSigner: true })),
    Layer.provideMerge(file.server.client({ maxConnections }))
  )

/** An event that was stripped by another policy, as another version of the application gives it. */
const otherwise = (pii: PiiStripper.Options) => sealedBy({ action: "note.create" }, {}, {}, pii)

describe("a log that is written to", () => {
  it.live("gets an event once that comes again, and its first outcome", () =>
    Effect.gen(function*() {
      yield* emit(1)
      const sink = yield* EventSink.EventSink
      const sealed = yield* sealedBy({ action: "note.create", input: 2 })
      assert.deepInclude(yield* sink.append(sealed), { position: 2, duplicate: false })
      assert.deepInclude(yield* sink.append(sealed), { position: 2, duplicate: true })
      yield* emit(3)
      assert.strictEqual(yield* count, 4)
    }).pipe(Effect.provide(storeAt(file, freshSchema()))))

  it.live("gets no event of a policy that the store is not written under", () =>
    Effect.gen(function*() {
      yield* Effect.forEach([1, 2], (n) => emit(n))
      const sink = yield* EventSink.EventSink
      const other = yield* otherwise({ policy: { kinds: { EMAIL: "keep" } } })
      const outcomes = yield* Effect.all([Effect.exit(sink.append(other)), Effect.exit(emit(3))], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(outcomes.map(Exit.isSuccess), [false, true])
      assert.strictEqual(yield* reasonOf(sink.append(other)), "InvalidInput")
      assert.strictEqual(yield* count, 4)
    }).pipe(Effect.provide(storeAt(file, freshSchema()))))

  it.live("gets nothing more, however often it is asked, where it is shorter than what was signed", () => {
    const schema = freshSchema()
    const store = AuditLogger.layer().pipe(
      Layer.provideMerge(Postgres.layerSigning({ schema })),
      Layer.provideMerge(PostgresSignerState.layer({ schema: `${schema}_signer`, newSigner: true })),
      Layer.provideMerge(Layer.unwrap(Effect.sync(() => file.server.client()))),
      Layer.fresh
    )
    return Effect.gen(function*() {
      yield* Effect.provide(emit(1), store)
      yield* Effect.gen(function*() {
        const [found] = yield* AuditTrail.logs
        const origin = Origin.Origin.make(found?.origin ?? "")
        const state = yield* Signer.SignerState
        assert.isTrue(yield* state.advance(origin, undefined, { size: 100, root: Buffer.alloc(32, 1) }, log))
        for (const n of [2, 3, 4]) assert.strictEqual(yield* reasonOf(emit(n)), "LogStopped")
        const several = yield* Effect.all([5, 6, 7].map((n) => reasonOf(emit(n))), { concurrency: "unbounded" })
        assert.deepStrictEqual(several, ["LogStopped", "LogStopped", "LogStopped"])
        assert.strictEqual(yield* count, 2)
      }).pipe(Effect.provide(store))
    })
  })

  it.live("gets nothing more, with a key or without, where another process has stopped it", () =>
    Effect.scoped(Effect.gen(function*() {
      const schema = freshSchema()
      const other = yield* Layer.build(storeAt(file, schema))
      yield* Effect.gen(function*() {
        yield* Effect.forEach([1, 2], (n) => emit(n))
        yield* Effect.flatMap(
          LogStore.LogStore,
          (store) => store.change(log, (writer, found) => writer.stop(found, "by hand", Date.now()))
        ).pipe(Effect.provideContext(other))
        assert.strictEqual(yield* reasonOf(emit(3, { idempotencyKey: "k" })), "LogStopped")
        assert.strictEqual(yield* reasonOf(emit(4)), "LogStopped")
        assert.strictEqual(yield* reasonOf(emit(5, { idempotencyKey: "l" })), "LogStopped")
        assert.strictEqual(yield* count, 3)
      }).pipe(Effect.provide(storeAt(file, schema)))
    })))

  it.live("gets no event while the server says success before it is on disk", () =>
    Effect.gen(function*() {
      const schema = freshSchema()
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* Effect.forEach([1, 2], (n) => emit(n))
        const set = (value: string) =>
          Effect.andThen(
            sql.unsafe(`ALTER SYSTEM SET synchronous_commit = ${value}`),
            sql.unsafe("SELECT pg_reload_conf()")
          )
        const is = (value: string) =>
          Effect.map(
            sql.unsafe<{ readonly setting: string }>("SELECT current_setting('synchronous_commit') AS setting"),
            ([row]) => row?.setting === value
          )
        const until = (value: string) =>
          Effect.gen(function*() {
            while (!(yield* is(value)));
          })
        yield* Effect.ensuring(
          Effect.gen(function*() {
            yield* Effect.andThen(set("off"), until("off"))
            for (const n of [3, 4]) assert.strictEqual(yield* reasonOf(emit(n)), "SinkRejected")
          }),
          Effect.orDie(Effect.andThen(set("on"), until("on")))
        )
        assert.strictEqual((yield* emit(5)).position, 3)
      }).pipe(Effect.provide(
        AuditLogger.layer().pipe(
          Layer.provideMerge(Postgres.layer({ schema })),
          Layer.provideMerge(file.server.client({ maxConnections: 1 }))
        )
      ))
    }))
})

describe("an event in the application's transaction", () => {
  it.live("needs no connection beside that one, where the signer's state is beside the log", () =>
    Effect.gen(function*() {
      const schema = freshSchema()
      const store = () => signing(schema, 1)
      const emit = AuditLogger.emit({ action: "note.create" }).pipe(within())
      yield* Effect.provide(emit, store())
      // Another instance knows nothing of the log, and asks what was signed of it.
      const { durability } = yield* Effect.provide(Transactions.transact(emit), store())
      assert.strictEqual(durability, "with-transaction")
    }))
})

describe("an event in a transaction of another role", () => {
  it.live("needs no right to the signer's state", () =>
    Effect.gen(function*() {
      const schema = freshSchema()
      const role = `${schema}_app`
      const store = () => signing(schema, 2)
      const emit = AuditLogger.emit({ action: "note.create" }).pipe(within())
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* emit
        yield* sql.unsafe(`CREATE ROLE ${role}`)
        yield* Postgres.grant({ schema, application: role })
      }).pipe(Effect.provide(store()))
      const inRole = Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* sql.unsafe(`SET LOCAL ROLE ${role}`)
        return yield* emit
      })
      const { durability } = yield* Effect.provide(Transactions.transact(inRole), store())
      assert.strictEqual(durability, "with-transaction")
    }))
})

describe("an erasure in the application's transaction", () => {
  it.live("needs no connection beside that one", () =>
    Effect.gen(function*() {
      yield* emit(1)
      const { count } = yield* Transactions.transact(
        Effect.andThen(
          Erasure.preview({ before: yield* soon }),
          Erasure.erase({ before: yield* soon, reason: "r" })
        ).pipe(within())
      )
      assert.strictEqual(count, 1)
    }).pipe(Effect.provide(
      Erasure.layer.pipe(
        Layer.provideMerge(AuditLogger.layer()),
        Layer.provideMerge(Postgres.layer({ schema: freshSchema() })),
        Layer.provideMerge(file.server.client({ maxConnections: 1 }))
      )
    )))
})

describe("a range of times", () => {
  it.live("is found across bundles and behind them, from either end and in either order", () =>
    Effect.gen(function*() {
      const many = 600
      yield* Effect.forEach(Array.from({ length: many }, (_, n) => n), (n) => emit(n), { concurrency: 8 })
      const { items } = yield* AuditTrail.query({ ...log, limit: 1000 })
      const all = items.map((item) => ({
        position: item.position,
        at: item.erased ? 0 : Date.parse(item.event.recorded_at)
      }))
      assert.strictEqual(all.length, many + 1)
      const at = (position: number) => all.find((one) => one.position === position)?.at ?? 0
      for (const [since, until] of [[100, 300], [300, undefined], [undefined, 300], [520, 590], [undefined, 590]]) {
        for (const order of ["desc", "asc"] as const) {
          const filter: Filter.Filter = {
            since: since === undefined ? undefined : at(since),
            until: until === undefined ? undefined : at(until)
          }
          const found = yield* AuditTrail.query({ ...log, filter, order, limit: 1000 })
          const wanted = all.filter((one) =>
            (since === undefined || one.at >= at(since)) && (until === undefined || one.at < at(until))
          ).map(({ position }) => position).sort((a, b) => order === "asc" ? a - b : b - a)
          assert.deepStrictEqual(found.items.map(({ position }) => position), wanted, `${since} ${until} ${order}`)
        }
      }
    }).pipe(Effect.provide(storeAt(file, freshSchema()))))
})
