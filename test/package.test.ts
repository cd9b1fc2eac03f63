/** The package as its users get it: packed, installed elsewhere, imported by name, its program started. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "./support.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly exports: Record<string, string | { readonly types: string; readonly default: string }>
}

/** A project that has the packed package and its peers installed. */
const installed = Effect.map(temporaryFolder, (folder) => {
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
  ) as ReadonlyArray<{ readonly filename: string; readonly files: ReadonlyArray<{ readonly path: string }> }>
  const modules = join(folder, "node_modules")
  const home = join(modules, "effect-audit")
  mkdirSync(join(modules, "@effect"), { recursive: true })
  execFileSync("tar", ["-xzf", join(folder, packed?.filename ?? ""), "-C", folder])
  cpSync(join(folder, "package"), home, { recursive: true })
  symlinkSync(join(root, "node_modules/effect"), join(modules, "effect"))
  symlinkSync(join(root, "node_modules/@effect/platform-node"), join(modules, "@effect/platform-node"))
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  return { folder, home, modules, files: packed?.files.map((file) => file.path) ?? [] }
})

describe("the packed package", () => {
  it.live("holds what it promises and nothing of the project's own", () =>
    Effect.gen(function*() {
      const { files } = yield* installed
      for (const file of ["README.md", "LICENSE", "CHANGELOG.md", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) {
        assert.include(files, file)
      }
      for (const file of files) assert.notMatch(file, /^(test|bench|examples|docs|scripts|\.)/)
    }))

  it.live("gives each entry of exports at run time and to the compiler", () =>
    Effect.gen(function*() {
      const { folder } = yield* installed
      const entries = Object.keys(manifest.exports).filter((entry) => entry !== "./package.json")
      const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory())
        .map((entry) => entry.name).filter((name) => name !== "internal" && name !== "cli")
      assert.deepStrictEqual(entries.toSorted(), [".", ...folders.map((name) => `./${name}`)].toSorted())
      const names = entries.map((entry) => entry.replace(/^\./, "effect-audit"))
      const program = names.map((name, n) =>
        `import * as m${n} from "${name}"\nif (Object.keys(m${n}).length === 0) throw new Error("${name}")`
      )
      writeFileSync(join(folder, "main.mjs"), program.join("\n"))
      const run = spawnSync(process.execPath, ["main.mjs"], { cwd: folder, encoding: "utf8" })
      assert.strictEqual(run.status, 0, run.stderr)
      writeFileSync(
        join(folder, "main.ts"),
        `import { AuditLogger } from "effect-audit"\nimport { AuditTrail } from "effect-audit/trail"\nimport { SqliteSink } from "effect-audit/sqlite"\nimport { Pii } from "effect-audit/pii"\nexport const all = [AuditLogger.emit, AuditTrail.query, SqliteSink.layer(), Pii.scan] as const\nexport const wrong: number = AuditLogger.emit\n`
      )
      const tsc = spawnSync(join(root, "node_modules/.bin/tsc"), [
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--types",
        "",
        "main.ts"
      ], { cwd: folder, encoding: "utf8" })
      assert.match(tsc.stdout, /^main\.ts\(6,14\): error TS2322/)
      assert.strictEqual(tsc.stdout.match(/error TS/g)?.length, 1, tsc.stdout)
    }), 60_000)

  it.live("starts its program, and says what is missing without the optional peer", () =>
    Effect.gen(function*() {
      const { home, modules } = yield* installed
      const bin = join(home, "dist/cli/main.js")
      const version = spawnSync(process.execPath, [bin, "--version"], { encoding: "utf8" })
      assert.strictEqual(version.status, 0, version.stderr)
      assert.include(version.stdout, "0.1.0")
      rmSync(join(modules, "@effect/platform-node"))
      const without = spawnSync(process.execPath, [bin, "--version"], { encoding: "utf8", cwd: dirname(home) })
      assert.strictEqual(without.status, 2)
      assert.include(without.stderr, "npm install @effect/platform-node")
    }), 60_000)
})
