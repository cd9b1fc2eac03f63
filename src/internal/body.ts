/**
 * Where things lie in the stored bytes of an event: the one place that knows.
 *
 * Bodies are of `Seal`'s making. Verification and search also meet bytes that someone changed: what cannot be read has
 * no fields there, and it is the commitment that says so.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { PiiFlags, SearchKeys, Wire } from "../DatasetEvent.ts"
import { WireFromText } from "../DatasetEvent.ts"
import type { LogName } from "../RequestContext.ts"
import { hasWireShape, isObject } from "./wireShape.ts"

type Fields = { readonly [key: string]: unknown }

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/** The text of UTF-8 bytes, without a copy of the bytes. */
export const textOf = (bytes: Uint8Array): string => viewOf(bytes).toString("utf8")

/** The fields of an object; none of any other value. */
export const fieldsOf = (value: unknown): Fields => isObject(value) ? value : {}

/** The fields of a stored event; none if its bytes are not JSON. */
export const eventFields = (body: Uint8Array): Fields => {
  try {
    return fieldsOf(JSON.parse(textOf(body)))
  } catch {
    return {}
  }
}

/** A value if it is a text. */
export const textIn = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** The values by which an event can be found, as far as its fields have them: whatever release wrote it. */
export const keysIn = (fields: Fields): SearchKeys => {
  const resource = fieldsOf(fields["resource"])
  const subjects: unknown = fields["subject_ids"]
  return {
    action: textIn(fields["action"]) ?? "",
    actorId: textIn(fields["agentId"]) ?? "",
    userId: textIn(fields["user_id"]),
    subjectIds: Array.isArray(subjects) ? subjects.flatMap((id: unknown) => textIn(id) ?? []) : undefined,
    resourceType: textIn(resource["type"]),
    resourceId: textIn(resource["id"]),
    outcome: textIn(fields["outcome"]) ?? "",
    traceId: textIn(fields["trace_id"]) ?? "",
    requestId: textIn(fields["request_id"]) ?? "",
    correlationId: textIn(fields["correlation_id"]),
    runId: textIn(fields["run_id"]),
    stepId: textIn(fields["step_id"]),
    operationId: textIn(fields["operation_id"]),
    phase: textIn(fields["phase"]),
    projectId: textIn(fields["project_id"]),
    surface: textIn(fields["surface"]),
    severity: textIn(fields["severity"]) ?? "",
    storageClass: textIn(fields["storage_class"]) ?? "",
    trainOk: fields["train_ok"] === true ? "true" : "false"
  }
}

const decode = Schema.decodeUnknownResult(WireFromText)

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // The schema says why.
    return undefined
  }
}

/** Decodes a stored event: by its schema, unless it has the very shape of one. */
export const decodeEvent = (text: string): Result.Result<Wire, Schema.SchemaError> => {
  const event = parsed(text)
  return hasWireShape(event) ? Result.succeed(event) : decode(text)
}

/** What the first receipt of a stored event said; `undefined` if the bytes are not those of an event. */
export const receiptOf = (
  body: Uint8Array
): { readonly piiFlags: PiiFlags; readonly trainOk: boolean } | undefined => {
  const event = decodeEvent(textOf(body))
  return event._tag === "Failure" ? undefined : { piiFlags: event.success.pii_flags, trainOk: event.success.train_ok }
}

/**
 * What differs between two tries of one call: clocks, the place of the call in a trace, and the preferences by then.
 */
const volatile = new Set([
  "recorded_at",
  "occurred_at",
  "trace_id",
  "span_id",
  "request_id",
  "client",
  "train_ok",
  "train_reason"
])

const lasting = (object: Fields): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(object).filter(([key]) => !volatile.has(key))

const facts = (body: Uint8Array): string =>
  JSON.stringify(
    lasting(eventFields(body)).map(([key, value]) => [key, key === "metadata" ? lasting(fieldsOf(value)) : value])
  )

/** Whether two bodies say the same: an event id that comes back must bring the same event. */
export const sameFacts = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0 || facts(a) === facts(b)

/** The action of a stored event, and the persons whom it names. */
export const subjectsOf = (body: Uint8Array): { readonly action: unknown; readonly persons: ReadonlySet<unknown> } => {
  const { action, subject_ids: subjects, user_id: user } = eventFields(body)
  return { action, persons: new Set([user, ...(Array.isArray(subjects) ? subjects : [])]) }
}

/** The bytes that a body has if it names a person; they may also occur elsewhere in it. */
export const personNeedle = (person: string): Uint8Array => Buffer.from(JSON.stringify(person))

/** The positions that a record of an erasure names; none of any other event. */
export const erasedPositions = (body: Uint8Array): ReadonlyArray<readonly [first: number, last: number]> => {
  if (!viewOf(body).includes("\"action\":\"audit.erased\"")) return []
  const { action, output } = eventFields(body)
  const { positions } = fieldsOf(output)
  if (action !== "audit.erased" || !Array.isArray(positions)) return []
  return positions.flatMap((range: unknown) => {
    const [first, last]: ReadonlyArray<unknown> = Array.isArray(range) ? range : []
    return typeof first === "number" && typeof last === "number" && Number.isSafeInteger(first) &&
        Number.isSafeInteger(last)
      ? [[first, last] as const]
      : []
  })
}

/** What a row says of its event beside the bytes that the commitment covers. */
export interface RowFacts {
  readonly position: number
  readonly recordedAtMillis: number | undefined
  /** As text; `undefined` if the row has no id of 16 bytes. */
  readonly eventId: string | undefined
}

/**
 * What is wrong with a row, by the body of its event, if something is: a row is found by what it says, not by its body.
 */
export const rowProblem = (
  row: RowFacts,
  body: Uint8Array,
  log: { readonly name: LogName; readonly origins: ReadonlyArray<{ readonly origin: string }> }
): string | undefined => {
  const text = viewOf(body)
  const begin = text.toString("latin1", 0, 400)
  if (!begin.startsWith(`{"event_id":"${row.eventId}"`)) return "the event has another id than its row says"
  const { env, tenantId } = log.name
  if (!begin.startsWith(`,"schema_version":"1","tenantId":"${tenantId}","env":"${env}",`, 50)) {
    return "the event is of another tenant or env than its log"
  }
  const time = text.lastIndexOf("\"recorded_at\":\"")
  if (Date.parse(text.toString("latin1", time + 15, time + 39)) !== row.recordedAtMillis) {
    return "the event was recorded at another time than its row says"
  }
  if (row.position === 0 && fieldsOf(eventFields(body)["resource"])["id"] !== log.origins[0]?.origin) {
    return "the log was created with another origin"
  }
  return undefined
}

/** What is wrong with the event at which a log went on under another origin, if something is. */
export const resumptionProblem = (
  position: number,
  body: Uint8Array,
  origins: ReadonlyArray<{ readonly origin: string; readonly since: number }>
): string | undefined => {
  const at = origins.findIndex(({ since }, index) => index > 0 && since === position)
  if (at === -1) return undefined
  const { action, output } = eventFields(body)
  return action === "audit.log_resumed" && fieldsOf(output)["origin"] === origins[at]?.origin
    ? undefined
    : "the log goes on under another origin from here, and no audit.log_resumed says so"
}

/**
 * The name of a field of the wire, with the bytes that a body has if the field has this value; they may occur
 * elsewhere.
 */
export const valueNeedle = (name: string, value: string | boolean): Uint8Array =>
  Buffer.from(JSON.stringify({ [name]: value }).slice(1, -1))
