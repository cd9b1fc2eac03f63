/** `effect-audit query`: what was recorded, as a table or in any format. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { LogName } from "../RequestContext.ts"
import * as AuditTrail from "../trail/AuditTrail.ts"
import * as Encoding from "../trail/Encoding.ts"
import { Order } from "../trail/Filter.ts"
import { UsageError } from "./exit.ts"
import { filterFlags, filterOf, textFlag } from "./filterFlags.ts"
import { noLog } from "./noLog.ts"
import { storeFlags } from "./opened.ts"
import { asking, envFlag, readable, tenantFlag } from "./store.ts"
import { eventColumns, eventRow, table } from "./table.ts"

const flags = {
  ...storeFlags,
  tenant: tenantFlag,
  env: envFlag,
  ...filterFlags,
  unfinished: Flag.Boolean("unfinished").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Intents without a result, newest first: what a crash looks like")
  ),
  order: Flag.Literals("order", Order.literals).pipe(
    Flag.withDefault("desc" as const),
    Flag.withDescription("By position: desc, newest first, unless given")
  ),
  limit: Flag.Int("limit").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
    Flag.optional,
    Flag.withDescription("Events at most; a table shows 50 unless told otherwise, other formats all")
  ),
  cursor: textFlag("cursor", "Goes on where an earlier query ended"),
  format: Flag.Literals("format", ["table", ...Encoding.Format.literals]).pipe(
    Flag.withDefault("table" as const),
    Flag.withDescription("How to print; a table unless given")
  )
}

/** The events of a query, page by page, at most `limit` of them; the cursor after the last one, if there are more. */
const pages = (query: AuditTrail.Query, limit: number) => {
  const state: { next: string | undefined; readonly more: boolean } = { next: undefined, more: false }
  const items = Stream.unwrap(
    Effect.map(
      AuditTrail.AuditTrail,
      (trail) =>
        Stream.paginate(
          { cursor: query.cursor, left: limit },
          ({ cursor, left }) =>
            Effect.map(trail.query({ ...query, cursor, limit: Math.min(left, 250) }), ({ items, next }) => {
              state.next = next
              const rest = left - items.length
              const more = next === undefined || rest <= 0 ? Option.none() : Option.some({ cursor: next, left: rest })
              return [items, more] as const
            })
        )
    )
  )
  return { items, state }
}

/** Intents without a result, at most `limit` of them. */
const unfinished = (query: AuditTrail.Query, limit: number) => {
  const state = { next: undefined, more: false }
  let count = 0
  const items = AuditTrail.unfinished(query).pipe(
    Stream.takeWhile(() => {
      state.more = count === limit
      return count++ < limit
    })
  )
  return { items, state }
}

type Found = ReturnType<typeof pages> | ReturnType<typeof unfinished>

const run = Effect.fnUntraced(function*(
  { items, state }: Found,
  log: LogName,
  format: "table" | Encoding.Format
) {
  const stdio = yield* Stdio.Stdio
  if (format === "table") {
    const rows = yield* Stream.runCollect(items)
    yield* Console.log(rows.length === 0 ? "no events" : table(eventColumns, rows.map(eventRow)))
    const why = rows.length === 0 ? yield* noLog(log) : undefined
    if (why !== undefined) yield* Console.error(why)
  } else {
    const { head, row } = Encoding.formats[format]
    const lines = items.pipe(Stream.map((item) => row(item)))
    const all = head === "" ? lines : Stream.concat(Stream.make(head), lines)
    yield* all.pipe(
      Stream.chunks,
      Stream.map((chunk) => chunk.join("")),
      Stream.run(stdio.stdout({ endOnDone: false }))
    )
  }
  if (state.next !== undefined) yield* Console.error(`more: --cursor ${state.next}`)
  if (state.more) yield* Console.error("more: --limit shows more of them")
})

export const query = Command.make(
  "query",
  flags,
  Effect.fnUntraced(function*(
    { config, cursor, db, env, format, limit, order, tenant, trainOk, unfinished: isUnfinished, ...filters }
  ) {
    const filter = filterOf({ trainOk, ...filters })
    const query = { tenantId: tenant, env, filter, order, cursor: Option.getOrUndefined(cursor) }
    const most = Option.getOrElse(limit, () => format === "table" ? 50 : Number.MAX_SAFE_INTEGER)
    const refused = (["phase", "operationId", "outcome"] as const).filter((name) => Option.isSome(filters[name]))
    if (isUnfinished && (refused.length > 0 || Option.isSome(cursor) || order === "asc")) {
      return yield* new UsageError({
        message: "--unfinished finds intents, newest first: not with --phase, --operation-id, --outcome, --cursor or " +
          "--order asc"
      })
    }
    const found = isUnfinished ? unfinished(query, most) : pages(query, most)
    yield* Effect.provide(run(found, { tenantId: tenant, env }, format), readable({ config, db })).pipe(
      asking
    )
  })
).pipe(
  Command.withDescription("Print events of one tenant and env. Exit 0: done, 2: could not be done or called wrongly."),
  Command.withExamples([
    {
      command: "effect-audit query --db audit.db --tenant t_acme --env prod --action 'note.*' --outcome denied",
      description: "The newest refused accesses to notes"
    },
    {
      command:
        "effect-audit query --db audit.db --tenant t_acme --env prod --since 2026-01-01 --format csv > events.csv",
      description: "Everything since a day, for a spreadsheet"
    }
  ])
)
