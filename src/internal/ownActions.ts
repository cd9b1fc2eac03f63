/** What this package records itself through a logger: of another's making it would look like what really happened. */
const folders = /^(?:audit|audit_trail|mcp)\./
const own: ReadonlySet<string> = new Set([
  "http.request",
  "http.refused",
  "model.call",
  "tool.call",
  "tool.requested",
  "tool.approval_requested",
  "tool.approve",
  "tool.deny"
])

/** Whether an action is one of this package's own. */
export const isOwnAction = (name: string): boolean => own.has(name) || folders.test(name)
