/** The rules of the search index, over segments in memory: the real terms, buckets and rows, and no medium. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { DatasetEvent } from "effect-audit"
import { isEmpty, type Search } from "../../src/trail/Filter.ts"
import { groupBucketOf, groupSegments, mergeBuckets, segmentsOf } from "../../src/trail/groups.ts"
import { RecentRows } from "../../src/trail/recentRows.ts"
import { searchFields } from "../../src/trail/searchFields.ts"
import { candidates, findId, findPosition, type IndexedRow, type Segments } from "../../src/trail/segments.ts"
import {
  bucketOf,
  buckets,
  eachTerm,
  encodeBuckets,
  idTerm,
  intersect,
  keptTerms,
  logTerm,
  offsetsOf,
  postingsOf,
  segmentRows,
  term,
  termsOf as termsWithId,
  versionTerms
} from "../../src/trail/terms.ts"
import { sealedBy } from "../support.ts"

const keys: DatasetEvent.SearchKeys = {
  action: "note.page.create",
  actorId: "a1",
  userId: "u1",
  subjectIds: ["s1", "s2"],
  resourceType: "note",
  resourceId: "n1",
  outcome: "success",
  traceId: "t1",
  requestId: "r1",
  correlationId: undefined,
  runId: undefined,
  stepId: "step1",
  operationId: "op1",
  phase: "intent",
  projectId: "p1",
  surface: "web",
  severity: "info",
  storageClass: "audit",
  trainOk: "true"
}
const termsOf = (of: DatasetEvent.SearchKeys) => {
  const terms: Array<number> = []
  eachTerm(of, (term) => terms.push(term))
  return terms
}
const fieldOf = (filter: string) => {
  const field = searchFields.find((field) => field.filter === filter)
  assert(field !== undefined)
  return field
}

describe("terms", () => {
  it("are of a field and its value, and never change: stored indexes are read by them", () => {
    assert.deepStrictEqual(
      [term("user_id", "u1"), term("action", "note.*"), logTerm(7), ...versionTerms, idTerm("x")],
      [-395_470_331, 2_047_950_306, -31_193_956, 1_138_332_213, 1_744_565_330, 358_251_375]
    )
    assert.strictEqual(new Set([term("a", "b"), term("ab", ""), term("", "ab"), term("b", "a")]).size, 4)
  })

  it("of an event are those of each value that it can be found by, and of all above its action", () => {
    assert.deepStrictEqual(
      new Set(termsOf(keys)),
      new Set([
        term("action", "note.*"),
        term("action", "note.page.*"),
        term("action", "note.page.create"),
        term("agentId", "a1"),
        term("user_id", "u1"),
        term("subject_ids", "s1"),
        term("subject_ids", "s2"),
        term("resource_type", "note"),
        term("resource_id", "n1"),
        term("outcome", "success"),
        term("trace_id", "t1"),
        term("request_id", "r1"),
        term("step_id", "step1"),
        term("operation_id", "op1"),
        term("phase", "intent"),
        term("project_id", "p1"),
        term("surface", "web"),
        term("severity", "info"),
        term("storage_class", "audit"),
        term("train_ok", "true")
      ])
    )
    assert.strictEqual(termsOf({ ...keys, subjectIds: undefined, stepId: undefined, phase: undefined }).length, 16)
  })

  it.prop("of a segment are read from its buckets as they were written", {
    postings: Schema.Array(Schema.Struct({
      term: Schema.Int.check(Schema.isBetween({ minimum: -2_147_483_648, maximum: 2_147_483_647 })),
      offsets: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2047 })))
    }))
  }, ({ postings }) => {
    const all = new Map(postings.map(({ offsets, term }) => [term, [...new Set(offsets)].sort((a, b) => a - b)]))
    const encoded = encodeBuckets(all)
    assert.strictEqual(encoded.length, buckets)
    for (const [term, offsets] of all) {
      const bucket = encoded[bucketOf(term)]!
      assert.deepStrictEqual(offsetsOf(bucket, term), offsets)
      assert.deepStrictEqual(postingsOf(bucket).get(term), offsets)
      if (!all.has(term ^ 64)) assert.deepStrictEqual(offsetsOf(bucket, term ^ 64), [])
    }
    assert.strictEqual(encoded.reduce((sum, bucket) => sum + postingsOf(bucket).size, 0), all.size)
    // As a view into other bytes as well, which is how a driver may give it.
    const [first] = encoded
    if (first !== undefined) {
      const shifted = Buffer.concat([Buffer.of(1, 2, 3), first]).subarray(3)
      assert.deepStrictEqual([...postingsOf(shifted)], [...postingsOf(first)])
    }
  })

  const ascending = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })))
  it.prop("of two conditions are met by the offsets that are in both", { a: ascending, b: ascending }, ({ a, b }) => {
    const [left, right] = [a, b].map((all) => [...new Set(all)].sort((x, y) => x - y))
    assert.deepStrictEqual(intersect(left!, right!), left!.filter((offset) => right!.includes(offset)))
  })
})

const termsIn = (event: DatasetEvent.Sealed) => termsWithId(event.eventId, event.keys)

describe("rows that were written lately", () => {
  it.effect("give their terms until they are forgotten, or another row has their place", () =>
    Effect.gen(function*() {
      const rows = new RecentRows()
      const draft = { action: "note.create", subjectIds: ["s1"], resource: { type: "note", id: "n1" } }
      const event = yield* sealedBy(draft)
      const wanted = [logTerm(7), idTerm(event.eventId), ...termsOf(event.keys)]
      const kept = (seq: number) => {
        const terms: Array<number> = []
        return rows.each(seq, (term) => terms.push(term)) ? terms : undefined
      }
      for (const seq of [1, 2, segmentRows, segmentRows + 5]) {
        rows.keep(seq, 1000 + seq, 7, termsIn(event))
        assert.deepStrictEqual(kept(seq), wanted)
        assert.strictEqual(rows.times[(seq - 1) % segmentRows], 1000 + seq)
      }
      assert.isUndefined(kept(3))
      assert.isUndefined(kept(segmentRows + 1))
      rows.keep(segmentRows + 1, 5, 8, termsIn(event))
      assert.isUndefined(kept(1))
      assert.deepStrictEqual(kept(segmentRows + 1)?.[0], logTerm(8))
      rows.clear()
      assert.isUndefined(kept(2))
    }))

  it.effect("with more terms than are kept are read again, and leave those beside them alone", () =>
    Effect.gen(function*() {
      const rows = new RecentRows()
      const few = yield* sealedBy({ action: "note.create" })
      const taken = 2 + termsOf(few.keys).length
      const withSubjects = (count: number) =>
        sealedBy({ action: "note.create", subjectIds: Array.from({ length: count }, (_, n) => `s${n}`) })
      rows.keep(1, 1, 1, termsIn(few))
      rows.keep(3, 1, 1, termsIn(few))
      rows.keep(2, 1, 1, termsIn(yield* withSubjects(keptTerms - taken)))
      let count = 0
      assert.isTrue(rows.each(2, () => count++))
      assert.strictEqual(count, keptTerms)
      rows.keep(2, 1, 1, termsIn(yield* withSubjects(keptTerms - taken + 1)))
      assert.isFalse(rows.each(2, () => assert.fail("nothing is kept")))
      for (const seq of [1, 3]) {
        const terms: Array<number> = []
        assert.isTrue(rows.each(seq, (term) => terms.push(term)))
        assert.deepStrictEqual(terms, [logTerm(1), idTerm(few.eventId), ...termsOf(few.keys)])
      }
    }))
})

interface Row extends IndexedRow {
  readonly id: string
  readonly at: number
  readonly request: string
  readonly step: string
}

/** An index over rows in memory; its segments are of the third version from `third` on, and before that of the first. */
const indexOf = (rows: ReadonlyArray<Row>, third = 0, first = 0) => {
  const looked: Array<number> = []
  const segments = Array.from({ length: Math.floor(rows.length / segmentRows) }, (_, segment) => {
    const postings = new Map<number, Array<number>>()
    const add = (term: number, offset: number) => postings.set(term, [...postings.get(term) ?? [], offset])
    rows.slice(segment * segmentRows, (segment + 1) * segmentRows).forEach((row, offset) => {
      for (const term_ of new Set([logTerm(row.log), idTerm(row.id), term("request_id", row.request)])) {
        add(term_, offset)
      }
      if (segment >= third) {
        add(term("step_id", row.step), offset)
        add(term("operation_id", row.step), offset)
      }
    })
    if (segment >= third) { for (const version of versionTerms) postings.set(version, [0]) }
    return postings
  })
  const index: Segments<Row> = {
    count: segments.length,
    times: (segment) => {
      const times = rows.slice(segment * segmentRows, (segment + 1) * segmentRows).map(({ at }) => at)
      return { low: Math.min(...times), high: Math.max(...times) }
    },
    offsets: (segment, term) => {
      looked.push(segment)
      assert.isTrue(segment >= 0 && segment < segments.length, `segment ${segment}`)
      return segments[segment]?.get(term) ?? []
    },
    rowAt: (segment, offset) => rows[segment * segmentRows + offset],
    firstOfVersion: first
  }
  return { index, looked }
}
/** Four segments of rows of three logs: one dense, one of every hundredth row, one whose rows are few. */
const rows: ReadonlyArray<Row> = (() => {
  const positions = new Map<number, number>()
  return Array.from({ length: segmentRows * 4 + 100 }, (_, n) => {
    const log = n % 1999 === 1998 ? 3 : n % 100 === 7 ? 2 : 1
    const position = positions.get(log) ?? 0
    positions.set(log, position + 1)
    return { log, position, id: `id${n}`, at: 10_000 + n * 10, request: `r${n % 50}`, step: `s${n % 3}` }
  })
})()
const search = (conditions: ReadonlyArray<readonly [string, string]>, since?: number, until?: number): Search => ({
  conditions: conditions.map(([filter, value]) => ({ field: fieldOf(filter), value })),
  sinceMillis: since,
  untilMillis: until
})

describe("groups of segments", () => {
  const Postings = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: -40, maximum: 40 })))
  const Group = Schema.Array(Postings).check(Schema.isMaxLength(groupSegments))
  it.prop("say of every term in which segments it occurs", { group: Group }, ({ group }) => {
    const of = group.map((terms) =>
      terms.length === 0
        ? undefined
        : encodeBuckets(new Map(terms.map((term) => [term * 64 + 3, [1, 2, 2047]])))[3]
    )
    const merged = mergeBuckets(3, of)
    assert.strictEqual(merged.size, 8)
    for (let term = -41; term <= 41; term++) {
      const wanted = group.reduce((bits, terms, n) => bits | (terms.includes(term) ? 1 << n : 0), 0)
      const bucket = merged.get(groupBucketOf(term * 64 + 3))
      assert(bucket !== undefined)
      // Wherever it lies in a larger piece of memory.
      const shifted = new Uint8Array(bucket.length + 3).subarray(3)
      shifted.set(bucket)
      assert.strictEqual(segmentsOf(shifted, term * 64 + 3), wanted)
    }
  })

  /** The index of few segments many times over, each with a request of its own. */
  const many = (): { readonly index: Segments<Row>; readonly looked: Array<number> } => {
    const looked: Array<number> = []
    const of = (segment: number): ReadonlyMap<number, Array<number>> =>
      new Map<number, Array<number>>([
        [logTerm(1), [5, 6]],
        [term("request_id", `only${segment}`), [5]],
        [term("request_id", "everywhere"), [6]],
        [idTerm(`id${segment}`), [5]],
        ...versionTerms.map((version): [number, Array<number>] => [version, [0]])
      ])
    const count = groupSegments * 2 + 3
    return {
      looked,
      index: {
        count,
        times: () => ({ low: 0, high: 1 }),
        offsets: (segment, term) => {
          looked.push(segment)
          return of(segment).get(term) ?? []
        },
        ofGroup: (group, term) => {
          if (group > 1) return undefined
          const segments = Array.from({ length: groupSegments }, (_, n) => of(group * groupSegments + n).has(term))
          return segments.reduce((bits, has, n) => has ? bits | (1 << n) : bits, 0)
        },
        rowAt: (segment, offset) => ({
          log: 1,
          position: segment * 2 + offset - 5,
          id: `id${segment}`,
          at: 0,
          request: offset === 5 ? `only${segment}` : "everywhere",
          step: ""
        }),
        firstOfVersion: 0
      }
    }
  }

  it("keep a search for a rare value from the segments that have it not", () => {
    const { index, looked } = many()
    const find = (...conditions: ReadonlyArray<readonly [string, string]>) => {
      looked.length = 0
      const order = { descending: true, first: 1, last: index.count * segmentRows }
      const found = [...candidates(index, 1, search(conditions), order)]
      return { found: found.map((number) => Math.floor((number - 1) / segmentRows)), looked: [...new Set(looked)] }
    }
    for (const segment of [0, 31, 32, 40, 63]) {
      const { found, looked } = find(["requestId", `only${segment}`])
      assert.deepStrictEqual(found, [segment])
      // And those after the last group, of which nothing is known.
      assert.deepStrictEqual(looked, [66, 65, 64, segment])
    }
    assert.deepStrictEqual(find(["requestId", "only65"]), { found: [65], looked: [66, 65, 64] })
    assert.deepStrictEqual(find(["requestId", "nowhere"]), { found: [], looked: [66, 65, 64] })
    assert.strictEqual(find(["requestId", "everywhere"]).found.length, index.count)
    assert.strictEqual(find().found.length, index.count * 2)
    looked.length = 0
    assert.strictEqual(findId(index, "id3", 5, ({ id }) => id === "id3")?.id, "id3")
    assert.isUndefined(findId(index, "id99", 5, () => true))
    assert.deepStrictEqual(new Set(looked), new Set([3, 64, 65, 66]))
  })
})

describe("an index in segments", () => {
  const { index, looked } = indexOf(rows)
  const indexed = rows.slice(0, segmentRows * 4)

  it("finds each position of a log, and none that it has not", () => {
    for (const log of [1, 2, 3]) {
      const own = indexed.filter((row) => row.log === log)
      for (const row of own.filter((_, n) => n % 17 === 0 || log !== 1 || n > own.length - 3)) {
        assert.strictEqual(findPosition(index, log, row.position), row)
      }
      assert.isUndefined(findPosition(index, log, own.length))
      assert.isUndefined(findPosition(index, log, -1))
    }
    assert.isUndefined(findPosition(index, 4, 0))
    assert.isUndefined(findPosition(indexOf([]).index, 1, 0))
  })

  it("finds a position where another log has the same term", () => {
    const { index: real } = indexOf(rows)
    // As if the terms of logs 1 and 2 were the same.
    const both = {
      ...real,
      offsets: (segment: number, wanted: number) =>
        wanted === logTerm(2)
          ? [...real.offsets(segment, logTerm(1)), ...real.offsets(segment, logTerm(2))].sort((a, b) => a - b)
          : real.offsets(segment, wanted)
    }
    for (const row of indexed.filter(({ log }) => log === 2)) {
      assert.strictEqual(findPosition(both, 2, row.position), row)
    }
  })

  it("finds an id, in the segments of about its time first, and wherever clocks were wrong", () => {
    for (const n of [0, 5, segmentRows - 1, segmentRows, segmentRows * 3 + 7, segmentRows * 4 - 1]) {
      const row = rows[n]!
      looked.length = 0
      assert.strictEqual(findId(index, row.id, row.at, (found) => found.id === row.id), row)
      assert.deepStrictEqual(looked, [Math.floor(n / segmentRows)])
      for (const millis of [0, 9e12]) {
        assert.strictEqual(findId(index, row.id, millis, (found) => found.id === row.id), row)
      }
    }
    assert.isUndefined(findId(index, "none", 20_000, () => true))
    assert.isUndefined(findId(index, "id5", 20_000, () => false))
    assert.isUndefined(findId(indexOf([]).index, "id5", 20_000, () => true))
  })

  const meets = (row: Row, log: number, { conditions, sinceMillis, untilMillis }: Search) =>
    row.log === log && row.at >= (sinceMillis ?? -Infinity) && row.at < (untilMillis ?? Infinity) &&
    conditions.every(({ field, value }) => (field.filter === "requestId" ? row.request : row.step) === value)
  const numbersOf = (
    which: Segments<Row>,
    log: number,
    wanted: Search,
    descending: boolean,
    first: number,
    last: number
  ) => {
    const found = [...candidates(which, log, wanted, { descending, first, last })]
    assert.deepStrictEqual(found, [...found].sort((a, b) => descending ? b - a : a - b), "in order")
    assert.strictEqual(new Set(found).size, found.length)
    assert.isTrue(found.every((number) => number >= first && number <= last))
    return found.filter((number) => meets(rows[number - 1]!, log, wanted))
  }

  it("gives every row that a search looks for, in order and between two rows, whatever its index knows", () => {
    const { index: older } = indexOf(rows, 2)
    const cases: ReadonlyArray<Search> = [
      search([]),
      search([["requestId", "r7"]]),
      search([["requestId", "r7"], ["stepId", "s1"]]),
      search([["stepId", "s2"]]),
      search([["operationId", "s2"], ["requestId", "r7"]]),
      search([["operationId", "s2"], ["stepId", "s2"]]),
      search([["requestId", "none"]]),
      search([], 30_000),
      search([], undefined, 30_000),
      search([["requestId", "r7"]], 30_000, 52_000),
      search([], 10_000 + segmentRows * 10, 10_000 + segmentRows * 20)
    ]
    for (const which of [index, older]) {
      for (const wanted of cases) {
        for (const log of [1, 2, 3]) {
          for (
            const [first, last] of [[1, segmentRows * 4], [100, 5000], [segmentRows, segmentRows + 1], [2049, 2049], [
              4000,
              99_999
            ]] as const
          ) {
            const expected = indexed.flatMap((row, n) =>
              n + 1 >= first && n + 1 <= last && meets(row, log, wanted) ? [n + 1] : []
            )
            assert.deepStrictEqual(numbersOf(which, log, wanted, false, first, last), expected)
            assert.deepStrictEqual(numbersOf(which, log, wanted, true, first, last), expected.toReversed())
          }
        }
      }
    }
  })

  it("of an older version holds no new field before the store was opened by a newer release, and is read after", () => {
    const operation = search([["operationId", "s2"], ["requestId", "r7"]])
    const range = { descending: false, first: 1, last: segmentRows * 4 }
    const found = (which: Segments<Row>) => new Set(candidates(which, 1, operation, range))
    const all = found(indexOf(rows).index)
    // Segments 0 and 1 are of the first version, and segment 0 was full before.
    const { index: mixed } = indexOf(rows, 2, 1)
    const numbers = found(mixed)
    assert.isFalse([...numbers].some((number) => number <= segmentRows))
    for (const number of all) assert.strictEqual(numbers.has(number), number > segmentRows)
    // What an older release could not read is in the index by its log alone.
    const ofLog = rows.slice(segmentRows, segmentRows * 2).filter(({ log }) => log === 1)
    assert.isTrue(ofLog.every((row) => numbers.has(rows.indexOf(row) + 1)))
  })

  it("is not looked at in segments of another time, nor for what one condition rules out", () => {
    const lookedAt = (wanted: Search) => {
      looked.length = 0
      for (const _ of candidates(index, 1, wanted, { descending: false, first: 1, last: segmentRows * 4 }));
      return [...new Set(looked)]
    }
    const end = (segment: number) => 10_000 + (segment * segmentRows - 1) * 10
    assert.deepStrictEqual(lookedAt(search([], end(1) + 10, end(2) + 10)), [1])
    assert.deepStrictEqual(lookedAt(search([], end(1), end(2) + 10)), [0, 1])
    assert.deepStrictEqual(lookedAt(search([], end(1) + 10, end(2) + 11)), [1, 2])
    assert.deepStrictEqual(lookedAt(search([], end(3) + 10)), [3])
    assert.deepStrictEqual(lookedAt(search([], undefined, end(1) + 10)), [0])
    looked.length = 0
    assert.deepStrictEqual([...candidates(index, 1, search([["requestId", "none"], ["stepId", "s1"]]), {
      descending: false,
      first: 1,
      last: segmentRows
    })], [])
    // Its version, and the first condition.
    assert.deepStrictEqual(looked.length, 2)
    // The rows of a segment that knows no times are looked at.
    const timeless = { ...index, times: () => undefined }
    assert.strictEqual(
      numbersOf(timeless, 3, search([], 30_000), false, 1, segmentRows * 4).length,
      indexed.filter(({ at, log }) => log === 3 && at >= 30_000).length
    )
  })

  it("is asked for nothing by an empty search alone", () => {
    assert.isTrue(isEmpty(search([])))
    for (const wanted of [search([["stepId", "s"]]), search([], 1), search([], undefined, 1)]) {
      assert.isFalse(isEmpty(wanted))
    }
  })
})
