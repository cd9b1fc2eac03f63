/**
 * Checks a proof file in the browser: the event's bytes, the path to the root (RFC 9162, section 2.1.3.2), and the
 * checkpoint's Ed25519 signature (C2SP signed-note, tlog-checkpoint, tlog-proof). Nothing of the server is trusted.
 */

/** What a proof shows. */
export interface Proven {
  readonly position: number
  readonly origin: string
  readonly size: number
  /** The event as it was logged; `undefined` of an erased one. */
  readonly event: string | undefined
}

const encoder = new TextEncoder()

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => {
  const text = atob(base64)
  if (btoa(text) !== base64) throw new Error("a part of it is not base64")
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const sha256 = async (...parts: ReadonlyArray<Uint8Array>): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)))

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

const newline = Uint8Array.of(10)
const ed25519 = Uint8Array.of(1)

/** A verifier key: `name+id+base64`. */
const keyOf = async (vkey: string) => {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey.trim()) ?? []
  if (name === undefined || id === undefined || encoded === undefined) throw new Error("this is not a verifier key")
  const bytes = bytesOf(encoded)
  if (bytes.length !== 33 || bytes[0] !== 1) throw new Error("this is not a verifier key of Ed25519")
  return { name, bytes: bytes.slice(1) }
}

const keyIdOf = async (name: string, key: Uint8Array): Promise<Uint8Array> =>
  (await sha256(encoder.encode(name), newline, ed25519, key)).slice(0, 4)

/** Checks that a note is signed with a key, under the name of its origin: one key serves all logs of a signer. */
const signedBy = async (note: string, vkey: string): Promise<string> => {
  const end = note.lastIndexOf("\n\n")
  const text = note.slice(0, end + 1)
  const origin = text.slice(0, text.indexOf("\n"))
  const key = await keyOf(vkey)
  const publicKey = await crypto.subtle.importKey("raw", key.bytes, "Ed25519", false, ["verify"])
  for (const name of [origin, key.name]) {
    const id = await keyIdOf(name, key.bytes)
    for (const line of note.slice(end + 2).split("\n")) {
      if (!line.startsWith(`\u2014 ${name} `)) continue
      const signature = bytesOf(line.slice(name.length + 3))
      if (!same(signature.slice(0, 4), id)) continue
      if (await crypto.subtle.verify("Ed25519", publicKey, signature.slice(4), encoder.encode(text))) return text
      throw new Error("its checkpoint's signature is wrong")
    }
  }
  throw new Error("its checkpoint is not signed with this key")
}

const inner = Uint8Array.of(1)

/** The root that a leaf leads to. */
const rootOf = async (index: number, size: number, leaf: Uint8Array, path: ReadonlyArray<Uint8Array>) => {
  let [node, last] = [index, size - 1]
  let hash = leaf
  for (const next of path) {
    if (last === 0) throw new Error("its path is too long")
    if (node % 2 === 1 || node === last) {
      hash = await sha256(inner, next, hash)
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2)
        last = Math.floor(last / 2)
      }
    } else hash = await sha256(inner, hash, next)
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  if (last !== 0) throw new Error("its path is too short")
  return hash
}

const field = (file: object, name: string): string => {
  const value: unknown = Reflect.get(file, name)
  if (typeof value !== "string") throw new Error(`it has no ${name}`)
  return value
}

/** Checks a proof file with a verifier key. Fails with why it does not hold. */
export const check = async (text: string, vkey: string): Promise<Proven> => {
  const file: unknown = JSON.parse(text)
  if (typeof file !== "object" || file === null) throw new Error("it is not a proof file")
  if (field(file, "format") !== "effect-audit/proof@v1") throw new Error("it is not a proof file of this format")
  const proof = field(file, "proof")
  const end = proof.indexOf("\n\n")
  const [header, indexLine = "", ...path] = proof.slice(0, end).split("\n")
  const index = Number(/^index (\d{1,15})$/.exec(indexLine)?.[1] ?? Number.NaN)
  if (header !== "c2sp.org/tlog-proof@v1" || Number.isNaN(index)) throw new Error("its proof cannot be read")
  const checkpoint = await signedBy(proof.slice(end + 2), vkey)
  const [origin = "", sizeLine = "", root = ""] = checkpoint.split("\n")
  const size = Number(sizeLine)
  if (!Number.isSafeInteger(size) || index >= size) throw new Error("its checkpoint does not cover the event")
  const isErased = "erased" in file
  const event = isErased ? undefined : bytesOf(field(file, "event"))
  const entry = event === undefined
    ? bytesOf(field(file, "entry"))
    : joined(ed25519, await sha256(bytesOf(field(file, "salt")), event))
  if (entry.length !== 33 || entry[0] !== 1) throw new Error("its entry is not one of this log")
  const leaf = await sha256(Uint8Array.of(0), entry)
  if (!same(await rootOf(index, size, leaf, path.map(bytesOf)), bytesOf(root))) {
    throw new Error("the event is not under the root of the signed checkpoint")
  }
  return { position: index, origin, size, event: event && new TextDecoder("utf-8", { fatal: true }).decode(event) }
}
