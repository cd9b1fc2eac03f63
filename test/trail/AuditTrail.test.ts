import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Stream } from "effect"
import { AuditLogger, LoggingEngine, RequestContext } from "effect-audit"
import { AuditTrail, type Filter } from "effect-audit/trail"
import { env, log, memory, sqlite, tenant, within } from "../support.ts"

type Stack = AuditLogger.AuditLogger | LoggingEngine.LoggingEngine | AuditTrail.AuditTrail

const suite = <E>(name: string, layer: Layer.Layer<Stack, E>, total: number) =>
  describe(`AuditTrail over ${name}`, () => {
    const emit = (n: number) =>
      LoggingEngine.log({
        action: n % 2 === 0 ? "note.create" : n % 3 === 0 ? "note.tag.add" : "folder.create",
        resource: { type: n % 2 === 0 ? "note" : "folder", id: `id${n % 50}` },
        outcome: n % 5 === 0 ? "denied" : "success",
        severity: n % 7 === 0 ? "warning" : "info",
        storageClass: n % 4 === 0 ? "audit" : "ops",
        input: { n, note: n % 10 === 0 ? "kim@example.com" : "none" }
      }).pipe(within({
        tenantId: n % 11 === 0 ? "t_other" : "t_acme",
        actor: RequestContext.agent(`a${n % 3}`, `u${n % 6}`),
        requestId: `r${n}`,
        traceId: `trace${Math.floor(n / 10)}`,
        ...(n % 2 === 0 ? { correlationId: `c${n % 8}` } : {}),
        ...(n % 3 === 0 ? { runId: `run${n % 9}` } : {})
      }))
    const numbers = Array.from({ length: total }, (_, n) => n)
    const mine = numbers.filter((n) => n % 11 !== 0)
    const fill = Effect.all(numbers.map(emit), { concurrency: 300, discard: true })
    const found = (filter: Filter.Filter, order: "asc" | "desc" = "asc") =>
      Effect.map(
        Stream.runCollect(AuditTrail.stream({ ...log, filter, order, limit: 97 })),
        (items) =>
          items.flatMap((item) =>
            item.erased || item.event.action === "audit.log_created"
              ? []
              : [(item.event.input as { readonly n: number }).n]
          )
      )

    it.live("finds exactly what each filter asks for, oldest or newest first", () =>
      Effect.gen(function*() {
        yield* fill
        const cases: ReadonlyArray<readonly [Filter.Filter, (n: number) => boolean]> = [
          [{ action: "note.create" }, (n) => n % 2 === 0],
          [{ action: "note.*" }, (n) => n % 2 === 0 || n % 3 === 0],
          [{ action: "note.tag.*" }, (n) => n % 2 === 1 && n % 3 === 0],
          [{ actorId: "a1" }, (n) => n % 3 === 1],
          [{ userId: "u4" }, (n) => n % 6 === 4],
          [{ resourceType: "folder" }, (n) => n % 2 === 1],
          [{ resourceId: "id7" }, (n) => n % 50 === 7],
          [{ outcome: "denied" }, (n) => n % 5 === 0],
          [{ traceId: "trace3" }, (n) => Math.floor(n / 10) === 3],
          [{ requestId: `r${total - 1}` }, (n) => n === total - 1],
          [{ requestId: "r12" }, (n) => n === 12],
          [{ correlationId: "c4" }, (n) => n % 8 === 4],
          [{ runId: "run3" }, (n) => n % 9 === 3],
          [{ severity: "warning" }, (n) => n % 7 === 0],
          [{ storageClass: "ops" }, (n) => n % 4 !== 0],
          [{ trainOk: false }, (n) => n % 10 === 0],
          [{ action: "note.*", userId: "u2", outcome: "success", trainOk: true }, (n) =>
            n % 6 === 2 && n % 5 !== 0 && n % 10 !== 0],
          [{ traceId: "trace1", actorId: "nobody" }, () =>
            false]
        ]
        for (const [filter, expected] of cases) {
          const wanted = mine.filter(expected)
          assert.deepStrictEqual((yield* found(filter)).sort((a, b) => a - b), wanted, JSON.stringify(filter))
          const ascending = yield* found(filter)
          assert.deepStrictEqual(yield* found(filter, "desc"), ascending.toReversed())
        }
      }).pipe(Effect.provide(layer)))

    it.live("is bounded by since (inclusive) and until (exclusive)", () =>
      Effect.gen(function*() {
        yield* fill
        const { items } = yield* AuditTrail.query({ ...log, order: "asc", limit: 1000 })
        const times = items.flatMap((item) => item.erased ? [] : [Date.parse(item.event.recorded_at)])
        const middle = times[Math.floor(times.length / 2)]!
        const count = (filter: Filter.Filter) =>
          Effect.map(Stream.runCount(AuditTrail.stream({ ...log, filter })), Number)
        const all = yield* count({})
        assert.strictEqual(all, mine.length + 1)
        assert.strictEqual((yield* count({ since: middle })) + (yield* count({ until: middle })), all)
        assert.strictEqual(yield* count({ since: middle, until: middle }), 0)
        assert.strictEqual(yield* count({ since: Date.now() + 60_000 }), 0)
      }).pipe(Effect.provide(layer)))

    it.live("never shows another tenant's or env's events", () =>
      Effect.gen(function*() {
        yield* fill
        const other = { tenantId: RequestContext.TenantId.make("t_other"), env }
        const theirs = yield* Stream.runCollect(AuditTrail.stream(other))
        assert.strictEqual(theirs.length, numbers.length - mine.length + 1)
        for (const item of theirs) assert(!item.erased && item.event.tenantId === "t_other")
        assert.deepStrictEqual(
          yield* AuditTrail.query({ tenantId: tenant, env: RequestContext.Env.make("staging") }),
          { items: [], next: undefined }
        )
        const page = yield* AuditTrail.query({ ...log, limit: 5 })
        const crossing = yield* Effect.flip(AuditTrail.query({ ...other, limit: 5, cursor: page.next }))
        assert.strictEqual(crossing.reason._tag, "InvalidCursor")
      }).pipe(Effect.provide(layer)))

    it.live("keeps its place while events are added, and repeats or misses none", () =>
      Effect.gen(function*() {
        yield* fill
        const seen: Array<number> = []
        let cursor: string | undefined
        let n = total
        do {
          const page = yield* AuditTrail.query({ ...log, order: "asc", limit: 100, cursor })
          seen.push(...page.items.map((item) => item.position))
          cursor = page.next
          if (n < total + 5) yield* emit(n % 11 === 0 ? n++ + 1 : n++)
        } while (cursor !== undefined)
        assert.deepStrictEqual(seen, seen.map((_, position) => position))
        assert.isAtLeast(seen.length, mine.length + 1)
      }).pipe(Effect.provide(layer)))

    it.live("refuses queries and cursors that make no sense", () =>
      Effect.gen(function*() {
        yield* emit(1)
        yield* emit(2)
        for (const limit of [0, -1, 1001, 1.5]) {
          const error = yield* Effect.flip(AuditTrail.query({ ...log, limit }))
          assert(error.reason._tag === "InvalidInput")
          assert.strictEqual(error.reason.path, "/limit")
        }
        const error = yield* Effect.flip(AuditTrail.query({ ...log, filter: { action: "note*" } }))
        assert(error.reason._tag === "InvalidInput")
        assert.strictEqual(error.reason.path, "/filter/action")
        const { next } = yield* AuditTrail.query({ ...log, limit: 1 })
        assert.isDefined(next)
        for (
          const query of [
            { ...log, cursor: "nonsense" },
            { ...log, cursor: "" },
            { ...log, cursor: next, order: "asc" as const },
            { ...log, cursor: next, filter: { userId: "u1" } },
            {
              ...log,
              cursor: Buffer.from(Buffer.from(next ?? "", "base64url").toString().replace(/^\[2,\d+/, "[2,999999"))
                .toString("base64url")
            }
          ]
        ) {
          assert.strictEqual(
            (yield* Effect.flip(AuditTrail.query(query))).reason._tag,
            "InvalidCursor",
            JSON.stringify(query)
          )
        }
      }).pipe(Effect.provide(layer)))
  })

suite("memory", memory, 600)
// Three segments of the search index, and rows after them.
suite("SQLite", sqlite, 6500)

describe("AuditTrail over SQLite", () => {
  it.live("sees each event that was acknowledged before the query began", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(Array.from({ length: 4200 }, (_, n) => n), (n) =>
        Effect.gen(function*() {
          const { eventId } = yield* AuditLogger.emit({ action: "note.create" }).pipe(within({ requestId: `r${n}` }))
          if (n % 100 > 2 && n % 2048 > 10 && n % 2048 < 2040) return
          const { items } = yield* AuditTrail.query({ ...log, filter: { requestId: `r${n}` } })
          assert.deepStrictEqual(items.map((item) => item.eventId), [eventId])
        }), { concurrency: 50 })
    }).pipe(Effect.provide(sqlite)))
})
