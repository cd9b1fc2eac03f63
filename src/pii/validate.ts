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

/** The length that an IBAN of this country has, if the country has any. */
export const ibanLength = (country: string): number | undefined =>
  Object.hasOwn(ibanLengths, country) ? ibanLengths[country] : undefined

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
