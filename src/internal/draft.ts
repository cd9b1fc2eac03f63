/**
 * Reads a draft once, when it is handed over, and checks it.
 *
 * The result holds copies only: what the caller changes afterwards does not count.
 */
import {
  type Authorization,
  type Content,
  type Draft,
  Outcome,
  Phase,
  type ReadApproval,
  type Resource,
  Severity,
  StorageClass
} from "../DatasetEvent.ts"
import {
  oneOf,
  readAnalytics,
  readApproval,
  readAuthorization,
  readChange,
  readId,
  readMetadata,
  readRelated,
  readResource,
  readSubjects,
  readTime,
  refuse,
  string
} from "./draftFields.ts"
import {
  findDeeper,
  type Json,
  jsonBytes,
  type JsonObject,
  JsonReader,
  type Limits,
  pointerToken,
  Refusal
} from "./json.ts"
import { both, mark, type Marked, type Marks, marksKey, missingKey } from "./marks.ts"

/** A draft that was read: facts, the caller's words as JSON, and how large it was. */
export interface DraftFields {
  readonly action: string
  readonly outcome: Outcome
  readonly severity: Severity
  readonly storageClass: StorageClass | undefined
  readonly durationMillis: number | undefined
  readonly subjectIds: ReadonlyArray<string> | undefined
  readonly operationId: string | undefined
  readonly phase: Phase | undefined
  readonly approval: ReadApproval | undefined
  readonly occurredAt: string | undefined
  readonly content: Content
  /** What a schema says of fields, if one does. */
  readonly marks: Marks | undefined
  /** What a record of the ledger's own says: facts of the package, not words of a caller. */
  readonly record: Json | undefined
  /** Places of what was left out, since it could not be recorded. */
  readonly missing?: ReadonlyArray<string> | undefined
  /** About the draft's bytes as JSON, never less than a sixth of them. */
  readonly bytes: number
  readonly keys: number
  readonly depth: number
}

/** The limits of a draft unless the engine is told otherwise. */
export const defaultLimits: Limits = { maxBytes: 262_144, maxDepth: 32, maxKeys: 4096 }

/**
 * What the engine's limits cannot exceed: a draft is read when it is handed over, before the engine is known.
 */
export const ceiling: Limits = { maxBytes: 16_777_216, maxDepth: 256, maxKeys: 262_144 }

const fields = new Set([
  "action",
  "resource",
  "related",
  "operationId",
  "phase",
  "authorization",
  "approval",
  "outcome",
  "errorTag",
  "durationMillis",
  "subjectIds",
  "input",
  "output",
  "change",
  "metadata",
  "severity",
  "storageClass",
  "occurredAt",
  "analytics"
])
const keyPattern = /^[^\p{Cc}\p{Cs}]{1,256}$/u
/** Why an idempotency key is refused, if it is. */
export const refusedKey = (key: unknown): Refusal | undefined =>
  key === undefined || (typeof key === "string" && keyPattern.test(key))
    ? undefined
    : new Refusal("/idempotencyKey", "must be 1 to 256 characters without control characters")

/** The names of actions. */
export const actionPattern = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/
/** What only the ledger records: an application that could would fake erasures. */
const ownActions = new Set([
  "audit.log_created",
  "audit.log_resumed",
  "audit.erased",
  "audit.held",
  "audit.policy_changed",
  "audit.released"
])
/** Says why a draft would be refused, before it is recorded. */
export type Refusing = (draft: ReadDraft) => Refusal | undefined

/** Loggers and engines of this package: they change nothing of a draft that they are handed. */
const ours = new WeakMap<object, Refusing>()

/** Marks a logger or an engine as one of this package; what it refuses is known before it is asked to record it. */
export const ourOwn = <Service extends object>(service: Service, refusing: Refusing): Service => {
  ours.set(service, refusing)
  return service
}

/** Why a service would refuse a draft, as far as that is known. */
export const refusalBy = (service: object, draft: ReadDraft): Refusal | undefined => {
  const fields = ReadDraft.fieldsOf(draft)
  return fields instanceof Refusal ? fields : ours.get(service)?.(draft)
}

const freeze = (value: unknown): void => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  Object.values(value).forEach(freeze)
}

/**
 * A draft as it was when it was handed over: what the caller changes afterwards does not count, however late the effect
 * that records it runs, and however often. It has the fields of a draft, so that it can be passed on as one.
 */
export class ReadDraft implements Draft {
  readonly #fields: DraftFields | Refusal
  readonly action: string
  readonly resource?: Resource | undefined
  readonly related?: ReadonlyArray<Resource> | undefined
  readonly operationId?: string | undefined
  readonly phase?: Phase | undefined
  readonly authorization?: Authorization | undefined
  readonly approval?: ReadApproval | undefined
  readonly outcome?: Outcome | undefined
  readonly errorTag?: string | undefined
  readonly durationMillis?: number | undefined
  readonly subjectIds?: ReadonlyArray<string> | undefined
  readonly input?: Json | undefined
  readonly output?: Json | undefined
  readonly change?: Content["change"]
  readonly metadata?: JsonObject | undefined
  readonly severity?: Severity | undefined
  readonly storageClass?: StorageClass | undefined
  readonly occurredAt?: string | undefined
  readonly analytics?: { readonly [key: string]: string } | undefined
  readonly [marksKey]?: Marks | undefined
  readonly [missingKey]?: ReadonlyArray<string> | undefined

  private constructor(fields: DraftFields | Refusal) {
    this.#fields = fields
    if (fields instanceof Refusal) {
      // A copy of it is refused as well, for want of an action.
      this.action = ""
      return
    }
    const { content } = fields
    this.action = fields.action
    this.resource = content.resource
    this.related = content.related
    this.operationId = fields.operationId
    this.phase = fields.phase
    this.authorization = content.authorization
    this.approval = fields.approval
    this.outcome = fields.outcome
    this.errorTag = content.errorTag
    this.durationMillis = fields.durationMillis
    this.subjectIds = fields.subjectIds
    this.input = content.input
    this.output = content.output
    this.change = content.change
    this.metadata = content.metadata
    this.severity = fields.severity
    this.storageClass = fields.storageClass
    this.occurredAt = fields.occurredAt
    this.analytics = content.analytics
    if (fields.marks !== undefined) this[marksKey] = fields.marks
    if (fields.missing !== undefined) this[missingKey] = fields.missing
  }

  /** Reads a draft, unless that was done before. With a storage class, it is of that class whatever the draft says. */
  static of(draft: Draft, storageClass?: StorageClass | undefined): ReadDraft {
    const known = typeof draft === "object" && draft !== null && #fields in draft ? draft : undefined
    const fields = known === undefined ? readDraft(draft, false) : known.#fields
    if (storageClass === undefined || fields instanceof Refusal || fields.storageClass === storageClass) {
      return known ?? new ReadDraft(fields)
    }
    return new ReadDraft({ ...fields, storageClass })
  }
  /**
   * Reads a draft from outside: every field is checked, whatever its type says. Of a storage class unless it names one.
   */
  static fromUnknown(input: unknown, storageClass: StorageClass): ReadDraft {
    const fields = isDraft(input) ? readDraft(input, false) : new Refusal("", "must be an object")
    return new ReadDraft(
      fields instanceof Refusal ? fields : { ...fields, storageClass: fields.storageClass ?? storageClass }
    )
  }
  /** Reads a draft of the ledger's own, with what it records: its action is one of those that no caller may use. */
  static own(draft: Draft, record: Json): ReadDraft {
    const fields = readDraft(draft, true)
    return new ReadDraft(fields instanceof Refusal ? fields : { ...fields, record, storageClass: "audit" })
  }
  /** A draft with marks of its fields, of which those are done with that need no key. */
  static marked(draft: Draft, marked: ReadonlyArray<Marked>): ReadDraft {
    const read = ReadDraft.of(draft)
    const fields = read.#fields
    if (marked.length === 0 || fields instanceof Refusal) return read
    const { content, marks } = mark(fields.content, marked)
    return new ReadDraft({ ...fields, content, marks: fields.marks === undefined ? marks : both(fields.marks, marks) })
  }
  /** A draft with what the package itself knows of the event. */
  static with(
    draft: ReadDraft,
    facts: Partial<Pick<DraftFields, "durationMillis" | "missing" | "operationId" | "phase">>
  ): ReadDraft {
    const fields = draft.#fields
    return fields instanceof Refusal ? draft : new ReadDraft({ ...fields, ...facts })
  }
  /** A draft that is refused, for what is at a place. */
  static refused(path: string, detail: string): ReadDraft {
    return new ReadDraft(new Refusal(path, detail))
  }
  /** Places of what was left out. */
  static missingOf(draft: ReadDraft): ReadonlyArray<string> {
    return draft.#fields instanceof Refusal ? [] : draft.#fields.missing ?? []
  }
  /** Whether a draft was read and is refused. */
  static isRefused(draft: Draft): boolean {
    return draft instanceof ReadDraft && draft.#fields instanceof Refusal
  }
  /** A draft for a service: frozen, unless that is ours, so that nothing is changed after it was checked. */
  static for(service: object, draft: ReadDraft): ReadDraft {
    if (!ours.has(service)) freeze(draft)
    return draft
  }
  /** What was read, or why it is refused. */
  static fieldsOf(draft: ReadDraft): DraftFields | Refusal {
    return draft.#fields
  }
}

/** An object; whether its fields are a draft's is for `readDraft` to say. */
const isDraft = (input: unknown): input is Draft => typeof input === "object" && input !== null && !Array.isArray(input)

/** Reads a draft and never throws; how it fails is part of the result. */
const readDraft = (draft: Draft, own: boolean): DraftFields | Refusal => {
  try {
    return read(draft, own)
  } catch (cause) {
    // Besides our own refusals only code of the caller runs here: a getter or a proxy of the draft itself.
    return cause instanceof Refusal
      ? cause
      : new Refusal("", "could not be read: a getter or proxy of the draft failed")
  }
}

const read = (
  draft: Draft & {
    readonly [marksKey]?: Marks | undefined
    readonly [missingKey]?: ReadonlyArray<string> | undefined
  },
  own: boolean
): DraftFields => {
  if (!isDraft(draft)) refuse("", "must be an object")
  for (const key of Object.keys(draft)) {
    if (!fields.has(key)) refuse(`/${pointerToken(key)}`, "is not a field of a draft")
  }
  const { action, analytics, approval, authorization, change, durationMillis, errorTag, input, metadata } = draft
  const { occurredAt, operationId, outcome, output, phase, related, resource, severity, storageClass, subjectIds } =
    draft
  const reader = new JsonReader(ceiling)
  if (typeof action !== "string" || action.length > 128 || !actionPattern.test(action)) {
    refuse("/action", "must be dotted lower-case words such as note.create, at most 128 characters")
  }
  if (!own && ownActions.has(action)) refuse("/action", "is recorded by the ledger alone")
  if (
    durationMillis !== undefined &&
    (typeof durationMillis !== "number" || !Number.isFinite(durationMillis) || durationMillis < 0)
  ) refuse("/durationMillis", "must be a finite number, not negative")
  const content: Content = {
    resource: resource === undefined ? undefined : readResource("/resource", reader.read("resource", resource)),
    errorTag: errorTag === undefined ? undefined : string("/errorTag", reader.read("errorTag", errorTag)),
    input: input === undefined ? undefined : reader.read("input", input),
    output: output === undefined ? undefined : reader.read("output", output),
    metadata: metadata === undefined ? undefined : readMetadata(reader, metadata),
    analytics: analytics === undefined ? undefined : readAnalytics(reader, analytics),
    related: related === undefined ? undefined : readRelated(reader, related),
    change: change === undefined ? undefined : readChange(reader, change),
    authorization: authorization === undefined ? undefined : readAuthorization(reader, authorization),
    client: undefined
  }
  if (phase !== undefined && operationId === undefined) {
    refuse("/operationId", "is missing: a phase is one of an operation")
  }
  return {
    action,
    outcome: oneOf("/outcome", outcome, Outcome.literals) ?? "success",
    severity: oneOf("/severity", severity, Severity.literals) ?? "info",
    storageClass: oneOf("/storageClass", storageClass, StorageClass.literals),
    durationMillis,
    subjectIds: subjectIds === undefined ? undefined : readSubjects(subjectIds),
    operationId: operationId === undefined ? undefined : readId("/operationId", operationId),
    phase: oneOf("/phase", phase, Phase.literals),
    approval: approval === undefined ? undefined : readApproval(reader, approval),
    occurredAt: occurredAt === undefined ? undefined : readTime("/occurredAt", occurredAt),
    record: undefined,
    content,
    marks: draft[marksKey],
    missing: draft[missingKey],
    bytes: reader.bytes + (subjectIds === undefined ? 0 : subjectIds.length * 131),
    keys: reader.keys,
    depth: reader.depth
  }
}

/** The first place where a draft exceeds the engine's limits; exact, and free for a draft far below them. */
export const exceeds = (draft: DraftFields, limits: Limits): Refusal | undefined => {
  const { content } = draft
  if (draft.keys > limits.maxKeys) return new Refusal("", `has more than ${limits.maxKeys} keys`)
  // A draft this small cannot be over the limit; a larger one is measured.
  if (draft.bytes * 6 > limits.maxBytes && jsonBytes([content, draft.subjectIds]) > limits.maxBytes) {
    for (const [name, value] of Object.entries(content)) {
      if (value !== undefined && jsonBytes(value) > limits.maxBytes) {
        return new Refusal(`/${name}`, `exceeds ${limits.maxBytes} bytes as JSON`)
      }
    }
    return new Refusal("", `exceeds ${limits.maxBytes} bytes as JSON`)
  }
  if (draft.depth <= limits.maxDepth) return undefined
  for (const [name, value] of Object.entries(content)) {
    const path = value === undefined ? undefined : findDeeper(value, limits.maxDepth, [name])
    if (path !== undefined) return new Refusal(path, `is nested deeper than ${limits.maxDepth}`)
  }
  return undefined
}

/** Why an engine of such limits would refuse a draft. */
export const refusing = (limits: Limits): Refusing => (draft) => {
  const fields = ReadDraft.fieldsOf(draft)
  return fields instanceof Refusal ? fields : exceeds(fields, limits)
}

/** What the package records of itself is bounded in bytes alone: the caller's words in it are a reason. */
export const ofRecords = ({ maxBytes }: Limits): Limits => ({ ...ceiling, maxBytes })
