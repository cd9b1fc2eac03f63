/** Names of several words in running text: whether a word may be the last of one. */
import { ending, glued, keyKind, lasts } from "./keyNames.ts"

/** What names of several words, written as one, end with. */
const endsOfGlued = new Set<string>(
  [...glued.keys()].flatMap((name) => Array.from({ length: name.length }, (_, at) => name.slice(at)))
)
const plainWord = /^(?:[A-Z]?[a-z]+|[A-Z]+)$/
const repeated = new Set(["confirmation", "confirm", "formatted"])
/** What makes a name of whatever stands behind it. */
export const says = /passw|passphrase|pwd|csrf|xsrf/i

const mayEnd = (word: string): boolean => {
  if (!plainWord.test(word) || keyKind(word) !== undefined) return true
  const small = word.toLowerCase()
  return lasts.has(small) || lasts.has(small.slice(0, -1)) || endsOfGlued.has(small) || repeated.has(small) ||
    ending.test(small)
}

const known = new Map<string, boolean>()

/** Whether a word may end a name, given the text before it; most words end none, and are not looked at with others. */
export const mayEndName = (word: string, before: string): boolean => {
  let ends = known.get(word)
  if (ends === undefined) {
    ends = mayEnd(word)
    if (known.size >= 4096) known.clear()
    known.set(word, ends)
  }
  return ends || says.test(before)
}
