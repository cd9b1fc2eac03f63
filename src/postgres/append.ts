/**
 * The one statement that appends: events of many logs, their idempotency keys, and what they complete of the trees.
 *
 * It takes the lock of each log, moves its head if this is where it is believed to be, and writes the rows of those
 * that it moved. A log whose lock someone else has, or that has moved on, is left out, and nothing of it is written.
 */
import type { UsedKey } from "../internal/decided.ts"
import { uuidText } from "../internal/entropy.ts"
import type { SealedRow } from "../internal/sealedRow.ts"
import type { Puts } from "../ledger/frontier.ts"
import { runLength } from "../ledger/treeReader.ts"
import { logTerm } from "../trail/terms.ts"

/** What one log gets. */
export interface Addition {
  readonly log: number
  readonly version: number
  /** Entries that it has before. */
  readonly size: number
  /** Their positions follow each other from `size` on. */
  readonly rows: ReadonlyArray<SealedRow>
  readonly keys: ReadonlyArray<UsedKey>
  readonly puts: Puts
}

/** The term of an index, bound to its log: a value in one log has nothing in common with the same in another. */
export const boundTerm = (log: number, term: number): number => term ^ logTerm(log)

/** What an event can be found by, as an array of PostgreSQL; its id has an index of its own. */
const termsOf = (log: number, { terms }: SealedRow): string => {
  const bound = logTerm(log)
  let text = "{"
  for (let i = 1; i < terms.length; i++) text += i === 1 ? terms[i]! ^ bound : `,${terms[i]! ^ bound}`
  return `${text}}`
}

/** The statement, for a schema; it returns the logs that it has written to. */
export const appending = (s: string): string => `
WITH want AS (
  SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[]) AS w(log, version, size, count)
), mine AS (
  SELECT h.log FROM ${s}.head h JOIN want w ON w.log = h.log WHERE h.version = w.version AND h.size = w.size
  AND current_setting('synchronous_commit') = ANY($24::text[]) ORDER BY h.log FOR UPDATE OF h SKIP LOCKED
), moved AS (
  UPDATE ${s}.head h SET size = w.size + w.count, changed = pg_current_xact_id()
  FROM want w JOIN mine m ON m.log = w.log WHERE h.log = w.log RETURNING h.log, w.size
), events AS (
  INSERT INTO ${s}.event (log, position, recorded_at, event_id, commitment, salt, body, terms)
  SELECT e.log, e.position, to_timestamp(e.millis::float8 / 1000), e.id::uuid, e.commitment, e.salt, e.body,
    e.terms::int4[]
  FROM unnest($5::int8[], $6::int8[], $7::int8[], $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::text[])
    AS e(log, position, millis, id, commitment, salt, body, terms) JOIN moved m ON m.log = e.log
), keys AS (
  INSERT INTO ${s}.idempotency_key (log, key_hash, position, digest)
  SELECT k.* FROM unnest($13::int8[], $14::bytea[], $15::int8[], $16::bytea[]) AS k(log, hash, position, digest)
  JOIN moved m ON m.log = k.log
), bundles AS (
  INSERT INTO ${s}.bundle (log, idx, commitments, low, high)
  SELECT b.log, b.idx, b.commitments,
    least(to_timestamp(b.low::float8 / 1000), (SELECT min(e.recorded_at) FROM ${s}.event e WHERE e.log = b.log
      AND e.position >= b.idx * ${runLength} AND e.position < m.size)),
    greatest(to_timestamp(b.high::float8 / 1000), (SELECT max(e.recorded_at) FROM ${s}.event e WHERE e.log = b.log
      AND e.position >= b.idx * ${runLength} AND e.position < m.size))
  FROM unnest($17::int8[], $18::int8[], $19::bytea[], $20::int8[], $21::int8[]) AS b(log, idx, commitments, low, high)
  JOIN moved m ON m.log = b.log
  ON CONFLICT (log, idx) DO UPDATE SET commitments = excluded.commitments, low = excluded.low, high = excluded.high
), subtrees AS (
  INSERT INTO ${s}.subtree (log, level, idx, hash)
  SELECT t.log, t.level, t.idx, t.hash
  FROM unnest($22::int8[], $23::int8[], $25::int8[], $26::bytea[]) AS t(log, level, idx, hash)
  JOIN moved m ON m.log = t.log
)
SELECT log::float8 AS log FROM moved`

/** The first and last time of recording of the rows of a batch that are in a bundle. */
const timesIn = ({ rows, size }: Addition, index: number): readonly [number, number] => {
  let [low, high] = [Infinity, -Infinity]
  const from = Math.max(0, index * runLength - size)
  const until = Math.min(rows.length, (index + 1) * runLength - size)
  for (let i = from; i < until; i++) {
    const { recordedAtMillis } = rows[i]!
    if (recordedAtMillis < low) low = recordedAtMillis
    if (recordedAtMillis > high) high = recordedAtMillis
  }
  return [low, high]
}

/** Settings of `synchronous_commit` under which a commit is durable when it returns. */
export const durableCommits = ["on", "local", "remote_write", "remote_apply"]

/** The parameters of the statement. Logs are locked in the order of their ids, so that no two wait for each other. */
export const paramsOf = (
  additions: ReadonlyArray<Addition>,
  commits: ReadonlyArray<string>
): ReadonlyArray<unknown> => {
  const heads: ReadonlyArray<Array<bigint>> = [[], [], [], []]
  const [logs, positions, times]: ReadonlyArray<Array<bigint>> = [[], [], []]
  const ids: Array<string> = []
  const [commitments, salts, bodies]: ReadonlyArray<Array<Uint8Array>> = [[], [], []]
  const terms: Array<string> = []
  const keys = additions.flatMap(({ keys, log }) => keys.map((key) => ({ ...key, log: BigInt(log) })))
  const bundles = additions.flatMap((addition) =>
    addition.puts.bundles.map((bundle) => {
      const [low, high] = timesIn(addition, bundle.index)
      return { ...bundle, log: BigInt(addition.log), low: BigInt(low), high: BigInt(high) }
    })
  )
  const subtrees = additions.flatMap(({ log, puts }) => puts.subtrees.map((put) => ({ ...put, log: BigInt(log) })))
  for (const { log, rows, size, version } of additions) {
    const id = BigInt(log)
    heads[0]!.push(id)
    heads[1]!.push(BigInt(version))
    heads[2]!.push(BigInt(size))
    heads[3]!.push(BigInt(rows.length))
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      logs!.push(id)
      positions!.push(BigInt(size + i))
      times!.push(BigInt(row.recordedAtMillis))
      ids.push(uuidText(row.id))
      commitments!.push(row.commitment)
      salts!.push(row.salt)
      bodies!.push(row.body)
      terms.push(termsOf(log, row))
    }
  }
  return [
    ...heads,
    logs,
    positions,
    times,
    ids,
    commitments,
    salts,
    bodies,
    terms,
    keys.map(({ log }) => log),
    keys.map(({ hash }) => hash),
    keys.map(({ position }) => BigInt(position)),
    keys.map(({ digest }) => digest),
    bundles.map(({ log }) => log),
    bundles.map(({ index }) => BigInt(index)),
    bundles.map(({ commitments }) => commitments),
    bundles.map(({ low }) => low),
    bundles.map(({ high }) => high),
    subtrees.map(({ log }) => log),
    subtrees.map(({ level }) => BigInt(level)),
    commits,
    subtrees.map(({ index }) => BigInt(index)),
    subtrees.map(({ hash }) => hash)
  ]
}
