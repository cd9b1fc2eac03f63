/** Rows of training preferences, as a database returns them. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { Env, TenantId } from "../RequestContext.ts"
import type { Preference } from "../TrainingPreferences.ts"

const Rows = Schema.Array(Schema.Struct({
  tenant_id: TenantId,
  env: Env,
  user_id: Schema.String,
  training_allowed: Schema.Union([Schema.Boolean, Schema.BooleanFromBit])
}))
const decode = Schema.decodeUnknownEffect(Rows)

export const listMethod = "TrainingPreferences.list"

/** What rows of a store say; a row without a person's id is the tenant's. */
export const preferencesOf = (rows: unknown, store: string): Effect.Effect<ReadonlyArray<Preference>, AuditError> =>
  Effect.mapBoth(decode(rows), {
    onFailure: () =>
      new AuditError({
        method: listMethod,
        reason: new SinkRejected({ detail: `a preference in ${store} cannot be read` })
      }),
    onSuccess: (rows) =>
      rows.map((row): Preference => ({
        tenantId: row.tenant_id,
        env: row.env,
        ...(row.user_id === "" ? {} : { userId: row.user_id }),
        trainingAllowed: row.training_allowed
      }))
  })
