/** Street addresses, as far as their form or the words around them tell. */
import type { Span } from "./span.ts"

const isDigit = (code: number): boolean => code >= 48 && code < 58

const streetTypes = [
  "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Way|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Parkway|Pkwy",
  "Highway|Hwy|Circle|Cir|Trail|Alley|Row|Close|Crescent|Gardens|Grove|Mews|Walk|Quay|Esplanade|Loop|Plaza|Pike|Run"
].join("|")
const unit = "(?:Apt|Apartment|Suite|Ste|Unit|Flat)\\.? ?[A-Za-z0-9-]{1,6}"
const town =
  "(?:,? [A-ZÀ-Ž][^\\s,\\n\"<>{}[\\]]{1,24}(?: [A-ZÀ-Ž][^\\s,\\n\"<>{}[\\]]{1,24}){0,2}(?:,? [A-Z]{2}(?: \\d{5}(?:-\\d{4})?)?)?)?"

/** A number, a name, the kind of street (USPS Publication 28, appendix C1), perhaps a unit and a town. */
const named = new RegExp(
  `\\d{1,6}[A-Za-z]?,? (?:[A-ZÀ-Ž0-9][^\\s,\\n"<>{}[\\]]{0,24} ){1,4}(?:${streetTypes})\\b\\.?(?:,?\\s(?:${unit}|#\\d{1,5}))?(?:,${town})?`,
  "y"
)
/** A number, a name, perhaps another number, and then a unit: only addresses have one. */
const withUnit = new RegExp(
  `\\d{1,6} [^\\n,;:!?\\d][^\\n,;:!?]{2,50}[,\\n ]{1,3} {0,2}(?:Apt|Apartment|Suite|Unit)\\.? \\d{1,5}(?:[,\\n] ?${town})?`,
  "iy"
)
/** A number and capitalised words, where the words before say that it is a place. */
const located = /\d{1,6}(?: [A-ZÀ-Ž][^\s,\n;:"<>{}[\]]{1,24}){1,5}(?: \d{1,5}[a-z]?)?/y
const locatedBefore =
  /\b(?:lives?|living|resides?|address(?:es)?|taxi|arrived|drops? you off|moved|located|delivered?|shipp?(?:ed|ing)?|house|corner)\b[^.\n\d]{0,28}$/i

const link =
  "the|of|from|to|a|an|in|on|at|and|or|for|with|by|per|more|other|miles?|minutes?|hours?|days?|ways?|times?|lanes?|blocks?|people|cars?"
/** As people write it: `12 main street`. Full words only, and none that begins a phrase. */
const inSmall = new RegExp(
  `\\d{1,5}[a-z]? (?:(?!(?:${link})\\b)[a-z][a-z'-]{2,15} ){1,3}(?:street|avenue|boulevard|road|drive|lane|court|terrace|crescent)\\b(?! (?:map|trip|test|sign|work))(?:[,\\n ]{1,3} {0,2}(?:apt|apartment|suite|ste|unit|flat)\\.? ?#?[a-z0-9-]{1,6})?`,
  "y"
)
/** A box at a post office. */
const boxBefore = /\bp\.? ?o\.? ?box (?:no\.? |# ?)?$/i

const notAStreet = /^,? (?:Section|Chapter|Figure|Table|Appendix|Version|Step|Page|Line|Part|PLUS\)|Build)\b/

const unitWord = /apt|apartment|suite|unit/i
/** Whether a capital or a digit begins the next word, as the name of a street. */
const mayBeNamed = (text: string, from: number): boolean => {
  let at = from
  if (/[A-Za-z]/.test(text[at] ?? "")) at++
  if (text.charCodeAt(at) === 44) at++
  if (text.charCodeAt(at) !== 32) return false
  const code = text.charCodeAt(at + 1)
  return isDigit(code) || (code >= 65 && code < 91) || code > 127
}

/** A street address that begins with its number. */
export const streetAt = (text: string, start: number): Span | undefined => {
  let digits = start
  while (digits < text.length && digits - start < 7 && isDigit(text.charCodeAt(digits))) digits++
  const after = text.charCodeAt(digits)
  if (digits - start > 6) return undefined
  const isBox = text.charCodeAt(start - 1) === 32 && (text.charCodeAt(start - 2) | 32) === 120
  if (!isBox && after !== 32 && after !== 44 && !/[A-Za-z]/.test(text[digits] ?? "")) return undefined
  if (isBox) {
    const box = boxBefore.exec(text.slice(Math.max(0, start - 16), start))
    if (box !== null) return { start: Math.max(0, start - 16) + box.index, end: digits, kind: "STREET_ADDRESS" }
  }
  inSmall.lastIndex = start
  if (after !== 44 && inSmall.test(text)) return { start, end: inSmall.lastIndex, kind: "STREET_ADDRESS" }
  // `RFC 8252 Section 7`, `5 PLUS) AppleWebKit/`.
  if (notAStreet.test(text.slice(digits, digits + 24))) return undefined
  named.lastIndex = start
  if (mayBeNamed(text, digits) && named.test(text)) return { start, end: named.lastIndex, kind: "STREET_ADDRESS" }
  withUnit.lastIndex = start
  if (after === 32 && unitWord.test(text.slice(digits, digits + 80)) && withUnit.test(text)) {
    return { start, end: withUnit.lastIndex, kind: "STREET_ADDRESS" }
  }
  if (after !== 32) return undefined
  located.lastIndex = start
  return located.test(text) && locatedBefore.test(text.slice(Math.max(0, start - 48), start))
    ? { start, end: located.lastIndex, kind: "STREET_ADDRESS" }
    : undefined
}
