/** Requests to a target over the application's `HttpClient`, and what comes back means for a delivery. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RequestInit } from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { AuditError, InvalidInput } from "../AuditError.ts"
import { errorOf } from "./answers.ts"
import { type DeliveryError, Unavailable } from "./Target.ts"

/** What is sent, and what it is called in messages. */
export interface Sending {
  readonly name: string
  readonly method?: "POST" | "PUT" | undefined
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly contentType: string
  /** How long an answer is waited for; 15 seconds unless given. */
  readonly timeout?: Duration.Input | undefined
  /** What an answer means by what it says; where it says nothing of that, its status decides. */
  readonly judge?: ((status: number, text: string) => DeliveryError | undefined) | undefined
}

/** Sends one request; succeeds with the text of a good answer. */
export type Send = (sending: Sending) => Effect.Effect<string, DeliveryError>

/** What is read of an answer at most, in bytes: a batch has some hundreds for each of its events. */
const longestAnswer = 8_000_000

/** The text of an answer that is not too long. */
const textOf = (name: string, response: HttpClientResponse.HttpClientResponse) => {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  const reading = Stream.runForEach(response.stream, (chunk) => {
    chunks.push(chunk)
    bytes += chunk.length
    return bytes > longestAnswer
      ? Effect.fail(new Unavailable({ detail: `${name} answered with more than ${longestAnswer} bytes` }))
      : Effect.void
  })
  // Some clients call an answer without a body (204, 205) an error.
  const read = Effect.catchIf(
    reading,
    (error) => error._tag !== "Unavailable" && error.reason._tag === "EmptyBodyError",
    () => Effect.void
  )
  return Effect.map(read, () => Buffer.concat(chunks).toString())
}

/** A client that follows no redirect: one that is followed loses the body, or takes it and its keys elsewhere. */
const unredirected = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Effect.serviceOption(RequestInit),
    (given) => Effect.provideService(effect, RequestInit, { ...Option.getOrUndefined(given), redirect: "manual" })
  )

/** Sends over the client of the context. */
export const sender: Effect.Effect<Send, never, HttpClient.HttpClient> = Effect.map(
  HttpClient.HttpClient,
  (client): Send => ({ body, contentType, headers, judge, method = "POST", name, timeout = "15 seconds", url }) => {
    const request = HttpClientRequest.make(method)(url).pipe(
      HttpClientRequest.setHeaders(headers),
      HttpClientRequest.bodyUint8Array(body, contentType)
    )
    const answer = Effect.flatMap(
      unredirected(client.execute(request)),
      (response) =>
        Effect.map(textOf(name, response), (text) => ({
          text,
          status: response.status,
          retryAfter: response.headers["retry-after"]
        }))
    )
    return answer.pipe(
      // The request may hold a token: what the client says of it is not told.
      Effect.mapError((error) =>
        error._tag === "Unavailable"
          ? error
          : new Unavailable({ detail: `${name} cannot be reached (${error.reason._tag})` })
      ),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () =>
          Effect.fail(
            new Unavailable({
              detail: `${name} did not answer within ${Duration.format(Duration.fromInputUnsafe(timeout))}`
            })
          )
      }),
      Effect.flatMap((answer) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const error = judge?.(answer.status, answer.text) ?? errorOf(name, answer, now)
          return error === undefined ? Effect.succeed(answer.text) : Effect.fail(error)
        })
      )
    )
  }
)

/** Whether an event is written as JSON: all formats but CEF are. */
export const isJson = (text: string): boolean => text.startsWith("{")

/** The JSON of an answer; empty where it is something else. */
export const jsonOf = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === "object" && json !== null ? { ...json } : {}
  } catch {
    return {}
  }
}

/** The address of a target, without a slash at its end; refused where it is not one, or holds a password. */
export const addressOf = (method: string, path: string, text: string): Effect.Effect<string, AuditError> => {
  const url = URL.parse(text)
  const detail = url === null || !/^https?:$/.test(url.protocol)
    ? "is no address of http: or https:"
    : url.password === ""
    ? undefined
    : "holds a password: give it as a secret of its own"
  return detail === undefined
    ? Effect.succeed(text.replace(/\/+$/, ""))
    : Effect.fail(new AuditError({ method, reason: new InvalidInput({ path, detail }) }))
}
