/**
 * What the name of a key says about its value.
 *
 * Names are compared by whole words: `userEmail`, `user_email` and `USER-EMAIL` are `user email`.
 */
import type { Kind } from "./Kind.ts"

const names: ReadonlyArray<readonly [Kind, string]> = [
  [
    "PASSWORD",
    `password, passwd, pwd, pswd, pswrd, passphrase, passcode, pass word, user pass, db pass, pass, pw, pin, pin code,
    secret, secrets, api key, apikey, api token, refresh token, auth token, id token, bearer token, csrf token,
    token, authorization, proxy authorization, bearer, client secret, private key, secret key, access key,
    encryption key, signing key, shared key, credential, credentials, webhook secret, app secret, x api key, auth, private token,
    bot token, deploy key, license key, consumer secret, api secret, otp, one time password, totp secret, mfa secret,
    x auth token, x vault token, personal access token, secret token, recovery code, backup code, password confirm, password confirmation, pgpassword,
    otp code, verification code, mfa code, totp, jwt, master key, ssh key, hmac key, security answer, pin number, new password,
    old password, current password, passwords, api keys`
  ],
  [
    "SECRET",
    `access token, secret access key, aws secret access key, aws secret key, sig,
    x amz signature, x goog signature, x amz security token, account key, shared access key, shared access signature,
    connection string`
  ],
  [
    "CVV",
    "cvv, cvv2, cvc, cvc2, csc, cid code, card security code, security code, card verification value, card cvv, card cvc, cvv code, cvv number, cvc code"
  ],
  [
    "COOKIE",
    `cookie, cookies, set cookie, session id, sessionid, session key, session token, session cookie, connect sid,
    jsessionid, phpsessid`
  ],
  ["EMAIL", "email, e mail, mail, email address, mail address, emails, mail to, reply to, cc email, bcc"],
  [
    "PHONE",
    `phone, phone number, mobile, mobile number, mobile phone, telephone, tel, fax, fax number, cell, cell phone, cellphone,
    msisdn, phonenumber, home phone, work phone, whatsapp, contact tel, phone e164, contact number, phone no, mobile no, telephone number, cell number,
    whatsapp number, caller id`
  ],
  [
    "CREDIT_CARD",
    `card number, cardnumber, credit card, creditcard, credit card number, debit card, pan, cc number, ccnum, card no,
    card num, primary account number, payment card, ccn`
  ],
  ["IBAN", "iban"],
  [
    "BANK_ACCOUNT",
    "account number, bank account, bank account number, routing number, sort code, account no, accountnumber"
  ],
  ["US_SSN", "ssn, social security number, social security, us ssn, ssn number"],
  [
    "NATIONAL_ID",
    `national id, tax id, tax number, tin, nin, nino, cpf, pesel, dni, nie, aadhaar, aadhar, sin, nif, national insurance number,
    national id number, identity number, personal id, itin, identity card, id card number, personnummer, bsn, cnpj, tax id number, aadhaar number, pan number,
    national insurance, vat id, id number`
  ],
  [
    "PASSPORT",
    "passport, passport number, passport no, passport id, travel document, travel document number, passport num, document number"
  ],
  ["DATE_OF_BIRTH", "dob, birth date, birthdate, date of birth, birthday, born on, birth day, born, d o b, bday"],
  [
    "STREET_ADDRESS",
    `address, street, street address, address line, address line1, address line2, address line 1, address line 2,
    home address, billing address, shipping address, postal address, street name, delivery address, mailing address, line1, line2, addr line1`
  ],
  ["POSTAL_CODE", "zip, zip code, zipcode, postal code, postalcode, postcode, post code, plz"],
  [
    "IP",
    "ip, ip address, ip addr, client ip, remote ip, remote addr, x forwarded for, source ip, ipv4, ipv6, ipaddress, peer ip"
  ],
  ["MAC", "mac, mac address, mac addr, macaddress, hwaddr, hw addr, hardware address"],
  ["CRYPTO_ADDRESS", "wallet address, btc address, eth address, crypto address"],
  [
    "PERSON",
    `first name, firstname, last name, lastname, full name, fullname, given name, family name, surname, middle name,
    maiden name, patient name, customer name, contact name, cardholder, cardholder name, card holder, account holder, holder name,
    forename, person name, real name, legal name, given names, employee name, recipient name, fname, lname, name on card,
    beneficiary name, sender name, passenger name, guest name,
    owner name, preferred name, contact person`
  ]
]

const byName = new Map<string, Kind>(
  names.flatMap(([kind, list]) => list.split(",").map((name) => [name.trim(), kind] as const))
)

/** Names that end like a sensitive one and are not: page tokens, ids of credentials in signed addresses. */
const exempt = new Set([
  "x amz credential",
  "page token",
  "next token",
  "next page token",
  "continuation token",
  "cursor token",
  "sync token",
  "design token",
  "email address verified",
  "resume token",
  "start token",
  "token address",
  "in reply to",
  "remote address",
  "source address"
])

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

/** Names that say something about what they stand in, not what it is: `token.type`, `auth.method`, `address.count`. */
const aspects = new Set([
  "count",
  "counts",
  "type",
  "kind",
  "status",
  "enabled",
  "verified",
  "required",
  "length",
  "size",
  "limit",
  "total",
  "method",
  "methods",
  "scope",
  "scopes",
  "provider",
  "version",
  "ttl",
  "duration",
  "expires",
  "expiry",
  "at",
  "in",
  "algorithm",
  "alg",
  "issuer"
])

/** Whether a key below a sensitive one names an aspect of it. */
export const isAspect = (key: string): boolean => aspects.has(words(key).split(" ").at(-1) ?? "")

const classify = (key: string): Kind | undefined => {
  // A placeholder (`[EMAIL]`) is not a name, and neither is so long a text.
  if (key.length > 64 || key.startsWith("[")) return undefined
  const name = words(key)
  if (exempt.has(name)) return undefined
  const exact = byName.get(name)
  if (exact !== undefined) return exact
  const parts = name.split(" ")
  // Names qualify to the left: in `customer billing address` the last words say what it is.
  for (let start = 1; start < parts.length; start++) {
    const rest = parts.slice(start).join(" ")
    if (exempt.has(rest)) return undefined
    const found = byName.get(rest)
    if (found !== undefined) return found
  }
  const last = parts.at(-1) ?? ""
  if (last.length > 3 && last.endsWith("s") && last !== "tokens") {
    const singular = byName.get([...parts.slice(0, -1), last.slice(0, -1)].join(" ")) ?? byName.get(last.slice(0, -1))
    if (singular !== undefined) return singular
  }
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
