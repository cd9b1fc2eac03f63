/**
 * `Stamped -> Stripped`: replaces personal data and secrets.
 *
 * A stripper reads the caller's own words (`Content`) and returns them changed, with what it found; the engine makes
 * the `Stripped`. It never logs or returns what it removed. If it fails the event is not stored: the caller gets
 * `AuditError` with the reason `StripFailed`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { AuditError, InvalidInput } from "./AuditError.ts"
import type { Content, PiiFlags, Stamped } from "./DatasetEvent.ts"
import { keepsDeadline } from "./internal/deadline.ts"
import { type Json, type JsonObject, pointer } from "./internal/json.ts"
import { fingerprint } from "./pii/fingerprint.ts"
import { type Options as StripOptions, pseudonym, type PseudonymKey, Stripper } from "./pii/Pii.ts"
import { needsKey, notAKind, Policy, trainableKinds, Treatment } from "./pii/Policy.ts"
import { isKept } from "./pii/resourceId.ts"
import type * as WritePolicy from "./WritePolicy.ts"

/** What a stripper says: the changed words and what was found in them. */
export interface StripResult {
  readonly content: Content
  readonly piiFlags: PiiFlags
  /** Whether what was found still allows training. */
  readonly trainable: boolean
}

/** Why a stripper gave up; `detail` names the place, never the value. */
export interface StripFailure {
  readonly detail: string
}

/** Replaces personal data and secrets in what an application says. */
export class PiiStripper extends Context.Service<PiiStripper, {
  /**
   * Strips one event. Runs before anything is stored, may run concurrently, and keeps no state between events.
   * A defect counts as a failure: nothing is stored.
   */
  readonly strip: (event: Stamped) => Effect.Effect<StripResult, StripFailure>
  /**
   * Strips the place of an error, a JSON Pointer: its keys are the caller's. Without it the default policy does. If it
   * throws, nothing is left of the place.
   */
  readonly place?: ((pointer: string) => string) | undefined
  /** The pseudonym of a value that a schema marks as personal; `[PERSONAL]` stands for it where there is no key. */
  readonly pseudonym?: ((tenantId: string, value: string) => string) | undefined
  /**
   * What it strips by, as the store remembers it. One of your own without this has the fingerprint `unknown`: give it
   * one that changes with what it does.
   */
  readonly policy?: WritePolicy.Policy | undefined
}>()("effect-audit/PiiStripper") {}

const clean: PiiFlags = { flags: [], policy_reason: "no_pii", counts: {}, truncated: false }

/** How to strip: everything but the tenant, which is the event's. */
export type Options = Omit<StripOptions, "tenantId" | "policy"> & {
  /** A `Policy`; what comes from configuration is checked like any other. */
  readonly policy?: unknown
  /** Change it whenever a detector of your own changes: functions cannot be compared. */
  readonly revision?: string | undefined
  /** Fingerprints of policies that a store may have been written under, so that this one may follow. */
  readonly replaces?: ReadonlyArray<string> | undefined
}

const stripContent = (options: StripOptions, content: Content): StripResult => {
  const stripper = new Stripper(options)
  const { analytics, authorization, change, client, errorTag, input, metadata, output, related, resource } = content
  const id = (value: string, name: string, ...below: ReadonlyArray<string | number>): string =>
    isKept(value, options.detectors) ? value : text(stripper.part(name, value, ...below))
  const stripped: Content = {
    resource: resource === undefined
      ? undefined
      : { type: text(stripper.part("resource", resource.type, "type")), id: id(resource.id, "resource", "id") },
    related: related?.map((other, index) => ({
      type: text(stripper.part("related", other.type, index, "type")),
      id: id(other.id, "related", index, "id")
    })),
    errorTag: errorTag === undefined ? undefined : text(stripper.part("errorTag", errorTag)),
    input: input === undefined ? undefined : stripper.part("input", input),
    output: output === undefined ? undefined : stripper.part("output", output),
    metadata: metadata === undefined ? undefined : object(stripper.part("metadata", metadata)),
    analytics: analytics === undefined ? undefined : texts(stripper, analytics),
    change: change === undefined ? undefined : stripChange(stripper, change),
    authorization: authorization === undefined ? undefined : {
      decision: authorization.decision,
      policyId: authorization.policyId && id(authorization.policyId, "authorization", "policyId"),
      reason: authorization.reason && text(stripper.part("authorization", authorization.reason, "reason")),
      risk: authorization.risk === undefined
        ? undefined
        : risk(stripper.part("authorization", authorization.risk, "risk"))
    },
    client: client === undefined ? undefined : {
      address: client.address && stripper.address("client", "address", client.address),
      userAgent: client.userAgent && text(stripper.part("client", client.userAgent, "userAgent"))
    }
  }
  const { counts, trainable, truncated } = stripper
  if (counts === undefined && !truncated) return { content: stripped, piiFlags: clean, trainable: true }
  const flags = [...counts?.keys() ?? []].sort()
  return {
    content: stripped,
    piiFlags: {
      flags,
      policy_reason: truncated ? "truncated" : trainable ? "allowed_kinds" : "pii_found",
      counts: Object.fromEntries(flags.map((kind) => [kind, counts?.get(kind) ?? 0])),
      truncated
    },
    trainable: trainable && !truncated
  }
}

const stripChange = (stripper: Stripper, { after, before }: NonNullable<Content["change"]>): Content["change"] => ({
  ...(before === undefined ? {} : { before: stripper.part("change", before, "before") }),
  ...(after === undefined ? {} : { after: stripper.part("change", after, "after") })
})

const risk = (json: Json): string | number => typeof json === "number" ? json : text(json)
const text = (json: Json): string => typeof json === "string" ? json : ""
const object = (json: Json): JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json) ? json as JsonObject : {}

const texts = (stripper: Stripper, values: { readonly [key: string]: string }) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, text(stripper.part("analytics", value, key))]))

const method = "PiiStripper.layer"
const refuse = (path: string, detail: string) => new AuditError({ method, reason: new InvalidInput({ path, detail }) })
const decodePolicy = Schema.decodeUnknownResult(Policy, { onExcessProperty: "error" })
const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** What may stand at a place of a policy. */
const meantAt = (path: ReadonlyArray<string>): string => {
  const [before, last] = [path.at(-2), path.at(-1)]
  if (before === "kinds" || last === "default" || last === "treatment") {
    return `must be one of ${Treatment.literals.join(", ")}`
  }
  if (last === "path" || before === "paths") return "must be a JSON Pointer into an event, such as /input/email"
  return before === "trainable" ? `must be ${trainableKinds}` : "is not what a policy has there"
}

/** The first place of a policy that is wrong; where that is the name of a kind, with the names that there are. */
const policyProblem = (error: Schema.SchemaError): AuditError => {
  const [issue] = formatIssue(error.issue).issues
  const path = (issue?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
  const isName = issue?.message.startsWith(notAKind) === true
  return refuse(pointer(["policy", ...path]), isName ? `is ${issue.message}` : meantAt(path))
}

const isKey = ({ id, secret }: PseudonymKey): boolean =>
  typeof id === "string" && /^[A-Za-z0-9_-]{1,32}$/.test(id) && secret instanceof Uint8Array && secret.length >= 32

/** A policy that looks at nothing in some places as well; one for all events of an action. */
const keeping = (policy: Policy): (kept: ReadonlyArray<string>) => Policy => {
  const known = new WeakMap<ReadonlyArray<string>, Policy>()
  return (kept) => {
    if (kept.length === 0) return policy
    const wider = known.get(kept) ??
      { ...policy, allow: { ...policy.allow, paths: [...policy.allow?.paths ?? [], ...kept] } }
    known.set(kept, wider)
    return wider
  }
}

/** Builds the stripper of this package; a wrong policy or key fails with its path. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<PiiStripper["Service"], AuditError> {
  const decoded = decodePolicy(options.policy ?? {})
  if (decoded._tag === "Failure") return yield* policyProblem(decoded.failure)
  const policy = decoded.success
  const { detectors, key, replaces, revision } = options
  if (detectors !== undefined && !(Array.isArray(detectors) && detectors.every((one) => typeof one === "function"))) {
    return yield* refuse("/detectors", "must be an array of functions")
  }
  if (replaces !== undefined && !(Array.isArray(replaces) && replaces.every((one) => typeof one === "string"))) {
    return yield* refuse("/replaces", "must be an array of fingerprints")
  }
  if (revision !== undefined && typeof revision !== "string") return yield* refuse("/revision", "must be a text")
  if (key === undefined && needsKey(policy)) return yield* refuse("/key", "pseudonyms need a key")
  if (key !== undefined && !isKey(key)) {
    return yield* refuse("/key", "needs an id of 1 to 32 letters, digits, _ or -, and a secret of at least 32 bytes")
  }
  const policyFor = keeping(policy)
  const stripper = PiiStripper.of({
    policy: {
      fingerprint: fingerprint({ policy, key, detectors, revision: options.revision }),
      replaces: options.replaces
    },
    place: (pointer) => new Stripper({ policy, key, detectors }).place(pointer),
    ...(key === undefined ? {} : { pseudonym: (tenantId, value) => pseudonym(key, tenantId, "PERSONAL", value) }),
    strip: ({ content, kept, stamp: { tenantId } }) =>
      Effect.sync(() => stripContent({ policy: policyFor(kept), key, detectors, tenantId }, content))
  })
  keepsDeadline(stripper, 0)
  return stripper
})

/** The stripper of this package with its default policy. */
export function layer(): Layer.Layer<PiiStripper>
/** The stripper of this package with another policy, a key for pseudonyms, or detectors of one's own. */
export function layer(options: Options | undefined): Layer.Layer<PiiStripper, AuditError>
export function layer(options?: Options): Layer.Layer<PiiStripper, AuditError> {
  return Layer.effect(PiiStripper, make(options))
}
