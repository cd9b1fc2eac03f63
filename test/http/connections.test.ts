/** Streams of events over the life of a server: many that come and go, and one that outlives it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { connect } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { line, run } from "../cli/process.ts"
import { temporaryFolder } from "../support.ts"

const program = fileURLToPath(new URL("../fixtures/tailServer.ts", import.meta.url))

interface Said {
  readonly port: number
  readonly heap: number
}

/** What a process says next. */
const next = (child: ChildProcess) =>
  Effect.callback<Said>((resume) => void child.once("message", (said) => resume(Effect.succeed(said as Said))))

const started = Effect.fnUntraced(function*(db: string) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(program, [db], { execArgv: ["--expose-gc"] })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  const { port } = yield* next(child)
  return { child, port }
})

/** What a server holds, once all its connections are closed. */
const held = Effect.fnUntraced(function*(child: ChildProcess) {
  child.send("look")
  return (yield* next(child)).heap
})

/** Begins to follow, and goes as soon as the answer has begun. */
const visit = (port: number) =>
  Effect.callback<void>((resume) => {
    const socket = connect(
      port,
      "127.0.0.1",
      () => socket.write("GET /audit/events/tail HTTP/1.1\r\nHost: test\r\n\r\n")
    )
    socket.once("data", () => socket.destroy())
    socket.once("close", () => resume(Effect.void))
  })

/** The ids that follow a position, until there are so many, or the server is gone. */
const follow = (port: number, last: number, count: number, seen: Array<number>) =>
  Effect.callback<void>((resume) => {
    let text = ""
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(
        `GET /audit/events/tail?action=note.create HTTP/1.1\r\nHost: test\r\nLast-Event-ID: ${last}\r\n\r\n`
      ))
    socket.on("data", (chunk) => {
      text += chunk.toString()
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const id = /^id: (\d+)\nevent: audit$/m.exec(text.slice(0, end))?.[1]
        if (id !== undefined) seen.push(Number(id))
        text = text.slice(end + 2)
      }
      if (seen.length >= count) socket.destroy()
    })
    socket.on("error", () => socket.destroy())
    socket.once("close", () => resume(Effect.void))
  })

describe("following over HTTP", () => {
  it.live("ten thousand times leaves nothing behind", () =>
    Effect.gen(function*() {
      const { child, port } = yield* started(join(yield* temporaryFolder, "audit.db"))
      const visits = (count: number) =>
        Effect.forEach(Array.from({ length: count }), () => visit(port), { concurrency: 100, discard: true })
      yield* visits(2000)
      const before = yield* held(child)
      yield* visits(8000)
      const after = yield* held(child)
      // Each that were kept would be some kilobytes.
      assert.isBelow(after - before, 4_000_000)
    }), 120_000)

  it.live("goes on after its server was killed, without gap or repeat", () =>
    Effect.gen(function*() {
      const db = join(yield* temporaryFolder, "audit.db")
      const write = (from: number, count: number) =>
        run(
          ["ingest", "--db", db, "--concurrency", "1"],
          Array.from({ length: count }, (_, n) => line(from + n, { draft: { action: "note.create" } })).join("")
        )
      const seen: Array<number> = []
      for (let round = 0; round < 3; round++) {
        const { child, port } = yield* started(db)
        const reading = Effect.all([
          follow(port, seen.at(-1) ?? 0, Infinity, seen),
          // Killed while it writes what another process commits, and others are committed while it is gone.
          Effect.andThen(write(round * 200, 100), Effect.sync(() => child.kill("SIGKILL")))
        ], { concurrency: 2 })
        yield* reading
        yield* write(round * 200 + 100, 100)
      }
      const { port } = yield* started(db)
      yield* follow(port, seen.at(-1) ?? 0, 600, seen)
      const { stdout } = yield* run([
        "query",
        "--db",
        db,
        "--tenant",
        "t_acme",
        "--env",
        "prod",
        "--action",
        "note.create",
        "--limit",
        "1000",
        "--format",
        "ndjson"
      ])
      const stored = [...stdout.matchAll(/"position":(\d+)/g)].map(([, position]) => Number(position))
      assert.deepStrictEqual(seen, stored.sort((a, b) => a - b))
      assert.strictEqual(seen.length, 600)
    }), 120_000)
})
