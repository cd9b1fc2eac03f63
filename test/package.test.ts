/** The package as its users get it: packed, installed elsewhere, imported by name, its program started. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"
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
      for (const file of files) assert.notMatch(file, /^(test|bench|scripts|\.)/)
    }))

  it.live("has every file that its README links to", () =>
    Effect.gen(function*() {
      const { files } = yield* installed
      for (const [, path] of readFileSync(join(root, "README.md"), "utf8").matchAll(/\]\(([^)#]+?)(?:#[^)]*)?\)/g)) {
        if (path === undefined || path.startsWith("http")) continue
        assert.isTrue(files.some((file) => file === path || file.startsWith(`${path}/`)), path)
      }
    }))

  it.live("gives each entry of exports at run time and to the compiler", () =>
    Effect.gen(function*() {
      const { folder } = yield* installed
      const entries = Object.keys(manifest.exports).filter((entry) => entry !== "./package.json")
      const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory())
        .map((entry) => entry.name).filter((name) => name !== "internal" && name !== "cli")
      assert.deepStrictEqual(
        entries.toSorted(),
        [".", ...folders.map((name) => `./${name}`), "./sqlite/writerThread", "./pii/names"].toSorted()
      )
      const names = entries.map((entry) => entry.replace(/^\./, "effect-audit"))
      const program = names.map((name, n) =>
        // The file of a thread has nothing to import, and does nothing outside of one.
        name.endsWith("Thread")
          ? `import "${name}"`
          : `import * as m${n} from "${name}"\nif (Object.keys(m${n}).length === 0) throw new Error("${name}")`
      )
      writeFileSync(join(folder, "main.mjs"), program.join("\n"))
      const run = spawnSync(process.execPath, ["main.mjs"], { cwd: folder, encoding: "utf8" })
      assert.strictEqual(run.status, 0, run.stderr)
    }), 60_000)

  for (const version of ["7", "5.9"]) {
    it.live(`holds its types in a strict project with TypeScript ${version}`, () =>
      Effect.gen(function*() {
        const { folder } = yield* installed
        const own = join(root, "node_modules/typescript")
        if (version !== "7") {
          const args = [
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--no-package-lock",
            "--prefix",
            join(folder, "ts")
          ]
          execFileSync("npm", [...args, `typescript@${version}`], { stdio: "ignore" })
        }
        const home = version === "7" ? own : join(folder, "ts/node_modules/typescript")
        const { bin, version: found } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as {
          readonly bin: { readonly tsc: string }
          readonly version: string
        }
        assert.isTrue(found.startsWith(version), found)
        cpSync(join(root, "test/fixtures/consumer/use.ts"), join(folder, "use.ts"))
        // Without the types of Node: a package's own must stand alone.
        const compilerOptions = {
          noEmit: true,
          module: "nodenext",
          target: "es2023",
          lib: ["es2024", "dom"],
          types: [],
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          skipLibCheck: false
        }
        writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }))
        const { status, stdout } = spawnSync(process.execPath, [join(home, bin.tsc), "-p", "."], {
          cwd: folder,
          encoding: "utf8"
        })
        assert.strictEqual(status, 0, stdout.slice(0, 4000))
      }), 120_000)
  }

  it.live("writes in a thread; in a bundle too, or else in the process with a warning", () =>
    Effect.gen(function*() {
      const { folder } = yield* installed
      const main = (thread: string) => `
        import { AuditLogger, RequestContext } from "effect-audit"
        import { Sqlite } from "effect-audit/sqlite"
        import { Effect, Layer } from "effect"
        const program = Effect.gen(function*() {
          const context = yield* RequestContext.decode({
            tenantId: "t_acme", env: "prod", actor: { type: "system" }, requestId: "r1"
          })
          const receipt = yield* AuditLogger.emit({ action: "a.b" }).pipe(RequestContext.provide(context))
          console.log("position " + receipt.position)
        })
        const store = Sqlite.layer({ filename: process.argv[2], ${thread} })
        Effect.runPromise(Effect.provide(program, AuditLogger.layer().pipe(Layer.provide(store))))`
      const run = (file: string, store: string) => {
        const args = [join(folder, file), join(folder, store)]
        const { status, stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" })
        assert.strictEqual(status, 0, stderr)
        assert.strictEqual(stderr, "")
        return stdout
      }
      const bundle = (input: Record<string, string>, out: string) =>
        Effect.promise(() =>
          build({ input, cwd: folder, platform: "node", logLevel: "silent", output: { dir: join(folder, out) } })
        )
      writeFileSync(join(folder, "required.mjs"), main("thread: true"))
      writeFileSync(join(folder, "auto.mjs"), main(""))
      writeFileSync(join(folder, "named.mjs"), main("thread: new URL('./audit/thread.js', import.meta.url)"))
      assert.strictEqual(run("required.mjs", "1.db"), "position 1\n")
      yield* bundle({ auto: "auto.mjs" }, "alone")
      const alone = run("alone/auto.js", "2.db")
      assert.match(alone, /WARN.*writerThread.*as in a bundle: name its file/)
      assert.include(alone, "position 1\n")
      const thread = { "audit/thread": "effect-audit/sqlite/writerThread" }
      yield* bundle({ named: "named.mjs", ...thread }, "both")
      assert.strictEqual(run("both/named.js", "3.db"), "position 1\n")
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
