/** The edge of a server: requests become contexts and events. */
export * as HttpAudit from "./HttpAudit.ts"
