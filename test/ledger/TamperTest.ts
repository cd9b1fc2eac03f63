/** What verification finds when what a medium returns is not what was stored; through the port, and so in every medium. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditLogger, type EventSink, type LoggingEngine, type RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, LogStore, Signer } from "effect-audit/ledger"
import { log, within } from "../support.ts"

type Rows = ReadonlyArray<LogStore.StoredEvent>
type Change = Partial<Omit<LogStore.Snapshot, "scan">> & { readonly change?: (rows: Rows) => Rows }

const flip = (bytes: Uint8Array | undefined, at = 0): Uint8Array => {
  const changed = Buffer.from(bytes ?? [])
  changed[at % changed.length]! ^= 1
  return changed
}
const at = (position: number, change: (row: LogStore.StoredEvent) => LogStore.StoredEvent) => (rows: Rows): Rows =>
  rows.map((row) => row.position === position ? change(row) : row)

/** The ledger over a store whose snapshots are changed. */
const tampered = (change: (snapshot: LogStore.Snapshot) => Change) =>
  Ledger.layer.pipe(Layer.provide(Layer.effect(
    LogStore.LogStore,
    Effect.map(LogStore.LogStore, (store) => ({
      ...store,
      snapshot: Effect.map(store.snapshot, (snapshot) => {
        const { change: changed = (rows: Rows) => rows, ...more } = change(snapshot)
        return {
          ...snapshot,
          ...more,
          scan: (only?: LogStore.LogRef) =>
            Stream.map(snapshot.scan(only), ({ events, seen }) => ({ seen, events: changed(events) }))
        }
      })
    }))
  )))

const rows = (change: (rows: Rows) => Rows) => () => ({ change })
const tiles =
  (tier: number, change: (bytes: Uint8Array, run: LogStore.Run) => Uint8Array) => (snapshot: LogStore.Snapshot) => ({
    tiles: (log: LogStore.LogRef, runs: ReadonlyArray<LogStore.Run>) =>
      Effect.map(snapshot.tiles(log, runs), (found) =>
        found.map((bytes, index) => {
          const run = runs[index]
          return run?.tier === tier && bytes.length > 0 ? change(bytes, run) : bytes
        }))
  })

const cases: ReadonlyArray<readonly [string, (snapshot: LogStore.Snapshot) => Change, string, number | undefined]> = [
  ["a changed body", rows(at(5, (row) => ({ ...row, body: flip(row.body, 300) }))), "changed", 5],
  ["a changed salt", rows(at(5, (row) => ({ ...row, salt: flip(row.salt, 31) }))), "changed", 5],
  ["a changed commitment", rows(at(300, (row) => ({ ...row, commitment: flip(row.commitment, 9) }))), "changed", 300],
  ["a changed event id", rows(at(5, (row) => ({ ...row, eventId: flip(row.eventId, 3) }))), "changed", 5],
  [
    "a changed time",
    rows(at(5, (row) => ({ ...row, recordedAtMillis: (row.recordedAtMillis ?? 0) + 1 }))),
    "changed",
    5
  ],
  ["a missing event", rows((all) => all.filter(({ position }) => position !== 7)), "missing", 7],
  [
    "content that is gone without a record",
    rows(at(8, (row) => ({ ...row, erased: true, body: undefined, salt: undefined, recordedAtMillis: undefined }))),
    "missing",
    8
  ],
  ["content that is half gone", rows(at(8, (row) => ({ ...row, salt: undefined }))), "missing", 8],
  [
    "two events that were exchanged",
    rows((all) =>
      all.map((row) => {
        const other = row.position === 11 || row.position === 12
          ? all.find(({ position }) => position === 23 - row.position)
          : undefined
        return other === undefined ? row : { ...other, row: row.row, position: row.position }
      })
    ),
    "reordered",
    11
  ],
  ["a position that is there twice", rows((all) => [...all, { ...all[4]!, row: 9999 }]), "duplicated", 4],
  ["a tail that was cut off", rows((all) => all.filter(({ position }) => position < 301)), "truncated", 301],
  ["a position far away", rows(at(9, (row) => ({ ...row, position: 9e12 }))), "changed", 9e12],
  ["events of no log", rows(at(9, (row) => ({ ...row, log: 77 }))), "missing", 9],
  ["a changed bundle", tiles(0, (bytes, { first }) => first === 0 ? flip(bytes, 5 * 32) : bytes), "changed", 5],
  ["a missing bundle", tiles(0, (bytes, { first }) => first === 0 ? new Uint8Array(0) : bytes), "missing", 0],
  ["a changed subtree", tiles(1, (bytes) => flip(bytes)), "changed", 0],
  ["a missing subtree", tiles(1, () => new Uint8Array(0)), "missing", 0],
  [
    "a checkpoint of another root",
    (snapshot) => ({
      notes: (log, page) =>
        Effect.map(
          snapshot.notes(log, page),
          (notes) =>
            notes.map((note) => ({
              ...note,
              note: note.note.replace(/\n(.)(.*=)\n/, (_, first, rest) => `\n${first === "A" ? "B" : "A"}${rest}\n`)
            }))
        )
    }),
    "signature",
    undefined
  ],
  [
    "a checkpoint of another size",
    (snapshot) => ({
      notes: (log, page) =>
        Effect.map(snapshot.notes(log, page), (notes) => notes.map((note) => ({ ...note, size: note.size - 1 })))
    }),
    "signature",
    undefined
  ],
  [
    "a log under another origin",
    (snapshot) => ({
      logs: Effect.map(
        snapshot.logs,
        (logs) => logs.map((log) => ({ ...log, origins: [{ origin: `${log.origin}0`, since: 0 }] }))
      )
    }),
    "changed",
    0
  ]
]

export const suite = <E>(
  name: string,
  layer: Layer.Layer<
    | EventSink.EventSink
    | AuditLogger.AuditLogger
    | LoggingEngine.LoggingEngine
    | LogStore.LogStore
    | Signer.Signer
    | Ledger.Ledger
    | Erasure.Erasure,
    E
  >
) =>
  describe(`verification through the port of ${name}`, () => {
    it.live("finds and names every change, and nothing where there is none", () =>
      Effect.gen(function*() {
        const emit = (n: number, more: Partial<RequestContext.Json> = {}) =>
          AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more))
        const numbers = Array.from({ length: 310 }, (_, n) => n)
        const [first] = yield* Effect.forEach(numbers, (n) => emit(n), { concurrency: 64 })
        assert(first !== undefined)
        yield* Erasure.erase({ eventIds: [first.eventId], reason: "r" }).pipe(within())
        yield* Ledger.checkpoint(log)
        yield* Effect.forEach([1, 2, 3], (n) => emit(n))
        const { vkey } = yield* Signer.Signer
        const faults = Effect.map(
          Stream.runCollect(Ledger.verify({ vkey })),
          (all) => all.flatMap((finding) => finding._tag === "Fault" ? [finding] : [])
        )
        assert.deepStrictEqual(yield* faults, [])
        for (const [what, change, fault, position] of cases) {
          const found = yield* Effect.provide(faults, Layer.fresh(tampered(change)))
          assert.isTrue(
            found.some((one) => one.fault === fault && (position === undefined || one.position === position)),
            `${what}: ${JSON.stringify(found.slice(0, 5))}`
          )
        }
      }).pipe(Effect.provide(layer)), 60_000)
  })
