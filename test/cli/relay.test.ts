/** What an operator asks of relays, by the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Relay, RelayState, SqlRelayState, Target } from "effect-audit/relay"
import { Sqlite } from "effect-audit/sqlite"
import { temporaryFile } from "../support.ts"
import { line, run } from "./process.ts"

describe("effect-audit relay", () => {
  it.live("shows how far a relay is, and tells it what to do", () =>
    Effect.gen(function*() {
      const db = yield* temporaryFile
      yield* run(["ingest", "--db", db], [1, 2, 3].map((n) => line(n)).join(""))
      const relay = (...args: ReadonlyArray<string>) => run(["relay", ...args, "--db", db])
      assert.strictEqual((yield* relay("status")).stdout, "no relay has run here\n")
      for (const verb of ["pause", "resume", "parked", "retry"]) {
        const { code, stderr } = yield* relay(verb, "--relay", "hook")
        assert.strictEqual(code, 2, verb)
        assert.include(stderr, "hook")
      }
      const taken: Array<number> = []
      const target: Target.Target = {
        name: "test",
        maxEvents: 10,
        maxBytes: 1e6,
        send: ({ events }) =>
          events.some(({ position }) => position === 2)
            ? Effect.fail(new Target.Refused({ detail: "the target answered 400" }))
            : Effect.sync(() => {
              taken.push(...events.map(({ position }) => position))
            })
      }
      yield* Effect.raceFirst(
        Relay.run({ name: "hook", target, tries: 1, interval: 5 }),
        Effect.gen(function*() {
          const state = yield* RelayState.RelayState
          while (((yield* state.cursors("hook"))[0]?.next ?? 0) < 4) yield* Effect.sleep(5)
        })
      ).pipe(Effect.provide(SqlRelayState.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename: db })))))
      const status = yield* relay("status", "--json")
      const [found] = status.stdout.trimEnd().split("\n").map((text) =>
        JSON.parse(text) as {
          readonly state: string
          readonly parked: number
          readonly logs: ReadonlyArray<{ readonly next: number; readonly lag: number }>
        }
      )
      assert.deepStrictEqual(
        [found?.state, found?.parked, found?.logs[0]?.next, found?.logs[0]?.lag],
        ["not running", 1, 4, 0]
      )
      assert.include((yield* relay("parked", "--relay", "hook")).stdout, "the target answered 400")
      assert.include((yield* relay("retry", "--relay", "hook")).stderr, "1 events are delivered again")
      assert.include((yield* relay("parked", "--relay", "hook")).stdout, "asked for again")
      yield* relay("pause", "--relay", "hook")
      const log = ["--relay", "hook", "--tenant", "t_acme", "--env", "prod"]
      assert.strictEqual((yield* relay("backfill", ...log, "--position", "9")).code, 2)
      assert.strictEqual((yield* relay("backfill", ...log, "--position", "1")).code, 0)
      assert.match((yield* relay("status")).stdout, /hook +paused +t_acme +prod +1 +4 +3 +0/)
      assert.match((yield* relay("status", "--relay", "hook", "--tenant", "t_acme")).stdout, /hook +paused/)
      assert.strictEqual((yield* relay("status", "--tenant", "t_other")).stdout, "there is no such log\n")
      assert.include((yield* relay("status", "--relay", "hok")).stderr, "no relay has run here with the name hok")
      yield* relay("resume", "--relay", "hook")
      assert.match((yield* relay("status")).stdout, /not running/)
    }))
})
