/**
 * Delivers to the log intake of Datadog (https://docs.datadoghq.com/api/latest/logs/#send-logs).
 *
 * An answer of 202 says that logs were accepted for processing. A log of more than 1 MB is cut there without a word, so
 * it is not sent, and parked; the time of what is older than 18 hours is lost there, and stands in the event.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { AuditError } from "../AuditError.ts"
import { addressOf, sender } from "./requests.ts"
import type { Batch, Outgoing, Target } from "./Target.ts"

/** Where to, and how. */
export interface Options {
  readonly apiKey: Redacted.Redacted
  /** `datadoghq.com` unless given; or the address of an intake, such as `https://http-intake.logs.datadoghq.eu`. */
  readonly site?: string | undefined
  /** `effect-audit` unless given. */
  readonly service?: string | undefined
  /** Tags of every log, such as `team:security`. */
  readonly tags?: ReadonlyArray<string> | undefined
}

const statuses = {
  debug: "debug",
  info: "info",
  notice: "notice",
  warning: "warn",
  error: "error",
  critical: "critical"
}

const logOf = ({ service = "effect-audit", tags = [] }: Options, { log }: Batch) =>
(
  { eventId, item, position, text }: Outgoing
) => ({
  ddsource: "effect-audit",
  ddtags: [`env:${log.env}`, `tenant:${log.tenantId}`, ...tags].join(","),
  service,
  hostname: log.tenantId,
  status: item.erased ? "info" : statuses[item.event.severity],
  event_id: eventId,
  position,
  message: text
})

/** Makes the target. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Target, AuditError, HttpClient.HttpClient> {
  const send = yield* sender
  const { apiKey, site = "datadoghq.com" } = options
  const url = yield* addressOf(
    "Datadog.make",
    "/site",
    site.includes("://") ? site : `https://http-intake.logs.${site}`
  )
  return {
    name: "Datadog",
    maxEvents: 1000,
    maxBytes: 4_000_000,
    maxEventBytes: 900_000,
    send: (batch) =>
      Effect.asVoid(send({
        name: "Datadog",
        url: `${url}/api/v2/logs`,
        headers: { "dd-api-key": Redacted.value(apiKey) },
        body: Buffer.from(JSON.stringify(batch.events.map(logOf(options, batch)))),
        contentType: "application/json"
      }))
  }
})
