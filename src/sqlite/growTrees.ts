/**
 * What the versions after the first do to a store of the first: the events come under their trees.
 *
 * Frozen: it is a part of a migration, and uses nothing that may change.
 */
import { hash } from "node:crypto"
import type { DatabaseSync } from "node:sqlite"

const sha256 = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => hash("sha256", Buffer.concat(parts), "buffer")
const leafPrefix = Buffer.of(0, 1)
const nodePrefix = Buffer.of(1)

/** The hash over 256 hashes, a power of two. */
const over = (hashes: ReadonlyArray<Uint8Array>): Uint8Array => {
  let level = hashes
  while (level.length > 1) {
    level = Array.from({ length: level.length / 2 }, (_, i) => sha256(nodePrefix, level[i * 2]!, level[i * 2 + 1]!))
  }
  return level[0]!
}

type Tree = { size: number; bundle: Array<Uint8Array>; readonly levels: Array<Array<Uint8Array>> }

/** Brings the events of a store that has no trees yet under their trees. A log that has gaps is stopped. */
export const growTrees = (db: DatabaseSync): void => {
  /** Of each log its size, the entries of its last bundle, and the last hashes of each level; -1 if it was stopped. */
  const trees = new Map<number, Tree>()
  const putBundle = db.prepare("INSERT INTO audit_bundle (log, idx, commitments) VALUES (?, ?, ?)")
  const putSubtree = db.prepare("INSERT INTO audit_subtree (log, level, idx, hash) VALUES (?, ?, ?, ?)")
  const stop = db.prepare("INSERT OR IGNORE INTO audit_stop (log, detail, stopped_at) VALUES (?, ?, 0)")
  const complete = (log: number, tree: Tree) => {
    const bundle = tree.size / 256 - 1
    putBundle.run(log, bundle, Buffer.concat(tree.bundle))
    let top = over(tree.bundle.map((commitment) => sha256(leafPrefix, commitment)))
    tree.bundle = []
    for (let tier = 0, index = bundle;; tier++, index = Math.floor(index / 256)) {
      putSubtree.run(log, (tier + 1) * 8, index, top)
      const run = tree.levels[tier] ??= []
      run.push(top)
      if (run.length < 256) return
      tree.levels[tier] = []
      top = over(run)
    }
  }
  for (
    const { commitment, log, position } of db.prepare("SELECT log, position, commitment FROM audit_event ORDER BY seq")
      .iterate()
  ) {
    if (typeof log !== "number") continue
    const tree: Tree = trees.get(log) ?? { size: 0, bundle: [], levels: [] }
    trees.set(log, tree)
    if (tree.size === -1) continue
    if (position !== tree.size || !(commitment instanceof Uint8Array) || commitment.length !== 32) {
      stop.run(log, `the entry at position ${tree.size} is not in the store`)
      tree.size = -1
      continue
    }
    tree.bundle.push(commitment)
    tree.size++
    if (tree.size % 256 === 0) complete(log, tree)
  }
}
