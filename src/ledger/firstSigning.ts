/** Why a log of which a signer's state knows nothing is not signed by it. */
import * as Effect from "effect/Effect"
import { LeafMissing, SignerRefused } from "../AuditError.ts"
import type { Log, LogStore, StoredNote } from "./LogStore.ts"
import type { Signer } from "./Signer.ts"

/** A signer, and the store of the logs that it signs. */
export interface Signing {
  readonly signer: Signer["Service"] | undefined
  readonly store: LogStore["Service"]
}

/**
 * Another log of its name was signed, and is gone. One that is gone and whose name is not known may have been of this
 * name as well.
 */
export const lostOrigin = Effect.fnUntraced(function*({ signer, store }: Signing, log: Log) {
  const there = new Set((yield* store.logs).flatMap(({ origins }) => origins.map(({ origin }) => origin)))
  const lost = (signer === undefined ? [] : yield* signer.origins).find(({ isEnded, name, origin }) =>
    !isEnded && !there.has(origin) &&
    (name === undefined || (name.tenantId === log.name.tenantId && name.env === log.name.env))
  )
  if (lost === undefined) return undefined
  const of = lost.name === undefined ? "a log" : "the log of this tenant and env"
  return new LeafMissing({ detail: `${of} was signed as ${lost.origin} at size ${lost.head.size}, and is gone` })
})

/**
 * Another key has signed it, and its state is not this one: nobody who has that key would believe the log any more. A
 * new signer may go on where that state is gone.
 */
export const byAnother = (
  { signer }: Signing,
  { origin }: Log,
  notes: ReadonlyArray<StoredNote>
): SignerRefused | undefined => {
  const signed = notes.find(({ note }) => note.startsWith(`${origin}\n`))
  if (signer === undefined || signer.isNew || signed === undefined || signed.keyId === signer.keyIdOf(origin)) {
    return undefined
  }
  return new SignerRefused({
    detail:
      `the signer's state knows nothing of ${origin}, which another key has signed: sign with the state of that ` +
      "key, or as a new signer where that is gone"
  })
}
