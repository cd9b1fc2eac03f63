/**
 * Checkpoints (https://c2sp.org/tlog-checkpoint): the signed head of a log's tree, as a text.
 *
 *     <origin>
 *     <size>
 *     <base64 of the root hash>
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { emptyRoot, type Hash } from "../Merkle.ts"
import {
  decodeBase64,
  type Note,
  open as openNote,
  sign as signNote,
  type Signer,
  type Verifier
} from "./SignedNote.ts"

/** The head of a log's tree. */
export interface Checkpoint {
  readonly origin: string
  /** Entries in the log, below 2^53. */
  readonly size: number
  readonly root: Hash
  /** Lines after the root: kept, signed, and not interpreted. */
  readonly extensions: ReadonlyArray<string>
}

/** The text of a checkpoint, without signatures. */
export const format = ({ extensions, origin, root, size }: Checkpoint): string =>
  [origin, String(size), Buffer.from(root).toString("base64"), ...extensions].map((line) => `${line}\n`).join("")

/** Reads the text of a checkpoint; fails with why not, as a text, if it cannot be read. */
export const parse = (text: string): Result.Result<Checkpoint, string> => {
  if (!text.endsWith("\n")) return Result.fail("it does not end with a newline")
  const [origin, size, encoded, ...extensions] = text.slice(0, -1).split("\n")
  if (origin === undefined || origin === "" || size === undefined || encoded === undefined) {
    return Result.fail("it has fewer than three lines")
  }
  if (!/^(?:0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    return Result.fail("its size is not a number")
  }
  const root = decodeBase64(encoded)
  if (root === undefined || root.length !== 32) return Result.fail("its root is not the base64 of 32 bytes")
  if (extensions.includes("")) return Result.fail("it has an empty line")
  if (size === "0" && Buffer.compare(root, emptyRoot) !== 0) {
    return Result.fail("its root is not that of the empty tree")
  }
  return Result.succeed({ origin, size: Number(size), root, extensions })
}

/** What a signed note says as a checkpoint, whoever signed it; why not, as a text, if it says none. */
export const stated = (note: string): Result.Result<Checkpoint, string> =>
  parse(note.slice(0, note.lastIndexOf("\n\n") + 1))

/** Signs a checkpoint; the signer's name is the origin. */
export const sign = (checkpoint: Checkpoint, signer: Signer): string => signNote(format(checkpoint), signer)

/** Opens a signed checkpoint with the keys that are known; why not, as a text. */
export const open = (
  note: Uint8Array | string,
  verifiers: ReadonlyArray<Verifier>
): Result.Result<{ readonly checkpoint: Checkpoint; readonly signedBy: Note["signedBy"] }, string> =>
  Result.flatMap(
    openNote(note, verifiers),
    ({ signedBy, text }) => Result.map(parse(text), (checkpoint) => ({ checkpoint, signedBy }))
  )
