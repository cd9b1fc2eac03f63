/** E-mail addresses in hexadecimal digits or in base64 (RFC 4648): a word whose decoded text is one, and nothing else. */
import { codeAt } from "./boundary.ts"
import type { Span } from "./span.ts"

const address = /^[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\s?$/

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
/** Of each letter of base64, whether an `@`, which is 01000000, may begin in it: after 0, 4 or 2 bits of it. */
const second = 1
const third = 2
const initial = 4
const follows = 8
const begins = new Uint8Array(128)
for (let value = 0; value < 64; value++) {
  if ((value & 15) === 4) begins[alphabet.charCodeAt(value)]! |= second
  if ((value & 3) === 1) begins[alphabet.charCodeAt(value)]! |= third
  // 0x30 to 0x39, 0x41 to 0x5a, 0x61 to 0x7a; then anything from 0x20 on.
  if ((value >= 12 && value < 15) || (value >= 16 && value < 23) || (value >= 24 && value < 31)) {
    begins[alphabet.charCodeAt(value)]! |= initial
  }
  if ((value & 15) >= 2 && (value & 15) < 8) begins[alphabet.charCodeAt(value)]! |= follows
}

/** Whether two letters are those of printable characters, a letter or digit first: in base64, or as hexadecimal digits. */
const beginsText = (first: number, next: number): boolean =>
  first >= 51 && first < 56 || (begins[first & 127]! & initial) !== 0 && (begins[next & 127]! & follows) !== 0

/** Whether a word in base64 may hold an `@`. */
const mayHoldAt = (text: string, start: number, end: number, length: number): boolean => {
  for (let i = start; i < end; i += 4) {
    const b = codeAt(text, i + 1, length)
    if (b < 81 && b >= 65 && codeAt(text, i, length) === 81) return true
    const c = codeAt(text, i + 2, length)
    if (c < 69 && c >= 65 && (begins[b & 127]! & second) !== 0) return true
    if (codeAt(text, i + 3, length) === 65 && (begins[c & 127]! & third) !== 0) return true
  }
  return false
}

/** Whether a word is an even number of hexadecimal digits of printable characters, one of them an `@`. */
const isHexWithAt = (text: string, start: number, end: number, length: number): boolean => {
  if ((end - start) % 2 !== 0) return false
  let holds = false
  for (let i = start; i < end; i += 2) {
    const high = codeAt(text, i, length)
    if (high < 50 || high > 55) return false
    const low = codeAt(text, i + 1, length)
    if (high === 52 && low === 48) holds = true
    else if (!(low >= 48 && low < 58) && !((low | 32) >= 97 && (low | 32) < 103)) return false
  }
  return holds
}

/** An address behind a word of at least 14 letters and digits. */
export const encodedEmailAt = (text: string, start: number, end: number, length: number): Span | undefined => {
  const size = end - start
  if (size < 14 || size > 344 || !beginsText(codeAt(text, start, length), codeAt(text, start + 1, length))) {
    return undefined
  }
  const isHex = isHexWithAt(text, start, end, length)
  if (!isHex && (size % 4 === 1 || !mayHoldAt(text, start, end, length))) return undefined
  const decoded = Buffer.from(text.slice(start, end), isHex ? "hex" : "base64").toString("latin1")
  if (!address.test(decoded)) return undefined
  let last = end
  while (last - end < 2 && codeAt(text, last, length) === 61) last++
  return { start, end: last, kind: "EMAIL" }
}
