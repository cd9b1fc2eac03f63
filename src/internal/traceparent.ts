/** The trace that a request comes with. */

/** A trace, and the span in it. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
}

// https://www.w3.org/TR/trace-context/#traceparent-header: version ff, all-zero ids and a longer version 00 are
// invalid.
const pattern = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/

/** What a `traceparent` header says; `undefined` of one that is ill-formed, which begins a new trace. */
export const parseTraceparent = (header: string | undefined): Trace | undefined => {
  const match = header === undefined ? null : pattern.exec(header.trim())
  if (match === null || (match[1] === "00" && match[4] !== undefined)) return undefined
  return { traceId: match[2]!, spanId: match[3]! }
}
