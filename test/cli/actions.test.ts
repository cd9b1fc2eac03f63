/** What an application records, as its configuration says: printed without opening a store. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "../support.ts"
import { run } from "./process.ts"

const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)))

describe("effect-audit actions", () => {
  it.live("prints the registry of a configuration, as a table and as JSON", () =>
    Effect.scoped(Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [config, db] = [join(folder, "audit.config.ts"), join(folder, "audit.db")]
      const write = (actions: string) =>
        writeFileSync(
          config,
          `import { Schema } from "${import.meta.resolve("effect")}"
import { AuditAction, AuditRegistry } from ${source("index.ts")}
import { AuditConfig } from ${source("config/index.ts")}
import { Sqlite } from ${source("sqlite/index.ts")}
const Create = AuditAction.make("order.create", {
  resource: "order", description: "Someone \\u001b[31m ordered", retention: "7 years",
  input: Schema.Struct({ email: AuditAction.strip(Schema.String), name: AuditAction.drop(Schema.String) })
})
export default AuditConfig.make({ store: Sqlite.store({ filename: ${JSON.stringify(db)} }), ${actions} })
`
        )
      write("actions: AuditRegistry.make(Create)")
      const shown = yield* run(["actions", "--config", config])
      assert.deepStrictEqual([shown.code, shown.stderr], [0, ""])
      assert.match(
        shown.stdout,
        /order\.create +order +audit +info +7 years +strip \/input\/email +Someone \\u001b[^\n]*\n +drop \/input\/name\n/
      )
      const json = yield* run(["actions", "--config", config, "--json"])
      const [action] = JSON.parse(json.stdout)
      assert.deepStrictEqual(action.marks, { "/input/email": "strip", "/input/name": "drop" })
      assert.deepStrictEqual(action.input.properties, { email: { type: "string" }, name: { type: "string" } })
      write("")
      const without = yield* run(["actions", "--config", config])
      assert.deepStrictEqual([without.code, without.stdout], [2, ""])
      assert.include(without.stderr, "has no actions")
      assert.isFalse(existsSync(db))
    })))
})
