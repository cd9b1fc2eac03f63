/** Relays over PostgreSQL. */
import { Effect, Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Postgres } from "effect-audit/postgres"
import { SqlRelayState } from "effect-audit/relay"
import { suite } from "../relay/RelayTest.ts"
import { freshSchema, serverOfFile } from "./server.ts"

const file = serverOfFile()

suite(
  "PostgreSQL",
  Layer.unwrap(Effect.sync(() => {
    const schema = freshSchema()
    return Erasure.layer.pipe(
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(SqlRelayState.layer({ schema })),
      Layer.provideMerge(Postgres.layer({ schema })),
      Layer.provideMerge(file.server.client())
    )
  }))
)
