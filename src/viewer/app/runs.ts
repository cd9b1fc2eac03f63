/** What agents did, in numbers and pairs: only the events that came are looked at, however many there are. */
import type { Event, Item } from "./event.ts"
import { came } from "./tally.ts"

/** What is counted, in the words of the page. */
const zero = {
  "tool calls": 0,
  "model calls": 0,
  "tokens in": 0,
  "tokens out": 0,
  failed: 0,
  denied: 0,
  /** Operations with an intent and no result. */
  unfinished: 0
}

/** What is known of an operation: a sum of these. */
const intent = 1
const result = 2
const tool = 4

export interface Runs {
  readonly items: ReadonlyArray<Item>
  readonly operations: Map<string, number>
  readonly counts: Readonly<typeof zero>
}

export const noRuns: Runs = { items: [], operations: new Map(), counts: zero }

const isOpen = (operation: number): boolean => (operation & (intent | result)) === intent

const tokens = ({ metadata }: Event, name: string): number => {
  const count = metadata?.[name]
  return typeof count === "number" ? count : 0
}

const add = (operations: Map<string, number>, counts: typeof zero, event: Event): void => {
  const { action, operation_id, outcome, phase } = event
  const isIntent = phase === "intent"
  const isTool = action === "tool.call"
  let before = 0
  if (operation_id !== undefined && phase !== undefined) {
    before = operations.get(operation_id) ?? 0
    const after = before | (isIntent ? intent : result) | (isTool ? tool : 0)
    operations.set(operation_id, after)
    counts.unfinished += Number(isOpen(after)) - Number(isOpen(before))
  }
  // The halves of a call are one call.
  if (isTool && (before & tool) === 0) counts["tool calls"]++
  if (action === "model.call") {
    counts["model calls"]++
    counts["tokens in"] += tokens(event, "input_tokens")
    counts["tokens out"] += tokens(event, "output_tokens")
  }
  // The outcome of an intent says nothing.
  if (outcome === "failure" && !isIntent) counts.failed++
  if (outcome === "denied" && !isIntent) counts.denied++
}

/**
 * Counts a list that often is the one before with more at one end. The operations of the one before are taken over, not
 * copied: it may not be used any more.
 */
export const runs = (before: Runs, items: ReadonlyArray<Item>): Runs => {
  const more = came(before.items, items)
  const { counts, operations } = more === undefined ? { counts: zero, operations: new Map<string, number>() } : before
  const counted = { ...counts }
  for (const item of more ?? items) {
    if (!item.erased) add(operations, counted, item.event)
  }
  return { items, operations, counts: counted }
}

/** The newest event of an agent; of anyone where no agent acts. */
export const whose = (items: ReadonlyArray<Item>): Event | undefined => {
  const found = items.find((item) => !item.erased && item.event.actor_type === "agent") ?? items[0]
  return found?.erased === false ? found.event : undefined
}

/** Whether a search, newest first, hides no result of an intent that it finds. */
export const isWhole = (asked: Record<string, string>): boolean =>
  Object.keys(asked).every((parameter) => ["runId", "operationId", "since"].includes(parameter))

/** Which half of an operation an event is. No result is missed where the search hides none: they are loaded before. */
export const halfOf = (
  { isWhole, operations }: Pick<Runs, "operations"> & { readonly isWhole: boolean },
  { operation_id, phase }: Event
): string | undefined =>
  isWhole && phase === "intent" && isOpen(operations.get(operation_id ?? "") ?? 0) ? "unfinished" : phase
