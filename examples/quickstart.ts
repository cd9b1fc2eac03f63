import { Console, Effect, Layer } from "effect"
import { AuditLogger, LoggingEngine, PiiStripper, RequestContext } from "effect-audit"
import { SqliteClient, SqlitePreferences, SqliteSink, SqliteTrail } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"

const Audit = Layer.mergeAll(AuditLogger.layer, SqliteTrail.layer).pipe(
  Layer.provide(LoggingEngine.layer),
  Layer.provide([PiiStripper.layer, SqlitePreferences.layer, SqliteSink.layer]),
  Layer.provide(SqliteClient.layer({ filename: "audit.db" }))
)

const program = Effect.gen(function*() {
  const context = yield* RequestContext.forRequest({
    tenantId: "t_acme",
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
