/** What stands before a word: an escape (`\n`, `\u0022`, `%3D`, a terminal's colour) separates like a space. */

const { charCodeAt } = String.prototype

/**
 * The code unit at a place of a text, 0 behind its end. Inside the engine texts are of many kinds (flat, sliced), and
 * a method that is looked up on all of them is called slowly: here it is one function. Reading behind the end is slow
 * as well.
 */
export const codeAt = (text: string, i: number, length: number): number => i < length ? charCodeAt.call(text, i) : 0

const isHex = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 71) || (code >= 97 && code < 103)
const space = 32

/** Where the escape that begins at a `\`, `%` or ESC ends; `i + 1` if there is no escape. */
export const escapeEnd = (text: string, i: number): number => {
  const code = text.charCodeAt(i)
  const next = text.charCodeAt(i + 1)
  if (code === 37) return isHex(next) && isHex(text.charCodeAt(i + 2)) ? i + 3 : i + 1
  if (code === 92) {
    if (next === 117 && isHex(text.charCodeAt(i + 2)) && isHex(text.charCodeAt(i + 5))) return i + 6
    return next === 110 || next === 114 || next === 116 || next === 98 || next === 102 || next === 34 || next === 47
      ? i + 2
      : i + 1
  }
  if (code !== 27 || next !== 91) return i + 1
  let end = i + 2
  while (end < text.length && end - i < 12 && (text.charCodeAt(end) === 59 || isHex(text.charCodeAt(end)))) end++
  return text.charCodeAt(end) === 109 ? end + 1 : i + 1
}

/** The character before a place, or a space if an escape ends there. */
export const codeBefore = (text: string, start: number): number => {
  if (start === 0) return space
  const before = charCodeAt.call(text, start - 1)
  // Most words stand behind a space or a sign, which an escape does not end with.
  if (before < 48 || (before > 57 && before < 65) || before > 122) return before
  for (let back = 2; back <= 6 && back <= start; back++) {
    const code = charCodeAt.call(text, start - back)
    if ((code === 92 || code === 37 || code === 27) && escapeEnd(text, start - back) === start) return space
  }
  return before
}
