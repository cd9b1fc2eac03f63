/** The contract of a signer's state: compare and set, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { RequestContext } from "effect-audit"
import { Origin, Signer } from "effect-audit/ledger"
import { log } from "../support.ts"

const origin = Origin.make("test", Buffer.alloc(16, 1))
const other = Origin.make("test", Buffer.alloc(16, 2))
const third = Origin.make("test", Buffer.alloc(16, 3))
const head = (size: number, byte = size) => ({ size, root: Buffer.alloc(32, byte) })

export const suite = <E>(name: string, layer: Layer.Layer<Signer.SignerState, E>) =>
  describe(`SignerState in ${name}`, () => {
    const last = (state: Signer.SignerState["Service"], of: Origin.Origin) =>
      Effect.map(state.last(of), (found) => found === undefined ? undefined : [found.size, Buffer.from(found.root)[0]])

    it.live("replaces the last head only if it is the one that is named", () =>
      Effect.gen(function*() {
        const state = yield* Signer.SignerState
        assert.isUndefined(yield* state.last(origin))
        assert.isFalse(yield* state.advance(origin, head(1), head(2)))
        assert.isTrue(yield* state.advance(origin, undefined, head(1)))
        assert.isFalse(yield* state.advance(origin, undefined, head(2)))
        assert.isFalse(yield* state.advance(origin, head(1, 9), head(2)))
        assert.deepStrictEqual(yield* last(state, origin), [1, 1])
        assert.isTrue(yield* state.advance(origin, head(1), head(2)))
        assert.deepStrictEqual(yield* last(state, origin), [2, 2])
        assert.isUndefined(yield* state.last(other))
      }).pipe(Effect.provide(layer)))

    it.live("knows all that was signed, with the names of the logs, and what has ended", () =>
      Effect.gen(function*() {
        const state = yield* Signer.SignerState
        const origins = Effect.map(state.origins, (all) =>
          [...all].sort((a, b) =>
            a.origin < b.origin ? -1 : 1
          ).map((one) => [
            one.origin,
            one.name?.tenantId,
            one.name?.env,
            one.head.size,
            one.head.root[0],
            one.isEnded
          ]))
        assert.deepStrictEqual(yield* origins, [])
        yield* state.advance(other, undefined, head(1))
        yield* state.advance(origin, undefined, head(2), log)
        const first = [origin, "t_acme", "prod", 2, 2, false]
        assert.deepStrictEqual(yield* origins, [first, [other, undefined, undefined, 1, 1, false]])
        // A name is kept where none is given, and comes later where there was none.
        yield* state.advance(origin, head(2), head(3))
        yield* state.advance(other, head(1), head(4), { ...log, tenantId: RequestContext.TenantId.make("t_globex") })
        const named = [other, "t_globex", "prod", 4, 4, false]
        assert.deepStrictEqual(yield* origins, [[origin, "t_acme", "prod", 3, 3, false], named])
        for (let n = 0; n < 2; n++) {
          yield* state.end(origin, head(9), log)
          assert.deepStrictEqual(yield* origins, [[origin, "t_acme", "prod", 3, 3, true], named])
        }
        for (const from of [head(3), undefined]) {
          const { method, reason } = yield* Effect.flip(state.advance(origin, from, head(5)))
          assert.deepStrictEqual([method, reason._tag, reason.message], [
            "SignerState",
            "SignerRefused",
            `Cannot sign: ${origin} was resumed as another log and is never signed again`
          ])
        }
        assert.deepStrictEqual(yield* last(state, origin), [3, 3])
        // Of an origin that nothing is known of, its head is kept.
        yield* state.end(third, head(7), log)
        assert.deepStrictEqual((yield* origins).at(-1), [third, "t_acme", "prod", 7, 7, true])
        assert.isTrue(yield* state.advance(other, head(4), head(5)))
      }).pipe(Effect.provide(layer)))

    it.live("lets one of many who race win each step", () =>
      Effect.gen(function*() {
        const state = yield* Signer.SignerState
        for (let size = 1; size <= 20; size++) {
          const from = size === 1 ? undefined : yield* state.last(origin)
          const won = yield* Effect.forEach([1, 2, 3, 4], (n) => state.advance(origin, from, head(size, n)), {
            concurrency: "unbounded"
          })
          assert.strictEqual(won.filter((one) => one).length, 1)
        }
        assert.strictEqual((yield* state.last(origin))?.size, 20)
      }).pipe(Effect.provide(layer)))
  })
