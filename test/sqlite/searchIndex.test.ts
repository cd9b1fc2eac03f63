/** The search index in SQLite, compared with the rows that it is of: as it grows, beside other writers, and after erasure. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { DatabaseSync } from "node:sqlite"
import { keysIn } from "../../src/internal/body.ts"
import { uuidBytes } from "../../src/internal/entropy.ts"
import { migrate } from "../../src/sqlite/Migrations.ts"
import { Postings } from "../../src/sqlite/postings.ts"
import { SearchIndex } from "../../src/sqlite/searchIndex.ts"
import { groupBuckets, groupSegments } from "../../src/trail/groups.ts"
import { findId } from "../../src/trail/segments.ts"
import { idTerm, logTerm, segmentRows, term, termsOf, versionTerms } from "../../src/trail/terms.ts"

interface Row {
  readonly seq: number
  readonly log: number
  readonly position: number
  readonly id: string
  readonly millis: number
  readonly fields: Readonly<Record<string, string>>
}

const began = Date.UTC(2026, 0, 1)
const idOf = (seq: number, millis: number): string =>
  `${(millis * 65536).toString(16).padStart(16, "0").replace(/(.{8})(.{4})(.{4})/, "$1-$2-7$3").slice(0, 18)}-8000-${
    seq.toString(16).padStart(12, "0")
  }`

/** Rows of two logs: each has an actor of many, some a person. */
const rowsOf = (count: number): ReadonlyArray<Row> => {
  const sizes = [0, 0, 0]
  return Array.from({ length: count }, (_, at) => {
    const seq = at + 1
    const log = seq % 3 === 0 ? 2 : 1
    // Clocks differ a little.
    const millis = began + at * 10 - (at % 7) * 25
    const fields = { action: "note.create", agentId: `a${at % 40}`, ...at % 5000 === 7 ? { user_id: `u${at}` } : {} }
    return { seq, log, position: sizes[log]!++, id: idOf(seq, millis), millis, fields }
  })
}
const bodyOf = ({ fields, id }: Row): Buffer => Buffer.from(JSON.stringify({ event_id: id, ...fields }))

const fresh = (): DatabaseSync => {
  const db = new DatabaseSync(":memory:")
  db.exec("BEGIN")
  migrate(db, 0)
  return db
}
const commitment = Buffer.alloc(32, 1)

/** Writes rows as a sink does; those that `isOther` says are of another process, which the index hears nothing of. */
const write = (db: DatabaseSync, index: SearchIndex, rows: ReadonlyArray<Row>, isOther = (_: Row) => false) => {
  const insert = db.prepare(
    "INSERT INTO audit_event (seq, log, position, recorded_at, event_id, commitment, salt, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
  )
  for (const row of rows) {
    const id = uuidBytes(row.id)
    const body = bodyOf(row)
    insert.run(row.seq, row.log, row.position, row.millis, id, commitment, commitment, body)
    if (isOther(row) && row.seq % segmentRows !== 0) continue
    index.add(row.seq, row.log, {
      tenantId: "t",
      env: "prod",
      recordedAtMillis: row.millis,
      commitment,
      salt: commitment,
      body,
      idempotency: undefined,
      policy: undefined,
      repeated: false,
      id,
      terms: termsOf(row.id, keysIn(row.fields))
    } as never)
  }
}

/** The rows that the segments have for a term, as row numbers. */
const found = (index: Postings, wanted: number): ReadonlyArray<number> =>
  Array.from(
    { length: index.count },
    (_, segment) => index.offsets(segment, wanted).map((offset) => segment * segmentRows + 1 + offset)
  ).flat()
const of = (rows: ReadonlyArray<Row>, is: (row: Row) => boolean) => rows.filter(is).map(({ seq }) => seq)
const bitsOf = (seqs: ReadonlyArray<number>, group: number): number => {
  let bits = 0
  for (const seq of seqs) {
    const segment = Math.floor((seq - 1) / segmentRows)
    if (Math.floor(segment / groupSegments) === group) bits |= 1 << (segment % groupSegments)
  }
  return bits
}

const segments = groupSegments + 16
const rows = rowsOf(segments * segmentRows + 500)
const indexed = rows.slice(0, segments * segmentRows)
const users = rows.filter(({ fields }) => fields["user_id"] !== undefined)

describe("the search index", () => {
  let db: DatabaseSync
  let index: SearchIndex
  beforeAll(() => {
    db = fresh()
    index = new SearchIndex(db)
    write(db, index, rows, ({ seq }) => seq > 2 * segmentRows && seq < 4 * segmentRows && seq % 5 === 0)
  })

  it("has each row of its segments under its log, its id and its values, whoever wrote it", () => {
    assert.strictEqual(index.count, segments)
    assert.strictEqual(new Postings(db).firstOfVersion, 0)
    for (const log of [1, 2]) assert.deepStrictEqual(found(index, logTerm(log)), of(indexed, (row) => row.log === log))
    assert.deepStrictEqual(found(index, term("agentId", "a5")), of(indexed, ({ fields }) => fields["agentId"] === "a5"))
    assert.deepStrictEqual(found(index, term("action", "note.create")), of(indexed, () => true))
    for (const { fields, seq } of users) {
      const own = seq <= indexed.length ? [seq] : []
      assert.deepStrictEqual(found(index, term("user_id", fields["user_id"] ?? "")), own)
    }
    for (const { id, seq } of [rows[0]!, rows[3 * segmentRows + 4]!, indexed.at(-1)!]) {
      assert.deepStrictEqual(found(index, idTerm(id)), [seq])
    }
    assert.deepStrictEqual(found(index, term("user_id", "nobody")), [])
    for (const wanted of versionTerms) assert.strictEqual(found(index, wanted).length, segments)
  })

  it("knows the first and last time of a segment", () => {
    for (const segment of [0, 2, segments - 1]) {
      const own = indexed.slice(segment * segmentRows, (segment + 1) * segmentRows).map(({ millis }) => millis)
      assert.deepStrictEqual(index.times(segment), { low: Math.min(...own), high: Math.max(...own) })
    }
    assert.isUndefined(index.times(segments))
  })

  it("knows of a group that is whole which segments have a term, and says nothing of one that is not", () => {
    for (const wanted of [term("user_id", "u7"), term("user_id", "u5007"), logTerm(1), idTerm(rows[70]!.id)]) {
      assert.strictEqual(index.ofGroup(0, wanted), bitsOf(found(index, wanted), 0))
    }
    assert.strictEqual(index.ofGroup(0, term("user_id", "nobody")), 0)
    assert.isUndefined(index.ofGroup(1, logTerm(1)))
    // A few buckets with each segment that follows, so that it is whole with the last of sixteen.
    const numbers = db.prepare("SELECT bucket FROM audit_bucket WHERE segment = -1 ORDER BY bucket").all()
    assert.deepStrictEqual(numbers.map(({ bucket }) => bucket), Array.from({ length: groupBuckets }, (_, n) => n))
  })

  it("finds rows by id and by position, also those that no segment has yet", () => {
    const fresh = new Postings(db)
    for (const row of [rows[0]!, rows[5]!, rows[40_000]!, indexed.at(-1)!, rows[indexed.length]!, rows.at(-1)!]) {
      for (const postings of [index, fresh]) {
        const { commitment: stored, eventId, ...found } = postings.findById(row.id)!
        assert.deepStrictEqual(found, { seq: row.seq, log: row.log, position: row.position })
        assert.deepStrictEqual([Buffer.from(eventId), Buffer.from(stored)], [
          Buffer.from(uuidBytes(row.id)),
          commitment
        ])
        assert.strictEqual(postings.seqOf(row.log, row.position), row.seq)
      }
    }
    assert.isUndefined(index.findById(idOf(999_999, began)))
    for (const log of [1, 2, 3]) {
      const own = rows.filter((row) => row.log === log)
      assert.strictEqual(index.sizeOf(log), own.length)
      assert.isUndefined(index.seqOf(log, own.length))
      const seen: Array<number> = []
      index.eachOfLog(log, ({ seq }) => seen.push(seq) > 0)
      assert.deepStrictEqual(seen, own.map(({ seq }) => seq).toReversed())
      const some: Array<number> = []
      // Until it is told to stop: in what is not indexed yet, and beyond.
      for (const most of [3, 400]) {
        some.length = 0
        index.eachOfLog(log, ({ seq }) => some.push(seq) < most)
        assert.deepStrictEqual(some, seen.slice(0, most))
      }
    }
    assert.isUndefined(index.rowAt(segments, 500))
  })

  it("begins to look for an id where its time lies", () => {
    const asked: Array<number> = []
    const row = rows[30 * segmentRows + 1000]!
    const counting = {
      count: index.count,
      firstOfVersion: 0,
      times: (segment: number) => index.times(segment),
      rowAt: (segment: number, offset: number) => index.rowAt(segment, offset),
      offsets: (segment: number, wanted: number) => {
        asked.push(segment)
        return index.offsets(segment, wanted)
      }
    }
    assert.strictEqual(findId(counting, row.id, row.millis, ({ seq }) => seq === row.seq)?.seq, row.seq)
    assert.deepStrictEqual(asked, [30])
  })

  it("believes no segment that there are no rows for", () => {
    db.exec("SAVEPOINT one; DROP TRIGGER audit_segment_is_due")
    db.exec("INSERT INTO audit_segment VALUES (500, 0, 0)")
    assert.strictEqual(new Postings(db).count, segments)
    db.exec("ROLLBACK TO one; RELEASE one")
  })

  it("leads to erased rows by log and id alone, and the groups as well", () => {
    const [gone, last] = [[users[0]!, rows[segmentRows * 5 + 3]!, rows[segmentRows * 5 + 4]!], rows.at(-1)!]
    for (const { seq } of [...gone, last]) {
      db.prepare("UPDATE audit_event SET erased_at = 1, recorded_at = NULL, salt = NULL, body = NULL WHERE seq = ?")
        .run(seq)
    }
    index.erase([...gone, last].map(({ seq }) => seq))
    const seqs = new Set(gone.map(({ seq }) => seq))
    const left = indexed.filter(({ seq }) => !seqs.has(seq))
    const user = term("user_id", users[0]!.fields["user_id"]!)
    assert.deepStrictEqual(found(index, user), [])
    assert.strictEqual(index.ofGroup(0, user), 0)
    for (const actor of ["a3", "a7", "a5"]) {
      const wanted = term("agentId", actor)
      assert.deepStrictEqual(found(index, wanted), of(left, ({ fields }) => fields["agentId"] === actor))
      assert.strictEqual(index.ofGroup(0, wanted), bitsOf(found(index, wanted), 0))
    }
    for (const { id, log, position, seq } of gone) {
      assert.deepStrictEqual(found(index, idTerm(id)), [seq])
      assert.strictEqual(index.findById(id)?.seq, seq)
      assert.strictEqual(index.seqOf(log, position), seq)
    }
    for (const log of [1, 2]) assert.deepStrictEqual(found(index, logTerm(log)), of(indexed, (row) => row.log === log))
    for (const wanted of versionTerms) assert.strictEqual(found(index, wanted).length, segments)
  })
})

describe("a segment that is written after its rows were erased, or that this connection has not seen", () => {
  it("has their log and id alone, and no time of them", () => {
    const db = fresh()
    const index = new SearchIndex(db)
    const some = rowsOf(segmentRows)
    write(db, index, some.slice(0, -1))
    const [gone] = some
    db.prepare("UPDATE audit_event SET erased_at = 1, recorded_at = NULL, salt = NULL, body = NULL WHERE seq = 1").run()
    index.erase([1])
    // As after a rollback: the rows are read again.
    index.forget()
    write(db, index, some.slice(-1))
    assert.strictEqual(index.count, 1)
    assert.deepStrictEqual(
      found(index, term("agentId", "a0")),
      of(some.slice(1), ({ fields }) => fields["agentId"] === "a0")
    )
    assert.deepStrictEqual(found(index, idTerm(gone!.id)), [1])
    const times = some.slice(1).map(({ millis }) => millis)
    assert.deepStrictEqual(index.times(0), { low: Math.min(...times), high: Math.max(...times) })
    db.close()
  })
})

describe("a group with a segment of before", () => {
  it("is passed over, and looked for in its segments; the next one is merged", () => {
    const db = fresh()
    const index = new SearchIndex(db)
    const [version] = [versionTerms[1]!]
    const insert = db.prepare(
      "INSERT INTO audit_event (seq, log, position, recorded_at, event_id, commitment, salt, body) VALUES (?, 1, ?, 5, ?, ?, ?, ?)"
    )
    const body = Buffer.from("{}")
    const wanted = 6 * segmentRows + 9
    for (let seq = 1; seq <= 2 * groupSegments * segmentRows + 2 * segmentRows; seq++) {
      const id = idOf(seq, began)
      insert.run(seq, seq - 1, uuidBytes(id), commitment, commitment, body)
      const terms = seq === wanted ? [idTerm(id)] : []
      index.add(seq, 1, { recordedAtMillis: 5, terms: Int32Array.from(terms) } as never)
      if (seq === 7 * segmentRows) {
        // A segment of before does not say that it is of this version.
        const bucket = version & 63
        const { postings } = db.prepare("SELECT postings FROM audit_bucket WHERE segment = 6 AND bucket = ?").get(
          bucket
        )!
        const bytes = Buffer.from(postings as Uint8Array)
        const at = bytes.indexOf(Buffer.from(Int32Array.of(version).buffer))
        assert.isAbove(at, -1)
        bytes.writeInt32LE(version + 64, at)
        db.prepare("UPDATE audit_bucket SET postings = ? WHERE segment = 6 AND bucket = ?").run(bytes, bucket)
      }
    }
    const groups = db.prepare("SELECT segment, count(*) AS n FROM audit_bucket WHERE segment < 0 GROUP BY segment")
      .all()
    assert.deepStrictEqual(groups.map(({ n, segment }) => [segment, n]), [[-2, 3 * 4 * 8], [-1, 1]])
    assert.isUndefined(index.ofGroup(0, logTerm(1)))
    assert.strictEqual(index.findById(idOf(wanted, began))?.seq, wanted)
    db.close()
  })
})
