/** Who a bearer token belongs to. A real backend would ask its identity provider; Maybes knows a few by heart. */
import { RequestContext } from "effect-audit"

export interface Identity {
  readonly tenantId: string
  readonly env: string
  /** The person whose notes these are. */
  readonly userId: string
  readonly actor: RequestContext.Json["actor"]
}

export const tokens: ReadonlyMap<string, Identity> = new Map([
  ["ada-token", { tenantId: "t_acme", env: "prod", userId: "ada", actor: RequestContext.human("ada") }],
  ["ada-helper-token", {
    tenantId: "t_acme",
    env: "prod",
    userId: "ada",
    actor: RequestContext.agent("helper", "ada")
  }],
  ["ben-token", { tenantId: "t_acme", env: "prod", userId: "ben", actor: RequestContext.human("ben") }],
  ["gus-token", { tenantId: "t_globex", env: "prod", userId: "gus", actor: RequestContext.human("gus") }]
])
