/**
 * Queries by trace, actor and time at 1,000,000 events, and bytes on disk, next to the bytes of the events as JSON.
 *
 *     npm run bench -- query
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { SqliteClient, SqliteTrail } from "../src/sqlite/index.ts"
import { AuditTrail, type Filter } from "../src/trail/index.ts"
import { draft, loops, store } from "./emit.bench.ts"

const hex = (n: number, width: number) => n.toString(16).padStart(width, "0")

/** A request of its own for every four events. */
const contextOf = (n: number) =>
  RequestContext.decode({
    tenantId: `t_tenant${n % 4}`,
    env: "prod",
    projectId: "p1",
    appId: "web",
    surface: "notes",
    actor: { type: "agent", id: `a${n % 20}`, onBehalfOf: `u${n % 5000}` },
    requestId: `r${n}`,
    traceId: hex(n, 32),
    spanId: hex(n, 16)
  })

/** Fills a store of four logs. */
export const fill = (total: number) =>
  Effect.gen(function*() {
    const logger = yield* AuditLogger.AuditLogger
    yield* loops(1024, total, (n) =>
      Effect.flatMap(contextOf(Math.floor(n / 4)), (context) =>
        Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, context)))
  })

const log = { tenantId: RequestContext.TenantId.make("t_tenant1"), env: RequestContext.Env.make("prod") }

/** Asks a store that was filled. */
export const ask = (total: number) =>
  Effect.gen(function*() {
    const middle = yield* Effect.map(
      AuditTrail.query({ ...log, limit: 1, filter: { requestId: `r${Math.floor(total / 8) * 1 | 1}` } }),
      ({ items }) => items[0] !== undefined && !items[0].erased ? Date.parse(items[0].event.recorded_at) : 0
    )
    const filters: ReadonlyArray<readonly [string, Filter.Filter]> = [
      ["newest page", {}],
      ["one trace, oldest", { traceId: hex(5, 32) }],
      ["one trace, newest", { traceId: hex(total / 4 - 3, 32) }],
      ["a trace that does not exist", { traceId: "nothing" }],
      ["one person", { userId: "u4001" }],
      ["one actor", { actorId: "a13" }],
      ["an action family", { action: "note.*" }],
      ["one resource", { resourceId: "n20006" }],
      ["a second in the middle", { since: middle, until: middle + 1000 }],
      ["until the middle, one actor", { until: middle, actorId: "a1" }],
      ["common values that never meet", { actorId: "a13", userId: "u4000" }]
    ]
    for (const [name, filter] of filters) {
      const times: Array<number> = []
      let found = 0
      for (let round = 0; round < 11; round++) {
        const started = performance.now()
        found = (yield* AuditTrail.query({ ...log, filter, limit: 50 })).items.length
        times.push(performance.now() - started)
      }
      const sorted = times.toSorted((a, b) => a - b)
      const slowest = (sorted[10] ?? 0).toFixed(1)
      console.log(`${(sorted[5] ?? 0).toFixed(1).padStart(7)} ms  ${name} (${found} found, slowest ${slowest} ms)`)
    }
  })

export const run = (quick: boolean): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const folder = mkdtempSync(join(tmpdir(), "effect-audit-bench-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
    const filename = join(folder, "audit.db")
    const total = quick ? 100_000 : 1_000_000
    yield* Effect.provide(fill(total), store(filename))

    yield* Effect.gen(function*() {
      const sql = yield* SqlClient
      const [row] = yield* sql`SELECT count(*) AS n, sum(length(body)) AS bytes FROM audit_event`
      const json = Number(row?.["bytes"])
      console.log(`${Number(row?.["n"])} events in 4 logs, ${Math.round(json / total)} bytes each as JSON`)
      console.log(`${(statSync(filename).size / json).toFixed(2)} bytes on disk per byte of JSON\n`)
      yield* ask(total)
    }).pipe(Effect.provide(Layer.provideMerge(SqliteTrail.layer, SqliteClient.layer({ filename }))))
  }).pipe(Effect.scoped)
