/** JSON in one form (RFC 8785): keys in the order of their UTF-16 code units, no white space. */
const write = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`
  const fields = Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1)
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${write(item)}`).join(",")}}`
}

/** The canonical text of what `JSON.stringify` makes of a value; it throws where that does. */
export const canonicalJson = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text === undefined ? "null" : write(JSON.parse(text))
}
