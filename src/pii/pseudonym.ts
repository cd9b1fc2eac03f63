/** What stands in the place of a finding and still says something of it. */
import { createHmac } from "node:crypto"
import type { Kind } from "./Kind.ts"

/**
 * The key of pseudonyms. Another id and secret begin a new series; older pseudonyms show the key that they were made
 * with.
 */
export interface PseudonymKey {
  /** Shown in the pseudonym: 1 to 32 letters, digits, `_` or `-`. */
  readonly id: string
  /** At least 32 bytes. */
  readonly secret: Uint8Array
}

/**
 * The pseudonym of a value: HMAC-SHA-256 under a key of the tenant's own, with the kind as its domain, 128 bits of it.
 */
export const pseudonym = (key: PseudonymKey, tenantId: string, kind: Kind, value: string): string => {
  const tenantKey = createHmac("sha256", key.secret).update(tenantId).digest()
  const hash = createHmac("sha256", tenantKey).update(`${kind}\u0000${value}`).digest().subarray(0, 16)
  return `[${kind}:${key.id}:${hash.toString("base64url")}]`
}

/** A part of a value that may be shown: the last digits of a card, the domain of an address; else the kind alone. */
export const partial = (kind: Kind, value: string): string => {
  if (kind === "CREDIT_CARD") return `[CREDIT_CARD:${value.replace(/\D/g, "").slice(-4)}]`
  const domain = /@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)$/.exec(value)?.[1]
  return kind === "EMAIL" && domain !== undefined ? `[EMAIL:${domain}]` : `[${kind}]`
}
