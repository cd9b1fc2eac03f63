/**
 * Events as other systems read them: NDJSON, CSV, CloudEvents 1.0, OCSF 1.8 or 1.9 (API Activity), ECS, CEF and the
 * Agent Audit Trail. They are mappings and promise no conformity: what a format has no place for stands in its
 * extension.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Wire } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"
import { agentAuditTrail, aiModel, aiOperation } from "./agentEncodings.ts"
import type { Item } from "./page.ts"

export { agentAuditTrail, type GenAiAttributes, genAiAttributes } from "./agentEncodings.ts"

/** The formats. */
export const Format = Schema.Literals([
  "ndjson",
  "csv",
  "cloudevents",
  "ocsf",
  "ocsf-1.9",
  "ecs",
  "cef",
  "agent-audit-trail"
])
export type Format = typeof Format.Type

/**
 * One cell of CSV (RFC 4180). Text that a spreadsheet would run as a formula gets an apostrophe in front
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
const csvCell = (value: string | number | boolean | undefined): string => {
  if (value === undefined) return ""
  if (typeof value !== "string") return String(value)
  const text = /^[\s\p{Cc}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
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
/** The first line of CSV: the names of its columns. */
export const csvHead = `${["position", "event_id", "erased", ...csvColumns.map(([name]) => name)].join(",")}\r\n`
/** An event as a line of CSV (RFC 4180). */
export const csvRow = (item: Item): string =>
  `${
    [
      item.position,
      item.eventId,
      item.erased,
      ...csvColumns.map(([, value]) => item.erased ? undefined : value(item.event))
    ].map(csvCell).join(",")
  }\r\n`
/** An event as a line of JSON, with its position. Who reads many logs is told whose an erased event was. */
export const ndjsonRow = (item: Item, log?: LogName | undefined): string =>
  `${
    JSON.stringify(
      item.erased
        ? { position: item.position, event_id: item.eventId, tenantId: log?.tenantId, env: log?.env, erased: true }
        : { position: item.position, ...item.event }
    )
  }\n`

/** An event as a CloudEvent 1.0 in its JSON format; `sequence` is the extension of that name. */
export const cloudEvent = (item: Item, log?: LogName | undefined) => {
  // Sequences are compared as texts: each has as many digits.
  const base = { specversion: "1.0", id: item.eventId, sequence: String(item.position).padStart(16, "0") }
  if (item.erased) {
    const source = log === undefined ? "/audit" : `/audit/${log.tenantId}/${log.env}`
    return { ...base, source, type: "audit.erased_event" }
  }
  const { event } = item
  return {
    ...base,
    source: `/audit/${event.tenantId}/${event.env}`,
    type: event.action,
    ...(event.resource === undefined
      ? {}
      : { subject: withoutControls(`${event.resource.type}/${event.resource.id}`) }),
    time: event.occurred_at ?? event.recorded_at,
    recordedtime: event.recorded_at,
    datacontenttype: "application/json",
    data: event
  }
}

/** A text without control characters, which texts of CloudEvents and CEF may not have. */
const withoutControls = (text: string): string => text.replace(/[\p{Cc}]/gu, " ")

/** OCSF 1.8: `activity_id` of class 6003 by the last word of the action. */
const activities: ReadonlyArray<readonly [number, RegExp]> = [
  [1, /(?:^|[._])(?:create|created|add|insert|upload|register|issue)$/],
  [2, /(?:^|[._])(?:read|get|list|view|query|export|download|search)$/],
  [3, /(?:^|[._])(?:update|updated|change|changed|edit|rename|move|set|grant|revoke)$/],
  [4, /(?:^|[._])(?:delete|deleted|remove|erase|erased)$/]
]
const severities = { debug: 1, info: 1, notice: 2, warning: 3, error: 4, critical: 5 } as const
const userTypes = { human: 1, system: 3, agent: 99, tool: 99, anonymous: 0 } as const

const actorOf = (event: Wire) => ({
  user: { uid: event.agentId, type_id: userTypes[event.actor_type], type: event.actor_type },
  ...(event.user_id !== undefined && event.user_id !== event.agentId
    ? { authorizations: [{ policy: { name: "on_behalf_of", uid: event.user_id } }] }
    : {})
})

const metadataOf = (item: Item, event: Wire | undefined, log?: LogName | undefined) => ({
  version: "1.8.0",
  product: { name: "effect-audit", vendor_name: "effect-audit" },
  uid: item.eventId,
  sequence: item.position,
  ...(event === undefined ? log === undefined ? {} : { tenant_uid: log.tenantId } : {
    tenant_uid: event.tenantId,
    logged_time: Date.parse(event.recorded_at),
    correlation_uid: event.correlation_id ?? event.trace_id
  })
})

/** How an event ended; an intent has not. */
const statusOf = ({ authorization, error_tag, outcome, phase }: Wire) => {
  if (phase === "intent") return { status_id: 0, status: "unknown" }
  const detail = error_tag ?? (outcome === "denied" ? authorization?.reason : undefined)
  return {
    status_id: outcome === "success" ? 1 : 2,
    status: outcome,
    ...(detail === undefined ? {} : { status_detail: detail })
  }
}

/** An event as OCSF 1.8 API Activity (6003); of agents and models with the profile `ai_operation`. */
export const ocsf = (item: Item, log?: LogName | undefined) => {
  const shared = { category_uid: 6, class_uid: 6003 }
  if (item.erased) {
    const metadata = metadataOf(item, undefined, log)
    return { ...shared, activity_id: 99, type_uid: 600_399, severity_id: 1, metadata }
  }
  const { event } = item
  const activity = activities.find(([, words]) => words.test(event.action))?.[0] ?? 99
  const resources = [event.resource, ...event.related ?? []].filter((resource) => resource !== undefined)
  const ai = aiOperation(event)
  return {
    ...shared,
    activity_id: activity,
    type_uid: 600_300 + activity,
    time: Date.parse(event.occurred_at ?? event.recorded_at),
    severity_id: severities[event.severity],
    ...statusOf(event),
    ...(event.duration_ms === undefined ? {} : { duration: Math.round(event.duration_ms) }),
    metadata: { ...metadataOf(item, event), ...(ai === undefined ? {} : { profiles: ["ai_operation"] }) },
    actor: actorOf(event),
    api: { operation: event.action, request: { uid: event.request_id } },
    src_endpoint: event.client?.address === undefined
      ? { name: event.surface ?? "unknown" }
      : { ip: event.client.address.replace(/\/.*$/, "") },
    ...(resources.length === 0 ? {} : { resources: resources.map(({ id, type }) => ({ type, uid: id })) }),
    ...ai,
    unmapped: event
  }
}

/** `event.type` of ECS by the last word of the action. */
const ecsTypes: ReadonlyArray<readonly [string, RegExp]> = [
  ["creation", activities[0]![1]],
  ["access", activities[1]![1]],
  ["change", activities[2]![1]],
  ["deletion", activities[3]![1]]
]

/** An event in the Elastic Common Schema 9 (https://www.elastic.co/docs/reference/ecs). */
export const ecs = (item: Item, log?: LogName | undefined) => {
  const shared = { ecs: { version: "9.0.0" } }
  const base = { kind: "event", module: "effect-audit", id: item.eventId, sequence: item.position }
  if (item.erased) {
    const place = log === undefined ? {} : { organization: { id: log.tenantId }, service: { environment: log.env } }
    return { ...shared, event: { ...base, action: "audit.erased_event" }, ...place }
  }
  const { event } = item
  const { address } = event.client ?? {}
  const user = event.user_id ?? event.agentId
  return {
    "@timestamp": event.occurred_at ?? event.recorded_at,
    ...shared,
    event: {
      ...base,
      action: event.action,
      type: [ecsTypes.find(([, words]) => words.test(event.action))?.[0] ?? "info"],
      outcome: event.phase === "intent" ? "unknown" : event.outcome === "success" ? "success" : "failure",
      created: event.recorded_at,
      ...(event.duration_ms === undefined ? {} : { duration: Math.round(event.duration_ms * 1_000_000) })
    },
    log: { level: event.severity },
    organization: { id: event.tenantId },
    service: { environment: event.env },
    trace: { id: event.trace_id },
    ...(event.span_id === undefined ? {} : { span: { id: event.span_id } }),
    http: { request: { id: event.request_id } },
    user: { id: user, roles: [event.actor_type] },
    ...(event.error_tag === undefined ? {} : { error: { type: event.error_tag } }),
    ...(address === undefined ? {} : { source: { address } }),
    ...(event.client?.user_agent === undefined ? {} : { user_agent: { original: event.client.user_agent } }),
    related: { user: [...new Set([event.agentId, user, ...event.subject_ids ?? []])] },
    audit: event
  }
}

/**
 * An event as OCSF 1.9 (in development) API Activity: an agent stands in `ai_agent` of the profile `ai_operation`, with
 * its model, and the actor is whom it works for.
 */
export const ocsf19 = (item: Item, log?: LogName | undefined) => {
  const base = ocsf(item, log)
  const metadata = { ...base.metadata, version: "1.9.0-dev" }
  if (item.erased || item.event.actor_type !== "agent") return { ...base, metadata }
  const { agent = {}, agentId, run_id, user_id } = item.event
  const instance = agent.instance_id ?? run_id
  const model = aiModel(item.event)
  return {
    ...base,
    // It stands in `ai_agent`.
    ai_model: undefined,
    metadata,
    actor: user_id === undefined ? { app_uid: agentId } : { user: { uid: user_id, type_id: 0 } },
    ai_agent: {
      uid: agentId,
      type_id: 0,
      ...(instance === undefined ? {} : { instance_uid: instance }),
      ...(agent.version === undefined ? {} : { version: agent.version }),
      ...(model === undefined ? {} : { ai_model: model })
    }
  }
}

/** Severities of CEF, 0 to 10. */
const cefSeverities = { debug: 1, info: 3, notice: 4, warning: 6, error: 8, critical: 10 } as const

/** A field of the head of CEF: `\` and `|` are escaped, and lines end nowhere. */
const cefHead = (text: string): string => withoutControls(text.replace(/[\\|]/g, "\\$&").replace(/[\r\n]+/g, " "))
/** A value of the extension of CEF: `\`, `=` and ends of lines are escaped, other control characters become spaces. */
const cefValue = (text: string): string =>
  withoutControls(text.replace(/[\\=]/g, "\\$&").replace(/\r\n|\n/g, "\\n").replace(/\r/g, "\\r"))

/** An event as a line of CEF (ArcSight Common Event Format, version 25); the whole of it is in `cs6`. */
export const cef = (item: Item, log?: LogName | undefined): string => {
  const event = item.erased ? undefined : item.event
  const name = event === undefined ? log : { tenantId: event.tenantId, env: event.env }
  const address = event?.client?.address?.replace(/\/.*$/, "")
  const isIpv6 = address?.includes(":") === true
  const head = [
    "CEF:0",
    "effect-audit",
    "effect-audit",
    "1",
    event?.action ?? "audit.erased_event",
    event?.action ?? "erased event",
    String(event === undefined ? 3 : cefSeverities[event.severity])
  ].map(cefHead).join("|")
  const values: ReadonlyArray<readonly [string, string | number | undefined]> = [
    ["externalId", item.eventId],
    ["cn1", item.position],
    ["cn1Label", "position"],
    ["rt", event === undefined ? undefined : Date.parse(event.recorded_at)],
    ["end", event?.occurred_at === undefined ? undefined : Date.parse(event.occurred_at)],
    ["outcome", event?.phase === "intent" ? "unknown" : event?.outcome],
    ["reason", event?.error_tag],
    ["suid", event?.agentId],
    ["duid", event?.user_id],
    ["src", isIpv6 ? undefined : address],
    ["c6a2", isIpv6 ? address : undefined],
    ["c6a2Label", isIpv6 ? "Source IPv6 Address" : undefined],
    ["requestClientApplication", event?.client?.user_agent],
    ["cs1", name?.tenantId],
    ["cs1Label", name === undefined ? undefined : "tenant"],
    ["cs2", name?.env],
    ["cs2Label", name === undefined ? undefined : "env"],
    ["cs3", event?.resource === undefined ? undefined : `${event.resource.type}/${event.resource.id}`],
    ["cs3Label", event?.resource === undefined ? undefined : "resource"],
    ["cs4", event?.request_id],
    ["cs4Label", event === undefined ? undefined : "request"],
    ["cs5", event?.trace_id],
    ["cs5Label", event === undefined ? undefined : "trace"],
    ["cs6", event === undefined ? undefined : JSON.stringify(event)],
    ["cs6Label", event === undefined ? undefined : "event"]
  ]
  const extension = values.flatMap(([key, value]) => value === undefined ? [] : [`${key}=${cefValue(String(value))}`])
  return `${head}|${extension.join(" ")}`
}

/** How a format is written: what comes first, an event, and its media type. */
export const formats: {
  readonly [Name in Format]: {
    readonly head: string
    /** An event as a line; the log is what an erased event does not say. */
    readonly row: (item: Item, log?: LogName | undefined) => string
    readonly contentType: string
  }
} = {
  ndjson: { head: "", row: ndjsonRow, contentType: "application/x-ndjson" },
  csv: { head: csvHead, row: csvRow, contentType: "text/csv; charset=utf-8" },
  cloudevents: {
    head: "",
    row: (item, log) => `${JSON.stringify(cloudEvent(item, log))}\n`,
    contentType: "application/x-ndjson"
  },
  ocsf: { head: "", row: (item, log) => `${JSON.stringify(ocsf(item, log))}\n`, contentType: "application/x-ndjson" },
  "ocsf-1.9": {
    head: "",
    row: (item, log) => `${JSON.stringify(ocsf19(item, log))}\n`,
    contentType: "application/x-ndjson"
  },
  ecs: { head: "", row: (item, log) => `${JSON.stringify(ecs(item, log))}\n`, contentType: "application/x-ndjson" },
  cef: { head: "", row: (item, log) => `${cef(item, log)}\n`, contentType: "text/plain; charset=utf-8" },
  "agent-audit-trail": {
    head: "",
    row: (item) => `${JSON.stringify(agentAuditTrail(item))}\n`,
    contentType: "application/x-ndjson"
  }
}
