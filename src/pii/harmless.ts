/** Values under the name of a key that are not what it names: times, templates, masks, labels, names of things. */
import type { Kind } from "./Kind.ts"

/** RFC 3339, section 5.6: a date with its time. */
const timeForm =
  "\\d{4}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d(?::\\d\\d(?:[.,]\\d{1,9})?)?(?: ?(?:[Zz]|UTC|[+-]\\d\\d:?\\d\\d))?"
const time = new RegExp(`^${timeForm}$`)
const timeInText = new RegExp(`${timeForm}(?=[\\s,;)\\]}]|$)`, "y")

/** Whether a text is a time, which nobody takes for a password. */
export const isTime = (text: string): boolean => text.length < 48 && time.test(text)

/** Whether a time stands at a place of a text. */
export const isTimeAt = (text: string, start: number): boolean => {
  timeInText.lastIndex = start
  return timeInText.test(text)
}

const hidden = "redacted|filtered|masked|hidden|removed|scrubbed|sanitized|obfuscated"
/**
 * Masks of other programs: `[FILTERED]` (Rails), `[Filtered]` (Sentry), `__REDACTED__`,
 * `HIDDEN_DUE_TO_SECURITY_REASONS` (AWS CloudTrail), one sign over and over.
 */
const mask = [
  new RegExp(
    `^(?:\\[{1,2}|<{1,2}|_{1,3}|\\*{1,3}|\\{{1,2}|\\()(?:${hidden})(?:\\]{1,2}|>{1,2}|_{1,3}|\\*{1,3}|\\}{1,2}|\\))$`,
    "i"
  ),
  /^(?:REDACTED|FILTERED|MASKED|HIDDEN_DUE_TO_SECURITY_REASONS|VALUE_HIDDEN)$/,
  /^([^\p{L}\p{M}\p{N}\s!?$-])\1{2,}$/u
]

/** Whether a text says that a value was taken away. */
export const isMask = (text: string): boolean => text.length <= 64 && mask.some((form) => form.test(text))

/** `{pg-password.value}`, `#{vault.item}`, `${{ secrets.X }}`, `@name-of-a-secret`: what a program fills in. */
const template = new RegExp(
  "^\\$\\{\\{ ?[A-Za-z_]+(?:\\.[A-Za-z_]+)+ ?\\}\\}$|^#\\{[A-Za-z_]+(?:\\.[A-Za-z_]+)+\\}$|" +
    "^\\{[a-z][a-z-]*(?:\\.[A-Za-z][A-Za-z-]*)+\\}$|^@[a-z]+(?:-[a-z]+)*-(?:secret|password|key|token)$"
)
const part = "\\{[\\w.-]+\\}"
/** An address whose host, and whose password if there is one, are filled in. */
const filledIn = new RegExp(
  `^[a-z][a-z0-9+.-]{1,20}://(?:[\\w.-]{0,64}(?:${part})?:${part}@)?${part}(?::(?:\\d{1,5}|${part}))?(?:/[\\w-]{0,64})?$`
)

const own = new Set("test my your new old default dummy example sample success failure failed ok".split(" "))
const typed = /pass|pwd|psw|\bpw\b|\bpin\b/

/**
 * Whether a value is made of the words of its name: `secret_access_key: test_secret_access_key`, `Auth: Auth-Failure`.
 * `name` is in small letters, with spaces between its words; what a person types may be as weak as that.
 */
export const isOwnWords = (name: string, value: string): boolean => {
  if (value.length > 64 || typed.test(name) || !/^[A-Za-z](?:[ _-]?[A-Za-z])+$/.test(value)) return false
  const words = value.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().split(/[ _-]/)
  const named = name.split(" ")
  const others = words.filter((word) => !named.includes(word))
  const said = new Set(words.filter((word) => named.includes(word)))
  return words.length > 1 && others.length < 2 && others.every((word) => own.has(word)) &&
    said.has(named.at(-1) ?? "") && (said.size > 1 || name === "auth")
}

/** `Password to use when accessing proxy server`: what a document says of it. */
const instruction =
  /^(?:(?:The|A|Your) )?(?:[Pp]assword|[Tt]oken|[Ss]ecret|[Kk]ey) (?:to|for|of|used|that) \p{L}+(?: \p{L}+){2,12}[.!]?$/u

/** A word of a permission (GitHub's Apps and workflows), under the plural. */
const permission = /^(?:read|write|admin|inherit|none)$/

/** The name of a rule (Suricata, Snort) or an outcome: words, and no run that is the base64 or hexadecimal of bytes. */
const isWords = (text: string): boolean =>
  text.length <= 256 && !/[;\n]/.test(text) && (/^[A-Za-z_ ]{1,15}$/.test(text) || /^\(.*\s/.test(text) ||
    (!text.includes("=") && /[A-Za-z]{2,} [A-Za-z]{2,}/.test(text) &&
      text.split(/[^A-Za-z0-9+/=_-]/).every((run) => run.length < 16 || !/\d/.test(run))))

/** What repeats of a request have in common (Smithy, `idempotencyToken`): an id, where Amazon's services ask for one. */
const ofRequest = /^(?:client|Client)(?:Request)?Token$/
const id = /^(?:[a-z]{1,16}-)?[0-9a-z]{8}-(?:[0-9a-z]{4}-){3}[0-9a-z]{12}(?:-\d{1,3})?$/

/** Whether a text under the name of a secret says something else: a key, its words, the last of these. */
export const isHarmlessSecret = (key: string, name: string, last: string, text: string): boolean =>
  text.length <= 512 && (
    isTime(text) || template.test(text) || isOwnWords(name, text) || (ofRequest.test(key) && id.test(text)) ||
    (last === "secrets" && permission.test(text)) || ((last === "signature" || last === "sig") && isWords(text)) ||
    (!typed.test(last) && instruction.test(text)) || (/pass$/i.test(key) && instruction.test(text)) ||
    (/(?:url|uri|dsn|string)$/.test(last) && filledIn.test(text))
  )

/** Classes of goods, as services of taxes call them: `O9999999` (Avalara), `txcd_92010001` (Stripe). */
const taxCode = /^(?:[DFNOPSUW][A-Z]?\d{6,7}|txcd_\d{6,12})$/
/** Whether a value is a class of goods, and nobody's number. */
export const isTaxCode = (name: string, text: string): boolean => /tax[ _-]?code$/i.test(name) && taxCode.test(text)

const fourNumbers = /^\d{1,6}(?:\.\d{1,6}){3}$/
/** As one dials it in one's country, or an id that is filled up. */
const withNought = /^0[1-9]\d{8,9}$/
/** Whether a text is the version, or the id, that its key says, and not what such digits look like. */
export const isOnlyDigits = (digits: "version" | "id", text: string): boolean =>
  (digits === "version" ? fourNumbers : withNought).test(text)

/** What programs call accounts: small letters, and a digit or a hyphen or some length. */
const isNameOfAccount = (text: string): boolean =>
  /^[a-z0-9._-]{1,64}$/.test(text) && (/[\d-]/.test(text) || text.length >= 8)

/** Where a server listens: an address with its port, an URL without a query. */
const place =
  /^(?:(?!geo:|maps)[a-z][a-z0-9+.-]{1,20}:\/\/(?!maps\.)[^\s?#]{1,256}|(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\[IP\]|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?)$/i
const ofPerson = /\b(?:home|street|billing|shipping|postal|mailing|delivery|line|permanent|residential)\b/

/** Whether a text under the name of another kind says something else. */
export const isHarmless = (kind: Kind, name: string, text: string): boolean => {
  switch (kind) {
    case "PERSON":
      return /\baccount name$/.test(name) && !/bank|holder/.test(name) && isNameOfAccount(text)
    case "NATIONAL_ID":
      return isTaxCode(name, text)
    case "STREET_ADDRESS":
      return name.endsWith("address") && !ofPerson.test(name) && place.test(text)
    case "COOKIE":
      // A counter: `SessionId: 2`.
      return /session ?id$/.test(name) && /^\d{1,5}$/.test(text)
    default:
      return false
  }
}
