/** What an error of SQLite means to a caller. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AuditError } from "effect-audit"
import {
  attempt,
  busy,
  errorCode,
  failing,
  goneAfterCommit,
  isBusy,
  Problem,
  reasonOf,
  sqliteReason
} from "../../src/sqlite/problem.ts"

const coded = (errcode: unknown) => Object.assign(new Error("said by SQLite"), { errcode })
const of = (errcode: number, committing = false) => {
  const reason = reasonOf(new Problem({ cause: coded(errcode) }), "audit.db", committing)
  return [reason._tag, "detail" in reason ? reason.detail : ""]
}

describe("an error of SQLite", () => {
  it("has a code where it has one, and is a lock's by its low byte", () => {
    assert.strictEqual(errorCode(coded(13)), 13)
    assert.isUndefined(errorCode(coded("13")))
    assert.isUndefined(errorCode(new Error("no code")))
    assert.isUndefined(errorCode(undefined))
    // SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT, SQLITE_LOCKED, SQLITE_LOCKED_SHAREDCACHE; SQLITE_FULL, SQLITE_IOERR, none.
    const locks = [5, 517, 6, 262]
    for (const code of locks) assert.isTrue(isBusy(coded(code)), String(code))
    for (const code of [13, 10, 0, 4, 7]) assert.isFalse(isBusy(coded(code)), String(code))
    assert.isFalse(isBusy(new Error("no code")))
    const made = busy("a reader holds the log")
    assert.isTrue(isBusy(made.cause))
    assert.strictEqual(made.cause instanceof Error ? made.cause.message : "", "a reader holds the log")
  })

  it("is a full disk, a store that is refused, or one that is not there now", () => {
    assert.deepStrictEqual(of(13), ["SinkFull", "no space left for audit.db"])
    for (const code of [11, 19, 26, 2067, 787]) {
      assert.deepStrictEqual(of(code), ["SinkRejected", "cannot write to audit.db: said by SQLite"], String(code))
    }
    for (const code of [1, 10, 14, 5]) {
      assert.deepStrictEqual(of(code), ["SinkUnavailable", "cannot write to audit.db: said by SQLite"], String(code))
    }
    const { cause, ...reason } = sqliteReason("no error", "cannot open audit.db") as {
      cause?: unknown
      detail?: string
    }
    assert.strictEqual(cause, "no error")
    assert.strictEqual(reason.detail, "cannot open audit.db: unknown error")
    assert.strictEqual(sqliteReason(coded(13), "x")._tag, "SinkFull")
  })

  it("of a commit leaves its outcome unknown where the bytes may have been written", () => {
    assert.deepStrictEqual(of(10, true), ["CommitUnknown", "the commit to audit.db failed with an I/O error"])
    assert.deepStrictEqual(of(1034, true)[0], "CommitUnknown")
    assert.deepStrictEqual(of(13, true)[0], "SinkFull")
    assert.deepStrictEqual(of(19, true)[0], "SinkRejected")
    assert.deepStrictEqual(of(10, false)[0], "SinkUnavailable")
    assert.strictEqual(reasonOf(new Problem({ cause: new Error("x") }), "f", true)._tag, "SinkUnavailable")
    const gone = goneAfterCommit(sqliteReason(coded(14), "the file is gone"))
    assert.deepStrictEqual([gone._tag, "detail" in gone], ["CommitUnknown", true])
    assert.include(gone.message, "the file is gone: said by SQLite")
  })

  it("is one of the method that met it, but for one that is an error of ours already", () => {
    const own = new AuditError.AuditError({ method: "m", reason: sqliteReason(coded(13), "x") })
    assert.strictEqual(failing("LogStore", "f")(new Problem({ cause: own })), own)
    const made = failing("LogStore", "audit.db")(new Problem({ cause: coded(13) }))
    assert.deepStrictEqual([made.method, made.reason._tag], ["LogStore", "SinkFull"])
    assert.include(made.message, "no space left for audit.db")
  })

  it.effect("is caught where it is thrown, and told to an application as its client does", () =>
    Effect.gen(function*() {
      const thrown = coded(2067)
      const problem = yield* Effect.flip(attempt(() => {
        throw thrown
      }))
      assert.deepStrictEqual([problem._tag, problem.cause], ["Problem", thrown])
      assert.strictEqual(yield* attempt(() => 7), 7)
      const reason = problem.toSqlReason()
      assert.deepStrictEqual([reason._tag, reason.operation, reason.message], [
        "UniqueViolation",
        "execute",
        "SQLite statement failed"
      ])
      assert.strictEqual(reason.cause, thrown)
      assert.strictEqual(new Problem({ cause: "text" }).toSqlReason()._tag, "UnknownError")
      assert.strictEqual(new Problem({ cause: new Error("no code") }).toSqlReason()._tag, "UnknownError")
      assert.strictEqual(new Problem({ cause: coded(5) }).toSqlReason()._tag, "LockTimeoutError")
    }))
})
