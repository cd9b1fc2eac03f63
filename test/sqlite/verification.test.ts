/** What verification finds in a store that someone changed behind its back. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Stream } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Checkpoint, Ledger, SignedNote } from "effect-audit/ledger"
import { SqliteLogStore } from "effect-audit/sqlite"
import { execFileSync } from "node:child_process"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ledgerAt, ledgerFiles, log, smallDisk, within } from "../support.ts"

const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within(more)),
    { concurrency: 64 }
  )
const faultsOf = (filename: string, options: Ledger.VerifyOptions) =>
  Stream.runCollect(Ledger.verify(options)).pipe(
    Effect.map((all) => all.filter((finding) => finding._tag === "Fault")),
    Effect.provide(ledgerAt({ filename }))
  )
const erase = (selection: Erasure.Selection) =>
  Erasure.erase({ ...selection, reason: "r" }).pipe(within({ actor: { type: "human", id: "officer" } }))

/** A store with a checkpoint, erased events and events above the checkpoint; closed. */
const storeOf = Effect.fnUntraced(function*(count: number, above = 4) {
  const files = yield* ledgerFiles
  const { note } = yield* Effect.gen(function*() {
    yield* emitMany(count)
    const [gone] = yield* emitMany(2, { actor: { type: "human", id: "u_gone" } })
    assert(gone !== undefined)
    yield* erase({ eventIds: [gone.eventId] })
    const signed = yield* Ledger.checkpoint(log)
    yield* emitMany(above)
    return signed
  }).pipe(Effect.provide(ledgerAt({ filename: files.filename }, files.signer)))
  assert.deepStrictEqual(yield* faultsOf(files.filename, { vkey: files.key.vkey, log }), [])
  return { ...files, note, vkey: files.key.vkey }
})

/** Opens a store as someone who can write its file, but not sign. */
const tampering = <A>(filename: string, work: (db: DatabaseSync) => A): A => {
  const db = new DatabaseSync(filename)
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all()
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${String(name)}`)
  try {
    return work(db)
  } finally {
    // Put back, so that nothing is found but what was changed.
    for (const { sql } of triggers) db.exec(String(sql))
    db.close()
  }
}

describe("verification: single bits", () => {
  // Every byte of a small log; each flip is found and named, and the row is put back.
  it.live(
    "of event, salt, entry, bundle and checkpoint are found in a small log, each of them",
    () =>
      Effect.gen(function*() {
        const { filename, key, vkey } = yield* storeOf(2, 1)
        yield* Effect.gen(function*() {
          const ledger = yield* Ledger.Ledger
          const db = new DatabaseSync(filename)
          const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all()
          for (const { name } of triggers) db.exec(`DROP TRIGGER ${String(name)}`)
          const cells: ReadonlyArray<readonly [table: string, column: string, where: string]> = [
            ["audit_event", "body", "seq"],
            ["audit_event", "salt", "seq"],
            ["audit_event", "commitment", "seq"],
            ["audit_event", "event_id", "seq"],
            ["audit_bundle", "commitments", "idx"],
            ["audit_checkpoint", "note", "size"]
          ]
          let flips = 0
          for (const [table, column, id] of cells) {
            // Of an erased event nothing but its entry is proven, its id neither.
            const erased = column === "event_id" ? " WHERE erased_at IS NULL" : ""
            const rows = db.prepare(`SELECT ${id} AS id, CAST(${column} AS BLOB) AS bytes FROM ${table}${erased}`).all()
            const isText = column === "note"
            const set = db.prepare(
              `UPDATE ${table} SET ${column} = ${isText ? "CAST(? AS TEXT)" : "?"} WHERE ${id} = ?`
            )
            for (const { bytes, id } of rows) {
              if (!(bytes instanceof Uint8Array)) continue
              assert(typeof id === "number")
              for (let at = 0; at < bytes.length; at++) {
                const changed = Buffer.from(bytes)
                changed[at]! ^= 1 << (at % 7)
                set.run(changed, id)
                const found = yield* Stream.runCollect(ledger.verify({ vkey, log }))
                const faults = found.flatMap((finding) =>
                  finding._tag === "Fault" && finding.fault !== "guard" ? [finding] : []
                )
                assert.isAbove(faults.length, 0, `${table}.${column} of ${id}, byte ${at}`)
                if (table === "audit_event" && column !== "event_id") {
                  // The positions of a fresh log are its rows, counted from 0.
                  assert.isTrue(faults.some(({ position }) => position === id - 1), `${column} of ${id}, byte ${at}`)
                }
                set.run(bytes, id)
                flips++
              }
            }
          }
          db.close()
          assert.isAbove(flips, 3000)
          assert.deepStrictEqual(
            (yield* Stream.runCollect(ledger.verify({ vkey, log }))).filter((finding) =>
              finding._tag === "Fault" && finding.fault !== "guard"
            ),
            []
          )
          assert.strictEqual(key.vkey, vkey)
        }).pipe(Effect.provide(ledgerAt({ filename })))
      }),
    120_000
  )

  it.live("are found in a sample of 70,000 entries, with their position", () =>
    Effect.gen(function*() {
      const { filename, folder, vkey } = yield* storeOf(70_000)
      const samples: ReadonlyArray<readonly [string, string, number, number]> = [
        ["audit_event", "body", 12_345, 500],
        ["audit_event", "salt", 65_537, 31],
        ["audit_event", "commitment", 70_000, 0],
        ["audit_bundle", "commitments", 100, 4321],
        ["audit_bundle", "commitments", 273, 7],
        ["audit_subtree", "hash", 255, 3],
        ["audit_subtree", "hash", 0, 9]
      ]
      for (const [table, column, row, at] of samples) {
        const copy = join(folder, "copy.db")
        copyFileSync(filename, copy)
        tampering(copy, (db) => {
          const where = table === "audit_event" ? "seq = ?" : "idx = ? AND log = 1"
          const old = db.prepare(`SELECT ${column} AS bytes FROM ${table} WHERE ${where}`).get(row)?.["bytes"]
          assert(old instanceof Uint8Array)
          const changed = Buffer.from(old)
          changed[at]! ^= 4
          db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(changed, row)
        })
        const faults = yield* faultsOf(copy, { vkey })
        const position = table === "audit_event"
          ? row - 1
          : table === "audit_bundle"
          ? row * 256 + Math.floor(at / 32)
          : row * 256
        assert.deepStrictEqual(
          faults.map(({ fault, position }) => [fault, position]).slice(0, 1),
          [["changed", position]],
          `${table}.${column} ${row}`
        )
      }
    }), 120_000)
})

describe("verification: rows", () => {
  const cases: ReadonlyArray<
    readonly [what: string, change: string, fault: Ledger.Fault, position: number | undefined]
  > = [
    ["a deleted event", "DELETE FROM audit_event WHERE seq = 4", "missing", 3],
    ["a deleted event in a full bundle", "DELETE FROM audit_event WHERE seq = 104", "missing", 103],
    [
      "an event whose content was taken away",
      "UPDATE audit_event SET body = NULL, salt = NULL WHERE seq = 6",
      "missing",
      5
    ],
    [
      "an event that was erased without a record",
      "UPDATE audit_event SET body = NULL, salt = NULL, recorded_at = NULL, erased_at = 1 WHERE seq = 6",
      "missing",
      5
    ],
    [
      "two events whose content was exchanged",
      "CREATE TABLE o AS SELECT * FROM audit_event WHERE seq IN (6, 7); UPDATE audit_event SET " +
      "(salt, body) = (SELECT salt, body FROM o WHERE o.seq = 13 - audit_event.seq) WHERE seq IN (6, 7)",
      "reordered",
      5
    ],
    [
      "two events that were exchanged whole",
      "CREATE TABLE o AS SELECT * FROM audit_event WHERE seq IN (6, 7); UPDATE audit_event SET " +
      "(event_id, commitment, salt, body, recorded_at) = (SELECT event_id, commitment, salt, body, recorded_at " +
      "FROM o WHERE o.seq = 13 - audit_event.seq) WHERE seq IN (6, 7)",
      "reordered",
      5
    ],
    [
      "two positions that were exchanged",
      "UPDATE audit_event SET position = 11 - position WHERE seq IN (6, 7)",
      "reordered",
      5
    ],
    [
      "an event that was put in between",
      "UPDATE audit_event SET seq = -seq - 1 WHERE seq > 50; UPDATE audit_event SET seq = -seq, position = position + 1 WHERE seq < 0; " +
      "INSERT INTO audit_event SELECT 51, log, 50, recorded_at, NULL, event_id, commitment, salt, body FROM audit_event WHERE seq = 5",
      "duplicated",
      50
    ],
    [
      "an event that was repeated at the end",
      "INSERT INTO audit_event SELECT (SELECT max(seq) FROM audit_event) + 1, log, (SELECT max(position) FROM audit_event) + 1, recorded_at, " +
      "NULL, event_id, commitment, salt, body FROM audit_event WHERE seq = 5",
      "duplicated",
      undefined
    ],
    [
      "a position that is there twice",
      "INSERT INTO audit_event SELECT (SELECT max(seq) FROM audit_event) + 1, log, 4, recorded_at, NULL, randomblob(16), commitment, " +
      "salt, body FROM audit_event WHERE seq = 5",
      "duplicated",
      4
    ],
    ["a tail that was cut off", "DELETE FROM audit_event WHERE seq > 300", "truncated", 300],
    [
      "a tail that was cut off with its bundle",
      "DELETE FROM audit_event WHERE seq > 200; DELETE FROM audit_bundle",
      "truncated",
      200
    ],
    [
      "a position far away",
      "UPDATE audit_event SET position = 9000000000000 WHERE seq = 5",
      "changed",
      9_000_000_000_000
    ],
    ["a missing bundle", "DELETE FROM audit_bundle WHERE idx = 0", "missing", 0],
    ["a missing subtree", "DELETE FROM audit_subtree WHERE level = 8", "missing", 0],
    ["a changed time", "UPDATE audit_event SET recorded_at = recorded_at + 1 WHERE seq = 5", "changed", 4],
    ["a checkpoint at another size", "UPDATE audit_checkpoint SET size = size - 1", "signature", undefined],
    [
      "a row whose number is far away",
      "UPDATE audit_event SET seq = 4503599627370496 WHERE seq = 300",
      "reordered",
      299
    ],
    ["a row whose number is negative", "UPDATE audit_event SET seq = -5 WHERE seq = 300", "reordered", 298],
    [
      "a checkpoint and a position far away",
      "UPDATE audit_checkpoint SET size = 4503599627370496; UPDATE audit_event SET position = 4503599627370000 WHERE seq = 300",
      "changed",
      4_503_599_627_370_000
    ],
    [
      "a log given to another tenant",
      "UPDATE audit_log SET tenant_id = 't_other'; INSERT INTO audit_log VALUES (9, 't_acme', 'prod', 'x'); " +
      "UPDATE audit_event SET log = 9",
      "changed",
      0
    ],
    ["another origin", "UPDATE audit_log SET origin = 'effect-audit.local/log/' || hex(zeroblob(16))", "changed", 0],
    [
      "a time beyond all numbers",
      "UPDATE audit_event SET recorded_at = 1152921504606846976 WHERE seq = 5",
      "changed",
      4
    ],
    [
      "a position beyond all numbers",
      "UPDATE audit_event SET position = 1152921504606846976 WHERE seq = 5",
      "changed",
      -1
    ],
    ["all events gone", "DELETE FROM audit_event", "truncated", 0]
  ]
  it.live(
    "that were deleted, inserted, exchanged, repeated or cut off are found and named",
    () =>
      Effect.gen(function*() {
        const { filename, folder, vkey } = yield* storeOf(400)
        for (const [what, change, fault, position] of cases) {
          const copy = join(folder, "copy.db")
          copyFileSync(filename, copy)
          tampering(copy, (db) => db.exec(change))
          const faults = yield* faultsOf(copy, { vkey, log })
          assert.isTrue(
            faults.some((found) => found.fault === fault && (position === undefined || found.position === position)),
            `${what}: ${JSON.stringify(faults.slice(0, 5), undefined, 1)}`
          )
        }
      }),
    60_000
  )

  it.live("whose log was removed are found in a store", () =>
    Effect.gen(function*() {
      const { filename, vkey } = yield* storeOf(20)
      tampering(filename, (db) => db.exec("DELETE FROM audit_log"))
      const faults = yield* faultsOf(filename, { vkey })
      assert.deepStrictEqual(faults.map(({ fault, position }) => [fault, position]), [["missing", 0]])
    }))

  it.live("are believed against a tampered bundle where a checkpoint says so", () =>
    Effect.gen(function*() {
      const { filename, vkey } = yield* storeOf(30)
      tampering(filename, (db) => {
        const bytes = db.prepare("SELECT commitments FROM audit_bundle").get()?.["commitments"]
        assert(bytes instanceof Uint8Array)
        bytes[5 * 32]! ^= 1
        db.prepare("UPDATE audit_bundle SET commitments = ?").run(bytes)
      })
      const faults = yield* faultsOf(filename, { vkey })
      assert.deepStrictEqual(faults.map(({ detail, fault, position }) => [fault, position, /bundle/.test(detail)]), [
        ["changed", 5, true]
      ])
    }))

  it.live("above the newest checkpoint are told apart from proven ones", () =>
    Effect.gen(function*() {
      const { filename, vkey } = yield* storeOf(30, 7)
      const all = yield* Stream.runCollect(Ledger.verify({ vkey })).pipe(Effect.provide(ledgerAt({ filename })))
      const end = all.find((finding) => finding._tag === "Verified")
      assert(end?._tag === "Verified")
      assert.deepStrictEqual([end.size, end.covered, end.erased, end.signaturesChecked, end.checkpoints], [
        41,
        34,
        1,
        true,
        1
      ])
      const progress = all.findLast((finding) => finding._tag === "Progress")
      assert(progress?._tag === "Progress")
      assert.deepStrictEqual([progress.entries, progress.total], [41, 41])
    }))

  it.live("of many logs are checked in one pass each, and one log alone", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* ledgerFiles
      yield* Effect.gen(function*() {
        for (let n = 0; n < 30; n++) yield* emitMany(20, { tenantId: `t_${n % 10}` })
        for (let n = 0; n < 10; n++) {
          yield* Ledger.checkpoint({ ...log, tenantId: RequestContext.TenantId.make(`t_${n}`) })
        }
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
      tampering(filename, (db) => db.exec("UPDATE audit_event SET salt = zeroblob(32) WHERE log = 3 AND position = 41"))
      const faults = yield* faultsOf(filename, { vkey: key.vkey })
      assert.deepStrictEqual(faults.map(({ fault, log, position }) => [fault, log?.tenantId, position]), [
        ["changed", RequestContext.TenantId.make("t_2"), 41]
      ])
      const other = { ...log, tenantId: RequestContext.TenantId.make("t_3") }
      assert.deepStrictEqual(yield* faultsOf(filename, { vkey: key.vkey, log: other }), [])
      // Whoever verifies one log hears nothing of how much there is of others.
      const told = yield* Stream.runCollect(Ledger.verify({ vkey: key.vkey, log: other })).pipe(
        Effect.provide(ledgerAt({ filename }))
      )
      const progress = told.flatMap((finding) => finding._tag === "Progress" ? [[finding.entries, finding.total]] : [])
      assert.isTrue(progress.every(([entries = 0, total]) => entries <= 61 && total === 61), JSON.stringify(progress))
    }))
})

describe("verification: a copy on a medium that is only read", () => {
  it.live("needs no file beside it, and finds what was changed", () =>
    Effect.gen(function*() {
      const { filename, vkey } = yield* storeOf(20)
      const disk = yield* smallDisk("8m")
      const copy = join(disk, "audit.db")
      const found = Effect.gen(function*() {
        execFileSync("mount", ["-o", "remount,ro", disk])
        const findings = yield* Stream.runCollect(Ledger.verify({ vkey })).pipe(
          Effect.provide(Ledger.layer.pipe(Layer.provide(SqliteLogStore.layerReadOnly({ filename: copy }))))
        )
        execFileSync("mount", ["-o", "remount,rw", disk])
        return findings.flatMap((finding) => finding._tag === "Fault" ? [finding.fault] : [])
      })
      copyFileSync(filename, copy)
      assert.deepStrictEqual(yield* found, [])
      tampering(copy, (db) => db.exec("UPDATE audit_event SET salt = zeroblob(32) WHERE position = 7"))
      assert.deepStrictEqual(yield* found, ["changed"])
    }))
})

describe("verification: checkpoints", () => {
  it.live("that were forged, of another key or another log are found", () =>
    Effect.gen(function*() {
      const { filename, folder, note, vkey } = yield* storeOf(20)
      const stated = Result.getOrThrow(Checkpoint.stated(note))
      const otherKey = SignedNote.makeSigner(stated.origin, Buffer.alloc(32, 1))
      assert(otherKey !== undefined)
      const forged = Checkpoint.sign({ ...stated, root: Buffer.alloc(32) }, otherKey)
      const elsewhere = SignedNote.makeSigner("other/log/1", Buffer.alloc(32, 1))
      assert(elsewhere !== undefined)
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["forged by another key", forged],
        ["of another key", Checkpoint.sign(stated, otherKey)],
        ["of another log", Checkpoint.sign({ ...stated, origin: "other/log/1" }, elsewhere)],
        ["unsigned", Checkpoint.format(stated)],
        ["nonsense", "nonsense"]
      ]
      for (const [what, bad] of cases) {
        const copy = join(folder, "copy.db")
        copyFileSync(filename, copy)
        tampering(copy, (db) => db.prepare("UPDATE audit_checkpoint SET note = ?").run(bad))
        const faults = yield* faultsOf(copy, { vkey })
        assert.strictEqual(faults[0]?.fault, "signature", what)
      }
      // Without a key, a forged root is still not that of the tree.
      const copy = join(folder, "copy.db")
      copyFileSync(filename, copy)
      tampering(copy, (db) => db.prepare("UPDATE audit_checkpoint SET note = ?").run(forged))
      assert.strictEqual((yield* faultsOf(copy, {}))[0]?.fault, "inconsistent")
    }))

  it.live("that someone kept find an old copy of the store that was put back", () =>
    Effect.gen(function*() {
      const { filename, folder, key, signer, vkey } = yield* storeOf(20)
      const old = join(folder, "old.db")
      copyFileSync(filename, old)
      const later = yield* Effect.andThen(emitMany(300), Ledger.checkpoint(log)).pipe(
        Effect.provide(ledgerAt({ filename }, signer))
      )
      assert.deepStrictEqual(yield* faultsOf(old, { vkey }), [])
      const faults = yield* faultsOf(old, { vkey, known: later.note })
      assert.deepStrictEqual(faults.map(({ fault, position }) => [fault, position]), [["truncated", 28]])
      const bySigner = yield* Stream.runCollect(Ledger.verify({ vkey: key.vkey })).pipe(
        Effect.provide(ledgerAt({ filename: old }, signer))
      )
      assert.isTrue(bySigner.some((finding) => finding._tag === "Fault" && finding.fault === "truncated"))
      assert.deepStrictEqual(yield* faultsOf(filename, { vkey, known: later.note }), [])
    }))
})
