/** What users test with: programs that record events, and media of their own. */
export * as AuditTest from "./AuditTest.ts"
export * as Contract from "./Contract.ts"
