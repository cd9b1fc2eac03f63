import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Metric, References, Schema, Tracer } from "effect"
import {
  AuditError,
  AuditLogger,
  DatasetEvent,
  EventSink,
  LoggingEngine,
  PiiStripper,
  RequestContext,
  TrainingPreferences
} from "effect-audit"
import { Memory } from "effect-audit/memory"
import { AuditTrail } from "effect-audit/trail"
import { TestClock } from "effect/testing"
import { log, memory, memoryWith, over, storedEvents, within, wrapped } from "./support.ts"

const newest = Effect.gen(function*() {
  const { items } = yield* AuditTrail.query({ ...log, limit: 1 })
  const item = items[0]
  assert(item !== undefined && !item.erased)
  return item.event
})

const path = (draft: unknown, options?: LoggingEngine.EmitOptions) =>
  AuditLogger.emit(draft as AuditLogger.AuditDraft, options).pipe(
    within(),
    Effect.flip,
    Effect.map((error) => error.reason._tag === "InvalidInput" ? error.reason.path : error.reason._tag)
  )

describe("the bounds of an engine", () => {
  it.effect("are refused where nobody can mean them", () =>
    Effect.gen(function*() {
      for (
        const [options, path] of [
          [{ limits: { maxBytes: -1 } }, "/limits/maxBytes"],
          [{ limits: { maxBytes: 1e12 } }, "/limits/maxBytes"],
          [{ limits: { maxDepth: 0.5 } }, "/limits/maxDepth"],
          [{ limits: { maxKeys: 1, maxDepth: 0 } }, "/limits/maxDepth"]
        ] as const
      ) {
        const error = yield* Effect.flip(
          Effect.provide(Effect.void, Layer.fresh(over(Memory.layer(), options)))
        )
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, path)
      }
    }))
})

describe("LoggingEngine: stamping", () => {
  it.effect("stamps every event from the context, as fields and in metadata, which the caller cannot override", () =>
    Effect.gen(function*() {
      yield* AuditLogger.emit({ action: "note.create", metadata: { mine: 1 } }).pipe(within({
        actor: RequestContext.agent("a1", "u1"),
        correlationId: "c1"
      }))
      const event = yield* newest
      const identity = {
        tenantId: "t_acme",
        env: "prod",
        agentId: "a1",
        trace_id: "0af7651916cd43dd8448eb211c80319c",
        request_id: "r1",
        actor_type: "agent"
      }
      for (const [field, value] of Object.entries(identity)) {
        assert.strictEqual((event as Record<string, unknown>)[field], value)
        assert.strictEqual(event.metadata[field], value)
      }
      assert.deepStrictEqual(event.metadata, { mine: 1, ...identity, action: "note.create" })
      assert.strictEqual(event.user_id, "u1")
      assert.strictEqual(event.storage_class, "audit")
      for (const key of DatasetEvent.reservedKeys) {
        assert.strictEqual(yield* path({ action: "note.create", metadata: { [key]: "x" } }), `/metadata/${key}`)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("names the person behind each kind of actor", () =>
    Effect.gen(function*() {
      const cases = [
        [RequestContext.human("u1"), "human", "u1", "u1"],
        [RequestContext.agent("a1"), "agent", "a1", undefined],
        [RequestContext.tool("x1", "u2"), "tool", "x1", "u2"],
        [RequestContext.system, "system", "system", undefined]
      ] as const
      for (const [actor, type, agentId, userId] of cases) {
        yield* AuditLogger.emit({ action: "note.create" }).pipe(within({ actor }))
        const event = yield* newest
        assert.deepStrictEqual([event.actor_type, event.agentId, event.user_id], [type, agentId, userId])
      }
    }).pipe(Effect.provide(memory)))

  it.effect("takes the span that is active at the call if it is of the context's trace, else the context's", () =>
    Effect.gen(function*() {
      const span = yield* Effect.makeSpan("work")
      yield* AuditLogger.emit({ action: "note.create" }).pipe(
        within({ traceId: span.traceId, spanId: "s0" }),
        Effect.provideService(Tracer.ParentSpan, span)
      )
      assert.strictEqual((yield* newest).span_id, span.spanId)
      yield* AuditLogger.emit({ action: "note.create" }).pipe(
        within({ spanId: "s0" }),
        Effect.provideService(Tracer.ParentSpan, span)
      )
      assert.strictEqual((yield* newest).span_id, "s0")
    }).pipe(Effect.provide(memory)))

  it.effect("refuses drafts that are wrong, with the path and without the value", () =>
    Effect.gen(function*() {
      const action = "note.create"
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [null, ""],
        ["text", ""],
        [{}, "/action"],
        [{ action: "note" }, "/action"],
        [{ action: "Note.create" }, "/action"],
        [{ action, typo: 1 }, "/typo"],
        [{ action, outcome: "maybe" }, "/outcome"],
        [{ action, severity: "bad" }, "/severity"],
        [{ action, durationMillis: -1 }, "/durationMillis"],
        [{ action, durationMillis: Number.NaN }, "/durationMillis"],
        [{ action, subjectIds: "u1" }, "/subjectIds"],
        [{ action, subjectIds: ["u1", "kim@example.com"] }, "/subjectIds/1"],
        [{ action, resource: { type: "note" } }, "/resource/id"],
        [{ action, resource: { type: "no type", id: "1" } }, "/resource/type"],
        [{ action, resource: { type: "note", id: "1", more: 1 } }, "/resource/more"],
        [{ action, occurredAt: "yesterday" }, "/occurredAt"],
        [{ action, occurredAt: "2026-01-02T03:04:05" }, "/occurredAt"],
        [{ action, occurredAt: new Date(Number.NaN) }, "/occurredAt"],
        [{ action, analytics: { other: "x" } }, "/analytics/other"],
        [{ action, analytics: { utm_source: 1 } }, "/analytics/utm_source"],
        [{ action, metadata: [] }, "/metadata"],
        [{ action, input: "x".repeat(262_145) }, "/input"],
        [{ action, input: "€".repeat(100_000) }, "/input"],
        [{ action, input: JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`) as unknown }, `/input${"/0".repeat(32)}`],
        [{ action, input: Object.fromEntries(Array.from({ length: 4097 }, (_, n) => [`k${n}`, 1])) }, ""]
      ]
      for (const [draft, expected] of cases) {
        assert.strictEqual(yield* path(draft), expected, JSON.stringify(draft)?.slice(0, 80))
      }
      assert.strictEqual(yield* path({ action }, { idempotencyKey: "" }), "/idempotencyKey")
      assert.strictEqual(yield* path({ action }, { eventId: "nope" as DatasetEvent.EventId }), "/eventId")
      const { items } = yield* AuditTrail.query(log)
      assert.strictEqual(items.length, 0)
    }).pipe(Effect.provide(memory)))

  it.effect("accepts what is within the limits, and takes other limits", () =>
    Effect.gen(function*() {
      yield* AuditLogger.emit({ action: "note.create", input: "x".repeat(262_000) }).pipe(within())
      const sink = Layer.fresh(Memory.layer())
      const error = yield* AuditLogger.emit({ action: "note.create", input: "x".repeat(200) }).pipe(
        within(),
        Effect.flip,
        Effect.provide(Layer.fresh(over(sink, { limits: { maxBytes: 100 } })))
      )
      assert.strictEqual(error.reason._tag, "InvalidInput")
    }).pipe(Effect.provide(memory)))

  it.effect("reads the draft at the call: what changes afterwards does not count", () =>
    Effect.gen(function*() {
      const input = { text: "before" }
      const effect = AuditLogger.emit({ action: "note.create", input })
      input.text = "after"
      yield* effect.pipe(within())
      assert.deepStrictEqual((yield* newest).input, { text: "before" })
    }).pipe(Effect.provide(memory)))

  it.effect("reads the options at the call as well", () =>
    Effect.gen(function*() {
      const engine = yield* LoggingEngine.LoggingEngine
      const logger = yield* AuditLogger.AuditLogger
      const ways: ReadonlyArray<
        (options: LoggingEngine.EmitOptions) => Effect.Effect<
          LoggingEngine.Receipt,
          AuditError.AuditError,
          AuditLogger.AuditLogger | LoggingEngine.LoggingEngine | RequestContext.RequestContext
        >
      > = [
        (options) => AuditLogger.emit({ action: "note.create" }, options),
        (options) => logger.emit({ action: "note.create" }, options),
        (options) => LoggingEngine.log({ storageClass: "audit", action: "note.create" }, options),
        (options) => engine.log({ storageClass: "audit", action: "note.create" }, options)
      ]
      for (const emit of ways) {
        const options = { idempotencyKey: "before" }
        const effect = emit(options)
        options.idempotencyKey = "after"
        yield* effect.pipe(within())
      }
      const sealed = yield* AuditLogger.emit({ action: "note.create" }, { idempotencyKey: "before" }).pipe(within())
      assert.isTrue(sealed.duplicate)
      const other = yield* AuditLogger.emit({ action: "note.create" }, { idempotencyKey: "after" }).pipe(within())
      assert.isFalse(other.duplicate)
    }).pipe(Effect.provide(memory)))

  it.effect("makes event ids that are UUIDv7 and in order", () =>
    Effect.gen(function*() {
      const receipts = yield* Effect.forEach(Array.from({ length: 5000 }, (_, n) => n), () =>
        AuditLogger.emit({ action: "note.create" }).pipe(within()))
      const ids = receipts.map((receipt) =>
        receipt.eventId
      )
      assert.deepStrictEqual(ids, [...ids].sort())
      assert.strictEqual(new Set(ids).size, 5000)
      for (const id of ids.slice(0, 20)) yield* Schema.decodeUnknownEffect(DatasetEvent.EventId)(id)
    }).pipe(Effect.provide(memory)))
})

describe("LoggingEngine: stripping and deciding", () => {
  const stripper = (strip: PiiStripper.PiiStripper["Service"]["strip"]) =>
    Layer.succeed(PiiStripper.PiiStripper, { strip })
  const withStripper = (stripper: Layer.Layer<PiiStripper.PiiStripper>) => memoryWith({ stripper })

  it.effect("stores nothing when the stripper fails or throws", () =>
    Effect.gen(function*() {
      const own = () => Effect.fail({ detail: "no" })
      for (
        const strip of [
          own,
          () => Effect.die(new Error("secret")),
          () => {
            throw new Error("secret")
          }
        ]
      ) {
        yield* Effect.gen(function*() {
          const error = yield* AuditLogger.emit({ action: "note.create", input: "kim@example.com" }).pipe(
            within(),
            Effect.flip
          )
          assert(error.reason._tag === "StripFailed")
          assert.isDefined(error.eventId)
          if (strip === own) assert.strictEqual(error.reason.detail, "no")
          assert.notInclude(JSON.stringify(error), "secret")
          assert.deepStrictEqual(yield* storedEvents, [])
        }).pipe(Effect.provide(withStripper(stripper(strip))))
      }
    }))

  it.effect("strips values and keys everywhere in the caller's words, and says what it found", () =>
    Effect.gen(function*() {
      const mail = "kim.lee@example.com"
      const receipt = yield* AuditLogger.emit({
        action: "note.create",
        resource: { type: "mailbox", id: mail },
        errorTag: `Bounce ${mail}`,
        input: { [mail]: [mail, { deep: `to ${mail}, thanks` }], card: 4111111111111111, password: "hunter2" },
        output: mail,
        metadata: { note: mail },
        analytics: { utm_source: mail, event_type: "x" }
      }).pipe(within())
      const event = yield* newest
      assert.notInclude(JSON.stringify(event), mail)
      assert.deepStrictEqual(event.input, {
        "[EMAIL]": ["[EMAIL]", { deep: "to [EMAIL], thanks" }],
        card: "[CREDIT_CARD]",
        password: null
      })
      assert.deepStrictEqual([...event.pii_flags.flags], ["CREDIT_CARD", "EMAIL", "PASSWORD"])
      assert.strictEqual(event.pii_flags.counts["EMAIL"], 8)
      assert.isFalse(event.train_ok)
      assert.strictEqual(event.train_reason, "pii")
      assert.deepStrictEqual(receipt.piiFlags, event.pii_flags)
      assert.strictEqual(event.analytics_event_type, "x")
    }).pipe(Effect.provide(memory)))

  it.effect("keeps the event, without consent and with a warning, when preferences are unavailable", () =>
    Effect.gen(function*() {
      for (const lookup of [() => Effect.fail({ detail: "down" }), () => Effect.die("down")]) {
        const preferences = Layer.effect(
          TrainingPreferences.TrainingPreferences,
          Effect.map(TrainingPreferences.TrainingPreferences, (service) => ({ ...service, lookup }))
        ).pipe(Layer.provide(Memory.layer()))
        const lines: Array<string> = []
        const annotations: Array<unknown> = []
        const logger = Logger.make(({ fiber, logLevel, message }) => {
          lines.push(`${logLevel} ${String(message)}`)
          annotations.push(fiber.getRef(References.CurrentLogAnnotations))
        })
        yield* Effect.gen(function*() {
          const receipt = yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
          assert.isFalse(receipt.trainOk)
          assert.strictEqual((yield* newest).train_reason, "preferences_unavailable")
          assert.match(lines.join("\n"), /^Warn Training preferences unavailable/)
          const [ids] = annotations as ReadonlyArray<object>
          assert.deepInclude(ids, {
            event_id: receipt.eventId,
            tenant: "t_acme",
            request_id: "r1",
            trace_id: "0af7651916cd43dd8448eb211c80319c"
          })
          assert.property(ids, "detail")
        }).pipe(
          Effect.provide(
            memoryWith({ preferences })
          ),
          Effect.provide(Logger.layer([logger]))
        )
      }
    }))
})

describe("LoggingEngine: deadlines of the other steps", () => {
  it.effect("a stripper that hangs is StripFailed, preferences that hang are unavailable", () =>
    Effect.gen(function*() {
      const stack = (
        strip: Layer.Layer<PiiStripper.PiiStripper>,
        preferences: Layer.Layer<TrainingPreferences.TrainingPreferences>
      ) => memoryWith({ stripper: strip, preferences })
      const emit = AuditLogger.emit({ action: "note.create" }).pipe(within())
      const hanging = Layer.succeed(PiiStripper.PiiStripper, { strip: () => Effect.never })
      const strip = yield* emit.pipe(
        Effect.provide(stack(hanging, Memory.layer())),
        Effect.flip,
        Effect.forkChild({ startImmediately: true })
      )
      const unknowing = Layer.effect(
        TrainingPreferences.TrainingPreferences,
        Effect.map(TrainingPreferences.TrainingPreferences, (service) => ({ ...service, lookup: () => Effect.never }))
      ).pipe(Layer.provide(Memory.layer()))
      const lookup = yield* emit.pipe(
        Effect.provide(stack(PiiStripper.layer(), unknowing)),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual((yield* Fiber.join(strip)).reason._tag, "StripFailed")
      assert.isFalse((yield* Fiber.join(lookup)).trainOk)
    }))

  it.effect("a key that is personal data does not show in the path of an error", () =>
    Effect.gen(function*() {
      const cyclic: Record<string, unknown> = {}
      cyclic["kim@example.com"] = cyclic
      assert.strictEqual(yield* path({ action: "note.create", input: cyclic }), "/input/[EMAIL]")
    }).pipe(Effect.provide(memory)))

  it.effect("shows no key below one that names a kind, and none that a detector of the stripper's finds", () =>
    Effect.gen(function*() {
      const cyclic: Record<string, unknown> = {}
      const under = (...keys: ReadonlyArray<string>) => ({
        action: "note.create",
        input: keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), cyclic)
      })
      cyclic["a/b~c"] = cyclic
      const place = (stripper: PiiStripper.Options, ...keys: ReadonlyArray<string>) =>
        path(under(...keys)).pipe(Effect.provide(memoryWith({ stripper: PiiStripper.layer(stripper) })))
      assert.strictEqual(yield* place({}, "note", "rows"), "/input/note/rows/a~1b~0c")
      assert.strictEqual(
        yield* place({}, "password", "hunter2", "x"),
        "/input/password/[PASSWORD]/[PASSWORD]/[PASSWORD]"
      )
      const customer = /C-\d+/g
      const detectors: PiiStripper.Options["detectors"] = [
        (text) =>
          [...text.matchAll(customer)].map(({ 0: found, index }) => ({
            start: index,
            end: index + found.length,
            kind: "NATIONAL_ID" as const
          }))
      ]
      assert.strictEqual(yield* place({}, "C-4711"), "/input/C-4711/a~1b~0c")
      assert.strictEqual(yield* place({ detectors }, "C-4711"), "/input/[NATIONAL_ID]/a~1b~0c")
      const throwing = [() => {
        throw new Error("bug")
      }]
      assert.strictEqual(yield* place({ detectors: throwing }, "C-4711"), "")
    }))

  it.effect("measures the limit exactly, numbers and subjects included", () =>
    Effect.gen(function*() {
      const numbers = Array.from({ length: 20_000 }, (_, n) => n + 0.123456789012345)
      assert.strictEqual(yield* path({ action: "note.create", input: numbers }), "/input")
      const exact = "x".repeat(262_144 - JSON.stringify([{ input: "" }, null]).length)
      yield* AuditLogger.emit({ action: "note.create", input: exact }).pipe(within())
      assert.strictEqual(yield* path({ action: "note.create", input: `${exact}x` }), "")
    }).pipe(Effect.provide(memory)))
})

describe("LoggingEngine: idempotency keys", () => {
  const base = {
    action: "note.create",
    outcome: "success",
    severity: "info",
    storageClass: "audit",
    durationMillis: 5,
    occurredAt: "2026-01-02T03:04:05.000Z",
    subjectIds: ["u1", "u2"],
    resource: { type: "note", id: "n1" },
    errorTag: "Tag",
    input: { n: 1 },
    output: { n: 1 },
    metadata: { n: 1 },
    analytics: { utm_source: "s" }
  } as const
  const logged = (draft: DatasetEvent.Draft, more: Partial<RequestContext.Json> = {}) =>
    LoggingEngine.log(draft, { idempotencyKey: "k" }).pipe(within(more))

  it.effect("are compared after stripping: drafts that differ only in what was removed are the same use", () =>
    Effect.gen(function*() {
      const first = yield* logged({ ...base, input: "to kim@example.com", metadata: { password: "hunter2" } })
      const again = yield* logged({ ...base, input: "to lee@example.com", metadata: { password: "hunter3" } })
      assert.deepStrictEqual(again, { ...first, duplicate: true })
      assert.deepStrictEqual([...again.piiFlags.flags], ["EMAIL", "PASSWORD"])
    }).pipe(Effect.provide(memory)))

  it.effect("are refused for a draft that differs in any one field", () =>
    Effect.gen(function*() {
      yield* logged(base)
      const others: ReadonlyArray<Partial<DatasetEvent.Draft>> = [
        { action: "note.delete" },
        { outcome: "denied" },
        { severity: "notice" },
        { storageClass: "cost" },
        { storageClass: undefined },
        { durationMillis: 6 },
        { durationMillis: undefined },
        { occurredAt: "2026-01-02T03:04:05.001Z" },
        { occurredAt: undefined },
        { subjectIds: ["u1", "u3"] },
        { subjectIds: ["u2", "u1"] },
        { subjectIds: [] },
        { subjectIds: undefined },
        { resource: { type: "note", id: "n2" } },
        { resource: { type: "folder", id: "n1" } },
        { resource: undefined },
        { errorTag: "Other" },
        { input: { n: 2 } },
        { input: undefined },
        { output: { n: 2 } },
        { metadata: { n: 2 } },
        { analytics: { utm_source: "t" } }
      ]
      for (const other of others) {
        const error = yield* Effect.flip(logged({ ...base, ...other }))
        assert(error.reason._tag === "InvalidInput", JSON.stringify(other))
        assert.strictEqual(error.reason.path, "/idempotencyKey", JSON.stringify(other))
      }
      assert.isTrue((yield* logged(base)).duplicate)
      assert.strictEqual((yield* AuditTrail.query(log)).items.length, 2)
    }).pipe(Effect.provide(memory)))

  it.effect("are the same use when defaults are written out, and in another request or trace", () =>
    Effect.gen(function*() {
      yield* logged({ action: "note.create" })
      const same: ReadonlyArray<readonly [DatasetEvent.Draft, Partial<RequestContext.Json>]> = [
        [{ action: "note.create", outcome: "success", severity: "info", storageClass: "ops" }, {}],
        [{ action: "note.create" }, { requestId: "r2", traceId: "other", spanId: "s2" }]
      ]
      for (const [draft, more] of same) assert.isTrue((yield* logged(draft, more)).duplicate)
    }).pipe(Effect.provide(memory)))

  it.effect("are refused for another actor, also for an agent of the same name, and one who acts for another", () =>
    Effect.gen(function*() {
      const { agent, human, system, tool } = RequestContext
      const actors = [human("u1"), human("u2"), agent("u1"), agent("u1", "u1"), agent("u1", "u2"), tool("u1"), system]
      for (const [n, first] of actors.entries()) {
        const use = (actor: RequestContext.Json["actor"]) =>
          LoggingEngine.log(base, { idempotencyKey: `k${n}` }).pipe(within({ actor }))
        yield* use(first)
        for (const actor of actors) {
          if (actor === first) assert.isTrue((yield* use(actor)).duplicate)
          else {
            const { reason } = yield* Effect.flip(use(actor))
            assert(reason._tag === "InvalidInput" && reason.path === "/idempotencyKey")
          }
        }
      }
    }).pipe(Effect.provide(memory)))

  it.effect("are of 1 to 256 characters, without control characters and lone surrogates", () =>
    Effect.gen(function*() {
      const use = (idempotencyKey: string) => path({ action: "note.create" }, { idempotencyKey })
      for (const wrong of ["", "a".repeat(257), "a\u0000", "a\nb", "\u009f", "a\ud800", 7 as never, null as never]) {
        assert.strictEqual(yield* use(wrong), "/idempotencyKey", JSON.stringify(wrong))
      }
      for (const idempotencyKey of ["a", "a".repeat(256), "🌿".repeat(256), "grün 1/2"]) {
        yield* AuditLogger.emit({ action: "note.create" }, { idempotencyKey }).pipe(within())
      }
    }).pipe(Effect.provide(memory)))
})

describe("LoggingEngine: event ids of the caller", () => {
  it.effect("are UUIDv7 in lower case, whole", () =>
    Effect.gen(function*() {
      const use = (eventId: string) => path({ action: "note.create" }, { eventId: eventId as DatasetEvent.EventId })
      const id = "01a209b2-bb64-721d-a879-ebe903fabb0d"
      const wrong = [
        "",
        `${id}0`,
        `0${id}`,
        `x${id}`,
        `${id}\n`,
        id.toUpperCase(),
        id.slice(1),
        id.replaceAll("-", ""),
        "01a209b2-bb64-421d-a879-ebe903fabb0d",
        "01a209b2-bb64-721d-c879-ebe903fabb0d",
        "01a209b2-bb64-721d-7879-ebe903fabb0d",
        "g1a209b2-bb64-721d-a879-ebe903fabb0d",
        "01a209b2-gb64-721d-a879-ebe903fabb0d",
        "01a209b2-bb64-72gd-a879-ebe903fabb0d",
        "01a209b2-bb64-721d-a8g9-ebe903fabb0d",
        "01a209b2-bb64-721d-a879-gbe903fabb0d"
      ]
      for (const eventId of wrong) assert.strictEqual(yield* use(eventId), "/eventId", eventId)
      for (const digit of ["8", "9", "a", "b"]) {
        const eventId = DatasetEvent.EventId.make(`01a209b2-bb64-721d-${digit}879-ebe903fabb0d`)
        const receipt = yield* AuditLogger.emit({ action: "note.create" }, { eventId }).pipe(within())
        assert.deepInclude(receipt, { eventId, duplicate: false })
      }
    }).pipe(Effect.provide(memory)))
})

describe("LoggingEngine.setPreference", () => {
  /** The memory sink behind a gate, and a signal that an event has come to it. */
  const gated = Effect.gen(function*() {
    const arrived = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    const layer = wrapped(({ sink }) => ({
      sink: {
        append: (event) =>
          Deferred.succeed(arrived, undefined).pipe(
            Effect.andThen(Deferred.await(gate)),
            Effect.andThen(sink.append(event))
          )
      }
    }))
    return { arrived, gate, layer }
  })

  for (const trainingAllowed of [true, false]) {
    it.effect(`sets and records both, although the caller is interrupted in between: ${trainingAllowed}`, () =>
      Effect.gen(function*() {
        const { arrived, gate, layer } = yield* gated
        yield* Effect.gen(function*() {
          const setting = yield* Effect.forkChild(
            LoggingEngine.setPreference({ trainingAllowed, userId: "u7" }).pipe(within()),
            { startImmediately: true }
          )
          yield* Deferred.await(arrived)
          const interrupting = yield* Effect.forkChild(Fiber.interrupt(setting), { startImmediately: true })
          yield* Deferred.succeed(gate, undefined)
          yield* Fiber.join(interrupting)
          const preferences = yield* TrainingPreferences.TrainingPreferences
          assert.deepStrictEqual(yield* preferences.list(log), [
            { ...log, userId: "u7", trainingAllowed }
          ])
          const event = yield* newest
          assert.strictEqual(event.action, "training_preference.changed")
          assert.strictEqual(event.metadata["training_allowed"], trainingAllowed)
          assert.strictEqual(event.storage_class, "audit")
        }).pipe(Effect.provide(layer))
      }))
  }

  it.effect("names the tenant without a person, and refuses what is no id of a person before it sets anything", () =>
    Effect.gen(function*() {
      yield* LoggingEngine.setPreference({ trainingAllowed: false }).pipe(within())
      const event = yield* newest
      assert.deepStrictEqual(event.resource, { type: "tenant", id: "t_acme" })
      assert.isUndefined(event.subject_ids)
      for (const userId of ["", "kim@example.com", "u".repeat(129)]) {
        const error = yield* Effect.flip(LoggingEngine.setPreference({ trainingAllowed: false, userId }).pipe(within()))
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, "/userId")
      }
      const preferences = yield* TrainingPreferences.TrainingPreferences
      assert.deepStrictEqual(yield* preferences.list(log), [
        { ...log, trainingAllowed: false }
      ])
      assert.strictEqual((yield* AuditTrail.query(log)).items.length, 2)
    }).pipe(Effect.provide(memory)))
})

describe("LoggingEngine: steps that are late", () => {
  /** A step that hangs, and whether it was interrupted. */
  const hanging = () => {
    const seen = { started: false, interrupted: false }
    const step = Effect.suspend(() => {
      seen.started = true
      return Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          seen.interrupted = true
        }))
    })
    return { seen, step }
  }
  const turns = Effect.forEach(Array.from({ length: 10 }), () => Effect.yieldNow, { discard: true })
  const cases: ReadonlyArray<
    readonly [
      string,
      (step: Effect.Effect<never>) => {
        readonly strip?: PiiStripper.PiiStripper["Service"]["strip"]
        readonly lookup?: TrainingPreferences.TrainingPreferences["Service"]["lookup"]
        readonly append?: EventSink.EventSink["Service"]["append"]
      }
    ]
  > = [
    ["stripper", (step) => ({ strip: () => step })],
    ["preference look-up", (step) => ({ lookup: () => step })],
    ["sink", (step) => ({ append: () => step })]
  ]
  for (const [name, replaced] of cases) {
    it.effect(`a ${name} that hangs is interrupted at the deadline, not before`, () =>
      Effect.gen(function*() {
        const { seen, step } = hanging()
        const { append, lookup, strip } = replaced(step)
        const preferences = Layer.effect(
          TrainingPreferences.TrainingPreferences,
          Effect.map(
            TrainingPreferences.TrainingPreferences,
            (service) => lookup === undefined ? service : { ...service, lookup }
          )
        )
        const stack = Layer.fresh(
          LoggingEngine.layer({ deadline: "3 seconds" }).pipe(
            Layer.provide(append === undefined ? Layer.empty : Layer.succeed(EventSink.EventSink, { append })),
            Layer.provide(
              strip === undefined ? PiiStripper.layer() : Layer.succeed(PiiStripper.PiiStripper, { strip })
            ),
            Layer.provide(preferences),
            Layer.provide(Memory.layer())
          )
        )
        const fiber = yield* LoggingEngine.log({ action: "note.create" }).pipe(
          within(),
          Effect.exit,
          Effect.provide(stack),
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust(2999)
        yield* turns
        assert.deepStrictEqual(seen, { started: true, interrupted: false })
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* turns
        assert.isTrue(seen.interrupted)
        assert.isDefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
      }))
  }
})

describe("LoggingEngine: failing sinks", () => {
  type Append = EventSink.EventSink["Service"]["append"]
  const sink = (append: Append) => Layer.fresh(over(Layer.succeed(EventSink.EventSink, { append })))
  const evidence = (event: DatasetEvent.Sealed, duplicate = false): EventSink.Evidence => ({
    eventId: event.eventId,
    position: 1,
    duplicate,
    durability: "memory"
  })
  const emit = AuditLogger.emit({ action: "note.create", input: "kim@example.com" }).pipe(within())

  it.effect("surfaces each reason of a sink in the error channel, with the event id", () =>
    Effect.gen(function*() {
      const detail = "down"
      const reasons = [
        new AuditError.SinkOverloaded({ detail }),
        new AuditError.SinkTimeout({ detail }),
        new AuditError.SinkUnavailable({ detail }),
        new AuditError.SinkFull({ detail }),
        new AuditError.SinkRejected({ detail }),
        new AuditError.SinkClosed({ detail })
      ]
      for (const reason of reasons) {
        let tries = 0
        const error = yield* emit.pipe(
          Effect.provide(sink((event) => {
            tries++
            return Effect.fail(AuditError.fail("Sink.append", reason, event.eventId))
          })),
          Effect.flip
        )
        assert.strictEqual(error.reason._tag, reason._tag)
        assert.isDefined(error.eventId)
        assert.strictEqual(tries, 1)
      }
    }))

  it.effect("repeats an unknown commit with the same event until it is known, and stores it once", () =>
    Effect.gen(function*() {
      const stored: Array<DatasetEvent.EventId> = []
      let tries = 0
      const fiber = yield* emit.pipe(
        Effect.provide(sink((event) =>
          Effect.suspend(() => {
            tries++
            const duplicate = stored.includes(event.eventId)
            if (!duplicate) stored.push(event.eventId)
            // Stored, but the acknowledgement is lost: twice.
            return tries < 3
              ? Effect.fail(
                AuditError.fail("Sink.append", new AuditError.CommitUnknown({ detail: "lost" }), event.eventId)
              )
              : Effect.succeed(evidence(event, duplicate))
          })
        )),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("1 second")
      const receipt = yield* Fiber.join(fiber)
      assert.deepStrictEqual([tries, stored.length, receipt.duplicate], [3, 1, false])
    }))

  it.effect("says CommitUnknown at the deadline if it stays unknown, whatever a later try says", () =>
    Effect.gen(function*() {
      let tries = 0
      const fiber = yield* emit.pipe(
        Effect.provide(sink((event) => {
          const reason = tries++ === 0
            ? new AuditError.CommitUnknown({ detail: "lost" })
            : new AuditError.SinkUnavailable({ detail: "down" })
          return Effect.fail(AuditError.fail("Sink.append", reason, event.eventId))
        })),
        Effect.flip,
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "CommitUnknown")
      assert.isAbove(tries, 2)
    }))

  it.effect("a sink that hangs, even uninterruptibly, ends with CommitUnknown at the deadline", () =>
    Effect.gen(function*() {
      for (const hang of [Effect.never, Effect.uninterruptible(Effect.never)]) {
        const fiber = yield* emit.pipe(
          Effect.provide(sink(() => hang)),
          Effect.flip,
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("60 seconds")
        assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "CommitUnknown")
      }
    }))

  it.effect("a sink that throws or dies is CommitUnknown: it may have stored the event", () =>
    Effect.gen(function*() {
      for (
        const append of [
          () => Effect.die("bug"),
          () => {
            throw new Error("bug")
          }
        ]
      ) {
        const fiber = yield* emit.pipe(
          Effect.provide(sink(append)),
          Effect.flip,
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("60 seconds")
        assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "CommitUnknown")
      }
    }))

  it.effect("finishes recording although the caller is interrupted", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let appended = 0
      const fiber = yield* emit.pipe(
        Effect.provide(sink((event) =>
          Effect.as(Effect.tap(Deferred.await(gate), () => Effect.sync(() => appended++)), evidence(event))
        )),
        Effect.forkChild({ startImmediately: true })
      )
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(interrupting)
      assert.strictEqual(appended, 1)
    }))

  it.effect("logs, counts and marks the span of every failure, with ids and without payload", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ fiber, logLevel, message }) =>
        lines.push(JSON.stringify([logLevel, message, fiber.getRef(References.CurrentLogAnnotations)]))
      )
      const span = yield* Effect.makeSpan("request")
      const failures = Metric.withAttributes(LoggingEngine.failedEvents, { reason: "SinkFull" })
      const before = (yield* Metric.value(failures)).count
      const error = yield* emit.pipe(
        Effect.provide(
          sink((event) =>
            Effect.fail(AuditError.fail("Sink.append", new AuditError.SinkFull({ detail: "full" }), event.eventId))
          )
        ),
        Effect.provideService(Tracer.ParentSpan, span),
        Effect.provide(Logger.layer([logger])),
        Effect.flip
      )
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], `"Error"`)
      for (const id of [error.eventId, "t_acme", "r1", "0af7651916cd43dd8448eb211c80319c", "SinkFull"]) {
        assert.include(lines[0], String(id))
      }
      assert.notInclude(lines.join(), "kim")
      assert.strictEqual(Number((yield* Metric.value(failures)).count) - Number(before), 1)
      assert(span._tag === "Span")
      assert.include(
        JSON.stringify(Object.entries(span), (_, value: unknown) => typeof value === "bigint" ? String(value) : value),
        "audit.emit_failed"
      )
    }))

  it.effect("names the method, and the event where there is one, in every error", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(AuditLogger.emit({ action: "Wrong" }).pipe(within()))
      assert.strictEqual(refused.method, "LoggingEngine.log")
      assert.isDefined(refused.eventId)
      const id = "nope" as DatasetEvent.EventId
      const unnamed = yield* Effect.flip(AuditLogger.emit({ action: "a.b" }, { eventId: id }).pipe(within()))
      assert.isUndefined(unnamed.eventId)
      const person = yield* Effect.flip(
        LoggingEngine.setPreference({ trainingAllowed: false, userId: "no id" }).pipe(within())
      )
      assert.strictEqual(person.method, "LoggingEngine.setPreference")
    }).pipe(Effect.provide(sink(() => Effect.never))))

  it.effect("tells the sink which events it may hold already: those whose id the caller names", () =>
    Effect.gen(function*() {
      const seen: Array<boolean> = []
      yield* Effect.gen(function*() {
        const { eventId } = yield* emit
        yield* AuditLogger.emit({ action: "a.b" }, { eventId }).pipe(within())
        yield* AuditLogger.emit({ action: "a.b" }, { idempotencyKey: "k" }).pipe(within())
      }).pipe(Effect.provide(sink((event) => {
        seen.push(event.repeated)
        return Effect.succeed(evidence(event))
      })))
      assert.deepStrictEqual(seen, [false, true, false])
    }))

  it.effect("tries again as long as a try can begin before the deadline, and no longer", () =>
    Effect.gen(function*() {
      for (
        const [deadline, expected] of [["9 millis", 1], ["10 millis", 2], ["29 millis", 2], ["30 millis", 3]] as const
      ) {
        let tries = 0
        const unknown = Layer.succeed(EventSink.EventSink, {
          append: (event) => {
            tries++
            return Effect.fail(
              AuditError.fail("Sink.append", new AuditError.CommitUnknown({ detail: "lost" }), event.eventId)
            )
          }
        })
        const fiber = yield* emit.pipe(
          Effect.provide(Layer.fresh(over(unknown, { deadline }))),
          Effect.flip,
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "CommitUnknown")
        assert.strictEqual(tries, expected, deadline)
      }
    }))

  it.effect("a repeated try that finds another event behind the key answers with that event's receipt", () =>
    Effect.gen(function*() {
      const eventId = DatasetEvent.EventId.make("01a209b2-bb64-721d-a879-ebe903fabb0d")
      const piiFlags = { flags: ["PHONE"], policy_reason: "pii_found", counts: { PHONE: 1 }, truncated: false }
      let tries = 0
      const fiber = yield* emit.pipe(
        Effect.provide(sink((event) =>
          tries++ === 0
            ? Effect.fail(
              AuditError.fail("Sink.append", new AuditError.CommitUnknown({ detail: "lost" }), event.eventId)
            )
            : Effect.succeed({
              eventId,
              position: 7,
              duplicate: true,
              durability: "committed",
              first: { erased: false, piiFlags, trainOk: true }
            })
        )),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        eventId,
        position: 7,
        duplicate: true,
        durability: "committed",
        piiFlags,
        trainOk: true,
        erased: false
      })
    }))

  it.effect("of an erased duplicate nothing is said but where it was", () =>
    Effect.gen(function*() {
      const receipt = yield* emit.pipe(
        Effect.provide(sink((event) => Effect.succeed({ ...evidence(event, true), first: { erased: true } })))
      )
      assert.deepInclude(receipt, { duplicate: true, position: 1, trainOk: false, erased: true })
      assert.deepStrictEqual(receipt.piiFlags, { flags: [], policy_reason: "erased", counts: {}, truncated: false })
    }))

  it.effect("counts each event that was recorded, and each that was not, once", () =>
    Effect.gen(function*() {
      assert.strictEqual(LoggingEngine.recordedEvents.id, "audit_events_recorded_total")
      assert.strictEqual(LoggingEngine.failedEvents.id, "audit_events_failed_total")
      const failures = Metric.withAttributes(LoggingEngine.failedEvents, { reason: "InvalidInput" })
      const counts = Effect.all([
        Effect.map(Metric.value(LoggingEngine.recordedEvents), ({ count }) => Number(count)),
        Effect.map(Metric.value(failures), ({ count }) => Number(count))
      ])
      const before = yield* counts
      yield* Effect.gen(function*() {
        yield* emit
        yield* emit
        yield* Effect.flip(AuditLogger.emit({ action: "Wrong" }).pipe(within()))
      }).pipe(Effect.provide(sink((event) => Effect.succeed(evidence(event)))))
      const after = yield* counts
      assert.deepStrictEqual(after.map((count, n) => count - before[n]!), [2, 1])
    }))
})
