/** The contract of every sink: what it promises, whatever the medium. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Layer } from "effect"
import {
  type AuditError,
  AuditLogger,
  DatasetEvent,
  EventSink,
  LoggingEngine,
  RequestContext,
  Seal
} from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { createHash } from "node:crypto"
import { made } from "../src/internal/made.ts"
import { env, fieldsOf, sealedBy, tenant, within } from "./support.ts"

const all = (tenantId: string) =>
  Effect.gen(function*() {
    const items: Array<AuditTrail.Item> = []
    let cursor: string | undefined
    do {
      const page = yield* AuditTrail.query({
        tenantId: RequestContext.TenantId.make(tenantId),
        env,
        order: "asc",
        limit: 1000,
        cursor
      })
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== undefined)
    return items
  })

const events = (items: ReadonlyArray<AuditTrail.Item>) => items.flatMap((item) => item.erased ? [] : [item.event])

export const suite = <E>(
  name: string,
  layer: Layer.Layer<
    EventSink.EventSink | LoggingEngine.LoggingEngine | AuditLogger.AuditLogger | AuditTrail.AuditTrail,
    E
  >
) =>
  describe(name, () => {
    const run = <A, E2>(
      effect: Effect.Effect<
        A,
        E2,
        EventSink.EventSink | LoggingEngine.LoggingEngine | AuditLogger.AuditLogger | AuditTrail.AuditTrail
      >
    ) => Effect.provide(effect, layer)

    it.live("begins each log with audit.log_created at position 0, made by the system", () =>
      run(Effect.gen(function*() {
        const receipt = yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
        assert.strictEqual(receipt.position, 1)
        const [first, second] = yield* all(tenant)
        assert(first !== undefined && !first.erased && second !== undefined && !second.erased)
        assert.strictEqual(first.position, 0)
        assert.strictEqual(first.event.action, "audit.log_created")
        assert.strictEqual(first.event.actor_type, "system")
        assert.strictEqual(first.event.agentId, "system")
        assert.strictEqual(first.event.tenantId, "t_acme")
        assert.strictEqual(first.event.env, "prod")
        assert.match(String(first.event.metadata["origin"]), /^[a-z.-]+\/log\/[0-9a-f]{32}$/)
        assert.notInclude(String(first.event.metadata["origin"]), "acme")
        assert.strictEqual(second.event.event_id, receipt.eventId)
      })))

    it.live("stores the same event once, and says that it is a duplicate", () =>
      run(Effect.gen(function*() {
        const sink = yield* EventSink.EventSink
        const sealed = yield* sealedBy({ action: "note.create", input: { n: 1 } })
        const first = yield* sink.append(sealed)
        const again = yield* sink.append(sealed)
        assert.isFalse(first.duplicate)
        assert.isTrue(again.duplicate)
        assert.strictEqual(again.position, first.position)
        assert.strictEqual((yield* all(tenant)).length, 2)
      })))

    it.live("refuses an event id that was used for something else, and in another log", () =>
      run(Effect.gen(function*() {
        const { eventId } = yield* AuditLogger.emit({ action: "note.create", input: { n: 1 } }).pipe(within())
        const same = yield* AuditLogger.emit({ action: "note.create", input: { n: 1 } }, { eventId }).pipe(
          within({ requestId: "r2" })
        )
        assert.isTrue(same.duplicate)
        for (
          const effect of [
            AuditLogger.emit({ action: "note.create", input: { n: 2 } }, { eventId }).pipe(within()),
            AuditLogger.emit({ action: "note.create", input: { n: 1, request_id: "x" } }, { eventId }).pipe(within()),
            AuditLogger.emit({ action: "note.create", input: { n: 1 } }, { eventId }).pipe(
              within({ tenantId: "t_other" })
            )
          ]
        ) {
          const error = yield* Effect.flip(effect)
          assert(error.reason._tag === "InvalidInput")
          assert.strictEqual(error.reason.path, "/eventId")
        }
      })))

    it.live("answers the same idempotency key with the first receipt, and refuses it for something else", () =>
      run(Effect.gen(function*() {
        const draft = { action: "note.create", input: { mail: "kim@example.com" } }
        const first = yield* AuditLogger.emit(draft, { idempotencyKey: "k1" }).pipe(within())
        const again = yield* AuditLogger.emit(draft, { idempotencyKey: "k1" }).pipe(within({ requestId: "r2" }))
        assert.deepStrictEqual(again, { ...first, duplicate: true })
        const other = yield* AuditLogger.emit(draft, { idempotencyKey: "k1" }).pipe(within({ tenantId: "t_other" }))
        assert.isFalse(other.duplicate)
        const others: ReadonlyArray<
          Effect.Effect<unknown, AuditError.AuditError, AuditLogger.AuditLogger | LoggingEngine.LoggingEngine>
        > = [
          AuditLogger.emit({ ...draft, outcome: "failure" }, { idempotencyKey: "k1" }).pipe(within()),
          LoggingEngine.log({ ...draft, storageClass: "ops" }, { idempotencyKey: "k1" }).pipe(within())
        ]
        for (const other of others) {
          const error = yield* Effect.flip(other)
          assert(error.reason._tag === "InvalidInput")
          assert.strictEqual(error.reason.path, "/idempotencyKey")
        }
        assert.strictEqual((yield* all(tenant)).length, 2)
      })))

    it.live("answers a duplicate with what its first receipt said, whatever was found and decided by then", () =>
      run(Effect.gen(function*() {
        const set = (trainingAllowed: boolean) => LoggingEngine.setPreference({ trainingAllowed }).pipe(within())
        const emit = (input: string, options: LoggingEngine.EmitOptions) =>
          AuditLogger.emit({ action: "note.create", input }, options).pipe(within())
        // What stripping leaves of the first is what the second says: the same use, with other findings.
        const masked = yield* emit("kim@example.com", { idempotencyKey: "masked" })
        const plain = yield* emit("hello", { idempotencyKey: "plain" })
        assert.deepStrictEqual([masked.trainOk, plain.trainOk], [false, true])
        assert.deepStrictEqual([...masked.piiFlags.flags], ["EMAIL"])
        yield* set(false)
        const sameMasked = { ...masked, duplicate: true }
        const samePlain = { ...plain, duplicate: true }
        assert.deepStrictEqual(yield* emit("[EMAIL]", { idempotencyKey: "masked" }), sameMasked)
        assert.deepStrictEqual(yield* emit("hello", { idempotencyKey: "plain" }), samePlain)
        assert.deepStrictEqual(yield* emit("hello", { eventId: plain.eventId }), samePlain)
        const during = yield* emit("hello", { idempotencyKey: "during" })
        assert.isFalse(during.trainOk)
        yield* set(true)
        assert.deepStrictEqual(yield* emit("hello", { idempotencyKey: "during" }), { ...during, duplicate: true })
        assert.deepStrictEqual(yield* emit("hello", { eventId: during.eventId }), { ...during, duplicate: true })
      })))

    it.live("never answers for an event of another log, although the bytes are the same", () =>
      run(Effect.gen(function*() {
        const sink = yield* EventSink.EventSink
        const sealed = yield* sealedBy({ action: "note.create", input: { n: 1 } })
        yield* sink.append(sealed)
        const others = [
          { tenantId: RequestContext.TenantId.make("t_other") },
          { env: RequestContext.Env.make("staging") }
        ]
        for (const other of others) {
          const error = yield* Effect.flip(
            sink.append(new DatasetEvent.Sealed(made, { ...fieldsOf(sealed), ...other, repeated: true }))
          )
          assert(error.reason._tag === "InvalidInput")
          assert.strictEqual(error.reason.path, "/eventId")
          assert.strictEqual(error.eventId, sealed.eventId)
        }
        assert.strictEqual((yield* all(tenant)).length, 2)
      })))

    it.live("rejects one event of a shared commit alone", () =>
      run(Effect.gen(function*() {
        yield* AuditLogger.emit({ action: "note.create", input: 0 }, { idempotencyKey: "k" }).pipe(within())
        const results = yield* Effect.all(
          Array.from({ length: 20 }, (_, n) =>
            Effect.result(
              AuditLogger.emit({ action: "note.create", input: n }, n === 7 ? { idempotencyKey: "k" } : {}).pipe(
                within()
              )
            )),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(results.flatMap((result, n) => result._tag === "Failure" ? [n] : []), [7])
        assert.strictEqual((yield* all(tenant)).length, 21)
      })))

    it.live("stores bytes whose salted hash is the commitment", () =>
      Effect.gen(function*() {
        const sealed = yield* sealedBy({ action: "note.create", input: { text: "grün 🌿" } })
        const expected = createHash("sha256").update(sealed.salt).update(sealed.body).digest()
        assert.deepStrictEqual(Buffer.from(sealed.commitment), expected)
        assert.strictEqual(sealed.salt.length, Seal.saltBytes)
      }))

    for (const tenants of [1, 100]) {
      it.live(`stores 10,000 concurrent events over ${tenants} tenants exactly once, dense from 0, in each caller's order`, () =>
        run(Effect.gen(function*() {
          const callers = 500
          const each = 20
          const receipts = yield* Effect.all(
            Array.from({ length: callers }, (_, caller) =>
              Effect.forEach(
                Array.from({ length: each }, (_, n) => n),
                (n) => AuditLogger.emit({ action: "note.create", input: { caller, n } }),
                { concurrency: 1 }
              ).pipe(within({ tenantId: `t_${caller % tenants}`, requestId: `r${caller}` }))),
            { concurrency: "unbounded" }
          )
          const ids = new Set(receipts.flat().map((receipt) => receipt.eventId))
          assert.strictEqual(ids.size, callers * each)
          for (const list of receipts) {
            for (let n = 1; n < each; n++) assert.isAbove(list[n]!.position ?? -1, list[n - 1]!.position ?? -1)
          }
          let stored = 0
          for (let t = 0; t < tenants; t++) {
            const items = yield* all(`t_${t}`)
            assert.deepStrictEqual(items.map((item) => item.position), items.map((_, position) => position))
            for (const event of events(items).slice(1)) assert.isTrue(ids.has(event.event_id))
            stored += new Set(items.map((item) => item.eventId)).size - 1
          }
          assert.strictEqual(stored, callers * each)
        })))
    }

    it.live("stores the event of a caller that was interrupted while it waited", () =>
      run(Effect.gen(function*() {
        const fibers = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => n),
          (n) =>
            Effect.forkChild(AuditLogger.emit({ action: "note.create", input: n }).pipe(within()), {
              startImmediately: true
            })
        )
        yield* Effect.forEach(fibers, Fiber.interrupt, { concurrency: "unbounded" })
        assert.strictEqual((yield* all(tenant)).length, 51)
      })))
  })
