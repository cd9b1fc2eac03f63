/** A value behind a name that says what it is: where it ends, and whether it is one. */
import { couldBeCode, isPlaceholderValue } from "./code.ts"
import { azureSecretAt, jwtAt, privateKeyAt, tokenEnd, urlCredentialsAt, webhookAt } from "./credentials.ts"
import { isDummy } from "./dummy.ts"
import { isTime, isTimeAt } from "./harmless.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { ssnAt } from "./numbers.ts"
import type { Span } from "./span.ts"

/** Kinds whose values may be anything after a name in running text; others show themselves by their form. */
export const anyForm = new Set<Kind>([
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

export const bare = /[^\s"'`,;<>{}()[\]&|\\]{2,512}/y
const cookiePair = /[A-Za-z0-9_.$-]{1,64}=/y
/** What a secret that is longer goes on with. */
const more = /[A-Za-z0-9+/=_.~-]{1,16384}/y
/** A number with its groups: `130 692 544`, `AB 12 34 56 C`. */
const grouped = /[A-Z]{0,4}[ -]?\d[\dA-Za-z]*(?:[ ./-]{1,2}(?=[\dA-Za-z]*\d)[\dA-Za-z]{1,12}){0,7}/iy
/** Letters that end a number with groups: `3164 KC`, `AB 12 34 56 C`. */
const lastLetters = /[ -][A-Z]{1,3}(?![\w.'’-])/y
const phoneValue = /\+?\(?\d[\d ./()-]{4,22}\d(?: ?(?:x|ext\.?|#) ?\d{1,6})?/iy
const scheme = /(?:Bearer|Basic|Token|Digest|Bot|ApiKey|SSWS|OAuth|GenieKey|Key|Negotiate|NTLM|JWT)[ \t]+/iy
/** A scheme of `Authorization` that is no word of this list: RFC 9110, section 11.4. */
const anyScheme = /[A-Za-z][A-Za-z0-9-]{1,31} {1,4}(?=\S)/y

/** How a value is named. */
export interface Named {
  /** As what a person types: whatever follows may be one. Keys and tokens are told from words by digits and length. */
  readonly typed: boolean
  readonly authorization?: boolean
  readonly isTight?: boolean
  readonly isConstant?: boolean
}

export const isPasswordName =
  /pass|pwd|psw|^pw$|^pin$|парол|лозинк|密[码碼]|口令|パスワード|暗証|비밀번호|암호|كلمة|סיסמ|รหัส|khẩu|المرور|السر|has[lł]o|heslo|jelsz|[sş]ifre|l[öo]senord|salasana|adgangskode|contrase|senha|kennwort|wachtwoord|lozinka|geslo/i

const url = /[a-z][a-z0-9+.-]{1,20}:\/\//iy

const fraction = /^0?\.\d{1,24}(?:[eE][+-]?\d{1,3})?$|^\d(?:\.\d{1,24})?[eE]-\d{1,3}$/
const isoDate = /^\d{4}-\d\d-\d\d$/
/** `session-1`, `weather-conversation-123`: what a person calls a session. */
export const wordsWithNumber = /^(?=.{1,32}$)(?=.*[-_])[a-z]{2,12}(?:[-_][a-z]{2,12})*(?:[-_]\d{1,4})?$/

/** What shows itself, whatever stands before it. */
export const strongAt = (text: string, start: number): Span | undefined => {
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
export const whole = (text: string, span: Span, limit: number): Span => {
  if (span.kind !== "SECRET" && span.kind !== "JWT") return span
  more.lastIndex = span.end
  if (!more.test(text)) return span
  let end = limit > span.end ? Math.min(more.lastIndex, limit) : more.lastIndex
  while (end > span.end && /[.]/.test(text[end - 1]!)) end--
  return { ...span, end }
}

export const longestQuoted = 8192

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

/** Without the spaces inside the quotes. */
const trimmed = (text: string, quote: ReturnType<typeof quotedAt>): ReturnType<typeof quotedAt> => {
  if (quote === undefined || (text[quote.start] !== " " && text[quote.end - 1] !== " ")) return quote
  const inside = text.slice(quote.start, quote.end)
  const value = inside.trim()
  const start = quote.start + inside.length - inside.trimStart().length
  return value === "" || /\s/.test(value) ? quote : { start, end: start + value.length }
}

/** YAML 1.2, section 8.1: a value that stands below its name, further in. */
const blockScalar = /[|>][-+]?\d?[-+]?[ \t]*\r?\n((?:[ \t]*\r?\n)*)([ \t]+)(?=\S)/y

const blockAt = (text: string, from: number, kind: Kind): Span | undefined => {
  blockScalar.lastIndex = from
  const header = blockScalar.exec(text)
  if (header === null) return undefined
  const start = blockScalar.lastIndex
  const indent = header[2]!
  const line = text.slice(text.lastIndexOf("\n", from) + 1, from)
  if (indent.length <= /^[ \t]*/.exec(line)![0].length) return undefined
  let end = start
  while (end < text.length && end - start < longestQuoted) {
    const line = text.indexOf("\n", end)
    if (line === -1 || !text.startsWith(indent, line + 1)) {
      end = line === -1 ? text.length : line
      break
    }
    end = line + 1
  }
  const whole = text.slice(start, end)
  const value = whole.trimEnd()
  return value.length < 4 || isPlaceholderValue(value) || value.startsWith("{{")
    ? undefined
    : { start, end: start + value.length, kind: value.includes("PRIVATE KEY-----") ? "PRIVATE_KEY" : kind }
}

/** The value that starts here, of the kind that its name promises, unless it shows itself to be of another. */
export const valueAt = (text: string, from: number, kind: Kind, named: Named): Span | undefined => {
  if (secretKinds.has(kind) && (text[from] === "|" || text[from] === ">")) {
    const block = blockAt(text, from, kind === "COOKIE" ? "PASSWORD" : kind)
    if (block !== undefined) return block
  }
  const quote = secretKinds.has(kind) ? trimmed(text, quotedAt(text, from)) : quotedAt(text, from)
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
  const shown = quote !== undefined && kind !== "COOKIE" ? quote.end : bareEnd(text, start, kind)
  if (shown === -1) return undefined
  const goesOn = quote === undefined && kind === "PASSWORD" && named.typed && named.isTight === true
  const end = goesOn ? pastSigns(text, shown) : shown
  const value = text.slice(start, end)
  if (isScheme && /^[A-Za-z0-9+/_.-]{8,}={0,2}$/.test(value) && !isPlaceholderValue(value)) return { start, end, kind }
  if (!isValue(value, kind, quote !== undefined, named.typed)) return undefined
  if (secretKinds.has(kind) && (quote === undefined ? isTimeAt(text, start) : isTime(value))) return undefined
  // A price for each token: `"input_cost_per_token": 0.0000025`.
  if (kind === "PASSWORD" && !named.typed && quote === undefined && fraction.test(value)) return undefined
  if (secretKinds.has(kind) && !named.typed && (isoDate.test(value) || isDummy(value))) return undefined
  if (kind === "COOKIE" && wordsWithNumber.test(value)) return undefined
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
  if (quoteEnd !== undefined) {
    const isCode = couldBeCode(text, start, quoteEnd, { inQuotes: true, isTight: false, isConstant: false })
    return quoteEnd - start >= 8 && !isCode ? { start, end: quoteEnd, kind: "PASSWORD" } : undefined
  }
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
  if (kind === "NATIONAL_ID" || kind === "POSTAL_CODE") {
    lastLetters.lastIndex = end
    if (lastLetters.test(text)) end = lastLetters.lastIndex
  }
  if (end - start === 512) {
    more.lastIndex = end
    if (more.test(text)) end = more.lastIndex
  }
  while (end > start && (text[end - 1] === "." || text[end - 1] === ":" || text[end - 1] === "!")) end--
  return end
}

const signs = /(?:[;&][^\s"'`;&=,<>(){}[\]\\|]{1,64}){1,8}(?=\s|$)/y
/** What goes on behind `;` or `&` belongs to a password if it is no other name with its value, no command, no statement. */
const pastSigns = (text: string, end: number): number => {
  signs.lastIndex = end
  return signs.test(text) && !/^[;&](?:\w+|&|[a-z]+;?)$/.test(text.slice(end, signs.lastIndex)) ? signs.lastIndex : end
}

export const isValue = (value: string, kind: Kind, inQuotes: boolean, typed: boolean): boolean => {
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
