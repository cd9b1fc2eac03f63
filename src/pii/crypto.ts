/** Addresses of cryptocurrencies, with their checksums. */
import { createHash } from "node:crypto"
import type { Span } from "./span.ts"

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest()

/** Base58Check (https://en.bitcoin.it/wiki/Base58Check_encoding): the last four bytes are a double SHA-256. */
const isBase58Check = (text: string): boolean => {
  let value = 0n
  for (const char of text) {
    const digit = alphabet.indexOf(char)
    if (digit === -1) return false
    value = value * 58n + BigInt(digit)
  }
  const bytes = Buffer.from(value.toString(16).padStart(50, "0"), "hex")
  if (bytes.length !== 25) return false
  return Buffer.compare(sha256(sha256(bytes.subarray(0, 21))).subarray(0, 4), bytes.subarray(21)) === 0
}

const bech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

/** BIP 173 and BIP 350: the checksum of Bech32 and Bech32m. */
const isBech32 = (text: string): boolean => {
  const lower = text.toLowerCase()
  if (lower !== text && text.toUpperCase() !== text) return false
  const separator = lower.lastIndexOf("1")
  let check = 1
  const step = (value: number) => {
    const top = check >>> 25
    check = ((check & 0x1ffffff) << 5) ^ value
    const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]
    for (let i = 0; i < 5; i++) if ((top >>> i) & 1) check ^= generators[i]!
  }
  for (let i = 0; i < separator; i++) step(lower.charCodeAt(i) >> 5)
  step(0)
  for (let i = 0; i < separator; i++) step(lower.charCodeAt(i) & 31)
  for (let i = separator + 1; i < lower.length; i++) {
    const value = bech32.indexOf(lower[i]!)
    if (value === -1) return false
    step(value)
  }
  return check === 1 || check === 0x2bc830a3
}

/**
 * Bitcoin (Base58Check, Bech32), Litecoin and Tron by checksum; Ethereum by its form (`0x` and 40 hexadecimal digits).
 */
export const cryptoAddressAt = (text: string, start: number, end: number): Span | undefined => {
  const length = end - start
  if (length < 26 || length > 90) return undefined
  const first = text[start]!
  const address = text.slice(start, end)
  const found = first === "0"
    ? length === 42 && /^0x[0-9A-Fa-f]{40}$/.test(address)
    : /^(?:bc|tb|ltc)1/i.test(address)
    ? isBech32(address)
    : /[13mn2LMTD]/.test(first) && length <= 35 && isBase58Check(address)
  return found ? { start, end, kind: "CRYPTO_ADDRESS" } : undefined
}
