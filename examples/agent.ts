/** An agent with three tools, one of which a person has to approve: everything it does is in the audit log. */
import { Effect, Layer, Ref, Schema, Stream } from "effect"
import { AuditAction, AuditLogger, AuditRegistry, RequestContext } from "effect-audit"
import { AuditAi } from "effect-audit/ai"
import { Sqlite } from "effect-audit/sqlite"
import { Chat, LanguageModel, Model, Prompt, type Response, Tool, Toolkit } from "effect/ai"

const FindOrder = Tool.make("find_order", {
  parameters: Schema.Struct({ id: Schema.String }),
  success: Schema.Struct({ id: Schema.String, total: Schema.Number, status: Schema.String })
})
class NoSuchAddress extends Schema.TaggedError<NoSuchAddress>("NoSuchAddress")("NoSuchAddress", {}) {}
const SendMail = Tool.make("send_mail", {
  parameters: Schema.Struct({ to: Schema.String, text: Schema.String }),
  failure: NoSuchAddress,
  failureMode: "return"
})
const Refund = Tool.make("refund", {
  parameters: Schema.Struct({ order: Schema.String, amount: Schema.Number }),
  success: Schema.Struct({ refund: Schema.String }),
  needsApproval: true
})

// The one line in the agent: its tools now need a RequestContext, so that without one it does not compile.
const Tools = AuditAi.toolkit(Toolkit.make(FindOrder, SendMail, Refund))

const OrderRefund = AuditAction.make("order.refund", {
  description: "Money goes back to a customer",
  resource: "order",
  input: Schema.Struct({ amount: Schema.Number, iban: AuditAction.strip(Schema.String) }),
  output: Schema.Struct({ refund: Schema.String }),
  severity: "notice",
  retention: "10 years"
})
export const Actions = AuditRegistry.make(OrderRefund)

const handlers = Tools.toLayer({
  find_order: ({ id }) => Effect.succeed({ id, total: 40, status: "delivered, damaged" }),
  send_mail: ({ to }) => to.includes("@") ? Effect.void : Effect.fail(new NoSuchAddress()),
  // What a tool records itself stands under its call.
  refund: ({ amount, order }) =>
    Effect.orDie(
      OrderRefund.audited(Effect.succeed({ refund: "rf_1" }), {
        id: order,
        input: { amount, iban: "DE89 3704 0044 0532 0130 00" }
      })
    )
})

const call = (id: string, name: string, params: unknown) => ({ type: "tool-call", id, name, params }) as const
const finish = (reason: Response.FinishReason) =>
  ({
    type: "finish",
    reason,
    usage: {
      inputTokens: { uncached: 120, total: 120, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: 18, text: 18, reasoning: undefined }
    },
    response: undefined
  }) as const

/** What stands in for a provider: it says what its script tells it to. */
const script: ReadonlyArray<Array<Response.PartEncoded>> = [
  [call("call_1", "find_order", { id: "o-7" }), finish("tool-calls")],
  [call("call_2", "refund", { order: "o-7", amount: 40 }), finish("tool-calls")],
  [
    call("call_3", "send_mail", { to: "kim", text: "Your money is on its way." }),
    call("call_4", "send_mail", { to: "kim@example.com", text: "Your money is on its way." }),
    finish("tool-calls")
  ],
  [{ type: "text", text: "The order was refunded." }, finish("stop")]
]
let turn = 0
const provider = Layer.effect(
  LanguageModel.LanguageModel,
  LanguageModel.make({
    generateText: () => Effect.sync(() => script[turn++] ?? []),
    streamText: () => Stream.empty
  })
)

const boss = RequestContext.decode({
  tenantId: "acme",
  env: "prod",
  actor: RequestContext.human("ines"),
  requestId: "req_approval"
})

const agent = Effect.gen(function*() {
  const chat = yield* Chat.fromPrompt("Order o-7 came damaged. Please give kim@example.com the money back.")
  let prompt: Prompt.Prompt = Prompt.empty
  for (let step = 1;; step++) {
    const { text } = yield* chat.generateText({ prompt, toolkit: Tools }).pipe(RequestContext.step(`${step}`))
    if (text !== "") return text
    const approvals: Array<Prompt.ToolApprovalResponsePart> = []
    for (const pending of AuditAi.pendingApprovals(yield* Ref.get(chat.history))) {
      // A person is shown what the agent wants to do, and agrees: under their own name, to exactly these arguments.
      approvals.push(
        yield* AuditAi.approve(pending, { reason: "the photo shows it" }).pipe(RequestContext.provide(yield* boss))
      )
    }
    prompt = approvals.length === 0
      ? Prompt.empty
      : Prompt.fromMessages([Prompt.makeMessage("tool", { content: approvals })])
  }
})

const filename = process.argv[2] ?? "audit.db"
const audited = AuditAi.layerLanguageModel().pipe(
  Layer.provide(Model.make("scripted", "support-1", provider)),
  Layer.provideMerge(handlers),
  Layer.provideMerge(AuditLogger.layer()),
  Layer.provideMerge(Sqlite.layer({ filename }))
)

const program = Effect.gen(function*() {
  const request = yield* RequestContext.forRequest({
    tenantId: "acme",
    env: "prod",
    actor: RequestContext.human("kim"),
    requestId: "req_1"
  })
  const runId = `run_${Date.now()}`
  const text = yield* agent.pipe(
    RequestContext.agentRun({ id: "support", version: "1.4", model: "support-1", runId }),
    RequestContext.provide(request)
  )
  console.log(`agent: ${text}`)
  console.log(`npx effect-audit run --db ${filename} --tenant acme --env prod --run ${runId}`)
})

await Effect.runPromise(Effect.provide(program, audited))
