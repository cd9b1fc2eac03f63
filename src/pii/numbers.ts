/**
 * Numbers that belong to a person: cards, accounts, social security, telephones, postal codes.
 *
 * @internal
 */
import type { Span } from "./scanner.ts"
import { ibanLength, isCard, isIban, isSsn } from "./validate.ts"

const isDigit = (code: number): boolean => code >= 48 && code < 58
const isWord = (code: number): boolean =>
  isDigit(code) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

/** Whether the number that ends here goes on as an identifier, a decimal or a longer number. */
const goesOn = (text: string, end: number): boolean => {
  const code = text.charCodeAt(end)
  if (isWord(code)) return true
  return (code === 45 || code === 46) && isWord(text.charCodeAt(end + 1))
}

/** Whether something before the number makes it part of a longer token. */
const goesBack = (text: string, start: number): boolean => {
  const code = text.charCodeAt(start - 1)
  return start > 0 && (code === 45 || code === 46 || code === 35) && isWord(text.charCodeAt(start - 2))
}

const ssnPattern = /(\d{3})([- ])(\d{2})\2(\d{4})/y

/** US social security numbers written `123-45-6789`. */
export const ssnAt = (text: string, start: number): Span | undefined => {
  ssnPattern.lastIndex = start
  const match = ssnPattern.exec(text)
  if (match === null || goesBack(text, start)) return undefined
  const end = start + match[0].length
  if (goesOn(text, end) || !isSsn(match[1]!, match[3]!, match[4]!)) return undefined
  return { start, end, kind: "US_SSN" }
}

const cardPattern = /\d(?:[ -]?\d){11,18}/y

/** Payment cards: issuer range, length and Luhn check digit, grouped or not. */
export const cardAt = (text: string, start: number): Span | undefined => {
  cardPattern.lastIndex = start
  const match = cardPattern.exec(text)
  if (match === null || goesBack(text, start)) return undefined
  const end = start + match[0].length
  if (goesOn(text, end) || !isCard(match[0].replace(/[ -]/g, ""))) return undefined
  return { start, end, kind: "CREDIT_CARD" }
}

const ibanPattern = /[A-Z]{2}\d{2}(?: ?[0-9A-Z]){11,30}/y

/** ISO 13616: country length and mod 97. */
export const ibanAt = (text: string, start: number): Span | undefined => {
  const length = ibanLength(text.slice(start, start + 2))
  if (length === undefined) return undefined
  ibanPattern.lastIndex = start
  const match = ibanPattern.exec(text)
  if (match === null) return undefined
  let compact = ""
  let end = start
  while (end < start + match[0].length && compact.length < length) {
    if (text[end] !== " ") compact += text[end]
    end++
  }
  if (compact.length !== length || isWord(text.charCodeAt(end)) || !isIban(compact)) return undefined
  return { start, end, kind: "IBAN" }
}

const phonePattern = /(?:\+|00)?\(?\d(?:[ ./()-]{0,2}\d){6,14}/y
const usPattern = /(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}/y
const phoneCue = /\b(?:phone|tel|telephone|mobile|cell|call|fax|sms|text|whatsapp|contact|dial|ring)\b[^0-9\n]{0,16}$/i

/** Telephone numbers: international with `+` (E.164), the US form, or any after a word such as "phone". */
export const phoneAt = (text: string, start: number): Span | undefined => {
  if (goesBack(text, start)) return undefined
  usPattern.lastIndex = start
  const us = usPattern.exec(text)
  if (us !== null && !goesOn(text, start + us[0].length)) return { start, end: start + us[0].length, kind: "PHONE" }
  phonePattern.lastIndex = start
  const match = phonePattern.exec(text)
  if (match === null) return undefined
  const end = start + match[0].length
  const digits = match[0].replace(/\D/g, "")
  if (digits.length > 15 || goesOn(text, end)) return undefined
  if (match[0].startsWith("+")) return digits.startsWith("0") ? undefined : { start, end, kind: "PHONE" }
  return phoneCue.test(text.slice(Math.max(0, start - 32), start)) ? { start, end, kind: "PHONE" } : undefined
}

const postalPattern =
  /\d{5}(?:-\d{4})?|\d{2}-\d{3}|\d{4} ?[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{4}/y
const postalCue = /\b(?:zip|zip ?code|postal ?code|post ?code|postcode|plz|code postal|cap)\b[^0-9A-Z\n]{0,12}$/i

/** Postal codes, only after a word that says so: the digits alone could be anything. */
export const postalCodeAt = (text: string, start: number): Span | undefined => {
  if (start === 0) return undefined
  postalPattern.lastIndex = start
  const match = postalPattern.exec(text)
  if (match === null || isWord(text.charCodeAt(start + match[0].length))) return undefined
  return postalCue.test(text.slice(Math.max(0, start - 28), start))
    ? { start, end: start + match[0].length, kind: "POSTAL_CODE" }
    : undefined
}
