import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Merkle } from "effect-audit"
import { Checkpoint, SignedNote, Tiles } from "effect-audit/ledger"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../support.ts"

interface TileVector {
  readonly path: string
  readonly length: number
  readonly sha256: string
  readonly index: number
  readonly level: number | "entries"
  readonly width: number
}
const vectors = JSON.parse(readFileSync(new URL("../fixtures/tlog/tlog.json", import.meta.url), "utf8")) as {
  readonly keys: ReadonlyArray<{ readonly vkey: string }>
  readonly trees: ReadonlyArray<{
    readonly size: number
    readonly checkpoint: string
    readonly tiles: ReadonlyArray<TileVector>
    readonly entryBundles: ReadonlyArray<Omit<TileVector, "level">>
  }>
  readonly largeTrees: ReadonlyArray<{
    readonly size: number
    readonly checkpoint: string
    readonly tiles: ReadonlyArray<TileVector>
  }>
  readonly layout: ReadonlyArray<{
    readonly size: number
    readonly levels: ReadonlyArray<
      { readonly fullTiles: number; readonly level: number; readonly partialWidth: number }
    >
  }>
  readonly tilePaths: ReadonlyArray<Pick<TileVector, "path" | "index" | "level" | "width">>
  readonly badTilePaths: ReadonlyArray<string>
  readonly entryBundles: ReadonlyArray<
    {
      readonly bytes: string
      readonly width: number
      readonly entries?: ReadonlyArray<string>
      readonly reject?: boolean
    }
  >
}
const vkey = vectors.keys[0]?.vkey ?? ""
const entryOf = (n: number) => Buffer.from(`entry-${n}`)

/** The tree of the vectors at a size, as a source. */
const sourceOf = (note: string): Tiles.Source => {
  const verifier = SignedNote.parseVkey(vkey)
  assert(verifier !== undefined)
  const opened = Result.getOrThrow(Checkpoint.open(note, [verifier]))
  const { checkpoint } = opened
  const levels = Merkle.levels(
    Buffer.concat(Array.from({ length: checkpoint.size }, (_, n) => Merkle.leafHash(entryOf(n))))
  )
  const hashAt = (level: number, index: number) =>
    levels[level]?.subarray(index * 32, index * 32 + 32) ?? Buffer.alloc(0)
  return {
    checkpoint,
    note,
    vkey,
    hashes: ({ index, level, width }) =>
      Effect.succeed(
        levels[Number(level) * 8]?.subarray(index * 8192, index * 8192 + width * 32) ?? Buffer.alloc(0)
      ),
    entries: ({ index, width }) => Effect.succeed(Array.from({ length: width }, (_, i) => entryOf(index * 256 + i))),
    rootAt: (size) => Effect.succeed(Merkle.root(size, hashAt))
  }
}

const noteOf = (size: number) => {
  const tree = [...vectors.trees, ...vectors.largeTrees].find((tree) => tree.size === size)
  assert(tree !== undefined)
  return tree.checkpoint
}

describe("Tiles", () => {
  it("are named by one path each", () => {
    for (const { path, ...tile } of vectors.tilePaths) {
      assert.strictEqual(Tiles.path(tile), path)
      assert.deepStrictEqual(Tiles.parsePath(path), tile)
    }
    for (const path of vectors.badTilePaths) assert.isUndefined(Tiles.parsePath(path), path)
  })

  it("read entry bundles, and refuse what is none", () => {
    for (const { bytes, entries, reject, width } of vectors.entryBundles) {
      const read = Tiles.parseBundle(Buffer.from(bytes, "hex"), width)
      if (reject === true || entries === undefined) assert.isUndefined(read, bytes.slice(0, 40))
      else {
        assert.deepStrictEqual(read?.map((entry) => Buffer.from(entry).toString("hex")), [...entries])
        assert.strictEqual(Buffer.from(Tiles.encodeBundle(read ?? [])).toString("hex"), bytes)
      }
    }
  })

  it("of a size are those that the layout says", () => {
    for (const { levels, size } of vectors.layout.filter(({ size }) => size < 2 ** 24)) {
      const tiles = Tiles.between(0, size)
      for (const { fullTiles, level, partialWidth } of levels) {
        const widths = tiles.filter((tile) => tile.level === level).map(({ width }) => width)
        assert.deepStrictEqual(widths, [
          ...Array.from({ length: fullTiles }, () => 256),
          ...(partialWidth === 0 ? [] : [partialWidth])
        ])
      }
      assert.strictEqual(new Set(tiles.map(({ level }) => level)).size, levels.length)
    }
  })

  it.live("are the files of the vectors, written at once or one size after another", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      let oldSize = 0
      for (const { checkpoint, entryBundles, size, tiles } of vectors.trees) {
        const whole = join(folder, `size-${size}`)
        yield* Tiles.write(whole, sourceOf(checkpoint))
        const grown = join(folder, "grown")
        const written = yield* Tiles.write(grown, sourceOf(checkpoint))
        assert.strictEqual(written.oldSize, oldSize)
        oldSize = size
        for (const directory of [whole, grown]) {
          assert.strictEqual(readFileSync(join(directory, "checkpoint"), "utf8"), checkpoint)
          for (const { length, path, sha256 } of [...tiles, ...entryBundles]) {
            const bytes = readFileSync(join(directory, path))
            assert.strictEqual(bytes.length, length, path)
            assert.strictEqual(createHash("sha256").update(bytes).digest("hex"), sha256, path)
          }
          const { checkpoint: read, faults } = yield* Tiles.verify(directory, vkey)
          assert.deepStrictEqual(faults, [])
          assert.strictEqual(read?.size, size)
        }
      }
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("of 70,000 entries are those of the vectors", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* Tiles.write(folder, sourceOf(noteOf(65_537)))
      yield* Tiles.write(folder, sourceOf(noteOf(70_000)))
      const tree = vectors.largeTrees.find(({ size }) => size === 70_000)
      for (const { path, sha256 } of tree?.tiles ?? []) {
        const bytes = readFileSync(join(folder, path))
        assert.strictEqual(createHash("sha256").update(bytes).digest("hex"), sha256, path)
      }
      assert.deepStrictEqual((yield* Tiles.verify(folder, vkey)).faults, [])
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("are not written over those of another log, nor over a longer one", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* Tiles.write(folder, sourceOf(noteOf(257)))
      const shorter = yield* Effect.flip(Tiles.write(folder, sourceOf(noteOf(8))))
      assert.strictEqual(shorter._tag === "IntegrityError" ? shorter.reason._tag : "", "CheckpointInconsistent")
      writeFileSync(join(folder, "checkpoint"), noteOf(257).replace("log.example", "log.other"))
      const foreign = yield* Effect.flip(Tiles.write(folder, sourceOf(noteOf(1000))))
      assert.strictEqual(foreign._tag === "IntegrityError" ? foreign.reason._tag : "", "SignatureInvalid")
      assert.isFalse(existsSync(join(folder, "tile/0/003.p/232")))
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("are not written beside files of before that are missing or damaged", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* Tiles.write(folder, sourceOf(noteOf(257)))
      for (
        const name of ["tile/0/000", "tile/entries/000", "tile/0/001.p/1", "tile/entries/001.p/1", "tile/1/000.p/1"]
      ) {
        const file = join(folder, name)
        const good = readFileSync(file)
        for (
          const wrong of [
            undefined,
            Buffer.concat([good, Buffer.of(0)]),
            good.map((byte, at) => at ? byte : ~byte)
          ]
        ) {
          if (wrong === undefined) rmSync(file)
          else writeFileSync(file, wrong)
          const error = yield* Effect.flip(Tiles.write(folder, sourceOf(noteOf(1000))))
          assert(error._tag === "IntegrityError" && error.reason._tag === "HashMismatch", String(error))
          assert.include(error.message, `${name} is ${wrong === undefined ? "missing" : "damaged"}`)
          assert.isFalse(existsSync(join(folder, "tile/0/003.p/232")))
          assert.strictEqual(readFileSync(join(folder, "checkpoint"), "utf8"), noteOf(257))
        }
        writeFileSync(file, good)
      }
      assert.strictEqual((yield* Tiles.write(folder, sourceOf(noteOf(1000)))).oldSize, 257)
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("are found wrong, by name, with any byte flipped or any file missing", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const source = sourceOf(noteOf(257))
      yield* Tiles.write(folder, source)
      const names = [
        "checkpoint",
        ...Tiles.between(0, 257).flatMap((tile) =>
          tile.level === 0
            ? [Tiles.path(tile), Tiles.path({ ...tile, level: "entries" })]
            : [Tiles.path(tile)]
        )
      ]
      for (const name of names) {
        const file = join(folder, name)
        const good = readFileSync(file)
        const step = Math.max(1, Math.floor(good.length / 150))
        for (let at = 0; at < good.length; at += step) {
          const changed = Buffer.from(good)
          changed[at]! ^= 1 << (at % 8)
          writeFileSync(file, changed)
          const { faults } = yield* Tiles.verify(folder, vkey)
          assert.isAbove(faults.length, 0, `${name}, byte ${at}`)
        }
        writeFileSync(file, good)
      }
      assert.deepStrictEqual((yield* Tiles.verify(folder, vkey)).faults, [])
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it("have no name but their own, and bundles end with their last entry", () => {
    for (const path of ["xtile/0/001", "tile/0/001x", "tile/0/001/", "tile/64/001", "tile/0/1", "tile/0/001.p/256"]) {
      assert.isUndefined(Tiles.parsePath(path), path)
    }
    assert.deepStrictEqual(Tiles.parsePath("tile/63/x001/000.p/255"), { level: 63, index: 1000, width: 255 })
    const entries = [Buffer.of(), Buffer.of(1), Buffer.alloc(300, 2)]
    const bundle = Tiles.encodeBundle(entries)
    const read = (bytes: Uint8Array, width: number) =>
      Tiles.parseBundle(bytes, width)?.map((entry) => Buffer.from(entry).toString("hex"))
    const hexes = entries.map((entry) => entry.toString("hex"))
    assert.deepStrictEqual(read(bundle, 3), hexes)
    assert.deepStrictEqual(read(Tiles.encodeBundle([...entries, Buffer.of()]), 4), [...hexes, ""])
    for (const width of [0, 2, 4]) assert.isUndefined(read(bundle, width), String(width))
    for (const wrong of [bundle.subarray(0, -1), Buffer.concat([bundle, Buffer.of(0)])]) {
      assert.isUndefined(read(wrong, 3))
      assert.isUndefined(read(wrong, 4))
    }
    assert.deepStrictEqual(read(Buffer.alloc(0), 0), [])
  })

  it("between two sizes are those that the larger one alone has", () => {
    const names = (oldSize: number, size: number) => Tiles.between(oldSize, size).map(Tiles.path)
    assert.deepStrictEqual(names(0, 0), [])
    assert.deepStrictEqual(names(5, 5), [])
    assert.deepStrictEqual(names(256, 256), [])
    assert.deepStrictEqual(names(5, 6), ["tile/0/000.p/6"])
    assert.deepStrictEqual(names(255, 256), ["tile/0/000", "tile/1/000.p/1"])
    assert.deepStrictEqual(names(256, 257), ["tile/0/001.p/1"])
    assert.deepStrictEqual(names(256, 513), ["tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"])
  })

  it.live("are told as they are written, each once, and counted", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const told: Array<readonly [number, number]> = []
      const onTile = (done: number, all: number) => void told.push([done, all])
      const written = yield* Tiles.write(folder, sourceOf(noteOf(257)), { onTile })
      assert.deepStrictEqual(written, { tiles: 5, oldSize: 0 })
      assert.deepStrictEqual(told, [[1, 5], [2, 5], [3, 5], [4, 5], [5, 5]])
      assert.deepStrictEqual(yield* Tiles.write(folder, sourceOf(noteOf(257))), { tiles: 0, oldSize: 257 })
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("are not written over those of a fork, of the same size or a smaller one", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* Tiles.write(folder, sourceOf(noteOf(257)))
      const source = sourceOf(noteOf(1000))
      const forks: ReadonlyArray<Tiles.Source> = [
        { ...source, rootAt: () => Effect.succeed(Buffer.alloc(32)) },
        { ...sourceOf(noteOf(257)), rootAt: () => Effect.succeed(Buffer.alloc(32)) },
        { ...source, checkpoint: { ...source.checkpoint, origin: "log.other" } },
        { ...sourceOf(noteOf(8)), rootAt: source.rootAt }
      ]
      for (const fork of forks) {
        const error = yield* Effect.flip(Tiles.write(folder, fork))
        assert(error._tag === "IntegrityError")
        assert.strictEqual(error.reason._tag, "CheckpointInconsistent")
        assert.strictEqual(error.method, "Tiles.write")
      }
      assert.strictEqual(readFileSync(join(folder, "checkpoint"), "utf8"), noteOf(257))
      assert.isFalse(existsSync(join(folder, "tile/0/003.p/232")))
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("that are missing or wrong are named, each with what does not fit it", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* Tiles.write(folder, sourceOf(noteOf(257)))
      const faulty = Effect.map(Tiles.verify(folder, vkey), ({ faults }) => faults.map(({ file }) => file))
      const changed = (name: string, change: (bytes: Buffer) => Uint8Array | undefined) =>
        Effect.gen(function*() {
          const file = join(folder, name)
          const good = readFileSync(file)
          const bytes = change(Buffer.from(good))
          if (bytes === undefined) rmSync(file)
          else writeFileSync(file, bytes)
          const found = yield* faulty
          writeFileSync(file, good)
          return found
        })
      const gone = () => undefined
      const flipped = (bytes: Buffer) => {
        bytes[bytes.length - 1]! ^= 1
        return bytes
      }
      const cut = (bytes: Buffer) => bytes.subarray(0, -1)
      assert.deepStrictEqual(yield* changed("tile/0/000", gone), ["tile/0/000"])
      assert.deepStrictEqual(yield* changed("tile/entries/000", gone), ["tile/entries/000"])
      assert.deepStrictEqual(yield* changed("tile/1/000.p/1", gone), ["tile/1/000.p/1"])
      assert.deepStrictEqual(yield* changed("tile/0/000", flipped), ["tile/0/000"])
      assert.deepStrictEqual(yield* changed("tile/1/000.p/1", flipped), ["tile/1/000.p/1"])
      assert.deepStrictEqual(yield* changed("tile/entries/000", cut), ["tile/entries/000"])
      // Entries that are none of the log's lead to another root.
      assert.deepStrictEqual(yield* changed("tile/entries/000", flipped), [
        "tile/0/000",
        "tile/1/000.p/1",
        "checkpoint"
      ])
      assert.deepStrictEqual(yield* changed("tile/entries/001.p/1", flipped), ["tile/0/001.p/1", "checkpoint"])
      const untrusted = yield* Effect.andThen(
        Effect.sync(() => writeFileSync(join(folder, "checkpoint"), noteOf(257).replace("log.example", "log.other"))),
        Tiles.verify(folder, vkey)
      )
      assert.isUndefined(untrusted.checkpoint)
      assert.deepStrictEqual(untrusted.faults.map(({ file }) => file), ["checkpoint"])
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})
