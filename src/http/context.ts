/** From headers and a principal to the fields of a context: the principal says who, headers add where. Pure. */
import * as Result from "effect/Result"
import { isIpv4, isIpv6 } from "../internal/address.ts"
import { parseTraceparent } from "../internal/traceparent.ts"
import type { Json } from "../RequestContext.ts"

/** Who a request is, as the application found out: a context without what only a request has. */
export interface Principal extends Omit<Json, "requestId" | "traceId" | "spanId"> {}

/** A header that cannot be meant (400), or that says something else than the principal (403). */
export interface HeaderProblem {
  readonly status: 400 | 403
  readonly header: string
  readonly detail: string
}

type Headers = { readonly [name: string]: string | undefined }

/** Headers that add to the context, and the fields that they fill. */
const adding = {
  "x-project-id": "projectId",
  "x-app-id": "appId",
  "x-surface": "surface",
  "x-surface-id": "surfaceId",
  "x-correlation-id": "correlationId",
  "x-run-id": "runId",
  "x-step-id": "stepId"
} as const

/** Headers that may repeat what the principal says, and nothing else. */
const claims: { readonly [header: string]: (principal: Principal) => string | undefined } = {
  "x-tenant-id": ({ tenantId }) => tenantId,
  "x-env": ({ env }) => env,
  "x-actor-id": ({ actor }) => "id" in actor ? actor.id : undefined,
  "x-user-id": ({ actor }) => actor.type === "human" ? actor.id : "onBehalfOf" in actor ? actor.onBehalfOf : undefined
}

const addingEntries = Object.entries(adding)
const claimNames = Object.keys(claims)
const idHeaders = ["x-request-id", ...claimNames, ...Object.keys(adding)]

const id = /^[A-Za-z0-9._:|/+=-]{1,128}$/
const idRule = "must be an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -, and be there once"

const malformed = (header: string): HeaderProblem => ({ status: 400, header, detail: `The header ${header} ${idRule}` })

/** What is wrong with the headers of a request, whoever sends it. */
export const malformedIn = (headers: Headers): HeaderProblem | undefined => {
  const header = idHeaders.find((name) => {
    const value = headers[name]
    return value !== undefined && !id.test(value)
  })
  return header === undefined ? undefined : malformed(header)
}

const contradiction = (header: string): HeaderProblem => ({
  status: 403,
  header,
  detail: `The header ${header} contradicts what the request was authenticated as`
})

/** The header that says something else than the principal. */
const contradicted = (headers: Headers, principal: Principal): HeaderProblem | undefined => {
  const claimed = claimNames.find((name) => {
    const value = headers[name]
    return value !== undefined && value !== claims[name]?.(principal)
  })
  const added = addingEntries.find(([name, field]) => {
    const [value, known] = [headers[name], principal[field]]
    return value !== undefined && known !== undefined && value !== known
  })
  const header = claimed ?? added?.[0]
  return header === undefined ? undefined : contradiction(header)
}

/** The headers of a request without those that cannot be meant, or that say something else than the principal. */
export const meant = (headers: Headers, principal: Principal): Headers =>
  Object.fromEntries(
    Object.entries(headers).filter(([name, value]) =>
      malformedIn({ [name]: value }) === undefined && contradicted({ [name]: value }, principal) === undefined
    )
  )

/** The `traceparent` of a request, if it is well-formed; a malformed one begins a new trace, as the W3C demands. */
export const traceparentOf = ({ traceparent }: Headers): string | undefined =>
  parseTraceparent(traceparent) === undefined ? undefined : traceparent

const clientOf = (principal: Principal, headers: Headers, address: string | undefined): Json["client"] => {
  const plain = address?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "")
  const userAgent = headers["user-agent"]?.slice(0, 1024)
  const client = {
    ...(plain !== undefined && (isIpv4(plain) || isIpv6(plain)) ? { address: plain } : {}),
    ...(userAgent === undefined ? {} : { userAgent }),
    ...principal.client
  }
  return Object.keys(client).length === 0 ? undefined : client
}

/** The fields of a context that a request has beside its principal. */
export const contextOf = (
  principal: Principal,
  headers: Headers,
  request: { readonly address: string | undefined; readonly newId: () => string }
): Result.Result<Omit<Json, "traceId" | "spanId">, HeaderProblem> => {
  const problem = malformedIn(headers) ?? contradicted(headers, principal)
  if (problem !== undefined) return Result.fail(problem)
  const added: Record<string, string> = {}
  for (const [name, field] of addingEntries) {
    const value = headers[name]
    if (value !== undefined) added[field] = value
  }
  const client = clientOf(principal, headers, request.address)
  return Result.succeed({
    ...principal,
    ...added,
    ...(client === undefined ? {} : { client }),
    requestId: headers["x-request-id"] ?? request.newId()
  })
}
