/** Reading what was recorded. */
export * as AuditTrail from "./AuditTrail.ts"
export * as Encoding from "./Encoding.ts"
export * as Filter from "./Filter.ts"
export * as Run from "./Run.ts"
