/** Addresses of machines. */
import { isIpv4, isIpv6 } from "../internal/address.ts"
import { codeAt, codeBefore } from "./boundary.ts"
import type { Span } from "./span.ts"

const ipv4Pattern = /(?:\d{1,3}(?:\.|\[\.\])){3}\d{1,3}/y
const macPattern =
  /(?:[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})(?![0-9A-Za-z]|[:-][0-9A-Fa-f]|\.\w)/y
const isHex = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 71) || (code >= 97 && code < 103)
const isWord = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

/** The mask of a network is no address: 8 to 24 bits, by whole octets. */
const mask = /^255\.(?:0\.0\.0|255\.0\.0|255\.255\.0)$/

/** A version, not an address: `version 1.2.3.4`, `Chrome/113.0.0.0`, `libfoo-1.2.3.4`. */
const versionBefore =
  /(?:(?:(?:\b|_)(?:version|ver)|\b(?:release|build|rev|rv|firmware|section|sect\.|chapter|clause|appendix|figure|table|connect core|§|tizen|android))[\s:="]*|[A-Za-z]\/v?|\bv|~)$/i

/** A product with digits at the end of its name, before another one or a comment (RFC 9110, section 10.1.5). */
const productBefore = /(?:^|[\s;(])[A-Z][\w-]{1,24}\d\/v?$/
const productAfter = /^ [A-Za-z][\w.+-]{0,24}\/\d+\.\d/
/** `8.1.2.1. Pseudo-Header Fields`, at the beginning of a line. */
const titleAfter = /^\. [A-Z][a-z]/

/** Dotted quads; a longer dotted number or a version (`v1.2.3.4`) is not one. */
export const ipv4At = (text: string, start: number): Span | undefined => {
  ipv4Pattern.lastIndex = start
  const match = ipv4Pattern.exec(text)
  if (match === null || !isIpv4(match[0].replaceAll("[.]", ".")) || mask.test(match[0])) return undefined
  const end = start + match[0].length
  if (isWord(text.charCodeAt(end)) || (text[end] === "." && isWord(text.charCodeAt(end + 1)))) return undefined
  if (start > 0 && (text[start - 1] === "." || text[start - 1] === "-")) return undefined
  // A browser says its version, not an address.
  const before = text.slice(Math.max(0, start - 20), start)
  if (text.startsWith("Mozilla/") || versionBefore.test(before)) return undefined
  const after = text.slice(end, end + 32)
  if (/^1?\d\./.test(match[0]) && productAfter.test(after) && productBefore.test(before)) return undefined
  const isSmall = /^\d\d?(?:\.\d\d?){3}$/.test(match[0])
  if (isSmall && titleAfter.test(after) && /(?:^|\n)[ \t]*$/.test(before)) return undefined
  // `$Id: handler.lua,v 1.1.1.1`: a revision of RCS.
  if (isSmall && /\.\w{1,8},v $/.test(before)) return undefined
  return { start, end, kind: "IP" }
}

/**
 * RFC 4291 addresses, by a real parse. `i` stands at the first colon of one: a later colon is not looked at again. `::`
 * alone, and words around it, are no address.
 */
export const ipv6At = (text: string, i: number): Span | undefined => {
  let back = i
  while (back > 0 && i - back < 5 && isHex(text.charCodeAt(back - 1))) back--
  const before = text.charCodeAt(back - 1)
  if (before === 58 && back > 1 && (isHex(text.charCodeAt(back - 2)) || text.charCodeAt(back - 2) === 58)) {
    return undefined
  }
  // In `addr:fe80::1` the address begins behind the first colon.
  const named = isWord(before) || (back === i && text.charCodeAt(i + 1) !== 58)
  const start = named ? i + 1 : back
  let end = start
  let colons = 0
  for (; end < text.length && end - start < 46; end++) {
    const code = text.charCodeAt(end)
    if (code === 58) colons++
    else if (!isHex(code) && code !== 46) break
  }
  if (colons < 2) return undefined
  while (end > start && (text[end - 1] === "." || (text[end - 1] === ":" && text[end - 2] !== ":"))) end--
  const candidate = text.slice(start, end)
  if (isWord(text.charCodeAt(end)) || candidate.length < 3 || (colons < 3 && !/\d/.test(candidate))) return undefined
  // `rows[::2]`, `stereo[0::2]`: a slice.
  if (text[start - 1] === "[" && /^\d{0,3}::\d{1,4}$/.test(candidate) && isWord(codeAt(text, start - 2, start))) {
    return undefined
  }
  // What mapped addresses begin with (RFC 4291, section 2.5.5.2).
  if (/^::ffff$/i.test(candidate)) return undefined
  return isIpv6(candidate) ? { start, end, kind: "IP" } : undefined
}

// A word with a letter that no octet has: `mac:`, `hwaddr:`.
const nameBefore = /[g-z][a-z]{0,7}$/i

/** Six octets (IEEE 802), separated by `:` or `-`, or in threes of four digits by `.`. */
export const macAt = (text: string, start: number): Span | undefined => {
  const separator = codeAt(text, start + 2, text.length)
  if (separator !== 58 && separator !== 45 && codeAt(text, start + 4, text.length) !== 46) return undefined
  const before = codeBefore(text, start)
  // `mac:AA:...`: the colon is the name's, unless what stands before it may be an octet too.
  const named = before === 58 && nameBefore.test(text.slice(Math.max(0, start - 9), start - 1))
  if (!named && (isWord(before) || before === 58 || before === 46 || before === 45)) return undefined
  macPattern.lastIndex = start
  return macPattern.test(text) ? { start, end: macPattern.lastIndex, kind: "MAC" } : undefined
}
