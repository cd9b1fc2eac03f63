/** From what an action's schemas take to a draft whose fields are marked. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Draft, Resource, Severity } from "../DatasetEvent.ts"
import { ReadDraft } from "./draft.ts"
import { marksOf, namesIn, typeMarksOf } from "./fieldMarks.ts"
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
  constructor(path: string) {
    this.path = path
  }
}

/** The place of the first thing that is wrong; a name that no schema knows is someone's word, and is not said. */
const placeOf = (part: string, error: Schema.SchemaError, names: ReadonlySet<string>): string => {
  const [issue] = formatIssue(error.issue).issues
  const path = (issue?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
  return pointer([part, ...path.map((name) => names.has(name) || /^\d+$/.test(name) ? name : "*")])
}

/** The encoding of a part of an event. */
const encoding = (part: "input" | "output", schema: Encodable | undefined) => {
  if (schema === undefined) return (value: unknown): unknown => value
  const encode = Schema.encodeUnknownResult(schema)
  const names = namesIn(schema.ast)
  return (value: unknown): unknown => {
    try {
      const result = encode(value)
      return result._tag === "Success" ? result.success : new NotEncodable(placeOf(part, result.failure, names))
    } catch {
      // What a check or a getter throws may hold the value: the place is all that is said.
      return new NotEncodable(pointer([part]))
    }
  }
}

/** What is read of one event before it is a draft. */
export interface Read {
  readonly input: unknown
  readonly people: ReadonlyArray<string>
}

/**
 * Marks for whatever a draft says: a field that is changed is the field of that name that goes in or comes out, and
 * what is said by hand may have the names of the values. What is kept is kept where it is encoded alone.
 */
const everywhere = (marks: ReadonlyArray<Marked>, ofValues: ReadonlyArray<Marked>) => {
  const personal = (list: ReadonlyArray<Marked>) => list.filter(({ mark }) => mark !== "keep")
  const changed = personal([...marks, ...ofValues]).map(({ mark, path: [, ...below] }) => ({
    path: ["change", ...below],
    mark
  }))
  return { encoded: [...marks, ...changed], byHand: [...marks, ...personal(ofValues), ...changed] }
}

/** How an action's events are read. */
export interface Reading {
  readonly name: string
  readonly marks: ReadonlyArray<Marked>
  /** Marks wherever a draft that was written by hand may have such a field. */
  readonly byHand: ReadonlyArray<Marked>
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
  const marksIn = (
    part: "input" | "output",
    schema: Encodable | undefined,
    find: typeof marksOf
  ): ReadonlyArray<Marked> => [
    ...schema === undefined ? [] : find(schema.ast, part),
    ...Object.entries({ ...Object(redaction?.[part]) }).flatMap(([field, mark]) =>
      isMark(mark) ? [{ path: [part, field], mark }] : []
    )
  ]
  const marks = [...marksIn("input", input, marksOf), ...marksIn("output", output, marksOf)]
  const { byHand, encoded } = everywhere(marks, [
    ...marksIn("input", input, typeMarksOf),
    ...marksIn("output", output, typeMarksOf)
  ])
  const refused = ({ path }: NotEncodable) => ReadDraft.refused(path, `is not what ${name} has there`)
  return {
    name,
    marks,
    byHand,
    severity,
    read: (value) => {
      const result = encodeInput(value)
      if (result instanceof NotEncodable) return refused(result)
      const people = Result.try((): ReadonlyArray<string> =>
        subjects === undefined ? [] : Reflect.apply(subjects, undefined, [value])
      )
      return people._tag === "Success"
        ? { input: result, people: people.success }
        : ReadDraft.refused("/subjectIds", `could not be picked from the input of ${name}`)
    },
    output: output === undefined ? undefined : (result) => {
      const encoded = encodeOutput(result)
      if (encoded instanceof NotEncodable) throw new TypeError(`the result is not what ${name} has for its output`)
      return encoded
    },
    encodeOutput: (value) => value === undefined ? undefined : encodeOutput(value),
    about: (id) => type === undefined ? undefined : { type, id },
    draft: (draft) => draft.output instanceof NotEncodable ? refused(draft.output) : ReadDraft.marked(draft, encoded)
  }
}
