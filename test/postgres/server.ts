/** Servers and stores in PostgreSQL for tests. */
import { afterAll, beforeAll } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, Schedule, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, Signer, SigningKey } from "effect-audit/ledger"
import { Postgres, PostgresSignerState } from "effect-audit/postgres"
import { SqlClient } from "effect/sql/SqlClient"
import { join } from "node:path"
import { temporaryFolder } from "../support.ts"
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

/** Everything that an application has, over a schema, as a role. */
export const everythingAt = (file: { readonly server: Server }, schema: string, username = "postgres") =>
  Layer.unwrap(Effect.map(temporaryFolder, (folder) =>
    Layer.mergeAll(Ledger.layerOnDemand, Erasure.layer).pipe(
      Layer.provideMerge(Layer.unwrap(Effect.map(
        SigningKey.generate(join(folder, "key"), "test/signer"),
        (key) => Signer.layer({ key })
      ))),
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(Postgres.layerSigning({ schema })),
      Layer.provideMerge(PostgresSignerState.layer({ schema: `${schema}_signer`, newSigner: true })),
      Layer.provideMerge(file.server.client({ username, password: Redacted.make("secret") }))
    )))

/** What verification finds wrong. */
export const faults = Effect.map(
  Stream.runCollect(Ledger.verify()),
  (all) => all.flatMap((finding) => finding._tag === "Fault" ? [finding] : [])
)

/** Runs an effect while someone holds the heads of all logs of a schema; `end` lets go of them earlier. */
export const whileLocked = <A, E, R>(
  schema: string,
  run: (end: Effect.Effect<void, unknown>) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    const [isLocked, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const holder = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
      yield* sql.unsafe(`SELECT log FROM ${schema}.head FOR UPDATE`)
      yield* Deferred.succeed(isLocked, undefined)
      yield* Deferred.await(mayEnd)
    })))
    yield* Deferred.await(isLocked)
    const end = Effect.andThen(Deferred.succeed(mayEnd, undefined), Fiber.join(holder))
    const result = yield* run(end)
    yield* end
    return result
  })

/** Waits until another process's state is as it is to be, which it gives no signal of; `false` if it never was. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, ok: (a: A) => boolean, millis = 5000) =>
  Effect.map(
    Effect.repeat(effect, { until: ok, schedule: Schedule.spaced(10), times: millis / 10 }),
    ok
  )

/** Whether a connection waits for a lock in a schema. */
const lockWaits = (schema: string) =>
  `FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%' AND pid <> pg_backend_pid()`
export const isWaiting = (schema: string) =>
  Effect.flatMap(SqlClient, (sql) => until(sql.unsafe(`SELECT pid ${lockWaits(schema)}`), (rows) => rows.length > 0))

/** Ends the connection that waits for a lock in a schema, once there is one; whether there was. */
export const terminateWaiting = (schema: string) =>
  Effect.flatMap(
    SqlClient,
    (sql) => until(sql.unsafe(`SELECT pg_terminate_backend(pid) ${lockWaits(schema)}`), (rows) => rows.length > 0)
  )

/** How many events wait in the outbox of a schema. */
export const waiting = (schema: string) =>
  Effect.flatMap(SqlClient, (sql) =>
    Effect.map(
      sql.unsafe<{ count: number }>(`SELECT count(*)::int4 AS count FROM ${schema}.outbox`),
      ([row]) => row?.count
    ))
