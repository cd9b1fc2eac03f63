/** The agent of the documents: its run is in the log, and is shown as a tree. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { run } from "../cli/process.ts"
import { temporaryFile } from "../support.ts"

describe("the agent", () => {
  it.live("does what its script says, and everything it does is recorded", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const program = fileURLToPath(new URL("../../examples/agent.ts", import.meta.url))
      const { status, stderr, stdout } = spawnSync(process.execPath, [program, db], { encoding: "utf8" })
      assert.strictEqual(status, 0, stderr)
      const [said, command = ""] = stdout.trimEnd().split("\n")
      assert.strictEqual(said, "agent: The order was refunded.")
      const shown = yield* run(command.replace("npx effect-audit ", "").split(" "))
      assert.deepStrictEqual([shown.code, shown.stderr], [0, ""])
      const lines = shown.stdout.split("\n")
      assert.include(lines[0], "support 1.4 (support-1) for kim")
      assert.include(lines[2], "4 tool calls, 1 failure, 0 denied, 0 unfinished, 4 model calls (480 tokens in, 72 out)")
      for (
        const part of [
          /✓ tool\.call find_order/,
          /tool\.approval_requested refund/,
          /tool\.approve refund by human ines, the photo shows it/,
          /✓ tool\.call refund .*approved by human ines/,
          /✓ order\.refund order o-7/,
          /✗ tool\.call send_mail NoSuchAddress/,
          /✓ tool\.call send_mail/
        ]
      ) assert.isTrue(lines.some((line) => part.test(line)), `${part} in ${shown.stdout}`)
      const events = yield* run(
        [...command.split(" ").slice(2, 9), "--format", "ndjson"].map((word, at) => at === 0 ? "query" : word)
      )
      assert.strictEqual(events.code, 0, events.stderr)
      for (const secret of ["kim@example.com", "DE89"]) assert.notInclude(events.stdout, secret)
    }))
})
