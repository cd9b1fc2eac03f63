/** Which events a selection means, what is held, and what the records of it say; over a store in memory. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { type AuditError, AuditLogger, DatasetEvent, Transactions } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { LogStore } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { AuditTrail } from "effect-audit/trail"
import { TestClock } from "effect/testing"
import { log, memory, soon, within } from "../support.ts"

const stack = Layer.fresh(Erasure.layer.pipe(Layer.provideMerge(memory)))
const by = within({ actor: { type: "human", id: "officer" } })
const emit = (person: string, subjectIds?: ReadonlyArray<string>) =>
  AuditLogger.emit({ action: "note.create", ...(subjectIds === undefined ? {} : { subjectIds }) }).pipe(
    within({ actor: { type: "human", id: person } })
  )
const range = (length: number) => Array.from({ length }, (_, n) => n)
const emitMany = (count: number, person: string) =>
  Effect.forEach(range(count), () => emit(person), { concurrency: 64 })
const elsewhere = within({ tenantId: "t_globex" })
/** Events of `a`, `b` and about `a`, recorded at 1,000, 2,000 and 3,000 ms. */
const three = Effect.gen(function*() {
  yield* TestClock.setTime(1000)
  const first = yield* emit("a")
  yield* TestClock.setTime(2000)
  const second = yield* emit("b")
  yield* TestClock.setTime(3000)
  const third = yield* emit("c", ["a", "d"])
  yield* TestClock.setTime(10_000)
  return [first, second, third] as const
})
const erasedPositions = Effect.map(
  Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })),
  (items) => items.flatMap(({ erased, position }) => erased ? [position] : [])
)
const records = (action: string) =>
  Effect.map(
    AuditTrail.query({ ...log, filter: { action }, order: "asc" }),
    ({ items }) => items.flatMap((item) => item.erased ? [] : [item.event])
  )
const refusal = <A, R>(effect: Effect.Effect<A, AuditError.AuditError, R>) =>
  Effect.map(Effect.flip(effect), ({ method, reason }) => [method, reason._tag, reason.message] as const)
type Selection = Erasure.Selection
type HoldSelection = Erasure.HoldSelection

describe("Erasure.erase", () => {
  const cases: ReadonlyArray<
    readonly [string, (ids: ReadonlyArray<DatasetEvent.EventId>) => Selection, ReadonlyArray<number>, object]
  > = [
    ["a person, as actor and as subject", () => ({ person: "a" }), [1, 3], { selection: "person" }],
    ["a person who is a subject alone", () => ({ person: "d" }), [3], { selection: "person" }],
    ["a person whom no event names", () => ({ person: "x" }), [], {}],
    ["events, named twice", ([, b]) => ({ eventIds: [b!, b!] }), [2], { selection: "events" }],
    ["what was recorded before a time, the time not included", () => ({ before: 2000 }), [1], {
      selection: "time",
      before: "1970-01-01T00:00:02.000Z"
    }],
    ["a person before a time, and no one else", () => ({ personBefore: { person: "a", before: 3000 } }), [1], {
      selection: "person",
      before: "1970-01-01T00:00:03.000Z"
    }],
    ["all", () => ({ before: new Date(30_000) }), [1, 2, 3], {
      selection: "time",
      before: "1970-01-01T00:00:30.000Z"
    }]
  ]
  for (const [name, selection, positions, said] of cases) {
    it.effect(`takes ${name}, and says so in one record`, () =>
      Effect.gen(function*() {
        const ids = (yield* three).map(({ eventId }) => eventId)
        const preview = yield* by(Erasure.preview(selection(ids)))
        assert.deepStrictEqual(yield* erasedPositions, [])
        const erased = yield* by(Erasure.erase({ ...selection(ids), reason: "request 1" }))
        assert.deepStrictEqual(yield* erasedPositions, [...positions])
        assert.deepStrictEqual(preview, { count: erased.count, positions: erased.positions, held: 0 })
        assert.strictEqual(erased.count, positions.length)
        const found = yield* records("audit.erased")
        assert.strictEqual(found.length, positions.length === 0 ? 0 : 1)
        assert.strictEqual(erased.receipts.length, found.length)
        for (const { input, output } of found) {
          assert.deepStrictEqual(input, { ...said, reason: "request 1" } as never)
          assert.deepStrictEqual(output, { count: positions.length, positions: erased.positions } as never)
        }
        // Again: nothing is left, and nothing is recorded.
        const again = yield* by(Erasure.erase({ ...selection(ids), reason: "request 1" }))
        assert.deepStrictEqual([again.count, again.receipts.length], [0, 0])
      }).pipe(Effect.provide(stack)))
  }

  it.effect("names no one in its record where someone erases what is about themselves; an officer is named", () =>
    Effect.gen(function*() {
      const receipts = yield* three
      const own = { actor: { type: "human", id: "a" } } as const
      const agent = { actor: { type: "agent", id: "bot", onBehalfOf: "c" } } as const
      yield* Erasure.erase({ eventIds: [receipts[0].eventId], reason: "mine" }).pipe(within(own))
      yield* Erasure.erase({ person: "a", reason: "mine" }).pipe(within(own))
      yield* emit("c")
      yield* Erasure.erase({ personBefore: { person: "c", before: 30_000 }, reason: "mine" }).pipe(within(agent))
      yield* emit("d")
      const delegated = {
        actor: { type: "system" },
        delegation: [{ type: "tool", id: "x" }, { type: "human", id: "d" }]
      } as const
      yield* Erasure.erase({ person: "d", reason: "mine" }).pipe(within(delegated))
      yield* emit("e")
      yield* by(Erasure.erase({ person: "e", reason: "request" }))
      yield* emit("officer")
      yield* by(Erasure.erase({ before: 30_000, reason: "retention" }))
      assert.deepStrictEqual(
        (yield* records("audit.erased")).map((
          { actor_type, agentId, delegation, user_id }
        ) => [actor_type, agentId, user_id, delegation]) as unknown,
        [
          ...Array.from({ length: 4 }, () => ["system", "system", undefined, undefined]),
          ...Array.from({ length: 2 }, () => ["human", "officer", "officer", undefined])
        ]
      )
    }).pipe(Effect.provide(stack)))

  it.effect("keeps the records of erasures and of the log, and an erasure of all does not take them", () =>
    Effect.gen(function*() {
      yield* three
      yield* by(Erasure.erase({ before: 2000, reason: "r" }))
      yield* TestClock.setTime(20_000)
      yield* by(Erasure.erase({ person: "officer", reason: "r" }))
      yield* by(Erasure.erase({ before: 15_000, reason: "r" }))
      assert.deepStrictEqual(yield* erasedPositions, [1, 2, 3])
      const [record] = yield* records("audit.erased")
      assert(record !== undefined)
      assert.deepStrictEqual(
        yield* refusal(by(Erasure.erase({ eventIds: [DatasetEvent.EventId.make(record.event_id)], reason: "r" }))),
        ["Erasure.erase", "Protected", `Protected: event ${record.event_id} is a record of the log itself and stays`]
      )
    }).pipe(Effect.provide(stack)))

  it.effect("names an event that is not there, and erases none of the others", () =>
    Effect.gen(function*() {
      const [first] = yield* three
      const lost = DatasetEvent.EventId.make("01a20e91-649c-759f-9723-4ad13f655218")
      assert.deepStrictEqual(
        yield* refusal(by(Erasure.erase({ eventIds: [first.eventId, lost], reason: "r" }))),
        ["Erasure.erase", "NotFound", `Not found: there is no event ${lost} in this log`]
      )
      assert.deepStrictEqual(yield* erasedPositions, [])
    }).pipe(Effect.provide(stack)))

  it.live("takes many events in steps, each with its record", () =>
    Effect.gen(function*() {
      for (let n = 0; n < 5000; n++) {
        yield* emit("a")
        if (n < 4999) yield* emit("b")
      }
      const { count, receipts } = yield* by(Erasure.erase({ person: "a", reason: "r" }))
      assert.deepStrictEqual([count, receipts.length], [5000, 3])
      const said = (yield* records("audit.erased")).map(({ output }) =>
        output as { readonly count: number; readonly positions: ReadonlyArray<readonly [number, number]> }
      )
      assert.deepStrictEqual(said.map(({ count, positions }) => [count, positions.length]), [
        [2048, 2048],
        [2048, 2048],
        [904, 904]
      ])
      assert.deepStrictEqual([said[0]?.positions[0], said[1]?.positions[0]], [[1, 1], [4097, 4097]])
    }).pipe(Effect.provide(stack)))

  it.effect("takes all at once in the caller's transaction, also of a log that was made in it", () =>
    Effect.gen(function*() {
      const { count, receipts } = yield* Transactions.transact(
        Effect.andThen(
          Effect.forEach(Array.from({ length: 1200 }, () => "a"), (person) => emit(person)),
          by(Erasure.erase({ person: "a", reason: "r" }))
        )
      )
      assert.deepStrictEqual([count, receipts.length], [1200, 1])
      assert.strictEqual((yield* erasedPositions).length, 1200)
    }).pipe(Effect.provide(stack)))

  it.live("erases nothing where an event of a later step is held", () =>
    Effect.gen(function*() {
      yield* emitMany(2100, "a")
      const last = yield* emit("a")
      yield* by(Erasure.hold({ eventIds: [last.eventId], reason: "court" }))
      for (const selection of [{ person: "a" }, { before: yield* soon }]) {
        const [, tag, message] = yield* refusal(by(Erasure.erase({ ...selection, reason: "r" })))
        assert.strictEqual(tag, "Held")
        assert.match(message, /1 of the 210[12] events are held: release them first; nothing was erased/)
      }
      assert.deepStrictEqual(yield* erasedPositions, [])
    }).pipe(Effect.provide(stack)))

  it.live("names in no record of its steps who is named in an event of the last one", () =>
    Effect.gen(function*() {
      yield* emitMany(2100, "a")
      yield* emit("a", ["officer"])
      const { receipts } = yield* by(Erasure.erase({ person: "a", reason: "r" }))
      assert.strictEqual(receipts.length, 2)
      const named = (yield* records("audit.erased")).map(({ agentId }) => String(agentId))
      assert.deepStrictEqual(named, ["system", "system"])
    }).pipe(Effect.provide(stack)))

  it.live("takes what lies far apart in steps of sixteen segments of the index", () =>
    Effect.gen(function*() {
      for (let n = 0; n < 18; n++) {
        yield* emit("a")
        yield* Effect.forEach(range(2047), () => AuditLogger.emit({ action: "note.create" }).pipe(elsewhere), {
          concurrency: "unbounded"
        })
      }
      const { count, receipts } = yield* by(Erasure.erase({ person: "a", reason: "r" }))
      assert.strictEqual(count, 18)
      const outputs = (yield* records("audit.erased")).map(({ output }) => output)
      assert.deepStrictEqual<unknown>(outputs, [{ count: 16, positions: [[1, 16]] }, {
        count: 2,
        positions: [[17, 18]]
      }])
      assert.strictEqual(receipts.length, 2)
    }).pipe(Effect.provide(stack)))

  it.live("takes many events by their ids, each once; and none where one of them is not there, or stays", () =>
    Effect.gen(function*() {
      const ids = (yield* Effect.forEach(range(40), () => emit("a"))).map(({ eventId }) => eventId)
      yield* by(Erasure.erase({ eventIds: ids.slice(0, 1), reason: "r" }))
      const record = DatasetEvent.EventId.make((yield* records("audit.erased"))[0]!.event_id)
      const lost = DatasetEvent.EventId.make("01a20e91-649c-759f-9723-4ad13f655218")
      for (const [id, tag] of [[lost, "NotFound"], [record, "Protected"]] as const) {
        const [, found] = yield* refusal(by(Erasure.erase({ eventIds: [...ids, id], reason: "r" })))
        assert.strictEqual(found, tag)
      }
      assert.deepStrictEqual(yield* erasedPositions, [1])
      const erased = yield* by(Erasure.erase({ eventIds: [...ids, ...ids.toReversed()], reason: "r" }))
      assert.deepStrictEqual([erased.count, erased.positions, erased.receipts.length], [39, [[2, 40]], 1])
      const empty = within({ tenantId: "t_none" })(Erasure.erase({ person: "a", reason: "r" }))
      assert.strictEqual((yield* refusal(empty))[1], "NotFound")
    }).pipe(Effect.provide(stack)))

  it.live("ends, although more is recorded after each step than the last one may look through", () =>
    Effect.gen(function*() {
      yield* emitMany(10, "a")
      const store = yield* LogStore.LogStore
      const services = yield* Effect.context<AuditLogger.AuditLogger>()
      const growing = LogStore.LogStore.of({
        ...store,
        change: (name, f) => Effect.tap(store.change(name, f), () => Effect.provide(emitMany(1100, "b"), services))
      })
      const erasure = yield* Effect.provideService(Erasure.make, LogStore.LogStore, growing)
      const { count } = yield* by(erasure.erase({ person: "a", reason: "r" }))
      assert.strictEqual(count, 10)
      const { count: left } = yield* by(erasure.preview({ person: "a" }))
      assert.strictEqual(left, 0)
      const none = yield* Transactions.transact(within({ tenantId: "t_none" })(Erasure.preview({ person: "a" })))
      assert.deepStrictEqual(none, { count: 0, positions: [], held: 0 })
    }).pipe(Effect.provide(stack)))

  it.live("takes large events in steps of few", () =>
    Effect.gen(function*() {
      for (let n = 0; n < 40; n++) {
        yield* AuditLogger.emit({ action: "note.create", input: "a ".repeat(115_000) }).pipe(within())
      }
      const { count, positions, receipts } = yield* by(Erasure.erase({ before: yield* soon, reason: "r" }))
      assert.deepStrictEqual([count, positions, receipts.length], [40, [[1, 40]], 2])
    }).pipe(Effect.provide(stack)))

  it.effect("names the first of many that is no id", () =>
    Effect.gen(function*() {
      const { eventId } = yield* emit("a")
      const eventIds = [...Array.from({ length: 50_000 }, () => eventId), "no id" as typeof eventId]
      const [, tag, message] = yield* refusal(by(Erasure.erase({ eventIds, reason: "r" })))
      assert.strictEqual(tag, "InvalidInput")
      assert.include(message, "/eventIds/50000")
    }).pipe(Effect.provide(stack)))

  it.effect("is not done where its record goes to another store", () =>
    Effect.gen(function*() {
      const elsewhere = Layer.fresh(AuditLogger.layer().pipe(Layer.provide(Layer.fresh(Memory.layer()))))
      yield* Effect.gen(function*() {
        yield* emit("a")
        const erasing = by(Erasure.erase({ person: "a", reason: "r" })).pipe(
          Effect.provide(Erasure.layer.pipe(Layer.provide(elsewhere)))
        )
        const [method, tag, message] = yield* refusal(erasing)
        assert.deepStrictEqual([method, tag], ["Erasure.erase", "SinkRejected"])
        assert.include(message, "records to another store")
        assert.deepStrictEqual(yield* erasedPositions, [])
      }).pipe(Effect.provide(Layer.fresh(memory)))
    }))
})

describe("Erasure.hold", () => {
  const selections: ReadonlyArray<
    readonly [
      string,
      (ids: ReadonlyArray<DatasetEvent.EventId>) => HoldSelection,
      ReadonlyArray<number>,
      object,
      object | undefined
    ]
  > = [
    ["a person", () => ({ person: "a" }), [1, 3], { selection: "person" }, undefined],
    ["a subject", () => ({ person: "d" }), [3], { selection: "person" }, undefined],
    ["two events", ([a, b]) => ({ eventIds: [a!, b!] }), [1, 2], { selection: "events" }, {}],
    ["a person before a time", () => ({ personBefore: { person: "a", before: 3000 } }), [1], {
      selection: "person",
      before: "1970-01-01T00:00:03.000Z"
    }, undefined],
    ["what is before a time", () => ({ before: 2000 }), [1], {
      selection: "time",
      before: "1970-01-01T00:00:02.000Z"
    }, undefined],
    ["a range of times, its beginning included, its end not", () => ({ since: 2000, before: 3000 }), [2], {
      selection: "time",
      since: "1970-01-01T00:00:02.000Z",
      before: "1970-01-01T00:00:03.000Z"
    }, undefined]
  ]
  for (const [name, selection, positions, said, named] of selections) {
    it.effect(`keeps ${name}, each event and no other, until it is released`, () =>
      Effect.gen(function*() {
        const receipts = yield* three
        const ids = receipts.map(({ eventId }) => eventId)
        // Another hold, that keeps none of these.
        yield* by(Erasure.hold({ since: 9_000, before: 9_001, reason: "other" }))
        yield* by(Erasure.hold({ ...selection(ids), reason: "case 12" }))
        for (const { eventId, position } of receipts) {
          const erase = by(Erasure.erase({ eventIds: [eventId], reason: "r" }))
          if (!positions.includes(position ?? -1)) continue
          assert.deepStrictEqual(yield* refusal(erase), [
            "Erasure.erase",
            "Held",
            "Under legal hold: 1 of the 1 events are held: release them first; nothing was erased"
          ])
        }
        const [, tag, message] = yield* refusal(by(Erasure.erase({ before: 9000, reason: "r" })))
        assert.strictEqual(tag, "Held")
        assert.include(message, `${positions.length} of the 3 events are held`)
        const [held] = (yield* records("audit.held")).slice(1)
        assert.deepStrictEqual(held?.input, { ...said, reason: "case 12" } as never)
        assert.deepStrictEqual(
          held?.output,
          (named === undefined ? {} : { event_ids: ids.slice(0, 2) }) as never
        )
        const { person: of, personBefore } = selection(ids)
        const person = of ?? personBefore?.person
        assert.deepStrictEqual(held?.subject_ids?.map(String), person === undefined ? undefined : [person])
        // What is not held is erased meanwhile.
        const free = receipts.filter(({ position }) => !positions.includes(position ?? -1)).map(({ eventId }) =>
          eventId
        )
        yield* by(Erasure.erase({ eventIds: free, reason: "r" }))
        yield* by(Erasure.release({ ...selection(ids), reason: "over" }))
        assert.strictEqual((yield* by(Erasure.erase({ before: 9000, reason: "r" }))).count, positions.length)
        const [released] = yield* records("audit.released")
        assert.deepStrictEqual(released?.input, { ...said, reason: "over" } as never)
        assert.deepStrictEqual(
          yield* refusal(by(Erasure.release({ ...selection(ids), reason: "again" }))),
          ["Erasure.release", "NotFound", "Not found: there is no hold of this selection"]
        )
      }).pipe(Effect.provide(stack)))
  }

  it.effect("is of a case: releasing one leaves the identical hold of another, and a case is released as a whole", () =>
    Effect.gen(function*() {
      yield* three
      const erase = by(Erasure.erase({ person: "a", reason: "r" }))
      const held = Effect.map(Effect.result(erase), ({ _tag }) => _tag === "Failure")
      for (const name of ["case 1", "case 2", undefined]) {
        yield* by(Erasure.hold({ person: "a", name, reason: "court" }))
      }
      yield* by(Erasure.hold({ person: "c", name: "case 2", reason: "court" }))
      yield* by(Erasure.release({ person: "a", name: "case 1", reason: "over" }))
      assert.isTrue(yield* held)
      yield* by(Erasure.release({ name: "case 2", reason: "over" }))
      assert.isTrue(yield* held)
      assert.deepStrictEqual(
        yield* refusal(by(Erasure.release({ name: "case 2", reason: "again" }))),
        ["Erasure.release", "NotFound", "Not found: there is no hold of this name"]
      )
      yield* by(Erasure.release({ person: "a", reason: "over" }))
      assert.deepStrictEqual((yield* records("audit.held")).map(({ input }) => input) as unknown, [
        { selection: "person", name: "case 1", reason: "court" },
        { selection: "person", name: "case 2", reason: "court" },
        { selection: "person", reason: "court" },
        { selection: "person", name: "case 2", reason: "court" }
      ])
      assert.deepStrictEqual((yield* records("audit.released")).map(({ input }) => input) as unknown, [
        { selection: "person", name: "case 1", reason: "over" },
        { selection: "case", name: "case 2", reason: "over" },
        { selection: "person", reason: "over" }
      ])
      // The records that name the person go as well.
      assert.isFalse(yield* held)
      for (const name of ["", "x".repeat(129), "a\nb", 7]) {
        const { reason } = yield* Effect.flip(by(Erasure.hold({ person: "a", name, reason: "r" } as never)))
        assert(reason._tag === "InvalidInput" && reason.path === "/name")
      }
    }).pipe(Effect.provide(stack)))

  it.effect("is not put on an event that is not there", () =>
    Effect.gen(function*() {
      const [first] = yield* three
      const lost = DatasetEvent.EventId.make("01a20e91-649c-759f-9723-4ad13f655218")
      assert.deepStrictEqual(
        yield* refusal(by(Erasure.hold({ eventIds: [first.eventId, lost], reason: "r" }))),
        ["Erasure.hold", "NotFound", `Not found: there is no event ${lost} in this log`]
      )
      assert.strictEqual((yield* by(Erasure.erase({ before: 9000, reason: "r" }))).count, 3)
    }).pipe(Effect.provide(stack)))
})

describe("a selection", () => {
  it.effect("that is wrong is refused with its place and why, and nothing is done", () =>
    Effect.gen(function*() {
      const [{ eventId }] = yield* three
      const kinds = "must select events, a person, or a time"
      const cases: ReadonlyArray<readonly [selection: object, path: string, detail: string]> = [
        [{ reason: "r" }, "", kinds],
        [{ person: undefined, reason: "r" }, "", kinds],
        [
          { person: "u1", before: 1, reason: "r" },
          "/before",
          "is another kind of selection than /person: give one of them"
        ],
        [
          { eventIds: [eventId], person: "u1", reason: "r" },
          "/person",
          "is another kind of selection than /eventIds: give one of them"
        ],
        [{ eventIds: [], reason: "r" }, "/eventIds", "must name an event"],
        [{ eventIds: eventId, reason: "r" }, "/eventIds", "must name an event"],
        [{ eventIds: [eventId, `${eventId}0`], reason: "r" }, "/eventIds/1", "must be an event id"],
        [{ eventIds: [eventId, eventId, `x${eventId}`], reason: "r" }, "/eventIds/2", "must be an event id"],
        [{ eventIds: [eventId, 7], reason: "r" }, "/eventIds/1", "must be an event id"],
        [{ person: "not an id", reason: "r" }, "/person", "must be an id"],
        [{ person: 7, reason: "r" }, "/person", "must be an id"],
        [{ before: "no time", reason: "r" }, "/before", "must be a time"],
        [{ personBefore: { person: "a b", before: 1 }, reason: "r" }, "/personBefore/person", "must be an id"],
        [{ personBefore: { person: "a", before: "x" }, reason: "r" }, "/personBefore/before", "must be a time"],
        [{ personBefore: { person: "a" }, reason: "r" }, "/personBefore/before", "must be a time"],
        [{ personBefore: "a", reason: "r" }, "/personBefore/person", "must be an id"],
        [
          { personBefore: { person: "a", before: 1, since: 1 }, reason: "r" },
          "/personBefore/since",
          "is not a field of a selection"
        ],
        [
          { personBefore: { person: "a", before: 1 }, before: 1, reason: "r" },
          "/before",
          "is another kind of selection than /personBefore: give one of them"
        ],
        [{ person: "u1", reason: " " }, "/reason", "must say why"],
        [{ person: "u1", reason: 7 }, "/reason", "must say why"],
        [{ person: "u1", until: 1, reason: "r" }, "/until", "is not a field of a selection"]
      ]
      const erasing = (selection: object) => by(Erasure.erase(selection as Selection & { readonly reason: string }))
      const holding = (selection: object) => by(Erasure.hold(selection as HoldSelection & { readonly reason: string }))
      const placed = <R>(effect: Effect.Effect<unknown, AuditError.AuditError, R>) =>
        Effect.map(Effect.flip(effect), ({ reason }) =>
          reason._tag === "InvalidInput" ? [reason.path, reason.detail] : [reason._tag])
      for (const [selection, path, detail] of cases) {
        assert.deepStrictEqual(yield* placed(erasing(selection)), [path, detail], JSON.stringify(selection))
        assert.deepStrictEqual(yield* placed(holding(selection)), [path, detail], JSON.stringify(selection))
      }
      assert.deepStrictEqual(
        yield* placed(erasing({ since: 1, before: 2, reason: "r" })),
        ["/since", "is for holds: what is erased has no beginning"]
      )
      const past = "must be a time that has been"
      const later = { personBefore: { person: "a", before: "2206-01-01" }, reason: "r" }
      assert.deepStrictEqual(yield* placed(erasing({ before: "2206-01-01", reason: "r" })), ["/before", past])
      assert.deepStrictEqual(yield* placed(erasing(later)), ["/personBefore/before", past])
      assert.deepStrictEqual(yield* placed(holding({ since: 2, before: 2, reason: "r" })), [
        "/before",
        "must be later than since"
      ])
      assert.deepStrictEqual(yield* placed(holding({ since: "no", before: 2, reason: "r" })), [
        "/since",
        "must be a time"
      ])
      assert.deepStrictEqual(yield* placed(holding({ since: 1, reason: "r" })), ["/before", "must be a time"])
      assert.deepStrictEqual(
        yield* records("audit.*").pipe(Effect.map((all) =>
          all.length
        )),
        1
      )
    }).pipe(Effect.provide(stack)))
})
