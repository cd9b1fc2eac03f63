/**
 * Random tokens after a word that says what they are: `STRIPE_KEY=...`, `using key ...`, `okta token - '...'`. No form
 * of a vendor's is needed, but one word and enough chance in the characters.
 */
import { codeAt } from "./boundary.ts"
import { withoutTechnical } from "./code.ts"
import { isDummy } from "./dummy.ts"
import type { Span } from "./span.ts"

const isDigit = (code: number): boolean => code >= 48 && code < 58
const isLower = (code: number): boolean => code >= 97 && code < 123
const isUpper = (code: number): boolean => code >= 65 && code < 91
const isAlnum = (code: number): boolean => isDigit(code) || isLower(code) || isUpper(code)
/** Signs inside a token: `-` `_` `.` `+` `/` `~`. */
const isJoint = (code: number): boolean =>
  code === 45 || code === 95 || code === 46 || code === 43 || code === 47 || code === 126

const longest = 512

/** Where the token goes on to, from a place in it; without a joint at its end. */
const endOf = (text: string, from: number, length: number): number => {
  let end = from
  while (end < length && end - from < longest) {
    const code = codeAt(text, end, length)
    if (!isAlnum(code) && !isJoint(code)) break
    end++
  }
  while (end > from && isJoint(codeAt(text, end - 1, length))) end--
  // Padding of base64.
  for (let pad = 0; pad < 2 && codeAt(text, end, length) === 61; pad++) end++
  return end
}

/** Where the token begins: parts before it belong to it if they have digits; `key-` in front of one is a name. */
const startOf = (text: string, from: number): number => {
  let start = from
  for (let parts = 0; parts < 8 && start > 1 && isJoint(text.charCodeAt(start - 1)); parts++) {
    let first = start - 1
    let digits = 0
    while (first > 0 && start - first < 48 && isAlnum(text.charCodeAt(first - 1))) {
      if (isDigit(text.charCodeAt(--first))) digits++
    }
    if (digits === 0 || first === start - 1) break
    start = first
  }
  return start
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Words of a name in camel case: four fifths of it, where chance makes runs of one or two letters. */
const isWordy = (token: string): boolean => {
  const plain = withoutTechnical(token)
  if (!/\d/.test(plain)) return true
  const words = plain.match(/[A-Z]?[a-z]{2,}/g)
  return words !== null && words.join("").length * 5 >= plain.length * 4 && /[a-z][A-Z]/.test(plain)
}

/** How much chance there is in a token: not enough, that of an id, or that of a key. */
const chanceIn = (token: string): "none" | "id" | "key" => {
  const length = token.length
  if (uuid.test(token)) return "id"
  let digits = 0
  let letters = 0
  let groups = 0
  let changes = 0
  let parts = 1
  let plainParts = 0
  let ofPart = 0
  let last = 0
  for (let i = 0; i < length; i++) {
    const code = codeAt(token, i, length)
    if (!isAlnum(code)) {
      if (ofPart === 0 && i > 0) plainParts++
      parts++
      ofPart = 0
      last = 0
      continue
    }
    const kind = isDigit(code) ? 1 : isLower(code) ? 2 : 3
    if (kind === 1) {
      digits++
      ofPart++
      if (last !== 1) groups++
    } else letters++
    // A capital before a small letter begins a word: no change by chance.
    if (last !== 0 && kind !== last && !(last === 3 && kind === 2)) changes++
    last = kind
  }
  if (ofPart === 0) plainParts++
  if (digits < 2 || letters < 2) return "none"
  const alnum = digits + letters
  if (parts === 1) return length >= 20 ? "key" : groups > 1 && length >= 16 ? "key" : "none"
  if (alnum < 20) return "none"
  // Words between the signs are those of a name or a path.
  return plainParts === 0 || (changes * 4 >= alnum && digits >= 3 && plainParts * 3 <= parts) ? "key" : "none"
}

const strong =
  "secrets?|tokens?|api[_ -]?keys?|access[_ -]?keys?|private[_ -]?keys?|passw(?:or)?ds?|passwd|pwd|credentials?|" +
  "bearer|auth(?:orization)?|apikey|secretkey|_pat|sonar\\.login"
const between = "[\"'`\\])}]{0,3}(?:\\s{0,4}(?:is|was|:=|=>|->|=|:|,|>|\\||-|–|_|\\(|\\{|\\[)){0,3}\\s{0,4}[\"'`]{0,3}$"
const strongCue = new RegExp(`(${strong})(?:[_ -]?(?:keys?|tokens?|secret|value|string))?${between}`, "i")
const weakCue = new RegExp(`(?:keys?|private|access)${between}`, "i")
/** Keys and tokens that are no secrets, by the word before. */
const exempt = new Set(
  ("public primary foreign partition shard sort cache idempotency object row hash page next continuation pagination cursor sync resume " +
    "lock composite unique natural surrogate routing message map group index query dedup deduplication host translation i18n node react " +
    "by stop eos bos pad unk special start end design registry id etag redis keys").split(" ")
)
const lastWord = /([A-Z]?[a-z\d]+|[A-Z]+)[_ -]?$/

/** The id of an access key of Amazon's: its secret has 40 signs of base64, and stands beside it. */
const accessKey = /(?:AKIA|ASIA)[A-Z0-9]{16}["'`,:;|\s]{1,6}$/
const accessSecret = /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/]{40}$/

/** Whether what stands before a token says that it is one. */
const isCued = (text: string, start: number, chance: "id" | "key"): boolean => {
  const before = text.slice(Math.max(0, start - 56), start)
  const cue = strongCue.exec(before) ?? (chance === "key" ? weakCue.exec(before) : null)
  if (cue === null) return false
  const word = lastWord.exec(before.slice(0, cue.index))?.[1]
  return word === undefined || !exempt.has(word.toLowerCase())
}

/**
 * Keys of Azure have a signature in their middle or before their end (github.com/microsoft/security-utilities,
 * GeneratedRegexPatterns), and New Relic's licences one at their end: they are known anywhere.
 */
const signed =
  /^(?:[A-Za-z0-9]{52}JQQJ9[9B]|[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}$|[A-Za-z0-9+/]{76}(?:\+ASt|ACDb|\+ABa|\+AMC|APIM)[A-Za-z0-9+/]{6}==$|[A-Za-z0-9+/]{33}(?:\+AEh|\+ASb|\+ARm|AIoT|AzCa|AZEG)[A-Za-z0-9+/]{6}=$|[A-Za-z0-9+/]{42}(?:AzCa|\+ACR|AzSe|AzFu|APIM)[A-Za-z0-9+/]{6}={0,2}$|[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{6}={0,2}$|[0-9a-f]{36}NRAL$|[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk$)/

/** Lengths of such keys, and what those of most lengths end with: `L`, `k` or `=`. */
const mayBeSigned = (size: number, end: number): boolean =>
  size === 40
    ? end === 76 || end === 107
    : size === 44 || size === 56 || size === 88
    ? end === 61
    : size === 84 || (size >= 52 && size <= 54)

/** Where the last token that was looked at ends: its further parts are not looked at again. */
let lastEnd = 0
/** Called before a text is looked through. */
export const beginText = (): void => {
  lastEnd = 0
}

/** A random token whose name stands before it. `start` and `end` are of a word in it that has letters and digits. */
export const randomAt = (text: string, start: number, end: number, length: number): Span | undefined => {
  // What is the whole of a text has no name before it.
  if (start === 0 && end === length && length < 40) return undefined
  if (start < lastEnd) return undefined
  const last = endOf(text, end, length)
  lastEnd = last
  const first = startOf(text, start)
  const size = last - first
  if (size < 16 || size >= longest) return undefined
  if (mayBeSigned(size, text.charCodeAt(last - 1)) && signed.test(text.slice(first, last))) {
    return { start: first, end: last, kind: "SECRET" }
  }
  if (first === 0) return undefined
  if (
    size === 40 && accessKey.test(text.slice(Math.max(0, first - 26), first)) &&
    accessSecret.test(text.slice(first, last))
  ) {
    return { start: first, end: last, kind: "SECRET" }
  }
  const chance = chanceIn(text.slice(first, last))
  return chance !== "none" && isCued(text, first, chance) && !isWordy(text.slice(first, last)) &&
      !isDummy(text.slice(first, last))
    ? { start: first, end: last, kind: "SECRET" }
    : undefined
}
