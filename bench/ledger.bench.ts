/**
 * The ledger at 1,000,000 events of one log: checkpoints, proofs, verification, tiles and erasure.
 *
 *     npm run bench -- ledger
 */
import { layer as nodeFileSystem } from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Erasure } from "../src/erasure/index.ts"
import { AuditLogger, type DatasetEvent, RequestContext } from "../src/index.ts"
import { Ledger, Signer, SigningKey, Tiles } from "../src/ledger/index.ts"
import { Sqlite } from "../src/sqlite/index.ts"
import { context, draft, loops } from "./emit.bench.ts"

const log = { tenantId: RequestContext.TenantId.make("t_tenant0"), env: RequestContext.Env.make("prod") }

const stack = (filename: string, key: SigningKey.SigningKey) =>
  Layer.mergeAll(Ledger.layerOnDemand.pipe(Layer.provide(Signer.layer({ key }))), Erasure.layer).pipe(
    Layer.provideMerge(AuditLogger.layer()),
    Layer.provide(Sqlite.layer({ filename, signer: { state: `${filename}.state`, newSigner: true } }))
  )

const timesOf = <A, E, R>(rounds: number, call: (n: number) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    for (let n = 0; n < rounds; n++) {
      const started = performance.now()
      yield* call(n)
      times.push(performance.now() - started)
    }
    const sorted = times.toSorted((a, b) => a - b)
    const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? 0).toFixed(2)
    return `median ${at(0.5)} ms, 95 of 100 ${at(0.95)} ms, slowest ${at(1)} ms`
  })

const seconds = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const started = performance.now()
    const result = yield* effect
    return [(performance.now() - started) / 1000, result] as const
  })

export const run = (quick: boolean): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const folder = mkdtempSync(join(tmpdir(), "effect-audit-bench-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
    const total = quick ? 100_000 : 1_000_000
    const key = yield* SigningKey.generate(join(folder, "key"), "bench/signer")
    const ids: Array<DatasetEvent.EventId> = []
    yield* Effect.gen(function*() {
      const logger = yield* AuditLogger.AuditLogger
      const ledger = yield* Ledger.Ledger
      const contexts = yield* Effect.forEach(Array.from({ length: 1000 }, (_, n) => n), (n) => context(n, 1))
      const emit = (n: number) =>
        Effect.map(
          Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, contexts[n % 1000]!),
          ({ eventId }) => void ids.push(eventId)
        )
      yield* loops(1024, total, emit)
      console.log(`${total} events in one log\n`)
      const random = (n: number) => ids[(n * 7_919_993) % total]!
      yield* ledger.checkpoint(log)
      console.log(`checkpoint after an emit: ${yield* Effect.gen(function*() {
        const times: Array<number> = []
        for (let n = 0; n < 300; n++) {
          yield* emit(n)
          const started = performance.now()
          yield* ledger.checkpoint(log)
          times.push(performance.now() - started)
        }
        const sorted = times.toSorted((a, b) => a - b)
        return `median ${sorted[150]?.toFixed(2)} ms, 95 of 100 ${sorted[285]?.toFixed(2)} ms, slowest ${
          sorted[299]?.toFixed(2)
        } ms`
      })}`)
      console.log(`prove: ${yield* timesOf(1000, (n) => ledger.prove({ ...log, eventId: random(n) }))}`)
      console.log(
        `consistency: ${yield* timesOf(300, (n) => ledger.consistency({ ...log, oldSize: (n * 3301) % total }))}`
      )
      const [verifySeconds, faults] = yield* seconds(Stream.runFold(
        Ledger.verify({ log, vkey: key.vkey }),
        () => 0,
        (sum, finding) => finding._tag === "Fault" ? sum + 1 : sum
      ))
      console.log(
        `verify: ${verifySeconds.toFixed(1)} s, ${Math.round(total / verifySeconds)} events/s, ${faults} faults, ` +
          `${Math.round(process.memoryUsage().rss / 1e6)} MB resident`
      )
      const [tilesSeconds, { tiles }] = yield* seconds(
        Effect.flatMap(ledger.tiles(log), (source) => Tiles.write(join(folder, "tiles"), source))
      )
      console.log(`tiles: ${tiles} files in ${tilesSeconds.toFixed(1)} s`)
      const [eraseSeconds, { count, scrubbed }] = yield* seconds(
        Effect.flatMap(context(0, 1), (given) =>
          RequestContext.provide(given)(Erasure.erase({ person: "u7", reason: "bench" })))
      )
      console.log(`erase a person: ${count} events in ${eraseSeconds.toFixed(1)} s, scrubbed: ${scrubbed}`)
    }).pipe(Effect.provide(Layer.mergeAll(stack(join(folder, "audit.db"), key), nodeFileSystem)))
  }).pipe(Effect.scoped)
