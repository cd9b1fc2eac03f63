/** Runs the command line as a process of its own, from the sources. */
import { Deferred, Effect } from "effect"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running process; it is killed with the scope. */
export const start = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [main, ...args], { stdio: ["pipe", "pipe", "pipe"] })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** Waits for the end of a process and collects what it printed. */
export const finished = Effect.fnUntraced(function*(child: ChildProcessWithoutNullStreams) {
  const done = yield* Deferred.make<Finished>()
  const out: Array<Buffer> = []
  const err: Array<Buffer> = []
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk))
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk))
  child.stdin.on("error", () => {})
  child.on("close", (code) => {
    Deferred.doneUnsafe(
      done,
      Effect.succeed({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
    )
  })
  return Deferred.await(done)
})

/** Runs the command line with an input and waits for its end. */
export const run = (args: ReadonlyArray<string>, input: string | Uint8Array = "") =>
  Effect.scoped(Effect.gen(function*() {
    const child = yield* start(args)
    const end = yield* finished(child)
    child.stdin.end(input)
    return yield* end
  }))

/** One complete line of input. */
export const line = (
  n: number,
  more: { readonly draft?: object; readonly context?: object; readonly idempotencyKey?: string } = {}
) =>
  `${
    JSON.stringify({
      context: {
        tenantId: "t_acme",
        env: "prod",
        actor: { type: "human", id: "u1" },
        requestId: `r${n}`,
        ...more.context
      },
      draft: { action: "note.create", input: { n }, ...more.draft },
      ...(more.idempotencyKey === undefined ? {} : { idempotencyKey: more.idempotencyKey })
    })
  }\n`

export interface Answer {
  readonly line: number
  readonly status: "accepted" | "rejected"
  readonly event_id?: string
  readonly position?: number
  readonly duplicate?: boolean
  readonly reason?: string
  readonly path?: string
}

export const answers = (stdout: string): ReadonlyArray<Answer> =>
  stdout.split("\n").filter((text) => text !== "").map((text) => JSON.parse(text) as Answer)
