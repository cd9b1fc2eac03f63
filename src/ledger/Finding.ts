/**
 * What verification says.
 *
 * @since 0.1.0
 */
import type { EventId } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"

/**
 * What can be wrong with a log.
 *
 * - `changed`: an event, an entry or a hash is not what was stored.
 * - `missing`: an entry, event or hash that was stored is not there; or an event is gone and no erasure says so.
 * - `reordered`: an event lies at another's position.
 * - `duplicated`: a position, or an event id, is there twice.
 * - `truncated`: the log is shorter than a checkpoint.
 * - `inconsistent`: the tree is not the one of a checkpoint.
 * - `signature`: a checkpoint is not signed by the key, or is of another log.
 * - `guard`: something that keeps the store from being changed by hand is gone.
 */
export type Fault =
  | "changed"
  | "missing"
  | "reordered"
  | "duplicated"
  | "truncated"
  | "inconsistent"
  | "signature"
  | "guard"

/**
 * Where a head is from that a log was found to extend: the checkpoint that was given, the signer's state, or the store.
 * The store's own can be taken back together with its events; the others lie elsewhere.
 */
export type Anchor = "given" | "signer" | "stored"

/** One thing that verification says. */
export type Finding =
  | {
    readonly _tag: "Fault"
    readonly fault: Fault
    /** The log; none of what is wrong with the store as a whole, or of a log whose name is not known. */
    readonly log: LogName | undefined
    readonly position: number | undefined
    readonly eventId: EventId | undefined
    readonly detail: string
  }
  | {
    /** The end of one log. */
    readonly _tag: "Verified"
    readonly log: LogName
    readonly origin: string
    /** Entries in the log. */
    readonly size: number
    /** Entries that the newest good checkpoint covers; those above it are not proven yet. */
    readonly covered: number
    readonly erased: number
    readonly checkpoints: number
    /** Whether a signature was checked: there was a key, and a checkpoint. */
    readonly signaturesChecked: boolean
    /** Which heads the log extends, by where they are from. */
    readonly anchors: ReadonlyArray<Anchor>
    /** Why the log takes no more events, if it was stopped. */
    readonly stopped: string | undefined
    readonly faults: number
  }
  | {
    readonly _tag: "Progress"
    readonly entries: number
    readonly total: number
    readonly entriesPerSecond: number
  }
