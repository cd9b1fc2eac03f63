import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RequestContext, AuditLogger, LoggingEngine, PiiStripper, TrainingPreferences, EventSink, DatasetEvent } from "../src/index.ts"
import { draft, context } from "./emit.bench.ts"
const total = 200000
const ev = { eventId: DatasetEvent.EventId.make("01a209b2-bb64-721d-a879-ebe903fabb0d"), position: 1, duplicate: false, durability: "memory" as const }
const sink = EventSink.EventSink.of({ append: () => Effect.succeed(ev) })
EventSink.keepsDeadline.add(sink)
const L = AuditLogger.layer.pipe(Layer.provide(LoggingEngine.layer), Layer.provide([PiiStripper.layer, TrainingPreferences.layerMemory, Layer.succeed(EventSink.EventSink, sink)]))
const p = Effect.gen(function*(){
  const logger = yield* AuditLogger.AuditLogger
  const contexts = yield* Effect.forEach(Array.from({ length: 1000 }, (_, n) => n), (n) => context(n, 1))
  for (let k = 0; k < 2; k++) {
  let next = 0
  const t = performance.now()
  yield* Effect.whileLoop({ while: () => next < total, body: () => { const n = next++; return Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, contexts[n % 1000]!) }, step: () => {} })
  console.log(((performance.now()-t)/total*1000).toFixed(2), "us per event")
  }
})
await Effect.runPromise(p.pipe(Effect.provide(L)))
