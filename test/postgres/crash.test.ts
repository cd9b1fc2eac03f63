/** Processes and servers that die in the middle: what was acknowledged is there, once, and proven. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { Ledger } from "effect-audit/ledger"
import { AuditTrail } from "effect-audit/trail"
import { spawn } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { type Answer, line } from "../cli/process.ts"
import { freshSchema, serverOfFile, storeAt } from "./server.ts"

const file = serverOfFile()
const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))

/** One process that writes lines to a store until it is killed or has written them; what it acknowledged. */
const writer = (schema: string, name: string, tenants: ReadonlyArray<string>, lines: number) => {
  const child = spawn(process.execPath, [main, "ingest", "--db", file.server.address(schema), "--concurrency", "32"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, PGPASSWORD: "secret" }
  })
  child.stdin.on("error", () => {})
  let text = ""
  child.stdout.on("data", (chunk: Buffer) => text += chunk.toString())
  let isEnded = false
  const ended = new Promise<void>((resolve) =>
    child.on("close", () => {
      isEnded = true
      resolve()
    })
  )
  for (let n = 0; n < lines; n++) {
    child.stdin.write(line(n, {
      context: { tenantId: tenants[n % tenants.length], requestId: `${name}-${n}` },
      draft: { input: { writer: name, n } }
    }))
  }
  child.stdin.end()
  const acknowledged = () =>
    text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Answer).filter(({ status }) =>
      status === "accepted"
    )
  return { child, ended, isEnded: () => isEnded, acknowledged }
}

const crashing = (tenants: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const schema = freshSchema()
    const all: Array<ReturnType<typeof writer>> = []
    yield* Effect.promise(async () => {
      const start = (n: number) => {
        const started = writer(schema, `w${n}`, tenants, 1500)
        all.push(started)
        return started
      }
      // Four at a time, of which each second one is killed at a random moment and followed by another.
      // One that started while the server was away has ended by itself: it does not count.
      const one = async () => {
        for (let turn = 0; turn < 3;) {
          const { acknowledged, child, ended, isEnded } = start(all.length)
          while (acknowledged().length === 0 && !isEnded()) await sleep(5)
          if (isEnded() && acknowledged().length === 0) continue
          if (turn < 2) {
            await sleep(Math.random() * 400)
            child.kill("SIGKILL")
          }
          await ended
          turn++
        }
      }
      let isWritten = false
      const writing = Promise.all([one(), one(), one(), one()]).then(() => isWritten = true)
      for (const signal of ["SIGKILL", "SIGQUIT"] as const) {
        const before = all.flatMap(({ acknowledged }) => acknowledged()).length
        while (all.flatMap(({ acknowledged }) => acknowledged()).length < before + 300) {
          assert.isFalse(isWritten, "everything was written before the server could be stopped")
          await sleep(10)
        }
        await file.server.crash(signal)
      }
      await writing
    })
    const acknowledged = all.flatMap(({ acknowledged }) => acknowledged()).map(({ event_id }) => event_id)
    assert.isAbove(acknowledged.length, 600)
    yield* Effect.gen(function*() {
      const stored = new Map<string, number>()
      for (const { env, tenantId } of yield* AuditTrail.logs) {
        const items = yield* Stream.runCollect(AuditTrail.stream({ tenantId, env, order: "asc" }))
        assert.deepStrictEqual(items.map(({ position }) => position), items.map((_, at) => at))
        const written = items.flatMap((item) =>
          item.erased || item.position === 0 ? [] : [JSON.stringify(item.event.input)]
        )
        assert.strictEqual(new Set(written).size, written.length, "an event is stored once")
        for (const { eventId } of items) stored.set(eventId, (stored.get(eventId) ?? 0) + 1)
      }
      assert.deepStrictEqual(acknowledged.filter((id) => stored.get(id ?? "") !== 1), [])
      const findings = yield* Stream.runCollect(Ledger.verify())
      assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
      // And it goes on.
      yield* AuditLogger.AuditLogger
    }).pipe(Effect.provide(Ledger.layer.pipe(Layer.provideMerge(storeAt(file, schema)))))
  })

describe("four writers that are killed at random, and the server twice", () => {
  it.live("lose nothing that they acknowledged, on one log", () => crashing(["t_acme"]), 120_000)
  it.live(
    "lose nothing that they acknowledged, on many",
    () => crashing(Array.from({ length: 20 }, (_, n) => `t_${n}`)),
    120_000
  )
})
