/** Values under the name of a key that are not what it names: times, templates, masks, labels, names of things. */
import type { Kind } from "./Kind.ts"

/** RFC 3339, section 5.6: a date with its time. */
const time = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:?\d\d))?$/

/** Whether a text is a time, which nobody takes for a password. */
export const isTime = (text: string): boolean => time.test(text)

/**
 * Masks of other programs: `[FILTERED]` (Rails), `[Filtered]` (Sentry), `__REDACTED__`,
 * `HIDDEN_DUE_TO_SECURITY_REASONS` (AWS CloudTrail), one sign over and over.
 */
const mask =
  /^[\W_]{0,4}(?:value[ _])?(?:redacted|filtered|masked|hidden|removed|scrubbed|sanitized|obfuscated)(?:[ _](?:due[ _]to|for)[ _]security[ _]reasons)?[\W_]{0,4}$|^([^\w\s])\1+$/iu

/** Whether a text says that a value was taken away. */
export const isMask = (text: string): boolean => text.length <= 64 && mask.test(text)

/** `{pg.value}`, `#{variable}`, `${{ secrets.X }}`, `@name-of-a-secret`: what a program fills in. */
const template = /^\$\{\{[^{}]*\}\}$|^#\{[^{}]*\}$|^\{[\w-]+(?:\.[\w-]+)+\}$|^@[a-z]+(?:-[a-z]+)+$/
/** An address of which parts are filled in. */
const filledIn = /\{[\w-]+(?:\.[\w-]+)+\}/

const own = new Set("test my your new old default dummy example sample success failure failed ok".split(" "))
const wordsOf = (text: string): ReadonlyArray<string> =>
  text.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().split(/[\s_-]+/)

/**
 * Whether a value is made of the words of its name: `secret_access_key: test_secret_access_key`, `Auth: Auth-Failure`.
 * `name` is in small letters, with spaces between its words.
 */
export const isOwnWords = (name: string, value: string): boolean => {
  if (value.length > 64 || !/^[A-Za-z]+(?:[ _-]?[A-Za-z]+)+$/.test(value)) return false
  const words = wordsOf(value)
  const named = new Set(name.split(" "))
  const others = words.filter((word) => !named.has(word))
  return words.length > 1 && others.length < 2 && others.length < words.length && others.every((word) => own.has(word))
}

const sentence = /^\p{Lu}\p{L}*(?: \p{L}+){4,}[.!?]?$/u
const link = / (?:to|the|when|of|for|your|must|please) /

/** A word of a permission (GitHub's Apps and workflows). */
const permission = /^(?:read|write|admin|inherit)$/

/** A signature is the base64 or hexadecimal of some bytes: no name of a rule (Suricata, Snort), no small number. */
const isSignature = (text: string): boolean => text.length >= 16 && !/\s/.test(text)

/** What repeats of a request have in common (Smithy, `idempotencyToken`): an id, where Amazon's services ask for one. */
const ofRequest = /^(?:client|Client)(?:Request)?Token$/
const id = /(?:^|-)[0-9a-z]{8}-(?:[0-9a-z]{4}-){3}[0-9a-z]{12}(?:-|$)/

/** Whether a text under the name of a secret says something else: a key, its words, the last of these. */
export const isHarmlessSecret = (key: string, name: string, last: string, text: string): boolean =>
  isTime(text) || (ofRequest.test(key) && id.test(text)) || template.test(text) || filledIn.test(text) ||
  permission.test(text) || isOwnWords(name, text) ||
  ((last === "signature" || last === "sig") && !isSignature(text)) || (sentence.test(text) && link.test(text))

/** Classes of goods, as services of taxes call them: `O9999999` (Avalara), `txcd_92010001` (Stripe). */
const taxCode = /^(?:[A-Z]{1,2}\d{6,8}|txcd_\d{6,12})$/
/** Whether a value is a class of goods, and nobody's number. */
export const isTaxCode = (name: string, text: string): boolean => /tax[ _-]?code$/i.test(name) && taxCode.test(text)

const fourNumbers = /^\d{1,6}(?:\.\d{1,6}){3}$/
/** As one dials it, or an id that is filled up. */
const withNought = /^0\d{5,15}$/
/** Whether a text is the version, or the id, that its key says, and not what such digits look like. */
export const isOnlyDigits = (digits: "version" | "id", text: string): boolean =>
  (digits === "version" ? fourNumbers : withNought).test(text)

/** A name has words with a space between; what programs call accounts has none, or digits. */
const nameOfPerson = /^[^\d_@/\\]+\s[^\d_@/\\]+$/

/** Where a server listens: an address with its port, an URL. */
const place = /^(?:[a-z][a-z0-9+.-]*:\/\/\S+|(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\[[0-9a-f:.]+\])(?::\d{1,5})?)$/i

/** Whether a text under the name of another kind says something else. */
export const isHarmless = (kind: Kind, name: string, text: string): boolean => {
  switch (kind) {
    case "PERSON":
      return /\baccount name$/.test(name) && !nameOfPerson.test(text)
    case "NATIONAL_ID":
      return isTaxCode(name, text)
    case "STREET_ADDRESS":
      return place.test(text)
    case "COOKIE":
      // A counter: `SessionId: 2`.
      return /^\d{1,8}$/.test(text)
    default:
      return false
  }
}
