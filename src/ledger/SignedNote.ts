/**
 * Signed notes (https://c2sp.org/signed-note): a text, a blank line, and one line per signature.
 *
 *     <text>
 *
 *     — <key name> <base64 of key id and signature>
 *
 * Ed25519 only; signatures of unknown keys are kept and ignored. A known key whose signature does not verify refuses
 * the note.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes
} from "node:crypto"

const ed25519 = 1
// DER around 32 bytes of an Ed25519 key (RFC 8410).
const spki = Buffer.from("302a300506032b6570032100", "hex")
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex")

/** An Ed25519 public key. */
export class PublicKey {
  readonly #key: KeyObject
  /** 32 bytes. */
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#key = createPublicKey({ key: Buffer.concat([spki, bytes]), format: "der", type: "spki" })
  }
  /** Whether a signature is one of this key over the UTF-8 bytes of a text. */
  verify(text: string, signature: Uint8Array): boolean {
    return verifyBytes(null, Buffer.from(text, "utf8"), this.#key, signature)
  }
}

/** An Ed25519 private key, which shows nothing of itself. */
export class PrivateKey {
  readonly #key: KeyObject
  constructor(seed: Uint8Array) {
    this.#key = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: "der", type: "pkcs8" })
  }
  /** The 32 bytes of its public key. */
  publicBytes(): Uint8Array {
    return createPublicKey(this.#key).export({ format: "der", type: "spki" }).subarray(spki.length)
  }
  /** Signs the UTF-8 bytes of a text. */
  sign(text: string): Uint8Array {
    return signBytes(null, Buffer.from(text, "utf8"), this.#key)
  }
}

/** A key that verifies: its name, the four bytes that tell it from others of the name, and the public key. */
export interface Verifier {
  readonly name: string
  readonly keyId: number
  readonly publicKey: PublicKey
}

/** A key that signs. */
export interface Signer {
  readonly name: string
  readonly keyId: number
  /** 32 bytes. */
  readonly publicKeyBytes: Uint8Array
  readonly privateKey: PrivateKey
}

/** An opened note: its text, with its last newline, and the names of the known keys that signed it. */
export interface Note {
  readonly text: string
  readonly signedBy: ReadonlyArray<string>
}

const namePattern = /^[^\s+\p{Cc}]+$/u

/** Bytes of standard base64 with padding, in its one spelling. */
export const decodeBase64 = (text: string): Uint8Array | undefined => {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : undefined
}

/** `SHA-256(name || 0x0A || type || key)`, the first four bytes, big-endian. */
const keyIdOf = (name: string, key: Uint8Array): number =>
  createHash("sha256").update(name).update(Buffer.of(0x0a, ed25519)).update(key).digest().readUInt32BE(0)

const hex = (keyId: number): string => keyId.toString(16).padStart(8, "0")

/** The verifier key of a public key under a name, as text: `name+keyid+base64`. */
export const encodeVkey = (name: string, publicKey: Uint8Array): string =>
  `${name}+${hex(keyIdOf(name, publicKey))}+${Buffer.concat([Buffer.of(ed25519), publicKey]).toString("base64")}`

/** Reads a verifier key; `undefined` if it is not one of Ed25519. */
export const parseVkey = (vkey: string): Verifier | undefined => {
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(vkey) ?? []
  if (name === undefined || id === undefined || encoded === undefined || !namePattern.test(name)) return undefined
  const bytes = decodeBase64(encoded)
  if (bytes === undefined || bytes.length !== 33 || bytes[0] !== ed25519) return undefined
  const key = bytes.subarray(1)
  const keyId = keyIdOf(name, key)
  if (hex(keyId) !== id) return undefined
  return { name, keyId, publicKey: new PublicKey(key) }
}

/** The signer of a 32-byte Ed25519 seed under a name; `undefined` if either is wrong. */
export const makeSigner = (name: string, seed: Uint8Array): Signer | undefined => {
  if (!namePattern.test(name) || seed.length !== 32) return undefined
  const privateKey = new PrivateKey(seed)
  const publicKeyBytes = privateKey.publicBytes()
  return { name, keyId: keyIdOf(name, publicKeyBytes), publicKeyBytes, privateKey }
}

/** The private key of a seed under a name, as text: `PRIVATE+KEY+name+keyid+base64`. A secret. */
export const encodeSkey = (name: string, seed: Uint8Array): string | undefined => {
  const signer = makeSigner(name, seed)
  return signer === undefined
    ? undefined
    : `PRIVATE+KEY+${name}+${hex(signer.keyId)}+${Buffer.concat([Buffer.of(ed25519), seed]).toString("base64")}`
}

/** Reads a private key: its name and its 32-byte seed; `undefined` if it is not one of Ed25519. */
export const parseSkey = (skey: string): { readonly name: string; readonly seed: Uint8Array } | undefined => {
  const [, name, id, encoded] = /^PRIVATE\+KEY\+([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(skey) ?? []
  const bytes = encoded === undefined ? undefined : decodeBase64(encoded)
  if (name === undefined || bytes === undefined || bytes.length !== 33 || bytes[0] !== ed25519) return undefined
  const seed = bytes.subarray(1)
  const signer = makeSigner(name, seed)
  return signer === undefined || hex(signer.keyId) !== id ? undefined : { name, seed }
}

/** The same private key under another name, which is one. */
export const renameSigner = (signer: Signer, name: string): Signer => ({
  ...signer,
  name,
  keyId: keyIdOf(name, signer.publicKeyBytes)
})

/** The same public key under another name. */
export const rename = (verifier: Verifier, name: string): Verifier => ({
  name,
  keyId: keyIdOf(name, verifier.publicKey.bytes),
  publicKey: verifier.publicKey
})

/** A verifier as a verifier key. */
export const formatVkey = (verifier: Verifier): string => encodeVkey(verifier.name, verifier.publicKey.bytes)

/** Signs a text, which ends with a newline. */
export const sign = (text: string, signer: Signer): string => {
  const id = Buffer.alloc(4)
  id.writeUInt32BE(signer.keyId)
  const signature = signer.privateKey.sign(text)
  return `${text}\n— ${signer.name} ${Buffer.concat([id, signature]).toString("base64")}\n`
}

interface Signature {
  readonly name: string
  readonly keyId: number
  readonly signature: Uint8Array
}

const parseSignature = (line: string): Signature | undefined => {
  const [, name, encoded] = /^— (\S+) (\S+)$/u.exec(line) ?? []
  if (name === undefined || encoded === undefined || !namePattern.test(name)) return undefined
  const bytes = decodeBase64(encoded)
  if (bytes === undefined || bytes.length < 5) return undefined
  return { name, keyId: Buffer.from(bytes).readUInt32BE(0), signature: bytes.subarray(4) }
}

/** The longest note that is read. */
const maxBytes = 1_048_576
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** Whether a text has an ASCII control character other than the newline (C2SP signed-note, "Format"). */
const hasControl = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if ((code < 32 && code !== 10) || code === 127) return true
  }
  return false
}

/**
 * Opens a note with the keys that are known; why not, as a text, if it is ill-formed, forged, or signed by none of
 * them.
 */
export const open = (note: Uint8Array | string, verifiers: ReadonlyArray<Verifier>): Result.Result<Note, string> => {
  const text = typeof note === "string" ? note : decode(note)
  if (text === undefined || !text.isWellFormed()) return Result.fail("it is not UTF-8")
  if (text.length > maxBytes) return Result.fail("it is too long")
  if (hasControl(text)) return Result.fail("it has control characters")
  const at = text.lastIndexOf("\n\n")
  if (at === -1 || !text.endsWith("\n")) return Result.fail("it has no signatures")
  const signed = text.slice(0, at + 1)
  const lines = text.slice(at + 2, -1).split("\n")
  const signedBy: Array<string> = []
  for (const line of lines) {
    const signature = parseSignature(line)
    if (signature === undefined) return Result.fail("a signature line is ill-formed")
    const verifier = verifiers.find(({ keyId, name }) => keyId === signature.keyId && name === signature.name)
    if (verifier === undefined) continue
    if (!verifier.publicKey.verify(signed, signature.signature)) {
      return Result.fail(`the signature of ${verifier.name} does not verify`)
    }
    signedBy.push(`${verifier.name}+${hex(verifier.keyId)}`)
  }
  return signedBy.length === 0 ? Result.fail("no known key has signed it") : Result.succeed({ text: signed, signedBy })
}
