/** The first event of every log, made by the medium itself. */
import { Decided, EventId, type Sealed, Stamped, Stripped } from "../DatasetEvent.ts"
import { type Entropy, makeUuid7 } from "../internal/entropy.ts"
import { made } from "../internal/made.ts"
import { timeText } from "../internal/time.ts"
import type { LogName } from "../RequestContext.ts"
import { saltBytes, seal } from "../Seal.ts"
import * as Origin from "./Origin.ts"

/** The log of a first event, and the fingerprint of the PII policy that this was stripped by. */
export interface FirstOf extends LogName {
  readonly policy: string | undefined
}

/** `audit.log_created` for a log, and the origin that it gives the log. */
export const makeLogCreated = (
  log: FirstOf,
  deployment: string,
  entropy: Entropy,
  millis: number
): { readonly event: Sealed; readonly origin: Origin.Origin } => {
  const origin = Origin.make(deployment, entropy.bytes(16))
  const eventId = EventId.make(makeUuid7(entropy)(millis))
  const stamped = new Stamped(
    made,
    {
      eventId,
      tenantId: log.tenantId,
      env: log.env,
      mode: "saas",
      projectId: undefined,
      appId: undefined,
      surface: undefined,
      surfaceId: undefined,
      actorType: "system",
      actorId: "system",
      agent: undefined,
      userId: undefined,
      delegation: undefined,
      subjectIds: undefined,
      requestId: eventId,
      correlationId: undefined,
      traceId: eventId,
      spanId: undefined,
      runId: undefined,
      stepId: undefined,
      operationId: undefined,
      phase: undefined,
      action: "audit.log_created",
      approval: undefined,
      outcome: "success",
      durationMillis: undefined,
      severity: "info",
      storageClass: "audit",
      occurredAt: timeText(millis),
      record: undefined
    },
    {
      resource: { type: "log", id: origin },
      related: undefined,
      errorTag: undefined,
      input: undefined,
      output: undefined,
      change: undefined,
      metadata: log.policy === undefined ? { origin } : { origin, policy: log.policy },
      analytics: undefined,
      authorization: undefined,
      client: undefined
    }
  )
  // Nothing of a person is in it, and nothing to train on.
  const piiFlags = { flags: [], policy_reason: "no_pii", counts: {}, truncated: false }
  const stripped = new Stripped(made, stamped.stamp, stamped.content, piiFlags, true)
  return { event: seal(new Decided(made, stripped, "policy"), entropy.bytes(saltBytes), millis), origin }
}
