/**
 * Numbers that a state gives to persons and firms, only where a word before them says so: their forms are too many, and
 * their digits could be anything.
 */
import type { Kind } from "./Kind.ts"
import type { Span } from "./span.ts"

const nationalWords = [
  "pesel|nip|regon|dow[oó]d(?:u osobistego)?|cpf|cnpj|dni|nif|nie|cif|n[uú]mero de identificaci[oó]n de extranjero|nino|ni number",
  "national insurance(?: (?:number|no\\.?))?|nhs(?: (?:number|no\\.?))?|national id(?:entity)?(?: (?:number|no\\.?|card))?",
  "aadhaar|aadhar|uidai|pan(?: card)?|sin|social insurance(?: (?:number|no\\.?))?|tin|itin|ein|tax(?:payer)? id(?: number)?|vat(?: (?:id|no\\.?|number))?",
  "steuer-?id(?:entifikationsnummer)?|ust-?id(?:nr)?|personnummer|organisationsnummer|hetu|bsn|abn|acn|tfn|medicare|npi|bsnr|lanr",
  "codice fiscale|partita iva|identity (?:number|code|card)(?: (?:number|no\\.?))?|id card(?: (?:number|no\\.?))?|fin|nric|curp|rfc|tckn|tc kimlik(?: no)?"
].join("|")
const passportWords =
  "passport(?: (?:number|no\\.?|#))?|travel document(?: (?:number|no\\.?))?|paszport(?:u)?|reisepass(?:nummer)?|pasaporte"
const licenceWords =
  "born(?: on)?|date of birth|birth ?date|dob|d\\.o\\.b\\.|urodzon(?:y|a|ym|ej)(?: dnia)?|geboren am|n[eé](?:e)? le"

const codeWords = "cvv2?|cvc2?|csc|cid|security code|verification (?:code|value)"

const before = (words: string): RegExp =>
  new RegExp(`(?:^|[^\\p{L}])(?:${words})(?: (?:is|was|are|no|nr|number|of|:))*[^\\p{L}\\d\\n\\]]{0,12}$`, "iu")
const nationalBefore = before(nationalWords)
const passportBefore = before(passportWords)
const codeBefore = before(codeWords)
const birthBefore = before(licenceWords)

/**
 * Every word that may be the last one before a value; a word of a pattern may have letters left out, hence its
 * beginning.
 */
const lastWords = new Set(
  `${nationalWords}|${passportWords}|${licenceWords}|${codeWords}|value|code|is|was|are|no|nr|number|of`.replace(
    /[()?]/g,
    " "
  ).split(
    /[^\p{L}]+/u
  )
    .filter((word) => word !== "").map((word) => word.slice(0, 3).toLowerCase())
)

const isLetter = (code: number): boolean => (code >= 65 && code < 91) || (code >= 97 && code < 123) || code > 191

/** Whether the word before could be one that names what follows: most are not, and cost no more than this. */
const isNamed = (text: string, start: number): boolean => {
  let end = start
  while (end > 0 && start - end < 14 && !isLetter(text.charCodeAt(end - 1))) end--
  if (end === 0 || !isLetter(text.charCodeAt(end - 1))) return false
  let first = end
  while (first > 0 && end - first < 32 && isLetter(text.charCodeAt(first - 1))) first--
  return lastWords.has(text.slice(first, Math.min(end, first + 3)).toLowerCase())
}

const value = /[A-Z]{0,6}[ -]?\d[\dA-Z]*(?:[ ./-]{1,2}[\dA-Z]+){0,6}/y
const code = /\d{3,4}(?![\w.-])/y
const date =
  /\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}\.? (?:[A-Z][a-z]{2,9}) \d{4}|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6} \d{1,2},? \d{4}/y

/** A value with digits whose name stands before it: a national id, a passport, a date of birth. */
export const identityAt = (text: string, start: number): Span | undefined => {
  if (!isNamed(text, start)) return undefined
  const behind = text.slice(Math.max(0, start - 56), start)
  if (birthBefore.test(behind)) {
    date.lastIndex = start
    return date.test(text) ? { start, end: date.lastIndex, kind: "DATE_OF_BIRTH" } : undefined
  }
  if (codeBefore.test(behind)) {
    code.lastIndex = start
    return code.test(text) ? { start, end: code.lastIndex, kind: "CVV" } : undefined
  }
  const kind: Kind | undefined = passportBefore.test(behind)
    ? "PASSPORT"
    : nationalBefore.test(behind)
    ? "NATIONAL_ID"
    : undefined
  if (kind === undefined) return undefined
  value.lastIndex = start
  const match = value.exec(text)
  if (match === null) return undefined
  // `RFC 2617` is a document; the number of a Mexican taxpayer begins with letters.
  if (/^[\d/]+$/.test(match[0]) && /\bRFC\s*$/i.test(behind)) return undefined
  const digits = match[0].replace(/\D/g, "").length
  return digits >= 5 && digits <= 16 && match[0].length <= 28
    ? { start, end: start + match[0].length, kind }
    : undefined
}
