import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Tracer } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { context, memory } from "./support.ts"

const minimal = { tenantId: "t_acme", env: "prod", actor: { type: "system" as const }, requestId: "r1" }

describe("RequestContext", () => {
  it.effect("needs tenant, env, actor and request id, and fills in the rest", () =>
    Effect.gen(function*() {
      const decoded = yield* RequestContext.decode(minimal)
      assert.deepStrictEqual({ ...decoded }, { ...minimal, mode: "saas", traceId: "r1" } as never)
      for (const field of Object.keys(minimal)) {
        const { [field as "env"]: _, ...rest } = minimal
        const error = yield* Effect.flip(RequestContext.decode(rest))
        assert.include(error.message, field)
      }
    }))

  it.effect("refuses ids that are not ids, without showing them", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<Record<string, unknown>> = [
        { tenantId: "-acme" },
        { tenantId: "a/b" },
        { tenantId: "a".repeat(129) },
        { tenantId: "" },
        { env: "Prod" },
        { env: "1prod" },
        { mode: "other" },
        { requestId: "kim.secret@example.com" },
        { requestId: "" },
        { requestId: "a".repeat(129) },
        { actor: { type: "human" } },
        { actor: { type: "robot", id: "x" } },
        { actor: { type: "system", id: "x" } },
        { traceId: "kim secret" },
        { traceId: "" },
        { unknown: 1 }
      ]
      for (const fields of wrong) {
        const error = yield* Effect.flip(RequestContext.decode({ ...minimal, ...fields }))
        assert.notInclude(error.message, "secret", JSON.stringify(fields))
      }
      for (const tenantId of ["t_acme", "org_2abCdE", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a.b:c-d", "a".repeat(128)]) {
        yield* RequestContext.decode({ ...minimal, tenantId, traceId: "any!printable#ascii" })
      }
    }))

  it.effect("takes optional fields that are undefined, as if they were not there", () =>
    Effect.gen(function*() {
      const context = yield* RequestContext.forRequest({
        ...minimal,
        projectId: undefined,
        traceparent: undefined,
        actor: RequestContext.agent("a1", undefined)
      })
      assert.strictEqual(context.projectId, undefined)
      const actor: RequestContext.Json["actor"] = { type: "tool", id: "x1", onBehalfOf: undefined }
      yield* RequestContext.decode({ ...minimal, actor, stepId: undefined })
    }))

  it.effect("round-trips through its JSON form", () =>
    Effect.gen(function*() {
      const full = {
        ...minimal,
        mode: "lab" as const,
        actor: RequestContext.agent("a1", "u1"),
        projectId: "p",
        appId: "a",
        surface: "s",
        surfaceId: "si",
        correlationId: "c",
        traceId: "t",
        spanId: "sp",
        runId: "ru",
        stepId: "st"
      }
      const decoded = yield* RequestContext.decode(full)
      assert.deepStrictEqual(yield* Schema.encodeEffect(RequestContext.Json)(decoded), full)
    }))

  it.effect("takes the trace of a valid traceparent, else of the active span, else the request id", () =>
    Effect.gen(function*() {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const incoming = yield* RequestContext.forRequest({ ...minimal, traceparent })
      assert.deepInclude(
        { ...incoming },
        { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" } as never
      )
      const invalid = [
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "nonsense"
      ]
      for (const traceparent of invalid) {
        assert.strictEqual((yield* RequestContext.forRequest({ ...minimal, traceparent })).traceId, "r1")
      }
      const span = yield* Effect.makeSpan("request")
      const active = yield* RequestContext.forRequest(minimal).pipe(Effect.provideService(Tracer.ParentSpan, span))
      assert.deepInclude({ ...active }, { traceId: span.traceId, spanId: span.spanId } as never)
    }))

  it.effect("builds the context of a job: the system, whose run is its request", () =>
    Effect.gen(function*() {
      const job = yield* RequestContext.forJob({ tenantId: "t_acme", env: "prod", runId: "nightly-1" })
      assert.deepInclude({ ...job }, { actor: { type: "system" }, runId: "nightly-1", requestId: "nightly-1" } as never)
    }))

  it.effect("a context that was not made by this module and is invalid records nothing", () =>
    Effect.gen(function*() {
      const real = yield* context()
      const forged = { ...real, tenantId: "someone else" } as never
      const error = yield* Effect.flip(AuditLogger.emit({ action: "note.create" }).pipe(RequestContext.provide(forged)))
      assert(error.reason._tag === "InvalidInput")
      assert.strictEqual(error.reason.path, "/context")
    }).pipe(Effect.provide(memory)))
})
