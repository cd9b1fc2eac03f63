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
  "train_reason",
  "duration_ms"
])

const facts = (body: Uint8Array): string =>
  JSON.stringify(
    JSON.parse(Buffer.from(body).toString("utf8")),
    (key, value: unknown) => volatile.has(key) ? undefined : value
  )

/** Compares what the caller said; bytes of our own making, so that they parse is an invariant. */
export const sameFacts = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0 || facts(a) === facts(b)
