/** What the parts of a model's response say: calls that the provider made, approvals, refusals, and what it cost. */
import type * as AiError from "effect/ai/AiError"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import type { AuditDraft } from "../AuditLogger.ts"
import { requested, type ToolCall } from "./approvals.ts"
import { record, type Recorder, tagOf } from "./recorder.ts"
import { draftOf, end, inStep, type Operation } from "./toolCalls.ts"

/** A part of a response, whole or streamed. */
export type AnyPart = Response.AnyPart

/** What is known of one response while its parts come. */
export interface Heard {
  readonly recorder: Recorder
  /** Calls of the response, and of the prompt before it. */
  readonly calls: Map<string, ToolCall>
  /** Calls of the provider's own that have no result yet. */
  readonly provided: Map<string, ToolCall>
  /** Calls that have begun here and have no result. */
  readonly open: Map<string, Operation>
  /** Calls that have ended here, and calls whose refusal is recorded. */
  readonly settled: Set<string>
  /** Whether the application runs the tools itself. */
  readonly isUnresolved: boolean
  readonly tools: () => { readonly [name: string]: unknown } | undefined
  readonly text: Array<string>
  id: string | undefined
  model: string | undefined
  finish: Response.FinishPart | undefined
}

const isFailed = (result: unknown, type: string): result is { readonly type: string; readonly reason?: string } =>
  typeof result === "object" && result !== null && "type" in result && result.type === type

/** A call that the provider made itself: it is over when it is heard of. */
const provided = (call: ToolCall, more: Partial<AuditDraft>): AuditDraft => {
  const draft = draftOf(call)
  return { ...draft, input: call.params, metadata: { ...draft.metadata, provider_executed: true }, ...more }
}

/** Records something of a call, in the step that the call is. */
export const recordOf = ({ recorder }: Pick<Heard, "recorder">, call: ToolCall, draft: AuditDraft) =>
  record(inStep(recorder, call), draft)

const callHeard = (heard: Heard, { id, name, params, providerExecuted }: Response.ToolCallPart<string, unknown>) => {
  const call = { id, name, params }
  heard.calls.set(id, call)
  if (providerExecuted) {
    heard.provided.set(id, call)
    return Effect.void
  }
  if (!heard.isUnresolved) return Effect.void
  const isKnown = Object.hasOwn(heard.tools() ?? {}, name)
  return recordOf(heard, call, {
    ...draftOf(call),
    action: "tool.requested",
    input: params,
    ...(isKnown ? {} : { outcome: "failure", errorTag: "ToolNotFoundError" })
  })
}

const resultHeard = (
  heard: Heard,
  { encodedResult, id, isFailure, name, preliminary, providerExecuted, result }: Response.ToolResultPart<
    string,
    unknown,
    unknown
  >
): Effect.Effect<unknown, AiError.AiError> => {
  const call = heard.calls.get(id) ?? { id, name, params: undefined }
  if (providerExecuted) {
    if (preliminary) return Effect.void
    heard.provided.delete(id)
    const ended = isFailure ? { outcome: "failure" as const, errorTag: tagOf(result) } : {}
    return recordOf(heard, call, provided(call, { ...ended, output: encodedResult }))
  }
  if (heard.settled.has(id)) return Effect.void
  if (isFailure && isFailed(result, "execution-interrupted")) {
    const ended = { outcome: "failure" as const, errorTag: "Interrupted" }
    const operation = heard.open.get(id)
    heard.open.delete(id)
    return operation === undefined
      ? recordOf(heard, call, { ...draftOf(call), ...ended, input: call.params })
      : end(operation, ended)
  }
  return isFailure && isFailed(result, "execution-denied")
    ? recordOf(heard, call, denied(call, result.reason))
    : Effect.void
}

/** A call that was refused by whom it was shown to. */
export const denied = (call: ToolCall, reason: string | undefined): AuditDraft => ({
  ...draftOf(call),
  outcome: "denied",
  authorization: { decision: "denied", reason },
  input: call.params
})

/** Calls of the provider's own of which no result came. */
export const unanswered = (heard: Heard) =>
  Effect.suspend(() => {
    const calls = [...heard.provided.values()]
    heard.provided.clear()
    return Effect.forEach(calls, (call) => recordOf(heard, call, provided(call, {})), { discard: true })
  })

/** Records what one part says. */
export const hear = (heard: Heard, part: AnyPart): Effect.Effect<unknown, AiError.AiError> => {
  switch (part.type) {
    case "tool-call":
      return callHeard(heard, part)
    case "tool-result":
      return resultHeard(heard, part)
    case "tool-approval-request": {
      const call = heard.calls.get(part.toolCallId) ?? { id: part.toolCallId, name: "", params: undefined }
      return recordOf(heard, call, requested(part.approvalId, call))
    }
    case "response-metadata":
      heard.id = part.id || heard.id
      heard.model = part.modelId || heard.model
      return Effect.void
    case "text":
      heard.text.push(part.text)
      return Effect.void
    case "text-delta":
      heard.text.push(part.delta)
      return Effect.void
    case "finish":
      heard.finish = part
      return Effect.void
    default:
      return Effect.void
  }
}

/** What a response cost: OpenTelemetry's names of the same, without `gen_ai.`. */
export const usageOf = ({ finish, id, model }: Heard): { readonly [key: string]: string | number | undefined } => {
  const { inputTokens, outputTokens } = finish?.usage ?? {}
  return {
    response_id: id,
    response_model: model,
    finish_reason: finish?.reason,
    input_tokens: inputTokens?.total,
    cache_read_input_tokens: inputTokens?.cacheRead,
    cache_creation_input_tokens: inputTokens?.cacheWrite,
    output_tokens: outputTokens?.total,
    reasoning_output_tokens: outputTokens?.reasoning
  }
}

const partOf = (part: Prompt.Part): unknown => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return { type: part.type, text: part.text }
    case "file":
      return { type: part.type, media_type: part.mediaType, file_name: part.fileName }
    case "tool-call":
      return { type: part.type, name: part.name, params: part.params }
    case "tool-result":
      return { type: part.type, name: part.name, result: part.result }
    default:
      return { type: part.type }
  }
}

/** A prompt as content of an event: texts, calls and results; files by their names. */
export const contentOf = (prompt: Prompt.Prompt): unknown =>
  prompt.content.map(({ content, role }) => ({
    role,
    content: typeof content === "string" ? content : content.map(partOf)
  }))
