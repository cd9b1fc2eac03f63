/** Numbers that belong to a person: cards, accounts, social security, telephones, postal codes. */
import { codeAt, codeBefore } from "./boundary.ts"
import { isPossible } from "./callingCodes.ts"
import { townOfLicence } from "./places.ts"
import type { Span } from "./span.ts"
import { ibanLength, isCard, isIban, isSsn } from "./validate.ts"

const isDigit = (code: number): boolean => code >= 48 && code < 58
const isWord = (code: number): boolean =>
  isDigit(code) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

/** Whether the number that ends here goes on as an identifier, a decimal or a longer number. */
const goesOn = (text: string, end: number): boolean => {
  const code = codeAt(text, end, text.length)
  if (isWord(code)) return true
  return (code === 45 || code === 46) && isWord(codeAt(text, end + 1, text.length))
}

/** Whether something before the number makes it part of a longer token. */
export const goesBack = (text: string, start: number): boolean => {
  const code = codeBefore(text, start)
  return start > 1 && (code === 45 || code === 46) && isWord(text.charCodeAt(start - 2))
}

const ssnPattern = /(\d{3})([- ]?)(\d{2})\2(\d{4})/y
const ssnCue = /\b(?:ssn|social security(?: (?:number|no\.?|#))?)\b[^0-9\n\]]{0,16}$/i

/** Columns of the log of a server: `0/1/169/169 404 1541` (HAProxy 2.8, section 8.2.3), `HTTP/1.1" 404 19 2167` (Apache). */
const columnBefore = /(?:\d{1,9}\/){3}$|HTTP\/\d(?:\.\d)?" $/
const column = /\d{2,4} \d{2,5} ?/y
/** Whether what starts there are columns of a log: digits with one space between, behind other columns. */
const isColumn = (text: string, start: number): boolean => {
  const before = codeAt(text, start - 1, start)
  if (before !== 47 && (before !== 32 || codeAt(text, start - 2, start) !== 34)) return false
  column.lastIndex = start
  return column.test(text) && columnBefore.test(text.slice(Math.max(0, start - 32), start))
}

/** US social security numbers: `123-45-6789`, or nine digits after a word that says so. */
export const ssnAt = (text: string, start: number): Span | undefined => {
  ssnPattern.lastIndex = start
  const match = ssnPattern.exec(text)
  if (match === null || goesBack(text, start) || isColumn(text, start)) {
    return undefined
  }
  const end = start + match[0].length
  if (goesOn(text, end) || !isSsn(match[1]!, match[3]!, match[4]!)) return undefined
  if (match[2] === "" && !ssnCue.test(text.slice(Math.max(0, start - 40), start))) return undefined
  return { start, end, kind: "US_SSN" }
}

/**
 * As printed: four groups of four (and three more), 4-6-5, 4-6-4, in one piece, or in groups as someone types them;
 * with spaces, hyphens or full stops.
 */
const cardPattern =
  /\d{4}([ .-])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?(?!\d)|\d{4}([ .-])\d{6}\2\d{4,5}(?!\d)|[3-6]\d{3}([ -])\d{2,7}(?:\3\d{2,7}){1,3}(?!\d)|\d{12,19}(?!\d)/y
const cardCue =
  /\b(?:card|credit|debit|visa|master ?card|amex|maestro|pan|cc|payment|discover|diners|jcb|unionpay)\b[^\d\n]{0,24}$/i

/** Ranges and lengths that nearly all cards have; other valid ones need a word that says so, or a key. */
export const isCommonCard = (digits: string): boolean =>
  /^(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|[45]\d\d|2\d\d)\d{12}|35\d{14})$/
    .test(digits)

/** Payment cards: issuer range, length and Luhn check digit, grouped or not. */
export const cardAt = (text: string, start: number): Span | undefined => {
  cardPattern.lastIndex = start
  const match = cardPattern.exec(text)
  if (match === null || goesBack(text, start)) return undefined
  return cardIn(text, start, match[0], match[3] !== undefined) ??
    // What stands behind four groups may be another number: a card's code, an address of a machine.
    (fourGroups.test(match[0]) ? cardIn(text, start, match[0].slice(0, 19), false) : undefined)
}

const fourGroups = /^\d{4}([ .-])(?:\d{4}\1){3}\d{3}$/

const cardIn = (text: string, start: number, found: string, isOdd: boolean): Span | undefined => {
  const end = start + found.length
  const digits = found.replace(/[ .-]/g, "")
  if (goesOn(text, end) || !isCard(digits)) return undefined
  // In odd groups only what nearly all cards are.
  if (isOdd && !isCommonCard(digits)) return undefined
  const alone = start === 0 && end === text.length
  if (!alone && !isCommonCard(digits) && !cardCue.test(text.slice(Math.max(0, start - 40), start))) return undefined
  return { start, end, kind: "CREDIT_CARD" }
}

const ibanPattern = /[A-Za-z]{2}\d{2}(?:[ -]?[0-9A-Za-z]){11,30}/y

/** ISO 13616: country length and mod 97. Both hold by chance for one text in thousands, so lower case is fine. */
export const ibanAt = (text: string, start: number, wordEnd: number): Span | undefined => {
  const third = text.charCodeAt(start + 2)
  if (!isDigit(third) || wordEnd - start < 4) return undefined
  const length = ibanLength(text.charCodeAt(start), text.charCodeAt(start + 1))
  if (length === 0) return undefined
  ibanPattern.lastIndex = start
  const match = ibanPattern.exec(text)
  if (match === null) return undefined
  let compact = ""
  let end = start
  while (end < start + match[0].length && compact.length < length) {
    const char = text[end]!
    if (char !== " " && char !== "-") compact += char
    end++
  }
  if (compact.length !== length || isWord(text.charCodeAt(end)) || !isIban(compact.toUpperCase())) return undefined
  return { start, end, kind: "IBAN" }
}

const phonePattern = /(?:\+|00)?\(?\d(?:[ ./()-]{0,2}\d){5,14}/y
const usPattern = /(?:\+?(?:001|1)[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}/y
const extension = / ?(?:x|ext\.? ?)\d{1,6}/iy
const phoneWords = [
  "phone|tel|telephone|telefon|telefonu|tel[eé]fono|t[eé]l[eé]phone|mobile|cell|cellular|call|called|calling|fax|sms|texted",
  "whatsapp|dial|ring|reach me|answering at|messages to|hotline|handy|kom[oó]rka|telefone|celular|m[oó]vil|mobil|mobiel|mob|cel|gsm|ph|phn|contact(?: me)?",
  "(?:my|his|her|their|your|our|the) (?:new |old |other |work |home |cell |mobile |direct |office )?number|telepono|telefone?|puhelin|telefoon|tlf|tlfn|landline|switchboard|extension"
].join("|")
const phoneBefore = new RegExp(
  `(?:\\b(?:${phoneWords})\\b\\.?(?: (?:number|no\\.?|nr|me|us|him|her|them|at|on|is|kontaktowego|to))*[^0-9A-Za-z\\]]{0,12}|` +
    "wa\\.me/|tel:|sms:|(?:^|[\\s(])[MTPFDOCW]:\\s?|(?:тел|моб|телефон|电话|電話|手机|手機|携帯|전화|휴대폰|핸드폰|โทร|هاتف|טלפון|τηλ|t[eé]l)[.:：]?\\s{0,3})$",
  "i"
)
const phoneNounBefore =
  /(?:\b(?:phone|tel|telephone|telefon|telefonu|telefono|mobile|cell|fax|whatsapp|hotline|handy|mob|call me at|reach me on|reach me at|landline|celular|telefone)\b[^0-9\]]{0,24}|(?:тел|电话|電話|手机|전화|휴대폰)[^0-9\]]{0,8}|answering at |messages to |wa\.me\/|tel:|sms:)$/i
const phoneAfter = /^[ -]{1,3}\(?(?:office|fax|mobile|cell|home|work|phone|tel)\b/i

/**
 * Where the telephone number that may start here ends, its extension included; -1 if what follows makes it another
 * thing.
 */
const phoneEnd = (text: string, end: number): number => {
  extension.lastIndex = end
  const whole = extension.test(text) ? extension.lastIndex : end
  if (phoneAfter.test(text.slice(whole, whole + 12))) return whole
  return goesOn(text, whole) ? -1 : whole
}

/**
 * A number that stands alone, as a whole text or between quotes, and begins as one dials: `00` and a country code, or,
 * as a whole text, `0` and nine or ten digits.
 */
const isWholeNumber = (text: string, start: number, end: number, digits: string): boolean => {
  const whole = start === 0 && end === text.length
  const isQuoted = /["']/.test(text[start - 1] ?? "") && /["'\\]/.test(text[end] ?? "")
  // `scan-id: "0011477050403"`
  if (
    isQuoted &&
    /\b(?:scan|case|order|part|ticket)[-_ ]?(?:id|no)["']?\s?[:=]\s?["']$/i.test(
      text.slice(Math.max(0, start - 20), start)
    )
  ) {
    return false
  }
  return ((whole || isQuoted) && /^00[1-9]\d{8,12}$/.test(digits)) || (whole && /^0[1-9]\d{8,9}$/.test(digits))
}

/** Whether six digits follow with at most two signs between any two of them, as in every number that one dials. */
export const mayDial = (text: string, start: number): boolean => {
  let digits = 0
  let signs = 0
  const length = text.length
  for (let i = start; i < length; i++) {
    const code = codeAt(text, i, length)
    if (isDigit(code)) {
      if (++digits === 6) return true
      signs = 0
    } else if ((code !== 32 && (code < 40 || code > 47 || code === 42 || code === 43 || code === 44)) || ++signs > 2) {
      return false
    }
  }
  return false
}

/** Telephone numbers: international with `+` (E.164), the US form, or any beside a word such as "call" or "office". */
export const phoneAt = (text: string, start: number): Span | undefined => {
  const before = codeBefore(text, start)
  if (goesBack(text, start) || isWord(before)) return undefined
  // `Chrome/120.0.6099.43 Mobile`: a version of a program.
  if (before === 47 && isWord(codeAt(text, start - 2, start)) && !isDigit(codeAt(text, start - 2, start))) {
    if (!/(?:wa\.me|t\.me|tel:)\/{1,2}$/i.test(text.slice(Math.max(0, start - 8), start))) return undefined
  }
  if (isColumn(text, start)) return undefined
  usPattern.lastIndex = start
  const us = usPattern.exec(text)
  const usEnd = us === null ? -1 : phoneEnd(text, start + us[0].length)
  if (usEnd !== -1) return { start, end: usEnd, kind: "PHONE" }
  phonePattern.lastIndex = start
  const match = phonePattern.exec(text)
  if (match === null) return undefined
  let [found] = match
  let end = phoneEnd(text, start + found.length)
  // The last group may be of what follows: `+49 30 1234567 192.168.1.7`.
  if (end === -1 && found.startsWith("+") && found.includes(" ")) {
    found = found.slice(0, found.lastIndexOf(" "))
    end = phoneEnd(text, start + found.length)
  }
  if (end === -1) return undefined
  // A date is no number to call.
  if (/^(?:\d{4}[-./]\d\d?[-./]\d\d?|\d\d?[./-]\d\d?[./-]\d{4})(?!\d)/.test(found)) return undefined
  const digits = found.replace(/\D/g, "")
  if (digits.length > 17) return undefined
  if (found.startsWith("+")) {
    if (digits.startsWith("0") || digits.length < 7) return undefined
    // In one piece, too long or too short for its country, and no word says that it is one.
    return digits.length + 1 < found.length || isPossible(digits) ||
        phoneBefore.test(text.slice(Math.max(0, start - 48), start))
      ? { start, end, kind: "PHONE" }
      : undefined
  }
  if (isWholeNumber(text, start, end, digits)) return { start, end, kind: "PHONE" }
  // "call 12345678 times": few digits in one piece are a number only after a noun.
  if (digits.length < 9 && digits === found && !phoneNounBefore.test(text.slice(Math.max(0, start - 32), start))) {
    return undefined
  }
  return phoneAfter.test(text.slice(end, end + 12)) || phoneBefore.test(text.slice(Math.max(0, start - 48), start))
    ? { start, end, kind: "PHONE" }
    : undefined
}

const zip = /\d{5}(?:-\d{4})?(?![\w-])/y
/** Behind a town and the abbreviation of its state (USPS Publication 28, appendix B): `Austin, TX 78701`. */
const stateBefore =
  /[a-z.], (?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]) $/

/** A postal code behind a state, `Austin, TX 78701`; behind a word that says so `identity.ts` finds it. */
export const zipAt = (text: string, start: number): Span | undefined => {
  if (start < 6 || text.charCodeAt(start - 4) !== 32 || text.charCodeAt(start - 5) !== 44) return undefined
  zip.lastIndex = start
  return zip.test(text) && stateBefore.test(text.slice(start - 6, start)) &&
      !townOfLicence.test(text.slice(Math.max(0, start - 160), start))
    ? { start, end: zip.lastIndex, kind: "POSTAL_CODE" }
    : undefined
}

const areas = [
  "A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GMPV]|JE|K[ATWY]|L[ADELNSU]?|M[EKL]?|N[EGNPRW]?",
  "O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|ZE"
].join("|")
/**
 * United Kingdom (BS 7666, appendix C): one of its areas, a district, a space, and two letters that no unit, no size
 * and no ordinal number has: `M1 8GB` is a machine.
 */
const postcode = new RegExp(
  `(?:${areas})(?:\\d\\d?|\\d[A-HJKPSTUW]) \\d(?!GB|TB|PB|EB|DB|HZ|ND|RD|ST|TH|XL|XX|WD|FA|DX|YR|HR)[ABD-HJLNP-UW-Z]{2}(?![\\w@:-]|\\.\\w)`,
  "y"
)

/** Canada: letters and digits in turn, of the letters that it uses (Canada Post, Addressing Guidelines). */
const canadian = /[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d(?![\w@:-]|\.\w)/y

/** A postal code of the United Kingdom or Canada, by its form. The word before the space ends at `end`. */
export const postcodeAt = (text: string, start: number, end: number): Span | undefined => {
  const length = text.length
  if (end - start > 4 || codeAt(text, end, length) !== 32 || !isDigit(codeAt(text, end + 1, length))) return undefined
  const form = end - start === 3 && isDigit(codeAt(text, end + 3, length)) ? canadian : postcode
  form.lastIndex = start
  return !goesBack(text, start) && form.test(text)
    ? { start, end: form.lastIndex, kind: "POSTAL_CODE" }
    : undefined
}
