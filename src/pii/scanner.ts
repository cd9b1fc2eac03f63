/**
 * Finds personal data and secrets in a text.
 *
 * One pass over the characters stops at rare triggers (`@`, the first digit of a number, a capital that starts a word,
 * `:`, `-`, `_`, `+`, `=`); only there a detector looks closer, at a bounded window. So the work is linear in the text.
 *
 * @internal
 */
import { emailAt } from "./contact.ts"
import { assignmentAt, jwtAt, privateKeyAt, secretAt, urlCredentialsAt } from "./credentials.ts"
import type { Kind } from "./Kind.ts"
import { ipv4At, ipv6At, macAt } from "./network.ts"
import { cardAt, ibanAt, phoneAt, postalCodeAt, ssnAt } from "./numbers.ts"

/** Where a finding is, in UTF-16 code units; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly kind: Kind
}

const none: ReadonlyArray<Span> = []

const DIGIT = 1
const AT = 2
const COLON = 3
const DASH = 4
const UNDERSCORE = 5
const CAPITAL = 6
const PLUS = 7
const EQUALS = 8
const PAREN = 9

const triggers = new Uint8Array(128)
for (let code = 48; code < 58; code++) triggers[code] = DIGIT
for (let code = 65; code < 91; code++) triggers[code] = CAPITAL
for (
  const [char, trigger] of [["@", AT], [":", COLON], ["-", DASH], ["_", UNDERSCORE], ["+", PLUS], ["=", EQUALS], [
    "(",
    PAREN
  ]] as const
) {
  triggers[char.charCodeAt(0)] = trigger
}

const isAlphanumeric = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123)

/** Findings that start no later win; at the same start the longer one. */
const settle = (found: Array<Span>): ReadonlyArray<Span> => {
  if (found.length < 2) return found
  found.sort((a, b) => a.start - b.start || b.end - a.end)
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
  let found: Array<Span> | undefined
  const length = text.length
  let previous = 0
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    const trigger = code < 128 ? triggers[code]! : 0
    if (trigger !== 0) {
      const span = detect(text, i, trigger, previous)
      if (span !== undefined) {
        found ??= []
        found.push(span)
        if (span.end > i + 1) {
          i = span.end - 1
          previous = text.charCodeAt(i)
          continue
        }
      }
    }
    previous = code
  }
  return found === undefined ? none : settle(found)
}

const detect = (text: string, i: number, trigger: number, previous: number): Span | undefined => {
  switch (trigger) {
    case DIGIT:
      // A number starts here only if no letter or digit stands before it.
      if (isAlphanumeric(previous) || previous === 95) return undefined
      return ipv4At(text, i) ?? ipv6At(text, i) ?? macAt(text, i) ?? ssnAt(text, i) ?? cardAt(text, i) ??
        phoneAt(text, i) ??
        postalCodeAt(text, i)
    case AT:
      return emailAt(text, i)
    case COLON:
      return urlCredentialsAt(text, i) ?? ipv6At(text, i) ?? macAt(text, i) ?? assignmentAt(text, i)
    case EQUALS:
      return assignmentAt(text, i)
    case DASH:
      return privateKeyAt(text, i) ?? secretAt(text, i)
    case UNDERSCORE:
      return secretAt(text, i)
    case CAPITAL:
      return isAlphanumeric(previous)
        ? code(text, i) === 74 ? jwtAt(text, i) : undefined
        : secretAt(text, i) ?? ibanAt(text, i) ?? postalCodeAt(text, i)
    case PLUS:
      return isAlphanumeric(previous) ? undefined : phoneAt(text, i)
    default:
      return phoneAt(text, i)
  }
}

const code = (text: string, i: number): number => text.charCodeAt(i)
