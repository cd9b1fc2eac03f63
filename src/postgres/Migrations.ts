/**
 * The tables of an audit store in PostgreSQL, in a schema of their own.
 *
 * - `log`: one row per tenant and env, with its opaque origin. `head`: its size; the row is the lock of the log.
 *   `last` is the commitment of the last entry: a process that remembers another one remembers what a server has lost.
 *   `version` counts what is changed otherwise than by appending, `changed` is the last transaction that did either.
 *   `origin`: the origins that resumed logs went on under. `stop`: logs that take no more events, and why.
 * - `event`: one row per event, by log and position. Append-only: a trigger refuses every change but erasure, which
 *   takes body, salt, time and terms away and leaves the commitment. `terms` are the hashes of the values that an event
 *   can be found by, each bound to its log. `event_LOG_FROM_UNTIL`: partitions, which inherit from it.
 * - `idempotency_key`: hashed keys, with a hash of what they were used for.
 * - `bundle`, `subtree`: the Merkle tree of each log. A bundle has the commitments of 256 entries that follow each
 *   other (the last of a log may have fewer), and the first and last time of recording in it once it is complete; a
 *   subtree row the hash over a completed run of 256 hashes of the level below.
 * - `checkpoint`: signed tree heads. `hold`: legal holds that are in force. `erasure`: transactions that erased.
 * - `preference`: opt-outs of tenants (`user_id` empty) and persons; `preference_version` counts their changes.
 * - `store`: facts of the store as a whole, its version among them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError, NotFound, SinkRejected } from "../AuditError.ts"
import { stringOf } from "../internal/row.ts"
import type { Problem } from "../ledger/LogStore.ts"
import type { Opened, Run } from "./database.ts"
import { reasonOf, sqlState } from "./problem.ts"

/** The version that this release writes. */
export const version = 4

/** By which an erasure finds the keys of its events. */
const keyOfEvent = (s: string): string =>
  `CREATE INDEX idempotency_key_of_event ON ${s}.idempotency_key (log, position) WHERE digest IS NOT NULL`

const tables = (s: string): ReadonlyArray<string> => [
  `CREATE TABLE ${s}.store (name text PRIMARY KEY, value text NOT NULL)`,
  `CREATE TABLE ${s}.log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
    env text NOT NULL, origin text NOT NULL UNIQUE, UNIQUE (tenant_id, env))`,
  `CREATE TABLE ${s}.head (log bigint PRIMARY KEY, size bigint NOT NULL, version bigint NOT NULL DEFAULT 0,
    changed xid8 NOT NULL DEFAULT pg_current_xact_id(), last bytea NOT NULL DEFAULT '') WITH (fillfactor = 50)`,
  `CREATE TABLE ${s}.origin (log bigint, since bigint, origin text NOT NULL UNIQUE, PRIMARY KEY (log, since))`,
  `CREATE TABLE ${s}.stop (log bigint PRIMARY KEY, detail text NOT NULL, stopped_at timestamptz NOT NULL)`,
  `CREATE TABLE ${s}.event (log bigint, position bigint, recorded_at timestamptz, erased_at timestamptz,
    event_id uuid NOT NULL, commitment bytea NOT NULL, salt bytea, body bytea, terms int4[],
    PRIMARY KEY (log, position)) WITH (parallel_workers = 0)`,
  `CREATE INDEX event_of_id ON ${s}.event (event_id)`,
  `CREATE INDEX event_of_terms ON ${s}.event USING gin (terms) WITH (gin_pending_list_limit = 1024)`,
  `CREATE TABLE ${s}.idempotency_key (log bigint, key_hash bytea, position bigint NOT NULL, digest bytea,
    PRIMARY KEY (log, key_hash))`,
  keyOfEvent(s),
  `CREATE TABLE ${s}.bundle (log bigint, idx bigint, commitments bytea NOT NULL, low timestamptz, high timestamptz,
    PRIMARY KEY (log, idx))`,
  `CREATE TABLE ${s}.subtree (log bigint, level int4, idx bigint, hash bytea NOT NULL, PRIMARY KEY (log, level, idx))`,
  `CREATE TABLE ${s}.checkpoint (log bigint, size bigint, key_id bigint, note text NOT NULL,
    signed_at timestamptz NOT NULL, PRIMARY KEY (log, size, key_id))`,
  `CREATE TABLE ${s}.hold (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, log bigint NOT NULL, name text NOT NULL,
    user_id text, event_id uuid, since timestamptz, before timestamptz, held_at timestamptz NOT NULL)`,
  `CREATE INDEX hold_of_log ON ${s}.hold (log)`,
  `CREATE TABLE ${s}.erasure (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, log bigint NOT NULL,
    erased_at timestamptz NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id())`,
  `CREATE TABLE ${s}.preference (tenant_id text, env text, user_id text, training_allowed boolean NOT NULL,
    PRIMARY KEY (tenant_id, env, user_id))`,
  `CREATE TABLE ${s}.preference_version (one boolean PRIMARY KEY CHECK (one), version bigint NOT NULL)`,
  `INSERT INTO ${s}.preference_version VALUES (true, 0)`,
  `CREATE FUNCTION ${s}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$`,
  `CREATE FUNCTION ${s}.count_preference() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('UPDATE %I.preference_version SET version = version + 1', TG_TABLE_SCHEMA); RETURN NULL; END $$`,
  grow(s)
]

/**
 * Completes what entries that are added complete of a tree, for a process that did not know where it ended: their
 * bundles of 256, and the hashes over completed runs of 256 (RFC 9162, section 2.1.1; an entry is the byte 1 and a
 * commitment). `times`: the first and last time of recording of what is added, in milliseconds since 1970. Its queries
 * see what was committed before it began.
 */
const grow = (s: string): string =>
  `CREATE FUNCTION ${s}.grow(the_log bigint, at bigint, added bytea, times bigint[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  size CONSTANT bigint := at;
  until CONSTANT bigint := (at + octet_length(added) / 32) / 256 * 256;
  run bytea;
  depth int4;
  index bigint;
  earliest timestamptz;
  latest timestamptz;
BEGIN
  WHILE at < until LOOP
    index := at / 256;
    SELECT coalesce(string_agg(e.commitment, '' ORDER BY e.position), ''), min(e.recorded_at), max(e.recorded_at)
      INTO run, earliest, latest
      FROM ${s}.event e WHERE e.log = the_log AND e.position >= index * 256 AND e.position < size;
    IF octet_length(run) <> (at - index * 256) * 32 THEN RAISE EXCEPTION 'entries are missing'; END IF;
    run := run || substring(added FROM ((at - size) * 32 + 1)::int4 FOR ((index * 256 + 256 - at) * 32)::int4);
    PERFORM FROM ${s}.bundle b WHERE b.log = the_log AND b.idx = index
      AND substring(run FOR octet_length(b.commitments)) <> b.commitments;
    IF FOUND THEN RAISE EXCEPTION 'entries never change'; END IF;
    INSERT INTO ${s}.bundle (log, idx, commitments, low, high)
      VALUES (the_log, index, run, least(earliest, to_timestamp(times[1]::float8 / 1000)),
        greatest(latest, to_timestamp(times[2]::float8 / 1000)))
      ON CONFLICT (log, idx) DO UPDATE SET commitments = excluded.commitments, low = excluded.low, high = excluded.high;
    SELECT string_agg(sha256('\\x0001'::bytea || substring(run FROM n * 32 + 1 FOR 32)), '' ORDER BY n)
      INTO run FROM generate_series(0, 255) AS n;
    depth := 8;
    LOOP
      WHILE octet_length(run) > 32 LOOP
        SELECT string_agg(sha256('\\x01'::bytea || substring(run FROM n * 64 + 1 FOR 64)), '' ORDER BY n)
          INTO run FROM generate_series(0, octet_length(run) / 64 - 1) AS n;
      END LOOP;
      INSERT INTO ${s}.subtree (log, level, idx, hash) VALUES (the_log, depth, index, run);
      EXIT WHEN index % 256 < 255;
      SELECT string_agg(t.hash, '' ORDER BY t.idx) INTO run FROM ${s}.subtree t
        WHERE t.log = the_log AND t.level = depth AND t.idx > index - 256 AND t.idx <= index;
      IF octet_length(run) <> 8192 THEN RAISE EXCEPTION 'hashes are missing'; END IF;
      index := index / 256;
      depth := depth + 8;
    END LOOP;
    at := at / 256 * 256 + 256;
  END LOOP;
  RETURN true;
END $$`

/** A trigger: its table, its name, when it fires, and what it says. */
type Guard = readonly [table: string, name: string, when: string, says: string]

const stays = (table: string, says: string): ReadonlyArray<Guard> => [
  [table, `${table}_stays`, "BEFORE DELETE OR TRUNCATE ON @ FOR EACH STATEMENT", says]
]
const isFinal = (table: string, says: string): ReadonlyArray<Guard> => [
  [table, `${table}_is_final`, "BEFORE UPDATE ON @ FOR EACH ROW", says]
]

/** What refuses changes, whoever makes them through SQL. */
const guards: ReadonlyArray<Guard> = [
  ...isFinal("log", "a log never changes"),
  ...stays("log", "a log is never removed"),
  ...stays("head", "the head of a log is never removed"),
  [
    "head",
    "head_grows",
    "BEFORE UPDATE ON @ FOR EACH ROW WHEN (NEW.log <> OLD.log OR NEW.size < OLD.size OR NEW.version < OLD.version)",
    "a log only grows"
  ],
  [
    "event",
    "event_is_final",
    "BEFORE UPDATE ON @ FOR EACH ROW WHEN (NOT (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND NEW.body IS " +
    "NULL AND NEW.salt IS NULL AND NEW.recorded_at IS NULL AND NEW.terms IS NULL AND NEW.log = OLD.log AND " +
    "NEW.position = OLD.position AND NEW.event_id = OLD.event_id AND NEW.commitment = OLD.commitment))",
    "an event never changes, except to be erased"
  ],
  ...stays("event", "an event is never removed"),
  [
    "idempotency_key",
    "idempotency_key_is_final",
    "BEFORE UPDATE ON @ FOR EACH ROW WHEN (NOT (NEW.log = OLD.log AND NEW.position = OLD.position AND " +
    "NEW.digest IS NULL))",
    "a key never changes, except to be erased"
  ],
  ...stays("idempotency_key", "a key is never removed"),
  [
    "bundle",
    "bundle_grows",
    "BEFORE UPDATE ON @ FOR EACH ROW WHEN (NOT (NEW.log = OLD.log AND NEW.idx = OLD.idx AND " +
    "substring(NEW.commitments FOR octet_length(OLD.commitments)) = OLD.commitments))",
    "entries never change"
  ],
  ...stays("bundle", "entries are never removed"),
  ...isFinal("subtree", "a subtree never changes"),
  ...stays("subtree", "a subtree is never removed"),
  ...isFinal("checkpoint", "a checkpoint never changes"),
  ...stays("checkpoint", "a checkpoint is never removed"),
  ...isFinal("erasure", "an erasure never changes"),
  ...stays("erasure", "an erasure is never removed"),
  ...isFinal("origin", "an origin never changes"),
  ...stays("origin", "an origin is never removed"),
  ...stays("preference", "a preference is set anew, not removed")
]

const guarding = (s: string, on: string, [, name, when, says]: Guard): string =>
  `CREATE TRIGGER ${name} ${when.replace("@", `${s}.${on}`)} EXECUTE FUNCTION ${s}.refuse('${says}')`

const ofEvents = guards.filter(([table]) => table === "event")

/** Makes the guards of events on a partition: what a trigger refuses, it refuses on its own table alone. */
export const eventGuards = (s: string, partition: string): ReadonlyArray<string> =>
  ofEvents.map((guard) => guarding(s, partition, guard))

const statements = (s: string): ReadonlyArray<string> => [
  ...tables(s),
  ...guards.map((guard) => guarding(s, guard[0], guard)),
  `CREATE TRIGGER preference_is_counted AFTER INSERT OR UPDATE ON ${s}.preference FOR EACH STATEMENT ` +
  `EXECUTE FUNCTION ${s}.count_preference()`,
  `INSERT INTO ${s}.store VALUES ('version', '${version}')`
]

/**
 * Whether there is a table of a name, for the transaction that asks: `to_regclass` may remember that there was none.
 */
export const hasTable = (run: Run, schema: string, table: string): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    run(
      "SELECT 1 AS found FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
        "WHERE n.nspname = $1 AND c.relname = $2",
      [schema.slice(1, -1), table]
    ),
    (rows) => rows.length > 0
  )

/** Does something for each role that may append. */
const forAppenders = (s: string, statement: string): string =>
  `DO $$ DECLARE role text; BEGIN
FOR role IN SELECT DISTINCT a.grantee::regrole::text FROM pg_attribute c, aclexplode(c.attacl) a
  WHERE c.attrelid = '${s}.head'::regclass AND c.attname = 'size' AND a.privilege_type = 'UPDATE' AND a.grantee <> 0
LOOP EXECUTE format('${statement}', role); END LOOP; END $$`

/** What a store of version 3 lacks: an index of the keys by their events. */
const fromVersion3 = (s: string): ReadonlyArray<string> => [
  keyOfEvent(s),
  `UPDATE ${s}.store SET value = '4' WHERE name = 'version'`
]

/** What a store of version 2 lacks: a way to complete a tree without knowing where it ends. */
const fromVersion2 = (s: string): ReadonlyArray<string> => [
  grow(s),
  forAppenders(s, `GRANT EXECUTE ON FUNCTION ${s}.grow TO %s`),
  ...fromVersion3(s)
]

/** What a store of version 1 lacks: heads that say which entry is the last. Who may change heads may change that. */
const fromVersion1 = (s: string): ReadonlyArray<string> => [
  `ALTER TABLE ${s}.head ADD COLUMN last bytea NOT NULL DEFAULT ''`,
  `UPDATE ${s}.head h SET last = e.commitment FROM ${s}.event e WHERE e.log = h.log AND e.position = h.size - 1`,
  forAppenders(s, `GRANT UPDATE (last) ON ${s}.head TO %s`),
  ...fromVersion2(s)
]

/** The version of the store in a schema; 0 of an empty one. */
const versionOf = (run: Run, s: string): Effect.Effect<number, SqlError> =>
  Effect.flatMap(hasTable(run, s, "store"), (found) =>
    found
      ? Effect.map(
        run(`SELECT value FROM ${s}.store WHERE name = 'version'`),
        ([row]) => Number(stringOf(row, "value") ?? Number.NaN)
      )
      : Effect.succeed(0))

const refuse = (detail: string) => new AuditError({ method: "Postgres.layer", reason: new SinkRejected({ detail }) })

const failed = (error: SqlError): AuditError => {
  const reason = reasonOf(error, "the store in PostgreSQL cannot be opened", false)
  const detail = "this role may neither make nor use the store's tables: have their owner open the store once, and " +
    "give the role its rights by Postgres.grant"
  return sqlState(error) === "42501" ? refuse(detail) : new AuditError({ method: "Postgres.layer", reason })
}

/**
 * Makes the tables where they are missing, and what they lack where they are of an earlier version, once, whoever comes
 * first; fails where they are of a later release.
 */
export const migrate = Effect.fnUntraced(function*(
  { run, schema, transact }: Opened,
  mustExist = false
): Effect.fn.Return<void, AuditError> {
  const check = Effect.flatMap(
    Effect.mapError(versionOf(run, schema), failed),
    (found) =>
      found >= 0 && found <= version
        ? Effect.succeed(found)
        : Effect.fail(refuse(`the store has version ${found}, and this release writes ${version}`))
  )
  const found = yield* check
  if (found === version) return
  if (mustExist && found === 0) {
    const reason = new NotFound({ detail: `there is no audit store in the schema ${schema}` })
    return yield* new AuditError({ method: "Postgres.layer", reason })
  }
  yield* transact(Effect.gen(function*() {
    // Instances that start together wait for the first; the lock goes with the transaction.
    yield* Effect.mapError(
      run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`effect-audit ${schema}`]),
      failed
    )
    const found = yield* check
    if (found === version) return
    const lacking = [undefined, fromVersion1, fromVersion2, fromVersion3][found]
    const all = lacking !== undefined
      ? lacking(schema)
      : [`CREATE SCHEMA IF NOT EXISTS ${schema}`, ...statements(schema)]
    yield* Effect.forEach(all, (statement) => Effect.mapError(run(statement), failed), { discard: true })
  }))
})

/** The names of the partitions, which inherit from the table of the events. */
export const partitionsOf = (run: Run, s: string): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.map(
    run(
      "SELECT c.relname AS name FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid " +
        "JOIN pg_catalog.pg_class e ON e.oid = i.inhparent AND e.relnamespace = c.relnamespace " +
        `WHERE e.oid = '${s}.event'::regclass ORDER BY c.relname`
    ),
    (rows) => rows.flatMap((row) => stringOf(row, "name") ?? [])
  )

/** What is wrong with a store beside its logs: guards that are gone or switched off, heads that lead beyond rows. */
export const problemsOf = (run: Run, s: string): Effect.Effect<ReadonlyArray<Problem>, SqlError> =>
  Effect.gen(function*() {
    const there = yield* run(
      "SELECT t.tgname AS name, c.relname AS of FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid " +
        "JOIN pg_proc p ON p.oid = t.tgfoid WHERE c.relnamespace = to_regnamespace($1) AND t.tgenabled IN ('O', 'A') " +
        "AND p.pronamespace = c.relnamespace AND p.proname = 'refuse' AND p.prosrc LIKE '%RAISE EXCEPTION%'",
      [s]
    )
    const found = new Set(there.map((row) => `${stringOf(row, "of")}.${stringOf(row, "name")}`))
    const partitions = yield* partitionsOf(run, s)
    const wanted = [
      ...guards.map(([table, name]) => ({ table, name, guard: name })),
      ...partitions.flatMap((table) => ofEvents.map(([, name]) => ({ table, name, guard: `${name} of ${table}` })))
    ]
    const gone = wanted.filter(({ name, table }) => !found.has(`${table}.${name}`)).map(({ guard }) =>
      ({ fault: "guard", detail: `the guard ${guard} is not there as it was made` }) as const
    )
    const beyond = yield* run(
      `SELECT l.origin FROM ${s}.head h JOIN ${s}.log l ON l.id = h.log WHERE h.size <> ` +
        `(SELECT coalesce(max(position), -1) + 1 FROM ${s}.event e WHERE e.log = h.log) LIMIT 100`
    )
    return [
      ...gone,
      ...beyond.map((row) =>
        ({ fault: "missing", detail: `${stringOf(row, "origin")} was larger than what is in the store` }) as const
      )
    ]
  })
