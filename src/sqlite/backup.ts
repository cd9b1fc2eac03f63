/** A copy of a store as it was at one moment, while writing goes on. */
import * as Effect from "effect/Effect"
import { rmSync } from "node:fs"
import { backup as copy } from "node:sqlite"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { createFile, errno } from "../internal/files.ts"
import { openReader } from "./connection.ts"
import type { Options } from "./file.ts"
import { versionOf } from "./Migrations.ts"
import { attempt, failing } from "./problem.ts"

const method = "Sqlite.backup"
/** Pages that are copied before others may run: 4 MiB. */
const rate = 512

/**
 * Copies a store as it is now into a new file of mode 0600; a file that exists is never replaced. Writers are not held
 * up; what they commit meanwhile is not in the copy. `progress` hears of pages that are copied, and of all.
 */
export const backup = (
  options: Pick<Options, "filename" | "deadline"> & {
    readonly out: string
    readonly progress?: ((pages: number, total: number) => void) | undefined
  }
): Effect.Effect<void, AuditError> =>
  Effect.scoped(Effect.gen(function*() {
    const { filename, reader } = yield* openReader(options)
    const refuse = (detail: string) => new AuditError({ method, reason: new SinkRejected({ detail }) })
    const version = yield* Effect.mapError(attempt(() => versionOf(reader)), failing(method, filename))
    if (version === undefined) return yield* refuse(`${filename} is a database, but not an audit store`)
    // One state of the file: otherwise every commit of another process has the copy begin again, and it never ends.
    yield* Effect.mapError(
      attempt(() => reader.exec("BEGIN; SELECT count(*) FROM sqlite_schema")),
      failing(method, filename)
    )
    yield* Effect.try({
      try: () => createFile(options.out),
      catch: (cause) =>
        refuse(errno(cause) === "EEXIST" ? `${options.out} exists` : `cannot write ${options.out}: ${errno(cause)}`)
    })
    yield* Effect.tryPromise({
      try: () =>
        copy(reader, options.out, {
          rate,
          progress: ({ remainingPages, totalPages }) => options.progress?.(totalPages - remainingPages, totalPages)
        }),
      catch: (cause) => refuse(`cannot copy ${filename}: ${cause instanceof Error ? cause.message : "unknown error"}`)
    }).pipe(Effect.onError(() => Effect.sync(() => rmSync(options.out, { force: true }))))
  }))
