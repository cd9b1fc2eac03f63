/**
 * One run of an agent as a tree: its steps, what was done in them, and what a tool recorded itself under its call.
 *
 * Pure: events of a log in, a tree out. Order is the position. The two events of an operation are one entry; one
 * without a result is `unfinished`. What happened between the intent and the result of a tool call, in the step that
 * has the call's id, stands under the call. Responses to a request for approval stand under the request, whoever gave
 * them in whatever context. Field names are those of the wire: a tree is its own JSON.
 *
 *     const run = Run.make(runId, items)
 *
 * **Gotchas**
 *
 * Inputs and outputs are not in the tree, so that it stays small. An event is told once, however often it is added.
 *
 * @since 0.1.0
 */
import type { EventId, Outcome, Phase, Wire } from "../DatasetEvent.ts"
import { textIn } from "../internal/body.ts"
import type { Party } from "../RequestContext.ts"
import type { Item } from "./page.ts"

/** Where an event of a tree is in the log. */
export interface Place {
  readonly position: number
  readonly event_id: EventId
  readonly recorded_at: string
  readonly phase: Phase | undefined
}

/** What a call of a model was, and what it cost, as far as it is known. */
export interface ModelCall {
  readonly operation: string | undefined
  readonly provider: string | undefined
  readonly response_id: string | undefined
  readonly response_model: string | undefined
  readonly finish_reason: string | undefined
  readonly input_tokens: number | undefined
  readonly output_tokens: number | undefined
}

/** An operation that is told in two events, or an event of its own. */
export interface Entry {
  readonly kind: "operation" | "event"
  /** Of its first event. */
  readonly position: number
  /** Its events, by position. */
  readonly events: ReadonlyArray<Place>
  readonly operation_id: string | undefined
  readonly action: string
  /** `unfinished`: there is an intent, and no result. */
  readonly outcome: Outcome | "unfinished"
  readonly error_tag: string | undefined
  readonly duration_ms: number | undefined
  readonly actor: { readonly type: Party["type"]; readonly id: string }
  readonly resource: Wire["resource"]
  readonly related: Wire["related"]
  readonly tool_call_id: string | undefined
  readonly authorization: Wire["authorization"]
  readonly approval: Wire["approval"]
  /** Of a `model.call`. */
  readonly model: ModelCall | undefined
  readonly children: ReadonlyArray<Entry>
}

/** A step of a run. */
export interface Step {
  readonly kind: "step"
  readonly step_id: string
  /** Of its first event. */
  readonly position: number
  readonly children: ReadonlyArray<Entry>
}

/** A run in numbers. */
export interface Summary {
  readonly run_id: string
  readonly first_recorded_at: string
  readonly last_recorded_at: string
  readonly events: number
  /** Calls that were refused are calls too. */
  readonly tool_calls: number
  readonly failures: number
  readonly denied: number
  readonly unfinished: number
  readonly model_calls: number
  readonly input_tokens: number
  readonly output_tokens: number
}

/** Who ran: the agent of the run's first event by one, or whoever acted first. */
export interface Agent {
  readonly actor_type: Party["type"]
  readonly agent_id: string
  readonly version: string | undefined
  readonly model: string | undefined
  readonly instance_id: string | undefined
  readonly user_id: string | undefined
  /** From the one who acts outwards. */
  readonly delegation: Wire["delegation"]
}

/** A run of an agent. */
export interface Run {
  readonly run: Summary
  readonly agent: Agent
  /** What stands directly below the run: its steps, and what has none, in the order of their first events. */
  readonly steps: ReadonlyArray<Step | Entry>
}

/** The type of resource that requests for approval, and the responses to them, are about. */
export const approvalType = "tool_approval"

/** What is kept of an event. */
interface Fact extends Omit<Entry, "kind" | "outcome" | "events" | "children"> {
  readonly place: Place
  readonly outcome: Outcome
  readonly stepId: string | undefined
  /** Whether it is an event of the run, or a response to one of its requests that was recorded outside of it. */
  readonly isOwn: boolean
}

/** An entry whose children are still to come. */
type Growing = Entry & { readonly children: Array<Entry> }

/** Takes the events of a run one by one, in any order, and keeps no more of them than the tree needs. */
export class Builder {
  readonly runId: string
  private readonly facts = new Map<number, Fact>()
  private agent: { readonly position: number; readonly agent: Agent } | undefined = undefined

  constructor(runId: string) {
    this.runId = runId
  }

  /** Adds an event; what is erased, of another run, or there already changes nothing. */
  add(item: Item): void {
    if (item.erased || this.facts.has(item.position)) return
    const { event, position } = item
    const isOwn = event.run_id === this.runId
    if (!isOwn && !isResponse(event)) return
    this.facts.set(position, factOf(position, event, isOwn))
    if (isOwn && this.isOfAgent(position, event)) this.agent = { position, agent: agentOf(event) }
  }

  /**
   * The ids of the approvals that the run asked for. Responses are recorded where they are given, in the context of
   * whoever gives them: they are found by `approvalType` and this id, and added too.
   */
  get approvals(): ReadonlyArray<string> {
    const ids = [...this.facts.values()].flatMap((fact) => isRequest(fact) ? [fact.resource?.id ?? ""] : [])
    return [...new Set(ids)]
  }

  /** The tree; `undefined` if nothing of the run was added. */
  build(): Run | undefined {
    const facts = [...this.facts.values()].sort((a, b) => a.position - b.position)
    const own = facts.filter(({ isOwn }) => isOwn)
    if (this.agent === undefined) return undefined
    const { entries, steps } = grown(facts)
    return { run: summaryOf(this.runId, own, entries), agent: this.agent.agent, steps }
  }

  /** Whether an event says who ran, more than those before: that of an agent does, then the first. */
  private isOfAgent(position: number, { actor_type }: Wire): boolean {
    if (this.agent === undefined) return true
    const isKnown = this.agent.agent.actor_type === "agent"
    return isKnown === (actor_type === "agent") ? position < this.agent.position : !isKnown
  }
}

/** The run with this id among the events of one log, and the responses to its requests for approval. */
export const make = (runId: string, items: Iterable<Item>): Run | undefined => {
  const builder = new Builder(runId)
  for (const item of items) builder.add(item)
  return builder.build()
}

type Told = Pick<Wire, "action"> & { readonly resource?: Wire["resource"] }
const isRequest = ({ action, resource }: Told): boolean =>
  action === "tool.approval_requested" && resource?.type === approvalType
const isResponse = ({ action, resource }: Told): boolean =>
  (action === "tool.approve" || action === "tool.deny") && resource?.type === approvalType

const agentOf = ({ actor_type, agent, agentId, delegation, user_id }: Wire): Agent => ({
  actor_type,
  agent_id: agentId,
  version: agent?.version,
  model: agent?.model,
  instance_id: agent?.instance_id,
  user_id,
  delegation
})

const numberOf = (value: unknown): number | undefined => typeof value === "number" ? value : undefined

const modelCallOf = ({ metadata }: Wire): ModelCall => ({
  operation: textIn(metadata["operation"]),
  provider: textIn(metadata["provider"]),
  response_id: textIn(metadata["response_id"]),
  response_model: textIn(metadata["response_model"]),
  finish_reason: textIn(metadata["finish_reason"]),
  input_tokens: numberOf(metadata["input_tokens"]),
  output_tokens: numberOf(metadata["output_tokens"])
})

const factOf = (position: number, event: Wire, isOwn: boolean): Fact => ({
  position,
  place: { position, event_id: event.event_id, recorded_at: event.recorded_at, phase: event.phase },
  operation_id: event.operation_id,
  action: event.action,
  outcome: event.outcome,
  error_tag: event.error_tag,
  duration_ms: event.duration_ms,
  actor: { type: event.actor_type, id: event.agentId },
  resource: event.resource,
  related: event.related,
  tool_call_id: textIn(event.metadata["tool_call_id"]),
  authorization: event.authorization,
  approval: event.approval,
  model: event.action === "model.call" ? modelCallOf(event) : undefined,
  stepId: event.step_id,
  isOwn
})

/** The entry of an operation, of all its events, or of one event. What its result says counts before its intent. */
const entryOf = (facts: readonly [Fact, ...ReadonlyArray<Fact>]): Growing => {
  const [first] = facts
  const result = facts.findLast(({ place }) => place.phase !== "intent")
  const last = result ?? first
  return {
    kind: first.place.phase === undefined ? "event" : "operation",
    position: first.position,
    events: facts.map(({ place }) => place),
    operation_id: first.operation_id,
    action: first.action,
    outcome: result?.outcome ?? "unfinished",
    error_tag: result?.error_tag,
    duration_ms: result?.duration_ms,
    actor: first.actor,
    resource: last.resource ?? first.resource,
    related: last.related ?? first.related,
    tool_call_id: last.tool_call_id ?? first.tool_call_id,
    authorization: last.authorization ?? first.authorization,
    approval: last.approval ?? first.approval,
    model: last.model ?? first.model,
    children: []
  }
}

/** The operation that an event is a half of; what others recorded is never a half of one of the run's. */
const operationOf = ({ isOwn, operation_id, place }: Fact): string | undefined =>
  operation_id === undefined || place.phase === undefined ? undefined : `${isOwn} ${operation_id}`

/** The events of each operation. */
const operationsOf = (facts: ReadonlyArray<Fact>): ReadonlyMap<string, [Fact, ...Array<Fact>]> => {
  const operations = new Map<string, [Fact, ...Array<Fact>]>()
  for (const fact of facts) {
    const operation = operationOf(fact)
    if (operation === undefined) continue
    const known = operations.get(operation)
    if (known === undefined) operations.set(operation, [fact])
    else known.push(fact)
  }
  return operations
}

/** A tree while it grows, position by position. */
class Growth {
  readonly entries: Array<Growing> = []
  readonly roots: Array<Step | Entry> = []
  private readonly steps = new Map<string, Array<Entry>>()
  /** The tool call that is going on in the step of its id. */
  private readonly calls = new Map<string, Growing>()
  /** The tool calls that are going on in each step. */
  private readonly open = new Map<string, Set<Growing>>()
  /** The newest request of each approval. */
  private readonly requests = new Map<string, Growing>()

  /** Places an entry that begins with this event. */
  grow(fact: Fact, entry: Growing): void {
    const siblings = this.siblingsOf(fact, entry)
    if (siblings === undefined) return
    siblings.push(entry)
    if (fact.isOwn) this.entries.push(entry)
    if (fact.place.phase === "intent" && fact.stepId !== undefined && entry.tool_call_id === fact.stepId) {
      this.calls.set(fact.stepId, entry)
    }
    if (fact.place.phase === "intent" && fact.stepId !== undefined && entry.action === "tool.call") {
      const open = this.open.get(fact.stepId) ?? new Set()
      this.open.set(fact.stepId, open.add(entry))
    }
    if (isRequest(entry) && entry.resource !== undefined) this.requests.set(entry.resource.id, entry)
  }

  /** An operation has its result: what comes now is no part of it. */
  end(stepId: string | undefined, entry: Growing): void {
    if (stepId === undefined) return
    if (this.calls.get(stepId) === entry) this.calls.delete(stepId)
    this.open.get(stepId)?.delete(entry)
  }

  private siblingsOf(fact: Fact, entry: Growing): Array<Entry> | Array<Step | Entry> | undefined {
    const request = isResponse(entry) ? this.requests.get(entry.resource?.id ?? "") : undefined
    if (request !== undefined) return request.children
    if (!fact.isOwn) return undefined
    const { position, stepId } = fact
    if (stepId === undefined) return this.roots
    const call = this.calls.get(stepId)
    // The same call made again is beside the first, which may never have ended.
    if (call !== undefined && entry.tool_call_id !== stepId) return call.children
    // In a step of more than one call, what is recorded while one goes on alone is that call's.
    const [alone, ...others] = fact.place.phase === undefined ? this.open.get(stepId) ?? [] : []
    if (alone !== undefined && alone.tool_call_id !== stepId && others.length === 0) return alone.children
    const known = this.steps.get(stepId)
    if (known !== undefined) return known
    const children: Array<Entry> = []
    this.steps.set(stepId, children)
    this.roots.push({ kind: "step", step_id: stepId, position, children })
    return children
  }
}

/** The tree of events that are in order. */
const grown = (facts: ReadonlyArray<Fact>) => {
  const operations = operationsOf(facts)
  const begun = new Map<string, { readonly entry: Growing; readonly stepId: string | undefined }>()
  const growth = new Growth()
  for (const fact of facts) {
    const operation = operationOf(fact)
    const known = operation === undefined ? undefined : begun.get(operation)
    if (known === undefined) {
      const entry = entryOf(operation === undefined ? [fact] : operations.get(operation) ?? [fact])
      if (operation !== undefined) begun.set(operation, { entry, stepId: fact.stepId })
      growth.grow(fact, entry)
    } else if (fact.place.phase === "result") growth.end(known.stepId, known.entry)
  }
  return { entries: growth.entries, steps: growth.roots }
}

const summaryOf = (runId: string, own: ReadonlyArray<Fact>, entries: ReadonlyArray<Entry>): Summary => {
  const times = own.map(({ place }) => place.recorded_at)
  const counted = (is: (entry: Entry) => boolean) => entries.reduce((sum, entry) => is(entry) ? sum + 1 : sum, 0)
  const tokens = (of: (model: ModelCall) => number | undefined) =>
    entries.reduce((sum, { model }) => sum + (model === undefined ? 0 : of(model) ?? 0), 0)
  return {
    run_id: runId,
    // Times of one form: the order of their texts is theirs.
    first_recorded_at: times.reduce((a, b) => a < b ? a : b, times[0] ?? ""),
    last_recorded_at: times.reduce((a, b) => a > b ? a : b, times[0] ?? ""),
    events: own.length,
    tool_calls: counted(({ action }) => action === "tool.call"),
    failures: counted(({ outcome }) => outcome === "failure"),
    denied: counted(({ outcome }) => outcome === "denied"),
    unfinished: counted(({ outcome }) => outcome === "unfinished"),
    model_calls: counted(({ model }) => model !== undefined),
    input_tokens: tokens(({ input_tokens }) => input_tokens),
    output_tokens: tokens(({ output_tokens }) => output_tokens)
  }
}
