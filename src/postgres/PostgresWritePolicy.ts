/**
 * The policy that a store in PostgreSQL is written under.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { policyText, readPolicy } from "../internal/policies.ts"
import { stringOf } from "../internal/row.ts"
import { WritePolicy } from "../WritePolicy.ts"
import { Database } from "./database.ts"
import { LogRows } from "./logRows.ts"
import { failing } from "./problem.ts"

/** Over the database. */
export const make: Effect.Effect<WritePolicy["Service"], never, Database> = Effect.gen(function*() {
  const { committed, schema: s } = yield* Database
  const failed = Effect.mapError(failing("WritePolicy"))
  return WritePolicy.of({
    current: failed(
      Effect.map(
        committed(`SELECT value FROM ${s}.store WHERE name = 'policy'`),
        ([row]) => readPolicy(stringOf(row, "value"))
      )
    ),
    replace: (from, to) =>
      failed(
        Effect.map(
          committed(`UPDATE ${s}.store SET value = $1 WHERE name = 'policy' AND value = $2 RETURNING 1 AS done`, [
            policyText(to),
            policyText(from)
          ]),
          (done) => done.length === 1
        )
      ),
    logs: Effect.map(
      new LogRows(committed, s, "WritePolicy").logs,
      (logs) => logs.flatMap(({ name, stopped }) => stopped === undefined ? [name] : [])
    )
  })
})

/** The policy of the database. */
export const layer: Layer.Layer<WritePolicy, never, Database> = Layer.effect(WritePolicy, make)
