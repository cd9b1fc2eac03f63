/** What an event says before it is stripped, and what an idempotency key is bound to. */
import type * as Tracer from "effect/Tracer"
import { createHash } from "node:crypto"
import type { Agent, Content, EventId, Stamp, Stripped } from "../DatasetEvent.ts"
import type { About, Fields } from "../RequestContext.ts"
import type { DraftFields } from "./draft.ts"
import { idPattern } from "./patterns.ts"
import { timeText } from "./time.ts"

/** What acts, beyond its id, if the context says more of it. */
const agentOf = ({ instanceId, model, version }: About): Agent | undefined =>
  version === undefined && model === undefined && instanceId === undefined
    ? undefined
    : { version, model, instance_id: instanceId }

/** The caller's words, and where they came from. */
export const contentOf = ({ client }: Fields, { content, missing = [] }: DraftFields): Content => {
  const said = missing.length === 0
    ? content
    : { ...content, metadata: { ...content.metadata, unrecorded: missing.join(" ") } }
  return client === undefined
    ? said
    : { ...said, client: { address: client.address, userAgent: client.userAgent?.toWellFormed() } }
}

/** Identity from the context, facts from the draft. */
export const stampOf = (
  context: Fields,
  draft: DraftFields,
  eventId: EventId,
  span: Tracer.AnySpan | undefined,
  now: number
): Stamp => {
  const { actor } = context
  const isSoftware = actor.type === "agent" || actor.type === "tool"
  return {
    eventId,
    tenantId: context.tenantId,
    env: context.env,
    mode: context.mode,
    projectId: context.projectId,
    appId: context.appId,
    surface: context.surface,
    surfaceId: context.surfaceId,
    actorType: actor.type,
    actorId: actor.type === "system" || actor.type === "anonymous" ? actor.type : actor.id,
    agent: isSoftware ? agentOf(actor) : undefined,
    userId: actor.type === "human" ? actor.id : isSoftware ? actor.onBehalfOf : undefined,
    delegation: context.delegation,
    subjectIds: draft.subjectIds,
    requestId: context.requestId,
    correlationId: context.correlationId,
    traceId: context.traceId,
    spanId: span !== undefined && span.traceId === context.traceId && idPattern.test(span.spanId)
      ? span.spanId
      : context.spanId,
    runId: context.runId,
    stepId: context.stepId,
    operationId: draft.operationId,
    phase: draft.phase,
    action: draft.action,
    approval: draft.approval,
    outcome: draft.outcome,
    durationMillis: draft.durationMillis,
    severity: draft.severity,
    storageClass: draft.storageClass ?? "ops",
    occurredAt: draft.occurredAt ?? timeText(now),
    record: draft.record
  }
}

/**
 * What an idempotency key was used for, and by whom: the caller's fields after stripping, so that no trace of what was
 * removed stays.
 */
export const digests = (draft: DraftFields, stripped: Stripped) => {
  const {
    action,
    approval,
    durationMillis,
    occurredAt,
    operationId,
    outcome,
    phase,
    severity,
    storageClass,
    subjectIds
  } = draft
  const { client, ...content } = stripped.content
  const { actorId, actorType, userId } = stripped.stamp
  const fields = [
    action,
    outcome,
    severity,
    storageClass ?? "ops",
    durationMillis,
    occurredAt,
    subjectIds,
    content,
    // Digests of the first stores know nothing of these.
    ...(operationId === undefined && approval === undefined ? [] : [operationId, phase, approval])
  ]
  const text = JSON.stringify(fields)
  const digest = createHash("sha256").update(JSON.stringify([actorType, actorId, userId])).update(text).digest()
  return { digest, formerDigest: createHash("sha256").update(text).digest() }
}
