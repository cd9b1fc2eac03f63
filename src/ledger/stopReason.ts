/** Why a log takes no more events, for a medium that is read asynchronously. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type AuditError, CheckpointInconsistent, type IntegrityReason, LeafMissing } from "../AuditError.ts"
import { breach, type Head, headOf } from "./extends.ts"
import type { Log, LogReader } from "./LogStore.ts"
import { newestNotes } from "./notes.ts"
import { TreeReader } from "./treeReader.ts"

/**
 * Why a log takes no more events, if so: it was stopped, does not have the size that it had, or does not extend what
 * was signed of it. In the transaction that appends to it.
 */
export const stopReason = Effect.fnUntraced(function*<E>(
  reader: Pick<LogReader, "notes" | "tiles" | "commitments">,
  log: Log,
  size: number,
  signedHead: (origin: string) => Effect.Effect<Head | undefined, E>
): Effect.fn.Return<IntegrityReason | undefined, AuditError | E> {
  if (log.stopped !== undefined) return new CheckpointInconsistent({ detail: log.stopped })
  if (log.size !== size) {
    return new LeafMissing({ detail: `the log had ${size} entries, and ${log.size} are in the store` })
  }
  const [note] = yield* newestNotes(reader, log)
  const signed = yield* signedHead(log.origin)
  const heads = [...note === undefined ? [] : [headOf(note.note)], ...signed === undefined ? [] : [signed]]
  const found = yield* Effect.result(
    new TreeReader(reader).compute(log, log.size, (read) => breach(log.size, heads, read))
  )
  if (Result.isSuccess(found)) return found.success
  return found.failure._tag === "IntegrityError" ? found.failure.reason : yield* found.failure
})
