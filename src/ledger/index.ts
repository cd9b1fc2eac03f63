/** Signed tree heads of logs. */
export * as Checkpoint from "./Checkpoint.ts"
export * as SignedNote from "./SignedNote.ts"
