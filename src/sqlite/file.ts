/** Looks at a file before SQLite does. */
import type * as Duration from "effect/Duration"
import { closeSync, constants, lstatSync, openSync, readSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { type AuditReason, NotFound, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import { createFile, errno, type FileIdentity, holdFile, isHeld } from "../internal/files.ts"
import { applicationId, refusal, version, versionOf } from "./Migrations.ts"

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

/** Creates a missing file with mode 0600, and refuses what is not a store of ours without touching it. */
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

/** The database header: https://www.sqlite.org/fileformat.html#the_database_header */
const checkHeader = (path: string, adopt: boolean): AuditReason | undefined => {
  const header = Buffer.alloc(100)
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    if (
      readSync(descriptor, header, 0, 100, 0) < 100 || header.toString("latin1", 0, 16) !== "SQLite format 3\0"
    ) return new SinkRejected({ detail: `${path} is not an audit store` })
  } finally {
    closeSync(descriptor)
  }
  // Looked at before anything is opened for writing: what is not ours is not touched.
  if (header.readUInt32BE(68) === applicationId && header.readUInt32BE(60) <= version) return undefined
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const detail = refusal(db, versionOf(db), adopt)
    return detail === undefined ? undefined : new SinkRejected({ detail: `${path}: ${detail}` })
  } finally {
    db.close()
  }
}
