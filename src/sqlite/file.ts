/** Looks at a file before SQLite does. */
import type * as Duration from "effect/Duration"
import { lstatSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { type AuditReason, NotFound, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import { createMissing, errno, type FileIdentity, hasBytes, holdFile, isHeld, readingOf } from "../internal/files.ts"
import { applicationId, refusal, version, versionOf } from "./Migrations.ts"
import { errorCode, isBusy, sqliteReason } from "./problem.ts"

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

/** How to open a file for reading only. */
export type ReadOptions = Pick<Options, "filename" | "deadline">

type Checked = { readonly identity: FileIdentity } | { readonly reason: AuditReason }

/** A file as SQLite opens it by an address: one that is not there is not made. */
export const addressOf = (path: string, how: { readonly [parameter: string]: string } = { mode: "rw" }): URL => {
  const url = pathToFileURL(path)
  for (const [name, value] of Object.entries(how)) url.searchParams.set(name, value)
  return url
}

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
    const detail = `cannot open ${path}`
    return {
      reason: errorCode(cause) === undefined
        ? new SinkUnavailable({ detail: `${detail}: ${errno(cause)}`, cause })
        : sqliteReason(cause, detail)
    }
  }
}

const rejected = (detail: string) => ({ reason: new SinkRejected({ detail }) })

const check = (path: string, options: { readonly adopt: boolean; readonly mustExist: boolean }): Checked => {
  // Looked at before the file, which has something in it where its log has.
  const hasLog = hasBytes(`${path}-wal`)
  let stat = lstatSync(path, { throwIfNoEntry: false })
  if (hasLog && (stat?.size ?? 0) === 0) {
    return rejected(`${path} is gone or empty, and ${path}-wal has what was written to it last: bring the file back`)
  }
  if (stat === undefined) {
    if (options.mustExist) return { reason: new NotFound({ detail: `there is no file ${path}` }) }
    // Where another process was faster, the file is looked at like any other.
    createMissing(path)
    stat = lstatSync(path)
  }
  if (stat.isSymbolicLink()) return rejected(`${path} is a symbolic link`)
  if (!stat.isFile()) return rejected(`${path} is not a regular file`)
  // By each of its names SQLite would keep a log of its own.
  if (stat.nlink > 1) return rejected(`${path} has another name, by a hard link: a store has one`)
  const identity = { dev: stat.dev, ino: stat.ino }
  const fresh = stat.size === 0
  if (fresh && options.mustExist) return { reason: new NotFound({ detail: `${path} is empty: it is no audit store` }) }
  const reason = fresh || isHeld(identity) ? undefined : checkHeader(path, options.adopt)
  if (reason !== undefined) return { reason }
  holdFile(identity)
  return { identity }
}

type Wrong = "damaged" | "no database"

/** SQLITE_READONLY_ROLLBACK: a journal is to be rolled back, and the connection only reads. */
const isHot = (cause: unknown): boolean => errorCode(cause) === 776

/** Looks into a database; what is wrong with it is said: SQLITE_CORRUPT or SQLITE_NOTADB. */
const lookInto = <A extends object>(file: URL, look: (db: DatabaseSync) => A, readOnly = true): A | Wrong => {
  const db = new DatabaseSync(file, { readOnly })
  try {
    return look(db)
  } catch (cause) {
    const code = (errorCode(cause) ?? 0) & 0xff
    if (code === 26) return "no database"
    if (code === 11) return "damaged"
    throw cause
  } finally {
    db.close()
  }
}

/**
 * The database header: https://www.sqlite.org/fileformat.html#the_database_header. Read by SQLite, which knows what the
 * process has open wherever in it: closing a descriptor of our own would drop the locks that another thread holds.
 */
const headerOf = (path: string): { readonly id: unknown; readonly version: number } | Wrong =>
  lookInto(addressOf(path, { immutable: "1" }), (db) => ({
    id: db.prepare("PRAGMA application_id").get()?.["application_id"],
    version: Number(db.prepare("PRAGMA user_version").get()?.["user_version"])
  }))

/** Looks with SQLite's locks; a database that may be adopted is rolled back first, if its application was killed. */
const refusalOf = (path: string, adopt: boolean) => {
  const look = (db: DatabaseSync) => ({ problem: refusal(db, versionOf(db), adopt) })
  try {
    return lookInto(addressOf(path, readingOf(path)), look)
  } catch (cause) {
    if (adopt && isHot(cause)) return lookInto(addressOf(path), look, false)
    throw cause
  }
}

const checkHeader = (path: string, adopt: boolean): AuditReason | undefined => {
  const header = headerOf(path)
  // Looked at before anything is opened for writing: what is not ours is not touched.
  if (typeof header === "object" && header.id === applicationId && header.version <= version) {
    // A store has none from its first version on: SQLite would roll another file's back into it.
    return header.version > 0 && hasBytes(`${path}-journal`)
      ? new SinkRejected({
        detail: `${path}-journal is not of ${path}: move it away, before it is rolled back into it`
      })
      : undefined
  }
  // A header that is read without a lock looks damaged while a checkpoint of another process makes the file longer.
  const found = header === "no database" ? header : refusalOf(path, adopt)
  if (found === "damaged") return new SinkRejected({ detail: `${path} is damaged: pages of the database are missing` })
  if (found === "no database") return new SinkRejected({ detail: `${path} is not an audit store` })
  return found.problem === undefined ? undefined : new SinkRejected({ detail: `${path}: ${found.problem}` })
}
