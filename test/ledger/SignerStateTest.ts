/** The contract of a signer's state: compare and set, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Origin, Signer } from "effect-audit/ledger"

const origin = Origin.make("test", Buffer.alloc(16, 1))
const other = Origin.make("test", Buffer.alloc(16, 2))
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
