/** What stands where a secret should, but is not one: variables, templates, masks, types, calls, names. */
import { isMask } from "./harmless.ts"

const placeholder = new RegExp(
  "^(?:" + [
    "\\$[{(A-Za-z_]|%[A-Za-z_({]|<|\\{|\\[|\\*{2,}|\\.{2,}|#{3,}|x{3,}$|[\\^~]?\\d+\\.\\d+\\.\\d+|@[A-Za-z]+[@(]|&[a-z]+;|0x[0-9a-f]{1,16}$|:|!(?:Ref|Sub|ImportValue|GetAtt|Join|If)\\b|https?://[^@]*$|(?!(?:ss|ssr|vmess|vless|trojan):)[a-z][a-z0-9+.-]*://[^@?]*$",
    "(?:null|none|nil|undefined|true|false|empty|required|optional|string|str|bool|boolean|int|integer|number|object|invalid|missing|expired|example|change[_-]?me(?:[_-][a-z]+)*|replace[_-]?me(?:[_-][a-z]+)*)$",
    "(?:yes|no|ok|on|off|all|any|set|fail|failed|pass|passed|check|self|auto|manual|default|basic|bearer|digest|prompt|inherit|hidden|text|hashed|encrypted|plain|bytes|routes|buffer|uint8array|disabled|enabled|valid|unknown|value)$",
    "(?:password|passwd|passphrase|secret|token|key|apikey|credentials?|authorization|oauth2?|saml2?|oidc|openid|ldap|kerberos|jwt|mtls|x509)$",
    "(?:%5B)?redacted|process\\.env|os\\.environ|env\\.|your[_-]|your [a-z ]*(?:password|token|key|secret)$|my[_-]?(?:password|secret|token)$|put[_-]|insert[_-]|enter[_-]|replace_[a-z_]+$|arn:|id=|SecretString:|resolve:|urn:|sha\\d{1,3}//",
    "SECRET\\[|\\?(?:string|boolean|number|int|any|array|object)$|x-oauth-basic$|x-access-token$|id_(?:rsa|dsa|ecdsa|ed25519)$|\\$\\w{1,2}\\$$|--?[\\w-]+=$",
    "/[\\w.$][\\w./{}-]*$|/$|\\.{1,2}/|~/|[A-Za-z_.]+\\(|(?:[A-Z]+_)+[A-Z]+$"
  ].join("|") + ")",
  "i"
)

/** What begins and ends like a template, a variable, a path. */
const enclosed =
  /^(?:<.*>|\{.*\}|\[.*\]|%.*%|\$[{(].*|\$[A-Za-z_]\w*|:[a-z_]+|[&/~.][\w./-]*;?|#\{.*|\{\{.*|.*\}\}.*)$/s
/**
 * Whether a value that begins with a sign was made by chance, as a generator of passwords makes them: both cases and a
 * digit, and no template around it.
 */
const isMade = (value: string): boolean =>
  value.length >= 8 && value.length <= 128 && /^[^\w\s"'`]/.test(value) && !/[\s"'`]/.test(value) && /\d/.test(value) &&
  /[a-z]/.test(value) && /[A-Z]/.test(value) && !enclosed.test(value)

/** Whether a text stands for a value: a variable, a template, a mask, a type, a version. */
export const isPlaceholderValue = (value: string): boolean =>
  isMask(value) ||
  (placeholder.test(value) && !/^\/[A-Za-z0-9+/]{30,}=*$/.test(value) && !isMade(value) && !isMixed(value)) ||
  /\[(?:IP|[A-Z_]{3,32})(?::[^\]]{1,64})?\]/.test(value) ||
  isRepeated(value) || value.endsWith("...") || /^Your[A-Z][A-Za-z]*$/.test(value) ||
  /(?:^|[_-])(?:example|placeholder)(?:[_-]|$)|your[-_]?(?:api|secret|token|key|pass)/i.test(value)

/** `xxxxxxxx`, `00000000`: one character, whatever stands before it. */
const isRepeated = (value: string): boolean => value.length >= 6 && /^(.)\1{5,}$/.test(value)

/**
 * Names of algorithms, encodings and protocols, as whole words: their digits are no chance. In small letters a word
 * begins behind none, with a capital also behind a small one.
 */
const technical = new RegExp(
  "(?<![A-Za-z\\d])(?:x509|base(?:16|32|58|62|64)|b64|utf-?(?:8|16)|oauth\\d|ed25519|md[45]|sha-?\\d{1,3}|pbkdf2|aes-?\\d{3}|[hrep]s(?:256|384|512)|p(?:256|384|521)|ml_?kem_?\\d{3,4}|2fa|s3|k8s|http[23]|ipv[46]|saml2|i18n|v\\d{1,2})(?![a-z\\d])|" +
    "(?<![A-Z])(?:X509|Base(?:16|32|58|62|64)|B64|U(?:tf|TF)-?(?:8|16)|OA[Uu]th\\d|Oauth\\d|E[Dd]25519|M[Dd][45]|S[Hh][Aa]-?\\d{1,3}|P[Bb][Kk][Dd][Ff]2|A[Ee][Ss]-?\\d{3}|[HREP]S(?:256|384|512)|Http[23]|I[Pp]v[46]|S[Aa][Mm][Ll]2|V\\d{1,2})(?![a-z\\d])",
  "g"
)
/** A text in which such names are words like others. */
export const withoutTechnical = (value: string): string =>
  /\d/.test(value) ? value.replace(technical, (name) => /^[A-Z]/.test(name) ? "Xxx" : "x") : value

/** A path through objects: `user.password`, `this.#config.KEY`, `params?.token`, `pw->passwd`, `unlock!.toData`. */
const path = /^[*&!#]{0,2}[A-Za-z_$][\w$]*(?:(?:[?!]\.|\.|->|::)#?[A-Za-z_$][\w$]*)+[?!]?$/
/** Signs that only code has between names. */
const codeSign = /[A-Z]\w*::|::[A-Z]|->|[?!]\.[a-z]/

/** The words of a name in camel case. */
const humps = /^[a-z]+|[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z]+|[A-Z]{1,3}$/g
/** A name in camel case or in words: `providerRefreshToken`, `onLastEventIdUpdate`, `new_password`. */
const isIdentifier = (value: string): boolean => {
  if (value.length >= 40) return false
  if (/^_?[a-z]+(?:_[a-z]+)+$/.test(value)) return true
  const name = value.startsWith("_") ? value.slice(1) : value
  if (/^(?:[a-z]+|[A-Z][a-z]{2,})(?:[A-Z][a-z]{2,})*(?:[A-Z][a-z]{2,}|[A-Z]{1,3})$/.test(name)) return true
  const words = name.match(humps)
  // Words are longer than the runs that chance makes.
  return words !== null && words.length > 1 && words.join("") === name &&
    name.length >= words.length * 3.5 && words.filter((word) => word.length < 3).length < 2
}
const aWord = /^(?:[a-z]*|[A-Z]+|[A-Z][a-z]+)$/
/** `LKBzaq_bTKkVZQfga`: letters in both cases, and no words. */
const isMixed = (value: string): boolean =>
  /^[A-Za-z]+(?:_[A-Za-z]+)+$/.test(value) &&
  value.split("_").some((part) => !aWord.test(part) && !isIdentifier(part))

/** What code begins a path with. */
const root =
  /^[*&!#]{0,2}(?:this|self|args?|argv|options?|opts?|config|cfg|conf|params?|props|req|request|res|response|process|os|env|environ|settings?|ctx|context|user|data|body|var|local|module|secrets?|event|account|row|form|model|client|session|credentials?|creds|input|payload|state|store|app|server|auth)\b/

const saysSo = /pass(?:word|wd|phrase)?|secret|token|key|cred|auth/i
const numbered = /\d.*\d.*\d/
/** Words of languages that stand before a value, and are none. */
const keyword =
  /^(?:a(?:wait|sync)|new|not|typeof|function|func|fn|lambda|yield|return|suspend|index|include|throw|void|case|match|const|final|static)$/

/** How a value stands behind its name. */
export interface Place {
  readonly inQuotes: boolean
  /** As in configurations, `NAME=value`: no space around the sign, or a name in capitals. */
  readonly isTight: boolean
  readonly isConstant: boolean
}

/** Whether what stands as a value is code rather than a literal. */
export const couldBeCode = (text: string, start: number, end: number, place: Place): boolean => {
  const literal = text.slice(start, Math.min(end, start + 512))
  if (place.inQuotes) return isTemplate(literal) || isNameOfSecret(literal)
  const after = text.slice(end, end + 8)
  if (literal.endsWith("-") && after.startsWith(">")) return true
  if (/^[)\]};,/|"']|^\.[$p]\[|^i\d\d$|^\d+\.(?:day|hour|minute|week)s?\b|^:[a-z]/.test(literal)) return true
  if (/^[+*]/.test(literal) && !isTyped(literal)) return true
  // `String?`, `Token.refresh_enabled?`: an optional type, a predicate.
  if (/^[A-Za-z_][A-Za-z_.:<>]*\?$/.test(literal) && /^[,)(.{=]|^ [={b"]/.test(after)) return true
  if (/^this@\w+(?:\.\w+)*$/.test(literal)) return true
  if (/^[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+$/.test(literal) && after.startsWith("(")) return true
  // `@Password`: a parameter of SQL, a variable of an instance.
  if (/^@[A-Za-z_]+$/.test(literal) && saysSo.test(literal) && !place.isConstant) return true
  // `android.os.BinderProxy@2bd79ce`: an object, as Java writes it.
  if (/^[a-z]\w*(?:\.\w+)+@[0-9a-f]{4,16}$/.test(literal)) return true
  const value = withoutTechnical(literal)
  return isPath(value, after, place) || (!place.isConstant && isWordOfCode(value, after, place.isTight))
}

/** Whether a text has small letters, capitals, digits and signs, and none of a call or a path: `*newPasswd1;` is a pointer. */
const isTyped = (value: string): boolean =>
  /^.\w*[^\w;,]/.test(value) && !/[().[\]]/.test(value) && ofPassword.every((some) => some.test(value))

const closing = new Map([["(", ")"], ["[", "]"], ["{", "}"], ["<", ">"]])
/** Whether a bracket is closed by one of another kind, as in no code. */
export const isMismatched = (value: string): boolean => {
  const open: Array<string> = []
  for (const char of value) {
    const close = closing.get(char)
    if (close !== undefined) open.push(close)
    else if (/[)\]}]/.test(char) && open.length > 0 && open.pop() !== char) return true
  }
  return false
}

/** A call, an element, a type with others in it, at the end of a line. */
const ends = /^[*&!]{0,2}[\w.$:]*(?:[([<{].*[)\]>}]|[([{])?\??[,;]?$/
const ofPassword = [/\d/, /[a-z]/, /[A-Z]/]
/**
 * Whether what a line of a configuration has behind a name was made by chance: a sign, and two of small letters,
 * capitals and digits, and neither code nor template.
 */
export const isChance = (value: string): boolean =>
  value.length >= 8 && value.length <= 128 && /[^\w.:,;-]/.test(value) &&
  ofPassword.filter((kind) => kind.test(value)).length > 1 && !ends.test(value) && !enclosed.test(value) &&
  !path.test(value.replace(/[,;]$/, ""))

const lua = /^[A-Za-z_]\w*(?:(?:\.[A-Za-z_]\w*)+:[A-Za-z_]\w*|:(?:get|new|set|read|is)\w*)$/
/** A call, an element, a path. */
const isPath = (value: string, after: string, place: Place): boolean => {
  // A method of Lua: `self.dialog:getText()`, `InputDialog:new{`.
  if (!place.isTight && lua.test(value) && /^[({]/.test(after)) return true
  const isCall = /^[([]|^\.\[|^\?\.|^!\.|^->|^::|^</.test(after) || (after.startsWith("{") && !place.isTight)
  if (numbered.test(value)) return false
  if (/^\.[a-z]\w*$/.test(value)) return after.startsWith("(")
  // `.Values.auth.secret`: a path in a template of Go.
  if (/^\.[A-Z]\w*(?:\.\w+)+$/.test(value)) return true
  if (/^[*&!]{0,2}[A-Za-z_$][\w$.]*$/.test(value) && isCall) {
    return !place.isConstant || /^[([<]/.test(after) && /[a-z][A-Z.]|^[a-z_]+$/.test(value)
  }
  if (!path.test(value)) return false
  return codeSign.test(value) || root.test(value) || (saysSo.test(value) && !place.isConstant) ||
    !(place.isTight || place.isConstant)
}

/** A variable, a type, or a word of a sentence. */
const isWordOfCode = (value: string, after: string, isTight: boolean): boolean => {
  if (isTight) {
    return isIdentifier(value) &&
      ((saysSo.test(value) && /^[,)]|^ (?:or|and|if|else) /.test(after)) || after.startsWith(":"))
  }
  const isName = /^[*&!]?[A-Za-z_$][\w$.]*$/.test(value)
  if (isName && /^\s*(?:\?\?|\?[^=]|&&|\|\||=>|===?|!==?)/.test(after)) return true
  if (isName && !/\d/.test(value) && /^\s*(?:[<>]=\s|=\s)/.test(after)) return true
  if (isIdentifier(value) || isNameOfSecret(value) || (keyword.test(value) && /^\s+[\w("'$.]/.test(after))) return true
  // `Set this to ...`: prose.
  if (/^[A-Z][a-z]+$/.test(value) && /^ [a-z]/.test(after)) return true
  // A word at the end of a statement, or one that names what it holds.
  return /^[A-Za-z_]+$/.test(value) &&
    (saysSo.test(value) || /^[;,)](?:\s*$|\s*\n|\))/.test(after) || /^[;)]/.test(after))
}

/** Words that names of secrets are made of. */
const vocabulary = new Set(
  ("db database admin user users root app application api jwt tls ssl ssh client server service auth oauth login account access refresh session cookie " +
    "master private public secret secrets shared signing encryption key keys keystore truststore token tokens password passwords passwd passphrase credential credentials " +
    "certificate cert file store smtp mail email redis mysql postgres postgresql mongo mongodb rabbitmq kafka ldap aws gcp azure github gitlab google slack stripe oidc webhook " +
    "csrf xsrf x header headers salt hash reset change new old current confirm forgot management authorization authentication bearer basic require required subject identity " +
    "native caching allow control id name code").split(" ")
)
const endOfName =
  /(?:password|passwd|passphrase|secret|token|key|credentials?|session|cookie|auth|authorization|header|salt)$/i
/** `admin-password`, `tlsCertificateKeyFilePassword`: what a secret is called, not one. */
const isNameOfSecret = (literal: string): boolean => {
  if (literal.length > 64 || !endOfName.test(literal)) return false
  const words = withoutTechnical(literal).replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase().split(/[-_]/)
  return words.length > 1 && words.every((word) => vocabulary.has(word) || word === "xxx")
}

/** Texts that a program fills in. */
const template = new RegExp(
  [
    // `#{password}`, `{{ token }}`, `" + x + "`, `%s`, `:name`
    "^\\s*[#$%]?\\{[^{}]*\\}\\}?\\s*$|^\\{\\{|\\$\\{[^${}]*\\}|#\\{[^#{}]*\\}|^\\s*\\+\\s|\\s\\+\\s*$|^%[sdv]$|[ /]%[sdv][ /]|^:[a-z_]+$",
    // Swift, shells, PHP: `\(user.name)`, `$API_KEY`, `'.csrf_token().'`
    "\\\\\\([\\w.]+\\)|^\\$[A-Z][A-Z0-9_]*$|^\\$_?[A-Za-z]*(?:[Kk]ey|[Tt]oken|[Ss]ecret|[Pp]assword)\\w*$|\\$[A-Z]+_[A-Z]+_[A-Z_]+|^['\"]?\\s*\\.\\s*[\\w$>:-]+\\(.*\\.\\s*['\"]?$|\\$\\$?\\([\\w./ -]+\\)",
    "^\\.\\s?\\$\\w|^\\\\[\"']|^(?=.*[\\s\"'])[^A-Za-z0-9]+$",
    // Routes, rates, rules of a validation.
    "^#[a-z]+(?:-[a-z]+)+$|^[a-z_]+(?:/[a-z_]+)*#[a-z_]+$|^\\d+/(?:s|m|h|d|sec|min|minute|hour|day)(?:/[a-z]+)?$|^(?:required|nullable|sometimes|confirmed|string)\\|",
    // Sentences.
    "^\\p{Lu}\\p{L}*(?: \\p{L}+){5,}[.!?]$"
  ].join("|"),
  "u"
)
/** What chance seldom makes: not of a value that has both cases and a digit. */
const seldom = new RegExp(
  [
    // What is left between two other texts.
    "^[;,)&].*[=('\"[:]$|^\\+.*[(['\":]$",
    // Paths.
    "^/[a-z]{2,}(?:/[\\w@.{}-]+)*/?$",
    // Regular expressions: a range, two signs with a backslash, or one among letters; words to choose from.
    "\\[[^\\]]{0,64}(?:a-z|A-Z|0-9)|(?:\\\\[.+/dws()[\\]*?|].*){2}|^[A-Za-z\\\\+.]*\\\\[.+()[\\]*?|][A-Za-z\\\\+.]*$",
    "^[A-Z]?[a-z]*(?:\\[\\w+\\][a-z]*)+(?:\\|[A-Z]?[a-z]+)+$|^[A-Z]?[a-z]+(?:\\|[A-Z]?[a-z]+){2,}$"
  ].join("|")
)
/** A text that a program fills in, or matches with. */
const isTemplate = (value: string): boolean =>
  template.test(value) ||
  (seldom.test(value) &&
    !(/\d/.test(value) && /[a-z]/.test(value) && /[A-Z]/.test(value) && !/\[.{0,64}(?:a-z|A-Z|0-9)/.test(value)))
