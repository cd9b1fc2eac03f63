/** Records an event, signs the log's head on an interval, and writes a proof that anyone can check. */
import { Console, Effect, Layer } from "effect"
import { AuditLogger, LoggingEngine, PiiStripper, RequestContext } from "effect-audit"
import { Ledger, Proof, SigningKey } from "effect-audit/ledger"
import { SqliteClient, SqliteLedger, SqlitePreferences, SqliteSigner, SqliteSink } from "effect-audit/sqlite"

const Signer = Layer.unwrap(
  Effect.map(SigningKey.fromFile("audit.key"), (key) => SqliteSigner.layer({ key, state: "audit.key.state" }))
)

const Audit = Layer.mergeAll(AuditLogger.layer, SqliteLedger.layerSigning({ interval: "1 minute" })).pipe(
  Layer.provide(LoggingEngine.layer),
  Layer.provide([PiiStripper.layer, SqlitePreferences.layer, SqliteSink.layer, Signer]),
  Layer.provide(SqliteClient.layer({ filename: "audit.db" }))
)

const program = Effect.gen(function*() {
  const context = yield* RequestContext.forRequest({
    tenantId: "t_acme",
    env: "prod",
    actor: RequestContext.human("u1"),
    requestId: "r1"
  })
  const { eventId } = yield* AuditLogger.emit({ action: "note.create" }).pipe(RequestContext.provide(context))
  const proof = yield* Ledger.prove({ tenantId: context.tenantId, env: context.env, eventId })
  yield* Console.log(Proof.encode(proof))
})

await Effect.runPromise(Effect.provide(program, Audit))
