/** Values in a text that stand after a name: `password=...`, `"apiKey": "..."`, `Authorization: Bearer ...`. */
import { azureSecretAt, jwtAt, privateKeyAt, tokenEnd, urlCredentialsAt, webhookAt } from "./credentials.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { ssnAt } from "./numbers.ts"
import type { Span } from "./span.ts"

const isName = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 45 || code === 95 ||
  code === 46

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

const quoted = /\\?(["'`])((?:[^"'`\\\n]|\\(?!["'`])[^\n]){1,512})/y
const bare = /[^\s"'`,;<>{}()[\]&|\\]{2,512}/y
const phoneValue = /\+?\(?\d[\d ./()-]{4,22}\d/y
const scheme = /(?:Bearer|Basic|Token|Digest|Bot|ApiKey)\s+/iy
/** What stands where a value should: variables, templates, masks, types, versions. */
const placeholder = new RegExp(
  "^(?:" + [
    "\\$|%[A-Za-z_({]|<|\\{|\\[|\\*{2,}|\\.{2,}|x{3,}$|[\\^~]?\\d+\\.\\d+\\.\\d+",
    "(?:null|none|undefined|true|false|nil|empty|required|string|invalid|missing|expired|optional|example|changeme)$",
    "redacted|process\\.env|os\\.environ|env\\.|your[_-]|arn:|/(?:etc|usr|var|home|srv|opt|run|tmp)/|[A-Za-z_.]+\\(|id=|(?:[A-Z]+_)+[A-Z]+$"
  ].join("|") + ")",
  "i"
)

/** The name that ends before `end`, and where it starts. */
const nameBefore = (text: string, end: number): readonly [number, string] | undefined => {
  let last = end
  // `:=`, `!=`, `?=` and the like.
  while (last > 0 && end - last < 4 && /[:!?+]/.test(text[last - 1]!)) last--
  while (last > 0 && (text[last - 1] === " " || text[last - 1] === "\t") && end - last < 6) last--
  const quote = text[last - 1]
  if (quote === "\"" || quote === "'" || quote === "`") last--
  if (text[last - 1] === "\\") last--
  let first = last
  while (first > 0 && last - first < 48 && isName(text.charCodeAt(first - 1))) first--
  return first === last ? undefined : [first, text.slice(first, last)]
}

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

/** A value after a name that says what it is. `i` stands at the `=` or `:`. */
export const assignmentAt = (text: string, i: number): Span | undefined => {
  // `::`, `==`: the name, if there is one, was looked at before the first of them.
  if (i > 0 && text.charCodeAt(i - 1) === text.charCodeAt(i)) return undefined
  const named = nameBefore(text, i)
  if (named === undefined) return undefined
  const [first, name] = named
  const kind = twoWords(text, first, name) ?? kindOf(name)
  if (kind === undefined || !anyForm.has(kind)) return undefined
  let from = i + 1
  while (from - i < 4 && (text[from] === "=" || text[from] === ">" || text[from] === ":")) from++
  while (from < text.length && from - i < 8 && (text[from] === " " || text[from] === "\t")) from++
  return valueAt(text, from, kind, isPasswordName.test(name))
}

/**
 * Names of what a person types: whatever follows may be one. Keys and tokens are told from words by digits and length.
 */
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

/** The value that starts here, of the kind that its name promises, unless it shows itself to be of another. */
const valueAt = (text: string, from: number, kind: Kind, typed: boolean): Span | undefined => {
  quoted.lastIndex = from
  const match = quoted.exec(text)
  let start = match === null ? from : from + match[0].length - match[2]!.length
  if (kind === "PASSWORD") {
    scheme.lastIndex = start
    if (scheme.test(text)) start = scheme.lastIndex
  }
  cookiePair.lastIndex = start
  if (cookiePair.test(text)) {
    const inner = text.slice(start, cookiePair.lastIndex - 1)
    if (kind === "COOKIE") start = cookiePair.lastIndex
    else if (kind !== "SECRET" && keyKind(inner) === "SECRET") {
      return valueAt(text, cookiePair.lastIndex, "SECRET", false)
    }
  }
  const own = strongAt(text, start)
  if (own !== undefined) return own
  let end = match === null ? start : from + match[0].length
  if (match === null || kind === "COOKIE") {
    const value = kind === "PHONE" ? phoneValue : bare
    value.lastIndex = start
    if (!value.test(text)) return undefined
    end = value.lastIndex
    while (end > start && (text[end - 1] === "." || text[end - 1] === ":" || text[end - 1] === "!")) end--
  }
  if (!isValue(text.slice(start, end), kind, match !== null, typed)) return undefined
  // In running text a session is as good as a password.
  return { start, end, kind: kind === "COOKIE" ? "PASSWORD" : kind }
}

const passwordWord = /^(?:password|passwd|pwd|passphrase|passcode|secret)$/i
const passwordSays = /\s{1,2}(?:is|was|=>|->)\s{1,2}|\s(?=["'`])/y

/** `my password is hunter2`, `with passwd 'hunter2'`: a value after the word itself. */
export const passwordAfterWord = (text: string, start: number, end: number): Span | undefined => {
  const length = end - start
  const first = text.charCodeAt(start) | 32
  if ((first !== 112 && first !== 115) || length < 3 || length > 10 || !passwordWord.test(text.slice(start, end))) {
    return undefined
  }
  passwordSays.lastIndex = end
  if (!passwordSays.test(text)) return undefined
  const from = passwordSays.lastIndex
  const value = valueAt(text, from, "PASSWORD", true)
  // After "is" may stand a password, or just a word: only one with a digit or a sign in it is meant.
  return value !== undefined && /[^A-Za-z]/.test(text.slice(value.start, value.end)) ? value : undefined
}

const curlUser = /-(?:u|-user|-proxy-user)[ =]["']?[^\s:"']{0,64}:/y
const flag = /--?[A-Za-z-]{0,24}(?:password|passwd|passphrase|token|secret|api-?key)[ =]["']?(?!-)/iy

/** `curl -u user:password`, `--password value`. `i` stands at the first `-`. */
export const flagAt = (text: string, i: number): Span | undefined => {
  curlUser.lastIndex = i
  flag.lastIndex = i
  const start = curlUser.test(text) ? curlUser.lastIndex : flag.test(text) ? flag.lastIndex : -1
  if (start === -1) return undefined
  const own = strongAt(text, start)
  if (own !== undefined) return own
  const quote = /["']/.exec(text.slice(i, start))?.[0]
  const close = quote === undefined ? -1 : text.indexOf(quote, start)
  bare.lastIndex = start
  const end = close !== -1 && close - start < 128 ? close : bare.test(text) ? bare.lastIndex : start
  const value = text.slice(start, end)
  return value.length >= 3 && /[^a-z]/.test(value) && !placeholder.test(value)
    ? { start, end, kind: "PASSWORD" }
    : undefined
}

const isValue = (value: string, kind: Kind, inQuotes: boolean, typed: boolean): boolean => {
  if (placeholder.test(value)) return false
  if (digitsOnly.has(kind)) {
    const digits = value.replace(/\D/g, "").length
    return kind === "PHONE"
      ? digits >= 6 && digits <= 15 && /^[\d ()+./x-]+$/i.test(value)
      : digits >= 3 && value.length <= 40
  }
  if (typed) return value.length >= 3 && (inQuotes || /[^a-z]/.test(value) || value.length >= 5)
  // A word after "token:" or "secret=" is a word; a secret has digits, or both cases and some length.
  return value.length >= 6 &&
    (/\d/.test(value) ? value.length >= 8 || inQuotes : value.length >= 16 && /[A-Z]/.test(value))
}
