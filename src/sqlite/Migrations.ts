/**
 * The tables of an audit store in SQLite.
 *
 * - `log`: one row per tenant and env, with its opaque origin.
 * - `event`: one row per event of all logs, in the order of storing. Append-only: triggers refuse every change but
 *   erasure, which takes body, salt and time away and leaves the commitment.
 * - `segment`, `bucket`: the search index. It follows the commits in runs of 2,048 rows (see `terms.ts`).
 * - `idempotency_key`: hashed keys, with a hash of what they were used for.
 * - `bundle`, `subtree`: the Merkle tree of each log. A bundle has the commitments of 256 entries that follow each
 *   other (the last of a log may have fewer); a subtree row the hash over a completed run of 256 hashes of the level
 *   below: level 8 over the leaf hashes of a bundle, level 16 over 256 hashes of level 8, and so on.
 * - `checkpoint`: signed tree heads. `stop`: logs that take no more events, and why.
 * - `hold`: legal holds that are in force. `erasure`: counts transactions that erased.
 * - `preference`: opt-outs of tenants (`user_id` empty) and persons; `preference_version` counts their changes.
 *
 * SQLite's own header fields mark the file: `application_id` says that it is ours, `user_version` which version.
 *
 * @since 0.1.0
 */
import type { DatabaseSync } from "node:sqlite"
import { growTrees } from "./growTrees.ts"

/** "EfAu" in ASCII: marks a file as an audit store. */
export const applicationId = 0x45664175

const events = `
CREATE TABLE log (
  id INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  env TEXT NOT NULL,
  origin TEXT NOT NULL UNIQUE,
  UNIQUE (tenant_id, env)
) STRICT;
CREATE TRIGGER log_is_final BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'a log never changes'); END;
CREATE TRIGGER log_stays BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'a log is never removed'); END;
CREATE TRIGGER log_is_new BEFORE INSERT ON log
WHEN EXISTS (
  SELECT 1 FROM log WHERE id = NEW.id OR origin = NEW.origin OR (tenant_id = NEW.tenant_id AND env = NEW.env)
)
BEGIN SELECT RAISE(ABORT, 'a log is never replaced'); END;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  position INTEGER NOT NULL,
  recorded_at INTEGER,
  erased_at INTEGER,
  event_id BLOB NOT NULL,
  commitment BLOB NOT NULL,
  salt BLOB,
  body BLOB
) STRICT;
CREATE TRIGGER event_is_appended BEFORE INSERT ON event
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM event)
BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event
WHEN NOT (
  OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND NEW.body IS NULL AND NEW.salt IS NULL AND NEW.recorded_at IS NULL
  AND NEW.seq = OLD.seq AND NEW.log = OLD.log AND NEW.position = OLD.position AND NEW.event_id = OLD.event_id
  AND NEW.commitment = OLD.commitment
)
BEGIN SELECT RAISE(ABORT, 'an event never changes, except to be erased'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'an event is never removed'); END;

CREATE TABLE segment (
  id INTEGER PRIMARY KEY,
  min_recorded_at INTEGER NOT NULL,
  max_recorded_at INTEGER NOT NULL
) STRICT;
CREATE TABLE bucket (
  segment INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  postings BLOB NOT NULL,
  PRIMARY KEY (segment, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_key (
  log INTEGER NOT NULL,
  key_hash BLOB NOT NULL,
  seq INTEGER NOT NULL,
  digest BLOB,
  PRIMARY KEY (log, key_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE preference (
  tenant_id TEXT NOT NULL,
  env TEXT NOT NULL,
  user_id TEXT NOT NULL,
  training_allowed INTEGER NOT NULL CHECK (training_allowed IN (0, 1)),
  PRIMARY KEY (tenant_id, env, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE preference_version (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO preference_version VALUES (1, 0);
CREATE TRIGGER preference_is_new AFTER INSERT ON preference
BEGIN UPDATE preference_version SET version = version + 1; END;
CREATE TRIGGER preference_is_changed AFTER UPDATE ON preference
BEGIN UPDATE preference_version SET version = version + 1; END;
`

const ledger = `
CREATE TABLE bundle (
  log INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  commitments BLOB NOT NULL,
  PRIMARY KEY (log, idx)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER bundle_grows BEFORE UPDATE ON bundle
WHEN NOT (
  NEW.log = OLD.log AND NEW.idx = OLD.idx
  AND substr(NEW.commitments, 1, length(OLD.commitments)) = OLD.commitments
)
BEGIN SELECT RAISE(ABORT, 'entries never change'); END;
CREATE TRIGGER bundle_stays BEFORE DELETE ON bundle BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;

CREATE TABLE subtree (
  log INTEGER NOT NULL,
  level INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (log, level, idx)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER subtree_is_final BEFORE UPDATE ON subtree BEGIN SELECT RAISE(ABORT, 'a subtree never changes'); END;
CREATE TRIGGER subtree_stays BEFORE DELETE ON subtree BEGIN SELECT RAISE(ABORT, 'a subtree is never removed'); END;
CREATE TRIGGER subtree_is_new BEFORE INSERT ON subtree
WHEN EXISTS (SELECT 1 FROM subtree WHERE log = NEW.log AND level = NEW.level AND idx = NEW.idx)
BEGIN SELECT RAISE(ABORT, 'a subtree is never replaced'); END;

CREATE TABLE checkpoint (
  log INTEGER NOT NULL,
  size INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  note TEXT NOT NULL,
  signed_at INTEGER NOT NULL,
  PRIMARY KEY (log, size, key_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER checkpoint_is_final BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'a checkpoint never changes'); END;
CREATE TRIGGER checkpoint_stays BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'a checkpoint is never removed'); END;
CREATE TRIGGER checkpoint_is_new BEFORE INSERT ON checkpoint
WHEN EXISTS (SELECT 1 FROM checkpoint WHERE log = NEW.log AND size = NEW.size AND key_id = NEW.key_id)
BEGIN SELECT RAISE(ABORT, 'a checkpoint is never replaced'); END;

CREATE TABLE stop (log INTEGER PRIMARY KEY, detail TEXT NOT NULL, stopped_at INTEGER NOT NULL) STRICT;

CREATE TABLE hold (
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  user_id TEXT,
  event_id BLOB,
  since INTEGER,
  before INTEGER,
  held_at INTEGER NOT NULL
) STRICT;
CREATE INDEX hold_of_log ON hold (log);
CREATE TABLE erasure (id INTEGER PRIMARY KEY, log INTEGER NOT NULL, erased_at INTEGER NOT NULL) STRICT;
`

/**
 * Versions in order; each runs once, in one transaction with all that a file still lacks. `after` does what SQL cannot.
 */
export const migrations: ReadonlyArray<{ readonly sql: string; readonly after?: (db: DatabaseSync) => void }> = [
  { sql: events },
  { sql: ledger, after: growTrees }
]
