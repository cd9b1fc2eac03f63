/** What verification says, word by word, of stores whose rows, bundles, hashes, checkpoints and logs are changed. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, LogStore, type Signer } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { join } from "node:path"
import { uuidText } from "../../src/internal/entropy.ts"
import { sign } from "../../src/ledger/Checkpoint.ts"
import { generate, type SigningKey } from "../../src/ledger/SigningKey.ts"
import { hashesOf, nodesAbove, treeHash } from "../reference.ts"
import { log, temporaryFolder, within } from "../support.ts"

type Row = LogStore.StoredEvent
type Rows = ReadonlyArray<Row>

/** A store as it is read: whole logs, unless something of them is given. */
interface Given {
  readonly logs?: ReadonlyArray<LogStore.LogRef>
  readonly rows?: Rows
  /** Rows that the medium hands over at a time. */
  readonly step?: number
  readonly tiles?: (run: LogStore.Run, whole: Uint8Array) => Uint8Array
  readonly notes?: ReadonlyArray<LogStore.StoredNote>
  readonly problems?: ReadonlyArray<LogStore.Problem>
  readonly origins?: ReadonlyArray<Signer.SignedOrigin>
}

const size = 600
let key: SigningKey
let ref: LogStore.LogRef
let rows: Rows
let entries: ReadonlyArray<Buffer>

const entryOf = ({ commitment }: Row): Buffer => Buffer.concat([Buffer.of(1), commitment])
const rootAt = (size: number): Buffer => treeHash(entries.slice(0, size))
const headAt = (size: number) => ({ size, root: rootAt(size) })
const noteAt = (at: number, root = rootAt(at), by = key, origin = ref.origin): LogStore.StoredNote => ({
  size: at,
  keyId: 1,
  note: sign({ origin, size: at, root, extensions: [] }, by.signerOf(origin))
})

// 600 events: the log's first, one that is erased, the record of that, and others.
beforeAll(() =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const folder = yield* temporaryFolder
    key = yield* generate(join(folder, "key"), "audit.example/signer")
    yield* Effect.gen(function*() {
      const emit = (n: number) => AuditLogger.emit({ action: "note.create", input: { n } }).pipe(within())
      const { eventId } = yield* emit(0)
      yield* Erasure.erase({ eventIds: [eventId], reason: "r" }).pipe(within())
      yield* Effect.forEach(Array.from({ length: size - 3 }, (_, n) => n), emit)
      const store = yield* LogStore.LogStore
      const found = yield* store.log(log)
      assert(found !== undefined)
      const { size: _, ...rest } = found
      ref = rest
      rows = (yield* Stream.runCollect(store.events(found))).flat()
    }).pipe(Effect.provide(
      Erasure.layer.pipe(Layer.provideMerge(AuditLogger.layer()), Layer.provideMerge(Memory.layer()))
    ))
    assert.strictEqual(rows.length, size)
    entries = rows.map(entryOf)
  })))
)

/** Hashes over complete runs, by the reference. */
const wholeTile = ({ count, first, tier }: LogStore.Run, all: ReadonlyArray<Buffer>): Uint8Array => {
  if (tier === 0) return Buffer.concat(all.slice(first, first + count).map((entry) => entry.subarray(1)))
  const width = 256 ** tier
  const complete = Array.from({ length: count }, (_, n) => first + n).filter((n) => (n + 1) * width <= all.length)
  return Buffer.concat(complete.map((n) => hashesOf(all)(8 * tier, n)))
}

const unused = Effect.die("it is not a part of verification")

const snapshotOf = (given: Given, asked: Array<LogStore.NotePage>): LogStore.Snapshot => {
  const { logs = [ref], notes = [], problems = [], rows: all = rows, step = 1000 } = given
  const of = ({ id }: LogStore.LogRef) => all.filter((row) => row.log === id)
  const whole = new Map(logs.map((each) => [
    each.id,
    all === rows || given.tiles !== undefined ? entries : of(each).sort((a, b) => a.position - b.position).map(entryOf)
  ]))
  const same = (name: RequestContext.LogName) => (each: LogStore.LogRef) => each.name.tenantId === name.tenantId
  return {
    rows: all.length,
    logs: Effect.succeed(logs),
    log: (name) =>
      Effect.sync(() => {
        const found = logs.find(same(name))
        return found === undefined ? undefined : { ...found, size: of(found).length }
      }),
    tiles: (each, runs) =>
      Effect.sync(() =>
        runs.map((run) => {
          const tile = wholeTile(run, whole.get(each.id) ?? [])
          return given.tiles === undefined ? tile : given.tiles(run, tile)
        })
      ),
    notes: (_, page) =>
      Effect.sync(() => {
        asked.push(page)
        assert("after" in page)
        const { after: { keyId, size }, limit } = page
        return notes.filter((note) => note.size > size || (note.size === size && note.keyId > keyId)).slice(0, limit)
      }),
    find: (each, ids) => Effect.succeed(of(each).filter(({ eventId }) => ids.some((id) => id === uuidText(eventId)))),
    problems: Effect.succeed(problems),
    scan: (only) => {
      const scanned = only === undefined ? all : of(only)
      const steps: Array<{ readonly seen: number; readonly events: Rows }> = []
      for (let at = 0; at < scanned.length; at += step) {
        const events = scanned.slice(at, at + step)
        steps.push({ seen: at + events.length, events })
      }
      return Stream.fromIterable(steps)
    },
    commitments: () => unused,
    events: () => Stream.fromEffect(unused),
    holds: () => unused
  }
}

const findingsOf = (given: Given, options: Ledger.VerifyOptions = {}, asked: Array<LogStore.NotePage> = []) => {
  const snapshot = snapshotOf(given, asked)
  const store = LogStore.LogStore.of({
    ...snapshot,
    snapshot: Effect.succeed(snapshot),
    change: () => unused,
    grown: () => unused,
    isJoined: Effect.succeed(false),
    scrub: unused
  })
  return Stream.runCollect(Ledger.verify({ vkey: key.vkey, ...options })).pipe(
    Effect.provide(Ledger.layer.pipe(Layer.provide(Layer.succeed(LogStore.LogStore, store))))
  )
}

type Finding = Ledger.Finding
/** A fault, short: an event id is named by the position that the event has in the whole log. */
const short = (finding: Finding) => {
  assert(finding._tag === "Fault")
  const { detail, eventId, fault, position } = finding
  const at = rows.findIndex((row) => uuidText(row.eventId) === eventId)
  const name: string | number | undefined = at === -1 ? eventId : at
  return [fault, position, name, detail] as const
}
const faultsIn = (findings: ReadonlyArray<Finding>) => findings.filter(({ _tag }) => _tag === "Fault").map(short)
const verifiedIn = (findings: ReadonlyArray<Finding>) => findings.flatMap((one) => one._tag === "Verified" ? [one] : [])

/** The faults of a changed store, and what the end of the log says beside them. */
const expecting = (
  given: Given,
  faults: ReadonlyArray<ReturnType<typeof short>>,
  said: Partial<Extract<Finding, { readonly _tag: "Verified" }>> = {},
  options: Ledger.VerifyOptions = {}
) =>
  Effect.gen(function*() {
    const findings = yield* findingsOf(given, options)
    assert.deepStrictEqual(faultsIn(findings), faults)
    assert.deepStrictEqual(verifiedIn(findings), [{
      _tag: "Verified",
      log: ref.name,
      origin: ref.origin,
      size,
      covered: 0,
      erased: 1,
      checkpoints: given.notes?.length ?? 0,
      signaturesChecked: (given.notes?.length ?? 0) > 0,
      anchors: (given.notes?.length ?? 0) > 0 ? ["stored"] : [],
      stopped: undefined,
      faults: faults.length,
      ...said
    }])
  })

const changed = (at: number, change: (row: Row) => Partial<Row>): Rows =>
  rows.map((row) => row.position === at ? { ...row, ...change(row) } : row)
const flip = (bytes: Uint8Array | undefined, at = 0): Buffer => {
  const copy = Buffer.from(bytes ?? [])
  copy[at]! ^= 1
  return copy
}
const flipped = (slot: number) => (bytes: Uint8Array): Uint8Array => flip(bytes, slot * 32)
/** The entries that a bundle has, with one of them changed. */
const bundle = (at: number) => ({ count, first, tier }: LogStore.Run, whole: Uint8Array): Uint8Array =>
  tier === 0 && at >= first && at < first + count ? flipped(at - first)(whole) : whole
/** An erased event of no record: its content is gone, and it has another id. */
const stray = (position: number, id: number): Row => ({
  ...rows[position]!,
  row: 10_000 + id,
  eventId: Buffer.alloc(16, id),
  erased: true,
  salt: undefined,
  body: undefined,
  recordedAtMillis: undefined
})
const strayId = (id: number) => uuidText(Buffer.alloc(16, id))
const gone = (where: string) => `the content at ${where} is gone, and no audit.erased says so`

describe("a log that is whole", () => {
  it.effect("has no fault, and is covered as far as its heads go, by whoever kept them", () =>
    Effect.gen(function*() {
      yield* expecting({}, [])
      const notes = [1, 2, 255, 256, 257, 300, 511, 512, 513, 599].map((at) => noteAt(at))
      yield* expecting({ notes }, [], { covered: 599 })
      yield* expecting({ notes }, [], { covered: 599, signaturesChecked: false }, { vkey: undefined })
      for (const at of [0, 1, 128, 255, 256, 257, 511, 512, 513, 600]) {
        const signed = [{ origin: ref.origin, name: ref.name, head: headAt(at), isEnded: false }]
        yield* expecting({}, [], { covered: at, anchors: ["signer"] }, { signed })
        yield* expecting({}, [], { covered: at, anchors: ["given"], signaturesChecked: true }, {
          known: noteAt(at).note
        })
      }
      yield* expecting({ notes }, [], { covered: 600, anchors: ["given", "signer", "stored"] }, {
        known: noteAt(600).note,
        signed: [{ origin: ref.origin, name: ref.name, head: headAt(3), isEnded: false }]
      })
      yield* expecting({ logs: [{ ...ref, stopped: "why" }] }, [], { stopped: "why" })
    }))

  it.effect("is read with its checkpoints, 64 at a time, no sooner than its entries need them", () =>
    Effect.gen(function*() {
      const notes = Array.from({ length: 130 }, (_, n) => noteAt(n < 100 ? n + 1 : n + 400))
      const asked: Array<LogStore.NotePage> = []
      const findings = yield* findingsOf({ notes }, {}, asked)
      assert.deepStrictEqual(faultsIn(findings), [])
      assert.deepStrictEqual(verifiedIn(findings)[0]?.checkpoints, 130)
      assert.deepStrictEqual(verifiedIn(findings)[0]?.covered, 529)
      const after = (size: number, keyId = 1) => ({ after: { size, keyId }, limit: 64 })
      // 65 to 128 lie on both sides of the first bundle: the last two are read with the third.
      assert.deepStrictEqual(asked, [after(-1, -1), after(64), after(527)])
      // As many as a step holds: the next one is empty.
      asked.length = 0
      yield* findingsOf({ notes: notes.slice(0, 64) }, {}, asked)
      assert.deepStrictEqual(asked, [after(-1, -1), after(64)])
    }))

  it.effect("tells how far it is", () =>
    Effect.gen(function*() {
      const progress = (findings: ReadonlyArray<Finding>) =>
        findings.flatMap((one) => one._tag === "Progress" ? [[one.entries, one.total, one.entriesPerSecond]] : [])
      assert.deepStrictEqual(progress(yield* findingsOf({ step: 250 })), [
        [250, 600, 250_000],
        [500, 600, 500_000],
        [600, 600, 600_000],
        [600, 600, 600_000]
      ])
      const other = { ...ref, id: 99, name: { ...ref.name, tenantId: RequestContext.TenantId.make("t_other") } }
      const more = [...rows, { ...stray(0, 7), log: 99 }]
      const both = yield* findingsOf({ logs: [ref, { ...other, origins: [] }], rows: more })
      assert.deepStrictEqual(progress(both).at(-1)?.slice(0, 2), [601, 601])
      // Of one log nothing is said of how much there is of others.
      const one = yield* findingsOf({ logs: [ref, other], rows: more }, { log: ref.name })
      assert.deepStrictEqual(progress(one).at(-1)?.slice(0, 2), [600, 600])
      assert.strictEqual(verifiedIn(one).length, 1)
    }))
})

describe("an event that is not what was stored", () => {
  const content = "its salt or body is not what its entry commits to"
  it.effect("is changed where salt or body do not lead to its entry", () =>
    Effect.gen(function*() {
      yield* expecting({ rows: changed(5, ({ body }) => ({ body: flip(body, 300) })), tiles: (_, whole) => whole }, [
        ["changed", 5, 5, content]
      ])
      yield* expecting({ rows: changed(599, ({ salt }) => ({ salt: flip(salt, 31) })), tiles: (_, whole) => whole }, [
        ["changed", 599, 599, content]
      ])
    }))

  it.effect("is missing where its content is gone in part, or without the mark of an erasure", () =>
    Effect.gen(function*() {
      const half = "its salt or body is gone, and it is not marked as erased"
      for (
        const part of [
          { salt: undefined },
          { body: undefined },
          { salt: undefined, body: undefined },
          { salt: undefined, erased: true },
          { body: undefined, erased: true }
        ]
      ) yield* expecting({ rows: changed(8, () => part) }, [["missing", 8, 8, half]])
      yield* expecting(
        { rows: changed(8, () => ({ salt: undefined, body: undefined, erased: true })) },
        [["missing", 8, undefined, gone("position 8")]],
        { erased: 2 }
      )
    }))

  it.effect("is changed where the row says something else than the body", () =>
    Effect.gen(function*() {
      yield* expecting({ rows: changed(5, () => ({ eventId: Buffer.alloc(16, 7) })) }, [
        ["changed", 5, strayId(7), "the event has another id than its row says"]
      ])
      const short = yield* findingsOf({ rows: changed(5, ({ eventId }) => ({ eventId: eventId.slice(1) })) })
      assert.deepStrictEqual(faultsIn(short).map(([fault, at, id]) => [fault, at, id]), [["changed", 5, undefined]])
    }))

  it.effect("has a position of its log, once, and in the order of storing", () =>
    Effect.gen(function*() {
      const far = "the event's position is not one of its log's"
      for (const position of [-1, 9e12, 598 + 4_194_305]) {
        const moved = changed(599, () => ({ position }))
        yield* expecting({ rows: moved, tiles: (_, whole) => whole }, [
          ["changed", position, 599, far],
          ["truncated", 599, undefined, "the log ends after 599 entries, and entries up to position 599 were stored"]
        ], { size: 599 })
      }
      const again = "another event has this position as well"
      // In its bundle, and after it.
      for (const at of [10, 300]) {
        const twice = [...rows.slice(0, at), stray(4, 7), ...rows.slice(at)]
        yield* expecting({ rows: twice, tiles: (_, whole) => whole }, [
          ["duplicated", 4, strayId(7), again],
          ["missing", 4, undefined, gone("position 4")]
        ], { erased: 2 })
      }
      const after = "it was stored after a later position"
      for (const at of [10, 300]) {
        const late = [...rows.slice(0, 4), ...rows.slice(5, at), rows[4]!, ...rows.slice(at)]
        yield* expecting({ rows: late }, [["reordered", 4, 4, after]])
      }
      // A second one of a late position has been there.
      const twice = [...rows.slice(0, 4), ...rows.slice(5, 300), rows[4]!, stray(4, 7), ...rows.slice(300)]
      yield* expecting({ rows: twice, tiles: (_, whole) => whole }, [
        ["reordered", 4, 4, after],
        ["duplicated", 4, strayId(7), again],
        ["missing", 4, undefined, gone("position 4")]
      ], { erased: 2 })
    }))

  it.effect("is missing where there is no row, once for each run of positions", () =>
    Effect.gen(function*() {
      const without = (...gone: ReadonlyArray<number>) => rows.filter(({ position }) => !gone.includes(position))
      const tiles = (_: LogStore.Run, whole: Uint8Array) => whole
      yield* expecting({ rows: without(7), tiles }, [["missing", 7, undefined, "there is no event at position 7"]])
      yield* expecting({ rows: without(0, 254, 255, 256, 598), tiles }, [
        ["missing", 0, undefined, "there is no event at position 0"],
        ["missing", 254, undefined, "there is no event at positions 254 to 256"],
        ["missing", 598, undefined, "there is no event at position 598"]
      ])
      // Whole bundles, and the last one of a bundle, which the next row is not in.
      for (const [first, last] of [[255, 255], [256, 511], [250, 599 - 1]] as const) {
        const where = first === last ? `position ${first}` : `positions ${first} to ${last}`
        yield* expecting({ rows: rows.filter(({ position }) => position < first || position > last), tiles }, [
          ["missing", first, undefined, `there is no event at ${where}`]
        ])
      }
    }))

  it.effect("is changed where its commitment has no 32 bytes, and counts as none", () =>
    expecting({
      rows: changed(1, ({ commitment }) => ({ commitment: commitment.subarray(1) })),
      tiles: (_, whole) => whole
    }, [
      ["changed", 1, 1, "its commitment does not have 32 bytes"],
      ["missing", 1, undefined, "there is no event at position 1"]
    ]))

  it.effect("is named 10,000 times, and counted beyond", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 10_050 }, (_, position): Row => ({
        ...stray(5, 7),
        position,
        eventId: new Uint8Array(0),
        erased: false
      }))
      const findings = yield* findingsOf({ rows: many, tiles: () => new Uint8Array(0) })
      assert.strictEqual(faultsIn(findings).length, 10_000)
      // And 39 bundles without their entries and hashes.
      assert.strictEqual(verifiedIn(findings)[0]?.faults, 10_050 + 2 * 39)
    }))
})

describe("entries and hashes that are not what was stored", () => {
  const subtree = (first: number, last: number, level = 8) =>
    `the subtree of level ${level} over positions ${first} to ${last} is not the one of its entries`
  const inBundle = "its entry in the bundle is not the one that was stored"
  const inRow = "its commitment is not its entry in the log"
  const erased = (at = 1) => changed(at, ({ commitment }) => ({ commitment: flip(commitment) }))

  it.effect("are believed where they lead to the hash that is stored: the row or the bundle was changed", () =>
    Effect.gen(function*() {
      for (const at of [0, 5, 255, 256, 511]) {
        yield* expecting({ tiles: bundle(at) }, [["changed", at, at, inBundle]])
      }
      yield* expecting({ rows: erased(), tiles: (_, whole) => whole }, [["changed", 1, 1, inRow]])
    }))

  it.effect("are believed where they lead to a head that was signed: the largest one of the bundle", () =>
    Effect.gen(function*() {
      const hashless = (change: Given["tiles"]) => (run: LogStore.Run, whole: Uint8Array) =>
        run.tier > 0 ? new Uint8Array(0) : change?.(run, whole) ?? whole
      const noSubtree = (...of: ReadonlyArray<number>) =>
        of.map((n) => ["missing", n * 256, undefined, subtree(n * 256, n * 256 + 255)] as const)
      for (const at of [6, 7, 100, 255, 256]) {
        yield* expecting({ tiles: hashless(bundle(5)), notes: [noteAt(1), noteAt(at)] }, [
          ["changed", 5, 5, inBundle],
          ...noSubtree(0, 1)
        ], { covered: at })
      }
      for (const at of [512 + 6, 599, 600]) {
        yield* expecting({ tiles: bundle(512 + 5), notes: [noteAt(256), noteAt(512), noteAt(at)] }, [
          ["changed", 512 + 5, 512 + 5, inBundle]
        ], { covered: at })
      }
      // No head covers it: the bundle is taken for what was stored, and says the other of the row.
      yield* expecting({ tiles: bundle(512 + 5), notes: [noteAt(517)] }, [["changed", 517, 517, inRow]], {
        covered: 517
      })
      yield* expecting({ tiles: bundle(512 + 5), notes: [noteAt(512)] }, [["changed", 517, 517, inRow]], {
        covered: 512
      })
      // Neither leads there.
      yield* expecting(
        { tiles: hashless(bundle(5)), notes: [noteAt(100, rootAt(99))] },
        [
          [
            "inconsistent",
            undefined,
            undefined,
            "the tree at size 100 is not the one of the stored checkpoint of size 100"
          ],
          ...noSubtree(0, 1),
          ["changed", 5, 5, inRow]
        ],
        { anchors: [] }
      )
      yield* expecting({ rows: erased(), tiles: hashless(undefined), notes: [noteAt(3)] }, [
        ...noSubtree(0, 1),
        ["changed", 1, 1, inRow]
      ], { covered: 3 })
    }))

  it.effect("are missing where a complete bundle is short: the rows stand in", () =>
    Effect.gen(function*() {
      const short = (bytes: number, of: number) => ({ first, tier }: LogStore.Run, whole: Uint8Array) =>
        tier === 0 && first === of ? whole.subarray(0, bytes) : whole
      for (const bytes of [0, 31, 255 * 32, 255 * 32 + 31]) {
        yield* expecting({ tiles: short(bytes, 256) }, [
          ["missing", 256, undefined, "the entries of positions 256 to 511 are not in their bundle"]
        ])
      }
      // The last one grows.
      for (const bytes of [0, 31, 33, 88 * 32]) yield* expecting({ tiles: short(bytes, 512) }, [])
    }))

  it.effect("are changed or missing where the hash over them is not theirs, on each level", () =>
    Effect.gen(function*() {
      const hash =
        (of: number, change: (bytes: Uint8Array) => Uint8Array, tier = 1) => (run: LogStore.Run, whole: Uint8Array) =>
          run.tier === tier && run.first === of ? change(whole) : whole
      const none = () => new Uint8Array(0)
      for (const n of [0, 1]) {
        const text = subtree(n * 256, n * 256 + 255)
        yield* expecting({ tiles: hash(n, flipped(0)) }, [["changed", n * 256, undefined, text]])
        yield* expecting({ tiles: hash(n, none) }, [["missing", n * 256, undefined, text]])
        yield* expecting({ tiles: hash(n, (bytes) => bytes.subarray(1)) }, [["missing", n * 256, undefined, text]])
      }
    }))
})

describe("a log of 131,200 entries", () => {
  it.effect("is checked to its third level of hashes", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 131_200 }, (_, position): Row => {
        const commitment = Buffer.alloc(32)
        commitment.writeUInt32LE(position)
        return { ...stray(1, 1), position, eventId: new Uint8Array(0), commitment }
      })
      const all = many.map(entryOf)
      const low = Array.from({ length: 512 }, (_, n) => treeHash(all.slice(n * 256, n * 256 + 256)))
      const high = [0, 1].map((n) => {
        let level: ReadonlyArray<Buffer> = low.slice(n * 256, n * 256 + 256)
        while (level.length > 1) level = nodesAbove(level)
        return level[0]!
      })
      const run = { ...ref, origins: [{ origin: ref.origin, since: 0 }] }
      const check = (top: ReadonlyArray<Buffer>) => {
        const asked: Array<string> = []
        const tiles = ({ count, first, tier }: LogStore.Run) => {
          if (tier > 0) asked.push(`${tier}/${first}`)
          if (tier === 0) return Buffer.concat(all.slice(first, first + count).map((entry) => entry.subarray(1)))
          return Buffer.concat((tier === 1 ? low : tier === 2 ? top : []).slice(first, first + count))
        }
        return Effect.map(findingsOf({ logs: [run], rows: many, step: 10_000, tiles }), (found) => ({
          asked,
          faults: faultsIn(found)
        }))
      }
      const [whole] = [yield* check(high)]
      assert.deepStrictEqual(whole.faults, [["missing", 0, undefined, gone("positions 0 to 131199")]])
      const wanted = Array.from({ length: 512 }, (_, n) =>
        n % 256 === 255 ? [`1/${n}`, `2/${(n - 255) / 256}`] : [`1/${n}`])
      assert.deepStrictEqual(whole.asked, wanted.flat())
      const text = "the subtree of level 16 over positions 65536 to 131071 is not the one of its entries"
      const { faults } = yield* check([high[0]!, flip(high[1])])
      assert.deepStrictEqual(faults[0], ["changed", 65_536, undefined, text])
      assert.strictEqual(faults.length, 2)
      assert.deepStrictEqual((yield* check([high[0]!])).faults[0], ["missing", 65_536, undefined, text])
    }), 30_000)
})

describe("heads that a log does not have", () => {
  const cut = (at: number) => (run: LogStore.Run, whole: Uint8Array): Uint8Array =>
    run.tier === 0
      ? whole.subarray(0, Math.max(0, at - run.first) * 32)
      : (run.first + 1) * 256 <= at
      ? whole
      : new Uint8Array(0)

  it.effect("are beyond its end: it was cut off, which is said once", () =>
    Effect.gen(function*() {
      const rest = rows.slice(0, 550)
      const bundles = "the log ends after 550 entries, and entries up to position 599 were stored"
      yield* expecting({ rows: rest, tiles: (_, whole) => whole, notes: [noteAt(500), noteAt(580), noteAt(600)] }, [
        ["truncated", 550, undefined, bundles]
      ], { size: 550, covered: 550 })
      yield* expecting({ rows: rest, tiles: cut(550), notes: [noteAt(550), noteAt(551), noteAt(600)] }, [
        ["truncated", 550, undefined, "the log ends after 550 entries, and the stored checkpoint of size 551 has 551"]
      ], { size: 550, covered: 550 })
      // Of whole bundles too.
      yield* expecting({ rows: rows.slice(0, 200), tiles: (_, whole) => whole }, [
        ["truncated", 200, undefined, "the log ends after 200 entries, and entries up to position 599 were stored"]
      ], { size: 200 })
      yield* expecting({ rows: [], tiles: () => new Uint8Array(0), notes: [noteAt(3)] }, [
        ["truncated", 0, undefined, "the log ends after 0 entries, and the stored checkpoint of size 3 has 3"]
      ], { size: 0, erased: 0, anchors: [] })
    }))

  it.effect("are of another tree: it is not consistent with them, and is covered by the others", () =>
    Effect.gen(function*() {
      const signed = (
        size: number
      ) => [{ origin: ref.origin, name: ref.name, head: { size, root: rootAt(9) }, isEnded: false }]
      for (const at of [0, 1, 256, 300, 512, 600]) {
        yield* expecting(
          { notes: [noteAt(99)] },
          [
            ["inconsistent", undefined, undefined, `the tree at size ${at} is not the one of the signer's state`]
          ],
          { covered: 99 },
          { signed: signed(at) }
        )
      }
    }))

  it.effect("are signed by another key, of another log, or unreadable", () =>
    Effect.gen(function*() {
      const stranger = yield* Effect.scoped(
        Effect.flatMap(temporaryFolder, (folder) => generate(join(folder, "key"), "audit.example/signer"))
      )
      const by = "the stored checkpoint of size 9"
      const ok = { covered: 5, signaturesChecked: true, anchors: ["stored"] as const, checkpoints: 2 }
      const faulty = (note: LogStore.StoredNote) =>
        Effect.map(findingsOf({ notes: [noteAt(5), note] }), (found) => {
          assert.deepInclude(verifiedIn(found)[0], { ...ok, faults: 1 })
          const [fault] = faultsIn(found)
          assert.deepStrictEqual(fault?.slice(0, 3), ["signature", undefined, undefined])
          return fault?.[3]
        })
      assert.include(yield* faulty(noteAt(9, rootAt(9), stranger)), `${by} cannot be trusted: `)
      assert.strictEqual(
        yield* faulty(noteAt(9, rootAt(9), key, `${ref.origin}0`)),
        `${by} is of another log: ${ref.origin}0`
      )
      assert.include(yield* faulty({ ...noteAt(9), note: "x" }), `${by} cannot be read: `)
      assert.strictEqual(yield* faulty({ ...noteAt(8), size: 9 }), `${by} says size 8`)
      // Where none could be trusted, no signature was checked.
      const none = yield* findingsOf({ notes: [noteAt(9, rootAt(9), stranger)] })
      assert.deepInclude(verifiedIn(none)[0], { covered: 0, signaturesChecked: false, anchors: [], checkpoints: 1 })
    }))

  it.effect("are of before it went on as another log: they count as far as it went", () =>
    Effect.gen(function*() {
      const before = `${ref.origin.slice(0, -1)}${ref.origin.endsWith("0") ? "1" : "0"}`
      const resumed = { ...ref, origins: [{ origin: before, since: 0 }, { origin: ref.origin, since: 400 }] }
      const signed = (size: number, isEnded: boolean, origin = before) => ({
        signed: [{ origin, name: ref.name, head: headAt(size), isEnded }]
      })
      const findings = (options: Ledger.VerifyOptions) =>
        Effect.map(findingsOf({ logs: [resumed] }, options), (found) => ({
          faults: faultsIn(found).map(([fault, at]) => `${fault} ${at}`),
          covered: verifiedIn(found)[0]?.covered
        }))
      // Its events say nothing of another origin.
      const { faults } = yield* findings({})
      assert.deepStrictEqual(faults, ["changed 0", "changed 400"])
      assert.deepStrictEqual(yield* findings(signed(400, true)), { faults, covered: 400 })
      assert.deepStrictEqual(yield* findings(signed(401, true)), { faults, covered: 0 })
      assert.deepStrictEqual(yield* findings(signed(401, false)), { faults: ["truncated 400", ...faults], covered: 0 })
      assert.deepStrictEqual(yield* findings(signed(600, false, ref.origin)), { faults, covered: 600 })
      // That it is ended makes up for no more than what it had.
      assert.deepStrictEqual(yield* findings(signed(600, true, ref.origin)), { faults, covered: 600 })
    }))
})

describe("a store that is not what it was", () => {
  const globex = { tenantId: RequestContext.TenantId.make("t_globex"), env: log.env }
  const lost = { origin: "audit.example/lost", name: globex, head: { size: 7, root: Buffer.alloc(32) }, isEnded: false }
  const of = (
    findings: ReadonlyArray<Finding>
  ): ReadonlyArray<readonly [tenant: string | undefined, fault: string, detail: string]> =>
    findings.flatMap((one) => one._tag === "Fault" ? [[one.log?.tenantId, one.fault, one.detail] as const] : [])

  it.effect("lacks a log that was signed, unless it goes on as another", () =>
    Effect.gen(function*() {
      const text = "the signer signed audit.example/lost at size 7, and the log is not in the store"
      const mine = { origin: ref.origin, name: ref.name, head: headAt(600), isEnded: false }
      const all = { signed: [mine, lost] }
      assert.deepStrictEqual(of(yield* findingsOf({}, all)), [["t_globex", "missing", text]])
      assert.deepStrictEqual(of(yield* findingsOf({}, { signed: [{ ...lost, name: undefined }] })), [
        [undefined, "missing", text]
      ])
      assert.deepStrictEqual(of(yield* findingsOf({}, { signed: [{ ...lost, isEnded: true }] })), [])
      // Of one log, what was signed of that one.
      assert.deepStrictEqual(of(yield* findingsOf({}, { ...all, log })), [])
      for (const name of [{ ...log, env: RequestContext.Env.make("dev") }, { ...globex, env: log.env }, undefined]) {
        assert.deepStrictEqual(of(yield* findingsOf({}, { signed: [{ ...lost, name }], log })), [])
      }
      assert.deepStrictEqual(of(yield* findingsOf({}, { signed: [{ ...lost, name: ref.name }], log })), [
        ["t_acme", "missing", text]
      ])
    }))

  it.effect("lacks the log of a checkpoint that someone kept", () =>
    Effect.gen(function*() {
      const other = `${ref.origin}0`
      const known = noteAt(9, rootAt(9), key, other).note
      const text = `the given checkpoint is of ${other}, and the log is not in the store`
      assert.deepStrictEqual(of(yield* findingsOf({}, { known })), [[undefined, "missing", text]])
      // Of one log: the checkpoint must be of that one.
      assert.deepStrictEqual(of(yield* findingsOf({}, { known, log })), [
        ["t_acme", "signature", `the given checkpoint is of another log: ${other}`]
      ])
      // Once, where the signer knows it as well.
      const signed = { ...lost, origin: other, name: undefined }
      assert.strictEqual(of(yield* findingsOf({}, { known, signed: [signed] })).length, 1)
      assert.deepStrictEqual(of(yield* findingsOf({}, { known, signed: [{ ...signed, isEnded: true }] })), [
        [undefined, "missing", text]
      ])
      const wrong = yield* Effect.flip(findingsOf({}, { known: "no checkpoint" }))
      assert(wrong.reason._tag === "InvalidInput")
      assert.deepStrictEqual([wrong.method, wrong.reason.path, wrong.reason.detail], [
        "Ledger.verify",
        "/known",
        "it is not a checkpoint"
      ])
      const none = yield* Effect.flip(findingsOf({}, { log: globex }))
      assert.deepStrictEqual([none.reason._tag, none.reason.message], [
        "NotFound",
        "Not found: t_globex has no log in prod"
      ])
    }))

  it.effect("lacks its guards, or holds events of no log: once for each", () =>
    Effect.gen(function*() {
      const problems = [{ fault: "guard" as const, detail: "a guard is gone" }]
      assert.deepStrictEqual(of(yield* findingsOf({ problems })), [[undefined, "guard", "a guard is gone"]])
      assert.deepStrictEqual(of(yield* findingsOf({ problems }, { log })), [["t_acme", "guard", "a guard is gone"]])
      const text = "the log of this event is not in the store"
      const strays = [{ ...rows[9]!, log: 99 }, { ...rows[10]!, log: 99 }, { ...stray(3, 5), log: 98 }]
      for (const step of [1000, 1]) {
        const found = yield* findingsOf({ rows: [...strays, ...rows], step, tiles: (_, whole) => whole })
        assert.deepStrictEqual(of(found), [["t_acme", "missing", text], [undefined, "missing", text]])
        assert.deepStrictEqual(faultsIn(found).map(([, at]) => at), [9, 3])
      }
      assert.deepStrictEqual(of(yield* findingsOf({ logs: [], rows: strays })), [
        ["t_acme", "missing", text],
        [undefined, "missing", text]
      ])
    }))

  it.effect("holds an event twice: where the other is, is looked for sixteen times", () =>
    Effect.gen(function*() {
      const twins = (count: number) =>
        rows.map((row) =>
          row.position >= 100 && row.position < 100 + count
            ? { ...row, eventId: rows[row.position - 50]!.eventId }
            : row
        )
      const duplicates = (findings: ReadonlyArray<Finding>) =>
        faultsIn(findings).filter(([fault]) => fault === "duplicated").map(([, at, id, detail]) => [at, id, detail])
      for (const step of [1000, 101, 1]) {
        assert.deepStrictEqual(duplicates(yield* findingsOf({ rows: twins(2), step, tiles: (_, whole) => whole })), [
          [100, 50, "the same event is at position 50 as well"],
          [101, 51, "the same event is at position 51 as well"]
        ])
      }
      const many = duplicates(yield* findingsOf({ rows: twins(17), tiles: (_, whole) => whole }))
      assert.deepStrictEqual(many.slice(15), [
        [115, 65, "the same event is at position 65 as well"],
        [116, 66, "the same event is at an earlier position as well"]
      ])
      // Of another log it is another event.
      const other = { ...ref, id: 99, name: globex, origins: [] }
      const both = { logs: [ref, other], rows: [...rows, { ...stray(0, 7), eventId: rows[3]!.eventId, log: 99 }] }
      assert.deepStrictEqual(duplicates(yield* findingsOf(both)), [])
    }))

  it.effect("holds more logs than are checked at once: the rows are read again for the others", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 2049 }, (_, id) => ({
        ...ref,
        id,
        name: { ...log, tenantId: RequestContext.TenantId.make(`t_${id}`) },
        origins: [{ origin: `${ref.origin}${id}`, since: 0 }]
      }))
      const one = many.flatMap(({ id }): Rows => [{ ...stray(0, 1), log: id, row: id, eventId: new Uint8Array(0) }])
      const findings = yield* findingsOf({ logs: many, rows: one })
      assert.deepStrictEqual(
        verifiedIn(findings).map(({ log, size }) => [log.tenantId, size]),
        many.map(({ name }) => [name.tenantId, 1])
      )
      const progress = findings.flatMap((each) => each._tag === "Progress" ? [[each.entries, each.total]] : [])
      assert.deepStrictEqual(progress, [
        [1000, 4098],
        [2000, 4098],
        [2049, 4098],
        [2049, 4098],
        [3049, 4098],
        [4049, 4098],
        [4098, 4098],
        [4098, 4098]
      ])
    }))
})
