/** Compares recorded events with what a test expects of them. */
import type { Wire } from "../DatasetEvent.ts"
import { ceiling } from "../internal/draft.ts"
import { type Json, JsonReader } from "../internal/json.ts"

type Part<A> = A extends ReadonlyArray<infer B> ? ReadonlyArray<Part<B>>
  : A extends object ? { readonly [K in keyof A]?: Part<A[K]> | undefined }
  : A

/**
 * Some fields of an event as it is on the wire; input and output also as they were emitted. What is `undefined` must be
 * absent.
 */
export type Expected = {
  readonly [K in keyof Wire]?: K extends "input" | "output" ? unknown : Part<Wire[K]> | undefined
}

/** A value as it would be recorded. */
const recordedAs = (value: unknown): Json | undefined => new JsonReader(ceiling).read("expected", value)

const show = (value: unknown): string => {
  const json = recordedAs(value)
  return json === undefined ? "nothing" : JSON.stringify(json)
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isPlain = (value: unknown): boolean =>
  Array.isArray(value) || (isObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value)))

/** Where two values differ, as lines; none where the second has all of the first. */
const differences = (path: string, wanted: unknown, recorded: unknown): ReadonlyArray<string> => {
  // A date, a map or a bigint is expected as it is recorded.
  const expected = isPlain(wanted) ? wanted : recordedAs(wanted)
  const wrong = [`${path}: expected ${show(expected)}, recorded ${show(recorded)}`]
  if (Array.isArray(expected)) {
    if (!Array.isArray(recorded) || recorded.length !== expected.length) return wrong
    return expected.flatMap((item: unknown, index) => differences(`${path}/${index}`, item, recorded[index]))
  }
  if (!isObject(expected)) return Object.is(expected, recorded) ? [] : wrong
  if (!isObject(recorded)) return wrong
  return Object.entries(expected).flatMap(([key, value]) => differences(`${path}/${key}`, value, recorded[key]))
}

/** What differs, event by event; `undefined` if nothing does. */
export const report = (expected: ReadonlyArray<Expected>, recorded: ReadonlyArray<Wire>): string | undefined => {
  let differs = expected.length !== recorded.length
  const lines = Array.from({ length: Math.max(expected.length, recorded.length) }, (_, index) => {
    const [wanted, found] = [expected[index], recorded[index]]
    if (wanted === undefined) return `+ ${index} ${found?.action}: recorded, and not expected`
    if (found === undefined) {
      return `- ${index} ${show(wanted)}: expected, and not recorded`
    }
    const wrong = differences("", wanted, found)
    if (wrong.length > 0) differs = true
    return [`${wrong.length === 0 ? " " : "!"} ${index} ${found.action}`, ...wrong.map((line) => `    ${line}`)].join(
      "\n"
    )
  })
  if (!differs) return undefined
  return [`expected ${expected.length} events, recorded ${recorded.length}:`, ...lines].join("\n")
}
