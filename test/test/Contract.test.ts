import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Memory } from "effect-audit/memory"
import { Sqlite } from "effect-audit/sqlite"
import { Contract } from "effect-audit/test"
import { temporaryFile } from "../support.ts"

const media = [
  ["memory", Memory.layer()],
  ["SQLite", Layer.unwrap(Effect.map(temporaryFile, (filename) => Sqlite.layer({ filename })))]
] as const

for (const [name, medium] of media) {
  for (const [contract, clauses] of Object.entries(Contract)) {
    describe(`${contract} in ${name}`, () => {
      for (const clause of clauses) it.live(clause.name, () => Effect.provide(clause.test, Layer.fresh(medium)))
    })
  }
}
