/**
 * `Stamped -> Stripped`: replaces personal data and secrets.
 *
 * A stripper reads the caller's own words (`Content`) and returns them changed, with what it found; the engine makes the
 * `Stripped`. It never logs or returns what it removed. If it fails the event is not stored: the caller gets
 * `AuditError` with the reason `StripFailed`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Content, PiiFlags, Stamped } from "./DatasetEvent.ts"
import { keepsDeadline } from "./internal/deadline.ts"
import type { Json, JsonObject } from "./internal/json.ts"
import { Stripper } from "./pii/Pii.ts"
import { defaultPolicy, type Policy } from "./pii/Policy.ts"

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
}>()("effect-audit/PiiStripper") {}

const clean: PiiFlags = { flags: [], policy_reason: "no_pii", counts: {}, truncated: false }

const stripContent = (policy: Policy, content: Content): StripResult => {
  const stripper = new Stripper(policy)
  const { analytics, errorTag, input, metadata, output, resource } = content
  const stripped: Content = {
    resource: resource === undefined
      ? undefined
      : { type: stripper.text(resource.type), id: stripper.text(resource.id) },
    errorTag: errorTag === undefined ? undefined : stripper.text(errorTag),
    input: input === undefined ? undefined : stripper.json(input),
    output: output === undefined ? undefined : stripper.json(output),
    metadata: metadata === undefined ? undefined : object(stripper.json(metadata)),
    analytics: analytics === undefined ? undefined : texts(stripper, analytics)
  }
  if (stripper.counts === undefined) return { content: stripped, piiFlags: clean, trainable: true }
  const flags = [...stripper.counts.keys()].sort()
  return {
    content: stripped,
    piiFlags: {
      flags,
      policy_reason: "pii_found",
      counts: Object.fromEntries(flags.map((kind) => [kind, stripper.counts?.get(kind) ?? 0])),
      truncated: false
    },
    trainable: false
  }
}

const object = (json: Json): JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json) ? json as JsonObject : {}

const texts = (stripper: Stripper, values: { readonly [key: string]: string }) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, stripper.text(value)]))

/** Builds the stripper of this package with a policy. */
export const make = (policy: Policy = defaultPolicy): PiiStripper["Service"] => {
  const stripper = PiiStripper.of({ strip: (event) => Effect.sync(() => stripContent(policy, event.content)) })
  keepsDeadline.add(stripper)
  return stripper
}

/** The stripper of this package with its default policy. */
export const layer: Layer.Layer<PiiStripper> = Layer.succeed(PiiStripper, make())

/** The stripper of this package with another policy. */
export const layerWith = (options: { readonly policy: Policy }): Layer.Layer<PiiStripper> =>
  Layer.succeed(PiiStripper, make(options.policy))
