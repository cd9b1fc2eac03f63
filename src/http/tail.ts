/** A log as server-sent events (WHATWG HTML, section 9.2): ids are positions, so that a reader goes on where it was. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type AuditError, fail, SinkUnavailable } from "../AuditError.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { telling } from "../internal/telling.ts"
import type { Item } from "../trail/AuditTrail.ts"

/** How long a reader may leave what it was sent unread, in milliseconds. */
const usualPatience = 60_000

const written = new WeakMap<Item, string>()

/** An event of the stream; of one that many follow it is written once. */
const frame = (item: Item): string => {
  const known = written.get(item)
  if (known !== undefined) return known
  const text = `id: ${item.position}\nevent: audit\ndata: ${JSON.stringify(item)}\n\n`
  written.set(item, text)
  return text
}

const broken = `event: broken\ndata: ${JSON.stringify({ detail: "The audit log is not available" })}\n\n`

/** Ends the connection of a request, which ends all that is done for it. */
const hangUp = ({ source }: HttpServerRequest): void => {
  const socket = Predicate.hasProperty(source, "socket") ? source.socket : undefined
  if (Predicate.hasProperty(socket, "destroy") && typeof socket.destroy === "function") socket.destroy()
}

/**
 * A response that is a stream, which ends when its reader goes. One that does not read for a minute is let go: nothing
 * can be said to it, and it goes on from its last id when it is back.
 */
export const tailing = Effect.fnUntraced(function*(
  items: Stream.Stream<Item, AuditError>,
  /** The position after which the items begin. */
  from: number,
  request: HttpServerRequest,
  /** Asked as often as the stream is kept alive: it ends where its reader may no longer follow. */
  isAllowed: Effect.Effect<boolean, AuditError>,
  patience = usualPatience
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  /** When the connection took something last: what it does not ask for it does not get. */
  let since = elapsedMillis(clock)
  const asked = Effect.catchDefect(
    isAllowed,
    () => Effect.fail(fail("AuditApi.tail", new SinkUnavailable({ detail: "the policy could not be asked" })))
  )
  const withdrawn = Effect.repeat(Effect.andThen(Effect.sleep(patience / 4), asked), { until: (is) => !is })
  const frames = items.pipe(
    Stream.interruptWhen(withdrawn),
    Stream.chunks,
    Stream.map((found) => found.map(frame).join("")),
    // Nothing is lost: the answer has begun and has no status any more, so the reader is told in a frame and goes on
    // from its last id; the operator is told why.
    Stream.catch(({ reason }) =>
      Stream.fromEffect(Effect.as(telling(Effect.logError(`A tail of the log has ended: ${reason._tag}`)), broken))
    )
  )
  const beats = Stream.map(Stream.fromSchedule(Schedule.spaced(patience / 4)), () => ": keep-alive\n\n")
  // Where it begins, before there is any event: whoever is cut off meanwhile goes on from there. A frame without data
  // is no event to a reader, which keeps its id. And the answer's headers leave with it.
  const first = from < 0 ? ": from the beginning\n\n" : `id: ${from}\n\n`
  const body = Stream.merge(Stream.concat(Stream.make(first), frames), beats, { haltStrategy: "left" }).pipe(
    Stream.tap(() => Effect.sync(() => since = elapsedMillis(clock)))
  )
  const watch = Effect.sync(() => {
    if (elapsedMillis(clock) - since > patience) hangUp(request)
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(patience / 12), watch)))
  return HttpServerResponse.stream(Stream.encodeText(body), {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
  })
})
