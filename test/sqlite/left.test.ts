/** What killed processes, copies and other users leave beside a store: nothing of it costs an event. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { Ledger } from "effect-audit/ledger"
import { Sqlite, SqliteLogStore, SqliteSignerState } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import {
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { applicationId } from "../../src/sqlite/Migrations.ts"
import { log, storedEvents, temporaryFolder, within } from "../support.ts"

const store = (filename: string, options: Partial<Sqlite.Options> = {}) =>
  Layer.fresh(AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename, ...options }))))
const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const emitted = (filename: string, count: number, options?: Partial<Sqlite.Options>) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), emit, { discard: true }).pipe(
    Effect.andThen(storedEvents),
    Effect.map(({ length }) => length),
    Effect.provide(store(filename, options))
  )
const whyNot = (filename: string, options?: Partial<Sqlite.Options>) =>
  Effect.map(Effect.flip(emitted(filename, 1, options)), String)
const faults = (filename: string) =>
  Stream.runCollect(Ledger.verify()).pipe(
    Effect.map((all) => all.filter(({ _tag }) => _tag === "Fault")),
    Effect.provide(Layer.fresh(Ledger.layer.pipe(Layer.provide(SqliteLogStore.layerReadOnly({ filename })))))
  )

/** The journal of a transaction that was to make the first page of a file: https://www.sqlite.org/fileformat.html#the_rollback_journal */
const journalOfNothing = () => {
  const journal = Buffer.alloc(512)
  Buffer.from("d9d505f920a163d7", "hex").copy(journal)
  journal.writeUInt32BE(512, 20)
  journal.writeUInt32BE(8192, 24)
  return journal
}

describe("a store", () => {
  it.live("that was killed while it was made is made anew", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "a.db")
      const db = new DatabaseSync(path)
      db.exec(`PRAGMA page_size = 8192; PRAGMA application_id = ${applicationId}`)
      db.close()
      writeFileSync(`${path}-journal`, journalOfNothing())
      assert.include(
        String(yield* Effect.flip(Effect.scoped(Layer.build(SqliteLogStore.layerReadOnly({ filename: path }))))),
        "rolled back by who opens it for writing"
      )
      assert.strictEqual(yield* emitted(path, 3), 4)
      assert.strictEqual(yield* emitted(path, 1), 5)
    }))

  it.live("does not take the journal of another file for its own", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "a.db")
      yield* emitted(path, 3)
      const before = readFileSync(path)
      writeFileSync(`${path}-journal`, journalOfNothing())
      assert.include(yield* whyNot(path), `${path}-journal is not of ${path}`)
      assert.deepStrictEqual(readFileSync(path), before)
      rmSync(`${path}-journal`)
      assert.strictEqual(yield* emitted(path, 1), 5)
    }))

  it.live("is not begun anew over what was written to a file that is gone", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [path, lost] = [join(folder, "a.db"), join(folder, "lost.db")]
      const both = yield* Effect.gen(function*() {
        yield* emit(1)
        // As a killed process leaves them.
        copyFileSync(`${path}-wal`, `${lost}-wal`)
        return readFileSync(path)
      }).pipe(Effect.provide(store(path)))
      assert.include(yield* whyNot(lost), "is gone or empty")
      assert.isTrue(existsSync(`${lost}-wal`))
      writeFileSync(lost, "")
      assert.include(yield* whyNot(lost), "is gone or empty")
      writeFileSync(lost, both)
      assert.strictEqual(yield* emitted(lost, 1), 3)
    }))

  it.live("has one name", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [path, other] = [join(folder, "a.db"), join(folder, "b.db")]
      yield* emitted(path, 1)
      linkSync(path, other)
      for (const name of [path, other]) assert.include(yield* whyNot(name), "has another name, by a hard link")
      rmSync(other)
      assert.strictEqual(yield* emitted(path, 1), 3)
    }))

  it.live("that lacks pages is damaged, and one that lacks a table says which", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "a.db")
      yield* emitted(path, 300)
      const whole = readFileSync(path)
      truncateSync(path, whole.length - 8192)
      assert.include(yield* whyNot(path), "is damaged: pages of the database are missing")
      for (const table of ["audit_bundle", "audit_bucket", "audit_origin"]) {
        writeFileSync(path, whole)
        const db = new DatabaseSync(path)
        db.exec(`DROP TABLE ${table}`)
        db.close()
        const said = [
          yield* Effect.result(emitted(path, 1)),
          yield* Effect.result(
            AuditTrail.query({ ...log, filter: { actorId: "u1" } }).pipe(Effect.provide(store(path)))
          ),
          yield* Effect.result(faults(path))
        ]
        assert.include(said.map(String).join("\n"), `no such table: main.${table}`.replace("main.", ""), table)
      }
    }))

  it.live("that is removed is not read any more", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "a.db")
      yield* Effect.gen(function*() {
        yield* emit(1)
        const following = yield* Effect.forkChild(
          Effect.flip(Stream.runDrain(AuditTrail.follow({ ...log, after: -1 })))
        )
        yield* AuditTrail.query(log)
        for (const name of ["", "-wal", "-shm"]) renameSync(path + name, `${path}.old${name}`)
        assert.include(String(yield* Fiber.join(following)), "was removed or replaced while it was open")
        assert.include(String(yield* Effect.flip(AuditTrail.query(log))), "was removed or replaced")
      }).pipe(Effect.provide(store(path)))
    }))

  it.live("of another user is read while its owner has it open, and not left with files that the owner cannot use", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "a.db")
      yield* emitted(path, 3)
      const owner = statSync(path).uid
      const user = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(process, "geteuid").mockReturnValue(owner + 1)),
        (user) => Effect.sync(() => user.mockRestore())
      )
      assert.include(String(yield* Effect.flip(faults(path))), "is another user's, and nobody has it open")
      assert.deepStrictEqual(readdirSync(folder), ["a.db"])
      yield* Effect.gen(function*() {
        yield* emit(1)
        assert.deepStrictEqual(yield* faults(path), [])
      }).pipe(Effect.provide(store(path)))
      for (const one of [owner, 0]) {
        user.mockReturnValue(one)
        assert.deepStrictEqual(yield* faults(path), [])
      }
    }))

  it.live("of an application that was killed in a transaction is adopted", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [path, copy] = [join(folder, "a.db"), join(folder, "b.db")]
      const db = new DatabaseSync(path)
      db.exec("CREATE TABLE note (n INT); INSERT INTO note VALUES (1); PRAGMA cache_size = 1; BEGIN")
      db.exec("UPDATE note SET n = 2; CREATE TABLE other AS SELECT printf('%.*c', 100000, 'x') AS x")
      for (const end of ["", "-journal"]) copyFileSync(path + end, copy + end)
      db.close()
      assert.isAbove(statSync(`${copy}-journal`).size, 0)
      assert.include(yield* whyNot(copy), "rolled back by who opens it for writing")
      assert.strictEqual(yield* emitted(copy, 1, { adopt: true }), 2)
      const again = new DatabaseSync(copy)
      assert.deepStrictEqual(again.prepare("SELECT n FROM note").all().map(({ n }) => n), [1])
      again.close()
    }))
})

describe("a backup", () => {
  it.live("that is interrupted has ended, and leaves nothing", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [path, out] = [join(folder, "a.db"), join(folder, "b.db")]
      yield* emitted(path, 1)
      const db = new DatabaseSync(path)
      db.exec("CREATE TABLE more AS SELECT zeroblob(30000000) AS x")
      db.close()
      // Who only reads leaves the files of its connection, and they are empty.
      const names = () => readdirSync(folder).filter((name) => !/-(wal|shm)$/.test(name))
      const copying = yield* Effect.callback<Fiber.Fiber<void, unknown>>((resume) => {
        const fiber = Effect.runFork(Sqlite.backup({
          filename: path,
          out,
          progress: () => resume(Effect.sync(() => fiber))
        }))
      })
      assert.isTrue(existsSync(`${out}.part`))
      yield* Fiber.interrupt(copying)
      assert.deepStrictEqual(names(), ["a.db"])
      // Nothing holds the store: its log can be emptied.
      const held = new DatabaseSync(path)
      assert.strictEqual(held.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.["busy"], 0)
      held.close()
      yield* Sqlite.backup({ filename: path, out })
      assert.strictEqual(yield* emitted(out, 1), 3)
      assert.include(String(yield* Effect.flip(Sqlite.backup({ filename: path, out }))), "b.db exists")
      assert.deepStrictEqual(names(), ["a.db", "b.db"])
    }))
})

describe("the state of a signer", () => {
  it.live("is made once by many at once", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const states = Array.from({ length: 20 }, (_, n) => join(folder, `${n}.state`))
      yield* Effect.forEach(states, (state) =>
        Effect.all(
          Array.from(
            { length: 4 },
            () => Effect.scoped(Layer.build(Layer.fresh(SqliteSignerState.layer({ state, newSigner: true }))))
          ),
          { concurrency: "unbounded" }
        ))
      assert.deepStrictEqual(readdirSync(folder).length, 20)
    }))
})
