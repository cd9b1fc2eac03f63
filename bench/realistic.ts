/** The realistic events, ready to be emitted. */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { type AuditLogger, RequestContext } from "../src/index.ts"

/** One event: who, and what. */
export interface Realistic {
  readonly context: RequestContext.RequestContext["Service"]
  readonly draft: AuditLogger.AuditDraft
}

const lines = readFileSync(new URL("events/realistic.ndjson", import.meta.url), "utf8").trimEnd().split("\n")

/** All of them, in order. */
export const realistic: ReadonlyArray<Realistic> = lines.map((line) => {
  const { context, draft } = JSON.parse(line) as { readonly context: unknown; readonly draft: AuditLogger.AuditDraft }
  return { context: Effect.runSync(RequestContext.decode(context)), draft }
})
