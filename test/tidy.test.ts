/** The project's own rules, as far as a program can check them. */
import { assert, describe, it } from "@effect/vitest"
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
const files = list(src)
const text = (file: string) => readFileSync(join(src, file), "utf8")

/** The reading order: a module imports only from lines above its own, from its own line, and from `internal`. */
const order = [
  "RequestContext.ts",
  "DatasetEvent.ts",
  "AuditError.ts",
  "pii/",
  "PiiStripper.ts",
  "TrainingPreferences.ts",
  "Merkle.ts",
  "Seal.ts",
  "EventSink.ts",
  "Transactions.ts",
  "LoggingEngine.ts",
  "AuditLogger.ts",
  "index.ts",
  "trail/",
  "ledger/",
  "erasure/",
  "memory/",
  "test/",
  "sqlite/",
  "cli/"
]
const rank = (file: string) =>
  order.findIndex((entry) => file === entry || (entry.endsWith("/") && file.startsWith(entry)))
const imports = (file: string) =>
  [...text(file).matchAll(/^(?:import|export) (?!type)[^"]*?from "(\.[^"]+)"/gms)].map((match) =>
    relative(src, join(src, dirname(file), match[1]!))
  )

describe("the sources", () => {
  it("import only downwards in the reading order", () => {
    for (const file of files) {
      if (file.startsWith("internal/")) continue
      assert.notStrictEqual(rank(file), -1, `${file} has no place in the reading order`)
      for (const imported of imports(file)) {
        if (imported.startsWith("internal/")) continue
        assert.isAtMost(rank(imported), rank(file), `${file} imports ${imported}`)
      }
    }
  })

  it("are not too long or too wide, and open with a comment that says what they are", () => {
    for (const file of files) {
      const lines = text(file).split("\n")
      assert.isAtMost(lines.length, 450, file)
      for (const line of lines) assert.isAtMost(line.length, 160, `${file}: ${line}`)
      assert.match(text(file), /^(#!.*\n)?\/\*\*/, file)
      const isPublic = /^[A-Z]/.test(file.split("/").at(-1) ?? "")
      if (isPublic) assert.match(text(file), /@since \d/, file)
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
      [/process\.(exit|env)\b/, []]
    ]
    for (const file of files) {
      for (const [pattern, allowed] of banned) {
        if (!allowed.includes(file)) assert.notMatch(text(file), pattern, file)
      }
    }
  })

  it("depend on effect alone, apart from the command line's optional peer", () => {
    for (const file of files) {
      for (const [, name] of text(file).matchAll(/(?:from|import\() ?"([^."][^"]*)"/g)) {
        assert.match(
          name ?? "",
          file === "cli/main.ts" ? /^(effect\/|@effect\/platform-node)/ : /^(effect\/|node:)/,
          file
        )
      }
    }
  })
})
