/**
 * Delivers log records by OTLP over HTTP, in JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp).
 *
 * Each record is linked with the trace and span of its event; what agents, tools and models do has OpenTelemetry's
 * `gen_ai` attributes as well. The acknowledgement is the collector's: it may keep
 * records in a queue of its own, which is lost with it unless that is on disk. Records that it rejects are found one by
 * one, since its answer only says how many.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { AuditError } from "../AuditError.ts"
import { type GenAiAttributes, genAiAttributes } from "../trail/agentEncodings.ts"
import { addressOf, jsonOf, sender } from "./requests.ts"
import { type Batch, type Outgoing, Refused, type Target, Unavailable } from "./Target.ts"

/** Where to, and how. */
export interface Options {
  /** The address of the collector, such as `http://localhost:4318`. */
  readonly url: string
  /** Headers of requests, such as `authorization`. */
  readonly headers?: Readonly<Record<string, Redacted.Redacted>> | undefined
  /** `service.name` of the resource; `effect-audit` unless given. */
  readonly service?: string | undefined
  readonly maxEvents?: number | undefined
  readonly maxBytes?: number | undefined
}

/** Severity numbers of the log data model. */
const severities = { debug: 5, info: 9, notice: 10, warning: 13, error: 17, critical: 21 } as const

const text = (key: string, value: string) => ({ key, value: { stringValue: value } })
const attribute = (key: string, value: GenAiAttributes[string]) =>
  typeof value === "string"
    ? text(key, value)
    : typeof value === "number"
    ? { key, value: { intValue: String(value) } }
    : { key, value: { arrayValue: { values: value.map((stringValue) => ({ stringValue })) } } }
/** A time, which is not negative in OTLP (`fixed64`); of an earlier one nothing is said there. */
const nanos = (time: string): string | undefined => Date.parse(time) < 0 ? undefined : `${Date.parse(time)}000000`

const recordOf = ({ eventId, item, position, text: body }: Outgoing) => {
  const attributes = [text("audit.event_id", eventId), { key: "audit.position", value: { intValue: String(position) } }]
  if (item.erased) {
    return {
      severityNumber: 9,
      severityText: "INFO",
      eventName: "audit.erased_event",
      body: { stringValue: body },
      attributes
    }
  }
  const { event } = item
  return {
    timeUnixNano: nanos(event.occurred_at ?? event.recorded_at),
    observedTimeUnixNano: nanos(event.recorded_at),
    severityNumber: severities[event.severity],
    severityText: event.severity.toUpperCase(),
    eventName: event.action,
    body: { stringValue: body },
    attributes: [
      ...attributes,
      text("audit.action", event.action),
      text("audit.outcome", event.outcome),
      text("audit.actor.type", event.actor_type),
      text("enduser.id", event.agentId),
      ...(event.resource === undefined
        ? []
        : [text("audit.resource.type", event.resource.type), text("audit.resource.id", event.resource.id)]),
      ...Object.entries(genAiAttributes(event)).map(([key, value]) => attribute(key, value))
    ],
    ...(/^[0-9a-f]{32}$/.test(event.trace_id) ? { traceId: event.trace_id } : {}),
    ...(event.span_id !== undefined && /^[0-9a-f]{16}$/.test(event.span_id) ? { spanId: event.span_id } : {})
  }
}

/** The request of a batch. */
export const requestOf = ({ events, log }: Batch, service: string) => ({
  resourceLogs: [{
    resource: {
      attributes: [
        text("service.name", service),
        text("deployment.environment.name", log.env),
        text("audit.tenant", log.tenantId)
      ]
    },
    scopeLogs: [{ scope: { name: "effect-audit" }, logRecords: events.map(recordOf) }]
  }]
})

/** Makes the target. */
export const make = Effect.fnUntraced(function*(
  { headers = {}, maxBytes = 2_000_000, maxEvents = 500, service = "effect-audit", url: address }: Options
): Effect.fn.Return<Target, AuditError, HttpClient.HttpClient> {
  const send = yield* sender
  const url = yield* addressOf("Otlp.make", "/url", address)
  return {
    name: "OTLP",
    maxEvents,
    maxBytes,
    send: (batch) =>
      Effect.flatMap(
        send({
          name: "OTLP",
          url: `${url}/v1/logs`,
          headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Redacted.value(value)])),
          body: Buffer.from(JSON.stringify(requestOf(batch, service))),
          contentType: "application/json",
          // A collector says at least `{}` (OTLP, "Full Success"); some say nothing.
          judge: (status, answer) =>
            status >= 200 && status < 300 && answer.trim() !== "" && !answer.trimStart().startsWith("{")
              ? new Unavailable({ detail: "OTLP: the answer is no response of a collector" })
              : undefined
        }),
        (answer) => {
          const { partialSuccess } = jsonOf(answer)
          const { rejectedLogRecords = 0 }: { readonly rejectedLogRecords?: unknown } =
            typeof partialSuccess === "object" && partialSuccess !== null ? { ...partialSuccess } : {}
          return Number(rejectedLogRecords) > 0
            ? Effect.fail(new Refused({ detail: `the collector rejected ${Number(rejectedLogRecords)} records` }))
            : Effect.void
        }
      )
  }
})
