/** `effect-audit tail`, as a process of its own, beside one that writes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { readdirSync } from "node:fs"
import { dirname } from "node:path"
import { temporaryFile } from "../support.ts"
import { finished, line, run, start } from "./process.ts"

const tail = (db: string, ...more: ReadonlyArray<string>) =>
  start(["tail", "--db", db, "--tenant", "t_acme", "--env", "prod", ...more])

/** Ends where a process has printed so many lines. */
const printed = (child: ChildProcessWithoutNullStreams, count: number) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    let text = ""
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString()
      const lines = text.split("\n")
      if (lines.length > count) resume(Effect.succeed(lines.slice(0, count)))
    })
  })

describe("effect-audit tail", () => {
  it.live("prints what other processes commit, from a position on, and ends with a signal", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      yield* run(["ingest", "--db", db], line(0))
      const child = yield* tail(db, "--after", "0", "--format", "ndjson")
      const end = yield* finished(child)
      const [first, second] = yield* Effect.all([
        printed(child, 3),
        run(["ingest", "--db", db, "--concurrency", "1"], line(1) + line(2))
      ], { concurrency: 2 })
      assert.strictEqual(second.code, 0)
      assert.deepStrictEqual(first.map((text) => (JSON.parse(text) as { readonly position: number }).position), [
        1,
        2,
        3
      ])
      child.kill("SIGINT")
      const { code, stderr } = yield* end
      assert.deepStrictEqual([code, stderr], [130, ""])
      // It ended after the writer, and left nothing beside the file: a copy of the file is the whole store.
      assert.deepStrictEqual(readdirSync(dirname(db)), ["audit.db"])
    }))

  it.live("prints a line for people, that a value cannot steer, of what its filter asks for", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const denied = { draft: { outcome: "denied", resource: { type: "note", id: "\u001b[2J" } } }
      yield* run(["ingest", "--db", db, "--concurrency", "1"], line(0) + line(1, denied))
      const child = yield* tail(db, "--after", "-1", "--outcome", "denied")
      const [text = ""] = yield* printed(child, 1)
      assert.match(text, /^2 {2}\S+ {2}human u1 {2}u1 {2}note\.create {2}note \\u001b\[2J {2}denied/)
    }))

  it.live("refuses a position that is to come, and a store that there is not", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const args = ["tail", "--tenant", "t_acme", "--env", "prod"]
      const missing = yield* run([...args, "--db", db])
      assert.strictEqual(missing.code, 2)
      assert.include(missing.stderr, "audit.db")
      yield* run(["ingest", "--db", db], line(0))
      const early = yield* run([...args, "--db", db, "--after", "9"])
      assert.strictEqual(early.code, 2)
      assert.match(early.stderr, /no event at this position yet/)
    }))
})
