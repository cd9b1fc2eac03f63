/**
 * The tables of an audit store in SQLite; each name begins with `audit_`, since they may lie beside an application's
 * own.
 *
 * - `log`: one row per tenant and env, with its opaque origin. `origin`: the origins that resumed logs went on under.
 * - `event`: one row per event of all logs, in the order of storing. Append-only: triggers refuse every change but
 *   erasure, which takes body, salt and time away and leaves the commitment.
 * - `segment`, `bucket`: the search index. It follows the commits in runs of 2,048 rows (see `terms.ts`).
 * - `idempotency_key`: hashed keys, with a hash of what they were used for.
 * - `bundle`, `subtree`: the Merkle tree of each log. A bundle has the commitments of 256 entries that follow each
 *   other (the last of a log may have fewer); a subtree row the hash over a completed run of 256 hashes of the level
 *   below: level 8 over the leaf hashes of a bundle, level 16 over 256 hashes of level 8, and so on.
 * - `checkpoint`: signed tree heads. `stop`: logs that take no more events, and why.
 * - `hold`: legal holds that are in force, by the name of their case. `erasure`: counts transactions that erased.
 * - `preference`: opt-outs of tenants (`user_id` empty) and persons; `preference_version` counts their changes.
 * - `store`: facts of the store as a whole, its version among them.
 *
 * In a file of the store's own, SQLite's header fields say so as well (`application_id`, `user_version`); in a database
 * that was adopted they stay the application's.
 *
 * @since 0.1.0
 */
import type { DatabaseSync } from "node:sqlite"
import { type AuditReason, SinkRejected } from "../AuditError.ts"
import { integerOf, stringOf } from "../internal/row.ts"
import type { Problem } from "../ledger/LogStore.ts"
import { indexVersion } from "../trail/terms.ts"
import { growTrees } from "./growTrees.ts"

/** "EfAu" in ASCII: marks a file as an audit store. */
export const applicationId = 0x45664175
/** The version that this release writes. */
export const version = 3

const tables = `
CREATE TABLE IF NOT EXISTS audit_log (
  id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, env TEXT NOT NULL, origin TEXT NOT NULL UNIQUE, UNIQUE (tenant_id, env)
) STRICT;
CREATE TABLE IF NOT EXISTS audit_event (
  seq INTEGER PRIMARY KEY, log INTEGER NOT NULL, position INTEGER NOT NULL, recorded_at INTEGER, erased_at INTEGER,
  event_id BLOB NOT NULL, commitment BLOB NOT NULL, salt BLOB, body BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS audit_segment (
  id INTEGER PRIMARY KEY, min_recorded_at INTEGER NOT NULL, max_recorded_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS audit_bucket (
  segment INTEGER NOT NULL, bucket INTEGER NOT NULL, postings BLOB NOT NULL, PRIMARY KEY (segment, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_idempotency_key (
  log INTEGER NOT NULL, key_hash BLOB NOT NULL, seq INTEGER NOT NULL, digest BLOB, PRIMARY KEY (log, key_hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_preference (
  tenant_id TEXT NOT NULL, env TEXT NOT NULL, user_id TEXT NOT NULL,
  training_allowed INTEGER NOT NULL CHECK (training_allowed IN (0, 1)), PRIMARY KEY (tenant_id, env, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_preference_version (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO audit_preference_version VALUES (1, 0);
CREATE TABLE IF NOT EXISTS audit_bundle (
  log INTEGER NOT NULL, idx INTEGER NOT NULL, commitments BLOB NOT NULL, PRIMARY KEY (log, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_subtree (
  log INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (log, level, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_checkpoint (
  log INTEGER NOT NULL, size INTEGER NOT NULL, key_id INTEGER NOT NULL, note TEXT NOT NULL, signed_at INTEGER NOT NULL,
  PRIMARY KEY (log, size, key_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_stop (log INTEGER PRIMARY KEY, detail TEXT NOT NULL, stopped_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_hold (
  id INTEGER PRIMARY KEY, log INTEGER NOT NULL, user_id TEXT, event_id BLOB, since INTEGER, before INTEGER,
  held_at INTEGER NOT NULL, name TEXT NOT NULL DEFAULT 'unnamed'
) STRICT;
CREATE INDEX IF NOT EXISTS audit_hold_of_log ON audit_hold (log);
CREATE TABLE IF NOT EXISTS audit_erasure (id INTEGER PRIMARY KEY, log INTEGER NOT NULL, erased_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_origin (
  log INTEGER NOT NULL, since INTEGER NOT NULL, origin TEXT NOT NULL UNIQUE, PRIMARY KEY (log, since)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_store (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO audit_store VALUES ('version', '3');
`

const stays = (table: string, what: string): ReadonlyArray<readonly [string, string]> => [
  [`${table}_stays`, `BEFORE DELETE ON ${table} BEGIN SELECT RAISE(ABORT, '${what}'); END`]
]
const isFinal = (table: string, what: string): ReadonlyArray<readonly [string, string]> => [
  [`${table}_is_final`, `BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, '${what}'); END`]
]
/** `REPLACE INTO` deletes without a delete trigger: a row that is there is looked for before one is inserted. */
const isNew = (table: string, same: string, what: string): ReadonlyArray<readonly [string, string]> => [[
  `${table}_is_new`,
  `BEFORE INSERT ON ${table} WHEN EXISTS (SELECT 1 FROM ${table} WHERE ${same}) BEGIN SELECT RAISE(ABORT, '${what}'); END`
]]

/** The guards by name: who changes the store by hand is told; verification says which are gone. */
const guards: ReadonlyMap<string, string> = new Map([
  ...isFinal("audit_log", "a log never changes"),
  ...stays("audit_log", "a log is never removed"),
  ...isNew(
    "audit_log",
    "id = NEW.id OR origin = NEW.origin OR (tenant_id = NEW.tenant_id AND env = NEW.env)",
    "a log is never replaced"
  ),
  [
    "audit_event_is_appended",
    "BEFORE INSERT ON audit_event WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit_event) " +
    "BEGIN SELECT RAISE(ABORT, 'events are only appended'); END"
  ],
  [
    "audit_event_is_final",
    "BEFORE UPDATE ON audit_event WHEN NOT (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND NEW.body IS NULL " +
    "AND NEW.salt IS NULL AND NEW.recorded_at IS NULL AND NEW.seq = OLD.seq AND NEW.log = OLD.log " +
    "AND NEW.position = OLD.position AND NEW.event_id = OLD.event_id AND NEW.commitment = OLD.commitment) " +
    "BEGIN SELECT RAISE(ABORT, 'an event never changes, except to be erased'); END"
  ],
  ...stays("audit_event", "an event is never removed"),
  [
    "audit_segment_is_due",
    "BEFORE INSERT ON audit_segment WHEN (NEW.id + 1) * 2048 > (SELECT coalesce(max(seq), 0) FROM audit_event) " +
    "BEGIN SELECT RAISE(ABORT, 'a segment follows its events'); END"
  ],
  ...stays("audit_segment", "a segment is never removed"),
  ...stays("audit_bucket", "a bucket is never removed"),
  ...isNew("audit_idempotency_key", "log = NEW.log AND key_hash = NEW.key_hash", "a key is never replaced"),
  [
    "audit_idempotency_key_is_final",
    "BEFORE UPDATE ON audit_idempotency_key WHEN NOT (NEW.log = OLD.log AND NEW.seq = OLD.seq AND NEW.digest IS NULL) " +
    "BEGIN SELECT RAISE(ABORT, 'a key never changes, except to be erased'); END"
  ],
  ...stays("audit_idempotency_key", "a key is never removed"),
  [
    "audit_preference_is_new",
    "AFTER INSERT ON audit_preference BEGIN UPDATE audit_preference_version SET version = version + 1; END"
  ],
  [
    "audit_preference_is_changed",
    "AFTER UPDATE ON audit_preference BEGIN UPDATE audit_preference_version SET version = version + 1; END"
  ],
  ...stays("audit_preference", "a preference is set anew, not removed"),
  [
    "audit_bundle_grows",
    "BEFORE UPDATE ON audit_bundle WHEN NOT (NEW.log = OLD.log AND NEW.idx = OLD.idx " +
    "AND substr(NEW.commitments, 1, length(OLD.commitments)) = OLD.commitments) " +
    "BEGIN SELECT RAISE(ABORT, 'entries never change'); END"
  ],
  ...isNew(
    "audit_bundle",
    "log = NEW.log AND idx = NEW.idx AND substr(NEW.commitments, 1, length(commitments)) <> commitments",
    "entries never change"
  ),
  ...stays("audit_bundle", "entries are never removed"),
  [
    "audit_subtree_is_due",
    "BEFORE INSERT ON audit_subtree WHEN CASE NEW.level WHEN 8 THEN NOT EXISTS (SELECT 1 FROM audit_bundle " +
    "WHERE log = NEW.log AND idx = NEW.idx AND length(commitments) = 8192) ELSE NOT EXISTS (SELECT 1 FROM audit_subtree " +
    "WHERE log = NEW.log AND level = NEW.level - 8 AND idx = NEW.idx * 256 + 255) END " +
    "BEGIN SELECT RAISE(ABORT, 'a subtree follows its entries'); END"
  ],
  ...isFinal("audit_subtree", "a subtree never changes"),
  ...stays("audit_subtree", "a subtree is never removed"),
  ...isNew("audit_subtree", "log = NEW.log AND level = NEW.level AND idx = NEW.idx", "a subtree is never replaced"),
  ...isFinal("audit_checkpoint", "a checkpoint never changes"),
  ...stays("audit_checkpoint", "a checkpoint is never removed"),
  ...isNew(
    "audit_checkpoint",
    "log = NEW.log AND size = NEW.size AND key_id = NEW.key_id",
    "a checkpoint is never replaced"
  ),
  ...isFinal("audit_erasure", "an erasure never changes"),
  ...stays("audit_erasure", "an erasure is never removed"),
  ...isFinal("audit_origin", "an origin never changes"),
  ...stays("audit_origin", "an origin is never removed"),
  ...isNew(
    "audit_origin",
    "origin = NEW.origin OR (log = NEW.log AND since >= NEW.since)",
    "an origin is never replaced"
  )
])

const sqlOf = ([name, rest]: readonly [string, string]): string => `CREATE TRIGGER ${name} ${rest}`

/**
 * What is wrong with a store beside its logs: guards that are gone or changed, and subtrees over entries that are not
 * there.
 */
export const problemsOf = (db: DatabaseSync): ReadonlyArray<Problem> => {
  // One of an older version, which is only read, has other guards.
  if (!hasTable(db, "audit_store")) return []
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all()
  const there = new Map(triggers.map((row) => [row["name"], row["sql"]]))
  const gone = [...guards].filter((guard) => there.get(guard[0]) !== sqlOf(guard)).map(([name]) =>
    ({ fault: "guard", detail: `the guard ${name} is not there as it was made` }) as const
  )
  const early = db.prepare(
    "SELECT level, idx FROM audit_subtree AS t WHERE CASE level WHEN 8 THEN NOT EXISTS (SELECT 1 FROM audit_bundle AS b " +
      "WHERE b.log = t.log AND b.idx = t.idx AND length(b.commitments) = 8192) ELSE NOT EXISTS (SELECT 1 FROM " +
      "audit_subtree AS b WHERE b.log = t.log AND b.level = t.level - 8 AND b.idx = t.idx * 256 + 255) END LIMIT 100"
  ).all().map((row) =>
    ({
      fault: "changed",
      detail:
        `the subtree of level ${integerOf(row, "level")} at index ${integerOf(row, "idx")} is over entries that are ` +
        "not in the store"
    }) as const
  )
  return [...gone, ...early]
}

const renamed = [
  "log",
  "event",
  "segment",
  "bucket",
  "idempotency_key",
  "preference",
  "preference_version",
  "bundle",
  "subtree",
  "checkpoint",
  "stop",
  "hold",
  "erasure"
]

/** Gives the tables of an older version their names; guards come anew. */
const rename = (db: DatabaseSync): void => {
  const old = renamed.filter((name) => hasTable(db, name))
  const triggers = db.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN (SELECT value FROM json_each(?))"
  )
  for (const row of triggers.all(JSON.stringify(old))) db.exec(`DROP TRIGGER "${stringOf(row, "name")}"`)
  for (const name of old) db.exec(`ALTER TABLE ${name} RENAME TO audit_${name}`)
  if (old.includes("hold")) {
    db.exec("ALTER TABLE audit_hold ADD COLUMN name TEXT NOT NULL DEFAULT 'unnamed'; DROP INDEX hold_of_log")
  }
}

const hasTable = (db: DatabaseSync, name: string): boolean =>
  db.prepare("SELECT 1 AS found FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined

const hasColumn = (db: DatabaseSync, table: string, column: string): boolean =>
  db.prepare("SELECT 1 AS found FROM pragma_table_info(?) WHERE name = ?").get(table, column) !== undefined

const pragma = (db: DatabaseSync, name: string): unknown => db.prepare(`PRAGMA ${name}`).get()?.[name]

/**
 * The version of the store in a database: 0 of a new file of ours, `undefined` where it has none. A newer release
 * names its version in the header of a file of ours.
 */
export const versionOf = (db: DatabaseSync): number | undefined => {
  const isOurs = pragma(db, "application_id") === applicationId
  const header = Number(pragma(db, "user_version"))
  if (isOurs && header > version) return header
  // A table of that name may be the application's.
  if (hasColumn(db, "audit_store", "value") && hasColumn(db, "audit_event", "commitment")) {
    return Number(stringOf(db.prepare("SELECT value FROM audit_store WHERE name = 'version'").get(), "value"))
  }
  return isOurs ? hasTable(db, "bundle") ? 2 : hasTable(db, "event") ? 1 : 0 : undefined
}

/** Why a database cannot be brought to the version of this release, if so. */
export const refusal = (db: DatabaseSync, from: number | undefined, adopt: boolean): string | undefined => {
  if (from === undefined && !adopt) return "it is a database, but not an audit store: open it once with adopt"
  if (from !== undefined && !(from <= version)) {
    return `it has version ${from}, newer than the ${version} of this release`
  }
  if (from !== undefined && from > 2) return undefined
  const taken = [...renamed, "origin", "store"].find((name) => hasTable(db, `audit_${name}`))
  return taken === undefined
    ? undefined
    : `it has a table audit_${taken} of its own and cannot be ${from === undefined ? "adopted" : "migrated"}: rename it`
}

/** Brings a store, or a database that gets one, to this version, from which segment on its index may say more; in the open transaction. */
export const migrate = (db: DatabaseSync, from: number): void => {
  if (from !== version) upgrade(db, from)
  db.prepare("INSERT OR IGNORE INTO audit_store VALUES (?, (SELECT count(*) FROM audit_segment))")
    .run(`segments ${indexVersion}`)
}

const upgrade = (db: DatabaseSync, from: number): void => {
  if (from > 0) rename(db)
  db.exec(tables)
  if (from === 1) growTrees(db)
  for (const guard of guards) db.exec(sqlOf(guard))
  // An older release looks at the header alone.
  if (pragma(db, "application_id") === applicationId) db.exec(`PRAGMA user_version = ${version}`)
}

/** Why a file cannot be read, if so: reading never migrates. */
export const unreadable = (db: DatabaseSync, filename: string): AuditReason | undefined => {
  const found = versionOf(db)
  if (found === 2) readSecond(db)
  if (found === version || found === 2) return undefined
  const detail = found === 1
    ? `${filename} has version 1, and no tree yet: open it for writing once, which migrates it`
    : `${filename}: ${refusal(db, found, false) ?? "it has no tables yet"}`
  return new SinkRejected({ detail })
}

/** Names of the third version for what a store of the second has: so one that is only read need not change. */
const readSecond = (db: DatabaseSync): void => {
  for (const name of renamed) {
    db.exec(
      `CREATE TEMP VIEW audit_${name} AS SELECT *${name === "hold" ? ", 'unnamed' AS name" : ""} FROM main.${name}`
    )
  }
  db.exec("CREATE TEMP VIEW audit_store AS SELECT '' AS name, '' AS value WHERE 0")
  db.exec("CREATE TEMP VIEW audit_origin AS SELECT 0 AS log, 0 AS since, '' AS origin WHERE 0")
}
