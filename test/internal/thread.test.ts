/** A thread of one's own: what it says is heard between turns of the event loop. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
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

  const code = (body: string) =>
    new URL(
      `data:text/javascript,${
        encodeURIComponent(`import { parentPort as port, workerData as data } from "node:worker_threads"
const flag = new Int32Array(data.flag)
${body}`)
      }`
    )
  const replying =
    "port.on(\"message\", (m) => m === \"close\" ? port.close() : port.postMessage({ reply: m.request }))"
  const make = (body: string, deadlineMillis = 5000) => {
    const flag = new SharedArrayBuffer(8)
    const thread = new Thread<number, number>({ url: code(body), data: { flag }, deadlineMillis, startMillis: 20 })
    return { thread, flag: new Int32Array(flag) }
  }

  it.live("that has started too late is not taken for one that is there", () =>
    Effect.gen(function*() {
      const { flag, thread } = make(
        `${replying}; port.postMessage("started"); Atomics.store(flag, 0, 1)
        Atomics.notify(flag, 0)`,
        0
      )
      const starting = yield* Effect.forkChild(Effect.exit(thread.start), { startImmediately: true })
      // It says so while this thread is held up, until the time is up: timers come before messages.
      yield* Effect.promise(() => new Promise(setImmediate))
      Atomics.wait(flag, 0, 0, 5000)
      Atomics.wait(flag, 1, 0, 50)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(starting)))
      yield* Effect.promise(() => new Promise(setImmediate))
      assert.isFalse(thread.isUp)
    }))

  it.effect("that does not start fails all who wait for it, and none of them ends the next one", () =>
    Effect.gen(function*() {
      const { flag, thread } = make(`${replying}; if (flag[0] === 1) port.postMessage("started")`)
      yield* Effect.addFinalizer(() => thread.close)
      const early = yield* Effect.forkChild(Effect.exit(thread.start), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      const late = yield* Effect.forkChild(Effect.exit(thread.start), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      for (const fiber of [early, late]) assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      flag[0] = 1
      yield* thread.start
      yield* TestClock.adjust("1 minute")
      assert.isTrue(thread.isUp)
      assert.strictEqual(yield* thread.ask(7, []), 7)
    }))

  it.live("that ends in the turn of its last reply has replied", () =>
    Effect.gen(function*() {
      const { flag, thread } = make(`port.postMessage("started"); port.on("message", ({ request }) => {
        port.postMessage({ reply: request })
        if (request === 2) setImmediate(() => { Atomics.store(flag, 0, 1); Atomics.notify(flag, 0); process.exit() })
      })`)
      yield* thread.start
      const second = yield* Effect.callback<Exit.Exit<number, unknown>>((resume) => {
        Effect.runCallback(thread.ask(1, []), {
          onExit: () => {
            Effect.runCallback(thread.ask(2, []), { onExit: (exit) => resume(Effect.succeed(exit)) })
            // Until it has replied, and has ended.
            Atomics.wait(flag, 0, 0, 5000)
            Atomics.wait(flag, 1, 0, 100)
          }
        })
      })
      assert.deepStrictEqual(second, Exit.succeed(2))
    }))
})
