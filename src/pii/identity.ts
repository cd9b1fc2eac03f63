/**
 * Numbers that a state gives to persons and firms, only where a word before them says so: their forms are too many, and
 * their digits could be anything.
 */
import { codeAt } from "./boundary.ts"
import { bankWords, birthWords, nationalWords, passportWords, plateWords, postalWords } from "./identityWords.ts"
import type { Kind } from "./Kind.ts"
import type { Span } from "./span.ts"
import { luhn } from "./validate.ts"

/** Forms of the countries (Universal Postal Union, S42). */
const postal =
  /(?:\d{5}(?:-\d{3,4})?|\d{2}-\d{3}|\d{4}-\d{3}|\d{3}[ -]\d{2,4}|\d{4} ?[A-Z]{2}|[A-Z]\d[A-Z][ -]?\d[A-Z]\d|[A-Z]\d{4}[A-Z]{3}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[\dW] ?[A-Z\d]{4}|[A-Z]{2}-\d{4,5}|\d{6}|\d{4})(?![\w-])/y

/** Of Israel, Brazil and Iran in one piece. */
const longPostal = /(?:\d{7,8}|\d{10})(?![\w-])/y
const longBefore = /(?:^|[^\p{L}])(?:cep|מיקוד|کد پستی)[^\p{L}\d]{0,12}$/iu

/** `market cap 5000`: the Italian word has capitals, its code five digits. `zip 2024 files`: no code of four. */
const isPostal = (behind: string, length: number): boolean =>
  !/\bcap\W{0,12}$/i.test(behind) && !(length === 4 && /(?:\bzip |индекс\W{0,12})$/i.test(behind)) ||
  (length === 5 && /\bCAP\W{0,12}$/.test(behind))

/** ISO 9362. */
const bic = /[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![A-Za-z0-9])/y

const codeWords = "cvv2?|cvc2?|csc|cid|security code|verification (?:code|value)"

const deviceWords = "imei|imeisv|meid"
/** 3GPP TS 23.003, section 6.2.1: an IMEI is fourteen digits and a Luhn check digit; an IMEISV has two more instead. */
const device = /\d{2}[ -]?\d{6}[ -]?\d{6}[ -]?\d{1,2}(?![\d.-])/y
const expiryWords = "exp(?:iry|iration)?(?: date)?|expires?|(?:valid|good) thru"
/** As it is printed on a card, behind a word that says so, near a word that says that it is a card's. */
const expiry = /(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4]\d(?![\d/.-])/y
const cardNear = /(?:card|visa|amex|mastercard|cvv|cvc|cc|\bpan)\b|CREDIT_CARD|\d{4}[ -]\d{4}[ -]\d{4}|\d{12}/i

const before = (words: string): RegExp =>
  new RegExp(
    `(?:^|[^\\p{L}])(?:${words})(?:[ :]{1,2}(?:is|was|are|no\\.?|nr\\.?|num\\.?|n\\.?[°º]?|n[uú]m[eé]ro|num[eé]ro|number|nummer|numer|numaras[iı]|numaram|[cč][ií]slo|номер|серии|card|code|id|identifier|of|for|é|es|el|em|a|il|am|op|den|to|ist|lautet|est|è|jest|je|este|är|er|on)){0,3}[^\\p{L}\\d\\n\\]]{0,12}$`,
    "iu"
  )
const nationalBefore = before(nationalWords)
const passportBefore = before(passportWords)
const codeBefore = before(codeWords)
const bankBefore = before(bankWords)
const bicBefore = /(?:\b(?:swift|bic)\b(?: code)?(?: is)?\s?:\s{0,3}|\b(?:swift|bic) (?:code|is) |\bBIC )$/i
const postalBefore = before(postalWords)
const plateBefore = before(plateWords)
const birthBefore = before(birthWords)
const deviceBefore = before(deviceWords)
const expiryBefore = before(expiryWords)

/** Letters of scripts that do not separate words; Latin and Greek letters with two accents stand among them. */
const isWide = (code: number): boolean => code > 0x0e00 && (code < 0x1e00 || code > 0x1fff)
/** A word without its accents, in small letters. */
const plainOf = (word: string): string =>
  word.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replace(
    /[øłđıß]/g,
    (letter) => undivided.get(letter) ?? ""
  )
/** Letters that are none of ASCII's with an accent. */
const undivided = new Map([["ø", "o"], ["ł", "l"], ["đ", "d"], ["ı", "i"], ["ß", "ss"]])

/**
 * Every word that may be the last one before a value, by its first five letters; where words are not separated, by its
 * last three. A word of a pattern may have letters left out.
 */
const beginsOf = (words: string): ReadonlyArray<string> => {
  const simple = words.replace(/\[(.)[^\]]*\]/g, "$1")
  // With what may be left out and without it, and each part alone: `(?:bank)?rekening(?:nummer)?`.
  const spelled = [
    simple.replace(/[()?:]/g, " "),
    simple.replace(/\(\?:([^()|]*)\)/g, "$1").replace(/\?/g, ""),
    simple.replace(/\(\?:[^()]*\)\?/g, "").replace(/.\?/gu, "")
  ]
  return spelled.join("|").split(/[^\p{L}\p{M}]+/u).filter((word) => word !== "")
    .flatMap((word) => isWide(word.charCodeAt(0)) ? [word.slice(-3), word.slice(-2)] : [plainOf(word).slice(0, 5)])
}

const BIRTH = 1
const CODE = 2
const PASSPORT = 4
const NATIONAL = 8
const BANK = 16
const DEVICE = 32
const EXPIRY = 64
const POSTAL = 128
const PLATE = 256
/** Words between a name and its value. */
const links = new Set(
  ("is was are no nr num number numero card code id identifier of for e es ist est jest je este ar er on value n nummer numer numarasi numaram cislo " +
    "lautet номер серии a el il am op den em la dne to").split(" ")
)
/** Of each such word, which lists have it. */
const lastWords = new Map<string, number>()
const addWords = (list: number, words: string): void => {
  for (const word of beginsOf(words)) if (!links.has(word)) lastWords.set(word, (lastWords.get(word) ?? 0) | list)
}
addWords(BIRTH, birthWords)
addWords(CODE, codeWords)
addWords(PASSPORT, passportWords)
addWords(NATIONAL, nationalWords)
addWords(BANK, bankWords)
addWords(DEVICE, deviceWords)
addWords(POSTAL, postalWords)
addWords(PLATE, plateWords)
addWords(EXPIRY, "exp expiry expiration expires thru date")
lastWords.set("〒", POSTAL)
lastWords.set("op", NATIONAL)
// `nata a Roma il`: a place stands between.
lastWords.set("il", BIRTH)
// Last words of names that a pattern leaves open.
addWords(
  NATIONAL,
  "población estandarizada uniforme občana"
)

/** `：`, `（`, the space of East Asian texts. */
const isWideSign = (code: number): boolean =>
  code >= 0x3000 && (code < 0x3012 || (code > 0xff00 && (code < 0xff10 || (code > 0xff19 && code < 0xff21))))
const isLetter = (code: number): boolean =>
  code < 128 ? (code >= 97 && code < 123) || (code >= 65 && code < 91) : code > 191 && !isWideSign(code)

/** The first letters of a word without its accents; most words have none. */
const startOfWord = (text: string, first: number, end: number): string => {
  for (let i = first; i < end; i++) if (text.charCodeAt(i) > 127) return plainOf(text.slice(first, end)).slice(0, 5)
  return text.slice(first, Math.min(end, first + 5)).toLowerCase()
}

/** The lists that the words before may be of: most are of none, and cost no more than this. */
const listsBefore = (text: string, start: number): number => {
  let end = start
  let lists = 0
  for (let word = 0; word < 4; word++) {
    const from = end
    while (end > 0 && from - end < 14 && !isLetter(text.charCodeAt(end - 1))) {
      const code = text.charCodeAt(--end)
      if (code === 10 || (code >= 48 && code < 58)) return lists
    }
    if (end === 0 || !isLetter(text.charCodeAt(end - 1))) return lists
    let first = end
    while (first > 0 && end - first < 32 && isLetter(text.charCodeAt(first - 1))) first--
    if (isWide(text.charCodeAt(end - 1))) {
      for (let length = 1; length <= 3; length++) lists |= lastWords.get(text.slice(end - length, end)) ?? 0
      return lists
    }
    const begin = startOfWord(text, first, end)
    lists |= lastWords.get(begin) ?? 0
    // Before a word that may be a link, or the name itself, may stand the name.
    if (end - first > 10 || !links.has(end - first > 5 ? plainOf(text.slice(first, end)) : begin)) return lists
    end = first
  }
  return lists
}

const value =
  /[A-Z]{0,6}[ -]?\d[\dA-Z]*(?:(?:[ ./-]{1,2}| - |[+·])(?=[A-Z]{0,6}\d|[A-Z]{1,3}\b)[\dA-Z]+){0,8}(?:[([][\dA][)\]])?/y
/** As it is typed. */
const lower = /[A-Za-z]{1,4}\d{5,12}[A-Za-z]{0,2}(?![\w-])(?:[([][\dA][)\]])?/y
/** Groups of letters and digits, both of them at least once. */
const plate =
  /(?=[^a-z\n]{0,10}\d)(?=[\d ·-]{0,6}[A-ZÄÖÅĐΑ-ΩА-Я])[A-ZÄÖÅĐΑ-ΩА-Я\d]{1,8}(?:[ ·-][A-ZÄÖÅĐΑ-ΩА-Я\d]{1,5}){0,3}(?![\w-])|[a-z]{1,3}[ -]?(?:[a-z]{1,3}[ -]?)?\d{2,4}[a-z]{0,3}(?![\w-])/y
const code = /\d{3,4}(?![\w.-])/y
const date =
  /\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}|\d{1,2}(?:st|nd|rd|th|\.|º)?(?: of| de)? (?:\p{L}{3,12})\.?,?(?: de| del)? \d{4}|\d{4}[年년] ?\d{1,2}[月월] ?\d{1,2}[日일]|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}/uy

const account = /[A-Z]{0,4}\d(?:[ -]?\d){5,26}(?:\/\d{4})?(?![\d.,]*[\d%])|[A-Z]{1,4}\d{6}[\dA-Z]{2,24}(?![\w-])/y

/** Of a date in digits a day and a month, and a year of two digits or four: `DN 50/40/32` is a flange. */
const couldBeBirth = (found: string): boolean => {
  const parts = /^(\d{1,4})[./-] ?(\d{1,2})[./-] ?(\d{1,4})$/.exec(found)?.slice(1)
  if (parts === undefined) return true
  const [a = 0, b = 0, c = 0] = parts.map(Number)
  const isDay = (day: number, month: number) => day >= 1 && day <= 31 && month >= 1 && month <= 12
  const year = parts[2] ?? ""
  return parts[0]?.length === 4 ? isDay(c, b) : (year.length === 2 || year.length === 4) && (isDay(a, b) || isDay(b, a))
}

/** Words whose accounts have sixteen digits or more; with fewer they are something else. */
const longAccount = /(?:^|[^\p{L}])(?:rib|ccc|nib|c\/c)[^\p{L}\d]{0,12}$/iu

/** A number of an account, or the code of a bank. */
const accountAt = (text: string, start: number, behind: string): Span | undefined => {
  bic.lastIndex = start
  if (bic.test(text) && bicBefore.test(behind)) return { start, end: bic.lastIndex, kind: "BANK_ACCOUNT" }
  account.lastIndex = start
  if (!account.test(text) || !bankBefore.test(behind)) return undefined
  const digits = text.slice(start, account.lastIndex).replace(/\D/g, "").length
  return digits >= 16 || !longAccount.test(behind)
    ? { start, end: account.lastIndex, kind: "BANK_ACCOUNT" }
    : undefined
}

const month =
  /^(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)$/

/** A date of birth that begins with its month. */
export const birthAt = (text: string, start: number, end: number): Span | undefined =>
  month.test(text.slice(start, end)) ? identityAt(text, start, end) : undefined

/** `AB1234567 is my passport number`, in the languages of the lists. */
const verbs = " (?:is|es|ist|est|är|er|on|è|é|jest|to) "
const whose =
  "(?:my|his|her|their|our|the|mi|su|mein|meine|mon|ma|son|sa|mitt|min|mijn|meu|minha|sua|il mio|la mia|m[oó]j|moja|moje)"
const behindIt = (words: string): RegExp =>
  new RegExp(
    `^${verbs}${whose} (?:(?:number|n[uú]mero|num[eé]ro|numer|nummer)(?: of| de| du| di)? )?(?:${words})(?![\\p{L}])`,
    "iu"
  )
const passportBehind = behindIt(passportWords)
const nationalBehind = behindIt(`${nationalWords}|pnr`)
const documentNumber = /^[A-Z]{0,3}\d{5,18}[A-Z]{0,2}$/
/** A number with its date of birth in front, as in Nordic countries: `19910924-2397`. */
const withDate = /\d{6,8}[-+]\d{3,4}[\dA-Z]?(?![\w-])/y

const verbBegins = new Set([..."ieäojtèé"].map((char) => char.charCodeAt(0)))

/** A document's number that is the word before its name. Only a short verb may stand between. */
const namedBehindAt = (text: string, start: number, word: number): Span | undefined => {
  withDate.lastIndex = start
  const end = codeAt(text, word, text.length) === 32 ? word : withDate.test(text) ? withDate.lastIndex : -1
  if (end === -1 || codeAt(text, end, text.length) !== 32) return undefined
  if (!verbBegins.has(codeAt(text, end + 1, text.length))) return undefined
  const second = codeAt(text, end + 2, text.length)
  if (second !== 32 && codeAt(text, end + 3, text.length) !== 32 && codeAt(text, end + 4, text.length) !== 32) {
    return undefined
  }
  if (end === word && !documentNumber.test(text.slice(start, end))) return undefined
  const after = text.slice(end, end + 72)
  const kind = passportBehind.test(after) ? "PASSPORT" : nationalBehind.test(after) ? "NATIONAL_ID" : undefined
  return kind === undefined ? undefined : { start, end, kind }
}

/** `05.12.1949 года рождения`, `am 18.07.1952 geboren`: a date that the word for birth stands behind. */
const birthBehind = /^ ?(?:geboren|г(?:ода?|\.) ?р(?:\.|ождения)|生まれ|született|születtem|do[gğ]umlu|r\. ur\.)/
/** What the words for a birth begin with. */
const bornBegins = new Set([..."gг生szdr"].map((letter) => letter.charCodeAt(0)))
/** Whether a number goes on, as a date does, to what may be such a word, or to the name of a month. */
const mayBeBorn = (text: string, start: number): boolean => {
  let end = start
  while (end < text.length && end - start < 18 && text.charCodeAt(end) < 58) end++
  const code = codeAt(text, end, text.length)
  return code > 0x0e00 || bornBegins.has(code) || (isLetter(code) && end - start <= 4)
}
const bornAt = (text: string, start: number): Span | undefined => {
  if (!mayBeBorn(text, start)) return undefined
  date.lastIndex = start
  if (!date.test(text)) return undefined
  const end = date.lastIndex
  return birthBehind.test(text.slice(end, end + 20)) ? { start, end, kind: "DATE_OF_BIRTH" } : undefined
}

/** The number of a document, or of an account, behind the word that names it. */
const numberAt = (text: string, start: number, lists: number, behind: string): Span | undefined => {
  const kind: Kind | undefined = (lists & PASSPORT) !== 0 && passportBefore.test(behind)
    ? "PASSPORT"
    : (lists & NATIONAL) !== 0 && nationalBefore.test(behind)
    ? "NATIONAL_ID"
    : undefined
  if (kind === undefined) return (lists & BANK) === 0 ? undefined : accountAt(text, start, behind)
  value.lastIndex = start
  lower.lastIndex = start
  const isTyped = codeAt(text, start, text.length) > 96 || codeAt(text, start + 1, text.length) > 96
  const match = isTyped ? lower.exec(text) : value.exec(text)
  if (match === null) return undefined
  // `RFC 2617` is a document; the number of a Mexican taxpayer begins with letters.
  if (/^\d{3,5}\b[\d/. ]*(?: ?[A-Z]+)?$/.test(match[0]) && /\bRFC\W{0,3}$/i.test(behind)) return undefined
  // The name of a device beside a browser's: `Le Pan TC802A`.
  if (text.startsWith("Mozilla/") && /\bPan $/.test(behind)) return undefined
  const digits = match[0].replace(/\D/g, "").length
  const letters = match[0].replace(/[^A-Za-z]/g, "").length
  return (digits >= 5 || (digits >= 3 && letters >= 2 && digits + letters >= 6)) && digits <= 22 &&
      match[0].length <= 36
    ? { start, end: start + match[0].length, kind }
    : undefined
}

/** A code of a place, behind the word that names it. */
const postalAt = (text: string, start: number, behind: string): Span | undefined => {
  postal.lastIndex = start
  longPostal.lastIndex = start
  if (longBefore.test(behind) && longPostal.test(text)) {
    return { start, end: longPostal.lastIndex, kind: "POSTAL_CODE" }
  }
  return postal.test(text) && isPostal(behind, postal.lastIndex - start)
    ? { start, end: postal.lastIndex, kind: "POSTAL_CODE" }
    : undefined
}

/** A vehicle's plate. Items of a list are none of each other's names; few signs could be anything. */
const plateAt = (text: string, start: number, behind: string): Span | undefined => {
  plate.lastIndex = start
  const signs = plate.test(text) ? text.slice(start, plate.lastIndex).replace(/[ ·-]/g, "").length : 0
  return signs >= 5 && !/["'],\s?["']$/.test(behind) ? { start, end: plate.lastIndex, kind: "NATIONAL_ID" } : undefined
}

/** A value before, in a list of some: `AB1234567 and XY9876543`. */
const another = /(?:^|[^\w-])([A-Z]{0,4}\d[\dA-Z]{5,19})(?:, ?| (?:and|or|&|und|oder|y|e|o|et|ou|i|og|och|en|of) )$/
const formOf = (value: string): string => value.replace(/[A-Z]/g, "A").replace(/\d/g, "9")

/** A value of the same form as one before it in a list, whose name stands before that. */
const inListAt = (text: string, start: number, end: number, reach: number): Span | undefined => {
  const from = Math.max(0, start - 40)
  const match = reach === 0 ? null : another.exec(text.slice(from, start))
  const value = match?.[1]
  if (match === null || value === undefined || formOf(value) !== formOf(text.slice(start, end))) return undefined
  const first = from + match.index + match[0].indexOf(value)
  const lists = listsBefore(text, first) & (PASSPORT | NATIONAL | BANK)
  const found = lists === 0
    ? inListAt(text, first, first + value.length, reach - 1)
    : behindNameAt(text, first, lists)
  return found === undefined ? undefined : { start, end, kind: found.kind }
}
const mayBeInList = (text: string, start: number, end: number): boolean => {
  const length = end - start
  const before = codeAt(text, start - 1, start)
  return length >= 6 && length <= 24 && (before === 44 || (before === 32 && codeAt(text, start - 2, start) > 32))
}

/** A value with digits whose name stands before it, or behind it: a national id, a passport, a date of birth. */
export const identityAt = (text: string, start: number, end: number): Span | undefined => {
  const lists = listsBefore(text, start)
  const found = lists === 0
    ? mayBeInList(text, start, end) ? inListAt(text, start, end, 4) : undefined
    : behindNameAt(text, start, lists)
  if (found !== undefined) return found
  const after = codeAt(text, end, text.length)
  const isDated = after === 45 || after === 43
  return (after === 32 || isDated) && end - start >= 6
    ? namedBehindAt(text, start, end)
    : isDated || after === 46 || after === 47 || after === 0x5e74
    ? bornAt(text, start)
    : undefined
}

/** A value behind its name; the word before may be of these lists. */
const behindNameAt = (text: string, start: number, lists: number): Span | undefined => {
  if (lists === EXPIRY && codeAt(text, start + 2, text.length) > 47) return undefined
  // Where words are not separated names are short.
  const reach = start > 0 && isWide(text.charCodeAt(start - 1)) || (start > 1 && isWide(text.charCodeAt(start - 2)))
    ? 16
    : 72
  const behind = text.slice(Math.max(0, start - reach), start)
  if ((lists & BIRTH) !== 0 && birthBefore.test(behind)) {
    date.lastIndex = start
    const found = date.exec(text)?.[0]
    return found !== undefined && couldBeBirth(found)
      ? { start, end: start + found.length, kind: "DATE_OF_BIRTH" }
      : undefined
  }
  if ((lists & CODE) !== 0 && codeBefore.test(behind)) {
    code.lastIndex = start
    return code.test(text) ? { start, end: code.lastIndex, kind: "CVV" } : undefined
  }
  if ((lists & DEVICE) !== 0 && deviceBefore.test(behind)) {
    device.lastIndex = start
    const digits = device.exec(text)?.[0].replace(/\D/g, "")
    return digits !== undefined && (digits.length === 16 || luhn(digits))
      ? { start, end: device.lastIndex, kind: "IMEI" }
      : undefined
  }
  if ((lists & EXPIRY) !== 0) {
    expiry.lastIndex = start
    const near = () => cardNear.test(text.slice(Math.max(0, start - 96), start))
    if (expiry.test(text) && expiryBefore.test(behind) && near()) {
      return { start, end: expiry.lastIndex, kind: "CARD_EXPIRY" }
    }
  }
  if ((lists & POSTAL) !== 0 && postalBefore.test(behind)) return postalAt(text, start, behind)
  const vehicle = (lists & PLATE) !== 0 && plateBefore.test(behind) ? plateAt(text, start, behind) : undefined
  return vehicle ?? numberAt(text, start, lists, behind)
}
