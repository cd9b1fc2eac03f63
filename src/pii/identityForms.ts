/**
 * Ids of persons and firms that their form and check digits give away, without a word before them. Listed are forms
 * that hardly anything else has; digits in one piece are found behind a word only (`identity.ts`).
 */
import { codeAt } from "./boundary.ts"
import type { Span } from "./span.ts"
import { isCodiceFiscale, isNie, isNric } from "./validate.ts"

interface Form {
  /** What stands there, from its first character on. */
  readonly pattern: RegExp
  /** The check, given the match and its digits. */
  readonly holds: (id: string, digits: string) => boolean
}

const sumOf = (digits: string, weights: ReadonlyArray<number>): number => {
  let sum = 0
  for (const [i, weight] of weights.entries()) sum += Number(digits[i]) * weight
  return sum
}
const daysOf = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
/** Whether a month has such a day; years of two digits may be leap years. */
const isDate = (month: string, day: string): boolean =>
  Number(day) >= 1 && Number(day) <= (daysOf[Number(month) - 1] ?? 0)

/** Brazil: two check digits, each modulo 11 over what stands before it (Receita Federal, IN 1548/2015). */
const isBrazilian = (digits: string, longest: number): boolean => {
  for (let n = digits.length - 2; n < digits.length; n++) {
    let sum = 0
    for (let i = 0; i < n; i++) sum += Number(digits[i]) * (2 + (n - 1 - i) % (longest - 1))
    if ((sum * 10 % 11) % 10 !== Number(digits[n])) return false
  }
  return /[^0]/.test(digits) && !/^(\d)\1+$/.test(digits)
}

const taxOfArgentina = [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
const residentOfKorea = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]
const residentOfChina = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
const pensionOfGermany = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]
const signsOfFinland = "0123456789ABCDEFHJKLMNPRSTUVWXY"

/** Finland, henkilötunnus: the remainder by 31 as a sign (Digital and Population Data Services Agency). */
const isFinnish = (id: string, digits: string): boolean =>
  isDate(id.slice(2, 4), id.slice(0, 2)) && signsOfFinland[Number(digits.slice(0, 9)) % 31] === id[10]

/** Germany, pension insurance: day of birth and a letter, check by sums of digits (VKVV, section 4). */
const isPension = (id: string): boolean => {
  const letter = id.charCodeAt(8) - 64
  const digits = id.slice(0, 8) + String(letter).padStart(2, "0") + id.slice(9, 11)
  let sum = 0
  for (const [i, weight] of pensionOfGermany.entries()) {
    const product = Number(digits[i]) * weight
    sum += Math.floor(product / 10) + product % 10
  }
  const day = Number(id.slice(2, 4)) % 50
  return day >= 1 && day <= 31 && isDate(id.slice(4, 6), "01") && sum % 10 === Number(id[11])
}

/** France, numéro de sécurité sociale: 97 less the remainder by 97; Corsica counts as 19 and 18 (INSEE). */
const isFrench = (id: string): boolean => {
  const digits = id.replace(/ /g, "").replace("2A", "19").replace("2B", "18")
  return 97 - Number(digits.slice(0, 13)) % 97 === Number(digits.slice(13))
}

/** Belgium: 97 less the remainder by 97, with a 2 in front for those born since 2000 (royal decree of 3 April 1984). */
const isBelgian = (_: string, digits: string): boolean => {
  const check = Number(digits.slice(9))
  return isDate(digits.slice(2, 4), "01") &&
    (97 - Number(digits.slice(0, 9)) % 97 === check || 97 - Number("2" + digits.slice(0, 9)) % 97 === check)
}

/** Hong Kong: letters count from 10, a missing one 36, modulo 11 (Registration of Persons Ordinance). */
const isHongKong = (id: string): boolean => {
  const signs = id.replace(/[()]/g, "").padStart(9, " ")
  let sum = 0
  for (let i = 0; i < 9; i++) {
    const code = signs.charCodeAt(i)
    sum += (code === 32 ? 36 : code > 64 ? (i === 8 ? 10 : code - 55) : code - 48) * (9 - i)
  }
  return sum % 11 === 0
}

/** Chile: weights 2 to 7 from the right, modulo 11, ten as `K` (Servicio de Registro Civil). */
const isChilean = (id: string): boolean => {
  const digits = id.slice(0, -2).replace(/\./g, "")
  let sum = 0
  for (let i = 0; i < digits.length; i++) sum += Number(digits[digits.length - 1 - i]) * (2 + i % 6)
  return "0123456789K"[(11 - sum % 11) % 11] === id.slice(-1).toUpperCase()
}

const always = () => true

/** How many digits stand in front and what follows them, as one number. */
const keyOf = (length: number, after: number): number => length * 128 + after

/** By how many digits stand in front, and what follows them. */
const byNumber: Readonly<Record<string, ReadonlyArray<Form>>> = {
  "1 ": [{ pattern: /[12] \d\d (?:0[1-9]|1[0-2]) (?:\d\d|2[AB]) \d{3} \d{3} \d\d/y, holds: isFrench }],
  "2.": [
    { pattern: /[1-9]\d\.\d{3}\.\d{3}-[\dKk]/y, holds: isChilean },
    { pattern: /\d\d\.\d{3}\.\d{3}\/\d{4}-\d\d/y, holds: (_, digits) => isBrazilian(digits, 9) },
    { pattern: /\d\d\.\d\d\.\d\d-\d{3}\.\d\d/y, holds: isBelgian }
  ],
  // Argentina, CUIT and CUIL: modulo 11 (AFIP, RG 10/1997).
  "2-": [{
    pattern: /(?:2[03-7]|3[034])-\d{8}-\d/y,
    // Not a day in the middle, as in `20-20240115-3`.
    holds: (_, digits) =>
      !(/^(?:19|20)/.test(digits.slice(2)) && isDate(digits.slice(6, 8), digits.slice(8, 10))) &&
      "012345678990"[11 - sumOf(digits, taxOfArgentina) % 11] === digits[10]
  }],
  "3.": [
    { pattern: /\d{3}\.\d{3}\.\d{3}-\d\d/y, holds: (_, digits) => isBrazilian(digits, 11) },
    // Switzerland, AHV: 756 is the country, the check digit as of an EAN-13 (AHVV, article 133).
    {
      pattern: /756\.\d{4}\.\d{4}\.\d\d/y,
      holds: (_, digits) => sumOf(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0
    }
  ],
  // United States, ITIN: 9, and groups that no social security number has (IRS, Publication 1915).
  "3-": [{
    pattern: /9\d\d-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-(?!0000)\d{4}/y,
    holds: (_, digits) => !/^(\d)\1+$/.test(digits)
  }],
  // Korea, resident registration: day of birth, a region up to 95, modulo 11; foreigners are two more.
  "6-": [
    {
      pattern: /\d{6}-[1-8]\d{6}/y,
      holds: (id, digits) => {
        const rest = sumOf(digits, residentOfKorea) % 11
        const check = ((digits[6]! > "4" ? 13 : 11) - rest) % 10
        return isDate(id.slice(2, 4), id.slice(4, 6)) && digits.slice(7, 9) <= "95" && check === Number(digits[12])
      }
    },
    { pattern: /\d{6}-\d{3}[A-FHJ-NPR-Y]/y, holds: isFinnish }
  ]
}
const ofNumbers = new Map(
  Object.entries(byNumber).map(([key, forms]) => [keyOf(Number(key[0]), key.charCodeAt(1)), forms])
)

const none: ReadonlyArray<Form> = []

/** Words that begin with a digit and have letters in them, or have 18 digits, by their length. */
const ofWords = new Map<number, Form>([
  [11, { pattern: /\d{6}[A-FU-Y]\d{3}[\dA-FHJ-NPR-Y]/y, holds: isFinnish }],
  [12, { pattern: /\d{8}[A-Z]\d{3}/y, holds: isPension }],
  // India, GSTIN: a state, the PAN of its holder, `Z` (CGST rules, 10).
  [15, { pattern: /(?:0[1-9]|[12]\d|3[0-7]|97|99)[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[\dA-Z]/y, holds: always }],
  // China: division, day of birth, check by ISO 7064 mod 11-2 (GB 11643-1999).
  [18, {
    pattern: /[1-8]\d{5}(?:19|20)\d{9}[\dX]/y,
    holds: (id) =>
      isDate(id.slice(10, 12), id.slice(12, 14)) && "10X98765432"[sumOf(id, residentOfChina) % 11] === id[17]
  }]
])

const insured: Form = { pattern: /[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] \d\d \d\d \d\d [A-D]/y, holds: always }
const hongKong: Form = { pattern: /[A-Z]{1,2}\d{6}\([\dA]\)/y, holds: isHongKong }
/** Mexico, CURP: letters of the name, day of birth, sex and state (DOF, 18 October 2021). */
const curp = /^[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[\dA-Z]\d$/
/** India, permanent account number of a person: its fourth letter is `P` (Income Tax Department). */
const panOfPerson = /^[A-Z]{3}P[A-Z]\d{4}[A-Z]$/

const isWordOrDash = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95 || code === 45
/** Whether what ends there goes on, as a longer number or name. */
const ends = (text: string, end: number): boolean => {
  const code = codeAt(text, end, text.length)
  return !isWordOrDash(code) && ((code !== 46 && code !== 47) || !isWordOrDash(codeAt(text, end + 1, text.length)))
}

const matches = (form: Form, text: string, start: number): Span | undefined => {
  form.pattern.lastIndex = start
  const id = form.pattern.exec(text)?.[0]
  return id !== undefined && ends(text, start + id.length) && form.holds(id, id.replace(/\D/g, ""))
    ? { start, end: start + id.length, kind: "NATIONAL_ID" }
    : undefined
}

/** An id that begins with a digit. The word ends at `end`. */
export const formOfNumberAt = (text: string, start: number, end: number, isNumber: boolean): Span | undefined => {
  const length = end - start
  const inOne = length >= 11 && length <= 18 ? ofWords.get(length) : undefined
  if (inOne !== undefined) {
    const found = matches(inOne, text, start)
    if (found !== undefined) return found
  }
  if (!isNumber || length > 6 || codeAt(text, start - 1, start) === 47) return undefined
  const after = codeAt(text, end, text.length)
  if (after !== 32 && (after < 45 || after > 47)) return undefined
  for (const form of ofNumbers.get(keyOf(length, after)) ?? none) {
    const found = matches(form, text, start)
    if (found !== undefined) return found
  }
  return undefined
}

/** An id that begins with a capital letter: codice fiscale, NIE, NRIC, CURP, PAN, HKID, NINO as it is printed. */
export const formOfWordAt = (text: string, start: number, end: number): Span | undefined => {
  const length = end - start
  const after = codeAt(text, end, text.length)
  if (length === 2 && after === 32) return matches(insured, text, start)
  if ((length === 7 || length === 8) && after === 40) {
    return matches(hongKong, text, start)
  }
  if (length !== 9 && length !== 10 && length !== 16 && length !== 18) return undefined
  const word = text.slice(start, end)
  const holds = length === 16
    ? isCodiceFiscale(word)
    : length === 18
    ? curp.test(word)
    : length === 10
    ? panOfPerson.test(word)
    : isNie(word) || isNric(word)
  return holds ? { start, end, kind: "NATIONAL_ID" } : undefined
}
