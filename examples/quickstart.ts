import { Console, Effect, Layer } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"

const Audit = AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename: "audit.db" })))

const program = Effect.gen(function*() {
  const context = yield* RequestContext.forRequest({
    tenantId: "acme",
    env: "prod",
    actor: RequestContext.human("u1"),
    requestId: "r1"
  })
  yield* AuditLogger.emit({ action: "note.create", input: { to: "kim@example.com" } }).pipe(
    RequestContext.provide(context)
  )
  const { items } = yield* AuditTrail.query({ ...context, limit: 1 })
  for (const item of items) if (!item.erased) yield* Console.log(JSON.stringify(item.event, null, 2))
})

await Effect.runPromise(Effect.provide(program, Audit))
