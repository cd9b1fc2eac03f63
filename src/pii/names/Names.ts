/**
 * Names of persons in free text: a detector that is off until it is given to the stripper.
 *
 *     AuditLogger.layer({ pii: { detectors: [Names.detector] } })
 *
 * It finds capitalised words that begin with a known given name or end with a known surname, names of a list by their
 * neighbours, what stands after a title or words such as "my name is", and in small letters given name and surname
 * together. No model is behind it: most surnames that stand alone stay.
 *
 * @since 0.1.0
 */
import { codeAt } from "../boundary.ts"
import * as Kind from "../Kind.ts"
import type { Detector } from "../Pii.ts"
import type { Span } from "../span.ts"
import { given } from "./given.ts"
import { surnames } from "./surnames.ts"

/** The kind of what it finds: a policy can name it. */
export const kind: Kind.Kind = Kind.make("PERSON_NAME")

/** Of the code units of Latin letters: 1 a small letter, 2 a capital, 3 a mark that belongs to the letter before it. */
const lastLetter = 0x1eff
const cases = Uint8Array.from({ length: lastLetter + 1 }, (_, code) => {
  if (code >= 0x300 && code < 0x370) return 3
  const letter = String.fromCharCode(code)
  return !/\p{Script=Latin}/u.test(letter) ? 0 : /\p{Lu}/u.test(letter) ? 2 : 1
})
const isUpper = (code: number): boolean => code <= lastLetter && cases[code] === 2
const isLetter = (code: number): boolean => code <= lastLetter && cases[code] !== 0
const isJoint = (code: number): boolean => code === 39 || code === 0x2019 || code === 45

const marks = /[\u0300-\u036f]/

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
  "Mr Mrs Ms Miss Mister Dr Doctor Prof Professor Sir Dame Lord Lady Herr Frau Señor Señora Sra Mme Madame Monsieur Captain Sergeant Judge Rev Sister Father " +
    "Sig Signor Signora Dott Pan Pani Panie Mevrouw Meneer mevrouw meneer signor signora pani panie"
)
const particles = words("van von de der den del della di da dos du la le bin ibn al el ter ten zu af av")
/** Words that a name is followed by where it is that of a place, a firm or a thing. */
const notPersons = words(
  "Inc Ltd LLC GmbH Corp Corporation Company Co Bank Group University College School Institute Hospital Clinic Street St Avenue Ave Road Rd " +
    "Boulevard Lane Square Park Airport Station Bridge River Lake Mountain Mount Island Islands Beach Bay City County State Province District " +
    "Stadium Arena Hall Tower Building Center Centre Museum Gallery Theatre Theater Library Church Cathedral Foundation Award Prize Medal Cup " +
    "League Law Theorem Test Effect Disease Syndrome Scale Method Model Engine Server Cluster Project Act Day Week Festival Motors Airlines " +
    "Hotel Records Studios Pictures Press Times Post Journal Magazine Studio Labs Systems Technologies Software Solutions Partners Associates " +
    "Holdings Industries Insurance Stanley Chase Klein Spring Springs Falls Valley Hills Heights Court House Castle Palace Zoo Canyon Desert Ocean Sea " +
    "Consulting Investments Orchestra Drive Creek Dam Close Terrace Office office"
)
/** Words before a name that is one of a place. */
const towards =
  /(?:^|[^A-Za-z])(?:in|at|near|from|to|via|around|across|visiting|visit|through|outside|of|the|The|In|From|To|At)$/
const openers = /(?:^|[.!?:;\n"“(\-•*>,]\s*)$/
const begins = /(?:^|[.!?:;\n"“(\-•*>]\s*)$/
/** What says that a name follows, whatever word it is; the last one takes small letters too. */
const cue = /(?:\b(?:my name is|name's|dear|sincerely,|yours,|contact person:?|spoke (?:to|with))\s{1,2})$/i
/** What may say so: a name that is known follows, or two capitalised words. */
const weakCue =
  /(?:\b(?:named|name:|attn:?|attention:|signed(?: by)?:?|regards,|cheers,|patient:?|assigned to|approved by|created by|reported by|written by|cc:|i'm|i’m|i am|this is|says|said|asked)\s{1,2})$/i
const says = /\bmy name is ([a-z]{2,16}(?: [a-z]{2,16})?)\b/g
const noNames = words(
  "Customer Sir Madam Team All Everyone World There User Friend Friends Colleague Colleagues Support Sales Admin Hiring Manager Valued Reader " +
    "Doktor Client Clients Customers Members Users Parents Students Residents Neighbours Neighbors Landlord Sirs Passenger Passengers Applicant Candidate Member Guest Doctor Professor Mom Dad God Santa Diary Lord Jesus Note Please The A An This That It He She We They You I If When " +
    "In On At To For With As But And Or So Not No Yes Our Your My His Her Their What Who Why How Where Group Department Security Legal Billing"
)
const fillers = words(
  "not the a an is in on at that this what very really so just also still going here there from with it and but or unknown hidden required " +
    "too already wrong missing hard long spelled spelt misspelled written taken used shown displayed different incorrect correct changed now no never always"
)

/** Words that begin sentences, and stand before a surname there. */
const starters = words(
  "About After All Also Although An And Another Any Are As Ask At Because Before But By Call Can Contact Could Did Do Does During Each Even Every For " +
    "From Had Has Have He Hello Her Here Hey Hi His How However If In Into Is It Its Just Last Later Let Like Many Maybe Meet Meanwhile More Most My Near New " +
    "Next No Not Now Of Oh Old On Once One Only Or Other Our Over Please Re Said Says See Send She Should Since So Some Still Such Tell Thanks Thank That The Then " +
    "There These They This Those Through Today Tomorrow Two Under Unlike Until Was We Were What When Where Which While Who Whose Why Will With Without Would Yes Yesterday You Your " +
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
)

const at = (start: number, end: number): Span => ({ start, end, kind })

/** In the list of given names, and more often something else. */
const notNames = words(
  "September July January February October November December German French Italian Spanish Danish Roman Latin Oman Argentina France Kiel Darwin Kenya Cuba " +
    "India China Israel Jordan Chad Asia America Africa Europe Britain Ireland England Scotland Norway Jersey Malta Malaysia London Berlin Milan Vienna Roma " +
    "Jan Jun Sep Juli Dag Fedora Lua Mac Boston Buster Java Ada Julia Gemini Claude Alexa Siri Watson Docker Jenkins Angular Maven Elektra Salesforce Google Tesla Mercedes Dacia Kia Nokia Sony Visa Bert"
)

/** Given names that are common words as well: only before another capitalised word. */
const ambiguous = words(
  "Mark Bill Jack Frank Grace Rose Hunter Mason Dean Ray Rob Drew Will Crystal Amber Heather Jasmine Ruby Dawn Joy Hope Faith Ivy Daisy Iris Violet " +
    "April June Art Chase Grant Rich Wade Clay Cliff Lance Dale Glen Warren Scott Carol Penny Sandy Miles Pierce Trinity Destiny Olive Hazel Pearl Jade " +
    "Bobby Buddy Sonny Robin Martin Gene Earl Duke Baron Christian Austin Jordan Madison Savannah Brooklyn Paris Georgia Virginia Carolina Chelsea " +
    "Victoria Florence Sydney Adelaide Alberta Sofia Jackson Lincoln Preston Kingston Hamilton Taylor Cooper Parker Carter Tyler Harper Piper Skyler " +
    "Angel Precious Melody Harmony Serenity Autumn Summer Skye River Rowan Sage Reed Brooks Forrest Dusty Rocky Chip Buck Rusty Stormy Brandy Sherry Ginger Pepper"
)

/** Ends of surnames that say whose child someone is, in languages that have many of them; no other word has them. */
const descent =
  /.{3}(?:ov[aá]|ev[aá]|ovi[čć]|evi[čć]|owicz|owsk[ia]|ewsk[ia]|enko|dóttir|dottir|sson|opoulos|oğlu|escu|shvili)$/
const isDescent = (word: string): boolean => descent.test(word) && !word.endsWith("ova")
const isSurname = (word: string): boolean => surnames.has(word) || descent.test(word)

/** The place of a word in a table by its length and four of its letters: most words of a text are in no list. */
const placeOf = (text: string, start: number, end: number): number =>
  ((text.charCodeAt(start) * 31 + text.charCodeAt(start + 1)) * 31 + text.charCodeAt(start + 2) +
    text.charCodeAt(end - 1) * 17 + (end - start) * 4099) & 0xffff

/** Names in small letters. */
class SmallNames {
  private readonly names: ReadonlySet<string>
  private readonly places = new Uint8Array(0x10000)
  constructor(lists: ReadonlyArray<ReadonlySet<string>>) {
    this.names = new Set(lists.flatMap((list) => [...list].map((name) => name.toLowerCase())))
    for (const name of this.names) this.places[placeOf(name, 0, name.length)] = 1
  }
  /** Whether the word from `start` to `end` is one; of at least three letters. */
  has(text: string, start: number, end: number): boolean {
    return end - start > 2 && this.places[placeOf(text, start, end)] === 1 && this.names.has(text.slice(start, end))
  }
}
const smallGiven = new SmallNames([given])
const smallSurnames = new SmallNames([surnames])

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
    if (isShout(word) || noNames.has(word) || isCode(text, from, next, length)) break
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
  // An apostrophe that is escaped is one: `Maria\'s`.
  if (after === 92 && codeAt(text, end + 1, length) === 39) return false
  if ((after >= 48 && after < 58) || "(_/=\\{[<>@:".includes(text[end] ?? " ")) return end < length
  return after === 46 && isLetter(codeAt(text, end + 1, length))
}

/** Words before a name that make it one of a place or a thing, wherever they stand. */
const ofPlaces =
  /(?:^|[^\p{L}])(?:San|Santa|Santo|São|St|Saint|Sainte|Port|Fort|Mount|Lake|Cape|Hurricane|Storm|Rue|rue|Calle|calle|Via|via|Ulica|ulica|Piazza|piazza|Avenida|avenida|Avda|Plaza|plaza)\.? (?:\p{Lu}[\p{L}]+ )?$/u
/** What declares a name of a program. */
const declares = /(?:^|[^\p{L}])(?:const|let|var|class|import|new|function|interface|enum|package)\s$/u
/** Whether the word before belongs to the same proper noun: `San Diego`, `New Jersey`. */
const isContinued = (text: string, start: number): boolean => {
  if (ofPlaces.test(text.slice(Math.max(0, start - 24), start))) return true
  if (text[start - 1] !== " ") return false
  let first = start - 1
  while (first > 0 && isLetter(text.charCodeAt(first - 1))) first--
  if (first === start - 1 || !isUpper(text.charCodeAt(first))) return false
  return !openers.test(text.slice(Math.max(0, first - 4), first))
}

/** A name behind a title, or behind several: `Herr Prof. Dr. Vogel`. */
const titled = (text: string, end: number, length: number): Span | undefined => {
  for (let last = end, n = 0; n < 3; n++) {
    const from = codeAt(text, last, length) === 46 ? last + 2 : last + 1
    const next = wordEnd(text, from, length)
    const named = text.slice(from, next)
    if (next - from < 2 || text[from - 1] !== " " || isShout(named) || noNames.has(named)) return undefined
    if (!isUpper(text.charCodeAt(from)) || isCode(text, from, next, length)) return undefined
    if (!titles.has(named)) return at(from, nameEnd(text, next, length, 3))
    last = next
  }
  return undefined
}

/** A word that may be a name where others beside it are: in a list, or before a surname. */
const mayBeName = (word: string): boolean =>
  word.length > 2 && !isShout(word) && !noNames.has(word) && !notNames.has(word) && !notPersons.has(word) &&
  !titles.has(word) && !starters.has(word)

/** Whether an unknown word stands before a surname: inside a sentence, or as a line of its own. */
const isBeforeSurname = (text: string, start: number, end: number, last: number): boolean => {
  if (last === end || !mayBeName(text.slice(start, end))) return false
  if (!isSurname(text.slice(text.lastIndexOf(" ", last - 1) + 1, last))) return false
  const before = text.slice(Math.max(0, start - 4), start)
  return !begins.test(before) || (/(?:^|[\n>])[ \t]*$/.test(before) && (last === text.length || text[last] === "\n"))
}

/** Whether no word of a name that is cued is one of a place, a firm, a thing or a sentence. */
const isPlain = (name: string): boolean => name.split(" ").every((word) => word.length < 3 || mayBeName(word))

/** Whether numbers stand on both sides: of a street. */
const isNumbered = (text: string, start: number, last: number): boolean =>
  /\d $/.test(text.slice(Math.max(0, start - 2), start)) && /^ \d/.test(text.slice(last, last + 2))

/** Whether a single word stands at a `&`, with another on its other side: of a firm. */
const isFirm = (text: string, start: number, end: number, last: number): boolean =>
  last === end && (text.startsWith(" & ", end) || (text[start - 2] === "&" && text[start - 1] === " "))

/** Whether a capitalised word goes on behind a name that ends with no surname: in a heading. */
const isHeading = (text: string, end: number, last: number, length: number): boolean => {
  const [second = "", third] = text.slice(end + 1, last).split(" ")
  if (isSurname(third ?? second) || last === end) return false
  if (third !== undefined && second.length > 2 && !given.has(second)) return true
  const from = text.charCodeAt(last) === 32 ? last + 1 : length
  const next = wordEnd(text, from, length)
  return isUpper(codeAt(text, from, length)) || (next - from < 5 && isUpper(codeAt(text, next + 1, length)))
}

/** The name of who speaks, at the beginning of a line: `Maria: yes`. */
const isSpeaker = (text: string, start: number, end: number, word: string): boolean =>
  text[end] === ":" && (start === 0 || text[start - 1] === "\n") && /^[\s"'\\]/.test(text.slice(end + 1, end + 2)) &&
  given.has(word) && mayBeName(word)

/** A name that begins with a capitalised word, if one does. */
const nameAt = (text: string, start: number, end: number, length: number): Span | undefined => {
  const written = text.slice(start, end)
  const word = marks.test(written) ? written.normalize() : written
  if (isCode(text, start, end, length)) return isSpeaker(text, start, end, word) ? at(start, end) : undefined
  if (titles.has(word)) return titled(text, end, length)
  const before = text.slice(Math.max(0, start - 24), start)
  const last = nameEnd(text, end, length, 3)
  const isCued = cue.test(before) ||
    ((last > end || ambiguous.has(word) || isSurname(word)) && weakCue.test(before) && isPlain(text.slice(start, last)))
  const isAmbiguous = !isCued && ambiguous.has(word)
  if (!isCued && !isAmbiguous && !given.has(word)) {
    const joint = word.search(/['’-]/)
    const isNamed = (joint >= 3 && given.has(word.slice(0, joint))) || isDescent(word)
    if (!isNamed && !isBeforeSurname(text, start, end, last)) return undefined
  }
  if (noNames.has(word) || isShout(word) || (!isCued && notNames.has(word))) return undefined
  // `Don't`
  if (isJoint(codeAt(text, end, length)) && codeAt(text, end + 1, length) === 116) return undefined
  if (isCued) return at(start, last)
  if (last === end && (isAmbiguous || notPersons.has(word))) return undefined
  if (isAmbiguous && isHeading(text, end, last, length)) return undefined
  const [behind = ""] = text.slice(last, last + 14).split("\n")
  const followers = `${text.slice(end, last)}${behind}`.split(/[^\p{L}]+/u)
  if (followers.some((follower) => notPersons.has(follower))) return undefined
  if (isContinued(text, start) || isNumbered(text, start, last) || declares.test(before)) return undefined
  // `Johnson & Johnson`
  if (isFirm(text, start, end, last)) return undefined
  // A single word after "in" or "the" is a place or a thing.
  if (last === end && !isDescent(word) && towards.test(before.trimEnd())) return undefined
  return at(start, last)
}

/** A name in small letters: a given name and a surname, or one of them behind a title. */
const smallNameAt = (text: string, start: number, end: number, length: number): Span | undefined => {
  if (codeAt(text, end, length) !== 32) return undefined
  if (isUpper(codeAt(text, end + 1, length)) && end - start < 9 && titles.has(text.slice(start, end))) {
    return titled(text, end, length)
  }
  if (!smallGiven.has(text, start, end)) return undefined
  if (isCode(text, start, end, length)) return undefined
  const next = wordEnd(text, end + 1, length)
  return smallSurnames.has(text, end + 1, next) && !isCode(text, end + 1, next, length)
    ? at(start, next)
    : undefined
}

/** A word of a list of names: a name already, or one that may be. */
interface Item extends Span {
  readonly word: string
  readonly is: "name" | "capitalised" | "small"
}

/** Names of a list that are none by themselves: their neighbours say what they are. */
const inList = (text: string, items: ReadonlyArray<Item>): ReadonlyArray<Span> => {
  const last = items.at(-1)
  if (last === undefined || items.length < 2) return []
  // `Smith, Jones and Lee Partners`
  if (notPersons.has(/^ ([A-Za-z]{2,16})/.exec(text.slice(last.end, last.end + 18))?.[1] ?? "")) return []
  const count = (is: (item: Item) => boolean): number => items.filter(is).length
  const isOne = ({ is, word }: Item): boolean => is === "capitalised" && isSurname(word)
  const [names, surnames, small] = [count(({ is }) => is === "name"), count(isOne), count(({ is }) => is === "small")]
  // Two surnames, or one beside a name; three names in small letters.
  const known = names + (names + surnames > 1 ? surnames : 0) + (small > 2 ? small : 0)
  const isCertain = items.length > 2 && known * 3 >= items.length * 2
  return items.filter((item) =>
    item.is === "name"
      ? false
      : item.is === "small"
      ? small > 2
      : isCertain || (isOne(item) && names + surnames > 1) || (names > 0 && ambiguous.has(item.word))
  ).map(({ end, start }) => at(start, end))
}

/** What stands between the names of a list. */
const isListed = /^(?:, |,? and |,? or )$/

/** Whether a word may belong to a list, by what stands beside it: looked at before the word itself. */
const isListEnd = (text: string, start: number, end: number): boolean => {
  if (text.charCodeAt(end) === 44) return true
  const before = start < 2 ? 0 : text.charCodeAt(start - 2)
  return before === 44 || (before === 100 && text.startsWith("and", start - 4)) ||
    (text.charCodeAt(end + 1) === 97 && text.startsWith("nd", end + 2))
}
const isSmallName = (text: string, start: number, end: number): boolean =>
  smallGiven.has(text, start, end) || smallSurnames.has(text, start, end)

/** The lists of names of a text. */
class Lists {
  private readonly text: string
  private readonly found: Array<Span>
  private items: Array<Item> = []
  constructor(text: string, found: Array<Span>) {
    this.text = text
    this.found = found
  }
  /** The next word that may belong to a list. */
  add(item: Item): void {
    const last = this.items.at(-1)
    const isNext = last !== undefined && item.start - last.end < 7 &&
      isListed.test(this.text.slice(last.end, item.start))
    if (!isNext) this.end()
    this.items.push(item)
  }
  end(): void {
    if (this.items.length > 1) { for (const span of inList(this.text, this.items)) this.found.push(span) }
    this.items = []
  }
}

/** Names in a text, in order: in UTF-16 code units, of the kind `PERSON_NAME`. */
export const detector: Detector = (text) => {
  const found: Array<Span> = []
  const length = text.length
  const lists = new Lists(text, found)
  for (let i = 0; i < length;) {
    const code = codeAt(text, i, length)
    if (!isLetter(code)) {
      i++
      continue
    }
    const end = wordEnd(text, i, length)
    const isCapital = isUpper(code)
    const span = !isCapital
      ? smallNameAt(text, i, end, length)
      : end - i > 1
      ? nameAt(text, i, end, length)
      : undefined
    if (span !== undefined) {
      found.push(span)
      lists.add({ ...span, word: text.slice(i, end), is: "name" })
    } else if (isListEnd(text, i, end) && !isCode(text, i, end, length)) {
      const word = text.slice(i, end)
      if (isCapital && mayBeName(word)) lists.add({ ...at(i, end), word, is: "capitalised" })
      if (!isCapital && isSmallName(text, i, end)) lists.add({ ...at(i, end), word, is: "small" })
    }
    i = Math.max(end, span?.end ?? 0, i + 1)
  }
  lists.end()
  for (const match of text.includes("my name is ") || text.includes("My name is ") ? text.matchAll(says) : []) {
    const [first = "", second = ""] = (match[1] ?? "").split(" ")
    if (fillers.has(first)) continue
    const start = match.index + match[0].length - (match[1]?.length ?? 0)
    const name = second === "" || fillers.has(second) ? first : `${first} ${second}`
    const end = start + name.length
    const isFound = found.some((span) => span.start < end && span.end > start)
    if (!isFound && !isCode(text, start, end, length)) found.push(at(start, end))
  }
  return found.sort((a, b) => a.start - b.start)
}
