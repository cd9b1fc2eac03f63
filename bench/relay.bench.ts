/**
 * Events per second from a SQLite file to a webhook that answers at once, and to NATS JetStream, beside a bare pipelined
 * publish of the same texts with acknowledgements.
 *
 *     npm run bench -- relay [quick]
 */
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Nats } from "../src/nats/index.ts"
import { Relay, SqlRelayState, type Target, Webhook } from "../src/relay/index.ts"
import { Sqlite } from "../src/sqlite/index.ts"
import { context, draft, loops, median } from "./emit.bench.ts"

/** A server that answers 204 to everything, in a process of its own. */
const receiver = `require("node:http").createServer((request, response) => {
  request.resume().on("end", () => response.writeHead(204).end())
}).listen(0, "127.0.0.1", function() { console.log(this.address().port) })`

/** Runs a relay of a new name until everything is delivered; events per second. */
const relayed = (target: Target.Target, name: string, total: number) =>
  Effect.gen(function*() {
    const progress = { count: 0 }
    const counting: Target.Target = {
      ...target,
      send: (batch) =>
        Effect.tap(target.send(batch), () => Effect.sync(() => void (progress.count += batch.events.length)))
    }
    const started = performance.now()
    const fiber = yield* Effect.forkChild(Relay.run({ name, target: counting, interval: 5 }))
    while (progress.count < total) yield* Effect.sleep(5)
    const rate = Math.round(total / (performance.now() - started) * 1000)
    yield* Fiber.interrupt(fiber)
    return rate
  })

const bare = (port: number, texts: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const connection = await connect({ servers: `127.0.0.1:${port}` })
    const manager = await jetstreamManager(connection)
    await Effect.runPromise(Nats.ensureStream(manager, { name: "BARE", replicas: 1, subjects: ["bare.>"] }))
    const client = jetstream(connection)
    const started = performance.now()
    let next = 0
    const publisher = async () => {
      while (next < texts.length) await client.publish("bare.x", texts[next++]!)
    }
    await Promise.all(Array.from({ length: 256 }, publisher))
    const rate = Math.round(texts.length / (performance.now() - started) * 1000)
    await manager.streams.delete("BARE")
    await connection.close()
    return rate
  })

export const run = (quick: boolean): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const folder = mkdtempSync(join(tmpdir(), "effect-audit-bench-"))
    const total = quick ? 10_000 : 40_000
    const hook = spawn(process.execPath, ["-e", receiver], { stdio: ["ignore", "pipe", "inherit"] })
    const hookPort = String((yield* Effect.promise(() => once(hook.stdout, "data")))[0]).trim()
    const port = 20_000 + process.pid % 20_000
    const nats = spawn("nats-server", ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    yield* Effect.promise(async () => {
      let text = ""
      while (!text.includes("Server is ready")) text += String((await once(nats.stderr, "data"))[0])
      nats.stderr.resume()
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        hook.kill()
        nats.kill()
        rmSync(folder, { recursive: true, force: true })
      })
    )
    const store = SqlRelayState.layer().pipe(
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(Sqlite.layer({ filename: join(folder, "audit.db") }))
    )
    yield* Effect.gen(function*() {
      const contexts = yield* Effect.forEach(Array.from({ length: 100 }, (_, n) => n), (n) => context(n, 1))
      yield* loops(256, total, (n) =>
        Effect.provideService(AuditLogger.emit(draft(n)), RequestContext.RequestContext, contexts[n % 100]!))
      const secret = Redacted.make(`whsec_${Buffer.alloc(32).toString("base64")}`)
      const webhook = yield* Webhook.make({
        url: `http://127.0.0.1:${hookPort}/`,
        secret,
        allowPrivateNetworks: true
      })
      const connection = yield* Effect.promise(() =>
        connect({ servers: `127.0.0.1:${port}` })
      )
      yield* Nats.ensureStream(yield* Effect.promise(() => jetstreamManager(connection)), {
        name: "AUDIT",
        replicas: 1
      })
      const stream = Nats.make({ jetstream: jetstream(connection), stream: "AUDIT" })
      const texts = Array.from({ length: total }, () => "x".repeat(1010))
      const rates: Record<string, Array<number>> = { webhook: [], jetstream: [], bare: [] }
      for (let round = 0; round < 3; round++) {
        rates["bare"]!.push(yield* bare(port, texts))
        rates["webhook"]!.push(yield* relayed(webhook, `hook${round}`, total + 1))
        // Another stream each time: what comes twice is not stored again, which is quicker.
        const manager = yield* Effect.promise(() => jetstreamManager(connection))
        yield* Effect.promise(() => manager.streams.delete("AUDIT"))
        yield* Nats.ensureStream(manager, { name: "AUDIT", replicas: 1 })
        rates["jetstream"]!.push(yield* relayed(stream, `nats${round}`, total + 1))
      }
      yield* Effect.promise(() => connection.close())
      const [hooks, streamed, published] = ["webhook", "jetstream", "bare"].map((name) => median(rates[name] ?? []))
      console.log(`events per second, median of 3 rounds of ${total}\n`)
      console.log(`${String(hooks).padStart(8)}  relay to a webhook that answers at once`)
      console.log(`${String(published).padStart(8)}  bare publish to JetStream, 256 in flight`)
      console.log(`${String(streamed).padStart(8)}  relay to JetStream`)
      console.log(`\n${((streamed ?? 0) / (published ?? 1)).toFixed(2)} of the bare publish`)
    }).pipe(Effect.provide(store))
  }).pipe(Effect.scoped)
