/** The relay of the documents: a process of its own, which delivers what is recorded and ends when it is told to. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AuditLogger } from "effect-audit"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { receiver } from "../relay/receiver.ts"
import { sqliteAt, temporaryFile, within } from "../support.ts"

describe("the relay", () => {
  it.live("delivers to a webhook what another process records, without the fields that it drops", () =>
    Effect.scoped(Effect.gen(function*() {
      const filename = yield* temporaryFile
      const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { secret: `s${n}` } }).pipe(within())
      let heard = () => {}
      const { messages, url } = yield* receiver(() => {
        heard()
        return 204
      })
      const delivered = (part: string) =>
        Effect.callback<void>((resume) => {
          heard = () => messages.some(({ body }) => body.includes(part)) ? resume(Effect.void) : undefined
          heard()
        })
      yield* Effect.gen(function*() {
        const first = yield* emit(1)
        const child = spawn(process.execPath, [fileURLToPath(new URL("../../examples/relay.ts", import.meta.url))], {
          env: {
            ...process.env,
            AUDIT_DB: filename,
            SIEM_URL: url,
            SIEM_SECRET: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
            SIEM_IS_PRIVATE: "true"
          },
          stdio: ["ignore", "pipe", "pipe"]
        })
        let said = ""
        for (const stream of [child.stdout, child.stderr]) {
          stream.on("data", (chunk: Buffer) => said += chunk.toString())
        }
        const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
        yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
        yield* delivered(first.eventId)
        const second = yield* emit(2)
        yield* delivered(second.eventId)
        child.kill("SIGTERM")
        assert.include([0, 130, 143], yield* Effect.promise(() => ended), said)
        const bodies = messages.map(({ body }) => body).join("\n")
        assert.notInclude(bodies, "\"s1\"")
        assert.include(bodies, "\"class_uid\":6003")
        assert.isTrue(messages.every(({ headers }) => String(headers["webhook-signature"]).startsWith("v1,")))
      }).pipe(Effect.provide(sqliteAt({ filename })))
    })))

  it.live("says what is missing", () =>
    Effect.gen(function*() {
      const child = spawn(process.execPath, [fileURLToPath(new URL("../../examples/relay.ts", import.meta.url))], {
        env: { PATH: process.env["PATH"] },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let said = ""
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => said += chunk.toString())
      const code = yield* Effect.promise(() => new Promise<number | null>((resolve) => child.on("close", resolve)))
      assert.strictEqual(code, 1)
      assert.include(said, "SIEM_URL")
    }))
})
