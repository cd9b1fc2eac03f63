import { expectTypeOf, it } from "@effect/vitest"
import { type Context, Effect, type Layer, ManagedRuntime, type Scope } from "effect"
import {
  type AuditError,
  AuditLogger,
  type DatasetEvent,
  type EventSink,
  LoggingEngine,
  RequestContext,
  Seal
} from "effect-audit"

declare const services: Layer.Layer<AuditLogger.AuditLogger | LoggingEngine.LoggingEngine>
declare const context: RequestContext.RequestContext["Service"]
declare const sink: EventSink.EventSink["Service"]
declare const sealed: DatasetEvent.Sealed
declare const decided: DatasetEvent.Decided
declare const stripped: DatasetEvent.Stripped
void (0 as unknown as Context.Context<Scope.Scope>)

it("recording without a RequestContext does not compile when it is run", () => {
  const programs = [
    AuditLogger.emit({ action: "note.create" }),
    LoggingEngine.log({ action: "note.create" }),
    AuditLogger.audited({ action: "note.create" })(Effect.succeed(1))
  ] as const
  const runtime = ManagedRuntime.make(services)
  // @ts-expect-error Type 'RequestContext' is not assignable to type 'never'
  runtime.runPromise(programs[0])
  // @ts-expect-error Type 'RequestContext' is not assignable to type 'never'
  runtime.runPromise(programs[1])
  // @ts-expect-error Type 'RequestContext' is not assignable to type 'never'
  runtime.runPromise(programs[2])
  // @ts-expect-error Type 'RequestContext' is not assignable to type 'never'
  Effect.runPromise(programs[0].pipe(Effect.provide(services)))
  runtime.runPromise(programs[0].pipe(RequestContext.provide(context)))
  runtime.runPromise(programs[1].pipe(RequestContext.provide(context)))
  runtime.runPromise(programs[2].pipe(RequestContext.provide(context)))
})

it("a context cannot be made from unchecked strings, nor without a tenant", () => {
  // @ts-expect-error Type 'string' is not assignable to type 'TenantId'
  RequestContext.RequestContext.of({ ...context, tenantId: "t_acme" })
  const { tenantId: _, ...rest } = context
  // @ts-expect-error Property 'tenantId' is missing
  RequestContext.RequestContext.of(rest)
  expectTypeOf(RequestContext.RequestContext.of(context)).toEqualTypeOf<RequestContext.Fields>()
})

it("steps cannot be skipped: neither a draft nor a literal passes for a later shape", () => {
  const draft: DatasetEvent.Draft = { action: "note.create" }
  // @ts-expect-error a draft is not sealed
  sink.append(draft)
  // @ts-expect-error a literal with all the fields of Sealed is not sealed
  sink.append({
    eventId: sealed.eventId,
    tenantId: sealed.tenantId,
    env: sealed.env,
    trainOk: true,
    piiFlags: sealed.piiFlags,
    recordedAtMillis: 0,
    commitment: new Uint8Array(32),
    salt: new Uint8Array(32),
    body: new Uint8Array(0),
    keys: sealed.keys,
    idempotency: undefined,
    repeated: false
  })
  // @ts-expect-error a stripped event is not decided
  Seal.seal(stripped, new Uint8Array(32), 0)
  // @ts-expect-error a draft is not decided
  Seal.seal(draft, new Uint8Array(32), 0)
  expectTypeOf(Seal.seal(decided, new Uint8Array(32), 0)).toEqualTypeOf<DatasetEvent.Sealed>()
  expectTypeOf(sink.append(sealed)).toEqualTypeOf<Effect.Effect<EventSink.Evidence, AuditError.AuditError>>()
})

it("an unhandled AuditError stays in the type", () => {
  expectTypeOf(AuditLogger.emit({ action: "note.create" })).toEqualTypeOf<
    Effect.Effect<
      LoggingEngine.Receipt,
      AuditError.AuditError,
      AuditLogger.AuditLogger | RequestContext.RequestContext
    >
  >()
  const program = AuditLogger.audited(Effect.fail("no" as const), { action: "note.create" })
  expectTypeOf(program).toEqualTypeOf<
    Effect.Effect<never, "no" | AuditError.AuditError, AuditLogger.AuditLogger | RequestContext.RequestContext>
  >()
  const mapped: Effect.Effect<string, AuditError.AuditError, AuditLogger.AuditLogger | RequestContext.RequestContext> =
    AuditLogger.audited(Effect.map(Effect.succeed(1), (n) => `${n}`), {
      action: "note.create",
      resource: (id: string) => ({ type: "note", id })
    })
  void mapped
  const handled = AuditLogger.emit({ action: "note.create" }).pipe(Effect.catchTag("AuditError", () => Effect.void))
  expectTypeOf<Effect.Error<typeof handled>>().toEqualTypeOf<never>()
  // @ts-expect-error Type 'AuditError' is not assignable to type 'never'
  const unhandled: Effect.Effect<unknown, never, AuditLogger.AuditLogger | RequestContext.RequestContext> = AuditLogger
    .emit({
      action: "note.create"
    })
  void unhandled
})
