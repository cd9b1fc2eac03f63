/** Files by their identity: that the open file is still the one at its path, and which this process has open. */
import type * as Clock from "effect/Clock"
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  statSync
} from "node:fs"
import { dirname } from "node:path"
import { type AuditReason, SinkUnavailable } from "../AuditError.ts"
import { elapsedMillis } from "./elapsed.ts"

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

/** Whether this process has a file open. */
export const isHeld = (identity: FileIdentity): boolean => open.has(key(identity))

/** Remembers that a file is open once more. */
export const holdFile = (identity: FileIdentity): void => {
  open.set(key(identity), (open.get(key(identity)) ?? 0) + 1)
}

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

/** Why who does not own a file does not read it: SQLite would leave files beside it that its owner cannot use. */
export const strangerOf = (path: string): AuditReason | undefined => {
  const user = process.geteuid?.()
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (user === undefined || user === 0 || stat === undefined || stat.uid === user || existsSync(`${path}-shm`)) return
  const detail = `${path} is another user's, and nobody has it open: read it as its owner, or read a backup`
  return new SinkUnavailable({ detail })
}

/** Why nothing is written to a file that is not the one at its path. */
export const removed = (filename: string): SinkUnavailable =>
  new SinkUnavailable({ detail: `${filename} was removed or replaced while it was open` })

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
    return removed(this.filename)
  }
}

/** The code of a system error. */
export const errno = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown error"

/** Whether the file at a path is a regular one; `undefined` if there is no file. Links are not followed. */
export const isRegularFile = (path: string): boolean | undefined => lstatSync(path, { throwIfNoEntry: false })?.isFile()

/** Whether there is a file with anything in it. */
export const hasBytes = (path: string): boolean => (lstatSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0

/** Creates a file of mode 0600, unless another process is faster. */
export const createMissing = (path: string): void => {
  try {
    createFile(path)
  } catch (cause) {
    if (errno(cause) !== "EEXIST") throw cause
  }
}

/** Creates a file of mode 0600; one that exists is an error. */
export const createFile = (path: string): void => {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    // Node's permission model does not allow it, and it is needed only for an odd umask.
    if ((fstatSync(descriptor).mode & 0o777) !== 0o600) fchmodSync(descriptor, 0o600)
  } finally {
    closeSync(descriptor)
  }
}

/** Whether this user may not write to a file that is there, or not beside it. */
export const isWriteProtected = (path: string): boolean => {
  if (!existsSync(path)) return false
  try {
    accessSync(path, constants.W_OK)
    accessSync(dirname(path), constants.W_OK)
    return false
  } catch {
    return true
  }
}

/** Whether the file system of a file is only read. */
const isOnlyRead = (path: string): boolean => {
  try {
    accessSync(dirname(path), constants.W_OK)
    return false
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "EROFS"
  }
}

/**
 * How SQLite reads a file: with its locks, for which it keeps files beside it; as one that never changes where there
 * can be none (https://www.sqlite.org/uri.html#uriimmutable), unless a write-ahead log lies there that belongs to it.
 */
export const readingOf = (path: string): { readonly [parameter: string]: string } =>
  isOnlyRead(path) && !existsSync(`${path}-wal`) ? { immutable: "1" } : {}
