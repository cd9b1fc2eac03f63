/** Events and preferences of a file that is opened for reading only: all of them, and not a byte is changed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { AuditLogger, TrainingPreferences } from "effect-audit"
import { Sqlite, SqlitePreferences, SqliteTrail } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { copyFileSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gunzipSync } from "node:zlib"
import { log, smallDisk, temporaryFile, temporaryFolder, within } from "../support.ts"

const reading = (filename: string) =>
  Layer.fresh(Layer.mergeAll(SqliteTrail.layerReadOnly({ filename }), SqlitePreferences.layerReadOnly({ filename })))
const writing = (filename: string) =>
  Layer.fresh(AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename }))))
const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")
const second = new URL("../fixtures/store/audit.db.gz", import.meta.url)

describe("a file that is opened for reading only", () => {
  it.live("says what was recorded, one by one, by filter and by log", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const receipts = yield* Effect.forEach([1, 2, 3], emit).pipe(Effect.provide(writing(filename)))
      yield* Effect.gen(function*() {
        const trail = yield* AuditTrail.AuditTrail
        const { items } = yield* trail.query({ ...log, filter: { action: "note.*" } })
        assert.deepStrictEqual(items.map(({ position }) => position), [3, 2, 1])
        assert.strictEqual((yield* trail.get({ ...log, eventId: receipts[1]!.eventId })).position, 2)
        assert.deepStrictEqual((yield* trail.logs).map(({ size }) => size), [4])
      }).pipe(Effect.provide(reading(filename)))
    }))

  it.live("shows opt-outs, and changes none", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const preference = { ...log, userId: "u7", trainingAllowed: false }
      yield* Effect.flatMap(TrainingPreferences.TrainingPreferences, ({ change }) => change(preference, Effect.void))
        .pipe(Effect.provide(writing(filename)))
      yield* Effect.gen(function*() {
        const { change, list, lookup } = yield* TrainingPreferences.TrainingPreferences
        assert.deepStrictEqual(yield* list(log), [preference])
        assert.strictEqual(yield* lookup({ ...log, userIds: ["u7"] }), "user_opt_out")
        const refused = yield* Effect.flip(change({ ...preference, trainingAllowed: true }, Effect.void))
        assert.deepStrictEqual([refused.method, refused.reason._tag], ["TrainingPreferences.change", "SinkRejected"])
        assert.include(String(refused), "is open for reading only")
        assert.deepStrictEqual(yield* list(log), [preference])
      }).pipe(Effect.provide(reading(filename)))
    }))

  it.live("of an earlier release is read as it is, and not migrated", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const filename = join(folder, "audit.db")
      writeFileSync(filename, gunzipSync(readFileSync(second)))
      const before = sha256(filename)
      const read = Effect.gen(function*() {
        const trail = yield* AuditTrail.AuditTrail
        const { list } = yield* TrainingPreferences.TrainingPreferences
        const logs = yield* trail.logs
        const pages = yield* Effect.forEach(logs, ({ env, tenantId }) =>
          Effect.zip(
            Effect.map(
              trail.query({ tenantId, env, filter: { actorId: "u1" }, limit: 250 }),
              ({ items }) => items.map(({ eventId, position }) => ({ eventId, position }))
            ),
            list({ tenantId, env })
          ))
        return { sizes: logs.map(({ size }) => size), pages }
      })
      const found = yield* Effect.provide(read, reading(filename))
      assert.deepStrictEqual(found.sizes, [1662, 551])
      assert.strictEqual(sha256(filename), before)
      // SQLite leaves what readers share, with nothing in its log.
      assert.strictEqual(statSync(`${filename}-wal`, { throwIfNoEntry: false })?.size ?? 0, 0)
      // What a writer finds in it, once it has migrated it, is the same.
      assert.deepStrictEqual(yield* Effect.provide(read, writing(filename)), found)
    }))

  it.live("of the first release is refused, and says what to do", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const db = new DatabaseSync(filename)
      db.exec(
        "PRAGMA application_id = 1164329333; PRAGMA user_version = 1; CREATE TABLE event (seq INTEGER PRIMARY KEY)"
      )
      db.close()
      const why = String(yield* Effect.flip(Effect.scoped(Layer.build(reading(filename)))))
      assert.include(why, "open it for writing once, which migrates it")
    }))

  it.live("on a medium that is only read needs no file beside it", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.forEach([1, 2, 3], emit).pipe(Effect.provide(writing(filename)))
      const disk = yield* smallDisk("8m")
      const copy = join(disk, "audit.db")
      copyFileSync(filename, copy)
      execFileSync("mount", ["-o", "remount,ro", disk])
      const { items } = yield* Effect.flatMap(AuditTrail.AuditTrail, (trail) => trail.query(log)).pipe(
        Effect.provide(reading(copy))
      )
      execFileSync("mount", ["-o", "remount,rw", disk])
      assert.strictEqual(items.length, 4)
      assert.deepStrictEqual(readdirSync(disk).filter((name) => name.startsWith("audit")), ["audit.db"])
    }))

  it.live("is followed while someone else writes, until it is replaced", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const writer = yield* Layer.build(writing(filename))
      yield* Effect.provide(emit(1), writer)
      const following = AuditTrail.follow({ ...log, after: -1 }).pipe(
        Stream.map(({ position }) => position),
        Stream.provide(reading(filename))
      )
      const first = yield* Effect.forkScoped(Stream.runCollect(Stream.take(following, 4)))
      yield* Effect.provide(Effect.forEach([2, 3], emit), writer)
      assert.deepStrictEqual(yield* Fiber.join(first), [0, 1, 2, 3])
      const second = yield* Effect.forkScoped(Effect.exit(Stream.runDrain(following)))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      renameSync(filename, `${filename}.away`)
      const ended = yield* Fiber.join(second)
      assert.include(String(ended), "was removed or replaced while it was open")
    }))
})
