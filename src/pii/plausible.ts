/** What a value under a key can be: a key such as `pan` or `mobile` may mean something else. */
import type { Kind } from "./Kind.ts"

/** Digits that a value of a kind has at least. */
const leastDigits: { readonly [Name in Kind]?: number } = {
  CREDIT_CARD: 8,
  PHONE: 5,
  US_SSN: 4,
  NATIONAL_ID: 4,
  BANK_ACCOUNT: 4,
  CVV: 3,
  POSTAL_CODE: 1,
  DATE_OF_BIRTH: 1
}

/** Whether a value could be of the kind that its key names. */
export const couldBe = (kind: Kind, value: string | number): boolean => {
  if (typeof value === "number" && !Number.isInteger(value)) return false
  const text = String(value)
  if (kind === "IP") return /[.:]/.test(text)
  if (kind === "MAC") return /[0-9A-Fa-f]{2}/.test(text)
  const least = leastDigits[kind]
  return least === undefined || text.replace(/\D/g, "").length >= least
}

const uuidForm = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
/** Times and versions are no secrets. */
const plainForm = /^\d{4}-\d\d-\d\d|^v?\d+(?:\.\d+)+|:\/\/|^[\w.-]+\/[\w./-]+\.[a-z]{1,5}$/i

/** Whether a value may be the secret that the name of its key only hints at. */
export const couldBeSecret = (weak: "key" | "session", value: string): boolean => {
  if (value.length < (weak === "key" ? 16 : 12) || value.length > 8192 || !/^[\x21-\x7e]+$/.test(value)) return false
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value) || plainForm.test(value)) return false
  return weak === "session" || !uuidForm.test(value)
}
