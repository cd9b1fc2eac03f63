import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Stream } from "effect"
import { type AuditError, AuditLogger, RequestContext } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { log, memory, sqlite, within } from "../support.ts"

const fill = (count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) => AuditLogger.emit({ action: n % 2 === 0 ? "note.create" : "folder.create" }).pipe(within()),
    { discard: true }
  )
/** The positions of each page of a query. */
const pages = (query: Omit<AuditTrail.Query, "tenantId" | "env">) =>
  Effect.gen(function*() {
    const seen: Array<ReadonlyArray<number>> = []
    let cursor: string | undefined
    do {
      const page: AuditTrail.Page = yield* AuditTrail.query({ ...log, ...query, cursor })
      seen.push(page.items.map((item) => item.position))
      cursor = page.next
    } while (cursor !== undefined)
    return seen
  })
const refused = (query: Partial<AuditTrail.Query>) =>
  Effect.map(Effect.flip(AuditTrail.query({ ...log, ...query })), (error) => {
    assert.strictEqual(error.method, "AuditTrail.query")
    return error.reason._tag === "InvalidInput" ? error.reason.path : error.reason._tag
  })

const stacks: ReadonlyArray<
  readonly [string, Layer.Layer<AuditLogger.AuditLogger | AuditTrail.AuditTrail, AuditError.AuditError>]
> = [["memory", memory], ["SQLite", sqlite]]

for (const [name, layer] of stacks) {
  describe(`cursors over ${name}`, () => {
    it.live("go through every page once, in both directions, and end with the last event", () =>
      Effect.gen(function*() {
        yield* fill(5)
        assert.deepStrictEqual(yield* pages({ order: "asc", limit: 2 }), [[0, 1], [2, 3], [4, 5]])
        assert.deepStrictEqual(yield* pages({ limit: 2 }), [[5, 4], [3, 2], [1, 0]])
        assert.deepStrictEqual(yield* pages({ order: "desc", limit: 4 }), [[5, 4, 3, 2], [1, 0]])
        assert.deepStrictEqual(yield* pages({ order: "asc", limit: 6 }), [[0, 1, 2, 3, 4, 5]])
        assert.deepStrictEqual(yield* pages({ order: "asc", limit: 1000 }), [[0, 1, 2, 3, 4, 5]])
        const filter = { action: "note.*" }
        assert.deepStrictEqual(yield* pages({ filter, order: "asc", limit: 2 }), [[1, 3], [5]])
        assert.deepStrictEqual(yield* pages({ filter, limit: 1 }), [[5], [3], [1]])
        assert.deepStrictEqual(yield* pages({ filter: { action: "other.*" } }), [[]])
      }).pipe(Effect.provide(layer)))

    it.live("hold 100 events of a page unless told, and at most 1,000", () =>
      Effect.gen(function*() {
        yield* fill(101)
        assert.deepStrictEqual((yield* pages({ order: "asc" })).map((page) => page.length), [100, 2])
        for (const limit of [0, -1, 1001, 1.5, NaN, "5" as never]) {
          assert.strictEqual(yield* refused({ limit }), "/limit")
        }
        for (const limit of [1, 1000]) yield* AuditTrail.query({ ...log, limit })
      }).pipe(Effect.provide(layer)))

    it.live("are of one query: tenant, env, filter and order; a filter's spelling does not count", () =>
      Effect.gen(function*() {
        yield* fill(5)
        const filter = { action: "note.*", userId: "u1" }
        const { next } = yield* AuditTrail.query({ ...log, filter, limit: 1 })
        assert(next !== undefined)
        assert.match(next, /^[A-Za-z0-9_-]+$/)
        const same: ReadonlyArray<Partial<AuditTrail.Query>> = [
          { filter, limit: 1 },
          { filter: { userId: "u1", action: "note.*" }, limit: 5 },
          { filter: { ...filter, runId: undefined }, order: "desc" }
        ]
        for (const query of same) {
          const { items } = yield* AuditTrail.query({ ...log, ...query, cursor: next })
          assert.strictEqual(items[0]?.position, 3)
        }
        const others: ReadonlyArray<Partial<AuditTrail.Query>> = [
          {},
          { filter: { action: "note.*" } },
          { filter: { ...filter, userId: "u2" } },
          { filter: { action: "note.create", userId: "u1" } },
          { filter, order: "asc" },
          { filter, tenantId: RequestContext.TenantId.make("t_other") },
          { filter, env: RequestContext.Env.make("staging") }
        ]
        for (const query of others) {
          assert.strictEqual(yield* refused({ ...query, cursor: next }), "InvalidCursor", JSON.stringify(query))
        }
      }).pipe(Effect.provide(layer)))

    it.live("are refused where they name no place of the log", () =>
      Effect.gen(function*() {
        yield* fill(3)
        yield* AuditLogger.emit({ action: "note.create" }).pipe(within({ tenantId: "t_other" }))
        const { next } = yield* AuditTrail.query({ ...log, limit: 2 })
        const token = JSON.parse(Buffer.from(next ?? "", "base64url").toString()) as ReadonlyArray<unknown>
        const [version, position, hash] = token
        assert(version === 2 && position === 2)
        const wrong: ReadonlyArray<unknown> = [
          [1, position, hash],
          [1, 3, position, hash],
          [version, -1, hash],
          [version, 4, hash],
          [version, 999, hash],
          [version, position, "other"],
          [version, position],
          [version, position, hash, 1],
          [version, position + 0.5, hash],
          [version, String(position), hash],
          {},
          null
        ]
        for (const value of wrong) {
          const cursor = Buffer.from(JSON.stringify(value)).toString("base64url")
          assert.strictEqual(yield* refused({ cursor, limit: 2 }), "InvalidCursor", JSON.stringify(value))
        }
        for (const cursor of ["", "nonsense", "!"]) assert.strictEqual(yield* refused({ cursor }), "InvalidCursor")
        const again = yield* AuditTrail.query({ ...log, limit: 2, cursor: next })
        assert.deepStrictEqual(again.items.map((item) => item.position), [1, 0])
      }).pipe(Effect.provide(layer)))

    it.live("filters that no event can meet are refused with the place", () =>
      Effect.gen(function*() {
        for (
          const [filter, path] of [
            [{ action: "note*" }, "/filter/action"],
            [{ userId: "u1", severity: "loud" }, "/filter/severity"],
            [{ since: NaN }, "/filter/since"],
            [{ "a/b": 1 }, "/filter/a~1b"]
          ] as const
        ) assert.strictEqual(yield* refused({ filter: filter as never }), path)
      }).pipe(Effect.provide(layer)))

    it.live("a stream goes on from a cursor, page by page, to the end", () =>
      Effect.gen(function*() {
        yield* fill(300)
        const positions = (query: Partial<AuditTrail.Query>) =>
          Effect.map(
            Stream.runCollect(AuditTrail.stream({ ...log, order: "asc", ...query })),
            (items) => items.map((item) => item.position)
          )
        const all = Array.from({ length: 301 }, (_, n) => n)
        assert.deepStrictEqual(yield* positions({}), all)
        assert.deepStrictEqual(yield* positions({ limit: 7 }), all)
        const { next } = yield* AuditTrail.query({ ...log, order: "asc", limit: 10 })
        assert.deepStrictEqual(yield* positions({ cursor: next }), all.slice(10))
      }).pipe(Effect.provide(layer)))
  })
}
