/** How the program ends: called wrongly, stopped in the middle, with no one who reads it, and with evidence that is gone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "../support.ts"
import { answers, finished, line, run, start } from "./process.ts"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
const lines = (count: number) => Array.from({ length: count }, (_, n) => line(n)).join("")
const store = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const path = (name: string) => join(folder, name)
  const [db, key] = [path("audit.db"), path("audit.key")]
  const vkey = (yield* run(["keygen", "--out", key])).stdout.trim()
  const on = (verb: string, ...more: ReadonlyArray<string>) =>
    run([verb, "--db", db, "--tenant", "t_acme", "--env", "prod", ...more])
  return { folder, path, db, key, vkey, on, ingest: (count: number) => run(["ingest", "--db", db], lines(count)) }
})

describe("a wrong call", () => {
  it.live("leaves standard output alone, and says what is wrong and where to read on", () =>
    Effect.gen(function*() {
      const { path } = yield* store
      writeFileSync(path("empty"), "")
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, said: RegExp]> = [
        [["nothing"], /Unknown subcommand "nothing"[\s\S]*effect-audit --help/],
        [["verify", "--bogus"], /--bogus[\s\S]*effect-audit verify --help/],
        [["ingest"], /--db[\s\S]*effect-audit ingest --help/],
        [["verify"], /give either --db or --tiles\neffect-audit verify --help/],
        [["verify", "--tiles", "x", "--vkey", "y"], /not an Ed25519 verifier key/],
        [["scan", "--file", path("missing.log")], /there is no file .*missing\.log/],
        [["verify", "--db", path("empty")], /is empty: it is no audit store/],
        [["query", "--db", path("empty"), "--tenant", "t", "--env", "prod"], /is empty: it is no audit store/]
      ]
      for (const [args, said] of cases) {
        const { code, stderr, stdout } = yield* run(args)
        assert.deepStrictEqual([code, stdout], [2, ""], args.join(" "))
        assert.match(stderr, said)
        assert.isBelow(stderr.trimEnd().split("\n").length, 4, stderr)
      }
      assert.strictEqual(readFileSync(path("empty")).length, 0)
    }), 60_000)
})

describe("a signal", () => {
  for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    it.live(
      `${signal} stops the reading: what was read is answered, what is answered is stored, and no more`,
      () =>
        Effect.gen(function*() {
          const { db } = yield* store
          const child = yield* start(["ingest", "--db", db])
          const end = yield* finished(child)
          let fed = 0
          const feed = () => {
            while (!child.stdin.destroyed && child.stdin.write(line(fed++)));
          }
          child.stdin.on("drain", feed)
          feed()
          let seen = ""
          child.stdout.on("data", (chunk: Buffer) => {
            seen = seen.slice(-100_000) + chunk.toString()
            if (seen.length > 20_000) child.kill(signal)
          })
          const { code, stderr, stdout } = yield* end
          assert.deepStrictEqual([code, stderr], [expected, ""])
          const positions = answers(stdout).map(({ position }) => position ?? -1).sort((a, b) => a - b)
          const rows = new DatabaseSync(db, { readOnly: true })
          const stored = Number(rows.prepare("SELECT count(*) AS n FROM audit_event").get()?.["n"])
          rows.close()
          assert.deepStrictEqual(positions, Array.from({ length: stored - 1 }, (_, n) => n + 1))
        }),
      60_000
    )
  }
})

describe("an output that no one reads", () => {
  it.live("ends the program without a word", () =>
    Effect.gen(function*() {
      const { db, ingest } = yield* store
      yield* ingest(500)
      const query = [
        process.execPath,
        main,
        "query",
        "--db",
        db,
        "--tenant",
        "t_acme",
        "--env",
        "prod",
        "--format",
        "ndjson"
      ]
      for (
        const command of [
          `${query.join(" ")} | head -1`,
          `yes '${line(1).trim()}' | ${process.execPath} ${main} ingest --db ${db} | head -1`
        ]
      ) {
        const ended = spawnSync("bash", ["-c", `${command} > /dev/null; echo "\${PIPESTATUS[@]}"`], {
          encoding: "utf8"
        })
        assert.strictEqual(ended.stderr, "")
        assert.match(ended.stdout, /\b141\b/)
      }
    }), 60_000)

  it.live("leaves no key whose verifier key nobody saw", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const full = openSync("/dev/full", "w")
      const ended = spawnSync(process.execPath, [main, "keygen", "--out", join(folder, "audit.key")], {
        stdio: ["ignore", full, "pipe"]
      })
      assert.strictEqual(ended.status, 2)
      assert.deepStrictEqual(readdirSync(folder), [])
    }))
})

describe("resume", () => {
  it.live(
    "lets a log go on whose store was taken back, as the documentation goes through it",
    () =>
      Effect.gen(function*() {
        const { db, ingest, key, on, path, vkey } = yield* store
        yield* ingest(20)
        const signed = (name: string) =>
          Effect.map(on("checkpoint", "--key-file", key), ({ stdout }) => writeFileSync(path(name), stdout))
        yield* signed("early")
        yield* run(["backup", "--db", db, "--out", path("backup.db")])
        yield* ingest(10)
        yield* signed("late")
        for (const name of ["audit.db-wal", "audit.db-shm"]) rmSync(path(name), { force: true })
        cpSync(path("backup.db"), db)
        const resume = on("resume", "--key-file", key, "--reason", "restored", "--actor-id", "ops1")
        // The loss is noticed, and the log takes nothing.
        assert.strictEqual((yield* on("verify", "--vkey", vkey, "--old", path("late"))).code, 1)
        assert.strictEqual((yield* on("verify", "--vkey", vkey, "--state", `${key}.state`)).code, 1)
        assert.strictEqual((yield* on("checkpoint", "--key-file", key)).code, 1)
        const stopped = yield* ingest(1)
        assert.match(stopped.stdout, /"reason":"LogStopped"/)
        const gone = yield* resume
        assert.strictEqual(gone.code, 0, gone.stderr)
        assert.match(
          gone.stdout,
          /goes on as .*: at least 10 entries are missing; recorded at position 21/
        )
        assert.strictEqual((yield* resume).code, 2)
        assert.strictEqual((yield* ingest(5)).code, 0)
        yield* signed("after")
        const state = ["--state", `${key}.state`]
        for (const more of [[], state, ["--old", path("early")], ["--old", path("after"), ...state]]) {
          const { code, stdout } = yield* on("verify", "--vkey", vkey, ...more)
          assert.strictEqual(code, 0, stdout)
        }
        assert.match((yield* on("verify", "--vkey", vkey, "--old", path("late"))).stdout, /truncated/)
        const consistent = (name: string) => on("consistency", "--old", path(name), "--vkey", vkey)
        assert.strictEqual((yield* consistent("early")).code, 0)
        assert.strictEqual((yield* consistent("after")).code, 0)
        assert.strictEqual((yield* consistent("late")).code, 1)
      }),
    90_000
  )
})

describe("backup", () => {
  it.live("copies the store at one moment while it is written, and replaces nothing", () =>
    Effect.gen(function*() {
      const { db, folder, ingest, path, vkey } = yield* store
      yield* ingest(300)
      const writer = yield* start(["ingest", "--db", db])
      const end = yield* finished(writer)
      const feed = () => {
        let n = 0
        while (!writer.stdin.destroyed && n++ < 50 && writer.stdin.write(line(n)));
        if (!writer.stdin.destroyed) setTimeout(feed, 1)
      }
      feed()
      for (const name of ["one.db", "two.db"]) {
        const { code, stderr } = yield* run(["backup", "--db", db, "--out", path(name)])
        assert.strictEqual(code, 0, stderr)
        const verified = yield* run(["verify", "--db", path(name), "--vkey", vkey])
        assert.strictEqual(verified.code, 0, verified.stdout)
      }
      writer.kill("SIGINT")
      assert.strictEqual((yield* end).code, 130)
      const again = yield* run(["backup", "--db", db, "--out", path("one.db")])
      assert.deepStrictEqual([again.code, /one\.db exists/.test(again.stderr)], [2, true])
      assert.strictEqual((yield* run(["backup", "--db", path("none.db"), "--out", path("x.db")])).code, 2)
      assert.isFalse(readdirSync(folder).includes("x.db"))
    }), 60_000)
})

describe("a legal hold", () => {
  it.live(
    "has a name and a range, and is released by its name; preferences know who set them",
    () =>
      Effect.gen(function*() {
        const { ingest, on } = yield* store
        yield* ingest(3)
        const officer = ["--reason", "r", "--actor-id", "officer"]
        for (const name of ["case 1", "case 2"]) {
          const held = yield* on("hold", "--since", "2000-01-01", "--before", "2999-01-01", "--name", name, ...officer)
          assert.strictEqual(held.code, 0, held.stderr)
        }
        const erase = on("erase", "--person", "u1", ...officer)
        assert.strictEqual((yield* on("release", "--name", "case 1", ...officer)).code, 0)
        assert.strictEqual((yield* erase).code, 2)
        assert.strictEqual((yield* on("release", "--name", "case 2", ...officer)).code, 0)
        for (
          const wrong of [["--person-before", "2999-01-01"], ["--person", "u1", "--before", "2999-01-01"], []]
        ) assert.strictEqual((yield* on("erase", ...wrong, ...officer)).code, 2, wrong.join(" "))
        assert.strictEqual((yield* on("hold", "--since", "2000-01-01", "--person", "u1", ...officer)).code, 2)
        const early = yield* on("erase", "--person", "u1", "--person-before", "2000-01-01", ...officer)
        assert.match(early.stdout, /nothing to erase/)
        assert.match((yield* erase).stdout, /erased 3 events/)
        assert.strictEqual((yield* on("prefs", "set")).code, 2)
        const set = ["prefs", "set", "--tenant", "t_acme", "--env", "prod", "--opt-out", "--actor-id", "officer"]
        const { db } = yield* store
        assert.strictEqual((yield* run([...set, "--db", db])).code, 0)
        const { stdout } = yield* run([
          "query",
          "--db",
          db,
          "--tenant",
          "t_acme",
          "--env",
          "prod",
          "--format",
          "ndjson"
        ])
        assert.match(stdout, /"action":"training_preference.changed".*"agentId":"officer"|"agentId":"officer"/)
      }),
    60_000
  )
})

describe("verify", () => {
  it.live(
    "finds a folder of tiles that was taken back, by a kept checkpoint, and refuses flags that are not for it",
    () =>
      Effect.gen(function*() {
        const { ingest, key, on, path, vkey } = yield* store
        yield* ingest(20)
        assert.strictEqual((yield* on("tiles", "--key-file", key, "--out", path("tiles"))).code, 0)
        cpSync(path("tiles"), path("old"), { recursive: true })
        yield* ingest(300)
        const kept = yield* on("checkpoint", "--key-file", key)
        writeFileSync(path("kept"), kept.stdout)
        assert.strictEqual((yield* on("tiles", "--key-file", key, "--out", path("tiles"))).code, 0)
        const tiles = (folder: string, ...more: ReadonlyArray<string>) =>
          run(["verify", "--tiles", path(folder), "--vkey", vkey, ...more])
        assert.strictEqual((yield* tiles("old")).code, 0)
        const back = yield* tiles("old", "--old", path("kept"))
        assert.strictEqual(back.code, 1)
        assert.match(back.stdout, /it has 21 entries, and the given checkpoint 321/)
        assert.strictEqual((yield* tiles("tiles", "--old", path("kept"))).code, 0)
        assert.strictEqual((yield* tiles("tiles", "--old", join(path("old"), "checkpoint"))).code, 0)
        const other = yield* store
        yield* other.ingest(3)
        writeFileSync(path("other"), (yield* other.on("checkpoint", "--key-file", other.key)).stdout)
        assert.strictEqual((yield* tiles("tiles", "--old", path("other"))).code, 1)
        for (const more of [["--tenant", "t_acme", "--env", "prod"], ["--state", `${key}.state`], ["--json"]]) {
          assert.strictEqual((yield* tiles("tiles", ...more)).code, 2, more.join(" "))
        }
      }),
    60_000
  )

  it.live("says what it is anchored to, takes the signer's state, and prints JSON", () =>
    Effect.gen(function*() {
      const { db, ingest, key, on, path, vkey } = yield* store
      yield* ingest(5)
      assert.match(
        (yield* on("verify", "--vkey", vkey)).stdout,
        /there is no checkpoint; *|not checked: there is no checkpoint/
      )
      writeFileSync(path("kept"), (yield* on("checkpoint", "--key-file", key)).stdout)
      const verify = (...more: ReadonlyArray<string>) => run(["verify", "--db", db, "--vkey", vkey, ...more])
      assert.match((yield* verify()).stdout, /signatures checked, anchored to nothing outside of the store/)
      assert.match((yield* verify("--old", path("kept"))).stdout, /anchored to the given checkpoint\n/)
      const whole = yield* verify("--state", `${key}.state`, "--json")
      assert.strictEqual(whole.code, 0, whole.stderr)
      const [finding] = whole.stdout.trimEnd().split("\n").map((text) => JSON.parse(text) as Record<string, unknown>)
      assert.deepInclude(finding, { _tag: "Verified", size: 6, covered: 6, signaturesChecked: true })
      assert.deepStrictEqual(finding?.["anchors"], ["signer", "stored"])
      // The log is gone: only what lies outside of the store knows of it.
      const other = path("other.db")
      yield* run(["ingest", "--db", other], line(1, { context: { tenantId: "t_globex" } }))
      const gone = (...more: ReadonlyArray<string>) => run(["verify", "--db", other, "--vkey", vkey, ...more])
      assert.strictEqual((yield* gone()).code, 0)
      for (const more of [["--state", `${key}.state`], ["--old", path("kept")]]) {
        const { code, stdout } = yield* gone(...more)
        assert.strictEqual(code, 1, more.join(" "))
        assert.match(stdout, /missing: .*is not in the store/)
      }
      assert.strictEqual((yield* gone("--state", path("nowhere"))).code, 2)
      assert.isFalse(existsSync(path("nowhere")))
    }), 60_000)
})
