/** The quick look at a stored event, beside the schema that it stands in for. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { decodeEvent } from "../../src/internal/body.ts"
import { Wire, WireFromText } from "../../src/internal/wire.ts"
import { hasWireShape } from "../../src/internal/wireShape.ts"

const decode = Schema.decodeUnknownResult(WireFromText)

type Path = ReadonlyArray<string | number>

/** All places of a JSON value, itself among them. */
const placesOf = (value: unknown, path: Path = []): ReadonlyArray<Path> =>
  typeof value !== "object" || value === null
    ? [path]
    : [path, ...Object.entries(value).flatMap(([key, one]) => placesOf(one, [...path, key]))]

/** A copy with another value at a place; without one the place is gone. */
const changed = (value: unknown, [key, ...rest]: Path, to: { readonly value: unknown } | undefined): unknown => {
  if (key === undefined) return to?.value
  if (Array.isArray(value)) {
    return value.flatMap((one, at) => {
      if (String(at) !== key) return [one]
      return rest.length === 0 && to === undefined ? [] : [changed(one, rest, to)]
    })
  }
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).filter(([name]) => name !== key || rest.length > 0 || to !== undefined)
  return Object.fromEntries(entries.map(([name, one]) => [name, name === key ? changed(one, rest, to) : one]))
}

/** Whatever the quick look says of a text, reading it returns what the schema returns. */
const assertAlike = (text: string) => {
  const [read, wanted] = [decodeEvent(text), decode(text)]
  if (Result.isSuccess(wanted)) assert.deepStrictEqual(Result.getOrThrow(read), wanted.success)
  else assert.isTrue(Result.isFailure(read), text)
}

describe("a stored event", () => {
  it.prop("has the shape, and is read as its schema reads it", { event: Wire }, ({ event }) => {
    const text = JSON.stringify(event)
    assert.isTrue(hasWireShape(JSON.parse(text)), text)
    assertAlike(text)
  })

  const party = { type: "human", id: "u_1" }
  const whole = {
    event_id: "0192f0c1-2d3e-7a4b-8c5d-6e7f8a9b0c1d",
    schema_version: "1",
    tenantId: "t_acme",
    env: "dev",
    mode: "saas",
    project_id: "p1",
    app_id: "a1",
    surface: "web",
    surface_id: "s1",
    actor_type: "agent",
    agentId: "agent_1",
    agent: { version: "1.2", model: "m@2", instance_id: "i1" },
    user_id: "u_1",
    delegation: [party],
    client: { address: "192.0.2.0", user_agent: "curl" },
    subject_ids: ["u_2"],
    request_id: "r1",
    correlation_id: "c1",
    trace_id: "t1",
    span_id: "sp1",
    run_id: "run1",
    step_id: "step1",
    operation_id: "op1",
    phase: "result",
    action: "note.create",
    resource: { type: "note", id: "n1" },
    related: [{ type: "note", id: "n2" }],
    authorization: { decision: "allowed", policy_id: "pol1", reason: "owner", risk: 0.5 },
    approval: { by: party, at: "2026-01-01T00:00:00.000Z", arguments_sha256: "00" },
    outcome: "success",
    error_tag: "E",
    duration_ms: 1.5,
    input: { a: [1, null, "x"] },
    output: true,
    change: { before: 1, after: { b: 2 } },
    metadata: { m: 1 },
    pii_flags: { flags: ["EMAIL"], policy_reason: "found", counts: { EMAIL: 1 }, truncated: false },
    train_ok: false,
    train_reason: "pii",
    severity: "info",
    storage_class: "audit",
    occurred_at: "2026-01-01T00:00:00.000Z",
    recorded_at: "2026-01-01T00:00:00.000Z",
    analytics_event_type: "view",
    analytics_platform: "web",
    asset_alt_text: "a picture",
    utm_source: "mail"
  }
  const junk: ReadonlyArray<unknown> = [
    null,
    true,
    0,
    -1,
    0.5,
    1e21,
    "",
    "1",
    "not an id",
    "human",
    "dev",
    "allowed",
    "user@example.com",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.000Z",
    whole.event_id.toUpperCase(),
    `0${whole.event_id}`,
    `${whole.event_id}0`,
    whole.event_id.replace("-7", "-4"),
    [],
    [1],
    ["x"],
    [party],
    {},
    { x: 1 },
    { type: "note" },
    { type: "human", id: "u_1" },
    { type: "human", id: 1 }
  ]

  it("with all fields has the shape", () => {
    assert.isTrue(hasWireShape(whole))
    assertAlike(JSON.stringify(whole))
  })

  it("of which something is gone, or is something else, is read as its schema reads it", () => {
    for (const place of placesOf(whole)) {
      assertAlike(JSON.stringify(changed(whole, place, undefined)) ?? "")
      for (const value of junk) assertAlike(JSON.stringify(changed(whole, place, { value })))
    }
  })

  it("with one more field somewhere is read as its schema reads it", () => {
    const text = JSON.stringify(whole)
    for (const [index, char] of [...text].entries()) {
      if (char !== "{") continue
      for (const key of ["utm_", "seo_title", "more", "__proto__", "type", "1"]) {
        // As text: `__proto__` is no key of a literal.
        for (const value of ["\"x\"", "1", "{}"]) {
          assertAlike(`${text.slice(0, index + 1)}"${key}":${value},${text.slice(index + 1)}`)
        }
      }
    }
  })

  const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`
  for (
    const [what, more, hasShape] of [
      ["nothing of the caller", ",\"metadata\":{}", true],
      ["numbers of JavaScript", ",\"metadata\":{},\"input\":[1,0.5,1e308]", true],
      ["a number beyond", ",\"metadata\":{},\"input\":{\"n\":1e999}", false],
      ["a number of many digits", `,"metadata":{"n":${"9".repeat(400)}}`, false],
      ["a field of an open name", ",\"metadata\":{},\"utm_source\":\"x\"", true],
      ["a field of an open name that is no text", ",\"metadata\":{},\"utm_source\":1", false],
      ["a field that no release has", ",\"metadata\":{},\"unknown\":1", false],
      ["nested values", `,"metadata":{},"input":${deep(60)}`, true],
      ["values that are nested deeper", `,"metadata":{},"input":${deep(200)}`, false]
    ] as const
  ) {
    it(`with ${what} is read as its schema reads it`, () => {
      const text = `${JSON.stringify({ ...whole, input: undefined, metadata: undefined }).slice(0, -1)}${more}}`
      assert.strictEqual(hasWireShape(JSON.parse(text)), hasShape)
      assertAlike(text)
    })
  }

  it("is refused by its schema where it is no JSON", () => {
    assert.isTrue(Result.isFailure(decodeEvent("{")))
    assert.isTrue(Result.isFailure(decodeEvent("")))
  })
})
