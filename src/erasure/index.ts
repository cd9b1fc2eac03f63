/** Erasing, and legal holds. */
export * as Erasure from "./Erasure.ts"
export * as Selection from "./Selection.ts"
