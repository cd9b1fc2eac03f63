/** The name that stands before a value in a text. */
import { keyKind } from "./keyNames.ts"

const isName = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 45 || code === 95 ||
  code === 46 || (code > 127 && isLetter.test(String.fromCharCode(code)))
const isLetter = /[\p{L}\p{M}]/u

/** A name, and where it begins. */
export type Name = readonly [start: number, name: string]

/** The name that ends before `end`, and where it starts. */
export const nameBefore = (text: string, end: number): Name | undefined => {
  let last = end
  // `:=`, `!=`, `?=` and the like.
  while (last > 0 && end - last < 4 && /[:!?+]/.test(text[last - 1]!)) last--
  while (last > 0 && (text[last - 1] === " " || text[last - 1] === "\t") && end - last < 48) last--
  // An element: `os.environ["API_TOKEN"]`, `secret[25]`.
  if (text[last - 1] === "]") {
    const near = Math.max(0, last - 64)
    const open = text.slice(near, last).lastIndexOf("[") + near
    if (text[open] !== "[") return undefined
    // A name in the brackets, quoted or not, is the name: `user[password]=...`.
    last = /^\[["']?[A-Za-z_]/.test(text.slice(open, open + 3)) ? last - 1 : open
  }
  const quote = text[last - 1]
  if (quote === "\"" || quote === "'" || quote === "`") last--
  if (text[last - 1] === "\\") last--
  let first = last
  while (first > 0 && last - first < 64 && isName(text.charCodeAt(first - 1))) first--
  return first === last ? undefined : [first, text.slice(first, last)]
}

const isType =
  /^(?:string|str|char|text|varchar|any|object|bytes?|secret-?string|wchar_t|tchar|lpcstr|nsstring|cstr|optional|var|let|val|auto)$/i
const isValueName = /^(?:value|val|data|content|stringvalue|newvalue|default)$/i
const pairName = /["'\s<{(-](?:name|key|Name|Key|id)["']?\s{0,4}[:=]\s{0,4}["']([^"'\n]{2,64})["'][^"'\n]{0,32}["']?$/

/** The name of the value behind a sign at `i`, past the type that may stand between them, or of its pair. */
export const nameIn = (text: string, i: number): Name | undefined => {
  const name = nameBefore(text, i)
  if (name === undefined) return undefined
  const [first, word] = name
  if (isType.test(word) && keyKind(word) === undefined) {
    // `apiToken string = "..."`, `password: string = "..."`, `password: &str = "..."`
    let before = first
    while (before > 0 && first - before < 4 && /[&*:\s]/.test(text[before - 1]!)) before--
    return nameBefore(text, before) ?? name
  }
  if (isValueName.test(word)) {
    // `{"name": "DB_PASSWORD", "value": "..."}`, `<add key="Password" value="..."/>`
    const pair = pairName.exec(text.slice(Math.max(0, first - 128), first))
    if (pair !== null) return [first, pair[1]!]
  }
  return name
}
