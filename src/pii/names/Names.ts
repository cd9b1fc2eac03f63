/**
 * Names of persons in free text: a detector that is off until it is given to the stripper.
 *
 *     AuditLogger.layer({ pii: { detectors: [Names.detector] } })
 *
 * It finds capitalised words that begin with a known given name, and what stands after a title or words such as "my
 * name is". No model is behind it: surnames alone stay, and names in small letters except after such words.
 *
 * @since 0.1.0
 */
import { codeAt } from "../boundary.ts"
import * as Kind from "../Kind.ts"
import type { Detector } from "../Pii.ts"
import type { Span } from "../span.ts"
import { given } from "./given.ts"

/** The kind of what it finds: a policy can name it. */
export const kind: Kind.Kind = Kind.make("PERSON_NAME")

const isUpper = (code: number): boolean =>
  (code >= 65 && code < 91) || (code >= 0xc0 && code <= 0xde && code !== 0xd7) ||
  (code > 0xff && code < 0x250 && code % 2 === 0)
const isLetter = (code: number): boolean =>
  (code >= 65 && code < 91) || (code >= 97 && code < 123) ||
  (code >= 0xc0 && code < 0x250 && code !== 0xd7 && code !== 0xf7)
const isJoint = (code: number): boolean => code === 39 || code === 0x2019 || code === 45

/** Where the word that begins here ends; an apostrophe or hyphen inside it belongs to it, a possessive `'s` does not. */
const wordEnd = (text: string, start: number, length: number): number => {
  let end = start
  while (end < length) {
    const code = codeAt(text, end, length)
    if (isLetter(code)) end++
    else if (isJoint(code) && end > start && isUpper(codeAt(text, end + 1, length))) end++
    else break
  }
  return end
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "))
const titles = words(
  "Mr Mrs Ms Miss Mister Dr Doctor Prof Professor Sir Dame Lord Lady Herr Frau Señor Señora Sra Mme Madame Monsieur Captain Sergeant Judge Rev Sister Father"
)
const particles = words("van von de der den del della di da dos du la le bin ibn al el ter ten zu af av")
/** Words that a name is followed by where it is that of a place, a firm or a thing. */
const notPersons = words(
  "Inc Ltd LLC GmbH Corp Corporation Company Co Bank Group University College School Institute Hospital Clinic Street St Avenue Ave Road Rd " +
    "Boulevard Lane Square Park Airport Station Bridge River Lake Mountain Mount Island Islands Beach Bay City County State Province District " +
    "Stadium Arena Hall Tower Building Center Centre Museum Gallery Theatre Theater Library Church Cathedral Foundation Award Prize Medal Cup " +
    "League Law Theorem Test Effect Disease Syndrome Scale Method Model Engine Server Cluster Project Act Day Week Festival Motors Airlines " +
    "Hotel Records Studios Pictures Press Times Post Journal Magazine Studio Labs Systems Technologies Software Solutions Partners Associates " +
    "Holdings Industries Insurance Stanley Chase Klein Spring Springs Falls Valley Hills Heights Court House Castle Palace Zoo Canyon Desert Ocean Sea"
)
/** Words before a name that is one of a place. */
const towards =
  /(?:^|[^A-Za-z])(?:in|at|near|from|to|via|around|across|visiting|visit|through|outside|of|the|The|In|From|To|At)$/
const openers = /(?:^|[.!?:;\n"“(\-•*>,]\s*)$/
/** What says that a name follows; the last one takes small letters too. */
const cue =
  /(?:\b(?:my name is|name's|named|name:|dear|attn:?|attention:|signed(?: by)?:?|sincerely,|regards,|cheers,|yours,|contact person:?|patient:?|spoke (?:to|with)|assigned to|approved by|created by|reported by|written by|cc:|i'm|i’m|i am|this is|says|said|asked)\s{1,2})$/i
const says = /\bmy name is ([a-z]{2,16}(?: [a-z]{2,16})?)\b/g
const noNames = words(
  "Customer Sir Madam Team All Everyone World There User Friend Friends Colleague Colleagues Support Sales Admin Hiring Manager Valued Reader " +
    "Client Member Members Guest Doctor Professor Mom Dad God Santa Diary Lord Jesus Note Please The A An This That It He She We They You I If When " +
    "In On At To For With As But And Or So Not No Yes Our Your My His Her Their What Who Why How Where Group Department Security Legal Billing"
)
const small = words(
  "not the a an is in on at that this what very really so just also still going here there from with it and but or unknown hidden required"
)

const at = (start: number, end: number): Span => ({ start, end, kind })

/** In the list of given names, and more often something else. */
const notNames = words(
  "September July January February October November December German French Italian Spanish Danish Roman Latin Oman Argentina France Kiel Darwin Kenya Cuba " +
    "India China Israel Jordan Chad Asia America Africa Europe Britain Ireland England Scotland Norway Jersey Malta Malaysia London Berlin Milan Vienna Roma " +
    "Java Ada Julia Gemini Claude Alexa Siri Watson Docker Jenkins Angular Maven Elektra Salesforce Google Tesla Mercedes Dacia Kia Nokia Sony Visa Bert"
)

/** Given names that are common words as well: only before another capitalised word. */
const ambiguous = words(
  "Mark Bill Jack Frank Grace Rose Hunter Mason Dean Ray Rob Drew Will Crystal Amber Heather Jasmine Ruby Dawn Joy Hope Faith Ivy Daisy Iris Violet " +
    "April June Art Chase Grant Rich Wade Clay Cliff Lance Dale Glen Warren Scott Carol Penny Sandy Miles Pierce Trinity Destiny Olive Hazel Pearl Jade " +
    "Bobby Buddy Sonny Robin Martin Gene Earl Duke Baron Christian Austin Jordan Madison Savannah Brooklyn Paris Georgia Virginia Carolina Chelsea " +
    "Victoria Florence Sydney Adelaide Alberta Sofia Jackson Lincoln Preston Kingston Hamilton Taylor Cooper Parker Carter Tyler Harper Piper Skyler " +
    "Angel Precious Melody Harmony Serenity Autumn Summer Skye River Rowan Sage Reed Brooks Forrest Dusty Rocky Chip Buck Rusty Stormy Brandy Sherry Ginger Pepper"
)

/** Further words of a name that begins before `end`: capitalised ones, initials, particles between them. */
const nameEnd = (text: string, end: number, length: number, most: number): number => {
  let last = end
  for (let count = 1; count < most && codeAt(text, last, length) === 32; count++) {
    let from = last + 1
    let next = wordEnd(text, from, length)
    // `Ludwig van Beethoven`, `Maria de la Cruz`
    for (let n = 0; n < 2 && particles.has(text.slice(from, next)) && codeAt(text, next, length) === 32; n++) {
      from = next + 1
      next = wordEnd(text, from, length)
    }
    if (!isUpper(codeAt(text, from, length)) || next === from) break
    const word = text.slice(from, next)
    // An initial.
    if (next - from === 1) {
      if (codeAt(text, next, length) === 46 && codeAt(text, next + 1, length) === 32) last = next + 1
      break
    }
    if (isShout(word) || noNames.has(word)) break
    last = next
  }
  return last
}

const isShout = (word: string): boolean => word.length > 3 && word === word.toUpperCase()

/** Whether code, a path, an address or a placeholder goes on behind the word. */
const isCode = (text: string, start: number, end: number, length: number): boolean => {
  const before = codeAt(text, start - 1, start)
  const after = codeAt(text, end, length)
  if ((before >= 48 && before < 58) || isLetter(before) || "._/@#$<\\={[&%-".includes(text[start - 1] ?? " ")) {
    return start > 0
  }
  if ((after >= 48 && after < 58) || "(_/=\\{[<>@:".includes(text[end] ?? " ")) return end < length
  return after === 46 && isLetter(codeAt(text, end + 1, length))
}

/** Whether the word before belongs to the same proper noun: `San Diego`, `New Jersey`. */
const isContinued = (text: string, start: number): boolean => {
  if (text[start - 1] !== " ") return false
  let first = start - 1
  while (first > 0 && isLetter(text.charCodeAt(first - 1))) first--
  if (first === start - 1 || !isUpper(text.charCodeAt(first))) return false
  return !openers.test(text.slice(Math.max(0, first - 4), first))
}

/** A name that begins with a capitalised word, if one does. */
const nameAt = (text: string, start: number, end: number, length: number): Span | undefined => {
  if (isCode(text, start, end, length)) return undefined
  const word = text.slice(start, end)
  if (titles.has(word)) {
    const from = codeAt(text, end, length) === 46 ? end + 2 : end + 1
    const next = wordEnd(text, from, length)
    const named = text.slice(from, next)
    if (
      next - from < 2 || text[from - 1] !== " " || !isUpper(text.charCodeAt(from)) || isShout(named) ||
      noNames.has(named)
    ) {
      return undefined
    }
    return isCode(text, from, next, length) ? undefined : at(from, nameEnd(text, next, length, 3))
  }
  const before = text.slice(Math.max(0, start - 24), start)
  const isCued = cue.test(before)
  const isAmbiguous = !isCued && ambiguous.has(word)
  if (!isCued && !isAmbiguous && !given.has(word)) {
    const joint = word.search(/['’-]/)
    if (joint < 3 || !given.has(word.slice(0, joint))) return undefined
  }
  if (noNames.has(word) || isShout(word) || (!isCued && notNames.has(word))) return undefined
  const last = nameEnd(text, end, length, 3)
  // `Don't`
  if (isJoint(codeAt(text, end, length)) && codeAt(text, end + 1, length) === 116) return undefined
  if (isCued) return at(start, last)
  if (last === end && (isAmbiguous || notPersons.has(word))) return undefined
  const followers = text.slice(end, last + 14).split(/[^\p{L}]+/u)
  if (followers.some((follower) => notPersons.has(follower))) return undefined
  if (isContinued(text, start)) return undefined
  // A single word after "in" or "the" is a place or a thing.
  if (last === end && towards.test(before.trimEnd())) return undefined
  return at(start, last)
}

/** Names in a text, in order: in UTF-16 code units, of the kind `PERSON_NAME`. */
export const detector: Detector = (text) => {
  const found: Array<Span> = []
  const length = text.length
  for (let i = 0; i < length;) {
    const code = codeAt(text, i, length)
    if (!isLetter(code)) {
      i++
      continue
    }
    const end = wordEnd(text, i, length)
    const span = isUpper(code) && end - i > 1 ? nameAt(text, i, end, length) : undefined
    if (span !== undefined) found.push(span)
    i = Math.max(end, span?.end ?? 0, i + 1)
  }
  for (const match of text.includes("my name is ") || text.includes("My name is ") ? text.matchAll(says) : []) {
    const [first = "", second = ""] = (match[1] ?? "").split(" ")
    if (small.has(first)) continue
    const start = match.index + match[0].length - (match[1]?.length ?? 0)
    const name = second === "" || small.has(second) ? first : `${first} ${second}`
    found.push(at(start, start + name.length))
  }
  return found.sort((a, b) => a.start - b.start)
}
