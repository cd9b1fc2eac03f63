/**
 * Whether the process gets its turn while events are recorded without end: a timer of 10 ms, for two seconds, beside callers
 * that await each event before the next.
 *
 *     npm run bench -- fair
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Sqlite } from "../src/sqlite/index.ts"
import { realistic } from "./realistic.ts"

const millis = 2000

type Emit = (n: number) => Effect.Effect<unknown, unknown>
const loops: ReadonlyArray<readonly [name: string, loop: (emit: Emit, until: number) => Effect.Effect<void, unknown>]> =
  [
    [
      "fibers",
      (emit, until) => Effect.whileLoop({ while: () => performance.now() < until, body: () => emit(0), step: () => {} })
    ],
    ["promises", (emit, until) =>
      Effect.promise(async () => {
        while (performance.now() < until) await Effect.runPromise(emit(0))
      })]
  ]

const measure = (loop: (emit: Emit, until: number) => Effect.Effect<void, unknown>, callers: number) =>
  Effect.gen(function*() {
    const logger = yield* AuditLogger.AuditLogger
    let events = 0
    const emit: Emit = () => {
      const { context, draft } = realistic[events++ % realistic.length]!
      return Effect.provideService(logger.emit(draft), RequestContext.RequestContext, context)
    }
    yield* loop(emit, performance.now() + 500)
    events = 0
    let fired = 0
    const timer = setInterval(() => fired++, 10)
    const until = performance.now() + millis
    yield* Effect.all(Array.from({ length: callers }, () => loop(emit, until)), {
      concurrency: "unbounded",
      discard: true
    })
    clearInterval(timer)
    return { fired, perSecond: Math.round(events / millis * 1000) }
  })

export const run = Effect.gen(function*() {
  const folder = mkdtempSync(join(tmpdir(), "effect-audit-fair-"))
  let files = 0
  console.log("\n| callers | a 10 ms timer fired in 2 s | events/s |\n| --- | --- | --- |")
  for (const [name, loop] of loops) {
    for (const callers of [1, 64, 1024]) {
      const store = Sqlite.layer({ filename: join(folder, `${files++}.db`) })
      const { fired, perSecond } = yield* Effect.provide(
        measure(loop, callers),
        Layer.fresh(AuditLogger.layer().pipe(Layer.provide(store)))
      )
      console.log(`| ${callers}, ${name} | ${fired} of ${millis / 10} | ${perSecond} |`)
    }
  }
  rmSync(folder, { recursive: true })
})
