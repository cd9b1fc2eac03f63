/** Columns of a row of a database, by the type that they must have. */

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
