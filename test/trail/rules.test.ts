/** What every medium does with a query before and after it looks for rows. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { AuditError, type DatasetEvent, RequestContext } from "effect-audit"
import { AuditTrail, Filter } from "effect-audit/trail"
import { uuidBytes } from "../../src/internal/entropy.ts"
import { found, itemOf, noSuchEvent, pageOf, type PageRow, readQuery } from "../../src/trail/paging.ts"
import { needleOf, searchFields } from "../../src/trail/searchFields.ts"
import { fieldsOf, log, sealedBy } from "../support.ts"

const reading = (query: Partial<AuditTrail.Query> = {}) => Result.getOrThrow(readQuery({ ...log, ...query }))
const refusal = (query: Partial<AuditTrail.Query>) => {
  const { method, reason } = Result.getOrThrow(Result.flip(readQuery({ ...log, ...query })))
  assert.strictEqual(method, "AuditTrail.query")
  return reason._tag === "InvalidInput" ? [reason.path, reason.detail] : [reason._tag, reason.detail]
}
const rowOf = (event: DatasetEvent.Sealed, position: number): PageRow => ({
  position,
  eventId: uuidBytes(event.eventId),
  recordedAtMillis: event.recordedAtMillis,
  body: event.body
})
const items = (count: number): ReadonlyArray<AuditTrail.Item> =>
  Array.from({ length: count }, (_, n) => ({ erased: true, position: n, eventId: "" as DatasetEvent.EventId }))

describe("a query", () => {
  it("is read with its defaults", () => {
    const { after, descending, limit, log: name, search } = reading()
    assert.deepStrictEqual([after, descending, limit, name], [undefined, true, 100, log])
    assert.deepStrictEqual(search, { conditions: [], sinceMillis: undefined, untilMillis: undefined })
    assert.isFalse(reading({ order: "asc" }).descending)
    const filter = { since: "2026-01-02", until: new Date(5), action: "note.*", trainOk: false }
    const read = reading({ filter }).search
    assert.deepStrictEqual([read.sinceMillis, read.untilMillis], [Date.UTC(2026, 0, 2), 5])
    assert.deepStrictEqual(read.conditions.map(({ field, value }) => [field.filter, value]), [
      ["action", "note.*"],
      ["trainOk", "false"]
    ])
  })

  it("is refused with its place and why", () => {
    const wrong = "is not a value that an event can have there"
    const time = "must be a time, such as 2026-01-31T10:00:00Z"
    assert.deepStrictEqual(refusal({ limit: 0 }), ["/limit", "must be an integer from 1 to 1,000"])
    assert.deepStrictEqual(refusal({ filter: { action: "Note" } }), ["/filter/action", wrong])
    assert.deepStrictEqual(refusal({ filter: { since: "yesterday", userId: "u1" } }), ["/filter/since", time])
    assert.deepStrictEqual(refusal({ filter: { until: {} as never } }), ["/filter/until", time])
    const [path, detail] = refusal({ filter: { userid: "u1" } as never }) ?? []
    assert.strictEqual(path, "/filter/userid")
    assert.match(String(detail), /^is not a filter: there are .*\buserId\b/)
    assert.deepStrictEqual(refusal({ cursor: "nonsense" }), [
      "InvalidCursor",
      "it is not a cursor of this release: begin without one"
    ])
  })

  it("goes on by a cursor in the same log, filter and order alone; the order of its fields does not matter", () => {
    const filter = { action: "note.*", userId: "u1", since: 5, until: 10 }
    const cursorOf = (query: Partial<AuditTrail.Query>) => pageOf(reading({ ...query, limit: 2 }), items(3)).next ?? ""
    const cursor = cursorOf({ filter })
    const same: ReadonlyArray<Partial<AuditTrail.Query>> = [
      { filter },
      { filter, limit: 7, order: "desc" },
      { filter: { until: new Date(10), userId: "u1", since: "1970-01-01T00:00:00.005Z", action: "note.*" } }
    ]
    for (const query of same) assert.strictEqual(reading({ ...query, cursor }).after, 1)
    const others: ReadonlyArray<Partial<AuditTrail.Query>> = [
      {},
      { filter, order: "asc" },
      { filter: { ...filter, userId: "u2" } },
      { filter: { ...filter, action: "note.x" } },
      { filter: { ...filter, since: 6 } },
      { filter: { ...filter, until: undefined } },
      { filter: { action: "note.*", actorId: "u1", since: 5, until: 10 } },
      { filter, tenantId: RequestContext.TenantId.make("t_other") },
      { filter, env: RequestContext.Env.make("staging") }
    ]
    for (const query of others) {
      assert.deepStrictEqual(refusal({ ...query, cursor }), [
        "InvalidCursor",
        "it belongs to another query: keep tenant, env, filter and order"
      ], JSON.stringify(query))
    }
    assert.notStrictEqual(cursorOf({ filter: { since: 5 } }), cursorOf({ filter: { until: 5 } }))
    assert.isBelow(cursor.length, 48)
  })
})

describe("a page", () => {
  it("has a next one where there is one item more than it holds", () => {
    for (
      const [count, limit, size, more] of [[0, 5, 0, false], [5, 5, 5, false], [6, 5, 5, true], [
        1,
        1,
        1,
        false
      ]] as const
    ) {
      const page = pageOf(reading({ limit }), items(count))
      assert.deepStrictEqual([page.items.length, page.next !== undefined], [size, more])
    }
  })

  it.effect("has what a search looks for, erased events only where it looks for nothing", () =>
    Effect.gen(function*() {
      const event = yield* sealedBy({ action: "note.create" }, undefined, { requestId: "r7" })
      const row = rowOf(event, 4)
      const gone: PageRow = { ...row, body: undefined, recordedAtMillis: undefined }
      const all = reading().search
      const of = (filter: AuditTrail.Query["filter"]) => reading({ filter }).search
      const item = Result.getOrThrow(found(row, all))
      assert(item !== undefined && !item.erased)
      assert.deepStrictEqual([item.position, item.eventId, item.event.action], [4, event.eventId, "note.create"])
      assert.deepStrictEqual(Result.getOrThrow(found(row, of({ requestId: "r7" }))), item)
      assert.isUndefined(Result.getOrThrow(found(row, of({ requestId: "r8" }))))
      assert.isUndefined(Result.getOrThrow(found(row, of({ since: event.recordedAtMillis + 1 }))))
      assert.deepStrictEqual(Result.getOrThrow(found(gone, all)), { erased: true, position: 4, eventId: event.eventId })
      for (const filter of [{ requestId: "r7" }, { since: 0 }, { until: 9e12 }]) {
        assert.isUndefined(Result.getOrThrow(found(gone, of(filter))))
      }
      // Half of an erasure, as someone may leave it, is no event of any time.
      assert.isUndefined(Result.getOrThrow(found({ ...row, recordedAtMillis: undefined }, of({ since: 0 }))))
    }))

  it.effect("is not made of rows that are no events", () =>
    Effect.gen(function*() {
      const event = yield* sealedBy({ action: "note.create" })
      const broken = itemOf({ ...rowOf(event, 4), body: Buffer.from("{}") })
      const { reason } = Result.getOrThrow(Result.flip(broken))
      assert(reason._tag === "SinkRejected")
      assert.include(reason.detail, "the row at position 4 is not an event: ")
      const { method, reason: missing } = noSuchEvent("AuditTrail.get", "id")
      assert.deepStrictEqual([method, missing._tag, missing.message], [
        "AuditTrail.get",
        "NotFound",
        "Not found: there is no event id in this log"
      ])
      assert.instanceOf(noSuchEvent("x", "y"), AuditError.AuditError)
    }))
})

describe("what is asked for", () => {
  it.effect("lies in the body of each event that has it", () =>
    Effect.gen(function*() {
      const event = yield* sealedBy(
        {
          action: "note.page.create",
          subjectIds: ["s1", "s2"],
          resource: { type: "note", id: "n1" }
        },
        undefined,
        {
          projectId: "p1",
          surface: "web",
          runId: "run1",
          stepId: "st1",
          correlationId: "c1"
        }
      )
      const body = Buffer.from(fieldsOf(event).body)
      const values: Record<string, ReadonlyArray<string>> = {
        action: ["note.page.create", "note.*", "note.page.*"],
        subjectId: ["s1", "s2"],
        trainOk: ["true"],
        resourceType: ["note"],
        resourceId: ["n1"]
      }
      const others: Record<string, string> = { action: "note.page", trainOk: "false" }
      for (const field of searchFields) {
        const own = event.keys[field.key]
        for (const value of values[field.filter] ?? (typeof own === "string" ? [own] : [])) {
          assert.isTrue(body.includes(Buffer.from(needleOf({ field, value }))), `${field.filter} ${value}`)
        }
        assert.isFalse(
          body.includes(Buffer.from(needleOf({ field, value: others[field.filter] ?? "zzz" }))),
          field.filter
        )
      }
      const action = searchFields.find(({ key }) => key === "action")
      assert(action !== undefined)
      assert.isFalse(body.includes(Buffer.from(needleOf({ field: action, value: "note.pa.*" }))))
    }))

  it("comes in query strings as well, and items go over a wire", () => {
    const decode = Schema.decodeUnknownResult(Filter.FilterFromStrings)
    const encode = Schema.encodeUnknownResult(Filter.FilterFromStrings)
    for (const text of ["true", "false"] as const) {
      const read = Result.getOrThrow(decode({ trainOk: text, since: "2026-01-02T00:00:00.000Z" }))
      assert.strictEqual(read.trainOk, text === "true")
      assert.deepStrictEqual(Result.getOrThrow(encode(read)), { trainOk: text, since: "2026-01-02T00:00:00.000Z" })
    }
    for (const wrong of [{ trainOk: "yes" }, { since: "soon" }, { action: "" }, { outcome: "odd" }]) {
      assert.isTrue(Result.isFailure(decode(wrong)), JSON.stringify(wrong))
    }
    const order = Schema.is(Filter.Order)
    assert.deepStrictEqual([order("asc"), order("desc"), order("up")], [true, true, false])
    const item = Schema.decodeUnknownResult(AuditTrail.Item)
    const eventId = "01a20e91-649c-759f-9723-4ad13f655218"
    assert.isTrue(Result.isSuccess(item({ erased: true, position: 1, eventId })))
    for (
      const wrong of [{ erased: false, position: 1, eventId }, { erased: true, eventId }, {
        erased: true,
        position: 1.5,
        eventId
      }]
    ) {
      assert.isTrue(Result.isFailure(item(wrong)), JSON.stringify(wrong))
    }
    const page = Schema.decodeUnknownResult(AuditTrail.Page)
    assert.isTrue(Result.isSuccess(page({ items: [{ erased: true, position: 1, eventId }] })))
    assert.isTrue(Result.isFailure(page({})))
  })
})
