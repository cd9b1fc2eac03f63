/** Following a log: what the contract does not say of every medium. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Metric, Stream } from "effect"
import { AuditLogger, Transactions } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { followerLag, followOver } from "../../src/trail/follow.ts"
import { log, memory, sqlite, sqliteAt, temporaryFile, within } from "../support.ts"

const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const range = (length: number) => Array.from({ length }, (_, n) => n)
const positions = (items: ReadonlyArray<{ readonly position: number }>) => items.map(({ position }) => position)
const started = { startImmediately: true } as const

for (const [name, layer] of [["memory", memory], ["SQLite", sqlite]] as const) {
  describe(`following a log over ${name}`, () => {
    it.live("a log that does not exist yet begins with its first event", () =>
      Effect.gen(function*() {
        const first = yield* Effect.forkChild(Stream.runHead(AuditTrail.follow(log)), started)
        yield* emit(1)
        const found = yield* Fiber.join(first)
        assert.strictEqual(found._tag === "Some" ? found.value.position : -1, 0)
      }).pipe(Effect.provide(Layer.fresh(layer))))

    it.live("shows nothing of a transaction before it commits, and nothing of one that is rolled back", () =>
      Effect.gen(function*() {
        yield* emit(0)
        const seen: Array<unknown> = []
        const follower = yield* Effect.forkChild(
          Stream.runForEach(
            Stream.take(AuditTrail.follow({ ...log, after: 1 }), 2),
            (item) => Effect.sync(() => seen.push(item.erased ? undefined : item.event.input))
          ),
          started
        )
        const { transact } = yield* Transactions.Transactions
        yield* Effect.exit(transact(Effect.andThen(emit(1), Effect.fail("no"))))
        // Longer than a tail waits between two looks: there is no signal for what must not be seen.
        yield* transact(Effect.andThen(emit(2), Effect.andThen(Effect.sleep(80), Effect.sync(() => seen.push("end")))))
        yield* emit(3)
        yield* Fiber.join(follower)
        assert.deepStrictEqual(seen, ["end", { n: 2 }, { n: 3 }])
      }).pipe(Effect.provide(Layer.fresh(layer))))

    it.live("a slow follower, which falls behind what is kept for all, misses nothing", () =>
      Effect.gen(function*() {
        yield* emit(0)
        const seen: Array<number> = []
        const written = Latch.makeUnsafe(false)
        const slow = yield* Effect.forkChild(
          Stream.runForEach(
            Stream.take(Stream.rechunk(AuditTrail.follow(log), 1), 900),
            (item) => Effect.andThen(Effect.sync(() => seen.push(item.position)), written.await)
          ),
          started
        )
        yield* Effect.forEach(range(900), emit, { concurrency: 100 })
        written.openUnsafe()
        yield* Fiber.join(slow)
        assert.deepStrictEqual(seen, range(902).slice(2))
        assert.strictEqual((yield* Metric.value(followerLag)).value, 0)
      }).pipe(Effect.provide(Layer.fresh(layer))))
  })
}

describe("many followers of one log", () => {
  it.live("read each event once, however many they are", () =>
    Effect.gen(function*() {
      yield* emit(0)
      const trail = yield* AuditTrail.AuditTrail
      const opened = Latch.makeUnsafe(false)
      let read = 0
      const follow = yield* followOver({
        watch: () => Effect.succeed({ committed: Effect.sleep(5), isBehind: Effect.succeed(false) }),
        page: ({ after, descending, limit }) =>
          Effect.map(trail.query({ ...log, order: "asc", limit: 1000 }), ({ items }) => {
            opened.openUnsafe()
            const found = (descending ? items.toReversed() : items.slice((after ?? -1) + 1)).slice(0, limit)
            if (!descending) read += found.length
            return { items: found, next: undefined }
          })
      })
      yield* Effect.forkChild(Stream.runDrain(follow(log)), started)
      yield* opened.await
      const followers = yield* Effect.forEach(range(1000), () =>
        Effect.forkChild(Stream.runCollect(Stream.take(follow({ ...log }), 50)), started))
      yield* Effect.forEach(range(50), emit)
      const all = yield* Fiber.joinAll(followers)
      assert.isTrue(all.every((items) =>
        items.length === 50
      ))
      assert.strictEqual(read, 50)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(memory))))

  it.live("end with the layer, and leave no reader behind", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const exit = yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          yield* emit(0)
          const items = yield* Stream.runCollect(Stream.take(AuditTrail.follow({ ...log, after: -1 }), 2))
          assert.deepStrictEqual(positions(items), [0, 1])
        }),
        Layer.fresh(sqliteAt({ filename }))
      ))
      assert.strictEqual(exit._tag, "Success")
    }))
})

describe("following what another process writes", () => {
  it.live("its events appear within a second", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        yield* emit(0)
        const follower = yield* Effect.forkChild(
          Stream.runCollect(Stream.take(AuditTrail.follow({ ...log, after: 1 }), 3)),
          started
        )
        const context = { ...log, actor: { type: "system" }, requestId: "r1" }
        const lines = range(3).map((n) => JSON.stringify({ context, draft: { action: "note.create", input: { n } } }))
        const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
        const child = spawn(process.execPath, [main, "ingest", "--db", filename, "--concurrency", "1"], {
          stdio: ["pipe", "ignore", "inherit"]
        })
        child.stdin.end(`${lines.join("\n")}\n`)
        const found = yield* Fiber.join(follower)
        assert.deepStrictEqual(
          found.map((item) => item.erased ? undefined : item.event.input),
          range(3).map((n) => ({ n }))
        )
      }).pipe(Effect.provide(Layer.fresh(sqliteAt({ filename }))))
    }), 20_000)
})
