/**
 * What counts as personal data or a secret, by name.
 *
 * @since 0.1.0
 */
import * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"

/** A kind that this package finds. */
export const Known = Schema.Literals([
  "EMAIL",
  "PHONE",
  "CREDIT_CARD",
  "IBAN",
  "IP",
  "US_SSN",
  "MAC",
  "CRYPTO_ADDRESS",
  "JWT",
  "PRIVATE_KEY",
  "SECRET",
  "URL_CREDENTIALS",
  "PASSWORD",
  "NATIONAL_ID",
  "PASSPORT",
  "POSTAL_CODE",
  "STREET_ADDRESS",
  "DATE_OF_BIRTH",
  "BANK_ACCOUNT",
  "CVV",
  "COOKIE",
  "PERSON",
  "IMEI",
  "CARD_EXPIRY",
  "COORDINATES",
  "USER_NAME",
  "CERTIFICATE",
  // What a schema marks as personal; no detector finds it.
  "PERSONAL"
])
export type Known = typeof Known.Type

/** A kind of an application's own, which its detectors find: made by `make`. */
export type Own = string & Brand.Brand<"effect-audit/pii/Kind">

/** A kind of personal data or secret. */
export type Kind = Known | Own

/** Names only: what is made once is known from then on, so that a policy can be checked against it. */
const own = new Set<string>()

const ownKind = Brand.nominal<Own>()
const isKnown = Schema.is(Known)

/** Whether a name is that of a kind that was made. */
export const isOwn = (name: string): name is Own => own.has(name)

/** Whether a name is that of a kind: of this package's, or of one that was made. */
export const isKind = (name: string): name is Kind => isKnown(name) || isOwn(name)

/** How many kinds there are. */
export const count = (): number => Known.literals.length + own.size

/** The names of all kinds, those that were made last. */
export const names = (): ReadonlyArray<string> => [...Known.literals, ...own]

/**
 * Makes a kind of one's own: `CUSTOMER_NO`. 1 to 32 of `A-Z 0-9 _`, beginning with a letter; throws `TypeError` for
 * any other name. It shows in the flags of events and in the place of what was found, and a policy can name it.
 */
export const make = (name: string): Kind => {
  if (!/^[A-Z][A-Z0-9_]{0,31}$/.test(name)) {
    throw new TypeError("the name of a kind is 1 to 32 of A-Z 0-9 _, beginning with a letter")
  }
  if (isKnown(name)) return name
  own.add(name)
  return ownKind(name)
}
