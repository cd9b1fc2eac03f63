/**
 * One contestant of the HTTP bench as a process: one event for each request, and then the answer. Says its port, and when
 * it is told to stop, what it took.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { fdatasync, fsyncSync, openSync, write } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { pino } from "pino"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Sqlite } from "../src/sqlite/index.ts"
import { type Realistic, realistic } from "./realistic.ts"

/** Records one event, and calls back when that is done. */
type Record = (event: Realistic, done: (ok: boolean) => void) => void

const [contestant = "", folder = ""] = process.argv.slice(2)

const lineOf = ({ context, draft }: Realistic): string =>
  `${JSON.stringify({ ...context, ...draft, recorded_at: new Date().toISOString() })}\n`

/** A plain file: what comes in one turn of the event loop shares a write and an fdatasync. */
const plain = (): Record => {
  const descriptor = openSync(join(folder, "plain.ndjson"), "w")
  let waiting: Array<{ readonly line: string; readonly done: (ok: boolean) => void }> = []
  let running = false
  const flush = () => {
    const batch = waiting
    waiting = []
    write(descriptor, batch.map(({ line }) => line).join(""), () =>
      fdatasync(descriptor, (error) => {
        for (const { done } of batch) done(error === null)
        running = waiting.length > 0
        if (running) setImmediate(flush)
      }))
  }
  return (event, done) => {
    waiting.push({ line: lineOf(event), done })
    if (!running) {
      running = true
      setImmediate(flush)
    }
  }
}

const redact = ["draft.input.email", "draft.input.password", "draft.metadata.token", "context.actor.email"]

const pinoUnsynced = (): Record => {
  const logger = pino({ redact }, pino.destination({ dest: join(folder, "pino.log"), sync: false }))
  return (event, done) => {
    logger.info(event)
    done(true)
  }
}

const pinoSynced = (): Record => {
  const destination = pino.destination({ dest: join(folder, "pino.log"), sync: true, fsync: false })
  const descriptor = openSync(join(folder, "pino.log"), "a")
  const logger = pino({ redact }, destination)
  return (event, done) => {
    logger.info(event)
    fsyncSync(descriptor)
    done(true)
  }
}

const scope = Scope.makeUnsafe()

const audit = async (): Promise<Record> => {
  const store = AuditLogger.layer().pipe(Layer.provide(Sqlite.layer({ filename: join(folder, "audit.db") })))
  const services = await Effect.runPromise(Layer.buildWithScope(store, scope))
  const logger = Context.get(services, AuditLogger.AuditLogger)
  return ({ context, draft }, done) => {
    Effect.runCallback(Effect.provideService(logger.emit(draft), RequestContext.RequestContext, context), {
      onExit: (exit) => done(Exit.isSuccess(exit))
    })
  }
}

const records: { readonly [name: string]: () => Record | Promise<Record> } = {
  none: () => (_, done) => done(true),
  plain,
  pino: pinoUnsynced,
  "pino-fsync": pinoSynced,
  "effect-audit": audit
}

const record = await (records[contestant] ?? plain)()
let next = 0
const server = createServer((_, response) => {
  record(realistic[next++ % realistic.length]!, (ok) => {
    response.statusCode = ok ? 204 : 503
    response.end()
  })
})
server.keepAliveTimeout = 60_000
const delay = monitorEventLoopDelay({ resolution: 1 })
let cpu = process.cpuUsage()
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on("message", (message) => {
  if (message === "begin") {
    cpu = process.cpuUsage()
    next = 0
    delay.enable()
    return
  }
  delay.disable()
  const { system, user } = process.cpuUsage(cpu)
  process.send?.({
    delayMillis: delay.percentile(99) / 1e6,
    cpuMicros: (user + system) / Math.max(next, 1),
    residentMegabytes: process.memoryUsage.rss() / 1_048_576
  })
  server.closeAllConnections()
  server.close()
  void Effect.runPromise(Scope.close(scope, Exit.void)).then(() => process.exit(0))
})
