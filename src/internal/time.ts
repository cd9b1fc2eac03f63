/** Times as callers give them. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

const isInput = (value: unknown): value is DateTime.DateTime.Input =>
  typeof value === "string" || typeof value === "number" || (typeof value === "object" && value !== null)

/** The time that `DateTime.make` makes of a value, if it is one; text without an offset is UTC. */
export const timeOf = (value: unknown): Option.Option<DateTime.Utc> => {
  if (value instanceof Date) return DateTime.make(Date.prototype.getTime.call(value))
  return isInput(value) ? Option.map(DateTime.make(value), DateTime.toUtc) : Option.none()
}
