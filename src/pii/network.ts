/**
 * Addresses of machines.
 *
 * @internal
 */
import type { Span } from "./scanner.ts"
import { isIpv4, isIpv6 } from "./validate.ts"

const ipv4Pattern = /(?:\d{1,3}\.){3}\d{1,3}/y
const macPattern = /[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Za-z:-])/y
const isHex = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 71) || (code >= 97 && code < 103)
const isWord = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

/** Dotted quads; a longer dotted number or a version (`v1.2.3.4`) is none. */
export const ipv4At = (text: string, start: number): Span | undefined => {
  ipv4Pattern.lastIndex = start
  const match = ipv4Pattern.exec(text)
  if (match === null || !isIpv4(match[0])) return undefined
  const end = start + match[0].length
  if (isWord(text.charCodeAt(end)) || (text[end] === "." && isWord(text.charCodeAt(end + 1)))) return undefined
  if (start > 0 && (text[start - 1] === "." || text[start - 1] === "-")) return undefined
  if (/\b(?:version|ver|release|build)[\s:="]*$/i.test(text.slice(Math.max(0, start - 12), start))) return undefined
  return { start, end, kind: "IP" }
}

const window = (text: string, i: number): readonly [number, number] => {
  let start = i
  while (start > 0 && i - start < 40 && (isHex(text.charCodeAt(start - 1)) || text[start - 1] === ":")) start--
  let end = i
  while (end < text.length && end - i < 46 && (isHex(text.charCodeAt(end)) || text[end] === ":" || text[end] === ".")) {
    end++
  }
  while (end > start && (text[end - 1] === "." || (text[end - 1] === ":" && text[end - 2] !== ":"))) end--
  return [start, end]
}

/** RFC 4291 addresses, by a real parse. `::` alone, and words around it, are no address. */
export const ipv6At = (text: string, i: number): Span | undefined => {
  const [start, end] = window(text, i)
  if (end - start < 3 || !text.startsWith("::", i) && text.indexOf(":", start) >= end) return undefined
  const candidate = text.slice(start, end)
  const colons = candidate.split(":").length - 1
  if (colons < 2 || (colons < 3 && !/\d/.test(candidate)) || !isIpv6(candidate)) return undefined
  if ((start > 0 && isWord(text.charCodeAt(start - 1))) || isWord(text.charCodeAt(end))) return undefined
  return { start, end, kind: "IP" }
}

/** Six octets (IEEE 802), separated by `:` or `-`. */
export const macAt = (text: string, i: number): Span | undefined => {
  const start = text[i] === ":" ? i - 2 : i
  if (
    start < 0 ||
    (start > 0 && (isWord(text.charCodeAt(start - 1)) || text[start - 1] === ":" || text[start - 1] === "-"))
  ) {
    return undefined
  }
  macPattern.lastIndex = start
  const match = macPattern.exec(text)
  return match === null ? undefined : { start, end: start + match[0].length, kind: "MAC" }
}
