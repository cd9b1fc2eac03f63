/**
 * The load of the HTTP bench as a process: connections that are kept alive, each with one request at a time, as fast as the
 * answers come, or at a rate. Raw sockets: a client library would cost more than the server.
 */
import { connect, type Socket } from "node:net"

const [port = 0, connections = 0, millis = 0, rate = 0] = process.argv.slice(2).map(Number)
const request = Buffer.from("GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
const latencies: Array<number> = []
let failed = 0
let counting = false

/** Sends one request, and calls back with the answer; the answers are small, and have no body. */
const call = (socket: Socket, done: () => void): void => {
  const began = performance.now()
  socket.once("data", (data) => {
    if (counting) {
      latencies.push(performance.now() - began)
      if (data.toString("latin1", 9, 12) !== "204") failed++
    }
    done()
  })
  socket.write(request)
}

const sockets = await Promise.all(
  Array.from({ length: connections }, () =>
    new Promise<Socket>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket))
      socket.setNoDelay(true)
    }))
)
let running = true
if (rate === 0) {
  for (const socket of sockets) {
    const again = (): void => {
      if (running) call(socket, again)
    }
    again()
  }
} else {
  // At a rate: a request that finds no free connection waits, and its wait is not counted.
  const free = [...sockets]
  const began = performance.now()
  let sent = 0
  const tick = setInterval(() => {
    for (; sent < (performance.now() - began) / 1000 * rate; sent++) {
      const socket = free.pop()
      if (socket === undefined) break
      call(socket, () => free.push(socket))
    }
    if (!running) clearInterval(tick)
  }, 1)
}
// The beginning is not counted: the server's code is not compiled yet.
setTimeout(() => {
  counting = true
  process.send?.("begin")
  setTimeout(() => {
    counting = false
    running = false
    latencies.sort((a, b) => a - b)
    const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0
    process.send?.(
      { perSecond: latencies.length / millis * 1000, p50: at(0.5), p99: at(0.99), failed },
      () => process.exit(0)
    )
  }, millis)
}, 1000)
