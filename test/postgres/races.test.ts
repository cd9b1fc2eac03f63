/** What other processes do between two statements of one: what it remembers of a log is never put in the place of it. */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Fiber, Layer, Stream } from "effect"
import { AuditLogger, type RequestContext } from "effect-audit"
import { Ledger } from "effect-audit/ledger"
import { Postgres } from "effect-audit/postgres"
import { SqlClient } from "effect/sql/SqlClient"
import { storedEvents, within } from "../support.ts"
import { freshSchema, isWaiting, serverOfFile, storeAt, whileLocked } from "./server.ts"

const file = serverOfFile()
const emit = (n: number, more: Partial<RequestContext.Json> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more))
const emitAll = (from: number, count: number) =>
  Effect.all(Array.from({ length: count }, (_, n) => emit(from + n)), { concurrency: "unbounded" })

/** A client that runs each statement which appends without waiting as it is told. */
const meddled = (meddle: <A, E>(statement: Effect.Effect<A, E>) => Effect.Effect<A, unknown>) =>
  Layer.effect(
    SqlClient,
    Effect.map(SqlClient, (client): SqlClient => {
      const plain = client.withoutTransforms()
      const unsafe = (text: string, params: ReadonlyArray<unknown>) =>
        text.includes("SKIP LOCKED") ? meddle(plain.unsafe(text, params)) : plain.unsafe(text, params)
      const own = Object.create(plain, { unsafe: { value: unsafe } })
      return Object.create(client, { withoutTransforms: { value: () => own } })
    })
  ).pipe(Layer.provide(file.server.client()))

/** Stores of two processes: what the second one does is done by `meddle`, once, around a statement of the first. */
const racing = (
  meddle: (
    statement: Effect.Effect<unknown, unknown>,
    schema: string
  ) => Effect.Effect<unknown, unknown, AuditLogger.AuditLogger | SqlClient>
) =>
  Effect.gen(function*() {
    const schema = freshSchema()
    const other: Context.Context<AuditLogger.AuditLogger | SqlClient> = yield* Layer.build(storeAt(file, schema))
    let isArmed = false
    const client = meddled((statement) => {
      if (!isArmed) return statement
      isArmed = false
      return Effect.provideContext(meddle(statement, schema), other) as never
    })
    const first = yield* Layer.build(
      Ledger.layer.pipe(
        Layer.provideMerge(AuditLogger.layer()),
        Layer.provideMerge(Postgres.layer({ schema })),
        Layer.provideMerge(client)
      )
    )
    const arm = Effect.sync(() => {
      isArmed = true
    })
    return { arm, first, other, schema }
  })

const holds = Effect.gen(function*() {
  const findings = yield* Stream.runCollect(Ledger.verify())
  assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
})

describe("another process that appends as many events as a statement was to", () => {
  it.live("while that left them out, since the log was locked: the next statement does not complete a bundle of others", () =>
    Effect.gen(function*() {
      const { arm, first } = yield* racing((statement, schema) =>
        Effect.gen(function*() {
          const result = yield* whileLocked(schema, () => statement)
          yield* emitAll(1000, 16)
          return result
        })
      )
      yield* Effect.gen(function*() {
        // The first event of a log, and what is known of it from then on: 239 entries.
        yield* emit(0)
        yield* emitAll(1, 237)
        assert.strictEqual((yield* storedEvents).length, 239)
        yield* arm
        // Sixteen begin a statement at once; as many wait when it has ended.
        const early = yield* Effect.forkChild(emitAll(300, 16), { startImmediately: true })
        const late = yield* Effect.forkChild(emitAll(400, 40), { startImmediately: true })
        yield* Effect.forEach([early, late], Fiber.join)
        assert.strictEqual((yield* storedEvents).length, 239 + 16 + 16 + 40)
        yield* holds
      }).pipe(Effect.provideContext(first))
    }))
})

/** Changes rows as their owner, past the guards. */
const asOwner = (...statements: ReadonlyArray<string>) =>
  Effect.flatMap(SqlClient, (sql) =>
    sql.withTransaction(
      Effect.forEach(["SET LOCAL session_replication_role = replica", ...statements], (one) => sql.unsafe(one))
    ))

describe("a server that has lost the end of a log, and got as many events of others", () => {
  const withKeys = (from: number, count: number) =>
    Effect.all(
      Array.from({ length: count }, (_, n) =>
        AuditLogger.emit({ action: "note.create", input: { n } }, { idempotencyKey: `k${from + n}` }).pipe(within())),
      { concurrency: "unbounded" }
    )
  for (
    const [name, next, size, left] of [
      ["events", emitAll, 239, 223],
      ["events with keys", withKeys, 239, 223],
      ["events, where a bundle has just begun", emitAll, 256, 250],
      ["events, where more than a bundle was lost", emitAll, 520, 200]
    ] as const
  ) {
    it.live(`gets the tree of what is there, for ${name} that follow`, () =>
      Effect.gen(function*() {
        const { first, other, schema } = yield* racing((statement) => statement)
        yield* Effect.gen(function*() {
          yield* emit(0)
          yield* emitAll(1, size - 2)
          // As a replica that was promoted without what its primary had last.
          yield* asOwner(
            `DELETE FROM ${schema}.event WHERE position >= ${left}`,
            `DELETE FROM ${schema}.bundle WHERE idx >= ${Math.floor(left / 256)}`,
            `DELETE FROM ${schema}.subtree WHERE idx >= ${Math.floor(left / 256)}`,
            `UPDATE ${schema}.head SET size = ${left}, last = (SELECT commitment FROM ${schema}.event
              WHERE position = ${left - 1})`
          )
          yield* Effect.provideContext(emitAll(1000, size - left), other)
          assert.strictEqual((yield* storedEvents).length, size)
          yield* next(300, 3)
          yield* next(400, 600)
          assert.strictEqual((yield* storedEvents).length, size + 603)
          yield* holds
        }).pipe(Effect.provideContext(first))
      }))
  }

  it.live("has given the log's place to another: its events are not that one's", () =>
    Effect.gen(function*() {
      const { first, other, schema } = yield* racing((statement) => statement)
      yield* Effect.gen(function*() {
        yield* emitAll(0, 20)
        yield* asOwner(
          `TRUNCATE ${schema}.log, ${schema}.head, ${schema}.event`,
          `ALTER TABLE ${schema}.log ALTER COLUMN id RESTART WITH 1`
        )
        yield* Effect.provideContext(emit(1, { tenantId: "t_globex" }), other)
        yield* emitAll(100, 20)
        yield* holds
        const sql = yield* SqlClient
        const logs = yield* sql.unsafe(
          `SELECT l.tenant_id, h.size::int4 FROM ${schema}.head h JOIN ${schema}.log l ON l.id = h.log ORDER BY 1`
        )
        assert.deepStrictEqual(logs, [{ tenant_id: "t_acme", size: 21 }, { tenant_id: "t_globex", size: 2 }])
      }).pipe(Effect.provideContext(first))
    }))
})

describe("rows that someone changes while a process writes", () => {
  const cases: ReadonlyArray<readonly [string, (s: string) => ReadonlyArray<string>, RegExp]> = [
    [
      "an entry that is in no bundle yet, as if it had been so",
      (s) => [
        `UPDATE ${s}.event SET body = convert_to('{}', 'UTF8'),
          commitment = sha256(salt || convert_to('{}', 'UTF8')) WHERE position = 290`
      ],
      /^changed/
    ],
    ["the last entry of a bundle", (s) => [`DELETE FROM ${s}.event WHERE position = 255`], /^missing/],
    ["an entry that is in no bundle yet", (s) => [`DELETE FROM ${s}.event WHERE position = 290`], /^missing/]
  ]
  for (const [what, statements, found] of cases) {
    it.live(`are found, and hold up no event: ${what}`, () =>
      Effect.gen(function*() {
        const { first, schema } = yield* racing((statement) => statement)
        yield* Effect.gen(function*() {
          yield* emit(0)
          yield* emitAll(1, 299)
          yield* asOwner(...statements(schema))
          yield* emitAll(1000, 600)
          const findings = yield* Stream.runCollect(Ledger.verify())
          const faults = findings.flatMap((one) => one._tag === "Fault" ? [`${one.fault}: ${one.detail}`] : [])
          assert.isAtLeast(faults.length, 1)
          assert.isTrue(faults.some((fault) => found.test(fault)), faults.join("; "))
        }).pipe(Effect.provideContext(first))
      }))
  }
})

describe("calls of one caller", () => {
  it.live("keep their order, also while another process has the lock of their log", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* emit(0)
      for (let round = 0; round < 3; round++) {
        const positions = yield* whileLocked(schema, (end) =>
          Effect.gen(function*() {
            const first = yield* Effect.forkChild(emit(1), { startImmediately: true })
            // The statement of the first one is on its way when the others come: enough of them for one at once.
            yield* Effect.promise(() => new Promise(setImmediate))
            const others = yield* Effect.forEach(
              Array.from({ length: 40 }, (_, n) => n),
              (n) => Effect.forkChild(emit(n), { startImmediately: true })
            )
            assert.isTrue(yield* isWaiting(schema))
            yield* end
            return yield* Effect.forEach(
              [first, ...others],
              Effect.fn(function*(fiber) {
                return (yield* Fiber.join(fiber)).position ?? -1
              })
            )
          }))
        assert.deepStrictEqual(positions, positions.toSorted((a, b) => a - b))
        // Alone again, they share statements.
        yield* emit(2)
      }
    }).pipe(Effect.provide(storeAt(file, schema)))
  })
})
