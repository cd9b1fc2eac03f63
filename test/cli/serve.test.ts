/** A server that shows a log ends when it is told to: it lets go of who follows the log, and waits for all others. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { temporaryFolder } from "../support.ts"
import { finished, line, run, start } from "./process.ts"

const served = Effect.fnUntraced(function*(lines: string) {
  const db = join(yield* temporaryFolder, "audit.db")
  yield* run(["ingest", "--db", db], lines)
  const child = yield* start(["serve", "--db", db, "--tenant", "t_acme", "--env", "prod", "--port", "0"])
  const end = yield* finished(child)
  const url = yield* Effect.callback<URL>((resume) => {
    child.stdout.once("data", (chunk: Buffer) => resume(Effect.succeed(new URL(String(chunk).trim()))))
  })
  const authorization = `Bearer ${url.hash.slice("#token=".length)}`
  const get = (path: string) =>
    Effect.promise(async () => (await fetch(new URL(path, url), { headers: { authorization } })).body!.getReader())
  return { child, end, get }
})

describe("serve", () => {
  // Half of the time for which a server of Effect's waits for its requests, unless told otherwise.
  it.live("does not wait for a page that follows the log", () =>
    Effect.gen(function*() {
      const { child, end, get } = yield* served(line(1))
      const reader = yield* get("/audit/events/tail")
      const first = yield* Effect.promise(() => reader.read())
      assert.include(Buffer.from(first.value ?? new Uint8Array()).toString(), "id: ")
      child.kill("SIGTERM")
      assert.strictEqual((yield* end).code, 143)
    }), 10_000)

  it.live("waits for an export that has begun", () =>
    Effect.gen(function*() {
      const more = { draft: { input: { text: "word ".repeat(600) } } }
      const { child, end, get } = yield* served(Array.from({ length: 4000 }, (_, n) => line(n, more)).join(""))
      const reader = yield* get("/audit/events?format=ndjson")
      const { size, text } = yield* Effect.promise(async () => {
        const chunks = [Buffer.from((await reader.read()).value ?? new Uint8Array())]
        child.kill("SIGTERM")
        for (let next = await reader.read(); !next.done; next = await reader.read()) {
          chunks.push(Buffer.from(next.value))
        }
        const text = Buffer.concat(chunks).toString()
        return { size: text.length, text }
      })
      assert.isAbove(size, 12_000_000)
      assert.isAtLeast(text.trimEnd().split("\n").length, 4000)
      assert.strictEqual((yield* end).code, 143)
    }), 60_000)
})
