/** Whether a log extends what was signed of it: the one place where that is decided. */
import * as Result from "effect/Result"
import { CheckpointInconsistent, IntegrityError, type IntegrityReason, LogStopped } from "../AuditError.ts"
import { emptyRoot, type Hash, type ReadHash, root } from "../Merkle.ts"
import { stated } from "./Checkpoint.ts"

/** A tree head that was signed: what a log must extend. */
export interface Head {
  readonly size: number
  readonly root: Hash
}

/** What was signed of a log, from wherever it is known. */
export type Signed = Head | "unreadable"

/** The head that a stored checkpoint states; one that cannot be read is a head that nothing extends. */
export const headOf = (note: string): Signed =>
  Result.match(stated(note), {
    onFailure: () => "unreadable" as const,
    onSuccess: ({ root, size }) => ({ size, root })
  })

const equal = (a: Hash, b: Hash): boolean => Buffer.compare(a, b) === 0

/** Why the root that a tree has at a head's size shows that it does not extend the head, if so. */
export const contradiction = (head: Head, rootThere: Hash): IntegrityReason | undefined =>
  equal(head.size === 0 ? emptyRoot : rootThere, head.root)
    ? undefined
    : new CheckpointInconsistent({ detail: `its tree is not the one that was signed at size ${head.size}` })

/**
 * Why a log of `size` entries does not extend all heads that were signed of it, if it does not; by the hashes of its
 * tree. Which hashes are read depends on the sizes alone.
 */
export const breach = (size: number, heads: ReadonlyArray<Signed>, read: ReadHash): IntegrityReason | undefined => {
  for (const head of heads) {
    if (head === "unreadable") {
      return new CheckpointInconsistent({ detail: "the newest stored checkpoint cannot be read" })
    }
    if (head.size > size) {
      const detail = `the log has ${size} entries, and a checkpoint was signed at ${head.size}`
      return new CheckpointInconsistent({ detail })
    }
  }
  const known = heads.filter((head) => head !== "unreadable")
  const roots = known.map((head) => root(head.size, read))
  for (const [index, head] of known.entries()) {
    const found = contradiction(head, roots[index] ?? emptyRoot)
    if (found !== undefined) return found
  }
  return undefined
}

/** Why an event is not taken by a log that is not what was signed of it. */
export const stoppedBy = (origin: string, reason: IntegrityReason): LogStopped =>
  new LogStopped({
    detail: `${origin}: ${reason.message}`,
    cause: new IntegrityError({ method: "EventSink.append", reason })
  })
