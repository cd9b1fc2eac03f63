/**
 * Delivers to Elasticsearch or OpenSearch by the bulk API, with `create` and `event_id` as the id of the document.
 *
 * What is there already counts as delivered, so that nothing is there twice. The answer says of each event whether it
 * was taken: written to the primary shard and to those of its replicas that are in sync.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import { AuditError, InvalidInput } from "../AuditError.ts"
import type { Item } from "../trail/page.ts"
import { isOfEvents } from "./answers.ts"
import { addressOf, isJson, jsonOf, sender } from "./requests.ts"
import { type Batch, type DeliveryError, type Outgoing, Refused, type Target, Unavailable } from "./Target.ts"

/** Where to, and how. */
export interface Options {
  /** The address of the cluster. */
  readonly url: string
  /** An API key as it was given: `base64(id:key)`. */
  readonly apiKey: Redacted.Redacted
  /** An index or data stream; `audit` unless given. */
  readonly index?: string | undefined
  readonly maxEvents?: number | undefined
  readonly maxBytes?: number | undefined
}

/** The status of an item of the answer, and the type of its error: what the error says may hold values. */
const resultOf = (item: unknown): { readonly status: number; readonly type: string } => {
  const [result] = typeof item === "object" && item !== null ? Object.values(item) : []
  const { error, status }: { readonly error?: unknown; readonly status?: unknown } =
    typeof result === "object" && result !== null ? { ...result } : {}
  const { type }: { readonly type?: unknown } = typeof error === "object" && error !== null ? { ...error } : {}
  return { status: typeof status === "number" ? status : 0, type: typeof type === "string" ? type : "unknown" }
}

/** What an answer of the bulk API says of a batch. */
const judged = ({ events }: Batch, text: string): Effect.Effect<void, DeliveryError> => {
  const { items } = jsonOf(text)
  if (!Array.isArray(items) || items.length !== events.length) {
    return Effect.fail(
      new Unavailable({ detail: "Elastic answered something else than the results of a bulk request" })
    )
  }
  const refused: Array<number> = []
  let type = ""
  for (const [at, item] of items.entries()) {
    const result = resultOf(item)
    // A conflict: it is there already.
    if ((result.status >= 200 && result.status < 300) || result.status === 409) continue
    // A right that the key has not, an index that is not there, a cluster that takes nothing now.
    if (!isOfEvents(result.status)) {
      return Effect.fail(new Unavailable({ detail: `Elastic answered ${result.status} for an event (${result.type})` }))
    }
    refused.push(events[at]?.position ?? -1)
    type = result.type
  }
  return refused.length === 0
    ? Effect.void
    : Effect.fail(new Refused({ detail: `Elastic refused it (${type})`, positions: refused }))
}

/** The document of an event, with the time that a data stream asks for. */
const documentOf = ({ item, text }: Outgoing, now: number): string => {
  if (!isJson(text)) return JSON.stringify({ "@timestamp": timeOf(item, now), message: text })
  return text.startsWith("{\"@timestamp\":")
    ? text
    : `{"@timestamp":${JSON.stringify(timeOf(item, now))},${text.slice(1)}`
}
/** When it was; of an erased event that is not known, and it is the time of its delivery. */
const timeOf = (item: Item, now: number): string =>
  item.erased ? new Date(now).toISOString() : item.event.occurred_at ?? item.event.recorded_at

/** Makes the target. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Target, AuditError, HttpClient.HttpClient> {
  const send = yield* sender
  const url = yield* addressOf("Elastic.make", "/url", options.url)
  const { apiKey, index = "audit", maxBytes = 5_000_000, maxEvents = 500 } = options
  if (!/^[a-z0-9][a-z0-9._-]{0,254}$/.test(index)) {
    const reason = new InvalidInput({ path: "/index", detail: "is no name of an index" })
    return yield* new AuditError({ method: "Elastic.make", reason })
  }
  return {
    name: "Elastic",
    maxEvents,
    maxBytes,
    send: (batch) =>
      Effect.flatMap(
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          send({
            name: "Elastic",
            url: `${url}/${index}/_bulk`,
            headers: { authorization: `ApiKey ${Redacted.value(apiKey)}` },
            body: Buffer.from(
              batch.events.map((event) =>
                `${JSON.stringify({ create: { _id: event.eventId } })}\n${documentOf(event, now)}\n`
              ).join("")
            ),
            contentType: "application/x-ndjson"
          })),
        (text) => judged(batch, text)
      )
  }
})
