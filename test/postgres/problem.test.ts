/** What an error of the driver means, where no server is needed to see it. */
import { assert, describe, it } from "@effect/vitest"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import { reasonOf, sqlState } from "../../src/postgres/problem.ts"

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
