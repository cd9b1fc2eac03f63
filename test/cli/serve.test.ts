/** A server that shows a log ends when it is told to, whoever follows it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { temporaryFolder } from "../support.ts"
import { finished, line, run, start } from "./process.ts"

describe("serve", () => {
  // Half of the time for which a server of Effect's waits for its requests, unless told otherwise.
  it.live("does not wait for a page that follows the log", () =>
    Effect.gen(function*() {
      const db = join(yield* temporaryFolder, "audit.db")
      yield* run(["ingest", "--db", db], line(1))
      const child = yield* start(["serve", "--db", db, "--tenant", "t_acme", "--env", "prod", "--port", "0"])
      const end = yield* finished(child)
      const url = yield* Effect.callback<URL>((resume) => {
        child.stdout.once("data", (chunk: Buffer) => resume(Effect.succeed(new URL(String(chunk).trim()))))
      })
      const authorization = `Bearer ${url.hash.slice("#token=".length)}`
      const reader = yield* Effect.promise(async () => {
        const { body } = await fetch(new URL("/audit/events/tail", url), { headers: { authorization } })
        return body?.getReader()
      })
      const first = yield* Effect.promise(async () => reader?.read())
      assert.include(Buffer.from(first?.value ?? new Uint8Array()).toString(), "id: ")
      child.kill("SIGTERM")
      assert.strictEqual((yield* end).code, 143)
      // The reader learns of it, and can go on from its last id.
      yield* Effect.promise(async () => reader?.read().then(({ done }) => assert.isTrue(done), () => {}))
    }), 10_000)
})
