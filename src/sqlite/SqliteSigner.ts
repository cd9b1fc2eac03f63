/**
 * Signs checkpoints, and never two that contradict each other.
 *
 * The signer's state is a SQLite file of its own, beside the store: for each origin the last head that was signed. It is
 * written and synced before a signature leaves the process, and a tree that does not extend it is not signed: so a store that
 * was restored from a backup does not sign its own fork.
 *
 * **Gotchas**
 *
 * Keep the state where a restored backup of the store does not take it back as well. A lost state refuses to sign, unless
 * told that this is a new signer.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AuditError, IntegrityError, type IntegrityReason, SignerRefused } from "../AuditError.ts"
import { type Checkpoint, sign } from "../ledger/Checkpoint.ts"
import { isOrigin, type SigningKey } from "../ledger/SigningKey.ts"
import { createFile, identityOf, isOpenHere, isRegularFile } from "./file.ts"
import { isBusy, Problem, sqliteReason } from "./problem.ts"
import { blobOf, integerOf } from "./row.ts"
import { backoff } from "./SqliteClient.ts"
import type { Head } from "./tree.ts"

/** How to sign. */
export interface Options {
  readonly key: SigningKey
  /** Path of the file with the signer's state. */
  readonly state: string
  /** Whether the state may be made anew: nothing was signed by this key before. Not unless given. */
  readonly newSigner?: boolean | undefined
}

/** Signs the checkpoints of logs. */
export class SqliteSigner extends Context.Service<SqliteSigner, {
  /** The signer's verifier key: checks every log. */
  readonly vkey: string
  /** The id of the key under an origin. */
  readonly keyIdOf: (origin: string) => number
  /** The last head that was signed of an origin. */
  readonly lastHead: (origin: string) => Head | undefined
  /**
   * Signs the head of a log, which `read` answers from the store, or why it does not extend the last signed one. It is read
   * while the signer's state is locked: so a head that another process signs meanwhile is not taken for a fork. The head is
   * durable in the signer's state before the note is answered.
   */
  readonly sign: (
    origin: string,
    read: (last: Head | undefined) => Head | IntegrityReason
  ) => Effect.Effect<{ readonly checkpoint: Checkpoint; readonly note: string }, AuditError | IntegrityError>
}>()("effect-audit/sqlite/SqliteSigner") {}

const method = "SqliteSigner"
/** How long to wait for another process's lock. */
const deadlineMillis = 5000
/** "EfAs" in ASCII: marks a file as a signer's state. */
const applicationId = 0x45664173

const refuse = (detail: string, cause?: unknown) =>
  new AuditError({ method, reason: new SignerRefused(cause === undefined ? { detail } : { detail, cause }) })

const prepare = (db: DatabaseSync, path: string, newSigner: boolean): void => {
  db.exec("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE")
  try {
    const found = Object.values(db.prepare("PRAGMA application_id").get() ?? {})[0]
    const tables = integerOf(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get(), "n")
    if (tables === 0) {
      if (!newSigner) throw refuse(`the signer's state ${path} is empty: bring the last one back, or say --new-signer`)
      db.exec(`PRAGMA application_id = ${applicationId};
CREATE TABLE signed (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID`)
    } else if (found !== applicationId) throw refuse(`${path} is not the state of a signer`)
    db.exec("COMMIT")
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK")
  }
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
}

const open = (path: string, newSigner: boolean) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const found = isRegularFile(path)
      if (found === undefined && !newSigner) {
        return Effect.fail(
          refuse(
            `there is no signer's state at ${path}. If it was lost, bring it back; a key that has signed nothing yet needs newSigner (--new-signer)`
          )
        )
      }
      if (found === false) return Effect.fail(refuse(`the signer's state ${path} is not a regular file`))
      return untilFree(() => {
        if (isRegularFile(path) === undefined) createFile(path)
        const db = new DatabaseSync(path, { timeout: 0 })
        try {
          prepare(db, path, newSigner)
          return db
        } catch (cause) {
          db.close()
          throw cause
        }
      }, path)
    }),
    (db) => Effect.sync(() => db.close())
  )

/** Retries what another process's lock prevents, on a timer. */
const untilFree = <A>(evaluate: () => A, path: string): Effect.Effect<A, AuditError> =>
  Effect.flatMap(Clock.currentTimeMillis, (started) => {
    const go = (tries: number): Effect.Effect<A, AuditError> =>
      Effect.suspend(() => {
        try {
          return Effect.succeed(evaluate())
        } catch (cause) {
          if (cause instanceof AuditError) return Effect.fail(cause)
          const failed = Effect.fail(
            refuse(sqliteReason(cause, `the signer's state ${path} cannot be used`).message, new Problem({ cause }))
          )
          if (!isBusy(cause)) return failed
          return Effect.flatMap(Clock.currentTimeMillis, (now) =>
            now - started > deadlineMillis
              ? failed
              : Effect.andThen(Effect.sleep(backoff(tries)), go(tries + 1)))
        }
      })
    return go(0)
  })

/** Opens a signer's state; closes it with its scope. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SqliteSigner["Service"], AuditError, Scope.Scope> {
  const { key } = options
  const path = resolve(options.state)
  const db = yield* open(path, options.newSigner === true)
  const identity = identityOf(path)
  const select = db.prepare("SELECT size, root FROM signed WHERE origin = ?")
  const upsert = db.prepare(
    "INSERT INTO signed (origin, size, root) VALUES (?, ?, ?) " +
      "ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root"
  )
  const lastHead = (origin: string): Head | undefined => {
    const row = select.get(origin)
    const size = integerOf(row, "size")
    const root = blobOf(row, "root")
    return size === undefined || root === undefined ? undefined : { size, root }
  }

  /** Writes the head down, if it extends the last one. */
  const advance = (origin: string, read: (last: Head | undefined) => Head | IntegrityReason) => {
    if (identity === undefined || !isOpenHere(path, identity)) {
      throw refuse(`the signer's state ${path} was removed or replaced while it was open`)
    }
    // What is signed begins with the origin: lines in it would be signed as another size and root.
    if (!isOrigin(origin)) throw refuse("the log's origin is not the origin of a log: someone changed it in the store")
    db.exec("BEGIN IMMEDIATE")
    try {
      const head = read(lastHead(origin))
      if ("root" in head) {
        upsert.run(origin, head.size, head.root)
        db.exec("COMMIT")
      }
      return head
    } finally {
      if (db.isTransaction) db.exec("ROLLBACK")
    }
  }
  return SqliteSigner.of({
    vkey: key.vkey,
    keyIdOf: (origin) => key.signerOf(origin).keyId,
    lastHead,
    sign: (origin, read) =>
      Effect.flatMap(untilFree(() => advance(origin, read), path), (head) => {
        if (!("root" in head)) return Effect.fail(new IntegrityError({ method: "Ledger.checkpoint", reason: head }))
        const checkpoint: Checkpoint = { origin, size: head.size, root: head.root, extensions: [] }
        return Effect.sync(() => ({ checkpoint, note: sign(checkpoint, key.signerOf(origin)) }))
      })
  })
})

/** A signer with its state in a file. */
export const layer = (options: Options): Layer.Layer<SqliteSigner, AuditError> =>
  Layer.effect(SqliteSigner, make(options))
