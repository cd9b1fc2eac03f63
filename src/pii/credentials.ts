/** Keys, tokens and passwords. */
import { codeAt, codeBefore } from "./boundary.ts"
import { isDummy } from "./dummy.ts"
import type { Span } from "./span.ts"
import { vendorTokenEnd } from "./vendors.ts"

const isToken = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 45 || code === 95

const beginKey = "-----BEGIN "
const beginPattern = /-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?)-----/y

/** PEM private keys (RFC 7468), to the end marker or, when that is cut off, to the end of the text. */
export const privateKeyAt = (text: string, start: number): Span | undefined => {
  if (text.charCodeAt(start + 1) !== 45 || !text.startsWith(beginKey, start)) return undefined
  beginPattern.lastIndex = start
  const match = beginPattern.exec(text)
  if (match === null) return undefined
  const marker = `-----END ${match[1]!}-----`
  const found = text.indexOf(marker, start)
  // Both markers, and nothing between them.
  if (found === beginPattern.lastIndex) return undefined
  return { start, end: found === -1 ? text.length : found + marker.length, kind: "PRIVATE_KEY" }
}

/** JSON Web Tokens (RFC 7519): base64url of `{"`, two more parts, of which the last is empty without a signature. */
export const jwtAt = (text: string, start: number): Span | undefined => {
  if (text.charCodeAt(start) !== 101 || !text.startsWith("eyJ", start)) return undefined
  let end = start
  let dots = 0
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === 46 && dots < 4) dots++
    else if (!isToken(code)) break
  }
  if (text[end - 1] === "." && dots > 2) end--
  return dots >= 2 && end - start >= 24 ? { start, end, kind: "JWT" } : undefined
}

const discord = /[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}(?![A-Za-z0-9])/y
const terraform = /[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,80}/y
const telegram = /\d{8,10}:AA[A-Za-z0-9_-]{32,34}(?![A-Za-z0-9_-])/y
const mailchimp = /[a-f0-9]{32}-us\d{1,2}(?![A-Za-z0-9])/y
const asana = /[012]\/\d{16}(?:\/\d{16})?:[a-f0-9]{32}(?![A-Za-z0-9])/y
const mailgun = /[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}(?![A-Za-z0-9-])/y
const shapes = [discord, terraform, telegram, mailchimp, asana, mailgun]

/** The shapes that may begin at a place, by a character that each of them has. */
const shapesAt = (text: string, start: number): ReadonlyArray<RegExp> => {
  const length = text.length
  const first = codeAt(text, start, length)
  if (codeAt(text, start + 32, length) === 45 || codeAt(text, start + 14, length) === 46) return shapes
  if (first >= 77 && first <= 79) return onlyDiscord
  if (first < 48 || first > 57) return none
  if (codeAt(text, start + 1, length) === 47) return onlyAsana
  for (let colon = start + 8; colon <= start + 10; colon++) {
    if (codeAt(text, colon, length) === 58) return text.startsWith(":AA", colon) ? onlyTelegram : none
  }
  return none
}
const onlyTelegram = [telegram]
const onlyDiscord = [discord]
const onlyAsana = [asana]
const none: ReadonlyArray<RegExp> = []

/**
 * Where a token that starts here ends: one with a vendor's prefix, or of a shape that nothing else has; -1 for none.
 */
export const tokenEnd = (text: string, start: number): number => {
  const end = vendorTokenEnd(text, start)
  if (end !== -1) return isDummy(text.slice(start, end)) ? -1 : end
  for (const shape of shapesAt(text, start)) {
    shape.lastIndex = start
    if (shape.test(text)) return isDummy(text.slice(start, shape.lastIndex)) ? -1 : shape.lastIndex
  }
  return -1
}

/**
 * The first bytes of a private key in DER, in base64: a sequence, its version, and what follows it in PKCS#12 (RFC
 * 7292), PKCS#8 (RFC 5958) encrypted or not, PKCS#1 (RFC 8017) and SEC 1 (RFC 5915).
 */
const derKey = new RegExp(
  "(?:" + [
    "MII[A-Za-z0-9+/]{2}[AQgw](?:IBAzC|IBADAN|IBAAKC)",
    "MII[A-Za-z0-9+/]{2}[DTjz]B[A-Za-z0-9+/]BgkqhkiG9w0BBQ0",
    "MI[GH][A-Za-z0-9+/](?:AgEAMB|MF[A-Za-z0-9+/]GCSqGSIb3DQEFDT)",
    "M(?:H[cQ]CAQEEI|C4CAQAwBQYDK2Vw|IGkAgEBBD|IHcAgEBBEI|D4CAQEEM)"
  ].join("|") + ")[A-Za-z0-9+/]{24,16384}(?:(?:\\r?\\n|\\\\n)[A-Za-z0-9+/]{1,128}){0,512}={0,2}",
  "y"
)

/** A private key that no marker stands around. */
const derKeyAt = (text: string, start: number): Span | undefined => {
  derKey.lastIndex = start
  return derKey.test(text) ? { start, end: derKey.lastIndex, kind: "PRIVATE_KEY" } : undefined
}

/** `-----BEGIN ` in base64 (RFC 4648), in one piece or in lines. */
const encodedPem = /LS0tLS1CRUdJTi[A-Za-z0-9+/]{24,16384}(?:(?:\r?\n|\\n)[ \t]{0,16}[A-Za-z0-9+/]{1,128}){0,512}={0,2}/y

/** A private key in PEM that was encoded once more, as Kubernetes has it. */
const encodedKeyAt = (text: string, start: number): Span | undefined => {
  encodedPem.lastIndex = start
  // Certificates begin alike.
  if (!/PRIVATE KEY/.test(Buffer.from(text.slice(start, start + 64), "base64").toString("latin1"))) return undefined
  return encodedPem.test(text)
    ? { start, end: encodedPem.lastIndex, kind: "PRIVATE_KEY" }
    : undefined
}

/** Tokens that a word starts. */
export const secretAt = (text: string, start: number, wordEnd: number): Span | undefined => {
  if (wordEnd - start >= 32 && text.startsWith("LS0tLS1CRUdJTi", start)) {
    const key = encodedKeyAt(text, start)
    if (key !== undefined) return key
  }
  if (wordEnd - start >= 8 && text.charCodeAt(start) === 77) {
    const key = derKeyAt(text, start)
    if (key !== undefined) return key
  }
  const after = codeAt(text, wordEnd, text.length)
  // The shapes go on after the first word; most words end before a space.
  const end = after === 46 || after === 58 || after === 45 || after === 47
    ? tokenEnd(text, start)
    : vendorTokenEnd(text, start)
  return end === -1 || isDummy(text.slice(start, end)) ? undefined : { start, end, kind: "SECRET" }
}

const azure = /[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}/y

/** Client secrets of Microsoft Entra ID: `Q~` after four characters. `i` stands at the `~`. */
export const azureSecretAt = (text: string, i: number): Span | undefined => {
  const start = i - 5
  if (start < 0 || text[i - 1] !== "Q" || (isToken(codeBefore(text, start)))) return undefined
  azure.lastIndex = start
  return azure.test(text) ? { start, end: azure.lastIndex, kind: "SECRET" } : undefined
}

const webhook = new RegExp(
  "https?://(?:" + [
    "(?:\\w{1,16}\\.)?discord(?:app)?\\.com/api/(?:v\\d{1,2}/)?webhooks/\\d{5,25}/[A-Za-z0-9_-]{40,90}",
    "hooks\\.slack(?:-gov)?\\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,90}",
    "(?:[a-z0-9-]{1,63}\\.webhook|outlook)\\.office\\.com/webhook(?:b2)?/[A-Za-z0-9@/-]{60,200}",
    "hooks\\.zapier\\.com/hooks/catch/(?:\\d{4,12}/[A-Za-z0-9]{4,16}|[A-Za-z0-9]{20,})",
    // Keys in the path of an API: its documentation, and titus:, kingfisher:, trufflehog: of the same names.
    "[a-z0-9-]{2,40}\\.infura\\.io/(?:ws/)?v3/[0-9a-f]{32}",
    "[a-z0-9-]{2,40}\\.(?:g\\.)?alchemy(?:api)?\\.(?:io|com)/(?:nft/)?v[23]/[A-Za-z0-9_-]{32}",
    "maker\\.ifttt\\.com/trigger/\\w{1,64}/(?:json/)?with/key/[A-Za-z0-9_-]{20,}",
    "thingsboard\\.cloud/api/v1/[a-z0-9]{20}",
    "[\\w.-]{1,100}(?::\\d{2,5})?/hooks/[a-z0-9]{26}(?![A-Za-z0-9])"
  ].join("|") + ")",
  "y"
)

/** Addresses that are secrets themselves: whoever knows the hook may post. `i` stands at the colon of `://`. */
export const webhookAt = (text: string, i: number): Span | undefined => {
  const start = text.startsWith("https", i - 5) ? i - 5 : i - 4
  if (start < 0 || !text.startsWith("http", start)) return undefined
  webhook.lastIndex = start
  return webhook.test(text) ? { start, end: webhook.lastIndex, kind: "SECRET" } : undefined
}

/** A password that a program fills in, or that is masked already. */
const isTemplate = (password: string): boolean =>
  /^(?:\$\{.*|\$\(.*\)|\$[A-Za-z_]\w*|\{.*\}|<.*>|%\w+%|\[.*\]|[*•x]{3,}|\.{3})$/i.test(password) ||
  isNameOfVariable.test(password)
/** `BACKUP_PASSWORD`, in capitals. */
export const isNameOfVariable = /^\[?(?:[A-Z]+_)*(?:PASSWORD|PASSWD|PASS|PWD|TOKEN|SECRET)\]?$/

/** RFC 3986, section 3.2.1: the `user:password` of a URL. `i` stands at the colon of `://`. */
export const urlCredentialsAt = (text: string, i: number): Span | undefined => {
  if (!text.startsWith("://", i)) return undefined
  const start = i + 3
  let colon = -1
  let at = -1
  for (let end = start; end < text.length && end - start < 512; end++) {
    const char = text[end]!
    if (char === "/" || char === "?" || char === "#" || char === "\"" || char === "'" || char <= " ") break
    if (char === ":" && colon === -1) colon = end
    if (char === "@") at = end
  }
  return at > start && colon !== -1 && colon < at - 1 && !isTemplate(text.slice(colon + 1, at))
    ? { start, end: at, kind: "URL_CREDENTIALS" }
    : undefined
}

const hashes = new RegExp(
  "\\$(?:" + [
    "2[abxy]?\\$\\d\\d\\$[./A-Za-z0-9]{53}",
    "(?:1|apr1)\\$[./A-Za-z0-9]{1,8}\\$[./A-Za-z0-9]{22}",
    "5\\$(?:rounds=\\d{1,9}\\$)?[./A-Za-z0-9]{1,16}\\$[./A-Za-z0-9]{43}",
    "6\\$(?:rounds=\\d{1,9}\\$)?[./A-Za-z0-9]{1,16}\\$[./A-Za-z0-9]{86}",
    "[89]\\$[./A-Za-z0-9]{14}\\$[./A-Za-z0-9]{43}",
    "y\\$[./A-Za-z0-9]{1,8}\\$[./A-Za-z0-9]{1,86}\\$[./A-Za-z0-9]{43}",
    "argon2(?:id|i|d)\\$v=\\d+\\$m=\\d+,t=\\d+,p=\\d+\\$[A-Za-z0-9+/]{8,88}\\$[A-Za-z0-9+/]{16,172}",
    "krb5(?:asrep|tgs)\\$[^\\s\"']{64,4096}"
  ].join("|") + ")",
  "y"
)

/** Hashes of passwords as crypt(5) has them, and those of tickets: what can be tried against a list of passwords. */
export const passwordHashAt = (text: string, i: number): Span | undefined => {
  const next = codeAt(text, i + 1, text.length)
  // The letters and digits that they begin with.
  if (!(next >= 49 && next <= 57) && next !== 97 && next !== 121 && next !== 107) return undefined
  hashes.lastIndex = i
  return hashes.test(text) ? { start: i, end: hashes.lastIndex, kind: "SECRET" } : undefined
}
