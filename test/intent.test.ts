/** Operations that are told in two events: the intent before, the result after, and what a crash leaves. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { AuditLogger, Transactions } from "effect-audit"
import { AuditTest } from "effect-audit/test"
import { AuditTrail, type Filter } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { run } from "./cli/process.ts"
import { log, memory, sqlite, sqliteAt, temporaryFile, within } from "./support.ts"

/** What was recorded, oldest first. */
const told = Effect.map(
  AuditTrail.query({ ...log, order: "asc", limit: 1000 }),
  ({ items }) =>
    items.slice(1).flatMap((item) =>
      item.erased ? [] : [[item.event.action, item.event.phase, item.event.outcome, item.event.error_tag]]
    )
)
const unfinished = (filter?: Filter.Filter) =>
  Effect.map(
    Stream.runCollect(AuditTrail.unfinished({ ...log, filter })),
    (items) => items.map((item) => item.erased ? "" : item.event.operation_id ?? "")
  )
const half = (operationId: string, phase: "intent" | "result", more: Partial<AuditLogger.AuditDraft> = {}) =>
  AuditLogger.emit({ action: "tool.call", operationId, phase, ...more }).pipe(within())

for (const [name, layer] of [["memory", memory], ["SQLite", sqlite]] as const) {
  describe(`audited with an intent over ${name}`, () => {
    it.live("records the intent before the effect runs, and its outcome as the result of the same operation", () =>
      Effect.gen(function*() {
        const options = { action: "mail.send", intent: true, input: { to: 3 }, resource: { type: "mail", id: "m1" } }
        let before: unknown
        const send = Effect.tap(Effect.succeed("sent"), () => Effect.map(told, (events) => before = events))
        yield* AuditLogger.audited(send, { ...options, output: (result) => result }).pipe(within())
        assert.deepStrictEqual(before, [["mail.send", "intent", "success", undefined]])
        yield* Effect.exit(AuditLogger.audited(Effect.fail(new Error("x")), options).pipe(within()))
        yield* Effect.exit(AuditLogger.audited(Effect.die("x"), options).pipe(within()))
        const denied = { ...options, denied: () => true }
        yield* Effect.exit(AuditLogger.audited(Effect.fail("no"), denied).pipe(within()))
        const started = yield* Deferred.make<void>()
        const waiting = Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
        const fiber = yield* Effect.forkChild(AuditLogger.audited(waiting, options).pipe(within()))
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        const intent = ["mail.send", "intent", "success", undefined]
        assert.deepStrictEqual(yield* told, [
          intent,
          ["mail.send", "result", "success", undefined],
          intent,
          ["mail.send", "result", "failure", "Error"],
          intent,
          ["mail.send", "result", "failure", "Defect"],
          intent,
          ["mail.send", "result", "denied", "Error"],
          intent,
          ["mail.send", "result", "failure", "Interrupted"]
        ])
        const { items } = yield* AuditTrail.query({ ...log, order: "asc", filter: { action: "mail.*" } })
        const events = items.flatMap((item) => item.erased ? [] : [item.event])
        const ids = events.map(({ operation_id }) => operation_id)
        assert.deepStrictEqual(ids.map((id) => ids.indexOf(id)), [0, 0, 2, 2, 4, 4, 6, 6, 8, 8])
        for (const event of events) {
          assert.deepStrictEqual<unknown>([event.input, event.resource], [{ to: 3 }, { type: "mail", id: "m1" }])
        }
        assert.notProperty(events[0], "duration_ms")
        assert.deepStrictEqual<unknown>([events[0]?.output, events[1]?.output], [undefined, "sent"])
        assert.deepStrictEqual(yield* unfinished(), [])
        const [operationId] = ids
        const both = yield* AuditTrail.query({ ...log, filter: { operationId } })
        assert.strictEqual(both.items.length, 2)
        assert.strictEqual((yield* AuditTrail.query({ ...log, filter: { phase: "result" } })).items.length, 5)
      }).pipe(Effect.provide(layer)))

    it.live("records the intent before its transaction begins, and both outlive the rollback", () =>
      Effect.gen(function*() {
        const options = { action: "money.move", intent: true, transaction: true } as const
        yield* AuditLogger.audited(Effect.succeed(1), options).pipe(within())
        yield* Effect.exit(AuditLogger.audited(Effect.fail("no"), options).pipe(within()))
        assert.deepStrictEqual((yield* told).map(([, phase, outcome]) => [phase, outcome]), [
          ["intent", "success"],
          ["result", "success"],
          ["intent", "success"],
          ["result", "failure"]
        ])
      }).pipe(Effect.provide(layer)))

    it.live("is refused inside a transaction, where a crash would take the intent along: nothing runs", () =>
      Effect.gen(function*() {
        let ran = 0
        const inner = AuditLogger.audited(Effect.sync(() => ran++), { action: "mail.send", intent: true })
        const around = [
          AuditLogger.audited({ action: "outer.op", transaction: true }),
          <A, E, R>(effect: Effect.Effect<A, E, R>) =>
            Effect.flatMap(Transactions.Transactions, ({ transact }) => transact(effect))
        ]
        for (const within_ of around) {
          const exit = yield* Effect.exit(within_(inner).pipe(within()))
          assert(Exit.isFailure(exit))
          const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
          assert(failure !== undefined && failure.reason._tag === "InvalidInput")
          assert.strictEqual(failure.reason.path, "/phase")
        }
        assert.strictEqual(ran, 0)
        assert.deepStrictEqual((yield* told).map(([action]) => action), ["outer.op"])
        // A transaction that is over is none.
        yield* inner.pipe(within())
        assert.strictEqual(ran, 1)
      }).pipe(Effect.provide(layer)))

    it.live(
      "the intents without a result are found, whatever stands between, and however many there are",
      () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* unfinished(), [])
          const all = Array.from({ length: 1100 }, (_, n) => `op${n}`)
          const open = (n: number) => n % 100 === 7
          yield* Effect.forEach(all, (id) => half(id, "intent"), { concurrency: 64 })
          yield* Effect.forEach(all.filter((_, n) => !open(n)), (id) => half(id, "result"), { concurrency: 64 })
          // A result before its intent, and results that have none.
          yield* half("early", "result")
          yield* half("early", "intent")
          yield* half("lone", "result")
          yield* half("newest", "intent", { action: "mail.send" })
          const found = yield* unfinished()
          assert.strictEqual(found[0], "newest")
          const position = (id: string) => Number(id.slice(2))
          const rest = found.slice(1)
          assert.deepStrictEqual([...rest].sort((a, b) => position(a) - position(b)), all.filter((_, n) => open(n)))
          assert.deepStrictEqual(yield* unfinished({ action: "mail.*" }), ["newest"])
          assert.deepStrictEqual(yield* unfinished({ actorId: "nobody" }), [])
          assert.deepStrictEqual(yield* unfinished({ until: "2020-01-01T00:00:00Z" }), [])
          const first = yield* Stream.runCollect(Stream.take(AuditTrail.unfinished(log), 1))
          assert.strictEqual(first.length, 1)
        }).pipe(Effect.provide(layer)),
      30_000
    )
  })
}

describe("audited with an intent", () => {
  it.effect("does not run the effect if the intent cannot be recorded", () =>
    Effect.gen(function*() {
      let ran = 0
      const error = yield* Effect.flip(
        AuditLogger.audited(Effect.sync(() => ran++), { action: "mail.send", intent: true }).pipe(within())
      )
      assert.strictEqual(error.reason._tag, "SinkFull")
      assert.strictEqual(ran, 0)
    }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("SinkFull") }))))

  it.effect("does not run it for a draft that cannot be meant", () =>
    Effect.gen(function*() {
      let ran = 0
      const exit = yield* Effect.exit(
        AuditLogger.audited(Effect.sync(() => ran++), { action: "No Action", intent: true }).pipe(within())
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(ran, 0)
    }).pipe(Effect.provide(memory)))

  it.effect("does not run it with a key as well: a second try would have another intent, and be refused at its end", () =>
    Effect.gen(function*() {
      let ran = 0
      const options = { action: "mail.send", intent: true, idempotencyKey: "k" } as const
      const { reason } = yield* Effect.flip(AuditLogger.audited(Effect.sync(() => ran++), options).pipe(within()))
      assert(reason._tag === "InvalidInput")
      assert.deepStrictEqual([reason.path, ran], ["/idempotencyKey", 0])
    }).pipe(Effect.provide(memory)))

  it.effect("leaves an intent whose result could not be recorded, and the caller sees why", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        AuditLogger.audited(Effect.succeed(1), { action: "mail.send", intent: true }).pipe(within())
      )
      assert(Exit.isFailure(exit))
      assert.include(Cause.pretty(exit.cause), "AuditError")
      assert.strictEqual((yield* unfinished()).length, 1)
    }).pipe(Effect.provide(AuditTest.layer({ medium: AuditTest.failing("SinkFull", { after: 1 }) }))))

  it.live("leaves the intent of a process that was killed while it was at it", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const index = (path: string) => fileURLToPath(new URL(`../src/${path}`, import.meta.url))
      const program = `
        import { Effect, Layer } from "effect"
        import * as AuditLogger from "${index("AuditLogger.ts")}"
        import * as RequestContext from "${index("RequestContext.ts")}"
        import * as Sqlite from "${index("sqlite/Sqlite.ts")}"
        const kill = Effect.sync(() => process.kill(process.pid, "SIGKILL"))
        const context = { tenantId: "t_acme", env: "prod", actor: RequestContext.agent("a1", "u1"), requestId: "r1" }
        const send = Effect.andThen(kill, Effect.never)
        const main = Effect.gen(function*() {
          const provide = RequestContext.provide(yield* RequestContext.forRequest(context))
          yield* AuditLogger.audited(Effect.succeed(1), { action: "tool.search", intent: true }).pipe(provide)
          yield* AuditLogger.audited(send, { action: "tool.pay", intent: true, input: { cents: 5 } }).pipe(provide)
        })
        const store = AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename: process.argv[1] })))
        await Effect.runPromise(Effect.provide(main, store))
      `
      const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program, filename], {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        encoding: "utf8"
      })
      assert.strictEqual(signal, "SIGKILL", stderr)
      const query = ["query", "--db", filename, "--tenant", "t_acme", "--env", "prod"]
      const { code, stdout } = yield* run([...query, "--unfinished", "--format", "ndjson"])
      assert.strictEqual(code, 0)
      const events = stdout.trimEnd().split("\n").map((text) => JSON.parse(text) as { readonly [key: string]: unknown })
      assert.deepStrictEqual(events.map(({ action, input, phase }) => [action, phase, input]), [
        ["tool.pay", "intent", { cents: 5 }]
      ])
      const table = (yield* run([...query, "--unfinished"])).stdout
      assert.match(table, /tool\.pay\s+\(intent\)/)
      assert.notMatch(table, /tool\.search/)
      assert.strictEqual((yield* run([...query, "--unfinished"])).stderr, "")
      const results = yield* run([...query, "--phase", "result", "--format", "ndjson"])
      assert.strictEqual(results.stdout.trimEnd().split("\n").length, 1)
      const id = String(events[0]?.["operation_id"])
      assert.match((yield* run([...query, "--operation-id", id])).stdout, /tool\.pay/)
      for (
        const wrong of [["--phase", "intent"], ["--order", "asc"], ["--outcome", "denied"], ["--operation-id", "o"]]
      ) {
        const refused = yield* run([...query, "--unfinished", ...wrong])
        assert.deepStrictEqual([refused.code, refused.stdout], [2, ""], wrong.join(" "))
        assert.match(refused.stderr, /--unfinished finds intents, newest first/)
      }
    }), 30_000)
})

describe("an intent in a plain transaction of the application", () => {
  it.live("is refused as well, and goes with it", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      let ran = 0
      const inner = AuditLogger.audited(Effect.sync(() => ran++), { action: "mail.send", intent: true })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(sql.withTransaction(inner.pipe(within())))))
      assert.strictEqual(ran, 0)
      assert.deepStrictEqual(yield* told, [])
    }).pipe(Effect.provide(Layer.fresh(Layer.unwrap(Effect.map(temporaryFile, (filename) => sqliteAt({ filename })))))))
})
