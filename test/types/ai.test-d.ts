import { expectTypeOf, it } from "@effect/vitest"
import { Effect, type Layer, Schema, Stream } from "effect"
import type { AuditError, AuditLogger, RequestContext } from "effect-audit"
import { AuditAi } from "effect-audit/ai"
import { LanguageModel, type McpSchema, McpServer, type Prompt, Tool, Toolkit } from "effect/ai"

const Add = Tool.make("add", { parameters: Schema.Struct({ a: Schema.Number }), success: Schema.Number })
const Tools = AuditAi.toolkit(Toolkit.make(Add))
declare const model: Layer.Layer<LanguageModel.LanguageModel | AuditLogger.AuditLogger>
declare const pending: AuditAi.PendingApproval
declare const handlers: Layer.Layer<Tool.HandlersFor<{ readonly add: typeof Add }>>

it("an agent whose tools are recorded does not compile without a context", () => {
  const run = LanguageModel.generateText({ prompt: "go", toolkit: Tools }).pipe(Effect.provide([model, handlers]))
  // @ts-expect-error Type 'RequestContext' is not assignable to type 'never'
  Effect.runPromise(run)
  expectTypeOf<Effect.Services<typeof run>>().toEqualTypeOf<RequestContext.RequestContext>()
  const streamed = LanguageModel.streamText({ prompt: "go", toolkit: Tools }).pipe(
    Stream.runDrain,
    Effect.provide([model, handlers])
  )
  // @ts-expect-error Type 'RequestContext' is not assignable to type 'never'
  Effect.runPromise(streamed)
})

it("the results of tools keep their types", () => {
  const called = Effect.flatMap(Tools, (tools) => tools.handle("add", { a: 1 }))
  expectTypeOf<Effect.Services<typeof called>>().toEqualTypeOf<
    Tool.Handler<"add"> | RequestContext.RequestContext | AuditLogger.AuditLogger
  >()
  // @ts-expect-error Type 'string' is not assignable to type 'number'
  void Effect.flatMap(Tools, (tools) => tools.handle("add", { a: "1" }))
})

it("a server whose tools are recorded does not compile without the middleware", () => {
  const registrations = McpServer.toolkit(Tools)
  expectTypeOf<Layer.Services<typeof registrations>>().toExtend<
    | McpServer.McpServer
    | Tool.Handler<"add">
    | McpServer.McpRequest<"Requires", RequestContext.RequestContext>
    | McpServer.McpRequest<"Requires", AuditLogger.AuditLogger>
  >()
  // @ts-expect-error without who they are
  AuditAi.mcpMiddleware({ anonymous: { tenantId: "t", env: "prod" } })
  const identify = (): Effect.Effect<never, McpSchema.InvalidRequest> => Effect.die("")
  const middleware = AuditAi.mcpMiddleware({ anonymous: { tenantId: "t", env: "prod" }, identify })
  expectTypeOf<Layer.Services<typeof middleware.layer>>().toEqualTypeOf<AuditLogger.AuditLogger>()
})

it("an approval is recorded before it is a part of a prompt", () => {
  expectTypeOf(AuditAi.approve(pending)).toEqualTypeOf<
    Effect.Effect<
      Prompt.ToolApprovalResponsePart,
      AuditError.AuditError,
      AuditLogger.AuditLogger | RequestContext.RequestContext
    >
  >()
})
