/** Requests to a target over the application's `HttpClient`, and what comes back means for a delivery. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
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
}

/** Sends one request; succeeds with the text of a good answer. */
export type Send = (sending: Sending) => Effect.Effect<string, DeliveryError>

/** Sends over the client of the context. */
export const sender: Effect.Effect<Send, never, HttpClient.HttpClient> = Effect.map(
  HttpClient.HttpClient,
  (client): Send => ({ body, contentType, headers, method = "POST", name, timeout = "15 seconds", url }) => {
    const request = HttpClientRequest.make(method)(url).pipe(
      HttpClientRequest.setHeaders(headers),
      HttpClientRequest.bodyUint8Array(body, contentType)
    )
    const answer = Effect.flatMap(client.execute(request), (response) =>
      Effect.map(response.text, (text) => ({
        text,
        status: response.status,
        retryAfter: response.headers["retry-after"]
      })))
    return answer.pipe(
      // The request may hold a token: what the client says of it is not told.
      Effect.mapError(({ reason }) => new Unavailable({ detail: `${name} cannot be reached (${reason._tag})` })),
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
          const error = errorOf(name, answer, now)
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
