/**
 * Delivers to a URL: batches by POST, signed as Standard Webhooks (https://www.standardwebhooks.com) says.
 *
 * Any status from 200 to 299 acknowledges the whole batch. The id of a message is made of its first and last event: the
 * same when the same events are sent again. A batch that is tried again may have grown; the event ids in it are the
 * keys for whoever must not count twice.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"
import { validateHeaderName, validateHeaderValue } from "node:http"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { pointer } from "../internal/json.ts"
import { errorOf } from "./answers.ts"
import { post } from "./outbound.ts"
import { isJson } from "./requests.ts"
import type { Batch, Target } from "./Target.ts"

/** Where to, and how. */
export interface Options {
  readonly url: string
  /**
   * `whsec_` and 24 to 64 bytes in base64; from `Config.Redacted`. Several sign beside each other while one replaces
   * another.
   */
  readonly secret: Redacted.Redacted | ReadonlyArray<Redacted.Redacted>
  /** `json`, an array of events, or `ndjson`, one a line; the first unless given. */
  readonly body?: "json" | "ndjson" | undefined
  /** Events of one message at most; 250 unless given. */
  readonly maxEvents?: number | undefined
  /** Bytes of one message at most; 1 MB unless given. */
  readonly maxBytes?: number | undefined
  /** Whether addresses of private networks, and `http:`, are allowed; not unless given. */
  readonly allowPrivateNetworks?: boolean | undefined
  /** How long an answer is waited for; 15 seconds unless given. */
  readonly timeout?: Duration.Input | undefined
  /** Headers beside those of the signature. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const refuse = (path: string, detail: string) =>
  new AuditError({ method: "Webhook.make", reason: new InvalidInput({ path, detail }) })

/** The bytes of a secret. */
const keyOf = (secret: Redacted.Redacted): Uint8Array | undefined => {
  const [, text] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(Redacted.value(secret)) ?? []
  const bytes = text === undefined ? undefined : Buffer.from(text, "base64")
  return bytes !== undefined && bytes.length >= 24 && bytes.length <= 64 ? bytes : undefined
}

/** The signature of a message: of its id, the second that it is sent in, and its body. */
export const signature = (keys: ReadonlyArray<Uint8Array>, id: string, seconds: number, body: Uint8Array): string =>
  keys.map((key) => `v1,${createHmac("sha256", key).update(`${id}.${seconds}.`).update(body).digest("base64")}`).join(
    " "
  )

/** The id of a message. */
export const idOf = ({ events }: Batch): string => {
  const [first, last] = [events[0], events.at(-1)]
  return first === undefined || first === last ? `msg_${first?.eventId ?? ""}` : `msg_${first.eventId}_${last?.eventId}`
}

/** The body of a message. */
const bodyOf = ({ events }: Batch, body: "json" | "ndjson"): Uint8Array =>
  Buffer.from(
    body === "json"
      ? `[${events.map(({ text }) => isJson(text) ? text : JSON.stringify(text)).join(",")}]`
      : events.map(({ text }) => `${text}\n`).join("")
  )

/** Headers that say how a message is sent, or that the signature has. */
const ownHeaders =
  /^(?:host|connection|content-(?:length|type)|transfer-encoding|expect|upgrade|te|trailer|webhook-.*)$/i

/** Why headers cannot be sent, if so: the first one's place. */
const headersProblem = (headers: Readonly<Record<string, string>>): AuditError | undefined => {
  for (const [name, value] of Object.entries(headers)) {
    const path = pointer(["headers", name])
    if (ownHeaders.test(name)) return refuse(path, "is a header that the relay sets")
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      return refuse(path, "is no header, or holds what no header may")
    }
  }
  return undefined
}

/** Checks the options and makes the target; nothing is sent. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Target, AuditError> {
  const { allowPrivateNetworks = false, body = "json", headers = {}, maxBytes = 1_000_000, maxEvents = 250 } = options
  const url = URL.parse(options.url)
  if (url === null || !/^https?:$/.test(url.protocol)) return yield* refuse("/url", "is no https: address")
  if (url.protocol === "http:" && !allowPrivateNetworks) {
    return yield* refuse("/url", "must be https:, unless private networks are allowed")
  }
  if (url.username !== "" || url.password !== "") {
    return yield* refuse("/url", "holds a name or a password: the signature says who sends")
  }
  const problem = headersProblem(headers)
  if (problem !== undefined) return yield* problem
  const secrets = Redacted.isRedacted(options.secret) ? [options.secret] : options.secret
  const keys = secrets.flatMap((secret) => keyOf(secret) ?? [])
  if (keys.length === 0 || keys.length < secrets.length) {
    return yield* refuse("/secret", "must be whsec_ and 24 to 64 bytes in base64")
  }
  const name = `webhook ${url.host}`
  const timeoutMillis = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "15 seconds"))
  return {
    name,
    maxEvents,
    maxBytes,
    send: (batch) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const seconds = Math.floor(now / 1000)
        const bytes = bodyOf(batch, body)
        const id = idOf(batch)
        return Effect.flatMap(
          post({
            url,
            timeoutMillis,
            allowPrivate: allowPrivateNetworks,
            body: bytes,
            headers: {
              ...headers,
              "content-type": body === "json" ? "application/json" : "application/x-ndjson",
              "webhook-id": id,
              "webhook-timestamp": String(seconds),
              "webhook-signature": signature(keys, id, seconds, bytes)
            }
          }),
          (answer) => {
            const error = errorOf(name, answer, now)
            return error === undefined ? Effect.void : Effect.fail(error)
          }
        )
      })
  }
})
