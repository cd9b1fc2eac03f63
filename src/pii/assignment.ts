/** Values in a text that stand after a name: `password=...`, `"apiKey": "..."`, `Authorization: Bearer ...`. */
import { couldBeCode, isPlaceholderValue } from "./code.ts"
import { azureSecretAt, jwtAt, privateKeyAt, tokenEnd, urlCredentialsAt, webhookAt } from "./credentials.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { nameBefore, nameIn } from "./names.ts"
import { ssnAt } from "./numbers.ts"
import type { Span } from "./span.ts"

/** Kinds whose values may be anything after a name in running text; others show themselves by their form. */
const anyForm = new Set<Kind>([
  "PASSWORD",
  "SECRET",
  "CVV",
  "PHONE",
  "PASSPORT",
  "DATE_OF_BIRTH",
  "POSTAL_CODE",
  "US_SSN",
  "NATIONAL_ID",
  "BANK_ACCOUNT",
  "COOKIE"
])
/** Kinds that a text names with a word before a colon as well: only values with digits in them are meant. */
const digitsOnly = new Set<Kind>([
  "CVV",
  "PHONE",
  "PASSPORT",
  "POSTAL_CODE",
  "US_SSN",
  "NATIONAL_ID",
  "BANK_ACCOUNT",
  "DATE_OF_BIRTH"
])
const secretKinds = new Set<Kind>(["PASSWORD", "SECRET", "COOKIE"])

const bare = /[^\s"'`,;<>{}()[\]&|\\]{2,512}/y
/** What a secret that is longer goes on with. */
const more = /[A-Za-z0-9+/=_.~-]{1,16384}/y
/** A number with its groups: `130 692 544`, `AB 12 34 56 C`. */
const grouped = /[A-Z]{0,4}[ -]?\d[\dA-Za-z]*(?:[ ./-]{1,2}(?=[\dA-Za-z]*\d)[\dA-Za-z]{1,12}){0,7}/iy
const phoneValue = /\+?\(?\d[\d ./()-]{4,22}\d(?: ?(?:x|ext\.?|#) ?\d{1,6})?/iy
const scheme = /(?:Bearer|Basic|Token|Digest|Bot|ApiKey|SSWS|OAuth|GenieKey|Key|Negotiate|NTLM|JWT)\s+/iy
/** A scheme of `Authorization` that is no word of this list: RFC 9110, section 11.4. */
const anyScheme = /[A-Za-z][A-Za-z0-9-]{1,31} {1,4}(?=\S)/y

const kindOf = (name: string): Kind | undefined => {
  const dotted = name.lastIndexOf(".")
  return keyKind(dotted === -1 ? name.replace(/^-+/, "") : name.slice(dotted + 1))
}

/** Two words of running text that name what follows: `api key:`, `social security number:`. */
const twoWords = (text: string, first: number, name: string): Kind | undefined => {
  if (text[first - 1] !== " ") return undefined
  const before = nameBefore(text, first - 1)
  if (before === undefined) return undefined
  const two = `${before[1]} ${name}`
  const kind = keyKind(two)
  if (kind !== undefined || text[before[0] - 1] !== " ") return kind
  const more = nameBefore(text, before[0] - 1)
  return more === undefined ? undefined : keyKind(`${more[1]} ${two}`)
}

const cookiePair = /[A-Za-z0-9_.$-]{1,64}=/y

/** A value after a name that says what it is. `i` stands at the `=` or `:`, or at the comma between two texts. */
export const assignmentAt = (text: string, i: number): Span | undefined => {
  // `::`, `==`: the name, if there is one, was looked at before the first of them.
  if (i > 0 && text.charCodeAt(i - 1) === text.charCodeAt(i)) return undefined
  // A path of names: `cookie::Key`.
  if (text.charCodeAt(i) === 58 && text.charCodeAt(i + 1) === 58) return undefined
  const named = nameIn(text, i)
  if (named === undefined) return undefined
  const [first, name] = named
  const kind = twoWords(text, first, name) ?? kindOf(name)
  if (kind === undefined || !anyForm.has(kind)) return undefined
  let from = i + 1
  while (from - i < 4 && (text[from] === "=" || text[from] === ">" || text[from] === ":")) from++
  while (from < text.length && from - i < 48 && (text[from] === " " || text[from] === "\t")) from++
  // `password= user=kim`: nothing is said of it.
  if (from > i + 1 && isNextPair(text, i, from)) return undefined
  // Literals of C#, Python, Rust.
  if (/^(?:@|[bBuUrRfFL]{1,2})["']/.test(text.slice(from, from + 3))) {
    from += text[from + 1] === "\"" || text[from + 1] === "'" ? 1 : 2
  }
  return valueAt(text, from, kind, {
    typed: isPasswordName.test(name),
    authorization: /authorization$/i.test(name),
    isTight: text[i - 1] !== " " && text[i + 1] !== " ",
    isConstant: /^[A-Z][A-Z0-9_]{2,}$/.test(name)
  })
}

/** How a value is named. */
interface Named {
  /** As what a person types: whatever follows may be one. Keys and tokens are told from words by digits and length. */
  readonly typed: boolean
  readonly authorization?: boolean
  readonly isTight?: boolean
  readonly isConstant?: boolean
}

const pair = /[A-Za-z_][\w.-]{0,48}[=:][^=:/\s]/y
const prose = /[a-z]+ [A-Za-z]/y
/** Whether behind spaces another name has its value, or a sentence goes on. */
const isNextPair = (text: string, i: number, from: number): boolean => {
  pair.lastIndex = from
  if (text[i] === "=" && text[i - 1] !== " " && !/["'`]/.test(text[from] ?? "")) return true
  // Words that go on behind a place that is empty.
  prose.lastIndex = from
  if (from - i > 2 && prose.test(text)) return true
  return pair.test(text) && text.charCodeAt(pair.lastIndex - 2) === 61
}

const isPasswordName = /pass|pwd|psw|^pw$|^pin$/i

const url = /[a-z][a-z0-9+.-]{1,20}:\/\//iy

/** What shows itself, whatever stands before it. */
const strongAt = (text: string, start: number): Span | undefined => {
  const own = jwtAt(text, start) ?? privateKeyAt(text, start) ?? ssnAt(text, start)
  if (own !== undefined) return own
  const token = tokenEnd(text, start)
  if (token !== -1) return { start, end: token, kind: "SECRET" }
  if (text[start + 4] === "~" || text[start + 5] === "~") {
    return azureSecretAt(text, text[start + 5] === "~" ? start + 5 : start + 4)
  }
  url.lastIndex = start
  const credentials = url.test(text) ? urlCredentialsAt(text, url.lastIndex - 3) : undefined
  if (credentials !== undefined) return credentials
  const scheme = text.startsWith("https://", start) ? 5 : text.startsWith("http://", start) ? 4 : -1
  return scheme === -1 ? undefined : webhookAt(text, start + scheme)
}

/** A token that goes on behind what its vendor's form says: none of it stays. */
const whole = (text: string, span: Span, limit: number): Span => {
  if (span.kind !== "SECRET" && span.kind !== "JWT") return span
  more.lastIndex = span.end
  if (!more.test(text)) return span
  let end = limit > span.end ? Math.min(more.lastIndex, limit) : more.lastIndex
  while (end > span.end && /[.]/.test(text[end - 1]!)) end--
  return { ...span, end }
}

const longestQuoted = 8192

/** Where the text that a quote begins has its characters, up to the same quote; `undefined` without a quote. */
const quotedAt = (text: string, from: number): { readonly start: number; readonly end: number } | undefined => {
  const escaped = text[from] === "\\"
  const quote = text[escaped ? from + 1 : from]
  if (quote !== "\"" && quote !== "'" && quote !== "`") return undefined
  const start = escaped ? from + 2 : from + 1
  for (let end = start; end < text.length && end - start < longestQuoted; end++) {
    const char = text[end]!
    if (char === "\n") return undefined
    if (char === "\\") {
      if (escaped && text[end + 1] === quote) return { start, end }
      end++
    } else if (char === quote) return { start, end }
  }
  return undefined
}

/** The value that starts here, of the kind that its name promises, unless it shows itself to be of another. */
const valueAt = (text: string, from: number, kind: Kind, named: Named): Span | undefined => {
  const quote = quotedAt(text, from)
  let start = quote === undefined ? from : quote.start
  if (quote === undefined && /["'`\\]/.test(text[start] ?? "")) start += text[start] === "\\" ? 2 : 1
  let isScheme = false
  if (kind === "PASSWORD") {
    scheme.lastIndex = start
    anyScheme.lastIndex = start
    isScheme = scheme.test(text)
    if (isScheme) start = scheme.lastIndex
    else if (named.authorization === true && anyScheme.test(text)) {
      return headerAt(text, anyScheme.lastIndex, quote?.end)
    }
  }
  cookiePair.lastIndex = start
  if (cookiePair.test(text)) {
    const inner = text.slice(start, cookiePair.lastIndex - 1)
    if (kind === "COOKIE") start = cookiePair.lastIndex
    else if (kind !== "SECRET" && keyKind(inner) === "SECRET") {
      return valueAt(text, cookiePair.lastIndex, "SECRET", { typed: false })
    }
  }
  const own = strongAt(text, start)
  if (own !== undefined) return whole(text, own, quote?.end ?? 0)
  const end = quote !== undefined && kind !== "COOKIE" ? quote.end : bareEnd(text, start, kind)
  if (end === -1) return undefined
  const value = text.slice(start, end)
  if (isScheme && /^[A-Za-z0-9+/_.-]{8,}={0,2}$/.test(value) && !isPlaceholderValue(value)) return { start, end, kind }
  if (!isValue(value, kind, quote !== undefined, named.typed)) return undefined
  const { isConstant = false, isTight = false } = named
  if (secretKinds.has(kind) && couldBeCode(text, start, end, { inQuotes: quote !== undefined, isConstant, isTight })) {
    return undefined
  }
  // In running text a session is as good as a password.
  return { start, end, kind: kind === "COOKIE" ? "PASSWORD" : kind }
}

/** The rest of a header: parameters of a scheme have their own quotes. */
const headerAt = (text: string, start: number, quoteEnd: number | undefined): Span | undefined => {
  const line = /[^\r\n]{8,2048}/y
  line.lastIndex = start
  if (quoteEnd !== undefined) return quoteEnd - start >= 8 ? { start, end: quoteEnd, kind: "PASSWORD" } : undefined
  if (!line.test(text)) return undefined
  const value = text.slice(start, line.lastIndex)
  const pairs = /^(?:[A-Za-z_-]{1,32}=("[^"\n]{0,512}"|[^\s,"']{1,1024}),?\s?){1,12}/.exec(value)
  if (pairs !== null) return { start, end: start + pairs[0].trimEnd().length, kind: "PASSWORD" }
  return undefined
}

/** Where a value ends that no quotes enclose; -1 without one. */
const bareEnd = (text: string, start: number, kind: Kind): number => {
  const value = kind === "PHONE" ? phoneValue : digitsOnly.has(kind) && kind !== "DATE_OF_BIRTH" ? grouped : bare
  value.lastIndex = start
  if (!value.test(text)) return -1
  let end = value.lastIndex
  if (end - start === 512) {
    more.lastIndex = end
    if (more.test(text)) end = more.lastIndex
  }
  while (end > start && (text[end - 1] === "." || text[end - 1] === ":" || text[end - 1] === "!")) end--
  return end
}

const passwordWord = /^(?:password|passwd|pwd|passphrase|passcode|secret)$/i
const passwordSays = /(?:\s{1,2}for [^\n]{1,40}?)?\s{1,2}(?:is|was|=>|->)(?:\s{1,2}|:\s?)|\s(?=["'`])/iy

const logsIn = /\blogin\s+\S{1,64}\s+$/

/** `my password is hunter2`, `with passwd 'hunter2'`: a value after the word itself. */
export const passwordAfterWord = (text: string, start: number, end: number): Span | undefined => {
  const length = end - start
  const first = text.charCodeAt(start) | 32
  if ((first !== 112 && first !== 115) || length < 3 || length > 10 || !passwordWord.test(text.slice(start, end))) {
    return undefined
  }
  passwordSays.lastIndex = end
  // `machine host login user password secret` (netrc), `... user password secret`
  const isLogin = text[end] === " " && logsIn.test(text.slice(Math.max(0, start - 96), start))
  if (!isLogin && !passwordSays.test(text)) return undefined
  const from = isLogin ? end + 1 : passwordSays.lastIndex
  if (isLogin) return valueAt(text, from, "PASSWORD", { typed: true, isTight: true, isConstant: true })
  const value = valueAt(text, from, "PASSWORD", { typed: true })
  // After "is" may stand a password, or just a word: only one in quotes, or with a digit or a sign in it, is meant.
  return value !== undefined && !/^[a-z]+(?:-[a-z]+)*$/.test(text.slice(value.start, value.end))
    ? value
    : undefined
}

const curlUser = /-(?:u|-user|-proxy-user)[ =]["']?[^\s:"']{0,64}:/y
const flag = /--?[A-Za-z-]{0,24}(?:password|passwd|passphrase|token|secret|api-?key|app-key|auth-key)[ =]["']?(?!-)/iy

/** Programs whose short flag has a password: `sshpass -p`, `mysql -p`, `docker login -p`, `redis-cli -a`, `psexec -p`. */
const shortFlag = /-(?:p ?|a )["']?(?=[^\s"'-])/y
const takesPassword =
  /(?:\b(?:sshpass|mysql\w*|mariadb\w*|psexec(?:\.exe)?|smbclient|plink|pscp|docker login|podman login|helm registry login|net use)\b|\bredis-cli\b|\baz login\b)[^\n|;&]{0,96}$/i

/** `curl -u user:password`, `--password value`. `i` stands at the first `-`. */
export const flagAt = (text: string, i: number): Span | undefined => {
  curlUser.lastIndex = i
  flag.lastIndex = i
  const isUser = curlUser.test(text)
  shortFlag.lastIndex = i
  const isLong = !isUser && flag.test(text)
  const isShort = !isUser && !isLong && text[i - 1] !== "-" && shortFlag.test(text) &&
    takesPassword.test(text.slice(Math.max(0, i - 128), i))
  let start = isUser ? curlUser.lastIndex : isShort ? shortFlag.lastIndex : isLong ? flag.lastIndex : -1
  if (start === -1) return undefined
  // `-u token:` has the token before the colon.
  if (isUser && /["'\s]/.test(text[start] ?? " ")) start -= curlName(text, i, start)
  const own = strongAt(text, start)
  if (own !== undefined) return whole(text, own, 0)
  const quote = /["']/.exec(text.slice(i, start))?.[0]
  const close = quote === undefined ? -1 : text.indexOf(quote, start)
  bare.lastIndex = start
  const end = close !== -1 && close - start < 128 ? close : bare.test(text) ? bare.lastIndex : start
  const value = text.slice(start, end)
  return value.length >= 3 && (isUser || isShort || /[^a-z]/.test(value)) && !isPlaceholderValue(value) &&
      !couldBeCode(text, start, end, { inQuotes: quote !== undefined, isTight: true, isConstant: true })
    ? { start, end, kind: "PASSWORD" }
    : undefined
}

/** How long the name before the colon of `-u name:` is, colon included. */
const curlName = (text: string, i: number, end: number): number => {
  let first = end - 1
  while (first > i && /[^\s"'=]/.test(text[first - 1]!)) first--
  return end - first
}

const isValue = (value: string, kind: Kind, inQuotes: boolean, typed: boolean): boolean => {
  if (isPlaceholderValue(value)) return false
  if (digitsOnly.has(kind)) {
    const digits = value.replace(/\D/g, "").length
    return kind === "PHONE"
      ? digits >= 6 && digits <= 17 && /^[\d ()+./x#-]+(?:ext\.? ?\d+)?$/i.test(value)
      : digits >= 3 && value.length <= 40
  }
  if (typed) return value.length >= 3 && (inQuotes || /[^a-z]/.test(value) || value.length >= 5)
  // No key and no token has spaces.
  if (/\s/.test(value)) return false
  // A word after "token:" or "secret=" is a word; a secret has digits, or both cases and some length, or many signs.
  return value.length >= 6 &&
    (/\d/.test(value)
      ? value.length >= 8 || inQuotes
      : (value.length >= 12 && /[A-Z]/.test(value) && /[a-z]/.test(value) ||
        value.length >= 16 && /[A-Z]/.test(value)) ||
        (value.length >= 10 && value.replace(/[\w.-]/g, "").length >= 3))
}

const openTag = /<([A-Za-z][\w.:-]{1,63})(?:\s[^<>]{0,128})?>$/

/** `<password>hunter2</password>`: what an element of such a name has in it. `i` stands at the `>` of its tag. */
export const elementAt = (text: string, i: number): Span | undefined => {
  const tag = openTag.exec(text.slice(Math.max(0, i - 96), i + 1))
  if (tag === null) return undefined
  const name = tag[1]!.slice(Math.max(tag[1]!.lastIndexOf(":"), tag[1]!.lastIndexOf(".")) + 1)
  const kind = keyKind(name)
  if (kind === undefined || !anyForm.has(kind)) return undefined
  const close = text.slice(i + 1, i + 1 + longestQuoted).indexOf("<")
  if (close === -1 || text[i + 2 + close] !== "/") return undefined
  const content = text.slice(i + 1, i + 1 + close)
  const inside = content.trim()
  const start = i + 1 + content.length - content.trimStart().length
  // An encrypted value of Jenkins stands in braces.
  const value = inside.startsWith("{") && inside.endsWith("}") ? inside.slice(1, -1).trim() : inside
  if (!isValue(value.slice(value.lastIndexOf(" ") + 1), kind, true, isPasswordName.test(name))) return undefined
  return { start, end: start + inside.length, kind: kind === "COOKIE" ? "PASSWORD" : kind }
}

/** `setenv("API_TOKEN", "...")`: a name and its value as arguments. `i` stands at the comma between them. */
export const argumentAt = (text: string, i: number): Span | undefined => {
  let from = i + 1
  while (from - i < 8 && text[from] === " ") from++
  const quote = text[from]
  if (quote !== "\"" && quote !== "'") return undefined
  const found = assignmentAt(text, i)
  if (found === undefined) return undefined
  // Names in a list are none of each other's values.
  const value = text.slice(found.start, found.end)
  const before = text.slice(Math.max(0, i - 96), i)
  return (/[\d@!#$%^&*]/.test(value) && !/\s/.test(value)) || /["'][A-Z][A-Z0-9_]{2,}["']$/.test(before) ||
      /(?:set\w*|put\w*|env|header|add|credential\w*)\(\s?["'][^"']{1,64}["']$/i.test(before)
    ? found
    : undefined
}
