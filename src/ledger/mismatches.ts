/**
 * Positions of a log that hold something else than they should: named when all have been seen, since two may be
 * exchanged.
 */
import type { EventId } from "../DatasetEvent.ts"
import type { Fault } from "./Finding.ts"

/** Something at a position that is not what the position should have. */
export interface Mismatch {
  readonly position: number
  readonly eventId: EventId | undefined
  readonly actual: string
  readonly expected: string
  readonly detail: string
}

/** Mismatches that are kept to be compared with each other. */
const maxKept = 10_000

/** Says what is wrong at a position. */
export type Say = (fault: Fault, position: number | undefined, eventId: EventId | undefined, detail: string) => void

/** Keeps what may be one half of an exchange; beyond some, each is said at once. */
export class Mismatches {
  private readonly kept: Array<Mismatch> = []
  private readonly say: Say

  constructor(say: Say) {
    this.say = say
  }

  add(mismatch: Mismatch): void {
    const { detail, eventId, position } = mismatch
    if (this.kept.length < maxKept) this.kept.push(mismatch)
    else this.say("changed", position, eventId, detail)
  }

  /** Names each: where what lies at one position belongs to another, the two were exchanged. */
  name(): void {
    const places = new Map(this.kept.map(({ expected, position }) => [expected, position]))
    for (const { actual, detail, eventId, position } of this.kept) {
      const place = places.get(actual)
      if (place === undefined || place === position) this.say("changed", position, eventId, detail)
      else this.say("reordered", position, eventId, `what lies here belongs to position ${place}`)
    }
  }
}
