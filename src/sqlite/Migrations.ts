/**
 * The tables of an audit store in SQLite.
 *
 * - `log`: one row per tenant and env, with its opaque origin.
 * - `event`: one row per event of all logs, in the order of storing. Append-only: triggers refuse every change but erasure,
 *   which takes body, salt and time away and leaves the commitment.
 * - `segment`, `bucket`: the search index. It follows the commits in runs of 2,048 rows (see `terms.ts`).
 * - `idempotency_key`: hashed keys, with a hash of what they were used for.
 * - `preference`: opt-outs of tenants (`user_id` empty) and persons; `preference_version` counts their changes.
 *
 * SQLite's own header fields mark the file: `application_id` says that it is ours, `user_version` which version.
 *
 * @since 0.1.0
 */

/** "EfAu" in ASCII: marks a file as an audit store. */
export const applicationId = 0x45664175

/** Rows that share one segment of the search index. */
export const segmentRows = 2048

/** Versions in order; each runs once, in one transaction with all that a file still lacks. */
export const migrations: ReadonlyArray<string> = [
  `
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
]
