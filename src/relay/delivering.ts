/** One batch on its way: divided where it is too large, its refused events tried alone, and parked in the end. */
import * as Effect from "effect/Effect"
import type { LogName } from "../RequestContext.ts"
import { type Format, formats } from "../trail/Encoding.ts"
import type { Item } from "../trail/page.ts"
import type { Parked } from "./RelayState.ts"
import { type Batch, type Outgoing, type Refused, type Target, TooLarge, type Unavailable } from "./Target.ts"

/** How events are written on the way: all formats but CSV, whose lines need a head. */
export type RelayFormat = Exclude<Format, "csv">

/** How an event of a log is written in a format. A receiver of many logs is told whose an erased event was. */
export const encoding = (format: RelayFormat) => (item: Item, log: LogName): string =>
  formats[format].row(item, log).trimEnd()

/** How a relay delivers. */
export interface Delivering {
  readonly target: Target
  /** How often an event is delivered alone and refused before it is parked. */
  readonly tries: number
  readonly apply: (item: Item) => Item
  readonly encode: (item: Item, log: LogName) => string
}

/** What became of some events: the first `count` of them are done with, of which some were parked. */
export interface Delivered {
  readonly count: number
  readonly parked: ReadonlyArray<Omit<Parked, "log" | "atMillis" | "isDue">>
  /** Why the others are not, if so. */
  readonly failure: Unavailable | undefined
}

/** Divides events by the target's bounds. */
const chunksOf = (
  events: ReadonlyArray<Outgoing>,
  { maxBytes, maxEventBytes = maxBytes, maxEvents }: Target
): ReadonlyArray<ReadonlyArray<Outgoing>> => {
  const chunks: Array<Array<Outgoing>> = []
  let bytes = Infinity
  for (const event of events) {
    const size = Buffer.byteLength(event.text) + 1
    const last = chunks.at(-1)
    if (last === undefined || bytes + size > maxBytes || size > maxEventBytes || last.length === maxEvents) {
      chunks.push([event])
      bytes = size > maxEventBytes ? Infinity : size
    } else {
      last.push(event)
      bytes += size
    }
  }
  return chunks
}

type Part = Omit<Batch, "events">

/** Delivers one event alone, a few times; it is parked if the target still refuses it. */
const alone = Effect.fnUntraced(function*(
  { target, tries }: Delivering,
  part: Part,
  event: Outgoing
): Effect.fn.Return<Delivered> {
  for (let tried = 1;; tried++) {
    const most = target.maxEventBytes ?? target.maxBytes
    const error = Buffer.byteLength(event.text) > most
      ? new TooLarge({ detail: `it has more than ${most} bytes` })
      : yield* Effect.match(target.send({ ...part, events: [event] }), {
        onFailure: (error) => error,
        onSuccess: () => undefined
      })
    if (error === undefined) return { count: 1, parked: [], failure: undefined }
    if (error._tag === "Unavailable") return { count: 0, parked: [], failure: error }
    if (tried === tries || error._tag === "TooLarge") {
      const { eventId, position } = event
      return { count: 1, parked: [{ position, eventId, tries: tried, reason: error.detail }], failure: undefined }
    }
    yield* Effect.sleep(Math.min(5000, 100 * 2 ** tried))
  }
})

/** One after another, until one is not done with. */
const inOrder = (
  parts: ReadonlyArray<() => Effect.Effect<Delivered>>
): Effect.Effect<Delivered> =>
  Effect.gen(function*() {
    let count = 0
    const parked: Array<Delivered["parked"][number]> = []
    for (const part of parts) {
      const result = yield* part()
      count += result.count
      parked.push(...result.parked)
      if (result.failure !== undefined) return { count, parked, failure: result.failure }
    }
    return { count, parked, failure: undefined }
  })

/** Events that were refused by name are tried alone; the others of the batch have been taken. */
const refusedOnes = (
  delivering: Delivering,
  part: Part,
  events: ReadonlyArray<Outgoing>,
  { positions }: Refused
): Effect.Effect<Delivered> => {
  const refused = new Set(positions)
  return inOrder(
    events.map((event) => () =>
      refused.has(event.position)
        ? alone(delivering, part, event)
        : Effect.succeed({ count: 1, parked: [], failure: undefined })
    )
  )
}

/** Delivers a batch; what is refused as a whole is halved until the event is found. */
const send = (
  delivering: Delivering,
  part: Part,
  events: ReadonlyArray<Outgoing>
): Effect.Effect<Delivered> => {
  const [first] = events
  if (first === undefined) return Effect.succeed({ count: 0, parked: [], failure: undefined })
  if (events.length === 1) return alone(delivering, part, first)
  return Effect.matchEffect(delivering.target.send({ ...part, events }), {
    onSuccess: () => Effect.succeed<Delivered>({ count: events.length, parked: [], failure: undefined }),
    onFailure: (error) => {
      if (error._tag === "Unavailable") {
        return Effect.succeed<Delivered>({ count: 0, parked: [], failure: error })
      }
      if (error._tag === "Refused" && events.some(({ position }) => error.positions?.includes(position))) {
        return refusedOnes(delivering, part, events, error)
      }
      const middle = Math.ceil(events.length / 2)
      return inOrder([
        () => send(delivering, part, events.slice(0, middle)),
        () => send(delivering, part, events.slice(middle))
      ])
    }
  })
}

/** An event as it is sent. */
export const outgoing = ({ apply, encode }: Delivering, raw: Item, log: LogName): Outgoing => {
  const item = apply(raw)
  return { position: item.position, eventId: item.eventId, item, text: encode(item, log) }
}

/** Delivers events of a log in their order. */
export const deliver = (delivering: Delivering, { events, log, relay }: Batch): Effect.Effect<Delivered> =>
  Effect.suspend(() =>
    inOrder(chunksOf(events, delivering.target).map((chunk) => () => send(delivering, { relay, log }, chunk)))
  )
