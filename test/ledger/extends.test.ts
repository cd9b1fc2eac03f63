/** Whether a log extends what was signed of it: decided in one place, by a tree and heads. */
import { assert, describe, it } from "@effect/vitest"
import { AuditError } from "effect-audit"
import { breach, contradiction, headOf, stoppedBy } from "../../src/ledger/extends.ts"
import { hashesOf, treeHash } from "../reference.ts"

const entries = Array.from({ length: 20 }, (_, i) => Buffer.of(i))
const headAt = (size: number) => ({ size, root: treeHash(entries.slice(0, size)) })
const read = hashesOf(entries)
const detail = (reason: AuditError.IntegrityReason | undefined) =>
  reason === undefined ? undefined : `${reason._tag}: ${reason.detail}`

describe("a log", () => {
  it("extends every head of its own", () => {
    assert.isUndefined(breach(20, [], read))
    for (let size = 0; size <= 20; size++) {
      assert.isUndefined(breach(20, [headAt(size)], read), String(size))
      assert.isUndefined(breach(size, [headAt(size)], read), String(size))
    }
    assert.isUndefined(breach(20, [headAt(0), headAt(20), headAt(7)], read))
  })

  it("does not extend a later head, another tree's, or one that cannot be read, wherever it is among others", () => {
    const wrong = { size: 7, root: headAt(8).root }
    const cases = [
      [wrong, "CheckpointInconsistent: its tree is not the one that was signed at size 7"],
      [{ size: 0, root: headAt(1).root }, "CheckpointInconsistent: its tree is not the one that was signed at size 0"],
      [headAt(20), "CheckpointInconsistent: the log has 19 entries, and a checkpoint was signed at 20"],
      ["unreadable" as const, "CheckpointInconsistent: the newest stored checkpoint cannot be read"]
    ] as const
    for (const [head, why] of cases) {
      for (const heads of [[head], [headAt(3), head], [head, headAt(3)]]) {
        assert.strictEqual(detail(breach(19, heads, read)), why)
      }
    }
  })

  it("is not read where the sizes alone decide", () => {
    const unread = () => assert.fail("the tree is not needed")
    assert.strictEqual(
      detail(breach(3, [headAt(2), headAt(4)], unread)),
      "CheckpointInconsistent: the log has 3 entries, and a checkpoint was signed at 4"
    )
  })
})

describe("a head", () => {
  it("is contradicted by another root at its size, the empty tree's excepted, which is known", () => {
    assert.isUndefined(contradiction(headAt(5), headAt(5).root))
    assert.isDefined(contradiction(headAt(5), headAt(6).root))
    assert.isUndefined(contradiction(headAt(0), headAt(6).root))
    assert.isDefined(contradiction({ size: 0, root: headAt(6).root }, headAt(6).root))
  })

  it("is what a note states, or unreadable", () => {
    const root = headAt(5).root
    assert.deepStrictEqual(headOf(`o\n5\n${root.toString("base64")}\n\n— o AAAAAAA=\n`), { size: 5, root })
    assert.strictEqual(headOf("nonsense"), "unreadable")
  })

  it("that is contradicted stops its log, and says which and why", () => {
    const [reason] = [contradiction(headAt(5), headAt(6).root)]
    assert(reason !== undefined)
    const stopped = stoppedBy("test/log/1", reason)
    assert.strictEqual(stopped._tag, "LogStopped")
    assert.include(stopped.detail, "test/log/1: ")
    assert.include(stopped.detail, "its tree is not the one that was signed at size 5")
    const { cause } = stopped
    assert(cause instanceof AuditError.IntegrityError)
    assert.deepStrictEqual([cause.method, cause.reason], ["EventSink.append", reason])
  })
})
