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

/** The origins of a log, and the size from which each is its own. */
type Origins = ReadonlyArray<{ readonly origin: string; readonly since: number }>

/** The size up to which an origin is a log's own: to its end, or to where it went on as another; none of a stranger. */
export const ownUntil = (origins: Origins, origin: string): number | undefined => {
  const at = origins.findIndex((one) => one.origin === origin)
  return at === -1 ? undefined : origins[at + 1]?.since ?? Infinity
}

/**
 * Whether a stored checkpoint of a log that was resumed is one of what is left of it. Of a log that was not, each
 * counts: one that is not of the log stops it.
 */
export const counts = (origins: Origins, { note, size }: { readonly note: string; readonly size: number }): boolean =>
  origins.length < 2 ||
  origins.some(({ origin, since }, at) =>
    note.startsWith(`${origin}\n`) && size > (at === 0 ? -1 : since) && size <= (origins[at + 1]?.since ?? Infinity)
  )

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
