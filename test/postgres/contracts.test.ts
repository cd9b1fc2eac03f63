/** The contracts of a medium, as every other runs them. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { PostgresSignerState } from "effect-audit/postgres"
import { Contract } from "effect-audit/test"
import * as EventSinkTest from "../EventSinkTest.ts"
import * as LedgerTest from "../ledger/LedgerTest.ts"
import * as LogStoreTest from "../ledger/LogStoreTest.ts"
import * as SignerStateTest from "../ledger/SignerStateTest.ts"
import * as TamperTest from "../ledger/TamperTest.ts"
import { everythingOver } from "../support.ts"
import { freshSchema, freshStore, serverOfFile } from "./server.ts"

const file = serverOfFile()
const store = freshStore(file)
const logging = Layer.fresh(AuditLogger.layer().pipe(Layer.provideMerge(store)))
const everything = everythingOver(() => store)

for (const [contract, clauses] of Object.entries(Contract)) {
  describe(`${contract} in PostgreSQL`, () => {
    for (const clause of clauses) it.live(clause.name, () => Effect.provide(clause.test, Layer.fresh(store)))
  })
}
EventSinkTest.suite("EventSink in PostgreSQL", logging)
LogStoreTest.suite("PostgreSQL", logging)
SignerStateTest.suite(
  "PostgreSQL",
  Layer.unwrap(Effect.sync(() => PostgresSignerState.layer({ schema: freshSchema(), newSigner: true }))).pipe(
    Layer.provide(Layer.unwrap(Effect.sync(() => file.server.client())))
  )
)
LedgerTest.suite("PostgreSQL", everything)
TamperTest.suite("PostgreSQL", everything)
