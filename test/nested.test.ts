/** What did not succeed below transactions is recorded once each, whoever outlives whom, wherever the scheduler yields. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Scheduler, Stream } from "effect"
import { AuditLogger } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { log, memory, sqlite, within } from "./support.ts"

const turns = (count: number) => Effect.forEach(Array.from({ length: count }), () => Effect.yieldNow, { discard: true })
const transaction = true
const actions = Effect.map(
  Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })),
  (items) => items.slice(1).map((item) => item.erased ? "" : item.event.action).sort()
)

/** A child fails in or after the innermost of three transactions, of which some fail; what is recorded of all that. */
const outliving = (
  yields: number,
  fails: { readonly inner: boolean; readonly middle: boolean; readonly outer: boolean }
) =>
  Effect.gen(function*() {
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    const child = AuditLogger.audited(Effect.andThen(turns(yields), Effect.fail("no")), { action: "child.op" })
    const op = (action: string, isFailing: boolean) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.exit(AuditLogger.audited(isFailing ? Effect.andThen(effect, Effect.fail("no")) : effect, {
        action,
        transaction
      }))
    yield* Effect.gen(function*() {
      fibers.push(yield* Effect.forkDetach(child))
      yield* turns(3)
    }).pipe(
      op("inner.op", fails.inner),
      op("middle.op", fails.middle),
      op("outer.op", fails.outer),
      within()
    )
    for (const fiber of fibers) yield* Fiber.await(fiber)
    return yield* actions
  })

for (const [name, layer] of [["memory", memory], ["SQLite", sqlite]] as const) {
  describe(`audited transactions over ${name}`, () => {
    for (
      const fails of [
        { inner: false, middle: false, outer: true },
        { inner: true, middle: false, outer: true },
        { inner: false, middle: true, outer: false },
        { inner: true, middle: true, outer: true }
      ]
    ) {
      it.live(`record a failure of a child that may outlive them once: ${JSON.stringify(fails)}`, () =>
        Effect.gen(function*() {
          const expected = [
            "child.op",
            // A success goes with the transaction around it.
            ...(fails.inner || !(fails.middle || fails.outer) ? ["inner.op"] : []),
            ...(fails.middle || !fails.outer ? ["middle.op"] : []),
            "outer.op"
          ]
          for (let yields = 0; yields < 24; yields++) {
            for (const operations of [2048, 20 + yields]) {
              const recorded = yield* outliving(yields, fails).pipe(
                Effect.provideService(Scheduler.MaxOpsBeforeYield, operations),
                Effect.provide(Layer.fresh(layer))
              )
              assert.deepStrictEqual(recorded, expected, `${yields} yields, ${operations} operations`)
            }
          }
        }))
    }
  })
}
