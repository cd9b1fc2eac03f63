/** Servers and stores in PostgreSQL for tests. */
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { Postgres, PostgresSignerState } from "effect-audit/postgres"
import { Server } from "./instance.ts"

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

/** The logger over the store in a schema. */
export const storeAt = (file: { readonly server: Server }, schema: string, options: Postgres.Options = {}) =>
  Layer.unwrap(Effect.sync(() =>
    AuditLogger.layer().pipe(
      Layer.provideMerge(Postgres.layer({ schema, ...options })),
      Layer.provideMerge(file.server.client())
    )
  ))

/** A fresh store with a signer's state of its own. */
export const freshStore = (file: { readonly server: Server }, options: Postgres.Options = {}) =>
  Layer.unwrap(Effect.sync(() => {
    const schema = freshSchema()
    return Postgres.layerSigning({ schema, ...options }).pipe(
      Layer.provideMerge(PostgresSignerState.layer({ schema: `${schema}_signer`, newSigner: true })),
      Layer.provideMerge(file.server.client())
    )
  }))
