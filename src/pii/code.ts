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
  return /^_?[a-z]+(?:_[a-z]+)+$/.test(value) ||
    /^(?:[a-z]+|[A-Z][a-z]{2,})(?:[A-Z][a-z]{2,})*(?:[A-Z][a-z]{2,}|[A-Z]{1,3})$/.test(value)
}
/** What code begins a path with. */
const root =
  /^[*&!#]{0,2}(?:this|self|args?|argv|options?|opts?|config|cfg|conf|params?|props|req|request|res|response|process|os|env|environ|settings?|ctx|context|user|data|body|var|local|module|secrets?|event|account|row|form|model|client|session|credentials?|creds|input|payload|state|store|app|server|auth)\b/

const saysSo = /pass(?:word|wd|phrase)?|secret|token|key|cred|auth/i
const numbered = /\d.*\d.*\d/

/** How a value stands behind its name. */
export interface Place {
  readonly inQuotes: boolean
  /** As in configurations, `NAME=value`: no space around the sign, or a name in capitals. */
  readonly isTight: boolean
  readonly isConstant: boolean
}

/** Whether what stands as a value is code rather than a literal. */
export const couldBeCode = (text: string, start: number, end: number, place: Place): boolean => {
  const value = text.slice(start, end)
  if (place.inQuotes) return isTemplate(value)
  const after = text.slice(end, end + 6)
  if (value.endsWith("-") && after.startsWith(">")) return true
  if (/^[)\]};,+*/|"']|^\.[$p]\[|^i\d\d$|^\d+\.(?:day|hour|minute|week)s?\b|^:[a-z]/.test(value)) return true
  const isName = /^[*&!]?[A-Za-z_$][\w$.]*$/.test(value)
  if (isName && /^(?:\(|\[|\?\.|->|::|<)/.test(after) && !numbered.test(value)) {
    return !place.isConstant || /^[([]/.test(after) && /[a-z][A-Z.]|^[a-z_]+$/.test(value)
  }
  if (path.test(value) && !numbered.test(value)) {
    return root.test(value) || (saysSo.test(value) && !place.isConstant) || !(place.isTight || place.isConstant)
  }
  if (place.isConstant) return false
  if (place.isTight) return isIdentifier(value) && saysSo.test(value) && /^[,)]/.test(after)
  if (/^\s*(?:\?\?|\?[^=]|&&|\|\||=>|===?|!==?)/.test(after) && isName) return true
  if (isIdentifier(value)) return true
  // `Set this to ...`: prose.
  if (/^[A-Z][a-z]+$/.test(value) && /^ [a-z]/.test(after)) return true
  // A word at the end of a statement, or one that names what it holds.
  return /^[A-Za-z_]+$/.test(value) &&
    (saysSo.test(value) || /^[;,)](?:\s*$|\s*\n|\))/.test(after) || /^[;)]/.test(after))
}

/** A text that a program fills in: `#{password}`, `{{ token }}`, `" + x + "`. */
const isTemplate = (value: string): boolean =>
  /^\s*[#$%]?\{[^{}]*\}\}?\s*$|^\{\{|\$\{[^${}]*\}|#\{[^#{}]*\}|^\s*\+\s|\s\+\s*$|^%[sdv]$|[ /]%[sdv][ /]|^:[a-z_]+$/
    .test(value)
