/** What an operator mistypes, loses, or asks for too early: nothing is done that was not meant. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { smallDisk, temporaryFolder } from "../support.ts"
import { finished, line, run, start } from "./process.ts"

const store = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const path = (name: string) => join(folder, name)
  const db = path("audit.db")
  const ended = yield* run(["ingest", "--db", db], [1, 2, 3].map((n) => line(n)).join(""))
  assert.strictEqual(ended.code, 0, ended.stderr)
  const on = (tenant: string, ...args: ReadonlyArray<string>) =>
    run([...args, "--db", db, "--tenant", tenant, "--env", "prod"])
  return { folder, path, db, on }
})
const none = "there is no log of t_acmee in prod: there is t_acme prod"

describe("a tenant that is mistyped", () => {
  it.live("gets no log by being looked at, and whoever waits for it is told", () =>
    Effect.gen(function*() {
      const { db, on } = yield* store
      for (const args of [["serve", "--port", "0"], ["prefs", "list"]]) {
        const { code, stderr, stdout } = yield* on("t_acmee", ...args)
        assert.deepStrictEqual([code, stdout], [2, ""], args.join(" "))
        assert.include(stderr, none)
      }
      const tail = yield* start(["tail", "--db", db, "--tenant", "t_acmee", "--env", "prod"])
      const end = yield* finished(tail)
      let said = ""
      yield* Effect.callback<void>((resume) => {
        tail.stderr.on("data", (chunk: Buffer) => {
          said += String(chunk)
          if (said.includes("\n")) resume(Effect.void)
        })
      })
      assert.include(said, `${none}; waiting for its first event`)
      tail.kill("SIGINT")
      assert.strictEqual((yield* end).code, 130)
      assert.include((yield* on("t_acmee", "query")).stderr, none)
    }), 120_000)
})

describe("a store on a medium that is only read", () => {
  it.live("is shown like any other", () =>
    Effect.gen(function*() {
      const { db } = yield* store
      const disk = yield* smallDisk("8m")
      const copy = join(disk, "audit.db")
      copyFileSync(db, copy)
      execFileSync("mount", ["-o", "remount,ro", disk])
      const on = (...args: ReadonlyArray<string>) => run([...args, "--db", copy, "--tenant", "t_acme", "--env", "prod"])
      const queried = yield* on("query", "--format", "ndjson")
      const listed = yield* on("prefs", "list")
      const added = yield* run(["ingest", "--db", copy], line(4))
      execFileSync("mount", ["-o", "remount,rw", disk])
      assert.deepStrictEqual([queried.code, queried.stdout.trimEnd().split("\n").length], [0, 4], queried.stderr)
      assert.strictEqual(listed.code, 0, listed.stderr)
      assert.strictEqual(added.code, 2)
    }), 60_000)
})

describe("erase", () => {
  it.live(
    "says what it would do, refuses a time that is to come, and asks for a checkpoint",
    () =>
      Effect.gen(function*() {
        const { on } = yield* store
        const by = ["--reason", "r", "--actor-id", "dpo"]
        const all = ["erase", "--before", "2999-01-01", ...by]
        for (
          const args of [all, [...all, "--dry-run"], [
            "erase",
            "--person",
            "u1",
            "--person-before",
            "2999-01-01",
            ...by
          ]]
        ) {
          const { code, stderr } = yield* on("t_acme", ...args)
          assert.strictEqual(code, 2)
          assert.include(stderr, "are times that have been")
        }
        const would = yield* on("t_acme", "erase", "--person", "u1", "--dry-run", ...by)
        assert.deepStrictEqual([would.code, would.stdout], [0, "would erase 3 events at positions 1-3\n"])
        yield* on("t_acme", "hold", "--person", "u1", "--name", "case 1", ...by)
        const held = yield* on("t_acme", "erase", "--person", "u1", "--dry-run", ...by)
        assert.match(held.stdout, /would erase 4 events at positions 1-4; \d of them are under legal hold/)
        yield* on("t_acme", "release", "--name", "case 1", ...by)
        const nobody = yield* on("t_acme", "erase", "--person", "u9", "--dry-run", ...by)
        assert.strictEqual(nobody.stdout, "would erase 0 events\n")
        const erased = yield* on("t_acme", "erase", "--person", "u1", ...by)
        assert.match(erased.stdout, /^erased \d events/)
        assert.include(erased.stderr, "sign a checkpoint")
      }),
    60_000
  )
})

describe("a key", () => {
  it.live(
    "is not left where its state cannot be made, and its verifier key can be printed again",
    () =>
      Effect.gen(function*() {
        const { folder, path } = yield* store
        const before = readdirSync(folder)
        const failed = yield* run(["keygen", "--out", path("a.key"), "--state", path("none/a.state")])
        assert.deepStrictEqual([failed.code, failed.stdout], [2, ""])
        assert.deepStrictEqual(readdirSync(folder), before)
        const made = yield* run(["keygen", "--out", path("a.key")])
        assert.strictEqual(made.code, 0, made.stderr)
        const again = yield* run(["vkey", "--key-file", path("a.key")])
        assert.deepStrictEqual([again.code, again.stdout], [0, made.stdout])
        assert.strictEqual((yield* run(["vkey", "--key-file", path("b.key")])).code, 2)
        // The state of another key is not this one's to remove.
        writeFileSync(path("full"), "")
        const second = yield* run(["keygen", "--out", path("none/b.key"), "--state", path("a.key.state")])
        assert.strictEqual(second.code, 2)
        assert.isTrue(existsSync(path("a.key.state")))
        assert.isAbove(readFileSync(path("a.key")).length, 0)
      }),
    60_000
  )
})

describe("ingest", () => {
  it.live("says the rule that a line breaks, and none of its values", () =>
    Effect.gen(function*() {
      const { db } = yield* store
      const context = {
        tenantId: "t_acme",
        env: "prod",
        actor: { type: "human", id: "secret person" },
        requestId: "r1"
      }
      const good = { ...context, actor: { type: "human", id: "u1" } }
      const lines = [
        "no json",
        JSON.stringify({ context, draft: { action: "note.create" } }),
        JSON.stringify({ context: good, draft: { action: "Secret Person" } }),
        JSON.stringify({ context: good, draft: { action: "note.create", inputt: 1 } }),
        JSON.stringify({ context: good, draft: { action: "note.create" }, more: 1 })
      ]
      const { code, stdout } = yield* run(["ingest", "--db", db], lines.map((text) => `${text}\n`).join(""))
      assert.strictEqual(code, 1)
      const said = stdout.trim().split("\n").map((text): unknown => JSON.parse(text))
      assert.deepStrictEqual(
        said.map((each) => typeof each === "object" && each !== null && "detail" in each && each.detail),
        [
          "is not JSON",
          "Expected an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -",
          "must be dotted lower-case words such as note.create, at most 128 characters",
          "is not a field of a draft",
          "is not a field of a line"
        ]
      )
      assert.notMatch(stdout, /secret/i)
    }), 120_000)
})
