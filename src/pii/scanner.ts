/**
 * Finds personal data and secrets in a text.
 *
 * One pass over the characters, word by word: at the start of a word, and at rare characters between words (`@`, `:`,
 * `=`, `-`, `+`, `(`, `~`), a detector looks closer at a bounded window. So the work is linear in the text.
 */
import { assignmentAt, flagAt, passwordAfterWord } from "./assignment.ts"
import { escapeEnd } from "./boundary.ts"
import { emailAt, spelledEmailAt } from "./contact.ts"
import { azureSecretAt, jwtAt, privateKeyAt, secretAt, urlCredentialsAt, webhookAt } from "./credentials.ts"
import { cryptoAddressAt } from "./crypto.ts"
import { identityAt } from "./identity.ts"
import type { Kind } from "./Kind.ts"
import { ipv4At, ipv6At, macAt } from "./network.ts"
import { cardAt, goesBack, ibanAt, phoneAt, postalCodeAt, ssnAt } from "./numbers.ts"
import { placeholderEnd } from "./placeholder.ts"
import { streetAt } from "./places.ts"
import type { Span } from "./span.ts"
import { disguised, unmask } from "./unmask.ts"

const none: ReadonlyArray<Span> = []

const WORD = 1
const DIGIT = 2
const AT = 3
const COLON = 4
const EQUALS = 5
const DASH = 6
const PLUS = 7
const PAREN = 8
const TILDE = 9
const BRACKET = 10
const ESCAPE = 11

const classes = new Uint8Array(128)
for (let code = 48; code < 58; code++) classes[code] = DIGIT
for (let code = 65; code < 91; code++) classes[code] = WORD
for (let code = 97; code < 123; code++) classes[code] = WORD
classes[95] = WORD
for (
  const [char, trigger] of [
    ["@", AT],
    [":", COLON],
    ["=", EQUALS],
    ["-", DASH],
    ["+", PLUS],
    ["(", PAREN],
    ["~", TILDE],
    ["[", BRACKET],
    ["%", ESCAPE],
    ["&", ESCAPE],
    ["\u001b", ESCAPE],
    ["\\", ESCAPE]
  ] as const
) {
  classes[char.charCodeAt(0)] = trigger
}

/** Where the word that starts here ends. */
const wordEnd = (text: string, start: number): number => {
  let end = start + 1
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code > 127) break
    const kind = classes[code]
    if (kind !== WORD && kind !== DIGIT) break
  }
  return end
}

/** A token is never part of something longer that begins with it: `https://ghp_...@github.com`. */
const tokens = new Set<Kind>(["SECRET", "JWT", "PRIVATE_KEY", "CRYPTO_ADDRESS"])
const rank = (span: Span): number => tokens.has(span.kind) ? 0 : 1

/** Findings that start first win; at the same start a token, else the longer one. */
const settle = (found: Array<Span>): ReadonlyArray<Span> => {
  if (found.length < 2) return found
  found.sort((a, b) => a.start - b.start || rank(a) - rank(b) || b.end - a.end)
  const settled: Array<Span> = []
  let end = -1
  for (const span of found) {
    if (span.start < end) continue
    settled.push(span)
    end = span.end
  }
  return settled
}

/** All findings in a text, in order, without overlap. */
export const scan = (text: string): ReadonlyArray<Span> => {
  const plain = disguised.test(text) ? unmask(text) : undefined
  if (plain === undefined) return scanPlain(text)
  return scanPlain(plain.text).map(({ end, kind, start }) => ({
    start: plain.offsets[start]!,
    end: plain.offsets[end - 1]! + 1,
    kind
  }))
}

const scanPlain = (text: string): ReadonlyArray<Span> => {
  let found: Array<Span> | undefined
  const length = text.length
  for (let i = 0; i < length;) {
    const code = text.charCodeAt(i)
    const kind = code < 128 ? classes[code]! : 0
    let next = i + 1
    if (kind === BRACKET) next = Math.max(i + 1, placeholderEnd(text, i))
    else if (kind === ESCAPE) next = Math.max(next, escapeEnd(text, i))
    if (kind !== 0 && (kind === ESCAPE || next === i + 1)) {
      const inWord = kind === WORD || kind === DIGIT
      if (inWord) next = wordEnd(text, i)
      const span = inWord ? word(text, i, next, kind === DIGIT) : mark(text, i, kind)
      if (span !== undefined) {
        found ??= []
        found.push(span)
        if (span.end > next) next = span.end
      }
    }
    i = next
  }
  return found === undefined ? none : settle(found)
}

const isDigit = (code: number): boolean => code >= 48 && code < 58

/** A detector for a word: most words are ruled out by their first three characters and their length. */
const word = (text: string, start: number, end: number, digit: boolean): Span | undefined => {
  const length = end - start
  const first = text.charCodeAt(start)
  const token = first === 101 ? jwtAt(text, start) ?? secretAt(text, start, end) : secretAt(text, start, end)
  if (token !== undefined) return token
  if (length >= 26) {
    const address = cryptoAddressAt(text, start, end)
    if (address !== undefined) return address
  }
  if (digit) return number(text, start)
  const second = text.charCodeAt(start + 1)
  const third = text.charCodeAt(start + 2)
  if (isDigit(second) || isDigit(third)) {
    const account = ibanAt(text, start, end) ?? postalCodeAt(text, start)
    if (account !== undefined) return account
  }
  // Document numbers begin with one to four capitals.
  if (first < 97 && (end === start + 1 || second < 97) && length <= 16) {
    const document = identityAt(text, start)
    if (document !== undefined) return document
  }
  return length <= 4 ? macAt(text, start) : passwordAfterWord(text, start, end)
}

const number = (text: string, start: number): Span | undefined => {
  const address = ipv4At(text, start) ?? macAt(text, start)
  if (address !== undefined || goesBack(text, start)) return address
  return ssnAt(text, start) ?? cardAt(text, start) ?? phoneAt(text, start) ?? postalCodeAt(text, start) ??
    identityAt(text, start) ??
    streetAt(text, start)
}

const mark = (text: string, i: number, kind: number): Span | undefined => {
  switch (kind) {
    case AT:
      return emailAt(text, i, 1)
    case COLON:
      return text[i + 1] === "/"
        ? webhookAt(text, i) ?? urlCredentialsAt(text, i) ?? assignmentAt(text, i)
        : ipv6At(text, i) ?? assignmentAt(text, i)
    case EQUALS:
      return assignmentAt(text, i)
    case DASH:
      return privateKeyAt(text, i) ?? flagAt(text, i)
    case BRACKET:
      return spelledEmailAt(text, i)
    case ESCAPE:
      if (text.startsWith("&#64;", i)) return emailAt(text, i, 5)
      return text.startsWith("%40", i)
        ? emailAt(text, i, 3)
        : text.startsWith("\\u0040", i)
        ? emailAt(text, i, 6)
        : undefined
    case TILDE:
      return azureSecretAt(text, i)
    default:
      return phoneAt(text, i)
  }
}
