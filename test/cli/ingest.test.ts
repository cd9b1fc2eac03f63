import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { maxLineBytes } from "../../src/cli/lines.ts"
import { temporaryFile } from "../support.ts"
import { answers, finished, line, run, start } from "./process.ts"

/** Positions and events of a store, straight from its file. */
const stored = (filename: string) => {
  const db = new DatabaseSync(filename)
  const rows = db.prepare("SELECT position, body FROM audit_event ORDER BY seq").all()
  db.close()
  return rows.map((row) => ({
    position: Number(row["position"]),
    event: JSON.parse(Buffer.from(row["body"] as Uint8Array).toString()) as {
      readonly event_id: string
      readonly request_id: string
      readonly action: string
    }
  }))
}

describe("effect-audit ingest", () => {
  it.live("records a complete line with all its fields", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const full =
        `{"context": {"tenantId": "t_acme", "env": "prod", "mode": "saas", "projectId": "p1", "appId": "web", "surface": "notes", "surfaceId": "s1", "actor": {"type": "agent", "id": "a1", "onBehalfOf": "u1", "version": "1.4.0", "model": "opus@2026", "instanceId": "pod-7"}, "delegation": [{"type": "agent", "id": "a1"}, {"type": "agent", "id": "a0"}, {"type": "human", "id": "u1"}], "client": {"address": "203.0.113.77", "userAgent": "curl/8.5.0"}, "requestId": "r1", "correlationId": "c1", "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "runId": "run1", "stepId": "step1"}, "draft": {"action": "note.create", "resource": {"type": "note", "id": "n1"}, "related": [{"type": "folder", "id": "f1"}, {"type": "note", "id": "n0"}], "operationId": "op1", "phase": "result", "authorization": {"decision": "escalated", "policyId": "notes.write", "reason": "outside of office hours", "risk": "high"}, "approval": {"by": {"type": "human", "id": "u3"}, "at": "2026-01-02T04:04:00+01:00", "argumentsSha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}, "outcome": "success", "errorTag": "NotFound", "durationMillis": 12, "subjectIds": ["u2"], "input": {}, "output": {}, "change": {"before": {"title": "a"}, "after": {"title": "b"}}, "metadata": {}, "severity": "info", "storageClass": "audit", "occurredAt": "2026-01-02T03:04:05.678Z", "analytics": {"event_type": "x", "platform": "y", "utm_source": "z"}}, "idempotencyKey": "k1"}\n`
      const first = yield* run(["ingest", "--db", db], full)
      assert.strictEqual(first.code, 0, first.stderr)
      assert.deepInclude(answers(first.stdout)[0], { line: 1, status: "accepted", position: 1, duplicate: false })
      const again = yield* run(["ingest", "--db", db], full)
      assert.deepInclude(answers(again.stdout)[0], {
        position: 1,
        duplicate: true,
        event_id: answers(first.stdout)[0]?.event_id ?? ""
      })
      const queried = yield* run([
        "query",
        "--db",
        db,
        "--tenant",
        "t_acme",
        "--env",
        "prod",
        "--action",
        "note.*",
        "--format",
        "ndjson"
      ])
      const { event_id: _1, recorded_at: _2, ...event } = JSON.parse(queried.stdout) as Record<string, unknown>
      assert.deepStrictEqual(
        event,
        JSON.parse(readFileSync(new URL("../fixtures/event.json", import.meta.url), "utf8"))
      )
    }))

  it.live("refuses what is wrong, line by line, with the path; blank lines are counted", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const input = Buffer.concat([
        Buffer.from(line(1)),
        Buffer.from("\n   \n"),
        Buffer.from("not json\n"),
        Buffer.from([0x22, 0xff, 0x22, 0x0a]),
        Buffer.from(line(6, { draft: { metadata: { trace_id: "x" } } })),
        Buffer.from(line(7, { context: { tenantId: "-acme" } })),
        Buffer.from(line(8, { context: { extra: 1 } })),
        Buffer.from(line(9, { draft: { extra: 1 } })),
        Buffer.from(`{"context": {}, "draft": {}, "extra": 1}\n`),
        Buffer.from(`{"draft": {"action": "a.b"}}\n[]\n`),
        Buffer.from(`"${"x".repeat(maxLineBytes)}"\n`),
        Buffer.from(line(14).replace("\n", "\r\n")),
        Buffer.from(line(15, { draft: { action: undefined } })),
        Buffer.from(line(16).trimEnd())
      ])
      const { code, stdout } = yield* run(["ingest", "--db", db], input)
      assert.strictEqual(code, 1)
      const byLine = new Map(answers(stdout).map((answer) => [answer.line, answer.path ?? answer.status]))
      assert.deepStrictEqual([...byLine].sort(([a], [b]) => a - b), [
        [1, "accepted"],
        [4, ""],
        [5, ""],
        [6, "/draft/metadata/trace_id"],
        [7, "/context/tenantId"],
        [8, "/context/extra"],
        [9, "/draft/extra"],
        [10, "/extra"],
        [11, "/context"],
        [12, ""],
        [13, ""],
        [14, "accepted"],
        [15, "/draft/action"],
        [16, "accepted"]
      ])
      assert.strictEqual(stored(db).length, 4)
    }))

  it.live("keeps its memory bounded on a line without end", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      const child = yield* start(["ingest", "--db", db])
      const end = yield* finished(child)
      const chunk = Buffer.alloc(1 << 20, "x")
      for (let n = 0; n < 600; n++) {
        if (!child.stdin.write(chunk)) {
          yield* Effect.promise(() => new Promise((resume) => child.stdin.once("drain", resume)))
        }
      }
      const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1])
      // What was read and is not collected yet counts as well; a line that was kept would have 600 MB.
      assert.isBelow(rss, 400_000)
      child.stdin.end(`\n${line(2)}`)
      const { code, stdout } = yield* end
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(answers(stdout).map((answer) => answer.status).sort(), ["accepted", "rejected"])
    }))

  it.live(
    "a process killed at a random moment, 20 times: every acknowledged line is there once, and the store goes on",
    () =>
      Effect.gen(function*() {
        const db = yield* temporaryFile
        const acknowledged = new Set<string>()
        let next = 0
        for (let round = 0; round < 20; round++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const child = yield* start(["ingest", "--db", db])
            const end = yield* finished(child)
            const lines = Array.from({ length: 4000 }, () => line(next++))
            const killAfter = Math.floor(Math.random() * 60_000)
            let bytes = 0
            let killed = false
            child.stdout.on("data", (chunk: Buffer) => {
              bytes += chunk.length
              if (bytes > killAfter && !killed) {
                killed = true
                child.kill("SIGKILL")
              }
            })
            child.stdin.write(lines.join(""))
            const { stdout } = yield* end
            // The last line may be cut off by the kill; then it was not acknowledged.
            const whole = stdout.slice(0, stdout.lastIndexOf("\n") + 1)
            for (const answer of answers(whole)) acknowledged.add(answer.event_id ?? "")
          }))
        }
        const last = yield* run(["ingest", "--db", db], line(next))
        assert.strictEqual(last.code, 0, last.stderr)
        const rows = stored(db)
        const ids = rows.map((row) => row.event.event_id)
        assert.strictEqual(new Set(ids).size, ids.length)
        assert.strictEqual(new Set(rows.slice(1).map((row) => row.event.request_id)).size, rows.length - 1)
        assert.deepStrictEqual(rows.map((row) => row.position), rows.map((_, position) => position))
        const there = new Set(ids)
        for (const id of acknowledged) assert.isTrue(there.has(id), id)
        assert.isAbove(acknowledged.size, 100)
      }),
    120_000
  )

  it.live(
    "two processes ingesting into one file at once: every line once, positions dense",
    () =>
      Effect.gen(function*() {
        const db = yield* temporaryFile
        const lines = (from: number) => Array.from({ length: 3000 }, (_, n) => line(from + n)).join("")
        const results = yield* Effect.all([
          run(["ingest", "--db", db], lines(0)),
          run(["ingest", "--db", db], lines(3000))
        ], {
          concurrency: 2
        })
        for (const result of results) assert.strictEqual(result.code, 0, result.stderr)
        const rows = stored(db)
        assert.deepStrictEqual(rows.map((row) => row.position), Array.from({ length: 6001 }, (_, position) => position))
        assert.strictEqual(new Set(rows.slice(1).map((row) => row.event.request_id)).size, 6000)
        const positions = results.flatMap((result) => answers(result.stdout).map((answer) => answer.position))
        assert.strictEqual(new Set(positions).size, 6000)
      }),
    120_000
  )

  it.live("exits 2 with a message when the store cannot be opened", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run(["ingest", "--db", "/proc/nowhere/audit.db"], line(1))
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      assert.include(stderr, "Store unavailable")
    }))
})
