/** The one form that an event has when it is stored, queried and exported, and the values by which it is found. */
import * as Schema from "effect/Schema"
import { ActorType, Env, Id, Mode, Party, TenantId, TraceId, Version } from "../RequestContext.ts"
import { timePattern } from "./patterns.ts"

/** UUIDv7 of an event, made when it is stamped. */
export const EventId = Schema.String.check(Schema.isUUID(7)).pipe(Schema.brand("EventId"))
export type EventId = typeof EventId.Type

/** How it ended. */
export const Outcome = Schema.Literals(["success", "failure", "denied"])
export type Outcome = typeof Outcome.Type

/** Which half of an operation that is told in two events: before it is done, and after. */
export const Phase = Schema.Literals(["intent", "result"])
export type Phase = typeof Phase.Type

/** What was decided when someone asked whether this may be done. */
export const Decision = Schema.Literals(["allowed", "denied", "escalated"])
export type Decision = typeof Decision.Type

/** How much it matters. */
export const Severity = Schema.Literals(["debug", "info", "notice", "warning", "error", "critical"])
export type Severity = typeof Severity.Type

/** What the event is kept for. `AuditLogger.emit` always writes `audit`. */
export const StorageClass = Schema.Literals(["ops", "audit", "stream", "cost"])
export type StorageClass = typeof StorageClass.Type

/** Why an event may, or may not, train a model. */
export const TrainReason = Schema.Literals([
  "allowed",
  "pii",
  "tenant_opt_out",
  "user_opt_out",
  "preferences_unavailable",
  "policy"
])
export type TrainReason = typeof TrainReason.Type

/** What the stripper found, by kind; never the values. */
export const PiiFlags = Schema.Struct({
  flags: Schema.Array(Schema.String),
  policy_reason: Schema.String,
  counts: Schema.Record(Schema.String, Schema.Int),
  truncated: Schema.Boolean
})
export interface PiiFlags extends Schema.Schema.Type<typeof PiiFlags> {}

const Text = Schema.optionalKey(Schema.String)
const Time = Schema.String.check(
  Schema.isPattern(timePattern, { expected: "RFC 3339 in UTC with milliseconds" })
)
const Resource = Schema.Struct({ type: Schema.String, id: Schema.String })
const AnalyticsKey = Schema.TemplateLiteral([Schema.Literals(["utm_", "seo_"]), Schema.String])

/** The event as it is stored and exported, before the open `utm_*` and `seo_*` fields. */
export const WireFields = Schema.Struct({
  event_id: EventId,
  schema_version: Schema.Literal("1"),
  tenantId: TenantId,
  env: Env,
  mode: Mode,
  project_id: Schema.optionalKey(Id),
  app_id: Schema.optionalKey(Id),
  surface: Schema.optionalKey(Id),
  surface_id: Schema.optionalKey(Id),
  actor_type: ActorType,
  agentId: Id,
  agent: Schema.optionalKey(Schema.Struct({
    version: Schema.optionalKey(Version),
    model: Schema.optionalKey(Version),
    instance_id: Schema.optionalKey(Id)
  })),
  user_id: Schema.optionalKey(Id),
  delegation: Schema.optionalKey(Schema.Array(Party)),
  client: Schema.optionalKey(Schema.Struct({ address: Text, user_agent: Text })),
  subject_ids: Schema.optionalKey(Schema.Array(Id)),
  request_id: Id,
  correlation_id: Schema.optionalKey(Id),
  trace_id: TraceId,
  span_id: Schema.optionalKey(Id),
  run_id: Schema.optionalKey(Id),
  step_id: Schema.optionalKey(Id),
  operation_id: Schema.optionalKey(Id),
  phase: Schema.optionalKey(Phase),
  action: Schema.String,
  resource: Schema.optionalKey(Resource),
  related: Schema.optionalKey(Schema.Array(Resource)),
  authorization: Schema.optionalKey(Schema.Struct({
    decision: Decision,
    policy_id: Text,
    reason: Text,
    risk: Schema.optionalKey(Schema.Union([Schema.String, Schema.Finite]))
  })),
  approval: Schema.optionalKey(Schema.Struct({ by: Party, at: Time, arguments_sha256: Schema.String })),
  outcome: Outcome,
  error_tag: Text,
  duration_ms: Schema.optionalKey(Schema.Finite),
  input: Schema.optionalKey(Schema.Json),
  output: Schema.optionalKey(Schema.Json),
  change: Schema.optionalKey(Schema.Struct({
    before: Schema.optionalKey(Schema.Json),
    after: Schema.optionalKey(Schema.Json)
  })),
  metadata: Schema.Record(Schema.String, Schema.Json),
  pii_flags: PiiFlags,
  train_ok: Schema.Boolean,
  train_reason: TrainReason,
  severity: Severity,
  storage_class: StorageClass,
  occurred_at: Time,
  recorded_at: Time,
  analytics_event_type: Text,
  analytics_platform: Text,
  asset_alt_text: Text
})

/** The event as it is stored and exported. Field names are a contract: new ones may be added, none is renamed. */
export const Wire = Schema.StructWithRest(WireFields, [Schema.Record(AnalyticsKey, Schema.String)])
export type Wire = typeof Wire.Type

/** The exact stored bytes of an event, decoded. */
export const WireFromText = Schema.fromJsonString(Wire)

/** Values by which an event can be found, as texts. */
export interface SearchKeys {
  readonly action: string
  readonly actorId: string
  readonly userId: string | undefined
  readonly subjectIds: ReadonlyArray<string> | undefined
  readonly resourceType: string | undefined
  readonly resourceId: string | undefined
  readonly outcome: string
  readonly traceId: string
  readonly requestId: string
  readonly correlationId: string | undefined
  readonly runId: string | undefined
  readonly stepId: string | undefined
  readonly operationId: string | undefined
  readonly phase: string | undefined
  readonly projectId: string | undefined
  readonly surface: string | undefined
  readonly severity: string
  readonly storageClass: string
  readonly trainOk: "true" | "false"
}

/** The values by which a stored event can be found. */
export const searchKeys = (event: Wire): SearchKeys => ({
  action: event.action,
  actorId: event.agentId,
  userId: event.user_id,
  subjectIds: event.subject_ids,
  resourceType: event.resource?.type,
  resourceId: event.resource?.id,
  outcome: event.outcome,
  traceId: event.trace_id,
  requestId: event.request_id,
  correlationId: event.correlation_id,
  runId: event.run_id,
  stepId: event.step_id,
  operationId: event.operation_id,
  phase: event.phase,
  projectId: event.project_id,
  surface: event.surface,
  severity: event.severity,
  storageClass: event.storage_class,
  trainOk: event.train_ok ? "true" : "false"
})
