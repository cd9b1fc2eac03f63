/** `effect-audit resume`: lets a log go on after a loss. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import * as Ledger from "../ledger/Ledger.ts"
import * as RequestContext from "../RequestContext.ts"
import { Failed } from "./exit.ts"
import { storeFlags } from "./opened.ts"
import { envFlag, judged, readText, resumable, signingFlags, tenantFlag } from "./store.ts"

export const resume = Command.make(
  "resume",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    ...signingFlags,
    old: Flag.String("old").pipe(
      Flag.optional,
      Flag.withDescription(
        "A file with the last checkpoint of the log that was kept; what the state knows unless given"
      )
    ),
    reason: Flag.String("reason").pipe(Flag.withDescription("Why; recorded")),
    actorId: Flag.String("actor-id").pipe(
      Flag.withSchema(RequestContext.Id),
      Flag.withDescription("Who does it: the id of a person")
    )
  },
  Effect.fnUntraced(function*({ actorId, config, db, env, old, reason, tenant, ...key }) {
    const context = yield* RequestContext.forJob({
      tenantId: tenant,
      env,
      actor: RequestContext.human(actorId),
      runId: `cli-${randomUUID()}`
    }).pipe(Effect.mapError((error) => new Failed({ message: error.message })))
    const known = Option.isNone(old) ? undefined : yield* readText(old.value)
    const { missing, oldOrigin, origin, receipt } = yield* judged(
      Ledger.resume({ reason, old: known }).pipe(
        RequestContext.provide(context),
        Effect.provide(resumable({ config, db }, key))
      )
    )
    const loss = missing === 0
      ? "nothing is missing"
      : `at least ${missing} ${missing === 1 ? "entry is" : "entries are"} missing`
    yield* Console.log(`${oldOrigin} goes on as ${origin}: ${loss}; recorded at position ${receipt.position}`)
  })
).pipe(
  Command.withDescription(
    "Let a stopped log go on under a new origin, after a newer copy of the store is lost for good. An event records " +
      "what is missing, and the old origin is never signed again. Exit 0: done, 1: the store's evidence does not " +
      "hold, 2: nothing was lost, or it could not be done."
  ),
  Command.withExamples([{
    command: "effect-audit resume --db audit.db --tenant t_acme --env prod --key-file audit.key --old checkpoint " +
      "--reason 'restored the backup of Monday' --actor-id ops1",
    description: "Go on after a restored backup"
  }])
)
