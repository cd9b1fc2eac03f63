/** `effect-audit prefs`: sets and lists training preferences. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import * as LoggingEngine from "../LoggingEngine.ts"
import * as RequestContext from "../RequestContext.ts"
import { TrainingPreferences } from "../TrainingPreferences.ts"
import { Failed, UsageError } from "./exit.ts"
import { noLog } from "./noLog.ts"
import { storeFlags } from "./opened.ts"
import { envFlag, failing, readable, tenantFlag, writable } from "./store.ts"
import { table } from "./table.ts"

const userFlag = Flag.String("user-id").pipe(
  Flag.withSchema(RequestContext.Id),
  Flag.optional,
  Flag.withDescription("A person; without it the tenant itself")
)
const who = (userId: string | undefined) => userId === undefined ? "tenant" : `user ${userId}`

const set = Command.make(
  "set",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    user: userFlag,
    actorId: Flag.String("actor-id").pipe(
      Flag.withSchema(RequestContext.Id),
      Flag.optional,
      Flag.withDescription("Who sets it: the id of a person; the system unless given")
    ),
    optOut: Flag.Boolean("opt-out").pipe(Flag.withDefault(false), Flag.withDescription("Events may not train models")),
    optIn: Flag.Boolean("opt-in").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Events may train models, as far as nothing else forbids it")
    )
  },
  Effect.fnUntraced(function*({ actorId, config, db, env, optIn, optOut, tenant, user }) {
    if (optIn === optOut) return yield* new UsageError({ message: "give either --opt-out or --opt-in" })
    const userId = Option.getOrUndefined(user)
    const context = yield* RequestContext.forJob({
      tenantId: tenant,
      env,
      actor: Option.isNone(actorId) ? RequestContext.system : RequestContext.human(actorId.value),
      runId: `cli-${randomUUID()}`
    }).pipe(
      Effect.mapError((error) => new Failed({ message: error.message }))
    )
    const receipt = yield* failing(
      Effect.provide(
        RequestContext.provide(context)(LoggingEngine.setPreference({ trainingAllowed: optIn, userId })),
        writable({ config, db })
      )
    )
    yield* Console.log(
      `${tenant} ${env} ${who(userId)}: opted ${optIn ? "in" : "out"}, recorded at position ${receipt.position}`
    )
  })
).pipe(
  Command.withDescription("Set the training preference of a tenant or a person; the change is recorded as an event"),
  Command.withExamples([{
    command: "effect-audit prefs set --db audit.db --tenant t_acme --env prod --user-id u1 --opt-out",
    description: "A person opts out of training"
  }])
)

const list = Command.make(
  "list",
  { ...storeFlags, tenant: tenantFlag, env: envFlag, user: userFlag },
  Effect.fnUntraced(function*({ config, db, env, tenant, user }) {
    const preferences = yield* failing(
      Effect.provide(
        Effect.flatMap(
          TrainingPreferences,
          (service) =>
            Effect.tap(service.list({ tenantId: tenant, env }), (found) =>
              found.length > 0 ?
                Effect.void :
                Effect.flatMap(
                  noLog({ tenantId: tenant, env }),
                  (why) => why === undefined ? Effect.void : Effect.fail(new Failed({ message: why }))
                ))
        ),
        readable({ config, db })
      )
    )
    const userId = Option.getOrUndefined(user)
    const rows = preferences.filter((preference) => userId === undefined || preference.userId === userId)
      .map((preference) => [who(preference.userId), preference.trainingAllowed ? "opt-in" : "opt-out"])
    yield* Console.log(
      rows.length === 0
        ? `${tenant} ${env}: no preferences set, nobody has opted out`
        : table(["who", "training"], rows)
    )
  })
).pipe(
  Command.withDescription("List the training preferences of a tenant"),
  Command.withExamples([{
    command: "effect-audit prefs list --db audit.db --tenant t_acme --env prod",
    description: "Who has opted out"
  }])
)

export const prefs = Command.make("prefs").pipe(
  Command.withDescription("Set and list training preferences"),
  Command.withSubcommands([set, list]),
  Command.withExamples([{
    command: "effect-audit prefs set --db audit.db --tenant t_acme --env prod --opt-out",
    description: "A tenant opts out of training"
  }])
)
