/** A copy of a store as it was at one moment, while writing goes on. */
import * as Effect from "effect/Effect"
import { existsSync, renameSync, rmSync } from "node:fs"
import { backup as copy, type DatabaseSync } from "node:sqlite"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { createFile, errno } from "../internal/files.ts"
import { openReader } from "./connection.ts"
import type { Options } from "./file.ts"
import { versionOf } from "./Migrations.ts"
import { attempt, failing, sqliteReason } from "./problem.ts"

const method = "Sqlite.backup"
/** Pages that are copied before others may run: 4 MiB. */
const rate = 512

interface Copying {
  readonly filename: string
  readonly reader: DatabaseSync
  /** Where it is made; it has its name once it is whole. */
  readonly part: string
  readonly progress: ((pages: number, total: number) => void) | undefined
}

const refuse = (detail: string) => new AuditError({ method, reason: new SinkRejected({ detail }) })

const creating = (path: string) =>
  Effect.try({
    try: () => createFile(path),
    catch: (cause) => refuse(errno(cause) === "EEXIST" ? `${path} exists` : `cannot write ${path}: ${errno(cause)}`)
  })

/** Copies all pages; where it is interrupted, it has ended when the interruption has. */
const copying = ({ filename, part, progress, reader }: Copying) =>
  Effect.suspend(() => {
    let isStopped = false
    const done = copy(reader, part, {
      rate,
      progress: ({ remainingPages, totalPages }) => {
        if (isStopped) throw new Error("interrupted")
        progress?.(totalPages - remainingPages, totalPages)
      }
    })
    const stop = Effect.promise(() => {
      isStopped = true
      return done.then(() => {}, () => {})
    })
    return Effect.tryPromise({
      try: () => done,
      catch: (cause) => new AuditError({ method, reason: sqliteReason(cause, `cannot copy ${filename} to ${part}`) })
    }).pipe(Effect.onInterrupt(() => stop))
  })

/**
 * Copies a store as it is now into a new file of mode 0600; a file that exists is never replaced. Writers are not held
 * up; what they commit meanwhile is not in the copy. Until it is whole, it is `out` and `.part`. `progress` hears of
 * pages that are copied, and of all.
 */
export const backup = (
  options: Pick<Options, "filename" | "deadline"> & {
    readonly out: string
    readonly progress?: ((pages: number, total: number) => void) | undefined
  }
): Effect.Effect<void, AuditError> =>
  Effect.scoped(Effect.gen(function*() {
    const { out, progress } = options
    const part = `${out}.part`
    const { filename, reader } = yield* openReader(options)
    const failed = failing(method, filename)
    const version = yield* Effect.mapError(attempt(() => versionOf(reader)), failed)
    if (version === undefined) return yield* refuse(`${filename} is a database, but not an audit store`)
    // One state of the file: otherwise every commit of another process has the copy begin again, and it never ends.
    yield* Effect.mapError(attempt(() => reader.exec("BEGIN; SELECT count(*) FROM sqlite_schema")), failed)
    if (existsSync(out)) return yield* refuse(`${out} exists`)
    yield* Effect.acquireUseRelease(
      creating(part),
      () =>
        copying({ filename, reader, part, progress }).pipe(
          Effect.andThen(creating(out)),
          Effect.andThen(Effect.sync(() => renameSync(part, out)))
        ),
      () =>
        Effect.sync(() => {
          for (const file of [part, `${part}-journal`]) rmSync(file, { force: true })
        })
    )
  }))
