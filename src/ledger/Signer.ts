/**
 * Signs the heads of logs, and never two that contradict each other.
 *
 * The signer's state holds, for each origin, the last head that was signed. It is written before a signature leaves the
 * process, and a tree that does not extend it is not signed: so a store that was restored from a backup does not sign
 * its own fork.
 *
 * **Gotchas**
 *
 * Keep the state where a restored backup of the store does not take it back as well. A lost state refuses to sign,
 * unless it is told that this is a new signer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditError, SignerRefused } from "../AuditError.ts"
import type { LogName } from "../RequestContext.ts"
import { type Checkpoint, sign } from "./Checkpoint.ts"
import type { Head } from "./extends.ts"
import * as Origin from "./Origin.ts"
import type { SigningKey } from "./SigningKey.ts"

/** A checkpoint, and the text that was signed, with its signatures. */
export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint
  readonly note: string
}

/** What was signed last of an origin. */
export interface SignedOrigin {
  readonly origin: string
  /** The log's; unknown where it was signed by a release that did not keep it. */
  readonly name: LogName | undefined
  readonly head: Head
  /** Whether the log goes on as another: it is never signed again. */
  readonly isEnded: boolean
}

/** The port: where a medium keeps what was signed. One state serves one store. */
export class SignerState extends Context.Service<SignerState, {
  /** Whether logs that others have signed may be signed by a signer of this state. They may, unless this is `false`. */
  readonly isNew?: boolean | undefined
  /** All that was signed: a log that is not in the store any more is known by it. */
  readonly origins: Effect.Effect<ReadonlyArray<SignedOrigin>, AuditError>
  /** The last head that was signed of an origin. */
  readonly last: (origin: Origin.Origin) => Effect.Effect<Head | undefined, AuditError>
  /**
   * Replaces the last head of an origin, if it is still `from`, and returns whether it was; keeps the log's name.
   * Durable once it succeeds; of calls for one origin, in any process, one follows the other.
   */
  readonly advance: (
    origin: Origin.Origin,
    from: Head | undefined,
    to: Head,
    name?: LogName | undefined
  ) => Effect.Effect<boolean, AuditError>
  /**
   * An origin is never signed again: `advance` fails from now on. May be repeated. The head is kept where nothing is
   * known of the origin.
   */
  readonly end: (origin: Origin.Origin, head: Head, name: LogName) => Effect.Effect<void, AuditError>
}>()("effect-audit/ledger/SignerState") {}

/** The error of signing an origin that was ended. */
export const ended = (origin: string): AuditError =>
  new AuditError({
    method: "SignerState",
    reason: new SignerRefused({ detail: `${origin} was resumed as another log and is never signed again` })
  })

/** Signs the checkpoints of logs. */
export class Signer extends Context.Service<Signer, {
  /** The signer's verifier key: checks every log. */
  readonly vkey: string
  /** Whether it may sign logs that others have signed, and of which its state knows nothing. */
  readonly isNew: boolean
  /** The id of the key under an origin. */
  readonly keyIdOf: (origin: string) => number
  /** The last head that was signed of an origin; none of a text that is no origin. */
  readonly last: (origin: string) => Effect.Effect<Head | undefined, AuditError>
  /** An origin is never signed again. */
  readonly end: (origin: string, head: Head, name: LogName) => Effect.Effect<void, AuditError>
  /** All that was signed, of every origin. */
  readonly origins: Effect.Effect<ReadonlyArray<SignedOrigin>, AuditError>
  /**
   * Signs a head of a log. `head` is asked for it with the last head that was signed, which it must extend; it is asked
   * again where another process has signed meanwhile. The head is durable in the signer's state before the note is
   * returned.
   */
  readonly sign: <E>(
    origin: string,
    head: (last: Head | undefined) => Effect.Effect<Head, E>,
    name?: LogName | undefined
  ) => Effect.Effect<SignedCheckpoint, AuditError | E>
}>()("effect-audit/ledger/Signer") {}

const refuse = (detail: string) => new AuditError({ method: "Signer.sign", reason: new SignerRefused({ detail }) })

/** Builds a signer with a key, over the state of a medium. */
export const make = Effect.fnUntraced(function*(
  { key }: { readonly key: SigningKey }
): Effect.fn.Return<Signer["Service"], never, SignerState> {
  const state = yield* SignerState
  const signed = <E>(
    origin: Origin.Origin,
    head: (last: Head | undefined) => Effect.Effect<Head, E>,
    name: LogName | undefined
  ): Effect.Effect<Head, AuditError | E> =>
    Effect.flatMap(
      state.last(origin),
      (last) =>
        Effect.flatMap(head(last), (next) =>
          // The same head again as well: a state that is gone signs nothing.
          Effect.flatMap(
            state.advance(origin, last, next, name),
            (advanced) => advanced ? Effect.succeed(next) : signed(origin, head, name)
          ))
    )
  return Signer.of({
    vkey: key.vkey,
    isNew: state.isNew !== false,
    keyIdOf: (origin) => key.signerOf(origin).keyId,
    last: (origin) => Origin.is(origin) ? state.last(origin) : Effect.undefined,
    origins: state.origins,
    end: (origin, head, name) => Origin.is(origin) ? state.end(origin, head, name) : Effect.void,
    sign: (origin, head, name) =>
      // What is signed begins with the origin: lines in it would be signed as another size and root.
      Origin.is(origin)
        ? Effect.map(signed(origin, head, name), ({ root, size }) => {
          const checkpoint: Checkpoint = { origin, size, root, extensions: [] }
          return { checkpoint, note: sign(checkpoint, key.signerOf(origin)) }
        })
        : Effect.fail(refuse("the log's origin is not the origin of a log: someone changed it in the store"))
  })
})

/** A signer with a key. */
export const layer = (options: { readonly key: SigningKey }): Layer.Layer<Signer, never, SignerState> =>
  Layer.effect(Signer, make(options))
