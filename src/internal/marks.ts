/** What a schema says of fields, beyond what detectors find: which are personal, replaced, left out, or kept. Pure. */
import type { Content, PiiFlags } from "../DatasetEvent.ts"
import { type Json, pointer, setKey } from "./json.ts"

/**
 * What becomes of a field.
 *
 * - `strip`: it is personal: `[PERSONAL]` stands for it
 * - `pseudonym`: as `strip`, by a keyed hash of it, if the stripper has a key
 * - `drop`: it is left out: `null`
 * - `keep`: no detector looks at it
 */
export type Mark = "strip" | "pseudonym" | "drop" | "keep"

const words: ReadonlySet<unknown> = new Set<Mark>(["strip", "pseudonym", "drop", "keep"])
/** Whether a value is a mark. */
export const isMark = (value: unknown): value is Mark => words.has(value)

/** Keys and indexes from the content of an event on; `*` stands for all of them. */
export type Path = ReadonlyArray<string>

/** Marks of fields. */
export interface Marked {
  readonly path: Path
  readonly mark: Mark
}

/** Marks that are done with, and those that are left to do. */
export interface Marks {
  /** How many values were replaced or left out. */
  readonly found: number
  readonly pseudonyms: ReadonlyArray<Path>
  /** JSON Pointers as a policy has them. */
  readonly kept: ReadonlyArray<string>
}

const isArray = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

/** A value with another in the place of what is at a path, wherever that is. */
const at = (value: Json, path: Path, replace: (value: Json) => Json, depth = 0): Json => {
  const key = path[depth]
  if (key === undefined) return value === null ? null : replace(value)
  if (typeof value !== "object" || value === null) return value
  if (isArray(value)) {
    return value.map((item, i) => key === "*" || key === String(i) ? at(item, path, replace, depth + 1) : item)
  }
  const result: Record<string, Json> = {}
  for (const [name, item] of Object.entries(value)) {
    setKey(result, name, key === "*" || key === name ? at(item, path, replace, depth + 1) : item)
  }
  return result
}

const inContent = (content: Content, path: Path, replace: (value: Json) => Json): Content => {
  const [part, ...below] = path
  switch (part) {
    case "input":
    case "output": {
      const value = content[part]
      return value === undefined ? content : { ...content, [part]: at(value, below, replace) }
    }
    case "change": {
      const { change } = content
      if (change === undefined) return content
      const changed = (value: Json | undefined) => value === undefined ? undefined : at(value, below, replace)
      const [before, after] = [changed(change.before), changed(change.after)]
      return {
        ...content,
        change: { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
      }
    }
    default:
      return content
  }
}

/** Under this a draft carries the places of what was left out, as it carries its marks. */
export const missingKey: unique symbol = Symbol("effect-audit/missing")

/** Marks of both. */
export const both = (one: Marks, other: Marks): Marks => {
  const known = new Set(one.pseudonyms.map((path) => pointer(path)))
  return {
    found: one.found + other.found,
    pseudonyms: [...one.pseudonyms, ...other.pseudonyms.filter((path) => !known.has(pointer(path)))],
    kept: [...new Set([...one.kept, ...other.kept])]
  }
}

/** Under this a draft carries its marks, so that a logger that adds a field by a spread does not lose them. */
export const marksKey: unique symbol = Symbol("effect-audit/marks")

/** What stands for a personal value. */
export const personal = "[PERSONAL]"

const kept = new WeakMap<ReadonlyArray<Marked>, ReadonlyArray<string>>()

/** The places that are kept: the same list for the same marks, so that others may remember what they make of it. */
const keptOf = (marked: ReadonlyArray<Marked>): ReadonlyArray<string> => {
  const known = kept.get(marked)
  if (known !== undefined) return known
  const places = marked.flatMap(({ mark, path }) => mark === "keep" ? [pointer(path)] : [])
  kept.set(marked, places)
  return places
}

/** Replaces what needs no key. */
export const mark = (
  content: Content,
  marked: ReadonlyArray<Marked>
): { readonly content: Content; readonly marks: Marks } => {
  let found = 0
  let result = content
  for (const { mark, path } of marked) {
    if (mark !== "strip" && mark !== "drop") continue
    result = inContent(result, path, (value) => {
      // What was replaced before is counted.
      if (value !== personal && value !== null) found++
      return mark === "strip" ? personal : null
    })
  }
  const pseudonyms = marked.flatMap(({ mark, path }) => mark === "pseudonym" ? [path] : [])
  return { content: result, marks: { found, pseudonyms, kept: keptOf(marked) } }
}

/** Replaces what a key is needed for, and counts it. */
export const pseudonymise = (
  content: Content,
  { found, pseudonyms }: Marks,
  pseudonym: ((value: string) => string) | undefined
): { readonly content: Content; readonly found: number } => {
  let more = found
  let result = content
  for (const path of pseudonyms) {
    result = inContent(result, path, (value) => {
      more++
      // What has parts is one value: its keys may be personal as well.
      return pseudonym === undefined ? personal : pseudonym(typeof value === "string" ? value : JSON.stringify(value))
    })
  }
  return { content: result, found: more }
}

/** The flags of an event with what its marks have found. */
export const flagged = (flags: PiiFlags, found: number): PiiFlags => ({
  flags: [...new Set([...flags.flags, "PERSONAL"])].sort(),
  policy_reason: flags.truncated ? "truncated" : "pii_found",
  counts: { ...flags.counts, PERSONAL: (flags.counts["PERSONAL"] ?? 0) + found },
  truncated: flags.truncated
})
