/**
 * `Decided -> Sealed`: the exact bytes that will be kept, their salt and commitment.
 *
 * Pure: the same event, salt and time give the same bytes. What was hashed is what is stored; nothing is serialised
 * again to verify it. A commitment is checked with `cat salt body | sha256sum`.
 *
 * @since 0.1.0
 */
import { hash } from "node:crypto"
import { type Authorization, Decided, type Idempotency, type ReadApproval, Sealed, type Stamp } from "./DatasetEvent.ts"
import type { Json } from "./internal/json.ts"
import { made } from "./internal/made.ts"
import { timeText } from "./internal/time.ts"

/** Bytes of a salt. */
export const saltBytes = 32

/** `SHA-256(salt || body)` of the bytes that follow each other in one buffer. */
const commit = (saltAndBody: Uint8Array): Uint8Array => hash("sha256", saltAndBody, "buffer")

/** The first byte of a log's entry that commits to an event. */
export const entryType = 0x01

/** The entry of a commitment, 33 bytes: all of an event that its log publishes. */
export const entry = (commitment: Uint8Array): Uint8Array => Buffer.concat([Buffer.of(entryType), commitment])

/** The commitment that a salt and the bytes of an event give: `SHA-256(salt || body)`. */
export const commitment = (salt: Uint8Array, body: Uint8Array): Uint8Array => commit(Buffer.concat([salt, body]))

/** The event as the object whose JSON is stored; absent fields are `undefined`, and so left out of the JSON. */
const toWire = (event: Decided, recordedAt: string) => {
  const { content, piiFlags, stamp } = event.stripped
  const { analytics } = content
  const reserved = {
    tenantId: stamp.tenantId,
    env: stamp.env,
    agentId: stamp.actorId,
    trace_id: stamp.traceId,
    request_id: stamp.requestId,
    actor_type: stamp.actorType,
    action: stamp.action
  }
  const wire = {
    event_id: stamp.eventId,
    schema_version: "1",
    tenantId: stamp.tenantId,
    env: stamp.env,
    mode: stamp.mode,
    project_id: stamp.projectId,
    app_id: stamp.appId,
    surface: stamp.surface,
    surface_id: stamp.surfaceId,
    actor_type: stamp.actorType,
    agentId: stamp.actorId,
    agent: stamp.agent,
    user_id: stamp.userId,
    delegation: stamp.delegation,
    client: content.client && { address: content.client.address, user_agent: content.client.userAgent },
    subject_ids: stamp.subjectIds,
    request_id: stamp.requestId,
    correlation_id: stamp.correlationId,
    trace_id: stamp.traceId,
    span_id: stamp.spanId,
    run_id: stamp.runId,
    step_id: stamp.stepId,
    operation_id: stamp.operationId,
    phase: stamp.phase,
    action: stamp.action,
    resource: content.resource,
    related: content.related,
    authorization: content.authorization && toWireAuthorization(content.authorization),
    approval: stamp.approval && toWireApproval(stamp.approval),
    outcome: stamp.outcome,
    error_tag: content.errorTag,
    duration_ms: stamp.durationMillis,
    input: content.input,
    output: stamp.record ?? content.output,
    change: content.change,
    metadata: content.metadata === undefined ? reserved : { ...content.metadata, ...reserved },
    pii_flags: piiFlags,
    train_ok: event.trainOk,
    train_reason: event.trainReason,
    severity: stamp.severity,
    storage_class: stamp.storageClass,
    occurred_at: stamp.occurredAt,
    recorded_at: recordedAt
  }
  return analytics === undefined ? wire : { ...wire, ...toWireAnalytics(analytics) }
}

const toWireAuthorization = ({ decision, policyId, reason, risk }: Authorization) => ({
  decision,
  policy_id: policyId,
  reason,
  risk
})

const toWireApproval = ({ argumentsSha256, at, by }: ReadApproval) => ({ by, at, arguments_sha256: argumentsSha256 })

/** In the order of the schema: its own fields first, then the open ones in the order of the caller. */
const toWireAnalytics = (
  { asset_alt_text, event_type, platform, ...open }: Analytics
): { readonly [key: string]: Json } => ({
  ...(event_type === undefined ? {} : { analytics_event_type: event_type }),
  ...(platform === undefined ? {} : { analytics_platform: platform }),
  ...(asset_alt_text === undefined ? {} : { asset_alt_text }),
  ...open
})

type Analytics = { readonly [key: string]: string }

const keysOf = (event: Decided, stamp: Stamp) => {
  const { resource } = event.stripped.content
  return {
    action: stamp.action,
    actorId: stamp.actorId,
    userId: stamp.userId,
    subjectIds: stamp.subjectIds,
    resourceType: resource?.type,
    resourceId: resource?.id,
    outcome: stamp.outcome,
    traceId: stamp.traceId,
    requestId: stamp.requestId,
    correlationId: stamp.correlationId,
    runId: stamp.runId,
    stepId: stamp.stepId,
    operationId: stamp.operationId,
    phase: stamp.phase,
    projectId: stamp.projectId,
    surface: stamp.surface,
    severity: stamp.severity,
    storageClass: stamp.storageClass,
    trainOk: event.trainOk ? "true" as const : "false" as const
  }
}

/** What travels with a sealed event. */
export interface SealOptions {
  readonly idempotency?: Idempotency | undefined
  readonly policy?: string | undefined
  readonly repeated?: boolean | undefined
}

/**
 * Fixes the bytes of an event, with 32 bytes of salt, at a time in milliseconds since 1970. The options travel with the
 * event and change no byte. Throws `TypeError` for a value that is no `Decided`, such as a copy of one.
 */
export const seal = (
  event: Decided,
  salt: Uint8Array,
  recordedAtMillis: number,
  options?: SealOptions | undefined
): Sealed => {
  if (!Decided.is(event)) throw new TypeError("only an event that was decided by TrainingPreferences can be sealed")
  const { piiFlags, stamp } = event.stripped
  const json = JSON.stringify(toWire(event, timeText(recordedAtMillis)))
  // One buffer holds salt and body: it is hashed as a whole, and stored as two views.
  const bytes = Buffer.allocUnsafe(saltBytes + Buffer.byteLength(json, "utf8"))
  bytes.set(salt, 0)
  bytes.write(json, saltBytes, "utf8")
  return new Sealed(made, {
    eventId: stamp.eventId,
    tenantId: stamp.tenantId,
    env: stamp.env,
    trainOk: event.trainOk,
    piiFlags,
    recordedAtMillis,
    commitment: commit(bytes),
    salt: bytes.subarray(0, saltBytes),
    body: bytes.subarray(saltBytes),
    keys: keysOf(event, stamp),
    idempotency: options?.idempotency,
    policy: options?.policy,
    repeated: options?.repeated === true
  })
}
