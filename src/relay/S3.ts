/**
 * Delivers to objects of S3, or of what speaks its protocol: gzip, one event a line, one object a batch.
 *
 * An object is named by its relay, its log and the positions that it has, so that a batch that is sent again replaces
 * itself, and nothing else. An answer of 200 says that the object is stored as durably as the bucket is. Requests are
 * signed as AWS Signature Version 4 says.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import { createHash, createHmac } from "node:crypto"
import { gzipSync } from "node:zlib"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { isOfEvents } from "./answers.ts"
import { addressOf, sender } from "./requests.ts"
import { type Batch, type DeliveryError, type Target, TooLarge, Unavailable } from "./Target.ts"

/** What requests are signed with. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken?: Redacted.Redacted | undefined
}

/** Where to, and how. */
export interface Place {
  /** The address of the service, such as `https://s3.eu-central-1.amazonaws.com`. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** What names begin with, such as `audit/`. */
  readonly prefix?: string | undefined
  /** Events of one object at most; 1,000 unless given. */
  readonly maxEvents?: number | undefined
  /** Bytes of one object at most, before it is compressed; 8 MB unless given. */
  readonly maxBytes?: number | undefined
}

/** With credentials that last, or an effect that has those of now: it is asked before each request. */
export type Options = Place & (Credentials | { readonly credentials: Effect.Effect<Credentials, unknown> })

const hash = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")
const hmac = (key: string | Uint8Array, data: string): Buffer => createHmac("sha256", key).update(data).digest()

/** A part of a path, as Signature Version 4 encodes it. */
const encoded = (part: string): string =>
  encodeURIComponent(part).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** The headers of a signed PUT (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html). */
export const signed = (
  { accessKeyId, region, secretAccessKey, sessionToken }: Credentials & Pick<Place, "region">,
  { body, headers: given, host, nowMillis, path }: {
    readonly host: string
    readonly path: string
    readonly body: Uint8Array
    /** Headers that are signed beside those of the signature, in lower case. */
    readonly headers: Readonly<Record<string, string>>
    readonly nowMillis: number
  }
): Readonly<Record<string, string>> => {
  const time = new Date(nowMillis).toISOString().replace(/[-:]|\.\d{3}/g, "")
  const date = time.slice(0, 8)
  const headers: Record<string, string> = {
    ...given,
    host,
    "x-amz-content-sha256": hash(body),
    "x-amz-date": time,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": Redacted.value(sessionToken) })
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    "PUT",
    path,
    "",
    ...names.map((name) => `${name}:${headers[name]}`),
    "",
    names.join(";"),
    headers["x-amz-content-sha256"]
  ].join("\n")
  const scope = `${date}/${region}/s3/aws4_request`
  const key = ["s3", "aws4_request"].reduce(
    hmac,
    hmac(hmac(`AWS4${Redacted.value(secretAccessKey)}`, date), region)
  )
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, hash(canonical)].join("\n")).toString("hex")
  const { host: _, ...sent } = headers
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${
      names.join(";")
    }, Signature=${signature}`
  }
}

/** The name of a batch's object: of the relay, the log, its first position and its last. */
export const nameOf = ({ events, log, relay }: Batch, prefix: string): string => {
  const [first, last] = [events[0], events.at(-1)].map((event) => String(event?.position ?? 0).padStart(12, "0"))
  return `${prefix}${relay}/${log.tenantId}/${log.env}/${first}-${last}.ndjson.gz`
}

/**
 * What an answer means: a bucket takes any object that is not too large, so what it refuses is of the request or of the
 * bucket (`ExpiredToken`, `RequestTimeout`, `OperationAborted`).
 */
const judged = (name: string) => (status: number, text: string): DeliveryError | undefined => {
  const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(text)?.[1]
  const detail = `${name} answered ${status}${code === undefined ? "" : ` (${code})`}`
  if (status === 400 && code === "EntityTooLarge") return new TooLarge({ detail })
  return isOfEvents(status) && status !== 413 ? new Unavailable({ detail }) : undefined
}

/** Makes the target. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Target, AuditError, HttpClient.HttpClient> {
  const send = yield* sender
  const endpoint = yield* addressOf("S3.make", "/endpoint", options.endpoint)
  const { bucket, maxBytes = 8_000_000, maxEvents = 1000, prefix = "" } = options
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    const reason = new InvalidInput({ path: "/bucket", detail: "is no name of a bucket" })
    return yield* new AuditError({ method: "S3.make", reason })
  }
  const { host, pathname } = new URL(endpoint)
  const base = pathname === "/" ? "" : pathname
  const name = `S3 ${bucket}`
  // What it says may hold a secret.
  const credentials = "credentials" in options
    ? Effect.mapError(options.credentials, () => new Unavailable({ detail: `${name}: there are no credentials now` }))
    : Effect.succeed(options)
  return {
    name,
    maxEvents,
    maxBytes,
    send: (batch) =>
      Effect.flatMap(Effect.zip(Clock.currentTimeMillis, credentials), ([nowMillis, given]) => {
        const path = `${base}/${bucket}/${nameOf(batch, prefix).split("/").map(encoded).join("/")}`
        const body = gzipSync(batch.events.map(({ text }) => `${text}\n`).join(""))
        const contentType = "application/gzip"
        return Effect.asVoid(send({
          name,
          method: "PUT",
          url: `${new URL(endpoint).origin}${path}`,
          headers: signed({ ...given, region: options.region }, {
            host,
            path,
            body,
            headers: { "content-type": contentType },
            nowMillis
          }),
          body,
          contentType,
          judge: judged(name)
        }))
      })
  }
})
