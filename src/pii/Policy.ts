/**
 * What replaces a finding: by kind, tenant and path.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { isKind, isOwn, type Kind, names as kindNames } from "./Kind.ts"

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

/** What is said of the name of a kind that there is not. */
export const notAKind = "no kind"

/** What has other names than those of kinds is refused, with the names that there are. */
const namesKinds = Schema.makeFilter((treatments: { readonly [name: string]: unknown }) => {
  const wrong = Object.keys(treatments).find((name) => !isKind(name))
  return wrong === undefined
    ? undefined
    : {
      path: [wrong],
      issue: `${notAKind}: the kinds are ${kindNames().join(", ")}; those of your own are made with Kind.make`
    }
})

/** Treatments by kind, and one for the others. */
export const Treatments = Schema.Struct({
  default: Schema.optionalKey(Treatment),
  /** By the name of a kind; of one of your own once it was made by `Kind.make`. */
  kinds: Schema.optionalKey(Schema.Record(Schema.String, Treatment).check(namesKinds))
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

/** Whether a pattern is that of a place, or of one above it. */
export const matches = (path: ReadonlyArray<string | number>) => (pattern: string): boolean => {
  const wanted = pattern.split("/").slice(1).map((segment) =>
    segment.includes("~") ? segment.replaceAll("~1", "/").replaceAll("~0", "~") : segment
  )
  return wanted.length <= path.length &&
    wanted.every((segment, index) => segment === "*" || segment === String(path[index]))
}

const trainable: ReadonlySet<string> = new Set<Kind>([
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

/** What may stand among the kinds that pass. */
export const trainableKinds = `a kind that may pass: one of ${[...trainable].join(", ")}, or of your own`

/** A kind that a policy may let pass into training: no secret, no government id, no card; and kinds of one's own. */
export const TrainableKind = Schema.String.check(
  Schema.makeFilter((name: string) => trainable.has(name) || isOwn(name) || `Expected ${trainableKinds}`)
)

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
