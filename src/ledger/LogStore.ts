/**
 * The port: what the rules of the ledger ask of a medium.
 *
 * A medium stores and finds rows, and decides nothing. The hot path does not go through here: events are appended by
 * `EventSink`. `LogStore` serves what is cold: checkpoints, proofs, tiles, verification, erasure.
 *
 * **Gotchas**
 *
 * A short answer means that rows are missing; what that means is for the caller to judge. What a medium returns may
 * have been changed by someone: nothing here is checked against a commitment.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import type { EventId } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"
import type { Fault } from "./Finding.ts"
import type { Origin } from "./Origin.ts"

/** A log as a medium knows it. */
export interface LogRef {
  /** The medium's own number of the log. */
  readonly id: number
  readonly name: LogName
  /** As it is in the store: someone may have changed it. */
  readonly origin: string
  /** All origins of the log and the size from which each is its own, the first one first: more where it was resumed. */
  readonly origins: ReadonlyArray<OriginSince>
  /** Why the log takes no more events, if it was stopped. */
  readonly stopped: string | undefined
}

/** An origin of a log, and the size of the log when it began. */
export interface OriginSince {
  readonly origin: string
  readonly since: number
}

/** A log, and how far it has grown. */
export interface Log extends LogRef {
  /** Entries: one more than the last position. */
  readonly size: number
}

/** Names a row of an event again inside the same change. */
export interface RowRef {
  /** The medium's own number of the row. */
  readonly row: number
  readonly position: number
}

/** The row of an event. Of an erased one `salt`, `body` and `recordedAtMillis` are gone. */
export interface StoredEvent extends RowRef {
  /** The log that the row names, whether there is one or not. */
  readonly log: number
  /** 16 bytes. */
  readonly eventId: Uint8Array
  /** 32 bytes. */
  readonly commitment: Uint8Array
  readonly erased: boolean
  readonly recordedAtMillis: number | undefined
  readonly salt: Uint8Array | undefined
  readonly body: Uint8Array | undefined
}

/**
 * Hashes of a log's tree that follow each other, 32 bytes each. Of tier 0 they are the commitments of entries, and
 * begin at a multiple of 256; of tier n the hashes over complete runs of `256^n` entries.
 */
export interface Run {
  readonly tier: number
  readonly first: number
  /** 1 to 256. */
  readonly count: number
}

/** A signed checkpoint, stored under the size and the key id that it was put with. */
export interface StoredNote {
  readonly size: number
  readonly keyId: number
  readonly note: string
}

/** Which checkpoints: the newest, those of a size, or those after one, in the order of size and key id. */
export type NotePage =
  | { readonly newest: number }
  | { readonly size: number }
  | { readonly after: { readonly size: number; readonly keyId: number }; readonly limit: number }

/**
 * What a legal hold keeps: an event, a person, or a range of times of recording (`since` included, `before` not); of a
 * person until a time both.
 */
export interface Hold {
  /** Of the case: two cases may hold the same. */
  readonly name: string
  readonly eventId: EventId | undefined
  readonly person: string | undefined
  readonly sinceMillis: number | undefined
  readonly beforeMillis: number | undefined
}

/** Which events of a log; without a field all of them. */
export interface EventRange {
  /** The first position; 0 unless given. */
  readonly from?: number | undefined
  /** A `user_id` or one of the `subject_ids`. */
  readonly person?: string | undefined
  /** Recorded before this time, in milliseconds since 1970. */
  readonly beforeMillis?: number | undefined
}

/** Reads committed facts. May be repeated, safe to call concurrently; what has an order is ascending. */
export interface LogReader {
  /** All logs. Their sizes are not read: a medium may have to look for the last entry of each. */
  readonly logs: Effect.Effect<ReadonlyArray<LogRef>, AuditError>
  /** The log of a name, if there is one. */
  readonly log: (name: LogName) => Effect.Effect<Log | undefined, AuditError>
  /** Several runs of hashes in one trip, as they are kept; one is short where the rest is not kept (yet). */
  readonly tiles: (log: LogRef, runs: ReadonlyArray<Run>) => Effect.Effect<ReadonlyArray<Uint8Array>, AuditError>
  /**
   * The commitments that the rows of events have, from a position to before another; short at the first one missing.
   */
  readonly commitments: (log: LogRef, from: number, to: number) => Effect.Effect<Uint8Array, AuditError>
  readonly notes: (log: LogRef, page: NotePage) => Effect.Effect<ReadonlyArray<StoredNote>, AuditError>
  /** The events of these ids that are in the log, each once. */
  readonly find: (
    log: LogRef,
    eventIds: ReadonlyArray<EventId>
  ) => Effect.Effect<ReadonlyArray<StoredEvent>, AuditError>
  /** The events of a range, in steps between which others run; may return too many, never too few. */
  readonly events: (
    log: LogRef,
    range?: EventRange | undefined
  ) => Stream.Stream<ReadonlyArray<StoredEvent>, AuditError>
  readonly holds: (log: LogRef) => Effect.Effect<ReadonlyArray<Hold>, AuditError>
}

/** Something that is wrong with a store, as a fault of verification. */
export interface Problem {
  readonly fault: Fault
  readonly detail: string
}

/** One unchanging state of the whole store. Its `find` uses no index, and returns every row that has one of the ids. */
export interface Snapshot extends LogReader {
  /** Rows of events, at most. */
  readonly rows: number
  /** What is wrong with the medium beside its logs. */
  readonly problems: Effect.Effect<ReadonlyArray<Problem>, AuditError>
  /**
   * Every row of an event, of one log or of all and of none, in the order in which the medium keeps them, and without
   * the help of an index; in steps between which others run. Each step says how many rows were looked at so far.
   */
  readonly scan: (
    only?: LogRef | undefined
  ) => Stream.Stream<{ readonly seen: number; readonly events: ReadonlyArray<StoredEvent> }, AuditError>
}

/** Changes the log that is being changed; its reads see what was changed. In the order of the calls. */
export interface LogWriter extends LogReader {
  /** Takes content, index terms and traces of these events away, and leaves their entries. */
  readonly erase: (log: Log, events: ReadonlyArray<RowRef>, atMillis: number) => Effect.Effect<void, AuditError>
  /** Stores a checkpoint, and keeps every entry below its size in a tile; nothing, if it is there. */
  readonly putNote: (log: Log, note: StoredNote, atMillis: number) => Effect.Effect<void, AuditError>
  /** Lets the log take no more events, in any process. */
  readonly stop: (log: Log, detail: string, atMillis: number) => Effect.Effect<void, AuditError>
  /** Gives the log another origin from its size on, and lets it take events again. */
  readonly resume: (log: Log, origin: Origin, atMillis: number) => Effect.Effect<void, AuditError>
  readonly hold: (log: Log, holds: ReadonlyArray<Hold>, atMillis: number) => Effect.Effect<void, AuditError>
  /** Ends holds; returns how many there were. */
  readonly release: (log: Log, holds: ReadonlyArray<Hold>) => Effect.Effect<number, AuditError>
}

/** Where to ask from for logs that grew; the medium's own. */
export interface Mark {
  readonly mark: number
}

/** The logs of a store. */
export class LogStore extends Context.Service<
  LogStore,
  LogReader & {
    /** A state of the store as it is now, until the scope closes. Changes nothing, and holds no writer up. */
    readonly snapshot: Effect.Effect<Snapshot, AuditError, Scope.Scope>
    /**
     * Changes one log: holds its lock and runs `f` once. Durable once it succeeds; rolled back if `f` does not succeed.
     * What is appended inside `f` is part of it. Fails with `NotFound` if there is no such log.
     */
    readonly change: <A, E, R>(
      name: LogName,
      f: (writer: LogWriter, log: Log) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | AuditError, R>
    /** The logs that have grown since a mark, some of them at a time; may name too many. */
    readonly grown: (since?: Mark | undefined) => Effect.Effect<
      { readonly logs: ReadonlyArray<LogName>; readonly next: Mark; readonly more: boolean },
      AuditError
    >
    /** Whether a change becomes a part of a transaction that the caller has open. */
    readonly isJoined: Effect.Effect<boolean>
    /** Whether the bytes of what was erased are gone from the medium; takes them away where it can. */
    readonly scrub: Effect.Effect<boolean, AuditError>
  }
>()("effect-audit/ledger/LogStore") {}
