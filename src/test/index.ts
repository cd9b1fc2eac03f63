/** What users test their programs with. */
export * as AuditTest from "./AuditTest.ts"
