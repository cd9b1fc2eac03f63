/** Values in a text that stand after a name: `password=...`, `"apiKey": "..."`, `Authorization: Bearer ...`. */
import { couldBeCode, isChance, isMismatched, isPlaceholderValue } from "./code.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { anyForm, isPasswordName, isValue, longestQuoted, strongAt, valueAt } from "./namedValue.ts"
import { type Name, nameBefore, nameIn } from "./names.ts"
import { mayEndName, says } from "./phrase.ts"
import { saysNothing } from "./saysNothing.ts"
import type { Span } from "./span.ts"

const kindOf = (name: string): Kind | undefined => {
  const dotted = name.lastIndexOf(".")
  // `app.secret.key`: the last word may be the end of a name.
  const kind = dotted === -1
    ? keyKind(name.replace(/^-+/, ""))
    : keyKind(name.slice(dotted + 1)) ?? keyKind(name.slice(name.lastIndexOf(".", dotted - 1) + 1))
  // Where words are not separated the name is the end of what stands before the sign.
  return kind ?? (name.charCodeAt(name.length - 1) > 0x0e00 ? keyKind(name.slice(-2)) ?? keyKind(name.slice(-4)) : kind)
}

const hasLetter = /\p{L}/u
const hasDigit = /\d/

/** Two words of running text that name what follows: `api key:`, `social security number:`. */
const twoWords = (text: string, first: number, name: string): Kind | undefined => {
  if (text[first - 1] !== " " || /["'`\]]/.test(text[first - 2] ?? "")) return undefined
  // In columns more stands between.
  const reach = text[first - 2] === " " ? 224 : 64
  if (!mayEndName(name, text.slice(Math.max(0, first - reach), first))) return undefined
  const before = nameBefore(text, first - 1)
  if (before === undefined) return undefined
  const two = `${before[1]} ${name}`
  // Of `9 06`, as in a time, nothing is named; a number may follow what names it: `Password - 2`.
  const isNumber = !hasLetter.test(name) && !hasLetter.test(before[1])
  const kind = isNumber ? undefined : keyKind(two)
  if (kind !== undefined || text[before[0] - 1] !== " ") return kind
  const more = nameBefore(text, before[0] - 1)
  if (more === undefined || (isNumber && hasDigit.test(before[1]) && !says.test(more[1]))) return undefined
  return keyKind(`${more[1]} ${two}`)
}

/** A value after a name that says what it is. `i` stands at the `=` or `:`, or at the comma between two texts. */
export const assignmentAt = (text: string, i: number): Span | undefined => {
  // `::`, `==`: the name, if there is one, was looked at before the first of them.
  if (i > 0 && text.charCodeAt(i - 1) === text.charCodeAt(i)) return undefined
  if (text.charCodeAt(i) === 61 && (text.charCodeAt(i + 1) === 61 || text.charCodeAt(i - 1) === 33)) {
    const compared = comparedAt(text, i)
    if (compared !== undefined) return compared
  }
  // A path of names: `cookie::Key`.
  if (text.charCodeAt(i) === 58 && text.charCodeAt(i + 1) === 58) return undefined
  const named = nameIn(text, i)
  if (named === undefined) return undefined
  const [first, name] = named
  const kind = twoWords(text, first, name) ?? kindOf(name)
  if (kind === undefined || (kind !== "STREET_ADDRESS" && !anyForm.has(kind))) return undefined
  let from = i + 1
  while (from - i < 4 && (text[from] === "=" || text[from] === ">" || text[from] === ":")) from++
  while (from < text.length && from - i < 48 && (text[from] === " " || text[from] === "\t")) from++
  if (kind === "STREET_ADDRESS") return noAddress.test(name) ? undefined : addressAt(text, from)
  if (kind === "COOKIE") {
    const pairs = cookiesAt(text, name, from)
    if (pairs !== undefined) return pairs
  }
  // `password= user=kim`: nothing is said of it.
  if (from > i + 1 && isNextPair(text, i, from)) return undefined
  // Literals of C#, Python, Rust.
  if (/^(?:@|[bBuUrRfFL]{1,2})["']/.test(text.slice(from, from + 3))) {
    from += text[from + 1] === "\"" || text[from + 1] === "'" ? 1 : 2
  }
  const isConstant = /^[A-Z][A-Z0-9_]{2,}$/.test(name)
  const isTight = text[i - 1] !== " " && text[i + 1] !== " "
  const typed = isPasswordName.test(name)
  const authorization = /authorization$/i.test(name)
  const found = valueAt(text, from, kind, { typed, authorization, isTight, isConstant })
  if (found !== undefined && saysNothing(text, named, found)) return undefined
  const line = kind === "PASSWORD" && typed && (isTight || text[i] === ":")
    ? wholeLine(text, named, from, found)
    : found
  return line ?? (kind === "PASSWORD" ? oddLine(text, first, from) : undefined)
}

const odd = /[^\s"'`]{12,128}(?=["'`]?[ \t]*(?:\r?\n|$))/y
/** The rest of a line whose brackets do not match: chance made it, and no code. */
const oddLine = (text: string, first: number, from: number): Span | undefined => {
  odd.lastIndex = from
  if (!beginsLine.test(text.slice(Math.max(0, first - 48), first)) || !odd.test(text)) return undefined
  const end = odd.lastIndex - (/[,;]/.test(text[odd.lastIndex - 1] ?? "") ? 1 : 0)
  return isMismatched(text.slice(from, end)) ? { start: from, end, kind: "PASSWORD" } : undefined
}

const literal = /["']([^"'\n]{8,128})["']\s?[!=]?$/
const comparedName = /={1,3}\s?([A-Za-z_][\w.]{1,63})\s?[)&|?;,]/y
/** `if ("..." == password)`: the value before the name. `i` stands at the first `=`. */
const comparedAt = (text: string, i: number): Span | undefined => {
  comparedName.lastIndex = i
  const name = comparedName.exec(text)?.[1]
  if (name === undefined || kindOf(name) !== "PASSWORD") return undefined
  const from = Math.max(0, i - 136)
  const match = literal.exec(text.slice(from, i))
  const value = match?.[1] ?? ""
  // A word is a state, or a kind.
  if (match === null || !/[\d@#$%^&*]/.test(value) || /\s/.test(value) || isPlaceholderValue(value)) return undefined
  const start = from + match.index + 1
  return { start, end: start + value.length, kind: "PASSWORD" }
}

const quotedAddress =
  /\\?(["'])(?=[^"'\n]{0,120}\d)(?=[^"'\n]{0,120}[\p{Lu}\p{Lo}])(?=[^"'\n]{0,120}\p{L}{3})(?![^"'\n]{0,120}(?:[{}<>$=@]|:\/\/|\d\.\d))([^"'\n\\]{1,60} [^"'\n\\]{1,60})(?=\\?\1)/uy
/** What a form says of a field, or a validator. */
const ofField =
  /\b(?:at (?:least|most)|max(?:imal|imum)?|min(?:imal|imum)?|characters?|zeichen|caract[eè]res|line|ligne|varchar)\b/i
/** Names that are of a machine's address, or of any line. */
const noAddress = /^address$|^line\d?$|(?:base|memory|register|start|physical|bus|cell|i2c|html)_?address$/i

/** An address in quotes behind a name for one: `shipping_address="Amaliesvei 86"`. It has words and a number. */
const addressAt = (text: string, from: number): Span | undefined => {
  quotedAddress.lastIndex = from
  const match = quotedAddress.exec(text)
  if (match === null || ofField.test(match[2] ?? "")) return undefined
  const end = quotedAddress.lastIndex
  return { start: end - match[2]!.length, end, kind: "STREET_ADDRESS" }
}

const beginsLine = /(?:^|\n)[ \t]*(?:- )?(?:export |set |ENV |-e )?["']?$/
/**
 * A line of a configuration that is a name and its value: no sign ends the value before the line does. What is not
 * found otherwise is one if it was made by chance.
 */
const wholeLine = (text: string, [first, name]: Name, from: number, found: Span | undefined): Span | undefined => {
  if (found !== undefined && found.start !== from) return found
  if (!beginsLine.test(text.slice(Math.max(0, first - 48), first))) return found
  const line = /[^\s"'`]{3,256}(?=[ \t]*(?:\r?\n|$))/y
  line.lastIndex = from
  if (!line.test(text)) return found
  const value = text.slice(from, line.lastIndex)
  // In a file of settings in capitals nothing but the value stands there.
  const isSetting = /^[A-Z][A-Z0-9_]{2,}$/.test(name) && text[from - 1] === "="
  const end = line.lastIndex - (!isSetting && /[,;]$/.test(value) ? 1 : 0)
  if (found === undefined) return isChance(value) ? { start: from, end, kind: "PASSWORD" } : undefined
  const rest = text.slice(found.end, end)
  // Another name with its value, or a command.
  const other = isSetting ? /[,;&][A-Z_]{3,}=/ : /[,;&]\w+[=:]|^[;&]\w*$/
  return rest === "" || other.test(rest) || (!isSetting && /^[)\]}({[]+$/.test(rest)) ? found : { ...found, end }
}

/** RFC 6265, section 4.2.1: the pairs that a browser sends, whatever their names. */
const sent = /(?:[A-Za-z0-9_.$-]{1,64}=[^\s;"'`\\]{0,4096}; ?){0,64}[A-Za-z0-9_.$-]{1,64}=[^\s;"'`,\\<>)}\]]{2,4096}/y

/** A server sets one cookie, and says more of it behind a `;` (section 4.1.1). */
const setCookie = /[A-Za-z0-9_.$-]{1,64}=[^\s;"'`,\\<>)}\]]{2,4096}/y

const cookiesAt = (text: string, name: string, from: number): Span | undefined => {
  const pairs = /^cookies?$/i.test(name) ? sent : /^set-cookie2?$/i.test(name) ? setCookie : undefined
  if (pairs === undefined) return undefined
  pairs.lastIndex = /["'`]/.test(text[from] ?? "") ? from + 1 : from
  const start = pairs.lastIndex
  if (!pairs.test(text)) return undefined
  const first = text.indexOf("=", start) + 1
  const value = text.slice(first, pairs.lastIndex)
  // A token is found as what it is.
  if (!value.includes(";") && strongAt(text, first) !== undefined) return undefined
  return isPlaceholderValue(value) || couldBeCode(text, first, pairs.lastIndex, cookiePlace)
    ? undefined
    : { start: first, end: pairs.lastIndex, kind: "PASSWORD" }
}
const cookiePlace = { inQuotes: true, isTight: true, isConstant: false }

const pair = /[A-Za-z_][\w.-]{0,48}[=:][^=:/\s]/y
/** A token with `=` in it, which is no name with its value. */
const withSigns = /(?=[\w.-]*\d[\w.-]*\d[\w.-]*\d)[\w.-]{4,48}=[\w.=-]{12,512}(?![^\s"'`;,)])/y
const prose = /[a-z]+ [A-Za-z]/y
/** Whether behind spaces another name has its value, or a sentence goes on. */
const isNextPair = (text: string, i: number, from: number): boolean => {
  pair.lastIndex = from
  if (text[i] === "=" && text[i - 1] !== " " && !/["'`]/.test(text[from] ?? "")) return true
  // Words that go on behind a place that is empty.
  prose.lastIndex = from
  if (from - i > 2 && prose.test(text)) return true
  withSigns.lastIndex = from
  return pair.test(text) && text.charCodeAt(pair.lastIndex - 2) === 61 && !withSigns.test(text)
}

const openTag = /<([A-Za-z][\w.:-]{1,63})(\s[^<>]{0,128})?>$/
/** `<string name="api_key">`, `<entry key="db.password">`: the name is in an attribute. */
const nameAttribute = /\s(?:name|key|id)\s?=\s?["']([^"']{2,64})["']/i

/** `<password>hunter2</password>`: what an element of such a name has in it. `i` stands at the `>` of its tag. */
export const elementAt = (text: string, i: number): Span | undefined => {
  const tag = openTag.exec(text.slice(Math.max(0, i - 160), i + 1))
  if (tag === null) return undefined
  const own = tag[1]!
  const given = (tag[2] === undefined ? undefined : nameAttribute.exec(tag[2])?.[1]) ?? own
  const [kind, name] = [given, own].map((of) => of.slice(Math.max(of.lastIndexOf(":"), of.lastIndexOf(".")) + 1))
    .map((of) => [keyKind(of), of] as const).find(([of]) => of !== undefined) ?? [undefined, own]
  if (kind === undefined || !anyForm.has(kind)) return undefined
  const close = text.slice(i + 1, i + 1 + longestQuoted).indexOf("<")
  if (close === -1 || text[i + 2 + close] !== "/") return undefined
  const content = text.slice(i + 1, i + 1 + close)
  const inside = content.trim()
  const start = i + 1 + content.length - content.trimStart().length
  // Documentation of a parameter, as C# has it.
  if (own === "param" && /\s|\.$/.test(inside)) return undefined
  // An encrypted value of Jenkins stands in braces.
  const value = inside.startsWith("{") && inside.endsWith("}") ? inside.slice(1, -1).trim() : inside
  if (!isValue(value.slice(value.lastIndexOf(" ") + 1), kind, true, isPasswordName.test(name))) return undefined
  return { start, end: start + inside.length, kind: kind === "COOKIE" ? "PASSWORD" : kind }
}

const plainWords = /^[A-Za-z]+\d{0,3}(?:[_/-](?:[A-Za-z]+\d{0,3}|\d{1,2}))*$/
/** Whether the text in quotes that ends a text begins so. */
const beginsAlike = (text: string, begin: string): boolean => {
  const quote = text.at(-1) ?? ""
  return /["']/.test(quote) && text.startsWith(begin, text.lastIndexOf(quote, text.length - 2) + 1)
}

const encoding = /^(?:base(?:64|64url|32|16)|hex|utf-?8|utf-?16(?:le)?|ascii|latin1|binary)$/i

/** Calls that take a name and its password (.NET, Java, Apache HttpClient, Python's requests). */
const credentialsCall =
  /(?:NetworkCredential|PSCredential|UsernamePasswordCredentials|PasswordAuthentication|BasicCredentials|HTTPBasicAuth|HTTPDigestAuth)\(\s?["'][^"'\n]{0,64}["']$/
/** The eight random texts of WordPress (wp-config.php). */
const salts = /define\(\s?["'](?:AUTH|SECURE_AUTH|LOGGED_IN|NONCE)_(?:KEY|SALT)["']$/

/** `setenv("API_TOKEN", "...")`: a name and its value as arguments. `i` stands at the comma between them. */
export const argumentAt = (text: string, i: number): Span | undefined => {
  let from = i + 1
  while (from - i < 8 && text[from] === " ") from++
  const quote = text[from]
  if (quote !== "\"" && quote !== "'") return undefined
  const call = text.slice(Math.max(0, i - 128), i)
  if (credentialsCall.test(call) || salts.test(call)) {
    return valueAt(text, from, "PASSWORD", { typed: true, isTight: true, isConstant: true })
  }
  const found = assignmentAt(text, i)
  if (found === undefined) return undefined
  // Names in a list are none of each other's values.
  const value = text.slice(found.start, found.end)
  const before = text.slice(Math.max(0, i - 96), i)
  // The name of a migration (Django).
  if (/^\d{4}_\w+$/.test(value)) return undefined
  // A key of an object, an encoding, one of several names that begin alike.
  if (/^["']\s{0,2}(?:=>|:)/.test(text.slice(found.end, found.end + 6)) || encoding.test(value)) return undefined
  const begin = /^[A-Za-z][A-Za-z0-9]*[_/-]/.exec(value)?.[0]
  if (begin !== undefined && plainWords.test(value) && beginsAlike(before, begin)) return undefined
  return (/[\d@!#$%^&*]/.test(value) && !/\s/.test(value)) || /["'][A-Z][A-Z0-9_]{2,}["']$/.test(before) ||
      /(?:set\w*|put\w*|env|header|add|credential\w*)\(\s?["'][^"']{1,64}["']$/i.test(before)
    ? found
    : undefined
}
