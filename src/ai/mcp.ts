/** Requests to an MCP server as events: who called, from where, in which trace, and how it ended. */
import type * as AiError from "effect/ai/AiError"
import * as McpSchema from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { AuditError } from "../AuditError.ts"
import { type AuditDraft, AuditLogger } from "../AuditLogger.ts"
import { contextOf, type Principal, traceparentOf } from "../http/context.ts"
import { Entropy, makeUuid7 } from "../internal/entropy.ts"
import { telling } from "../internal/telling.ts"
import { anonymous, type Fields, forRequest, provide, type RequestContext } from "../RequestContext.ts"
import { failureOf, type Recorder } from "./recorder.ts"
import { Announced, begin, end } from "./toolCalls.ts"

/** A request to an MCP server, before anyone knows whose it is. */
export interface McpCall {
  /** `tools/call`, `resources/read`, `prompts/get`, `completion/complete`. */
  readonly method: McpServer.MiddlewareMethod
  /** The tool's name, the resource's address, the prompt's name. */
  readonly target: string
  /** Of an HTTP request; lower-case names. */
  readonly headers: { readonly [name: string]: string | undefined }
  /** What the client says that it is. */
  readonly client: { readonly name: string; readonly version: string } | undefined
  readonly sessionId: string | undefined
}

/** How an MCP server's requests are recorded. */
export interface McpOptions<E extends McpSchema.McpErrorBase, R> {
  /** Finds out who calls: by a token in the headers, or by whose process this is. A refusal is recorded. */
  readonly identify: (call: McpCall) => Effect.Effect<Principal, E, R>
  /** Where the refusals of requests go that are nobody's. */
  readonly anonymous: { readonly tenantId: string; readonly env: string }
}

/** What is recorded of a request that is no call of a tool. */
const actions: { readonly [method: string]: { readonly action: string; readonly type: string } | undefined } = {
  "tools/call": { action: "tool.call", type: "tool" },
  "resources/read": { action: "mcp.resource_read", type: "mcp_resource" },
  "prompts/get": { action: "mcp.prompt_get", type: "mcp_prompt" },
  "completion/complete": { action: "mcp.complete", type: "mcp_prompt" }
}

const fieldOf = (value: unknown, name: string): unknown => Predicate.hasProperty(value, name) ? value[name] : undefined

const unavailable = (_: AuditError | AiError.AiError) =>
  new McpSchema.InternalError({ message: "The request was not recorded in the audit log, so it has failed." })

const callOf = ({ headers, method, requestContext, sessionId, target }: McpServer.MiddlewareOptions): McpCall => {
  // A client without sessions says with each request what it is.
  const stated = requestContext.clientInfo ??
    fieldOf(requestContext.requestMetadata, "io.modelcontextprotocol/clientInfo")
  const [name, version] = [fieldOf(stated, "name"), fieldOf(stated, "version")]
  return {
    method,
    target,
    headers,
    client: typeof name === "string" ? { name, version: typeof version === "string" ? version : "" } : undefined,
    sessionId
  }
}

/** What is recorded of a request, whatever becomes of it. */
const draftOf = ({ client, method, sessionId, target }: McpCall): AuditDraft => {
  const { action, type } = actions[method] ?? { action: "mcp.request", type: "mcp_request" }
  return {
    action,
    resource: { type, id: target === "" ? "unnamed" : target },
    metadata: { mcp_method: method, mcp_client: client, mcp_session_id: sessionId }
  }
}

const contextFor = Effect.fnUntraced(function*(
  principal: Principal,
  { client, headers }: McpCall,
  metadata: unknown
): Effect.fn.Return<Fields, McpSchema.InvalidRequest> {
  const uuid7 = makeUuid7(yield* Entropy)
  const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  const userAgent = headers["user-agent"] ?? (client === undefined ? undefined : `${client.name}/${client.version}`)
  const read = contextOf(principal, { ...headers, "user-agent": userAgent }, {
    address: undefined,
    newId: () => uuid7(now)
  })
  if (read._tag === "Failure") return yield* new McpSchema.InvalidRequest({ message: read.failure.detail })
  const inMetadata = fieldOf(metadata, "traceparent")
  const traceparent = traceparentOf({ traceparent: typeof inMetadata === "string" ? inMetadata : undefined }) ??
    traceparentOf(headers)
  return yield* Effect.mapError(
    forRequest({ ...read.success, traceparent }),
    ({ message }) => new McpSchema.InvalidRequest({ message: `The context cannot be meant: ${message}` })
  )
})

/** Records that a request was refused, in the name of whom it is as far as that is known. */
const refusing = <E>(
  logger: Recorder["logger"],
  call: McpCall,
  principal: Principal,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | McpSchema.InternalError | McpSchema.InvalidRequest> =>
  Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : contextFor(principal, { ...call, headers: {} }, undefined)
    .pipe(
      Effect.flatMap((context) =>
        provide(context)(logger.emit({ ...draftOf(call), ...failureOf(cause), outcome: "denied" }))
      ),
      Effect.mapError((error) => error._tag === "AuditError" ? unavailable(error) : error),
      Effect.andThen(Effect.failCause(cause))
    )

/** The context of a request that was identified; what is wrong with it is the client's, or the server's own mistake. */
const identified = (
  logger: Recorder["logger"],
  call: McpCall,
  principal: Principal,
  { metadata, nobody }: { readonly metadata: unknown; readonly nobody: Principal }
): Effect.Effect<Fields, McpSchema.InternalError | McpSchema.InvalidRequest> =>
  Effect.catchCause(
    contextFor(principal, call, metadata),
    (cause) =>
      Effect.matchEffect(contextFor(principal, { ...call, headers: {} }, undefined), {
        // Headers that cannot be meant, or that say another than the principal.
        onSuccess: () => refusing(logger, call, principal, cause),
        onFailure: ({ message }) => {
          const mistake = new McpSchema.InternalError({ message: "The server cannot say in whose name this is." })
          return Effect.andThen(
            telling(Effect.logError(`identify of the MCP middleware gave a principal that is none: ${message}`)),
            refusing(logger, call, nobody, Cause.fail(mistake))
          )
        }
      })
  )

/** A call of a tool: the intent first; a toolkit that records its calls tells how it ended. */
const callTool = <E, R>(
  recorder: Recorder,
  draft: AuditDraft,
  { payload, target }: McpServer.MiddlewareOptions,
  effect: Effect.Effect<McpServer.MiddlewareSuccess, E, R>
) =>
  Effect.gen(function*() {
    const call = { name: target, params: fieldOf(payload, "arguments"), id: undefined }
    const operation = yield* Effect.mapError(begin(recorder, call, draft), unavailable)
    const announced: Announced = { operation, name: target, isRecorded: false }
    const finish = (result: Partial<AuditDraft>) =>
      announced.isRecorded ? Effect.void : Effect.mapError(Effect.asVoid(end(operation, result)), unavailable)
    const ended = yield* Effect.catchCause(
      Effect.provideService(effect, Announced, announced),
      (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : Effect.andThen(finish(failureOf(cause)), Effect.failCause(cause))
    )
    // A server does not tell its middleware what a tool has returned; a toolkit that is recorded does.
    yield* finish({ metadata: { ...draft.metadata, mcp_result: "unknown" } })
    return ended
  })

/** Anything else that is asked of a server: one event, before anyone is told of the result. */
const serve = <E, R>(
  { context, logger }: Recorder,
  draft: AuditDraft,
  { payload }: McpServer.MiddlewareOptions,
  effect: Effect.Effect<McpServer.MiddlewareSuccess, E, R>
) => {
  const record = (ended: Partial<AuditDraft>) =>
    Effect.mapError(
      provide(context)(logger.emit({ ...draft, input: fieldOf(payload, "arguments"), ...ended })),
      unavailable
    )
  return Effect.catchCause(effect, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : Effect.andThen(record(failureOf(cause)), Effect.failCause(cause))).pipe(Effect.tap(() => record({})))
}

/**
 * A middleware of an `McpServer` that builds a `RequestContext` for each request, provides it with the `AuditLogger` to
 * the tools, and records calls of tools (the intent first), reads of resources, prompts and completions. A request that
 * cannot be recorded fails. With `AuditAi.toolkit` the result of a tool is recorded as well; without it a failure that
 * a tool declares looks like success to a middleware, and is recorded with `mcp_result: "unknown"`.
 */
export const mcpMiddleware = <E extends McpSchema.McpErrorBase, R>(options: McpOptions<E, R>) =>
  McpServer.middleware<{ provides: RequestContext | AuditLogger }>()(Effect.map(
    AuditLogger,
    (logger) =>
    (
      effect: Effect.Effect<McpServer.MiddlewareSuccess, McpSchema.McpErrorBase, RequestContext | AuditLogger>,
      request: McpServer.MiddlewareOptions
    ) =>
      Effect.gen(function*() {
        const call = callOf(request)
        const nobody = { ...options.anonymous, actor: anonymous }
        const principal = yield* Effect.catchCause(
          options.identify(call),
          (cause) => refusing(logger, call, nobody, cause)
        )
        const { requestMetadata: metadata } = request.requestContext
        const context = yield* identified(logger, call, principal, { metadata, nobody })
        const draft = draftOf(call)
        const served = effect.pipe(provide(context), Effect.provideService(AuditLogger, logger))
        if (actions[request.method] === undefined) return yield* served
        return yield* request.method === "tools/call"
          ? callTool({ logger, context }, draft, request, served)
          : serve({ logger, context }, draft, request, served)
      })
  ))
