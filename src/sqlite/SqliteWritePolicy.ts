/**
 * The policy that a SQLite file is written under.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { policyText, readPolicy } from "../internal/policies.ts"
import { stringOf } from "../internal/row.ts"
import { WritePolicy } from "../WritePolicy.ts"
import { connectionOf } from "./connection.ts"
import { policyOf } from "./eventTable.ts"
import { readLogs } from "./logRows.ts"
import { attempt, failing } from "./problem.ts"
import { SqliteClient } from "./SqliteClient.ts"

/** Over the client's file. */
export const make: Effect.Effect<WritePolicy["Service"], never, SqliteClient> = Effect.gen(function*() {
  const { filename, reader, transact, writer } = connectionOf(yield* SqliteClient)
  const failed = Effect.mapError(failing("WritePolicy", filename))
  const update = "UPDATE audit_store SET value = ? WHERE name = 'policy' AND value = ?"
  return WritePolicy.of({
    current: failed(attempt(() => readPolicy(stringOf(reader.prepare(policyOf).get(), "value")))),
    replace: (from, to) =>
      transact(failed(
        attempt(() => writer.prepare(update).run(policyText(to), policyText(from)).changes === 1)
      )),
    logs: failed(attempt(() => readLogs(reader).flatMap(({ name, stopped }) => stopped === undefined ? [name] : [])))
  })
})

/** The policy of the client's file. */
export const layer: Layer.Layer<WritePolicy, never, SqliteClient> = Layer.effect(WritePolicy, make)
