/**
 * What agents, their tools and models do, as others read it: OCSF's profile `ai_operation`, OpenTelemetry's GenAI
 * attributes, and the Agent Audit Trail of an individual Internet-Draft. They are mappings and promise no conformity.
 */
import type { Wire } from "../DatasetEvent.ts"
import type { Item } from "./page.ts"

const textOf = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined
const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** The fields of a record that are known. */
const known = <A>(fields: { readonly [name: string]: A | undefined }): { readonly [name: string]: A } =>
  Object.fromEntries(Object.entries(fields).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))

const isModelCall = ({ action }: Wire): boolean => action === "model.call"

/** The model of an event: of a `model.call` the one that was called, else the one that its agent runs on. */
const modelOf = (event: Wire) => {
  const { agent, metadata, resource } = event
  const own = textOf(agent?.model)
  if (!isModelCall(event)) return { provider: undefined, requested: own, responded: undefined }
  const called = resource?.type === "model" && resource.id !== "unknown" ? textOf(resource.id) : undefined
  return {
    provider: textOf(metadata["provider"]),
    requested: called ?? own,
    responded: textOf(metadata["response_model"])
  }
}

/** `ai_model` of OCSF: its `uid` is the model that has answered, where that has another name. */
export const aiModel = (event: Wire) => {
  const { provider, requested, responded } = modelOf(event)
  const name = requested ?? responded
  if (name === undefined) return undefined
  return {
    name,
    ai_provider: provider ?? "unknown",
    ...(responded === undefined || responded === name ? {} : { uid: responded })
  }
}

/** `message_context` of OCSF 1.8, which needs an application or a service: the caller, or whose model it is. */
const messageContext = (event: Wire) => {
  const { actor_type, app_id, metadata, run_id } = event
  const { provider } = modelOf(event)
  const ofModel = isModelCall(event)
  const prompt = ofModel ? countOf(metadata["input_tokens"]) : undefined
  const completion = ofModel ? countOf(metadata["output_tokens"]) : undefined
  const service = provider ?? (app_id === undefined ? "unknown" : undefined)
  return {
    ...(run_id === undefined ? {} : { uid: run_id }),
    // Agent, Tool; of a model that someone else has called: Assistant.
    ai_role_id: actor_type === "agent" ? 4 : actor_type === "tool" ? 3 : 2,
    ...(app_id === undefined ? {} : { application: { name: app_id } }),
    ...(service === undefined ? {} : { service: { name: service } }),
    ...(prompt === undefined ? {} : { prompt_tokens: prompt }),
    ...(completion === undefined ? {} : { completion_tokens: completion }),
    ...(prompt === undefined || completion === undefined ? {} : { total_tokens: prompt + completion })
  }
}

/** What the profile `ai_operation` of OCSF 1.8 adds to an event of an agent or a tool, and to a call of a model. */
export const aiOperation = (event: Wire) => {
  if (event.actor_type !== "agent" && event.actor_type !== "tool" && !isModelCall(event)) return undefined
  const model = aiModel(event)
  return { ...(model === undefined ? {} : { ai_model: model }), message_context: messageContext(event) }
}

/** Attributes of OpenTelemetry by their names. */
export interface GenAiAttributes {
  readonly [name: string]: string | number | ReadonlyArray<string>
}

const operations: { readonly [action: string]: string | undefined } = {
  "tool.call": "execute_tool",
  "model.call": "chat"
}

/** The tool that an event is about, or that acts in it. */
const toolOf = ({ action, actor_type, agentId, related = [], resource }: Wire): string | undefined => {
  const tool = action.startsWith("tool.") ? [resource, ...related].find((one) => one?.type === "tool")?.id : undefined
  return tool === undefined
    ? actor_type === "tool" ? agentId : undefined
    : tool === "unnamed"
    ? undefined
    : textOf(tool)
}

/** Of a model call: what was asked of which model, and what it took. */
const modelAttributes = (event: Wire) => {
  const { metadata } = event
  const { provider, requested, responded } = modelOf(event)
  const finish = textOf(metadata["finish_reason"])
  return {
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": requested,
    "gen_ai.response.id": textOf(metadata["response_id"]),
    "gen_ai.response.model": responded,
    "gen_ai.response.finish_reasons": finish === undefined ? undefined : [finish],
    "gen_ai.usage.input_tokens": countOf(metadata["input_tokens"]),
    "gen_ai.usage.output_tokens": countOf(metadata["output_tokens"]),
    "gen_ai.usage.cache_read.input_tokens": countOf(metadata["cache_read_input_tokens"]),
    "gen_ai.usage.cache_creation.input_tokens": countOf(metadata["cache_creation_input_tokens"]),
    "gen_ai.usage.reasoning.output_tokens": countOf(metadata["reasoning_output_tokens"])
  }
}

/**
 * An event in OpenTelemetry's attributes for generative AI, all of which are in development: nothing for an event that
 * has to do with no agent, tool or model; never arguments, results or prompts.
 */
export const genAiAttributes = (event: Wire): GenAiAttributes => {
  const { action, actor_type, agent, agentId, error_tag, metadata, outcome, phase, run_id } = event
  const isAgent = actor_type === "agent"
  const operation = operations[action] ?? (isAgent ? "invoke_agent" : undefined)
  const isOfTool = action.startsWith("tool.")
  const isOfMcp = action === "tool.call" || action.startsWith("mcp.")
  const about = known<string | number | ReadonlyArray<string>>({
    "gen_ai.operation.name": operation,
    "gen_ai.agent.id": isAgent ? agentId : undefined,
    "gen_ai.agent.version": isAgent ? textOf(agent?.version) : undefined,
    "gen_ai.tool.name": toolOf(event),
    "gen_ai.tool.call.id": isOfTool ? textOf(metadata["tool_call_id"]) : undefined,
    ...(isModelCall(event)
      ? modelAttributes(event)
      : { "gen_ai.request.model": operation === "invoke_agent" ? textOf(agent?.model) : undefined }),
    "mcp.method.name": isOfMcp ? textOf(metadata["mcp_method"]) : undefined
  })
  if (Object.keys(about).length === 0) return about
  return {
    ...about,
    ...known<string>({
      "gen_ai.conversation.id": run_id,
      // What failed without saying how is `_OTHER` by the conventions.
      "error.type": textOf(error_tag) ?? (outcome === "failure" && phase !== "intent" ? "_OTHER" : undefined)
    })
  }
}

/** What kind of record an event is: an approval is a decision, and what waits for one an escalation. */
const actionTypeOf = ({ action, approval, authorization, outcome, phase }: Wire): string => {
  if (action === "tool.call") return phase === "result" ? "tool_response" : "tool_call"
  if (action === "tool.requested") return "tool_call"
  if (action === "tool.approval_requested" || authorization?.decision === "escalated") return "escalation"
  if (authorization !== undefined || approval !== undefined || outcome === "denied") return "decision"
  if (/(?:^|[._])delegated?$/.test(action)) return "delegation"
  return outcome === "failure" ? "error" : "lifecycle"
}

const outcomeOf = ({ action, authorization, error_tag, outcome }: Wire): string => {
  if (outcome === "denied" || authorization?.decision === "denied") return "denied"
  if (outcome === "failure") return /Timeout(?:Error|Exception)?$/.test(error_tag ?? "") ? "timeout" : "failure"
  return action === "tool.approval_requested" || authorization?.decision === "escalated" ? "escalated" : "success"
}

/** Whether an event was written before what it tells of was done, after it, or nobody knows. */
const recordPhaseOf = (event: Wire): string => {
  const { action, duration_ms, phase } = event
  if (phase !== undefined) return phase === "intent" ? "pre_execution" : "post_execution"
  const outcome = outcomeOf(event)
  if (outcome === "denied" || outcome === "escalated") return "pre_execution"
  if (action === "tool.approve" || action === "tool.requested") return "pre_execution"
  const isOver = action === "tool.call" || action === "model.call" || duration_ms !== undefined || outcome !== "success"
  return isOver ? "post_execution" : "concurrent"
}

const trustLevelOf = ({ metadata }: Wire): string => {
  const level = textOf(metadata["trust_level"])
  return level !== undefined && /^L[0-4]$/.test(level) ? level : "L0"
}

/**
 * An event with the fields of draft-sharif-agent-audit-trail-06, an individual Internet-Draft. Order is proven by the
 * log's Merkle tree and not by a chain of hashes, so `prev_hash` is null; the place in the log, and what the draft has
 * no field for, stands in `effect_audit`.
 */
export const agentAuditTrail = (item: Item) => {
  const place = { position: item.position, event_id: item.eventId }
  const links = { parent_record_id: null, prev_hash: null }
  if (item.erased) {
    return {
      record_id: item.eventId,
      action_type: "lifecycle",
      action_detail: { event: "record_deleted", action: "audit.erased_event" },
      ...links,
      effect_audit: { ...place, erased: true }
    }
  }
  const { event } = item
  const { input, output, ...rest } = event
  const tool = toolOf(event)
  return {
    record_id: item.eventId,
    timestamp: event.occurred_at ?? event.recorded_at,
    agent_id: `urn:effect-audit:${[event.tenantId, event.actor_type, event.agentId].map(encodeURIComponent).join(":")}`,
    agent_version: event.agent?.version ?? "unknown",
    session_id: event.run_id ?? event.trace_id,
    action_type: actionTypeOf(event),
    action_detail: {
      action: event.action,
      ...(event.resource === undefined ? {} : { resource: event.resource }),
      ...(tool === undefined ? {} : { tool_name: tool }),
      ...(event.error_tag === undefined ? {} : { error_code: event.error_tag }),
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output })
    },
    outcome: outcomeOf(event),
    trust_level: trustLevelOf(event),
    ...links,
    record_phase: recordPhaseOf(event),
    effect_audit: {
      ...place,
      ...(event.operation_id === undefined ? {} : { operation_id: event.operation_id }),
      event: rest
    }
  }
}
