/** Records an event, signs the log's head on an interval, and writes a proof that anyone can check. */
import { Console, Effect, Layer } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Ledger, Proof, Signer, SigningKey } from "effect-audit/ledger"
import { Sqlite } from "effect-audit/sqlite"

const Signing = Layer.unwrap(Effect.map(SigningKey.fromFile("audit.key"), (key) => Signer.layer({ key })))
const Store = Sqlite.layer({ filename: "audit.db", signer: { state: "audit.key.state" } })

const Audit = Ledger.layerSigning({ interval: "1 minute" }).pipe(
  Layer.provide(Signing),
  Layer.provideMerge(AuditLogger.layer()),
  Layer.provide(Store)
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
