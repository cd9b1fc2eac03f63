/** Checks that tell a number that means something from one that only looks like it. */

/** ISO/IEC 7812-1, annex B: the Luhn check digit over the digits of a text. */
export const luhn = (digits: string): boolean => {
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    let digit = digits.charCodeAt(i) - 48
    if (double) digit = digit > 4 ? digit * 2 - 9 : digit * 2
    sum += digit
  }
  return sum % 10 === 0
}

/** Issuer ranges in use (ISO/IEC 7812) with the lengths that their issuers give out. */
export const isCard = (digits: string): boolean => {
  const n = digits.length
  if (n < 12 || n > 19) return false
  const two = Number(digits.slice(0, 2))
  const four = Number(digits.slice(0, 4))
  const first = digits.charCodeAt(0) - 48
  const issued = first === 4
    ? n === 13 || n === 16 || n === 19
    : (two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)
    ? n === 16
    : two === 34 || two === 37
    ? n === 15
    : two === 36 || two === 38 || two === 39 || (four >= 3000 && four <= 3059) || four === 3095
    ? n >= 14
    : two === 35
    ? n >= 15
    : two === 60 || two === 62 || two === 64 || two === 65 || two === 81
    ? n >= 16
    : two === 50 || (two >= 56 && two <= 69)
    ? n >= 12
    : four >= 2200 && four <= 2204
    ? n >= 16
    : (four === 1800 || four === 2131)
    ? n === 15
    : false
  return issued && luhn(digits)
}

/** Country lengths of the IBAN registry (ISO 13616). */
const ibanLengths: Readonly<Record<string, number>> = {
  AD: 24,
  AE: 23,
  AL: 28,
  AT: 20,
  AZ: 28,
  BA: 20,
  BE: 16,
  BG: 22,
  BH: 22,
  BI: 27,
  BR: 29,
  BY: 28,
  CH: 21,
  CR: 22,
  CY: 28,
  CZ: 24,
  DE: 22,
  DJ: 27,
  DK: 18,
  DO: 28,
  EE: 20,
  EG: 29,
  ES: 24,
  FI: 18,
  FK: 18,
  FO: 18,
  FR: 27,
  GB: 22,
  GE: 22,
  GI: 23,
  GL: 18,
  GR: 27,
  GT: 28,
  HN: 28,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IQ: 23,
  IS: 26,
  IT: 27,
  JO: 30,
  KW: 30,
  KZ: 20,
  LB: 28,
  LC: 32,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  LY: 25,
  MC: 27,
  MD: 24,
  ME: 22,
  MK: 19,
  MN: 20,
  MR: 27,
  MT: 31,
  MU: 30,
  NI: 28,
  NL: 18,
  NO: 15,
  OM: 23,
  PK: 24,
  PL: 28,
  PS: 29,
  PT: 25,
  QA: 29,
  RO: 24,
  RS: 22,
  RU: 33,
  SA: 24,
  SC: 31,
  SD: 18,
  SE: 24,
  SI: 19,
  SK: 24,
  SM: 27,
  SO: 23,
  ST: 25,
  SV: 28,
  TL: 23,
  TN: 24,
  TR: 26,
  UA: 29,
  VA: 22,
  VG: 24,
  XK: 20,
  YE: 30
}

/** The same by the two letters, as `first * 26 + second` from A on; 0 for all others. */
const lengthsByLetters = new Uint8Array(26 * 26)
for (const [country, length] of Object.entries(ibanLengths)) {
  lengthsByLetters[(country.charCodeAt(0) - 65) * 26 + country.charCodeAt(1) - 65] = length
}

/** The length that an IBAN has whose country has these two letters, in the codes of either case; 0 if it has none. */
export const ibanLength = (first: number, second: number): number => {
  const one = (first & ~32) - 65
  const two = (second & ~32) - 65
  return one >= 0 && one < 26 && two >= 0 && two < 26 ? lengthsByLetters[one * 26 + two]! : 0
}

/** ISO 7064 mod 97-10 over a compact IBAN. */
export const isIban = (compact: string): boolean => {
  let rest = 0
  for (const char of compact.slice(4) + compact.slice(0, 4)) {
    const code = char.charCodeAt(0)
    rest = code >= 65 ? (rest * 100 + code - 55) % 97 : (rest * 10 + code - 48) % 97
  }
  return rest === 1
}

/** Area, group and serial that the Social Security Administration never issues are no number. */
export const isSsn = (area: string, group: string, serial: string): boolean =>
  area !== "000" && area !== "666" && area < "900" && group !== "00" && serial !== "0000"

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
/** Values of the characters at odd places of a codice fiscale; at even ones a letter counts its place, a digit itself. */
const oddValues = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]

/** Italy: 16 characters, the last one a check letter (Decreto Ministeriale 23 December 1976). */
export const isCodiceFiscale = (text: string): boolean => {
  if (!/^[A-Z]{6}[0-9L-V]{2}[A-EHLMPR-T][0-9L-V]{2}[A-Z][0-9L-V]{3}[A-Z]$/.test(text)) return false
  let sum = 0
  for (let i = 0; i < 15; i++) {
    const char = text[i]!
    const value = /\d/.test(char) ? Number(char) : letters.indexOf(char)
    sum += i % 2 === 0 ? oddValues[value]! : value
  }
  return letters[sum % 26] === text[15]
}

/** Spain, foreigners: `X1234567L`, the letter by the remainder of 23 (Orden INT/2058/2008). */
export const isNie = (text: string): boolean =>
  /^[XYZ]\d{7}[A-Z]$/.test(text) &&
  "TRWAGMYFPDXBNJZSQVHLCKE"[Number("XYZ".indexOf(text[0]!) + text.slice(1, 8)) % 23] === text[8]

/** Singapore: `S1234567D`, the letter by a weighted sum (National Registration Act). */
export const isNric = (text: string): boolean => {
  if (!/^[STFGM]\d{7}[A-Z]$/.test(text)) return false
  const first = text[0]!
  let sum = first === "T" || first === "G" ? 4 : first === "M" ? 3 : 0
  for (const [i, weight] of [2, 7, 6, 5, 4, 3, 2].entries()) sum += Number(text[i + 1]) * weight
  const check = first === "S" || first === "T" ? "JZIHGFEDCBA" : first === "M" ? "KLJNPQRTUWX" : "XWUTRQPNMLK"
  return check[first === "M" ? 10 - sum % 11 : sum % 11] === text[8]
}
