/**
 * Keys, tokens and passwords.
 *
 * @internal
 */
import type { Span } from "./scanner.ts"

const isToken = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 45 || code === 95

const beginKey = "-----BEGIN "
const beginPattern = /-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?)-----/y

/** PEM private keys (RFC 7468), to the end marker or, when that is cut off, to the end of the text. */
export const privateKeyAt = (text: string, start: number): Span | undefined => {
  if (!text.startsWith(beginKey, start)) return undefined
  beginPattern.lastIndex = start
  const match = beginPattern.exec(text)
  if (match === null) return undefined
  const marker = `-----END ${match[1]!}-----`
  const found = text.indexOf(marker, start)
  return { start, end: found === -1 ? text.length : found + marker.length, kind: "PRIVATE_KEY" }
}

/** JSON Web Tokens (RFC 7519): base64url of `{"`, two more parts. `i` stands at the `J` of `eyJ`. */
export const jwtAt = (text: string, i: number): Span | undefined => {
  const start = i - 2
  if (!text.startsWith("eyJ", start) || (start > 0 && isToken(text.charCodeAt(start - 1)))) return undefined
  let end = start
  let dots = 0
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === 46 && dots < 4) dots++
    else if (!isToken(code)) break
  }
  if (text[end - 1] === ".") {
    end--
    dots--
  }
  return dots >= 2 && end - start >= 24 ? { start, end, kind: "JWT" } : undefined
}

/** Formats with a prefix of the issuer's own: where it starts, and what follows. From the issuers' documentation. */
const vendors: ReadonlyArray<readonly [prefix: string, rest: RegExp]> = [
  ["AKIA", /[A-Z2-7]{16}(?![A-Za-z0-9])/y],
  ["ASIA", /[A-Z2-7]{16}(?![A-Za-z0-9])/y],
  ["AIza", /[A-Za-z0-9_-]{35}(?![A-Za-z0-9])/y],
  ["GOCSPX-", /[A-Za-z0-9_-]{28}/y],
  ["SG.", /[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}/y],
  ["ghp_", /[A-Za-z0-9]{36,255}/y],
  ["gho_", /[A-Za-z0-9]{36,255}/y],
  ["ghu_", /[A-Za-z0-9]{36,255}/y],
  ["ghs_", /[A-Za-z0-9]{36,255}/y],
  ["ghr_", /[A-Za-z0-9]{36,255}/y],
  ["github_pat_", /[A-Za-z0-9_]{36,255}/y],
  ["glpat-", /[A-Za-z0-9_-]{20,64}/y],
  ["xoxb-", /[A-Za-z0-9-]{20,120}/y],
  ["xoxp-", /[A-Za-z0-9-]{20,120}/y],
  ["xoxa-", /[A-Za-z0-9-]{20,120}/y],
  ["xoxs-", /[A-Za-z0-9-]{20,120}/y],
  ["xapp-", /[A-Za-z0-9-]{20,120}/y],
  ["sk-", /(?:[A-Za-z0-9]+-)*[A-Za-z0-9_-]{20,200}/y],
  ["sk_live_", /[A-Za-z0-9]{16,247}/y],
  ["sk_test_", /[A-Za-z0-9]{16,247}/y],
  ["rk_live_", /[A-Za-z0-9]{16,247}/y],
  ["rk_test_", /[A-Za-z0-9]{16,247}/y],
  ["whsec_", /[A-Za-z0-9+/=]{24,96}/y],
  ["npm_", /[A-Za-z0-9]{36}/y],
  ["pypi-", /[A-Za-z0-9_-]{50,250}/y],
  ["hf_", /[A-Za-z0-9]{30,40}/y],
  ["dop_v1_", /[a-f0-9]{64}/y],
  ["shpat_", /[a-fA-F0-9]{32}/y],
  ["lin_api_", /[A-Za-z0-9]{32,64}/y],
  ["key-", /[a-f0-9]{32}(?![A-Za-z0-9])/y]
]

interface Vendor {
  readonly prefix: string
  readonly rest: RegExp
  /** Where in the prefix the scanner's trigger is: the first `_` or `-`, else its first capital. */
  readonly trigger: number
}

const byTrigger = (select: (vendor: Vendor) => boolean): ReadonlyArray<Vendor> =>
  vendors.map(([prefix, rest]) => {
    const separator = prefix.search(/[_-]/)
    return { prefix, rest, trigger: /^[A-Z]/.test(prefix) ? 0 : separator }
  }).filter(select)
const dashed = byTrigger((vendor) => vendor.prefix[vendor.trigger] === "-")
const underscored = byTrigger((vendor) => vendor.prefix[vendor.trigger] === "_")
const capital = byTrigger((vendor) => vendor.trigger === 0)

/** Tokens with a vendor's prefix; `i` stands at the prefix's first `_` or `-`, or at its first capital. */
export const secretAt = (text: string, i: number): Span | undefined => {
  const list = text[i] === "-" ? dashed : text[i] === "_" ? underscored : capital
  for (let v = 0; v < list.length; v++) {
    const { prefix, rest, trigger } = list[v]!
    const start = i - trigger
    if (start < 0 || !text.startsWith(prefix, start)) continue
    if (start > 0 && isToken(text.charCodeAt(start - 1))) continue
    rest.lastIndex = start + prefix.length
    const match = rest.exec(text)
    if (match !== null) return { start, end: rest.lastIndex, kind: "SECRET" }
  }
  return undefined
}

/** RFC 3986, section 3.2.1: the `user:password` of a URL. `i` stands at the colon of `://`. */
export const urlCredentialsAt = (text: string, i: number): Span | undefined => {
  if (!text.startsWith("://", i)) return undefined
  const start = i + 3
  let colon = -1
  let at = -1
  for (let end = start; end < text.length && end - start < 512; end++) {
    const char = text[end]!
    if (char === "/" || char === " " || char === "?" || char === "#" || char === "\"" || char === "'" || char <= " ") {
      break
    }
    if (char === ":" && colon === -1) colon = end
    if (char === "@") at = end
  }
  return at > start && colon !== -1 && colon < at - 1 ? { start, end: at, kind: "URL_CREDENTIALS" } : undefined
}

const passwordWord = /(?:^|[^A-Za-z])(?:password|passwd|pwd|passphrase|passcode)["']?\s?$/i
const secretWord =
  /(?:^|[^A-Za-z])(?:api[ _-]?key|secret|access[ _-]?token|refresh[ _-]?token|auth[ _-]?token|client[ _-]?secret|secret[ _-]?(?:access[ _-]?)?key)["']?\s?$/i
const bearer = /\s?(?:Bearer|Basic)\s+/iy
const authorizationWord = /authorization["']?\s?$/i
const valuePattern = /\s?(?:"([^"\n]{3,256})"|'([^'\n]{3,256})'|([^\s"'&,;<>{}()[\]]{3,256}))/y

/** `password=...`, `api_key: ...`, `Authorization: Bearer ...` in a text. `i` stands at the `=` or `:`. */
export const assignmentAt = (text: string, i: number): Span | undefined => {
  const before = text.slice(Math.max(0, i - 24), i)
  const last = before.charCodeAt(before.length - 1)
  if (!(isToken(last) || last === 34 || last === 39 || last === 32)) return undefined
  const authorization = authorizationWord.test(before)
  const kind = passwordWord.test(before) ? "PASSWORD" : authorization || secretWord.test(before) ? "SECRET" : undefined
  if (kind === undefined) return undefined
  let from = i + 1
  if (authorization) {
    bearer.lastIndex = from
    if (bearer.exec(text) !== null) from = bearer.lastIndex
  }
  valuePattern.lastIndex = from
  const match = valuePattern.exec(text)
  const value = match?.[1] ?? match?.[2] ?? match?.[3]
  if (match === null || value === undefined) return undefined
  const start = from + match[0].indexOf(value)
  return { start, end: start + value.length, kind }
}
