/** Tokens that their issuers mark with a prefix. */

import { codeAt, codeBefore } from "./boundary.ts"
import { tokenForms } from "./vendorTable.ts"

const isWord = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

interface Format {
  readonly prefix: string
  readonly rest: RegExp
}

const pair = (first: number, second: number): number => (first << 7) | second
/** The forms that may begin with three characters, by the characters; a short prefix stands for all that it begins. */
const byThree = new Map<number, Array<Format>>()
/** For each two characters that a prefix begins with, the number of its row in `rows`; 0 for all others. */
const rowOf = new Uint16Array(128 * 128)
const begins = new Map<number, Set<number>>()
const addBegin = (key: number, third: number): void => {
  begins.set(key, (begins.get(key) ?? new Set()).add(third))
}
const all = Array.from({ length: 128 }, (_, code) => code)

for (const { prefix, rest } of tokenForms) {
  const format = { prefix, rest: new RegExp(`(?:${rest})(?![A-Za-z0-9])`, "y") }
  const [first = 0, second, third] = [...prefix].map((char) => char.charCodeAt(0))
  for (const next of second === undefined ? all : [second]) {
    const key = pair(first, next)
    for (const last of third === undefined ? all : [third]) {
      addBegin(key, last)
      byThree.set(key << 7 | last, [...byThree.get(key << 7 | last) ?? [], format])
    }
  }
}

/** What JSON Web Tokens begin with, and private keys in base64. */
for (const three of ["eyJ", "MII", "MIG", "MIH", "MHc", "MHQ", "MD4", "MC4", "LS0"]) {
  addBegin(pair(three.charCodeAt(0), three.charCodeAt(1)), three.charCodeAt(2))
}

/** For each row the characters that a prefix may have next; nothing in the first one. */
const rows = new Uint8Array(128 * (begins.size + 1))
for (const [at, [key, thirds]] of [...begins].entries()) {
  rowOf[key] = at + 1
  for (const third of thirds) rows[(at + 1) << 7 | third] = 1
}

/** Whether a token may begin with three characters. */
export const mayBeVendors = (first: number, second: number, third: number): boolean =>
  (first | second | third) < 128 && rows[rowOf[pair(first, second)]! << 7 | third] === 1

/** One character over and over: what documentation shows in place of a token. */
const masked = /([xX0*.#-])\1{9,}$/

/** Where a vendor's token that starts here ends; -1 if none does. */
export const vendorTokenEnd = (text: string, start: number): number => {
  const first = codeAt(text, start, text.length)
  const second = codeAt(text, start + 1, text.length)
  const third = codeAt(text, start + 2, text.length)
  if (!mayBeVendors(first, second, third)) return -1
  const forms = byThree.get(pair(first, second) << 7 | third)
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
