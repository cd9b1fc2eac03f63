/** The trail over a medium: what it promises, from the pages that a medium reads. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { AuditTrail } from "./AuditTrail.ts"
import { followOver, type Source } from "./follow.ts"
import { readQuery } from "./paging.ts"

/** What a medium reads. */
export interface Pages extends Source, Pick<AuditTrail["Service"], "get" | "logs"> {}

/** Builds the trail; its followers end with the scope. */
export const trailOver = (pages: Pages): Effect.Effect<AuditTrail["Service"], never, Scope.Scope> =>
  Effect.map(followOver(pages), (follow) =>
    AuditTrail.of({
      query: (query) => Effect.flatMap(Effect.fromResult(readQuery(query)), pages.page),
      get: pages.get,
      follow,
      logs: pages.logs
    }))
