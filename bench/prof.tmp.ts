import * as Effect from "effect/Effect"
import { RequestContext, AuditLogger } from "../src/index.ts"
import { draft, context, store } from "./emit.bench.ts"
const callers = Number(process.argv[2]), total = Number(process.argv[3])
let next = 0
const p = Effect.gen(function*(){
  const logger = yield* AuditLogger.AuditLogger
  const contexts = yield* Effect.forEach(Array.from({ length: 1000 }, (_, n) => n), (n) => context(n, 1))
  const loop: Effect.Effect<void, unknown> = Effect.whileLoop({ while: () => next < total, body: () => { const n = next++; return Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, contexts[n % 1000]!) }, step: () => {} })
  const t = performance.now()
  yield* Effect.all(Array.from({length: callers}, () => loop), {concurrency: "unbounded", discard: true})
  console.log(Math.round(total/(performance.now()-t)*1000))
})
await Effect.runPromise(p.pipe(Effect.provide(store("/tmp/prof.db"))))
console.log("commit us", (globalThis as any).C / total * 1000)
