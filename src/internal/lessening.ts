/**
 * What is left of a draft that is refused: what has happened is recorded, without what cannot be. A draft carries the
 * places of what is missing, and the metadata of its event names them by `unrecorded`.
 */
import * as Effect from "effect/Effect"
import type { AuditError } from "../AuditError.ts"
import type { Draft } from "../DatasetEvent.ts"
import type { EmitOptions, Receipt } from "../LoggingEngine.ts"
import type { RequestContext } from "../RequestContext.ts"
import { ReadDraft } from "./draft.ts"
import { jsonBytes, type Refusal } from "./json.ts"
import { missingKey } from "./marks.ts"

/** Fields that an event can do without. */
const optional = [
  "output",
  "change",
  "input",
  "metadata",
  "analytics",
  "related",
  "errorTag",
  "authorization",
  "resource",
  "subjectIds",
  "severity",
  "occurredAt",
  "durationMillis"
] as const
type Field = typeof optional[number]
const isField = (name: string): name is Field => optional.some((field) => field === name)

const keysOf = (value: unknown): number =>
  typeof value !== "object" || value === null
    ? 0
    : Object.values(value).reduce<number>(
      (sum, item) => sum + keysOf(item),
      Array.isArray(value) ? 0 : Object.keys(value).length
    )

/** The field that a refusal is about; of one about the whole, the one with the most keys or bytes. */
const fieldOf = (draft: Draft, missing: ReadonlyArray<string>, { path, problem }: Refused): Field | undefined => {
  const name = path.split("/")[1] ?? ""
  const isThere = (field: Field) => draft[field] !== undefined && !missing.includes(`/${field}`)
  if (name !== "") return isField(name) && isThere(name) ? name : undefined
  // What was refused when it was read is refused at a place.
  if (!(draft instanceof ReadDraft)) return undefined
  const size = problem.includes(" keys") ? keysOf : jsonBytes
  const sizes = optional.filter(isThere).map((field) => [field, size(draft[field])] as const)
  return sizes.toSorted(([, a], [, b]) => b - a)[0]?.[0]
}

/** A draft with the places of what it lacks. */
type Lacking = Draft & { readonly [missingKey]?: ReadonlyArray<string> | undefined }

/** Why a draft is refused: where, and what is wrong. */
type Refused = Pick<Refusal, "path" | "problem">

/** A draft that lacks what is at these places. */
export const lacking = (draft: Draft, missing: ReadonlyArray<string>): ReadDraft => {
  const read = ReadDraft.of(draft, "audit")
  return missing.length === 0 ? read : ReadDraft.with(read, { missing })
}

/** A draft without the field that a refusal is about; `undefined` where it has none that it can do without. */
const lessened = (draft: Draft, missing: ReadonlyArray<string>, refused: Refused): Lacking | undefined => {
  const field = fieldOf(draft, missing, refused)
  if (field === undefined) return undefined
  const gone = [...missing, `/${field}`]
  return { ...draft, [field]: undefined, [missingKey]: gone }
}

/** What of a draft can be recorded, and the first reason why not all of it. */
export const fitting = (
  draft: Draft,
  missing: ReadonlyArray<string>,
  refusal: (draft: ReadDraft) => Refusal | undefined
): { readonly draft: ReadDraft; readonly refused: Refusal | undefined } => {
  let given: Lacking = draft
  let read = lacking(draft, missing)
  let first: Refusal | undefined
  for (let refused = refusal(read); refused !== undefined; refused = refusal(read)) {
    first ??= refused
    // What was read, unless it was refused then: in that case what it was read from.
    const next = ReadDraft.isRefused(read)
      ? lessened(given, given[missingKey] ?? missing, refused)
      : lessened(read, ReadDraft.missingOf(read), refused)
    if (next === undefined) break
    given = next
    read = ReadDraft.of(next, "audit")
  }
  return { draft: read, refused: first }
}

type Recording = Effect.Effect<Receipt, AuditError, RequestContext>

/** Records what is left of a draft that was refused; fails where nothing is that would be taken. */
export const recordLess = (
  emit: (draft: ReadDraft, options?: EmitOptions) => Recording,
  error: AuditError,
  draft: ReadDraft,
  options: EmitOptions | undefined
): Recording => {
  const { reason } = error
  if (reason._tag !== "InvalidInput") return Effect.fail(error)
  const missing = ReadDraft.missingOf(draft)
  const isKey = reason.path === "/idempotencyKey" && options !== undefined
  // With another content under the same key it is another event.
  const next = isKey
    ? lacking(draft, [...missing, reason.path])
    : lessened(draft, missing, { path: reason.path, problem: reason.detail })
  if (next === undefined) return Effect.fail(error)
  const read = ReadDraft.of(next, "audit")
  const given = isKey ? undefined : options
  return Effect.catch(emit(read, given), (again) => recordLess(emit, again, read, given))
}
