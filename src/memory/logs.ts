/** The port over a store in memory. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditError, NotFound } from "../AuditError.ts"
import {
  type Hold,
  type Log,
  type LogReader,
  type LogRef,
  LogStore,
  type LogWriter,
  type Snapshot,
  type StoredEvent
} from "../ledger/LogStore.ts"
import { hashBytes, runLength } from "../ledger/treeReader.ts"
import type { LogName } from "../RequestContext.ts"
import { logKey, State } from "./state.ts"
import type { MemoryStore } from "./store.ts"

const rowsOf = (state: State, log: LogRef): ReadonlyArray<StoredEvent> =>
  (state.positions.get(log.id) ?? []).flatMap((row) => state.events[row] ?? [])

/** Reads the state that `at` returns when it is asked. */
const readerOf = (at: () => State): LogReader => ({
  logs: Effect.sync(() => [...at().logs.values()]),
  log: (name) => Effect.sync(() => at().logs.get(logKey(name))),
  tiles: (log, runs) =>
    Effect.sync(() =>
      runs.map(({ count, first, tier }) =>
        tier === 0
          ? at().bundle(log.id, first / runLength).subarray(0, count * hashBytes)
          : at().subtrees(log.id, tier * 8, first, count)
      )
    ),
  commitments: (log, from, to) => Effect.sync(() => at().commitments(log.id, from, to)),
  notes: (log, page) =>
    Effect.sync(() => {
      const notes = at().notes.get(log.id) ?? []
      if ("newest" in page) return notes.slice(-page.newest).toReversed()
      if ("size" in page) return notes.filter(({ size }) => size === page.size).toReversed()
      const { after, limit } = page
      return notes.toSorted((a, b) => a.size - b.size || a.keyId - b.keyId)
        .filter(({ keyId, size }) => size > after.size || (size === after.size && keyId > after.keyId))
        .slice(0, limit)
    }),
  find: (log, eventIds) =>
    Effect.sync(() =>
      [...new Set(eventIds)].flatMap((eventId) => {
        const row = at().byId.get(eventId)
        const event = row === undefined ? undefined : at().events[row]
        return event === undefined || event.log !== log.id ? [] : [event]
      })
    ),
  holds: (log) => Effect.sync(() => at().holds.get(log.id) ?? []),
  events: (log, range = {}) =>
    Stream.fromEffect(
      Effect.sync(() =>
        rowsOf(at(), log).filter(({ position, recordedAtMillis }) =>
          position >= (range.from ?? 0) &&
          (range.beforeMillis === undefined || (recordedAtMillis ?? Infinity) < range.beforeMillis)
        )
      )
    )
})

const snapshotOf = (state: State): Snapshot => ({
  ...readerOf(() => state),
  rows: state.events.length,
  problems: Effect.succeed([]),
  scan: (only) =>
    Stream.fromEffect(Effect.sync(() => ({
      seen: state.events.length,
      events: only === undefined ? state.events : rowsOf(state, only)
    })))
})

const isSame = (a: Hold, b: Hold): boolean =>
  a.name === b.name && a.eventId === b.eventId && a.person === b.person && a.sinceMillis === b.sinceMillis &&
  a.beforeMillis === b.beforeMillis

const writerOf = (store: MemoryStore): LogWriter => {
  const at = () => store.current
  return {
    ...readerOf(at),
    erase: (log, events, atMillis) =>
      Effect.sync(() => {
        const state = at()
        for (const { row } of events) {
          const event = state.events[row]
          if (event === undefined) continue
          const gone = { salt: undefined, body: undefined, recordedAtMillis: undefined }
          state.events[row] = { ...event, ...gone, erased: atMillis >= 0 }
        }
        state.eraseKeys(log.id, new Set(events.map(({ row }) => row)))
        store.keepTail(log.id, state.logs.get(logKey(log.name))?.size ?? log.size)
      }),
    putNote: (log, note) =>
      Effect.sync(() => {
        const notes = at().notes.get(log.id) ?? []
        if (notes.some(({ keyId, size }) => size === note.size && keyId === note.keyId)) return
        at().notes.set(log.id, [...notes, note].sort((a, b) => a.size - b.size))
        store.keepTail(log.id, note.size)
      }),
    stop: (log, detail) =>
      Effect.sync(() => {
        const known = at().logs.get(logKey(log.name))
        if (known !== undefined) at().logs.set(logKey(log.name), { ...known, stopped: known.stopped ?? detail })
      }),
    resume: (log, origin) =>
      Effect.sync(() => {
        const known = at().logs.get(logKey(log.name))
        if (known === undefined) return
        const origins = [...known.origins, { origin, since: known.size }]
        at().logs.set(logKey(log.name), { ...known, origin, origins, stopped: undefined })
      }),
    hold: (log, holds) => Effect.sync(() => void at().holds.set(log.id, [...at().holds.get(log.id) ?? [], ...holds])),
    release: (log, holds) =>
      Effect.sync(() => {
        const before = at().holds.get(log.id) ?? []
        const left = before.filter((hold) => !holds.some((other) => isSame(hold, other)))
        at().holds.set(log.id, left)
        return before.length - left.length
      })
  }
}

/** The port. */
export const logStoreOf = (store: MemoryStore): LogStore["Service"] => {
  const writer = writerOf(store)
  const reader = readerOf(() => store.committed)
  return LogStore.of({
    ...reader,
    snapshot: Effect.sync(() => snapshotOf(new State(store.committed))),
    change: <A, E, R>(name: LogName, f: (writer: LogWriter, log: Log) => Effect.Effect<A, E, R>) =>
      store.transact(Effect.flatMap(writer.log(name), (log): Effect.Effect<A, E | AuditError, R> => {
        if (log !== undefined) return f(writer, log)
        const reason = new NotFound({ detail: `${name.tenantId} has no log in ${name.env}` })
        return Effect.fail(new AuditError({ method: "LogStore.change", reason }))
      })),
    grown: (since) =>
      Effect.sync(() => {
        const { events, logs } = store.committed
        const grown = new Set(events.slice(since?.mark ?? 0).map(({ log }) => log))
        return {
          logs: [...logs.values()].filter(({ id, stopped }) => stopped === undefined && grown.has(id)).map(({ name }) =>
            name
          ),
          next: { mark: events.length },
          more: false
        }
      }),
    isJoined: Effect.withFiber((fiber) => Effect.succeed(store.isInTransaction(fiber.context))),
    scrub: Effect.withFiber((fiber) => Effect.succeed(!store.isInTransaction(fiber.context)))
  })
}
