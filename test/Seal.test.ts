import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RequestContext, Seal } from "effect-audit"
import { createHash } from "node:crypto"
import { Entropy } from "../src/internal/entropy.ts"
import { sealedBy } from "./support.ts"

/** Bytes 0, 1, 2, ... in each call. */
const counting: Entropy = { bytes: (size) => Uint8Array.from({ length: size }, (_, n) => n) }
const whole = {
  action: "note.create",
  resource: { type: "note", id: "n1" },
  outcome: "denied",
  errorTag: "Forbidden",
  durationMillis: 12,
  subjectIds: ["u2"],
  input: { in: 1 },
  output: { out: 2 },
  metadata: { mine: 3 },
  severity: "notice",
  storageClass: "stream",
  occurredAt: "2026-01-02T03:04:05.678Z",
  analytics: { event_type: "x", platform: "y", asset_alt_text: "z", utm_source: "s", seo_title: "t" }
} as const
const context: Partial<RequestContext.Json> = {
  mode: "lab",
  projectId: "p1",
  appId: "web",
  surface: "notes",
  surfaceId: "s1",
  actor: RequestContext.agent("a1", "u1"),
  correlationId: "c1",
  spanId: "b7ad6b7169203331",
  runId: "run1",
  stepId: "step1"
}
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

describe("Seal", () => {
  it.effect("writes every field in its place, and nothing else", () =>
    Effect.gen(function*() {
      const sealed = yield* sealedBy(whole, undefined, context)
      assert.strictEqual(
        text(sealed.body),
        JSON.stringify({
          event_id: sealed.eventId,
          schema_version: "1",
          tenantId: "t_acme",
          env: "prod",
          mode: "lab",
          project_id: "p1",
          app_id: "web",
          surface: "notes",
          surface_id: "s1",
          actor_type: "agent",
          agentId: "a1",
          user_id: "u1",
          subject_ids: ["u2"],
          request_id: "r1",
          correlation_id: "c1",
          trace_id: "0af7651916cd43dd8448eb211c80319c",
          span_id: "b7ad6b7169203331",
          run_id: "run1",
          step_id: "step1",
          action: "note.create",
          resource: { type: "note", id: "n1" },
          outcome: "denied",
          error_tag: "Forbidden",
          duration_ms: 12,
          input: { in: 1 },
          output: { out: 2 },
          metadata: {
            mine: 3,
            tenantId: "t_acme",
            env: "prod",
            agentId: "a1",
            trace_id: "0af7651916cd43dd8448eb211c80319c",
            request_id: "r1",
            actor_type: "agent",
            action: "note.create"
          },
          pii_flags: { flags: [], policy_reason: "no_pii", counts: {}, truncated: false },
          train_ok: true,
          train_reason: "allowed",
          severity: "notice",
          storage_class: "stream",
          occurred_at: "2026-01-02T03:04:05.678Z",
          recorded_at: "1970-01-01T00:00:00.000Z",
          analytics_event_type: "x",
          analytics_platform: "y",
          asset_alt_text: "z",
          utm_source: "s",
          seo_title: "t"
        })
      )
    }))

  it.effect("leaves out what is not there", () =>
    Effect.gen(function*() {
      const sealed = yield* sealedBy({ action: "note.create" }, undefined, { actor: RequestContext.system })
      const body = JSON.parse(text(sealed.body)) as { readonly [key: string]: unknown }
      for (
        const field of ["user_id", "subject_ids", "resource", "error_tag", "duration_ms", "input", "output", "span_id"]
      ) assert.notProperty(body, field)
      assert.deepStrictEqual(sealed.keys, {
        action: "note.create",
        actorId: "system",
        userId: undefined,
        subjectIds: undefined,
        resourceType: undefined,
        resourceId: undefined,
        outcome: "success",
        traceId: "0af7651916cd43dd8448eb211c80319c",
        requestId: "r1",
        correlationId: undefined,
        runId: undefined,
        stepId: undefined,
        operationId: undefined,
        phase: undefined,
        projectId: undefined,
        surface: undefined,
        severity: "info",
        storageClass: "ops",
        trainOk: "true"
      })
    }))

  it.effect("says by which values the event is found, whose it is and when it was recorded", () =>
    Effect.gen(function*() {
      const sealed = yield* sealedBy({ ...whole, input: "kim@example.com", operationId: "op1", phase: "intent" }, {
        idempotencyKey: "k"
      }, context)
      assert.deepStrictEqual(sealed.keys, {
        action: "note.create",
        actorId: "a1",
        userId: "u1",
        subjectIds: ["u2"],
        resourceType: "note",
        resourceId: "n1",
        outcome: "denied",
        traceId: "0af7651916cd43dd8448eb211c80319c",
        requestId: "r1",
        correlationId: "c1",
        runId: "run1",
        stepId: "step1",
        operationId: "op1",
        phase: "intent",
        projectId: "p1",
        surface: "notes",
        severity: "notice",
        storageClass: "stream",
        trainOk: "false"
      })
      assert.deepStrictEqual<unknown>([sealed.tenantId, sealed.env, sealed.trainOk], ["t_acme", "prod", false])
      assert.deepStrictEqual([...sealed.piiFlags.flags], ["EMAIL"])
      assert.strictEqual(sealed.recordedAtMillis, 0)
      assert.strictEqual(sealed.idempotency?.key, "k")
      assert.strictEqual(sealed.idempotency?.digest.length, 32)
      assert.isFalse(sealed.repeated)
    }))

  it.effect("commits to salt and body with one SHA-256, as its functions do", () =>
    Effect.gen(function*() {
      const sealed = yield* sealedBy(whole, undefined, context).pipe(Effect.provideService(Entropy, counting))
      assert.strictEqual(Seal.saltBytes, 32)
      assert.deepStrictEqual([...sealed.salt], Array.from({ length: 32 }, (_, n) => n))
      const expected = createHash("sha256").update(sealed.salt).update(sealed.body).digest()
      assert.deepStrictEqual(Buffer.from(sealed.commitment), expected)
      assert.deepStrictEqual(Buffer.from(Seal.commitment(sealed.salt, sealed.body)), expected)
      assert.notDeepEqual(Buffer.from(Seal.commitment(sealed.body, sealed.salt)), expected)
      assert.deepStrictEqual(Buffer.from(Seal.entry(sealed.commitment)), Buffer.concat([Buffer.of(1), expected]))
    }))

  it.effect("gives each event a salt of its own", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* sealedBy(whole), yield* sealedBy(whole)]
      assert.notDeepEqual(Buffer.from(a.salt), Buffer.from(b.salt))
      assert.notStrictEqual(a.eventId, b.eventId)
    }))
})
