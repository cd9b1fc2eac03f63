/** Looks at a file before SQLite does, and again while it is open. */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import { closeSync, constants, fchmodSync, lstatSync, openSync, readSync, statSync } from "node:fs"
import { type AuditReason, NotFound, SinkRejected, SinkUnavailable } from "../AuditError.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { applicationId, migrations } from "./Migrations.ts"

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

/** Which file it is, whatever its name. */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
}

/**
 * Files that this process has open, with the number of stores on each. Closing any descriptor of a file drops all POSIX
 * locks that the process holds on it, SQLite's too, so a file that is open here is not opened again to look at it.
 */
const open = new Map<string, number>()
const key = (identity: FileIdentity) => `${identity.dev}:${identity.ino}`

/** Gives a checked file back, once its connections are closed. */
export const releaseFile = (identity: FileIdentity): void => {
  const count = open.get(key(identity)) ?? 0
  if (count > 1) open.set(key(identity), count - 1)
  else open.delete(key(identity))
}

/** The file at a path; `undefined` if there is no file. */
export const identityOf = (path: string): FileIdentity | undefined => {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? undefined : { dev: stat.dev, ino: stat.ino }
}

/** Whether the file at a path is still the one that was opened. */
export const isOpenHere = (path: string, identity: FileIdentity): boolean => {
  const now = identityOf(path)
  return now !== undefined && now.ino === identity.ino && now.dev === identity.dev
}

/**
 * The file is looked at with every commit; its write-ahead log alone, which no one removes alone, at most this often.
 */
const walCheckMillis = 20

/** Watches that the open file is the one at its path. */
export class FileWatch {
  private readonly filename: string
  private readonly identity: FileIdentity
  private readonly wal: FileIdentity | undefined
  private readonly clock: Clock.Clock
  private walChecked = -Infinity
  private fileChecked = -Infinity

  /** Begins when a connection has read: then the write-ahead log exists, and stays as long as the connection. */
  constructor(filename: string, identity: FileIdentity, clock: Clock.Clock) {
    this.filename = filename
    this.identity = identity
    this.wal = identityOf(`${filename}-wal`)
    this.clock = clock
  }

  private isWalHere(now: number): boolean {
    if (this.wal === undefined || now - this.walChecked < walCheckMillis) return true
    this.walChecked = now
    return isOpenHere(`${this.filename}-wal`, this.wal)
  }

  /** Why the open file is not the one at its path any more, if so. What is said may be as old as `withinMillis`. */
  gone(withinMillis = 0): AuditReason | undefined {
    const now = elapsedMillis(this.clock)
    if (now - this.fileChecked < withinMillis) return undefined
    if (isOpenHere(this.filename, this.identity) && this.isWalHere(now)) {
      this.fileChecked = now
      return undefined
    }
    this.fileChecked = -Infinity
    this.walChecked = -Infinity
    return new SinkUnavailable({ detail: `${this.filename} was removed or replaced while it was open` })
  }
}

const errno = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown error"

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

/** Whether the file at a path is a regular one; `undefined` if there is no file. Links are not followed. */
export const isRegularFile = (path: string): boolean | undefined => lstatSync(path, { throwIfNoEntry: false })?.isFile()

/** Creates a file of mode 0600; one that exists is an error. */
export const createFile = (path: string): void => {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  fchmodSync(descriptor, 0o600)
  closeSync(descriptor)
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
  const count = open.get(key(identity)) ?? 0
  const fresh = stat.size === 0
  const reason = fresh || count > 0 ? undefined : checkHeader(path, options.adopt)
  if (reason !== undefined) return { reason }
  open.set(key(identity), count + 1)
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
  const version = header.readUInt32BE(60)
  const application = header.readUInt32BE(68)
  if (application !== applicationId) {
    if (!adopt) return new SinkRejected({ detail: `${path} is a database, but not an audit store` })
    return application === 0 && version === 0
      ? undefined
      : new SinkRejected({ detail: `${path} uses application_id or user_version itself and cannot be adopted` })
  }
  return version > migrations.length
    ? new SinkRejected({
      detail: `${path} has version ${version}, newer than the ${migrations.length} of this release`
    })
    : undefined
}
