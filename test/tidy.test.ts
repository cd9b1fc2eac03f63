/** The project's own rules, as far as a program can check them. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const src = join(root, "src")
const list = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) =>
    entry.isFile() && entry.name.endsWith(".ts")
  )
    .map((entry) => relative(src, join(entry.parentPath, entry.name)))
/** What runs in a browser has rules of its own: those of its compiler, and of the linter. */
const files = list(src).filter((file) => !file.startsWith("viewer/app/"))
const text = (file: string) => readFileSync(join(src, file), "utf8")

/** The reading order: a module imports only from lines above its own, from its own line, and from `internal`. */
const order = [
  "RequestContext.ts",
  "DatasetEvent.ts",
  "AuditError.ts",
  "pii/",
  "WritePolicy.ts",
  "PiiStripper.ts",
  "TrainingPreferences.ts",
  "Merkle.ts",
  "Seal.ts",
  "EventSink.ts",
  "Transactions.ts",
  "LoggingEngine.ts",
  "AuditLogger.ts",
  "AuditAction.ts",
  "AuditRegistry.ts",
  "index.ts",
  "trail/",
  "ledger/",
  "erasure/",
  "relay/",
  "nats/",
  "config/",
  "http/",
  "ai/",
  "viewer/",
  "memory/",
  "test/",
  "sqlite/",
  "postgres/",
  "cli/"
]
/** Rules: they ask media through ports, and know none. */
const media = ["memory/", "sqlite/", "postgres/"]
const rank = (file: string) =>
  order.findIndex((entry) => file === entry || (entry.endsWith("/") && file.startsWith(entry)))
/** What a module imports or exports again, types included. */
const imports = (file: string) =>
  [...text(file).matchAll(/^(?:import|export) [^"]*?from "(\.[^"]+)"/gms)].map((match) =>
    relative(src, join(src, dirname(file), match[1]!))
  )

describe("the sources", () => {
  it("import only downwards in the reading order, types included", () => {
    for (const file of files) {
      if (file.startsWith("internal/")) continue
      assert.notStrictEqual(rank(file), -1, `${file} has no place in the reading order`)
      for (const imported of imports(file)) {
        if (imported.startsWith("internal/")) continue
        assert.isAtMost(rank(imported), rank(file), `${file} imports ${imported}`)
      }
    }
  })

  it("have no import circles, types and internal modules included", () => {
    const done = new Set<string>()
    const visit = (file: string, path: ReadonlyArray<string>): void => {
      assert.notInclude(path, file, [...path, file].join(" -> "))
      if (done.has(file)) return
      for (const imported of imports(file)) visit(imported, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
  })

  it("know a medium only where it is, in what users test with, and in the command line", () => {
    for (const file of files) {
      for (const imported of imports(file)) {
        const medium = media.find((folder) => imported.startsWith(folder))
        if (medium === undefined || file.startsWith(medium) || file.startsWith("cli/")) continue
        assert.isTrue(medium === "memory/" && file.startsWith("test/"), `${file} imports ${imported}`)
      }
    }
  })

  it("are not too long or too wide, and open with a comment that says what they are", () => {
    for (const file of files) {
      const lines = text(file).split("\n")
      assert.isAtMost(lines.length - 1, 400, file)
      // Word lists and patterns of the detectors are data, and what a migration says is frozen.
      const isData = file.startsWith("pii/") || file === "sqlite/Migrations.ts"
      for (const line of lines) {
        if (!isData || /^\s*(\*|\/\/)/.test(line)) assert.isAtMost(line.length, 120, `${file}: ${line}`)
      }
      assert.match(text(file), /^(#!.*\n)?\/\*\*/, file)
      const isPublic = /^[A-Z]/.test(file.split("/").at(-1) ?? "")
      if (isPublic) assert.match(text(file), /@since \d/, file)
    }
  })

  it("have functions of at most 70 lines", () => {
    const { status, stdout } = spawnSync(join(root, "node_modules/.bin/oxlint"), ["src"], {
      cwd: root,
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stdout)
    const config = readFileSync(join(root, ".oxlintrc.json"), "utf8")
    assert.match(config, /"eslint\/max-lines-per-function": \["error", \{ "max": 70 \}\]/)
  })

  it("read as English: what returns does not answer, and no comment asks a riddle", () => {
    for (const file of files) {
      const comments = [...text(file).matchAll(/^\s*(?:\/?\*\*? |\/\/ ).*$/gm)].map(([line]) => line)
      for (const line of comments) {
        assert.notMatch(line, /\banswers\b|if it is none|\bis none\b/i, `${file}: ${line}`)
      }
    }
  })

  it("name no flag of the command line outside of it", () => {
    for (const file of files) {
      if (!file.startsWith("cli/")) assert.notMatch(text(file), /(?:say|use|with|give) --[a-z]/, file)
    }
  })

  it("take time and chance from services, load no barrel, silence no error and leave nothing behind", () => {
    const banned: ReadonlyArray<readonly [RegExp, ReadonlyArray<string>]> = [
      [/Date\.now\(|new Date\(\)|Math\.random/, []],
      [/console\./, []],
      [/\basync\b/, []],
      [/from "effect"/, []],
      [/Effect\.(ignore|ignoreLogged|orDie)\b/, []],
      [/@ts-(ignore|nocheck|expect-error)/, []],
      [/\bas any\b|: any\b|as unknown as/, []],
      [/\b(TODO|FIXME|XXX|HACK)\b/, []],
      [/@internal\b/, []],
      [/process\.(exit|env)\b/, []]
    ]
    for (const file of files) {
      for (const [pattern, allowed] of banned) {
        if (!allowed.includes(file)) assert.notMatch(text(file), pattern, file)
      }
    }
  })

  it("depend on effect alone, apart from optional peers", () => {
    for (const file of files) {
      for (const [, name] of text(file).matchAll(/(?:from|import\() ?"([^."][^"]*)"/g)) {
        assert.match(
          name ?? "",
          file === "cli/main.ts"
            ? /^(effect\/|@effect\/platform-node|node:http$)/
            : file === "nats/Nats.ts"
            ? /^(effect\/|@nats-io\/jetstream$)/
            : file === "cli/postgres.ts"
            ? /^(effect\/|@effect\/sql-pg\/)/
            : /^(effect\/|node:)/,
          file
        )
      }
    }
  })
})

describe("the medium in SQLite", () => {
  it("is thin: rows and statements, and no rule", () => {
    const lines = files.filter((file) => file.startsWith("sqlite/")).reduce(
      (sum, file) => sum + text(file).split("\n").length - 1,
      0
    )
    assert.isAtMost(lines, 3550)
  })
})
