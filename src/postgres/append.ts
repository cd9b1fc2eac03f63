/**
 * The one statement that appends: events of many logs, their idempotency keys, and what they complete of the trees.
 *
 * It takes the lock of each log, moves its head, and writes the rows of those that it moved. A head that is where it is
 * believed to be is moved behind the very entry that is believed to be its last, with what that completes of the tree;
 * where it is believed to be nowhere, the server completes it. A log that was changed in another way, that is another's
 * by now, or whose lock someone else has, is left out, and nothing of it is written.
 */
import type { UsedKey } from "../internal/decided.ts"
import type { SealedRow } from "../internal/sealedRow.ts"
import type { Puts } from "../ledger/frontier.ts"
import { runLength } from "../ledger/treeReader.ts"
import { logTerm } from "../trail/terms.ts"

/** What one log gets. */
export interface Addition {
  readonly log: number
  readonly version: number
  /** Entries that it has before, as far as is known. */
  readonly size: number | undefined
  /** The commitment of the last of these, where their number is known. */
  readonly last: Uint8Array
  /** Their positions follow each other, from `size` on, or from where the head is found. */
  readonly rows: ReadonlyArray<SealedRow>
  readonly keys: ReadonlyArray<UsedKey>
  readonly puts: Puts
}

/** Settings of `synchronous_commit` under which a commit is durable when it returns. */
export const durableCommits = ["on", "local", "remote_write", "remote_apply"]

/** The term of an index, bound to its log: a value in one log has nothing in common with the same in another. */
export const boundTerm = (log: number, term: number): number => term ^ logTerm(log)

/** What an event can be found by, as an array of PostgreSQL; its id has an index of its own. */
const termsOf = (bound: number, { terms }: SealedRow): string => {
  let text = "{"
  for (let i = 1; i < terms.length; i++) text += i === 1 ? terms[i]! ^ bound : `,${terms[i]! ^ bound}`
  return `${text}}`
}

/** What is written beside the events: seldom needed, and it costs a statement a third of its time. */
const more = (s: string): string =>
  `, keys AS (
  INSERT INTO ${s}.idempotency_key (log, key_hash, position, digest)
  SELECT k.log, k.hash, k.position, k.digest
  FROM unnest($14::int8[], $15::bytea[], $16::int8[], $17::bytea[]) AS k(log, hash, position, digest)
  JOIN moved m ON m.log = k.log
), bundles AS (
  INSERT INTO ${s}.bundle (log, idx, commitments, low, high)
  SELECT b.log, b.idx, b.commitments,
    least(to_timestamp(b.low::float8 / 1000), (SELECT min(e.recorded_at) FROM ${s}.event e WHERE e.log = b.log
      AND e.position >= b.idx * ${runLength} AND e.position < m.size)),
    greatest(to_timestamp(b.high::float8 / 1000), (SELECT max(e.recorded_at) FROM ${s}.event e WHERE e.log = b.log
      AND e.position >= b.idx * ${runLength} AND e.position < m.size))
  FROM unnest($18::int8[], $19::int8[], $20::bytea[], $21::int8[], $22::int8[]) AS b(log, idx, commitments, low, high)
  JOIN moved m ON m.log = b.log AND m.size = m.believed
  ON CONFLICT (log, idx) DO UPDATE SET commitments = excluded.commitments, low = excluded.low, high = excluded.high
), subtrees AS (
  INSERT INTO ${s}.subtree (log, level, idx, hash)
  SELECT t.log, t.level, t.idx, t.hash
  FROM unnest($23::int8[], $24::int8[], $25::int8[], $26::bytea[]) AS t(log, level, idx, hash)
  JOIN moved m ON m.log = t.log AND m.size = m.believed
)`

/** How the statement treats a lock that someone else has: it leaves the log out, or waits for so many milliseconds. */
type Locks = { readonly waits: number | undefined }

/**
 * What the server completes where a log does not end where it was believed to. It takes some of every statement's time:
 * one whose logs are all believed to end somewhere does without, and leaves out those that do not end there.
 */
const grown = (s: string): string =>
  `,
  CASE WHEN size <> believed AND size % ${runLength} + count >= ${runLength} THEN ${s}.grow(log, size,
    (SELECT string_agg(substring($11::bytea FROM (n * 80 - 63)::int4 FOR 32), '' ORDER BY n)
    FROM generate_series(first, first + count - 1) AS n),
    (SELECT ARRAY[min(t), max(t)] FROM unnest($8::int8[]) WITH ORDINALITY AS u(t, n)
    WHERE n >= first AND n < first + count)) END AS grown`

interface Parts {
  /** Whether keys, and what completes a tree, are written as well. */
  readonly isFull: boolean
  /** Whether the server completes a tree. */
  readonly grows: boolean
}

const textOf = (s: string, commits: ReadonlyArray<string>, { waits }: Locks, { grows, isFull }: Parts): string => `
WITH limits AS MATERIALIZED (
  SELECT ${waits === undefined ? "" : `set_config('lock_timeout', '${waits}', true),`}
    current_setting('synchronous_commit') IN (${commits.map((commit) => `'${commit}'`).join(", ")}) AS durable
), want AS (
  SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::bytea[],
    $12::text[], $13::text[])
    AS w(log, version, size, count, first, last, tenant_id, env)
), mine AS (
  SELECT h.log, h.size, w.size AS believed, w.first, w.count
  FROM limits l CROSS JOIN want w JOIN ${s}.head h ON h.log = w.log WHERE l.durable
  AND h.version = w.version AND ${
  grows
    ? `CASE WHEN h.size = w.size THEN h.last = w.last
    ELSE EXISTS (SELECT FROM ${s}.log l WHERE l.id = h.log AND l.tenant_id = w.tenant_id AND l.env = w.env) END`
    : "h.size = w.size AND h.last = w.last"
}
  ORDER BY h.log FOR UPDATE OF h${waits === undefined ? " SKIP LOCKED" : ""}
), moved AS (
  UPDATE ${s}.head h SET size = m.size + m.count, changed = pg_current_xact_id(),
    last = substring($11::bytea FROM ((m.first + m.count) * 80 - 143)::int4 FOR 32) FROM mine m WHERE h.log = m.log
  RETURNING h.log, m.size, m.believed, m.first, m.count
), events AS (
  INSERT INTO ${s}.event (log, position, recorded_at, event_id, commitment, salt, body, terms)
  SELECT e.log, m.size + e.n - m.first, to_timestamp(e.millis::float8 / 1000),
    encode(substring($11::bytea FROM (e.n * 80 - 79)::int4 FOR 16), 'hex')::uuid,
    substring($11::bytea FROM (e.n * 80 - 63)::int4 FOR 32), substring($11::bytea FROM (e.n * 80 - 31)::int4 FOR 32),
    e.body, e.terms::int4[]
  FROM unnest($7::int8[], $8::int8[], $9::bytea[], $10::text[]) WITH ORDINALITY AS e(log, millis, body, terms, n)
  JOIN moved m ON m.log = e.log
)${isFull ? more(s) : ""}
SELECT log::float8 AS log, size::float8 AS size${grows ? grown(s) : ""} FROM moved`

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

/** Makes the statements for a schema. Those that wait for locks give up after so many milliseconds. */
export const appending = (s: string, commits: ReadonlyArray<string>, waits: number) => {
  const of = (locks: Locks) => {
    const text = (parts: Parts) => textOf(s, commits, locks, parts)
    const texts = {
      full: [text({ isFull: true, grows: false }), text({ isFull: true, grows: true })],
      plain: [text({ isFull: false, grows: false }), text({ isFull: false, grows: true })]
    } as const
    return (additions: ReadonlyArray<Addition>): Statement => {
      const grows = additions.some(({ size }) => size === undefined) ? 1 : 0
      return additions.some(({ keys, puts }) => keys.length > 0 || puts.bundles.length > 0)
        ? { text: texts.full[grows], params: [...eventParams(additions), ...restParams(additions)] }
        : { text: texts.plain[grows], params: eventParams(additions) }
    }
  }
  return { skipping: of({ waits: undefined }), waiting: of({ waits }) }
}

/** The first and last time of recording of the rows of a batch that are in a bundle. */
const timesIn = ({ rows, size = 0 }: Addition, index: number): readonly [number, number] => {
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

/** Logs are locked in the order of their ids, so that no two wait for each other. */
const eventParams = (additions: ReadonlyArray<Addition>): Array<unknown> => {
  const [ids, versions, sizes, counts, firsts]: Array<Array<bigint>> = [[], [], [], [], []]
  const [logs, times]: Array<Array<bigint>> = [[], []]
  const lasts: Array<Uint8Array> = []
  const [tenants, envs]: Array<Array<string>> = [[], []]
  const bodies: Array<Uint8Array> = []
  const terms: Array<string> = []
  const fixed = Buffer.allocUnsafe(additions.reduce((sum, { rows }) => sum + rows.length, 0) * 80)
  let n = 0
  for (const { last, log, rows, size, version } of additions) {
    const id = BigInt(log)
    const bound = logTerm(log)
    ids!.push(id)
    versions!.push(BigInt(version))
    sizes!.push(BigInt(size ?? -1))
    counts!.push(BigInt(rows.length))
    firsts!.push(BigInt(n + 1))
    lasts.push(last)
    tenants!.push(rows[0]?.tenantId ?? "")
    envs!.push(rows[0]?.env ?? "")
    for (let i = 0; i < rows.length; i++, n++) {
      const row = rows[i]!
      logs!.push(id)
      times!.push(BigInt(row.recordedAtMillis))
      bodies.push(row.body)
      terms.push(termsOf(bound, row))
      fixed.set(row.id, n * 80)
      fixed.set(row.commitment, n * 80 + 16)
      fixed.set(row.salt, n * 80 + 48)
    }
  }
  return [ids, versions, sizes, counts, firsts, lasts, logs, times, bodies, terms, fixed, tenants, envs]
}

const restParams = (additions: ReadonlyArray<Addition>): Array<unknown> => {
  const keys = additions.flatMap(({ keys, log }) => keys.map((key) => ({ ...key, log: BigInt(log) })))
  const bundles = additions.flatMap((addition) =>
    addition.puts.bundles.map((bundle) => {
      const [low, high] = timesIn(addition, bundle.index)
      return { ...bundle, log: BigInt(addition.log), low: BigInt(low), high: BigInt(high) }
    })
  )
  const subtrees = additions.flatMap(({ log, puts }) => puts.subtrees.map((put) => ({ ...put, log: BigInt(log) })))
  return [
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
    subtrees.map(({ index }) => BigInt(index)),
    subtrees.map(({ hash }) => hash)
  ]
}
