/**
 * Whether two sealed bodies say the same: an event id that comes back must bring the same event.
 *
 * @internal
 */

/** What differs between two tries of one call: clocks, the place of the call in a trace, and the preferences by then. */
const volatile = new Set([
  "recorded_at",
  "occurred_at",
  "trace_id",
  "span_id",
  "request_id",
  "train_ok",
  "train_reason"
])

const without = (object: object): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(object).filter(([key]) => !volatile.has(key))

const facts = (body: Uint8Array): string => {
  const event: unknown = JSON.parse(Buffer.from(body).toString("utf8"))
  if (typeof event !== "object" || event === null) return ""
  return JSON.stringify(
    without(event).map(([key, value]) =>
      [key, key === "metadata" && typeof value === "object" && value !== null ? without(value) : value] as const
    )
  )
}

/** Compares what the caller said; bytes of our own making, so that they parse is an invariant. */
export const sameFacts = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0 || facts(a) === facts(b)
