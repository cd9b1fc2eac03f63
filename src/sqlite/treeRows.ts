/** The rows of the Merkle trees, on one connection. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { blobOf } from "../internal/row.ts"
import type { TreeRows } from "../ledger/growth.ts"
import { hashBytes } from "../ledger/treeReader.ts"
import type { Hash } from "../Merkle.ts"
import type { Postings } from "./postings.ts"

const none = new Uint8Array(0)

/** Statements over bundles and subtrees; what is written belongs to the transaction that is open. */
export class SqliteTreeRows implements TreeRows {
  private readonly db: DatabaseSync
  private readonly index: Postings
  private readonly getBundle: StatementSync
  private readonly getSubtrees: StatementSync
  private writing: { readonly bundle: StatementSync; readonly subtree: StatementSync } | undefined

  constructor(db: DatabaseSync, index: Postings) {
    this.db = db
    this.index = index
    this.getBundle = db.prepare("SELECT commitments FROM audit_bundle WHERE log = ? AND idx = ?")
    this.getSubtrees = db.prepare(
      "SELECT idx, hash FROM audit_subtree WHERE log = ? AND level = ? AND idx BETWEEN ? AND ? ORDER BY idx"
    )
  }

  bundle(log: number, index: number): Uint8Array {
    const found = blobOf(this.getBundle.get(log, index), "commitments")
    return found === undefined ? none : found.subarray(0, found.length - found.length % hashBytes)
  }

  subtrees(log: number, level: number, first: number, count: number): Uint8Array {
    const all = Buffer.alloc(count * hashBytes)
    let next = first
    for (const row of this.getSubtrees.iterate(log, level, first, first + count - 1)) {
      const hash = blobOf(row, "hash")
      if (row["idx"] !== next || hash?.length !== hashBytes) break
      all.set(hash, (next - first) * hashBytes)
      next++
    }
    return all.subarray(0, (next - first) * hashBytes)
  }

  commitments(log: number, from: number, to: number): Uint8Array {
    const all = Buffer.alloc((to - from) * hashBytes)
    const found = new Uint8Array(to - from)
    let left = to - from
    this.index.eachOfLog(log, ({ commitment, position }) => {
      if (position < from) return false
      if (position < to && commitment.length === hashBytes && found[position - from] === 0) {
        all.set(commitment, (position - from) * hashBytes)
        found[position - from] = 1
        left--
      }
      return left > 0
    })
    const first = found.indexOf(0)
    return first === -1 ? all : all.subarray(0, first * hashBytes)
  }

  private get writes() {
    return this.writing ??= {
      bundle: this.db.prepare(
        "INSERT INTO audit_bundle (log, idx, commitments) VALUES (?, ?, ?) " +
          "ON CONFLICT (log, idx) DO UPDATE SET commitments = excluded.commitments"
      ),
      subtree: this.db.prepare("INSERT INTO audit_subtree (log, level, idx, hash) VALUES (?, ?, ?, ?)")
    }
  }

  putBundle(log: number, index: number, commitments: Uint8Array): void {
    this.writes.bundle.run(log, index, commitments)
  }

  putSubtree(log: number, level: number, index: number, hash: Hash): void {
    this.writes.subtree.run(log, level, index, hash)
  }
}
