/**
 * Who acts, for which tenant, in which request.
 *
 * `RequestContext` is the first half of every event: what the caller cannot forget and cannot fake. It is a required
 * service without a default, so an effect that records events does not run until a context was provided. Build one
 * where a request or a job enters the process (`forRequest`, `forJob`, or `decode` from JSON) and provide it around the
 * work.
 *
 * **Gotchas**
 *
 * The trace is fixed when the context is built: the incoming W3C `traceparent`, else the active span's, else the
 * request id. The span of an event is the one active when it is emitted, if it belongs to that trace.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { isIpv4, isIpv6 } from "./internal/address.ts"
import { claimed, onwards, personOf } from "./internal/delegation.ts"
import {
  envPattern,
  idPattern,
  noAddressPattern,
  tenantIdPattern,
  traceIdPattern,
  versionPattern
} from "./internal/patterns.ts"
import { parseTraceparent } from "./internal/traceparent.ts"

/** 1 to 128 of `A-Z a-z 0-9 . _ : -`, beginning with a letter or digit: `acme`, `org_2abCdE`, `t_acme`. */
export const TenantId = Schema.String.check(
  Schema.isPattern(tenantIdPattern, {
    expected: "a tenant id: 1 to 128 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit"
  })
).pipe(Schema.brand("TenantId"))
export type TenantId = typeof TenantId.Type

/** The deployment stage: `dev`, `staging`, `prod`, ... */
export const Env = Schema.String.check(
  Schema.isPattern(envPattern, { expected: "an env: a letter, then a-z 0-9 _ -, at most 32 characters" })
).pipe(Schema.brand("Env"))
export type Env = typeof Env.Type

/** The log of a tenant and env. */
export const LogName = Schema.Struct({ tenantId: TenantId, env: Env })
export type LogName = typeof LogName.Type

/** How the product is operated for the tenant. */
export const Mode = Schema.Literals(["saas", "enterprise", "lab"])
export type Mode = typeof Mode.Type

/** An id of the context: 1 to 128 of `A-Z a-z 0-9 . _ : | / + = -`. An e-mail address is not an id. */
export const Id = Schema.String.check(
  Schema.isPattern(idPattern, { expected: "an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -" })
).pipe(Schema.brand("Id"))
export type Id = typeof Id.Type
const isId = Schema.is(Id)

/** A trace id: 1 to 128 printable ASCII characters. W3C ids have 32 hexadecimal digits. */
export const TraceId = Schema.String.check(
  Schema.isPattern(traceIdPattern, { expected: "a trace id: 1 to 128 printable ASCII characters" })
).pipe(Schema.brand("TraceId"))
export type TraceId = typeof TraceId.Type

/** A version or a model: 1 to 128 of `A-Z a-z 0-9 . _ : | / + = @ -`, but no e-mail address. */
export const Version = Schema.String.check(
  Schema.isPattern(versionPattern, {
    expected: "a version or model: 1 to 128 of A-Z a-z 0-9 . _ : | / + = @ -, and no e-mail address"
  })
)

/** What may act. `anonymous` was not authenticated: a refused log-in, a public page. */
export const ActorType = Schema.Literals(["human", "agent", "system", "tool", "anonymous"])
export type ActorType = typeof ActorType.Type

/** Someone or something that acts, by its type and id. */
export const Party = Schema.Struct({ type: ActorType, id: Id })
export type Party = typeof Party.Type
export type PartyInput = typeof Party.Encoded

const software = {
  id: Id,
  /** The person for whom it acts. */
  onBehalfOf: Schema.optional(Id),
  version: Schema.optional(Version),
  model: Schema.optional(Version),
  /** Which of several that run side by side. */
  instanceId: Schema.optional(Id)
}

/** Who acts. An agent or a tool may act on behalf of a person. */
export const Actor = Schema.Union([
  Schema.Struct({ type: Schema.tag("human"), id: Id }),
  Schema.Struct({ type: Schema.tag("agent"), ...software }),
  Schema.Struct({ type: Schema.tag("system") }),
  Schema.Struct({ type: Schema.tag("tool"), ...software }),
  Schema.Struct({ type: Schema.tag("anonymous") })
])
export type Actor = typeof Actor.Type

const isAddress = (text: string): boolean => {
  const [address = "", zone, ...more] = text.split("%")
  return more.length === 0 && (zone === undefined || /^[A-Za-z0-9._-]{1,32}$/.test(zone)) &&
    (isIpv6(address) || (zone === undefined && isIpv4(address)))
}

/** From where the request came. Of the address the PII policy keeps the network, unless it says otherwise. */
export const Client = Schema.Struct({
  /** An IPv4 or IPv6 address, as a socket has it. */
  address: Schema.optional(Schema.String.check(
    Schema.makeFilter((text) => isAddress(text), { expected: "an IPv4 or IPv6 address" })
  )),
  /** At most 1,024 characters. */
  userAgent: Schema.optional(Schema.String.check(Schema.isMaxLength(1024)))
})
export type Client = typeof Client.Type

/** The context's fields, decoded. `mode` is `saas` and the trace is the request id unless given. */
export const Fields = Schema.Struct({
  tenantId: TenantId,
  env: Env,
  mode: Mode,
  projectId: Schema.optional(Id),
  appId: Schema.optional(Id),
  surface: Schema.optional(Id),
  surfaceId: Schema.optional(Id),
  actor: Actor,
  /** When there is more than one hop: from the one who acts now outwards, as RFC 8693 nests `act`; at most 16. */
  delegation: Schema.optional(Schema.Array(Party).check(Schema.isMaxLength(16))),
  client: Schema.optional(Client),
  requestId: Id,
  correlationId: Schema.optional(Id),
  traceId: TraceId,
  spanId: Schema.optional(Id),
  runId: Schema.optional(Id),
  stepId: Schema.optional(Id)
})
export type Fields = typeof Fields.Type

/** The JSON form: as `Fields`, where `mode` and `traceId` may be left out. Unknown fields are refused. */
export const Json = Schema.Struct({
  ...Fields.fields,
  mode: Schema.optional(Mode),
  // Stored events may have others.
  traceId: Schema.optional(
    TraceId.check(Schema.isPattern(noAddressPattern, { expected: "a trace id, and no e-mail address" }))
  )
})
export type Json = typeof Json.Encoded

/** The context of the current request. No default: an effect that records events cannot run without one. */
export class RequestContext extends Context.Service<RequestContext, Fields>()("effect-audit/RequestContext") {}

/** A person acts. */
export const human = (id: string) => ({ type: "human" as const, id })
/** What acts, beyond its id: a program's version, a model, which of several that run side by side. */
export interface About {
  readonly version?: string | undefined
  readonly model?: string | undefined
  readonly instanceId?: string | undefined
}
/** An agent acts, of itself or for a person. */
export const agent = (id: string, onBehalfOf?: string | undefined, about?: About | undefined) =>
  onBehalfOf === undefined
    ? { type: "agent" as const, id, ...about }
    : { type: "agent" as const, id, onBehalfOf, ...about }
/** A tool acts, of itself or for a person. */
export const tool = (id: string, onBehalfOf?: string | undefined, about?: About | undefined) =>
  onBehalfOf === undefined
    ? { type: "tool" as const, id, ...about }
    : { type: "tool" as const, id, onBehalfOf, ...about }
/** The system acts: a scheduled job, a migration. */
export const system = { type: "system" as const }
/** Someone acts who was not authenticated: a refused log-in, a public page. */
export const anonymous = { type: "anonymous" as const }

const decodeJson = Schema.decodeUnknownResult(Json, { onExcessProperty: "error", errors: "all" })
const checked = new WeakSet<object>()

/** What a context holds besides texts. */
const partsOf = ({ actor, client, delegation }: Pick<Fields, "actor" | "client" | "delegation">) => [
  actor,
  client,
  delegation,
  ...delegation ?? []
]

const complete = (json: typeof Json.Type, traceId: string): Fields => {
  const fields = freeze({
    ...json,
    mode: json.mode ?? "saas",
    traceId: json.traceId ?? TraceId.make(traceId)
  })
  checked.add(fields)
  return fields
}

/** A value whose keys may be named in an error: what is no name of a field may be personal data, and is replaced. */
const named = (value: unknown, depth = 0): unknown =>
  Array.isArray(value) && depth < 3
    ? value.slice(0, 32).map((item) => named(item, depth + 1))
    : typeof value === "object" && value !== null && depth < 4
    ? Object.fromEntries(
      Object.entries(value).map((
        [key, field]
      ) => [/^[A-Za-z_]{1,32}$/.test(key) ? key : "[key]", named(field, depth + 1)])
    )
    : value

/** Reads a context from its JSON form; the error names the field, never its value, and no personal data in a key. */
export const decodeResult = (input: unknown): Result.Result<RequestContext["Service"], Schema.SchemaError> => {
  const read = decodeJson(input)
  const json = read._tag === "Success" ? read : decodeJson(named(input))
  return Result.map(json, (json) => complete(json, json.requestId))
}

/** As `decodeResult`, as an effect. */
export const decode = (input: unknown): Effect.Effect<RequestContext["Service"], Schema.SchemaError> =>
  Effect.suspend(() => Effect.fromResult(decodeResult(input)))

/** What a request brings with it. */
export interface RequestOptions extends Omit<Json, "traceId" | "spanId"> {
  /** The incoming W3C `traceparent` header, if there is one. An ill-formed one is ignored, as the W3C demands. */
  readonly traceparent?: string | undefined
}

/**
 * Builds the context of a request, with the trace of its `traceparent`, else of the active span, else its request id.
 */
export const forRequest = (options: RequestOptions): Effect.Effect<RequestContext["Service"], Schema.SchemaError> =>
  Effect.withFiber((fiber) => {
    const { traceparent, ...json } = options
    const active = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    const ids = parseTraceparent(traceparent) ??
      (active === undefined ? {} : { traceId: active.traceId, spanId: active.spanId })
    return decode({ ...json, ...ids })
  })

/**
 * What a job brings with it: the system acts unless told otherwise, and the run is the request unless it has its own
 * id.
 */
export interface JobOptions extends Omit<RequestOptions, "actor" | "requestId" | "runId"> {
  readonly actor?: Json["actor"] | undefined
  readonly runId: string
  readonly requestId?: string | undefined
}

/** Builds the context of a job: a scheduled run, a queue consumer, a migration. */
export const forJob = (options: JobOptions): Effect.Effect<RequestContext["Service"], Schema.SchemaError> =>
  forRequest({ ...options, actor: options.actor ?? system, requestId: options.requestId ?? options.runId })

/** Runs an effect in a context. */
export const provide: {
  (context: RequestContext["Service"]): <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, Exclude<R, RequestContext>>
} = (context) => Effect.provideService(RequestContext, context)

/** What a run of an agent adds to the context that it begins in. */
export interface AgentRunOptions extends About {
  /** The agent's id. */
  readonly id: string
  /** What groups the events of this run. */
  readonly runId: string
  /** The person for whom it acts; whom the context acts for unless given. */
  readonly onBehalfOf?: string | undefined
  /**
   * The `act` claim of the token that the agent acts with (RFC 8693, section 4.1): `{ sub, act: { sub, ... } }`, from
   * the one who acts now to the first. Where the context is an agent's or a tool's, it is that chain unless given.
   */
  readonly act?: unknown
}

/** A context with other fields; one that was checked, and of which only the step changes, is not checked again. */
const derive = (from: Fields, changes: Partial<Json>): Result.Result<Fields, Schema.SchemaError> => {
  const { stepId, ...more } = changes
  if (checked.has(from) && isId(stepId) && Object.keys(more).length === 0) {
    const fields = freeze({ ...from, stepId })
    checked.add(fields)
    return Result.succeed(fields)
  }
  return decodeResult({ ...from, ...changes })
}

const deriving = (change: (from: Fields) => Partial<Json>) =>
<A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Schema.SchemaError, R | RequestContext> =>
  Effect.flatMap(RequestContext, (from) =>
    Effect.flatMap(
      Effect.fromResult(derive(from, change(from))),
      (context) => Effect.provideService(effect, RequestContext, context)
    ))

/** A context as a step of its run. */
export const withStep = (context: Fields, stepId: string): Result.Result<Fields, Schema.SchemaError> =>
  derive(context, { stepId })

/**
 * Runs an effect as an agent, in a context made of the one around it: run, agent, version and model, the person for
 * whom it acts, and who has delegated to whom. A run inside a run is a sub-agent's.
 *
 *     RequestContext.agentRun({ id: "support", version: "1.4", model: "m-1", runId })(LanguageModel.generateText(...))
 */
export const agentRun = ({ act, id, onBehalfOf, runId, ...about }: AgentRunOptions) =>
  deriving((from) => ({
    actor: agent(id, onBehalfOf ?? personOf(from.actor), about),
    runId,
    stepId: undefined,
    delegation: act === undefined ? onwards({ type: "agent", id }, from) : claimed(id, act)
  }))

/**
 * Runs an effect as a step of a run; with `tool`, that tool acts, for the one who acted around it.
 *
 *     RequestContext.step("7", { tool: "search" })(search(query))
 */
export const step = (id: string, options?: { readonly tool?: string | undefined }) =>
  deriving((from) => {
    const { tool: name } = options ?? {}
    return name === undefined ? { stepId: id } : {
      stepId: id,
      actor: tool(name, personOf(from.actor)),
      delegation: onwards({ type: "tool", id: name }, from)
    }
  })

/** Provides one context to a whole program: a command line, a test. */
export const layer = (context: RequestContext["Service"]): Layer.Layer<RequestContext> =>
  Layer.succeed(RequestContext, context)

const validate = Schema.decodeUnknownResult(Schema.toType(Fields), { onExcessProperty: "error" })
const freeze = (fields: Fields): Fields => {
  partsOf(fields).forEach((part) => Object.freeze(part))
  return Object.freeze(fields)
}
/** Copies of contexts that others made and froze: whatever a getter of theirs returns later does not count. */
const copies = new WeakMap<object, Fields>()

/**
 * A context as it is now: one that this module made is itself, of another one a copy that was checked. The problem of a
 * context that cannot be one.
 */
export const snapshot = (context: Fields): Fields | Schema.SchemaError => {
  if (checked.has(context)) return context
  const known = copies.get(context)
  if (known !== undefined) return known
  const result = validate(context)
  if (result._tag === "Failure") return result.failure
  const copy = freeze({ ...result.success })
  if (Object.isFrozen(context) && partsOf(context).every((part) => Object.isFrozen(part))) copies.set(context, copy)
  return copy
}

/** The problem of a context that was not built by this module, if it has one. */
export const problem = (context: Fields): Schema.SchemaError | undefined => {
  const found = snapshot(context)
  return found instanceof Schema.SchemaError ? found : undefined
}
