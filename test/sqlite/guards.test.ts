/** What someone can do to a store by hand: what is refused, what is noticed, and what never makes the sink lie. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger } from "effect-audit/ledger"
import { SqliteSignerState } from "effect-audit/sqlite"
import { SqlClient } from "effect/sql"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ledgerAt, ledgerFiles, ledgerReading, log, sqliteAt, temporaryFile, within } from "../support.ts"

const emit = (n: number, more: Partial<RequestContext.Json> = {}, options: { readonly idempotencyKey?: string } = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n } }, options).pipe(within(more))
const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, more), { concurrency: 64 })
const by = within({ actor: { type: "human", id: "officer" } })
const faultsOf = (filename: string, options: Ledger.VerifyOptions = {}) =>
  Stream.runCollect(Ledger.verify(options)).pipe(
    Effect.map((all) => all.flatMap((finding) => finding._tag === "Fault" ? [finding] : [])),
    Effect.provide(ledgerReading(filename))
  )
const changing = (filename: string, sql: string) => {
  const db = new DatabaseSync(filename)
  try {
    db.exec(sql)
  } finally {
    db.close()
  }
}
/** As someone does who is not kept by guards, and puts them back. */
const forging = (filename: string, sql: string) => {
  const db = new DatabaseSync(filename)
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all()
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${String(name)}`)
  try {
    db.exec(sql)
  } finally {
    for (const { sql } of triggers) db.exec(String(sql))
    db.close()
  }
}
/** A store with a full bundle, a checkpoint, a hold, an erasure and an idempotency key. */
const store = Effect.gen(function*() {
  const files = yield* ledgerFiles
  yield* Effect.gen(function*() {
    yield* emit(0, {}, { idempotencyKey: "k" })
    yield* emitMany(300)
    yield* emit(1, { actor: { type: "human", id: "u_gone" } })
    yield* by(Erasure.hold({ person: "u9", reason: "r" }))
    yield* by(Erasure.erase({ person: "u_gone", reason: "r" }))
    yield* Ledger.checkpoint(log)
  }).pipe(Effect.provide(ledgerAt({ filename: files.filename }, files.signer)))
  assert.deepStrictEqual(yield* faultsOf(files.filename, { vkey: files.key.vkey }), [])
  return files
})

describe("guards of a store", () => {
  it.live("refuse what no release of the store does", () =>
    Effect.gen(function*() {
      const { filename } = yield* store
      const all = "SELECT * FROM"
      for (
        const sql of [
          "UPDATE audit_log SET env = 'x'",
          "DELETE FROM audit_log",
          `REPLACE INTO audit_log ${all} audit_log`,
          "UPDATE audit_event SET log = 2",
          "DELETE FROM audit_event",
          `REPLACE INTO audit_event ${all} audit_event`,
          "INSERT INTO audit_segment VALUES (0, 0, 0)",
          "UPDATE audit_bundle SET commitments = zeroblob(8192)",
          "DELETE FROM audit_bundle",
          "REPLACE INTO audit_bundle SELECT log, idx, zeroblob(8192) FROM audit_bundle",
          "INSERT INTO audit_bundle SELECT log, idx, zeroblob(32) FROM audit_bundle WHERE 1 ON CONFLICT DO UPDATE SET commitments = zeroblob(32)",
          "UPDATE audit_subtree SET hash = zeroblob(32)",
          "DELETE FROM audit_subtree",
          `REPLACE INTO audit_subtree ${all} audit_subtree`,
          "INSERT INTO audit_subtree VALUES (1, 8, 1, zeroblob(32))",
          "INSERT INTO audit_subtree VALUES (1, 16, 0, zeroblob(32))",
          "UPDATE audit_checkpoint SET note = ''",
          "DELETE FROM audit_checkpoint",
          `REPLACE INTO audit_checkpoint ${all} audit_checkpoint`,
          "UPDATE audit_idempotency_key SET seq = 3",
          "DELETE FROM audit_idempotency_key",
          `REPLACE INTO audit_idempotency_key ${all} audit_idempotency_key`,
          "UPDATE audit_erasure SET log = 2",
          "DELETE FROM audit_erasure"
        ]
      ) assert.throws(() => changing(filename, sql), undefined, undefined, sql)
      assert.deepStrictEqual(yield* faultsOf(filename), [])
    }))

  it.live("are missed by verification, each of them, dropped or changed", () =>
    Effect.gen(function*() {
      const { filename, folder } = yield* store
      const db = new DatabaseSync(filename, { readOnly: true })
      const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all().map(({ name }) =>
        String(name)
      )
      db.close()
      assert.isAbove(names.length, 20)
      const copy = join(folder, "copy.db")
      for (const name of names) {
        for (const more of ["", `; CREATE TRIGGER ${name} AFTER INSERT ON audit_stop BEGIN SELECT 1; END`]) {
          copyFileSync(filename, copy)
          changing(copy, `DROP TRIGGER ${name}${more}`)
          assert.deepStrictEqual(
            (yield* faultsOf(copy)).map(({ detail, fault }) => [fault, detail]),
            [["guard", `the guard ${name} is not there as it was made`]]
          )
        }
      }
      // They are not put back without a word: opening the store changes nothing of it.
      yield* emit(1).pipe(Effect.provide(sqliteAt({ filename: copy })))
      assert.strictEqual((yield* faultsOf(copy)).length, 1)
    }))
})

describe("a store that someone changed", () => {
  it.live("takes no event whose row a trigger swallows, and says so", () =>
    Effect.gen(function*() {
      const { filename } = yield* store
      changing(filename, "CREATE TRIGGER mine BEFORE INSERT ON audit_event BEGIN SELECT RAISE(IGNORE); END")
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "SinkRejected")
        const sql = yield* SqlClient.SqlClient
        const inside = yield* Effect.flip(sql.withTransaction(emit(1)))
        assert(inside._tag === "AuditError" && inside.reason._tag === "SinkRejected")
        yield* sql`DROP TRIGGER mine`
        const { position } = yield* emit(2)
        assert.strictEqual(position, 305)
      }).pipe(Effect.provide(sqliteAt({ filename })))
      assert.deepStrictEqual(yield* faultsOf(filename), [])
    }))

  it.live("acknowledges no position twice because of a row in the search index, and goes on past its segment", () =>
    Effect.gen(function*() {
      const { filename } = yield* store
      forging(filename, "INSERT INTO audit_segment VALUES (0, 0, 0), (1, 0, 0), (7, 0, 0)")
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* emit(1)).position, 305)
        yield* emitMany(2000)
        assert.strictEqual((yield* emit(2)).position, 2306)
      }).pipe(Effect.provide(sqliteAt({ filename })))
      assert.deepStrictEqual(yield* faultsOf(filename), [])
    }))

  it.live("is found to have a subtree over entries that are not there, however far", () =>
    Effect.gen(function*() {
      const { filename, folder } = yield* store
      const copy = join(folder, "copy.db")
      for (const [level, index] of [[8, 1], [8, 1000], [16, 0], [16, 5]] as const) {
        copyFileSync(filename, copy)
        forging(copy, `INSERT INTO audit_subtree VALUES (1, ${level}, ${index}, zeroblob(32))`)
        assert.deepStrictEqual(
          (yield* faultsOf(copy)).map(({ detail, fault }) => [fault, detail]),
          [["changed", `the subtree of level ${level} at index ${index} is over entries that are not in the store`]]
        )
      }
    }))

  it.live("hands out no other log's event, when the row of a key leads to it", () =>
    Effect.gen(function*() {
      const { filename } = yield* store
      const globex = { tenantId: "globex" }
      yield* emit(0, globex, { idempotencyKey: "theirs" }).pipe(Effect.provide(sqliteAt({ filename })))
      forging(
        filename,
        `UPDATE audit_idempotency_key SET (seq, digest) = (
          SELECT seq, digest FROM audit_idempotency_key WHERE log = (SELECT max(id) FROM audit_log)
        ) WHERE log = (SELECT min(id) FROM audit_log)`
      )
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(emit(0, {}, { idempotencyKey: "k" }))
        assert.strictEqual(error.reason._tag, "SinkRejected")
        assert.include(error.message, "another log")
        assert.isTrue((yield* emit(0, globex, { idempotencyKey: "theirs" })).duplicate)
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))

  it.live("refuses alone the event whose first one cannot be read", () =>
    Effect.gen(function*() {
      const { filename } = yield* store
      forging(filename, "UPDATE audit_event SET body = x'00ff' WHERE seq = 2")
      yield* Effect.gen(function*() {
        const results = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, n) => n),
          (n) => Effect.result(emit(n === 7 ? 0 : n, {}, n === 7 ? { idempotencyKey: "k" } : {})),
          { concurrency: 20 }
        )
        assert.deepStrictEqual(
          results.flatMap((result, n) => result._tag === "Failure" ? [[n, result.failure.reason._tag]] : []),
          [[7, "SinkRejected"]]
        )
      }).pipe(Effect.provide(sqliteAt({ filename })))
    }))
})

describe("a log that is gone", () => {
  const acme = { tenantId: RequestContext.TenantId.make("t_acme"), env: RequestContext.Env.make("prod") }
  const globex = { tenantId: "t_globex" }
  /** Two logs that were signed, of which one is gone: its rows, or the whole store was taken back to before it. */
  const gone = Effect.fnUntraced(function*(how: "deleted" | "restored") {
    const files = yield* ledgerFiles
    const { filename, folder, signer } = files
    const sign = (name: typeof log) => Ledger.checkpoint(name)
    const other = { ...log, tenantId: RequestContext.TenantId.make("t_globex") }
    yield* Effect.andThen(emitMany(3, globex), sign(other)).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    copyFileSync(filename, join(folder, "backup.db"))
    yield* Effect.andThen(emitMany(20), sign(log)).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    if (how === "restored") copyFileSync(join(folder, "backup.db"), filename)
    else {
      forging(
        filename,
        ["audit_event", "audit_bundle", "audit_subtree", "audit_checkpoint"].map((table) =>
          `DELETE FROM ${table} WHERE log = 2`
        ).join(";") + "; DELETE FROM audit_log WHERE id = 2"
      )
    }
    return { ...files, other }
  })

  for (const how of ["deleted", "restored"] as const) {
    it.live(`(${how}) is missed, and its tenant's new log is not signed; other logs go on`, () =>
      Effect.gen(function*() {
        const { filename, key, other, signer } = yield* gone(how)
        const signed = yield* SqliteSignerState.read(signer.state)
        assert.deepStrictEqual(signed.map(({ head, name }) => [name?.tenantId, head.size]).sort(), [
          ["t_acme", 21],
          ["t_globex", 4]
        ] as never)
        const missing = (faults: ReadonlyArray<Extract<Ledger.Finding, { _tag: "Fault" }>>) =>
          faults.map(({ detail, fault, log }) => [fault, log?.tenantId, detail.includes("is not in the store")])
        assert.deepStrictEqual(missing(yield* faultsOf(filename, { signed, vkey: key.vkey })), [
          ["missing", "t_acme", true]
        ] as never)
        assert.deepStrictEqual(yield* faultsOf(filename, { signed, vkey: key.vkey, log: other }), [])
        // Without the signer's state there is nothing that knows of it.
        assert.deepStrictEqual(yield* faultsOf(filename, { vkey: key.vkey }), [])
        yield* Effect.gen(function*() {
          const found = yield* Stream.runCollect(Ledger.verify({ vkey: key.vkey }))
          assert.isTrue(found.some((finding) => finding._tag === "Fault" && finding.fault === "missing"))
          yield* emit(1)
          const refused = yield* Effect.flip(Ledger.checkpoint(acme))
          assert.strictEqual(refused.reason._tag, "LeafMissing")
          assert.include(refused.message, "at size 21, and is gone")
          assert.strictEqual((yield* Effect.flip(emit(2))).reason._tag, "LogStopped")
          yield* emitMany(2, globex)
          assert.strictEqual((yield* Ledger.checkpoint(other)).checkpoint.size, 6)
        }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      }))
  }

  it.live("may be any new log's where the state does not know names, and none of those that were signed", () =>
    Effect.gen(function*() {
      const { filename, other, signer } = yield* gone("restored")
      changing(signer.state, "UPDATE signed SET tenant_id = NULL, env = NULL")
      yield* Effect.gen(function*() {
        yield* emitMany(2, globex)
        assert.strictEqual((yield* Ledger.checkpoint(other)).checkpoint.size, 6)
        yield* emit(1, { tenantId: "t_new" })
        const newLog = { ...log, tenantId: RequestContext.TenantId.make("t_new") }
        assert.strictEqual((yield* Effect.flip(Ledger.checkpoint(newLog))).reason._tag, "LeafMissing")
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      const signed = yield* SqliteSignerState.read(signer.state)
      assert.deepStrictEqual(
        signed.map(({ name }) => name?.tenantId),
        signed.map(({ head }) => head.size === 6 ? other.tenantId : undefined)
      )
      const [fault] = yield* faultsOf(filename, { signed })
      assert.deepStrictEqual([fault?.fault, fault?.log], ["missing", undefined])
    }))

  it.live("is missed by who kept a checkpoint of it", () =>
    Effect.gen(function*() {
      const { filename, signer } = yield* ledgerFiles
      const { note } = yield* Effect.andThen(emitMany(3), Ledger.checkpoint(log)).pipe(
        Effect.provide(ledgerAt({ filename }, signer))
      )
      const fresh = yield* temporaryFile
      yield* emit(1, globex).pipe(Effect.provide(sqliteAt({ filename: fresh })))
      const [fault] = yield* faultsOf(fresh, { known: note })
      assert.strictEqual(fault?.fault, "missing")
      assert.include(fault?.detail ?? "", "the given checkpoint is of ")
    }))
})

describe("evidence", () => {
  it.live("is what a checkpoint covers: a forged record above it excuses nothing below it", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* store
      // Destroys content, and lets the store's own code record an erasure of it, as who can write to the store may do.
      yield* by(Erasure.erase({ person: "u1", reason: "forged" })).pipe(
        Effect.provide(Layer.fresh(ledgerAt({ filename })))
      )
      const faults = yield* faultsOf(filename, { vkey: key.vkey })
      assert.isAbove(faults.length, 0)
      assert.isTrue(
        faults.every(({ detail, fault }) => fault === "missing" && detail.includes("is above the newest checkpoint"))
      )
      // Whoever holds the key may make it evidence: it was an erasure.
      yield* Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      assert.deepStrictEqual(yield* faultsOf(filename, { vkey: key.vkey }), [])
    }))

  it.live("says what it is anchored to, and how many signatures were checked", () =>
    Effect.gen(function*() {
      const { filename, folder, key, signer } = yield* store
      const end = (name: string, options: Ledger.VerifyOptions) =>
        Stream.runCollect(Ledger.verify(options)).pipe(
          Effect.map((all) => all.flatMap((finding) => finding._tag === "Verified" ? [finding] : [])),
          Effect.map(([one]) => [one?.anchors, one?.signaturesChecked]),
          Effect.provide(ledgerReading(name))
        )
      const { note } = yield* Ledger.checkpoint(log).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      const signed = yield* SqliteSignerState.read(signer.state)
      const { vkey } = key
      assert.deepStrictEqual(yield* end(filename, { vkey }), [["stored"], true])
      assert.deepStrictEqual(yield* end(filename, {}), [["stored"], false])
      assert.deepStrictEqual(yield* end(filename, { vkey, known: note, signed }), [["given", "signer", "stored"], true])
      const copy = join(folder, "copy.db")
      copyFileSync(filename, copy)
      forging(copy, "DELETE FROM audit_checkpoint")
      assert.deepStrictEqual(yield* end(copy, { vkey }), [[], false])
    }))
})
