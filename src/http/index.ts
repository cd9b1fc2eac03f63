/** The edge of a server: requests become contexts and events, the trail an API. */
export * as AuditApi from "./AuditApi.ts"
export * as AuditApiLive from "./AuditApiLive.ts"
export * as HttpAudit from "./HttpAudit.ts"
