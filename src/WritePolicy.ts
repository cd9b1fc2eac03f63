/**
 * Under which PII policy a store is written: it remembers the fingerprint, and a writer with another policy is refused
 * unless it says which one it replaces.
 *
 * Events cannot be taken back. A program that writes with its default policy into a store whose application masks more
 * would leave personal data there for good.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { AuditError, InvalidInput } from "./AuditError.ts"
import type { LogName } from "./RequestContext.ts"

/** Which policy a writer has, and which ones it may replace. */
export interface Policy {
  /** 32 hexadecimal digits of a SHA-256 over everything that decides what is replaced, and how. */
  readonly fingerprint: string
  /** Fingerprints of policies that stores may have been written under; none unless given. */
  readonly replaces?: ReadonlyArray<string> | undefined
}

/** What a store remembers. */
export interface Written {
  readonly fingerprint: string
  /** How often the policy has changed. */
  readonly changes: number
}

/** A port: what a store remembers of the policy that it is written under. A sink carries the one of its store. */
export class WritePolicy extends Context.Service<WritePolicy, {
  /** `undefined` where nothing has been written yet, or by a release that kept none. */
  readonly current: Effect.Effect<Written | undefined, AuditError>
  /** Compare and set: whether it was `from`. Durable on return. */
  readonly replace: (from: Written, to: Written) => Effect.Effect<boolean, AuditError>
  /** The logs that take events. */
  readonly logs: Effect.Effect<ReadonlyArray<LogName>, AuditError>
}>()("effect-audit/WritePolicy") {}

/** A change of the policy, counted from 1. */
export interface Change {
  readonly from: string
  readonly to: string
  readonly count: number
}

/** Records in a log that it is written under another policy from here on: once, however often it is repeated. */
export type Record = (log: LogName, change: Change) => Effect.Effect<unknown, AuditError>

/** The policy that a stripper has which says nothing of it. */
export const unknown: Policy = { fingerprint: "unknown" }

const other = (current: string, fingerprint: string): InvalidInput =>
  new InvalidInput({
    path: "/policy",
    detail: `the store is written under the PII policy ${current}, and this one is ${fingerprint}: ` +
      "write with the former, or name it in `replaces`"
  })

/**
 * What a store says of a policy whose event comes for the first time: the first of all sets it. Another one is refused
 * while the policy has never changed; later it may be that of a writer which was running before.
 */
export const admits = (written: Written | undefined, fingerprint: string): "sets" | "yes" | InvalidInput =>
  written === undefined
    ? "sets"
    : written.fingerprint === fingerprint || written.changes > 0
    ? "yes"
    : other(written.fingerprint, fingerprint)

/** Fails where the store is written under another policy, unless this one may follow it: then every log says so. */
export const enforce = Effect.fnUntraced(function*(
  method: string,
  { fingerprint, replaces = [] }: Policy,
  store: WritePolicy["Service"],
  record: Record
): Effect.fn.Return<void, AuditError> {
  for (;;) {
    const from = yield* store.current
    // The first event sets it.
    if (from === undefined || from.fingerprint === fingerprint) return
    if (!replaces.includes(from.fingerprint)) {
      return yield* new AuditError({ method, reason: other(from.fingerprint, fingerprint) })
    }
    // Every log says so before the store does: if that is cut off, the next start says it again.
    const count = from.changes + 1
    yield* Effect.forEach(
      yield* store.logs,
      (log) => record(log, { from: from.fingerprint, to: fingerprint, count }),
      { concurrency: 256, discard: true }
    )
    if (yield* store.replace(from, { fingerprint, changes: count })) return
  }
})
