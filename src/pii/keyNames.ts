/**
 * What the name of a key says about its value.
 *
 * Names are compared by whole words: `userEmail`, `user_email` and `USER-EMAIL` are `user email`.
 *
 * @internal
 */
import type { Kind } from "./Kind.ts"

const names: ReadonlyArray<readonly [Kind, ReadonlyArray<string>]> = [
  ["PASSWORD", [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "pass word",
    "user pass",
    "db pass",
    "pin code"
  ]],
  ["CVV", ["cvv", "cvv2", "cvc", "cvc2", "csc", "card security code", "security code", "card verification value"]],
  ["COOKIE", [
    "cookie",
    "cookies",
    "set cookie",
    "session id",
    "sessionid",
    "session key",
    "sid",
    "jsessionid",
    "phpsessid"
  ]],
  ["SECRET", [
    "secret",
    "secrets",
    "api key",
    "apikey",
    "api token",
    "access token",
    "refresh token",
    "auth token",
    "id token",
    "bearer token",
    "session token",
    "csrf token",
    "token",
    "authorization",
    "proxy authorization",
    "bearer",
    "client secret",
    "private key",
    "secret key",
    "secret access key",
    "access key",
    "encryption key",
    "signing key",
    "shared key",
    "credential",
    "credentials",
    "webhook secret",
    "app secret",
    "x api key",
    "auth"
  ]],
  ["EMAIL", ["email", "e mail", "mail", "email address", "mail address", "emails"]],
  ["PHONE", [
    "phone",
    "phone number",
    "mobile",
    "mobile number",
    "mobile phone",
    "telephone",
    "tel",
    "fax",
    "fax number",
    "cell",
    "cell phone",
    "cellphone",
    "msisdn",
    "phonenumber",
    "home phone",
    "work phone"
  ]],
  ["CREDIT_CARD", [
    "card number",
    "cardnumber",
    "credit card",
    "creditcard",
    "credit card number",
    "debit card",
    "pan",
    "cc number",
    "ccnum",
    "card no",
    "card num",
    "primary account number"
  ]],
  ["IBAN", ["iban"]],
  ["BANK_ACCOUNT", [
    "account number",
    "bank account",
    "bank account number",
    "routing number",
    "sort code",
    "account no",
    "accountnumber"
  ]],
  ["US_SSN", ["ssn", "social security number", "social security", "us ssn"]],
  ["NATIONAL_ID", [
    "national id",
    "tax id",
    "tax number",
    "tin",
    "nin",
    "nino",
    "cpf",
    "pesel",
    "dni",
    "nie",
    "aadhaar",
    "sin",
    "nif",
    "national insurance number",
    "national id number",
    "identity number",
    "personal id",
    "itin"
  ]],
  ["PASSPORT", ["passport", "passport number", "passport no", "passport id"]],
  ["DATE_OF_BIRTH", ["dob", "birth date", "birthdate", "date of birth", "birthday", "born on", "birth day"]],
  ["STREET_ADDRESS", [
    "address",
    "street",
    "street address",
    "address line",
    "address line1",
    "address line2",
    "address line 1",
    "address line 2",
    "home address",
    "billing address",
    "shipping address",
    "postal address",
    "addr",
    "street name"
  ]],
  ["POSTAL_CODE", ["zip", "zip code", "zipcode", "postal code", "postalcode", "postcode", "post code", "plz"]],
  ["IP", [
    "ip",
    "ip address",
    "ip addr",
    "client ip",
    "remote ip",
    "remote addr",
    "x forwarded for",
    "source ip",
    "ipv4",
    "ipv6",
    "ipaddress"
  ]],
  ["MAC", ["mac", "mac address", "mac addr", "macaddress"]],
  ["PERSON", [
    "first name",
    "firstname",
    "last name",
    "lastname",
    "full name",
    "fullname",
    "given name",
    "family name",
    "surname",
    "middle name",
    "maiden name",
    "patient name",
    "customer name",
    "contact name",
    "cardholder",
    "cardholder name",
    "card holder",
    "account holder",
    "holder name",
    "forename",
    "person name",
    "real name",
    "legal name"
  ]]
]

const byName = new Map<string, Kind>(names.flatMap(([kind, list]) => list.map((name) => [name, kind] as const)))

/** Last words that turn a sensitive name into a harmless one: `token_count`, `session_name`, `email_verified`. */
const harmlessLast = new Set([
  "count",
  "counts",
  "type",
  "kind",
  "status",
  "enabled",
  "verified",
  "length",
  "size",
  "limit",
  "usage",
  "used",
  "total",
  "policy",
  "format",
  "version",
  "template",
  "hint",
  "expiry",
  "expires",
  "ttl",
  "at",
  "by",
  "code",
  "id",
  "ids",
  "hash",
  "index",
  "offset",
  "state",
  "valid",
  "validated",
  "required",
  "changed",
  "updated",
  "created",
  "name",
  "label",
  "domain",
  "country",
  "region",
  "provider",
  "method",
  "scope",
  "scopes",
  "seconds",
  "ms",
  "millis",
  "budget",
  "max",
  "min"
])

const words = (key: string): string =>
  key.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2").replace(/[^A-Za-z0-9]+/g, " ")
    .trim()
    .toLowerCase()

const classify = (key: string): Kind | undefined => {
  // A placeholder (`[EMAIL]`) is no name, and so long a text is none.
  if (key.length > 64 || key.startsWith("[")) return undefined
  const name = words(key)
  const exact = byName.get(name)
  if (exact !== undefined) return exact
  const parts = name.split(" ")
  // Names qualify to the left: in `customer billing address` the last words say what it is.
  for (let start = 1; start < parts.length; start++) {
    const found = byName.get(parts.slice(start).join(" "))
    if (found !== undefined && !(found === "STREET_ADDRESS" && parts[start] === "addr")) return found
  }
  const last = parts.at(-1) ?? ""
  if (harmlessLast.has(last)) return undefined
  const digits = /^(.*?)\s?\d{1,2}$/.exec(name)
  return digits === null ? undefined : byName.get(digits[1] ?? "")
}

const cache = new Map<string, Kind | null>()

/** The kind that a key's name promises, if it promises one. */
export const keyKind = (key: string): Kind | undefined => {
  const known = cache.get(key)
  if (known !== undefined) return known ?? undefined
  const kind = classify(key)
  // Keys come from callers: the cache starts again rather than grow without bound.
  if (cache.size >= 4096) cache.clear()
  cache.set(key, kind ?? null)
  return kind
}
