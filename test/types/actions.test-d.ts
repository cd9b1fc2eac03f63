import { expectTypeOf, it } from "@effect/vitest"
import { type DateTime, Effect, Schema } from "effect"
import {
  AuditAction,
  type AuditError,
  type AuditLogger,
  AuditRegistry,
  type LoggingEngine,
  type RequestContext,
  type Transactions
} from "effect-audit"
import { AuditConfig } from "effect-audit/config"
import { Memory } from "effect-audit/memory"

const OrderCreate = AuditAction.make("order.create", {
  resource: "order",
  input: Schema.Struct({ total: Schema.Number, at: Schema.DateTimeUtcFromString }),
  output: Schema.Struct({ invoice: Schema.String }),
  redaction: { input: { total: "keep" } }
})
const Bare = AuditAction.make("note.read")
const Cost = AuditAction.make("token.spend", { storageClass: "cost", input: Schema.Number })
declare const input: { readonly total: number; readonly at: DateTime.Utc }

it("an event of an action is what its schemas say", () => {
  expectTypeOf(OrderCreate.emit({ id: "o1", input, output: { invoice: "i" } })).toEqualTypeOf<
    Effect.Effect<LoggingEngine.Receipt, AuditError.AuditError, AuditLogger.AuditLogger | RequestContext.RequestContext>
  >()
  // @ts-expect-error the id is missing
  OrderCreate.emit({ input })
  // @ts-expect-error the input is missing
  OrderCreate.emit({ id: "o1" })
  // @ts-expect-error a total is a number
  OrderCreate.emit({ id: "o1", input: { ...input, total: "7" } })
  // @ts-expect-error there is no such field in the output
  OrderCreate.emit({ id: "o1", input, output: { other: 1 } })
  // @ts-expect-error the action is the action's
  OrderCreate.emit({ id: "o1", input, action: "order.other" })
  Bare.emit({})
  // @ts-expect-error there is no input
  Bare.emit({ input: 1 })
  expectTypeOf<Effect.Services<ReturnType<typeof Cost.emit>>>().toEqualTypeOf<
    LoggingEngine.LoggingEngine | RequestContext.RequestContext
  >()
  // @ts-expect-error there is no such field in the input
  AuditAction.make("a.b", { input: Schema.Struct({ a: Schema.String }), redaction: { input: { b: "strip" } } })
  // @ts-expect-error there is no such mark
  AuditAction.make("a.b", { input: Schema.Struct({ a: Schema.String }), redaction: { input: { a: "hide" } } })
})

it("an effect that is watched gives what the output's schema asks for, or picks it", () => {
  const right = Effect.succeed({ invoice: "i", more: 1 })
  const wrong = Effect.succeed(7)
  expectTypeOf(OrderCreate.audited(right, { id: "o1", input })).toEqualTypeOf<
    Effect.Effect<
      { invoice: string; more: number },
      AuditError.AuditError,
      AuditLogger.AuditLogger | RequestContext.RequestContext
    >
  >()
  OrderCreate.audited(wrong, { id: (n) => String(n + 1), input, output: (n) => ({ invoice: String(n + 1) }) })
  // @ts-expect-error a number is no output
  OrderCreate.audited(wrong, { id: "o1", input })
  // @ts-expect-error the picked output is none
  OrderCreate.audited(wrong, { id: "o1", input, output: (n) => n })
  const denied = OrderCreate.audited(Effect.fail("no" as const), {
    id: "o1",
    input,
    denied: (error) => error === "no",
    transaction: true
  })
  expectTypeOf<Effect.Services<typeof denied>>().toEqualTypeOf<
    AuditLogger.AuditLogger | RequestContext.RequestContext | Transactions.Transactions
  >()
  expectTypeOf<Effect.Success<ReturnType<typeof withReceipt>>>().toEqualTypeOf<
    readonly [result: { invoice: string; more: number }, receipt: LoggingEngine.Receipt]
  >()
  const withReceipt = () => OrderCreate.withReceipt(right, { id: "o1", input })
})

it("an action that is not registered does not compile where the registry is required", () => {
  const Actions = AuditRegistry.make(OrderCreate, Bare)
  Actions.emit({ action: "note.read" })
  // @ts-expect-error no such action
  Actions.emit({ action: "note.write" })
  // @ts-expect-error no such action
  void Actions.actions["note.write"]
  void Actions.actions["order.create"].emit({ id: "o1", input })
  AuditConfig.make({ store: Memory.store, actions: Actions })
})
