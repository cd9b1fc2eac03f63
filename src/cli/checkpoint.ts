/** `effect-audit checkpoint`: signs the head of a log. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Ledger from "../ledger/Ledger.ts"
import { storeFlags } from "./opened.ts"
import { envFlag, judged, print, signing, signingFlags, tenantFlag } from "./store.ts"

export const checkpoint = Command.make(
  "checkpoint",
  { ...storeFlags, tenant: tenantFlag, env: envFlag, ...signingFlags },
  Effect.fnUntraced(function*({ config, db, env, tenant, ...key }) {
    const { note } = yield* judged(
      Effect.provide(Ledger.checkpoint({ tenantId: tenant, env }), signing({ config, db }, key))
    )
    yield* print(note)
  })
).pipe(
  Command.withDescription(
    "Sign the head of a log and print the checkpoint, a signed note. A log that does not extend what was signed " +
      "before is " +
      "stopped. Exit 0: signed, 1: the log is not what was signed, 2: could not be done."
  ),
  Command.withExamples([{
    command: "effect-audit checkpoint --db audit.db --tenant t_acme --env prod --key-file audit.key > checkpoint",
    description: "Sign, and keep the checkpoint where the operator of the store cannot change it"
  }])
)
