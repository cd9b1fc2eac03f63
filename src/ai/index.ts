/** What agents do, recorded: calls of models and tools, approvals, MCP servers. */
export * as AuditAi from "./AuditAi.ts"
