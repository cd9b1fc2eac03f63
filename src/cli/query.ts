/** `effect-audit query`: what was recorded, as a table, NDJSON or CSV. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Outcome, Phase, Severity, StorageClass, type Wire } from "../DatasetEvent.ts"
import * as AuditTrail from "../trail/AuditTrail.ts"
import { Filter, Order } from "../trail/Filter.ts"
import { UsageError } from "./exit.ts"
import { storeFlags } from "./opened.ts"
import { envFlag, readable, tenantFlag, timeFlag, toFailed } from "./store.ts"
import { csvCell, table } from "./table.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withSchema(Schema.NonEmptyString), Flag.optional, Flag.withDescription(description))
const flags = {
  ...storeFlags,
  tenant: tenantFlag,
  env: envFlag,
  action: Flag.String("action").pipe(
    Flag.withSchema(Filter.fields.action.schema),
    Flag.optional,
    Flag.withDescription("An action such as note.create, or note.* for all below note")
  ),
  actorId: text("actor-id", "The acting human's, agent's or tool's id"),
  userId: text("user-id", "The person behind it"),
  subjectId: text("subject-id", "A person whom the event is about"),
  resourceType: text("resource-type", "The kind of thing"),
  resourceId: text("resource-id", "The thing"),
  outcome: Flag.Literals("outcome", Outcome.literals).pipe(Flag.optional, Flag.withDescription("How it ended")),
  traceId: text("trace-id", "Trace id"),
  requestId: text("request-id", "Request id"),
  correlationId: text("correlation-id", "Correlation id"),
  runId: text("run-id", "Run id"),
  stepId: text("step-id", "Step id"),
  operationId: text("operation-id", "The operation that is told in two events"),
  phase: Flag.Literals("phase", Phase.literals).pipe(
    Flag.optional,
    Flag.withDescription("Which half of an operation: before it was done, or after")
  ),
  unfinished: Flag.Boolean("unfinished").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Intents without a result, newest first: what a crash looks like")
  ),
  projectId: text("project-id", "Project id"),
  surface: text("surface", "Where in the product"),
  severity: Flag.Literals("severity", Severity.literals).pipe(
    Flag.optional,
    Flag.withDescription("How much it matters")
  ),
  storageClass: Flag.Literals("storage-class", StorageClass.literals).pipe(
    Flag.optional,
    Flag.withDescription("What the event is kept for")
  ),
  trainOk: Flag.Literals("train-ok", ["true", "false"]).pipe(
    Flag.optional,
    Flag.withDescription("Whether the event may train a model")
  ),
  since: timeFlag("since", "Recorded at this time or later: 2026-01-31, or RFC 3339").pipe(Flag.optional),
  until: timeFlag("until", "Recorded before this time").pipe(Flag.optional),
  order: Flag.Literals("order", Order.literals).pipe(
    Flag.withDefault("desc" as const),
    Flag.withDescription("desc is newest first, by position")
  ),
  limit: Flag.Int("limit").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
    Flag.optional,
    Flag.withDescription("Events at most; a table shows 50 unless told otherwise, ndjson and csv all")
  ),
  cursor: text("cursor", "Goes on where an earlier query ended"),
  format: Flag.Literals("format", ["table", "ndjson", "csv"]).pipe(
    Flag.withDefault("table" as const),
    Flag.withDescription("How to print")
  )
}

const tableHead = ["position", "recorded at", "actor", "user", "action", "resource", "outcome", "train", "found"]
const tableRow = (item: AuditTrail.Item): ReadonlyArray<string> => {
  if (item.erased) return [String(item.position), "", "", "", "(erased)", "", "", "", ""]
  const { event } = item
  return [
    String(item.position),
    event.recorded_at,
    `${event.actor_type} ${event.agentId}`,
    event.user_id ?? "",
    event.action,
    event.resource === undefined ? "" : `${event.resource.type} ${event.resource.id}`,
    event.phase === "intent"
      ? "(intent)"
      : event.error_tag === undefined
      ? event.outcome
      : `${event.outcome} ${event.error_tag}`,
    event.train_ok ? "yes" : `no: ${event.train_reason}`,
    event.pii_flags.flags.join(" ")
  ]
}

const json = (value: unknown): string | undefined => value === undefined ? undefined : JSON.stringify(value)
const csvColumns: ReadonlyArray<readonly [string, (event: Wire) => string | number | boolean | undefined]> = [
  ["recorded_at", (event) => event.recorded_at],
  ["occurred_at", (event) => event.occurred_at],
  ["tenantId", (event) => event.tenantId],
  ["env", (event) => event.env],
  ["mode", (event) => event.mode],
  ["actor_type", (event) => event.actor_type],
  ["agentId", (event) => event.agentId],
  ["user_id", (event) => event.user_id],
  ["subject_ids", (event) => event.subject_ids?.join(" ")],
  ["action", (event) => event.action],
  ["resource_type", (event) => event.resource?.type],
  ["resource_id", (event) => event.resource?.id],
  ["outcome", (event) => event.outcome],
  ["error_tag", (event) => event.error_tag],
  ["duration_ms", (event) => event.duration_ms],
  ["severity", (event) => event.severity],
  ["storage_class", (event) => event.storage_class],
  ["train_ok", (event) => event.train_ok],
  ["train_reason", (event) => event.train_reason],
  ["pii_flags", (event) => event.pii_flags.flags.join(" ")],
  ["request_id", (event) => event.request_id],
  ["correlation_id", (event) => event.correlation_id],
  ["trace_id", (event) => event.trace_id],
  ["span_id", (event) => event.span_id],
  ["run_id", (event) => event.run_id],
  ["step_id", (event) => event.step_id],
  ["project_id", (event) => event.project_id],
  ["app_id", (event) => event.app_id],
  ["surface", (event) => event.surface],
  ["surface_id", (event) => event.surface_id],
  ["input", (event) => json(event.input)],
  ["output", (event) => json(event.output)],
  ["metadata", (event) => json(event.metadata)],
  ["operation_id", (event) => event.operation_id],
  ["phase", (event) => event.phase],
  ["agent_version", (event) => event.agent?.version],
  ["agent_model", (event) => event.agent?.model],
  ["agent_instance_id", (event) => event.agent?.instance_id],
  ["delegation", (event) => event.delegation?.map(({ id, type }) => `${type} ${id}`).join(", ")],
  ["client_address", (event) => event.client?.address],
  ["client_user_agent", (event) => event.client?.user_agent],
  ["authorization_decision", (event) => event.authorization?.decision],
  ["authorization_policy_id", (event) => event.authorization?.policy_id],
  ["authorization_reason", (event) => event.authorization?.reason],
  ["authorization_risk", (event) => event.authorization?.risk],
  ["approval_by", (event) => event.approval && `${event.approval.by.type} ${event.approval.by.id}`],
  ["approval_at", (event) => event.approval?.at],
  ["approval_arguments_sha256", (event) => event.approval?.arguments_sha256],
  ["related", (event) => event.related?.map(({ id, type }) => `${type} ${id}`).join(", ")],
  ["change_before", (event) => json(event.change?.before)],
  ["change_after", (event) => json(event.change?.after)]
]
const csvHead = `${["position", "event_id", "erased", ...csvColumns.map(([name]) => name)].join(",")}\r\n`
const csvRow = (item: AuditTrail.Item): string =>
  `${
    [
      item.position,
      item.eventId,
      item.erased,
      ...csvColumns.map(([, value]) => item.erased ? undefined : value(item.event))
    ].map(csvCell).join(",")
  }\r\n`
const ndjsonRow = (item: AuditTrail.Item): string =>
  `${
    JSON.stringify(
      item.erased
        ? { position: item.position, event_id: item.eventId, erased: true }
        : { position: item.position, ...item.event }
    )
  }\n`

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

const run = Effect.fnUntraced(function*({ items, state }: Found, format: "table" | "ndjson" | "csv") {
  const stdio = yield* Stdio.Stdio
  if (format === "table") {
    const rows = yield* Stream.runCollect(items)
    yield* Console.log(rows.length === 0 ? "no events" : table(tableHead, rows.map(tableRow)))
  } else {
    const lines = items.pipe(Stream.map(format === "csv" ? csvRow : ndjsonRow))
    const all = format === "csv" ? Stream.concat(Stream.make(csvHead), lines) : lines
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
    const given = Option.getOrUndefined
    const filter: Filter = {
      action: given(filters.action),
      actorId: given(filters.actorId),
      userId: given(filters.userId),
      subjectId: given(filters.subjectId),
      resourceType: given(filters.resourceType),
      resourceId: given(filters.resourceId),
      outcome: given(filters.outcome),
      traceId: given(filters.traceId),
      requestId: given(filters.requestId),
      correlationId: given(filters.correlationId),
      runId: given(filters.runId),
      stepId: given(filters.stepId),
      operationId: given(filters.operationId),
      phase: given(filters.phase),
      projectId: given(filters.projectId),
      surface: given(filters.surface),
      severity: given(filters.severity),
      storageClass: given(filters.storageClass),
      trainOk: Option.getOrUndefined(Option.map(trainOk, (value) => value === "true")),
      since: given(filters.since),
      until: given(filters.until)
    }
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
    yield* Effect.provide(run(found, format), readable({ config, db })).pipe(
      Effect.catchTag(
        "AuditError",
        (error): Effect.Effect<never, UsageError | ReturnType<typeof toFailed>> =>
          error.reason._tag === "InvalidCursor" || error.reason._tag === "InvalidInput"
            ? Effect.fail(new UsageError({ message: error.message }))
            : Effect.fail(toFailed(error))
      )
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
