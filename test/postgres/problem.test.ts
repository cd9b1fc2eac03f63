/** What an error of the driver means, where no server is needed to see it. */
import { assert, describe, it } from "@effect/vitest"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import { isLost, reasonOf, sqlState } from "../../src/postgres/problem.ts"

const socket = (code: string, operation = "execute") =>
  new SqlError({ reason: new ConnectionError({ cause: Object.assign(new Error("secret"), { code }), operation }) })
const server = (code: string) =>
  new SqlError({
    reason: new UnknownError({ cause: Object.assign(new Error("secret"), { code }), operation: "execute" })
  })

describe("an error of PostgreSQL", () => {
  it("of a socket is no SQLSTATE, so that what became of a statement is not known", () => {
    for (const code of ["EPIPE", "ECONNRESET"]) {
      assert.isUndefined(sqlState(socket(code)))
      const reason = reasonOf(socket(code), "the commit", true)
      assert.strictEqual(reason._tag, "CommitUnknown")
      assert.include(reason.message, `the commit: the connection was lost (${code})`)
    }
  })

  it("of a server that goes down while it works says nothing of what became of it", () => {
    for (const code of ["57P02", "08006"]) {
      assert.isTrue(isLost(server(code)))
      assert.strictEqual(reasonOf(server(code), "it", true)._tag, "CommitUnknown")
      assert.strictEqual(reasonOf(server(code), "it", false)._tag, "SinkUnavailable")
    }
    for (const code of ["57P01", "57014", "40001"]) assert.isFalse(isLost(server(code)))
  })

  it("before anything was sent says why nothing was", () => {
    const reason = reasonOf(socket("ECONNREFUSED", "connect"), "PostgreSQL", true)
    assert.strictEqual(reason._tag, "SinkUnavailable")
    assert.include(reason.message, "it cannot be reached (ECONNREFUSED)")
  })

  it("of the server has its code, and its reason by its class", () => {
    const reasons = { "23505": "SinkRejected", "53100": "SinkFull", "55P03": "SinkTimeout", XX000: "SinkUnavailable" }
    for (const [code, tag] of Object.entries(reasons)) {
      assert.strictEqual(sqlState(server(code)), code)
      const reason = reasonOf(server(code), "it", true)
      assert.strictEqual(reason._tag, tag)
      assert.include(reason.message, code)
    }
    assert.notInclude(reasonOf(server("23505"), "it", false).message, "secret")
  })
})
