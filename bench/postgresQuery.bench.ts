/**
 * Queries and proofs over 1,000,000 events in PostgreSQL.
 *
 *     npm run bench -- postgres-query [quick]
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Ledger, Signer, SigningKey } from "../src/ledger/index.ts"
import { Postgres, PostgresSignerState } from "../src/postgres/index.ts"
import { AuditTrail } from "../src/trail/index.ts"
import { Server } from "../test/postgres/instance.ts"
import { ask, fill } from "./query.bench.ts"

const log = { tenantId: RequestContext.TenantId.make("t_tenant1"), env: RequestContext.Env.make("prod") }

const proofs = (total: number) =>
  Effect.gen(function*() {
    const began = performance.now()
    yield* Ledger.checkpoint(log)
    console.log(`${(performance.now() - began).toFixed(1).padStart(7)} ms  checkpoint`)
    const times: Array<number> = []
    for (let n = 0; n < 21; n++) {
      const after = Math.floor(total / 4 / 22 * n)
      const [item] = (yield* AuditTrail.query({ ...log, after, limit: 1 })).items
      if (item === undefined) continue
      const started = performance.now()
      yield* Ledger.prove({ ...log, eventId: item.eventId })
      times.push(performance.now() - started)
    }
    const sorted = times.toSorted((a, b) => a - b)
    console.log(`${(sorted[10] ?? 0).toFixed(1).padStart(7)} ms  proof (slowest ${(sorted.at(-1) ?? 0).toFixed(1)} ms)`)
  })

export const run = async (quick: boolean): Promise<void> => {
  const total = quick ? 100_000 : 1_000_000
  const server = await Server.make(["-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB"])
  const folder = mkdtempSync(join(tmpdir(), "effect-audit-bench-"))
  try {
    await Effect.runPromise(
      Effect.gen(function*() {
        const started = performance.now()
        yield* fill(total)
        const sql = yield* SqlClient
        yield* sql.unsafe("ANALYZE audit.event")
        const [size] = yield* sql.unsafe<{ readonly all: number; readonly json: number }>(
          "SELECT sum(pg_total_relation_size(c.oid))::float8 AS all, (SELECT sum(octet_length(body)) FROM audit.event)::float8 " +
            "AS json FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind = 'r'"
        )
        const seconds = (performance.now() - started) / 1000
        console.log(`${total} events in 4 logs, written in ${seconds.toFixed(0)} s`)
        console.log(`${((size?.all ?? 0) / (size?.json ?? 1)).toFixed(2)} bytes in the database per byte of JSON\n`)
        yield* ask(total)
        yield* proofs(total)
      }).pipe(Effect.provide(
        Ledger.layerOnDemand.pipe(
          Layer.provideMerge(Layer.unwrap(Effect.map(
            SigningKey.generate(join(folder, "key"), "bench/signer"),
            (key) => Signer.layer({ key })
          ))),
          Layer.provideMerge(AuditLogger.layer()),
          Layer.provideMerge(Postgres.layerSigning()),
          Layer.provideMerge(PostgresSignerState.layer({ newSigner: true })),
          Layer.provideMerge(server.client())
        )
      ))
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await server.remove()
  }
}
