/** Going on after a loss: what verifies across the seam, and what never again is signed. */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Stream } from "effect"
import { AuditLogger, Merkle, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Checkpoint, Ledger, LogStore, Origin, Proof, Signer, Tiles } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { SqliteSignerState } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { everythingOver, ledgerAt, ledgerFiles, ledgerReading, log, sqliteAt, within } from "../support.ts"

const emit = (n: number, more: Partial<RequestContext.Json> = {}, options: { readonly idempotencyKey?: string } = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }, options).pipe(within(more))
const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, more), { concurrency: 64 })
const by = within({ actor: { type: "human", id: "officer" } })
const resume = (options: Partial<Ledger.ResumeOptions> = {}) => by(Ledger.resume({ reason: "restored", ...options }))
const faults = (options: Ledger.VerifyOptions = {}) =>
  Effect.map(
    Stream.runCollect(Ledger.verify(options)),
    (all) => all.flatMap((finding) => finding._tag === "Fault" ? [`${finding.fault}: ${finding.detail}`] : [])
  )
const stack = ({ filename, key, signer }: Effect.Success<typeof ledgerFiles>) =>
  ledgerAt({ filename, signer }, signer).pipe(Layer.provideMerge(
    Signer.layer({ key }).pipe(
      Layer.provide(SqliteSignerState.layer(signer))
    )
  ))
const events = Effect.map(
  Stream.runCollect(AuditTrail.stream({ ...log, order: "asc" })),
  (items) => items.map((item) => item.erased ? "erased" : item.event.action)
)

/** A store that was taken back from 41 entries to 21, both of which were signed; the log is stopped. */
const lost = Effect.gen(function*() {
  const files = yield* ledgerFiles
  const { filename, folder } = files
  const use = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Layer.fresh(stack(files)))
  const [first, early] = yield* use(Effect.gen(function*() {
    const receipt = yield* emit(0, {}, { idempotencyKey: "k" })
    yield* emitMany(19)
    return [receipt, yield* Ledger.checkpoint(log)] as const
  }))
  copyFileSync(filename, join(folder, "backup.db"))
  const late = yield* use(Effect.andThen(emitMany(20), Ledger.checkpoint(log)))
  copyFileSync(join(folder, "backup.db"), filename)
  yield* use(Effect.gen(function*() {
    assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
  }))
  return { ...files, use, first, early, late }
})

describe("a log whose store was taken back", () => {
  it.live("goes on under another origin, with a record of what is missing; what verified before still does", () =>
    Effect.gen(function*() {
      const { early, filename, first, key, late, signer, use } = yield* lost
      const { vkey } = key
      yield* use(Effect.gen(function*() {
        const { missing, oldOrigin, origin, receipt } = yield* resume()
        assert.deepStrictEqual([missing, receipt.position, oldOrigin], [20, 21, early.checkpoint.origin])
        assert.notStrictEqual(origin, oldOrigin)
        const [record] = (yield* AuditTrail.query({ ...log, filter: { action: "audit.log_resumed" } })).items
        assert(record?.erased === false)
        assert.deepStrictEqual([record.event.agentId, record.event.input], ["officer", { reason: "restored" }] as never)
        assert.deepStrictEqual(record.event.output as unknown, {
          origin,
          old_origin: oldOrigin,
          old_size: 41,
          old_root: Buffer.from(late.checkpoint.root).toString("base64"),
          size: 21,
          missing: 20
        })
        assert.strictEqual((yield* emit(1)).position, 22)
        // The idempotency keys of before still count.
        assert.deepInclude(yield* emit(0, {}, { idempotencyKey: "k" }), { position: 1, duplicate: true })
        const signed = yield* Ledger.checkpoint(log)
        assert.deepStrictEqual([signed.checkpoint.origin, signed.checkpoint.size], [origin, 23])
        assert.deepStrictEqual(yield* faults({ vkey }), [])
        assert.deepStrictEqual(yield* faults({ vkey, known: early.note }), [])
        assert.deepStrictEqual(yield* faults({ vkey, known: signed.note }), [])
        // Who kept the later checkpoint sees that entries are missing.
        assert.deepStrictEqual(yield* faults({ vkey, known: late.note }), [
          "truncated: the log went on as another at size 21, and the given checkpoint has 41: entries are missing"
        ])
        // Events of before the seam are proven under the new origin, and the trail goes across.
        const proof = yield* Ledger.prove({ ...log, eventId: first.eventId })
        const proven = Result.getOrThrow(Proof.verify(Proof.encode(proof), vkey))
        assert.deepStrictEqual([proven.position, proven.checkpoint.origin], [1, origin])
        assert.deepStrictEqual((yield* events).slice(20), ["note.create", "audit.log_resumed", "note.create"])
        const { oldSize, proof: steps, signed: to } = yield* (yield* Ledger.Ledger).consistency({ ...log, oldSize: 21 })
        assert.isTrue(Merkle.verifyConsistency({
          oldSize,
          size: to.checkpoint.size,
          oldRoot: early.checkpoint.root,
          root: to.checkpoint.root,
          proof: steps
        }))
        assert.strictEqual(to.checkpoint.origin, origin)
        // The old origin is never signed again.
        const again = yield* Effect.flip((yield* Signer.Signer).sign(oldOrigin, () => Effect.succeed(early.checkpoint)))
        assert.strictEqual(again.reason._tag, "SignerRefused")
        assert.strictEqual((yield* Effect.flip(resume())).reason._tag, "InvalidInput")
      }))
      // Opened again, by who only reads, and with the signer's state alone.
      const signed = yield* SqliteSignerState.read(signer.state)
      assert.deepStrictEqual(
        signed.map(({ head, isEnded }) => [head.size, isEnded]).sort(),
        [[23, false], [41, true]] as never
      )
      assert.deepStrictEqual(yield* Effect.provide(faults({ vkey, signed }), ledgerReading(filename)), [])
      yield* use(Effect.gen(function*() {
        assert.strictEqual((yield* emit(2)).position, 23)
        yield* emitMany(300)
        assert.strictEqual((yield* Ledger.checkpoint(log)).checkpoint.size, 324)
        // The record stays.
        const [record] = (yield* AuditTrail.query({ ...log, filter: { action: "audit.log_resumed" } })).items
        const erasing = by(Erasure.erase({ eventIds: [record!.eventId], reason: "r" }))
        assert.strictEqual((yield* Effect.flip(erasing)).reason._tag, "Protected")
        assert.deepStrictEqual(yield* faults({ vkey }), [])
      }))
    }))

  it.live("goes on again after a second loss", () =>
    Effect.gen(function*() {
      const { early, filename, folder, key: { vkey }, use } = yield* lost
      yield* use(Effect.gen(function*() {
        yield* resume()
        yield* emitMany(5)
        yield* Ledger.checkpoint(log)
      }))
      copyFileSync(filename, join(folder, "later.db"))
      const second = yield* use(Effect.andThen(emitMany(10), Ledger.checkpoint(log)))
      copyFileSync(join(folder, "later.db"), filename)
      yield* use(Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
        const { missing, oldOrigin } = yield* resume({ old: second.note })
        assert.deepStrictEqual([missing, oldOrigin], [10, second.checkpoint.origin])
        yield* emitMany(3)
        yield* Ledger.checkpoint(log)
        assert.deepStrictEqual(yield* faults({ vkey }), [])
        assert.deepStrictEqual(yield* faults({ vkey, known: early.note }), [])
        assert.strictEqual((yield* faults({ vkey, known: second.note })).length, 1)
        const store = yield* LogStore.LogStore
        assert.deepStrictEqual((yield* store.log(log))?.origins.map(({ since }) => since), [0, 21, 27])
      }))
    }))

  it.live("is exported as tiles of its new origin, in a folder of their own", () =>
    Effect.gen(function*() {
      const { folder, key: { vkey }, use } = yield* lost
      yield* use(
        Effect.gen(function*() {
          yield* resume()
          yield* emitMany(300)
          const source = yield* (yield* Ledger.Ledger).tiles(log)
          yield* Tiles.write(join(folder, "tiles"), source)
          const { checkpoint, faults } = yield* Tiles.verify(join(folder, "tiles"), vkey)
          assert.deepStrictEqual([faults, checkpoint?.size, checkpoint?.origin], [[], 322, source.checkpoint.origin])
        }).pipe(Effect.provide(NodeFileSystem.layer))
      )
    }))

  it.live("is not excused by a seam that someone forged: the signer's state has not ended its origin", () =>
    Effect.gen(function*() {
      const { filename, key: { vkey }, signer, use } = yield* lost
      const db = new DatabaseSync(filename)
      db.exec(
        "DELETE FROM audit_stop; INSERT INTO audit_origin VALUES (1, 21, 'effect-audit.local/log/" + "0".repeat(32) +
          "')"
      )
      db.close()
      yield* use(emitMany(3))
      const signed = yield* SqliteSignerState.read(signer.state)
      const found = yield* Effect.provide(faults({ vkey, signed }), ledgerReading(filename))
      assert.isTrue(found.some((fault) => fault.startsWith("truncated: the log went on as another at size 21")))
      assert.isTrue(found.some((fault) => fault.includes("no audit.log_resumed says so")))
    }))

  for (const count of [1, 19, 20, 25]) {
    it.live(`goes on as well where ${count} other events came after the loss, and nobody asks for them again`, () =>
      Effect.gen(function*() {
        const files = yield* ledgerFiles
        const { filename, folder, key: { vkey } } = files
        const use = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Layer.fresh(stack(files)))
        yield* use(Effect.andThen(emitMany(20), Ledger.checkpoint(log)))
        copyFileSync(filename, join(folder, "backup.db"))
        yield* use(Effect.andThen(emitMany(20), Ledger.checkpoint(log)))
        copyFileSync(join(folder, "backup.db"), filename)
        // An application that knows nothing of the signer's state takes them.
        yield* Effect.provide(emitMany(count), Layer.fresh(sqliteAt({ filename })))
        yield* use(Effect.gen(function*() {
          assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
          const { missing, receipt } = yield* resume()
          assert.deepStrictEqual([missing, receipt.position], [Math.max(1, 20 - count), 21 + count])
          yield* emitMany(2)
          yield* Ledger.checkpoint(log)
          assert.deepStrictEqual(yield* faults({ vkey }), [])
        }))
      }))
  }

  it.live("is not resumed for nothing, by a stranger's checkpoint, or without a reason", () =>
    Effect.gen(function*() {
      const files = yield* ledgerFiles
      const other = yield* ledgerFiles
      const foreign = yield* Effect.andThen(emitMany(3), Ledger.checkpoint(log)).pipe(
        Effect.provide(Layer.fresh(stack(other)))
      )
      yield* Effect.gen(function*() {
        yield* emitMany(3)
        yield* emitMany(3, { tenantId: "t_globex" })
        const { note } = yield* Ledger.checkpoint(log)
        const globex = yield* Ledger.checkpoint({ ...log, tenantId: RequestContext.TenantId.make("t_globex") })
        const path = (options: Partial<Ledger.ResumeOptions>) =>
          Effect.map(Effect.flip(resume(options)), ({ reason }) =>
            reason._tag === "InvalidInput" ? reason.path : reason._tag)
        assert.strictEqual(yield* path({}), "")
        assert.strictEqual(yield* path({ old: note }), "")
        assert.strictEqual(yield* path({ old: globex.note }), "/old")
        assert.strictEqual(yield* path({ old: foreign.note }), "/old")
        assert.strictEqual(yield* path({ old: "nonsense" }), "/old")
        assert.strictEqual(yield* path({ reason: " " }), "/reason")
        assert.strictEqual((yield* events).length, 4)
        assert.isUndefined((yield* (yield* LogStore.LogStore).log(log))?.stopped)
      }).pipe(Effect.provide(Layer.fresh(stack(files))))
    }))
})

describe("a log that is gone as a whole", () => {
  for (const begun of [true, false]) {
    it.live(`goes on as its tenant's new log, which ${begun ? "had begun" : "begins with it"}`, () =>
      Effect.gen(function*() {
        const files = yield* ledgerFiles
        const { filename, folder, key: { vkey } } = files
        const use = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Layer.fresh(stack(files)))
        yield* use(emitMany(3, { tenantId: "t_globex" }))
        copyFileSync(filename, join(folder, "backup.db"))
        const { checkpoint } = yield* use(Effect.andThen(emitMany(20), Ledger.checkpoint(log)))
        copyFileSync(join(folder, "backup.db"), filename)
        yield* use(Effect.gen(function*() {
          if (begun) {
            yield* emit(1)
            assert.strictEqual((yield* Effect.flip(Ledger.checkpoint(log))).reason._tag, "LeafMissing")
          }
          const { missing, oldOrigin, receipt } = yield* resume()
          assert.deepStrictEqual([oldOrigin, receipt.position, missing], [
            checkpoint.origin,
            begun ? 2 : 1,
            21
          ])
          yield* emitMany(2)
          yield* Ledger.checkpoint(log)
          assert.deepStrictEqual(yield* faults({ vkey }), [])
        }))
      }))
  }
})

describe("a resumption that does not succeed", () => {
  /** Another tenant's log stays, the own one is gone as a whole. */
  const gone = Effect.gen(function*() {
    const files = yield* ledgerFiles
    const { filename, folder } = files
    const use = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Layer.fresh(stack(files)))
    yield* use(emitMany(3, { tenantId: "t_globex" }))
    copyFileSync(filename, join(folder, "backup.db"))
    const { note } = yield* use(Effect.andThen(emitMany(20), Ledger.checkpoint(log)))
    const beta = { ...log, tenantId: RequestContext.TenantId.make("t_beta") }
    const other = yield* use(
      Effect.andThen(emitMany(8, { tenantId: "t_beta" }), Ledger.checkpoint(beta))
    )
    const takeBack = () => copyFileSync(join(folder, "backup.db"), filename)
    takeBack()
    return { ...files, use, note, other: other.note, takeBack }
  })
  const tags = Effect.map(faults(), (found) => found.map((fault) => fault.split(":")[0]))

  it.live("leaves the loss of a whole log a fault, and may be repeated", () =>
    Effect.gen(function*() {
      const { filename, key: { vkey }, use } = yield* gone
      const changing = (sql: string) => {
        const db = new DatabaseSync(filename)
        db.exec(sql)
        db.close()
      }
      changing("CREATE TRIGGER full BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END")
      yield* use(Effect.gen(function*() {
        yield* Effect.flip(resume())
        changing("DROP TRIGGER full")
        assert.deepStrictEqual(yield* tags, ["missing", "missing"])
        assert.strictEqual((yield* resume()).missing, 21)
        assert.strictEqual((yield* faults({ vkey })).length, 1)
      }))
    }))

  it.live("of a transaction that was rolled back may be repeated, without a checkpoint that was kept", () =>
    Effect.gen(function*() {
      const { key: { vkey }, use } = yield* lost
      yield* use(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Effect.exit(sql.withTransaction(Effect.andThen(resume(), Effect.fail("no"))))
        assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
        assert.strictEqual((yield* sql.withTransaction(resume())).missing, 20)
        assert.strictEqual((yield* emit(1)).position, 22)
        yield* Ledger.checkpoint(log)
        assert.deepStrictEqual(yield* faults({ vkey }), [])
      }))
    }))

  it.live("of a transaction that was rolled back leaves the loss of a whole log a fault, whose new log had begun", () =>
    Effect.gen(function*() {
      const { note, use } = yield* gone
      yield* use(Effect.gen(function*() {
        yield* emit(1)
        const sql = yield* SqlClient.SqlClient
        yield* Effect.exit(sql.withTransaction(Effect.andThen(resume(), Effect.fail("no"))))
        assert.deepStrictEqual(yield* tags, ["missing", "missing"])
        assert.strictEqual((yield* resume()).receipt.position, 2)
        assert.deepStrictEqual(yield* tags, ["missing"])
        const again = yield* Effect.flip(resume({ old: note }))
        assert(again.reason._tag === "InvalidInput" && again.reason.path === "/old", String(again))
      }))
    }))

  it.live("is refused for the lost log of another tenant, which stays a fault", () =>
    Effect.gen(function*() {
      const { note, other, use } = yield* gone
      yield* use(Effect.gen(function*() {
        const error = yield* Effect.flip(resume({ old: other }))
        assert(error.reason._tag === "InvalidInput" && error.reason.path === "/old", String(error))
        assert.deepStrictEqual(yield* tags, ["missing", "missing"])
        yield* resume({ old: note })
        assert.deepStrictEqual(yield* tags, ["missing"])
        // Who kept the checkpoint of what is gone is told so, whatever went on.
        assert.strictEqual((yield* faults({ known: note })).length, 2)
      }))
    }))

  it.live("signs what went on: its loss is a fault as well", () =>
    Effect.gen(function*() {
      const { takeBack, use } = yield* gone
      yield* use(resume())
      takeBack()
      yield* use(Effect.gen(function*() {
        assert.deepStrictEqual(yield* tags, ["missing", "missing"])
      }))
    }))

  it.live("ends an origin that the signer's state does not know", () =>
    Effect.gen(function*() {
      const { signer } = yield* lost
      const state = join(signer.state, "..", "another.db")
      yield* Effect.gen(function*() {
        const signed = yield* Signer.SignerState
        const origin = Origin.make("example.com", new Uint8Array(16))
        const head = { size: 3, root: new Uint8Array(32) }
        yield* signed.end(origin, head, log)
        assert.deepStrictEqual(yield* signed.origins, [{ origin, name: log, head, isEnded: true }])
        assert.strictEqual((yield* Effect.flip(signed.advance(origin, head, head))).reason._tag, "SignerRefused")
      }).pipe(Effect.provide(SqliteSignerState.layer({ state, newSigner: true })))
    }))
})

describe("a stopped log in memory", () => {
  it.live("goes on as well", () =>
    Effect.gen(function*() {
      yield* emitMany(5)
      const before = yield* Ledger.checkpoint(log)
      const store = yield* LogStore.LogStore
      yield* store.change(log, (writer, log) => writer.stop(log, "someone said so", 1))
      assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
      const { missing, origin } = yield* resume()
      assert.strictEqual(missing, 0)
      yield* emit(1)
      const after = yield* Ledger.checkpoint(log)
      assert.deepStrictEqual([after.checkpoint.origin, after.checkpoint.size], [origin, 8])
      const { vkey } = yield* Signer.Signer
      assert.deepStrictEqual(yield* faults({ vkey, known: before.note }), [])
      assert.isTrue(Result.isSuccess(Checkpoint.stated(after.note)))
    }).pipe(Effect.provide(everythingOver(() => Memory.layer()))))
})
