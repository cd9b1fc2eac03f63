/**
 * What counts as personal data or a secret, by name.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/** A kind of personal data or secret. */
export const Kind = Schema.Literals([
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
  "PERSON"
])
export type Kind = typeof Kind.Type
