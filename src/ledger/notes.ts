/** The stored checkpoints of a log. */
import * as Effect from "effect/Effect"
import type { LogName } from "../RequestContext.ts"
import { counts } from "./extends.ts"
import type { Log, LogReader, LogStore } from "./LogStore.ts"

/** The newest stored checkpoints that count, the newest first. */
export const newestNotes = (store: Pick<LogReader, "notes">, log: Log) =>
  Effect.map(
    store.notes(log, { newest: log.origins.length < 2 ? 1 : 64 }),
    (notes) => notes.filter((note) => counts(log.origins, note))
  )

/** How many entries of a log no stored checkpoint covers. */
export const uncovered = Effect.fnUntraced(function*(store: LogStore["Service"], name: LogName) {
  const log = yield* store.log(name)
  if (log === undefined) return 0
  const [note] = yield* newestNotes(store, log)
  return Math.max(0, log.size - (note?.size ?? 0))
})
