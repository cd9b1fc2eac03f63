/** Random bytes and event ids. */
import * as Context from "effect/Context"
import { randomFillSync } from "node:crypto"

/** Where salts and ids get their randomness; a test that pins bytes provides its own. */
export interface Entropy {
  /** Fresh bytes that the caller may keep. */
  readonly bytes: (size: number) => Uint8Array
}

const poolSize = 32_768

/** The operating system's generator, asked for 32 KiB at a time: a call per salt costs more than the salt's hash. */
export const systemEntropy = (): Entropy => {
  let pool = new Uint8Array(0)
  let used = 0
  return {
    bytes: (size) => {
      if (used + size > pool.length) {
        pool = randomFillSync(new Uint8Array(Math.max(poolSize, size)))
        used = 0
      }
      used += size
      return pool.subarray(used - size, used)
    }
  }
}

/** Where randomness comes from. */
export const Entropy = Context.Reference<Entropy>("effect-audit/internal/Entropy", { defaultValue: systemEntropy })

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/**
 * Makes UUIDv7s (RFC 9562, section 5.7): milliseconds, then a 12-bit counter (section 6.2, method 1) that keeps the ids
 * of one generator in order, then 62 random bits.
 */
export const makeUuid7 = (entropy: Entropy): (millis: number) => string => {
  let last = 0
  let counter = 0
  return (millis) => {
    if (millis > last) {
      last = millis
      const seed = entropy.bytes(2)
      counter = ((seed[0]! & 0x07) << 8) | seed[1]!
    } else if (++counter > 0xfff) {
      last++
      counter = 0
    }
    const random = entropy.bytes(8)
    const high = Math.floor(last / 65536)
    const time = high.toString(16).padStart(8, "0")
    const low = (last % 65536).toString(16).padStart(4, "0")
    return `${time}-${low}-7${
      counter.toString(16).padStart(3, "0")
    }-${hex[(random[0]! & 0x3f) | 0x80]!}${hex[random[1]!]!}-` +
      hex[random[2]!]! + hex[random[3]!]! + hex[random[4]!]! + hex[random[5]!]! + hex[random[6]!]! + hex[random[7]!]!
  }
}

/** The values of hexadecimal digits, by their characters. */
const digits = new Uint8Array(128)
for (let value = 0; value < 16; value++) {
  digits[value.toString(16).charCodeAt(0)] = value
  digits[value.toString(16).toUpperCase().charCodeAt(0)] = value
}

/** The 16 bytes of a UUID. */
export const uuidBytes = (uuid: string): Uint8Array => {
  const bytes = new Uint8Array(16)
  let at = 0
  for (let i = 0; i < 16; i++) {
    if (uuid.charCodeAt(at) === 45) at++
    bytes[i] = digits[uuid.charCodeAt(at)]! << 4 | digits[uuid.charCodeAt(at + 1)]!
    at += 2
  }
  return bytes
}

/** The text of 16 bytes as a UUID. */
export const uuidText = (bytes: Uint8Array): string => {
  let text = ""
  for (let i = 0; i < 16; i++) text += (i === 4 || i === 6 || i === 8 || i === 10 ? "-" : "") + hex[bytes[i]!]!
  return text
}

/** Milliseconds since 1970 of a UUIDv7 (RFC 9562, section 5.7). */
export const uuidMillis = (id: Uint8Array): number => Buffer.from(id.buffer, id.byteOffset, 6).readUIntBE(0, 6)
