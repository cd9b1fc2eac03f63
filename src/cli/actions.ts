/** The verb `actions`: what an application's events hold, as it says itself. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Description } from "../AuditRegistry.ts"
import { Failed } from "./exit.ts"
import { load } from "./opened.ts"
import { table } from "./table.ts"

const columns = ["action", "resource", "class", "severity", "retention", "marked field", "description"]

/** An action, and a line for each further field that is marked. */
const rows = ({ action, description, marks, resource, retention, severity, storageClass }: Description) => {
  const [first = "", ...others] = Object.entries(marks).map(([place, mark]) => `${mark} ${place}`)
  return [
    [action, resource ?? "", storageClass, severity, retention ?? "", first, description ?? ""],
    ...others.map((field) => ["", "", "", "", "", field, ""])
  ]
}

export const actions = Command.make(
  "actions",
  {
    config: Flag.String("config").pipe(
      Flag.withDescription("The application's configuration: a module whose default export is an AuditConfig")
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("JSON instead of a table, with the JSON Schemas of input and output")
    )
  },
  Effect.fnUntraced(function*({ config: file, json }) {
    const { actions } = (yield* load(file)).options
    if (actions === undefined) {
      return yield* new Failed({ message: `${file} has no actions: AuditConfig.make({ actions: Actions, ... })` })
    }
    const { descriptions } = actions
    if (json) yield* Console.log(JSON.stringify(descriptions, undefined, 2))
    else yield* Console.log(descriptions.length === 0 ? "no actions" : table(columns, descriptions.flatMap(rows)))
  })
).pipe(
  Command.withDescription(
    "Print the actions that an application has registered: what they are about, how long they are kept, which fields " +
      "are personal. Opens no store. Exit 0: done, 2: could not be done or called wrongly."
  ),
  Command.withExamples([
    { command: "effect-audit actions --config audit.config.ts", description: "What this application records" },
    { command: "effect-audit actions --config audit.config.ts --json > actions.json", description: "For a document" }
  ])
)
