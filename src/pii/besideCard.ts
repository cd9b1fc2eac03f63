/** What stands behind a card's number where no word names it: `4111111111111111|12|2027|123`. */
import { isCommonCard } from "./numbers.ts"
import type { Span } from "./span.ts"
import { isCard } from "./validate.ts"

const gap = "[ ,;|\\t]{1,2}"
const number = "(?:^|[^\\d.-])(\\d{4}([ .-]?)\\d{4}\\2\\d{4}\\2\\d{4}|3[47]\\d{2}([ -]?)\\d{6}\\3\\d{5})"
const date = "(?:0[1-9]|1[0-2]) ?[/|-] ?(?:20)?[2-4]\\d"
const behindNumber = new RegExp(`${number}${gap}$`)
const behindDate = new RegExp(`${number}${gap}${date}${gap}$`)
/** The end of what `behindDate` looks for, which is seldom there. */
const isDate = new RegExp(`[/|-] ?(?:20)?[2-4]\\d${gap}$`)
const expiry = new RegExp(`${date}(?![\\w/.-])`, "y")
/** Behind a date the code may be of four digits; behind a number alone it is no count of something: `200 OK`. */
const code = /\d{3,4}(?![\w.%-])/y
const bareCode = /\d{3}(?![\w.:%/-]| ?[\p{L}\d])/uy

const isDigit = (code: number): boolean => code >= 48 && code < 58
const isGap = (code: number): boolean => code === 32 || code === 44 || code === 59 || code === 124 || code === 9

/** Whether what ends a text is a card's number, as the form has it. */
const isBehind = (form: RegExp, before: string): boolean => {
  const digits = form.exec(before)?.[1]?.replace(/\D/g, "")
  return digits !== undefined && isCommonCard(digits) && isCard(digits)
}

/** A date to which a card is good, or its code. */
export const besideCardAt = (text: string, start: number): Span | undefined => {
  if (!isGap(text.charCodeAt(start - 1))) return undefined
  const last = isGap(text.charCodeAt(start - 2)) ? start - 3 : start - 2
  if (!isDigit(text.charCodeAt(last)) || !isDigit(text.charCodeAt(last - 1))) return undefined
  const before = text.slice(Math.max(0, start - 48), start)
  for (const form of [expiry, code, bareCode]) form.lastIndex = start
  if (expiry.test(text)) {
    return isBehind(behindNumber, before) ? { start, end: expiry.lastIndex, kind: "CARD_EXPIRY" } : undefined
  }
  if (!code.test(text)) return undefined
  const isCode = (isDate.test(before.slice(-12)) && isBehind(behindDate, before)) ||
    (bareCode.test(text) && isBehind(behindNumber, before))
  return isCode ? { start, end: code.lastIndex, kind: "CVV" } : undefined
}
