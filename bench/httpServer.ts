/**
 * One contestant of the HTTP bench as a process: one event for each request, and then the answer. Says its port, and when
 * it is told to stop, what it took.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { close, contestants } from "./contestants.ts"
import { realistic } from "./realistic.ts"

const [contestant = "", folder = ""] = process.argv.slice(2)
const record = await (contestants[contestant] ?? contestants["none"]!)(folder)
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
  void close().then(() => process.exit(0))
})
