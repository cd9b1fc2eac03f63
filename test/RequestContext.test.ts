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
        { traceId: "kim@example.com" },
        { unknown: 1 }
      ]
      for (const fields of wrong) {
        const error = yield* Effect.flip(RequestContext.decode({ ...minimal, ...fields }))
        assert.notInclude(error.message, "secret", JSON.stringify(fields))
      }
      const rules: ReadonlyArray<readonly [fields: Record<string, unknown>, rule: string]> = [
        [{ tenantId: "" }, "a tenant id: 1 to 128 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit"],
        [{ env: "" }, "an env: a letter, then a-z 0-9 _ -, at most 32 characters"],
        [{ requestId: "" }, "an id: 1 to 128 of A-Z a-z 0-9 . _ : | / + = -"],
        [{ traceId: "" }, "a trace id: 1 to 128 printable ASCII characters"]
      ]
      for (const [fields, rule] of rules) {
        assert.include((yield* Effect.flip(RequestContext.decode({ ...minimal, ...fields }))).message, rule)
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

  it.effect("allows exactly what each id may be", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [Record<string, unknown>, boolean]> = [
        [{ tenantId: "t_a-_9" }, true],
        [{ tenantId: "acme" }, true],
        [{ tenantId: "A" }, true],
        [{ tenantId: "9.z_A:b-C" }, true],
        [{ tenantId: "a".repeat(128) }, true],
        [{ tenantId: "a".repeat(129) }, false],
        [{ tenantId: "" }, false],
        [{ tenantId: "_a" }, false],
        [{ tenantId: "-a" }, false],
        [{ tenantId: ".a" }, false],
        [{ tenantId: ":a" }, false],
        [{ tenantId: " t_a" }, false],
        [{ tenantId: "t_a " }, false],
        [{ tenantId: "t_a\n" }, false],
        [{ tenantId: "t/a" }, false],
        [{ tenantId: "kim@example.com" }, false],
        [{ env: "p" }, true],
        [{ env: `p${"a".repeat(31)}` }, true],
        [{ env: `p${"a".repeat(32)}` }, false],
        [{ env: "prod_1-a" }, true],
        [{ env: "prod!" }, false],
        [{ env: "prod\n" }, false],
        [{ env: "" }, false],
        [{ mode: "saas" }, true],
        [{ mode: "enterprise" }, true],
        [{ mode: "lab" }, true],
        [{ requestId: "A.z_0:9|/+=-" }, true],
        [{ requestId: "a".repeat(128) }, true],
        [{ requestId: "a b" }, false],
        [{ requestId: "r1\n" }, false],
        [{ traceId: "!~" }, true],
        [{ traceId: "a".repeat(128) }, true],
        [{ traceId: "a".repeat(129) }, false],
        [{ traceId: "a\u007f" }, false],
        [{ traceId: "ü" }, false],
        ...["projectId", "appId", "surface", "surfaceId", "correlationId", "spanId", "runId", "stepId"].flatMap((
          field
        ): ReadonlyArray<readonly [Record<string, unknown>, boolean]> => [
          [{ [field]: "x" }, true],
          [{ [field]: "" }, false],
          [{ [field]: "kim@example.com" }, false],
          [{ [field]: undefined }, true],
          [{ [field]: null }, false]
        ]),
        [{ actor: { type: "tool", id: "x", onBehalfOf: "u1" } }, true],
        [{ actor: { type: "tool", id: "x", onBehalfOf: "" } }, false],
        [{ actor: { type: "human", id: "x", onBehalfOf: "u1" } }, false]
      ]
      for (const [fields, good] of cases) {
        const result = yield* Effect.result(RequestContext.decode({ ...minimal, ...fields }))
        assert.strictEqual(result._tag === "Success", good, JSON.stringify(fields))
      }
    }))

  it.effect("names a key that is no name of a field by its place alone", () =>
    Effect.gen(function*() {
      const actor = { type: "human", id: "u1", "lee@example.com": 1 }
      const { message } = yield* Effect.flip(
        RequestContext.decode({ ...minimal, actor, "kim@example.com": 1, tenantid: 1, "123-45-6789": 1 })
      )
      assert.notMatch(message, /example|123-45/)
      assert.include(message, "[\"tenantid\"]")
      assert.include(message, "[\"[key]\"]")
    }))

  it.effect("names every field that is wrong at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(RequestContext.decode({ ...minimal, env: "Wrong", requestId: "", more: 1 }))
      for (const field of ["env", "requestId", "more"]) assert.include(error.message, field)
    }))

  it.effect("reads a traceparent as the W3C demands: spaces around it, and more in later versions, are no fault", () =>
    Effect.gen(function*() {
      const ids = "0af7651916cd43dd8448eb211c80319c-0ad7b7169203331a"
      const cases: ReadonlyArray<readonly [string, boolean]> = [
        [`00-${ids}-01`, true],
        [`  00-${ids}-00\t`, true],
        [`01-${ids}-01`, true],
        [`cc-${ids}-01-what-the-future-will-be-like`, true],
        [`01-${ids}-01-`, true],
        [`00-${ids}-01-`, false],
        [`01-${ids}-01more`, false],
        [`00-${ids}-011`, false],
        [`00-${ids}-1`, false],
        [`x00-${ids}-01`, false],
        [`000-${ids}-01`, false],
        [`00-${ids}`, false],
        [`00-${ids.replace("-", "")}-01`, false],
        [`00-${ids.slice(1)}-01`, false],
        [`ff-${ids}-01-x`, false],
        ["", false]
      ]
      for (const [traceparent, good] of cases) {
        const { spanId, traceId } = yield* RequestContext.forRequest({ ...minimal, traceparent })
        assert.deepStrictEqual<unknown>(
          [traceId, spanId],
          good ? ids.split("-") : ["r1", undefined],
          JSON.stringify(traceparent)
        )
      }
    }))

  it.effect("takes an ill-formed traceparent as none: then the active span's trace counts", () =>
    Effect.gen(function*() {
      const span = yield* Effect.makeSpan("request")
      const made = yield* RequestContext.forRequest({ ...minimal, traceparent: "nonsense" }).pipe(
        Effect.provideService(Tracer.ParentSpan, span)
      )
      assert.deepInclude({ ...made }, { traceId: span.traceId, spanId: span.spanId } as never)
    }))

  it.effect("builds the context of a job that says who acts and in which request", () =>
    Effect.gen(function*() {
      const job = yield* RequestContext.forJob({
        tenantId: "t_acme",
        env: "prod",
        runId: "nightly-1",
        requestId: "r9",
        actor: RequestContext.tool("x1")
      })
      assert.deepInclude({ ...job }, {
        actor: { type: "tool", id: "x1" },
        runId: "nightly-1",
        requestId: "r9",
        traceId: "r9"
      } as never)
    }))

  it("names persons behind agents and tools only where there are some", () => {
    assert.deepStrictEqual(RequestContext.human("u1"), { type: "human", id: "u1" })
    assert.deepStrictEqual(RequestContext.tool("x"), { type: "tool", id: "x" })
    assert.deepStrictEqual(RequestContext.tool("x", "u"), { type: "tool", id: "x", onBehalfOf: "u" })
    assert.deepStrictEqual(RequestContext.agent("a"), { type: "agent", id: "a" })
    assert.deepStrictEqual(RequestContext.agent("a", "u"), { type: "agent", id: "a", onBehalfOf: "u" })
  })

  it.effect("is frozen, the actor too", () =>
    Effect.gen(function*() {
      const made = yield* context()
      assert.isTrue(Object.isFrozen(made) && Object.isFrozen(made.actor))
    }))

  it.effect("one that was built by hand is checked at each call until it cannot change any more", () =>
    Effect.gen(function*() {
      const made = yield* context()
      const record = (fields: RequestContext.Fields) =>
        Effect.map(
          Effect.result(AuditLogger.emit({ action: "note.create" }).pipe(RequestContext.provide(fields))),
          (result) => result._tag === "Success"
        )
      const open = { ...made, actor: { type: "human" as const, id: RequestContext.Id.make("u1") } }
      const half = Object.freeze({ ...open, actor: { ...open.actor } })
      for (const fields of [open, half]) {
        assert.isTrue(yield* record(fields))
        Object.assign(fields.actor, { id: "kim@example.com" })
        assert.isFalse(yield* record(fields))
      }
      const whole = Object.freeze({ ...made })
      assert.isTrue(yield* record(whole))
      assert.isTrue(yield* record(whole))
      assert.isFalse(yield* record({ ...made, more: 1 } as never))
      const { requestId: _, ...without } = made
      assert.isFalse(yield* record(without as never))
    }).pipe(Effect.provide(memory)))

  it.effect("is provided to a whole program by its layer", () =>
    Effect.gen(function*() {
      const made = yield* context({ requestId: "r7" })
      const seen = yield* Effect.provide(RequestContext.RequestContext, RequestContext.layer(made))
      assert.strictEqual(seen, made)
    }))

  const current = RequestContext.RequestContext
  const person = RequestContext.human("u1")
  const inRun = (options: Partial<RequestContext.AgentRunOptions> = {}) =>
    RequestContext.agentRun({ id: "bot", runId: "run1", version: "2", model: "m-1", ...options })

  it.effect("begins a run of an agent in a request, for its person, and steps and tools in it", () =>
    Effect.gen(function*() {
      const outer = yield* context({ actor: person, surface: "web", stepId: "0" })
      const run = yield* inRun({ instanceId: "i7" })(current).pipe(RequestContext.provide(outer))
      assert.deepStrictEqual({ ...run, delegation: undefined }, {
        ...outer,
        actor: { type: "agent", id: "bot", onBehalfOf: "u1", version: "2", model: "m-1", instanceId: "i7" },
        runId: "run1",
        stepId: undefined,
        delegation: undefined
      } as never)
      assert.isUndefined(run.delegation)
      const step = yield* RequestContext.step("1")(current).pipe(RequestContext.provide(run))
      assert.deepStrictEqual([step.stepId, step.runId, step.actor], ["1", "run1", run.actor] as never)
      const tool = yield* RequestContext.step("2", { tool: "search" })(current).pipe(RequestContext.provide(run))
      assert.deepStrictEqual({ ...tool.actor }, { type: "tool", id: "search", onBehalfOf: "u1" } as never)
      assert.deepStrictEqual(tool.delegation?.map(({ id, type }) => `${type} ${id}`), ["tool search", "agent bot"])
      // An agent that a tool runs is one hop more.
      const sub = yield* inRun({ id: "sub", runId: "run2" })(current).pipe(RequestContext.provide(tool))
      assert.deepStrictEqual(sub.delegation?.map(({ id }) => id), ["sub", "search", "bot"])
      assert.strictEqual("onBehalfOf" in sub.actor ? sub.actor.onBehalfOf : "", "u1")
    }))

  it.effect("takes a chain of delegation from an act claim (RFC 8693), and refuses what is no claim", () =>
    Effect.gen(function*() {
      const within = RequestContext.provide(yield* context({ actor: person }))
      // https://www.rfc-editor.org/rfc/rfc8693#section-4.1, figure 6
      const act = { sub: "service16", act: { sub: "service77" } }
      const of = (id: string) => inRun({ id, act })(current).pipe(within, Effect.map(({ delegation }) => delegation))
      assert.deepStrictEqual((yield* of("service16"))?.map(({ id }) => id), ["service16", "service77"])
      assert.deepStrictEqual((yield* of("bot"))?.map(({ id }) => id), ["bot", "service16", "service77"])
      assert.isUndefined((yield* inRun({ act: { sub: "bot" } })(current).pipe(within)).delegation)
      const circle: { sub: string; act?: unknown } = { sub: "kim" }
      circle.act = circle
      for (const wrong of [null, 7, {}, { sub: "kim@example.com" }, { sub: "a", act: { sub: 7 } }, circle]) {
        const error = yield* Effect.flip(inRun({ act: wrong })(current).pipe(within))
        assert.notInclude(error.message, "kim")
      }
      yield* Effect.flip(inRun({ runId: "" })(current).pipe(within))
      yield* Effect.flip(RequestContext.step("a b")(current).pipe(within))
    }))
})
