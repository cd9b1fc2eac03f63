/** `effect-audit partition`: moves old events of a log in PostgreSQL into a table of their own. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Failed } from "./exit.ts"
import { opened, storeFlags } from "./opened.ts"
import { progress } from "./progress.ts"
import { envFlag, failing, tenantFlag, timeFlag } from "./store.ts"

export const partition = Command.make(
  "partition",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    before: timeFlag("before", "Events recorded before this time: 2026-01-31, or RFC 3339"),
    tablespace: Flag.String("tablespace").pipe(
      Flag.optional,
      Flag.withDescription("The tablespace of PostgreSQL that the partition's files go to")
    )
  },
  Effect.fnUntraced(function*({ before, config, db, env, tablespace, tenant }) {
    const { medium } = yield* opened({ config, db })
    if (medium.partition === undefined) {
      return yield* new Failed({ message: "a SQLite file has no partitions: they are PostgreSQL's" })
    }
    const state = { moved: 0, all: 0 }
    const meter = yield* progress(() => `${state.moved} of ${state.all} events moved`)
    const partitions = yield* failing(medium.partition({
      tenantId: tenant,
      env,
      before,
      tablespace: Option.getOrUndefined(tablespace),
      progress: (moved, all) => {
        state.moved = moved
        state.all = all
      }
    }))
    yield* meter.stop
    for (const { from, table, until } of partitions) yield* Console.log(`${table}: positions ${from} to ${until - 1}`)
    if (partitions.length === 0) {
      yield* Console.error("nothing to move: fewer than 256 events, or none before that time")
    }
  })
).pipe(
  Command.withDescription(
    "Move what a log in PostgreSQL recorded before a time into a table of its own, by the owner of the tables, while " +
      "others read and write. Where it was stopped in the middle, the next call finishes it. Exit 0: done, 2: could " +
      "not be done."
  ),
  Command.withExamples([{
    command:
      "effect-audit partition --db postgres://owner@localhost/shop --tenant t_acme --env prod --before 2026-01-01",
    description: "Give last year's events a table of their own"
  }])
)
