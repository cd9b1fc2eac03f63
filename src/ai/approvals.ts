/** Approvals of tool calls: asked for, given and refused, and whether what is executed is what was agreed to. */
import * as Prompt from "effect/ai/Prompt"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { type AuditDraft, AuditLogger } from "../AuditLogger.ts"
import type { Approval, Authorization, Wire } from "../DatasetEvent.ts"
import { canonicalJson } from "../internal/canonicalJson.ts"
import { personOf } from "../internal/delegation.ts"
import { type Fields, type PartyInput, RequestContext } from "../RequestContext.ts"
import type { AuditTrail } from "../trail/AuditTrail.ts"

/** A tool call as a model asks for it. */
export interface ToolCall {
  readonly name: string
  /** The arguments as the model gave them, encoded. */
  readonly params: unknown
  readonly id: string | undefined
}

/** A tool call that waits for someone's approval: what to show to whom it concerns. */
export interface PendingApproval {
  readonly approvalId: string
  readonly toolCallId: string
  readonly name: string
  readonly params: unknown
}

/** A response to a request for approval, as it stands in a prompt. */
export interface ApprovalResponse {
  readonly approvalId: string
  readonly toolCallId: string
  readonly isApproved: boolean
  readonly reason: string | undefined
  readonly call: ToolCall | undefined
  /** Whether the call has no result yet. */
  readonly isPending: boolean
}

/**
 * SHA-256 of a tool's name and arguments in canonical JSON (RFC 8785), 64 hexadecimal digits; nothing for what is no
 * JSON.
 */
export const argumentsSha256 = ({ name, params }: Pick<ToolCall, "name" | "params">): string | undefined =>
  Result.getOrUndefined(
    Result.try(() => createHash("sha256").update(canonicalJson({ tool: name, arguments: params })).digest("hex"))
  )

/** What a prompt says about approvals. */
const read = (prompt: Prompt.Prompt) => {
  const requests = new Map<string, string>()
  const calls = new Map<string, ToolCall>()
  const results = new Set<string>()
  const responses: Array<Prompt.ToolApprovalResponsePart> = []
  for (const message of prompt.content) {
    if (message.role !== "assistant" && message.role !== "tool") continue
    for (const part of message.content) {
      // Who says what, as `effect/ai` reads it.
      if (message.role === "assistant") {
        if (part.type === "tool-approval-request") requests.set(part.approvalId, part.toolCallId)
        else if (part.type === "tool-call") calls.set(part.id, { name: part.name, params: part.params, id: part.id })
      } else if (part.type === "tool-result") results.add(part.id)
      else if (part.type === "tool-approval-response") responses.push(part)
    }
  }
  return { requests, calls, results, responses }
}

/** The responses in a prompt, in their order. */
export const responsesIn = (prompt: Prompt.Prompt): ReadonlyArray<ApprovalResponse> => {
  const { calls, requests, responses, results } = read(prompt)
  return responses.flatMap(({ approvalId, approved, reason }) => {
    const toolCallId = requests.get(approvalId)
    return toolCallId === undefined ? [] : [{
      approvalId,
      toolCallId,
      isApproved: approved,
      reason,
      call: calls.get(toolCallId),
      isPending: !results.has(toolCallId)
    }]
  })
}

/** The tool calls of a conversation that wait for an approval. */
export const pendingApprovals = (prompt: Prompt.RawInput): ReadonlyArray<PendingApproval> => {
  const { calls, requests, responses, results } = read(Prompt.make(prompt))
  const answered = new Set(responses.map(({ approvalId }) => approvalId))
  return [...requests].flatMap(([approvalId, toolCallId]) => {
    const call = calls.get(toolCallId)
    return call === undefined || answered.has(approvalId) || results.has(toolCallId)
      ? []
      : [{ approvalId, toolCallId, name: call.name, params: call.params }]
  })
}

const resourceType = "tool_approval"

/** The event of a model's call that waits for an approval. */
export const requested = (approvalId: string, call: ToolCall): AuditDraft => ({
  action: "tool.approval_requested",
  resource: { type: resourceType, id: approvalId },
  related: [{ type: "tool", id: call.name }],
  authorization: { decision: "escalated" },
  input: call.params,
  metadata: { tool_call_id: call.id, arguments_sha256: argumentsSha256(call) }
})

/** Who acts in a context, as a party. */
const partyOf = ({ actor }: Fields): PartyInput => ({
  type: actor.type,
  id: "id" in actor ? actor.id : actor.type
})

const respond = (isApproved: boolean) =>
(
  pending: PendingApproval,
  options: { readonly reason?: string | undefined } = {}
): Effect.Effect<Prompt.ToolApprovalResponsePart, AuditError, AuditLogger | RequestContext> =>
  Effect.gen(function*() {
    const logger = yield* AuditLogger
    const context = yield* RequestContext
    const sha256 = argumentsSha256(pending)
    if (sha256 === undefined) {
      return yield* new AuditError({
        method: isApproved ? "AuditAi.approve" : "AuditAi.deny",
        reason: new InvalidInput({ path: "/params", detail: "must be JSON" })
      })
    }
    const { reason } = options
    yield* logger.emit({
      action: isApproved ? "tool.approve" : "tool.deny",
      resource: { type: resourceType, id: pending.approvalId },
      related: [{ type: "tool", id: pending.name }],
      authorization: { decision: isApproved ? "allowed" : "denied", reason },
      approval: { by: partyOf(context), at: yield* Clock.currentTimeMillis, argumentsSha256: sha256 },
      metadata: { tool_call_id: pending.toolCallId }
    })
    return Prompt.toolApprovalResponsePart({ approvalId: pending.approvalId, approved: isApproved, reason })
  })

/**
 * Approves a tool call: records who agreed (the actor of the context), when, why, and to which arguments; then returns
 * the part that goes into the next prompt.
 */
export const approve = respond(true)

/** Refuses a tool call: records who did, when and why; then returns the part that goes into the next prompt. */
export const deny = respond(false)

/** Whether a call may be executed, and what is recorded of that. */
export type Verdict =
  | { readonly isAllowed: true; readonly authorization: Authorization; readonly approval: Approval | undefined }
  | { readonly isAllowed: false; readonly authorization: Authorization }

/** A call that may not be executed. */
export const refused = (reason: string): Verdict => ({
  isAllowed: false,
  authorization: { decision: "denied", reason }
})

/** Whether a response in a prompt is about exactly this call. */
export const isCallOf = ({ call: asked }: ApprovalResponse, call: ToolCall): boolean =>
  asked !== undefined && asked.name === call.name && argumentsSha256(asked) === argumentsSha256(call)

/** What the log knows of an approval. */
interface Known {
  readonly asked: Wire | undefined
  readonly agreed: Wire | undefined
  readonly isDenied: boolean
}

/** What the log knows of an approval decides, not the prompt: a conversation may come back from anywhere. */
const judge = (
  { agreed, asked, isDenied }: Known,
  { call, context, now, reason }: {
    readonly call: ToolCall
    readonly context: Fields
    readonly now: number
    readonly reason: string | undefined
  }
): Verdict => {
  if (isDenied) return refused("The call was refused.")
  if (asked === undefined) return refused("The log knows of no such request for approval.")
  const sha256 = argumentsSha256(call)
  const known = agreed?.approval
  if (
    sha256 === undefined || asked.metadata["arguments_sha256"] !== sha256 ||
    (known !== undefined && known.arguments_sha256 !== sha256)
  ) return refused("The tool or its arguments are not those that were approved.")
  const person = personOf(context.actor)
  return {
    isAllowed: true,
    authorization: { decision: "allowed", reason: reason ?? agreed?.authorization?.reason },
    approval: known !== undefined
      ? { by: known.by, at: known.at, argumentsSha256: sha256 }
      : person === undefined
      ? undefined
      : { by: { type: "human", id: person }, at: now, argumentsSha256: sha256 }
  }
}

/** Whether a call that a prompt says was approved may be executed. */
export const check = Effect.fnUntraced(function*(
  trail: AuditTrail["Service"],
  context: Fields,
  { approvalId, reason }: ApprovalResponse,
  call: ToolCall
): Effect.fn.Return<Verdict, AuditError> {
  const { env, tenantId } = context
  /** The newest event of an action about this approval. */
  const newest = (action: string) =>
    Effect.map(
      trail.query({ tenantId, env, filter: { action, resourceType, resourceId: approvalId }, limit: 1 }),
      ({ items: [item] }) => item === undefined || item.erased ? undefined : item.event
    )
  const denied = yield* newest("tool.deny")
  const known = {
    isDenied: denied !== undefined,
    agreed: yield* newest("tool.approve"),
    asked: yield* newest("tool.approval_requested")
  }
  return judge(known, { call, context, now: yield* Clock.currentTimeMillis, reason })
})
