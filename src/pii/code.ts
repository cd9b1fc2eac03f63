/** What stands where a secret should, but is not one: variables, templates, masks, types, calls. */

const placeholder = new RegExp(
  "^(?:" + [
    "\\$[{(A-Za-z_]|%[A-Za-z_({]|<|\\{|\\[|\\*{2,}|\\.{2,}|#{3,}|x{3,}$|[\\^~]?\\d+\\.\\d+\\.\\d+|@[A-Za-z]+[@(]|&[a-z]+;|0x[0-9a-f]{1,16}$|:|!(?:Ref|Sub|ImportValue|GetAtt|Join|If)\\b|https?://[^@]*$|[a-z][a-z0-9+.-]*://$",
    "(?:null|none|nil|undefined|true|false|empty|required|optional|string|str|bool|int|invalid|missing|expired|example|changeme)$",
    "(?:yes|no|ok|on|off|all|any|set|fail|failed|pass|passed|check|self|auto|manual|default|basic|bearer|digest|prompt|inherit|hidden|text|hashed|encrypted|plain|bytes|routes|buffer|uint8array|disabled|enabled|valid|unknown|value)$",
    "(?:password|passwd|secret|token|key|apikey|credentials?)$",
    "redacted|process\\.env|os\\.environ|env\\.|your[_-]|my[_-]?(?:password|secret|token)$|put[_-]|insert[_-]|enter[_-]|arn:|id=|SecretString:|resolve:|urn:|sha\\d{1,3}//",
    "/(?:\\w|$)[\\w./-]*$|\\.{1,2}/|~/|[A-Za-z_.]+\\(|(?:[A-Z]+_)+[A-Z]+$"
  ].join("|") + ")",
  "i"
)

/** Whether a text stands for a value: a variable, a template, a mask, a type, a version. */
export const isPlaceholderValue = (value: string): boolean =>
  (placeholder.test(value) && !/^\/[A-Za-z0-9+/]{30,}=*$/.test(value)) ||
  /\[[A-Z_]{2,32}(?::[^\]]{1,64})?\]/.test(value) ||
  isRepeated(value) || value.endsWith("...") ||
  /(?:^|[_-])(?:example|placeholder)(?:[_-]|$)|your[-_]?(?:api|secret|token|key|pass)/i.test(value)

/** `xxxxxxxx`, `00000000`: one character, whatever stands before it. */
const isRepeated = (value: string): boolean => value.length >= 6 && /^(.)\1{5,}$/.test(value)

/** A path through objects: `user.password`, `this.#config.KEY`, `params?.token`, `pw->passwd`. */
const path = /^[*&!#]{0,2}[A-Za-z_$][\w$]*(?:(?:\?\.|\.|->|::)#?[A-Za-z_$][\w$]*)+$/
/** A name in camel case or in words: `providerRefreshToken`, `ProgressTokenSchema`, `new_password`. */
const isIdentifier = (value: string): boolean => {
  if (value.length >= 40) return false
  if (/^_?[a-z]+(?:_[a-z]+)+$/.test(value)) return true
  if (!/^[A-Za-z]+$/.test(value)) return false
  const words = value.split(/(?<=[a-z])(?=[A-Z])/).length
  return words > 1 && value.length >= words * 3
}
const saysSo = /pass(?:word|wd|phrase)?|secret|token|key|cred|auth/i
/** What follows a name in code: a call, an index, a generic type, an operator. */
const callsAfter = /^(?:[([<{]|\?\.|\s*(?:\?\?|\?[^=]|&&|\|\||=>|===?|!==?)|->|::)/
const numbered = /\d.*\d.*\d/

/** Whether what stands as a value is code rather than a literal. */
export const couldBeCode = (text: string, start: number, end: number, inQuotes: boolean): boolean => {
  const value = text.slice(start, end)
  if (inQuotes) return isTemplate(value)
  const after = text.slice(end, end + 6)
  if (value.endsWith("-") && after.startsWith(">")) return true
  if (callsAfter.test(after) && /^[*&!]?[A-Za-z_$][\w$.]*[-]?$/.test(value)) return true
  if (path.test(value)) return !numbered.test(value)
  if (isIdentifier(value)) return true
  // `Set this to ...`: prose.
  if (/^[A-Z][a-z]+$/.test(value) && /^ [a-z]/.test(after)) return true
  if (/^[A-Za-z_]+$/.test(value)) {
    // A word at the end of a statement, or one that names what it holds.
    return saysSo.test(value) || /^[;,)]/.test(after)
  }
  return /^[)\]};,+*/|"']|^\.[$p]\[|^i\d\d$|^\d+\.(?:day|hour|minute|week)s?\b|^:[a-z]/.test(value)
}

/** A text that a program fills in: `#{password}`, `{{ token }}`, `" + x + "`. */
const isTemplate = (value: string): boolean =>
  /^\s*[#$%]?\{[^{}]*\}\}?\s*$|^\{\{|\$\{[^}]*\}|#\{[^}]*\}|^\s*\+\s|\s\+\s*$|%[sdv]\b|^:[a-z_]+$/.test(value)
