/**
 * The policy that a SQLite file is written under.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { WritePolicy } from "../WritePolicy.ts"
import { connectionOf } from "./connection.ts"
import { readLogs } from "./logRows.ts"
import { attempt, failing } from "./problem.ts"
import { stringOf } from "./row.ts"
import { SqliteClient } from "./SqliteClient.ts"

const method = "WritePolicy"

/** Reads and sets it in the client's file. */
export const make: Effect.Effect<WritePolicy["Service"], never, SqliteClient> = Effect.gen(function*() {
  const { filename, reader, transact, writer } = connectionOf(yield* SqliteClient)
  const failed = Effect.mapError(failing(method, filename))
  const one = reader.prepare("SELECT value FROM audit_store WHERE name = 'policy'")
  const insert = writer.prepare("INSERT OR IGNORE INTO audit_store VALUES ('policy', ?)")
  const update = writer.prepare("UPDATE audit_store SET value = ? WHERE name = 'policy' AND value = ?")
  const set = (from: string | undefined, to: string) =>
    failed(attempt(() => (from === undefined ? insert.run(to) : update.run(to, from)).changes === 1))
  return WritePolicy.of({
    current: failed(attempt(() => stringOf(one.get(), "value"))),
    replace: (from, to) => transact(set(from, to)),
    logs: failed(attempt(() => readLogs(reader).filter(({ stopped }) => stopped === undefined).map(({ name }) => name)))
  })
})

/** The policy of the client's file. */
export const layer: Layer.Layer<WritePolicy, never, SqliteClient> = Layer.effect(WritePolicy, make)
