/** Every verb over PostgreSQL, as an operator calls it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isAddress, parseAddress, passwordIn } from "../../src/cli/postgres.ts"
import { answers, line, run } from "../cli/process.ts"
import { temporaryFolder } from "../support.ts"
import { freshSchema, serverOfFile } from "./server.ts"

const file = serverOfFile()

describe("effect-audit over PostgreSQL", () => {
  it.live("records, shows, signs, proves, verifies, erases and goes on; the password comes from a file", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const db = file.server.address(freshSchema())
      const passwords = join(folder, "pgpass")
      writeFileSync(passwords, `# of this test\n127.0.0.1:${file.server.port}:*:postgres:secret\n`)
      chmodSync(passwords, 0o600)
      process.env["PGPASSFILE"] = passwords
      const on = (verb: string, ...args: ReadonlyArray<string>) => run([verb, "--db", db, ...args])
      const log = ["--tenant", "t_acme", "--env", "prod"]
      const ingested = yield* run(
        ["ingest", "--db", db],
        [1, 2, 3].map((n) => line(n, { idempotencyKey: `k${n}` })).join("")
      )
      assert.strictEqual(ingested.code, 0, ingested.stderr)
      const [first] = answers(ingested.stdout)
      const key = join(folder, "audit.key")
      const vkey = join(folder, "audit.vkey")
      writeFileSync(vkey, (yield* run(["keygen", "--out", key])).stdout)
      const steps: ReadonlyArray<readonly [string, ReadonlyArray<string>, RegExp]> = [
        ["query", log, /note\.create/],
        ["checkpoint", [...log, "--key-file", key], /\n4\n/],
        ["prove", [...log, "--event-id", String(first?.event_id), "--out", join(folder, "proof.json")], /position/],
        ["verify", ["--vkey", `@${vkey}`, "--state", `${key}.state`], /holds; 4 entries/],
        ["prefs", [], /./],
        ["hold", [...log, "--person", "u2", "--name", "case 1", "--reason", "r", "--actor-id", "dpo"], /./],
        ["erase", [...log, "--event-id", String(first?.event_id), "--reason", "r", "--actor-id", "dpo"], /./],
        ["checkpoint", [...log, "--key-file", key], /\n[67]\n/],
        ["verify", ["--vkey", `@${vkey}`], /holds/],
        ["relay", [], /./]
      ]
      for (const [verb, args, expected] of steps) {
        const { code, stderr, stdout } = verb === "prefs"
          ? yield* run(["prefs", "list", "--db", db, ...log])
          : verb === "relay"
          ? yield* run(["relay", "status", "--db", db])
          : yield* on(verb, ...args)
        assert.strictEqual(code, 0, `${verb}: ${stderr}`)
        assert.match(stdout + stderr, expected, verb)
        assert.notInclude(stdout + stderr, "secret")
      }
      const state = file.server.address(`${freshSchema()}_signer`)
      const other = yield* run(["keygen", "--out", join(folder, "other.key"), "--state", state])
      assert.strictEqual(other.code, 0, other.stderr)
      const another = [...log, "--key-file", join(folder, "other.key"), "--state", state]
      const refused = yield* on("checkpoint", ...another)
      assert.deepStrictEqual([refused.code, refused.stdout], [2, ""])
      assert.include(refused.stderr, "which another key has signed")
      const signed = yield* on("checkpoint", ...another, "--new-signer")
      assert.strictEqual(signed.code, 0, signed.stderr)
      const backup = yield* on("backup", "--out", join(folder, "copy"))
      assert.include(backup.stderr, "pg_basebackup")
      chmodSync(passwords, 0o644)
      assert.include((yield* on("query", ...log)).stderr, "can be read by others")
      process.env["PGPASSFILE"] = join(folder, "none")
      assert.include((yield* on("query", ...log)).stderr, "the user or its password was refused")
      delete process.env["PGPASSFILE"]
    }))

  it.live("refuses an address with a password, or none of a user", () =>
    Effect.gen(function*() {
      for (
        const [address, text] of [
          ["postgres://u:p@h/d", "PGPASSWORD"],
          ["postgres://u@h/d?password=p", "PGPASSWORD"],
          ["postgres://u@h/d?schmea=other", "schmea"],
          ["postgres://u@h/d?schema=a&schema=b", "twice"],
          ["postgress://u:p@h/d", "postgres://USER@HOST"],
          [" postgres://u:p@h/d", "postgres://USER@HOST"],
          ["postgres:/u:p@h/d", "postgres://USER@HOST"],
          ["postgres://h/d", "names no user"]
        ] as const
      ) {
        const error = yield* Effect.flip(parseAddress(address))
        assert.include(error.message, text)
        assert.notInclude(error.message, ":p@")
        assert.isTrue(isAddress(address))
      }
      for (const path of ["audit.db", "/var/lib//audit@home.db", "C:\\audit.db"]) assert.isFalse(isAddress(path))
      const address = yield* parseAddress("postgresql://u%40x@h:6000/d?schema=s&sslmode=require")
      assert.deepInclude(address, { host: "h", port: 6000, database: "d", username: "u@x", schema: "s" })
      assert.notInclude(address.url, "schema")
      assert.include(address.url, "sslmode=require")
      assert.strictEqual(passwordIn("h:6000:d:u@x:a\\:b\\\\c\n", address), "a:b\\c")
      assert.strictEqual(passwordIn("other:*:*:*:no\nh:*:*:*:yes", address), "yes")
      assert.isUndefined(passwordIn("h:5432:*:*:no", address))
    }))
})
