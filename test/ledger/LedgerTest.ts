/** The contract of ledger and erasure over any medium: what can be proven, and what is left of what is erased. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Result, Stream } from "effect"
import {
  type AuditError,
  AuditLogger,
  type DatasetEvent,
  type EventSink,
  type LoggingEngine,
  Merkle,
  RequestContext,
  Transactions
} from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, LogStore, Origin, Proof, Signer } from "effect-audit/ledger"
import { AuditTrail } from "effect-audit/trail"
import { treeHash } from "../reference.ts"
import { log, soon, storedEvents, within } from "../support.ts"

type Stack =
  | EventSink.EventSink
  | Transactions.Transactions
  | LoggingEngine.LoggingEngine
  | AuditLogger.AuditLogger
  | AuditTrail.AuditTrail
  | LogStore.LogStore
  | Signer.SignerState
  | Signer.Signer
  | Ledger.Ledger
  | Erasure.Erasure

const emit = (n: number, more: Partial<RequestContext.Json> = {}, draft: Partial<AuditLogger.AuditDraft> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n }, ...draft }).pipe(within(more))
const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, more), { concurrency: 64 })
const by = within({ actor: { type: "human", id: "officer" } })
const tag = (error: AuditError.AuditError | AuditError.IntegrityError) => `${error._tag} ${error.reason._tag}`
const vkey = Effect.map(Signer.Signer, (signer) => signer.vkey)

/** Looks at the whole log, signed now: dense positions, verification, and a trail that shows the same. */
export const checkLog = Effect.gen(function*() {
  yield* Ledger.checkpoint(log)
  const rows = yield* storedEvents
  assert.deepStrictEqual(rows.map(({ position }) => position), rows.map((_, position) => position))
  const findings = yield* Stream.runCollect(Ledger.verify({ log, vkey: yield* vkey }))
  assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
  const items = yield* Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" }))
  assert.deepStrictEqual(items.map(({ erased }) => erased), rows.map(({ erased }) => erased))
  return rows
})

const checkpoints: ReadonlyArray<readonly [string, Effect.Effect<void, unknown, Stack>]> = [
  [
    "sign the tree of the entries, and the same head gives the same note",
    Effect.gen(function*() {
      for (const count of [1, 3, 252, 1, 300]) {
        yield* emitMany(count)
        const { checkpoint, note } = yield* Ledger.checkpoint(log)
        const entries = (yield* storedEvents).map(({ commitment }) => Buffer.concat([Buffer.of(1), commitment]))
        assert.strictEqual(checkpoint.size, entries.length)
        assert.deepStrictEqual(Buffer.from(checkpoint.root), treeHash(entries))
        assert.strictEqual((yield* Ledger.checkpoint(log)).note, note)
        assert.strictEqual((yield* (yield* Ledger.Ledger).latest(log))?.note, note)
        yield* checkLog
      }
    })
  ],
  [
    "are proven to extend each other, and a proof file shows an event without the store",
    Effect.gen(function*() {
      const receipts = yield* emitMany(600)
      yield* Ledger.checkpoint(log)
      yield* emitMany(50)
      const ledger = yield* Ledger.Ledger
      const later = yield* ledger.checkpoint(log)
      for (const oldSize of [0, 1, 255, 256, 257, 601, 651]) {
        const { proof, signed } = yield* ledger.consistency({ ...log, oldSize })
        const old = new Merkle.CompactRange()
        for (const { commitment } of (yield* storedEvents).slice(0, oldSize)) {
          old.append(Merkle.leafHash(Buffer.concat([Buffer.of(1), commitment])))
        }
        const sizes = { oldSize, size: later.checkpoint.size, oldRoot: old.root(), root: signed.checkpoint.root, proof }
        assert.isTrue(Merkle.verifyConsistency(sizes))
      }
      for (const at of [0, 254, 255, 599]) {
        const { eventId, position } = receipts[at]!
        const proven = Result.getOrThrow(
          Proof.verify(Proof.encode(yield* ledger.prove({ ...log, eventId })), yield* vkey)
        )
        assert(!proven.erased)
        assert.strictEqual(proven.position, position)
        assert.include(proven.event, eventId)
      }
      const stranger = yield* emit(1, { tenantId: "t_globex" })
      assert.strictEqual(
        tag(yield* Effect.flip(ledger.prove({ ...log, eventId: stranger.eventId }))),
        "AuditError NotFound"
      )
      for (const oldSize of [-1, 1.5, Number.NaN, Infinity]) {
        const wrong = yield* Effect.flip(ledger.consistency({ ...log, oldSize }))
        assert(wrong.reason._tag === "InvalidInput")
        assert.strictEqual(wrong.reason.path, "/oldSize")
      }
      const ahead = yield* Effect.flip(ledger.consistency({ ...log, oldSize: 9999 }))
      assert.strictEqual(tag(ahead), "IntegrityError CheckpointInconsistent")
    })
  ],
  [
    "are not signed when another head was, and only that log stops",
    Effect.gen(function*() {
      const state = yield* Signer.SignerState
      yield* emitMany(5)
      yield* emitMany(2, { tenantId: "t_globex" })
      const { checkpoint } = yield* Ledger.checkpoint(log)
      const last = yield* (yield* Signer.Signer).last(checkpoint.origin)
      assert(last !== undefined)
      const origin = Origin.Origin.make(checkpoint.origin)
      assert.isTrue(yield* state.advance(origin, last, { size: 99, root: Buffer.alloc(32) }))
      assert.strictEqual(tag(yield* Effect.flip(Ledger.checkpoint(log))), "IntegrityError CheckpointInconsistent")
      assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
      assert.strictEqual(tag(yield* Effect.flip(Ledger.checkpoint(log))), "IntegrityError CheckpointInconsistent")
      yield* emit(3, { tenantId: "t_globex" })
      yield* Ledger.checkpoint({ ...log, tenantId: RequestContext.TenantId.make("t_globex") })
      const [mine, theirs] = yield* AuditTrail.logs
      assert.match(mine?.stopped ?? "", /a checkpoint was signed at 99/)
      assert.isUndefined(theirs?.stopped)
    })
  ]
]

/** Erases while something else is done after each of its steps. */
const eraseBeside = Effect.fnUntraced(function*(
  selection: Erasure.Selection,
  beside: (step: number) => Effect.Effect<unknown, AuditError.AuditError, Stack>
) {
  const store = yield* LogStore.LogStore
  const services = yield* Effect.context<Stack>()
  let steps = 0
  const stepping = LogStore.LogStore.of({
    ...store,
    change: (name, f) => Effect.tap(store.change(name, f), () => Effect.provide(beside(++steps), services))
  })
  const erasure = yield* Effect.provideService(Erasure.make, LogStore.LogStore, stepping)
  return yield* by(erasure.erase({ ...selection, reason: "r" }))
})
const person = { actor: { type: "human", id: "u_gone" } } as const
const erasedIn = (receipts: ReadonlyArray<{ readonly eventId: DatasetEvent.EventId }>) =>
  Effect.forEach(receipts, ({ eventId }) =>
    Effect.map(AuditTrail.get({ ...log, eventId }), (record) => {
      assert(!record.erased)
      return record.event.output
    }))

const erasures: ReadonlyArray<readonly [string, Effect.Effect<void, unknown, Stack>]> = [
  [
    "takes many events in steps, between which others write; what comes meanwhile and is meant goes as well",
    Effect.gen(function*() {
      yield* emitMany(2500, person)
      const { count, positions, receipts } = yield* eraseBeside({ person: "u_gone" }, (step) =>
        // More than the last step may look through: the log is looked through again.
        step === 1 ? Effect.andThen(emitMany(4200), emitMany(3, person)) : Effect.void)
      assert.deepStrictEqual([count, positions], [2503, [[1, 2500], [6702, 6704]]])
      const outputs = [{ count: 2048, positions: [[1, 2048]] }, { count: 452, positions: [[2049, 2500]] }, {
        count: 3,
        positions: [[6702, 6704]]
      }]
      assert.deepStrictEqual(yield* erasedIn(receipts), outputs)
      const rows = yield* checkLog
      assert.strictEqual(rows.filter(({ erased }) => erased).length, 2503)
    })
  ],
  [
    "ends at a hold that is put between its steps, and says what was erased before; a repetition takes the rest",
    Effect.gen(function*() {
      yield* emitMany(2500, person)
      const hold = { person: "u_gone", reason: "court" }
      const before = yield* soon
      const { reason } = yield* Effect.flip(
        eraseBeside({ before }, (step) => step === 1 ? by(Erasure.hold(hold)) : Effect.void)
      )
      assert.deepStrictEqual(
        [reason._tag, reason.message],
        [
          "Held",
          "Under legal hold: 453 of the 453 events are held: release them first; 2048 others were erased before"
        ]
      )
      assert.strictEqual((yield* checkLog).filter(({ erased }) => erased).length, 2048)
      yield* by(Erasure.release(hold))
      const { count } = yield* by(Erasure.erase({ person: "u_gone", reason: "r" }))
      // The records of the hold and of its end name the person as well.
      assert.strictEqual(count, 454)
      yield* checkLog
    })
  ],
  [
    "counts and records an event once, whoever else erases it between its steps",
    Effect.gen(function*() {
      yield* emitMany(2500, person)
      let others = 0
      const { count, receipts } = yield* eraseBeside({ person: "u_gone" }, (step) =>
        step === 1
          ? Effect.map(by(Erasure.erase({ person: "u_gone", reason: "r" })), ({ count }) => others += count)
          : Effect.void)
      assert.deepStrictEqual([count, others, receipts.length], [2048, 452, 1])
      yield* checkLog
    })
  ],
  [
    "takes a person's events, those about the person too, and leaves entries and proofs; it may be repeated",
    Effect.gen(function*() {
      const own = yield* emit(1, { actor: { type: "human", id: "u_gone" } })
      yield* emit(2, {}, { subjectIds: ["u_x", "u_gone"] })
      yield* emit(3, {}, { input: { text: "says u_gone" } })
      yield* emitMany(4)
      yield* Ledger.checkpoint(log)
      const before = yield* storedEvents
      const erased = yield* by(Erasure.erase({ person: "u_gone", reason: "request 4711" }))
      assert.deepStrictEqual([erased.count, erased.positions, erased.scrubbed], [2, [[1, 2]], true])
      const rows = yield* checkLog
      assert.deepStrictEqual(rows.slice(1, 4).map(({ body }) => body === undefined), [true, true, false])
      assert.deepStrictEqual(
        rows.slice(0, before.length).map(({ commitment }) => Buffer.from(commitment)),
        before.map(({ commitment }) => Buffer.from(commitment))
      )
      const proven = Result.getOrThrow(
        Proof.verify(Proof.encode(yield* Ledger.prove({ ...log, eventId: own.eventId })), yield* vkey)
      )
      assert(proven.erased && proven.position === 1)
      assert.isTrue((yield* AuditTrail.get({ ...log, eventId: own.eventId })).erased)
      const again = yield* by(Erasure.erase({ person: "u_gone", reason: "request 4711" }))
      assert.deepStrictEqual(again, { count: 0, positions: [], receipts: [], scrubbed: true })
      const [record] = (yield* AuditTrail.query({ ...log, filter: { action: "audit.erased" } })).items
      assert(record?.erased === false)
      assert.deepStrictEqual(record.event.input, { selection: "person", reason: "request 4711" })
      assert.deepStrictEqual(record.event.output, { count: 2, positions: [[1, 2]] })
      assert.notInclude(JSON.stringify(record.event), "u_gone")
    })
  ],
  [
    "is one change in the caller's transaction: of what was emitted in it and released in it as well",
    Effect.gen(function*() {
      yield* emitMany(5, person)
      const hold = { person: "u_gone", reason: "court" }
      yield* by(Erasure.hold(hold))
      const { erased, named } = yield* Transactions.transact(Effect.gen(function*() {
        yield* by(Erasure.release(hold))
        yield* Effect.forEach(Array.from({ length: 40 }, (_, n) => n), (n) => emit(n, person))
        const others = yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => n), (n) => emit(n))
        const named = yield* by(Erasure.erase({ eventIds: others.map(({ eventId }) => eventId), reason: "r" }))
        assert.strictEqual((yield* by(Erasure.preview({ person: "u_gone" }))).count, 47)
        const erased = yield* by(Erasure.erase({ person: "u_gone", reason: "r" }))
        return { erased, named }
      }))
      // The records of the hold and of its end name the person as well.
      assert.deepStrictEqual([erased.count, erased.receipts.length, erased.scrubbed], [47, 1, false])
      assert.deepStrictEqual([named.count, named.receipts.length], [20, 1])
      assert.strictEqual((yield* checkLog).filter(({ erased }) => erased).length, 67)
    })
  ],
  [
    "refuses what it cannot mean, two kinds of selection at once among it, and erases nothing then",
    Effect.gen(function*() {
      const { eventId } = yield* emit(1)
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ person: "u1", before: "2030-01-01", reason: "r" }, "/before"],
        [{ eventIds: [eventId], person: "u1", reason: "r" }, "/person"],
        [{ eventIds: [eventId], before: new Date(), reason: "r" }, "/before"],
        [{ since: "2020-01-01", before: "2030-01-01", reason: "r" }, "/since"],
        [{ before: "no time", reason: "r" }, "/before"],
        [{ person: "not an id", reason: "r" }, "/person"],
        [{ eventIds: [], reason: "r" }, "/eventIds"],
        [{ eventIds: [eventId, "x"], reason: "r" }, "/eventIds/1"],
        [{ person: "u1", reason: " " }, "/reason"],
        [{ person: "u1", until: 1, reason: "r" }, "/until"],
        [{ reason: "r" }, ""]
      ]
      for (const [selection, path] of wrong) {
        const { reason } = yield* Effect.flip(
          by(Erasure.erase(selection as Erasure.Selection & { readonly reason: string }))
        )
        assert(reason._tag === "InvalidInput", JSON.stringify(selection))
        assert.strictEqual(reason.path, path)
      }
      const both = by(Erasure.hold({ person: "u1", before: 1, reason: "r" } as never))
      assert.strictEqual((yield* Effect.flip(both)).reason._tag, "InvalidInput")
      assert.isTrue((yield* checkLog).every(({ erased }) => !erased))
    })
  ],
  [
    "of an event leaves of its idempotency key what only its repetition finds, and of its id that it was used",
    Effect.gen(function*() {
      const create = (n: number, options: LoggingEngine.EmitOptions) =>
        AuditLogger.emit({ action: "note.create", input: { n } }, options).pipe(within())
      const first = yield* create(1, { idempotencyKey: "kim@example.com" })
      const kept = yield* create(2, { idempotencyKey: "other" })
      yield* by(Erasure.erase({ eventIds: [first.eventId], reason: "r" }))
      for (let n = 0; n < 2; n++) {
        const { duplicate, erased, eventId, position } = yield* create(1, { idempotencyKey: "kim@example.com" })
        assert.deepStrictEqual([duplicate, erased, eventId, position], [true, true, first.eventId, 1])
      }
      // What the key was used for is not known any more: anything else is new.
      const second = yield* create(3, { idempotencyKey: "kim@example.com" })
      assert.isFalse(second.duplicate)
      assert.isTrue((yield* create(2, { idempotencyKey: "other" })).duplicate)
      for (const n of [1, 2]) {
        const { reason } = yield* Effect.flip(create(n, { eventId: first.eventId }))
        assert(reason._tag === "InvalidInput")
        assert.deepStrictEqual(
          [reason.path, reason.detail],
          ["/eventId", "this event id is of an event that was erased"]
        )
      }
      assert.isTrue((yield* create(2, { eventId: kept.eventId })).duplicate)
      yield* checkLog
    })
  ],
  [
    "never takes records of the log, another tenant's events, or what is held; and is recorded or not done",
    Effect.gen(function*() {
      const mine = yield* emit(1)
      const theirs = yield* emit(1, { tenantId: "t_globex" })
      yield* by(Erasure.erase({ eventIds: [mine.eventId], reason: "r" }))
      const { items } = yield* AuditTrail.query({ ...log, filter: { action: "audit.*" } })
      for (const { eventId } of items) {
        assert.strictEqual(
          (yield* Effect.flip(by(Erasure.erase({ eventIds: [eventId], reason: "r" })))).reason._tag,
          "Protected"
        )
      }
      const other = yield* Effect.flip(by(Erasure.erase({ eventIds: [theirs.eventId], reason: "r" })))
      assert.strictEqual(other.reason._tag, "NotFound")
      const second = yield* emit(2)
      for (
        const selection of [
          { person: "u1" },
          { eventIds: [second.eventId] },
          { before: "2999-01-01" },
          { since: "2000-01-01", before: new Date(4e12) }
        ] as ReadonlyArray<Erasure.HoldSelection>
      ) {
        yield* by(Erasure.hold({ ...selection, reason: "case 12" }))
        for (const erasing of [{ person: "u1" }, { before: yield* soon }, { eventIds: [second.eventId] }]) {
          assert.strictEqual(
            (yield* Effect.flip(by(Erasure.erase({ ...erasing, reason: "r" } as never)))).reason._tag,
            "Held"
          )
        }
        yield* by(Erasure.release({ ...selection, reason: "over" }))
        assert.strictEqual(
          (yield* Effect.flip(by(Erasure.release({ ...selection, reason: "again" })))).reason._tag,
          "NotFound"
        )
      }
      assert.strictEqual((yield* by(Erasure.erase({ eventIds: [second.eventId], reason: "r" }))).count, 1)
      yield* checkLog
    })
  ]
]

export const suite = <E>(name: string, layer: Layer.Layer<Stack, E>) => {
  describe(`Ledger over ${name}: checkpoints`, () => {
    for (const [title, test] of checkpoints) it.live(title, () => Effect.provide(test, layer))
  })
  describe(`Erasure over ${name}`, () => {
    for (const [title, test] of erasures) it.live(title, () => Effect.provide(test, layer))
  })
}
