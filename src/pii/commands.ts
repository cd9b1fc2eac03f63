/** Passwords in sentences, statements and commands: `my password is ...`, `IDENTIFIED BY '...'`, `curl -u user:...`. */
import { codeAt } from "./boundary.ts"
import { couldBeCode, isPlaceholderValue } from "./code.ts"
import { bare, strongAt, valueAt, whole } from "./namedValue.ts"
import type { Span } from "./span.ts"

const passwordWord = /^(?:password|passwd|pwd|passphrase|passcode|secret)$/i
/** Statements of SQL, and lines of configurations, whose name ends without a sign: `IDENTIFIED BY '...'`, `requirepass ...`. */
const statementWord = /^(?:identified|requirepass|masterauth)$/i
const statementSays = /(?: with [\w']{1,32})? (?:by|as) (?:password )?(?=["'])| (?:by|with \S{1,32} by) (?=[^\s`])/iy

const passwordSays = /(?:\s{1,2}for [^\n]{1,40}?)?\s{1,2}(?:is|was|=>|->)(?:\s{1,2}|:\s?)|\s(?=["'`])/iy

const logsIn = /\blogin\s+\S{1,64}\s+$/
/** `CREATE ROLE kim LOGIN PASSWORD ...` (PostgreSQL). */
const makesUser = /\b(?:create|alter)\s+(?:role|user)\s[^\n;]{1,80}\s$/i

/** `my password is hunter2`, `with passwd 'hunter2'`: a value after the word itself. */
export const passwordAfterWord = (text: string, start: number, end: number): Span | undefined => {
  const length = end - start
  const first = text.charCodeAt(start) | 32
  if ((first === 105 || first === 114 || first === 109) && statementWord.test(text.slice(start, end))) {
    return afterStatement(text, end, first === 105)
  }
  if ((first !== 112 && first !== 115) || length < 3 || length > 10 || !passwordWord.test(text.slice(start, end))) {
    return undefined
  }
  passwordSays.lastIndex = end
  // `machine host login user password secret` (netrc), `... user password secret`
  const before = text[end] === " " ? text.slice(Math.max(0, start - 96), start) : ""
  const isMade = makesUser.test(before) && /^ (?:["']|\S*[^a-z\s"'`;,.]\S*)/.test(text.slice(end, end + 64))
  const isLogin = isMade || logsIn.test(before)
  if (!isLogin && !passwordSays.test(text)) return undefined
  const from = isLogin ? end + 1 : passwordSays.lastIndex
  if (isLogin) return valueAt(text, from, "PASSWORD", { typed: true, isTight: true, isConstant: true })
  const value = valueAt(text, from, "PASSWORD", { typed: true })
  // After "is" may stand a password, or just a word: only one in quotes, or with a digit or a sign in it, is meant.
  return value !== undefined && !/^[a-z]+(?:-[a-z]+)*$/.test(text.slice(value.start, value.end))
    ? value
    : undefined
}

const afterStatement = (text: string, end: number, isSql: boolean): Span | undefined => {
  statementSays.lastIndex = end
  const from = isSql
    ? statementSays.test(text) ? statementSays.lastIndex : -1
    : /^[ \t]$/.test(text[end] ?? "")
    ? end + 1
    : -1
  if (from === -1) return undefined
  const value = valueAt(text, from, "PASSWORD", { typed: true, isTight: true, isConstant: true })
  // "identified by name": prose.
  const isStatement = !isSql || text.slice(end - 10, end) === "IDENTIFIED" ||
    /\b(?:user|role|login)\b[^\n]{0,80}$/i.test(text.slice(Math.max(0, end - 100), end - 10))
  return value !== undefined && (isStatement || text[value.start - 1] !== " ") &&
      (text[value.start - 1] !== " " || /[^a-z]/.test(text.slice(value.start, value.end)))
    ? value
    : undefined
}

const isWordBefore = /[\w/.]/
const curlUser = /-(?:u|-user|-proxy-user)[ =]["']?[^\s:"']{0,64}(?<!\$\{):/y
const flag =
  /--?[A-Za-z-]{0,24}(?:password|passwd|passphrase|token|secret|api-?key|app-key|auth-key|oauth2-bearer)[ =]["']?(?!-)/iy

/**
 * Programs whose short flag has a password: `sshpass -p`, `docker login -p`, `redis-cli -a`, `psexec -p`; of `mysql -p`
 * it follows without a space.
 */
const shortFlag = /-(?:p ?|a )["']?(?=[^\s"'-])/y
const programs =
  /\b(sshpass|mysql|mariadb|psexec|smbclient|plink|pscp|docker login|podman login|helm registry login|net use|az login)\w*/gi
/** Whether `-p` of the program before takes no value behind a space. */
const takesItTight = (before: string): boolean => /^m/i.test([...before.matchAll(programs)].at(-1)?.[1] ?? "")
const takesPassword =
  /(?:\b(?:sshpass|mysql\w*|mariadb\w*|psexec(?:\.exe)?|smbclient|plink|pscp|docker login|podman login|helm registry login|net use)\b|\bredis-cli\b|\baz login\b)[^\n|;&]{0,96}$/i

/** Whether a hyphen may begin a flag that says more: letters, and a space or `=` behind them, or `-p` or `-a` alone. */
const mayBeFlag = (text: string, i: number): boolean => {
  const length = text.length
  const next = codeAt(text, i + 1, length) | 32
  if (next === 112 || next === 97) return true
  // No name is longer: a line of hyphens is not looked through from each of them.
  const last = Math.min(length, i + longestFlag)
  let end = i + 1
  while (end < last && isOfName(codeAt(text, end, length))) end++
  const after = codeAt(text, end, length)
  return end > i + 1 && (after === 32 || after === 61)
}
const longestFlag = 42
const isOfName = (code: number): boolean => code === 45 || code === 50 || ((code | 32) >= 97 && (code | 32) < 123)

/** `curl -u user:password`, `--password value`. `i` stands at the first `-`. */
export const flagAt = (text: string, i: number): Span | undefined => {
  if (!mayBeFlag(text, i)) return undefined
  // `per-token count`, `connection-phase`: a hyphen in a word.
  const isInWord = isWordBefore.test(text[i - 1] ?? "")
  curlUser.lastIndex = i
  flag.lastIndex = i
  const isUser = curlUser.test(text)
  shortFlag.lastIndex = i
  const isLong = !isUser && flag.test(text)
  const isShort = !isInWord && !isUser && !isLong && text[i - 1] !== "-" && shortFlag.test(text) &&
    takesPassword.test(text.slice(Math.max(0, i - 128), i)) &&
    (text[i + 2] !== " " || /^\S*\d/.test(text.slice(i + 3, i + 67)) ||
      !takesItTight(text.slice(Math.max(0, i - 128), i)))
  let start = isUser ? curlUser.lastIndex : isShort ? shortFlag.lastIndex : isLong ? flag.lastIndex : -1
  if (start === -1) return undefined
  // `-u kim:'...'`
  const isQuoted = isUser && /["']/.test(text[start] ?? "") && /[^\s"']/.test(text[start + 1] ?? "")
  if (isQuoted) start++
  // `-u token:` has the token before the colon.
  else if (isUser && /["'\s]/.test(text[start] ?? " ")) start -= curlName(text, i, start)
  const own = strongAt(text, start)
  if (own !== undefined) return whole(text, own, 0)
  const quote = /["']/.exec(text.slice(i, start))?.[0]
  const close = quote === undefined ? -1 : text.indexOf(quote, start)
  bare.lastIndex = start
  const end = close !== -1 && close - start < 128 ? close : bare.test(text) ? bare.lastIndex : start
  const value = text.slice(start, end)
  return value.length >= 3 && (!isInWord || /\d/.test(value)) && (isUser || isShort || /[^a-z]/.test(value)) &&
      !isPlaceholderValue(value) &&
      !couldBeCode(text, start, end, { inQuotes: quote !== undefined, isTight: true, isConstant: true })
    ? { start, end, kind: "PASSWORD" }
    : undefined
}

/** How long the name before the colon of `-u name:` is, colon included. */
const curlName = (text: string, i: number, end: number): number => {
  let first = end - 1
  while (first > i && /[^\s"'=]/.test(text[first - 1]!)) first--
  return end - first
}
