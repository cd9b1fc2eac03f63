/** `effect-audit backup`: copies a store while writing goes on. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Sqlite from "../sqlite/Sqlite.ts"
import { Failed } from "./exit.ts"
import { opened, storeFlags } from "./opened.ts"
import { progress } from "./progress.ts"
import { failing } from "./store.ts"

export const backup = Command.make(
  "backup",
  {
    ...storeFlags,
    out: Flag.String("out").pipe(Flag.withDescription("The new file of the copy; never replaces one"))
  },
  Effect.fnUntraced(function*({ config, db, out }) {
    const { medium: { filename } } = yield* opened({ config, db })
    if (filename === undefined) {
      return yield* new Failed({
        message: "a store in PostgreSQL is backed up with its own tools, such as pg_basebackup"
      })
    }
    const state = { pages: 0, total: 0 }
    const meter = yield* progress(() => `${state.pages} of ${state.total} pages`)
    yield* failing(Sqlite.backup({
      filename,
      out,
      progress: (pages, total) => {
        state.pages = pages
        state.total = total
      }
    }))
    yield* meter.stop
    yield* Console.error(`copied: ${out}`)
  })
).pipe(
  Command.withDescription(
    "Copy a store as it is at one moment into a new file, while writing goes on. Keep the signer's state apart " +
      "from it: a restored copy is found to be old by what was signed since. Exit 0: done, 2: could not be done."
  ),
  Command.withExamples([{
    command: "effect-audit backup --db audit.db --out backup.db",
    description: "Make a backup"
  }])
)
