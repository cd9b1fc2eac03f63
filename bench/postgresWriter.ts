/** One process that writes to a log in PostgreSQL: `node bench/postgresWriter.ts PORT SCHEMA CALLERS EVENTS`. */
import { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Postgres } from "../src/postgres/index.ts"
import { context, draft, loops, timed } from "./emit.bench.ts"

/** The logger over a server of the bench. */
export const store = (port: number, schema: string) =>
  AuditLogger.layer().pipe(
    Layer.provideMerge(Postgres.layer({ schema })),
    Layer.provideMerge(
      PgClient.layer({
        host: "127.0.0.1",
        port,
        database: "postgres",
        username: "postgres",
        password: Redacted.make("secret")
      })
    )
  )

/** Events per second of `callers`, after a few to warm up. */
export const emitting = (callers: number, total: number, tenants: number, ready: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function*() {
    const logger = yield* AuditLogger.AuditLogger
    const contexts = yield* Effect.forEach(Array.from({ length: 1000 }, (_, n) => n), (n) => context(n, tenants))
    const emit = (n: number) =>
      Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, contexts[n % 1000]!)
    yield* loops(callers, Math.max(2000, tenants), emit)
    yield* ready
    return yield* timed(loops(callers, total, emit), total)
  })

if (process.argv[1] === import.meta.filename) {
  const [port = "", schema = "", callers = "", total = ""] = process.argv.slice(2)
  const go = Effect.promise(() => {
    console.log("ready")
    return new Promise<void>((resolve) => process.stdin.once("data", () => resolve()))
  })
  const started = { at: 0 }
  const ready = Effect.tap(go, Effect.sync(() => started.at = performance.timeOrigin + performance.now()))
  await Effect.runPromise(
    emitting(Number(callers), Number(total), 1, ready).pipe(Effect.provide(store(Number(port), schema)))
  )
  console.log(JSON.stringify([started.at, performance.timeOrigin + performance.now()]))
  process.exit(0)
}
