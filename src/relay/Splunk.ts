/**
 * Delivers to the HTTP Event Collector of Splunk (https://help.splunk.com, "Format events for HTTP Event Collector").
 *
 * An answer of 200 says that events were accepted, before they are indexed, and they may still be lost then. With
 * `acknowledge` the relay waits until the indexers say so, where the token has that on: Splunk Enterprise, not Cloud.
 * `event_id` is an indexed field, by which what came twice is told.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { AuditError } from "../AuditError.ts"
import { addressOf, isJson, jsonOf, type Send, sender } from "./requests.ts"
import { type Batch, type DeliveryError, type Outgoing, type Target, Unavailable } from "./Target.ts"

/** Where to, and how. */
export interface Options {
  /** The address of the collector, such as `https://splunk.example.com:8088`. */
  readonly url: string
  readonly token: Redacted.Redacted
  readonly index?: string | undefined
  readonly source?: string | undefined
  /** `effect-audit` unless given. */
  readonly sourcetype?: string | undefined
  /** Waits for the indexers, for so long at most: the id of a channel, a UUID of the relay's own. */
  readonly acknowledge?: { readonly channel: string; readonly within?: Duration.Input | undefined } | undefined
  readonly maxEvents?: number | undefined
  readonly maxBytes?: number | undefined
}

const eventOf =
  ({ index, source, sourcetype = "effect-audit" }: Options, { log }: Batch) =>
  ({ eventId, item, position, text }: Outgoing): string =>
    JSON.stringify({
      ...(item.erased ? {} : { time: Date.parse(item.event.occurred_at ?? item.event.recorded_at) / 1000 }),
      host: `${log.tenantId}/${log.env}`,
      source: source ?? "effect-audit",
      sourcetype,
      ...(index === undefined ? {} : { index }),
      event: isJson(text) ? JSON.parse(text) : text,
      fields: { event_id: eventId, position, tenant: log.tenantId, env: log.env }
    })

/**
 * Codes that say something of the token, the index or the channel rather than of the events: of a wrong index (7), a
 * channel that is missing or wrong (10, 11), acknowledgements that are off (14).
 */
const ofTarget = new Set([7, 10, 11, 14])

/** What an answer means: taken is what has the code 0. */
const judged = (status: number, text: string): DeliveryError | undefined => {
  const { code } = jsonOf(text)
  const detail = `Splunk answered ${status} (code ${typeof code === "number" ? code : "missing"})`
  if (status >= 200 && status < 300) return code === 0 ? undefined : new Unavailable({ detail })
  return typeof code === "number" && ofTarget.has(code) ? new Unavailable({ detail }) : undefined
}

/** Asks until the indexers have taken a message. */
const acknowledged = Effect.fnUntraced(function*(
  send: Send,
  { token, url }: Options & { readonly url: string },
  { channel, within = "30 seconds" }: NonNullable<Options["acknowledge"]>,
  ackId: number
): Effect.fn.Return<void, DeliveryError> {
  const asking: Effect.Effect<void, DeliveryError> = Effect.flatMap(
    send({
      name: "Splunk",
      url: `${url}/services/collector/ack?channel=${encodeURIComponent(channel)}`,
      headers: { authorization: `Splunk ${Redacted.value(token)}`, "x-splunk-request-channel": channel },
      body: Buffer.from(JSON.stringify({ acks: [ackId] })),
      contentType: "application/json"
    }),
    (text) => {
      const { acks } = jsonOf(text)
      const isDone = typeof acks === "object" && acks !== null &&
        Object.entries(acks).some(([id, done]) => id === String(ackId) && done === true)
      return isDone ? Effect.void : Effect.andThen(Effect.sleep(500), asking)
    }
  )
  yield* Effect.timeoutOrElse(asking, {
    duration: within,
    orElse: () => Effect.fail(new Unavailable({ detail: "Splunk has not indexed the events in time" }))
  })
})

/** Makes the target. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Target, AuditError, HttpClient.HttpClient> {
  const send = yield* sender
  const url = yield* addressOf("Splunk.make", "/url", options.url)
  const { acknowledge, maxBytes = 1_000_000, maxEvents = 500, token } = options
  return {
    name: "Splunk",
    maxEvents,
    maxBytes,
    send: (batch) =>
      Effect.flatMap(
        send({
          name: "Splunk",
          url: `${url}/services/collector/event`,
          headers: {
            authorization: `Splunk ${Redacted.value(token)}`,
            ...(acknowledge === undefined ? {} : { "x-splunk-request-channel": acknowledge.channel })
          },
          body: Buffer.from(batch.events.map(eventOf(options, batch)).join("\n")),
          contentType: "application/json",
          judge: judged
        }),
        (text) => {
          if (acknowledge === undefined) return Effect.void
          const { ackId } = jsonOf(text)
          return typeof ackId === "number"
            ? acknowledged(send, { ...options, url }, acknowledge, ackId)
            : Effect.fail(new Unavailable({ detail: "Splunk gives no acknowledgements: the token has them off" }))
        }
      )
  }
})
