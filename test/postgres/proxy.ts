/** A server in front of PostgreSQL that loses answers when it is told to. */
import { connect, createServer, type Socket } from "node:net"

/** Passes everything on until `loseNext`: then the next answer of the server is read, and the connection cut instead. */
export class Proxy {
  readonly port: number
  private readonly close: () => Promise<void>
  private wanted: ((sent: Buffer) => boolean) | undefined

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.close = close
  }

  static make(target: number): Promise<Proxy> {
    const sockets = new Set<Socket>()
    let proxy: Proxy | undefined
    const server = createServer((client) => {
      const upstream = connect(target, "127.0.0.1")
      for (const socket of [client, upstream]) {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
      }
      let isLost = false
      client.on("data", (chunk) => {
        if (proxy?.wanted?.(chunk) === true) {
          proxy.wanted = undefined
          isLost = true
        }
        upstream.write(chunk)
      })
      upstream.on("data", (chunk) => {
        if (!isLost) return client.write(chunk)
        client.destroy()
        return upstream.end()
      })
      client.on("close", () => upstream.end())
      upstream.on("close", () => client.destroy())
    })
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        proxy = new Proxy(port, () => {
          for (const socket of sockets) socket.destroy()
          return new Promise((done) => server.close(() => done()))
        })
        resolve(proxy)
      })
    })
  }

  /** The answer to the next message that holds a text is read from the server, and lost. */
  loseAnswerTo(text: string): void {
    this.wanted = (sent) => sent.includes(text)
  }

  remove(): Promise<void> {
    return this.close()
  }
}
