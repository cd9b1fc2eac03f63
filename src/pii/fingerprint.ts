/** What tells two ways of stripping apart. */
import { createHash, createHmac } from "node:crypto"
import type { Detector } from "./Pii.ts"
import type { Policy } from "./Policy.ts"
import type { PseudonymKey } from "./pseudonym.ts"

/** What decides what is replaced, and how; beside the rules of this package, which are the release's. */
export interface Rules {
  readonly policy: Policy
  readonly key?: PseudonymKey | undefined
  readonly detectors?: ReadonlyArray<Detector> | undefined
  /** Stands for what detectors do, which cannot be seen from outside. */
  readonly revision?: string | undefined
}

/** JSON whose objects have their keys in order. */
const canonical = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(canonical)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, canonical(v)]))
    : value

/**
 * 32 hexadecimal digits: 128 bits of a SHA-256 over the policy, the key's id and a keyed hash that only its secret
 * makes, the number of detectors, and the revision.
 */
export const fingerprint = ({ detectors, key, policy, revision }: Rules): string => {
  const proof = key && createHmac("sha256", key.secret).update("effect-audit policy").digest("hex")
  const rules = [canonical(policy), key?.id ?? null, proof ?? null, detectors?.length ?? 0, revision ?? ""]
  return createHash("sha256").update(JSON.stringify(rules)).digest("hex").slice(0, 32)
}
