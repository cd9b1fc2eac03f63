import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { temporaryFile } from "../support.ts"
import { line, run } from "./process.ts"

const at = (db: string, ...more: ReadonlyArray<string>) =>
  run(["query", "--db", db, "--tenant", "t_acme", "--env", "prod", ...more])
const filled = Effect.gen(function*() {
  const db = yield* temporaryFile
  const lines = Array.from({ length: 60 }, (_, n) =>
    line(n, {
      draft: {
        outcome: n % 2 === 0 ? "success" : "denied",
        resource: { type: "note", id: n === 59 ? "=HYPERLINK(\"x\")\u001b[2J\u202e" : `n${n}` }
      }
    })).join("")
  yield* run(["ingest", "--db", db, "--concurrency", "1"], lines)
  return db
})

describe("effect-audit query", () => {
  it.live("prints the 50 newest as a table that a value cannot break out of, and says how to go on", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const { code, stderr, stdout } = yield* at(db)
      assert.strictEqual(code, 0)
      const lines = stdout.trimEnd().split("\n")
      assert.strictEqual(lines.length, 51)
      assert.match(lines[1] ?? "", /^60 .*=HYPERLINK\("x"\)\\u001b\[2J\\u202e/)
      assert.notInclude(stdout, "\u001b")
      const cursor = /--cursor (\S+)/.exec(stderr)?.[1] ?? ""
      const rest = yield* at(db, "--cursor", cursor)
      assert.strictEqual(rest.stdout.trimEnd().split("\n").length, 12)
      assert.notInclude(rest.stderr, "cursor")
    }))

  it.live("says which logs there are where there is none of this name", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const other = ["--db", db, "--tenant", "t_acme", "--env", "prodd"]
      const queried = yield* run(["query", ...other])
      assert.deepStrictEqual([queried.code, queried.stdout], [0, "no events\n"])
      assert.include(queried.stderr, "there is no log of t_acme in prodd: there is t_acme prod")
      const shown = yield* run(["run", ...other, "--run", "r1"])
      assert.strictEqual(shown.code, 2)
      assert.include(shown.stderr, "there is no log of t_acme in prodd: there is t_acme prod")
      const here = yield* at(db, "--actor-id", "nobody")
      assert.deepStrictEqual([here.stdout, here.stderr], ["no events\n", ""])
      const since = yield* at(db, "--since", "yesterday")
      assert.include(since.stderr, "Expected: a date such as 2026-01-31, or a time of RFC 3339")
    }))

  it.live("streams all events as NDJSON, filtered and in order", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const { stdout } = yield* at(
        db,
        "--format",
        "ndjson",
        "--order",
        "asc",
        "--outcome",
        "denied",
        "--resource-type",
        "note"
      )
      const events = stdout.trimEnd().split("\n").map((text) =>
        JSON.parse(text) as { position: number; outcome: string }
      )
      assert.strictEqual(events.length, 30)
      assert.deepStrictEqual(events.map((event) => event.position), events.map((_, n) => 2 * n + 2))
      const limited = yield* at(db, "--format", "ndjson", "--limit", "7")
      assert.strictEqual(limited.stdout.trimEnd().split("\n").length, 7)
      const none = yield* at(db, "--format", "ndjson", "--since", "2999-01-01")
      assert.strictEqual(none.stdout, "")
    }))

  it.live("writes CSV that a spreadsheet does not run", () =>
    Effect.gen(function*() {
      const db = yield* filled
      const { stdout } = yield* at(db, "--format", "csv")
      const rows = stdout.split("\r\n")
      assert.strictEqual(rows.length, 63)
      assert.match(rows[0] ?? "", /^position,event_id,erased,recorded_at,/)
      assert.include(rows[1] ?? "", `"'=HYPERLINK(""x"")`)
      for (const row of rows) assert.notMatch(row, /(^|,)"?[=+@-]/)
    }))

  it.live("writes the formats of other systems, a line for each event", () =>
    Effect.gen(function*() {
      const db = yield* filled
      for (const [format, sign] of [["agent-audit-trail", "\"prev_hash\":null"], ["cef", "CEF:0|"]] as const) {
        const { stdout } = yield* at(db, "--format", format, "--limit", "3")
        const lines = stdout.trimEnd().split("\n")
        assert.strictEqual(lines.length, 3)
        for (const line of lines) assert.include(line, sign)
      }
    }))

  it.live("exits 2 for usage errors and for what is not there, and creates nothing", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const cases = [
        ["query"],
        ["query", "--db", db, "--tenant", "acme", "--env", "prod"],
        ["query", "--db", db, "--tenant", "t_acme", "--env", "prod"],
        ["query", "--db", db, "--tenant", "t_acme", "--env", "prod", "--order", "up"],
        ["query", "--db", db, "--tenant", "t_acme", "--env", "prod", "--since", "yesterday"],
        ["query", "--db", db, "--tenant", "t_acme", "--env", "prod", "--limit", "0"],
        ["ingest"],
        ["ingest", "--db", db, "--concurrency", "0"],
        ["prefs", "set", "--db", db, "--tenant", "t_acme", "--env", "prod"],
        ["prefs", "set", "--db", db, "--tenant", "t_acme", "--env", "prod", "--opt-in", "--opt-out"],
        ["prefs", "list", "--db", db, "--tenant", "t_acme", "--env", "prod"],
        ["nothing"],
        []
      ]
      for (const args of cases) {
        const { code, stderr } = yield* run(args)
        assert.strictEqual(code, 2, `${args.join(" ")}: ${stderr}`)
      }
      assert.isFalse(existsSync(db))
      const real = yield* filled
      assert.strictEqual((yield* at(real, "--cursor", "nonsense")).code, 2)
    }))

  it.live("shows an example in the help of every verb", () =>
    Effect.gen(function*() {
      for (const verb of [[], ["ingest"], ["query"], ["prefs"], ["prefs", "set"], ["prefs", "list"]]) {
        const { code, stdout } = yield* run([...verb, "--help"])
        assert.strictEqual(code, 0)
        assert.match(stdout, /EXAMPLES[\s\S]*effect-audit/)
      }
    }))

  it.live("shows every field that is new in a spreadsheet, and an intent in the table", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const context = {
        actor: { type: "agent", id: "a1", onBehalfOf: "u1", version: "1.4", model: "opus@2026", instanceId: "pod-7" },
        delegation: [{ type: "agent", id: "a1" }, { type: "human", id: "u1" }],
        client: { address: "203.0.113.77", userAgent: "curl/8.5.0" }
      }
      const draft = {
        operationId: "op1",
        phase: "intent",
        related: [{ type: "folder", id: "f1" }, { type: "note", id: "n0" }],
        authorization: { decision: "escalated", policyId: "p1", reason: "late", risk: 0.5 },
        approval: { by: { type: "human", id: "u3" }, at: "2026-01-02T03:04:00Z", argumentsSha256: "ab".repeat(32) },
        change: { before: { a: 1 }, after: [2] }
      }
      yield* run(["ingest", "--db", db], line(1, { context, draft }))
      const [head = "", row = ""] = (yield* at(db, "--format", "csv", "--action", "note.*")).stdout.split("\r\n")
      const names = head.split(",")
      const cells = row.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)?.map((cell) => cell.replace(/,$/, "")) ?? []
      const cell = (name: string) => cells[names.indexOf(name)]
      assert.deepStrictEqual(names.slice(names.indexOf("operation_id")).map((name) => [name, cell(name)]), [
        ["operation_id", "op1"],
        ["phase", "intent"],
        ["agent_version", "1.4"],
        ["agent_model", "opus@2026"],
        ["agent_instance_id", "pod-7"],
        ["delegation", "\"agent a1, human u1\""],
        ["client_address", "203.0.113.0/24"],
        ["client_user_agent", "curl/8.5.0"],
        ["authorization_decision", "escalated"],
        ["authorization_policy_id", "p1"],
        ["authorization_reason", "late"],
        ["authorization_risk", "0.5"],
        ["approval_by", "human u3"],
        ["approval_at", "2026-01-02T03:04:00.000Z"],
        ["approval_arguments_sha256", "ab".repeat(32)],
        ["related", "\"folder f1, note n0\""],
        ["change_before", "\"{\"\"a\"\":1}\""],
        ["change_after", "[2]"]
      ])
      assert.match((yield* at(db, "--phase", "intent")).stdout, /note\.create.*\(intent\)/)
      const limited = yield* at(db, "--unfinished", "--limit", "1")
      assert.strictEqual(limited.stderr, "")
      yield* run(["ingest", "--db", db], line(2, { draft: { operationId: "op2", phase: "intent" } }))
      assert.match((yield* at(db, "--unfinished", "--limit", "1")).stderr, /more: --limit/)
    }))
})

describe("effect-audit prefs", () => {
  it.live("sets and lists preferences, records each change, and decides by them", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const prefs = (verb: string, ...more: ReadonlyArray<string>) =>
        run(["prefs", verb, "--db", db, "--tenant", "t_acme", "--env", "prod", ...more])
      assert.strictEqual((yield* prefs("set", "--user-id", "u1", "--opt-out")).code, 0)
      yield* run(["ingest", "--db", db], line(1))
      yield* prefs("set", "--user-id", "u1", "--opt-in")
      yield* run(["ingest", "--db", db], line(2))
      yield* prefs("set", "--opt-out")
      yield* run(["ingest", "--db", db], line(3))
      assert.strictEqual((yield* prefs("list")).stdout, "who      training\ntenant   opt-out\nuser u1  opt-in\n")
      const { stdout } = yield* at(db, "--format", "ndjson", "--order", "asc")
      const events = stdout.trimEnd().split("\n").map((text) =>
        JSON.parse(text) as { action: string; train_reason: string }
      )
      assert.deepStrictEqual(events.map((event) => [event.action, event.train_reason]), [
        ["audit.log_created", "policy"],
        ["training_preference.changed", "user_opt_out"],
        ["note.create", "user_opt_out"],
        ["training_preference.changed", "user_opt_out"],
        ["note.create", "allowed"],
        ["training_preference.changed", "tenant_opt_out"],
        ["note.create", "tenant_opt_out"]
      ])
    }))
})
