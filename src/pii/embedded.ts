/**
 * JSON inside a text: as it is, with white space or a byte order mark around it, quoted, or line by line. Numbers that
 * JavaScript would write in another way keep their digits, and a key that an object has twice keeps both its values.
 */
import { randomBytes } from "node:crypto"
import type { Json } from "../internal/json.ts"
import { codeAt } from "./boundary.ts"

/** A text that is JSON, what it says, and what stands around it. */
export interface Embedded {
  readonly text: string
  readonly before: string
  readonly json: Json
  readonly after: string
}

/** What the string of a number begins with that is kept as it was written; no caller can know it. */
const secret = randomBytes(16).toString("hex")
const mark = `\u0000${secret}#`
/** What a key begins with that its object has already, before its number. */
const again = `\u0000${secret}:`
const written = new RegExp(`"\\\\u0000${secret}(?:#([^"]*)"|:\\d+#)`, "g")
const space = /[\t\n\r \ufeff]/

/** The literal of a number that was kept as it was written. */
export const exactNumber = (text: string): string | undefined =>
  codeAt(text, 0, text.length) === 0 && text.startsWith(mark) ? text.slice(mark.length) : undefined

const quote = 34

/** What a key begins with where its object has it already; nothing otherwise. */
export const repetition = (key: string): string =>
  codeAt(key, 0, key.length) === 0 && key.startsWith(again) ? key.slice(0, key.indexOf("#") + 1) : ""

/** Whether brackets are nested deeper than anything that is looked into. */
const isDeep = (text: string): boolean => {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 91 || code === 123) depth++
    else if (code === 93 || code === 125) depth--
    if (depth > 256) return true
  }
  return false
}

const parse = (text: string): Json | undefined => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const exactly = (text: string): string =>
  text.replace(tokens, (token) => token[0] === "\"" || String(Number(token)) === token ? token : `"${marked(token)}"`)
const marked = (literal: string): string => `\\u0000${mark.slice(1)}${literal}`

/** Colons after a quote: as many as there are keys, or more where texts have some. */
const countColons = (text: string): number => {
  let count = 0
  for (let at = text.indexOf(":"); at !== -1; at = text.indexOf(":", at + 1)) {
    let before = at - 1
    while (before > 0 && text.charCodeAt(before) <= 32) before--
    if (text.charCodeAt(before) === quote) count++
  }
  return count
}

const countKeys = (json: Json): number => {
  if (typeof json !== "object" || json === null) return 0
  const values: ReadonlyArray<Json> = Object.values(json)
  return values.reduce((sum: number, value) => sum + countKeys(value), Array.isArray(json) ? 0 : values.length)
}

const structure = /"[^"\\]*(?:\\.[^"\\]*)*"(?:\s*:)?|[{}]/g
/** JSON in which keys that their object has already are names of their own. */
const distinctly = (text: string): string => {
  const open: Array<Set<string>> = []
  let count = 0
  return text.replace(structure, (token) => {
    if (token === "{") open.push(new Set())
    else if (token === "}") open.pop()
    else if (token.endsWith(":")) {
      const key = String(parse(token.slice(0, token.lastIndexOf("\"") + 1)))
      const keys = open.at(-1)
      if (keys?.has(key) === true) return `"${again.replace("\u0000", "\\u0000")}${++count}#${token.slice(1)}`
      keys?.add(key)
    }
    return token
  })
}

/** What a JSON text says, without loss. */
const readExactly = (text: string, plain: Json): Json => {
  const isRepeating = countColons(text) > countKeys(plain)
  const distinct = isRepeating ? distinctly(text) : text
  const exact = /\d{16}|\d[.eE]|-0/.test(text) ? exactly(distinct) : distinct
  return exact === text ? plain : parse(exact) ?? plain
}

/** Shorter ones have no room for a name and a value. */
const shortest = 8

const opens = (code: number): boolean => code === 123 || code === 91
/** How a quoted text begins that is JSON, or quoted once more. */
const quotedJson = /^"(?:\s|\\[nrt]|\\ufeff|\ufeff)*(?:[[{]|\\")/i

/** Whether a text may hold JSON: what it begins with says no of most. */
export const mayHoldJson = (text: string): boolean => {
  if (text.length < shortest) return false
  const code = codeAt(text, 0, text.length)
  if (opens(code) || code === quote || code <= 32 || code === 0xfeff) return true
  if (code === 100 && text.startsWith("data:")) return text.includes("{")
  return text.indexOf("\n") !== -1 && (text.includes("\n{") || text.includes("\n[") || text.includes("\ndata:"))
}

/** Reads a text that is JSON and nothing else; of a quoted text the quoted one must be JSON. */
export const readJson = (text: string): Embedded | undefined => {
  let start = 0
  let end = text.length
  while (start < end && space.test(text[start]!)) start++
  while (end > start && space.test(text[end - 1]!)) end--
  const first = text.charCodeAt(start)
  const last = text.charCodeAt(end - 1)
  if (end - start < shortest || !(opens(first) ? last === first + 2 : first === quote && last === quote)) {
    return undefined
  }
  const body = text.slice(start, end)
  if (first === quote ? !quotedJson.test(body) : isDeep(body)) return undefined
  const plain = parse(body)
  if (plain === undefined) return undefined
  const json = readExactly(body, plain)
  return { text, before: text.slice(0, start), json, after: text.slice(end) }
}

/** Writes what was read, with other JSON in its place. */
export const writeJson = ({ after, before }: Embedded, json: Json): string =>
  before + JSON.stringify(json).replace(written, (_, literal: string | undefined) => literal ?? "\"") + after

/** What stands before the data of an event in a stream (WHATWG HTML, section 9.2.6). */
const data = /^data: ?(?=\{)/

/**
 * A text line by line, with the ends of lines between them, where one of the lines is JSON, or the data of an event.
 */
export const jsonLines = (text: string): ReadonlyArray<Embedded | string> | undefined => {
  if (!text.includes("\n") && !text.startsWith("data:")) return undefined
  const parts: Array<Embedded | string> = []
  let plain = ""
  for (const line of text.split(/(?<=\n)/)) {
    const name = data.exec(line)?.[0] ?? ""
    const read = readJson(line.slice(name.length))
    if (read === undefined) plain += line
    else {
      plain += name
      if (plain !== "") parts.push(plain)
      parts.push(read)
      plain = ""
    }
  }
  if (parts.length === 0) return undefined
  return plain === "" ? parts : [...parts, plain]
}
