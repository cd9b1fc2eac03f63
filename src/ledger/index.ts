/** The provable ledger: signed tree heads, proofs, verification, tiles, erasure. */
export * as Checkpoint from "./Checkpoint.ts"
export * as Ledger from "./Ledger.ts"
export * as Proof from "./Proof.ts"
export * as SignedNote from "./SignedNote.ts"
export * as SigningKey from "./SigningKey.ts"
export * as Tiles from "./Tiles.ts"
