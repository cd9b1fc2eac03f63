/** E-mail addresses. */
import { escapeEnd } from "./boundary.ts"
import { isNameOfVariable } from "./credentials.ts"
import type { Span } from "./span.ts"

const isLocal = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 46 || code === 95 ||
  code === 37 || code === 43 || code === 45 || code === 39 || code > 127

const isDomain = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 45 || code > 127

/** Names of files and units end like this, `icon@2x.png` and `user@1000.service`; no mail domain does. */
const notDomains =
  /\.(?:png|jpe?g|gif|webp|svg|js|mjs|cjs|ts|tsx|css|scss|map|min|json|md|html|service|socket|timer|target|mount|local|localdomain)$/i

const ofMachine = /^(?:git|root|svn|hg|deploy|dokku)$/
const userOfUrl = /(?:ssh|git|sftp|rsync):\/\/$/i
const ofSsh = /^(?:openssh\.com|lysator\.liu\.se|libssh\.org)$/

/** The local part without an escape that stands before it: `\\nkim@`, `%3Dkim@`. */
const afterEscapes = (text: string, start: number, sign: number): number => {
  let first = start
  if (first > 0 && text[first - 1] === "\\") first = Math.max(first, escapeEnd(text, first - 1))
  // A terminal's colour begins with ESC and `[`.
  if (first > 1 && text[first - 1] === "[" && text.charCodeAt(first - 2) === 27) {
    first = Math.max(first, escapeEnd(text, first - 2))
  }
  for (let i = first; i < sign; i++) {
    // %2B is a plus, and belongs to the address.
    if (text[i] === "%" && !text.startsWith("%2B", i) && !text.startsWith("%2b", i)) first = escapeEnd(text, i)
  }
  return Math.min(first, sign)
}

const atWord = / ?\[at\] ?[\w-]{1,63}(?: ?(?:\[dot\]|\.) ?[\w-]{1,63}){1,6}/iy
const localWords = /[\w.+'-]{1,64}(?: ?\[dot\] ?[\w-]{1,64}){0,4} ?$/i

/** `name [at] example [dot] org`. `i` stands at the `[` of `[at]`. */
export const spelledEmailAt = (text: string, i: number): Span | undefined => {
  if (text.charCodeAt(i + 3) !== 93 || !/^\[at\]/i.test(text.slice(i, i + 4))) return undefined
  atWord.lastIndex = i
  if (!atWord.test(text)) return undefined
  const from = Math.max(0, i - 120)
  const local = localWords.exec(text.slice(from, i))
  return local === null ? undefined : { start: from + local.index, end: atWord.lastIndex, kind: "EMAIL" }
}

/**
 * `sign` is where the `@` stands, in one of its spellings, of this width. RFC 5321, section 4.1.2: a local part of at
 * most 64 characters, then a domain whose last label does not begin with a digit.
 */
export const emailAt = (text: string, sign: number, width: number): Span | undefined => {
  const at = sign + width - 1
  let start = sign
  while (start > 0 && sign - start < 64 && isLocal(text.charCodeAt(start - 1))) start--
  while (start < sign && (text[start] === "." || text[start] === "'" || text[start] === "-")) start++
  start = afterEscapes(text, start, sign)
  if (start === sign || text[sign - 1] === ".") return undefined
  // `•••••@example.org`: masked already.
  if (text.charCodeAt(sign - 1) > 127 && !/[\p{L}\p{N}]/u.test(text.slice(start, sign))) return undefined
  let end = at + 1
  let label = end
  let dot = -1
  for (; end < text.length && end - at < 256; end++) {
    const code = text.charCodeAt(end)
    if (code === 46) {
      if (end === label) break
      dot = end
      label = end + 1
    } else if (!isDomain(code)) break
  }
  // `git@host:path` is an address of a repository (scp syntax), not of a person.
  if (text[end] === ":" && sign - start === 3 && text.startsWith("git", start)) return undefined
  // A full stop or a hyphen after the domain belongs to the sentence.
  if (end === label && dot !== -1) {
    end = dot
    for (dot = end - 1; dot > at && text.charCodeAt(dot) !== 46;) dot--
  }
  while (end > at && text[end - 1] === "-") end--
  const top = text.charCodeAt(dot + 1)
  if (dot <= at + 1 || end - dot < 3 || (top >= 48 && top < 58)) return undefined
  // `org.hibernate@5.4.0.Final`: the version of a package.
  if (/^\d{1,4}(?:\.\d{1,6}){2}\./.test(text.slice(at + 1, at + 21))) return undefined
  const local = text.slice(start, sign)
  // Names of algorithms and requests: `sk-ssh-ed25519@openssh.com` (RFC 4251, section 6).
  if (local.includes("-") && ofSsh.test(text.slice(at + 1, end))) return undefined
  // `this@Label.member` in Kotlin; `$ACTOR@host`, `user-%d@host`: what a program fills in.
  if (text[start - 1] === ":" && isNameOfVariable.test(local)) return undefined
  // `ssh://git@host.example`: a user of a machine.
  if (text[start - 1] === "/" && ofMachine.test(local) && userOfUrl.test(text.slice(Math.max(0, start - 10), start))) {
    return undefined
  }
  if (
    (local === "this" && /[A-Z]/.test(text.slice(at + 1, end))) ||
    (text[start - 1] === "$" && /^[A-Z_]\w*$/.test(local)) || (text[start - 1] === "%" && /^[dsv]$/.test(local))
  ) {
    return undefined
  }
  return notDomains.test(text.slice(at, end)) ? undefined : { start, end, kind: "EMAIL" }
}
