/** What the server completes of a tree is what the rules of the ledger would have, whoever appends how much. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { randomBytes } from "node:crypto"
import { leafHashes, levels } from "../../src/Merkle.ts"
import { freshSchema, serverOfFile, storeAt } from "./server.ts"

const file = serverOfFile()
const commitmentsOf = (count: number) => randomBytes(count * 32)
const from = (bytes: Uint8Array, first: number, count: number) => bytes.subarray(first * 32, (first + count) * 32)

/** The hash over each complete run of 256, tier after tier. */
const tiersOf = (entries: Uint8Array): ReadonlyArray<Uint8Array> => {
  const over = (runs: Uint8Array, make: (run: Uint8Array) => Uint8Array) =>
    Buffer.concat(
      Array.from({ length: Math.floor(runs.length / 8192) }, (_, n) => levels(make(from(runs, n * 256, 256)))[8]!)
    )
  const tiers: Array<Uint8Array> = []
  for (let tier = over(entries, (run) => leafHashes(1, run)); tier.length > 0; tier = over(tier, (run) => run)) {
    tiers.push(tier)
  }
  return tiers
}

const times = [1_700_000_000_000n, 1_700_000_000_999n]
/** Writes rows of events as an appender does, after which the tree grows by them. */
const append = (s: string, at: number, added: Uint8Array) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    yield* sql.unsafe(`SELECT ${s}.grow(7, $1, $2, $3::int8[])`, [BigInt(at), added, times])
    yield* sql.unsafe(
      `INSERT INTO ${s}.event (log, position, recorded_at, event_id, commitment) SELECT 7, $1::int8 + n, ` +
        "to_timestamp(1700000001), gen_random_uuid(), substring($2::bytea FROM n * 32 + 1 FOR 32) " +
        "FROM generate_series(0, $3::int4 - 1) AS n",
      [BigInt(at), added, added.length / 32]
    )
  })

const grown = (s: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    const bundles = yield* sql.unsafe<{ commitments: Uint8Array; low: number; high: number }>(
      "SELECT commitments, (extract(epoch FROM low) * 1000)::float8 AS low, (extract(epoch FROM high) * 1000)::float8 " +
        `AS high FROM ${s}.bundle WHERE log = 7 ORDER BY idx`
    )
    const subtrees = yield* sql.unsafe<{ level: number; idx: number; hash: Uint8Array }>(
      `SELECT level, idx::int4 AS idx, hash FROM ${s}.subtree WHERE log = 7 ORDER BY level, idx`
    )
    const tiers = [8, 16, 24].map((level) => subtrees.filter((row) => row.level === level))
    for (const tier of tiers) tier.forEach(({ idx }, at) => assert.strictEqual(idx, at))
    return {
      entries: Buffer.concat(bundles.map(({ commitments }) => commitments)),
      tiers: tiers.map((rows) => Buffer.concat(rows.map(({ hash }) => hash))).filter(({ length }) => length > 0),
      bundles
    }
  })

describe("a tree that the server completes", () => {
  it.live("is that of the rules, in steps of any size", () => {
    const s = freshSchema()
    return Effect.gen(function*() {
      const all = commitmentsOf(5000)
      for (let at = 0; at < 5000;) {
        const count = Math.min(5000 - at, [1, 16, 255, 256, 257, 64, 700][Math.floor(Math.random() * 7)]!)
        yield* append(s, at, from(all, at, count))
        at += count
      }
      const { bundles, entries, tiers } = yield* grown(s)
      assert.deepStrictEqual(entries, from(all, 0, 19 * 256))
      assert.deepStrictEqual(tiers, tiersOf(entries))
      // Each knows when its first and last entry was recorded, or an earlier and a later time.
      for (const { high, low } of bundles) {
        assert.isAtMost(low, 1_700_000_000_000)
        assert.isAtLeast(high, 1_700_000_000_999)
      }
    }).pipe(Effect.provide(storeAt(file, s)))
  })

  it.live("has the hash over 65,536 entries, which one step completes as well as many", () => {
    const s = freshSchema()
    return Effect.gen(function*() {
      const all = commitmentsOf(66_000)
      yield* append(s, 0, from(all, 0, 65_000))
      yield* append(s, 65_000, from(all, 65_000, 1000))
      const { entries, tiers } = yield* grown(s)
      assert.deepStrictEqual(entries, from(all, 0, 257 * 256))
      assert.deepStrictEqual(tiers.map(({ length }) => length / 32), [257, 1])
      assert.deepStrictEqual(tiers, tiersOf(entries))
    }).pipe(Effect.provide(storeAt(file, s)))
  })

  it.live("is not completed over rows that are gone, or other than a bundle that was kept", () => {
    const s = freshSchema()
    return Effect.gen(function*() {
      const sql = yield* SqlClient
      const all = commitmentsOf(300)
      yield* append(s, 0, from(all, 0, 200))
      const why = Effect.map(Effect.flip(append(s, 200, from(all, 200, 100))), ({ reason }) => String(reason.cause))
      yield* sql.unsafe(`ALTER TABLE ${s}.event DISABLE TRIGGER USER`)
      yield* sql.unsafe(`UPDATE ${s}.event SET position = -1 WHERE position = 100`)
      assert.include(yield* why, "entries are missing")
      yield* sql.unsafe(`UPDATE ${s}.event SET position = 100 WHERE position = -1`)
      const kept = Buffer.from(from(all, 0, 150))
      kept.writeUInt8(kept.readUInt8(4000) ^ 1, 4000)
      yield* sql.unsafe(`INSERT INTO ${s}.bundle (log, idx, commitments) VALUES (7, 0, $1)`, [kept])
      yield* sql.unsafe(`ALTER TABLE ${s}.bundle DISABLE TRIGGER USER`)
      assert.include(yield* why, "entries never change")
      yield* sql.unsafe(`UPDATE ${s}.bundle SET commitments = $1`, [from(all, 0, 150)])
      yield* append(s, 200, from(all, 200, 100))
      assert.deepStrictEqual((yield* grown(s)).entries, from(all, 0, 256))
    }).pipe(Effect.provide(storeAt(file, s)))
  })
})
