/** The signer's rules over any state, and the loop that signs what has grown. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Metric, References, Result } from "effect"
import { AuditError, RequestContext } from "effect-audit"
import { Checkpoint, Origin, Signer, SigningKey } from "effect-audit/ledger"
import { TestClock } from "effect/testing"
import type { Head } from "../../src/ledger/extends.ts"
import { checkpointAge, failedCheckpoints, signAll, stoppedLogs, uncoveredEntries } from "../../src/ledger/signing.ts"
import { ledgerFiles } from "../support.ts"

const origin = Origin.make("test", Buffer.alloc(16, 1))
const headAt = (size: number): Head => ({ size, root: Buffer.alloc(32, size) })

/** A signer over a state that is scripted: what is last, call by call, and whether an advance wins. */
const scripted = Effect.fnUntraced(function*(last: ReadonlyArray<Head | undefined>, wins: ReadonlyArray<boolean>) {
  const { key } = yield* ledgerFiles
  const calls: Array<string> = []
  const text = (head: Head | undefined) => head === undefined ? "none" : String(head.size)
  const lasts = [...last]
  const won = [...wins]
  const state = Signer.SignerState.of({
    origins: Effect.succeed([]),
    end: () => Effect.void,
    last: (of) =>
      Effect.sync(() => {
        calls.push(`last ${of === origin}`)
        return lasts.shift()
      }),
    advance: (of, from, to) =>
      Effect.sync(() => {
        calls.push(`advance ${of === origin} ${text(from)} ${text(to)}`)
        return won.shift() ?? false
      })
  })
  const signer = yield* Signer.make({ key }).pipe(Effect.provideService(Signer.SignerState, state))
  return { calls, key, signer }
})

describe("Signer", () => {
  it.effect("signs a head once it is in the state, under the log's origin", () =>
    Effect.gen(function*() {
      const { calls, key, signer } = yield* scripted([headAt(3)], [true])
      const asked: Array<Head | undefined> = []
      const { checkpoint, note } = yield* signer.sign(origin, (last) => {
        asked.push(last)
        return Effect.succeed(headAt(5))
      })
      assert.deepStrictEqual(checkpoint, { origin, ...headAt(5), extensions: [] })
      assert.deepStrictEqual(asked, [headAt(3)])
      assert.deepStrictEqual(calls, ["last true", "advance true 3 5"])
      const verifier = SigningKey.verifierOf(signer.vkey, origin)
      assert(verifier !== undefined)
      const opened = Result.getOrThrow(Checkpoint.open(note, [verifier]))
      assert.strictEqual(opened.checkpoint.size, 5)
      assert.strictEqual(verifier.keyId, signer.keyIdOf(origin))
      assert.strictEqual(signer.vkey, key.vkey)
    }))

  it.effect("asks again where another has signed meanwhile", () =>
    Effect.gen(function*() {
      const { calls, signer } = yield* scripted([undefined, headAt(4)], [false, true])
      const { checkpoint } = yield* signer.sign(origin, (last) => Effect.succeed(headAt((last?.size ?? 0) + 1)))
      assert.strictEqual(checkpoint.size, 5)
      assert.deepStrictEqual(calls, ["last true", "advance true none 1", "last true", "advance true 4 5"])
    }))

  it.effect("signs nothing where the head or the state fails", () =>
    Effect.gen(function*() {
      const { calls, signer } = yield* scripted([headAt(3)], [true])
      assert.strictEqual(yield* Effect.flip(signer.sign(origin, () => Effect.fail("no"))), "no")
      assert.deepStrictEqual(calls, ["last true"])
    }))

  it.effect("signs under no name that is not an origin, and knows no head of it", () =>
    Effect.gen(function*() {
      const { calls, signer } = yield* scripted([headAt(3), headAt(3)], [true])
      for (const name of ["", `${origin}\n7\nAAAA`, "test/log/1"]) {
        const error = yield* Effect.flip(signer.sign(name, () => Effect.succeed(headAt(5))))
        assert(error._tag === "AuditError")
        assert.strictEqual(error.method, "Signer.sign")
        assert(error.reason._tag === "SignerRefused")
        assert.include(error.reason.detail, "is not the origin of a log")
        assert.isUndefined(yield* signer.last(name))
      }
      assert.deepStrictEqual(calls, [])
      assert.deepStrictEqual(yield* signer.last(origin), headAt(3))
    }))
})

describe("the signing loop", () => {
  const nameOf = (tenant: string) => ({
    tenantId: RequestContext.TenantId.make(tenant),
    env: RequestContext.Env.make("prod")
  })
  const logged = (lines: Array<string>) =>
    Logger.make(({ fiber, message }) => {
      const { env, tenant } = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(`${tenant}/${env} ${String(message)}`)
    })
  const fail = (reason: AuditError.AuditReason) => Effect.fail(AuditError.fail("Ledger.checkpoint", reason))
  const broken = new AuditError.IntegrityError({
    method: "Ledger.checkpoint",
    reason: new AuditError.CheckpointInconsistent({ detail: "its tree is another" })
  })

  it.effect("signs what has grown since it last looked, page by page, and tries again what failed", () =>
    Effect.gen(function*() {
      const signed: Array<string> = []
      const asked: Array<number | undefined> = []
      const lines: Array<string> = []
      const pages = [["a"], ["b", "c"], [], ["a"], []]
      const outcomes = new Map<
        string,
        Array<Effect.Effect<unknown, AuditError.AuditError | AuditError.IntegrityError>>
      >([
        ["b", [fail(new AuditError.SinkUnavailable({ detail: "down" })), Effect.void]],
        ["c", [Effect.fail(broken)]]
      ])
      const loop = signAll({
        checkpoint: ({ tenantId }) =>
          Effect.suspend(() => {
            signed.push(tenantId)
            return outcomes.get(tenantId)?.shift() ?? Effect.void
          }),
        uncovered: () => Effect.succeed(3),
        interval: "1 minute",
        grown: (since) =>
          Effect.sync(() => {
            asked.push(since?.mark)
            return {
              logs: (pages.shift() ?? []).map(nameOf),
              next: { mark: asked.length },
              more: asked.length === 1
            }
          })
      })
      const count = (reason: string) =>
        Effect.map(Metric.value(Metric.withAttributes(failedCheckpoints, { reason })), ({ count }) => count)
      yield* Effect.gen(function*() {
        yield* Effect.forkChild(loop, { startImmediately: true })
        const steps: Array<string> = []
        const measured: Array<string> = []
        const measure = Effect.forEach(
          [uncoveredEntries, checkpointAge, stoppedLogs],
          (gauge) => Effect.map(Metric.value(gauge), ({ value }) => value)
        )
        for (let minute = 0; minute < 4; minute++) {
          yield* TestClock.adjust(minute === 0 ? 0 : "30 seconds")
          steps.push(signed.splice(0).join(""))
          measured.push((yield* measure).join(" "))
          yield* TestClock.adjust("30 seconds")
          measured.push((yield* measure).join(" "))
        }
        // Three entries of b wait through the first minute; c is stopped.
        assert.deepStrictEqual(measured, ["3 0 1", "3 30 1", "0 0 1", "0 30 1", "0 0 1", "0 30 1", "0 0 1", "0 30 1"])
        assert.deepStrictEqual(steps, ["abc", "b", "a", ""])
        assert.deepStrictEqual(asked, [undefined, 1, 2, 3, 4])
        assert.deepStrictEqual(lines, [
          "b/prod Checkpoint not signed: Store unavailable: down",
          "c/prod Checkpoint not signed: Checkpoint inconsistent: its tree is another"
        ])
        assert.deepStrictEqual([yield* count("SinkUnavailable"), yield* count("CheckpointInconsistent")], [1, 1])
      }).pipe(
        Effect.provide(Logger.layer([logged(lines)])),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    }))

  it.effect("tells of a look that failed, and of a defect by its kind alone, and goes on", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const looks = [
        fail(new AuditError.SinkUnavailable({ detail: "down" })),
        Effect.die(new TypeError("secret")),
        Effect.die("secret")
      ]
      let signed = 0
      const defects = Metric.withAttributes(failedCheckpoints, { reason: "Defect" })
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          signAll({
            checkpoint: () => Effect.sync(() => signed++),
            grown: () => looks.shift() ?? Effect.succeed({ logs: [nameOf("a")], next: { mark: 1 }, more: false }),
            uncovered: () => Effect.succeed(0),
            interval: "1 minute"
          }),
          { startImmediately: true }
        )
        for (let minute = 0; minute < 4; minute++) yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(lines, [
          "/ Checkpoint not signed: Store unavailable: down",
          "/ Checkpoint not signed: there is a defect: TypeError",
          "/ Checkpoint not signed: there is a defect: string"
        ])
        assert.strictEqual(signed, 2)
        assert.strictEqual((yield* Metric.value(defects)).count, 2)
        looks.push(Effect.never)
        yield* TestClock.adjust("1 minute")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(lines.length, 3)
      }).pipe(
        Effect.provide(Logger.layer([logged(lines)])),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    }))
})
