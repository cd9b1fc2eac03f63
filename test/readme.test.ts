/** Every program in the README is one that the tests compile and run. */
import { assert, describe, it } from "@effect/vitest"
import { Merkle, Seal } from "effect-audit"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (path: string) => readFileSync(join(root, path), "utf8")
const blocks = (markdown: string, language: string) =>
  [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map((match) => match[1] ?? "")

const examples = readdirSync(join(root, "examples"), { withFileTypes: true }).filter((entry) => entry.isFile())
  .map((entry) => read(join("examples", entry.name)))

describe("README", () => {
  it("quotes its programs word for word from examples/", () => {
    const quoted = [
      ...blocks(read("README.md"), "ts"),
      ...readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"))
        .flatMap((name) => blocks(read(join("docs", name)), "ts"))
    ]
    assert.isAbove(quoted.length, 0)
    for (const block of quoted) {
      assert.isTrue(examples.some((example) => example.includes(block.trim())), block)
    }
  })

  it("shows what its first program prints", () => {
    const folder = mkdtempSync(join(tmpdir(), "effect-audit-"))
    const { status, stderr, stdout } = spawnSync(process.execPath, [join(root, "examples/quickstart.ts")], {
      cwd: folder,
      encoding: "utf8"
    })
    rmSync(folder, { recursive: true })
    assert.strictEqual(status, 0, stderr)
    const shown = JSON.parse(blocks(read("README.md"), "json")[0] ?? "{}") as Record<string, unknown>
    const printed = JSON.parse(stdout) as Record<string, unknown>
    const changing = { event_id: "", occurred_at: "", recorded_at: "" }
    assert.deepStrictEqual({ ...printed, ...changing }, { ...shown, ...changing })
  })

  it("shows the right bytes in the example of the format", () => {
    const commitment = Seal.commitment(Buffer.alloc(32, 9), Buffer.from("{\"event_id\":\"e1\"}"))
    const entry = Seal.entry(commitment)
    const shown = [...read("docs/format.md").matchAll(/^ {4}(?:commitment|entry|leaf hash) +([0-9a-f]+)$/gm)].map((
      [, hex]
    ) => hex)
    assert.deepStrictEqual(
      shown,
      [commitment, entry, Merkle.leafHash(entry)].map((bytes) => Buffer.from(bytes).toString("hex"))
    )
  })

  it("links only to files that are there", () => {
    for (const [, path] of read("README.md").matchAll(/\]\(([^)#]+?)\)/g)) {
      if (path !== undefined && !path.startsWith("http")) assert.isTrue(existsSync(join(root, path)), path)
    }
  })
})
