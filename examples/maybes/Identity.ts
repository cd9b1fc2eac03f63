/** Who a bearer token belongs to. A real backend would ask its identity provider; Maybes knows a few by heart. */
import { Effect, Layer } from "effect"
import { RequestContext } from "effect-audit"
import { AuditApi, HttpAudit } from "effect-audit/http"

export const tokens: ReadonlyMap<string, HttpAudit.Principal> = new Map([
  ["ada-token", { tenantId: "t_acme", env: "prod", actor: RequestContext.human("ada") }],
  ["ada-helper-token", { tenantId: "t_acme", env: "prod", actor: RequestContext.agent("helper", "ada") }],
  ["ben-token", { tenantId: "t_acme", env: "prod", actor: RequestContext.human("ben") }],
  ["gus-token", { tenantId: "t_globex", env: "prod", actor: RequestContext.human("gus") }]
])

/** From a request to a context: the token says who, headers add where, and must not contradict. */
export const auditedRequests = HttpAudit.layer({
  anonymous: { tenantId: "t_nobody", env: "prod" },
  identify: ({ headers }) => {
    const known = tokens.get(headers["authorization"]?.replace(/^Bearer /, "") ?? "")
    return known === undefined
      ? Effect.fail(new HttpAudit.Unauthenticated({ detail: "A known bearer token is required" }))
      : Effect.succeed(known)
  }
})

/** Whoever is a person may read the trail of their tenant; nobody erases over HTTP. */
export const auditPolicy = Layer.succeed(
  AuditApi.AuditPolicy,
  AuditApi.AuditPolicy.of({
    allows: (operation) =>
      Effect.map(
        RequestContext.RequestContext,
        ({ actor }) => actor.type === "human" && operation !== "erase" && operation !== "hold"
      )
  })
)

/** The person whose notes these are: who acts, or whom an agent acts for. */
export const currentUser = Effect.map(
  RequestContext.RequestContext,
  ({ actor }) => actor.type === "human" ? actor.id : "onBehalfOf" in actor ? actor.onBehalfOf ?? "" : ""
)
