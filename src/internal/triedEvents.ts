/** Which events a sink has begun to write: one that comes again may be stored already. */
import type { Sealed } from "../DatasetEvent.ts"

/** Ids that are remembered at least, of events that were written. */
const remembered = 8192

/**
 * Remembers the ids of the events that were written lately, and, as long as they live, the events whose writing failed.
 * To remember every event costs more than the look-up that it spares.
 */
export class TriedEvents {
  private readonly failed = new WeakSet<Sealed>()
  private newer = new Set<string>()
  private older = new Set<string>()

  /** An event is being written. */
  add(event: Sealed): void {
    if (this.newer.size >= remembered) {
      this.older = this.newer
      this.newer = new Set()
    }
    this.newer.add(event.eventId)
  }

  /** Writing an event failed; it may be stored all the same. */
  addFailed(event: Sealed): void {
    this.failed.add(event)
  }

  has(event: Sealed): boolean {
    return this.newer.has(event.eventId) || this.older.has(event.eventId) || this.failed.has(event)
  }
}
