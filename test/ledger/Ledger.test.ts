/** What the ledger says where it cannot sign or prove, word by word, and what it then does to the log. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Logger, References, Stream } from "effect"
import { type AuditError, AuditLogger, Merkle, RequestContext } from "effect-audit"
import { Checkpoint, Ledger, LogStore, Origin, Signer } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { EventId } from "../../src/DatasetEvent.ts"
import { treeHash } from "../reference.ts"
import { everythingOver, log, storedEvents, within } from "../support.ts"

const whole = everythingOver(() => Memory.layer())
const emit = (n: number, more: Partial<RequestContext.Json> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more))
const emitMany = (count: number) => Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n))

const said = (error: AuditError.AuditError | AuditError.IntegrityError): ReadonlyArray<string | undefined> => [
  error._tag,
  error.method,
  error.reason._tag,
  "detail" in error.reason ? error.reason.detail : ""
]
/** Why an effect fails. */
const why = <A, R>(effect: Effect.Effect<A, AuditError.AuditError | AuditError.IntegrityError, R>) =>
  Effect.map(Effect.flip(effect), said)

type Store = LogStore.LogStore["Service"]
/** The ledger over a store and a signer that are changed. */
const over = (
  change: (store: Store) => Partial<Store>,
  sign: (signer: Signer.Signer["Service"]) => Partial<Signer.Signer["Service"]> = () => ({})
) =>
  Ledger.layerOnDemand.pipe(
    Layer.provide([
      Layer.effect(LogStore.LogStore, Effect.map(LogStore.LogStore, (store) => ({ ...store, ...change(store) }))),
      Layer.effect(Signer.Signer, Effect.map(Signer.Signer, (signer) => ({ ...signer, ...sign(signer) })))
    ]),
    Layer.fresh
  )
const changingEvents = (change: (row: LogStore.StoredEvent) => Partial<LogStore.StoredEvent>) =>
  over((store) => ({
    find: (of, ids) => Effect.map(store.find(of, ids), (rows) => rows.map((row) => ({ ...row, ...change(row) })))
  }))
const changingNotes = (change: (notes: ReadonlyArray<LogStore.StoredNote>) => ReadonlyArray<LogStore.StoredNote>) =>
  over((store) => ({ notes: (of, page) => Effect.map(store.notes(of, page), change) }))
const flip = (bytes: Uint8Array | undefined): Buffer => {
  const copy = Buffer.from(bytes ?? [])
  copy[copy.length - 1]! ^= 1
  return copy
}
const renote = (
  note: LogStore.StoredNote,
  change: (checkpoint: Checkpoint.Checkpoint) => Partial<Checkpoint.Checkpoint>
) => {
  const read = Checkpoint.stated(note.note)
  assert(read._tag === "Success")
  return { ...note, note: `${Checkpoint.format({ ...read.success, ...change(read.success) })}\n— x y\n` }
}
const logNow = Effect.flatMap(
  Effect.flatMap(LogStore.LogStore, (store) => store.log(log)),
  (found) => found === undefined ? Effect.die("there is no log") : Effect.succeed(found)
)
const entries = Effect.map(
  storedEvents,
  (rows) => rows.map(({ commitment }) => Buffer.concat([Buffer.of(1), commitment]))
)

describe("a log that is not there", () => {
  it.effect("is not found, whatever is asked", () =>
    Effect.gen(function*() {
      const ledger = yield* Ledger.Ledger
      const eventId = EventId.make("01a209c5-51d0-7343-9b03-8b4c0f267745")
      const text = "t_acme has no log in prod"
      const every: ReadonlyArray<
        readonly [string, Effect.Effect<unknown, AuditError.AuditError | AuditError.IntegrityError>]
      > = [
        ["checkpoint", ledger.checkpoint(log)],
        ["latest", ledger.latest(log)],
        ["prove", ledger.prove({ ...log, eventId })],
        ["consistency", ledger.consistency({ ...log, oldSize: 0 })]
      ]
      for (const [method, asked] of every) {
        assert.deepStrictEqual(yield* why(asked), ["AuditError", `Ledger.${method}`, "NotFound", text])
      }
      yield* emit(1)
      assert.deepStrictEqual(yield* why(Ledger.prove({ ...log, eventId })), [
        "AuditError",
        "Ledger.prove",
        "NotFound",
        `there is no event ${eventId} in this log`
      ])
    }).pipe(Effect.provide(whole)))
})

describe("a ledger without a key", () => {
  it.effect("signs nothing, and proves what is signed", () =>
    Effect.gen(function*() {
      const [first] = yield* emitMany(3)
      assert(first !== undefined)
      const keyless = Ledger.layer.pipe(Layer.fresh)
      const refused = (method: string, text: string) =>
        ["AuditError", `Ledger.${method}`, "SignerRefused", text] as const
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(
          yield* why(Ledger.checkpoint(log)),
          refused("checkpoint", "this ledger has no signing key")
        )
        assert.deepStrictEqual(
          yield* why(Ledger.prove({ ...log, eventId: first.eventId })),
          refused("prove", `no checkpoint covers event ${first.eventId} yet, and this ledger has no signing key`)
        )
        assert.isUndefined(yield* (yield* Ledger.Ledger).latest(log))
      }).pipe(Effect.provide(keyless))
      const signed = yield* Ledger.checkpoint(log)
      const later = yield* emit(4)
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* (yield* Ledger.Ledger).latest(log), signed)
        assert.include((yield* Ledger.prove({ ...log, eventId: first.eventId })).proof, "\nindex 1\n")
        // The first one that the checkpoint does not cover.
        assert.strictEqual(later.position, signed.checkpoint.size)
        assert.strictEqual((yield* why(Ledger.prove({ ...log, eventId: later.eventId })))[2], "SignerRefused")
        const findings = yield* Stream.runCollect(Ledger.verify())
        assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
      }).pipe(Effect.provide(keyless))
    }).pipe(Effect.provide(whole)))
})

describe("a head", () => {
  const stopped = Effect.map(logNow, ({ stopped }) => stopped)

  it.effect("is stored under the key that signed it, and with the log's name", () =>
    Effect.gen(function*() {
      yield* emitMany(3)
      const { checkpoint, note } = yield* Ledger.checkpoint(log)
      const [store, signer] = [yield* LogStore.LogStore, yield* Signer.Signer]
      const found = yield* logNow
      assert.deepStrictEqual(yield* store.notes(found, { newest: 2 }), [
        { size: 4, keyId: signer.keyIdOf(found.origin), note }
      ])
      const head = { size: 4, root: checkpoint.root }
      assert.deepStrictEqual(yield* signer.origins, [{ origin: found.origin, name: log, head, isEnded: false }])
    }).pipe(Effect.provide(whole)))

  it.effect("is not signed where the store's own checkpoint is of another tree or further: the log stops, and says so", () =>
    Effect.gen(function*() {
      const lines: Array<readonly [string, unknown]> = []
      const logger = Logger.layer([Logger.make(({ fiber, message }) => {
        lines.push([String(message), fiber.getRef(References.CurrentLogAnnotations)])
      })])
      const broken = (text: string) => ["IntegrityError", "Ledger.checkpoint", "CheckpointInconsistent", text] as const
      const at = (change: Parameters<typeof renote>[1]) =>
        Effect.gen(function*() {
          yield* emitMany(2)
          yield* Ledger.checkpoint(log)
          yield* emit(9)
          const error = yield* why(Ledger.checkpoint(log)).pipe(
            Effect.provide(changingNotes((notes) => notes.map((note) => renote(note, change))))
          )
          return { error, stopped: yield* stopped, emitted: yield* why(emit(1)), origin: (yield* logNow).origin }
        }).pipe(Effect.provide(Layer.fresh(whole)), Effect.provide(logger))
      const root = "its tree is not the one that was signed at size 3"
      const other = yield* at(({ root }) => ({ root: flip(root) }))
      assert.deepStrictEqual(other.error, broken(root))
      assert.strictEqual(other.stopped, root)
      assert.strictEqual(other.emitted[2], "LogStopped")
      assert.deepStrictEqual(lines.filter(([message]) => message.includes("is stopped")), [
        [`The log ${other.origin} is stopped: Checkpoint inconsistent: ${root}`, { tenant: "t_acme", env: "prod" }]
      ])
      const further = yield* at(() => ({ size: 9 }))
      assert.deepStrictEqual(further.error, broken("the log has 4 entries, and a checkpoint was signed at 9"))
      assert.strictEqual((yield* at(() => ({ size: 4 }))).error[3], "its tree is not the one that was signed at size 4")
    }))

  it.effect("is not signed of a log that is stopped, and a failure stops none", () =>
    Effect.gen(function*() {
      yield* emitMany(2)
      const failure = yield* Effect.flip((yield* Ledger.Ledger).consistency({ ...log, oldSize: -1 }))
      assert(failure._tag === "AuditError")
      const failing = over(() => ({ notes: () => Effect.fail(failure) }))
      assert.strictEqual((yield* why(Effect.provide(Ledger.checkpoint(log), failing)))[2], "InvalidInput")
      assert.isUndefined(yield* stopped)
      const store = yield* LogStore.LogStore
      yield* store.change(log, (writer, found) => writer.stop(found, "by hand", 1))
      assert.deepStrictEqual(yield* why(Ledger.checkpoint(log)), [
        "IntegrityError",
        "Ledger.checkpoint",
        "CheckpointInconsistent",
        "by hand"
      ])
    }).pipe(Effect.provide(whole)))

  it.effect("is the first of a log only where no other of its name was signed and is gone", () =>
    Effect.gen(function*() {
      yield* emitMany(2)
      const [state, own] = [yield* Signer.SignerState, yield* logNow]
      const gone = Origin.make("test", Buffer.alloc(16, 7))
      const head = { size: 7, root: Buffer.alloc(32, 1) }
      const signed = (name: RequestContext.LogName | undefined, isEnded = false, origin: string = gone) =>
        over(() => ({}), () => ({ origins: Effect.succeed([{ origin, name, head, isEnded }]) }))
      const first = (layer: ReturnType<typeof signed>) => why(Effect.provide(Ledger.checkpoint(log), layer))
      const missing = (what: string) =>
        [
          "IntegrityError",
          "Ledger.checkpoint",
          "LeafMissing",
          `${what} was signed as ${gone} at size 7, and is gone`
        ] as const
      const globex = RequestContext.TenantId.make("t_globex")
      const test = RequestContext.Env.make("test")
      const isSigned = (layer: ReturnType<typeof signed>) =>
        Effect.gen(function*() {
          // Each in a store of its own: a head that is signed once is not the first.
          yield* emit(1)
          yield* Effect.provide(Ledger.checkpoint(log), layer)
        }).pipe(Effect.provide(Layer.fresh(whole)))
      yield* isSigned(signed({ ...log, tenantId: globex }))
      yield* isSigned(signed({ ...log, env: test }))
      yield* isSigned(signed(log, true))
      yield* isSigned(signed(undefined, true))
      assert.deepStrictEqual(yield* first(signed(log)), missing("the log of this tenant and env"))
      assert.isDefined(yield* stopped)
      assert.isUndefined(yield* state.last(Origin.Origin.make(own.origin)))
      yield* Effect.gen(function*() {
        yield* emit(1)
        assert.deepStrictEqual(yield* first(signed(undefined)), missing("a log"))
      }).pipe(Effect.provide(Layer.fresh(whole)))
      // One that is there under a later origin is not gone; and whose own head is known, is not the first.
      yield* Effect.gen(function*() {
        yield* emit(1)
        const { origin } = yield* logNow
        yield* Effect.provide(Ledger.checkpoint(log), signed(log, false, origin))
        yield* emit(2)
        yield* Effect.provide(Ledger.checkpoint(log), signed(log))
      }).pipe(Effect.provide(Layer.fresh(whole)))
    }).pipe(Effect.provide(whole)))
})

describe("a proof", () => {
  it.effect("is of what its entry commits to, and leads to the checkpoint", () =>
    Effect.gen(function*() {
      const { eventId } = (yield* emitMany(3))[1]!
      yield* Ledger.checkpoint(log)
      const proving = (layer: ReturnType<typeof over>) => why(Effect.provide(Ledger.prove({ ...log, eventId }), layer))
      const broken = (reason: string, text: string) => ["IntegrityError", "Ledger.prove", reason, text] as const
      const changed = broken("HashMismatch", `event ${eventId} at position 2 is not what its entry commits to`)
      assert.deepStrictEqual(yield* proving(changingEvents(({ body }) => ({ body: flip(body) }))), changed)
      assert.deepStrictEqual(yield* proving(changingEvents(({ salt }) => ({ salt: flip(salt) }))), changed)
      assert.deepStrictEqual(
        yield* proving(changingEvents(({ commitment }) => ({ commitment: flip(commitment), body: undefined }))),
        broken("ProofInvalid", `event ${eventId} at position 2 does not lead to the checkpoint of size 4`)
      )
      assert.deepStrictEqual(
        yield* proving(changingNotes((notes) => notes.map((note) => ({ ...note, note: "x" })))),
        broken("SignatureInvalid", "a stored checkpoint cannot be read: it does not end with a newline")
      )
      for (const gone of [{ salt: undefined }, { body: undefined }]) {
        const proof = yield* Effect.provide(Ledger.prove({ ...log, eventId }), changingEvents(() => gone))
        assert.isTrue("erased" in proof && proof.erased)
      }
    }).pipe(Effect.provide(whole)))

  it.effect("is of no checkpoint that is stored elsewhere", () =>
    Effect.gen(function*() {
      yield* emitMany(3)
      yield* Ledger.checkpoint(log)
      const { eventId } = yield* emit(4)
      const old = yield* Effect.flatMap(LogStore.LogStore, (store) =>
        Effect.flatMap(logNow, (found) => store.notes(found, { newest: 1 })))
      assert.deepStrictEqual(
        yield* why(Effect.provide(
          Ledger.prove({ ...log, eventId }),
          changingNotes(() =>
            old
          )
        )),
        [
          "IntegrityError",
          "Ledger.prove",
          "CheckpointInconsistent",
          `event ${eventId} is not below the checkpoint that was signed for it`
        ]
      )
    }).pipe(Effect.provide(whole)))
})

describe("consistency", () => {
  it.effect("is shown of sizes that there are", () =>
    Effect.gen(function*() {
      const ledger = yield* Ledger.Ledger
      yield* emitMany(4)
      const between = (oldSize: number, size?: number) => ledger.consistency({ ...log, oldSize, size })
      const refused = (text: string) => ["AuditError", "Ledger.consistency", "NotFound", text] as const
      const broken = (text: string) => ["IntegrityError", "Ledger.consistency", "CheckpointInconsistent", text] as const
      assert.deepStrictEqual(yield* why(between(5)), refused("the log has no checkpoint yet"))
      assert.deepStrictEqual(yield* why(between(6)), broken("the log has 5 entries, the old checkpoint 6"))
      const invalid = yield* Effect.flip(between(1.5))
      assert.deepStrictEqual([...said(invalid)], [
        "AuditError",
        "Ledger.consistency",
        "InvalidInput",
        "must be an integer, not negative"
      ])
      const first = yield* Ledger.checkpoint(log)
      yield* emitMany(2)
      assert.deepStrictEqual(yield* why(between(1, 4)), refused("there is no checkpoint of size 4"))
      assert.deepStrictEqual(yield* why(between(6)), broken("the log's checkpoint has size 5, the old one 6"))
      const { origins } = yield* logNow
      assert.deepStrictEqual(yield* between(5), { oldSize: 5, proof: [], signed: first, origins })
      assert.deepStrictEqual(yield* between(0), { oldSize: 0, proof: [], signed: first, origins })
      const second = yield* Ledger.checkpoint(log)
      assert.deepStrictEqual((yield* between(3)).signed, second)
      assert.deepStrictEqual((yield* between(3, 5)).signed, first)
      const forged = changingNotes((notes) => notes.map((note) => renote(note, ({ root }) => ({ root: flip(root) }))))
      assert.deepStrictEqual(
        yield* why(
          Effect.provide(Effect.flatMap(Ledger.Ledger, (ledger) => ledger.consistency({ ...log, oldSize: 3 })), forged)
        ),
        broken("its tree is not the one that was signed at size 7")
      )
    }).pipe(Effect.provide(whole)))
})

describe("tiles", () => {
  it.effect("are of the head that is signed now", () =>
    Effect.gen(function*() {
      yield* emitMany(299)
      const source = yield* (yield* Ledger.Ledger).tiles(log)
      const signed = yield* (yield* Ledger.Ledger).latest(log)
      assert.deepStrictEqual({ checkpoint: source.checkpoint, note: source.note }, signed)
      assert.strictEqual(source.vkey, (yield* Signer.Signer).vkey)
      const all = yield* entries
      assert.deepStrictEqual(
        (yield* source.entries({ level: "entries", index: 1, width: 44 })).map((entry) => Buffer.from(entry)),
        all.slice(256)
      )
      const leaves = Buffer.concat(all.slice(0, 256).map((entry) => Merkle.leafHash(entry)))
      assert.deepStrictEqual(Buffer.from(yield* source.hashes({ level: 0, index: 0, width: 256 })), leaves)
      assert.deepStrictEqual(
        Buffer.from(yield* source.hashes({ level: 1, index: 0, width: 1 })),
        treeHash(all.slice(0, 256))
      )
      for (const size of [1, 256, 300]) {
        assert.deepStrictEqual(Buffer.from(yield* source.rootAt(size)), treeHash(all.slice(0, size)))
      }
    }).pipe(Effect.provide(whole)))
})

describe("a ledger that signs on an interval", () => {
  it.live("signs at once what is not signed, and knows how much it is", () =>
    Effect.gen(function*() {
      yield* emitMany(2)
      const signed = yield* Deferred.make<void>()
      const telling = Layer.effect(
        LogStore.LogStore,
        Effect.map(LogStore.LogStore, (store) => ({
          ...store,
          change: <A, E, R>(
            name: RequestContext.LogName,
            f: (writer: LogStore.LogWriter, log: LogStore.Log) => Effect.Effect<A, E, R>
          ) => Effect.tap(store.change(name, f), () => Deferred.succeed(signed, undefined))
        }))
      )
      yield* Effect.gen(function*() {
        yield* Deferred.await(signed)
        assert.strictEqual((yield* (yield* Ledger.Ledger).latest(log))?.checkpoint.size, 3)
      }).pipe(Effect.provide(Ledger.layerSigning().pipe(Layer.provide(telling), Layer.fresh)))
    }).pipe(Effect.provide(whole)))
})
