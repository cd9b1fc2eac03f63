/** From what an action's schemas take to a draft whose fields are marked. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Draft, Resource, Severity } from "../DatasetEvent.ts"
import { ReadDraft } from "./draft.ts"
import { marksOf } from "./fieldMarks.ts"
import { pointer } from "./json.ts"
import { isMark, type Marked } from "./marks.ts"

type Encodable = Schema.Encoder<unknown>

/** What is said of an action, whatever the types of its parts. */
export interface Given {
  readonly resource?: string | undefined
  readonly input?: Encodable | undefined
  readonly output?: Encodable | undefined
  readonly subjects?: ((input: never) => ReadonlyArray<string>) | undefined
  readonly redaction?: { readonly input?: unknown; readonly output?: unknown } | undefined
  readonly severity?: Severity | undefined
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** What a value is that a schema does not take: the place, never the value. */
export class NotEncodable {
  readonly path: string
  constructor(part: string, error: Schema.SchemaError) {
    const [issue] = formatIssue(error.issue).issues
    const path = (issue?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
    this.path = pointer([part, ...path])
  }
}

/** The encoding of a part of an event. */
const encoding = (part: "input" | "output", schema: Encodable | undefined) => {
  if (schema === undefined) return (value: unknown): unknown => value
  const encode = Schema.encodeUnknownResult(schema)
  return (value: unknown): unknown => {
    const result = encode(value)
    return result._tag === "Success" ? result.success : new NotEncodable(part, result.failure)
  }
}

/** What is read of one event before it is a draft. */
export interface Read {
  readonly input: unknown
  readonly people: ReadonlyArray<string>
}

/** How an action's events are read. */
export interface Reading {
  readonly name: string
  readonly marks: ReadonlyArray<Marked>
  readonly severity: Severity | undefined
  /** Reads what went in; a draft that is refused where that cannot be meant. */
  readonly read: (input: unknown) => Read | ReadDraft
  /** Encodes what came out; it throws where that cannot be meant. Nothing where no schema says what comes out. */
  readonly output: ((result: unknown) => unknown) | undefined
  readonly encodeOutput: (output: unknown) => unknown
  readonly about: (id: string) => Resource | undefined
  /** A draft whose input and output are encoded, with the marks of its fields. */
  readonly draft: (draft: Draft) => ReadDraft
}

/** Reads events by what is said of their action. */
export const reading = (name: string, given: Given): Reading => {
  const { input, output, redaction, resource: type, severity, subjects } = given
  const encodeInput = encoding("input", input)
  const encodeOutput = encoding("output", output)
  const marksIn = (part: "input" | "output", schema: Encodable | undefined): ReadonlyArray<Marked> => [
    ...schema === undefined ? [] : marksOf(schema.ast, part),
    ...Object.entries({ ...Object(redaction?.[part]) }).flatMap(([field, mark]) =>
      isMark(mark) ? [{ path: [part, field], mark }] : []
    )
  ]
  const marks = [...marksIn("input", input), ...marksIn("output", output)]
  // A field that is changed is the field of that name that goes in or comes out.
  const all = [
    ...marks,
    ...marks.flatMap(({ mark, path: [, ...below] }) => below.length === 0 ? [] : [{ path: ["change", ...below], mark }])
  ]
  const refused = ({ path }: NotEncodable) => ReadDraft.refused(path, `is not what ${name} has there`)
  return {
    name,
    marks,
    severity,
    read: (value) => {
      const encoded = value === undefined && input === undefined ? undefined : encodeInput(value)
      if (encoded instanceof NotEncodable) return refused(encoded)
      const people = Result.try((): ReadonlyArray<string> =>
        subjects === undefined ? [] : Reflect.apply(subjects, undefined, [value])
      )
      return people._tag === "Success"
        ? { input: encoded, people: people.success }
        : ReadDraft.refused("/subjectIds", `could not be picked from the input of ${name}`)
    },
    output: output === undefined ? undefined : (result) => {
      const encoded = encodeOutput(result)
      if (encoded instanceof NotEncodable) throw new TypeError(`the result is not what ${name} has for its output`)
      return encoded
    },
    encodeOutput: (value) => value === undefined ? undefined : encodeOutput(value),
    about: (id) => type === undefined ? undefined : { type, id },
    draft: (draft) => draft.output instanceof NotEncodable ? refused(draft.output) : ReadDraft.marked(draft, all)
  }
}
