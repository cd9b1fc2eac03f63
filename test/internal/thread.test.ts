/** A thread of one's own: what it says is heard between turns of the event loop. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Thread } from "../../src/internal/thread.ts"

describe("a thread", () => {
  it.live("is heard once in a turn: what it says while one is at it waits for timers and sockets", () =>
    Effect.gen(function*() {
      const replied = new SharedArrayBuffer(4)
      const thread = new Thread<number, number>({
        url: new URL("../fixtures/echoThread.ts", import.meta.url),
        data: { replied },
        deadlineMillis: 5000
      })
      yield* Effect.addFinalizer(() => thread.close)
      yield* thread.start
      const heard: Array<string> = []
      yield* Effect.callback<void>((resume) => {
        const ask = (n: number): void => {
          Effect.runCallback(thread.ask(n, []), {
            onExit: (exit) => {
              heard.push(`reply ${Exit.isSuccess(exit) ? exit.value : "none"}`)
              if (n === 4) return resume(Effect.void)
              setImmediate(() => heard.push("turn"))
              ask(n + 1)
              // The next reply is there before this one has been heard to its end.
              const flag = new Int32Array(replied)
              while (Atomics.load(flag, 0) !== n + 1) Atomics.wait(flag, 0, Atomics.load(flag, 0), 1000)
            }
          })
        }
        ask(1)
      })
      assert.deepStrictEqual(heard, ["reply 1", "turn", "reply 2", "turn", "reply 3", "turn", "reply 4"])
    }))
})
