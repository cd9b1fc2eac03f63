/**
 * What replaces a finding, by kind.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Kind } from "./Kind.ts"

/**
 * - `mask`: the kind in brackets, `[EMAIL]`
 * - `drop`: a whole value becomes `null`, a part of a text becomes nothing
 * - `keep`: stays as it is, and is still reported
 */
export const Treatment = Schema.Literals(["mask", "drop", "keep"])
export type Treatment = typeof Treatment.Type

/** Treatments by kind; `default` for the others. */
export const Policy = Schema.Struct({
  default: Schema.optionalKey(Treatment),
  kinds: Schema.optionalKey(Schema.Record(Kind, Schema.optionalKey(Treatment)))
})
export type Policy = typeof Policy.Type

/** Masks everything, but leaves nothing of secrets, passwords and card codes. */
export const defaultPolicy: Policy = {
  default: "mask",
  kinds: { SECRET: "drop", PASSWORD: "drop", CVV: "drop", PRIVATE_KEY: "drop" }
}

/** The treatment of one kind. */
export const treatment = (policy: Policy, kind: Kind): Treatment =>
  policy.kinds?.[kind] ?? policy.default ?? defaultPolicy.kinds?.[kind] ?? "mask"
