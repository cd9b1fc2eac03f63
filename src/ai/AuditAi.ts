/**
 * Agents built on `effect/ai`: calls of models and of tools are recorded, without a line in the agent.
 *
 *     Layer.provide(AuditAi.layerLanguageModel(), provider)
 *
 * A tool runs only after its intent is in the log, and its result is in the log before the model or the application is
 * told of it: where the log takes no event, the call fails with an `AiError` (`auditErrorOf` finds the audit error) and
 * the tool does not run. An interrupted run leaves intents without results.
 *
 * @since 0.1.0
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AuditLogger } from "../AuditLogger.ts"
import { LoggingEngine } from "../LoggingEngine.ts"
import { RequestContext } from "../RequestContext.ts"
import { AuditTrail } from "../trail/AuditTrail.ts"
import { type CallOptions, streamed, whole } from "./modelCalls.ts"
import { recorded } from "./toolCalls.ts"

export { approve, argumentsSha256, deny, type PendingApproval, pendingApprovals } from "./approvals.ts"
export { auditErrorOf } from "./failing.ts"
export { type McpCall, mcpMiddleware, type McpOptions } from "./mcp.ts"

/** What is recorded of the calls of a model. */
export interface Options {
  /** Prompts and responses as well, stripped. Not unless asked for. */
  readonly captureContent?: boolean | undefined
}

/** A tool whose calls need a `RequestContext`, and an `AuditLogger`; the provider's own tools are not called here. */
export type Audited<T extends Tool.Any> = T extends Tool.AnyProviderDefined ? T
  : T extends Tool.Dynamic<infer Name, infer Config, infer Requirements>
    ? Tool.Dynamic<Name, Config, Requirements | RequestContext | AuditLogger>
  : T extends Tool.Tool<infer Name, infer Config, infer Requirements>
    ? Tool.Tool<Name, Config, Requirements | RequestContext | AuditLogger>
  : never

/** Tools whose calls need a `RequestContext`, and an `AuditLogger`. */
export type AuditedTools<Tools extends Record<string, Tool.Any>> = {
  readonly [Name in keyof Tools]: Audited<Tools[Name]>
}

/**
 * A toolkit whose calls are recorded whoever makes them: a model, an MCP server, the application. Its tools need a
 * `RequestContext`, so that an agent without one does not compile. Merge toolkits before, not after.
 */
export function toolkit<Tools extends Record<string, Tool.Any>>(
  self: Toolkit.Toolkit<Tools>
): Toolkit.Toolkit<AuditedTools<Tools>>
export function toolkit(self: Toolkit.Toolkit<Record<string, Tool.Any>>): Toolkit.Toolkit<Record<string, Tool.Any>> {
  const tools = Object.values(self.tools).map((tool) => tool.addDependency(RequestContext).addDependency(AuditLogger))
  const made = Toolkit.make(...tools)
  return Object.assign(
    made,
    Effectable.Prototype<Toolkit.Toolkit<Record<string, Tool.Any>>>({
      label: "AuditAi.toolkit",
      evaluate: () => Effect.map(self, (handler) => recorded({ ...handler, tools: made.tools }, {}))
    })
  )
}

/** Models that are recorded: a second layer over one would record everything twice. */
const recordedModels = new WeakSet<object>()

/** A method that is called by way of another function, and has the same type. */
const around = <Method extends (...args: never) => unknown>(
  of: object,
  method: Method,
  call: (run: (options: CallOptions) => ReturnType<Method>, options: CallOptions) => ReturnType<Method>
): Method =>
  new Proxy(method, {
    apply: (target, _, [options]) => call((changed) => Reflect.apply(target, of, [changed]), options)
  })

/**
 * A language model whose calls are recorded, over the one of a provider: what it and its tools do, whoever makes the
 * call (`generateText`, `generateObject`, `streamText`, `Chat`). A call needs a `RequestContext`; `AuditAi.toolkit`
 * makes the compiler ask for it.
 */
export const layerLanguageModel = (
  { captureContent = false }: Options = {}
): Layer.Layer<
  LanguageModel.LanguageModel,
  never,
  LanguageModel.LanguageModel | AuditLogger | LoggingEngine | AuditTrail
> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.gen(function*() {
      const provider = yield* LanguageModel.LanguageModel
      const model = {
        logger: yield* AuditLogger,
        engine: yield* LoggingEngine,
        trail: yield* AuditTrail,
        provider: Option.getOrUndefined(yield* Effect.serviceOption(Model.ProviderName)),
        model: Option.getOrUndefined(yield* Effect.serviceOption(Model.ModelName)),
        captureContent
      }
      if (recordedModels.has(provider)) return provider
      const made = LanguageModel.LanguageModel.of({
        ...provider,
        supportsSystemMessagesInHistory: provider.supportsSystemMessagesInHistory,
        generateText: around(provider, provider.generateText, (run, options) =>
          whole(model, "generateText", options, run)),
        generateObject: around(
          provider,
          provider.generateObject,
          (run, options) =>
            whole(model, "generateObject", options, run)
        ),
        streamText: around(provider, provider.streamText, (run, options) =>
          streamed(model, "streamText", options, run))
      })
      recordedModels.add(made)
      return made
    })
  )
