/**
 * The key that signs the checkpoints of all logs of a deployment.
 *
 * One Ed25519 key under a name of its own. A log's checkpoint is signed by the same key under the log's origin, so that
 * one verifier key, printed when the key is made, checks every log: the log's own follows from it and the origin.
 *
 * The key is read from a file that only its owner can read, or from configuration, and never printed.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { randomBytes } from "node:crypto"
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { AuditError, SignerRefused } from "../AuditError.ts"
import { type Checkpoint, open, stated } from "./Checkpoint.ts"
import * as Origin from "./Origin.ts"
import {
  encodeSkey,
  encodeVkey,
  formatVkey,
  makeSigner,
  parseSkey,
  parseVkey,
  rename,
  renameSigner,
  type Signer,
  type Verifier
} from "./SignedNote.ts"

/** An Ed25519 key that signs checkpoints. */
export interface SigningKey {
  /** The key's own name, such as `audit.example.com/signer`. */
  readonly name: string
  /** The public verifier key under the key's own name: checks every log that it signs. */
  readonly vkey: string
  /** The key under the origin of a log. */
  readonly signerOf: (origin: string) => Signer
}

const refused = (detail: string) => new AuditError({ method: "SigningKey", reason: new SignerRefused({ detail }) })

const make = (text: string, where: string): Effect.Effect<SigningKey, AuditError> => {
  const key = parseSkey(text.trim())
  const signer = key === undefined ? undefined : makeSigner(key.name, key.seed)
  if (key === undefined || signer === undefined) {
    return Effect.fail(refused(`${where} is not a private key: PRIVATE+KEY+name+id+base64, of Ed25519, on one line`))
  }
  return Effect.succeed({
    name: key.name,
    vkey: encodeVkey(key.name, signer.publicKeyBytes),
    signerOf: (origin) => renameSigner(signer, origin)
  })
}

const systemError = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown error"

const readPrivate = (path: string): string => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) throw refused(`${path} is not a regular file`)
    if ((stat.mode & 0o077) !== 0) {
      throw refused(`${path} can be read by others than its owner: chmod 600 it, or make a new key`)
    }
    return readFileSync(descriptor, "utf8")
  } finally {
    closeSync(descriptor)
  }
}

/** Reads a key from a file that only its owner can read (mode 0600 or less), else `SignerRefused`. */
export const fromFile = (path: string): Effect.Effect<SigningKey, AuditError> =>
  Effect.try({
    try: () => readPrivate(path),
    catch: (cause) =>
      cause instanceof AuditError ? cause : refused(`the key file ${path} cannot be read: ${systemError(cause)}`)
  }).pipe(Effect.flatMap((text) => make(text, path)))

/** Reads a key from configuration, for example `SigningKey.fromConfig("AUDIT_SIGNING_KEY")`. */
export const fromConfig = (name: string): Effect.Effect<SigningKey, AuditError | Config.ConfigError> =>
  Effect.flatMap(Config.Redacted(name), (text) => make(Redacted.value(text), `the setting ${name}`))

/** Makes a key and writes it to a new file of mode 0600; a file that exists is never replaced. */
export const generate = (path: string, name: string): Effect.Effect<SigningKey, AuditError> =>
  Effect.suspend(() => {
    const text = Origin.isLike(name) ? undefined : encodeSkey(name, randomBytes(32))
    return text === undefined
      ? Effect.fail(refused("the name of a key has no spaces, control characters or +, and is not the origin of a log"))
      : Effect.andThen(write(path, text), make(text, path))
  })

const write = (path: string, text: string): Effect.Effect<void, AuditError> =>
  Effect.try({
    try: () => {
      const descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
      try {
        fchmodSync(descriptor, 0o600)
        writeFileSync(descriptor, `${text}\n`)
        fsyncSync(descriptor)
      } catch (cause) {
        // What was not written whole would be in the way of the next try.
        rmSync(path, { force: true })
        throw cause
      } finally {
        closeSync(descriptor)
      }
    },
    catch: (cause) =>
      refused(
        systemError(cause) === "EEXIST"
          ? `${path} exists, and a key is never replaced`
          : `the key file ${path} cannot be written: ${systemError(cause)}`
      )
  })

/**
 * The key that verifies the checkpoints of an origin, from a verifier key: a signer's key is taken under the origin; a
 * log's own key, whose name is an origin, verifies that origin only.
 */
export const verifierOf = (vkey: string, origin: string): Verifier | undefined => {
  const verifier = parseVkey(vkey.trim())
  if (verifier === undefined || verifier.name === origin) return verifier
  return Origin.isLike(verifier.name) ? verifier : rename(verifier, origin)
}

/** One verifier key, or several: those of keys that signed one after another. */
export type Vkeys = string | ReadonlyArray<string>

/**
 * Opens a checkpoint with verifier keys, of which at least one must have signed it under the checkpoint's own origin;
 * why not, as a text.
 */
export const openCheckpoint = (note: string, vkeys: Vkeys): Result.Result<Checkpoint, string> =>
  Result.flatMap(stated(note), ({ origin }) => {
    const verifiers = (typeof vkeys === "string" ? [vkeys] : vkeys).flatMap((vkey) => verifierOf(vkey, origin) ?? [])
    if (verifiers.length === 0) return Result.fail("the key is not an Ed25519 verifier key")
    return Result.map(open(note, verifiers.filter(({ name }) => name === origin)), ({ checkpoint }) => checkpoint)
  })

/** A log's own verifier key, from the signer's and the log's origin. */
export const vkeyOf = (vkey: string, origin: string): string | undefined => {
  const verifier = verifierOf(vkey, origin)
  return verifier === undefined || verifier.name !== origin ? undefined : formatVkey(verifier)
}
