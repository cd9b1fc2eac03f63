/** `effect-audit tail`: events as they are committed. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as AuditTrail from "../trail/AuditTrail.ts"
import * as Encoding from "../trail/Encoding.ts"
import { filterFlags, filterOf } from "./filterFlags.ts"
import { noLog } from "./noLog.ts"
import { storeFlags } from "./opened.ts"
import { asking, envFlag, readable, tenantFlag } from "./store.ts"
import { eventRow, printable } from "./table.ts"

const flags = {
  ...storeFlags,
  tenant: tenantFlag,
  env: envFlag,
  ...filterFlags,
  after: Flag.Int("after").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(-1))),
    Flag.optional,
    Flag.withDescription(
      "The position of the last event that is known; -1 begins with the log. From now on unless given"
    )
  ),
  format: Flag.Literals("format", ["text", ...Encoding.Format.literals]).pipe(
    Flag.withDefault("text" as const),
    Flag.withDescription("How to print; text unless given")
  )
}

/** One event on one line, for people. */
const textRow = (item: AuditTrail.Item): string =>
  `${eventRow(item).filter((cell) => cell !== "").map(printable).join("  ")}\n`

export const tail = Command.make(
  "tail",
  flags,
  Effect.fnUntraced(function*({ after, config, db, env, format, tenant, ...filters }) {
    const stdio = yield* Stdio.Stdio
    const { head, row } = format === "text" ? { head: "", row: textRow } : Encoding.formats[format]
    const query = { tenantId: tenant, env, filter: filterOf(filters), after: Option.getOrUndefined(after) }
    const lines = AuditTrail.follow(query).pipe(
      Stream.chunks,
      Stream.map((items) => items.map((item) => row(item)).join(""))
    )
    const printing = (head === "" ? lines : Stream.concat(Stream.make(head), lines)).pipe(
      Stream.run(stdio.stdout({ endOnDone: false }))
    )
    yield* noLog(query).pipe(
      // It may be to come.
      Effect.flatMap((why) => why === undefined ? Effect.void : Console.error(`${why}; waiting for its first event`)),
      Effect.andThen(printing),
      Effect.provide(readable({ config, db })),
      asking
    )
  })
).pipe(
  Command.withDescription(
    "Print events of one tenant and env as they are committed, by any process, until interrupted. Exit 2: could " +
      "not be done or called wrongly."
  ),
  Command.withExamples([
    {
      command: "effect-audit tail --db audit.db --tenant t_acme --env prod --outcome denied",
      description: "Refused accesses as they happen"
    },
    {
      command: "effect-audit tail --db audit.db --tenant t_acme --env prod --after 4711 --format ndjson",
      description: "Everything after a position that is known, for another program"
    }
  ])
)
