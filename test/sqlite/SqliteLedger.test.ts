import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Effect, Fiber, Layer, Result, Stream } from "effect"
import { AuditError, AuditLogger, DatasetEvent, LoggingEngine, Merkle, PiiStripper, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Checkpoint, Ledger, Proof, SignedNote, Signer, SigningKey } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { AuditTrail, type Filter } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { createHmac } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gunzipSync } from "node:zlib"
import { groupBucketOf, groupSegments, segmentsOf } from "../../src/trail/groups.ts"
import { bucketOf, offsetsOf, term } from "../../src/trail/terms.ts"
import { treeHash } from "../reference.ts"
import { ledgerAt, ledgerFiles, log, sqliteAt, temporaryFolder, within } from "../support.ts"

const emit = (n: number, more: Partial<RequestContext.Json> = {}, draft: Partial<AuditLogger.AuditDraft> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n }, ...draft }).pipe(within(more))
const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, more), { concurrency: 64 })
const reasonOf = (error: AuditError.AuditError | AuditError.IntegrityError) => `${error._tag} ${error.reason._tag}`
const findings = (options: Ledger.VerifyOptions = {}) => Stream.runCollect(Ledger.verify(options))
const faults = (options: Ledger.VerifyOptions = {}) =>
  Effect.map(findings(options), (all) => all.filter((finding) => finding._tag === "Fault"))

/** The entries of a log, read straight from its events. */
const entriesOf = (filename: string, tenant = "t_acme") => {
  const db = new DatabaseSync(filename, { readOnly: true })
  const rows = db.prepare(
    "SELECT commitment FROM audit_event JOIN audit_log ON audit_log.id = audit_event.log WHERE tenant_id = ? ORDER BY position"
  ).all(tenant)
  db.close()
  return rows.map((row) => {
    const { commitment } = row
    assert(commitment instanceof Uint8Array)
    return Buffer.concat([Buffer.of(1), commitment])
  })
}

describe("SqliteLedger: checkpoints", () => {
  it.live("sign the tree of the events, of every size over several bundles", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        for (const count of [0, 1, 1, 3, 248, 1, 1, 1, 255, 200]) {
          yield* Effect.andThen(emitMany(count), emit(-1))
          const { checkpoint, note } = yield* Ledger.checkpoint(log)
          const entries = entriesOf(filename)
          assert.strictEqual(checkpoint.size, entries.length)
          assert.deepStrictEqual(Buffer.from(checkpoint.root), treeHash(entries))
          const verifier = SigningKey.verifierOf(key.vkey, checkpoint.origin)
          assert(verifier !== undefined)
          assert.deepStrictEqual(Result.getOrThrow(Checkpoint.open(note, [verifier])).checkpoint, checkpoint)
          assert.match(checkpoint.origin, /^effect-audit\.local\/log\/[0-9a-f]{32}$/)
          assert.notInclude(note, "t_acme")
          assert.strictEqual((yield* Ledger.checkpoint(log)).note, note)
        }
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("grow two tiers of subtrees, and a log that is opened again goes on with them", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* emitMany(40_000).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      yield* Effect.gen(function*() {
        yield* emitMany(30_000)
        const { checkpoint } = yield* Ledger.checkpoint(log)
        assert.strictEqual(checkpoint.size, 70_001)
        const range = new Merkle.CompactRange()
        for (const entry of entriesOf(filename)) range.append(Merkle.leafHash(entry))
        assert.deepStrictEqual(Buffer.from(checkpoint.root), Buffer.from(range.root()))
        const db = new DatabaseSync(filename, { readOnly: true })
        assert.deepStrictEqual(
          db.prepare("SELECT level, count(*) AS n FROM audit_subtree GROUP BY level").all().map((row) => ({ ...row })),
          [{ level: 8, n: 273 }, { level: 16, n: 1 }]
        )
        db.close()
        const ledger = yield* Ledger.Ledger
        for (const oldSize of [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000, 70_001]) {
          const { proof, signed } = yield* ledger.consistency({ ...log, oldSize })
          const old = new Merkle.CompactRange()
          for (const entry of entriesOf(filename).slice(0, oldSize)) old.append(Merkle.leafHash(entry))
          assert.isTrue(Merkle.verifyConsistency({
            oldSize,
            size: 70_001,
            oldRoot: old.root(),
            root: signed.checkpoint.root,
            proof
          }))
        }
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("are signed on the interval, for every log that has grown", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      const ledger = Ledger.layerSigning({ interval: "20 millis" }).pipe(
        Layer.provide(Signer.layer(signer)),
        Layer.provideMerge(sqliteAt({ filename, signer }))
      )
      yield* Effect.gen(function*() {
        yield* emitMany(3)
        yield* emitMany(3, { tenantId: "t_globex" })
        const { latest } = yield* Ledger.Ledger
        const until = (size: number, tenantId: string): Effect.Effect<void, unknown> =>
          Effect.flatMap(latest({ ...log, tenantId: RequestContext.TenantId.make(tenantId) }), (signed) =>
            signed?.checkpoint.size === size ? Effect.void : Effect.andThen(Effect.sleep(5), until(size, tenantId)))
        yield* Effect.timeout(Effect.andThen(until(4, "t_acme"), until(4, "t_globex")), "10 seconds")
        yield* emit(1)
        yield* Effect.timeout(until(5, "t_acme"), "10 seconds")
      }).pipe(Effect.provide(ledger))
    }))

  it.live("are not signed without a key, and the key is not shown", () =>
    Effect.gen(function*() {
      const { filename, folder, key } = yield* ledgerFiles
      const secret = readFileSync(join(folder, "key"), "utf8").trim().split("+").slice(4).join("+")
      assert.notInclude(JSON.stringify(key), secret)
      yield* Effect.gen(function*() {
        const { eventId } = yield* emit(1)
        for (const call of [Effect.asVoid(Ledger.checkpoint(log)), Effect.asVoid(Ledger.prove({ ...log, eventId }))]) {
          assert.strictEqual(reasonOf(yield* Effect.flip(call)), "AuditError SignerRefused")
        }
      }).pipe(Effect.provide(ledgerAt({ filename })))
      chmodSync(join(folder, "key"), 0o640)
      const refused = yield* Effect.flip(SigningKey.fromFile(join(folder, "key")))
      assert.match(refused.message, /chmod 600/)
      assert.notInclude(refused.message, secret)
      assert.strictEqual(statSync(join(folder, "key.state"), { throwIfNoEntry: false }), undefined)
      writeFileSync(join(folder, "other"), "nonsense", { mode: 0o600 })
      assert.strictEqual(
        reasonOf(yield* Effect.flip(SigningKey.fromFile(join(folder, "other")))),
        "AuditError SignerRefused"
      )
      assert.strictEqual(
        reasonOf(yield* Effect.flip(SigningKey.generate(join(folder, "key"), "x"))),
        "AuditError SignerRefused"
      )
    }))
})

describe("SqliteLedger: the signer's state", () => {
  it.live("keeps a restored backup from signing a fork; only its log stops, for every process", () =>
    Effect.gen(function*() {
      const { filename, folder, key, signer } = yield* ledgerFiles
      const stack = ledgerAt({ filename }, signer)
      yield* emitMany(3).pipe(Effect.provide(stack))
      copyFileSync(filename, join(folder, "backup.db"))
      const later = yield* Effect.andThen(emitMany(2), Ledger.checkpoint(log)).pipe(Effect.provide(stack))
      copyFileSync(join(folder, "backup.db"), filename)
      yield* Effect.gen(function*() {
        // The signer's state is known to the sink of this process: the log does not even take an event.
        const refused = yield* Effect.flip(emit(9))
        assert.strictEqual(reasonOf(refused), "AuditError LogStopped")
        assert("cause" in refused.reason)
        assert.instanceOf(refused.reason.cause, AuditError.IntegrityError)
        assert.strictEqual(
          reasonOf(yield* Effect.flip(Ledger.checkpoint(log))),
          "IntegrityError CheckpointInconsistent"
        )
        yield* emit(1, { tenantId: "t_globex" })
        const page = yield* AuditTrail.query(log)
        assert.strictEqual(page.items.length, 4)
        const [fault] = yield* faults({ vkey: key.vkey, log })
        assert.strictEqual(fault?.fault, "truncated")
      }).pipe(Effect.provide(stack))
      // Without the signer the stop is still known: it is in the store.
      yield* Effect.gen(function*() {
        assert.strictEqual(reasonOf(yield* Effect.flip(emit(9))), "AuditError LogStopped")
        yield* emit(2, { tenantId: "t_globex" })
        const [fault] = yield* faults({ known: later.note, vkey: key.vkey })
        assert.strictEqual(fault?.fault, "truncated")
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))

  it.live("stops a log whose tree is another one than was signed, while it is open", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        yield* emitMany(5)
        yield* Ledger.checkpoint(log)
        const db = new DatabaseSync(signer.state)
        db.exec("UPDATE signed SET root = zeroblob(32)")
        db.close()
        assert.strictEqual(
          reasonOf(yield* Effect.flip(Ledger.checkpoint(log))),
          "IntegrityError CheckpointInconsistent"
        )
        assert.strictEqual(reasonOf(yield* Effect.flip(emit(6))), "AuditError LogStopped")
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("stops a log for every process that has it open, and no other log", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      const [signing, writing] = yield* Effect.all([
        Layer.build(Layer.fresh(ledgerAt({ filename }, signer))),
        Layer.build(Layer.fresh(ledgerAt({ filename })))
      ])
      yield* Effect.provide(emitMany(5), signing)
      yield* Effect.provide(Ledger.checkpoint(log), signing)
      yield* Effect.provide(Effect.andThen(emit(6), emit(6, { tenantId: "t_globex" })), writing)
      const db = new DatabaseSync(signer.state)
      db.exec("UPDATE signed SET root = zeroblob(32)")
      db.close()
      yield* Effect.flip(Effect.provide(Ledger.checkpoint(log), signing))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        for (const call of [emit(7), sql.withTransaction(emit(7))]) {
          const refused = yield* Effect.flip(call)
          assert(refused._tag === "AuditError" && refused.reason._tag === "LogStopped")
          assert(refused.reason.cause instanceof AuditError.IntegrityError)
          assert.strictEqual(refused.reason.cause.reason._tag, "CheckpointInconsistent")
        }
        const together = yield* Effect.all([
          Effect.result(emit(8)),
          Effect.result(emit(8, { tenantId: "t_globex" })),
          Effect.result(emit(8, { env: "staging" }))
        ], { concurrency: 3 })
        assert.deepStrictEqual(
          together.map((result) => result._tag === "Success" ? result.success.position : result.failure.reason._tag),
          ["LogStopped", 2, 1]
        )
        assert.strictEqual((yield* AuditTrail.query(log)).items.length, 7)
      }).pipe(Effect.provide(writing))
    }))

  it.live("signs no text that someone wrote into the store as an origin", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      yield* Effect.andThen(emitMany(3), Ledger.checkpoint(log)).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      const db = new DatabaseSync(filename)
      db.exec(
        "DROP TRIGGER audit_log_is_final; DELETE FROM audit_stop; DROP TRIGGER audit_checkpoint_stays; DELETE FROM audit_checkpoint"
      )
      db.exec("UPDATE audit_log SET origin = origin || char(10) || '1000' || char(10) || 'A'")
      db.close()
      const refused = yield* Effect.flip(Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, signer))))
      assert.strictEqual(reasonOf(refused), "AuditError SignerRefused")
    }))

  it.live("is kept while a transaction that completes a bundle is open, and a shorter tail never replaces a longer one", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* emitMany(250)
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* emitMany(20)
          const { checkpoint } = yield* Ledger.checkpoint(log)
          assert.strictEqual(checkpoint.size, 251)
        }))
        yield* Ledger.checkpoint(log)
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("that was removed while it was open signs nothing more, and verifies", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        yield* emit(1)
        yield* Ledger.checkpoint(log)
        rmSync(signer.state)
        yield* emit(2)
        assert.strictEqual(reasonOf(yield* Effect.flip(Ledger.checkpoint(log))), "AuditError SignerRefused")
        assert.deepStrictEqual(yield* faults({}), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("knows the logs that another key has signed, or is that of a new signer", () =>
    Effect.gen(function*() {
      const [{ filename, signer }, other] = [yield* ledgerFiles, yield* ledgerFiles]
      yield* Effect.andThen(emitMany(2), Ledger.checkpoint(log)).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      const signedBy = (signer: Parameters<typeof ledgerAt>[1]) =>
        Ledger.checkpoint(log).pipe(Effect.provide(Layer.fresh(ledgerAt({ filename }, signer))))
      // Its state is there, of another store.
      yield* Effect.andThen(emitMany(1), Ledger.checkpoint(log)).pipe(
        Effect.provide(ledgerAt({ filename: other.filename }, other.signer))
      )
      const error = yield* Effect.flip(signedBy({ ...other.signer, newSigner: false }))
      assert.strictEqual(error.reason._tag, "SignerRefused")
      assert.match(error.message, /which another key has signed/)
      // The log goes on; a key that follows has the same state, and a new signer says so.
      yield* emit(3).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      const state = `${other.signer.state}.new`
      for (const next of [{ ...signer, key: other.key, newSigner: false }, { ...other.signer, state }]) {
        assert.strictEqual((yield* signedBy(next)).checkpoint.size, 4)
      }
    }))

  it.live("must be there, unless this is a new signer", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      yield* emit(1).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      yield* Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, { ...signer, newSigner: false })))
      rmSync(signer.state)
      const refused = yield* Effect.flip(
        Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, { ...signer, newSigner: false })))
      )
      assert.strictEqual(reasonOf(refused), "AuditError SignerRefused")
      assert.isFalse(existsSync(signer.state))
      writeFileSync(signer.state, "", { mode: 0o600 })
      const empty = yield* Effect.flip(
        Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, { ...signer, newSigner: false })))
      )
      assert.strictEqual(reasonOf(empty), "AuditError SignerRefused")
      writeFileSync(signer.state, "not a database, but long enough to look like one".repeat(20))
      const nonsense = yield* Effect.flip(
        Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      )
      assert.strictEqual(reasonOf(nonsense), "AuditError SignerRefused")
      rmSync(signer.state)
      yield* Effect.gen(function*() {
        yield* Ledger.checkpoint(log)
        rmSync(signer.state)
        assert.strictEqual(reasonOf(yield* Effect.flip(Ledger.checkpoint(log))), "AuditError SignerRefused")
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("is shared by two processes' signers, which never sign two trees of a size", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      const both = [0, 1].map(() =>
        Effect.gen(function*() {
          for (let n = 0; n < 20; n++) {
            yield* emit(n)
            yield* Ledger.checkpoint(log)
          }
        }).pipe(Effect.provide(Layer.fresh(ledgerAt({ filename }, signer))))
      )
      yield* Effect.all(both, { concurrency: 2 })
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))
})

describe("SqliteLedger: a log whose rows were changed", () => {
  it.live("takes no event that would complete a hash that is there already; others in the same commit are stored", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      yield* emitMany(250).pipe(Effect.provide(ledgerAt({ filename })))
      const db = new DatabaseSync(filename)
      db.exec("DROP TRIGGER audit_subtree_is_due")
      db.exec("INSERT INTO audit_subtree (log, level, idx, hash) VALUES (1, 8, 0, zeroblob(32))")
      db.close()
      yield* Effect.gen(function*() {
        const all = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, n) => n),
          (n) => Effect.result(emit(n, n % 2 === 0 ? {} : { tenantId: "t_globex" })),
          { concurrency: 40 }
        )
        const refused = all.flatMap((result, n) => result._tag === "Failure" ? [[n % 2, reasonOf(result.failure)]] : [])
        // Positions up to 254 are free: after these every event would be the 256th.
        assert.deepStrictEqual(refused, Array.from({ length: 16 }, () => [0, "AuditError LogStopped"]))
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))
})

describe("SqliteLedger: stores of the first version", () => {
  it.live("are brought under the tree when they are opened", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      // The store of the second version, without what that version added to the first.
      const second = new URL("../fixtures/store/audit.db.gz", import.meta.url)
      writeFileSync(filename, gunzipSync(readFileSync(second)), { mode: 0o600 })
      const db = new DatabaseSync(filename)
      db.exec("DROP TABLE bundle; DROP TABLE subtree; DROP TABLE checkpoint; DROP TABLE stop; DROP TABLE hold")
      db.exec("DROP TABLE erasure; PRAGMA user_version = 1")
      db.close()
      yield* Effect.gen(function*() {
        yield* emitMany(100)
        const { checkpoint } = yield* Ledger.checkpoint(log)
        assert.deepStrictEqual(Buffer.from(checkpoint.root), treeHash(entriesOf(filename)))
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))
})

describe("SqliteLedger: proofs", () => {
  it.live("are checked without the store, and are signed for on demand", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const receipts = yield* emitMany(600)
        for (const { eventId, position } of receipts.filter((_, n) => n % 37 === 0)) {
          const proof = yield* Ledger.prove({ ...log, eventId })
          const proven = Result.getOrThrow(Proof.verify(Proof.encode(proof), key.vkey))
          assert(!proven.erased)
          assert.strictEqual(proven.position, position)
          assert.include(proven.event, eventId)
        }
        const unknown = DatasetEvent.EventId.make("01a20bea-9ced-73e3-83cc-67c02e560a68")
        assert.strictEqual(
          reasonOf(yield* Effect.flip(Ledger.prove({ ...log, eventId: unknown }))),
          "AuditError NotFound"
        )
        const { eventId } = yield* emit(1, { tenantId: "t_globex" })
        assert.strictEqual(reasonOf(yield* Effect.flip(Ledger.prove({ ...log, eventId }))), "AuditError NotFound")
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))
})

/** Every byte of the files of a store. */
const bytesOf = (folder: string) =>
  Buffer.concat(
    readdirSync(folder).filter((name) => name.startsWith("audit.db")).map((name) => readFileSync(join(folder, name)))
  )

const by = within({ actor: { type: "human", id: "officer" } })

describe("SqliteLedger: erasure", () => {
  it.live("takes a person's events out of the files, and leaves their entries and proofs", () =>
    Effect.gen(function*() {
      const { filename, folder, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const about = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, n) => n),
          (n) =>
            emit(n, { actor: { type: "human", id: n % 3 === 0 ? "u_gone" : "u_stays" } }, {
              input: { text: n % 3 === 0 || n % 50 === 7 ? `quokka-${n}` : `wombat-${n}` },
              ...(n % 50 === 7 ? { subjectIds: ["u_gone", "u_third"] } : {})
            }),
          { concurrency: 32 }
        )
        yield* Ledger.checkpoint(log)
        const before = yield* Ledger.prove({ ...log, eventId: about[3]!.eventId })
        const erased = yield* by(Erasure.erase({ person: "u_gone", reason: "request 4711" }))
        assert.strictEqual(erased.count, 104)
        assert.isTrue(erased.scrubbed)
        const bytes = bytesOf(folder)
        assert.isFalse(bytes.includes("quokka"))
        assert.isFalse(bytes.includes("u_gone"))
        assert.isTrue(bytes.includes("wombat"))
        // The proof from before, of who kept it, and a new one of the entry that is left.
        const kept = Result.getOrThrow(Proof.verify(Proof.encode(before), key.vkey))
        assert(!kept.erased)
        const left = Result.getOrThrow(
          Proof.verify(Proof.encode(yield* Ledger.prove({ ...log, eventId: about[3]!.eventId })), key.vkey)
        )
        assert(left.erased)
        assert.strictEqual(left.position, about[3]!.position)
        // Until a checkpoint covers the record, it is no evidence.
        assert.strictEqual((yield* faults({ vkey: key.vkey })).length, 100)
        yield* Ledger.checkpoint(log)
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
        const [record] = (yield* AuditTrail.query({ ...log, filter: { action: "audit.erased" } })).items
        assert(record !== undefined && !record.erased)
        assert.deepStrictEqual(record.event.input, { selection: "person", reason: "request 4711" })
        assert.strictEqual(record.event.user_id, "officer")
        assert.deepStrictEqual(record.event.output, { count: 104, positions: erased.positions })
        const again = yield* by(Erasure.erase({ person: "u_gone", reason: "request 4711" }))
        assert.deepStrictEqual(again, { count: 0, positions: [], receipts: [], scrubbed: true })
        const page = yield* AuditTrail.query({ ...log, limit: 1000 })
        assert.strictEqual(page.items.filter((item) => item.erased).length, 104)
        assert.strictEqual((yield* AuditTrail.query({ ...log, filter: { userId: "u_gone" } })).items.length, 0)
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("reaches what is in the search index and behind idempotency keys", () =>
    Effect.gen(function*() {
      const { filename, folder, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const key = { idempotencyKey: "key 1" }
        const create = AuditLogger.emit({ action: "note.create", input: { text: "quokka" } }, key).pipe(
          within({ actor: { type: "human", id: "u_gone" }, correlationId: "corr_gone" })
        )
        const gone = yield* create
        yield* emitMany(4200)
        const trail = (correlation: string) =>
          Effect.map(AuditTrail.query({ ...log, filter: { correlationId: correlation } }), ({ items }) => items.length)
        assert.strictEqual(yield* trail("corr_gone"), 1)
        const { count, scrubbed } = yield* by(Erasure.erase({ eventIds: [gone.eventId], reason: "r" }))
        assert.deepStrictEqual([count, scrubbed], [1, true])
        assert.strictEqual(yield* trail("corr_gone"), 0)
        assert.isFalse(bytesOf(folder).includes("quokka"))
        const db = new DatabaseSync(filename, { readOnly: true })
        const [left] = db.prepare("SELECT digest, key_hash FROM audit_idempotency_key").all()
        const origin = String(db.prepare("SELECT origin FROM audit_log").get()?.["origin"])
        db.close()
        assert.isNull(left?.["digest"])
        // Who has the store, and tries keys, finds nothing.
        const tried = createHmac("sha256", origin).update("key 1").digest().subarray(0, 16)
        assert(left?.["key_hash"] instanceof Uint8Array)
        assert.notStrictEqual(Buffer.compare(left["key_hash"], tried), 0)
        const repeated = yield* create
        assert.deepStrictEqual(
          [repeated.duplicate, repeated.erased, repeated.position],
          [true, true, gone.position]
        )
        // The rest of the index still leads to what is there.
        const { items } = yield* AuditTrail.query({ ...log, limit: 1000, filter: { userId: "u1" } })
        assert.strictEqual(items.length, 1000)
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("by time erases what was recorded before, but never the records of the log itself", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        yield* emitMany(20)
        yield* Effect.sleep(5)
        const now = yield* Clock.currentTimeMillis
        yield* emit(99)
        const first = yield* by(Erasure.erase({ before: new Date(now), reason: "retention" }))
        assert.strictEqual(first.count, 20)
        assert.deepStrictEqual(first.positions, [[1, 20]])
        const all = yield* by(Erasure.erase({ before: new Date(now + 60_000), reason: "retention" }))
        assert.strictEqual(all.count, 1)
        const { items } = yield* AuditTrail.query({ ...log, filter: { action: "audit.*" } })
        assert.strictEqual(items.length, 3)
        for (const { eventId } of items) {
          const refused = yield* Effect.flip(by(Erasure.erase({ eventIds: [eventId], reason: "r" })))
          const isRecord = reasonOf(refused) === "AuditError Protected"
          assert.isTrue(isRecord, reasonOf(refused))
        }
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("never reaches another tenant, refuses what it cannot mean, and is all or nothing", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const mine = yield* emit(1)
        const { eventId } = yield* emit(1, { tenantId: "t_globex" })
        const other = yield* Effect.flip(by(Erasure.erase({ eventIds: [mine.eventId, eventId], reason: "r" })))
        assert.strictEqual(reasonOf(other), "AuditError NotFound")
        assert.strictEqual((yield* by(Erasure.erase({ person: "u_nobody", reason: "r" }))).count, 0)
        const stranger = within({ tenantId: "t_nobody" })
        assert.strictEqual(
          reasonOf(yield* Effect.flip(stranger(Erasure.erase({ person: "u1", reason: "r" })))),
          "AuditError NotFound"
        )
        for (
          const wrong of [
            { person: "not an id", reason: "r" },
            { person: "u1", reason: " " },
            { eventIds: [], reason: "r" },
            { before: new Date(NaN), reason: "r" }
          ]
        ) assert.strictEqual(reasonOf(yield* Effect.flip(by(Erasure.erase(wrong)))), "AuditError InvalidInput")
        const items = (yield* AuditTrail.query(log)).items
        assert.isTrue(items.every((item) => !item.erased))
        const { count } = yield* by(Erasure.erase({ person: "u1", reason: "r" }))
        assert.strictEqual(count, 1)
        const globex = { ...log, tenantId: RequestContext.TenantId.make("t_globex") }
        assert.isTrue((yield* AuditTrail.query(globex)).items.every((item) => !item.erased))
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("says when a reader still holds the bytes, and scrubs them when it is called again", () =>
    Effect.gen(function*() {
      const { filename, folder, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        yield* emit(1, { actor: { type: "human", id: "u_gone" } }, { input: { text: "quokka" } })
        const reader = new DatabaseSync(filename, { readOnly: true })
        reader.exec("BEGIN")
        reader.prepare("SELECT count(*) FROM audit_event").get()
        const first = yield* by(Erasure.erase({ person: "u_gone", reason: "r" }))
        assert.deepStrictEqual([first.count, first.scrubbed], [1, false])
        reader.close()
        const second = yield* by(Erasure.erase({ person: "u_gone", reason: "r" }))
        assert.deepStrictEqual([second.count, second.scrubbed], [0, true])
        assert.isFalse(bytesOf(folder).includes("quokka"))
      }).pipe(Effect.provide(ledgerAt({ filename, deadline: "200 millis" }, signer)))
    }))

  it.live("is noticed by another connection, which does not index what is gone", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      const [one, two] = yield* Effect.all([
        Layer.build(Layer.fresh(ledgerAt({ filename }, signer))),
        Layer.build(Layer.fresh(ledgerAt({ filename })))
      ])
      yield* emit(1, { actor: { type: "human", id: "u_gone" }, correlationId: "corr_gone" }).pipe(Effect.provide(one))
      yield* by(Erasure.erase({ person: "u_gone", reason: "r" })).pipe(Effect.provide(two))
      yield* emitMany(2100).pipe(Effect.provide(one))
      const db = new DatabaseSync(filename, { readOnly: true })
      assert.strictEqual(db.prepare("SELECT count(*) AS n FROM audit_segment").get()?.["n"], 1)
      db.close()
      assert.deepStrictEqual(yield* Effect.provide(faults({ vkey: key.vkey }), one), [])
    }))

  it.live("is noticed by another connection: neither its index nor its answers keep what is gone", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      const [one, two] = yield* Effect.all([
        Layer.build(Layer.fresh(ledgerAt({ filename }))),
        Layer.build(Layer.fresh(ledgerAt({ filename })))
      ])
      const draft = { action: "note.create", input: { text: "quokka" } }
      const about = (id: string, correlationId: string) =>
        AuditLogger.emit(draft, { idempotencyKey: id }).pipe(within({ actor: { type: "human", id }, correlationId }))
      const gone = yield* Effect.provide(about("u_gone", "corr_gone"), one)
      const stays = yield* Effect.provide(about("u_stays", "corr_stays"), one)
      assert.strictEqual(
        (yield* by(Erasure.erase({ person: "u_gone", reason: "r" })).pipe(Effect.provide(two))).count,
        1
      )
      const again = yield* Effect.provide(about("u_gone", "corr_gone"), one)
      assert.deepInclude(again, { eventId: gone.eventId, position: 1, duplicate: true, erased: true, trainOk: false })
      assert.deepStrictEqual([...again.piiFlags.flags], [])
      const other = AuditLogger.emit({ action: "other.thing" }, { eventId: gone.eventId }).pipe(within())
      assert.strictEqual((yield* Effect.flip(Effect.provide(other, one))).reason._tag, "InvalidInput")
      assert.deepStrictEqual(yield* Effect.provide(about("u_stays", "corr_stays"), one), { ...stays, duplicate: true })
      yield* emitMany(2048).pipe(Effect.provide(one))
      const db = new DatabaseSync(filename, { readOnly: true })
      const offsets = (field: string, value: string) => {
        const wanted = term(field, value)
        const row = db.prepare("SELECT postings FROM audit_bucket WHERE segment = 0 AND bucket = ?").get(
          bucketOf(wanted)
        )
        return row?.["postings"] instanceof Uint8Array ? offsetsOf(row["postings"], wanted) : []
      }
      assert.deepStrictEqual(offsets("correlation_id", "corr_gone"), [])
      assert.deepStrictEqual(offsets("user_id", "u_gone"), [])
      assert.deepStrictEqual(offsets("correlation_id", "corr_stays"), [2])
      assert.deepStrictEqual(offsets("event_id", gone.eventId), [1])
      db.close()
    }))

  it.live("takes what is gone out of the groups of segments too, and leaves what stays", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const about = (id: string) => emit(1, { actor: { type: "human", id }, correlationId: `corr_${id}` })
        yield* about("u_gone")
        const { eventId } = yield* about("u_stays")
        // Half as many again, with which the group is merged.
        yield* emitMany(2048 * groupSegments * 1.5)
        yield* about("u_stays")
        const db = new DatabaseSync(filename, { readOnly: true })
        const bits = (field: string, value: string) => {
          const wanted = term(field, value)
          const row = db.prepare("SELECT postings FROM audit_bucket WHERE segment = -1 AND bucket = ?")
            .get(groupBucketOf(wanted))
          return row?.["postings"] instanceof Uint8Array ? segmentsOf(row["postings"], wanted) : undefined
        }
        assert.strictEqual(db.prepare("SELECT count(*) AS n FROM audit_bucket WHERE segment < 0").get()?.["n"], 512)
        assert.strictEqual(bits("correlation_id", "corr_u_gone"), 1)
        assert.strictEqual(bits("correlation_id", "corr_u_stays"), 1)
        assert.strictEqual(bits("action", "note.create"), -1)
        const found = (filter: Filter.Filter) =>
          Effect.map(AuditTrail.query({ ...log, filter }), ({ items }) => items.map(({ eventId }) => eventId))
        assert.strictEqual((yield* found({ correlationId: "corr_u_stays" })).at(-1), eventId)
        assert.strictEqual((yield* found({ correlationId: "corr_u_gone" })).length, 1)
        yield* by(Erasure.erase({ person: "u_gone", reason: "r" }))
        assert.strictEqual(bits("correlation_id", "corr_u_gone"), 0)
        assert.strictEqual(bits("user_id", "u_gone"), 0)
        assert.strictEqual(bits("correlation_id", "corr_u_stays"), 1)
        assert.deepStrictEqual(yield* found({ correlationId: "corr_u_gone" }), [])
        assert.strictEqual((yield* found({ correlationId: "corr_u_stays" })).length, 2)
        db.close()
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }), 60_000)

  it.live("leaves an event id used: no event of that id is answered as erased, in its own log neither", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { eventId } = yield* emit(1)
        yield* by(Erasure.erase({ eventIds: [eventId], reason: "r" }))
        const repeat = (more: Partial<RequestContext.Json>) =>
          AuditLogger.emit({ action: "note.create" }, { eventId }).pipe(within(more))
        for (const more of [{}, { tenantId: "t_globex" }, { env: "staging" }]) {
          for (const call of [repeat(more), sql.withTransaction(repeat(more))]) {
            const refused = yield* Effect.flip(call)
            assert(refused._tag === "AuditError" && refused.reason._tag === "InvalidInput")
            assert.strictEqual(refused.reason.path, "/eventId")
          }
        }
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))

  it.live("is recorded by the ledger alone", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        for (const action of ["audit.erased", "audit.held", "audit.released", "audit.log_created"]) {
          const refused = yield* Effect.flip(AuditLogger.emit({ action }).pipe(within()))
          assert(refused.reason._tag === "InvalidInput")
          assert.strictEqual(refused.reason.path, "/action")
        }
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))

  it.live("does not happen where the engine records to another store", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      yield* emit(1).pipe(Effect.provide(ledgerAt({ filename })))
      const elsewhere = Layer.effect(
        LoggingEngine.LoggingEngine,
        LoggingEngine.make()
      ).pipe(Layer.provide([Memory.layer(), PiiStripper.layer()]))
      const stack = Erasure.layer.pipe(
        Layer.provide(elsewhere),
        Layer.provideMerge(sqliteAt({ filename }))
      )
      yield* Effect.gen(function*() {
        const refused = yield* Effect.flip(by(Erasure.erase({ person: "u1", reason: "r" })))
        assert.strictEqual(reasonOf(refused), "AuditError SinkRejected")
        assert.isTrue((yield* AuditTrail.query(log)).items.every((item) => !item.erased))
      }).pipe(Effect.provide(stack))
    }))
})

describe("SqliteLedger: legal hold", () => {
  it.live("keeps a person's, an event's and a time's events until it is released, and is recorded", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        const { eventId } = yield* emit(1, { actor: { type: "human", id: "u_held" } })
        const now = yield* Clock.currentTimeMillis
        const selections: ReadonlyArray<Erasure.HoldSelection> = [
          { person: "u_held" },
          { eventIds: [eventId] },
          { before: new Date(now + 60_000) },
          { since: new Date(now - 60_000), before: new Date(now + 60_000) }
        ]
        const ledger = yield* Erasure.Erasure
        for (const selection of selections) {
          yield* by(ledger.hold({ ...selection, reason: "case 12" }))
          for (const erasing of [{ person: "u_held" }, { eventIds: [eventId] }, { before: new Date(now + 60_000) }]) {
            assert.strictEqual(
              reasonOf(yield* Effect.flip(by(ledger.erase({ ...erasing, reason: "r" })))),
              "AuditError Held"
            )
          }
          yield* by(ledger.release({ ...selection, reason: "case 12 ended" }))
          assert.strictEqual(
            reasonOf(yield* Effect.flip(by(ledger.release({ ...selection, reason: "again" })))),
            "AuditError NotFound"
          )
        }
        const actions = (yield* AuditTrail.query({ ...log, filter: { action: "audit.*" } })).items.map((item) =>
          item.erased ? "" : item.event.action
        )
        assert.strictEqual(actions.filter((action) => action === "audit.held").length, 4)
        assert.strictEqual(actions.filter((action) => action === "audit.released").length, 4)
        assert.isAbove((yield* by(ledger.erase({ person: "u_held", reason: "r" }))).count, 0)
        assert.deepStrictEqual(yield* faults({ vkey: key.vkey }), [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))
})

describe("SqliteLedger: concurrency", () => {
  it.live("emits, signs, proves, erases and verifies side by side", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        yield* emit(0)
        const emitting = yield* Effect.forkChild(emitMany(3000))
        const work = Effect.forEach(Array.from({ length: 10 }, (_, n) => n), (n) =>
          Effect.gen(function*() {
            const { eventId } = yield* emit(n, { actor: { type: "human", id: `u_${n}` } })
            yield* Ledger.checkpoint(log)
            yield* Ledger.prove({ ...log, eventId })
            assert.strictEqual((yield* by(Erasure.erase({ person: `u_${n}`, reason: "r" }))).count, 1)
            yield* Ledger.checkpoint(log)
            // Another's erasure may not be covered yet.
            const found = (yield* faults({ vkey: key.vkey })).filter(({ detail }) =>
              !detail.includes("once a checkpoint")
            )
            assert.deepStrictEqual(found, [])
          }), { concurrency: 3 })
        yield* work
        yield* Fiber.join(emitting)
        yield* Ledger.checkpoint(log)
        const end = (yield* findings({ vkey: key.vkey, log })).find((finding) => finding._tag === "Verified")
        assert(end?._tag === "Verified")
        assert.deepStrictEqual([end.faults, end.size, end.covered, end.erased], [0, 3022, 3022, 10])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))
})

describe("SignedNote: private keys", () => {
  it.live("are read from a file as they were written, and refused otherwise", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "key")
      const key = yield* SigningKey.generate(path, "test/signer")
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.strictEqual((yield* SigningKey.fromFile(path)).vkey, key.vkey)
      const text = readFileSync(path, "utf8").trim()
      const configured = yield* SigningKey.fromConfig("AUDIT_KEY").pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ AUDIT_KEY: text })))
      )
      assert.strictEqual(configured.vkey, key.vkey)
      const read = SignedNote.parseSkey(text)
      assert(read !== undefined)
      assert.strictEqual(SignedNote.encodeSkey(read.name, read.seed), text)
      for (const bad of [text.slice(1), text.slice(0, -2), text.replace("test/", "tost/"), ""]) {
        assert.isUndefined(SignedNote.parseSkey(bad))
      }
      const missing = yield* Effect.flip(SigningKey.fromFile(join(folder, "none")))
      assert.match(missing.message, /cannot be read: ENOENT/)
    }))
})
