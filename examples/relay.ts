/** A process of its own that relays the logs of a store to a webhook, until it is stopped. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Logger } from "effect"
import { Relay, SqlRelayState, Webhook } from "effect-audit/relay"
import { Sqlite } from "effect-audit/sqlite"

const Siem = Layer.unwrap(Effect.gen(function*() {
  const target = yield* Webhook.make({
    url: yield* Config.String("SIEM_URL"),
    // `whsec_` and the base64 of 24 to 64 bytes; two of them while one follows the other.
    secret: yield* Config.Redacted("SIEM_SECRET"),
    allowPrivateNetworks: yield* Config.Boolean("SIEM_IS_PRIVATE").pipe(Config.withDefault(false))
  })
  return Relay.layer({ name: "siem", target, format: "ocsf", policy: { drop: ["/input", "/output"] } })
}))

// The cursors lie beside the events. With PostgreSQL: `Postgres.layer()` over `PgClient.layer`.
const Store = SqlRelayState.layer().pipe(
  Layer.provideMerge(Layer.unwrap(Effect.map(
    Config.String("AUDIT_DB").pipe(Config.withDefault("audit.db")),
    (filename) => Sqlite.layer({ filename })
  )))
)

// It ends with the process, at the end of a batch or in its middle: what was not acknowledged comes again.
NodeRuntime.runMain(Layer.launch(Siem.pipe(Layer.provide(Store), Layer.provide(Logger.layer([Logger.consoleLogFmt])))))
