/** A sink whose commits run in a thread of their own: the same contract, and what only a thread can do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditError, AuditLogger, type DatasetEvent, EventSink } from "effect-audit"
import { Ledger } from "effect-audit/ledger"
import { Sqlite } from "effect-audit/sqlite"
import { SqlClient } from "effect/sql"
import { execFileSync, spawnSync } from "node:child_process"
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import { type Committed, decodeReply, encodeReply } from "../../src/internal/committed.ts"
import { Refused } from "../../src/internal/duplicate.ts"
import { identityOf } from "../../src/internal/files.ts"
import { pack, rowsOf, unpack } from "../../src/internal/sealedRow.ts"
import { stoppedBy } from "../../src/ledger/extends.ts"
import { suite } from "../EventSinkTest.ts"
import {
  ledgerAt,
  ledgerFiles,
  log,
  sealedBy,
  sqliteAt,
  storedEvents,
  temporaryFile,
  temporaryFolder,
  within
} from "../support.ts"

const threaded = Layer.unwrap(Effect.map(temporaryFile, (filename) => sqliteAt({ filename, thread: true })))

suite("SqliteSink in a thread", threaded)

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
const mortal = fixture("mortalThread.ts")

/** Two threads, or a thread and the process, must not know of each other's rows by anything but the file. */
const held = Effect.gen(function*() {
  const stored = yield* storedEvents
  assert.deepStrictEqual(stored.map(({ position }) => position), stored.map((_, position) => position))
  const findings = yield* Stream.runCollect(Ledger.verify({}))
  for (const finding of findings) assert.notStrictEqual(finding._tag, "Fault", JSON.stringify(finding))
  return stored.length
})

describe("the thread that writes", () => {
  it.live("takes turns with the application's transactions, and both go on with each other's positions", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE note (n INTEGER)`
        const began = Date.now()
        const joined = (n: number) => sql.withTransaction(Effect.andThen(sql`INSERT INTO note VALUES (${n})`, emit(n)))
        const receipts = yield* Effect.all(
          Array.from({ length: 400 }, (_, n) => n % 20 === 0 ? joined(n) : emit(n)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(receipts.map(({ position }) => position)).size, 400)
        assert.deepStrictEqual(
          receipts.map(({ durability }) => durability),
          receipts.map((_, n) => n % 20 === 0 ? "with-transaction" : "committed")
        )
        const rolledBack = yield* Effect.exit(sql.withTransaction(Effect.andThen(emit(400), Effect.fail("no"))))
        assert.strictEqual(rolledBack._tag, "Failure")
        yield* emit(401)
        const { checkpoint } = yield* Ledger.checkpoint(log)
        assert.match(checkpoint.origin, /^audit\.example\.com\//)
        yield* emit(402)
        assert.strictEqual(yield* held, 403)
        const [created] = yield* storedEvents
        assert.isAtLeast(created?.recordedAtMillis ?? 0, began)
        assert.strictEqual((yield* sql`SELECT n FROM note`).length, 20)
      }).pipe(Effect.provide(ledgerAt({ filename, thread: true, deployment: "audit.example.com" }, signer)))
    }))

  it.live("is asked for what was signed: a log that is older than that takes nothing, others go on", () =>
    Effect.gen(function*() {
      const { filename, folder, signer } = yield* ledgerFiles
      const open = (newSigner: boolean) => ledgerAt({ filename, thread: true }, { ...signer, newSigner })
      const other = AuditLogger.emit({ action: "a.b" }).pipe(within({ tenantId: "t_other" }))
      yield* Effect.andThen(emit(1), other).pipe(Effect.provide(open(true)))
      copyFileSync(filename, join(folder, "old.db"))
      yield* Effect.andThen(emit(2), Ledger.checkpoint(log)).pipe(Effect.provide(open(false)))
      copyFileSync(join(folder, "old.db"), filename)
      yield* Effect.gen(function*() {
        const [refused, taken] = yield* Effect.all([Effect.flip(emit(3)), other], { concurrency: "unbounded" })
        assert.strictEqual(refused.reason._tag, "LogStopped")
        assert(refused.reason._tag === "LogStopped")
        assert.instanceOf(refused.reason.cause, AuditError.IntegrityError)
        assert.strictEqual(taken.position, 2)
      }).pipe(Effect.provide(open(false)))
    }))

  it.live(
    "that dies before its commit, or after it, leaves the outcome open, and comes back by itself",
    () =>
      Effect.gen(function*() {
        const { filename } = yield* ledgerFiles
        yield* Effect.gen(function*() {
          const sink = yield* EventSink.EventSink
          let recorded = 0
          /** Until the thread is there again; each event may be the one that starts it. */
          const untilUp = Effect.gen(function*() {
            do {
              yield* emit(recorded++)
            } while (!existsSync(`${filename}.up`))
            rmSync(`${filename}.up`)
          })
          for (const [when, duplicate] of [["before", false], ["after", true]] as const) {
            yield* untilUp
            const sealed = yield* sealedBy({ action: "note.create", input: when })
            writeFileSync(`${filename}.${when}`, "")
            const error = yield* Effect.flip(sink.append(sealed))
            assert.strictEqual(error.reason._tag, "CommitUnknown")
            assert.include(error.message, "the thread that writes has died")
            rmSync(`${filename}.${when}`)
            // At once, in the process.
            assert.strictEqual((yield* sink.append(sealed)).duplicate, duplicate)
          }
          yield* untilUp
          assert.strictEqual(yield* held, recorded + 3)
        }).pipe(Effect.provide(ledgerAt({ filename, thread: mortal })))
      }),
    20_000
  )

  it.live("is a typed error where it is asked for and is not there, or does not start", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const open = (thread: string | URL) =>
        Effect.flip(Layer.build(Layer.fresh(Sqlite.layer({ filename: join(folder, "audit.db"), thread }))))
      const missing = yield* open(pathToFileURL(join(folder, "missing.js")))
      assert.strictEqual(missing.reason._tag, "InvalidInput")
      assert.include(missing.message, "/thread")
      writeFileSync(join(folder, "audit.db.start"), "")
      const dead = yield* open(mortal)
      assert.strictEqual(dead.reason._tag, "SinkUnavailable")
      assert.include(dead.message, "told not to start")
    }))

  it.live("does not begin a file that is gone anew", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      writeFileSync(filename, "")
      const identity = identityOf(filename)
      rmSync(filename)
      const workerData = { filename, identity, deadlineMillis: 1000, deployment: "effect-audit.local" }
      const detail = yield* Effect.callback<string>((resume) => {
        new Worker(new URL("../../src/sqlite/writerThread.ts", import.meta.url), { workerData })
          .on("error", (cause) => resume(Effect.succeed(String(cause))))
          .on("message", (said) => resume(Effect.succeed(String(said))))
      })
      assert.include(detail, "was removed or replaced while it was open")
      assert.isFalse(existsSync(filename))
    }))
})

describe("a process with a thread", () => {
  const run = (filename: string, env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [fixture("unclosed.ts"), filename], {
      encoding: "utf8",
      timeout: 30_000,
      env: { ...process.env, ...env }
    })

  it.live("ends by itself although its store was not closed", () =>
    Effect.gen(function*() {
      const { status, stdout } = run(yield* temporaryFile)
      assert.deepStrictEqual([status, stdout], [0, "1"])
    }), 60_000)

  it.live("loads ahead only what is for its main thread", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const preload = join(folder, "preload.mjs")
      const loaded = join(folder, "loaded")
      writeFileSync(
        preload,
        `import { appendFileSync } from "node:fs"\nappendFileSync(${JSON.stringify(loaded)}, "x")\n`
      )
      const { status } = run(join(folder, "audit.db"), { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` })
      assert.strictEqual(status, 0)
      assert.strictEqual(readFileSync(loaded, "utf8"), "x")
    }), 60_000)

  it.live("keeps its locks on a file that another thread of it opens and closes", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        yield* emit(1)
        const held = new RegExp(` ${process.pid} \\w+:\\w+:${statSync(filename).ino} `)
        const holds = () => held.test(readFileSync("/proc/locks", "utf8"))
        assert.isTrue(holds())
        yield* Effect.callback<void>((resume) => {
          new Worker(fixture("borrower.ts"), { workerData: { filename } }).on("exit", () => resume(Effect.void))
        })
        assert.isTrue(holds())
        yield* emit(2)
      }).pipe(Effect.provide(sqliteAt({ filename, thread: false })))
    }), 30_000)

  it.live("says that a file that runs and does not begin to write is no thread of it", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const alive = join(folder, "alive.mjs")
      writeFileSync(alive, "setInterval(() => {}, 1000)")
      const options = { filename: join(folder, "audit.db"), thread: alive, deadline: "100 millis" } as const
      const error = yield* Effect.flip(Layer.build(Layer.fresh(Sqlite.layer(options))))
      assert.strictEqual(error.reason._tag, "SinkUnavailable")
      const malformed = Layer.build(Layer.fresh(Sqlite.layer({ ...options, thread: "file://a b" })))
      assert.strictEqual((yield* Effect.flip(malformed)).reason._tag, "InvalidInput")
    }), 30_000)
})

/** Runs a program over a store that is there, with a library that makes syncs take longer. */
const slowed = (args: ReadonlyArray<string>, micros: number) =>
  Effect.gen(function*() {
    const folder = yield* temporaryFolder
    const library = join(folder, "sync.so")
    execFileSync("cc", ["-shared", "-fPIC", "-o", library, fixture("failing-sync.c"), "-ldl"])
    const filename = join(folder, "audit.db")
    yield* Effect.provide(emit(0), sqliteAt({ filename }))
    const { status, stderr, stdout } = spawnSync(process.execPath, [fixture("slowSync.ts"), filename, ...args], {
      encoding: "utf8",
      env: { ...process.env, LD_PRELOAD: library, SYNC_DELAY_US: String(micros) }
    })
    assert.strictEqual(status, 0, stderr)
    return JSON.parse(stdout) as ReadonlyArray<readonly [outcome: unknown, fired: number]>
  })

describe("a slow disk", () => {
  it.live("does not hold up the process while a commit is synced", () =>
    Effect.gen(function*() {
      const seen = yield* slowed(["true", "3"], 200_000)
      assert.deepStrictEqual(seen.map(([position]) => position), [2, 3, 4])
      for (const [, fired] of seen) assert.isAtLeast(fired, 10)
    }), 20_000)

  it.live(
    "does not hold it up for long where nothing was said: then the thread is there",
    () =>
      Effect.gen(function*() {
        const seen = yield* slowed(["auto", "12"], 100_000)
        assert.deepStrictEqual(seen.map(([position]) => position), Array.from({ length: 12 }, (_, n) => n + 2))
        assert.isAtLeast(seen.at(-1)?.[1] ?? 0, 10)
        const without = yield* slowed(["false", "3"], 100_000)
        for (const [, fired] of without) assert.isBelow(fired, 10)
      }),
    20_000
  )

  it.live("does not keep closing from its deadline: the outcome is open then", () =>
    Effect.gen(function*() {
      const [first] = yield* slowed(["true", "close"], 800_000)
      assert.match(JSON.stringify(first), /CommitUnknown/)
    }), 20_000)
})

describe("what crosses between threads", () => {
  it.effect("is the rows as they were", () =>
    Effect.gen(function*() {
      const drafts: ReadonlyArray<readonly [DatasetEvent.Draft, object]> = [
        [{ action: "a.b" }, {}],
        [{ action: "note.page.create", subjectIds: ["s1", "s2"], input: "ä€😀" }, { idempotencyKey: "k" }],
        [{ action: "c.d", output: { text: "x".repeat(5000) } }, { idempotencyKey: "k2" }]
      ]
      const events = yield* Effect.forEach(
        [...drafts, ...drafts],
        ([draft, options], n) => sealedBy(draft, options, { tenantId: n < 3 ? "t_acme" : "t_other" })
      )
      const rows = rowsOf([...events, events[0]!])
      assert.deepStrictEqual(rows.map(({ repeated }) => repeated), [false, false, false, false, false, false, true])
      const plain = (all: typeof rows) =>
        all.map((row) => ({
          ...row,
          ...Object.fromEntries(
            (["id", "salt", "body", "commitment"] as const).map((key) => [key, Buffer.from(row[key]).toString("hex")])
          ),
          terms: [...row.terms],
          idempotency: row.idempotency && {
            key: row.idempotency.key,
            digest: Buffer.from(row.idempotency.digest).toString("hex"),
            formerDigest: Buffer.from(row.idempotency.formerDigest).toString("hex")
          }
        }))
      const packed = pack(rows)
      assert.strictEqual(packed.logs.length, 2)
      assert.deepStrictEqual(plain(unpack(structuredClone(packed, { transfer: [packed.bytes] }))), plain(rows))
      assert.deepStrictEqual(unpack(pack([])), [])
    }))

  it("is what became of them, with reasons that are errors again", () => {
    const eventId = "01890a5d-ac96-774b-bcce-b302099a8057" as DatasetEvent.EventId
    const duplicate = {
      eventId,
      position: 7,
      duplicate: true,
      durability: "committed",
      first: { erased: true }
    } as const
    const stopped = stoppedBy("o", new AuditError.CheckpointInconsistent({ detail: "d" }))
    const cross = (committed: Committed) => decodeReply(structuredClone(encodeReply(committed)))
    const done = cross({
      _tag: "Committed",
      outcomes: [
        3,
        duplicate,
        new Refused(stopped),
        new Refused(new AuditError.InvalidInput({ path: "/eventId", detail: "d" })),
        new Refused(new AuditError.SinkRejected({ detail: "d" })),
        4
      ]
    })
    assert(done._tag === "Committed")
    const [first, second, third, fourth, fifth, last] = done.outcomes
    assert.deepStrictEqual([first, second, last], [3, duplicate, 4])
    assert(third instanceof Refused && third.reason._tag === "LogStopped")
    assert(third.reason.cause instanceof AuditError.IntegrityError)
    assert.strictEqual(third.reason.cause.reason._tag, "CheckpointInconsistent")
    assert.strictEqual(third.reason.message, stopped.message)
    assert(fourth instanceof Refused && fourth.reason._tag === "InvalidInput")
    assert.strictEqual(fourth.reason.path, "/eventId")
    assert(fifth instanceof Refused && fifth.reason._tag === "SinkRejected")
    const full = Object.assign(new Error("database or disk is full"), { errcode: 13 })
    for (
      const committed of [{ _tag: "NotBegun", cause: full }, { _tag: "Failed", cause: full, committing: true }] as const
    ) {
      const crossed = cross(committed)
      assert(crossed._tag === committed._tag)
      assert(crossed.cause instanceof Error)
      assert.strictEqual(crossed.cause.message, full.message)
      assert.strictEqual(Reflect.get(crossed.cause, "errcode"), 13)
    }
    for (const committed of [{ _tag: "Gone", committed: true }, { _tag: "Asks", origins: ["o"] }] as const) {
      assert.deepStrictEqual(cross(committed), committed)
    }
  })
})
