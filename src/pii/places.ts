/** Street addresses, as far as their form or the words around them tell. */
import { easternStreetAt } from "./eastAsian.ts"
import type { Span } from "./span.ts"
import { isSaid, streetNameBefore } from "./streetName.ts"

const isDigit = (code: number): boolean => code >= 48 && code < 58

const streetTypes = [
  "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Way|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Parkway|Pkwy",
  "Highway|Hwy|Circle|Cir|Trail|Alley|Row|Close|Crescent|Gardens|Grove|Mews|Walk|Quay|Esplanade|Loop|Plaza|Pike|Run"
].join("|")
const unit = "(?:Apt|Apartment|Suite|Ste|Unit|Flat)(?![A-Za-z])\\.? ?[A-Za-z0-9-]{1,6}"
/** What follows a street: a town, a state. */
const town =
  /, ?[A-ZÀ-Ž][^\s,\n"<>{}[\]]{1,24}(?: [A-ZÀ-Ž][^\s,\n"<>{}[\]]{1,24}){0,2}(?:,? [A-Z]{2}(?: \d{5}(?:-\d{4})?)?)?/y

/** A number, a name, the kind of street (USPS Publication 28, appendix C1), perhaps a unit. */
const named = new RegExp(
  `\\d{1,6}[A-Za-z]?,? (?:[A-ZÀ-Ž0-9][^\\s,\\n"<>{}[\\]]{0,24} ){1,4}(?:${streetTypes})(?![\\wÀ-ž])\\.?(?:,?\\s(?:${unit}|#\\d{1,5}))?`,
  "y"
)
/** What a line of a block of text begins with, where it is quoted. */
const lead = "[ \\t>?]{0,5}"
/** A number, a name, perhaps another number, and then a unit: only addresses have one. */
const withUnit = new RegExp(
  `\\d{1,6} (?:\\d{1,6} )?[^\\n,;:!?\\d][^\\n,;:!?]{2,50}(?:[,\\n ]{1,3} {0,2}|,?\\n${lead})(?:Apt|Apartment|Suite|Unit)\\.? \\d{1,5}`,
  "iy"
)
/** A number and capitalised words, where the words before say that it is a place. */
const located = /\d{1,6}(?: [A-ZÀ-Ž][^\s,\n;:"<>{}[\]]{1,24}){1,5}(?: \d{1,5}[a-z]?)?/y
const locatedBefore =
  /\b(?:lives?|living|resides?|address(?:es)?|taxi|arrived|drops? you off|moved|located|(?:office|restaurant|shop|store|hotel|clinic|house|flat) is at|delivered?|shipp?(?:ed|ing)?|house|corner)\b[^.\n\d]{0,28}$/i

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

const number = "\\d{1,5}(?: ?(?:bis|ter|quater)|[A-Z])?,? "
const ofRoad =
  "(?:(?:d[eu]s?|l[ae]s?|aux?|à|et|sur|en|sous) |[ld]['’]){0,3}\\p{Lu}[\\p{L}.'’-]{0,40}(?: (?!(?:Apt|Apartment|Suite|Ste|Unit|Flat|Lote|Apto|Casa)\\b)(?:(?:d[eu]s?|l[ae]s?|aux?|et|sur|en) |[ld]['’]){0,2}\\p{Lu}[\\p{L}.'’-]{0,40}){0,4}"
/** As in French and Portuguese: `12 bis, rue de la Paix`. */
const numberFirst = new RegExp(
  `${number}(?:[Rr]ue|[Aa]venue|[Ii]mpasse|[Cc]hemin|[Bb]oulevard|[Aa]ll[ée]e|[Qq]uai|[Ff]aubourg|[Ss]entier|[Vv]oie|[Aa]v\\.|[Bb]d\\.?|Rua|Avenida|Travessa|Alameda|Rodovia|Estrada|Marginal) ${ofRoad}`,
  "uy"
)
/** Kinds that are also words of their own: `1 place de Parking`. */
const weakFirst = new RegExp(
  `${number}(?:[Pp]lace|[Rr]oute|[Ss]quare|[Pp]assage|[Cc]ours|[Cc]it[ée]|[Vv]illa) (?=d[eu] |des |d['’]|de l|Saint|\\p{Lu})${ofRoad}`,
  "uy"
)

/** The number of a house, and what divides it: `15/2`, `8 m. 12`, `86, 3º B`. */
const house =
  /\d{1,5}(?:[A-Za-z](?![A-Za-z]))?(?:[/-]\d{1,4}[A-Za-z]?)?(?:,? (?:m|lok|bl|kl|kv|кв|sc|et|ap|apt|apto|piso|int|interno|bte|puerta|suite|unit|lgh|leil|oppgang|appartamento|zimmer|top|whg|wohnung|lote|casa|dto|depto|dpto)(?:\. ?| )(?:\d{1,5}[A-Za-z]?|[A-Za-z]\d{0,3})(?![\dA-Za-z])){0,4}(?:,? \d{1,2}[.ºª°]{1,2}(?: ?[A-Z](?![A-Za-z]))?)?(?![\w.:=%$€£]*\d)(?!\w)/iuy

const city =
  "\\p{Lu}[\\p{L}.'’-]{1,40}(?: (?:(?:am|an|and|der|im|in|la|le|les|de|del|di|do|da|upon|sur|sous|of|the|en|y|nad|pod) )?\\p{Lu}[\\p{L}.'’-]{1,40}){0,3}"
const gap = `(?:,? ?(?:\\n${lead}){1,2}|, ?| )`
/** An address of armed forces abroad ends so (USPS Publication 28, section 238): `PSC 1234, Box 5678`, `APO AE 09123`. */
const military = /\d{5}(?:-\d{4})?(?![\w-])/y
const militaryBefore = /(?:\b(?:PSC|CMR|Unit|USS|USNS|USNV|USCGC)\b[^\n]{1,40}[,\n] ?)?\b(?:APO|FPO|DPO),? A[AEP] $/i

/** A postal code and a town, as on the continent. */
const codeAndTown = new RegExp(
  `${gap}(?:[A-Z]{1,2}-)?(?:\\d{5}-\\d{3}|\\d{4}-\\d{3}|\\d{2}-\\d{3}|\\d{3} \\d{2}|\\d{4} ?[A-Z]{2}|\\d{4,6}) ${city}`,
  "uy"
)
/** Words that begin something else, of which a number is no postal code. */
const others =
  "Order|Invoice|Ticket|Case|Account|Ref|Reference|Phone|Tel|Telephone|Mobile|Fax|Call|Room|Customer|Card|Total|Item|Born|DOB|Date|Page|On|At|The|And|ID|Nr|No|Year|Since|From|Until|EUR|USD|Amount"
/** A town, perhaps a state or a country, and a postal code, as in the United Kingdom, America and Australia. */
const townAndCode = new RegExp(
  `(?:(?:${gap}(?!(?:${others})\\b)${city}){1,3}${gap}\\d{4,5}(?:-\\d{4})?|(?:${gap}(?!(?:${others})\\b)${city}){0,3}${gap}(?:[A-Z]\\d[A-Z] ?\\d[A-Z]\\d|[A-Z]{1,2}\\d[A-Z\\d]? ?\\d[A-Z]{2}|[A-Z]\\d[\\dW] ?[A-Z\\d]{4}))(?![\\w-])`,
  "uy"
)

const unitBehind = new RegExp(`(?: \\d{1,5}[a-z]?)?,?(?: |\\n${lead})(?:${unit}|#\\d{1,5})`, "iy")
/** Behind the line of a unit a town and a country, and a postal code; in small letters one of five digits. */
const line = `,? ?\\n${lead}(?!(?:${others})\\b)`
const linesBehindUnit = new RegExp(
  `(?:(?:${line}\\p{Lu}[\\p{L}\\p{M} .'’-]{1,40}){1,2} \\d{4,5}|(?:${line}\\p{Ll}[\\p{Ll}\\p{M} .'’-]{1,40}){2} \\d{5})(?:-\\d{4})?(?![\\w-])`,
  "uy"
)
const lineOfUnit = new RegExp(`\\n${lead}(?:Apt|Apartment|Suite|Ste|Unit|Flat)\\.? ?[A-Za-z0-9-]{1,6}$`, "i")
const sureForms = [codeAndTown, townAndCode, town]
const codeForms = [codeAndTown, townAndCode]
/**
 * Where the address that a street ended goes on with its unit, its town and postal code. A town alone says nothing of
 * what may be no street: `in Figure 2, Panel A`.
 */
const townEnd = (text: string, street: number, isSure = true): number => {
  unitBehind.lastIndex = street
  const end = isSure && unitBehind.test(text) ? unitBehind.lastIndex : street
  linesBehindUnit.lastIndex = end
  if (isSure && lineOfUnit.test(text.slice(Math.max(0, end - 24), end)) && linesBehindUnit.test(text)) {
    return linesBehindUnit.lastIndex
  }
  for (const form of isSure ? sureForms : codeForms) {
    form.lastIndex = end
    // A year is no postal code of what may be no street.
    if (form.test(text) && (isSure || !yearIn.test(text.slice(end, form.lastIndex)))) return form.lastIndex
  }
  return end
}
const yearIn = /\b(?:19|20)\d\d\b/
const isYear = /^(?:19|20)\d\d$/

/** Whether a town and a postal code with letters, or behind a state, follow. */
const hasCode = (text: string, end: number): boolean => {
  townAndCode.lastIndex = end
  return townAndCode.test(text) && /[A-Z]\d|, [A-Z]{2} \d{5}/.test(text.slice(end, townAndCode.lastIndex))
}

/** What the kinds of streets that stand before their names begin with, and `bis`, `ter`, `quater`. */
const kindBegins = new Set([..."abcefimpqrstv"].map((letter) => letter.charCodeAt(0)))
const isCapital = (code: number): boolean => code >= 65 && code < 91

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

const measure =
  /^ ?(?:[GMkT]B|k?m|[cmd]m|m²|m2|кв|км|га|руб|min|Min|Minuten|Meter|Stunden|Stück|Milliarden|Millionen|Prozent|Euro|EUR|minutter|minuter|minuuttia|meter|%|€|\$)(?![\p{L}])/u

const comment = "\\s{1,3}(?:[*#/;-]{1,3}\\s{1,8})?"
const foundation = `\\bFoundation,${comment}Inc\\.,${comment}`
/** In the head of a file, where its licence says whom to write to: the address of a foundation, and nobody's. */
const ofLicence = new RegExp(`${foundation}$`)
/** The same, with the street and the town between. */
export const townOfLicence = new RegExp(
  `${foundation}\\d{1,5} (?:[A-Z][a-z]+ ){1,2}(?:Street|St|Place|Avenue|Ave)\\b[^;\\n]{0,60}${comment}[^;\\n]{0,24}$`
)

/** A street address around its number, with its town where a postal code says that one follows. */
export const streetAt = (text: string, start: number): Span | undefined => {
  let digits = start
  while (digits < text.length && digits - start < 7 && isDigit(text.charCodeAt(digits))) digits++
  if (digits - start > 6) return undefined
  if (digits - start === 5 && text.charCodeAt(start - 1) === 32) {
    const from = Math.max(0, start - 64)
    military.lastIndex = start
    const before = militaryBefore.exec(text.slice(from, start))
    if (before !== null && military.test(text)) {
      return { start: from + before.index, end: military.lastIndex, kind: "STREET_ADDRESS" }
    }
  }
  const second = text.charCodeAt(start - 2)
  if (text.charCodeAt(start - 1) > 0x2e7f || (second > 0x2e7f && text.charCodeAt(start - 1) === 32)) {
    return easternStreetAt(text, start, digits)
  }
  const place = numberFirstAt(text, start, digits)
  if (place !== undefined) {
    const isPublic = ofLicence.test(text.slice(Math.max(0, place.start - 48), place.start))
    if (isPublic) return undefined
    // The number may be that of a street whose name stands before it: `Bergweg 5 Hinterhaus, Apt 4`.
    const named = digits - start < 5 ? streetNameBefore(text, start) : undefined
    const begin = named?.isSure === true ? named.start : place.start
    return { start: begin, end: townEnd(text, place.end), kind: "STREET_ADDRESS" }
  }
  const name = digits - start < 5 ? streetNameBefore(text, start) : undefined
  house.lastIndex = start
  if (name === undefined || !house.test(text)) return undefined
  const last = house.lastIndex
  if (name.isBare === true) return isYear.test(text.slice(start, digits)) ? undefined : bareAt(text, name.start, last)
  // No number of a house: a year, a measure, unless a postal code follows.
  const isSure = name.isSure && !(isYear.test(text.slice(start, digits)) && !name.isSaid) &&
    !measure.test(text.slice(last, last + 12))
  const end = townEnd(text, last, isSure)
  return isSure || end > last ? { start: name.start, end, kind: "STREET_ADDRESS" } : undefined
}

/** A postal code and a town behind a comma, or on the next line; no round number, and no year. */
const behindBare = new RegExp(
  `(?:, ?|,? ?\\n${lead})(?:[A-Z]{1,2}-)?(?!\\d*000\\b|(?:19|20)\\d\\d\\b)(?:\\d{5}-\\d{3}|\\d{4}-\\d{3}|\\d{2}-\\d{3}|\\d{3} \\d{2}|\\d{4} [A-Z]{2}|\\d{4,5}) (${city})(?=$|[\\n,."'\\\\])`,
  "uy"
)
/** A street of which nothing says so but what follows its number. */
const bareAt = (text: string, start: number, number: number): Span | undefined => {
  behindBare.lastIndex = number
  const town = behindBare.exec(text)?.[1]
  // `Retry 3, 48213 Requests`
  return town === undefined || /^[^ ]+s\.?$/.test(town)
    ? undefined
    : { start, end: behindBare.lastIndex, kind: "STREET_ADDRESS" }
}

/** Where an address begins and ends whose number stands in front of the street's name. */
const numberFirstAt = (
  text: string,
  start: number,
  digits: number
): { readonly start: number; readonly end: number } | undefined => {
  const after = text.charCodeAt(digits)
  const isBox = text.charCodeAt(start - 1) === 32 && (text.charCodeAt(start - 2) | 32) === 120
  if (!isBox && after !== 32 && after !== 44 && !/[A-Za-z]/.test(text[digits] ?? "")) return undefined
  if (isBox) {
    const box = boxBefore.exec(text.slice(Math.max(0, start - 16), start))
    if (box !== null) return { start: Math.max(0, start - 16) + box.index, end: digits }
  }
  const next = text.charCodeAt(after === 44 ? digits + 2 : digits + 1)
  inSmall.lastIndex = start
  if (after !== 44 && !isCapital(next) && inSmall.test(text)) return { start, end: inSmall.lastIndex }
  // `RFC 8252 Section 7`, `5 PLUS) AppleWebKit/`.
  if (isCapital(next) && notAStreet.test(text.slice(digits, digits + 24))) return undefined
  named.lastIndex = start
  if (mayBeNamed(text, digits) && named.test(text)) return { start, end: named.lastIndex }
  numberFirst.lastIndex = start
  weakFirst.lastIndex = start
  if ((after === 32 || after === 44) && kindBegins.has(next | 32)) {
    if (numberFirst.test(text)) return { start, end: numberFirst.lastIndex }
    const isWeak = weakFirst.test(text)
    if (isWeak && (isSaid(text, start) || townEnd(text, weakFirst.lastIndex, false) > weakFirst.lastIndex)) {
      return { start, end: weakFirst.lastIndex }
    }
  }
  withUnit.lastIndex = start
  if (after === 32 && unitWord.test(text.slice(digits, digits + 80)) && withUnit.test(text)) {
    return { start, end: withUnit.lastIndex }
  }
  if (after !== 32) return undefined
  located.lastIndex = start
  return located.test(text) &&
      (locatedBefore.test(text.slice(Math.max(0, start - 48), start)) || isSaid(text, start) ||
        hasCode(text, located.lastIndex))
    ? { start, end: located.lastIndex }
    : undefined
}
