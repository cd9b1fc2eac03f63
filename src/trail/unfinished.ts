/** Intents without a result: operations that were begun, and of which nobody has said how they ended. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import type { Filter } from "./Filter.ts"
import type { Item, Page, Query } from "./page.ts"

/** Which intents to look for; newest first. */
export interface UnfinishedQuery extends Pick<Query, "tenantId" | "env"> {
  /** What the intent must have. `until` leaves out what may still be going on. */
  readonly filter?: Omit<Filter, "phase" | "operationId" | "outcome"> | undefined
}

const pageSize = 250

/** Results whose intents have not been met yet: those of the newest operations, or of operations without an intent. */
const mostResults = 100_000

/** The operation that an event is of, if it can still be said. */
const operationOf = (item: Item): string | undefined => item.erased ? undefined : item.event.operation_id

/** Reads results in step with the intents, newest first: a result comes after its intent. */
class Results {
  private readonly operations = new Set<string | undefined>()
  private readonly read: (cursor: string | undefined) => Effect.Effect<Page, AuditError>
  private cursor: string | undefined = undefined
  private reached = Infinity

  constructor(read: (cursor: string | undefined) => Effect.Effect<Page, AuditError>) {
    this.read = read
  }

  /** Reads on until all results after a position are known. */
  readonly until = (position: number): Effect.Effect<void, AuditError> =>
    Effect.suspend(() => {
      if (this.reached <= position) return Effect.void
      return Effect.flatMap(this.read(this.cursor), ({ items, next }) => {
        for (const item of items.slice(0, mostResults - this.operations.size)) this.operations.add(operationOf(item))
        this.cursor = next
        this.reached = next === undefined ? -1 : items.at(-1)?.position ?? -1
        return this.until(position)
      })
    })

  /** Whether an operation has a result among those that were read; it is asked once. */
  has(operation: string): boolean {
    return this.operations.delete(operation)
  }
}

/** Intents of a log without a result, by the queries that a trail has. */
export const unfinishedIn = (
  query: (query: Query) => Effect.Effect<Page, AuditError>,
  { env, filter, tenantId }: UnfinishedQuery
): Stream.Stream<Item, AuditError> => {
  const of = (filter: Filter, cursor: string | undefined, limit: number) =>
    query({ tenantId, env, filter, cursor, limit, order: "desc" })
  const results = new Results((cursor) => of({ phase: "result" }, cursor, pageSize))
  // What was not met while reading in step, such as a result before its intent, is asked for by its operation.
  const isUnfinished = (item: Item): Effect.Effect<boolean, AuditError> => {
    const operationId = operationOf(item)
    if (operationId === undefined || results.has(operationId)) return Effect.succeed(false)
    return Effect.map(of({ operationId, phase: "result" }, undefined, 1), ({ items }) => items.length === 0)
  }
  return Stream.paginate(undefined as string | undefined, (cursor) =>
    Effect.gen(function*() {
      const { items, next } = yield* of({ ...filter, phase: "intent" }, cursor, pageSize)
      yield* results.until(items.at(-1)?.position ?? Infinity)
      const unfinished = yield* Effect.filter(items, isUnfinished)
      return [unfinished, next === undefined ? Option.none() : Option.some(next)] as const
    }))
}
