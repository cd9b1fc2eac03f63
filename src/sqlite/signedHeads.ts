/** What a signer of this process signed, as far as the sink can see it: a log that does not extend it takes no events. */
import * as Context from "effect/Context"
import type { Head } from "../ledger/extends.ts"

/** The last head that was signed of an origin; none where no signer is known. */
export const SignedHeads = Context.Reference<(origin: string) => Head | undefined>("effect-audit/sqlite/SignedHeads", {
  defaultValue: () => () => undefined
})
