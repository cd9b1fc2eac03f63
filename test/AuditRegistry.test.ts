/** A registry of actions: it describes itself, and refuses what it does not know. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { AuditAction, AuditLogger, AuditRegistry } from "effect-audit"
import { AuditTest } from "effect-audit/test"
import { within } from "./support.ts"

const OrderCreate = AuditAction.make("order.create", {
  description: "A customer has ordered",
  resource: "order",
  input: Schema.Struct({ email: AuditAction.strip(Schema.String), total: Schema.Number }),
  severity: "notice",
  retention: "7 years",
  ocsf: { classUid: 6003, activityId: 1 }
})
const Named = Schema.Struct({ a: Schema.String }).annotate({ identifier: "Named" })
const OrderCancel = AuditAction.make("order.cancel", { resource: "order" })
const Actions = AuditRegistry.make(OrderCreate, OrderCancel)

describe("a registry", () => {
  it("describes its actions", () => {
    const [create, cancel] = Actions.descriptions
    assert.deepStrictEqual({ ...create, input: undefined }, {
      action: "order.create",
      description: "A customer has ordered",
      resource: "order",
      severity: "notice",
      storageClass: "audit",
      retention: "7 years",
      ocsf: { classUid: 6003, activityId: 1 },
      marks: { "/input/email": "strip" },
      input: undefined,
      output: undefined
    })
    assert.deepInclude(create?.input, {
      type: "object",
      properties: { email: { type: "string" }, total: Object(create?.input).properties.total }
    })
    assert.deepStrictEqual([cancel?.severity, cancel?.input], ["info", undefined])
    assert.throws(() => AuditRegistry.make(OrderCancel, OrderCreate, OrderCreate), /name order\.create$/)
    const [shared] = AuditRegistry.make(AuditAction.make("a.b", {
      input: Schema.Struct({ one: Named, two: Named }),
      output: Schema.String
    })).descriptions
    assert.deepStrictEqual(Object.keys(Object(shared?.input).$defs), ["Named"])
    assert.isFalse("$defs" in Object(shared?.output))
  })

  it.effect("records its actions, and refuses others whoever emits them", () =>
    Effect.gen(function*() {
      yield* Actions.actions["order.create"].emit({ id: "o1", input: { email: "a", total: 1 } }).pipe(within())
      yield* Actions.emit({ action: "order.cancel" }).pipe(within())
      yield* AuditLogger.emit({ action: "tool.call" }).pipe(within())
      const byHand = { action: "order.create", input: { email: "secret-mail", total: 1 } } as const
      yield* Actions.emit(byHand).pipe(within())
      yield* AuditLogger.emit({ ...byHand, change: { after: byHand.input } }).pipe(within())
      const refused = yield* Effect.flip(AuditLogger.emit({ action: "order.other" }).pipe(within()))
      assert.deepInclude(refused.reason, { _tag: "InvalidInput", path: "/action" })
      const other = yield* Effect.flip(AuditLogger.emit({ action: "order.http.x" }).pipe(within()))
      assert.include(other.message, "/action: is no action of the registry")
      const lent = yield* Effect.flip(AuditLogger.emit({ action: "tool.lend" }).pipe(within()))
      assert.include(lent.message, "/action: is no action of the registry")
      const malformed = yield* Effect.flip(
        AuditLogger.emit({ action: "order.cancel", metadata: { env: "x" } }).pipe(within())
      )
      assert.deepInclude(malformed.reason, { path: "/metadata/env" })
      const events = yield* AuditTest.events()
      assert.deepStrictEqual(events.map(({ storage_class }) => storage_class), events.map(() => "audit"))
      assert.deepStrictEqual(events.map(({ action }) => action), [
        "order.create",
        "order.cancel",
        "tool.call",
        "order.create",
        "order.create"
      ])
      assert.deepStrictEqual(events.slice(3).map(({ input, train_ok }) => [input, train_ok]), [
        [{ email: "[PERSONAL]", total: 1 }, false],
        [{ email: "[PERSONAL]", total: 1 }, false]
      ])
      assert.notInclude(JSON.stringify(events), "secret")
      assert.deepStrictEqual(events[0]?.input, { email: "[PERSONAL]", total: 1 })
    }).pipe(Effect.provide(Actions.layer.pipe(Layer.provideMerge(AuditTest.layer())))))
})
