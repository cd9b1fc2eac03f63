/**
 * The state of a signer in PostgreSQL, in a schema of its own.
 *
 * For each origin the last head that was signed, committed before a signature leaves the process. All instances of an
 * application share it.
 *
 * **Gotchas**
 *
 * Keep it in another database than the store: a restored backup of the store must not take it back as well.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError, SignerRefused } from "../AuditError.ts"
import { blobOf, integerOf, type Row, stringOf } from "../internal/row.ts"
import type { Head } from "../ledger/extends.ts"
import { ended, type SignedOrigin, SignerState } from "../ledger/Signer.ts"
import { Env, TenantId } from "../RequestContext.ts"
import { InTransaction, make as database } from "./database.ts"
import { hasTable } from "./Migrations.ts"
import { reasonOf } from "./problem.ts"

/** Where the state is. */
export interface Options {
  /** The schema of the state: lower-case letters, digits and `_`; `audit_signer` unless given. */
  readonly schema?: string | undefined
  /** Whether the state may be made anew: nothing was signed by this key before. Not unless given. */
  readonly newSigner?: boolean | undefined
}

const method = "SignerState"

const refuse = (detail: string) => new AuditError({ method, reason: new SignerRefused({ detail }) })

const failed = (error: SqlError): AuditError =>
  refuse(reasonOf(error, "the signer's state in PostgreSQL cannot be used", false).message)

const headOf = (row: Row | undefined): Head | undefined => {
  const [size, root] = [integerOf(row, "size"), blobOf(row, "root")]
  return size === undefined || root === undefined ? undefined : { size, root }
}

const signedOf = (row: Row): SignedOrigin => {
  const [tenantId, env] = [stringOf(row, "tenant_id"), stringOf(row, "env")]
  return {
    origin: stringOf(row, "origin") ?? "",
    name: tenantId === undefined || env === undefined ? undefined : {
      tenantId: TenantId.make(tenantId, { disableChecks: true }),
      env: Env.make(env, { disableChecks: true })
    },
    head: headOf(row) ?? { size: -1, root: new Uint8Array(0) },
    isEnded: row["ended"] === true
  }
}

const mayRead =
  "SELECT 1 AS may FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND " +
  "c.relname = 'signed' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"

/** Over the client; fails where there is no state, unless this is a new signer. */
export const make = Effect.fnUntraced(function*(
  { newSigner = false, schema = "audit_signer" }: Options = {}
): Effect.fn.Return<SignerState["Service"], AuditError, SqlClient> {
  const { committed, outside, run, schema: s, transact } = yield* database({ schema })
  const open = (text: string, params?: ReadonlyArray<unknown>) => Effect.mapError(committed(text, params), failed)
  if (!(yield* Effect.mapError(hasTable(committed, s, "signed"), failed))) {
    if (!newSigner) {
      return yield* refuse(
        `there is no signer's state in the schema ${s}: bring the last one back, or make one for a ` +
          "key that has signed nothing yet"
      )
    }
    const make = [
      `CREATE SCHEMA IF NOT EXISTS ${s}`,
      `CREATE TABLE IF NOT EXISTS ${s}.signed (origin text PRIMARY KEY, size bigint NOT NULL, root bytea NOT NULL, ` +
      "tenant_id text, env text, ended boolean NOT NULL DEFAULT false)"
    ]
    yield* outside(transact(Effect.andThen(
      Effect.mapError(run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`effect-audit ${s}`]), failed),
      Effect.forEach(make, (statement) => Effect.mapError(run(statement), failed), { discard: true })
    )))
  }
  return SignerState.of({
    isNew: newSigner,
    origins: Effect.map(
      open(`SELECT origin, size::float8 AS size, root, tenant_id, env, ended FROM ${s}.signed ORDER BY origin`),
      (rows) => rows.map(signedOf)
    ),
    last: (origin) =>
      Effect.gen(function*() {
        const text = `SELECT size::float8 AS size, root FROM ${s}.signed WHERE origin = $1`
        // A role that the application has taken on in its transaction may have no right to the state.
        const isInside = (yield* InTransaction) && (yield* Effect.mapError(run(mayRead, [schema]), failed)).length > 0
        const [row] = yield* (isInside ? Effect.mapError(run(text, [origin]), failed) : open(text, [origin]))
        return headOf(row)
      }),
    end: (origin, { root, size }, { env, tenantId }) =>
      Effect.asVoid(open(
        `INSERT INTO ${s}.signed (origin, size, root, tenant_id, env, ended) VALUES ($1, $2, $3, $4, $5, true) ` +
          "ON CONFLICT (origin) DO UPDATE SET ended = true",
        [origin, BigInt(size), root, tenantId, env]
      )),
    advance: (origin, from, to, name) =>
      Effect.flatMap(
        from === undefined
          ? open(
            `INSERT INTO ${s}.signed (origin, size, root, tenant_id, env) VALUES ($1, $2, $3, $4, $5) ` +
              "ON CONFLICT DO NOTHING RETURNING 1 AS done",
            [origin, BigInt(to.size), to.root, name?.tenantId ?? null, name?.env ?? null]
          )
          : open(
            `UPDATE ${s}.signed SET size = $2, root = $3, tenant_id = coalesce($4, tenant_id), ` +
              "env = coalesce($5, env) WHERE origin = $1 AND size = $6 AND root = $7 AND NOT ended RETURNING 1 AS done",
            [origin, BigInt(to.size), to.root, name?.tenantId ?? null, name?.env ?? null, BigInt(from.size), from.root]
          ),
        (done) =>
          done.length > 0
            ? Effect.succeed(true)
            : Effect.flatMap(
              open(`SELECT ended FROM ${s}.signed WHERE origin = $1`, [origin]),
              ([row]) => row?.["ended"] === true ? Effect.fail(ended(origin)) : Effect.succeed(false)
            )
      )
  })
})

/**
 * A signer's state over a client. A sink that is built over this layer refuses logs that do not extend what was signed.
 */
export const layer = (options?: Options | undefined): Layer.Layer<SignerState, AuditError, SqlClient> =>
  Layer.effect(SignerState, make(options))

/** The state of a store whose signer is elsewhere: nothing can be signed with it. */
export const layerNone: Layer.Layer<SignerState> = Layer.succeed(SignerState, {
  origins: Effect.succeed([]),
  end: () => Effect.void,
  last: () => Effect.undefined,
  advance: () => Effect.fail(refuse("this store was opened without a signer's state"))
})
