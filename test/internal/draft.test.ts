import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import { AuditLogger, type DatasetEvent, LoggingEngine } from "effect-audit"
import { Memory } from "effect-audit/memory"
import { AuditTrail } from "effect-audit/trail"
import { ReadDraft } from "../../src/internal/draft.ts"
import { log, memory, over, within } from "../support.ts"

const action = "note.create"
const newest = Effect.gen(function*() {
  const { items: [item] } = yield* AuditTrail.query({ ...log, limit: 1 })
  assert(item !== undefined && !item.erased)
  return item.event
})
/** Where a draft is refused; `undefined` if it is recorded. */
const refused = (draft: unknown) =>
  Effect.map(
    Effect.result(LoggingEngine.log(draft as DatasetEvent.Draft).pipe(within())),
    (result) =>
      result._tag === "Success"
        ? undefined
        : result.failure.reason._tag === "InvalidInput"
        ? result.failure.reason.path
        : result.failure.reason._tag
  )
const each = (path: string | undefined, drafts: ReadonlyArray<unknown>) =>
  Effect.forEach(
    drafts,
    (draft) =>
      Effect.map(refused(draft), (actual) => assert.strictEqual(actual, path, JSON.stringify(draft)?.slice(0, 200))),
    { discard: true }
  )
const nested = (depth: number): unknown => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`)

describe("drafts", () => {
  it.effect("have an action of dotted lower-case words, at most 128 characters", () =>
    Effect.gen(function*() {
      const actions = ["a.b", "note.tag.add", "n1_x.2_y", `a.${"b".repeat(126)}`]
      yield* each(undefined, actions.map((action) => ({ action })))
      const wrong = [
        "",
        "note",
        "note.",
        ".note",
        "note..x",
        "1a.b",
        "_a.b",
        "Note.create",
        "note.Create",
        "note.cre-ate",
        "note create.x",
        " note.create",
        "note.create ",
        "note.create\n",
        `a.${"b".repeat(127)}`,
        7,
        null,
        undefined,
        ["a.b"]
      ]
      yield* each("/action", wrong.map((action) => ({ action })))
      yield* each("/action", ["erased", "held", "released", "log_created"].map((word) => ({ action: `audit.${word}` })))
      yield* each(undefined, [{ action: "audit.other" }])
    }).pipe(Effect.provide(memory)))

  it.effect("are objects with known fields only", () =>
    Effect.gen(function*() {
      yield* each("", [null, undefined, 1, "text", [], [action]])
      yield* each("/tenantId", [{ action, tenantId: "t_other" }])
      yield* each("/a~1b~0c", [{ action, "a/b~c": 1 }])
      const unreadable = {
        action,
        get input() {
          throw new Error("no")
        }
      }
      assert.strictEqual(yield* refused(unreadable), "")
    }).pipe(Effect.provide(memory)))

  it.effect("name one of the outcomes, severities and storage classes, and the usual ones unless given", () =>
    Effect.gen(function*() {
      yield* each(undefined, [{ action }])
      const event = yield* newest
      assert.deepStrictEqual([event.outcome, event.severity, event.storage_class], ["success", "info", "ops"])
      for (const outcome of ["success", "failure", "denied"]) {
        yield* each(undefined, [{ action, outcome }])
        assert.strictEqual((yield* newest).outcome, outcome)
      }
      for (const severity of ["debug", "info", "notice", "warning", "error", "critical"]) {
        yield* each(undefined, [{ action, severity }])
        assert.strictEqual((yield* newest).severity, severity)
      }
      for (const storageClass of ["ops", "audit", "stream", "cost"]) {
        yield* each(undefined, [{ action, storageClass }])
        assert.strictEqual((yield* newest).storage_class, storageClass)
      }
      for (const value of ["", "Success", "other", null, 0]) {
        yield* each("/outcome", [{ action, outcome: value }])
        yield* each("/severity", [{ action, severity: value }])
        yield* each("/storageClass", [{ action, storageClass: value }])
      }
    }).pipe(Effect.provide(memory)))

  it.effect("say a duration that is finite and not negative", () =>
    Effect.gen(function*() {
      for (const durationMillis of [0, 0.5, 1e9]) {
        yield* each(undefined, [{ action, durationMillis }])
        assert.strictEqual((yield* newest).duration_ms, durationMillis)
      }
      yield* each(
        "/durationMillis",
        [-0.1, Infinity, -Infinity, NaN, "5", null].map((durationMillis) => ({
          action,
          durationMillis
        }))
      )
    }).pipe(Effect.provide(memory)))

  it.effect("name at most 1,000 subjects, each by an id", () =>
    Effect.gen(function*() {
      const ids = ["u1", "A.z_0:9|/+=-", "u".repeat(128)]
      yield* each(undefined, [{ action, subjectIds: ids }])
      assert.deepStrictEqual<unknown>((yield* newest).subject_ids, ids)
      yield* each(undefined, [{ action, subjectIds: [] }, {
        action,
        subjectIds: Array.from({ length: 1000 }, () => "u")
      }])
      yield* each("/subjectIds", [
        { action, subjectIds: Array.from({ length: 1001 }, () => "u") },
        { action, subjectIds: "u1" },
        { action, subjectIds: { 0: "u1", length: 1 } },
        { action, subjectIds: null }
      ])
      for (const wrong of ["", "u".repeat(129), "kim@example.com", "a b", "ü", "u1\n", 1, null, undefined]) {
        yield* each("/subjectIds/1", [{ action, subjectIds: ["u1", wrong] }])
      }
    }).pipe(Effect.provide(memory)))

  it.effect("have a resource of a type and an id, and nothing else", () =>
    Effect.gen(function*() {
      for (const type of ["note", "N", "a_B.0:9/-", `a${"b".repeat(127)}`]) {
        yield* each(undefined, [{ action, resource: { type, id: "1" } }])
        assert.deepStrictEqual((yield* newest).resource, { type, id: "1" })
      }
      for (const type of ["", "1a", "_a", "no type", "ü", "note\n", `a${"b".repeat(128)}`, 7, null]) {
        yield* each("/resource/type", [{ action, resource: { type, id: "1" } }])
      }
      for (const id of ["", 7, null, {}, undefined]) {
        yield* each("/resource/id", [{ action, resource: { type: "note", id } }])
      }
      yield* each("/resource", [[], "note", null, 1].map((resource) => ({ action, resource })))
      yield* each("/resource/a~1b", [{ action, resource: { type: "note", id: "1", "a/b": 1 } }])
    }).pipe(Effect.provide(memory)))

  it.effect("take texts for error tags and analytics, and objects for metadata", () =>
    Effect.gen(function*() {
      yield* each("/errorTag", [7, {}, null, true].map((errorTag) => ({ action, errorTag })))
      yield* each(undefined, [{ action, errorTag: "a\ud800" }])
      assert.strictEqual((yield* newest).error_tag, "a\ufffd")
      yield* each("/metadata", [null, [], "text", 1].map((metadata) => ({ action, metadata })))
      yield* each(undefined, [{ action, metadata: { nested: { tenantId: "mine" } } }])
      yield* each("/analytics", [null, [], "text", 1].map((analytics) => ({ action, analytics })))
      const analytics = {
        event_type: "x",
        platform: "y",
        asset_alt_text: "z",
        utm_a: "1",
        [`seo_${"b".repeat(64)}`]: "2"
      }
      yield* each(undefined, [{ action, analytics }])
      assert.deepInclude({ ...(yield* newest) }, {
        analytics_event_type: "x",
        analytics_platform: "y",
        asset_alt_text: "z",
        utm_a: "1",
        [`seo_${"b".repeat(64)}`]: "2"
      } as never)
      for (const key of ["utm_", "utm_A", "xutm_a", "utm_a ", `utm_${"a".repeat(65)}`, "other", "event_types"]) {
        yield* each(`/analytics/${key}`, [{ action, analytics: { [key]: "x" } }])
      }
      yield* each("/analytics/a~1b~0c", [{ action, analytics: { "a/b~c": "x" } }])
      yield* each("/analytics/utm_a", [1, null, [], {}].map((value) => ({ action, analytics: { utm_a: value } })))
    }).pipe(Effect.provide(memory)))

  it.effect("take dates, date-times, milliseconds and RFC 3339 text with an offset as the time, in years of four digits", () =>
    Effect.gen(function*() {
      const times: ReadonlyArray<readonly [unknown, string]> = [
        [new Date(0), "1970-01-01T00:00:00.000Z"],
        [DateTime.makeUnsafe(1), "1970-01-01T00:00:00.001Z"],
        [1_767_323_045_000, "2026-01-02T03:04:05.000Z"],
        ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
        ["2026-01-02t03:04:05z", "2026-01-02T03:04:05.000Z"],
        ["2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"],
        ["2026-01-02T03:04:05.678912345Z", "2026-01-02T03:04:05.678Z"],
        ["2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"],
        ["2026-01-02T03:04:05-00:30", "2026-01-02T03:34:05.000Z"],
        [new Date(-62_167_219_200_000), "0000-01-01T00:00:00.000Z"],
        [new Date(253_402_300_799_999), "9999-12-31T23:59:59.999Z"]
      ]
      for (const [occurredAt, expected] of times) {
        yield* each(undefined, [{ action, occurredAt }])
        assert.strictEqual((yield* newest).occurred_at, expected)
      }
      const wrong = [
        "",
        "yesterday",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02 03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05ZZ",
        "x2026-01-02T03:04:05Z",
        "+002026-01-02T03:04:05Z",
        "1767323045000",
        NaN,
        Infinity,
        -62_167_219_200_001,
        253_402_300_800_000,
        true,
        null,
        {},
        [],
        { typo: 1 },
        new Date(NaN),
        new Date(-62_167_219_200_001),
        new Date(253_402_300_800_000)
      ]
      yield* each("/occurredAt", wrong.map((occurredAt) => ({ action, occurredAt })))
    }).pipe(Effect.provide(memory)))

  it.effect("happened at the time of the call unless they say when", () =>
    Effect.gen(function*() {
      yield* each(undefined, [{ action }])
      const { occurred_at, recorded_at } = yield* newest
      assert.deepStrictEqual([occurred_at, recorded_at], ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"])
    }).pipe(Effect.provide(memory)))

  it.effect("are not nested deeper than 32, and have no more than 4,096 keys", () =>
    Effect.gen(function*() {
      yield* each(undefined, [{ action, input: nested(32) }])
      yield* each(`/input${"/0".repeat(32)}`, [{ action, input: nested(33) }])
      yield* each(`/output${"/0".repeat(32)}`, [{ action, input: nested(32), output: nested(40) }])
      yield* each(`/metadata/a~1b${"/0".repeat(31)}`, [{ action, metadata: { "a/b": nested(33) } }])
      const keys = (length: number) => Object.fromEntries(Array.from({ length }, (_, n) => [`k${n}`, n]))
      yield* each(undefined, [{ action, input: keys(4096) }, { action, input: keys(2048), output: keys(2048) }])
      yield* each("", [{ action, input: keys(4097) }, { action, input: keys(2048), output: keys(2049) }])
    }).pipe(Effect.provide(memory)))

  it.effect("are measured as a whole and by field, and the field that is too large is named", () =>
    Effect.gen(function*() {
      const text = (length: number) => "x".repeat(length)
      yield* each("/output", [{ action, input: text(10), output: text(262_143) }])
      yield* each("/metadata", [{ action, metadata: { text: text(262_144) } }])
      yield* each("", [{ action, input: text(140_000), output: text(140_000) }])
      yield* each(undefined, [{ action, input: text(130_000), output: text(130_000) }])
      // A character of three bytes, and one that JSON writes with six.
      yield* each("/input", [{ action, input: "€".repeat(87_382) }, { action, input: "\u0001".repeat(43_691) }])
      yield* each(undefined, [{ action, input: "€".repeat(87_000) }, { action, input: "\u0001".repeat(43_600) }])
      yield* each("", [{
        action,
        input: text(200_000),
        subjectIds: Array.from({ length: 1000 }, (_, n) => `${text(120)}${n}`)
      }])
    }).pipe(Effect.provide(memory)))

  it.effect("have the limits that the engine is given, up to a ceiling", () =>
    Effect.gen(function*() {
      const under = (limits: LoggingEngine.Options["limits"], draft: unknown) =>
        refused(draft).pipe(Effect.provide(Layer.fresh(over(Memory.layer(), { limits }))))
      assert.isUndefined(yield* under({ maxDepth: 2 }, { action, input: nested(2) }))
      assert.strictEqual(yield* under({ maxDepth: 2 }, { action, input: nested(3) }), "/input/0/0")
      assert.isUndefined(yield* under({ maxKeys: 2 }, { action, input: { a: 1, b: 2 } }))
      assert.strictEqual(yield* under({ maxKeys: 2 }, { action, input: { a: 1, b: 2, c: 3 } }), "")
      assert.isUndefined(yield* under({ maxBytes: 300_000 }, { action, input: "x".repeat(270_000) }))
      assert.strictEqual(yield* under({ maxBytes: 100 }, { action, input: "x".repeat(200) }), "/input")
      assert.isUndefined(yield* under({ maxDepth: 256 }, { action, input: nested(256) }))
      assert.strictEqual(
        yield* under({ maxDepth: 256 }, { action, input: nested(257) }),
        `/input${"/0".repeat(256)}`
      )
    }))
})

describe("ReadDraft", () => {
  it.effect("is frozen for a logger and an engine of one's own, however they are called", () =>
    Effect.gen(function*() {
      const shown: Array<boolean> = []
      const watch = (draft: DatasetEvent.Draft) => {
        shown.push(Object.isFrozen(draft) && Object.isFrozen(draft.input))
      }
      const engine = yield* LoggingEngine.LoggingEngine
      const ownEngine = LoggingEngine.LoggingEngine.of({
        ...engine,
        log: (draft, options) => {
          watch(draft)
          return engine.log(draft, options)
        }
      })
      const logger = yield* AuditLogger.AuditLogger
      const ownLogger = AuditLogger.AuditLogger.of({
        emit: (draft, options) => {
          watch(draft)
          return logger.emit(draft, options)
        }
      })
      const draft = { action, input: { n: 1 } }
      yield* AuditLogger.emit(draft).pipe(within(), Effect.provideService(AuditLogger.AuditLogger, ownLogger))
      yield* LoggingEngine.log(draft).pipe(within(), Effect.provideService(LoggingEngine.LoggingEngine, ownEngine))
      yield* AuditLogger.emit(draft).pipe(
        within(),
        Effect.provide(Layer.fresh(AuditLogger.layerEngine)),
        Effect.provideService(LoggingEngine.LoggingEngine, ownEngine)
      )
      assert.deepStrictEqual(shown, [true, true, true])
      assert.isFalse(Object.isFrozen(draft))
    }).pipe(Effect.provide(memory)))

  it("cannot be changed by who is shown it, and neither can what it was read from change it", () => {
    const input = { list: [1, { deep: 2 }] }
    const service = {}
    const draft = ReadDraft.for(
      service,
      ReadDraft.of({
        action,
        input,
        output: new Map([["a", { b: 1 }]]),
        metadata: { a: { b: 1 } },
        analytics: { event_type: "click" },
        resource: { type: "note", id: "n1" },
        subjectIds: ["u1"]
      })
    )
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    assert.isTrue(frozen(draft))
    input.list.push(3)
    assert.deepStrictEqual(draft.input, { list: [1, { deep: 2 }] })
    assert.isTrue(Object.isFrozen(ReadDraft.for(service, ReadDraft.of({ action: "Wrong" }))))
  })

  it.effect("of what comes from outside is of the class that it is given unless it names another", () =>
    Effect.gen(function*() {
      for (const [draft, expected] of [[{ action }, "audit"], [{ action, storageClass: "cost" }, "cost"]] as const) {
        yield* LoggingEngine.log(ReadDraft.fromUnknown(draft, "audit")).pipe(within())
        assert.strictEqual((yield* newest).storage_class, expected)
      }
      for (const input of [null, 1, "text", [], undefined]) yield* each("", [ReadDraft.fromUnknown(input, "audit")])
      yield* each("/action", [
        ReadDraft.fromUnknown({}, "audit"),
        ReadDraft.fromUnknown({ action: "audit.erased" }, "audit")
      ])
    }).pipe(Effect.provide(memory)))

  it.effect("is recorded as often as one likes, in the class of who records it", () =>
    Effect.gen(function*() {
      const snapshot = ReadDraft.of({ action, storageClass: "stream" })
      yield* LoggingEngine.log(snapshot).pipe(within())
      assert.strictEqual((yield* newest).storage_class, "stream")
      yield* AuditLogger.emit(snapshot).pipe(within())
      assert.strictEqual((yield* newest).storage_class, "audit")
      yield* LoggingEngine.log(snapshot).pipe(within())
      assert.strictEqual((yield* newest).storage_class, "stream")
      const error = yield* Effect.flip(AuditLogger.emit(ReadDraft.of({ action: "Wrong" })).pipe(within()))
      assert(error.reason._tag === "InvalidInput")
      assert.strictEqual(error.reason.path, "/action")
    }).pipe(Effect.provide(memory)))
})
