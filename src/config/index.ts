/** One configuration for an application and the command line. */
export * as AuditConfig from "./AuditConfig.ts"
