/**
 * What is left of a draft that is refused: what has happened is recorded, without what cannot be.
 *
 * The metadata of such an event names by `unrecorded` the places of what was left out.
 */
import * as Effect from "effect/Effect"
import type { AuditError } from "../AuditError.ts"
import type { Draft } from "../DatasetEvent.ts"
import type { EmitOptions, Receipt } from "../LoggingEngine.ts"
import type { RequestContext } from "../RequestContext.ts"
import { ReadDraft } from "./draft.ts"
import { jsonBytes, type Refusal } from "./json.ts"

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

/** The field that a refusal is about; of one about the whole, the largest. */
const fieldOf = (draft: Draft, path: string): Field | undefined => {
  const name = path.split("/")[1] ?? ""
  if (name !== "") return isField(name) && draft[name] !== undefined ? name : undefined
  // What was refused when it was read is refused at a place.
  if (!(draft instanceof ReadDraft)) return undefined
  const sizes = optional.filter((field) => draft[field] !== undefined)
    .map((field) => [field, jsonBytes(draft[field])] as const)
  return sizes.toSorted(([, a], [, b]) => b - a)[0]?.[0]
}

/** A draft without some of its fields, and the places of those. */
export interface Less {
  readonly draft: Draft
  readonly missing: ReadonlyArray<string>
}

/** A draft without the field that a refusal is about; `undefined` where it has none that it can do without. */
const lessened = ({ draft, missing }: Less, path: string): Less | undefined => {
  const field = fieldOf(draft, path)
  if (field === undefined || missing.includes(`/${field}`)) return undefined
  return without(draft, { [field]: undefined }, [...missing, `/${field}`])
}

const without = (draft: Draft, gone: Partial<Draft>, missing: ReadonlyArray<string>): Less => {
  const rest = { ...draft, ...gone }
  return { draft: { ...rest, metadata: { ...rest.metadata, unrecorded: missing.join(" ") } }, missing }
}

/** Reads what there is, and remembers what is missing. */
export const readLess = ({ draft, missing }: Less): ReadDraft => {
  const whole = ReadDraft.of(draft, "audit")
  return missing.length === 0 ? whole : ReadDraft.with(whole, { missing })
}

/** What of a draft can be recorded, by what is missing already and what is refused of the rest. */
export const fitting = (
  draft: Draft,
  missing: ReadonlyArray<string>,
  refusal: (draft: ReadDraft) => Refusal | undefined
): ReadDraft => {
  let less: Less = missing.length === 0 ? { draft, missing } : without(draft, {}, missing)
  for (;;) {
    const read = readLess(less)
    const refused = refusal(read)
    const next = refused && lessened(whole(less), refused.path)
    if (next === undefined) return read
    less = next
  }
}

type Recording = Effect.Effect<Receipt, AuditError, RequestContext>

const refusedAt = (error: AuditError): string | undefined =>
  error.reason._tag === "InvalidInput" ? error.reason.path : undefined

/** Records what is left of a draft that was refused; fails where nothing is that would be taken. */
export const recordLess = (
  emit: (draft: ReadDraft, options?: EmitOptions) => Recording,
  refused: AuditError,
  less: Less,
  options: EmitOptions | undefined
): Recording => {
  const path = refusedAt(refused)
  const [next, given] = path === undefined
    ? [undefined, options]
    : path === "/idempotencyKey" && options !== undefined
    // With another content under the same key it is another event.
    ? [without(less.draft, {}, [...less.missing, path]), undefined]
    : [lessened(whole(less), path), options]
  return next === undefined
    ? Effect.fail(refused)
    : Effect.catch(emit(readLess(next), given), (error) => recordLess(emit, error, next, given))
}

/** What was read, unless it was refused: then what it was read from. */
const whole = (less: Less): Less => {
  const read = readLess(less)
  return ReadDraft.isRefused(read) ? less : { ...less, draft: read }
}
