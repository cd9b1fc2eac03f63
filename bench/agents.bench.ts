/**
 * What recording an agent's tool calls costs beside the two events, and a typed action beside the same draft by hand:
 * CPU on one core, over a sink that stores nothing. Pairs take turns in one process.
 *
 *     npm run bench -- agents
 */
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { AuditAi } from "../src/ai/index.ts"
import { AuditAction, AuditLogger, EventSink, RequestContext } from "../src/index.ts"
import { Memory } from "../src/memory/index.ts"

const Search = Tool.make("search", {
  parameters: Schema.Struct({ query: Schema.String, limit: Schema.Number }),
  success: Schema.Struct({ hits: Schema.Array(Schema.String) })
})
const Tools = Toolkit.make(Search)
const Audited = AuditAi.toolkit(Tools)
const params = { query: "open orders of this week", limit: 10 }
const found = { hits: ["order 1", "order 2", "order 3"] }
const handlers = Tools.toLayer({ search: () => Effect.succeed(found) })

const Create = AuditAction.make("order.create", {
  resource: "order",
  input: Schema.Struct({ item: Schema.String, amount: Schema.Number, note: Schema.String })
})
const input = { item: "chair", amount: 3, note: "to the second floor, please" }

let position = 0
const nowhere = Layer.succeed(
  EventSink.EventSink,
  EventSink.EventSink.of({
    append: ({ eventId }) =>
      Effect.sync(() => ({ eventId, position: position++, duplicate: false, durability: "memory" as const }))
  })
)
const layer = AuditLogger.layer().pipe(Layer.provide(nowhere), Layer.provide(Memory.layer()), Layer.merge(handlers))

const call = Effect.flatMap(Tools, (tools) => Effect.flatMap(tools.handle("search", params, "call_1"), Stream.runDrain))
const draft = { action: "tool.call", resource: { type: "tool", id: "search" }, metadata: { tool_call_id: "call_1" } }
const operationId = "0190f6f0-0000-7000-8000-000000000000"
const byHand = AuditLogger.emit({ ...draft, operationId, phase: "intent", input: params }).pipe(
  Effect.andThen(call),
  Effect.andThen(AuditLogger.emit({ ...draft, operationId, phase: "result", output: found, durationMillis: 1 }))
)
const recorded = Effect.flatMap(
  Audited,
  (tools) => Effect.flatMap(tools.handle("search", params, "call_1"), Stream.runDrain)
)
const emitted = Effect.suspend(() =>
  AuditLogger.emit({ action: "order.create", resource: { type: "order", id: "o1" }, input })
)
const typed = Effect.suspend(() => Create.emit({ id: "o1", input }))

const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** Microseconds of CPU for one run of an effect. */
const cost = <E, R>(effect: Effect.Effect<unknown, E, R>, count: number) =>
  Effect.gen(function*() {
    const before = process.cpuUsage()
    for (let n = 0; n < count; n++) yield* effect
    const { system, user } = process.cpuUsage(before)
    return (system + user) / count
  })

/** Runs two effects in turns, and prints what each costs, and the second more than the first. */
const pair = <E, R>(
  name: string,
  first: Effect.Effect<unknown, E, R>,
  second: Effect.Effect<unknown, E, R>,
  [rounds, count]: readonly [number, number]
) =>
  Effect.gen(function*() {
    const costs: Array<readonly [number, number]> = []
    for (let round = -2; round < rounds; round++) {
      const both = [yield* cost(first, count), yield* cost(second, count)] as const
      if (round >= 0) costs.push(both)
    }
    const [one, other] = [median(costs.map(([one]) => one)), median(costs.map(([, other]) => other))]
    const more = median(costs.map(([one, other]) => other - one))
    console.log(
      `${name.padEnd(44)} ${one.toFixed(1).padStart(7)} ${other.toFixed(1).padStart(7)} ${more.toFixed(1).padStart(7)}`
    )
  })

export const run = (quick: boolean) =>
  Effect.gen(function*() {
    const size = quick ? [7, 2000] as const : [15, 5000] as const
    const context = yield* RequestContext.forJob({
      tenantId: "t_acme",
      env: "prod",
      actor: RequestContext.agent("bot", "u1"),
      runId: "run1"
    })
    console.log(`${"us CPU".padEnd(44)} ${"by hand".padStart(7)} ${"of it".padStart(7)} ${"more".padStart(7)}`)
    yield* RequestContext.provide(context)(pair("a tool call with its two events", byHand, recorded, size))
    yield* RequestContext.provide(context)(pair("an event: a draft, a typed action", emitted, typed, size))
  }).pipe(Effect.provide(layer))
