/** The contract of the port: what the rules of the ledger and of erasure may rely on, whatever the medium. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, type Layer, Stream } from "effect"
import {
  AuditLogger,
  type EventSink,
  type LoggingEngine,
  Merkle,
  RequestContext,
  type Transactions
} from "effect-audit"
import { LogStore } from "effect-audit/ledger"
import type { AuditTrail } from "effect-audit/trail"
import { treeHash } from "../reference.ts"
import { env, log, within } from "../support.ts"

type Stack =
  | EventSink.EventSink
  | Transactions.Transactions
  | LoggingEngine.LoggingEngine
  | AuditLogger.AuditLogger
  | AuditTrail.AuditTrail
  | LogStore.LogStore

const emit = (n: number, more: Partial<RequestContext.Json> = {}, draft: Partial<AuditLogger.AuditDraft> = {}) =>
  AuditLogger.emit({ action: "note.create", input: { n }, ...draft }).pipe(within(more))
const emitMany = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => emit(n, more), { concurrency: 64 })
const logNow = Effect.gen(function*() {
  const found = yield* (yield* LogStore.LogStore).log(log)
  assert(found !== undefined)
  return found
})
const eventsOf = (range?: LogStore.EventRange) =>
  Effect.gen(function*() {
    const store = yield* LogStore.LogStore
    return (yield* Stream.runCollect(store.events(yield* logNow, range))).flat()
  })

export const suite = <E>(name: string, layer: Layer.Layer<Stack, E>) =>
  describe(`LogStore in ${name}`, () => {
    const test = (title: string, effect: Effect.Effect<void, unknown, Stack>) =>
      it.live(title, () => Effect.provide(effect, layer))

    test(
      "lists logs with their size, and one by its name",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        assert.deepStrictEqual(yield* store.logs, [])
        yield* emitMany(3)
        yield* emitMany(2, { tenantId: "t_globex" })
        const all = yield* store.logs
        assert.deepStrictEqual(
          all.map(({ name, stopped }) => [String(name.tenantId), stopped]).sort(),
          [["t_acme", undefined], ["t_globex", undefined]]
        )
        assert.deepStrictEqual((yield* store.log(log))?.size, 4)
        assert.isUndefined(yield* store.log({ ...log, env: RequestContext.Env.make("staging") }))
      })
    )

    test(
      "reads large events in steps of few, and misses none of them",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        const input = "x".repeat(200_000)
        yield* Effect.forEach(Array.from({ length: 60 }, (_, n) => n), (n) => emit(n, {}, { input }), {
          concurrency: 16
        })
        const positions = Array.from({ length: 61 }, (_, n) => n)
        const bytesOf = (events: ReadonlyArray<LogStore.StoredEvent>) =>
          events.reduce((sum, { body }) => sum + (body?.length ?? 0), 0)
        const steps = yield* Stream.runCollect(store.events(yield* logNow))
        assert.deepStrictEqual(steps.flat().map(({ position }) => position), positions)
        const scanned = yield* Effect.scoped(
          Effect.flatMap(store.snapshot, (snapshot) => Stream.runCollect(snapshot.scan()))
        )
        assert.deepStrictEqual(scanned.flatMap(({ events }) => events).map(({ position }) => position), positions)
        assert.strictEqual(scanned.at(-1)?.seen, 61)
        // What is in memory anyway comes in one step.
        if (name !== "memory") {
          for (const events of [...steps, ...scanned.map(({ events }) => events)]) assert.isAtMost(bytesOf(events), 5e6)
        }
      })
    )

    test(
      "keeps complete bundles and the hashes over them, and commitments in the rows; short where the rest is missing",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        yield* emitMany(599)
        const found = yield* logNow
        const commitments = (yield* eventsOf()).map(({ commitment }) => Buffer.from(commitment))
        const entries = commitments.map((commitment) => Buffer.concat([Buffer.of(1), commitment]))
        const [first, second, third, runs, far] = yield* store.tiles(found, [
          { tier: 0, first: 0, count: 256 },
          { tier: 0, first: 256, count: 100 },
          { tier: 0, first: 512, count: 256 },
          { tier: 1, first: 0, count: 3 },
          { tier: 1, first: 2, count: 1 }
        ])
        assert.deepStrictEqual(Buffer.from(first ?? []), Buffer.concat(commitments.slice(0, 256)))
        assert.deepStrictEqual(Buffer.from(second ?? []), Buffer.concat(commitments.slice(256, 356)))
        assert.strictEqual(third?.length, 0)
        assert.deepStrictEqual(
          Buffer.from(runs ?? []),
          Buffer.concat([treeHash(entries.slice(0, 256)), treeHash(entries.slice(256, 512))])
        )
        assert.strictEqual(far?.length, 0)
        const tail = yield* store.commitments(found, 500, 700)
        assert.deepStrictEqual(Buffer.from(tail), Buffer.concat(commitments.slice(500)))
      })
    )

    test(
      "finds events by id, in their own log only, and in ranges, ascending",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        const mine = yield* emit(1, { actor: { type: "human", id: "u_a" } })
        const theirs = yield* emit(2, { tenantId: "t_globex" })
        yield* emit(3, {}, { subjectIds: ["u_a"] })
        yield* emit(4, {}, { input: { text: "about \"u_a\"" } })
        yield* emitMany(30)
        const found = yield* logNow
        const events = yield* store.find(found, [mine.eventId, theirs.eventId, mine.eventId])
        assert.deepStrictEqual(events.map(({ position }) => position), [1])
        assert.deepStrictEqual(
          (yield* eventsOf()).map(({ position }) => position),
          Array.from({ length: 34 }, (_, n) => n)
        )
        assert.deepStrictEqual((yield* eventsOf({ from: 30 })).map(({ position }) => position), [30, 31, 32, 33])
        const about = (yield* eventsOf({ person: "u_a" })).map(({ position }) => position)
        assert.includeMembers(about, [1, 2])
        const middle = (yield* eventsOf())[5]?.recordedAtMillis ?? 0
        for (const event of yield* eventsOf({ beforeMillis: middle })) {
          assert.isBelow(event.recordedAtMillis ?? 0, middle)
        }
      })
    )

    test(
      "reads what is committed; a change sees what it changed, and is taken back whole",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        yield* emitMany(3)
        const note = { size: 4, keyId: 7, note: "a note" }
        const exit = yield* Effect.exit(store.change(log, (writer, found) =>
          Effect.gen(function*() {
            yield* writer.putNote(found, note, 1)
            yield* writer.hold(found, [
              { name: "case 1", eventId: undefined, person: "u1", sinceMillis: undefined, beforeMillis: undefined }
            ], 1)
            yield* writer.stop(found, "no", 1)
            const { position } = yield* emit(9)
            assert.strictEqual(position, 4)
            const [event] = yield* Effect.map(Stream.runCollect(writer.events(found, { from: 1 })), (all) => all.flat())
            yield* writer.erase(found, event === undefined ? [] : [event], 1)
            assert.deepStrictEqual(yield* writer.notes(found, { newest: 1 }), [note])
            assert.strictEqual((yield* writer.holds(found)).length, 1)
            assert.deepStrictEqual(yield* store.notes(found, { newest: 1 }), [])
            return yield* Effect.fail("no")
          })))
        assert.isTrue(Exit.isFailure(exit))
        const found = yield* logNow
        assert.deepStrictEqual([found.size, found.stopped], [4, undefined])
        assert.deepStrictEqual(yield* store.notes(found, { newest: 1 }), [])
        assert.deepStrictEqual(yield* store.holds(found), [])
        assert.isTrue((yield* eventsOf()).every(({ body, erased }) => !erased && body !== undefined))
        assert.strictEqual((yield* emit(10)).position, 4)
        const missing = yield* Effect.flip(
          store.change({ tenantId: log.tenantId, env: RequestContext.Env.make("none") }, () => Effect.void)
        )
        assert.strictEqual(missing.reason._tag, "NotFound")
      })
    )

    test(
      "keeps notes by size and key, newest first or after one, and what they cover in a tile",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        yield* emitMany(9)
        const put = (size: number, keyId: number) =>
          store.change(
            log,
            (writer, found) => writer.putNote(found, { size, keyId, note: `${size} ${keyId}` }, size * 10 + keyId)
          )
        for (const [size, keyId] of [[3, 1], [5, 2], [5, 1], [9, 1], [5, 1]] as const) yield* put(size, keyId)
        const found = yield* logNow
        const texts = (page: LogStore.NotePage) =>
          Effect.map(store.notes(found, page), (notes) => notes.map(({ note }) => note))
        assert.deepStrictEqual(yield* texts({ newest: 2 }).pipe(Effect.map(([first]) => first)), "9 1")
        assert.deepStrictEqual((yield* texts({ size: 5 })).toSorted(), ["5 1", "5 2"])
        assert.deepStrictEqual(yield* texts({ after: { size: 3, keyId: 1 }, limit: 2 }), ["5 1", "5 2"])
        assert.deepStrictEqual(yield* texts({ after: { size: 5, keyId: 1 }, limit: 9 }), ["5 2", "9 1"])
        const [bundle] = yield* store.tiles(found, [{ tier: 0, first: 0, count: 256 }])
        assert.strictEqual(bundle?.length, 9 * 32)
      })
    )

    test(
      "erases content and leaves the entry; ends exactly the holds that are named; lets a stopped log take no event",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        yield* emitMany(5)
        const before = yield* eventsOf()
        yield* store.change(log, (writer, found) => writer.erase(found, before.slice(2, 4), 7))
        const after = yield* eventsOf()
        assert.deepStrictEqual(
          after.map(({ body, erased, salt }) => [erased, body === undefined, salt === undefined]),
          [0, 1, 2, 3, 4, 5].map((n) => n === 2 || n === 3 ? [true, true, true] : [false, false, false])
        )
        assert.deepStrictEqual(
          after.map(({ commitment }) => Buffer.from(commitment).toString("hex")),
          before.map(({ commitment }) => Buffer.from(commitment).toString("hex"))
        )
        assert.isTrue(yield* store.scrub)
        const hold = (person: string) => ({
          name: "case 1",
          eventId: undefined,
          person,
          sinceMillis: undefined,
          beforeMillis: undefined
        })
        yield* store.change(log, (writer, found) => writer.hold(found, [hold("u1"), hold("u2")], 1))
        const ended = yield* store.change(log, (writer, found) => writer.release(found, [hold("u2"), hold("u3")]))
        assert.strictEqual(ended, 1)
        assert.deepStrictEqual((yield* store.holds(yield* logNow)).map(({ person }) => person), ["u1"])
        yield* store.change(log, (writer, found) => writer.stop(found, "it is not what was signed", 1))
        assert.strictEqual((yield* logNow).stopped, "it is not what was signed")
        assert.strictEqual((yield* Effect.flip(emit(1))).reason._tag, "LogStopped")
        yield* emit(1, { tenantId: "t_globex" })
      })
    )

    test(
      "a snapshot is one state, with every row, whatever is written meanwhile",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        yield* emitMany(10)
        yield* emitMany(4, { tenantId: "t_globex" })
        yield* Effect.scoped(Effect.gen(function*() {
          const snapshot = yield* store.snapshot
          yield* emitMany(5)
          const events = yield* eventsOf()
          yield* store.change(log, (writer, found) => writer.erase(found, events.slice(1, 3), 1))
          const rows = (yield* Stream.runCollect(snapshot.scan())).flatMap(({ events }) => events)
          assert.strictEqual(rows.length, 16)
          assert.isAtMost(rows.length, snapshot.rows)
          assert.isTrue(rows.every(({ body }) => body !== undefined))
          const found = yield* snapshot.log(log)
          assert.strictEqual(found?.size, 11)
          const one = (yield* Stream.runCollect(snapshot.scan(found))).flatMap(({ events }) => events)
          assert.deepStrictEqual(one.map(({ position }) => position), Array.from({ length: 11 }, (_, n) => n))
        }))
      })
    )

    test(
      "says which logs have grown since it was asked, without stopped ones",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        yield* emit(1)
        yield* emit(1, { tenantId: "t_globex" })
        const first = yield* store.grown()
        assert.deepStrictEqual(first.logs.map(({ tenantId }) => String(tenantId)).sort(), ["t_acme", "t_globex"])
        assert.isFalse(first.more)
        assert.deepStrictEqual((yield* store.grown(first.next)).logs, [])
        yield* emit(2)
        assert.deepStrictEqual((yield* store.grown(first.next)).logs, [{ tenantId: log.tenantId, env }])
        yield* store.change(log, (writer, found) => writer.stop(found, "no", 1))
        assert.deepStrictEqual((yield* store.grown(first.next)).logs, [])
      })
    )

    test(
      "its tree is that of a naive reading of the RFC, at every size around a bundle",
      Effect.gen(function*() {
        const store = yield* LogStore.LogStore
        for (const count of [1, 253, 1, 1, 1, 255, 1]) {
          yield* emitMany(count)
          const found = yield* logNow
          const commitments = yield* store.commitments(found, 0, found.size)
          const range = new Merkle.CompactRange()
          const entries = Array.from(
            { length: found.size },
            (_, n) => Buffer.concat([Buffer.of(1), commitments.subarray(n * 32, n * 32 + 32)])
          )
          for (const entry of entries) range.append(Merkle.leafHash(entry))
          assert.deepStrictEqual(Buffer.from(range.root()), treeHash(entries))
        }
      })
    )
  })
