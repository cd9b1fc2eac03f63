/** `effect-audit run`: what an agent did in one run, as a tree. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { LogName } from "../RequestContext.ts"
import * as AuditTrail from "../trail/AuditTrail.ts"
import type { Filter } from "../trail/Filter.ts"
import * as Run from "../trail/Run.ts"
import { Failed } from "./exit.ts"
import { noLog } from "./noLog.ts"
import { storeFlags } from "./opened.ts"
import { asking, envFlag, print, readable, tenantFlag } from "./store.ts"
import { printable } from "./table.ts"

const flags = {
  ...storeFlags,
  tenant: tenantFlag,
  env: envFlag,
  run: Flag.String("run").pipe(
    Flag.withSchema(Schema.NonEmptyString),
    Flag.withDescription("The run's id: run_id of its events")
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Print the tree as one JSON object")
  )
}

/** The longest text of an event's that is shown whole. */
const widest = 120

const clip = (text: string): string => text.length <= widest ? text : `${text.slice(0, widest - 1)}…`
const number = (value: number): string => String(value).replace(/\B(?=(?:\d{3})+(?!\d))/g, ",")
const counted = (count: number, one: string): string => `${number(count)} ${one}${count === 1 ? "" : "s"}`
const party = ({ id, type }: { readonly type: string; readonly id: string }): string =>
  type === id ? id : `${type} ${id}`
const isText = (word: string | undefined): word is string => word !== undefined && word !== ""
const because = (word: string, reason: string | undefined): string => isText(reason) ? `${word}: ${reason}` : word

const marks = { success: "✓", failure: "✗", denied: "⊘", unfinished: "…" }

const isAboutApproval = ({ action }: Run.Entry): boolean => /^tool\.(?:approval_requested|approve|deny)$/.test(action)

/** What an entry is about. */
const subjectOf = (entry: Run.Entry): string | undefined => {
  const { model, related, resource } = entry
  if (model !== undefined) return [model.operation, model.response_model ?? resource?.id].filter(isText).join(" ")
  if (isAboutApproval(entry)) return related?.find(({ type }) => type === "tool")?.id ?? resource?.id
  return resource?.type === "tool" ? resource.id : resource && `${resource.type} ${resource.id}`
}

/** Who acted, where that is not the run's agent; who agreed. */
const whoOf = (entry: Run.Entry, agent: Run.Agent): string | undefined => {
  const { actor, approval } = entry
  if (approval !== undefined) return `${isAboutApproval(entry) ? "by" : "approved by"} ${party(approval.by)}`
  return actor.type === agent.actor_type && actor.id === agent.agent_id ? undefined : `by ${party(actor)}`
}

const tokensOf = (
  { input_tokens, output_tokens }: Pick<Run.ModelCall, "input_tokens" | "output_tokens">
): string | undefined =>
  input_tokens === undefined && output_tokens === undefined
    ? undefined
    : `${counted(input_tokens ?? 0, "token")} in, ${number(output_tokens ?? 0)} out`

/** How it ended. */
const endOf = ({ authorization, error_tag, outcome }: Run.Entry): string | undefined =>
  outcome === "failure"
    ? error_tag ?? "failure"
    : outcome === "denied"
    ? because("denied", authorization?.reason ?? error_tag)
    : outcome === "unfinished"
    ? outcome
    : undefined

/** An entry on one line. */
const lineOf = (entry: Run.Entry, agent: Run.Agent): string => {
  const { action, authorization, duration_ms, model, outcome } = entry
  const details = [
    endOf(entry),
    model?.finish_reason,
    model && tokensOf(model),
    duration_ms === undefined ? undefined : `${number(Math.round(duration_ms))} ms`,
    whoOf(entry, agent),
    isAboutApproval(entry) && outcome === "success" ? authorization?.reason : undefined
  ]
  const mark = action === "tool.deny" && outcome === "success" ? marks.denied : marks[outcome]
  const words = [mark, action, clip(subjectOf(entry) ?? ""), details.filter(isText).map(clip).join(", ")]
  return printable(words.filter(isText).join(" "))
}

/** What is below a node, line by line. */
const below = (
  nodes: ReadonlyArray<Run.Step | Run.Entry>,
  agent: Run.Agent,
  indent: string
): ReadonlyArray<string> =>
  nodes.flatMap((node, index) => {
    const isLast = index === nodes.length - 1
    const label = node.kind === "step" ? printable(`step ${node.step_id}`) : lineOf(node, agent)
    return [
      `${indent}${isLast ? "└─" : "├─"} ${label}`,
      ...below(node.children, agent, `${indent}${isLast ? "   " : "│  "}`)
    ]
  })

/** The run itself: who, for whom, when, and how much. */
const headOf = ({ agent, run }: Run.Run): ReadonlyArray<string> => {
  const { actor_type, agent_id, delegation, model, user_id, version } = agent
  const who = [party({ type: actor_type, id: agent_id }), version, model && `(${model})`].filter(isText).join(" ")
  const counts = [
    counted(run.tool_calls, "tool call"),
    counted(run.failures, "failure"),
    `${number(run.denied)} denied`,
    `${number(run.unfinished)} unfinished`,
    `${counted(run.model_calls, "model call")} (${tokensOf(run)})`
  ]
  const isForOther = user_id !== undefined && user_id !== agent_id
  return [
    `run ${run.run_id}: ${who}${isForOther ? ` for ${user_id}` : ""}`,
    ...(delegation === undefined ? [] : [`│ delegated: ${delegation.map(party).join(" ← ")}`]),
    `│ ${run.first_recorded_at} to ${run.last_recorded_at}, ${counted(run.events, "event")}`,
    `│ ${counts.join(", ")}`
  ].map(printable)
}

const text = (found: Run.Run): string => [...headOf(found), ...below(found.steps, found.agent, ""), ""].join("\n")

/** Reads a run, page by page: what is kept of an event is what the tree shows. */
const read = Effect.fnUntraced(function*(log: LogName, runId: string) {
  const builder = new Run.Builder(runId)
  const all = (filter: Filter) =>
    AuditTrail.stream({ ...log, filter, order: "asc" }).pipe(
      Stream.runForEach((item) => Effect.sync(() => builder.add(item)))
    )
  yield* all({ runId })
  yield* Effect.forEach(
    builder.approvals,
    (resourceId) => all({ resourceType: Run.approvalType, resourceId }),
    { discard: true }
  )
  return builder.build()
})

export const agentRun = Command.make(
  "run",
  flags,
  Effect.fnUntraced(function*({ config, db, env, json, run, tenant }) {
    const log = { tenantId: tenant, env }
    const { found, why } = yield* read(log, run).pipe(
      Effect.flatMap((found) =>
        Effect.map(found === undefined ? noLog(log) : Effect.undefined, (why) => ({ found, why }))
      ),
      Effect.provide(readable({ config, db })),
      asking
    )
    if (found === undefined) {
      return yield* new Failed({ message: why ?? `there is no event of run ${printable(run)} in ${tenant} ${env}` })
    }
    yield* print(json ? `${JSON.stringify(found)}\n` : text(found))
  })
).pipe(
  Command.withDescription(
    "Print what an agent did in one run as a tree: its steps, tool calls and what they recorded themselves, calls of " +
      "models and their tokens, approvals and who gave them. ✓ success, ✗ failure, ⊘ denied, … an intent without a " +
      "result. Exit 0: done, 2: there is no such run, or it could not be done or was called wrongly."
  ),
  Command.withExamples([
    {
      command: "effect-audit run --db audit.db --tenant t_acme --env prod --run run_4711",
      description: "What an agent did, step by step"
    },
    {
      command: "effect-audit run --db audit.db --tenant t_acme --env prod --run run_4711 --json",
      description: "The same for a program: run, agent and steps"
    }
  ])
)
