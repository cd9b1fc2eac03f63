/**
 * Columns of a row of `node:sqlite`, by the type that they must have.
 *
 * @internal
 */

/** A row as it comes from the driver. */
export type Row = Record<string, unknown>

/** An INTEGER; `undefined` where there is no row, no such column, or NULL. */
export const integerOf = (row: Row | undefined, column: string): number | undefined => {
  const value = row?.[column]
  return typeof value === "number" ? value : undefined
}

/** A BLOB. */
export const blobOf = (row: Row | undefined, column: string): Uint8Array | undefined => {
  const value = row?.[column]
  return value instanceof Uint8Array ? value : undefined
}

/** A TEXT. */
export const stringOf = (row: Row | undefined, column: string): string | undefined => {
  const value = row?.[column]
  return typeof value === "string" ? value : undefined
}

/** The text of UTF-8 bytes, without a copy of the bytes. */
export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The fields of an object; none, if it is not one. */
export const fieldsOf = (value: unknown): { readonly [key: string]: unknown } => isObject(value) ? value : {}

/** The fields of a stored event; none, if its bytes are not JSON, which is for verification to report. */
export const eventFields = (body: Uint8Array): { readonly [key: string]: unknown } => {
  try {
    return fieldsOf(JSON.parse(textOf(body)))
  } catch {
    return {}
  }
}
