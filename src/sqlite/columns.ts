/**
 * Whether the columns of a row say what its event says.
 *
 * The commitment covers the body only; a row is found by its columns. Bodies are ours, so their fields are at known places,
 * and need not be parsed for each event.
 *
 * @internal
 */
import type { LogName } from "../ledger/Ledger.ts"
import { eventFields, fieldsOf, integerOf, type Row } from "./row.ts"

/** What is wrong with the columns of a row, if something is. */
export const wrongColumn = (
  row: Row,
  body: Uint8Array,
  log: { readonly name: LogName; readonly origin: string },
  eventId: string | undefined
): string | undefined => {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length)
  const begin = text.toString("latin1", 0, 256)
  if (!begin.startsWith(`{"event_id":"${eventId}"`)) return "the event has another id than its row says"
  const { env, tenantId } = log.name
  if (!begin.startsWith(`,"schema_version":"1","tenantId":"${tenantId}","env":"${env}",`, 50)) {
    return "the event is of another tenant or env than its log"
  }
  const time = text.lastIndexOf("\"recorded_at\":\"")
  if (Date.parse(text.toString("latin1", time + 15, time + 39)) !== integerOf(row, "recorded_at")) {
    return "the event was recorded at another time than its row says"
  }
  if (integerOf(row, "position") === 0 && fieldsOf(eventFields(body)["resource"])["id"] !== log.origin) {
    return "the log was created with another origin"
  }
  return undefined
}
