/** Under which policy a store is written, and who is refused. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import {
  type AuditError,
  AuditLogger,
  EventSink,
  LoggingEngine,
  PiiStripper,
  RequestContext,
  TrainingPreferences,
  WritePolicy
} from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Memory } from "effect-audit/memory"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { log, temporaryFile, within } from "./support.ts"

const secret = (fill: number) => new Uint8Array(32).fill(fill)
const fingerprintOf = (options: PiiStripper.Options) =>
  Effect.map(PiiStripper.make(options), ({ policy }) => policy?.fingerprint ?? "")

/** One store for several writers, each with a policy of its own. */
const stores: {
  readonly [name: string]: Effect.Effect<Layer.Layer<Memory.AuditStore, AuditError.AuditError>, never, Scope.Scope>
} = {
  memory: Effect.map(Layer.build(Memory.layer()), (context) => Layer.succeedContext(context)),
  SQLite: Effect.map(temporaryFile, (filename) => Layer.fresh(Sqlite.layer({ filename })))
}
const writing = (pii: PiiStripper.Options, tenantId = "t_acme") =>
  Effect.provide(
    AuditLogger.emit({ action: "note.create", input: "kim@example.com" }).pipe(within({ tenantId })),
    Layer.fresh(AuditLogger.layer({ pii }))
  )
const events = (tenantId = "t_acme") =>
  Effect.map(
    AuditTrail.query({ ...log, tenantId: RequestContext.TenantId.make(tenantId), order: "asc" }),
    ({ items }) => items.flatMap((item) => item.erased ? [] : [item.event])
  )

for (const [name, open] of Object.entries(stores)) {
  describe(`a store in ${name}`, () => {
    const over = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.scoped(Effect.flatMap(open, (store) => Effect.provide(effect, store)))

    it.live("remembers the policy of its first writer, and refuses one with another", () =>
      over(Effect.gen(function*() {
        const masking = { policy: { kinds: { EMAIL: "partial" } } }
        yield* writing(masking)
        yield* writing(masking)
        const error = yield* Effect.flip(writing({}))
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, "/policy")
        const [mine, other] = [yield* fingerprintOf(masking), yield* fingerprintOf({})]
        assert.strictEqual(
          error.reason.detail,
          `the store is written under the PII policy ${mine}, and this one is ${other}: write with the former, or ` +
            "name it in `replaces`"
        )
        const { current } = yield* WritePolicy.WritePolicy
        assert.deepStrictEqual(yield* current, { fingerprint: mine, changes: 0 })
        const stored = yield* events()
        assert.deepStrictEqual(stored.map(({ action }) => action), ["audit.log_created", "note.create", "note.create"])
        assert.strictEqual(stored[0]?.metadata["policy"], mine)
      })))

    it.live("takes a writer that names the policy which it replaces, and every log says so, once", () =>
      over(Effect.gen(function*() {
        const first = {}
        const from = yield* fingerprintOf(first)
        const second = { policy: { kinds: { EMAIL: "drop" } }, replaces: ["0".repeat(32), from] }
        const to = yield* fingerprintOf(second)
        yield* writing(first)
        yield* writing(first, "t_other")
        yield* writing(second)
        yield* writing(second)
        const stored = yield* events()
        assert.deepStrictEqual(stored.map(({ action }) => action), [
          "audit.log_created",
          "note.create",
          "audit.policy_changed",
          "note.create",
          "note.create"
        ])
        const change = stored[2]
        assert.deepStrictEqual<unknown>(change?.output, { from, to })
        assert.deepStrictEqual<unknown>([change?.actor_type, change?.storage_class], ["system", "audit"])
        assert.strictEqual((yield* events("t_other")).at(-1)?.action, "audit.policy_changed")
        // The one that was replaced is another one now.
        assert.strictEqual((yield* Effect.flip(writing(first))).reason._tag, "InvalidInput")
        yield* writing({ ...first, replaces: [to] })
        assert.strictEqual((yield* events()).filter(({ action }) => action.startsWith("audit.p")).length, 2)
      })))

    it.live("is written under no policy until an event is stored, and a refused draft is none", () =>
      over(Effect.gen(function*() {
        const { current } = yield* WritePolicy.WritePolicy
        const wrong = AuditLogger.emit({ action: "No Action" }).pipe(within())
        yield* Effect.exit(Effect.provide(wrong, Layer.fresh(AuditLogger.layer())))
        const nobody = Erasure.erase({ person: "nobody", reason: "r" }).pipe(within())
        yield* Effect.exit(
          Effect.provide(nobody, Layer.fresh(Erasure.layer.pipe(Layer.provide(AuditLogger.layer()))))
        )
        assert.isUndefined(yield* current)
        yield* writing({ policy: { default: "drop" } })
        assert.deepStrictEqual((yield* current)?.changes, 0)
      })))

    it.live("is found however the parts are put together", () =>
      over(Effect.gen(function*() {
        yield* writing({ policy: { default: "drop" } })
        const sink = yield* EventSink.EventSink
        const preferences = yield* TrainingPreferences.TrainingPreferences
        const parts = Layer.mergeAll(
          Layer.succeed(EventSink.EventSink, sink),
          Layer.succeed(TrainingPreferences.TrainingPreferences, preferences)
        )
        const alone = Layer.build(Layer.fresh(AuditLogger.layer().pipe(Layer.provide(parts))))
        const exit = yield* Effect.exit(Effect.provideContext(Effect.scoped(alone), Context.empty()))
        assert.strictEqual(exit._tag, "Failure")
      })))

    it.live("tells a change once, though several writers start with it at once", () =>
      over(Effect.gen(function*() {
        yield* writing({})
        const from = yield* fingerprintOf({})
        const next = { policy: { default: "drop" }, replaces: [from] }
        yield* Effect.forEach(Array.from({ length: 6 }), () => writing(next), { concurrency: "unbounded" })
        const told = (yield* events()).filter(({ action }) => action === "audit.policy_changed")
        assert.strictEqual(told.length, 1)
        // The same change again, after another one, is told again.
        yield* writing({ replaces: [yield* fingerprintOf(next)] })
        yield* writing(next)
        assert.strictEqual((yield* events()).filter(({ action }) => action === "audit.policy_changed").length, 3)
      })))

    it.live("takes one of several writers that come first at once, and refuses the others", () =>
      over(Effect.gen(function*() {
        const results = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, n) => n),
          (n) => Effect.result(writing({ revision: String(n % 2) })),
          { concurrency: "unbounded" }
        )
        const kept = results.filter(({ _tag }) => _tag === "Success").length
        assert.strictEqual(kept, 4)
      })))
  })
}

describe("the fingerprint of a policy", () => {
  it.effect("is of everything that decides what is replaced, and of nothing else", () =>
    Effect.gen(function*() {
      const same = [
        {},
        { policy: {} },
        { policy: undefined, detectors: [], replaces: ["x"] },
        { policy: { kinds: {}, tenants: {}, paths: [], trainable: [], allow: {} } },
        // What every policy does, and a key that none of its rules uses.
        { policy: { kinds: { EMAIL: "mask", PASSWORD: "drop" } }, key: { id: "k1", secret: secret(1) } }
      ]
      assert.strictEqual(new Set(yield* Effect.forEach(same, fingerprintOf)).size, 1)
      assert.strictEqual(
        yield* fingerprintOf({ policy: { kinds: { EMAIL: "drop", IP: "keep" }, default: "mask" } }),
        yield* fingerprintOf({ policy: { default: "mask", kinds: { IP: "keep", EMAIL: "drop" } } })
      )
      assert.strictEqual(
        yield* fingerprintOf({ policy: { trainable: ["IP", "EMAIL"], allow: { keys: ["b", "a"] } } }),
        yield* fingerprintOf({ policy: { trainable: ["EMAIL", "IP"], allow: { keys: ["a", "b"] } } })
      )
      const pseudonyms = { kinds: { EMAIL: "pseudonym" } }
      const different: ReadonlyArray<PiiStripper.Options> = [
        {},
        { policy: { default: "mask" } },
        { policy: { default: "drop" } },
        { policy: { allow: { keys: ["a", "b"] } } },
        { policy: { allow: { keys: ["a"] } } },
        { policy: { kinds: { EMAIL: "drop" } } },
        { policy: pseudonyms, key: { id: "k1", secret: secret(1) } },
        { policy: pseudonyms, key: { id: "k2", secret: secret(1) } },
        { policy: pseudonyms, key: { id: "k1", secret: secret(2) } },
        { detectors: [() => []] },
        { detectors: [() => [], () => []] },
        { revision: "2" }
      ]
      const all = yield* Effect.forEach(different, fingerprintOf)
      assert.strictEqual(new Set(all).size, different.length)
      for (const fingerprint of all) assert.match(fingerprint, /^[0-9a-f]{32}$/)
    }))

  it.effect("of a stripper of one's own is what it says, else unknown", () =>
    Effect.gen(function*() {
      const own = (policy?: WritePolicy.Policy) =>
        Layer.effect(
          PiiStripper.PiiStripper,
          Effect.map(PiiStripper.make(), ({ strip }) => ({ strip, ...(policy === undefined ? {} : { policy }) }))
        )
      const { current } = yield* WritePolicy.WritePolicy
      const logging = (policy?: WritePolicy.Policy) =>
        Layer.fresh(LoggingEngine.layer().pipe(Layer.provide(own(policy))))
      const emitting = (policy?: WritePolicy.Policy) =>
        Effect.provide(LoggingEngine.log({ action: "note.create" }).pipe(within()), logging(policy))
      yield* emitting()
      assert.deepStrictEqual(yield* current, { fingerprint: "unknown", changes: 0 })
      yield* emitting()
      assert.strictEqual((yield* Effect.flip(emitting({ fingerprint: "v1" }))).reason._tag, "InvalidInput")
      yield* emitting({ fingerprint: "v1", replaces: ["unknown"] })
      assert.deepStrictEqual(yield* current, { fingerprint: "v1", changes: 1 })
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Memory.layer()))))
})
