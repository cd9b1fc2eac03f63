/** Calls of a language model as events, and the tool calls in them. */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Tool from "effect/ai/Tool"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { elapsedMillis } from "../internal/elapsed.ts"
import type { LoggingEngine } from "../LoggingEngine.ts"
import { provide } from "../RequestContext.ts"
import type { AuditTrail } from "../trail/AuditTrail.ts"
import { check, isCallOf, refused, responsesIn } from "./approvals.ts"
import { unrecorded } from "./failing.ts"
import { type AnyPart, contentOf, denied, hear, type Heard, recordOf, unanswered, usageOf } from "./parts.ts"
import { failing, failureOf, isTooMuch, record, type Recorder } from "./recorder.ts"
import { type AnyHandler, type Calls, draftOf, recorded, recorderIn } from "./toolCalls.ts"

/** A call of a model, as the application makes it. */
export type CallOptions = LanguageModel.GenerateTextOptions<Record<string, Tool.Any>>

/** What records the calls of a model. */
export interface Model {
  readonly logger: Recorder["logger"]
  readonly engine: LoggingEngine["Service"]
  readonly trail: AuditTrail["Service"]
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly captureContent: boolean
}

/** One call that is watched. */
interface Watched {
  readonly heard: Heard
  readonly options: CallOptions
  readonly finish: (failure?: Partial<ReturnType<typeof failureOf>>) => Effect.Effect<unknown, AiError.AiError>
}

/** Records an event of class `cost`: what was heard until then. */
const recordCost = (
  settings: Model,
  heard: Heard,
  { began, clock, failure, method, prompt }: {
    readonly began: number
    readonly clock: Clock.Clock
    readonly failure: Partial<ReturnType<typeof failureOf>>
    readonly method: string
    readonly prompt: Prompt.Prompt
  }
) =>
  Effect.suspend(() => {
    const { captureContent, engine, model, provider } = settings
    const draft = {
      action: "model.call",
      storageClass: "cost" as const,
      resource: { type: "model", id: model || heard.model || "unknown" },
      durationMillis: Math.floor(elapsedMillis(clock) - began),
      metadata: { operation: method, provider, ...usageOf(heard) },
      ...failure
    }
    if (!captureContent) return engine.log(draft)
    return Effect.catch(
      engine.log({ ...draft, input: contentOf(prompt), output: heard.text.join("") }),
      (error) =>
        isTooMuch(error)
          ? engine.log({ ...draft, metadata: { ...draft.metadata, content_omitted: error.message } })
          : Effect.fail(error)
    )
  }).pipe(provide(heard.recorder.context), Effect.mapError(unrecorded("model.call")))

/** A tool that was approved and is not there any more fails the call before anything is asked of it. */
const toldOfTool = (recorder: Recorder, cause: Cause.Cause<unknown>): Effect.Effect<unknown, AiError.AiError> => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  const error = failure?.error
  if (!AiError.isAiError(error) || error.module !== "LanguageModel") return Effect.void
  const { reason } = error
  return reason._tag === "ToolNotFoundError"
    ? record(recorder, {
      ...draftOf({ name: reason.toolName, params: undefined, id: undefined }),
      outcome: "failure",
      errorTag: reason._tag
    })
    : Effect.void
}

const watch = Effect.fnUntraced(function*(model: Model, options: CallOptions, method: string) {
  const recorder = yield* recorderIn({ logger: model.logger }, "model.call")
  const prompt = Prompt.make(options.prompt)
  const responses = responsesIn(prompt)
  let tools: AnyHandler["tools"] | undefined
  const heard: Heard = {
    recorder,
    calls: new Map(responses.flatMap(({ call, toolCallId }) => call === undefined ? [] : [[toolCallId, call]])),
    provided: new Map(),
    open: new Map(),
    settled: new Set(),
    isUnresolved: options.disableToolCallResolution === true,
    tools: () => tools,
    text: [],
    id: undefined,
    model: undefined,
    finish: undefined
  }
  for (const { call, isApproved, isPending, reason, toolCallId } of responses) {
    if (isApproved || !isPending || call === undefined) continue
    yield* recordOf(heard, call, denied(call, reason))
    heard.settled.add(toolCallId)
  }
  const calls: Calls = {
    logger: model.logger,
    open: heard.open,
    settled: heard.settled,
    verdict: ({ context }, call) => {
      const mine = responses.filter(({ toolCallId }) => toolCallId === call.id)
      const [response] = mine
      // A model may use an id again, for a call of which no one has to be asked.
      const isAsked = tools?.[call.name]?.needsApproval !== undefined || mine.some((one) => isCallOf(one, call))
      if (response === undefined || !isAsked) return Effect.undefined
      return (mine.every(({ isApproved }) => isApproved)
        ? Effect.mapError(check(model.trail, context, response, call), unrecorded("tool.call"))
        : Effect.succeed(refused("The call was refused."))).pipe(
          Effect.tap(({ isAllowed }) =>
            Effect.sync(() => isAllowed ? undefined : heard.settled.add(response.toolCallId))
          )
        )
    }
  }
  const wrap = (handler: AnyHandler): AnyHandler => {
    tools = handler.tools
    return recorded(handler, calls)
  }
  const { toolkit } = options
  const clock = yield* Clock.Clock
  const began = elapsedMillis(clock)
  const watched: Watched = {
    heard,
    // A prompt may be read once only.
    options: toolkit === undefined
      ? { ...options, prompt }
      : { ...options, prompt, toolkit: Effect.isEffect(toolkit) ? Effect.map(toolkit, wrap) : wrap(toolkit) },
    finish: (failure = {}) => recordCost(model, heard, { began, clock, failure, method, prompt })
  }
  return watched
})

/** How a call failed, recorded; an interrupted run leaves its intents, and nothing else. */
const failed = <E>({ finish, heard }: Watched, cause: Cause.Cause<E>): Effect.Effect<never, E | AiError.AiError> =>
  Cause.hasInterruptsOnly(cause)
    ? Effect.failCause(cause)
    : failing(
      cause,
      unanswered(heard).pipe(
        Effect.andThen(toldOfTool(heard.recorder, cause)),
        Effect.andThen(finish(failureOf(cause)))
      )
    )

/** Records a call whose response comes whole. */
export const whole = <A extends { readonly content: ReadonlyArray<AnyPart> }, E, R>(
  model: Model,
  method: string,
  options: CallOptions,
  run: (options: CallOptions) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AiError.AiError, R> =>
  Effect.flatMap(watch(model, options, method), (watched) =>
    Effect.matchCauseEffect(run(watched.options), {
      onFailure: (cause) => failed(watched, cause),
      onSuccess: (response) =>
        Effect.forEach(response.content, (part) => hear(watched.heard, part), { discard: true }).pipe(
          Effect.andThen(unanswered(watched.heard)),
          Effect.andThen(watched.finish()),
          Effect.as(response)
        )
    }))

/** Records a call whose response is streamed: each part is recorded before it is passed on, and the end as well. */
export const streamed = <A extends AnyPart, E, R>(
  model: Model,
  method: string,
  options: CallOptions,
  run: (options: CallOptions) => Stream.Stream<A, E, R>
): Stream.Stream<A, E | AiError.AiError, R> =>
  Stream.unwrap(Effect.map(watch(model, options, method), (watched) => {
    let isRecorded = false
    const finish = Effect.suspend(() => {
      if (isRecorded) return Effect.void
      isRecorded = true
      return Effect.andThen(unanswered(watched.heard), watched.finish())
    })
    return run(watched.options).pipe(
      Stream.tap((part) =>
        part.type === "finish"
          ? Effect.andThen(hear(watched.heard, part), finish)
          : hear(watched.heard, part)
      ),
      Stream.catchCause((cause) => isRecorded ? Stream.failCause(cause) : Stream.fromEffect(failed(watched, cause))),
      Stream.onEnd(finish),
      // Whoever has read enough can be told by a defect alone that the rest was not recorded.
      Stream.onExit((exit) => Exit.isSuccess(exit) ? Effect.catch(finish, Effect.die) : Effect.void)
    )
  }))
