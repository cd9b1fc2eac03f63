/** A log as server-sent events (WHATWG HTML, section 9.2): ids are positions, so that a reader goes on where it was. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import type { Item } from "../trail/AuditTrail.ts"

/** How long a reader may leave what it was sent unread, in milliseconds. */
const patience = 60_000

const written = new WeakMap<Item, string>()

/** An event of the stream; of one that many follow it is written once. */
const frame = (item: Item): string => {
  const known = written.get(item)
  if (known !== undefined) return known
  const text = `id: ${item.position}\nevent: audit\ndata: ${JSON.stringify(item)}\n\n`
  written.set(item, text)
  return text
}

const ending = (event: string, detail: string): string => `event: ${event}\ndata: ${JSON.stringify({ detail })}\n\n`

/** The frames of events; a reader that does not keep up is told, and goes on later from its last id. */
const frames = (items: Stream.Stream<Item, AuditError>, clock: Clock.Clock): Stream.Stream<string> => {
  let sent: number | undefined
  const isLate = () => sent !== undefined && clock.currentTimeMillisUnsafe() - sent > patience
  return items.pipe(
    Stream.chunks,
    Stream.map((found) => {
      const text = isLate() ? undefined : found.map(frame).join("")
      sent = clock.currentTimeMillisUnsafe()
      return text
    }),
    Stream.takeUntil((text) => text === undefined),
    Stream.map((text) => text ?? ending("cut-off", "You did not read for a minute: connect again with Last-Event-ID")),
    Stream.catch(() => Stream.make(ending("broken", "The audit log is not available: connect again")))
  )
}

/** A response that is a stream, which ends when its reader goes. */
export const tailing = (items: Stream.Stream<Item, AuditError>): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(Clock.Clock, (clock) => {
    const beats = Stream.map(Stream.fromSchedule(Schedule.spaced("15 seconds")), () => ": keep-alive\n\n")
    const opening = Stream.make("retry: 1000\n\n")
    const body = Stream.concat(opening, Stream.merge(frames(items, clock), beats, { haltStrategy: "left" }))
    return HttpServerResponse.stream(Stream.encodeText(body), {
      contentType: "text/event-stream",
      headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
    })
  })
