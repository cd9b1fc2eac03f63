/**
 * The static files of a log (https://c2sp.org/tlog-tiles): its checkpoint, the hashes of its tree in tiles of 256, and
 * its entries in bundles of 256. Any web server can serve the folder, and readers that we did not write verify it.
 *
 *     checkpoint
 *     tile/<level>/<index>[.p/<width>]
 *     tile/entries/<index>[.p/<width>]
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Result from "effect/Result"
import {
  type AuditError,
  CheckpointInconsistent,
  HashMismatch,
  IntegrityError,
  SignatureInvalid
} from "../AuditError.ts"
import { leafHash, levels, root } from "../Merkle.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { openCheckpoint, type Vkeys } from "./SigningKey.ts"

/** Hashes of a full tile, and entries of a full bundle. */
export const fullWidth = 256

/** One file: the hashes of a level, counted in tiles from the leaves up, or entries. */
export interface Tile {
  readonly level: number | "entries"
  readonly index: number
  /** 1 to 256. */
  readonly width: number
}

/** The path of a tile: the index in groups of three digits, all but the last with an `x` in front. */
export const path = ({ index, level, width }: Tile): string => {
  let name = String(index % 1000).padStart(3, "0")
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    name = `x${String(rest % 1000).padStart(3, "0")}/${name}`
  }
  return `tile/${level}/${name}${width === fullWidth ? "" : `.p/${width}`}`
}

const pathPattern = /^tile\/(entries|[1-5]?\d|6[0-3])\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/

/** Reads the path of a tile; `undefined` if it is not the one name of one. */
export const parsePath = (text: string): Tile | undefined => {
  const [, level, digits, width] = pathPattern.exec(text) ?? []
  if (level === undefined || digits === undefined) return undefined
  const tile: Tile = {
    level: level === "entries" ? level : Number(level),
    index: Number(digits.replaceAll(/[x/]/g, "")),
    width: width === undefined ? fullWidth : Number(width)
  }
  return path(tile) === text && Number.isSafeInteger(tile.index) ? tile : undefined
}

/** Writes an entry bundle: each entry after its length in two bytes, big-endian. */
export const encodeBundle = (entries: ReadonlyArray<Uint8Array>): Uint8Array =>
  Buffer.concat(entries.flatMap((entry) => [Buffer.of(entry.length >> 8, entry.length & 0xff), entry]))

/** Reads an entry bundle of `width` entries; `undefined` if it is not exactly that. */
export const parseBundle = (bytes: Uint8Array, width: number): ReadonlyArray<Uint8Array> | undefined => {
  const entries: Array<Uint8Array> = []
  let at = 0
  while (at + 2 <= bytes.length && entries.length < width) {
    const length = bytes[at]! * 256 + bytes[at + 1]!
    entries.push(bytes.subarray(at + 2, at + 2 + length))
    at += 2 + length
  }
  return at === bytes.length && entries.length === width ? entries : undefined
}

/** The tiles that a log of `size` entries has and one of `oldSize` has not; hashes only. */
export const between = (oldSize: number, size: number): ReadonlyArray<Tile> => {
  const tiles: Array<Tile> = []
  for (let level = 0, old = oldSize, now = size; now > 0; level++) {
    for (let index = Math.floor(old / fullWidth); index * fullWidth < now; index++) {
      const width = Math.min(fullWidth, now - index * fullWidth)
      if (index * fullWidth + width > old) tiles.push({ level, index, width })
    }
    old = Math.floor(old / fullWidth)
    now = Math.floor(now / fullWidth)
  }
  return tiles
}

/** What a log's files are made from. */
export interface Source {
  readonly checkpoint: Checkpoint
  /** The checkpoint as it is signed. */
  readonly note: string
  /** The signer's verifier key. */
  readonly vkey: string
  /** The hashes of a tile, one after another. */
  readonly hashes: (tile: Tile) => Effect.Effect<Uint8Array, AuditError | IntegrityError>
  /** The entries of a bundle. */
  readonly entries: (tile: Tile) => Effect.Effect<ReadonlyArray<Uint8Array>, AuditError | IntegrityError>
  /** The root of an earlier size. */
  readonly rootAt: (size: number) => Effect.Effect<Uint8Array, AuditError | IntegrityError>
}

/** What an export wrote. */
export interface Written {
  readonly tiles: number
  /** Entries of the log that the folder held before; 0 for a new one. */
  readonly oldSize: number
}

const method = "Tiles.write"

/** The checkpoint that a folder was last written with; it must be one of the same log, and the log must extend it. */
const earlier = Effect.fnUntraced(function*(
  file: string,
  source: Source,
  vkeys: Vkeys
): Effect.fn.Return<number, AuditError | IntegrityError | PlatformError, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(file))) return 0
  const stored = openCheckpoint(yield* fileSystem.readFileString(file), vkeys)
  if (stored._tag === "Failure") {
    return yield* new IntegrityError({
      method,
      reason: new SignatureInvalid({ detail: `${file} cannot be trusted: ${stored.failure}` })
    })
  }
  const { checkpoint } = source
  const { origin, root, size } = stored.success
  const same = origin === checkpoint.origin && size <= checkpoint.size &&
    Buffer.compare(yield* source.rootAt(size), root) === 0
  if (same) return size
  return yield* new IntegrityError({
    method,
    reason: new CheckpointInconsistent({
      detail:
        `${file} is of ${stored.success.origin} at size ${stored.success.size}, which ${checkpoint.origin} at size ` +
        `${checkpoint.size} does not extend: use a folder of its own for each log`
    })
  })
})

/** The files of tiles: of the lowest level the entries as well, first. */
const filesOf = (tiles: ReadonlyArray<Tile>): ReadonlyArray<Tile> =>
  tiles.flatMap((tile): ReadonlyArray<Tile> => tile.level === 0 ? [{ ...tile, level: "entries" }, tile] : [tile])

const contentOf = (source: Source, file: Tile): Effect.Effect<Uint8Array, AuditError | IntegrityError> =>
  file.level === "entries" ? Effect.map(source.entries(file), encodeBundle) : source.hashes(file)

/**
 * Writes a log's files to a folder: all of them, or what has been added since the checkpoint that is there. Each file
 * appears whole, the checkpoint last. `onTile` is called with the files written so far, and all that there are to
 * write; `vkeys` are the keys that the folder may have been signed with, the source's unless given. Files of before are
 * compared with the log first: a folder that is damaged is not written to.
 */
export const write = Effect.fnUntraced(function*(
  directory: string,
  source: Source,
  options: {
    readonly onTile?: ((done: number, all: number) => void) | undefined
    readonly vkeys?: Vkeys | undefined
  } = {}
): Effect.fn.Return<Written, AuditError | IntegrityError | PlatformError, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  const put = Effect.fnUntraced(function*(name: string, bytes: Uint8Array) {
    const file = `${directory}/${name}`
    yield* fileSystem.makeDirectory(file.slice(0, file.lastIndexOf("/")), { recursive: true })
    yield* fileSystem.writeFile(`${file}.new`, bytes)
    yield* fileSystem.rename(`${file}.new`, file)
  })
  yield* fileSystem.makeDirectory(directory, { recursive: true })
  const oldSize = yield* earlier(`${directory}/checkpoint`, source, options.vkeys ?? source.vkey)
  for (const file of filesOf(between(0, oldSize))) {
    const name = `${directory}/${path(file)}`
    const stored = (yield* fileSystem.exists(name)) ? yield* fileSystem.readFile(name) : undefined
    if (stored !== undefined && Buffer.compare(stored, yield* contentOf(source, file)) === 0) continue
    const detail = `${name} is ${stored === undefined ? "missing" : "damaged"}: the folder is not what was written. ` +
      "Write the log to a new one"
    return yield* new IntegrityError({ method, reason: new HashMismatch({ detail }) })
  }
  const files = filesOf(between(oldSize, source.checkpoint.size))
  const all = files.length
  for (const [at, file] of files.entries()) {
    yield* put(path(file), yield* contentOf(source, file))
    options.onTile?.(at + 1, all)
  }
  yield* put("checkpoint", Buffer.from(source.note, "utf8"))
  return { tiles: all, oldSize }
})

/** What is wrong with a file of an export. */
export interface Fault {
  readonly file: string
  readonly detail: string
}

/** What was found in an export. */
export interface Verified {
  /** The checkpoint, if it is signed by the key. */
  readonly checkpoint: Checkpoint | undefined
  readonly faults: ReadonlyArray<Fault>
}

/** The right edge of a tree: the last tile of each level that has nodes of it. */
class Edge {
  private readonly size: number
  private readonly tiles: Array<ReadonlyArray<Uint8Array>> = []
  constructor(size: number) {
    this.size = size
  }

  take(level: number, index: number, made: ReadonlyArray<Uint8Array>): void {
    if (index === Math.floor(Math.floor(this.size / fullWidth ** level) / fullWidth)) this.tiles[level] = made
  }

  /** The root at the size; whatever else is read of a tree is not needed for it. */
  root(): Uint8Array {
    return root(this.size, (height, index) => {
      const inTile = height % 8
      const at = (index % 2 ** (8 - inTile)) * 32
      return this.tiles[Math.floor(height / 8)]?.[inTile]?.subarray(at, at + 32) ?? new Uint8Array(32)
    })
  }
}

/** Why a folder does not extend a checkpoint that someone kept, if so. */
const notExtending = (known: Result.Result<Checkpoint, string>, { origin, size }: Checkpoint, edge: Edge) => {
  if (known._tag === "Failure") return `the given checkpoint cannot be trusted: ${known.failure}`
  const kept = known.success
  if (kept.origin !== origin) return `the given checkpoint is of another log: ${kept.origin}`
  if (kept.size > size) return `it has ${size} entries, and the given checkpoint ${kept.size}`
  return Buffer.compare(edge.root(), kept.root) === 0
    ? undefined
    : `its tree at size ${kept.size} is not the one of the given checkpoint`
}

/**
 * Checks the files of a folder against its checkpoint and a verifier key: every entry against its leaf, every tile
 * against the tiles below it, and the tree against the signed root; and, where someone kept a checkpoint, against that.
 */
export const verify = Effect.fnUntraced(function*(
  directory: string,
  vkeys: Vkeys,
  known?: string | undefined
): Effect.fn.Return<Verified, PlatformError, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  const faults: Array<Fault> = []
  const read = Effect.fnUntraced(function*(tile: Tile) {
    const file = `${directory}/${path(tile)}`
    if (yield* fileSystem.exists(file)) return yield* fileSystem.readFile(file)
    faults.push({ file: path(tile), detail: "is missing" })
    return undefined
  })
  const opened = openCheckpoint(yield* fileSystem.readFileString(`${directory}/checkpoint`), vkeys)
  if (opened._tag === "Failure") {
    return { checkpoint: undefined, faults: [{ file: "checkpoint", detail: `cannot be trusted: ${opened.failure}` }] }
  }
  const checkpoint = opened.success
  // The hashes over the complete tiles of each level: the next level's, as the level below has them.
  let below: Array<Uint8Array> = []
  let expected: Array<Uint8Array> = []
  const kept = known === undefined ? undefined : openCheckpoint(known, vkeys)
  const edge = new Edge(checkpoint.size)
  const keptEdge = new Edge(kept?._tag === "Success" ? kept.success.size : 0)
  let level = 0
  for (const tile of between(0, checkpoint.size)) {
    if (tile.level !== level) {
      level++
      expected = below
      below = []
    }
    const stored = yield* read(tile)
    let run: Uint8Array | undefined = stored
    if (tile.level === 0) {
      const bytes = yield* read({ ...tile, level: "entries" })
      const entries = bytes === undefined ? undefined : parseBundle(bytes, tile.width)
      if (bytes !== undefined && entries === undefined) {
        faults.push({ file: path({ ...tile, level: "entries" }), detail: "is not an entry bundle" })
      }
      if (entries !== undefined) run = Buffer.concat(entries.map(leafHash))
    } else run = Buffer.concat(expected.slice(tile.index * fullWidth, tile.index * fullWidth + tile.width))
    if (run !== undefined && stored !== undefined && Buffer.compare(run, stored) !== 0) {
      const what = tile.level === 0 ? "its entries" : "the tiles below it"
      faults.push({ file: path(tile), detail: `does not have the hashes of ${what}` })
    }
    const made = levels(run ?? new Uint8Array(0))
    if (tile.width === fullWidth) below.push(made[8] ?? new Uint8Array(32))
    edge.take(level, tile.index, made)
    keptEdge.take(level, tile.index, made)
  }
  if (Buffer.compare(edge.root(), checkpoint.root) !== 0) {
    faults.push({ file: "checkpoint", detail: "its root is not that of the entries" })
  }
  const rolledBack = kept === undefined ? undefined : notExtending(kept, checkpoint, keptEdge)
  if (rolledBack !== undefined) faults.push({ file: "checkpoint", detail: rolledBack })
  return { checkpoint, faults }
})
