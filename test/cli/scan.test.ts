import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../support.ts"
import { run } from "./process.ts"

describe("effect-audit scan", () => {
  it.live("answers texts with spans and events stripped, in order, and refuses what is neither", () =>
    Effect.gen(function*() {
      const input = [
        { text: "mail kim@example.com" },
        { event: { note: "call +1 415 555 0132", password: "hunter2", n: 1 } },
        { text: "nothing here" }
      ].map((line) => `${JSON.stringify(line)}\n`).join("")
      const { code, stdout } = yield* run(["scan"], input)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as unknown), [
        { spans: [{ start: 5, end: 20, type: "EMAIL" }] },
        { event: { note: "call [PHONE]", password: null, n: 1 }, flags: ["PASSWORD", "PHONE"] },
        { spans: [] }
      ])
      const wrong = yield* run(["scan"], `${input}nonsense\n{"other": 1}\n`)
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.stdout, /"line":4,"error"[\s\S]*"line":5,"error"/)
    }))

  it.live("prints where the findings in files are, never what they are, and fails on the kinds it is told", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [a, b] = [join(folder, "a.log"), join(folder, "b.log")]
      writeFileSync(a, "fine\nat kim@example.com\n")
      writeFileSync(b, "card 4111 1111 1111 1111, ip 203.0.113.7")
      const { code, stdout } = yield* run(["scan", "--file", a, b])
      assert.strictEqual(code, 0)
      assert.strictEqual(stdout, `${a}:2:4: EMAIL\n${b}:1:6: CREDIT_CARD\n${b}:1:30: IP\n`)
      assert.strictEqual((yield* run(["scan", "--file", a, "--fail-on", "EMAIL", "--fail-on", "JWT"])).code, 1)
      assert.strictEqual((yield* run(["scan", "--file", a, "--fail-on", "JWT"])).code, 0)
      assert.strictEqual((yield* run(["scan", "--file", join(folder, "none.log")])).code, 2)
      assert.strictEqual((yield* run(["scan", "--fail-on", "NOTHING"])).code, 2)
      // What is in the way is named; the files before it were looked at.
      const folderToo = yield* run(["scan", a, folder])
      assert.strictEqual(folderToo.code, 2)
      assert.strictEqual(folderToo.stdout, `${a}:2:4: EMAIL\n`)
      assert.strictEqual(folderToo.stderr, `effect-audit: ${folder} cannot be read: it is a folder\n`)
    }))
})
