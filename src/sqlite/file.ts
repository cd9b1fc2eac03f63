/** Looks at a file before SQLite does. */
import type * as Duration from "effect/Duration"
import { lstatSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { type AuditReason, NotFound, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import { createFile, errno, type FileIdentity, holdFile, isHeld } from "../internal/files.ts"
import { applicationId, refusal, version, versionOf } from "./Migrations.ts"
import { errorCode, isBusy } from "./problem.ts"

/** How to open a store. */
export interface Options {
  /** Path of the file; created if it is missing. */
  readonly filename: string
  /** How long to wait for another process's lock, and of a closing sink; 5 seconds unless given. */
  readonly deadline?: Duration.Input | undefined
  /** Whether a database of your own, without an audit store yet, may become one as well. Not unless given. */
  readonly adopt?: boolean | undefined
  /** Whether a missing file is an error. Not unless given. */
  readonly mustExist?: boolean | undefined
}

type Checked = { readonly identity: FileIdentity; readonly fresh: boolean } | { readonly reason: AuditReason }

/** Creates a missing file with mode 0600; refuses what is not a store of ours without touching it; throws if locked. */
export const checkFile = (
  path: string,
  options: { readonly adopt: boolean; readonly mustExist: boolean }
): Checked => {
  if (path === "" || /(^|\/)(:memory:$|file:)/.test(path)) {
    return { reason: new SinkRejected({ detail: "filename must be the path of a file" }) }
  }
  try {
    return check(path, options)
  } catch (cause) {
    if (isBusy(cause)) throw cause
    return { reason: new SinkUnavailable({ detail: `cannot open ${path}: ${errno(cause)}`, cause }) }
  }
}

const check = (path: string, options: { readonly adopt: boolean; readonly mustExist: boolean }): Checked => {
  let stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) {
    if (options.mustExist) return { reason: new NotFound({ detail: `there is no file ${path}` }) }
    try {
      createFile(path)
    } catch (cause) {
      // Another process was faster: then the file is there, and is looked at like any other.
      if (errno(cause) !== "EEXIST") throw cause
    }
    stat = lstatSync(path)
  }
  if (stat.isSymbolicLink()) return { reason: new SinkRejected({ detail: `${path} is a symbolic link` }) }
  if (!stat.isFile()) return { reason: new SinkRejected({ detail: `${path} is not a regular file` }) }
  const identity = { dev: stat.dev, ino: stat.ino }
  const fresh = stat.size === 0
  if (fresh && options.mustExist) return { reason: new NotFound({ detail: `${path} is empty: it is no audit store` }) }
  const reason = fresh || isHeld(identity) ? undefined : checkHeader(path, options.adopt)
  if (reason !== undefined) return { reason }
  holdFile(identity)
  return { identity, fresh }
}

type Wrong = "damaged" | "no database"

/** Looks into a database; what is wrong with it is said: SQLITE_CORRUPT or SQLITE_NOTADB. */
const lookInto = <A extends object>(file: string | URL, look: (db: DatabaseSync) => A): A | Wrong => {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return look(db)
  } catch (cause) {
    if (errorCode(cause) === 26) return "no database"
    if (errorCode(cause) === 11) return "damaged"
    throw cause
  } finally {
    db.close()
  }
}

/**
 * The database header: https://www.sqlite.org/fileformat.html#the_database_header. Read by SQLite, which knows what the
 * process has open wherever in it: closing a descriptor of our own would drop the locks that another thread holds.
 */
const headerOf = (path: string): { readonly id: unknown; readonly version: unknown } | Wrong => {
  const url = pathToFileURL(path)
  url.searchParams.set("immutable", "1")
  return lookInto(url, (db) => ({
    id: db.prepare("PRAGMA application_id").get()?.["application_id"],
    version: db.prepare("PRAGMA user_version").get()?.["user_version"]
  }))
}

const checkHeader = (path: string, adopt: boolean): AuditReason | undefined => {
  const header = headerOf(path)
  // Looked at before anything is opened for writing: what is not ours is not touched.
  if (typeof header === "object" && header.id === applicationId && Number(header.version) <= version) return undefined
  // A header that is read without a lock looks damaged while a checkpoint of another process makes the file longer.
  const found = header === "no database"
    ? header
    : lookInto(path, (db) => ({ problem: refusal(db, versionOf(db), adopt) }))
  if (typeof found === "string") return new SinkRejected({ detail: `${path} is not an audit store` })
  return found.problem === undefined ? undefined : new SinkRejected({ detail: `${path}: ${found.problem}` })
}
