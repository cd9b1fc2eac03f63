/** What a value under a key can be: a key such as `pan` or `mobile` may mean something else. */
import { isHarmless, isHarmlessSecret } from "./harmless.ts"
import { endsInName, keyWords } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { wordsWithNumber } from "./namedValue.ts"
import { scan } from "./scanner.ts"
import { isSsn } from "./validate.ts"

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
export const couldBe = (kind: Kind, key: string, value: string | number): boolean => {
  if (typeof value === "number" && !Number.isInteger(value)) return kind === "COORDINATES"
  const text = String(value)
  // `PasswordReusePrevention: 24`: a number that says something of passwords.
  if (typeof value === "number" && secretKinds.has(kind) && value < 1000 && !endsInName(key)) return false
  if (
    typeof value === "number" &&
    (isHarmless(kind, keyWords(key), text) || (value < 1e6 && /sig(?:nature)?$/i.test(key)))
  ) return false
  if (kind === "IP") return /[.:]/.test(text)
  if (kind === "MAC") return /[0-9A-Fa-f]{2}/.test(text)
  const least = leastDigits[kind]
  return least === undefined || text.replace(/\D/g, "").length >= least
}

const secretKinds = new Set<Kind>(["PASSWORD", "SECRET", "COOKIE"])

const uuidForm = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
/** Times and versions are no secrets. */
const plainForm = /^\d{4}-\d\d-\d\d|^v?\d+(?:\.\d+)+|:\/\/|^[\w.-]+\/[\w./-]+\.[a-z]{1,5}$/i

/** Words with a number behind them, names of domains turned round, paths, empty numbers. */
const namedForm =
  /^[a-z]+(?:[-_.:][a-z]+)*[-_.:#]?\d{1,4}$|^[a-z]{2,}(?:\.[a-z][a-z0-9]*){2,}$|^[^+=]*\/[^+=]*\.\w{1,5}$|^0x0+\d?$/

/** Security identifiers of Windows ([MS-DTYP], section 2.4.2.1), names made from a time, suites of ciphers (IANA). */
const ofMachine =
  /^S-1-\d+(?:-\d+)+$|^[a-z]{0,8}\d{0,4}-?20[0-3]\d[01]\d[0-3]\d[0-2]\d[0-5]\d[0-5]\d(?:-[0-9a-f]{1,12})?$|^TLS(?:_[A-Z0-9]{2,12}){2,}$|^(?:ECDHE|DHE)(?:-[A-Z0-9]{2,10})+$/

/** Whether a value may be the secret that the name of its key only hints at. */
export const couldBeSecret = (weak: "key" | "session", value: string): boolean => {
  if (/^[A-Z]{2}[0-9a-f]{32}$/.test(value)) return false // ids of Twilio
  if (value.length < (weak === "key" ? 16 : 12) || value.length > 8192 || !/^[\x21-\x7e]+$/.test(value)) return false
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value) || plainForm.test(value) || namedForm.test(value)) return false
  if (ofMachine.test(value)) return false
  return weak === "session" || !uuidForm.test(value)
}

/** `^7.1.2`, `>=14`, `v1.2.3-beta`: what a package manager, not a person, gives. */
const version = /^[\^~>=<v ]{0,4}\d{1,5}(?:\.(?:\d{1,6}|x|\*)){1,3}(?:[-+][\w.]{1,32})?(?: \|\| .*)?$/
/** Variables, templates, markup, references into a document. */
const standsForAnother =
  /^(?:<[^<>]*>|\$[A-Z_][A-Z0-9_]*|\$\{[^}]*\}|\$\(.*\)|\{\{.*\}\}|%\w+%|#\/.*|\*+|x{3,}|\.{3,}|your[_-][a-z_-]+)$/i
/** `Bearer github_pat_XXXX` */
const masked = /^(?:(?:Bearer|Basic|Token) )?[A-Za-z_-]{0,16}X{4,64}$/
const aWord =
  /^(?:none|null|nil|undefined|true|false|yes|no|on|off|bearer|basic|digest|oauth2?|apikey|http|https|string|number|boolean|object|required|optional|default|inherit|auto|manual|enabled|disabled|password|secret|token|unknown|n\/a|empty|redacted|hidden|public|private)$/i
/** Last words of names whose values are made by machines: not words. */
const machineMade = new Set("token tokens auth signature key keys sig".split(" "))
const url = /^[a-z][a-z0-9+.-]{1,20}:\/\/[^\s@?]*$/i

/** Whether a text may be the password, token or key that the name of its key says. */
const couldBePassword = (key: string, name: string, last: string, text: string): boolean => {
  if (isHarmlessSecret(key, name, last, text)) return false
  if (standsForAnother.test(text) || masked.test(text) || aWord.test(text) || url.test(text)) return false
  if (!machineMade.has(last)) return true
  // `[CLS]`: a token of a language.
  if (/^\[[A-Z_|]{2,16}\]$/.test(text)) return false
  if (/^\s[A-Za-z]{0,12}$|^\s*$/.test(text)) return false
  if (text.length < 6) return /^[A-Z0-9]{4,}$/.test(text)
  return /\d/.test(text) || /[a-z][A-Z].*[a-z][A-Z]|[^\w\s:./-]|^[A-Z0-9]{6,}$/.test(text) || text.trim().length >= 16
}

/** Of an address that is called no more than that: a person's has words, a machine's or a memory's does not. */
const couldBeStreet = (text: string): boolean =>
  /[\u0100-\uffff]{3}/.test(text) ||
  (/\p{L}{2}.*[\s,]|[\s,].*\p{L}{2}/su.test(text) && !/:\/\/|\b0x[0-9a-f]+\b/i.test(text) &&
    // `No:12` is of a house, `localhost:8080` of a machine.
    !/(?<![A-Z][A-Za-z]{0,12}):\d{2,5}(?:,|$)/.test(text))

/** Whether a text under a key could be what the key names. */
export const couldBeUnder = (kind: Kind, key: string, text: string): boolean => {
  const name = keyWords(key)
  const last = name.slice(name.lastIndexOf(" ") + 1)
  if (isHarmless(kind, name, text)) return false
  // `sample_email`: what stands in the place of one.
  if (!secretKinds.has(kind) && /^(?:sample|example|dummy)(?:_[a-z]+)+$/.test(text)) return false
  // `session_abc`: what a person calls a session.
  if (kind === "COOKIE" && wordsWithNumber.test(text)) return false
  // A repository, an address, a function: `functions.weather`.
  if (kind === "PERSON") return !/^[\w.-]+\/[\w.-]+$|:\/\/|^(?:functions|multi_tool_use|tools?|mcp)\.\w+$/.test(text)
  if (kind === "STREET_ADDRESS" && last === "address") {
    return (name !== "address" || couldBeStreet(text)) && /[\s\d,]/.test(text) &&
      !/^[\w.-]+\.[a-z]{2,}(?::\d+)?$|^sha\d+-/i.test(text) && !version.test(text)
  }
  if (kind === "EMAIL" || kind === "IP" || kind === "MAC" || kind === "IBAN") return true
  if (version.test(text) && !/^\d+\.\d+$/.test(text)) {
    return kind !== "PASSWORD" && !secretKinds.has(kind) && kind !== "PASSPORT"
  }
  return !secretKinds.has(kind) || couldBePassword(key, name, last, text)
}

/**
 * The kind that a whole value shows itself to be, whatever its key says: a token of a vendor's under `authorization`.
 */
export const ownKind = (text: string, named: Kind): Kind | undefined => {
  if (/^\d{9}$/.test(text) && named === "NATIONAL_ID" && isSsn(text.slice(0, 3), text.slice(3, 5), text.slice(5))) {
    return "US_SSN"
  }
  const [first] = scan(text)
  if (first === undefined || (first.end - first.start) * 4 < text.length * 3) return undefined
  // What is only said by a name inside the text says less than the key.
  return first.kind === "PASSWORD" ? undefined : first.kind
}
