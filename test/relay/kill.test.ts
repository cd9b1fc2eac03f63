/** A relay that is killed at each of its steps: what follows it delivers the rest, in order, with nothing left out. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { Sqlite } from "effect-audit/sqlite"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryFolder, within } from "../support.ts"
import { eventsOf, receiver } from "./receiver.ts"

const mortal = fileURLToPath(new URL("../fixtures/mortalRelay.ts", import.meta.url))
const tenants = ["t_acme", "t_other"] as const
const perTenant = 120

/** The positions of a tenant in the order in which they were delivered at first. */
const firsts = (positions: ReadonlyArray<number>) => [...new Set(positions)]

describe("a relay that is killed", () => {
  it.live(
    "at any step leaves nothing out, repeats one batch at most, and mixes no tenants",
    () =>
      Effect.gen(function*() {
        const filename = join(yield* temporaryFolder, "audit.db")
        const emits = Effect.forEach(
          Array.from({ length: perTenant * 2 }, (_, n) => n),
          (n) =>
            AuditLogger.emit({ action: "note.create", input: { n } }).pipe(
              within({ tenantId: tenants[n % 2] ?? tenants[0] })
            ),
          { concurrency: 64 }
        )
        yield* Effect.provide(
          emits,
          AuditLogger.layer().pipe(Layer.provide(Sqlite.layer({ filename })))
        )
        let done = () => {}
        const all = new Promise<void>((resolve) => done = resolve)
        const seen = new Set<string>()
        const { messages, url } = yield* receiver((message) => {
          for (const { event_id, input } of eventsOf(message)) if (input !== undefined) seen.add(event_id)
          if (seen.size === perTenant * 2) done()
          return 204
        })
        const steps = ["leased", "sending", "sent", "advancing", "advanced"]
        for (const step of steps) {
          const child = spawn(process.execPath, [mortal, filename, url, step], {
            stdio: ["ignore", "ignore", "inherit"]
          })
          const [, signal] = yield* Effect.promise(() => once(child, "exit"))
          assert.strictEqual(signal, "SIGKILL", step)
        }
        assert.isBelow(seen.size, perTenant * 2)
        const survivor = spawn(process.execPath, [mortal, filename, url], { stdio: ["ignore", "ignore", "inherit"] })
        yield* Effect.promise(() => all)
        survivor.kill("SIGTERM")
        const batches = messages.map(eventsOf)
        for (const batch of batches) assert.strictEqual(new Set(batch.map(({ tenantId }) => tenantId)).size, 1)
        for (const tenant of tenants) {
          const positions = batches.flat().filter(({ tenantId }) => tenantId === tenant).map(({ position }) => position)
          // Beside the events of the test there may be those of the store itself.
          assert.deepStrictEqual(firsts(positions), firsts(positions).map((_, n) => n))
          // A batch, and the one that was on its way while its cursor moved.
          assert.isAtMost(positions.length - firsts(positions).length, steps.length * 14)
        }
      }),
    60_000
  )
})
