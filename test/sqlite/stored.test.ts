/** A store that an earlier release wrote opens, verifies and goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Stream } from "effect"
import { AuditLogger, DatasetEvent, TrainingPreferences } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, Proof, SigningKey } from "effect-audit/ledger"
import { AuditTrail, type Filter } from "effect-audit/trail"
import { createHash } from "node:crypto"
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gunzipSync } from "node:zlib"
import { ledgerAt, ledgerReading, log, temporaryFolder, within } from "../support.ts"

const fixture = (name: string) => new URL(`../fixtures/store/${name}`, import.meta.url)

const store = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const filename = join(folder, "audit.db")
  const state = join(folder, "audit.key.state")
  writeFileSync(filename, gunzipSync(readFileSync(fixture("audit.db.gz"))))
  writeFileSync(state, gunzipSync(readFileSync(fixture("audit.key.state.gz"))))
  copyFileSync(fixture("audit.key"), join(folder, "audit.key"))
  chmodSync(join(folder, "audit.key"), 0o600)
  const key = yield* SigningKey.fromFile(join(folder, "audit.key"))
  return { filename, key, signer: { key, state } }
})
const erased = DatasetEvent.EventId.make("01a20e91-6492-7042-b067-cca09f625fb3")
const kept = DatasetEvent.EventId.make("01a20e91-649c-759f-9723-4ad13f655218")
const verified = (vkey: string) =>
  Effect.map(Stream.runCollect(Ledger.verify({ vkey })), (all) => ({
    faults: all.filter(({ _tag }) => _tag === "Fault"),
    logs: all.flatMap((finding) =>
      finding._tag === "Verified" ? [[finding.size, finding.covered, finding.erased, finding.checkpoints]] : []
    )
  }))
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")

describe("a store of the release before", () => {
  it.live("verifies without being changed", () =>
    Effect.gen(function*() {
      const { filename, key } = yield* store
      const before = sha256(filename)
      const found = yield* Effect.provide(verified(key.vkey), ledgerReading(filename))
      assert.deepStrictEqual(found, { faults: [], logs: [[1662, 1659, 1, 2], [551, 551, 0, 1]] })
      assert.strictEqual(sha256(filename), before)
    }))

  it.live("goes on: old keys, ids, holds, opt-outs and checkpoints count, and it is signed again", () =>
    Effect.gen(function*() {
      const { filename, key, signer } = yield* store
      yield* Effect.gen(function*() {
        const draft = {
          action: "note.create",
          resource: { type: "note", id: "n1" },
          subjectIds: ["u7", "u8"],
          input: { mail: "kim@example.com" }
        }
        const again = yield* AuditLogger.emit(draft, { idempotencyKey: "key 2" }).pipe(within())
        assert.deepStrictEqual([again.eventId, again.position, again.duplicate], [kept, 2, true])
        const gone = yield* AuditLogger.emit(draft, { idempotencyKey: "key 1" }).pipe(within())
        assert.deepStrictEqual([gone.position, gone.duplicate, gone.erased], [1, true, true])
        const held = yield* Effect.flip(Erasure.erase({ person: "u8", reason: "r" }).pipe(within()))
        assert.strictEqual(held.reason._tag, "Held")
        const preferences = yield* TrainingPreferences.TrainingPreferences
        assert.deepStrictEqual(yield* preferences.list(log), [{ ...log, userId: "u5", trainingAllowed: false }])
        const { position } = yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
        assert.strictEqual(position, 1662)
        const signed = yield* Ledger.checkpoint(log)
        assert.strictEqual(signed.checkpoint.size, 1663)
        for (const [eventId, isErased] of [[kept, false], [erased, true]] as const) {
          const file = Proof.encode(yield* Ledger.prove({ ...log, eventId }))
          const proven = Result.getOrThrow(Proof.verify(file, key.vkey))
          assert.strictEqual(proven.erased, isErased)
        }
        assert.deepStrictEqual((yield* verified(key.vkey)).faults, [])
      }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
    }))

  it.live("is searched by fields that its index does not know, before and after new segments", () =>
    Effect.gen(function*() {
      const { filename } = yield* store
      const count = (filter: Filter.Filter) =>
        Effect.map(Stream.runCount(AuditTrail.stream({ ...log, filter })), Number)
      yield* Effect.gen(function*() {
        const numbers = Array.from({ length: 2200 }, (_, n) => n + 2).filter((n) => n % 4 !== 0)
        const expected = {
          step: numbers.filter((n) => n % 9 === 3).length,
          project: numbers.filter((n) => n % 5 === 2).length,
          subject: numbers.filter((n) => n % 50 === 0).length
        }
        const found = Effect.gen(function*() {
          return {
            step: yield* count({ stepId: "s3" }),
            project: yield* count({ projectId: "p2" }),
            subject: yield* count({ subjectId: "u9" })
          }
        })
        assert.deepStrictEqual(yield* found, expected)
        assert.strictEqual(yield* count({ stepId: "s3", requestId: "r3" }), 1)
        yield* Effect.forEach(
          Array.from({ length: 2100 }, (_, n) => n),
          (n) =>
            AuditLogger.emit({ action: "note.create", subjectIds: ["u9"] }).pipe(
              within({ requestId: `x${n}`, stepId: "s3" })
            ),
          { concurrency: 500, discard: true }
        )
        assert.deepStrictEqual(yield* found, {
          ...expected,
          step: expected.step + 2100,
          subject: expected.subject + 2100
        })
      }).pipe(Effect.provide(ledgerAt({ filename })))
    }))

  it.live("is refused, and left as it was, where an application has a table of a name that it would get", () =>
    Effect.gen(function*() {
      for (const table of ["audit_log", "audit_origin", "audit_store"]) {
        const { filename } = yield* store
        const db = new DatabaseSync(filename)
        db.exec(`CREATE TABLE ${table} (mine); PRAGMA wal_checkpoint(TRUNCATE)`)
        db.close()
        const before = sha256(filename)
        const emit = AuditLogger.emit({ action: "note.create" }).pipe(within())
        const refused = yield* Effect.flip(Effect.provide(emit, ledgerAt({ filename })))
        assert.strictEqual(refused.reason._tag, "SinkRejected", table)
        assert.include(refused.message, table)
        assert.strictEqual(sha256(filename), before)
      }
    }))
})
