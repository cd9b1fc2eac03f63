/** RFC 6962, section 2.1, word by word: slow, and the judge of `Merkle.ts`. */
import { createHash } from "node:crypto"

const sha256 = (...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const largestPowerBelow = (n: number): number => {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** MTH(D[n]) */
export const treeHash = (entries: ReadonlyArray<Uint8Array>): Buffer => {
  const [only] = entries
  if (only === undefined) return sha256()
  if (entries.length === 1) return sha256(Buffer.of(0), only)
  const k = largestPowerBelow(entries.length)
  return sha256(Buffer.of(1), treeHash(entries.slice(0, k)), treeHash(entries.slice(k)))
}

/** PATH(m, D[n]) */
export const auditPath = (m: number, entries: ReadonlyArray<Uint8Array>): ReadonlyArray<Buffer> => {
  if (entries.length === 1) return []
  const k = largestPowerBelow(entries.length)
  return m < k
    ? [...auditPath(m, entries.slice(0, k)), treeHash(entries.slice(k))]
    : [...auditPath(m - k, entries.slice(k)), treeHash(entries.slice(0, k))]
}

/** PROOF(m, D[n]) */
export const consistency = (m: number, entries: ReadonlyArray<Uint8Array>): ReadonlyArray<Buffer> => {
  const sub = (m: number, entries: ReadonlyArray<Uint8Array>, known: boolean): ReadonlyArray<Buffer> => {
    if (m === entries.length) return known ? [] : [treeHash(entries)]
    const k = largestPowerBelow(entries.length)
    return m <= k
      ? [...sub(m, entries.slice(0, k), known), treeHash(entries.slice(k))]
      : [...sub(m - k, entries.slice(k), false), treeHash(entries.slice(0, k))]
  }
  return sub(m, entries, true)
}

/** Hashes of complete subtrees, as `Merkle.ts` asks for them. */
export const hashesOf = (entries: ReadonlyArray<Uint8Array>) => (level: number, index: number): Buffer =>
  treeHash(entries.slice(index * 2 ** level, (index + 1) * 2 ** level))

/** The hashes above those of complete subtrees. */
export const nodesAbove = (hashes: ReadonlyArray<Uint8Array>): ReadonlyArray<Buffer> =>
  Array.from({ length: hashes.length / 2 }, (_, n) => sha256(Buffer.of(1), ...hashes.slice(2 * n, 2 * n + 2)))
