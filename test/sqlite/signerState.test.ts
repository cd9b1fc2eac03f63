/** The file of a signer's state: when it is made, when it is refused, and that it is not lost while it is open. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Origin, Signer } from "effect-audit/ledger"
import { SqliteSignerState } from "effect-audit/sqlite"
import { copyFileSync, existsSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { SignedHeads } from "../../src/sqlite/connection.ts"
import { log, temporaryFolder } from "../support.ts"

const origin = Origin.make("test", Buffer.alloc(16, 1))
const head = (size: number) => ({ size, root: Buffer.alloc(32, size) })

/** Uses the state at a path. */
const withState = <A, E>(
  options: SqliteSignerState.Options,
  use: (state: Signer.SignerState["Service"]) => Effect.Effect<A, E>
) => Effect.provide(Effect.flatMap(Signer.SignerState, use), Layer.fresh(SqliteSignerState.layer(options)))
const why = (options: SqliteSignerState.Options) =>
  Effect.map(Effect.flip(withState(options, () => Effect.void)), ({ method, reason }) => {
    assert.deepStrictEqual([method, reason._tag], ["SignerState", "SignerRefused"])
    return reason.message.replace("Cannot sign: ", "")
  })
const inFolder = (name: string, use: (path: string) => Effect.Effect<void, unknown>) =>
  it.live(name, () => Effect.scoped(Effect.flatMap(temporaryFolder, (folder) => use(join(folder, "state")))))
const settingsOf = (path: string) => {
  const db = new DatabaseSync(path)
  try {
    return ["journal_mode", "application_id"].map((name) => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0])
  } finally {
    db.close()
  }
}

describe("a signer's state in a file", () => {
  inFolder("is made for a new signer alone, for its owner alone, and found again", (state) =>
    Effect.gen(function*() {
      const text = `there is no signer's state at ${state}: bring the last one back, ` +
        "or make one for a key that has signed nothing yet"
      assert.strictEqual(yield* why({ state }), text)
      assert.strictEqual(yield* why({ state, newSigner: false }), text)
      assert.isFalse(existsSync(state))
      yield* withState({ state, newSigner: true }, (it) => it.advance(origin, undefined, head(3), log))
      assert.strictEqual(statSync(state).mode & 0o777, 0o600)
      assert.deepStrictEqual(settingsOf(state), ["wal", 0x45664173])
      for (const newSigner of [false, true]) {
        assert.strictEqual((yield* withState({ state, newSigner }, (it) => it.last(origin)))?.size, 3)
      }
      // By a path of where the process is; read alone.
      const path = relative(process.cwd(), state)
      assert.strictEqual((yield* withState({ state: path }, (it) => it.last(origin)))?.size, 3)
      assert.deepStrictEqual((yield* SqliteSignerState.read(state)).map(({ head, name }) => [head.size, name]), [[
        3,
        log
      ]])
    }))

  inFolder("is refused where it is empty, and kept as it was", (state) =>
    Effect.gen(function*() {
      writeFileSync(state, "")
      const text = `the signer's state ${state} is empty: bring the last one back, or make it anew for a new signer`
      assert.strictEqual(yield* why({ state }), text)
      assert.strictEqual(yield* why({ state }), text)
      yield* withState({ state, newSigner: true }, () => Effect.void)
      yield* withState({ state }, () => Effect.void)
    }))

  inFolder("is refused where it is something else", (state) =>
    Effect.gen(function*() {
      for (const newSigner of [false, true]) {
        const of = (path: string) => ({ state: path, newSigner })
        mkdirSync(`${state}.d`, { recursive: true })
        assert.strictEqual(yield* why(of(`${state}.d`)), `the signer's state ${state}.d is not a regular file`)
        const db = new DatabaseSync(`${state}.db`)
        db.exec("CREATE TABLE IF NOT EXISTS signed (origin TEXT, size INTEGER, root BLOB)")
        db.close()
        assert.strictEqual(yield* why(of(`${state}.db`)), `${state}.db is not the state of a signer`)
        writeFileSync(`${state}.txt`, "no database ".repeat(500))
        assert.include(yield* why(of(`${state}.txt`)), `the signer's state ${state}.txt cannot be used`)
      }
      writeFileSync(`${state}.real`, "")
      symlinkSync(`${state}.real`, state)
      assert.strictEqual(yield* why({ state, newSigner: true }), `the signer's state ${state} is not a regular file`)
      const { reason } = yield* Effect.flip(SqliteSignerState.read(`${state}.none`))
      assert.include(reason.message, `there is no signer's state at ${state}.none`)
    }))

  inFolder(
    "of the first release has no names: it is read as it is, and gets them when it is opened",
    (state) =>
      Effect.gen(function*() {
        const db = new DatabaseSync(state)
        db.exec(`PRAGMA application_id = ${0x45664173};
CREATE TABLE signed (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID`)
        db.prepare("INSERT INTO signed VALUES (?, 3, ?)").run(origin, head(3).root)
        db.close()
        const old = [{ origin, name: undefined, head: { size: 3, root: new Uint8Array(head(3).root) }, isEnded: false }]
        const read = SqliteSignerState.read(state)
        assert.deepStrictEqual(yield* read, old)
        assert.deepStrictEqual(yield* withState({ state }, (it) => it.origins), old)
        assert.deepStrictEqual(yield* read, old)
        yield* withState({ state }, (it) => it.advance(origin, head(3), head(4), log))
        assert.deepStrictEqual((yield* read).map(({ name }) => name), [log])
        // Half a name is none.
        const half = new DatabaseSync(state)
        for (const column of ["env", "tenant_id"]) {
          half.exec(`UPDATE signed SET tenant_id = 't', env = 'e', ${column} = NULL`)
          assert.deepStrictEqual((yield* read).map(({ name }) => name), [undefined])
        }
        half.close()
      })
  )

  inFolder("signs nothing once its file was taken away or replaced", (state) =>
    Effect.gen(function*() {
      for (const isReplaced of [false, true]) {
        yield* withState({ state, newSigner: true }, (it) =>
          Effect.gen(function*() {
            yield* it.advance(origin, undefined, head(1), log)
            renameSync(state, `${state}.away`)
            if (isReplaced) copyFileSync(`${state}.away`, state)
            const text = `the signer's state ${state} was removed or replaced while it was open`
            for (const call of [it.advance(origin, head(1), head(2)), it.end(origin, head(1), log)]) {
              assert.include((yield* Effect.flip(Effect.asVoid(call))).reason.message, text)
            }
            renameSync(`${state}.away`, state)
            yield* it.advance(origin, head(1), head(2))
            yield* it.advance(origin, head(2), head(3))
          }))
        for (const suffix of ["", "-wal", "-shm"]) {
          if (existsSync(state + suffix)) renameSync(state + suffix, `${state}${suffix}.old`)
        }
      }
    }))

  inFolder("waits for another process's lock", (state) =>
    Effect.gen(function*() {
      yield* withState({ state, newSigner: true }, (it) =>
        Effect.gen(function*() {
          yield* it.advance(origin, undefined, head(1), log)
          const other = new DatabaseSync(state)
          other.exec("BEGIN IMMEDIATE")
          const [won] = yield* Effect.all([
            it.advance(origin, head(1), head(2)),
            Effect.delay(Effect.sync(() => other.exec("COMMIT")), 30)
          ], { concurrency: 2 })
          assert.isTrue(won)
          other.close()
        }))
    }))

  inFolder("tells the sink what was signed", (state) =>
    Effect.gen(function*() {
      yield* (yield* Signer.SignerState).advance(origin, undefined, head(2))
      assert.strictEqual((yield* SignedHeads)(origin)?.size, 2)
      assert.isUndefined((yield* SignedHeads)("another"))
    }).pipe(Effect.provide(SqliteSignerState.layer({ state, newSigner: true }))))

  it.effect("is none where the signer is elsewhere", () =>
    Effect.gen(function*() {
      const state = yield* Signer.SignerState
      assert.deepStrictEqual(yield* state.origins, [])
      assert.isUndefined(yield* state.last(origin))
      yield* state.end(origin, head(1), log)
      const { reason } = yield* Effect.flip(state.advance(origin, undefined, head(1)))
      assert.strictEqual(reason.message, "Cannot sign: this store was opened without a signer's state")
    }).pipe(Effect.provide(SqliteSignerState.layerNone)))
})
