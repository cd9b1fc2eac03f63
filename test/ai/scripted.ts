/** A language model that says what a script tells it to, tools of an agent, and what was recorded of them. */
import { Context, Effect, Layer, Queue, Schema, Stream } from "effect"
import { AuditAi } from "effect-audit/ai"
import { AuditTest } from "effect-audit/test"
import { LanguageModel, type Prompt, type Response, Tool, Toolkit } from "effect/ai"

type Turn = ReadonlyArray<Response.PartEncoded & Response.StreamPartEncoded | Response.TextPartEncoded>

export const call = (name: string, params: unknown, id = "c1"): Response.ToolCallPartEncoded => ({
  type: "tool-call",
  id,
  name,
  params
})
export const finish = (reason: Response.FinishReason = "stop"): Response.FinishPartEncoded => ({
  type: "finish",
  reason,
  usage: {
    inputTokens: { uncached: 7, total: 10, cacheRead: 3, cacheWrite: undefined },
    outputTokens: { total: 5, text: 5, reasoning: undefined }
  },
  response: undefined
})

/** A model that takes one turn of the script after another, and what it was asked. */
export const scripted = (turns: ReadonlyArray<Turn>) => {
  const prompts: Array<Prompt.Prompt> = []
  const next = (prompt: Prompt.Prompt) => turns[prompts.push(prompt) - 1] ?? []
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: ({ prompt }) => Effect.sync(() => [...next(prompt)]),
      streamText: ({ prompt }) =>
        Stream.unwrap(Effect.sync(() =>
          Stream.fromIterable(next(prompt)).pipe(
            Stream.rechunk(1),
            Stream.flatMap((part): Stream.Stream<Response.StreamPartEncoded> =>
              part.type === "text"
                ? Stream.make(
                  { type: "text-start", id: "t" },
                  { type: "text-delta", id: "t", delta: part.text },
                  { type: "text-end", id: "t" }
                )
                : Stream.succeed(part)
            )
          )
        ))
    })
  )
  return { layer, prompts }
}

export class NotFound extends Schema.TaggedError<NotFound>("NotFound")("NotFound", { what: Schema.String }) {}

export const Search = Tool.make("search", {
  parameters: Schema.Struct({ query: Schema.String }),
  success: Schema.Struct({ hits: Schema.Number, text: Schema.optionalKey(Schema.String) }),
  failure: NotFound,
  failureMode: "return"
})
export const Strict = Tool.make("strict", {
  parameters: Schema.Struct({ n: Schema.Number }),
  success: Schema.Number,
  failure: NotFound
})
export const Send = Tool.make("send", {
  parameters: Schema.Struct({ to: Schema.String }),
  success: Schema.String,
  needsApproval: true
})
export const Count = Tool.make("count", {
  parameters: Schema.Struct({ n: Schema.Number }),
  success: Schema.Number.check(Schema.isLessThan(10))
})
export const Tools = Toolkit.make(Search, Strict, Send, Count)

/** Calls of tools that have begun and do not end. */
export class Began extends Context.Service<Began, Queue.Queue<string>>()("Began") {}

/** What the tools have done. */
export class Done extends Context.Service<Done, Array<string>>()("Done") {}

export const handlers = Tools.toLayer(Effect.gen(function*() {
  const done = yield* Done
  const began = yield* Began
  const doing = (what: string) => Effect.sync(() => done.push(what))
  return Tools.of({
    search: ({ query }) =>
      Effect.andThen(
        doing(`search ${query}`),
        query === "nothing"
          ? Effect.fail(new NotFound({ what: query }))
          : query === "wait"
          ? Effect.andThen(Queue.offer(began, query), Effect.never)
          : query === "die"
          ? Effect.die("boom")
          : query === "big"
          ? Effect.succeed({ hits: 1, text: "x".repeat(1000) })
          : Effect.succeed({ hits: query.length })
      ),
    strict: ({ n }) =>
      Effect.andThen(doing(`strict ${n}`), n < 0 ? Effect.fail(new NotFound({ what: "n" })) : Effect.succeed(n)),
    count: ({ n }) => Effect.as(doing(`count ${n}`), n),
    send: ({ to }) => Effect.as(doing(`send ${to}`), `sent to ${to}`)
  })
}))

/** The recorded model over a script, the tools, and an audit log in memory. */
export const agent = (
  turns: ReadonlyArray<Turn>,
  options: AuditTest.Options & AuditAi.Options = {}
) => {
  const { layer, prompts } = scripted(turns)
  return {
    prompts,
    layer: AuditAi.layerLanguageModel(options).pipe(
      Layer.provide(layer),
      Layer.provideMerge(handlers),
      Layer.provideMerge(Layer.sync(Done, () => [])),
      Layer.provideMerge(Layer.effect(Began, Queue.unbounded<string>())),
      Layer.provideMerge(AuditTest.layer(options))
    )
  }
}

/** What was recorded, in short: action, phase, what it was about, how it ended. */
export const told = Effect.map(
  AuditTest.events(),
  (events) =>
    events.map(({ action, error_tag, outcome, phase, resource }) =>
      [action, phase, resource?.id, phase === "intent" ? undefined : outcome, error_tag].filter((word) =>
        word !== undefined
      ).join(" ")
    )
)
