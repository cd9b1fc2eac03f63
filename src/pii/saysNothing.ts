/** Values behind a name of a secret that say nothing of one: the name is of something else, or says itself again. */
import { isOwnWords, isTaxCode } from "./harmless.ts"
import { keyWords } from "./keyNames.ts"
import type { Name } from "./names.ts"
import type { Span } from "./span.ts"

/** What begins a declaration: the word behind it, with a capital, is declared and has no value. */
const declares = /\b(?:class|struct|interface|extension|record|enum|protocol|trait)\s+$/
const alias = /(?:^|\n)\s*alias $/
const turns = /\b(?:first|second|third|fourth|last|next|final|single|one|two|each|initial)\s$/i
/** In a text that a question chooses, in a route, in a name that is an address itself. */
const inText = /\?\s?["'][^"'\n]{0,40}$|["']\/[\w/-]*$|\burn:[\w:.-]*$/
/** The name of a resource of Amazon's, as its address has it. */
const inArn = /\barn:[\w-]{1,16}:secretsmanager:[\w:-]{0,64}:secret:$/

/**
 * `class DefaultUserSession : IUserSession`, `alias pin='...'`, `Second pass: ...`, `ok ? "Hide password" : "..."`,
 * `"/login/reset_password" => ...`, `urn:k8s:secret:...`.
 */
const isNoName = (text: string, [first, name]: Name): boolean => {
  const before = text.slice(Math.max(0, first - 16), first)
  return (/^[A-Z]/.test(name) && declares.test(before)) || alias.test(before) ||
    (/^pass(?:es)?$/i.test(name) && turns.test(before)) || inText.test(text.slice(Math.max(0, first - 64), first))
}

const lettersOf = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, "")
const withoutPlural = (letters: string): string => letters.endsWith("s") ? letters.slice(0, -1) : letters

/** `SharedSecret = "SharedSecret"`, `clientPasswords[0]=clientPassword`: as it is called, with its words to be seen. */
const isOwnName = (name: string, value: string): boolean => {
  if (/[^\w.-]/.test(value) || !(/[A-Z_-]/.test(value) || /^[A-Z]/.test(name))) return false
  const letters = withoutPlural(lettersOf(value))
  return letters.length >= 6 && withoutPlural(lettersOf(name)).endsWith(letters)
}

/** `UserChangedPassword = 1001,`: a line of an enumeration, of what was done. */
const isOfEnumeration = (name: string, value: string, after: string): boolean =>
  /^\d{3,5}$/.test(value) && /^(?:[A-Z][a-z0-9]+){2,}$/.test(name) && /(?:[a-z]ed|Reset|Set)(?=[A-Z]|$)/.test(name) &&
  /^,\s*(?:\/\/|\n|$)/.test(after)

/** The last word of a name that has a secret as its value. */
const ofSecret = /(?:password|passwd|secret|token|pass|pwd|pin)$/i

/** Whether what was found behind a name is no value of it. */
export const saysNothing = (text: string, named: Name, { end, kind, start }: Span): boolean => {
  const name = named[1]
  const value = text.slice(start, end)
  // `:rfc:\`2231\``: the number of a document; a taxpayer's has letters.
  if (kind === "NATIONAL_ID") return (/^rfc$/i.test(name) && /^\d{1,5}$/.test(value)) || isTaxCode(name, value)
  // ISO 9362: six letters first.
  if (kind === "BANK_ACCOUNT") return /^(?:swift|bic)$/i.test(name) && /^v?\d+\.\d/.test(value)
  if (kind !== "PASSWORD" && kind !== "SECRET") return false
  if (inArn.test(text.slice(Math.max(0, start - 96), start))) return true
  if (/^[A-Za-z][A-Za-z_.:#/ -]*$/.test(value) && isNoName(text, named)) return true
  // `call pass :reviewers`: a symbol of Ruby.
  if (text[start - 1] === ":" && text[start - 2] === " " && /^[a-z_]+$/.test(value)) return true
  // `pin: "left"`
  if (/^pins?$/i.test(name) && /^(?:left|right|top|bottom|both|start|end)$/.test(value)) return true
  if (
    isOwnName(name, value) || isOwnWords(keyWords(name), value) ||
    isOfEnumeration(name, value, text.slice(end, end + 8))
  ) return true
  // `send_password_change_notification: notify the user`
  return /[a-z][A-Z]|_/.test(name) && !ofSecret.test(name) && /^[a-z]+(?:-[a-z]+)*$/.test(value) &&
    text[start - 1] === " " && /^ [a-z]+[ .,]/.test(text.slice(end, end + 24))
}
