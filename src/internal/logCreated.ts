/**
 * The first event of every log, made by the store itself.
 *
 * @internal
 */
import { EventId, makeDecided, makeStamped, makeStripped, type Sealed } from "../DatasetEvent.ts"
import { saltBytes, seal } from "../Seal.ts"
import { type Entropy, makeUuid7 } from "./entropy.ts"

/**
 * `audit.log_created` for the log of an event. The origin is opaque: it names the deployment and 128 random bits, never the
 * tenant, so that a log's checkpoints can be published.
 */
export const makeLogCreated = (
  event: Pick<Sealed, "tenantId" | "env">,
  deployment: string,
  entropy: Entropy,
  millis: number
): Sealed & { readonly origin: string } => {
  const origin = `${deployment}/log/${Buffer.from(entropy.bytes(16)).toString("hex")}`
  const eventId = EventId.make(makeUuid7(entropy)(millis))
  const stamped = makeStamped({
    stamp: {
      eventId,
      tenantId: event.tenantId,
      env: event.env,
      mode: "saas",
      projectId: undefined,
      appId: undefined,
      surface: undefined,
      surfaceId: undefined,
      actorType: "system",
      agentId: "system",
      userId: undefined,
      subjectIds: undefined,
      requestId: eventId,
      correlationId: undefined,
      traceId: eventId,
      spanId: undefined,
      runId: undefined,
      stepId: undefined,
      action: "audit.log_created",
      outcome: "success",
      durationMillis: undefined,
      severity: "info",
      storageClass: "audit",
      occurredAt: new Date(millis).toISOString()
    },
    content: {
      resource: { type: "log", id: origin },
      errorTag: undefined,
      input: undefined,
      output: undefined,
      metadata: { origin },
      analytics: undefined
    }
  })
  // Nothing of a person is in it, and nothing to train on.
  const stripped = makeStripped({
    stamp: stamped.stamp,
    content: stamped.content,
    piiFlags: { flags: [], policy_reason: "no_pii", counts: {}, truncated: false },
    trainable: true
  })
  const decided = makeDecided({ stripped, trainOk: false, trainReason: "policy" })
  return { ...seal(decided, entropy.bytes(saltBytes), millis), origin }
}
