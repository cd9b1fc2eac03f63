/**
 * Roles of a store in PostgreSQL: who records and reads, who erases, and who sees the logs of one tenant alone.
 */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { AuditError, InvalidInput } from "../AuditError.ts"
import * as SqlRelayState from "../relay/SqlRelayState.ts"
import { make, type Options as DatabaseOptions } from "./database.ts"
import { prepare as prepareOutbox } from "./outbox.ts"
import { failing } from "./problem.ts"

/** Names of roles that are there; each is given what it needs, and nothing else is taken from it. */
export interface Options extends Pick<DatabaseOptions, "schema"> {
  /** The application's: records, signs, reads and relays. It cannot change or remove an event. */
  readonly application: string
  /** Erases, holds, releases and resumes; it records as well. */
  readonly erasure?: string | undefined
  /**
   * Reads the logs of the tenant that its session names (`SET audit.tenant = 't_acme'`) by row-level security, and no
   * others; nothing without a name.
   */
  readonly reader?: string | undefined
}

const appended = ["log", "head", "event", "idempotency_key", "bundle", "subtree", "checkpoint", "stop"]

/** What who records may do: rows are added, and only heads, tails and preferences change. */
const recording = (s: string, role: string): ReadonlyArray<string> => [
  `GRANT USAGE ON SCHEMA ${s} TO ${role}`,
  `GRANT SELECT ON ALL TABLES IN SCHEMA ${s} TO ${role}`,
  `GRANT INSERT ON ${appended.map((table) => `${s}.${table}`).join(", ")} TO ${role}`,
  `GRANT UPDATE (size, last, version, changed) ON ${s}.head TO ${role}`,
  `GRANT UPDATE (commitments, low, high) ON ${s}.bundle TO ${role}`,
  `GRANT INSERT, UPDATE ON ${s}.store, ${s}.preference TO ${role}`,
  `GRANT UPDATE ON ${s}.preference_version TO ${role}`,
  `GRANT EXECUTE ON FUNCTION ${s}.grow TO ${role}`,
  `GRANT INSERT, DELETE ON ${s}.outbox TO ${role}`,
  `GRANT INSERT, UPDATE, DELETE ON ${s}.relay, ${s}.relay_cursor, ${s}.relay_parked TO ${role}`
]

const erasing = (s: string, role: string): ReadonlyArray<string> => [
  ...recording(s, role),
  `GRANT UPDATE (body, salt, recorded_at, terms, erased_at) ON ${s}.event TO ${role}`,
  `GRANT UPDATE (key_hash, digest) ON ${s}.idempotency_key TO ${role}`,
  `GRANT INSERT ON ${s}.erasure, ${s}.origin TO ${role}`,
  `GRANT INSERT, DELETE ON ${s}.hold TO ${role}`,
  `GRANT DELETE ON ${s}.stop TO ${role}`
]

/** The tables that a reader of one tenant sees, with the condition on their rows. */
const seen = (s: string): ReadonlyArray<readonly [table: string, condition: string]> => {
  const own = "tenant_id = current_setting('audit.tenant', true)"
  const ofOwn = `log IN (SELECT id FROM ${s}.log WHERE ${own})`
  return [
    ["log", own],
    ...["head", "origin", "event", "bundle", "subtree", "checkpoint"].map((table) => [table, ofOwn] as const)
  ]
}

const reading = (s: string, reader: string, others: ReadonlyArray<string>): ReadonlyArray<string> => [
  `GRANT USAGE ON SCHEMA ${s} TO ${reader}`,
  ...seen(s).flatMap(([table, condition]) => [
    `GRANT SELECT ON ${s}.${table} TO ${reader}`,
    `ALTER TABLE ${s}.${table} ENABLE ROW LEVEL SECURITY`,
    `DROP POLICY IF EXISTS effect_audit_all ON ${s}.${table}`,
    `CREATE POLICY effect_audit_all ON ${s}.${table} TO ${others.join(", ")} USING (true) WITH CHECK (true)`,
    `DROP POLICY IF EXISTS effect_audit_tenant ON ${s}.${table}`,
    `CREATE POLICY effect_audit_tenant ON ${s}.${table} FOR SELECT TO ${reader} USING (${condition})`
  ])
]

const method = "Postgres.grant"

const nameOf = (path: string, name: string) =>
  /^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/.test(name)
    ? Effect.succeed(`"${name}"`)
    : Effect.fail(
      new AuditError({ method, reason: new InvalidInput({ path, detail: "is no name of a role: letters, digits, _" }) })
    )

/** Gives roles what they need, in one transaction, as the owner of the tables. May be repeated. */
export const grant = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<void, AuditError, SqlClient> {
  const database = yield* make(options)
  const { run, schema: s, transact } = database
  const application = yield* nameOf("/application", options.application)
  const erasure = options.erasure === undefined ? undefined : yield* nameOf("/erasure", options.erasure)
  const reader = options.reader === undefined ? undefined : yield* nameOf("/reader", options.reader)
  const statements = [
    ...recording(s, application),
    ...erasure === undefined ? [] : erasing(s, erasure),
    ...reader === undefined ? [] : reading(s, reader, erasure === undefined ? [application] : [application, erasure])
  ]
  yield* prepareOutbox(database, method)
  yield* SqlRelayState.make(options)
  yield* transact(
    Effect.forEach(statements, (statement) => Effect.mapError(run(statement), failing(method)), { discard: true })
  )
})
