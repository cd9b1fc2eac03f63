/**
 * What replaces a finding: by kind, tenant and path.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Kind } from "./Kind.ts"

/**
 * - `mask`: the kind in brackets, `[EMAIL]`
 * - `pseudonym`: a keyed hash, `[EMAIL:k1:3q2-7w...]`: the same value of a tenant has the same one; needs a key
 * - `partial`: the last four digits of a card, the domain of an e-mail address, of a client's address its network; a
 *   mask for the others
 * - `drop`: a whole value becomes `null`, a part of a text becomes nothing
 * - `keep`: stays as it is, and is still reported
 */
export const Treatment = Schema.Literals(["mask", "pseudonym", "partial", "drop", "keep"])
export type Treatment = typeof Treatment.Type

/** Treatments by kind, and one for the others. */
export const Treatments = Schema.Struct({
  default: Schema.optionalKey(Treatment),
  kinds: Schema.optionalKey(Schema.Record(Kind, Schema.optionalKey(Treatment)))
})
export type Treatments = typeof Treatments.Type

/** A JSON Pointer into an event's content, `/input/user/email`; `*` stands for any one key or index. */
export const PathPattern = Schema.String.check(
  Schema.isPattern(
    /^\/(?:input|output|change|metadata|resource|related|analytics|errorTag|authorization|client|\*)(?:\/[^/]*)*$/,
    {
      expected:
        "a JSON Pointer that begins with /input, /output, /change, /metadata, /resource, /related, /analytics, " +
        "/errorTag, /authorization or /client"
    }
  )
)

/** Kinds that a policy may let pass into training: no secret, no government id, no card. */
export const TrainableKind = Schema.Literals([
  "EMAIL",
  "PHONE",
  "IBAN",
  "IP",
  "MAC",
  "CRYPTO_ADDRESS",
  "POSTAL_CODE",
  "STREET_ADDRESS",
  "DATE_OF_BIRTH",
  "PERSON"
])

/** A policy, as it may come from configuration. What is more particular wins: path, then tenant, then kind. */
export const Policy = Schema.Struct({
  ...Treatments.fields,
  /** Other treatments for a tenant, by its id. */
  tenants: Schema.optionalKey(Schema.Record(Schema.String, Treatments)),
  /** Other treatments for whatever is found at a path; the first that matches counts. */
  paths: Schema.optionalKey(Schema.Array(Schema.Struct({ path: PathPattern, treatment: Treatment }))),
  /** What is not looked at: at a path, under a key, or exactly this value. */
  allow: Schema.optionalKey(Schema.Struct({
    paths: Schema.optionalKey(Schema.Array(PathPattern)),
    keys: Schema.optionalKey(Schema.Array(Schema.String)),
    values: Schema.optionalKey(Schema.Array(Schema.String))
  })),
  /**
   * Kinds that do not forbid training when they were found by their form and replaced as a whole. None unless given.
   */
  trainable: Schema.optionalKey(Schema.Array(TrainableKind))
})
export type Policy = typeof Policy.Type

/** Masks everything, but leaves nothing of secrets, passwords and card codes. */
export const defaultPolicy: Policy = {}

const dropped: ReadonlySet<Kind> = new Set<Kind>(["SECRET", "PASSWORD", "CVV", "PRIVATE_KEY"])

const of = (treatments: Treatments | undefined, kind: Kind): Treatment | undefined =>
  treatments?.kinds?.[kind] ?? treatments?.default

/** What a policy itself says of one kind for a tenant, apart from paths. */
export const statedTreatment = (policy: Policy, kind: Kind, tenantId?: string | undefined): Treatment | undefined =>
  (tenantId === undefined ? undefined : of(policy.tenants?.[tenantId], kind)) ?? of(policy, kind)

/** The treatment of one kind for a tenant, apart from paths. */
export const treatment = (policy: Policy, kind: Kind, tenantId?: string | undefined): Treatment =>
  statedTreatment(policy, kind, tenantId) ?? (dropped.has(kind) ? "drop" : "mask")

/** Whether a policy replaces anything with a pseudonym, for which it needs a key. */
export const needsKey = (policy: Policy): boolean => {
  const within = (treatments: Treatments | undefined) =>
    treatments?.default === "pseudonym" || Object.values(treatments?.kinds ?? {}).includes("pseudonym")
  return within(policy) || Object.values(policy.tenants ?? {}).some(within) ||
    (policy.paths ?? []).some((rule) => rule.treatment === "pseudonym")
}
