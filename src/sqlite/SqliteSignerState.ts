/**
 * The state of a signer in a SQLite file of its own, beside the store.
 *
 * For each origin the last head that was signed, written and synced before a signature leaves the process. Several
 * processes may share the file.
 *
 * **Gotchas**
 *
 * Keep the file where a restored backup of the store does not take it back as well.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AuditError, SignerRefused } from "../AuditError.ts"
import { createMissing, type FileIdentity, identityOf, isOpenHere, isRegularFile } from "../internal/files.ts"
import { blobOf, integerOf, stringOf } from "../internal/row.ts"
import type { Head } from "../ledger/extends.ts"
import { ended, type SignedOrigin, SignerState } from "../ledger/Signer.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { SignedHeads } from "./connection.ts"
import { attempt, type Problem, sqliteReason, untilFree } from "./problem.ts"

/** Where the state is. */
export interface Options {
  /** Path of the file. */
  readonly state: string
  /** Whether the state may be made anew: nothing was signed by this key before. Not unless given. */
  readonly newSigner?: boolean | undefined
}

const method = "SignerState"
/** How long to wait for another process's lock. */
const deadlineMillis = 5000
/** "EfAs" in ASCII: marks a file as a signer's state. */
const applicationId = 0x45664173

const refuse = (detail: string, cause?: unknown) =>
  new AuditError({ method, reason: new SignerRefused(cause === undefined ? { detail } : { detail, cause }) })

/** Whether the names of logs are kept: the first release did not. */
const hasNames = (db: DatabaseSync): boolean =>
  db.prepare("SELECT 1 AS found FROM pragma_table_info('signed') WHERE name = 'env'").get() !== undefined

const readOrigins = (db: DatabaseSync): ReadonlyArray<SignedOrigin> =>
  db.prepare(
    `SELECT *${hasNames(db) ? "" : ", NULL AS tenant_id, NULL AS env, 0 AS ended"} FROM signed ORDER BY origin`
  ).all()
    .map((row) => {
      const [tenantId, env] = [stringOf(row, "tenant_id"), stringOf(row, "env")]
      return {
        origin: stringOf(row, "origin") ?? "",
        name: tenantId === undefined || env === undefined ? undefined : {
          tenantId: TenantId.make(tenantId, { disableChecks: true }),
          env: Env.make(env, { disableChecks: true })
        },
        head: { size: integerOf(row, "size") ?? -1, root: blobOf(row, "root") ?? new Uint8Array(0) },
        isEnded: row["ended"] === 1
      }
    })

const prepare = (db: DatabaseSync, path: string, newSigner: boolean): void => {
  db.exec("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE")
  try {
    const found = Object.values(db.prepare("PRAGMA application_id").get() ?? {})[0]
    const tables = integerOf(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get(), "n")
    if (tables === 0) {
      if (!newSigner) {
        throw refuse(`the signer's state ${path} is empty: bring the last one back, or make it anew for a new signer`)
      }
      db.exec(`PRAGMA application_id = ${applicationId};
CREATE TABLE signed (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID`)
    } else if (found !== applicationId) throw refuse(`${path} is not the state of a signer`)
    if (!hasNames(db)) {
      db.exec("ALTER TABLE signed ADD COLUMN tenant_id TEXT; ALTER TABLE signed ADD COLUMN env TEXT")
      db.exec("ALTER TABLE signed ADD COLUMN ended INTEGER NOT NULL DEFAULT 0")
    }
    db.exec("COMMIT")
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK")
  }
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
}

const openDatabase = (path: string, newSigner: boolean): DatabaseSync => {
  if (isRegularFile(path) === undefined) createMissing(path)
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    prepare(db, path, newSigner)
    return db
  } catch (cause) {
    db.close()
    throw cause
  }
}

const failing = (path: string) => (problem: Problem): AuditError =>
  problem.cause instanceof AuditError
    ? problem.cause
    : refuse(sqliteReason(problem.cause, `the signer's state ${path} cannot be used`).message, problem)

/** Runs a step once no other process holds the lock. */
const doing = <A>(path: string, step: () => A): Effect.Effect<A, AuditError> =>
  Effect.mapError(untilFree(attempt(step), deadlineMillis), failing(path))

/** Why there is no state to open at a path, if so. */
const problemOf = (path: string, newSigner: boolean): AuditError | undefined => {
  const found = isRegularFile(path)
  if (found === false) return refuse(`the signer's state ${path} is not a regular file`)
  return found === true || newSigner ? undefined : refuse(
    `there is no signer's state at ${path}: bring the last one back, or make one for a key that has signed nothing yet`
  )
}

const isSame = (a: Head | undefined, b: Head | undefined): boolean =>
  a === undefined || b === undefined ? a === b : a.size === b.size && Buffer.compare(a.root, b.root) === 0

/** The rows of an open state. */
class Signed {
  private readonly db: DatabaseSync
  private readonly path: string
  private readonly identity: FileIdentity | undefined

  constructor(db: DatabaseSync, path: string) {
    this.db = db
    this.path = path
    this.identity = identityOf(path)
  }

  /** Fails where the file is not the one that was opened: what is signed would be written nowhere. */
  checkPresent(): void {
    if (this.identity === undefined || !isOpenHere(this.path, this.identity)) {
      throw refuse(`the signer's state ${this.path} was removed or replaced while it was open`)
    }
  }

  last(origin: string): Head | undefined {
    const row = this.db.prepare("SELECT size, root FROM signed WHERE origin = ?").get(origin)
    const size = integerOf(row, "size")
    const root = blobOf(row, "root")
    return size === undefined || root === undefined ? undefined : { size, root }
  }

  end(origin: string, { root, size }: Head, { env, tenantId }: LogName): void {
    this.checkPresent()
    this.db.prepare(
      "INSERT INTO signed (origin, size, root, tenant_id, env, ended) VALUES (?, ?, ?, ?, ?, 1) " +
        "ON CONFLICT (origin) DO UPDATE SET ended = 1"
    ).run(origin, size, root, tenantId, env)
  }

  advance(origin: string, from: Head | undefined, to: Head, name: LogName | undefined): boolean {
    this.checkPresent()
    this.db.exec("BEGIN IMMEDIATE")
    try {
      const isEnded = this.db.prepare("SELECT 1 AS found FROM signed WHERE origin = ? AND ended = 1").get(origin)
      if (isEnded !== undefined) throw ended(origin)
      if (!isSame(this.last(origin), from)) return false
      this.db.prepare(
        "INSERT INTO signed (origin, size, root, tenant_id, env) VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) " +
          "DO UPDATE SET size = excluded.size, root = excluded.root, " +
          "tenant_id = coalesce(excluded.tenant_id, tenant_id), env = coalesce(excluded.env, env)"
      ).run(origin, to.size, to.root, name?.tenantId ?? null, name?.env ?? null)
      this.db.exec("COMMIT")
      return true
    } finally {
      if (this.db.isTransaction) this.db.exec("ROLLBACK")
    }
  }
}

/** A signer's state in a file. A sink that is built over this layer refuses logs that do not extend what was signed. */
export const layer = ({ newSigner = false, state }: Options): Layer.Layer<SignerState, AuditError> =>
  Layer.effectContext(Effect.gen(function*() {
    const path = resolve(state)
    const problem = problemOf(path, newSigner)
    if (problem !== undefined) return yield* problem
    const db = yield* Effect.acquireRelease(
      doing(path, () => openDatabase(path, newSigner)),
      (db) => Effect.sync(() => db.close())
    )
    const signed = new Signed(db, path)
    const service = SignerState.of({
      isNew: newSigner,
      origins: doing(path, () => readOrigins(db)),
      last: (origin) => doing(path, () => signed.last(origin)),
      end: (origin, head, name) => doing(path, () => signed.end(origin, head, name)),
      advance: (origin, from, to, name) => doing(path, () => signed.advance(origin, from, to, name))
    })
    return Context.make(SignerState, service).pipe(Context.add(SignedHeads, (origin) => signed.last(origin)))
  }))

/** What a state says that was signed; the file is opened for reading only. */
export const read = (state: string): Effect.Effect<ReadonlyArray<SignedOrigin>, AuditError> =>
  Effect.suspend(() => {
    const problem = problemOf(state, false)
    return problem === undefined
      ? Effect.scoped(Effect.flatMap(
        Effect.acquireRelease(
          doing(state, () => new DatabaseSync(state, { readOnly: true })),
          (db) => Effect.sync(() => db.close())
        ),
        (db) => doing(state, () => readOrigins(db))
      ))
      : Effect.fail(problem)
  })

/** The state of a store whose signer is elsewhere: nothing can be signed with it. */
export const layerNone: Layer.Layer<SignerState> = Layer.succeed(SignerState, {
  origins: Effect.succeed([]),
  end: () => Effect.void,
  last: () => Effect.undefined,
  advance: () => Effect.fail(refuse("this store was opened without a signer's state"))
})
