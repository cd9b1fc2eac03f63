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
import * as Option from "effect/Option"
import { AuditError, InvalidInput } from "./AuditError.ts"
import type { LogName } from "./RequestContext.ts"

/** Which policy a writer has, and which ones it may replace. */
export interface Policy {
  /** 32 hexadecimal digits of a SHA-256 over everything that decides what is replaced, and how. */
  readonly fingerprint: string
  /** Fingerprints of policies that stores may have been written under; none unless given. */
  readonly replaces?: ReadonlyArray<string> | undefined
}

/** A port: what a store remembers of the policy that it is written under. */
export class WritePolicy extends Context.Service<WritePolicy, {
  /** The fingerprint; `undefined` where nothing has been written yet, or by a release that kept none. */
  readonly current: Effect.Effect<string | undefined, AuditError>
  /** Compare and set, durable on return: whether it was `from`. */
  readonly replace: (from: string | undefined, to: string) => Effect.Effect<boolean, AuditError>
  /** The logs that take events. */
  readonly logs: Effect.Effect<ReadonlyArray<LogName>, AuditError>
}>()("effect-audit/WritePolicy") {}

/** Records in a log that it is written under another policy from here on. */
export type Record = (log: LogName, change: { readonly from: string; readonly to: string }) => Effect.Effect<
  unknown,
  AuditError
>

const refused = (method: string, current: string, { fingerprint }: Policy) =>
  new AuditError({
    method,
    reason: new InvalidInput({
      path: "/policy",
      detail: `the store is written under the PII policy ${current}, and this one is ${fingerprint}: ` +
        "write with the former, or name it in `replaces`"
    })
  })

/**
 * Takes a policy for the store that is there, if it remembers one. Every log says so before the store does: if that is
 * cut off, the next start says it again.
 */
export const enforce = Effect.fnUntraced(function*(
  method: string,
  policy: Policy,
  record: Record
): Effect.fn.Return<void, AuditError> {
  const found = yield* Effect.serviceOption(WritePolicy)
  if (Option.isNone(found)) return
  const store = found.value
  const { fingerprint, replaces = [] } = policy
  for (;;) {
    const from = yield* store.current
    if (from === fingerprint) return
    if (from !== undefined) {
      if (!replaces.includes(from)) return yield* refused(method, from, policy)
      yield* Effect.forEach(yield* store.logs, (log) => record(log, { from, to: fingerprint }), {
        concurrency: 256,
        discard: true
      })
    }
    if (yield* store.replace(from, fingerprint)) return
  }
})
