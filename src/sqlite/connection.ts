/**
 * One open SQLite file: the connection that writes, its lock, and a connection that reads.
 *
 * Waiting for another process's lock is done on a timer, outside SQLite, so that the event loop never blocks on it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AuditError, type AuditReason, InvalidInput, SinkRejected } from "../AuditError.ts"
import { Entropy } from "../internal/entropy.ts"
import { type FileIdentity, FileWatch, readingOf, releaseFile, strangerOf } from "../internal/files.ts"
import type { Head } from "../ledger/extends.ts"
import { EventTable } from "./eventTable.ts"
import { addressOf, checkFile, type Options, type ReadOptions } from "./file.ts"
import { applicationId, migrate, refusal, unreadable, versionOf } from "./Migrations.ts"
import { attempt, type Problem, sqliteReason, untilFree } from "./problem.ts"

/** A transaction of the application's client that is open now. */
export interface Transaction {
  /** Tells one transaction from another. */
  readonly connection: object
  /** Whether no savepoint is open below the place of the context that asks. */
  readonly innermost: boolean
}

/** What is known of signed heads where there is no signer. */
export const noHead = (_origin: string): Head | undefined => undefined

/**
 * The last head that was signed of an origin; none where no signer is known. A log that does not
 * extend it takes no events.
 */
export const SignedHeads = Context.Reference<(origin: string) => Head | undefined>("effect-audit/sqlite/SignedHeads", {
  defaultValue: () => noHead
})

/** What the parts of the store share; users see none of it. */
export interface Connection {
  readonly filename: string
  readonly identity: FileIdentity
  /** How long to wait for another process's lock, in milliseconds. */
  readonly deadlineMillis: number
  /** The connection that writes. Used inside `exclusively`, or inside the transaction that `transactionOf` reports. */
  readonly writer: DatabaseSync
  /** A connection that only reads, and sees what is committed. */
  readonly reader: DatabaseSync
  /** The events of `writer`; one for all parts, which would not hear of each other's rows otherwise. */
  readonly table: EventTable
  /** Guards `writer`: one user at a time. */
  readonly semaphore: Semaphore.Semaphore
  /** Why the open file is not the one at its path any more, if so. What is said may be as old as `withinMillis`. */
  readonly gone: (withinMillis?: number | undefined) => AuditReason | undefined
}

/** What reading needs of it. */
export type OpenReader = Pick<Connection, "filename" | "deadlineMillis" | "reader" | "gone">

/** What `SqliteClient` adds to it: the application's transactions. */
export interface ClientConnection extends Connection {
  /** Runs an effect while no one else uses the connection that writes. */
  readonly exclusively: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The transaction that is open now, whoever's it is. */
  readonly openTransaction: () => object | undefined
  /** The transaction that the context carries, if it is open now. */
  readonly transactionOf: (context: Context.Context<never>) => Transaction | undefined
  /** Whether SQLite ended the transaction that the context carries before its effect did. */
  readonly isLost: (context: Context.Context<never>) => boolean
  /**
   * Runs an effect in a transaction of the application's client. A failed `BEGIN` is an error of the store; a failed
   * `COMMIT` may be of unknown outcome.
   */
  readonly transact: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AuditError, R>
  /** Runs an effect once the transaction that the fiber carries has committed. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
}

const connections = new WeakMap<object, ClientConnection>()

/** Remembers what an open file has out of sight of its users. */
export const connect = <File extends object>(file: File, connection: ClientConnection): File => {
  connections.set(file, connection)
  return file
}

/** What an open file has out of sight of its users. */
export const connectionOf = (file: object): ClientConnection => {
  const connection = connections.get(file)
  if (connection === undefined) throw new TypeError("a SqliteClient is made by SqliteClient.layer alone")
  return connection
}

const fail = (reason: AuditReason) => new AuditError({ method: "SqliteClient.open", reason })

const refusing = (filename: string) => (problem: Problem) =>
  fail(sqliteReason(problem.cause, `cannot open ${filename}`))

const prepareFile = (db: DatabaseSync) => {
  db.exec("PRAGMA busy_timeout = 0; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16384")
  // The first write marks the file as ours, in one rollback-journal transaction: killed here, it is empty or ours. What
  // was not empty is so now where that transaction was rolled back.
  if (db.prepare("PRAGMA page_count").get()?.["page_count"] === 0) {
    db.exec(`PRAGMA page_size = 8192; PRAGMA application_id = ${applicationId}`)
  }
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000")
}

/** A further connection that writes to a file that is open for writing. It waits for a lock here, and not later. */
export const openBeside = (filename: string, timeout: number): DatabaseSync => {
  const db = new DatabaseSync(addressOf(filename), { timeout })
  db.exec("SELECT 1 FROM audit_log LIMIT 1")
  prepareFile(db)
  return db
}

const upgrade = (db: DatabaseSync, adopt: boolean): AuditReason | undefined => {
  db.exec("BEGIN IMMEDIATE")
  try {
    const version = versionOf(db)
    const detail = refusal(db, version, adopt)
    if (detail !== undefined) return new SinkRejected({ detail })
    migrate(db, version ?? 0)
    db.exec("COMMIT")
    return undefined
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK")
  }
}

/** A database that is closed with the scope. */
const opening = (open: () => DatabaseSync, refuse: (problem: Problem) => AuditError, deadlineMillis: number) =>
  Effect.acquireRelease(
    Effect.mapError(untilFree(attempt(open), deadlineMillis), refuse),
    (db) => Effect.sync(() => db.close())
  )

/** Path and deadline; absolute, since the process may change its folder later. */
const placeOf = ({ deadline = "5 seconds", filename }: Options) => {
  const duration = Duration.fromInput(deadline)
  return Option.isSome(duration)
    ? Effect.succeed({
      filename: filename === "" ? "" : resolve(filename),
      deadlineMillis: Duration.toMillis(duration.value)
    })
    : Effect.fail(fail(new InvalidInput({ path: "/deadline", detail: "is no duration such as \"5 seconds\"" })))
}

/** A file that was looked at, and is known to be open here until the scope closes. */
const checking = (
  filename: string,
  options: { readonly adopt: boolean; readonly mustExist: boolean },
  deadlineMillis: number
) =>
  Effect.acquireRelease(
    untilFree(attempt(() => checkFile(filename, options)), deadlineMillis).pipe(
      Effect.mapError(refusing(filename)),
      Effect.flatMap((checked) => "reason" in checked ? Effect.fail(fail(checked.reason)) : Effect.succeed(checked))
    ),
    ({ identity }) => Effect.sync(() => releaseFile(identity))
  )

const openWriter = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  { readonly db: DatabaseSync; readonly identity: FileIdentity },
  AuditError,
  Scope.Scope
> {
  const { adopt = false, mustExist = false } = options
  const { deadlineMillis, filename } = yield* placeOf(options)
  const found = yield* checking(filename, { adopt, mustExist }, deadlineMillis)
  const refuse = refusing(filename)
  const waiting = <A>(evaluate: () => A) => Effect.mapError(untilFree(attempt(evaluate), deadlineMillis), refuse)
  const db = yield* opening(() => new DatabaseSync(addressOf(filename), { timeout: 0 }), refuse, deadlineMillis)
  yield* waiting(() => prepareFile(db))
  const refused = yield* waiting(() => upgrade(db, adopt))
  if (refused !== undefined) return yield* fail(refused)
  return { db, identity: found.identity }
})

/** Opens a file for writing and reading; migrates it where it must. */
export const open = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Connection, AuditError, Scope.Scope> {
  const { deadlineMillis, filename } = yield* placeOf(options)
  const { db, identity } = yield* openWriter(options)
  const reader = yield* opening(
    () => {
      const reader = new DatabaseSync(addressOf(filename), { timeout: 0 })
      reader.exec(
        "PRAGMA query_only = ON; PRAGMA busy_timeout = 0; PRAGMA cache_size = -32768; SELECT 1 FROM audit_log LIMIT 1"
      )
      return reader
    },
    (problem) => fail(sqliteReason(problem.cause, `cannot read ${filename}`)),
    deadlineMillis
  )
  const watch = new FileWatch(filename, identity, yield* Clock.Clock)
  const entropy = yield* Entropy
  const table = yield* Effect.mapError(attempt(() => new EventTable(db, entropy)), refusing(filename))
  return {
    filename,
    identity,
    deadlineMillis,
    writer: db,
    reader,
    table,
    semaphore: yield* Semaphore.make(1),
    gone: (withinMillis) => watch.gone(withinMillis)
  }
})

/** A connection of its own that only reads, and never migrates; for as long as the scope. */
export const connectReader = (filename: string, deadlineMillis: number) =>
  opening(
    () => {
      const db = new DatabaseSync(addressOf(filename, readingOf(filename)), { timeout: 0, readOnly: true })
      db.exec("PRAGMA busy_timeout = 0; PRAGMA cache_size = -16384")
      return db
    },
    (problem) => fail(sqliteReason(problem.cause, `cannot read ${filename}`)),
    deadlineMillis
  )

/** Opens a file, which must exist, for reading only. */
export const openReader = Effect.fnUntraced(function*(
  options: ReadOptions
): Effect.fn.Return<OpenReader, AuditError, Scope.Scope> {
  const { deadlineMillis, filename } = yield* placeOf(options)
  const { identity } = yield* checking(filename, { adopt: false, mustExist: true }, deadlineMillis)
  const stranger = strangerOf(filename)
  if (stranger !== undefined) return yield* fail(stranger)
  const reader = yield* connectReader(filename, deadlineMillis)
  const problem = yield* Effect.mapError(attempt(() => unreadable(reader, filename)), refusing(filename))
  if (problem !== undefined) return yield* fail(problem)
  const watch = new FileWatch(filename, identity, yield* Clock.Clock)
  return { filename, deadlineMillis, reader, gone: (withinMillis) => watch.gone(withinMillis) }
})

/** What is asked of a file that is open for reading only, and would change it. */
export const readOnly = (method: string, { filename }: OpenReader): Effect.Effect<never, AuditError> => {
  const reason = new SinkRejected({ detail: `${filename} is open for reading only` })
  return Effect.fail(new AuditError({ method, reason }))
}
