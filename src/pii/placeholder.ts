/**
 * What stands where a finding was, told from a text that only looks like it: a value must not hide between brackets.
 */
import { count, names } from "./Kind.ts"

const patternOf = (kinds: ReadonlyArray<string>): RegExp =>
  new RegExp(
    "\\[(?:CREDIT_CARD:\\d{4}|EMAIL:[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63})+|" +
      `(?:${kinds.join("|")})(?::[A-Za-z0-9_-]{1,32}:[A-Za-z0-9_-]{22})?)\\]`,
    "y"
  )
let known = names()
let placeholder = patternOf(known)

/**
 * Where the placeholder that begins at a `[` ends: the kind, with a key's id and a keyed hash, or with what partial
 * masking keeps; -1 if there is no placeholder.
 */
export const placeholderEnd = (text: string, i: number): number => {
  if (count() !== known.length) {
    known = names()
    placeholder = patternOf(known)
  }
  placeholder.lastIndex = i
  return placeholder.test(text) ? placeholder.lastIndex : -1
}

/** Whether a text is a placeholder and nothing else. */
export const isPlaceholder = (text: string): boolean => text.startsWith("[") && placeholderEnd(text, 0) === text.length
