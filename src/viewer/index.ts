/** The page over the audit API. */
export * as Viewer from "./Viewer.ts"
