/**
 * The endpoints of `AuditApi` over trail, ledger and erasure.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { AuditError, type AuditReason, type IntegrityError, InvalidInput } from "../AuditError.ts"
import { type AuditDraft, AuditLogger } from "../AuditLogger.ts"
import { Erasure } from "../erasure/Erasure.ts"
import { Ledger } from "../ledger/Ledger.ts"
import * as Proof from "../ledger/Proof.ts"
import * as Tiles from "../ledger/Tiles.ts"
import { LoggingEngine, type Receipt } from "../LoggingEngine.ts"
import * as RequestContext from "../RequestContext.ts"
import { AuditTrail, type Query } from "../trail/AuditTrail.ts"
import * as Encoding from "../trail/Encoding.ts"
import { TrainingPreferences } from "../TrainingPreferences.ts"
import { Api, AuditPolicy, BadRequest, Broken, Conflict, Forbidden, NotFound, type Operation } from "./AuditApi.ts"
import * as HttpAudit from "./HttpAudit.ts"
import { response } from "./problem.ts"
import { tailing } from "./tail.ts"

/** A failure of these reasons as the caller's own. */
const as =
  <E>(tags: ReadonlyArray<AuditReason["_tag"]>, make: (detail: string) => E) =>
  <A, E1, R>(effect: Effect.Effect<A, E1, R>): Effect.Effect<A, E1 | E, R> =>
    Effect.catchIf(
      effect,
      (error) => error instanceof AuditError && tags.includes(error.reason._tag),
      (error) => Effect.fail(make(error instanceof AuditError ? error.reason.message : ""))
    )
const asked = as(["InvalidInput", "InvalidCursor"], (detail) => new BadRequest({ detail }))
const found = as(["NotFound", "SignerRefused"], (detail) => new NotFound({ detail }))
const kept = as(["Held", "Protected"], (detail) => new Conflict({ detail }))
const holds = <A, R>(effect: Effect.Effect<A, AuditError | IntegrityError, R>) =>
  Effect.catchTag(
    effect,
    "IntegrityError",
    () => Effect.fail(new Broken({ detail: "The evidence of the audit log does not hold" }))
  )

const unsigned = new NotFound({ detail: "No checkpoint of this log was signed yet" })
const forbidden = new Forbidden({ detail: "The policy of this application does not allow it" })

/** Failures of a change that say something of it; of the others nothing can be recorded now. */
const isAttempt = new Set<AuditReason["_tag"]>(["Held", "Protected", "NotFound", "InvalidInput"])

/** Asks the policy, and records what is read, or that it was refused, before anything of it is answered. */
const guarding = Effect.gen(function*() {
  const policy = yield* AuditPolicy
  const logger = yield* AuditLogger
  const refusing = (operation: Operation, draft: AuditDraft) =>
    Effect.flatMap(policy.allows(operation), (allowed) =>
      allowed
        ? Effect.void
        : Effect.andThen(
          logger.emit({ ...draft, outcome: "denied", errorTag: "Forbidden" }),
          Effect.fail(forbidden)
        ))
  return {
    /** A change records itself; an attempt at one that failed is recorded here. */
    changing: <A, R>(operation: Operation, draft: AuditDraft, change: Effect.Effect<A, AuditError, R>) =>
      Effect.andThen(
        refusing(operation, draft),
        Effect.tapError(change, (error) =>
          isAttempt.has(error.reason._tag)
            ? logger.emit({ ...draft, outcome: "failure", errorTag: error.reason._tag })
            : Effect.void)
      ),
    reading: (operation: Operation, draft: AuditDraft) =>
      Effect.andThen(refusing(operation, draft), logger.emit(draft)),
    /** Whether what goes on is still allowed; that it no longer is is recorded. */
    isAllowed: (
      operation: Operation,
      draft: AuditDraft
    ): Effect.Effect<boolean, AuditError, RequestContext.RequestContext> =>
      Effect.catchIf(
        Effect.as(refusing(operation, draft), true),
        (error): error is Forbidden => error instanceof Forbidden,
        () => Effect.succeed(false)
      )
  }
})

/** What was asked for, as an event says it: times as text. */
const said = ({ since, until, ...rest }: {
  readonly [name: string]: unknown
  readonly since?: DateTime.Utc | undefined
  readonly until?: DateTime.Utc | undefined
}) => ({
  ...rest,
  ...(since === undefined ? {} : { since: DateTime.formatIso(since) }),
  ...(until === undefined ? {} : { until: DateTime.formatIso(until) })
})

interface Asked {
  readonly eventIds?: unknown
  readonly before?: unknown
  readonly person?: string
  readonly personBefore?: { readonly person: string }
  readonly subjectId?: string | undefined
  readonly userId?: string | undefined
}
const isId = Schema.is(RequestContext.Id)

/** The persons whom a question is about: erasing them reaches it. */
const about = (asked: Asked | undefined): { readonly subjectIds?: ReadonlyArray<string> } => {
  const { person, personBefore, subjectId, userId }: Asked = asked ?? {}
  const found = [person, personBefore?.person, subjectId, userId].filter((id) => isId(id))
  return found.length === 0 ? {} : { subjectIds: found }
}

const nothingToHold = new AuditError({
  method: "Erasure.hold",
  reason: new InvalidInput({ path: "/selection", detail: "must say what to hold" })
})

const logOf = Effect.map(RequestContext.RequestContext, ({ env, tenantId }) => ({ tenantId, env }))

/** All events of a query, or as many as its limit says, in a format. */
const exported = (trail: AuditTrail["Service"], query: Query, format: Encoding.Format) => {
  const { contentType, head, row } = Encoding.formats[format]
  const items = Stream.paginate(
    { cursor: query.cursor, after: query.after, left: query.limit ?? Infinity },
    ({ after, cursor, left }) =>
      Effect.map(
        trail.query({ ...query, cursor, after, limit: Math.min(left, 250) }),
        ({ items, next }) => {
          const rest = left - items.length
          const more = next === undefined || rest <= 0
            ? Option.none()
            : Option.some({ cursor: next, after: undefined, left: rest })
          return [items, more] as const
        }
      )
  )
  const rows = items.pipe(Stream.chunks, Stream.map((found) => found.map((item) => row(item)).join("")))
  return HttpServerResponse.stream(Stream.encodeText(head === "" ? rows : Stream.concat(Stream.make(head), rows)), {
    contentType,
    headers: { "cache-control": "no-store" }
  })
}

/** The position of the newest event of a log; -1 before the first. */
const newestOf = (trail: AuditTrail["Service"], log: RequestContext.LogName) =>
  Effect.map(trail.query({ ...log, limit: 1 }), ({ items: [newest] }) => newest?.position ?? -1)

const receiptOf = ({ eventId, position }: Receipt) => ({ eventId, position })

/** What the handlers work with. */
interface Services {
  readonly trail: AuditTrail["Service"]
  readonly ledger: Ledger["Service"]
  readonly erasure: Erasure["Service"]
  readonly engine: LoggingEngine["Service"]
  readonly preferences: TrainingPreferences["Service"]
  readonly guard: Effect.Success<typeof guarding>
}

const handler = HttpApiBuilder.handler
type Handlers = { readonly [name: string]: (services: Services) => unknown }

const reads = {
  events: ({ guard, trail }) =>
    handler(Api, "audit", "events", ({ query }) =>
      Effect.gen(function*() {
        const { after, cursor, format, limit, order, ...filter } = query
        const action = format === undefined ? "audit_trail.read" : "audit_trail.export"
        yield* guard.reading(format === undefined ? "read" : "export", {
          action,
          input: said(query),
          ...about(query)
        })
        const direction = order ?? (after === undefined ? undefined : "asc")
        const wanted = { ...yield* logOf, filter, after, cursor, order: direction, limit }
        // A page is its own encoded form; to encode it by its schema takes longer than to read it.
        if (format === undefined) return HttpServerResponse.jsonUnsafe(yield* trail.query(wanted))
        // What cannot be meant is refused before the answer begins.
        yield* trail.query({ ...wanted, limit: 1 })
        return exported(trail, wanted, format)
      }).pipe(asked)),
  tail: ({ guard, trail }) =>
    handler(Api, "audit", "tail", ({ query, request }) =>
      Effect.gen(function*() {
        const { after, ...filter } = query
        const last = request.headers["last-event-id"]
        if (last !== undefined && !/^\d{1,15}$/.test(last)) {
          return yield* new BadRequest({ detail: "The header last-event-id is the id of an event of this stream" })
        }
        const known = last === undefined ? after : Number(last)
        const log = yield* logOf
        // A position that is not there is refused before the answer begins.
        yield* trail.query({ ...log, filter, after: known, limit: 1 })
        const input = said({ ...query, ...(known === undefined ? {} : { after: known }) })
        const draft = { action: "audit_trail.follow", input, ...about(query) }
        yield* guard.reading("follow", draft)
        const from = known ?? (yield* newestOf(trail, log))
        const isAllowed = RequestContext.provide(yield* RequestContext.RequestContext)(guard.isAllowed("follow", draft))
        return yield* tailing(trail.follow({ ...log, filter, after: from }), from, request, isAllowed)
      }).pipe(asked)),
  event: ({ guard, trail }) =>
    handler(Api, "audit", "event", ({ params: { eventId } }) =>
      Effect.gen(function*() {
        yield* guard.reading("read", { action: "audit_trail.read", input: { eventId } })
        return yield* trail.get({ ...yield* logOf, eventId })
      }).pipe(asked, found)),
  proof: ({ guard, ledger }) =>
    handler(Api, "audit", "proof", ({ params: { eventId } }) =>
      Effect.gen(function*() {
        yield* guard.reading("prove", { action: "audit_trail.prove", input: { eventId } })
        return Proof.encode(yield* holds(ledger.prove({ ...yield* logOf, eventId })))
      }).pipe(asked, found)),
  checkpoint: ({ guard, ledger }) =>
    handler(Api, "audit", "checkpoint", () =>
      Effect.gen(function*() {
        yield* guard.reading("prove", { action: "audit_trail.checkpoint" })
        const latest = yield* holds(ledger.latest(yield* logOf))
        return latest?.note ?? (yield* unsigned)
      }).pipe(asked, found)),
  consistency: ({ guard, ledger }) =>
    handler(Api, "audit", "consistency", ({ query: { from, to } }) =>
      Effect.gen(function*() {
        yield* guard.reading("prove", { action: "audit_trail.consistency", input: { from, to } })
        const log = yield* logOf
        const size = to ?? (yield* holds(ledger.latest(log)))?.checkpoint.size
        if (size === undefined) return yield* unsigned
        // A number alone is no evidence that the log was larger: who has a checkpoint of that size, has it.
        if (from > size) {
          return yield* new BadRequest({ detail: `from is at most the size of the checkpoint, ${size}` })
        }
        const { proof, signed } = yield* holds(ledger.consistency({ ...log, oldSize: from, size: to }))
        return { from, checkpoint: signed.note, proof: proof.map((hash) => Buffer.from(hash).toString("base64")) }
      }).pipe(asked, found)),
  verify: ({ guard, ledger }) =>
    handler(Api, "audit", "verify", () =>
      Effect.gen(function*() {
        yield* guard.reading("verify", { action: "audit_trail.verify" })
        const lines = ledger.verify({ log: yield* logOf }).pipe(
          Stream.map((finding) => JSON.stringify(finding)),
          Stream.catch(({ message }) => Stream.make(JSON.stringify({ _tag: "Failed", detail: message }))),
          Stream.map((line) => `${line}\n`)
        )
        return HttpServerResponse.stream(Stream.encodeText(lines), { contentType: "application/x-ndjson" })
      })),
  preferences: ({ guard, preferences }) =>
    handler(Api, "audit", "preferences", () =>
      Effect.gen(function*() {
        yield* guard.reading("preferences_of_tenant", { action: "audit_trail.preferences" })
        const list = yield* preferences.list(yield* logOf)
        return list.map(({ trainingAllowed, userId }) =>
          userId === undefined ? { trainingAllowed } : { trainingAllowed, userId }
        )
      }))
} satisfies Handlers

const changes = {
  setPreference: ({ engine, guard }) =>
    handler(Api, "audit", "setPreference", ({ payload }) =>
      Effect.gen(function*() {
        const { actor } = yield* RequestContext.RequestContext
        const isOwn = payload.userId !== undefined && actor.type === "human" && actor.id === payload.userId
        const draft = { action: "audit_trail.set_preference", input: payload }
        const operation = isOwn ? "preferences" : "preferences_of_tenant"
        return receiptOf(yield* guard.changing(operation, draft, engine.setPreference(payload)))
      }).pipe(asked)),
  previewErasure: ({ erasure, guard }) =>
    handler(Api, "audit", "previewErasure", ({ payload }) =>
      Effect.gen(function*() {
        yield* guard.reading("erase", {
          action: "audit_trail.preview_erasure",
          input: payload,
          ...about(payload)
        })
        return yield* erasure.preview(payload)
      }).pipe(asked, found, kept)),
  erase: ({ erasure, guard }) =>
    handler(Api, "audit", "erase", ({ payload: { reason, selection } }) =>
      Effect.gen(function*() {
        const draft = { action: "audit_trail.erase", input: { selection, reason }, ...about(selection) }
        const erasing = guard.changing("erase", draft, erasure.erase({ ...selection, reason }))
        const { receipts, ...erased } = yield* erasing
        return { ...erased, receipts: receipts.map(receiptOf) }
      }).pipe(asked, found, kept)),
  hold: ({ erasure, guard }) =>
    handler(Api, "audit", "hold", ({ payload: { name, reason, selection } }) =>
      Effect.gen(function*() {
        const draft = { action: "audit_trail.hold", input: { selection, name, reason }, ...about(selection) }
        const holding = selection === undefined
          ? Effect.fail(nothingToHold)
          : erasure.hold({ ...selection, name, reason })
        return receiptOf(yield* guard.changing("hold", draft, holding))
      }).pipe(asked, found)),
  release: ({ erasure, guard }) =>
    handler(Api, "audit", "release", ({ payload: { name, reason, selection } }) =>
      Effect.gen(function*() {
        const draft = { action: "audit_trail.release", input: { selection, name, reason }, ...about(selection) }
        return receiptOf(yield* guard.changing("hold", draft, erasure.release({ ...selection, name, reason })))
      }).pipe(asked, found))
} satisfies Handlers

const handlers = HttpApiBuilder.group(
  Api,
  "audit",
  Effect.fnUntraced(function*(group) {
    const services: Services = {
      trail: yield* AuditTrail,
      ledger: yield* Ledger,
      erasure: yield* Erasure,
      engine: yield* LoggingEngine,
      preferences: yield* TrainingPreferences,
      guard: yield* guarding
    }
    return group.handleAll({
      events: reads.events(services),
      tail: reads.tail(services),
      event: reads.event(services),
      proof: reads.proof(services),
      checkpoint: reads.checkpoint(services),
      consistency: reads.consistency(services),
      verify: reads.verify(services),
      preferences: reads.preferences(services),
      setPreference: changes.setPreference(services),
      previewErasure: changes.previewErasure(services),
      erase: changes.erase(services),
      hold: changes.hold(services),
      release: changes.release(services)
    })
  })
)

const noTile = response({ status: 404, detail: "There is no such tile." })

/** Whether a tree of a size has a tile: at each level there are 256 times fewer hashes. */
const isThere = ({ index, level, width }: Tiles.Tile, size: number): boolean =>
  index * Tiles.fullWidth + width <= Math.floor(size / Tiles.fullWidth ** (level === "entries" ? 0 : level))

/** A tile or bundle of the log's tree (C2SP tlog-tiles): it never changes, so that anyone may keep it. */
const tiles = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const ledger = yield* Ledger
    const audit = yield* HttpAudit.HttpAudit
    const guard = yield* guarding
    const serving = Effect.gen(function*() {
      const { url } = yield* HttpServerRequest.HttpServerRequest
      const path = Option.fromNullishOr(/\/(tile\/[^?#]*)/.exec(url)?.[1])
      const tile = Option.flatMap(path, (text) => Option.fromNullishOr(Tiles.parsePath(text)))
      yield* guard.reading("prove", { action: "audit_trail.tile" })
      if (Option.isNone(tile)) return noTile
      const source = yield* ledger.tiles(yield* logOf)
      if (!isThere(tile.value, source.checkpoint.size)) return noTile
      const bytes = tile.value.level === "entries"
        ? Tiles.encodeBundle(yield* source.entries(tile.value))
        : yield* source.hashes(tile.value)
      return HttpServerResponse.uint8Array(bytes, {
        contentType: "application/octet-stream",
        headers: { "cache-control": "private, max-age=31536000, immutable" }
      })
    }).pipe(
      Effect.catchTag("Forbidden", () => Effect.succeed(response({ status: 403, detail: forbidden.detail ?? "" }))),
      Effect.catchTag("IntegrityError", () =>
        Effect.succeed(response({ status: 500, detail: "The evidence of the audit log does not hold." })))
    )
    yield* router.add("GET", "/audit/tile/*", audit.around(serving, undefined, true))
  })
)

/** Serves the API at `/audit`, its description at `/audit/openapi.json`. */
export const layer = Layer.mergeAll(HttpApiBuilder.layer(Api, { openapiPath: "/audit/openapi.json" }), tiles).pipe(
  Layer.provide(handlers),
  Layer.provide([HttpAudit.layerMiddleware, HttpApiMiddleware.layerProblemDetails({ includeDetails: true })])
)
