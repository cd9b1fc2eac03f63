/**
 * Finds personal data and secrets in a text.
 *
 * One pass over the characters, word by word: at the start of a word, and at rare characters between words (`@`, `:`,
 * `=`, `-`, `+`, `(`, `~`), a detector looks closer at a bounded window. So the work is linear in the text.
 */
import { argumentAt, assignmentAt, elementAt } from "./assignment.ts"
import { besideCardAt } from "./besideCard.ts"
import { codeAt, escapeEnd } from "./boundary.ts"
import { flagAt, passwordAfterWord } from "./commands.ts"
import { emailAt, spelledEmailAt } from "./contact.ts"
import {
  azureSecretAt,
  jwtAt,
  passwordHashAt,
  privateKeyAt,
  secretAt,
  urlCredentialsAt,
  webhookAt
} from "./credentials.ts"
import { cryptoAddressAt } from "./crypto.ts"
import { encodedEmailAt } from "./encoded.ts"
import { birthAt, identityAt } from "./identity.ts"
import { formOfNumberAt, formOfWordAt } from "./identityForms.ts"
import type { Kind } from "./Kind.ts"
import { ipv4At, ipv6At, macAt } from "./network.ts"
import { cardAt, goesBack, ibanAt, mayDial, phoneAt, postcodeAt, ssnAt, zipAt } from "./numbers.ts"
import { placeholderEnd } from "./placeholder.ts"
import { streetAt } from "./places.ts"
import { beginText, randomAt } from "./random.ts"
import type { Span } from "./span.ts"
import { disguised, unmask } from "./unmask.ts"
import { mayBeVendors } from "./vendors.ts"

/** No findings: one array for all texts. */
export const none: ReadonlyArray<Span> = []

// What a word is made of, a bit each; signs have numbers above these.
const SMALL = 1
const DIGIT = 2
const LETTER = 4
const AT = 8
const COLON = 9
const EQUALS = 10
const DASH = 11
const PLUS = 12
const PAREN = 13
const TILDE = 14
const BRACKET = 15
const ESCAPE = 16
const TAG = 17
const COMMA = 18
const DOLLAR = 19

const classes = new Uint8Array(128)
for (let code = 48; code < 58; code++) classes[code] = DIGIT
for (let code = 65; code < 91; code++) classes[code] = LETTER
for (let code = 97; code < 123; code++) classes[code] = SMALL
classes[95] = LETTER
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
    ["\\", ESCAPE],
    [">", TAG],
    [",", COMMA],
    ["$", DOLLAR]
  ] as const
) {
  classes[char.charCodeAt(0)] = trigger
}

/** For every UTF-16 code unit, whether it belongs to a word, and as what: one look for each character. */
const inWord = new Uint8Array(65_536)
for (let code = 0; code < 128; code++) if (classes[code]! <= LETTER) inWord[code] = classes[code]!

/** A token is never part of something longer that begins with it: `https://ghp_...@github.com`. */
const tokens = new Set<Kind>(["SECRET", "JWT", "PRIVATE_KEY", "CRYPTO_ADDRESS"])
const rank = (span: Span): number => tokens.has(span.kind) ? 0 : 1

/** Findings that start first win; at the same start a token, else the longer one. What goes on as the same is one. */
const settle = (found: Array<Span>): ReadonlyArray<Span> => {
  if (found.length < 2) return found
  found.sort((a, b) => a.start - b.start || rank(a) - rank(b) || b.end - a.end)
  const settled: Array<Span> = []
  let end = -1
  for (const span of found) {
    const last = settled.at(-1)
    if (last === undefined || span.start >= end) settled.push(span)
    else if (span.kind === last.kind && span.end > end) settled[settled.length - 1] = { ...last, end: span.end }
    else continue
    end = span.end
  }
  return settled
}

/** All findings in a text, in order, without overlap; `none` where there are none. */
export const scan = (text: string): ReadonlyArray<Span> => {
  const found = scanPlain(text, true)
  if (found === undefined) return none
  if (found !== "disguised") return settle(found)
  const plain = unmask(text)
  const seen = scanPlain(plain.text, false)
  return seen === undefined || seen === "disguised" ? none : settle(seen).map(({ end, kind, start }) => ({
    start: plain.offsets[start]!,
    end: plain.offsets[end - 1]! + 1,
    kind
  }))
}

// As in `codeAt`, which a function of this size does not always take in.
const { charCodeAt } = String.prototype

const scanPlain = (text: string, asks: boolean): Array<Span> | "disguised" | undefined => {
  beginText()
  let found: Array<Span> | undefined
  let isAscii = asks
  const length = text.length
  for (let i = 0; i < length;) {
    const code = charCodeAt.call(text, i)
    if (code > 127) {
      // Most texts have none but ASCII, and of the others few are looked through for disguises.
      if (isAscii && disguised.test(text)) return "disguised"
      isAscii = false
      i++
      continue
    }
    const kind = classes[code]!
    if (kind === 0) {
      i++
      continue
    }
    let next = i + 1
    let span: Span | undefined
    if (kind <= LETTER) {
      let kinds = kind
      let after = next < length ? charCodeAt.call(text, next) : 0
      for (let of = inWord[after]!; of !== 0; of = inWord[after]!) {
        kinds |= of
        after = ++next < length ? charCodeAt.call(text, next) : 0
      }
      // Most words are of small letters, and followed by a space.
      if (kinds !== SMALL || (goesOn(after) && !endsSentence(text, after, next + 1, length))) {
        if (after === 45 && next - i === 8 && isUuidAt(text, i, length)) {
          next = i + 36
          span = randomAt(text, i, next, length)
        } else span = atWord(text, i, next, length, kinds)
      } else if (next - i > 5 && mayBegin(text, code, i, next - i)) span = atWord(text, i, next, length, kinds)
    } else {
      if (kind === BRACKET) next = Math.max(next, placeholderEnd(text, i))
      else if (kind === ESCAPE) next = Math.max(next, escapeEnd(text, i))
      if (kind === ESCAPE || next === i + 1) span = mark(text, i, kind)
    }
    if (span !== undefined) {
      found ??= []
      found.push(span)
      if (span.end > next) next = span.end
    }
    i = next
  }
  return found
}

const isDigit = (code: number): boolean => code >= 48 && code < 58
/** Whether a sign follows a word behind which a token may go on. */
const goesOn = (after: number): boolean => after >= 43 && after <= 58
/** Whether a full stop, a comma or a colon follows, and then a space or nothing. */
const endsSentence = (text: string, after: number, next: number, length: number): boolean =>
  (after === 46 || after === 44 || after === 58) && codeAt(text, next, length) <= 32

/** Lengths of the words after which a password stands, a bit each, by their first letters. */
const passwordLengths = new Uint32Array(128)
/** Their third letters, by the first. */
const passwordThirds = new Uint8Array(128)
for (const word of "secret passwd password passcode passphrase identified masterauth requirepass".split(" ")) {
  passwordLengths[word.charCodeAt(0)]! |= 1 << word.length
  passwordThirds[word.charCodeAt(0)] = word.charCodeAt(2)
}
const mayBePassword = (first: number, third: number, length: number): boolean =>
  (passwordLengths[first]! >>> length & 1) === 1 && passwordThirds[first] === third

/** Whether something may begin with a word of more than five small letters behind which no token goes on. */
const mayBegin = (text: string, first: number, start: number, length: number): boolean =>
  length >= 14 || mayBePassword(first, charCodeAt.call(text, start + 2), length) ||
  (length >= 8 && mayBeVendors(first, charCodeAt.call(text, start + 1), charCodeAt.call(text, start + 2)))

/**
 * Whether a detector may find something at a word that begins with a letter; of most words their first characters,
 * their length and what follows say that none does.
 */
const isTelling = (text: string, start: number, end: number, all: number): boolean => {
  const length = end - start
  if (length >= 26) return true
  const first = codeAt(text, start, all)
  const second = codeAt(text, start + 1, all)
  const third = codeAt(text, start + 2, all)
  if (isDigit(second) || isDigit(third)) return true
  // Document numbers.
  if (first < 97 && (length === 1 || second < 97) && length <= 18) return true
  const after = codeAt(text, end, all)
  const isPart = goesOn(after) || after === 126 || after === 36
  // A token is a word of some length, or goes on behind a sign.
  if ((length >= 8 || isPart) && mayBeVendors(first, second, third)) return true
  if (isPart) {
    // Tokens of several words: two of their shapes begin so, the others with a digit or with longer words; octets.
    if ((first >= 77 && first <= 79) || length === 14 || ((length === 2 || length === 4) && isHex(first | 32))) {
      return true
    }
  }
  return mayBePassword(first | 32, third | 32, length)
}

const isHex = (code: number): boolean => isDigit(code) || (code >= 97 && code < 103)

/** Whether a word is a digest, or an id of a trace (W3C Trace Context): 32, 40 or 64 hexadecimal digits. */
const isDigest = (text: string, start: number, end: number, kinds: number): boolean => {
  if (kinds !== (SMALL | DIGIT)) return false
  const length = end - start
  if (length !== 32 && length !== 40 && length !== 64) return false
  for (let i = start; i < end; i++) if (!isHex(charCodeAt.call(text, i))) return false
  return true
}

/** Whether a UUID begins at a word of eight characters before a hyphen (RFC 9562, section 4), and nothing follows it. */
const isUuidAt = (text: string, start: number, length: number): boolean => {
  if (start + 36 > length || inWord[codeAt(text, start + 36, length)] !== 0) return false
  let letters = 0
  for (let i = 0; i < 36; i++) {
    const code = charCodeAt.call(text, start + i)
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (code !== 45) return false
    } else if (code > 64) {
      if (!isHex(code | 32)) return false
      letters++
    } else if (!isDigit(code)) return false
  }
  return letters > 0 && (codeAt(text, start + 36, length) !== 45 || inWord[codeAt(text, start + 37, length)] === 0)
}

/** The detectors for a word or number, as far as its characters allow them. */
const atWord = (text: string, start: number, end: number, length: number, kinds: number): Span | undefined => {
  if (isDigest(text, start, end, kinds) && !goesOn(codeAt(text, end, length))) return hiddenIn(text, start, end, length)
  if (isDigit(codeAt(text, start, length))) {
    const found = tokenAt(text, start, end) ?? number(text, start, end, length, kinds === DIGIT)
    return found !== undefined || kinds === DIGIT ? found : hiddenIn(text, start, end, length)
  }
  const found = (isTelling(text, start, end, length) ? word(text, start, end, length) : undefined) ??
    (codeAt(text, start, length) < 97 && codeAt(text, end, length) === 32 && isDigit(codeAt(text, end + 1, length))
      ? birthAt(text, start, end)
      : undefined)
  if (found !== undefined) return found
  return (kinds & DIGIT) === 0
    ? end - start >= 14 ? encodedEmailAt(text, start, end, length) : undefined
    : hiddenIn(text, start, end, length)
}

/** An address that is written in other letters, or a random token. */
const hiddenIn = (text: string, start: number, end: number, length: number): Span | undefined =>
  (end - start >= 14 ? encodedEmailAt(text, start, end, length) : undefined) ?? randomIn(text, start, end, length)

/** A random token around a word with letters and digits that is long enough, or a part of something longer. */
const randomIn = (text: string, start: number, end: number, length: number): Span | undefined => {
  if (end - start < 16) {
    if (end - start < 4) return undefined
    const after = codeAt(text, end, length)
    const before = codeAt(text, start - 1, start)
    if (!isTokenSign(after) && !isTokenSign(before)) return undefined
  }
  return randomAt(text, start, end, length)
}
const isTokenSign = (code: number): boolean => code === 45 || code === 43 || code === 47

/** Tokens that a word starts. */
const tokenAt = (text: string, start: number, end: number): Span | undefined =>
  jwtAt(text, start) ?? secretAt(text, start, end) ??
    (end - start >= 26 ? cryptoAddressAt(text, start, end) : undefined)

/** Whether a digit comes soon, as in every document's number that begins with letters; only the codes of banks have none. */
const isDigitNear = (text: string, start: number, all: number): boolean => {
  const end = Math.min(all, start + 12)
  for (let i = start + 1; i < end; i++) if (isDigit(codeAt(text, i, all))) return true
  return false
}

/** The detectors for a word that begins with a letter. */
const word = (text: string, start: number, end: number, all: number): Span | undefined => {
  const token = tokenAt(text, start, end)
  if (token !== undefined) return token
  const length = end - start
  const second = codeAt(text, start + 1, all)
  const third = codeAt(text, start + 2, all)
  if (isDigit(second) || isDigit(third)) {
    const account = ibanAt(text, start, end)
    if (account !== undefined) return account
  }
  // Document numbers begin with one to four letters, mostly capitals.
  const first = codeAt(text, start, all)
  if (first < 97 && (end === start + 1 || second < 97) && length <= 30) {
    const document = formOfWordAt(text, start, end) ??
      (isDigitNear(text, start, all) || length === 8 || length === 11 ? identityAt(text, start, end) : undefined) ??
      postcodeAt(text, start, end)
    if (document !== undefined) return document
  } else if (length >= 6 && length <= 12 && (isDigit(second) || isDigit(third))) {
    const document = identityAt(text, start, end)
    if (document !== undefined) return document
  }
  return length <= 4 ? macAt(text, start) : passwordAfterWord(text, start, end)
}

/** The detectors for a number; each is asked only where the digits and what follows them allow it. */
const number = (text: string, start: number, end: number, all: number, isNumber: boolean): Span | undefined => {
  const length = end - start
  const after = codeAt(text, end, all)
  const address = (length <= 3 && (after === 46 || after === 91) ? ipv4At(text, start) : undefined) ??
    macAt(text, start)
  if (address !== undefined || goesBack(text, start)) return address
  const separated = after === 32 || after === 45 || after === 46
  return formOfNumberAt(text, start, end, isNumber) ??
    (length >= 9 || (length === 3 && separated) ? ssnAt(text, start) : undefined) ??
    (length >= 12 || (length === 4 && separated) ? cardAt(text, start) : undefined) ??
    (mayDial(text, start) ? phoneAt(text, start) : undefined) ?? zipAt(text, start) ??
    identityAt(text, start, end) ??
    streetAt(text, start) ??
    (length <= 4 ? besideCardAt(text, start) : undefined)
}

const isQuote = (code: number): boolean => code === 34 || code === 39

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
    case TAG:
      return elementAt(text, i)
    case COMMA:
      return isQuote(codeAt(text, i - 1, i)) ? argumentAt(text, i) : undefined
    case DOLLAR:
      return passwordHashAt(text, i)
    case TILDE:
      return azureSecretAt(text, i)
    default:
      return phoneAt(text, i)
  }
}
