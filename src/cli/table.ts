/** Text for terminals and spreadsheets that a value cannot break out of. */

import type { Item } from "../trail/AuditTrail.ts"

// C0, DEL and C1 controls, line and paragraph separators, and marks that turn the direction of text around.
const unsafe = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu

/** Shows control characters as escapes, so that a value cannot steer the terminal. */
export const printable = (text: string): string =>
  text.replace(unsafe, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

const clip = (text: string, width: number): string => text.length <= width ? text : `${text.slice(0, width - 1)}…`

/** Columns as wide as their widest cell, at most 60 characters; the last one, which may say why, 240. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const cells = [head, ...rows].map((row) =>
    row.map((cell, column) => clip(printable(cell), column === head.length - 1 ? 240 : 60))
  )
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}

/** Columns of a table of events. */
export const eventColumns = [
  "position",
  "recorded at",
  "actor",
  "user",
  "action",
  "resource",
  "outcome",
  "train",
  "found"
]
/** An event, or what is left of an erased one, as a row of that table. */
export const eventRow = (item: Item): ReadonlyArray<string> => {
  if (item.erased) return [String(item.position), "", "", "", "(erased)", "", "", "", ""]
  const { event } = item
  return [
    String(item.position),
    event.recorded_at,
    `${event.actor_type} ${event.agentId}`,
    event.user_id ?? "",
    event.action,
    event.resource === undefined ? "" : `${event.resource.type} ${event.resource.id}`,
    event.phase === "intent"
      ? "(intent)"
      : event.error_tag === undefined
      ? event.outcome
      : `${event.outcome} ${event.error_tag}`,
    event.train_ok ? "yes" : `no: ${event.train_reason}`,
    event.pii_flags.flags.join(" ")
  ]
}
