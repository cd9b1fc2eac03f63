/** Problem documents (RFC 9457). */
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import type { AuditError } from "../AuditError.ts"

const titles: { readonly [status: number]: string } = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage"
}

/** What a problem says. */
export interface Problem {
  readonly status: number
  readonly detail: string
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly extensions?: { readonly [name: string]: string | number } | undefined
}

/** A response with a problem document. */
export const response = ({ detail, extensions, headers, status }: Problem): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeaders(
    ProblemDetails.toResponse({ ...extensions, type: "about:blank", status, title: titles[status] ?? "Error", detail }),
    headers ?? {}
  )

/** How long a caller waits before it tries again, in seconds. */
const retryAfter = { "retry-after": "1" }

/** The problem of a request that could not be recorded, or not be read: what failed is no detail of the caller's. */
export const ofAuditError = ({ reason }: AuditError): Problem => {
  switch (reason._tag) {
    case "SinkFull":
      return { status: 507, detail: "The audit log has no room: nothing was recorded.", headers: retryAfter }
    case "InvalidInput":
    case "StripFailed":
    case "SignerRefused":
      return { status: 500, detail: "The request could not be recorded in the audit log." }
    case "NotFound":
      return { status: 404, detail: "The audit log has no such event." }
    case "InvalidCursor":
      return { status: 400, detail: reason.message }
    case "Held":
    case "Protected":
      return { status: 409, detail: reason.message }
    case "CommitUnknown":
      return { status: 503, detail: "It is not known whether the request was recorded.", headers: retryAfter }
    default:
      return { status: 503, detail: "The audit log is not available: try again.", headers: retryAfter }
  }
}
