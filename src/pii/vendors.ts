/** Tokens that their issuers mark with a prefix. */

import { codeAt, codeBefore } from "./boundary.ts"
import { tokenForms } from "./vendorTable.ts"

const isWord = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

interface Format {
  readonly prefix: string
  readonly rest: RegExp
}

/** A bit for each two characters that a prefix begins with. */
const pairs = new Uint8Array(128 * 128)
const pair = (first: number, second: number): number => (first << 7) | second
/** The forms that may begin with three characters, by the characters; a short prefix stands for all that it begins. */
const byThree = new Map<number, Array<Format>>()
/** For each pair, the characters that a prefix may have next. */
const thirds = new Map<number, Uint8Array>()
const all = Array.from({ length: 128 }, (_, code) => code)

for (const { prefix, rest } of tokenForms) {
  const format = { prefix, rest: new RegExp(`(?:${rest})(?![A-Za-z0-9])`, "y") }
  const [first = 0, second, third] = [...prefix].map((char) => char.charCodeAt(0))
  for (const next of second === undefined ? all : [second]) {
    const key = pair(first, next)
    pairs[key] = 1
    const known = thirds.get(key) ?? new Uint8Array(128)
    thirds.set(key, known)
    for (const last of third === undefined ? all : [third]) {
      known[last] = 1
      byThree.set(key << 7 | last, [...byThree.get(key << 7 | last) ?? [], format])
    }
  }
}

/** What JSON Web Tokens begin with, and private keys in base64. */
for (const three of ["eyJ", "MII", "MIG", "MIH", "MHc", "MHQ", "MD4", "MC4", "LS0"]) {
  const key = pair(three.charCodeAt(0), three.charCodeAt(1))
  pairs[key] = 1
  const known = thirds.get(key) ?? new Uint8Array(128)
  thirds.set(key, known)
  known[three.charCodeAt(2)] = 1
}

/** Whether a token may begin with three characters. */
export const mayBeVendors = (first: number, second: number, third: number): boolean => {
  if (first > 127 || second > 127 || third > 127) return false
  const key = pair(first, second)
  return pairs[key] === 1 && thirds.get(key)?.[third] === 1
}

/** One character over and over: what documentation shows in place of a token. */
const masked = /([xX0*.#-])\1{9,}$/

/** Where a vendor's token that starts here ends; -1 if none does. */
export const vendorTokenEnd = (text: string, start: number): number => {
  const first = codeAt(text, start, text.length)
  const second = codeAt(text, start + 1, text.length)
  const third = codeAt(text, start + 2, text.length)
  if (first > 127 || second > 127 || third > 127) return -1
  const key = pair(first, second)
  if (pairs[key] === 0) return -1
  const forms = byThree.get(key << 7 | third)
  if (forms === undefined) return -1
  const before = codeBefore(text, start)
  if (isWord(before) || before === 45 || before === 46) return -1
  for (const { prefix, rest } of forms) {
    if (!text.startsWith(prefix, start)) continue
    rest.lastIndex = start + prefix.length
    if (rest.test(text) && !masked.test(text.slice(start + prefix.length, rest.lastIndex))) return rest.lastIndex
  }
  return -1
}
