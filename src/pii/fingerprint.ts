/** What tells two ways of stripping apart. */
import { createHash, createHmac } from "node:crypto"
import { isKind } from "./Kind.ts"
import type { Detector } from "./Pii.ts"
import { needsKey, type Policy, treatment } from "./Policy.ts"
import type { PseudonymKey } from "./pseudonym.ts"

/** What decides what is replaced, and how; beside the rules of this package, which are the release's. */
export interface Rules {
  readonly policy: Policy
  readonly key?: PseudonymKey | undefined
  readonly detectors?: ReadonlyArray<Detector> | undefined
  /** Stands for what detectors do, which cannot be seen from outside. */
  readonly revision?: string | undefined
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || (typeof value === "object" && value !== null && Object.keys(value).length === 0)

/** JSON whose objects have their keys in order, without what says nothing. */
const canonical = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(canonical)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(
      Object.entries(value).map(([key, field]) => [key, canonical(field)] as const).filter(([, field]) =>
        !isEmpty(field)
      )
        .sort(([a], [b]) => (a < b ? -1 : 1))
    )
    : value

/** Treatments without those that every policy has. */
const stated = (policy: Policy) =>
  policy.default !== undefined
    ? policy.kinds
    : Object.fromEntries(
      Object.entries(policy.kinds ?? {}).filter(([kind, given]) => !isKind(kind) || treatment({}, kind) !== given)
    )

/** A policy as it decides: the order of rules counts, that of sets does not. */
const deciding = (policy: Policy): unknown =>
  canonical({
    ...policy,
    kinds: stated(policy),
    trainable: policy.trainable?.toSorted(),
    allow: {
      paths: policy.allow?.paths?.toSorted(),
      keys: policy.allow?.keys?.toSorted(),
      values: policy.allow?.values?.toSorted()
    }
  })

/**
 * 32 hexadecimal digits: 128 bits of a SHA-256 over the policy, the key's id and a keyed hash that its secret makes
 * (where the policy uses the key), the number of detectors, and the revision.
 */
export const fingerprint = ({ detectors, key, policy, revision }: Rules): string => {
  const used = key !== undefined && needsKey(policy) ? key : undefined
  const proof = used && createHmac("sha256", used.secret).update("effect-audit policy").digest("hex")
  const rules = [deciding(policy), used?.id ?? null, proof ?? null, detectors?.length ?? 0, revision ?? ""]
  return createHash("sha256").update(JSON.stringify(rules)).digest("hex").slice(0, 32)
}
