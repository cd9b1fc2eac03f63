/**
 * Proof files: an event, and what shows to anyone, without the store, that it is in a log.
 *
 * The proof itself is a text (https://c2sp.org/tlog-proof), with the checkpoint that it leads to:
 *
 *     c2sp.org/tlog-proof@v1
 *     index <position>
 *     <base64 of a hash>
 *     ...
 *
 *     <signed checkpoint>
 *
 * A proof file is JSON around it: the bytes of the event and its salt, or, of an erased event, the entry that is left.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { HashMismatch, IntegrityError, type IntegrityReason, ProofInvalid, SignatureInvalid } from "../AuditError.ts"
import { type Hash, leafHash, verifyInclusion } from "../Merkle.ts"
import { commitment, entry, saltBytes } from "../Seal.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { decodeBase64 } from "./SignedNote.ts"
import { openCheckpoint, type Vkeys } from "./SigningKey.ts"

/** A tlog-proof, read. */
export interface Inclusion {
  readonly index: number
  /** The hash next to the leaf first. */
  readonly hashes: ReadonlyArray<Hash>
  /** Bytes that no one signed; empty where the proof has none. */
  readonly extra: Uint8Array
  /** The signed checkpoint, as text. */
  readonly note: string
}

const header = "c2sp.org/tlog-proof@v1"
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")

/** Writes a tlog-proof. */
export const format = ({ extra, hashes, index, note }: Inclusion): string =>
  [
    header,
    ...(extra.length === 0 ? [] : [`extra ${base64(extra)}`]),
    `index ${index}`,
    ...hashes.map(base64),
    "",
    note
  ].join("\n")

/** Reads a tlog-proof; fails with why not, as a text, if it cannot be read. */
export const parseInclusion = (text: string): Result.Result<Inclusion, string> => {
  const end = text.indexOf("\n\n")
  const [first, ...lines] = text.slice(0, Math.max(end, 0)).split("\n")
  if (first !== header) return Result.fail(`it does not begin with ${header}`)
  const extraLine = lines[0]?.startsWith("extra ") === true ? lines.shift() : undefined
  const extra = extraLine === undefined ? new Uint8Array(0) : decodeBase64(extraLine.slice(6))
  if (extra === undefined || extraLine === "extra ") return Result.fail("its extra line is not base64")
  const [, digits] = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? "") ?? []
  const index = Number(digits)
  if (digits === undefined || !Number.isSafeInteger(index)) return Result.fail("it has no index")
  const hashes: Array<Hash> = []
  for (const line of lines) {
    const hash = decodeBase64(line)
    if (hash === undefined || hash.length !== 32) {
      return Result.fail("a line of the proof is not the base64 of 32 bytes")
    }
    hashes.push(hash)
  }
  // A tree below 2^53 entries is no deeper.
  if (hashes.length > 63) return Result.fail("it has too many hashes")
  return Result.succeed({ index, hashes, extra, note: text.slice(end + 2) })
}

const fields = { format: Schema.Literal("effect-audit/proof@v1"), proof: Schema.String }

/** The JSON of a proof file; bytes are standard base64 with padding. */
export const ProofFile = Schema.Union([
  Schema.Struct({ ...fields, event: Schema.String, salt: Schema.String }),
  Schema.Struct({ ...fields, erased: Schema.Literal(true), entry: Schema.String })
])
export type ProofFile = typeof ProofFile.Type

/** What a proof file shows. */
export type Proven =
  | { readonly erased: false; readonly position: number; readonly event: string; readonly checkpoint: Checkpoint }
  | { readonly erased: true; readonly position: number; readonly checkpoint: Checkpoint }

/** What is proven: an event with its salt, or the entry that an erased one left. */
export type Subject =
  | { readonly erased: false; readonly event: Uint8Array; readonly salt: Uint8Array }
  | { readonly erased: true; readonly entry: Uint8Array }

/** Makes a proof file. */
export const make = (subject: Subject, inclusion: Omit<Inclusion, "extra">): ProofFile => {
  const proof = format({ ...inclusion, extra: new Uint8Array(0) })
  return subject.erased
    ? { format: "effect-audit/proof@v1", erased: true, entry: base64(subject.entry), proof }
    : { format: "effect-audit/proof@v1", event: base64(subject.event), salt: base64(subject.salt), proof }
}

/** A proof file as text, ending with a newline. */
export const encode = (file: ProofFile): string => `${JSON.stringify(file, undefined, 2)}\n`

const decodeFile = Schema.decodeUnknownResult(Schema.fromJsonString(ProofFile), { onExcessProperty: "error" })
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const fail = (reason: IntegrityReason) => Result.fail(new IntegrityError({ method: "Proof.verify", reason }))
const invalid = (detail: string) => fail(new ProofInvalid({ detail }))

/** The bytes of the entry that a proof file is about, and the event's text where it has one. */
const subjectOf = (
  file: ProofFile
): Result.Result<{ readonly entry: Uint8Array; readonly event?: string }, IntegrityError> => {
  if ("entry" in file) {
    const bytes = decodeBase64(file.entry)
    return bytes?.length === 33 && bytes[0] === 1
      ? Result.succeed({ entry: bytes })
      : invalid("its entry is not 33 bytes of type 1")
  }
  const event = decodeBase64(file.event)
  const salt = decodeBase64(file.salt)
  if (event === undefined || salt?.length !== saltBytes) {
    return invalid("its event is not base64, or its salt not the base64 of 32 bytes")
  }
  try {
    return Result.succeed({ entry: entry(commitment(salt, event)), event: utf8.decode(event) })
  } catch {
    return fail(new HashMismatch({ detail: "its event is not UTF-8" }))
  }
}

/**
 * Checks a proof file with verifier keys, the signer's or the log's own; needs nothing else. The event is what was
 * logged, byte for byte, if this succeeds.
 */
export const verify = (text: string, vkeys: Vkeys): Result.Result<Proven, IntegrityError> => {
  const file = decodeFile(text)
  if (file._tag === "Failure") return invalid("it is not the JSON of an effect-audit/proof@v1")
  const inclusion = parseInclusion(file.success.proof)
  if (inclusion._tag === "Failure") return invalid(`its tlog-proof cannot be read: ${inclusion.failure}`)
  const { hashes, index, note } = inclusion.success
  const opened = openCheckpoint(note, vkeys)
  if (opened._tag === "Failure") {
    return fail(new SignatureInvalid({ detail: `its checkpoint cannot be trusted: ${opened.failure}` }))
  }
  const checkpoint = opened.success
  return Result.flatMap(subjectOf(file.success), ({ entry, event }): Result.Result<Proven, IntegrityError> => {
    const holds = verifyInclusion({
      index,
      size: checkpoint.size,
      leafHash: leafHash(entry),
      proof: hashes,
      root: checkpoint.root
    })
    if (!holds) return invalid("what it is about does not lead to the root of its checkpoint")
    return Result.succeed(
      event === undefined
        ? { erased: true, position: index, checkpoint }
        : { erased: false, position: index, event, checkpoint }
    )
  })
}
