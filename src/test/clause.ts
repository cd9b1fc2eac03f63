/** A contract as data: clauses that any test runner can run. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AuditError } from "../AuditError.ts"
import * as AuditLogger from "../AuditLogger.ts"
import type { Sealed } from "../DatasetEvent.ts"
import { EventSink } from "../EventSink.ts"
import * as LoggingEngine from "../LoggingEngine.ts"
import * as Memory from "../memory/Memory.ts"
import * as PiiStripper from "../PiiStripper.ts"
import * as RequestContext from "../RequestContext.ts"
import { AuditTrail, type Item } from "../trail/AuditTrail.ts"

/** A clause was broken; the message says how. */
export class ContractBroken
  extends Schema.TaggedError<ContractBroken>("effect-audit/test/ContractBroken")("ContractBroken", {
    detail: Schema.String
  })
{
  override get message(): string {
    return this.detail
  }
}

/** One promise, and an effect that fails unless it is kept. Each wants a fresh store. */
export interface Clause<R> {
  readonly name: string
  readonly test: Effect.Effect<void, unknown, R>
}

/** Fails unless two values are the same as JSON. */
export const same = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, ContractBroken> => {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  return found === wanted
    ? Effect.void
    : Effect.fail(new ContractBroken({ detail: `${what}: expected ${wanted}, got ${found}` }))
}

/** The log that clauses write to. */
export const log: RequestContext.LogName = {
  tenantId: RequestContext.TenantId.make("contract"),
  env: RequestContext.Env.make("test")
}

const asTenant = (tenantId: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    RequestContext.decode({ tenantId, env: log.env, actor: { type: "human", id: "u1" }, requestId: "r1" }),
    (context) => RequestContext.provide(context)(effect)
  )

/** Runs an effect as a person of the clause's tenant. */
export const within = asTenant(log.tenantId)
/** Runs an effect as a person of another tenant. */
export const elsewhere = asTenant("other")

/** Runs a clause with a logger over the medium that it is given. */
export const logging = Effect.provide(Layer.fresh(AuditLogger.layer()))

/** Records an event that says `n`. */
export const emit = (n: number, options?: LoggingEngine.EmitOptions) =>
  AuditLogger.emit({ action: "note.create", input: { n } }, options)

/** The reason that an effect fails with. */
export const reasonOf = <A, E, R>(effect: Effect.Effect<A, E | AuditError, R>) =>
  Effect.map(Effect.result(effect), (result) => {
    if (result._tag === "Success") return "success"
    const { failure } = result
    return typeof failure === "object" && failure !== null && "reason" in failure &&
        typeof failure.reason === "object" && failure.reason !== null && "_tag" in failure.reason
      ? String(failure.reason._tag)
      : "another failure"
  })

/** All of a log, oldest first. */
export const items = (name: RequestContext.LogName = log): Effect.Effect<ReadonlyArray<Item>, AuditError, AuditTrail> =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail
    const all: Array<Item> = []
    let cursor: string | undefined
    do {
      const page = yield* trail.query({ ...name, order: "asc", limit: 1000, cursor })
      all.push(...page.items)
      cursor = page.next
    } while (cursor !== undefined)
    return all
  })

/** Fails unless a log holds `audit.log_created` and these numbers, densely and in order. */
export const checkLog = (numbers: ReadonlyArray<number>, name: RequestContext.LogName = log) =>
  Effect.gen(function*() {
    const all = yield* items(name)
    yield* same("positions", all.map(({ position }) => position), all.map((_, position) => position))
    const inputs = all.map((item) => item.erased ? "erased" : item.event.input)
    yield* same("events", inputs.slice(1), numbers.map((n) => ({ n })))
    const [first] = all
    yield* same("position 0", first?.erased === false ? first.event.action : undefined, "audit.log_created")
  })

/** A sealed event, made by the real steps and stored nowhere. */
export const sealedOf = (n: number): Effect.Effect<Sealed, unknown> =>
  Effect.gen(function*() {
    let sealed: Sealed | undefined
    const catching = Layer.succeed(
      EventSink,
      EventSink.of({
        append: (event) =>
          Effect.sync(() => {
            sealed = event
            return { eventId: event.eventId, position: 0, duplicate: false, durability: "memory" as const }
          })
      })
    )
    yield* LoggingEngine.log({ action: "note.create", input: { n } }).pipe(
      within,
      Effect.provide(
        Layer.fresh(
          LoggingEngine.layer().pipe(
            Layer.provide(catching),
            Layer.provide([PiiStripper.layer(), Memory.layer()])
          )
        )
      )
    )
    return sealed ?? (yield* new ContractBroken({ detail: "nothing was sealed" }))
  })
