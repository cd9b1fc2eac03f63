/**
 * JSON inside a text: as it is, with white space or a byte order mark around it, quoted, or line by line. Numbers that
 * JavaScript would write in another way keep their digits.
 */
import { randomBytes } from "node:crypto"
import type { Json } from "../internal/json.ts"

/** A text that is JSON, what it says, and what stands around it. */
export interface Embedded {
  readonly text: string
  readonly before: string
  readonly json: Json
  readonly after: string
}

/** What the string of a number begins with that is kept as it was written; no caller can know it. */
const mark = `\u0000${randomBytes(16).toString("hex")}#`
const written = new RegExp(`"\\\\u0000${mark.slice(1)}([^"]*)"`, "g")
const space = /[\t\n\r \ufeff]/

/** The literal of a number that was kept as it was written. */
export const exactNumber = (text: string): string | undefined =>
  text.charCodeAt(0) === 0 && text.startsWith(mark) ? text.slice(mark.length) : undefined

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

const opens = (code: number): boolean => code === 123 || code === 91
const quote = 34
/** How a quoted text begins that is JSON, or quoted once more. */
const quotedJson = /^"(?:\s|\\[nrt]|\\ufeff|\ufeff)*(?:[[{]|\\")/i

/** Whether a text may hold JSON: what it begins with says no of most. */
export const mayHoldJson = (text: string): boolean => {
  const code = text.charCodeAt(0)
  if (opens(code) || code === quote || code <= 32 || code === 0xfeff) return true
  return text.includes("\n") && (text.includes("\n{") || text.includes("\n["))
}

/** Reads a text that is JSON and nothing else; of a quoted text the quoted one must be JSON. */
export const readJson = (text: string): Embedded | undefined => {
  let start = 0
  let end = text.length
  while (start < end && space.test(text[start]!)) start++
  while (end > start && space.test(text[end - 1]!)) end--
  const first = text.charCodeAt(start)
  const last = text.charCodeAt(end - 1)
  if (end - start < 8 || !(opens(first) ? last === first + 2 : first === quote && last === quote)) return undefined
  const body = text.slice(start, end)
  if (first === quote ? !quotedJson.test(body) : isDeep(body)) return undefined
  const plain = parse(body)
  if (plain === undefined) return undefined
  const json = /\d{16}|\d[.eE]|-0/.test(body) ? parse(exactly(body)) ?? plain : plain
  return { text, before: text.slice(0, start), json, after: text.slice(end) }
}

/** Writes what was read, with other JSON in its place. */
export const writeJson = ({ after, before }: Embedded, json: Json): string =>
  before + JSON.stringify(json).replace(written, "$1") + after

/** A text line by line, with the ends of lines between them, where one of the lines is JSON. */
export const jsonLines = (text: string): ReadonlyArray<Embedded | string> | undefined => {
  if (!text.includes("\n")) return undefined
  const parts: Array<Embedded | string> = []
  let plain = ""
  for (const line of text.split(/(?<=\n)/)) {
    const read = readJson(line)
    if (read === undefined) plain += line
    else {
      if (plain !== "") parts.push(plain)
      parts.push(read)
      plain = ""
    }
  }
  if (parts.length === 0) return undefined
  return plain === "" ? parts : [...parts, plain]
}
