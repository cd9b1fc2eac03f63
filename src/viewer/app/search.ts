/** The grammar of the search box: `actor:u1 action:note.* outcome:denied since:2h`. Pure. */

/** A field of the grammar, and the parameter of the API that it is. */
export const fields: {
  readonly [name: string]: { readonly parameter: string; readonly values?: ReadonlyArray<string> }
} = {
  actor: { parameter: "actorId" },
  user: { parameter: "userId" },
  subject: { parameter: "subjectId" },
  action: { parameter: "action" },
  resource: { parameter: "resourceType" },
  id: { parameter: "resourceId" },
  outcome: { parameter: "outcome", values: ["success", "failure", "denied"] },
  severity: { parameter: "severity", values: ["debug", "info", "notice", "warning", "error", "critical"] },
  class: { parameter: "storageClass", values: ["audit", "ops", "stream", "cost"] },
  train: { parameter: "trainOk", values: ["true", "false"] },
  phase: { parameter: "phase", values: ["intent", "result"] },
  trace: { parameter: "traceId" },
  request: { parameter: "requestId" },
  correlation: { parameter: "correlationId" },
  run: { parameter: "runId" },
  step: { parameter: "stepId" },
  operation: { parameter: "operationId" },
  project: { parameter: "projectId" },
  surface: { parameter: "surface" },
  since: { parameter: "since" },
  until: { parameter: "until" }
}

/** A term of a search, or a word that is none. */
export type Term =
  | { readonly field: string; readonly value: string }
  | { readonly wrong: string; readonly why: string }

const word = /(?:[^\s"]|"[^"]*")+/g
const unquoted = (text: string): string => text.replaceAll("\"", "")

export const parse = (text: string): ReadonlyArray<Term> =>
  (text.match(word) ?? []).map((part) => {
    const colon = part.indexOf(":")
    const field = part.slice(0, Math.max(colon, 0))
    const value = unquoted(part.slice(colon + 1))
    const known = Object.hasOwn(fields, field) ? fields[field] : undefined
    if (colon < 1 || known === undefined) {
      return { wrong: part, why: `write field:value, with one of ${Object.keys(fields).join(", ")}` }
    }
    if (value === "") return { wrong: part, why: "has no value" }
    if (known.values !== undefined && !known.values.includes(value)) {
      return { wrong: part, why: `is one of ${known.values.join(", ")}` }
    }
    if ((field === "since" || field === "until") && timeOf(value, 0) === undefined) {
      return { wrong: part, why: "is a time: 15m, 2h, 7d, or 2026-01-31T12:00Z" }
    }
    return { field, value }
  })

const units: { readonly [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** A time as RFC 3339: relative to now, or as it is given. */
export const timeOf = (value: string, now: number): string | undefined => {
  const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(value) ?? []
  if (count !== undefined && unit !== undefined) {
    return new Date(now - Number(count) * (units[unit] ?? 0) * 1000).toISOString()
  }
  const millis = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?$/.test(value)
    ? Date.parse(value.length > 10 && !/Z|[+-]\d\d:\d\d$/.test(value) ? `${value}Z` : value)
    : Number.NaN
  return Number.isNaN(millis) ? undefined : new Date(millis).toISOString()
}

/** How long ago a time was, in words. */
export const since = (time: string, now = Date.now()): string => {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000))
  const [unit, size] = seconds < 120
    ? ["s", 1]
    : seconds < 7200
    ? ["min", 60]
    : seconds < 172_800
    ? ["h", 3600]
    : ["days", 86_400]
  return `${Math.floor(seconds / Number(size))} ${unit} ago`
}

/** What the API is asked for. */
export const parameters = (terms: ReadonlyArray<Term>, now: number): Record<string, string> => {
  const asked: Record<string, string> = {}
  for (const term of terms) {
    if ("wrong" in term) continue
    const { parameter } = fields[term.field] ?? { parameter: term.field }
    asked[parameter] = parameter === "since" || parameter === "until" ? timeOf(term.value, now) ?? "" : term.value
  }
  return asked
}

const quoted = (value: string): string => /[\s"]/.test(value) ? `"${value.replaceAll("\"", "")}"` : value

/** The search with a field set to a value; without the field where the value is empty. */
export const withTerm = (text: string, field: string, value: string): string => {
  const rest = (text.match(word) ?? []).filter((part) => !part.startsWith(`${field}:`))
  return (value === "" ? rest : [...rest, `${field}:${quoted(value)}`]).join(" ")
}

/** What may be meant by what was typed last. */
export const completions = (text: string, seen: (field: string) => ReadonlyArray<string>): ReadonlyArray<string> => {
  const last = /\S*$/.exec(text)?.[0] ?? ""
  const before = text.slice(0, text.length - last.length)
  const colon = last.indexOf(":")
  if (colon === -1) {
    return Object.keys(fields).filter((name) => name.startsWith(last)).map((name) => `${before}${name}:`)
  }
  const field = last.slice(0, colon)
  const typed = last.slice(colon + 1)
  const known = Object.hasOwn(fields, field) ? fields[field]?.values ?? seen(field) : []
  return known.filter((value) => value.startsWith(typed) && value !== typed)
    .slice(0, 12).map((value) => `${before}${field}:${quoted(value)} `)
}
