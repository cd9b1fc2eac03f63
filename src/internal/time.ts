/** Times as callers give them, and as they are written. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"

/** An object must say which time it means: `DateTime.make` takes what has none of its parts as 1970. */
const isInput = (value: unknown): value is DateTime.DateTime.Input =>
  typeof value === "string" || typeof value === "number" || DateTime.isDateTime(value) ||
  Predicate.hasProperty(value, "year") || Predicate.hasProperty(value, "epochMilliseconds")

/** Whether the day and the hour exist that a text begins with; `Date` goes on with the next ones. */
const isOnCalendar = (text: string): boolean => {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d))?/.exec(text)
  if (match === null) return true
  const [year = 0, month = 0, day = 0, hour = 0] = match.slice(1).map((digits) => Number(digits ?? 0))
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return hour < 24 && date.getUTCDate() === day
}

/** The time that `DateTime.make` makes of a value, if it is one; text without an offset is UTC. */
export const timeOf = (value: unknown): Option.Option<DateTime.Utc> => {
  if (value instanceof Date) return DateTime.make(Date.prototype.getTime.call(value))
  if (typeof value === "string" && !isOnCalendar(value)) return Option.none()
  return isInput(value) ? Option.map(DateTime.make(value), DateTime.toUtc) : Option.none()
}

let lastMillis = 0
let lastText = new Date(0).toISOString()

/** A time as RFC 3339 text in UTC, with milliseconds. Events of one millisecond share it: writing it takes 0.4 us. */
export const timeText = (millis: number): string => {
  if (millis !== lastMillis) {
    lastText = new Date(millis).toISOString()
    lastMillis = millis
  }
  return lastText
}
