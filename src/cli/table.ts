/** Text for terminals and spreadsheets that a value cannot break out of. */

// C0, DEL and C1 controls, line and paragraph separators, and marks that turn the direction of text around.
const unsafe = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu

/** Shows control characters as escapes, so that a value cannot steer the terminal. */
export const printable = (text: string): string =>
  text.replace(unsafe, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

const clip = (text: string, width: number): string => text.length <= width ? text : `${text.slice(0, width - 1)}…`

/** Columns as wide as their widest cell, at most 60 characters. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const cells = [head, ...rows].map((row) => row.map((cell) => clip(printable(cell), 60)))
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}

/**
 * One cell of CSV (RFC 4180). Text that a spreadsheet would run as a formula gets an apostrophe in front
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
export const csvCell = (value: string | number | boolean | undefined): string => {
  if (value === undefined) return ""
  if (typeof value !== "string") return String(value)
  const text = /^[\s\p{Cc}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}
