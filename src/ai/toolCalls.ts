/** Tool calls as events: the intent before the tool runs, its result before anyone is told of it. */
import type * as AiError from "effect/ai/AiError"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { type AuditDraft, AuditLogger } from "../AuditLogger.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { Entropy, makeUuid7 } from "../internal/entropy.ts"
import { provide, RequestContext, withStep } from "../RequestContext.ts"
import type { ToolCall, Verdict } from "./approvals.ts"
import { auditErrorOf, withoutContext } from "./failing.ts"
import { failing, failureOf, isTooMuch, record, type Recorder, tagOf } from "./recorder.ts"

type Tools = Record<string, Tool.Any>
export type AnyHandler = Toolkit.WithHandler<Tools>
type Result = Tool.HandlerResult<Tool.Any>

/** A call whose intent is recorded. */
export interface Operation {
  readonly recorder: Recorder
  readonly draft: AuditDraft & { readonly operationId: string }
  /** By the monotonic clock, in milliseconds. */
  readonly began: number
  readonly clock: Clock.Clock
}

/** A request that already recorded the intent of the call that it makes, and wants to know how the call ended. */
export interface Announced {
  operation: Operation | undefined
  /** The tool that the request calls. */
  readonly name: string
  isRecorded: boolean
}
export const Announced = Context.Reference<Announced | undefined>("effect-audit/ai/Announced", {
  defaultValue: () => undefined
})

/** What is known of the calls of one toolkit. */
export interface Calls {
  /** Who records; whoever does where the call is made unless given. */
  readonly logger?: AuditLogger["Service"] | undefined
  /** Whether a call was approved; nothing where no one was asked. */
  readonly verdict?: (recorder: Recorder, call: ToolCall) => Effect.Effect<Verdict | undefined, AiError.AiError>
  /** Calls that have begun and have no result. */
  readonly open?: Map<string, Operation> | undefined
  /** Calls whose result is recorded. */
  readonly settled?: Set<string> | undefined
}

/** What is recorded of a call, whatever becomes of it. */
export const draftOf = ({ id, name }: ToolCall): AuditDraft => ({
  action: "tool.call",
  resource: { type: "tool", id: name === "" ? "unnamed" : name },
  ...(id === undefined ? {} : { metadata: { tool_call_id: id } })
})

/** Records that a call is about to be made. */
export const begin = (
  recorder: Recorder,
  call: ToolCall,
  more: Partial<AuditDraft> = {}
): Effect.Effect<Operation, AiError.AiError> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const operationId = makeUuid7(fiber.getRef(Entropy))(clock.currentTimeMillisUnsafe())
    const draft = { ...draftOf(call), ...more, operationId }
    return Effect.map(
      record(recorder, { ...draft, phase: "intent", input: call.params }),
      () => ({ recorder, draft, began: elapsedMillis(clock), clock })
    )
  })

/** Records how a call ended; without what it gave where the log does not take that. */
export const end = (
  { began, clock, draft, recorder }: Operation,
  result: Partial<AuditDraft>
): Effect.Effect<unknown, AiError.AiError> => {
  const ended: AuditDraft = {
    ...draft,
    phase: "result",
    durationMillis: Math.floor(elapsedMillis(clock) - began),
    ...result
  }
  return Effect.catch(record(recorder, ended), (error) => {
    const cause = auditErrorOf(error)
    if (result.output === undefined || cause === undefined || !isTooMuch(cause)) return Effect.fail(error)
    const { output: _, ...rest } = ended
    return record(recorder, { ...rest, metadata: { ...draft.metadata, output_omitted: cause.message } })
  })
}

/** What a final result says. */
const outcomeOf = ({ encodedResult, failureOrigin, isFailure, result }: Result): Partial<AuditDraft> =>
  isFailure
    ? {
      outcome: "failure",
      errorTag: failureOrigin === "parameters" ? "InvalidParameters" : tagOf(result),
      output: encodedResult
    }
    : { output: encodedResult }

/** A tool's results: the final one is recorded before it is passed on, and so is a failure. */
const recording = <E, R>(
  results: Stream.Stream<Result, E, R>,
  finish: (result: Partial<AuditDraft>) => Effect.Effect<unknown, AiError.AiError>
): Stream.Stream<Result, E | AiError.AiError, R> => {
  let isRecorded = false
  const once = (result: Partial<AuditDraft>) =>
    Effect.suspend(() => {
      isRecorded = true
      return finish(result)
    })
  return Stream.transformPull(results, (pull) =>
    Effect.succeed(Pull.matchEffect(pull, {
      onSuccess: (chunk) => {
        const final = chunk.find(({ preliminary }) => !preliminary)
        return final === undefined ? Effect.succeed(chunk) : Effect.as(once(outcomeOf(final)), chunk)
      },
      onFailure: (cause) =>
        isRecorded || Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : failing(cause, once(failureOf(cause))),
      onDone: () =>
        isRecorded ? Cause.done() : Effect.andThen(once({ outcome: "failure", errorTag: "NoResult" }), Cause.done())
    })))
}

/** What a model is told of a call that may not be executed. */
const denial = ({ authorization: { reason } }: Verdict): Result => {
  const result = { type: "execution-denied" as const, reason: reason ?? "The call was refused." }
  return { result, encodedResult: result, isFailure: true, failureOrigin: "handler", preliminary: false }
}

const recorderOf = (context: Context.Context<never>, { logger }: Calls): Recorder | undefined => {
  const known = logger ?? Context.getOrUndefined(context, AuditLogger)
  const request = Context.getOrUndefined(context, RequestContext)
  return known === undefined || request === undefined ? undefined : { logger: known, context: request }
}

/** Who records what the running fiber does; it fails where no one is known to do it. */
export const recorderIn = (calls: Calls, method: string): Effect.Effect<Recorder, AiError.AiError> =>
  Effect.withFiber((fiber) => {
    const recorder = recorderOf(fiber.context, calls)
    return recorder === undefined ? Effect.fail(withoutContext(method)) : Effect.succeed(recorder)
  })

/**
 * The call as a step of its run, unless that is in a step already: what the tool records itself stands under it. An id
 * that is no id of a step is recorded outside of one.
 */
export const inStep = (recorder: Recorder, { id }: ToolCall): Recorder => {
  if (id === undefined || recorder.context.stepId !== undefined) return recorder
  const step = withStep(recorder.context, id)
  return step._tag === "Success" ? { ...recorder, context: step.success } : recorder
}

/** The operation that a request has announced: of the call that a server makes, not of one that a model makes in it. */
const taken = (announced: Announced | undefined, { logger }: Calls, { id, name }: ToolCall): Operation | undefined => {
  if (announced === undefined || logger !== undefined || id !== undefined || announced.name !== name) return undefined
  const { operation } = announced
  announced.operation = undefined
  return operation
}

const execute = (
  inner: AnyHandler,
  { open, settled }: Calls,
  { id, name, params }: ToolCall,
  operation: Operation,
  options: Parameters<AnyHandler["handle"]>[3],
  done: () => void
): ReturnType<AnyHandler["handle"]> => {
  if (id !== undefined) open?.set(id, operation)
  const finish = (result: Partial<AuditDraft>) =>
    Effect.suspend(() => {
      done()
      if (id !== undefined) {
        open?.delete(id)
        settled?.add(id)
      }
      return end(operation, result)
    })
  return Effect.matchCauseEffect(provide(operation.recorder.context)(inner.handle(name, params, id, options)), {
    onFailure: (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : failing(cause, finish(failureOf(cause))),
    onSuccess: (results) => Effect.succeed(recording(results, finish))
  })
}

const handled = (
  inner: AnyHandler,
  calls: Calls,
  call: ToolCall,
  options: Parameters<AnyHandler["handle"]>[3]
): ReturnType<AnyHandler["handle"]> =>
  Effect.withFiber((fiber) => {
    const found = recorderOf(fiber.context, calls)
    if (found === undefined) return Effect.fail(withoutContext("tool.call"))
    const recorder = inStep(found, call)
    const announced = fiber.getRef(Announced)
    const run = (verdict: Verdict | undefined): ReturnType<AnyHandler["handle"]> => {
      if (verdict?.isAllowed === false) {
        const { authorization } = verdict
        const denied = { ...draftOf(call), outcome: "denied", authorization, input: call.params } as const
        return Effect.as(record(recorder, denied), Stream.succeed(denial(verdict)))
      }
      const known = taken(announced, calls, call)
      const { approval, authorization } = verdict ?? {}
      return known === undefined
        ? Effect.flatMap(
          begin(recorder, call, verdict === undefined ? {} : { approval, authorization }),
          (operation) => execute(inner, calls, call, operation, options, () => {})
        )
        : execute(inner, calls, call, known, options, () => {
          if (announced !== undefined) announced.isRecorded = true
        })
    }
    return calls.verdict === undefined ? run(undefined) : Effect.flatMap(calls.verdict(recorder, call), run)
  })

/** By the function, so that a copy of a recorded toolkit is known as well. */
const inside = new WeakMap<AnyHandler["handle"], AnyHandler>()

/** A toolkit whose calls are recorded, once: one that is recorded already is taken out of its wrapping first. */
export const recorded = (handler: AnyHandler, calls: Calls): AnyHandler => {
  const inner = inside.get(handler.handle) ?? handler
  const wrapped: AnyHandler = {
    tools: inner.tools,
    handle: (name, params, id, options) => handled(inner, calls, { name, params, id }, options)
  }
  inside.set(wrapped.handle, inner)
  return wrapped
}
