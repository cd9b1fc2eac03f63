/** A relay to a real JetStream: nothing lost and nothing twice, also when the server is killed. */
import { assert, describe, it } from "@effect/vitest"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { AuditLogger, type RequestContext } from "effect-audit"
import { Memory } from "effect-audit/memory"
import { Nats } from "effect-audit/nats"
import { Relay, RelayState } from "effect-audit/relay"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { temporaryFolder, within } from "../support.ts"

const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
)

/** A server with JetStream in a folder; it can be killed and started again. */
const natsServer = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const port = yield* freePort
  let child: ChildProcess | undefined
  const start = async () => {
    child = spawn("nats-server", ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    let text = ""
    while (!text.includes("Server is ready")) text += String((await once(child.stderr!, "data"))[0])
    child.stderr!.resume()
  }
  const kill = async () => {
    const ended = once(child!, "exit")
    child!.kill("SIGKILL")
    await ended
  }
  yield* Effect.acquireRelease(Effect.promise(start), () => Effect.promise(kill))
  const connection = yield* Effect.acquireRelease(
    Effect.promise(() => connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 20 })),
    (connection) => Effect.promise(() => connection.close())
  )
  return { connection, start, kill }
})

const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more)),
    { concurrency: 64 }
  )

const memory = Layer.fresh(
  AuditLogger.layer().pipe(Layer.provideMerge(Memory.layer()), Layer.provideMerge(RelayState.layerMemory))
)

describe("a relay to JetStream", () => {
  it.live("delivers each event once and in order, also across a kill of the server", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const { connection, kill, start } = yield* natsServer
        const manager = yield* Effect.promise(() => jetstreamManager(connection))
        yield* Nats.ensureStream(manager, { name: "AUDIT", replicas: 1 })
        yield* Nats.ensureStream(manager, { name: "AUDIT", replicas: 1 })
        const target = Nats.make({ jetstream: jetstream(connection), stream: "AUDIT", timeout: 300, maxInFlight: 64 })
        yield* emitMany(400)
        yield* emitMany(100, { tenantId: "t.globex" })
        const relay = yield* Effect.forkChild(
          Relay.run({ name: "nats", target, interval: 5, backoff: { from: 5, to: 50 } })
        )
        const count = Effect.map(
          Effect.promise(() => manager.streams.info("AUDIT").catch(() => undefined)),
          (info) => info?.state.messages ?? 0
        )
        while ((yield* count) < 100) yield* Effect.sleep(1)
        yield* Effect.promise(kill)
        yield* emitMany(50)
        yield* Effect.promise(() => sleep(100))
        yield* Effect.promise(start)
        const caughtUp = Effect.map(Relay.status, ([status]) => status?.logs.every(({ lag }) => lag === 0) === true)
        while (!(yield* caughtUp)) yield* Effect.sleep(10)
        yield* Fiber.interrupt(relay)
        const { config, state } = yield* Effect.promise(() => manager.streams.info("AUDIT"))
        assert.deepStrictEqual(
          [config.storage, config.discard, config.num_replicas, config.deny_delete],
          ["file", "new", 1, true]
        )
        assert.strictEqual(state.messages, 451 + 101)
        const positions = new Map<string, Array<number>>()
        for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
          const message = yield* Effect.promise(() => manager.streams.getMessage("AUDIT", { seq }))
          assert(message !== null)
          const event = message.json<{ readonly position: number; readonly event_id: string }>()
          assert.strictEqual(message.header.get("Nats-Msg-Id"), event.event_id)
          positions.set(message.subject, [...positions.get(message.subject) ?? [], event.position])
        }
        assert.deepStrictEqual([...positions.keys()].sort(), ["audit.prod.t%2Eglobex", "audit.prod.t_acme"])
        for (const found of positions.values()) assert.deepStrictEqual(found, found.map((_, at) => at))
      }).pipe(Effect.provide(memory))
    ))

  it.live("delivers to a subject of another relay's as well, in the same stream", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const { connection } = yield* natsServer
        const manager = yield* Effect.promise(() => jetstreamManager(connection))
        yield* Nats.ensureStream(manager, { name: "AUDIT", replicas: 1 })
        yield* emitMany(10)
        const shared = { jetstream: jetstream(connection), stream: "AUDIT" }
        const targets = [Nats.make(shared), Nats.make({ ...shared, subject: () => "audit.ocsf" })] as const
        for (const [at, target] of targets.entries()) {
          const sent = yield* Deferred.make<void>()
          let count = 0
          const send: typeof target.send = (batch) =>
            Effect.tap(target.send(batch), () =>
              (count += batch.events.length) === 11 ? Deferred.succeed(sent, undefined) : Effect.void)
          const relay = yield* Effect.forkChild(Relay.run({ name: `r${at}`, target: { ...target, send }, interval: 5 }))
          yield* Deferred.await(sent)
          yield* Fiber.interrupt(relay)
        }
        const { state } = yield* Effect.promise(() =>
          manager.streams.info("AUDIT", { subjects_filter: "audit.ocsf" })
        )
        assert.deepStrictEqual([state.messages, state.subjects?.["audit.ocsf"]], [22, 11])
      }).pipe(Effect.provide(memory))
    ))

  it.live("waits where no stream takes the subject", () =>
    Effect.scoped(
      Effect.gen(function*() {
        const { connection } = yield* natsServer
        const target = Nats.make({ jetstream: jetstream(connection), stream: "NONE", timeout: 200 })
        yield* emitMany(1)
        const relay = yield* Effect.forkChild(
          Relay.run({ name: "nats", target, interval: 5, backoff: { from: 5, to: 20 } })
        )
        while ((yield* Relay.status)[0]?.failure === undefined) yield* Effect.sleep(5)
        yield* Fiber.interrupt(relay)
        const [status] = yield* Relay.status
        assert.include(status?.failure?.detail ?? "", "NATS has not acknowledged")
        assert.strictEqual(status?.logs[0]?.lag, 2)
      }).pipe(Effect.provide(memory))
    ))
})
