/** What counts as personal data, and what replaces it. */
export * as Kind from "./Kind.ts"
export * as Pii from "./Pii.ts"
export * as PiiLogger from "./PiiLogger.ts"
export * as Policy from "./Policy.ts"
